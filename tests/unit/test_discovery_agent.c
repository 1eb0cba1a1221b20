/* consul://, registering: against a small model of Consul's sessions and one key, which can be told
 * to lose things. */
#include "discovery/consul_priv.h"
#include "lib/json.h"
#include "lib/log.h"
#include "tests/unit/discovery_fake.h"

#include <stdio.h>

#define HEARTBEAT_MS 40
#define KEY "/v1/kv/p/docker/swarm/nodes/a%3A1"
#define FLAGS "flags=3304740253564472344"
#define RIVAL "99999999-0000-0000-0000-000000000000"

struct model {
	/* The store. */
	char session[64]; /* alive; "" = none */
	char rival[64];   /* another one, alive */
	unsigned made;    /* sessions, ever */
	bool has_key;
	char holder[64];
	char value[64];
	unsigned modify_index;
	unsigned absent; /* times that the key went away */
	/* How it misbehaves. */
	bool is_down;            /* 500 to everything */
	bool never_locks;        /* acquire says false */
	bool forgets_at_locking; /* the session is gone when the key is to be locked, once */
	bool is_silent_at_locking;
	const char *session_id; /* instead of a good one */
	/* What was seen. */
	char ttl[16];
	unsigned renewals;
	unsigned locks;
};

struct state {
	struct loop *loop;
	struct client *client;
	struct fake *fake;
	struct model m;
	struct discovery *discovery;
	unsigned good, bad; /* beats told */
	struct err err;     /* the last */
	bool is_withdrawn;
	struct err withdraw_err;
	unsigned more_than;
	struct exchange *held;
};

/* ---- The model ---- */

static void set_text(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from);
}

static void key_gone(struct model *m)
{
	m->has_key = false;
	m->holder[0] = '\0';
	m->absent++;
	m->modify_index++;
}

static void session_gone(struct model *m)
{
	if (m->has_key && str_eq(m->holder, m->session))
		key_gone(m);
	m->session[0] = '\0';
}

static void make_session(struct model *m, struct exchange *x, const char *body)
{
	CLEANUP_JSON json_t *json = json_parse(body, strlen(body), NULL);
	CLEANUP_FREE char *text = NULL;

	assert_non_null(json);
	assert_string_equal(json_str(json, "Behavior", ""), "delete");
	assert_string_equal(json_str(json, "LockDelay", ""), "1ms");
	assert_non_null(json_arr(json, "NodeChecks"));
	assert_int_equal(json_array_size(json_arr(json, "NodeChecks")), 0);
	set_text(m->ttl, sizeof(m->ttl), json_str(json, "TTL", ""));
	(void)snprintf(
		m->session, sizeof(m->session), "%08x-1111-2222-3333-444444444444", ++m->made);
	text = xasprintf("{\"ID\":\"%s\"}", m->session_id != NULL ? m->session_id : m->session);
	fake_reply(x, 200, NULL, text);
}

static void read_key(struct model *m, struct exchange *x)
{
	CLEANUP_FREE char *session = NULL;
	CLEANUP_FREE char *text = NULL;

	if (!m->has_key) {
		fake_reply(x, 404, "1", "");
		return;
	}
	session = m->holder[0] != '\0' ? xasprintf(",\"Session\":\"%s\"", m->holder) : xstrdup("");
	/* The values that occur here: a:1 and old. */
	text = xasprintf("[{\"Key\":\"p/docker/swarm/nodes/a:1\",\"Value\":\"%s\","
			 "\"ModifyIndex\":%u%s}]",
		str_eq(m->value, "a:1") ? "YTox" : "b2xk", m->modify_index, session);
	fake_reply(x, 200, "1", text);
}

static void lock_key(struct model *m, struct exchange *x, const char *id, const char *body)
{
	if (m->forgets_at_locking) {
		m->forgets_at_locking = false;
		session_gone(m);
	}
	if (!str_eq(id, m->session)) {
		fake_reply(x, 500, NULL, "rpc error: invalid session \"x\"");
		return;
	}
	if (m->never_locks || (m->has_key && m->holder[0] != '\0' && !str_eq(m->holder, id))) {
		fake_reply(x, 200, NULL, "false");
		return;
	}
	m->has_key = true;
	m->locks++;
	m->modify_index++;
	set_text(m->holder, sizeof(m->holder), id);
	set_text(m->value, sizeof(m->value), body);
	fake_reply(x, 200, NULL, "true\n");
}

static void release_key(struct model *m, struct exchange *x, const char *id)
{
	bool was_held = m->has_key && str_eq(m->holder, id);

	if (was_held)
		m->holder[0] = '\0';
	fake_reply(x, 200, NULL, was_held ? "true" : "false");
}

