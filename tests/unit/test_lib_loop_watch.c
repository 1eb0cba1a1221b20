/* Watching descriptors: masks, errors, and what happens when things are freed in mid-turn. */
#include "lib/loop.h"
#include "tests/unit/cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* libuv's calls come by here, to be counted. */
static unsigned epoll_ctl_calls;

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	epoll_ctl_calls++;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

struct end {
	struct fixture *f;
	struct loop_watch *watch;
	int fd;
	int peer;
	unsigned calls;
	unsigned events; /* of the last call */
};

struct fixture {
	struct loop *loop;
	struct loop_timer *timer;
	struct end a;
	struct end b;
	struct end c;
};

static void make_pair(struct fixture *f, struct end *end)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	end->f = f;
	end->fd = fds[0];
	end->peer = fds[1];
}

static void drop_pair(struct end *end)
{
	loop_watch_free(end->watch);
	if (end->fd >= 0)
		close(end->fd);
	if (end->peer >= 0)
		close(end->peer);
	memset(end, 0, sizeof(*end));
	end->fd = -1;
	end->peer = -1;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	make_pair(f, &f->a);
	make_pair(f, &f->b);
	f->c.f = f;
	f->c.fd = -1;
	f->c.peer = -1;
	*state = f;
	alarm(60);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	drop_pair(&f->a);
	drop_pair(&f->b);
	drop_pair(&f->c);
	loop_timer_free(f->timer);
	loop_free(f->loop);
	free(f);
	alarm(0);
	return 0;
}

static void poke(const struct end *end)
{
	assert_int_equal(send(end->peer, "x", 1, MSG_NOSIGNAL), 1);
}

static void on_pass(void *arg)
{
	loop_stop(((struct fixture *)arg)->loop);
}

/* Lets everything happen that is due: several turns, each of which looks at the descriptors. */
static void run_a_while(struct fixture *f)
{
	if (!f->timer)
		f->timer = loop_timer_new(f->loop, on_pass, f);
	for (int i = 0; i < 3; i++) {
		loop_timer_start(f->timer, 2);
		loop_run(f->loop);
	}
}

static void on_count(unsigned events, void *arg)
{
	struct end *end = arg;

	end->calls++;
	end->events = events;
}

static void on_count_and_read(unsigned events, void *arg)
{
	struct end *end = arg;
	char text[16];

	on_count(events, arg);
	while (read(end->fd, text, sizeof(text)) > 0)
		;
}

static void on_count_and_stop(unsigned events, void *arg)
{
	struct end *end = arg;

	on_count(events, arg);
	loop_watch_set(end->watch, 0);
}

static void watch(struct end *end, void (*fn)(unsigned, void *), unsigned events)
{
	end->watch = loop_watch_new(end->f->loop, end->fd, fn, end);
	loop_watch_set(end->watch, events);
}

static void nothing_wanted_nothing_called(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_count, 0);
	poke(&f->a);
	loop_run(f->loop); /* nothing can call back: returns */
	run_a_while(f);
	assert_int_equal(f->a.calls, 0);
	assert_int_equal(loop_watch_get(f->a.watch), 0);
	loop_watch_set(f->a.watch, LOOP_WRITE);
	assert_int_equal(loop_watch_get(f->a.watch), LOOP_WRITE);
	run_a_while(f);
	assert_true(f->a.calls > 0);
	assert_int_equal(f->a.events, LOOP_WRITE);
}

static void readiness_is_level_triggered(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_count, LOOP_READ);
	poke(&f->a);
	run_a_while(f);
	assert_true(f->a.calls > 1);
	assert_int_equal(f->a.events, LOOP_READ);
}

static void hangup_is_told_apart(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_count_and_stop, LOOP_HANGUP);
	watch(&f->b, on_count_and_stop, LOOP_READ | LOOP_HANGUP);
	poke(&f->a);
	poke(&f->b);
	run_a_while(f);
	assert_int_equal(f->a.calls, 0);
	assert_int_equal(f->b.events, LOOP_READ);
	shutdown(f->a.peer, SHUT_WR);
	shutdown(f->b.peer, SHUT_WR);
	loop_watch_set(f->b.watch, LOOP_READ | LOOP_HANGUP);
	run_a_while(f);
	assert_int_equal(f->a.calls, 1);
	assert_int_equal(f->a.events, LOOP_HANGUP);
	assert_int_equal(f->b.events, LOOP_READ | LOOP_HANGUP); /* the byte is still there */
}

static void a_closed_peer_is_a_hangup(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_count_and_stop, LOOP_HANGUP);
	close(f->a.peer);
	f->a.peer = -1;
	run_a_while(f);
	assert_int_equal(f->a.calls, 1);
	assert_true(f->a.events & LOOP_HANGUP);
}

