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
/* Addresses that ranges on bad lines may give before the rest is not looked at: a line of a few
 * bytes can give thousands. */
#define BAD_EXPANDED_MAX (4 * ADDR_EXPAND_MAX)

struct file;

/* One reading, done on a helper thread. It is freed when the thread has ended, which may be after
 * its owner is gone. */
struct reading {
	struct file *owner; /* NULL = nobody waits any more */
	char *path;
	struct buf content;
	int64_t age_ms; /* since the last write, as the file's own time says */
	struct str_list addrs;
	size_t expanded; /* addresses that ranges on bad lines gave */
	size_t bad_count;
	char *bad; /* the first bad lines, for the log; NULL = none */
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

static void read_file(struct reading *r)
{
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
static int parse_line(struct reading *r, char *line, struct err *err)
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
	if (r->addrs.len >= ADDR_EXPAND_MAX || r->expanded >= BAD_EXPANDED_MAX)
		return err_set(
			err, ERR_TOO_LARGE, "more than %d nodes are listed", ADDR_EXPAND_MAX);
	if (addr_expand(parts.items[0], &found, err) != 0)
		return -1;
	r->expanded += found.len - 1;
	if (r->addrs.len + found.len > ADDR_EXPAND_MAX)
		return err_set(
			err, ERR_TOO_LARGE, "more than %d nodes are listed", ADDR_EXPAND_MAX);
	for (size_t i = 0; i < found.len; i++)
		if (discovery_check_addr(found.items[i], true, err) != 0)
			return -1;
	r->expanded -= found.len - 1;
	for (size_t i = 0; i < found.len; i++)
		str_list_add_take(&r->addrs, TAKE_PTR(found.items[i]));
	found.len = 0;
	return 0;
}

/* The good lines count, whatever stands in the others. */
static void parse_file(struct reading *r)
{
	CLEANUP_FREE char *text = NULL;
	CLEANUP_BUF struct buf bad;
	size_t number = 0, len = r->content.len;
	char *line, *end;

	text = buf_take(&r->content);
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
		else if (parse_line(r, line, &err) == 0)
			continue;
		if (r->bad_count++ < BAD_NAMED_MAX)
			buf_printf(&bad, "%sline %zu: %.300s", r->bad_count > 1 ? "; " : "", number,
				err.msg);
	}
	if (r->bad_count > 0)
		r->bad = buf_take(&bad);
	if (r->bad_count > 0 && r->addrs.len == 0)
		err_set(&r->err, ERR_INVALID, "%s: no line lists a node, the first says: %.300s",
			r->path, r->bad);
}

/* On the helper thread, the parsing too: the file may hold millions of lines. */
static void read_and_parse(void *arg)
{
	struct reading *r = arg;

	read_file(r);
	if (r->err.code == ERR_NONE)
		parse_file(r);
}

/* Names the bad lines, once for each different lot of them. */
static void log_bad(struct file *file, struct reading *r)
{
	if (r->bad != NULL && !str_eq(r->bad, file->bad_told))
		log_warn("file discovery: bad lines are skipped file=%s count=%zu first=%s",
			file->path, r->bad_count, r->bad);
	free(file->bad_told);
	file->bad_told = TAKE_PTR(r->bad);
}

static void reading_free(struct reading *r)
{
	buf_reset(&r->content);
	str_list_free(&r->addrs);
	free(r->bad);
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
	log_bad(file, r);
	addrs = r->addrs;
	r->addrs = (struct str_list){0};
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
	file->work = loop_work_start(file->context->loop, read_and_parse, read_done, r);
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
