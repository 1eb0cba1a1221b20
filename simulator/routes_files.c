/* Requests about the files of containers: archive, export, changes. */
#include "simulator/files.h"
#include "simulator/http.h"

#include "http/digest.h"

#include <string.h>

/* Bits of Go's file modes. */
#define GO_DIR (1u << 31)
#define GO_SYMLINK (1u << 27)
#define GO_STICKY (1u << 20)

struct archive {
	struct sim_request *r;
	struct sim_container *c;
	char container[SIM_ID_LEN + 1];
	char *path;
	struct sim_tar *tar;
	char *current;    /* path of the file whose bytes come */
	bool keeps_kinds; /* no file takes the place of a folder, and none the other way */
	bool failed;
	struct err err;
};

/* *out: the container, whose path is in *path (owned). False: the error has been sent. */
static bool request_path(struct sim_request *r, struct sim_container **out, char **path)
{
	const char *text = sim_query(r, "path");

	if (!*text) {
		sim_reply_text(r, 400, "bad parameter: pathcannot be empty");
		return false;
	}
	*out = sim_request_container(r);
	if (!*out)
		return false;
	*path = sim_files_path(text);
	return true;
}

static const char *base_name(const char *path)
{
	return str_eq(path, "/") ? path : strrchr(path, '/') + 1;
}

/* The value of X-Docker-Container-Path-Stat. Owned. */
static char *stat_text(const struct sim_file *f)
{
	CLEANUP_BUF struct buf b = {0};
	CLEANUP_FREE char *target = NULL;
	unsigned mode = f->mode & 0777;
	int64_t size = (int64_t)f->data.len;

	if (f->type == SIM_TAR_DIR) {
		mode |= GO_DIR;
		size = 4096;
	} else if (f->type == SIM_TAR_SYMLINK) {
		CLEANUP_FREE char *whole = xasprintf("%.*s/%s",
			*f->link == '/' ? 0 : (int)(base_name(f->path) - f->path), f->path,
			f->link);

		target = sim_files_path(whole);
		mode |= GO_SYMLINK | 0777;
		size = (int64_t)strlen(f->link);
	}
	if (f->mode & 01000)
		mode |= GO_STICKY;
	buf_init(&b, 64 * 1024);
	buf_append_char(&b, '{');
	sim_json_s(&b, "name", base_name(f->path));
	sim_json_i(&b, "size", size);
	sim_json_i(&b, "mode", mode);
	/* What an image holds is as old as time. */
	if (f->mtime)
		sim_json_time(&b, "mtime", f->mtime * 1000000000);
	else
		sim_json_s(&b, "mtime", "1970-01-01T00:00:00Z");
	sim_json_s(&b, "linkTarget", target ? target : "");
	buf_append_char(&b, '}');
	return digest_base64(b.data, b.len);
}

static const struct sim_file *request_file(struct sim_request *r, struct sim_container **c)
{
	CLEANUP_FREE char *path = NULL;
	const struct sim_file *f;

	if (!request_path(r, c, &path))
		return NULL;
	f = sim_files_find(*c, path);
	if (!f)
		sim_reply_text(r, 404, "Could not find the file %s in container %s",
			sim_query(r, "path"), r->name);
	return f;
}

static void archive_head(struct sim_request *r)
{
	struct sim_container *c;
	const struct sim_file *f = request_file(r, &c);
	CLEANUP_FREE char *text = f ? stat_text(f) : NULL;
	struct http_headers h = {0};

	if (!f)
		return;
	sim_headers(r, &h, NULL);
	http_headers_add(&h, "X-Docker-Container-Path-Stat", text);
	exchange_reply(r->x, 200, &h, "", 0);
	http_headers_free(&h);
}

static void archive_get(struct sim_request *r)
{
	struct sim_container *c;
	const struct sim_file *f = request_file(r, &c);
	CLEANUP_FREE char *text = f ? stat_text(f) : NULL;
	CLEANUP_BUF struct buf b = {0};
	struct http_headers h = {0};

	if (!f)
		return;
	buf_init(&b, SIM_REPLY_MAX);
	sim_files_archive(
		c, f->path, str_eq(f->path, "/") ? 1 : (size_t)(base_name(f->path) - f->path), &b);
	sim_headers(r, &h, "application/x-tar");
	http_headers_add(&h, "X-Docker-Container-Path-Stat", text);
	exchange_reply_start(r->x, 200, &h, -1);
	http_headers_free(&h);
	sim_event_container(r->engine, c, "archive-path", NULL);
	exchange_reply_write(r->x, b.data, b.len);
	exchange_reply_end(r->x);
}

static void container_export(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);
	CLEANUP_BUF struct buf b = {0};

	if (!c)
		return;
	buf_init(&b, SIM_REPLY_MAX);
	sim_files_archive(c, "/", 1, &b);
	sim_event_container(r->engine, c, "export", NULL);
	sim_reply_stream(r, 200, "application/octet-stream");
	exchange_reply_write(r->x, b.data, b.len);
	exchange_reply_end(r->x);
}

