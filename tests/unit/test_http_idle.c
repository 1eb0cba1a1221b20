/* How many connections stay open when no call uses them. */
#include "tests/unit/client_fixture.h"

#include <sys/resource.h>

struct many {
	unsigned dones, failures;
	struct err err;
};

static void many_done(void *arg, const struct reply *reply, const struct err *err)
{
	struct many *m = arg;

	m->dones++;
	m->failures += err != NULL;
	if (err != NULL)
		m->err = *err;
	else
		assert_int_equal(reply->body_len, 19);
}

static bool all_done(void *arg)
{
	return ((struct many *)arg)->dones == 40;
}

static bool few_are_connected(void *arg)
{
	return server_connections(((struct world *)arg)->server) <= 65;
}

/* However many engines there are, their idle connections leave room for others; each is still
 * served, on a new one when need be. */
static void idle_connections_of_many_engines_are_bounded(void **state)
{
	struct world w;
	struct endpoint *many[120];
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct rlimit before, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 256; /* a quarter of it, and one */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	world_start(&w);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0); /* both ends are here */
	addr.port = server_port(w.server, 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = endpoint_new(w.client, &addr, NULL);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(many); i++) {
			world_get(&w, many[i], "/nowhere");
			wait_for(&w.f, world_is_done, &w);
			assert_false(w.failed);
		}
		wait_for(&w.f, few_are_connected, &w);
		assert_true(server_connections(w.server) > 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		endpoint_free(many[i]);
	world_stop(&w);
}

/* The first of them have theirs kept, and no other has. */
static void expect_kept(struct endpoint *const *many, size_t len, size_t first)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(many[i]->idle_len, i < first);
}

/* When each connection were closed before its turn comes again, none would ever be used twice. */
static void going_round_many_engines_keeps_connections(void **state)
{
	struct world w;
	struct endpoint *many[10];
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct call_request request = {.method = "GET",
		.target = "/nowhere",
		.is_rounds = true,
		.total_timeout_ms = FIXTURE_DEADLINE_MS};

	(void)state;
	world_start(&w);
	w.client->idle_max = 4;
	addr.port = server_port(w.server, 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = endpoint_new(w.client, &addr, NULL);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(many); i++) {
			world_call(&w, many[i], &request);
			wait_for(&w.f, world_is_done, &w);
			assert_false(w.failed);
		}
		expect_kept(many, ARRAY_LEN(many), w.client->idle_max);
	}
	/* Any other call is a reason to keep its connection; one of the others makes room. */
	world_get(&w, many[9], "/nowhere");
	wait_for(&w.f, world_is_done, &w);
	assert_int_equal(many[9]->idle_len, 1);
	assert_int_equal(w.client->idle_len, w.client->idle_max);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		endpoint_free(many[i]);
	world_stop(&w);
}

/* Idle connections are given back when there is no descriptor for another. */
static void idle_connections_make_room(void **state)
{
	struct world w;
	struct endpoint *other;
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct rlimit before, few;
	int fillers[256];
	size_t len = 0;

	(void)state;
	world_start(&w);
	addr.port = server_port(w.server, 0);
	other = endpoint_new(w.client, &addr, NULL);
	world_get(&w, w.good, "/nowhere");
	wait_for(&w.f, world_is_done, &w);
	assert_int_equal(w.good->idle_len, 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = ARRAY_LEN(fillers);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (len < ARRAY_LEN(fillers) && (fillers[len] = dup(STDERR_FILENO)) != -1)
		len++;
	world_get(&w, other, "/nowhere");
	wait_for(&w.f, world_is_done, &w);
	while (len > 0)
		close(fillers[--len]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_false(w.failed);
	assert_int_equal(w.good->idle_len, 0);
	endpoint_free(other);
	world_stop(&w);
}

static bool few_connections(void *arg)
{
	return server_connections(((struct world *)arg)->server) <= ENDPOINT_IDLE_MAX;
}

static bool one_connection(void *arg)
{
	return server_connections(((struct world *)arg)->server) == 1;
}

static void few_connections_stay_when_idle(void **state)
{
	struct call_request request = {.method = "GET", .target = "/nowhere"};
	struct world w;

	(void)state;
	world_start(&w);
	for (int round = 0; round < 3; round++) {
		struct many m = {0};

		for (int i = 0; i < 40; i++)
			assert_non_null(call_collect(w.good, &request, 1000, many_done, &m));
		wait_for(&w.f, all_done, &m);
		assert_int_equal(m.failures, 0);
		wait_for(&w.f, few_connections, &w);
		fixture_settle(&w.f);
		assert_in_range(server_connections(w.server), 1, ENDPOINT_IDLE_MAX);
	}
	wait_for(&w.f, one_connection, &w);
	fixture_settle(&w.f);
	assert_int_equal(server_connections(w.server), 1);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_connections_stay_when_idle),
		cmocka_unit_test(idle_connections_of_many_engines_are_bounded),
		cmocka_unit_test(idle_connections_make_room),
		cmocka_unit_test(going_round_many_engines_keeps_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
