/* Changes of one file. The folder is watched: a file that is replaced by rename is another inode,
 * and one that does not exist yet cannot be watched itself. */
#include "lib/loop.h"

#include "lib/loop_priv.h"

#include <string.h>

struct loop_file {
	uv_fs_event_t handle;
	struct loop *loop;
	void (*fn)(void *arg); /* NULL once freed */
	void *arg;
	char *folder;
	char *name;
	bool is_queued; /* a deferred call holds this object */
	bool is_closed; /* libuv has let go of it */
};

static void release(struct loop_file *file)
{
	if (!file->is_closed || file->is_queued)
		return;
	free(file->folder);
	free(file->name);
	free(file);
}

static void on_closed(uv_handle_t *handle)
{
	struct loop_file *file = handle->data;

	file->is_closed = true;
	release(file);
}

static void report(void *arg)
{
	struct loop_file *file = arg;

	file->is_queued = false;
	if (file->fn)
		file->fn(file->arg);
	else
		release(file);
}

/* The last part of a path. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct loop_file *file = handle->data;

	(void)events;
	/* What happens to the folder itself comes under its own name, and concerns the file. */
	if (!status && name && strcmp(name, file->name) && strcmp(name, base_name(file->folder)))
		return;
	if (file->is_queued)
		return;
	file->is_queued = true;
	loop_defer(file->loop, report, file);
}

struct loop_file *loop_file_new(
	struct loop *loop, const char *path, void (*fn)(void *arg), void *arg, struct err *err)
{
	const char *name = base_name(path);
	struct loop_file *file;
	int status;

	if (!*name) {
		err_set(err, ERR_INVALID, "\"%.256s\" does not name a file", path);
		return NULL;
	}
	file = xcalloc(1, sizeof(*file));
	file->loop = loop;
	file->fn = fn;
	file->arg = arg;
	file->name = xstrdup(name);
	if (name == path)
		file->folder = xstrdup(".");
	else
		file->folder = xstrndup(path, name - path > 1 ? (size_t)(name - path - 1) : 1);
	uv_fs_event_init(&loop->uv, &file->handle);
	file->handle.data = file;
	loop->objects++;
	status = uv_fs_event_start(&file->handle, on_event, file->folder, 0);
	if (status) {
		err_set(err, ERR_SYSTEM, "cannot watch folder %.256s: %s", file->folder,
			uv_strerror(status));
		loop_file_free(file);
		return NULL;
	}
	return file;
}

void loop_file_free(struct loop_file *file)
{
	if (!file)
		return;
	file->loop->objects--;
	file->fn = NULL;
	uv_close((uv_handle_t *)&file->handle, on_closed);
}
