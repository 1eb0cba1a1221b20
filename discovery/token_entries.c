/* The addresses of one token, and what becomes of changes when they are written or cannot be. */
#include "discovery/token_entries.h"

#include "discovery/token_store_priv.h"
#include "lib/addr.h"
#include "lib/hash.h"

#include <string.h>

/* What is wanted was asked for after the write under way began; writing is part of that write. */
struct token_entry {
	unsigned ttl_s; /* as the file has it; 0 = it is not there */
	uint64_t ends_at;
	unsigned wanted_ttl_s, writing_ttl_s; /* 0 = no change */
	bool wanted_gone, writing_gone;
	UT_hash_handle hh;
	char addr[]; /* the key */
};

static struct token_entry *find(const struct token_entries *entries, const char *addr)
{
	struct token_entry *entry = NULL;

	HASH_FIND_STR(entries->all, addr, entry);
	return entry;
}

static struct token_entry *add(struct token_entries *entries, const char *addr)
{
	size_t len = strlen(addr);
	struct token_entry *entry;

	if (entries->count >= TOKEN_STORE_TOKEN_ADDRS_MAX)
		return NULL;
	if (entries->count >= TOKEN_STORE_OWN_ADDRS && *entries->shared >= TOKEN_STORE_ADDRS_MAX)
		return NULL;
	entry = xcalloc(1, sizeof(*entry) + len + 1);
	memcpy(entry->addr, addr, len + 1);
	HASH_ADD_STR(entries->all, addr, entry);
	if (++entries->count > TOKEN_STORE_OWN_ADDRS)
		++*entries->shared;
	return entry;
}

static void entry_remove(struct token_entries *entries, struct token_entry *entry)
{
	HASH_DEL(entries->all, entry);
	if (entries->count-- > TOKEN_STORE_OWN_ADDRS)
		--*entries->shared;
	free(entry);
}

static bool is_changing(const struct token_entry *entry)
{
	return entry->wanted_ttl_s > 0 || entry->writing_ttl_s > 0 || entry->wanted_gone ||
	       entry->writing_gone;
}

static void renew(
	struct token_entries *entries, struct token_entry *entry, unsigned ttl_s, uint64_t now)
{
	entry->ttl_s = ttl_s;
	entry->ends_at = now + (uint64_t)ttl_s * 1000;
	if (entries->soonest > entry->ends_at)
		entries->soonest = entry->ends_at;
}

enum token_put token_entries_put(
	struct token_entries *entries, const char *addr, unsigned ttl_s, uint64_t now)
{
	struct token_entry *entry = find(entries, addr);

	if (entry == NULL)
		entry = add(entries, addr);
	if (entry == NULL)
		return TOKEN_PUT_FULL;
	if (entry->ttl_s == ttl_s && !is_changing(entry)) {
		renew(entries, entry, ttl_s, now);
		return TOKEN_PUT_KNOWN;
	}
	entry->wanted_ttl_s = ttl_s;
	entry->wanted_gone = false;
	return TOKEN_PUT_NEW;
}

bool token_entries_drop(struct token_entries *entries, const char *addr)
{
	struct token_entry *entry = find(entries, addr);

	if (entry == NULL)
		return false;
	entry->wanted_ttl_s = 0;
	entry->wanted_gone = true;
	return true;
}

/* "TTL addr", or the mark; -1 for anything else. */
static int read_line(struct token_entries *entries, char *line, uint64_t now, bool *was_used)
{
	char *blank = strchr(line, ' ');
	struct token_entry *entry;
	long long ttl;

	if (str_eq(line, TOKEN_FILE_USED_LINE)) {
		*was_used = true;
		return 0;
	}
	if (blank == NULL)
		return -1;
	*blank = '\0';
	if (str_to_int(line, 1, TOKEN_STORE_TTL_MAX_S, &ttl, "ttl", NULL) != 0 ||
		addr_check_host_port(blank + 1, NULL) != 0)
		return -1;
	entry = find(entries, blank + 1);
	if (entry == NULL)
		entry = add(entries, blank + 1);
	if (entry == NULL)
		return -1;
	renew(entries, entry, (unsigned)ttl, now);
	*was_used = true;
	return 0;
}

size_t token_entries_read(
	struct token_entries *entries, char *content, size_t len, uint64_t now, bool *was_used)
{
	char *line = content, *end;
	size_t bad = 0;

	if (str_has_prefix(content, TOKEN_FILE_HEAD))
		line += strlen(TOKEN_FILE_HEAD);
	else
		bad++;
	for (; line < content + len; line = end + 1) {
		end = memchr(line, '\n', (size_t)(content + len - line));
		if (end == NULL) {
			/* Without its end a line may be cut: "1.2.3.4:23" of 2375. */
			bad++;
			break;
		}
		*end = '\0';
		if (strlen(line) != (size_t)(end - line) ||
			read_line(entries, line, now, was_used) != 0)
			bad++;
	}
	return bad;
}

bool token_entries_expire(struct token_entries *entries, uint64_t now)
{
	struct token_entry *entry, *next;
	size_t before = entries->count;

	if (now < entries->soonest)
		return false;
	entries->soonest = UINT64_MAX;
	HASH_ITER (hh, entries->all, entry, next) {
		if (entry->ttl_s == 0)
			continue;
		if (entry->ends_at <= now && !is_changing(entry))
			entry_remove(entries, entry);
		else if (entry->ends_at < entries->soonest)
			entries->soonest = entry->ends_at;
	}
	return entries->count != before;
}

void token_entries_list(const struct token_entries *entries, uint64_t now, struct str_list *out)
{
	struct token_entry *entry, *next;

	HASH_ITER (hh, entries->all, entry, next)
		if (entry->ttl_s > 0 && entry->ends_at > now)
			str_list_add(out, entry->addr);
}

void token_entries_render(struct token_entries *entries, struct buf *out)
{
	struct token_entry *entry, *next;

	HASH_ITER (hh, entries->all, entry, next) {
		unsigned ttl_s = entry->wanted_ttl_s > 0 ? entry->wanted_ttl_s : entry->ttl_s;

		entry->writing_ttl_s = entry->wanted_ttl_s;
		entry->writing_gone = entry->wanted_gone;
		entry->wanted_ttl_s = 0;
		entry->wanted_gone = false;
		if (!entry->writing_gone)
			buf_printf(out, "%u %s\n", ttl_s, entry->addr);
	}
}

void token_entries_written(struct token_entries *entries, bool is_good, uint64_t now)
{
	struct token_entry *entry, *next;

	HASH_ITER (hh, entries->all, entry, next) {
		if (is_good && entry->writing_ttl_s > 0)
			renew(entries, entry, entry->writing_ttl_s, now);
		if (is_good && entry->writing_gone)
			entry->ttl_s = 0;
		entry->writing_ttl_s = 0;
		entry->writing_gone = false;
		if (entry->ttl_s == 0 && entry->wanted_ttl_s == 0)
			entry_remove(entries, entry);
	}
}

void token_entries_free(struct token_entries *entries)
{
	struct token_entry *entry, *next;

	HASH_ITER (hh, entries->all, entry, next)
		entry_remove(entries, entry);
}
