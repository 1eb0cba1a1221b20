/* What the tests of discovery share: a loop that runs until something is so, and a watcher that
 * remembers what it was told. */
#ifndef TESTS_UNIT_DISCOVERY_FIXTURE_H
#define TESTS_UNIT_DISCOVERY_FIXTURE_H

#include "discovery/discovery.h"
#include "lib/buf.h"
#include "lib/env.h"
#include "lib/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Long enough for a loaded machine under sanitizers; no test waits for it to pass. */
#define FIXTURE_DEADLINE_MS 60000

struct fixture_wait {
	struct loop *loop;
	struct loop_timer *timer;
	bool (*is_so)(void *arg);
	void *arg;
	uint64_t deadline;
	bool was_so;
};

static inline void fixture_tick(void *arg)
{
	struct fixture_wait *wait = arg;

	wait->was_so = wait->is_so != NULL && wait->is_so(wait->arg);
	if (wait->was_so || loop_now_ms(wait->loop) >= wait->deadline)
		loop_stop(wait->loop);
	else
		loop_timer_start(wait->timer, 2);
}

/* Runs the loop until is_so(arg), or for ms; true when it became so. is_so NULL = just run. */
static inline bool fixture_run(struct loop *loop, uint64_t ms, bool (*is_so)(void *arg), void *arg)
{
	struct fixture_wait wait = {.loop = loop, .is_so = is_so, .arg = arg};

	wait.timer = loop_timer_new(loop, fixture_tick, &wait);
	wait.deadline = loop_now_ms(loop) + ms;
	loop_timer_start(wait.timer, 0);
	loop_run(loop);
	loop_timer_free(wait.timer);
	return wait.was_so;
}

/* How long removals are held back after a failure. */
#define WATCHER_GRACE_MS 2000

struct watcher {
	struct discovery *discovery;
	unsigned changes;
	unsigned failures;
	char *set; /* the last one, joined by blanks */
	size_t count;
	struct err err; /* the last one */
	/* What wait_* waits for. */
	const char *wanted;
	unsigned more_than;
};

static inline void watcher_changed(const struct str_list *addrs, void *arg)
{
	struct watcher *w = arg;
	struct buf text;

	buf_init(&text, 1024 * 1024);
	for (size_t i = 0; i < addrs->len; i++) {
		buf_append_str(&text, i > 0 ? " " : "");
		buf_append_str(&text, addrs->items[i]);
	}
	free(w->set);
	w->set = buf_take(&text);
	w->count = addrs->len;
	w->changes++;
}

static inline void watcher_failed(const struct err *err, void *arg)
{
	struct watcher *w = arg;

	w->err = *err;
	w->failures++;
}

static inline bool watcher_has_set(void *arg)
{
	struct watcher *w = arg;

	return w->set != NULL && strcmp(w->set, w->wanted) == 0;
}

static inline bool watcher_has_failed(void *arg)
{
	struct watcher *w = arg;

	return w->failures > w->more_than;
}

/* Waits until the last set told is this one. */
static inline void watcher_expect(struct loop *loop, struct watcher *w, const char *set)
{
	w->wanted = set;
	if (!fixture_run(loop, FIXTURE_DEADLINE_MS, watcher_has_set, w))
		fail_msg("wanted the set '%s', last was '%s', last error '%s'", set,
			w->set != NULL ? w->set : "(none)", w->err.msg);
}

/* Waits for one more failure, whose message holds the text. */
static inline void watcher_expect_failure(struct loop *loop, struct watcher *w, const char *text)
{
	w->more_than = w->failures;
	if (!fixture_run(loop, FIXTURE_DEADLINE_MS, watcher_has_failed, w))
		fail_msg("no failure came; wanted one with '%s'", text);
	if (strstr(w->err.msg, text) == NULL)
		fail_msg("the failure '%s' does not say '%s'", w->err.msg, text);
}

static inline void watcher_free(struct watcher *w)
{
	discovery_close(w->discovery);
	free(w->set);
	memset(w, 0, sizeof(*w));
}

/* Opens and watches; options may be NULL. */
static inline void watcher_start(struct watcher *w, struct loop *loop, struct client *client,
	const char *url, uint64_t heartbeat_ms, const struct str_list *options)
{
	struct discovery_config config = {
		.url = url,
		.heartbeat_ms = heartbeat_ms,
		.ttl_ms = WATCHER_GRACE_MS,
		.options = options,
	};
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->discovery = discovery_open(loop, env_system(), client, &config, &err);
	if (w->discovery == NULL)
		fail_msg("%s: %s", url, err.msg);
	discovery_watch(w->discovery, watcher_changed, watcher_failed, w);
	assert_int_equal(w->changes, 0);
	assert_int_equal(w->failures, 0);
}

/* Opening fails with this code, and the message holds the text. */
static inline void expect_refused(struct loop *loop, struct client *client, const char *url,
	const char *option, enum err_code code, const char *text)
{
	CLEANUP_STR_LIST struct str_list options = {0};
	struct discovery_config config = {
		.url = url, .heartbeat_ms = 1000, .ttl_ms = 3000, .options = &options};
	struct err err = ERR_INIT;
	struct discovery *discovery;

	if (option != NULL)
		str_list_add(&options, option);
	discovery = discovery_open(loop, env_system(), client, &config, &err);
	if (discovery != NULL)
		fail_msg("%s was accepted", url);
	if (err.code != code || strstr(err.msg, text) == NULL)
		fail_msg("%s: got %s '%s', wanted %s with '%s'", url, err_code_name(err.code),
			err.msg, err_code_name(code), text);
}

#endif
