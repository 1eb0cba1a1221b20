/* file:///path: one address or range a line, '#' starts a comment. Changes are seen at once through
 * inotify, and by looking every heartbeat where inotify sees nothing (network file systems). */
#include "discovery/discovery_priv.h"

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_MAGIC 0x46494c45
/* The largest file that is read. */
#define FILE_SIZE_MAX (4 * 1024 * 1024)
/* A file that was written to less than this ago may not be complete: it is read again before it is
 * believed, so many times at most. */
#define FILE_SETTLE_MS 150
#define FILE_SETTLE_TRIES 20
#define FILE_EVENT_DELAY_MS 20
/* Bad lines that one log line names. */
#define BAD_NAMED_MAX 10

struct file;

/* One reading, done on a helper thread. It is freed when the thread has ended, which may be after
 * its owner is gone. */
struct reading {
	struct file *owner; /* NULL = nobody waits any more */
	char *path;
	struct buf content;
	int64_t age_ms; /* since the last write, as the file's own time says */
	struct err err;
};

struct file {
	uint32_t magic;
	const struct discovery_context *context;
	char *path;
	struct loop_file *watch; /* NULL while its folder cannot be watched */
	bool watch_is_stale;     /* the last reading failed: the folder may be another one now */
	struct loop_timer *settle_timer;
	unsigned settle_tries;
	struct reading *reading; /* NULL = none under way */
	struct loop_work *work;  /* that of reading */
	char *bad_told;          /* what the log said of bad lines last */
};

static void read_file(void *arg)
{
	struct reading *r = arg;
	CLEANUP_FD int fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat before, after;
	struct timespec now;

	if (fd == -1) {
		err_errno(&r->err, ERR_UNAVAILABLE, errno, "cannot open %s", r->path);
		return;
	}
	if (fstat(fd, &before) == -1) {
		err_errno(&r->err, ERR_UNAVAILABLE, errno, "cannot stat %s", r->path);
		return;
	}
	if (!S_ISREG(before.st_mode)) {
		err_set(&r->err, ERR_INVALID, "%s is not a regular file", r->path);
		return;
	}
	for (;;) {
		char *room = buf_room(&r->content, 64 * 1024);
		ssize_t n;

		if (room == NULL) {
			err_set(&r->err, ERR_TOO_LARGE, "%s is larger than %d bytes", r->path,
				FILE_SIZE_MAX);
			return;
		}
		n = read(fd, room, 64 * 1024);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			err_errno(&r->err, ERR_UNAVAILABLE, errno, "cannot read %s", r->path);
			return;
		}
		if (n == 0)
			break;
		buf_added(&r->content, (size_t)n);
	}
	if (fstat(fd, &after) == -1 || clock_gettime(CLOCK_REALTIME, &now) == -1)
		after.st_mtim = now = (struct timespec){0};
	r->age_ms = (int64_t)(now.tv_sec - after.st_mtim.tv_sec) * 1000 +
		    (now.tv_nsec - after.st_mtim.tv_nsec) / 1000000;
}

/* Adds what one line lists, cut at its comment; -1 when it is no address or range. */
static int parse_line(char *line, struct str_list *out, struct err *err)
{
	CLEANUP_STR_LIST struct str_list found = {0};
	CLEANUP_STR_LIST struct str_list parts = {0};
	char *comment = strchr(line, '#');

	if (comment != NULL)
		*comment = '\0';
	str_list_split(&parts, line, "\r\n");
	if (parts.len == 0)
		return 0;
	if (parts.len > 1)
		return err_set(err, ERR_INVALID, "a line break within");
	if (addr_expand(parts.items[0], &found, err) != 0)
		return -1;
	if (out->len + found.len > ADDR_EXPAND_MAX)
		return err_set(
			err, ERR_TOO_LARGE, "more than %d nodes are listed", ADDR_EXPAND_MAX);
	for (size_t i = 0; i < found.len; i++)
		if (discovery_check_addr(found.items[i], true, err) != 0)
			return -1;
	for (size_t i = 0; i < found.len; i++)
		str_list_add_take(out, TAKE_PTR(found.items[i]));
	found.len = 0;
	return 0;
}

/* The good lines count, whatever stands in the others; the log says which they are, once for each
 * different lot. */