static void answer_key(struct state *s, struct exchange *x, const char *query, const char *body)
{
	struct model *m = &s->m;
	const char *method = exchange_method(x);
	CLEANUP_FREE char *cas = xasprintf("cas=%u", m->modify_index);

	if (str_eq(method, "GET") && str_eq(query, "consistent=")) {
		read_key(m, x);
	} else if (str_eq(method, "PUT") && str_has_prefix(query, FLAGS "&acquire=")) {
		if (m->is_silent_at_locking)
			s->held = x;
		else
			lock_key(m, x, query + strlen(FLAGS "&acquire="), body);
	} else if (str_eq(method, "PUT") && str_has_prefix(query, FLAGS "&release=")) {
		release_key(m, x, query + strlen(FLAGS "&release="));
	} else if (str_eq(method, "DELETE") && str_has_prefix(query, "cas=")) {
		if (str_eq(query, cas))
			key_gone(m);
		fake_reply(x, 200, NULL, m->has_key ? "false" : "true");
	} else {
		fail_msg("unexpected %s %s", method, exchange_target(x));
	}
}

static void answer(struct fake *fake, struct exchange *x, const char *body)
{
	struct state *s = fake->arg;
	struct model *m = &s->m;
	const char *target = exchange_target(x);

	if (m->is_down) {
		fake_reply(x, 500, NULL, "No cluster leader");
	} else if (str_has_prefix(target, KEY "?")) {
		answer_key(s, x, target + strlen(KEY "?"), body);
	} else if (!str_eq(exchange_method(x), "PUT")) {
		fail_msg("unexpected %s", target);
	} else if (str_eq(target, "/v1/session/create")) {
		make_session(m, x, body);
	} else if (str_has_prefix(target, "/v1/session/renew/")) {
		m->renewals++;
		if (str_eq(target + strlen("/v1/session/renew/"), m->session))
			fake_reply(x, 200, NULL, "[{}]");
		else
			fake_reply(x, 404, NULL, "Session id not found");
	} else if (str_has_prefix(target, "/v1/session/destroy/")) {
		if (str_eq(target + strlen("/v1/session/destroy/"), m->session))
			session_gone(m);
		fake_reply(x, 200, NULL, "true");
	} else {
		fail_msg("unexpected %s", target);
	}
}

/* ---- Harness ---- */

static int setup(void **state)
{
	struct state *s = xcalloc(1, sizeof(*s));

	log_set_level(LOG_LEVEL_FATAL);
	s->loop = loop_new();
	s->client = client_new(s->loop);
	s->fake = fake_new(s->loop, answer, s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	discovery_close(s->discovery);
	fake_free(s->fake);
	client_free(s->client);
	loop_free(s->loop);
	free(s);
	return 0;
}

static void told(const struct err *err, void *arg)
{
	struct state *s = arg;

	if (err == NULL) {
		s->good++;
	} else {
		s->bad++;
		s->err = *err;
	}
}

static void withdrawn(const struct err *err, void *arg)
{
	struct state *s = arg;

	assert_false(s->is_withdrawn);
	s->is_withdrawn = true;
	if (err != NULL)
		s->withdraw_err = *err;
}

static void publish_with(struct state *s, uint64_t ttl_ms)
{
	CLEANUP_FREE char *url = xasprintf("consul://127.0.0.1:%u/p", s->fake->port);
	struct discovery_config config = {
		.url = url, .heartbeat_ms = HEARTBEAT_MS, .ttl_ms = ttl_ms};
	struct err err = ERR_INIT;

	s->discovery = discovery_open(s->loop, env_system(), s->client, &config, &err);
	assert_non_null(s->discovery);
	assert_int_equal(discovery_publish(s->discovery, "a:1", told, s, &err), 0);
	assert_int_equal(s->good + s->bad, 0);
}

static bool has_more_good(void *arg)
{
	struct state *s = arg;

	return s->good > s->more_than;
}

static bool has_more_bad(void *arg)
{
	struct state *s = arg;

	return s->bad > s->more_than;
}

static void wait_good(struct state *s, unsigned n)
{
	s->more_than = s->good + n - 1;
	if (!fixture_run(s->loop, FIXTURE_DEADLINE_MS, has_more_good, s))
		fail_msg("no good beat, last error '%s'", s->err.msg);
}

static void wait_bad(struct state *s)
{
	s->more_than = s->bad;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, has_more_bad, s));
}

static bool is_withdrawn(void *arg)
{
	return ((struct state *)arg)->is_withdrawn;
}

