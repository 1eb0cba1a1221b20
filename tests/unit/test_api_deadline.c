/* Questions to all nodes, one of which takes the question and never answers: after the deadline the
 * client gets what the others said, with the name of that node, and nothing of it is left. The
 * whole of the program from the listener to the engine's socket, on a clock that the test moves. */
#include "api/api.h"
#include "cluster/live.h"
#include "http/server.h"
#include "lib/log.h"
#include "tests/unit/fake_engine.h"
#include "tests/unit/moved_clock.h"

enum {
	DEADLINE_S = 60,
	TURNS = 1000,
};

/* ---- A manager over two engines ---- */

struct manager {
	struct fixture f;
	struct client *client;
	struct cluster *cluster;
	struct handler *handler;
	struct server *server;
	struct fake_engine *good, *silent;
	size_t connections; /* of the silent engine, at rest */
	unsigned asks_good;
	struct raw caller;
};

static bool is_healthy(void *arg)
{
	const struct manager *m = arg;
	struct cluster_totals totals;

	cluster_totals(m->cluster, &totals);
	return totals.nodes_healthy == 2;
}

static void manager_start(struct manager *m)
{
	const struct cluster_config cluster_config = {
		.refresh_min_ms = FOREVER, .refresh_max_ms = FOREVER, .failure_retry = 3};
	const struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct str_list addrs CLEANUP_STR_LIST = {0};
	struct str_list filters = {0};

	memset(m, 0, sizeof(*m));
	log_set_level(LOG_LEVEL_ERROR);
	m->f.loop = loop_new();
	m->client = client_new(m->f.loop);
	m->cluster = cluster_new(m->f.loop, env_system(), m->client, &cluster_config);
	m->cluster->live->timing = forever_timing;
	m->good = fake_engine_new(m->f.loop, "ID-A", "alpha");
	m->silent = fake_engine_new(m->f.loop, "ID-B", "beta");
	fake_engine_add(m->good, "one");
	fake_engine_add(m->silent, "two");
	str_list_add_take(&addrs, fake_engine_addr(m->good));
	str_list_add_take(&addrs, fake_engine_addr(m->silent));
	cluster_set_nodes(m->cluster, &addrs);
	wait_for(&m->f, is_healthy, m);
	m->handler = api_new(&(struct api_config){.loop = m->f.loop,
		.env = env_system(),
		.client = m->client,
		.cluster = m->cluster,
		.version = "test",
		.strategy = "spread",
		.filters = &filters});
	m->server = server_new(m->f.loop, m->handler, NULL);
	assert_int_equal(server_listen(m->server, &addr, NULL, NULL), 0);
	raw_connect(&m->f, &m->caller, server_port(m->server, 0));
	m->asks_good = 1;
}

static void manager_stop(struct manager *m)
{
	raw_close(&m->f, &m->caller);
	server_free(m->server);
	handler_free(m->handler);
	cluster_free(m->cluster);
	client_free(m->client);
	fake_engine_free(m->good);
	fake_engine_free(m->silent);
	loop_free(m->f.loop);
}

/* ---- Waiting ---- */

static bool is_asked(void *arg)
{
	const struct manager *m = arg;

	return m->silent->requests == 1 && m->good->requests == m->asks_good;
}

static bool is_given_up(void *arg)
{
	const struct manager *m = arg;

	return fake_engine_connections(m->silent) <= m->connections;
}

/* The answer comes now. In turns of the loop, since time goes on while the test waits, and would
 * bring one of a later deadline as well. */
static void expect_answer(struct manager *m)
{
	for (int turn = 0; turn < TURNS && !raw_is_over(&m->caller); turn++)
		fixture_run(&m->f, 0, NULL, NULL);
	assert_true(raw_is_over(&m->caller));
}

/* Asks, and returns the answer that came when the deadline had passed, and not before. */
static const char *ask(struct manager *m, const char *path, const char *of_engines)
{
	char request[256];

	m->silent->fault_path = of_engines;
	m->silent->fault = FAKE_SILENCE;
	m->silent->requests = m->good->requests = 0;
	m->connections = fake_engine_connections(m->silent);
	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
	raw_send(&m->caller, request);
	wait_for(&m->f, is_asked, m);
	clock_pass(&m->f, DEADLINE_S - 2);
	assert_int_equal(m->caller.in.len, 0);
	clock_pass(&m->f, 2);
	expect_answer(m);
	wait_for(&m->f, is_given_up, m);
	return buf_str(&m->caller.in);
}

static void expect(const char *answer, const char *text)
{
	if (strstr(answer, text) == NULL)
		fail_msg("no '%s' in: %s", text, answer);
}

/* ---- Tests ---- */

static void test_disk_usage(void **state)
{
	struct manager m;
	const char *answer;

	(void)state;
	manager_start(&m);
	answer = ask(&m, "/system/df", "/system/df");
	expect(answer, "HTTP/1.1 200 ");
	expect(answer, "\r\nWarning: 199 swarm \"node beta: ");
	expect(answer, "\"Name\":\"alpha/v1\"");
	expect(answer, "\"Name\":\"beta\",\"ID\":\"ID-B|");
	expect(answer, "\"Error\":\"");
	manager_stop(&m);
}

static void test_disk_usage_of_that_node_alone(void **state)
{
	struct manager m;
	const char *answer;

	(void)state;
	manager_start(&m);
	m.asks_good = 0;
	answer = ask(&m, "/system/df?node=beta", "/system/df");
	expect(answer, "HTTP/1.1 504 ");
	expect(answer, "beta");
	manager_stop(&m);
}

static void test_sizes_of_containers(void **state)
{
	struct manager m;
	const char *answer;

	(void)state;
	manager_start(&m);
	answer = ask(&m, "/containers/json?size=1", "/containers/json");
	expect(answer, "HTTP/1.1 200 ");
	expect(answer, "\r\nWarning: 199 swarm \"node beta: ");
	/* Its containers are listed all the same. */
	expect(answer, "/alpha/one");
	expect(answer, "/beta/two");
	manager_stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_disk_usage),
		cmocka_unit_test(test_disk_usage_of_that_node_alone),
		cmocka_unit_test(test_sizes_of_containers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