static void parse_file(struct file *file, struct buf *content, struct str_list *out)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_BUF struct buf bad;
	size_t bad_count = 0, number = 0, len = content->len;
	char *line, *end;

	text = buf_take(content);
	buf_init(&bad, BAD_NAMED_MAX * 512);
	for (line = text; line < text + len; line = end + 1) {
		struct err err = ERR_INIT;

		end = memchr(line, '\n', (size_t)(text + len - line));
		if (end == NULL)
			end = text + len;
		*end = '\0';
		number++;
		if (strlen(line) != (size_t)(end - line))
			err_set(&err, ERR_INVALID, "a NUL byte within");
		else if (parse_line(line, out, &err) == 0)
			continue;
		if (bad_count++ < BAD_NAMED_MAX)
			buf_printf(&bad, "%sline %zu: %.300s", bad_count > 1 ? "; " : "", number,
				err.msg);
	}
	if (bad_count > 0 && !str_eq(buf_str(&bad), file->bad_told))
		log_warn("file discovery: bad lines are skipped file=%s count=%zu first=%s",
			file->path, bad_count, buf_str(&bad));
	free(file->bad_told);
	file->bad_told = bad_count > 0 ? buf_take(&bad) : NULL;
}

static void reading_free(struct reading *r)
{
	buf_reset(&r->content);
	free(r->path);
	free(r);
}

static void read_done(void *arg, bool canceled)
{
	struct reading *r = arg;
	struct file *file = r->owner;
	struct discovery *discovery;
	struct str_list addrs = {0};
	struct err err = r->err;

	if (file == NULL || canceled) {
		reading_free(r);
		return;
	}
	assert(file->magic == FILE_MAGIC);
	file->reading = NULL;
	file->work = NULL;
	discovery = file->context->discovery;
	if (err.code != ERR_NONE) {
		reading_free(r);
		file->watch_is_stale = true;
		discovery_report_error(discovery, &err);
		return;
	}
	if (r->age_ms > -FILE_SETTLE_MS && r->age_ms < FILE_SETTLE_MS &&
		file->settle_tries < FILE_SETTLE_TRIES) {
		file->settle_tries++;
		reading_free(r);
		loop_timer_start(file->settle_timer, FILE_SETTLE_MS);
		return;
	}
	parse_file(file, &r->content, &addrs);
	reading_free(r);
	discovery_report_set(discovery, &addrs, file->context->heartbeat_ms);
}

static void read_start(void *arg)
{
	struct file *file = arg;
	struct reading *r = xcalloc(1, sizeof(*r));

	r->owner = file;
	r->path = xstrdup(file->path);
	buf_init(&r->content, FILE_SIZE_MAX + 64 * 1024);
	file->reading = r;
	file->work = loop_work_start(file->context->loop, read_file, read_done, r);
}

static void file_changed(void *arg)
{
	struct file *file = arg;

	discovery_look_soon(file->context->discovery, FILE_EVENT_DELAY_MS);
}

static void file_look(void *self)
{
	struct file *file = self;

	if (file->watch_is_stale) {
		file->watch_is_stale = false;
		loop_file_free(TAKE_PTR(file->watch));
	}
	/* The folder may have come since the last look. Without a watch the heartbeat remains. */
	if (file->watch == NULL)
		file->watch =
			loop_file_new(file->context->loop, file->path, file_changed, file, NULL);
	file->settle_tries = 0;
	read_start(file);
}

static void *file_open(const struct discovery_context *context, const char *place, struct err *err)
{
	struct file *file;

	if (str_is_empty(place)) {
		err_set(err, ERR_INVALID, "the path is missing: file:///path");
		return NULL;
	}
	file = xcalloc(1, sizeof(*file));
	file->magic = FILE_MAGIC;
	file->context = context;
	file->path = xstrdup(place);
	file->settle_timer = loop_timer_new(context->loop, read_start, file);
	return file;
}

static void file_close(void *self)
{
	struct file *file = self;

	if (file->reading != NULL) {
		file->reading->owner = NULL;
		loop_work_cancel(file->work);
	}
	loop_file_free(file->watch);
	loop_timer_free(file->settle_timer);
	free(file->bad_told);
	free(file->path);
	file->magic = 0;
	free(file);
}

const struct discovery_ops discovery_file_ops = {
	.name = "file",
	.scheme = "file",
	.takes_sockets = true,
	.open = file_open,
	.look = file_look,
	.close = file_close,
};