static void withdraw(struct state *s)
{
	discovery_withdraw(s->discovery, withdrawn, s);
	assert_false(s->is_withdrawn);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_withdrawn, s));
}

static void expect_registered(const struct state *s)
{
	assert_true(s->m.has_key);
	assert_string_equal(s->m.holder, s->m.session);
	assert_true(s->m.session[0] != '\0');
	assert_string_equal(s->m.value, "a:1");
}

/* ---- Tests ---- */

static void registers_and_renews(void **state)
{
	struct state *s = *state;

	publish_with(s, 180 * 1000);
	wait_good(s, 1);
	expect_registered(s);
	assert_string_equal(s->m.ttl, "90s");
	wait_good(s, 3);
	/* One session, one lock, and a renewal each beat. */
	assert_int_equal(s->m.made, 1);
	assert_int_equal(s->m.locks, 1);
	assert_in_range(s->m.renewals, 3, 4);
	assert_int_equal(s->bad, 0);
	withdraw(s);
	assert_int_equal(s->withdraw_err.code, ERR_NONE);
	assert_false(s->m.has_key);
	assert_string_equal(s->m.session, "");
}

static void session_ttl_is_within_consuls_bounds(void **state)
{
	struct state *s = *state;
	static const struct {
		uint64_t ttl_ms;
		const char *text;
	} cases[] = {
		{1000, "10s"},
		{19 * 1000, "10s"},
		{21 * 1000, "10s"},
		{22 * 1000, "11s"},
		{1000ull * 86400 * 30, "86400s"},
		{UINT64_MAX, "86400s"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		s->good = s->bad = 0;
		publish_with(s, cases[i].ttl_ms);
		wait_good(s, 1);
		assert_string_equal(s->m.ttl, cases[i].text);
		discovery_close(TAKE_PTR(s->discovery));
	}
}

static void lost_session_is_made_anew(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	wait_good(s, 1);
	session_gone(&s->m);
	assert_false(s->m.has_key);
	wait_good(s, 2);
	expect_registered(s);
	assert_int_equal(s->m.made, 2);
	assert_int_equal(s->bad, 0);
}

static void deleted_key_is_written_again(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	wait_good(s, 1);
	key_gone(&s->m);
	wait_good(s, 2);
	expect_registered(s);
	assert_int_equal(s->m.made, 1);
}

/* Written by hand or by an agent of old: without a session it would never go. */
static void key_without_session_is_locked(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	wait_good(s, 1);
	s->m.holder[0] = '\0';
	set_text(s->m.value, sizeof(s->m.value), "old");
	wait_good(s, 2);
	expect_registered(s);
	assert_int_equal(s->m.absent, 0);
}

static void changed_value_is_put_right(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	wait_good(s, 1);
	set_text(s->m.value, sizeof(s->m.value), "old");
	wait_good(s, 2);
	expect_registered(s);
}

/* A run of ours that was killed still holds the key: nobody may see the node go meanwhile. */
static void rivals_key_is_taken_over(void **state)
{
	struct state *s = *state;

	s->m.has_key = true;
	set_text(s->m.holder, sizeof(s->m.holder), RIVAL);
	set_text(s->m.value, sizeof(s->m.value), "a:1");
	publish_with(s, 3000);
	wait_good(s, 1);
	expect_registered(s);
	assert_int_equal(s->m.absent, 0);
	assert_int_equal(s->bad, 0);
}

static void session_lost_while_locking_is_made_anew(void **state)
{
	struct state *s = *state;

	s->m.forgets_at_locking = true;
	publish_with(s, 3000);
	wait_good(s, 1);
	expect_registered(s);
	assert_int_equal(s->m.made, 2);
	assert_int_equal(s->bad, 0);
}

static void key_that_never_locks_is_an_error(void **state)
{
	struct state *s = *state;

	s->m.never_locks = true;
	publish_with(s, 3000);
	wait_bad(s);
	assert_int_equal(s->err.code, ERR_CONFLICT);
	assert_int_equal(s->good, 0);
	/* Bounded: so many asks a beat, not more. */
	assert_in_range(s->fake->count, 4, 16);
	s->m.never_locks = false;
	wait_good(s, 1);
	expect_registered(s);
}

static void store_that_is_down_is_retried(void **state)
{
	struct state *s = *state;

	s->m.is_down = true;
	publish_with(s, 3000);
	wait_bad(s);
	assert_non_null(strstr(s->err.msg, "500: No cluster leader"));
	assert_int_equal(s->err.code, ERR_UNAVAILABLE);
	wait_bad(s);
	s->m.is_down = false;
	wait_good(s, 1);
	expect_registered(s);
	/* Down in between, and everything forgotten. */
	s->m.is_down = true;
	wait_bad(s);
	session_gone(&s->m);
	s->m.is_down = false;
	wait_good(s, 1);
	expect_registered(s);
}

static void hostile_session_ids_are_refused(void **state)
{
	struct state *s = *state;
	static const char *const ids[] = {"", "../../kv/x", "a b", "x?y=z", "%2e",
		"11111111111111111111111111111111111111111111111111111111111111111"};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		s->m.session_id = ids[i];
		s->good = s->bad = 0;
		publish_with(s, 3000);
		wait_bad(s);
		assert_non_null(strstr(s->err.msg, "no usable session ID"));
		assert_int_equal(s->good, 0);
		discovery_close(TAKE_PTR(s->discovery));
	}
}

