#include "simulator/build.h"
#include "simulator/dockerfile.h"
#include "simulator/tar.h"

#include "http/digest.h"

#include <fnmatch.h>
#include <string.h>

#define ENTRIES_MAX 200000

struct entry {
	UT_hash_handle hh;
	char *name;
	char type;
	int64_t size;
	char digest[SIM_ID_LEN + 1]; /* of its content, "" for folders */
};

struct sim_context {
	struct sim_tar *tar;
	char *dockerfile;
	struct entry *entries, *current;
	struct digest *digest; /* of the current one's content so far */
	struct buf text;       /* of the Dockerfile */
	bool has_text, is_full;
};

static struct entry *entry_add(struct sim_context *c, const char *name, char type)
{
	struct entry *e;

	HASH_FIND_STR(c->entries, name, e);
	if (e || HASH_COUNT(c->entries) >= ENTRIES_MAX) {
		c->is_full |= !e;
		return e;
	}
	e = xcalloc(1, sizeof(*e));
	e->name = xstrdup(name);
	e->type = type;
	HASH_ADD_KEYPTR(hh, c->entries, e->name, strlen(e->name), e);
	return e;
}

static void context_entry(void *arg, const struct sim_tar_entry *entry)
{
	struct sim_context *c = arg;

	c->current = *entry->name ? entry_add(c, entry->name, entry->type) : NULL;
	if (!c->current)
		return;
	c->current->size = entry->size;
	c->digest = digest_new();
	digest_add(c->digest, entry->link, strlen(entry->link));
	if (str_eq(entry->name, c->dockerfile)) {
		c->has_text = true;
		buf_reset(&c->text);
	}
}

static void context_data(void *arg, const char *data, size_t len)
{
	struct sim_context *c = arg;

	if (!c->current)
		return;
	digest_add(c->digest, data, len);
	if (str_eq(c->current->name, c->dockerfile))
		buf_append(&c->text, data, len);
}

static void context_end(void *arg)
{
	struct sim_context *c = arg;

	if (c->current)
		digest_finish(TAKE_PTR(c->digest), c->current->digest);
	c->current = NULL;
}

struct sim_context *sim_context_new(const char *dockerfile)
{
	static const struct sim_tar_ops ops = {context_entry, context_data, context_end};
	struct sim_context *c = xcalloc(1, sizeof(*c));

	while (str_has_prefix(dockerfile, "./") || *dockerfile == '/')
		dockerfile += *dockerfile == '/' ? 1 : 2;
	c->dockerfile = xstrdup(dockerfile);
	c->tar = sim_tar_new(&ops, c);
	buf_init(&c->text, SIM_DOCKERFILE_MAX);
	return c;
}

void sim_context_free(struct sim_context *c)
{
	struct entry *e;
	struct entry *tmp;

	if (!c)
		return;
	HASH_ITER (hh, c->entries, e, tmp) {
		HASH_DEL(c->entries, e);
		free(e->name);
		free(e);
	}
	digest_free(c->digest);
	sim_tar_free(c->tar);
	buf_reset(&c->text);
	free(c->dockerfile);
	free(c);
}

int sim_context_feed(struct sim_context *c, const char *data, size_t len, struct err *err)
{
	if (sim_tar_feed(c->tar, data, len, err))
		return -1;
	if (c->is_full)
		return err_set(
			err, ERR_TOO_LARGE, "the context has more than %d files", ENTRIES_MAX);
	if (c->text.failed)
		return err_set(err, ERR_TOO_LARGE, "the Dockerfile is too large");
	return 0;
}

int sim_context_finish(struct sim_context *c, struct err *err)
{
	return sim_tar_finish(c->tar, err);
}

const char *sim_context_dockerfile(const struct sim_context *c, size_t *len)
{
	*len = c->text.len;
	return c->has_text ? buf_str(&c->text) : NULL;
}

/* ---- Copying ---- */

static void entry_copy(const struct entry *e, struct digest *digest, struct sim_copied *out)
{
	digest_add(digest, e->name, strlen(e->name));
	digest_add(digest, e->digest, strlen(e->digest));
	out->size += e->type == SIM_TAR_FILE ? e->size : 0;
}

/* All that the pattern fits, and what is below. The number of entries that it fits itself. */
static size_t source_copy(const struct sim_context *c, const char *source, struct digest *digest,
	struct sim_copied *out)
{
	size_t len = strlen(source);
	size_t count = 0;
	struct entry *e;
	struct entry *tmp;

	HASH_ITER (hh, c->entries, e, tmp) {
		bool fits = !len || !fnmatch(source, e->name, FNM_PATHNAME);
		bool below = strncmp(e->name, source, len) == 0 && e->name[len] == '/';

		if (!fits && !below)
			continue;
		count++;
		out->kind = !len || below || e->type == SIM_TAR_DIR ? "dir" : "file";
		entry_copy(e, digest, out);
	}
	return count + !len;
}

int sim_context_copy(const struct sim_context *c, const struct str_list *sources,
	struct sim_copied *out, struct err *err)
{
	struct digest *digest = digest_new();
	size_t count = 0;
	int status = 0;

	*out = (struct sim_copied){.kind = "file"};
	for (size_t i = 0; i < sources->len && !status; i++) {
		const char *source = sources->items[i];
		CLEANUP_FREE char *name = NULL;
		size_t len;
		size_t n;

		while (str_has_prefix(source, "./") || *source == '/')
			source += *source == '/' ? 1 : 2;
		len = strlen(source);
		while (len && source[len - 1] == '/')
			len--;
		name = xstrndup(source, len == 1 && *source == '.' ? 0 : len);
		n = source_copy(c, name, digest, out);
		if (!n && strpbrk(name, "*?["))
			continue;
		if (!n)
			status = sim_fail(err, 400,
				"file not found in build context or excluded by .dockerignore: "
				"stat %s: file does not exist",
				name);
		count += n;
	}
	if (!status && !count)
		status = sim_fail(err, 400, "no source files were specified");
	if (sources->len > 1)
		out->kind = "multi";
	digest_finish(digest, out->digest);
	return status;
}
