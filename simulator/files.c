#include "simulator/files.h"

#include <string.h>
#include <utlist.h>

/* What is in every container, by path. */
static const struct sim_file base[] = {
	{.path = "/", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
	{.path = "/bin", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
	{.path = "/dev", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
	{.path = "/etc", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
	{.path = "/etc/group",
		.link = "",
		.type = SIM_TAR_FILE,
		.mode = 0644,
		.data = {.data = (char *)"root:x:0:\n", .len = 10}},
	{.path = "/etc/passwd",
		.link = "",
		.type = SIM_TAR_FILE,
		.mode = 0644,
		.data = {.data = (char *)"root:x:0:0:root:/root:/bin/sh\n", .len = 30}},
	{.path = "/proc", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
	{.path = "/root", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
	{.path = "/sys", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
	{.path = "/tmp", .link = "", .type = SIM_TAR_DIR, .mode = 01777},
	{.path = "/var", .link = "", .type = SIM_TAR_DIR, .mode = 0755},
};

char *sim_files_path(const char *text)
{
	CLEANUP_STR_LIST struct str_list parts = {0};
	struct buf path;
	size_t kept = 0;

	str_list_split(&parts, text, "/");
	buf_init(&path, strlen(text) + 2);
	for (size_t i = 0; i < parts.len; i++) {
		char *part = parts.items[i];

		if (str_eq(part, ".."))
			kept -= kept > 0;
		else if (!str_eq(part, ".")) {
			parts.items[i] = parts.items[kept];
			parts.items[kept++] = part;
		}
	}
	for (size_t i = 0; i < kept; i++)
		buf_printf(&path, "/%s", parts.items[i]);
	if (!kept)
		buf_append_char(&path, '/');
	return buf_take(&path);
}

static const struct sim_file *base_find(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(base); i++)
		if (str_eq(base[i].path, path))
			return &base[i];
	return NULL;
}

bool sim_files_in_image(const char *path)
{
	return base_find(path) != NULL;
}

static struct sim_file *own_find(const struct sim_container *c, const char *path)
{
	struct sim_file *f;

	DL_FOREACH (c->files, f)
		if (str_eq(f->path, path))
			return f;
	return NULL;
}

const struct sim_file *sim_files_find(const struct sim_container *c, const char *path)
{
	const struct sim_file *f = own_find(c, path);

	return f ? f : base_find(path);
}

int64_t sim_files_size(const struct sim_container *c)
{
	const struct sim_file *f;
	int64_t size = 0;

	DL_FOREACH (c->files, f)
		size += (int64_t)f->data.len;
	return size;
}

static void file_free(struct sim_container *c, struct sim_file *f)
{
	DL_DELETE(c->files, f);
	buf_reset(&f->data);
	free((char *)f->path);
	free((char *)f->link);
	free(f);
}

void sim_files_free(struct sim_container *c)
{
	while (c->files)
		file_free(c, c->files);
}

bool sim_files_is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return str_eq(folder, "/") ? path[1] != '\0'
				   : strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* In its place of the order. */
static struct sim_file *file_new(struct sim_container *c, const char *path)
{
	struct sim_file *f = xcalloc(1, sizeof(*f));
	struct sim_file *after = c->files;

	f->path = xstrdup(path);
	f->link = xstrdup("");
	f->type = SIM_TAR_DIR;
	f->mode = 0755;
	f->mtime = sim_now(c->engine) / 1000000000;
	buf_init(&f->data, SIM_FILES_BYTES_MAX);
	while (after && strcmp(after->path, path) < 0)
		after = after->next;
	if (after)
		DL_PREPEND_ELEM(c->files, after, f);
	else
		DL_APPEND(c->files, f);
	return f;
}

static int make_room(struct sim_container *c, struct err *err)
{
	const struct sim_file *f;
	size_t count = 0;

	DL_FOREACH (c->files, f)
		count++;
	return count < SIM_FILES_MAX ? 0 : sim_fail(err, 500, "no space left on device");
}

int sim_files_put(struct sim_container *c, const char *path, const struct sim_tar_entry *entry,
	struct err *err)
{
	struct sim_file *f = own_find(c, path);
	struct sim_file *other;
	struct sim_file *tmp;

	/* The folders above. */
	for (const char *p = path + 1; (p = strchr(p, '/')); p++) {
		CLEANUP_FREE char *folder = xstrndup(path, (size_t)(p - path));

		if (sim_files_find(c, folder))
			continue;
		if (make_room(c, err))
			return 500;
		file_new(c, folder);
	}
	if (!f) {
		if (make_room(c, err))
			return 500;
		f = file_new(c, path);
	}
	if (entry->type != SIM_TAR_DIR)
		DL_FOREACH_SAFE (c->files, other, tmp)
			if (sim_files_is_below(other->path, path))
				file_free(c, other);
	free((char *)f->link);
	f->link = xstrdup(entry->type == SIM_TAR_FILE ? "" : entry->link);
	f->type = entry->type;
	f->mode = entry->type == SIM_TAR_SYMLINK ? 0777 : entry->mode;
	f->mtime = entry->mtime;
	buf_reset(&f->data);
	return 0;
}

int sim_files_write(
	struct sim_container *c, const char *path, const char *data, size_t len, struct err *err)
{
	struct sim_file *f = own_find(c, path);

	if (!f)
		return 0;
	if ((size_t)sim_files_size(c) + len > SIM_FILES_BYTES_MAX)
		return sim_fail(err, 500, "no space left on device");
	buf_append(&f->data, data, len);
	return 0;
}

/* ---- Out again ---- */

static void file_write(const struct sim_file *f, size_t strip, struct buf *b)
{
	size_t len = strlen(f->path);
	const struct sim_tar_entry entry = {
		.name = f->path + (strip < len ? strip : len),
		.link = f->link,
		.type = f->type,
		.mode = f->mode,
		.size = (int64_t)f->data.len,
		.mtime = f->mtime,
	};

	sim_tar_write(b, &entry);
	if (f->type != SIM_TAR_FILE)
		return;
	buf_append(b, f->data.data, f->data.len);
	sim_tar_pad(b, (int64_t)f->data.len);
}

void sim_files_archive(const struct sim_container *c, const char *path, size_t strip, struct buf *b)
{
	const struct sim_file *own = c->files;
	size_t i = 0;

	/* Both lists are in order: they are merged, and own files hide those below them. */
	while (own || i < ARRAY_LEN(base)) {
		int order = !own ? 1 : i >= ARRAY_LEN(base) ? -1 : strcmp(own->path, base[i].path);
		const struct sim_file *f = order <= 0 ? own : &base[i];

		if (str_eq(f->path, path) || sim_files_is_below(f->path, path))
			file_write(f, strip, b);
		if (order <= 0)
			own = own->next;
		if (order >= 0)
			i++;
	}
	sim_tar_write_end(b);
}

static bool has_files_below(const struct sim_container *c, const char *path)
{
	const struct sim_file *f;

	DL_FOREACH (c->files, f)
		if (sim_files_is_below(f->path, path))
			return true;
	return false;
}

static void change_write(struct buf *b, const char *path, int kind)
{
	buf_append_char(b, b->len ? ',' : '[');
	buf_append_char(b, '{');
	sim_json_s(b, "Path", path);
	sim_json_i(b, "Kind", kind);
	buf_append_char(b, '}');
}

void sim_files_changes(const struct sim_container *c, struct buf *b)
{
	const struct sim_file *own = c->files;
	size_t i = 1; /* the root is no change */

	while (own || i < ARRAY_LEN(base)) {
		int order = !own ? 1 : i >= ARRAY_LEN(base) ? -1 : strcmp(own->path, base[i].path);

		if (order < 0)
			change_write(b, own->path, 1);
		else if (order == 0 || has_files_below(c, base[i].path))
			change_write(b, base[i].path, 0);
		if (order <= 0)
			own = own->next;
		if (order >= 0)
			i++;
	}
	buf_append_str(b, b->len ? "]" : "null");
}