/* A refused connection: the error is reported whatever the mask, and again until it is fetched. */
static void an_error_is_readable_and_writable(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* A port where nobody listens: bound, but no more than that. */
	assert_int_equal(bind(listener, (struct sockaddr *)&to, len), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	f->c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(f->c.fd, (struct sockaddr *)&to, len), -1);
	watch(&f->c, on_count, LOOP_WRITE);
	run_a_while(f);
	assert_true(f->c.calls > 1);
	assert_int_equal(f->c.events, LOOP_READ | LOOP_WRITE);
	loop_watch_set(f->c.watch, 0);
	f->c.calls = 0;
	run_a_while(f);
	assert_int_equal(f->c.calls, 0);
	close(listener);
}

static void unchanged_masks_cost_nothing(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_count_and_read, LOOP_READ);
	run_a_while(f);
	assert_true(epoll_ctl_calls > 0); /* they do come by here */
	epoll_ctl_calls = 0;
	for (int i = 0; i < 1000; i++)
		loop_watch_set(f->a.watch, LOOP_READ);
	run_a_while(f);
	/* Switched off and on within a turn is no change either. */
	for (int i = 0; i < 1000; i++) {
		loop_watch_set(f->a.watch, 0);
		loop_watch_set(f->a.watch, LOOP_READ | LOOP_WRITE);
		loop_watch_set(f->a.watch, LOOP_READ);
	}
	run_a_while(f);
	assert_int_equal(epoll_ctl_calls, 0);
	poke(&f->a);
	run_a_while(f);
	assert_int_equal(f->a.calls, 1);
	assert_int_equal(epoll_ctl_calls, 0);
}

static void many_changes_in_a_turn(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_count_and_stop, LOOP_READ);
	watch(&f->b, on_count_and_stop, LOOP_READ);
	loop_watch_set(f->a.watch, LOOP_READ | LOOP_WRITE);
	loop_watch_set(f->b.watch, 0);
	loop_watch_set(f->b.watch, LOOP_HANGUP);
	loop_watch_set(f->b.watch, LOOP_WRITE | LOOP_HANGUP);
	loop_watch_set(f->a.watch, LOOP_WRITE);
	run_a_while(f);
	assert_int_equal(f->a.calls, 1);
	assert_int_equal(f->a.events, LOOP_WRITE);
	assert_int_equal(f->b.calls, 1);
	assert_int_equal(f->b.events, LOOP_WRITE);
}

static void on_stop_both(unsigned events, void *arg)
{
	struct end *end = arg;

	on_count(events, arg);
	loop_watch_set(end->f->a.watch, 0);
	loop_watch_set(end->f->b.watch, 0);
}

static void a_narrowed_mask_holds_in_the_same_turn(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_stop_both, LOOP_READ);
	watch(&f->b, on_stop_both, LOOP_READ);
	poke(&f->a);
	poke(&f->b);
	run_a_while(f);
	assert_int_equal(f->a.calls + f->b.calls, 1);
}

static void on_free_both(unsigned events, void *arg)
{
	struct end *end = arg;
	struct fixture *f = end->f;

	on_count(events, arg);
	loop_watch_free(TAKE_PTR(f->a.watch));
	loop_watch_free(TAKE_PTR(f->b.watch));
}

static void freed_watches_do_not_call_back(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_free_both, LOOP_READ);
	watch(&f->b, on_free_both, LOOP_READ);
	poke(&f->a);
	poke(&f->b);
	loop_run(f->loop);
	assert_int_equal(f->a.calls + f->b.calls, 1);
}

/* Frees both watches, closes the other's descriptor, and watches a new one of the same number. */
static void on_reuse(unsigned events, void *arg)
{
	struct end *end = arg;
	struct fixture *f = end->f;
	struct end *victim = end == &f->a ? &f->b : &f->a;
	int number = victim->fd;
	int fds[2];

	on_count(events, arg);
	loop_watch_free(TAKE_PTR(f->a.watch));
	loop_watch_free(TAKE_PTR(f->b.watch));
	close(number);
	victim->fd = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	if (fds[0] != number) {
		assert_int_equal(dup2(fds[0], number), number);
		close(fds[0]);
	}
	f->c.fd = number;
	f->c.peer = fds[1];
	watch(&f->c, on_count_and_read, LOOP_READ);
}

