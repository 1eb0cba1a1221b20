/* What becomes of a name when an engine does not say whether it did what it was asked for: it is
 * given to nobody else until that is known. */
#include "tests/unit/manager_fixture.h"

enum {
	CREATE_DEADLINE_S = 120,
	CALL_DEADLINE_S = 300,
};

static bool is_held(void *arg)
{
	const struct manager *m = arg;

	return fake_engine_held(m->alpha) + fake_engine_held(m->beta) == 1;
}

static void ask(struct manager *m, const char *line, const char *body)
{
	char *request CLEANUP_FREE = xasprintf(
		"%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		line, strlen(body), body);

	manager_reconnect(m);
	raw_send(&m->caller, request);
}

static void expect(struct manager *m, const char *status)
{
	char *line CLEANUP_FREE = xasprintf("HTTP/1.1 %s ", status);

	raw_expect(&m->f, &m->caller, line);
	wait_for(&m->f, raw_is_over, &m->caller);
}

static void create(struct manager *m, const char *name, const char *status)
{
	char *line CLEANUP_FREE = xasprintf("POST /containers/create?name=%s", name);

	ask(m, line, "{\"Image\": \"busybox\"}");
	expect(m, status);
}

static void set_fault(struct manager *m, const char *path, enum fake_fault fault)
{
	m->alpha->fault_path = m->beta->fault_path = path;
	m->alpha->fault = m->beta->fault = fault;
}

/* The engine that has the request, which it does not answer. */
static struct fake_engine *hold(
	struct manager *m, const char *path, const char *line, const char *body)
{
	set_fault(m, path, FAKE_HOLD);
	ask(m, line, body);
	wait_for(&m->f, is_held, m);
	set_fault(m, path, FAKE_NONE);
	return fake_engine_held(m->alpha) > 0 ? m->alpha : m->beta;
}

static struct fake_engine *hold_create(struct manager *m, const char *name)
{
	char *line CLEANUP_FREE = xasprintf("POST /containers/create?name=%s", name);

	return hold(m, "/containers/create", line, "{\"Image\": \"busybox\"}");
}

static bool has_web(void *arg)
{
	struct manager *m = arg;

	return cluster_container_find(m->cluster, "web", NULL) != NULL;
}

static unsigned creates(const struct manager *m)
{
	return m->alpha->creates + m->beta->creates;
}

/* The first engine makes it after the client was told that it did not answer. */
static void test_created_late(void **state)
{
	struct manager m;
	struct fake_engine *engine;

	(void)state;
	manager_start(&m);
	engine = hold_create(&m, "web");
	clock_pass(&m.f, CREATE_DEADLINE_S + 1);
	expect(&m, "504");
	/* Wherever it would go now, the name may be that one's. */
	create(&m, "web", "409");
	assert_int_equal(creates(&m), 0);
	fake_engine_add(engine, "web");
	fake_engine_event(engine, &engine->containers[1], "create", false);
	wait_for(&m.f, has_web, &m);
	create(&m, "web", "409");
	assert_int_equal(creates(&m), 0);
	create(&m, "other", "201");
	manager_stop(&m);
}

static bool is_node_down(void *arg)
{
	return !manager_is_healthy(arg);
}

/* The engine dies with the request, and comes back without a container of it. */
static void test_engine_dies(void **state)
{
	struct manager m;
	struct fake_engine *engine;
	struct live_timing *timing;

	(void)state;
	manager_start(&m);
	timing = &m.cluster->live->timing;
	engine = hold_create(&m, "web");
	timing->probe_fast = timing->backoff = timing->backoff_max = timing->probe_spacing = 5;
	timing->down_after = 20;
	fake_engine_stop(engine);
	/* Its connection broke: whether it was made is not known. */
	expect(&m, "502");
	wait_for(&m.f, is_node_down, &m);
	create(&m, "web", "409");
	fake_engine_start(engine);
	wait_for(&m.f, manager_is_healthy, &m);
	create(&m, "web", "201");
	assert_int_equal(creates(&m), 1);
	manager_stop(&m);
}

/* It answered, and said no: the name is free at once. */
static void test_refused(void **state)
{
	struct manager m;

	(void)state;
	manager_start(&m);
	set_fault(&m, "/containers/create", FAKE_ERROR);
	create(&m, "web", "500");
	set_fault(&m, "/containers/create", FAKE_NONE);
	create(&m, "web", "201");
	manager_stop(&m);
}

/* Nobody listens where the request is to go: nothing was asked for. */
static void test_not_sent(void **state)
{
	struct manager m;

	(void)state;
	manager_start(&m);
	fake_engine_stop(m.alpha);
	fake_engine_stop(m.beta);
	/* Connections that were kept are noticed to be gone before one is used. */
	fixture_settle(&m.f);
	create(&m, "web", "502");
	fake_engine_start(m.alpha);
	fake_engine_start(m.beta);
	create(&m, "web", "201");
	manager_stop(&m);
}

/* An answer that tells nothing. */
static void test_answers_nonsense(void **state)
{
	struct manager m;

	(void)state;
	manager_start(&m);
	set_fault(&m, "/containers/create", FAKE_EMPTY);
	create(&m, "web", "502");
	set_fault(&m, "/containers/create", FAKE_NONE);
	create(&m, "web", "409");
	manager_stop(&m);
}

/* Also when the client does not wait for the answer. */
static void test_network(void **state)
{
	struct manager m;

	(void)state;
	manager_start(&m);
	hold(&m, "/networks/create", "POST /networks/create",
		"{\"Name\": \"net\", \"Driver\": \"bridge\"}");
	clock_pass(&m.f, CALL_DEADLINE_S + 1);
	expect(&m, "504");
	ask(&m, "POST /networks/create", "{\"Name\": \"net\", \"Driver\": \"bridge\"}");
	expect(&m, "409");
	fake_engine_release(m.alpha);
	fake_engine_release(m.beta);
	hold(&m, "/networks/create", "POST /networks/create",
		"{\"Name\": \"net2\", \"Driver\": \"bridge\"}");
	manager_reconnect(&m);
	fixture_settle(&m.f);
	ask(&m, "POST /networks/create", "{\"Name\": \"net2\", \"Driver\": \"bridge\"}");
	expect(&m, "409");
	manager_stop(&m);
}

/* The same of a new name for a container. */
static void test_rename(void **state)
{
	char *path CLEANUP_FREE = NULL;
	struct manager m;

	(void)state;
	manager_start(&m);
	path = xasprintf("/containers/%s/rename", m.alpha->containers[0].id);
	hold(&m, path, "POST /containers/one/rename?name=web", "");
	clock_pass(&m.f, CALL_DEADLINE_S + 1);
	expect(&m, "504");
	create(&m, "web", "409");
	ask(&m, "POST /containers/two/rename?name=web", "");
	expect(&m, "409");
	manager_stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_created_late),
		cmocka_unit_test(test_engine_dies),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_sent),
		cmocka_unit_test(test_answers_nonsense),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_rename),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
