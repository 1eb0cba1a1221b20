/* The gate, with exchanges that the test plays, and the datagrams to the service manager. */
#include "manage/gate.h"
#include "manage/notify.h"

#include "lib/mem.h"
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* ---- Exchanges that are played ---- */

struct exchange {
	int status; /* 0 = not answered by the gate */
	bool was_passed_on;
	void (*end)(struct exchange *x, bool finished, void *arg);
	void *end_arg;
};

void exchange_reply_error(struct exchange *x, int status, const char *fmt, ...)
{
	(void)fmt;
	x->status = status;
}

void exchange_on_end(
	struct exchange *x, void (*end)(struct exchange *x, bool finished, void *arg), void *arg)
{
	assert_null(x->end);
	x->end = end;
	x->end_arg = arg;
}

void handler_next(struct handler *h, struct exchange *x)
{
	(void)h;
	x->was_passed_on = true;
}

static void end(struct exchange *x, bool finished)
{
	x->end(x, finished, x->end_arg);
}

static void count_idle(void *arg)
{
	(*(int *)arg)++;
}

static void it_counts_what_has_not_ended(void **state)
{
	(void)state;
	struct handler *gate = gate_new(NULL);
	struct exchange a = {0}, b = {0};
	assert_int_equal(gate_in_flight(gate), 0);
	gate->ops->handle(gate, &a);
	gate->ops->handle(gate, &b);
	assert_true(a.was_passed_on && b.was_passed_on);
	assert_int_equal(gate_in_flight(gate), 2);
	end(&a, true);
	end(&b, false);
	assert_int_equal(gate_in_flight(gate), 0);
	gate->ops->free(gate);
}

static void once_closed_it_turns_away_and_tells_when_idle(void **state)
{
	(void)state;
	int idle = 0;
	struct handler *gate = gate_new(NULL);
	struct exchange a = {0}, b = {0}, late = {0};
	gate->ops->handle(gate, &a);
	gate->ops->handle(gate, &b);
	gate_close(gate, count_idle, &idle);
	assert_int_equal(idle, 0);
	gate->ops->handle(gate, &late);
	assert_int_equal(late.status, 503);
	assert_false(late.was_passed_on);
	assert_int_equal(gate_in_flight(gate), 2);
	end(&a, true);
	assert_int_equal(idle, 0);
	end(&b, true);
	assert_int_equal(idle, 1);
	assert_int_equal(a.status, 0);
	gate->ops->free(gate);
}

/* ---- Notifications ---- */

/* Binds a datagram socket to a name of that many bytes. */
static int listen_at(const char *name, size_t len)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	memcpy(at.sun_path, name, len);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, size), 0);
	return fd;
}

static void expect(int fd, const char *want)
{
	char got[64] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	assert_int_equal(n, strlen(want));
	assert_string_equal(got, want);
}

static void the_service_manager_is_told(void **state)
{
	(void)state;
	char dir[] = "/tmp/swarm-test-notify.XXXXXX";
	assert_non_null(mkdtemp(dir));
	CLEANUP_FREE char *path = xasprintf("%s/socket", dir);
	int fd = listen_at(path, strlen(path) + 1);
	setenv("NOTIFY_SOCKET", path, 1);
	notify_send("READY=1");
	expect(fd, "READY=1");
	notify_send("STOPPING=1");
	expect(fd, "STOPPING=1");
	unsetenv("NOTIFY_SOCKET");
	notify_send("READY=1");
	char byte;
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void abstract_names_are_understood(void **state)
{
	(void)state;
	char name[64];
	int len = snprintf(name, sizeof(name), "@swarm-test-%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	name[0] = '\0';
	int fd = listen_at(name, (size_t)len);
	notify_send("READY=1");
	expect(fd, "READY=1");
	close(fd);
	/* Nobody there, a name that is none, one that is too long: told in the log, no more. */
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	notify_send("READY=1");
	char path[256];
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	setenv("NOTIFY_SOCKET", path, 1);
	notify_send("READY=1");
	unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_counts_what_has_not_ended),
		cmocka_unit_test(once_closed_it_turns_away_and_tells_when_idle),
		cmocka_unit_test(the_service_manager_is_told),
		cmocka_unit_test(abstract_names_are_understood),
	};
	return cmocka_run_group_tests_name("manage_gate", tests, NULL, NULL);
}
