/* Order of calls, timers, signals, helper threads. */
#include "lib/loop.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

struct fixture {
	struct loop *loop;
	char trace[256]; /* a letter for each call */
	struct loop_timer *timer;
	struct loop_timer *other;
	struct loop_watch *watch;
	struct loop_prepare *hook;
	struct loop_prepare *other_hook;
	unsigned count;
	uint64_t started;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	*state = f;
	alarm(60); /* a loop that waits for ever ends the test */
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_free(f->loop);
	free(f);
	alarm(0);
	return 0;
}

static void trace(struct fixture *f, const char *what)
{
	assert_true(strlcat(f->trace, what, sizeof(f->trace)) < sizeof(f->trace));
}

static uint64_t real_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void trace_d(void *arg)
{
	trace(arg, "d");
}

static void trace_d_and_defer(void *arg)
{
	struct fixture *f = arg;

	trace(f, "D");
	loop_defer(f->loop, trace_d, f);
}

static void empty_loop_returns(void **state)
{
	struct fixture *f = *state;

	loop_run(f->loop);
	loop_defer(f->loop, trace_d_and_defer, f);
	loop_run(f->loop);
	assert_string_equal(f->trace, "Dd");
	loop_run(f->loop);
	assert_string_equal(f->trace, "Dd");
}

static void on_timer_defer(void *arg)
{
	struct fixture *f = arg;

	trace(f, "t");
	loop_defer(f->loop, trace_d, f);
	trace(f, "u");
}

static void deferred_calls_come_after_the_callback(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, on_timer_defer, f);
	loop_timer_start(f->timer, 1);
	loop_run(f->loop);
	assert_string_equal(f->trace, "tud");
	loop_timer_free(f->timer);
}

static void many(void *arg)
{
	struct fixture *f = arg;

	if (++f->count < 100000)
		loop_defer(f->loop, many, f);
}

static void deferred_calls_may_be_many(void **state)
{
	struct fixture *f = *state;

	/* Each keeps one more of itself going, so the queue grows while it is walked. */
	for (int i = 0; i < 5000; i++)
		loop_defer(f->loop, many, f);
	loop_run(f->loop);
	assert_int_equal(f->count, 100000 + 5000 - 1);
}

static void on_hook(void *arg)
{
	struct fixture *f = arg;

	trace(f, "h");
	/* The first time, it leaves work behind: the loop must come back before it waits. */
	if (!f->count++)
		loop_defer(f->loop, trace_d, f);
}

static void on_timer_end(void *arg)
{
	struct fixture *f = arg;

	trace(f, "t");
	loop_prepare_free(f->hook);
	f->hook = NULL;
}

static void hooks_run_after_deferred_calls_and_before_waiting(void **state)
{
	struct fixture *f = *state;

	f->hook = loop_prepare_new(f->loop, on_hook, f);
	f->timer = loop_timer_new(f->loop, on_timer_end, f);
	loop_timer_start(f->timer, 5);
	loop_defer(f->loop, trace_d, f);
	loop_run(f->loop);
	/* d, hook, what the hook deferred, hook again, and only then the wait for the timer. */
	assert_memory_equal(f->trace, "dhdh", 4);
	assert_true(str_has_suffix(f->trace, "ht"));
	loop_timer_free(f->timer);
}

static void on_hook_free_both(void *arg)
{
	struct fixture *f = arg;

	f->count++;
	loop_prepare_free(f->hook);
	loop_prepare_free(f->other_hook);
}

static void hooks_may_free_each_other(void **state)
{
	struct fixture *f = *state;

	f->hook = loop_prepare_new(f->loop, on_hook_free_both, f);
	f->other_hook = loop_prepare_new(f->loop, on_hook_free_both, f);
	f->timer = loop_timer_new(f->loop, trace_d, f);
	loop_timer_start(f->timer, 1);
	loop_run(f->loop);
	assert_int_equal(f->count, 1);
	assert_string_equal(f->trace, "d");
	loop_timer_free(f->timer);
	loop_prepare_free(NULL);
}

