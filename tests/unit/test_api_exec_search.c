/* Exec instances that the inventory does not know are searched on all engines: how often, for whom,
 * and who is told. */
#include "tests/unit/manager_fixture.h"

#include "api/exec_search.h"

#define EXEC_ID "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

static void send_ask(struct raw *raw, const char *id)
{
	char *request CLEANUP_FREE = xasprintf("GET /exec/%s/json HTTP/1.1\r\nHost: a\r\n\r\n", id);

	raw_send(raw, request);
}

static void connect_more(struct manager *m, struct raw *raws, size_t len)
{
	for (size_t i = 0; i < len; i++)
		raw_connect(&m->f, &raws[i], server_port(m->server, 0));
}

static void close_all(struct manager *m, struct raw *raws, size_t len)
{
	for (size_t i = 0; i < len; i++)
		raw_close(&m->f, &raws[i]);
}

static bool are_held(void *arg)
{
	struct manager *m = arg;

	return fake_engine_held(m->alpha) == 1 && fake_engine_held(m->beta) == 1;
}

static void hold(struct manager *m, enum fake_fault fault)
{
	m->alpha->fault_path = m->beta->fault_path = "/exec/";
	m->alpha->fault = m->beta->fault = fault;
}

static void release(struct manager *m)
{
	hold(m, FAKE_NONE);
	fake_engine_release(m->alpha);
	fake_engine_release(m->beta);
}

/* What no engine knew is not asked for again, for a moment. */
static void test_missed(void **state)
{
	struct manager m;

	(void)state;
	manager_start(&m);
	send_ask(&m.caller, EXEC_ID);
	raw_expect(&m.f, &m.caller, "No such exec instance: " EXEC_ID);
	assert_int_equal(m.alpha->execs + m.beta->execs, 2);
	for (int i = 0; i < 10; i++)
		send_ask(&m.caller, EXEC_ID);
	raw_expect_times(&m.f, &m.caller, "No such exec instance: " EXEC_ID, 10);
	assert_int_equal(m.alpha->execs + m.beta->execs, 2);
	clock_pass(&m.f, EXEC_MISSED_MS / 1000 + 1);
	m.beta->exec_id = EXEC_ID;
	send_ask(&m.caller, EXEC_ID);
	raw_expect(&m.f, &m.caller, "\"ContainerID\":");
	manager_stop(&m);
}

static const char created_event[] =
	"{\"Type\":\"container\",\"Action\":\"exec_create: sh\",\"Actor\":{\"ID\":\"1\","
	"\"Attributes\":{\"execID\":\"" EXEC_ID "\"}},\"time\":1,\"timeNano\":1000000000}\n";

static void test_made_since(void **state)
{
	struct manager m;

	(void)state;
	manager_start(&m);
	send_ask(&m.caller, EXEC_ID);
	raw_expect(&m.f, &m.caller, "No such exec instance");
	m.beta->exec_id = EXEC_ID;
	fake_engine_send(m.beta, created_event, sizeof(created_event) - 1);
	fixture_settle(&m.f);
	send_ask(&m.caller, EXEC_ID);
	raw_expect(&m.f, &m.caller, "\"ContainerID\":");
	manager_stop(&m);
}

/* A node that did not answer may know it. */
static void test_not_all_answered(void **state)
{
	struct manager m;

	(void)state;
	manager_start(&m);
	hold(&m, FAKE_NONE);
	m.beta->fault = FAKE_ERROR;
	send_ask(&m.caller, EXEC_ID);
	raw_expect(&m.f, &m.caller, "No such exec instance");
	m.beta->fault = FAKE_NONE;
	m.beta->exec_id = EXEC_ID;
	send_ask(&m.caller, EXEC_ID);
	raw_expect(&m.f, &m.caller, "\"ContainerID\":");
	manager_stop(&m);
}

/* Several that ask for the same one wait for one search, and go on when the first has gone. */
static void test_shared(void **state)
{
	struct raw others[3];
	struct manager m;

	(void)state;
	manager_start(&m);
	connect_more(&m, others, 3);
	m.beta->exec_id = EXEC_ID;
	hold(&m, FAKE_HOLD);
	send_ask(&m.caller, EXEC_ID);
	wait_for(&m.f, are_held, &m);
	for (int i = 0; i < 3; i++)
		send_ask(&others[i], EXEC_ID);
	fixture_settle(&m.f);
	assert_true(are_held(&m));
	manager_reconnect(&m);
	fixture_settle(&m.f);
	release(&m);
	for (int i = 0; i < 3; i++)
		raw_expect(&m.f, &others[i], "\"ContainerID\":");
	/* The first's questions were taken back; then one more each, and the three's own. */
	assert_true(m.alpha->execs <= 2);
	close_all(&m, others, 3);
	manager_stop(&m);
}

/* Few at a time, and no client keeps more than its share waiting. */
static void test_bounded(void **state)
{
	enum { CONNECTIONS = 6 };
	struct raw others[CONNECTIONS];
	struct manager m;
	char id[65];

	(void)state;
	manager_start(&m);
	connect_more(&m, others, CONNECTIONS);
	hold(&m, FAKE_HOLD);
	for (int i = 0; i < CONNECTIONS; i++) {
		snprintf(id, sizeof(id), "%064d", i);
		send_ask(&others[i], id);
		wait_for(&m.f, raw_is_sent, &others[i]);
	}
	fixture_settle(&m.f);
	assert_true(
		fake_engine_held(m.alpha) + fake_engine_waiting(m.alpha) <= EXEC_SEARCHES_AT_ONCE);
	release(&m);
	for (int i = 0; i < CONNECTIONS; i++)
		raw_expect(&m.f, &others[i], "No such exec instance");
	close_all(&m, others, CONNECTIONS);
	manager_stop(&m);
}

/* The manager ends while clients wait. */
static void test_end(void **state)
{
	struct raw other;
	struct manager m;

	(void)state;
	manager_start(&m);
	connect_more(&m, &other, 1);
	hold(&m, FAKE_HOLD);
	send_ask(&m.caller, EXEC_ID);
	wait_for(&m.f, are_held, &m);
	send_ask(&other, EXEC_ID);
	wait_for(&m.f, raw_is_sent, &other);
	fixture_settle(&m.f);
	close_all(&m, &other, 1);
	manager_stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missed),
		cmocka_unit_test(test_made_since),
		cmocka_unit_test(test_not_all_answered),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
