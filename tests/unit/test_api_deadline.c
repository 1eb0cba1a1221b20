/* Questions to all nodes, one of which takes the question and never answers: after the deadline the
 * client gets what the others said, with the name of that node, and nothing of it is left. The
 * whole of the program from the listener to the engine's socket, on a clock that the test moves. */
#include "tests/unit/manager_fixture.h"

enum {
	DEADLINE_S = 60,
	TURNS = 1000,
};

/* ---- Waiting ---- */

/* beta is the one that is silent. */
struct question {
	struct manager *m;
	size_t connections; /* of beta, at rest */
	unsigned asks_alpha;
};

static bool is_asked(void *arg)
{
	const struct question *q = arg;

	return q->m->beta->requests == 1 && q->m->alpha->requests == q->asks_alpha;
}

static bool is_given_up(void *arg)
{
	const struct question *q = arg;

	return fake_engine_connections(q->m->beta) <= q->connections;
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
static const char *ask(
	struct manager *m, const char *path, const char *of_engines, unsigned asks_alpha)
{
	struct question q = {.m = m, .asks_alpha = asks_alpha};
	char request[256];

	m->beta->fault_path = of_engines;
	m->beta->fault = FAKE_SILENCE;
	m->beta->requests = m->alpha->requests = 0;
	q.connections = fake_engine_connections(m->beta);
	snprintf(request, sizeof(request),
		"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
	raw_send(&m->caller, request);
	wait_for(&m->f, is_asked, &q);
	clock_pass(&m->f, DEADLINE_S - 2);
	assert_int_equal(m->caller.in.len, 0);
	clock_pass(&m->f, 2);
	expect_answer(m);
	wait_for(&m->f, is_given_up, &q);
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
	answer = ask(&m, "/system/df", "/system/df", 1);
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
	answer = ask(&m, "/system/df?node=beta", "/system/df", 0);
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
	answer = ask(&m, "/containers/json?size=1", "/containers/json", 1);
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
