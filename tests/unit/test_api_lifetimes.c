/* What a request needs may go while it waits: the node, the container, or the client; while the
 * body is still under way, while the engine has not answered, and while the inventory is brought up
 * to date. For each route that waits for a body, and under the sanitizers. */
#include "tests/unit/manager_fixture.h"

#define EXEC_ID "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

struct route {
	const char *line; /* method and target */
	const char *body;
};

static const struct route routes[] = {
	{"POST /containers/one/update", "{\"Memory\": 1}"},
	{"POST /containers/one/kill?signal=TERM", "{}"},
	{"POST /containers/one/start", "{}"},
	{"POST /containers/one/stop?t=1", "{}"},
	{"POST /containers/one/rename?name=three", "{}"},
	{"POST /containers/one/resize?h=1&w=1", "{}"},
	{"POST /containers/one/wait", "{}"},
	{"POST /containers/one/exec", "{\"Cmd\": [\"true\"]}"},
	{"POST /containers/one/copy", "{\"Resource\": \"/x\"}"},
	{"PUT /containers/one/archive?path=/", "ustar ustar ustar"},
	{"DELETE /containers/one", "{}"},
	{"POST /exec/" EXEC_ID "/start", "{\"Detach\": true}"},
	{"POST /exec/" EXEC_ID "/resize?h=1&w=1", "{}"},
	{"POST /commit?container=one", "{\"Cmd\": []}"},
	{"POST /containers/create?name=four", "{\"Image\": \"busybox\"}"},
	{"POST /networks/create", "{\"Name\": \"net\"}"},
	{"POST /networks/alpha%2Fbridge/connect", "{\"Container\": \"one\"}"},
	{"POST /networks/alpha%2Fbridge/disconnect", "{\"Container\": \"one\"}"},
	{"POST /volumes/create", "{\"Name\": \"vol\"}"},
	{"PUT /volumes/alpha%2Fv1", "{\"Spec\": 1}"},
	{"POST /images/busybox/push", "{\"aux\": 1}"},
	{"POST /images/busybox/tag?repo=x&tag=y", "{}"},
	{"DELETE /images/busybox", "{}"},
	{"POST /images/create?fromImage=busybox&tag=2", "{}"},
	{"POST /images/create?fromImage=busybox&tag=2&node=alpha", "{}"},
	{"POST /images/load", "ustar ustar ustar"},
	{"POST /images/load?node=alpha", "ustar ustar ustar"},
	{"POST /auth", "{\"username\": \"u\"}"},
	{"POST /build?t=x", "ustar ustar ustar"},
	{"POST /plugins/alpha%2Fp/enable", "{}"},
	{"POST /plugins/alpha%2Fp/set", "[\"a=b\"]"},
	{"POST /plugins/pull?remote=r&name=alpha%2Fp", "[{\"Name\": \"x\"}]"},
};

static bool has_no_node(void *arg)
{
	struct manager *m = arg;
	size_t len;

	cluster_nodes(m->cluster, &len);
	return len == 0;
}

static struct container *container_one(struct manager *m)
{
	struct container *one = cluster_container_find(m->cluster, "one", NULL);

	assert_non_null(one);
	return one;
}

static bool has_no_container(void *arg)
{
	struct manager *m = arg;

	return cluster_container_find(m->cluster, "one", NULL) == NULL;
}

static void nodes_go(struct manager *m)
{
	manager_set_engines(m, NULL, NULL);
	wait_for(&m->f, has_no_node, m);
}

static void container_goes(struct manager *m)
{
	m->alpha->containers[0].is_gone = true;
	fake_engine_event(m->alpha, &m->alpha->containers[0], "destroy", false);
	wait_for(&m->f, has_no_container, m);
}

static void client_goes(struct manager *m)
{
	manager_reconnect(m);
}

/* Sends the request but for so many bytes of its body; gives what is left. */
static const char *send_without(struct manager *m, const struct route *route, size_t left)
{
	size_t len = strlen(route->body);
	char *text CLEANUP_FREE =
		xasprintf("%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: "
			  "application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
			route->line, len, (int)(len - left), route->body);

	raw_send(&m->caller, text);
	wait_for(&m->f, raw_is_sent, &m->caller);
	/* The manager waits now. */
	fixture_settle(&m->f);
	return route->body + len - left;
}

static void expect_answer(struct manager *m, const struct route *route)
{
	const char *answer;

	if (!fixture_run(&m->f, FIXTURE_DEADLINE_MS, raw_is_over, &m->caller))
		fail_msg("no end of: %s", route->line);
	answer = buf_str(&m->caller.in);
	if (strncmp(answer, "HTTP/1.1 ", 9) != 0)
		fail_msg("%s: %s", route->line, answer);
	/* What was freed has other bytes in it. */
	for (const char *p = answer; *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x7f)
			fail_msg("%s: %s", route->line, answer);
	}
}

enum stage {
	BODY,
	ANSWER,
	REFRESH,
	STAGES,
};

static void set_fault(struct manager *m, enum fake_fault fault)
{
	m->alpha->fault_path = m->beta->fault_path = "/";
	m->alpha->fault = m->beta->fault = fault;
}

static void release(struct manager *m)
{
	fake_engine_release(m->alpha);
	fake_engine_release(m->beta);
	fixture_settle(&m->f);
}

static void run(const struct route *route, enum stage stage, void (*goes)(struct manager *m))
{
	struct manager m;
	const char *rest;

	manager_start(&m);
	cluster_exec_add(m.cluster, EXEC_ID, container_one(&m));
	if (stage != BODY)
		set_fault(&m, FAKE_HOLD);
	rest = send_without(&m, route, stage == BODY);
	if (stage == REFRESH)
		release(&m); /* and what is asked next is held again */
	goes(&m);
	fixture_settle(&m.f);
	set_fault(&m, FAKE_NONE);
	release(&m);
	if (goes != client_goes) {
		raw_send(&m.caller, rest);
		expect_answer(&m, route);
	}
	manager_stop(&m);
}

static void run_all(void (*goes)(struct manager *m))
{
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		for (unsigned stage = BODY; stage < STAGES; stage++)
			run(&routes[i], (enum stage)stage, goes);
	}
}

static void test_nodes_go(void **state)
{
	(void)state;
	run_all(nodes_go);
}

static void test_container_goes(void **state)
{
	(void)state;
	run_all(container_goes);
}

static void test_client_goes(void **state)
{
	(void)state;
	run_all(client_goes);
}

/* The client is told which node it was, in the words of its time. */
static void test_node_is_named(void **state)
{
	/* A body that is not judged is read when the container has been found. */
	const struct route kill = {"POST /containers/one/kill", "{\"Memory\": 1}"};
	struct manager m;
	const char *rest;

	(void)state;
	manager_start(&m);
	rest = send_without(&m, &kill, 1);
	nodes_go(&m);
	fixture_settle(&m.f);
	raw_send(&m.caller, rest);
	raw_expect(&m.f, &m.caller, "HTTP/1.1 502 ");
	raw_expect(&m.f, &m.caller, "(node alpha: it was removed from the cluster)");
	manager_stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_is_named),
		cmocka_unit_test(test_nodes_go),
		cmocka_unit_test(test_container_goes),
		cmocka_unit_test(test_client_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
