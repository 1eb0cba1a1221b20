/* The agent over a discovery that the test plays itself. */
#include "join/join.h"

#include "discovery/discovery.h"
#include "lib/log.h"
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* ---- The discovery that is played ---- */

struct discovery {
	int unused;
};
struct client {
	int unused;
};

static struct {
	struct discovery discovery;
	struct client client;
	enum err_code open_fails, publish_fails;
	int opened, published, withdrawn, closed;
	uint64_t ttl_ms, heartbeat_ms;
	char addr[64];
	void (*told)(const struct err *err, void *arg);
	void *told_arg;
	void (*done)(const struct err *err, void *arg);
	void *done_arg;
	bool answers_at_once;
} play;

struct client *client_new(struct loop *loop)
{
	(void)loop;
	return &play.client;
}

void client_free(struct client *client)
{
	assert_ptr_equal(client, &play.client);
}

struct discovery *discovery_open(struct loop *loop, const struct env *env, struct client *client,
	const struct discovery_config *config, struct err *err)
{
	(void)loop;
	(void)env;
	(void)client;
	if (play.open_fails != ERR_NONE) {
		err_set(err, play.open_fails, "bad URL");
		return NULL;
	}
	play.opened++;
	play.ttl_ms = config->ttl_ms;
	play.heartbeat_ms = config->heartbeat_ms;
	return &play.discovery;
}

void discovery_close(struct discovery *discovery)
{
	if (discovery != NULL)
		play.closed++;
}

int discovery_publish(struct discovery *discovery, const char *addr,
	void (*told)(const struct err *err, void *arg), void *arg, struct err *err)
{
	(void)discovery;
	if (play.publish_fails != ERR_NONE)
		return err_set(err, play.publish_fails, "cannot be done");
	play.published++;
	snprintf(play.addr, sizeof(play.addr), "%s", addr);
	play.told = told;
	play.told_arg = arg;
	return 0;
}

void discovery_withdraw(
	struct discovery *discovery, void (*done)(const struct err *err, void *arg), void *arg)
{
	(void)discovery;
	play.withdrawn++;
	play.done = done;
	play.done_arg = arg;
	if (play.answers_at_once)
		done(NULL, arg);
}

static void tell(const char *failure)
{
	struct err err = ERR_INIT;
	if (failure != NULL)
		err_set(&err, ERR_UNAVAILABLE, "%s", failure);
	play.told(failure != NULL ? &err : NULL, play.told_arg);
}

/* ---- Chance and the log ---- */

static uint32_t last_bound, next_random;

static uint32_t random_below(const struct env *env, uint32_t bound)
{
	(void)env;
	last_bound = bound;
	return next_random;
}

static const struct env env = {.random_below = random_below};

static int log_saved = -1;
static char log_path[] = "/tmp/swarm-test-join.XXXXXX";