static void withdrawing_spares_what_is_not_ours(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	wait_good(s, 1);
	set_text(s->m.holder, sizeof(s->m.holder), RIVAL);
	withdraw(s);
	assert_true(s->m.has_key);
	assert_string_equal(s->m.holder, RIVAL);
	assert_string_equal(s->m.session, "");
}

static void withdrawing_takes_an_orphaned_key_along(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	wait_good(s, 1);
	s->m.holder[0] = '\0';
	withdraw(s);
	assert_false(s->m.has_key);
	assert_int_equal(s->withdraw_err.code, ERR_NONE);
}

static void withdrawing_from_a_store_that_is_down_is_told(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	wait_good(s, 1);
	s->m.is_down = true;
	withdraw(s);
	assert_int_equal(s->withdraw_err.code, ERR_UNAVAILABLE);
}

static bool is_held(void *arg)
{
	return ((struct state *)arg)->held != NULL;
}

/* The lock that is on its way when the agent is told to go must not outlive it. */
static void withdrawing_waits_for_what_is_under_way(void **state)
{
	struct state *s = *state;

	s->m.is_silent_at_locking = true;
	publish_with(s, 3000);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_held, s));
	discovery_withdraw(s->discovery, withdrawn, s);
	(void)fixture_run(s->loop, 50, NULL, NULL);
	assert_false(s->is_withdrawn);
	lock_key(&s->m, s->held, s->m.session, "a:1");
	assert_true(s->m.has_key);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_withdrawn, s));
	assert_false(s->m.has_key);
	assert_string_equal(s->m.session, "");
	assert_int_equal(s->good, 0);
}

static void withdrawing_at_once_asks_nothing(void **state)
{
	struct state *s = *state;

	publish_with(s, 3000);
	withdraw(s);
	assert_int_equal(s->withdraw_err.code, ERR_NONE);
	assert_int_equal(s->fake->count, 0);
	assert_int_equal(s->good + s->bad, 0);
}

static void publishing_again_after_withdrawing(void **state)
{
	struct state *s = *state;
	struct err err = ERR_INIT;

	publish_with(s, 3000);
	wait_good(s, 1);
	assert_int_equal(discovery_publish(s->discovery, "b:2", told, s, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	withdraw(s);
	s->is_withdrawn = false;
	assert_int_equal(discovery_publish(s->discovery, "a:1", told, s, &err), 0);
	wait_good(s, 1);
	expect_registered(s);
}

static void bad_addresses_are_not_registered(void **state)
{
	struct state *s = *state;
	static const char *const addrs[] = {
		"", "a", "a:0", "a:65536", "a/b:1", "a:1\r\nx", "a b:1"};
	struct discovery_config config = {.url = "consul://127.0.0.1:1/p"};
	struct err err = ERR_INIT;

	s->discovery = discovery_open(s->loop, env_system(), s->client, &config, &err);
	for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
		assert_int_equal(discovery_publish(s->discovery, addrs[i], told, s, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(registers_and_renews, setup, teardown),
		cmocka_unit_test_setup_teardown(
			session_ttl_is_within_consuls_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_session_is_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(deleted_key_is_written_again, setup, teardown),
		cmocka_unit_test_setup_teardown(key_without_session_is_locked, setup, teardown),
		cmocka_unit_test_setup_teardown(changed_value_is_put_right, setup, teardown),
		cmocka_unit_test_setup_teardown(rivals_key_is_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(
			session_lost_while_locking_is_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(key_that_never_locks_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(store_that_is_down_is_retried, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_session_ids_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			withdrawing_spares_what_is_not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(
			withdrawing_takes_an_orphaned_key_along, setup, teardown),
		cmocka_unit_test_setup_teardown(
			withdrawing_from_a_store_that_is_down_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			withdrawing_waits_for_what_is_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(withdrawing_at_once_asks_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			publishing_again_after_withdrawing, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_addresses_are_not_registered, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