static void on_timer_stop(void *arg)
{
	struct fixture *f = arg;

	loop_defer(f->loop, trace_d, f);
	loop_stop(f->loop);
}

static void stop_ends_the_run_but_not_the_objects(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, on_timer_stop, f);
	f->other = loop_timer_new(f->loop, trace_d, f);
	loop_timer_start(f->timer, 0);
	loop_timer_start(f->other, 3600000);
	loop_run(f->loop);
	assert_string_equal(f->trace, "d");
	assert_true(loop_timer_is_active(f->other));
	assert_false(loop_timer_is_active(f->timer));
	loop_timer_stop(f->other);
	assert_false(loop_timer_is_active(f->other));
	loop_run(f->loop);
	assert_string_equal(f->trace, "d");
	loop_timer_free(f->timer);
	loop_timer_free(f->other);
	loop_timer_free(NULL);
}

static void on_timer_free_other(void *arg)
{
	struct fixture *f = arg;

	trace(f, "t");
	loop_timer_free(f->timer);
	loop_timer_free(f->other);
}

static void timers_may_free_themselves_and_others(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, on_timer_free_other, f);
	f->other = loop_timer_new(f->loop, on_timer_free_other, f);
	loop_timer_start(f->timer, 1);
	loop_timer_start(f->other, 1); /* due in the same turn */
	loop_run(f->loop);
	assert_string_equal(f->trace, "t");
}

static void on_restart(void *arg)
{
	struct fixture *f = arg;

	f->count++;
	loop_timer_start(f->timer, 0);
}

static void on_readable_end(unsigned events, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(events, LOOP_READ);
	loop_stop(f->loop);
}

static void a_timer_without_delay_starves_nobody(void **state)
{
	struct fixture *f = *state;
	struct loop_watch *watch;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	watch = loop_watch_new(f->loop, fds[0], on_readable_end, f);
	loop_watch_set(watch, LOOP_READ);
	f->timer = loop_timer_new(f->loop, on_restart, f);
	loop_timer_start(f->timer, 0);
	loop_run(f->loop);
	assert_int_equal(f->count, 1); /* before the descriptors were looked at */
	loop_timer_free(f->timer);
	loop_watch_free(watch);
	close(fds[0]);
	close(fds[1]);
}

static void on_late(void *arg)
{
	struct fixture *f = arg;

	trace(f, "l");
}

static void on_long_callback(void *arg)
{
	struct fixture *f = arg;
	uint64_t before = loop_now_ms(f->loop);
	uint64_t start = real_ms();

	while (real_ms() < start + 60)
		;
	assert_true(loop_now_ms(f->loop) == before); /* stands still during a turn */
	f->started = real_ms();
	loop_timer_start(f->other, 40);
}

static void on_long_event(unsigned events, void *arg)
{
	struct fixture *f = arg;

	(void)events;
	loop_watch_free(TAKE_PTR(f->watch));
	on_long_callback(f);
}

static void a_long_callback_shortens_no_timer(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	/* libuv's clock moves on between descriptors and timers, so both are tried. */
	f->timer = loop_timer_new(f->loop, on_long_callback, f);
	f->other = loop_timer_new(f->loop, on_late, f);
	loop_timer_start(f->timer, 0);
	loop_run(f->loop);
	assert_string_equal(f->trace, "l");
	/* One millisecond less: the two clocks round differently. */
	assert_true(real_ms() - f->started >= 39);

	assert_int_equal(pipe(fds), 0);
	f->watch = loop_watch_new(f->loop, fds[1], on_long_event, f);
	loop_watch_set(f->watch, LOOP_WRITE);
	loop_run(f->loop);
	assert_string_equal(f->trace, "ll");
	assert_true(real_ms() - f->started >= 39);
	close(fds[0]);
	close(fds[1]);
	loop_timer_free(f->timer);
	loop_timer_free(f->other);
}

