/* What the tests of http/ share: a loop that runs until something is so, and raw sockets that say
 * and hear exact bytes. */
#ifndef TESTS_UNIT_HTTP_FIXTURE_H
#define TESTS_UNIT_HTTP_FIXTURE_H

#include "lib/buf.h"
#include "lib/loop.h"
#include "tests/unit/cmocka_all.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Long enough for a loaded machine under sanitizers; no test waits for it to pass. */
#define FIXTURE_DEADLINE_MS 60000

/* A raw socket of the test, looked at by fixture_run in every tick. */
struct raw {
	int fd; /* -1 = closed */
	struct buf in;
	struct buf out;
	bool is_deaf; /* reads nothing */
	bool is_ended, is_reset;
	bool ends_after_out; /* shuts its writing side once out is written */
};
#define RAW_MAX 8
struct fixture {
	struct loop *loop;
	struct raw *raws[RAW_MAX];
};

static inline void raw_init(struct fixture *f, struct raw *raw, int fd)
{
	memset(raw, 0, sizeof(*raw));
	raw->fd = fd;
	buf_init(&raw->in, 256 * 1024 * 1024);
	buf_init(&raw->out, 256 * 1024 * 1024);
	for (size_t i = 0; i < RAW_MAX; i++) {
		if (f->raws[i] == NULL || f->raws[i] == raw) {
			f->raws[i] = raw;
			return;
		}
	}
	fail_msg("too many raw sockets");
}

static inline void raw_close(struct fixture *f, struct raw *raw)
{
	for (size_t i = 0; i < RAW_MAX; i++) {
		if (f->raws[i] == raw)
			f->raws[i] = NULL;
	}
	if (raw->fd != -1)
		close(raw->fd);
	raw->fd = -1;
	buf_reset(&raw->in);
	buf_reset(&raw->out);
}

/* Closes with a reset. */
static inline void raw_abort(struct fixture *f, struct raw *raw)
{
	struct linger now = {.l_onoff = 1};

	setsockopt(raw->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	raw_close(f, raw);
}

static inline void raw_connect(struct fixture *f, struct raw *raw, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	raw_init(f, raw, fd);
}

static inline void raw_send(struct raw *raw, const char *text)
{
	assert_int_equal(buf_append_str(&raw->out, text), 0);
}

static inline void raw_turn(struct raw *raw)
{
	char data[65536];
	ssize_t n;

	if (raw->fd == -1)
		return;
	while (raw->out.len > 0) {
		n = send(raw->fd, raw->out.data, raw->out.len < 65536 ? raw->out.len : 65536,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n <= 0) {
			if (n == -1 && errno != EAGAIN)
				buf_reset(&raw->out);
			break;
		}
		buf_consume(&raw->out, (size_t)n);
	}
	if (raw->out.len == 0 && raw->ends_after_out) {
		raw->ends_after_out = false;
		shutdown(raw->fd, SHUT_WR);
	}
	for (int i = 0; i < 16 && !raw->is_deaf && !raw->is_ended && !raw->is_reset; i++) {
		n = recv(raw->fd, data, sizeof(data), MSG_DONTWAIT);
		if (n > 0)
			assert_int_equal(buf_append(&raw->in, data, (size_t)n), 0);
		else if (n == 0)
			raw->is_ended = true;
		else if (errno == EAGAIN)
			break;
		else
			raw->is_reset = true;
	}
}

struct fixture_wait {
	struct fixture *f;
	struct loop_timer *timer;
	bool (*is_so)(void *arg);
	void *arg;
	uint64_t deadline;
	bool was_so;
};

static inline void fixture_tick(void *arg)
{
	struct fixture_wait *wait = arg;

	for (size_t i = 0; i < RAW_MAX; i++) {
		if (wait->f->raws[i] != NULL)
			raw_turn(wait->f->raws[i]);
	}
	wait->was_so = wait->is_so != NULL && wait->is_so(wait->arg);
	if (wait->was_so || loop_now_ms(wait->f->loop) >= wait->deadline)
		loop_stop(wait->f->loop);
	else
		loop_timer_start(wait->timer, 1);
}

/* Runs the loop until is_so(arg), or for ms; true when it became so. */
static inline bool fixture_run(struct fixture *f, uint64_t ms, bool (*is_so)(void *arg), void *arg)
{
	struct fixture_wait wait = {.f = f, .is_so = is_so, .arg = arg};

	wait.timer = loop_timer_new(f->loop, fixture_tick, &wait);
	wait.deadline = loop_now_ms(f->loop) + ms;
	loop_timer_start(wait.timer, 0);
	loop_run(f->loop);
	loop_timer_free(wait.timer);
	return wait.was_so;
}

#define wait_for(f, is_so, arg) \
	do { \
		if (!fixture_run((f), FIXTURE_DEADLINE_MS, (is_so), (arg))) \
			fail_msg("in vain: " #is_so "(" #arg ")"); \
	} while (0)

static inline bool raw_is_over(void *arg)
{
	const struct raw *raw = arg;

	return raw->is_ended || raw->is_reset;
}

static inline bool raw_is_sent(void *arg)
{
	const struct raw *raw = arg;

	return raw->out.len == 0;
}

struct raw_text {
	struct raw *raw;
	const char *text;
	unsigned times;
};

static inline size_t count_text(const struct buf *b, const char *text)
{
	const char *p = b->data;
	size_t n = 0, len = strlen(text);

	while (b->len > 0 && (p = memmem(p, b->len - (size_t)(p - b->data), text, len)) != NULL) {
		p += len;
		n++;
	}
	return n;
}

static inline bool raw_has_text(void *arg)
{
	struct raw_text *t = arg;

	return count_text(&t->raw->in, t->text) >= t->times;
}

/* Waits until the text has come that often. */
static inline void raw_expect_times(
	struct fixture *f, struct raw *raw, const char *text, unsigned times)
{
	struct raw_text t = {.raw = raw, .text = text, .times = times};

	if (!fixture_run(f, FIXTURE_DEADLINE_MS, raw_has_text, &t))
		fail_msg("wanted '%s' %u times, got '%.2000s'", text, times, buf_str(&raw->in));
}

static inline void raw_expect(struct fixture *f, struct raw *raw, const char *text)
{
	raw_expect_times(f, raw, text, 1);
}

static inline bool value_is_set(void *arg)
{
	return *(bool *)arg;
}

/* Some turns of the loop, for what must not happen. */
static inline void fixture_settle(struct fixture *f)
{
	fixture_run(f, 30, NULL, NULL);
}

static inline size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* A listening socket on the loopback, and its port. */
static inline int raw_listen(uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

#endif