static void a_number_may_be_used_again_at_once(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++) {
		watch(&f->a, on_reuse, LOOP_READ);
		watch(&f->b, on_reuse, LOOP_READ);
		poke(&f->a);
		poke(&f->b);
		run_a_while(f);
		assert_int_equal(f->a.calls + f->b.calls, 1);
		assert_int_equal(f->c.calls, 0); /* the event was the old descriptor's */
		poke(&f->c);
		run_a_while(f);
		assert_int_equal(f->c.calls, 1);
		drop_pair(&f->a);
		drop_pair(&f->b);
		drop_pair(&f->c);
		make_pair(f, &f->a);
		make_pair(f, &f->b);
		f->c.f = f;
	}
}

static void on_reuse_own(unsigned events, void *arg)
{
	struct end *end = arg;
	struct end *next = &end->f->c;

	on_count(events, arg);
	/* The descriptor stays open: only the watch is replaced, as when a layer hands it on. */
	loop_watch_free(TAKE_PTR(end->watch));
	next->fd = end->fd;
	next->peer = end->peer;
	end->fd = -1;
	end->peer = -1;
	watch(next, on_count_and_read, LOOP_READ);
}

static void a_descriptor_may_be_handed_on(void **state)
{
	struct fixture *f = *state;

	watch(&f->a, on_reuse_own, LOOP_READ);
	poke(&f->a);
	run_a_while(f);
	assert_int_equal(f->a.calls, 1);
	assert_int_equal(f->c.calls, 1);
}

/* A duplicate keeps the open file alive, and with it a forgotten entry in the epoll set. */
static void a_duplicate_does_not_haunt_the_loop(void **state)
{
	struct fixture *f = *state;
	int copy = dup(f->a.fd);

	watch(&f->a, on_count, LOOP_READ);
	run_a_while(f);
	loop_watch_free(TAKE_PTR(f->a.watch));
	close(f->a.fd);
	f->a.fd = -1;
	poke(&f->a);
	run_a_while(f);
	assert_int_equal(f->a.calls, 0);
	close(copy);
}

static void freeing_before_the_first_wait_is_fine(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 100; i++) {
		watch(&f->a, on_count, LOOP_READ | LOOP_WRITE);
		loop_watch_free(TAKE_PTR(f->a.watch));
	}
	loop_run(f->loop);
	assert_int_equal(f->a.calls, 0);
	loop_watch_free(NULL);
}

static void every_kind_of_descriptor(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	/* A library that has an epoll descriptor of its own is watched like this. */
	f->c.fd = epoll_create1(EPOLL_CLOEXEC);
	assert_int_equal(syscall(SYS_epoll_ctl, f->c.fd, EPOLL_CTL_ADD, f->a.fd,
				 &(struct epoll_event){.events = EPOLLIN}),
		0);
	watch(&f->c, on_count_and_stop, LOOP_READ);
	poke(&f->a);
	run_a_while(f);
	assert_int_equal(f->c.calls, 1);
	drop_pair(&f->c);

	f->c.f = f;
	f->c.fd = eventfd(1, EFD_CLOEXEC);
	watch(&f->c, on_count_and_read, LOOP_READ);
	run_a_while(f);
	assert_int_equal(f->c.calls, 1);
	/* Watched descriptors do not block: reading the counter twice came back above. */
	assert_true(fcntl(f->c.fd, F_GETFL) & O_NONBLOCK);
	drop_pair(&f->c);

	assert_int_equal(pipe(fds), 0);
	f->c.f = f;
	f->c.fd = fds[0];
	f->c.peer = fds[1];
	watch(&f->c, on_count_and_stop, LOOP_READ | LOOP_HANGUP);
	close(f->c.peer);
	f->c.peer = -1;
	run_a_while(f);
	assert_int_equal(f->c.calls, 1);
	assert_true(f->c.events & LOOP_HANGUP);
}

int main(void)
{
#define WATCH_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WATCH_TEST(nothing_wanted_nothing_called),
		WATCH_TEST(readiness_is_level_triggered),
		WATCH_TEST(hangup_is_told_apart),
		WATCH_TEST(a_closed_peer_is_a_hangup),
		WATCH_TEST(an_error_is_readable_and_writable),
		WATCH_TEST(unchanged_masks_cost_nothing),
		WATCH_TEST(many_changes_in_a_turn),
		WATCH_TEST(a_narrowed_mask_holds_in_the_same_turn),
		WATCH_TEST(freed_watches_do_not_call_back),
		WATCH_TEST(a_number_may_be_used_again_at_once),
		WATCH_TEST(a_descriptor_may_be_handed_on),
		WATCH_TEST(a_duplicate_does_not_haunt_the_loop),
		WATCH_TEST(freeing_before_the_first_wait_is_fine),
		WATCH_TEST(every_kind_of_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