static void container_changes(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);
	CLEANUP_BUF struct buf b = {0};

	if (!c)
		return;
	buf_init(&b, SIM_REPLY_MAX);
	sim_files_changes(c, &b);
	sim_reply_buf(r, 200, &b);
}

/* ---- PUT ---- */

static void archive_cleanup(struct sim_request *r)
{
	struct archive *a = r->state;

	sim_tar_free(a->tar);
	free(a->current);
	free(a->path);
	free(a);
}

static void put_entry(void *arg, const struct sim_tar_entry *entry)
{
	struct archive *a = arg;
	CLEANUP_FREE char *joined = xasprintf("%s/%s", a->path, entry->name);
	CLEANUP_FREE char *path = sim_files_path(joined);
	const struct sim_file *old = sim_files_find(a->c, path);

	free(TAKE_PTR(a->current));
	if (a->failed || str_eq(path, a->path))
		return;
	if (!sim_files_is_below(path, a->path)) {
		a->failed = true;
		err_set(&a->err, ERR_INVALID, "\"%s\" is outside of \"%s\"", entry->name, a->path);
		return;
	}
	if (!strchr("0125", entry->type))
		return; /* devices and pipes: nobody would read them */
	if (old && a->keeps_kinds && (old->type == SIM_TAR_DIR) != (entry->type == SIM_TAR_DIR)) {
		bool dir = old->type == SIM_TAR_DIR;

		a->failed = true;
		err_set(&a->err, ERR_INVALID, "cannot overwrite %s \"%s\" with %s \"%s\"",
			dir ? "directory" : "non-directory", path,
			dir ? "non-directory" : "directory", a->path);
		return;
	}
	a->failed = sim_files_put(a->c, path, entry, &a->err) != 0;
	a->current = TAKE_PTR(path);
}

static void put_data(void *arg, const char *data, size_t len)
{
	struct archive *a = arg;

	if (a->current && !a->failed && sim_files_write(a->c, a->current, data, len, &a->err))
		a->failed = true;
}

static void put_end(void *arg)
{
	struct archive *a = arg;

	free(TAKE_PTR(a->current));
}

static const struct sim_tar_ops put_ops = {put_entry, put_data, put_end};

static void put_answer(struct archive *a)
{
	struct sim_request *r = a->r;

	if (!a->failed && sim_tar_finish(a->tar, &a->err))
		a->failed = true;
	if (a->failed) {
		sim_reply_text(r, 500, "Error processing tar file(exit status 1): %s", a->err.msg);
		return;
	}
	sim_event_container(r->engine, a->c, "extract-to-dir", NULL);
	sim_reply_empty(r, 200);
}

static size_t put_body(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct archive *a = arg;
	int status;

	(void)x;
	/* It may have been removed since the last piece. */
	a->c = sim_container_find(a->r->engine, a->container, &status, NULL);
	if (!a->c) {
		if (!len)
			sim_reply_text(a->r, 404, "No such container: %s", a->r->name);
		return len;
	}
	if (!len)
		put_answer(a);
	else if (!a->failed && sim_tar_feed(a->tar, data, len, &a->err))
		a->failed = true;
	return len;
}

static void archive_put(struct sim_request *r)
{
	struct sim_container *c;
	char *path = NULL;
	const struct sim_file *f;
	struct archive *a;

	if (!request_path(r, &c, &path))
		return;
	f = sim_files_find(c, path);
	if (!f || f->type != SIM_TAR_DIR) {
		if (f)
			sim_reply_text(r, 500, "extraction point is not a directory");
		else
			sim_reply_text(r, 404, "Could not find the file %s in container %s",
				sim_query(r, "path"), r->name);
		free(path);
		return;
	}
	a = xcalloc(1, sizeof(*a));
	a->r = r;
	a->path = path;
	memcpy(a->container, c->id, sizeof(a->container));
	a->keeps_kinds = sim_query_bool(r, "noOverwriteDirNonDir");
	a->tar = sim_tar_new(&put_ops, a);
	r->state = a;
	r->cleanup = archive_cleanup;
	exchange_stream_body(r->x, put_body, a);
}

/* Gone since API 1.24. */
static void container_copy(struct sim_request *r)
{
	sim_reply_empty(r, 404);
}

const struct sim_route sim_routes_files[] = {
	{"GET", "/containers/", "/changes", container_changes, 0},
	{"GET", "/containers/", "/export", container_export, 0},
	{"GET", "/containers/", "/archive", archive_get, 0},
	{"HEAD", "/containers/", "/archive", archive_head, 0},
	{"PUT", "/containers/", "/archive", archive_put, SIM_ROUTE_STREAM},
	{"POST", "/containers/", "/copy", container_copy, SIM_ROUTE_DISCARD},
	{NULL, NULL, NULL, NULL, 0},
};