static void starting_again_moves_a_timer(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, on_late, f);
	f->other = loop_timer_new(f->loop, trace_d, f);
	loop_timer_start(f->timer, 1);
	loop_timer_start(f->other, 10);
	loop_timer_start(f->timer, 30);
	loop_run(f->loop);
	assert_string_equal(f->trace, "dl");
	loop_timer_start(f->timer, UINT64_MAX);
	assert_true(loop_timer_is_active(f->timer));
	loop_timer_free(f->timer);
	loop_timer_free(f->other);
}

static void on_usr1(int signum, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(signum, SIGUSR1);
	trace(f, "s");
	loop_stop(f->loop);
}

static void signals_arrive(void **state)
{
	struct fixture *f = *state;
	struct loop_signal *signal = loop_signal_new(f->loop, SIGUSR1, on_usr1, f);

	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	loop_run(f->loop);
	assert_string_equal(f->trace, "s");
	loop_signal_free(signal);
	loop_signal_free(NULL);
}

static void never(void *arg)
{
	(void)arg;
	fail_msg("called although freed");
}

static void never_signal(int signum, void *arg)
{
	(void)signum;
	never(arg);
}

static void a_freed_signal_does_not_call_back(void **state)
{
	struct fixture *f = *state;
	struct loop_signal *keep = loop_signal_new(f->loop, SIGUSR1, on_usr1, f);
	struct loop_signal *signal = loop_signal_new(f->loop, SIGUSR1, never_signal, f);

	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	loop_signal_free(signal);
	loop_run(f->loop);
	assert_string_equal(f->trace, "s");
	loop_signal_free(keep);
}

static atomic_int gate; /* blocked work goes on when not 0 */

static void work_wait(void *arg)
{
	struct timespec pause = {.tv_nsec = 1000000};

	(void)arg;
	while (!atomic_load(&gate))
		nanosleep(&pause, NULL);
}

static void work_mark(void *arg)
{
	struct fixture *f = arg;

	f->count++;
}

static void work_done(void *arg, bool canceled)
{
	trace(arg, canceled ? "c" : "w");
}

static void work_runs_elsewhere_and_ends_here(void **state)
{
	struct fixture *f = *state;

	loop_work_start(f->loop, work_mark, work_done, f);
	assert_string_equal(f->trace, "");
	loop_run(f->loop);
	assert_string_equal(f->trace, "w");
	assert_int_equal(f->count, 1);
}

static void open_gate(void *arg)
{
	(void)arg;
	atomic_store(&gate, 1);
}

static void canceled_work_is_reported_too(void **state)
{
	struct fixture *f = *state;
	struct loop_work *running[16];
	struct loop_work *queued;

	/* More than there are threads, so that the last one waits its turn. */
	atomic_store(&gate, 0);
	for (size_t i = 0; i < ARRAY_LEN(running); i++)
		running[i] = loop_work_start(f->loop, work_wait, work_done, f);
	queued = loop_work_start(f->loop, work_mark, work_done, f);
	loop_work_cancel(queued);
	for (size_t i = 0; i < ARRAY_LEN(running); i++)
		loop_work_cancel(running[i]);
	loop_work_cancel(NULL);
	assert_string_equal(f->trace, ""); /* never from inside cancel */
	f->timer = loop_timer_new(f->loop, open_gate, NULL);
	loop_timer_start(f->timer, 5);
	loop_run(f->loop);
	loop_timer_free(f->timer);
	assert_string_equal(f->trace, "ccccccccccccccccc");
	assert_int_equal(f->count, 0); /* it had not begun */
}

static void free_waits_for_canceled_work(void **state)
{
	struct fixture *f = *state;
	struct loop_work *work;

	atomic_store(&gate, 0);
	work = loop_work_start(f->loop, work_wait, work_done, f);
	loop_work_cancel(work);
	atomic_store(&gate, 1);
	loop_free(f->loop);
	assert_string_equal(f->trace, "c");
	f->loop = loop_new();
}