static void log_catch(void)
{
	int fd = mkstemp(log_path);
	assert_true(fd >= 0);
	log_saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* The lines that were logged, in a buffer that lasts until the next call. */
static const char *log_release(void)
{
	static char text[8192];
	assert_true(log_flush());
	dup2(log_saved, STDERR_FILENO);
	close(log_saved);
	FILE *f = fopen(log_path, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	unlink(log_path);
	memcpy(log_path + strlen(log_path) - 6, "XXXXXX", 6);
	return text;
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;
	for (; (text = strstr(text, part)) != NULL; text++)
		n++;
	return n;
}

/* ---- Tests ---- */

static const struct join_config config = {
	.discovery = "consul://x/y",
	.addr = "10.0.0.1:2375",
	.heartbeat_ms = 60000,
	.ttl_ms = 180000,
};

static int reset(void **state)
{
	(void)state;
	memset(&play, 0, sizeof(play));
	last_bound = next_random = 0;
	return 0;
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

static void it_registers_at_once_without_a_delay(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct loop *loop = loop_new();
	struct join *join = join_new(loop, &env, &config, &err);
	assert_non_null(join);
	assert_int_equal(play.published, 1);
	assert_string_equal(play.addr, "10.0.0.1:2375");
	assert_int_equal(play.ttl_ms, 180000);
	assert_int_equal(play.heartbeat_ms, 60000);
	join_free(join);
	assert_int_equal(play.closed, 1);
	loop_free(loop);
}

static void the_delay_is_a_random_part_of_what_was_asked(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct join_config delayed = config;
	delayed.delay_ms = 5000;
	next_random = 20;
	struct loop *loop = loop_new();
	log_catch();
	struct join *join = join_new(loop, &env, &delayed, &err);
	log_release();
	assert_non_null(join);
	assert_int_equal(last_bound, 5001); /* the whole delay is possible */
	assert_int_equal(play.published, 0);
	struct loop_timer *timer = loop_timer_new(loop, stop_loop, loop);
	while (play.published == 0) {
		loop_timer_start(timer, 5);
		loop_run(loop);
	}
	assert_int_equal(play.published, 1);
	loop_timer_free(timer);
	join_free(join);
	loop_free(loop);
}

static void a_back_end_that_cannot_is_an_error_of_the_command_line(void **state)
{
	(void)state;
	struct loop *loop = loop_new();
	struct err err = ERR_INIT;
	play.publish_fails = ERR_UNSUPPORTED;
	assert_null(join_new(loop, &env, &config, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_int_equal(play.closed, 1);
	play.open_fails = ERR_INVALID;
	assert_null(join_new(loop, &env, &config, &err));
	assert_int_equal(err.code, ERR_USAGE);
	assert_string_equal(err.msg, "bad URL");
	loop_free(loop);
}

static void transitions_are_logged_once(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct loop *loop = loop_new();
	log_catch();
	struct join *join = join_new(loop, &env, &config, &err);
	for (int i = 0; i < 3; i++)
		tell("store is down");
	for (int i = 0; i < 3; i++)
		tell(NULL);
	for (int i = 0; i < 3; i++)
		tell("session gone");
	for (int i = 0; i < 3; i++)
		tell(NULL);
	tell("down again");
	const char *text = log_release();
	assert_int_equal(count(text, "cannot register yet, trying again: store is down"), 1);
	assert_int_equal(count(text, "registered addr=10.0.0.1:2375"), 1);
	assert_int_equal(count(text, "registration lost, trying again: session gone"), 1);
	assert_int_equal(count(text, "registration regained"), 1);
	assert_int_equal(count(text, "registration lost, trying again: down again"), 1);
	assert_int_equal(count(text, "\n"), 5);
	join_free(join);
	loop_free(loop);
}

struct ending {
	struct loop *loop;
	int count;
};

static void on_end(void *arg)
{
	struct ending *e = arg;
	e->count++;
	loop_stop(e->loop);
}

static void withdrawing_ends_with_the_answer(void **state)
{
	(void)state;
	for (int at_once = 0; at_once < 2; at_once++) {
		reset(NULL);
		play.answers_at_once = at_once == 1;
		struct err err = ERR_INIT;
		struct ending e = {.loop = loop_new()};
		struct join *join = join_new(e.loop, &env, &config, &err);
		log_catch();
		tell(NULL);
		join_withdraw(join, on_end, &e);
		join_withdraw(join, on_end, &e); /* no second time */
		tell("late");                    /* does not matter any more */
		if (at_once == 0) {
			assert_int_equal(e.count, 0);
			play.done(NULL, play.done_arg);
		}
		const char *text = log_release();
		assert_int_equal(play.withdrawn, 1);
		assert_int_equal(e.count, 1);
		assert_int_equal(count(text, "registration taken back"), 1);
		assert_int_equal(count(text, "lost"), 0);
		join_free(join);
		loop_free(e.loop);
	}
}

static void withdrawing_before_the_delay_is_over_registers_nothing(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct join_config delayed = config;
	delayed.delay_ms = 3600 * 1000;
	next_random = 3600 * 1000;
	struct ending e = {.loop = loop_new()};
	log_catch();
	struct join *join = join_new(e.loop, &env, &delayed, &err);
	join_withdraw(join, on_end, &e);
	loop_run(e.loop);
	const char *text = log_release();
	assert_int_equal(e.count, 1);
	assert_int_equal(play.published, 0);
	assert_int_equal(play.withdrawn, 0);
	assert_int_equal(count(text, "expire"), 0);
	join_free(join);
	loop_free(e.loop);
}

static void withdrawing_does_not_wait_for_ever(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct ending e = {.loop = loop_new()};
	log_catch();
	struct join *join = join_new(e.loop, &env, &config, &err);
	tell(NULL);
	join_withdraw(join, on_end, &e);
	loop_run(e.loop); /* ends by the deadline alone */
	assert_int_equal(e.count, 1);
	play.done(NULL, play.done_arg); /* an answer that comes too late */
	const char *text = log_release();
	assert_int_equal(e.count, 1);
	assert_int_equal(count(text, "the registration will expire"), 1);
	join_free(join);
	loop_free(e.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(it_registers_at_once_without_a_delay, reset),
		cmocka_unit_test_setup(the_delay_is_a_random_part_of_what_was_asked, reset),
		cmocka_unit_test_setup(
			a_back_end_that_cannot_is_an_error_of_the_command_line, reset),
		cmocka_unit_test_setup(transitions_are_logged_once, reset),
		cmocka_unit_test_setup(withdrawing_ends_with_the_answer, reset),
		cmocka_unit_test_setup(
			withdrawing_before_the_delay_is_over_registers_nothing, reset),
		cmocka_unit_test_setup(withdrawing_does_not_wait_for_ever, reset),
	};
	return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
