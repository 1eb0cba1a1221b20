/* What a store lists, as far as it is believed: sorted, each entry once, addresses alone, and none
 * that leads to where no engine is. */
#include "discovery/discovery_priv.h"

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/log.h"

#include <string.h>

/* Entries that one log line names. */
#define NAMED_MAX 10

int discovery_check_addr(const char *addr, bool takes_sockets, struct err *err)
{
	struct addr parsed = {0};

	if (!takes_sockets || !str_has_prefix(addr, "unix://"))
		return addr_check_host_port(addr, err);
	if (addr_parse(addr, 0, &parsed, err) != 0)
		return -1;
	addr_free(&parsed);
	return 0;
}

void discovery_sort_unique(struct str_list *addrs)
{
	size_t kept = 0;

	str_list_sort(addrs);
	for (size_t i = 0; i < addrs->len; i++) {
		char *addr = TAKE_PTR(addrs->items[i]);

		if (kept > 0 && strcmp(addrs->items[kept - 1], addr) == 0)
			free(addr);
		else
			addrs->items[kept++] = addr;
	}
	addrs->len = kept;
}

/* Warns of those that were not in the last list, which this one replaces. Both are sorted. */
static void tell_new(
	const char *name, const char *what, struct str_list *told, struct str_list *skipped_take)
{
	CLEANUP_BUF struct buf text;
	size_t fresh = 0, j = 0;

	buf_init(&text, NAMED_MAX * 512);
	for (size_t i = 0; i < skipped_take->len; i++) {
		const char *entry = skipped_take->items[i];

		while (j < told->len && strcmp(told->items[j], entry) < 0)
			j++;
		if (j < told->len && strcmp(told->items[j], entry) == 0)
			continue;
		if (fresh++ < NAMED_MAX)
			buf_printf(&text, "%s'%.100s'", fresh > 1 ? " " : "", entry);
	}
	if (fresh > 0)
		log_warn("%s discovery: %s count=%zu first=%s", name, what, fresh, buf_str(&text));
	str_list_free(told);
	*told = *skipped_take;
	*skipped_take = (struct str_list){0};
}

unsigned discovery_special(const char *entry)
{
	struct addr addr = {0};
	unsigned kind = 0;

	/* The port is there: discovery_check_addr has seen to it. */
	if (addr_parse(entry, 0, &addr, NULL) == 0 && addr.kind == ADDR_TCP)
		kind = addr_special_host(addr.host);
	addr_free(&addr);
	return kind;
}

void discovery_entries_clean(struct discovery_entries *entries, const struct discovery_ops *ops,
	unsigned refused, struct str_list *addrs)
{
	struct str_list bad = {0}, special = {0};
	size_t kept = 0;

	discovery_sort_unique(addrs);
	for (size_t i = 0; i < addrs->len; i++) {
		char *addr = TAKE_PTR(addrs->items[i]);

		if (discovery_check_addr(addr, ops->takes_sockets, NULL) != 0)
			str_list_add_take(&bad, addr);
		else if (discovery_special(addr) & refused)
			str_list_add_take(&special, addr);
		else
			addrs->items[kept++] = addr;
	}
	addrs->len = kept;
	tell_new(ops->name, "entries that are no address are skipped", &entries->bad, &bad);
	tell_new(ops->name,
		"link-local, multicast, broadcast and unspecified addresses are refused "
		"(--discovery-opt allow.special lets them in)",
		&entries->special, &special);
}

void discovery_entries_free(struct discovery_entries *entries)
{
	str_list_free(&entries->bad);
	str_list_free(&entries->special);
}