static void on_resolved(
	void *arg, const struct loop_address *addresses, size_t count, const struct err *err)
{
	struct fixture *f = arg;

	if (err) {
		assert_int_equal(count, 0);
		assert_int_equal(err->code, ERR_UNAVAILABLE);
		trace(f, "e");
		return;
	}
	assert_true(count > 0);
	for (size_t i = 0; i < count; i++) {
		const struct sockaddr_in *v4 = (const void *)&addresses[i].addr;
		const struct sockaddr_in6 *v6 = (const void *)&addresses[i].addr;

		if (v4->sin_family == AF_INET) {
			assert_int_equal(addresses[i].len, sizeof(*v4));
			assert_int_equal(ntohs(v4->sin_port), 2375);
			assert_int_equal(ntohl(v4->sin_addr.s_addr) >> 24, 127);
			trace(f, "4");
		} else {
			assert_int_equal(v6->sin6_family, AF_INET6);
			assert_int_equal(ntohs(v6->sin6_port), 2375);
			assert_true(IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr));
			trace(f, "6");
		}
	}
}

static void numeric_hosts_are_answered_later(void **state)
{
	struct fixture *f = *state;

	loop_resolve_start(f->loop, "127.0.0.1", 2375, on_resolved, f);
	loop_resolve_start(f->loop, "::1", 2375, on_resolved, f);
	loop_resolve_start(f->loop, "", 2375, on_resolved, f);
	assert_string_equal(f->trace, "");
	loop_run(f->loop);
	assert_string_equal(f->trace, "46e");
}

static void names_are_looked_up(void **state)
{
	struct fixture *f = *state;
	char longest[400];

	loop_resolve_start(f->loop, "localhost", 2375, on_resolved, f);
	loop_run(f->loop);
	assert_true(strlen(f->trace) >= 1 && !strchr(f->trace, 'e'));
	f->trace[0] = '\0';
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	loop_resolve_start(f->loop, longest, 2375, on_resolved, f);
	loop_resolve_start(f->loop, "no such host", 2375, on_resolved, f);
	loop_run(f->loop);
	assert_string_equal(f->trace, "ee");
}

static void canceled_lookups_do_not_call_back(void **state)
{
	struct fixture *f = *state;

	loop_resolve_cancel(loop_resolve_start(f->loop, "127.0.0.1", 2375, on_resolved, f));
	loop_resolve_cancel(loop_resolve_start(f->loop, "localhost", 2375, on_resolved, f));
	loop_resolve_cancel(NULL);
	loop_run(f->loop);
	assert_string_equal(f->trace, "");
	/* Also when the loop is freed with the look-up under way. */
	loop_resolve_cancel(loop_resolve_start(f->loop, "localhost", 2375, on_resolved, f));
	loop_free(f->loop);
	f->loop = loop_new();
	assert_string_equal(f->trace, "");
}

static void free_after_a_stop_that_no_run_saw(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, never, NULL);
	loop_timer_free(f->timer);
	loop_defer(f->loop, trace_d, f);
	loop_stop(f->loop);
	loop_free(f->loop);
	assert_string_equal(f->trace, "d");
	f->loop = loop_new();
}

static void on_defer_for_ever(void *arg)
{
	struct fixture *f = arg;

	if (f->watch)
		loop_defer(f->loop, on_defer_for_ever, f);
}

static void on_event_end(unsigned events, void *arg)
{
	struct fixture *f = arg;

	(void)events;
	trace(f, "r");
	loop_watch_free(TAKE_PTR(f->watch));
}

static void deferring_for_ever_starves_nobody(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	f->watch = loop_watch_new(f->loop, fds[1], on_event_end, f);
	loop_watch_set(f->watch, LOOP_WRITE);
	loop_defer(f->loop, on_defer_for_ever, f);
	loop_run(f->loop);
	assert_string_equal(f->trace, "r");
	close(fds[0]);
	close(fds[1]);
}

struct turns {
	struct fixture *f;
	struct loop_turn *turns[100];
	unsigned order[100], called, seen_at;
};

struct one_turn {
	struct turns *all;
	unsigned number;
};

static void on_turn(void *arg)
{
	struct one_turn *one = arg;
	struct turns *all = one->all;

	all->order[all->called++] = one->number;
	/* The last one is freed while it waits, and the second asks again. */
	if (one->number == 0)
		loop_turn_free(TAKE_PTR(all->turns[99]));
	if (all->called == 2)
		loop_turn_ask(all->turns[1]);
	if (all->called == 100)
		loop_stop(all->f->loop);
}

static void on_event_between_turns(unsigned events, void *arg)
{
	struct turns *all = arg;

	(void)events;
	all->seen_at = all->called;
	loop_watch_free(TAKE_PTR(all->f->watch));
}

static void turns_are_taken_in_order_and_starve_nobody(void **state)
{
	struct fixture *f = *state;
	struct turns all = {.f = f};
	struct one_turn ones[100];
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	f->watch = loop_watch_new(f->loop, fds[1], on_event_between_turns, &all);
	loop_watch_set(f->watch, LOOP_WRITE);
	for (unsigned i = 0; i < 100; i++) {
		ones[i] = (struct one_turn){&all, i};
		all.turns[i] = loop_turn_new(f->loop, on_turn, &ones[i]);
		loop_turn_ask(all.turns[i]);
		loop_turn_ask(all.turns[i]);
	}
	loop_run(f->loop);
	for (unsigned i = 0; i < 99; i++) {
		assert_int_equal(all.order[i], i);
		loop_turn_free(all.turns[i]);
	}
	assert_int_equal(all.order[99], 1);
	assert_null(f->watch);
	assert_in_range(all.seen_at, 0, 5);
	close(fds[0]);
	close(fds[1]);
}

/* A loop that is freed too early must say so, not corrupt memory. */
static void free_refuses_while_objects_live(void **state)
{
	pid_t child;
	int status;

	(void)state;
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct loop *loop = loop_new();
		int null = open("/dev/null", O_WRONLY);

		signal(SIGABRT, SIG_DFL);
		dup2(null, STDERR_FILENO);
		dup2(null, STDOUT_FILENO);
		loop_timer_new(loop, never, NULL);
		loop_free(loop);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOOP_TEST(empty_loop_returns),
		LOOP_TEST(deferred_calls_come_after_the_callback),
		LOOP_TEST(deferred_calls_may_be_many),
		LOOP_TEST(hooks_run_after_deferred_calls_and_before_waiting),
		LOOP_TEST(hooks_may_free_each_other),
		LOOP_TEST(stop_ends_the_run_but_not_the_objects),
		LOOP_TEST(timers_may_free_themselves_and_others),
		LOOP_TEST(a_timer_without_delay_starves_nobody),
		LOOP_TEST(a_long_callback_shortens_no_timer),
		LOOP_TEST(starting_again_moves_a_timer),
		LOOP_TEST(signals_arrive),
		LOOP_TEST(a_freed_signal_does_not_call_back),
		LOOP_TEST(work_runs_elsewhere_and_ends_here),
		LOOP_TEST(canceled_work_is_reported_too),
		LOOP_TEST(free_waits_for_canceled_work),
		LOOP_TEST(numeric_hosts_are_answered_later),
		LOOP_TEST(names_are_looked_up),
		LOOP_TEST(canceled_lookups_do_not_call_back),
		LOOP_TEST(free_after_a_stop_that_no_run_saw),
		LOOP_TEST(deferring_for_ever_starves_nobody),
		LOOP_TEST(turns_are_taken_in_order_and_starve_nobody),
		LOOP_TEST(free_refuses_while_objects_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
