/* Selection over views written down here: soft terms, failure reports; and creates in numbers, over
 * an inventory without engines. */
#include "cluster/cluster.h"
#include "filters/expr.h"
#include "lib/json.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"
#include "tests/unit/cluster_fixture.h"
#include "tests/unit/view_fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODES 5
#define CPU INT64_C(1000000000)
#define GIB (INT64_C(1) << 30)

/* ---- NODES nodes as a test wants them ---- */

struct place {
	struct node_view view;
	char id[64], name[16];
	const struct container_view *held[1];
};
struct sketch_fleet {
	struct place nodes[NODES];
};

static struct sketch_fleet *fleet_make(void)
{
	struct sketch_fleet *fleet = xcalloc(1, sizeof(*fleet));

	for (int i = 0; i < NODES; i++) {
		struct place *node = &fleet->nodes[i];

		snprintf(node->id, sizeof(node->id), "ENGINE%d|10.0.0.%d:2375", i + 1, i + 1);
		snprintf(node->name, sizeof(node->name), "node%d", i + 1);
		node->view = (struct node_view){
			.id = node->id,
			.engine_id = node->id,
			.name = node->name,
			.addr = "",
			.is_healthy = true,
			.total_nano_cpus = 4 * CPU,
			.total_memory = 8 * GIB,
			.containers = node->held,
		};
	}
	return fleet;
}

static struct scheduler *a_scheduler(const char *strategy)
{
	const struct scheduler_config config = {.strategy = strategy, .env = env_system()};
	struct err err = ERR_INIT;
	struct scheduler *scheduler = scheduler_new(&config, &err);

	if (scheduler == NULL)
		fail_msg("%s", err.msg);
	return scheduler;
}

static ssize_t select_of(struct scheduler *scheduler, const struct node_view *const *views,
	size_t len, const struct placement *placement, const struct str_list *excluded,
	struct err *err)
{
	struct view_fleet *fleet = view_fleet_new(views, len);
	ssize_t chosen =
		scheduler_select(scheduler, view_fleet_get(fleet), NULL, placement, excluded, err);

	view_fleet_free(fleet);
	return chosen;
}

/* The number (1 to NODES) of the node that is picked, or 0 with err. */
static int pick_but(struct scheduler *scheduler, const struct sketch_fleet *fleet,
	const struct placement *placement, const struct str_list *excluded, struct err *err)
{
	const struct node_view *list[NODES];

	for (int i = 0; i < NODES; i++)
		list[i] = &fleet->nodes[i].view;
	return (int)select_of(scheduler, list, NODES, placement, excluded, err) + 1;
}

static int pick(struct scheduler *scheduler, const struct sketch_fleet *fleet,
	const struct placement *placement, struct err *err)
{
	return pick_but(scheduler, fleet, placement, NULL, err);
}

/* ---- Tests ---- */

static void test_new(void **state)
{
	struct str_list filters = {0};
	struct scheduler_config config = {.filters = &filters, .env = env_system()};
	struct err err = ERR_INIT;
	struct scheduler *scheduler = scheduler_new(&config, &err);

	(void)state;
	assert_non_null(scheduler);
	assert_string_equal(scheduler_strategy(scheduler), "spread");
	assert_int_equal(scheduler_filters(scheduler)->len, 7);
	assert_string_equal(scheduler_filters(scheduler)->items[0], "health");
	assert_string_equal(scheduler_filters(scheduler)->items[6], "whitelist");
	scheduler_free(scheduler);

	str_list_add(&filters, "constraint");
	str_list_add(&filters, "health");
	str_list_add(&filters, "constraint");
	config.strategy = "binpacking";
	scheduler = scheduler_new(&config, &err);
	assert_string_equal(scheduler_strategy(scheduler), "binpack");
	assert_int_equal(scheduler_filters(scheduler)->len, 2);
	assert_string_equal(scheduler_filters(scheduler)->items[0], "constraint");
	scheduler_free(scheduler);

	str_list_add(&filters, "colour");
	assert_null(scheduler_new(&config, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "'colour'"));
	assert_non_null(strstr(err.msg, "containerslots"));
	str_list_free(&filters);
	config.strategy = "fastest";
	assert_null(scheduler_new(&config, &err));
	assert_non_null(strstr(err.msg, "binpack"));
	scheduler_free(NULL);
}

/* Soft terms are counted, not all or nothing. */
static void test_soft_terms(void **state)
{
	static const struct view_label disk[] = {{"disk", "ssd"}};
	static const struct view_label both[] = {{"disk", "ssd"}, {"zone", "a"}};
	const char *terms[] = {"disk==~ssd", "zone==~a", "rack==~none", "node!=node5"};
	const struct placement placement = {.constraints = terms, .constraints_len = 4};
	struct scheduler *scheduler = a_scheduler("spread");
	struct sketch_fleet *fleet = fleet_make();
	struct err err = ERR_INIT;

	(void)state;
	fleet->nodes[1].view.labels = (struct view_labels){disk, 1};
	fleet->nodes[2].view.labels = (struct view_labels){both, 2};
	fleet->nodes[4].view.labels = (struct view_labels){both, 2};
	for (int i = 0; i < 4; i++)
		assert_int_equal(pick(scheduler, fleet, &placement, &err), 3);
	/* The best node is down: the next best. */
	fleet->nodes[2].view.is_healthy = false;
	assert_int_equal(pick(scheduler, fleet, &placement, &err), 2);
	/* A wish is never a reason to refuse, nor for a node without room. */
	fleet->nodes[1].view.used_memory = 8 * GIB;
	assert_int_equal(pick(scheduler, fleet, &placement, &err), 2);
	{
		struct placement with_memory = placement;

		with_memory.want.memory = GIB;
		assert_in_set(pick(scheduler, fleet, &with_memory, &err),
			((const unsigned long[]){1, 4}), 2);
	}
	free(fleet);
	scheduler_free(scheduler);
}

/* Terms of different filters are added up. */
static void test_soft_terms_over_filters(void **state)
{
	const char *constraint = "node==~node2";
	const char *affinity = "container==~web";
	const char *whitelist = "node==~node3|node4";
	const struct placement placement = {
		.constraints = &constraint,
		.constraints_len = 1,
		.affinities = &affinity,
		.affinities_len = 1,
		.whitelists = &whitelist,
		.whitelists_len = 1,
	};
	const struct container_view web = {
		.id = "", .swarm_id = "", .name = "web", .image = "", .image_id = ""};
	struct scheduler *scheduler = a_scheduler("spread");
	struct sketch_fleet *fleet = fleet_make();
	struct err err = ERR_INIT;

	(void)state;
	fleet->nodes[3].held[0] = &web;
	fleet->nodes[3].view.containers_len = 1;
	assert_int_equal(pick(scheduler, fleet, &placement, &err), 4);
	free(fleet);
	scheduler_free(scheduler);
}

static void expect_no_node(struct scheduler *scheduler, const struct sketch_fleet *fleet,
	const struct placement *placement, const char *message)
{
	struct err err = ERR_INIT;

	assert_int_equal(pick(scheduler, fleet, placement, &err), 0);
	assert_int_equal(err.code, ERR_NO_NODE);
	assert_string_equal(err.msg, message);
}

static void test_reports(void **state)
{
	static const struct view_port port = {"", 80, "tcp"};
	const char *terms[] = {"node==x", "rack==/^r/"};
	struct placement placement = {.constraints = terms, .constraints_len = 2};
	const struct container_view taken = {.id = "",
		.swarm_id = "",
		.name = "web",
		.image = "",
		.image_id = "",
		.ports = &port,
		.ports_len = 1};
	struct scheduler *scheduler = a_scheduler("spread");
	struct sketch_fleet *fleet = fleet_make();

	(void)state;
	expect_no_node(scheduler, fleet, &placement,
		"Unable to find a node that satisfies the following conditions "
		"\n[available container slots]\n[node==x rack==/^r/]"
		"\nconstraint: 5 of 5 nodes removed (node==x does not hold: "
		"node1, node2, node3, node4, node5)");

	fleet->nodes[1].view.is_healthy = false;
	for (int i = 2; i < NODES; i++) {
		fleet->nodes[i].held[0] = &taken;
		fleet->nodes[i].view.containers_len = 1;
	}
	terms[0] = "node!=node1";
	placement.constraints_len = 1;
	placement.want.ports = &port;
	placement.want.ports_len = 1;
	expect_no_node(scheduler, fleet, &placement,
		"Unable to find a node that satisfies the following conditions "
		"\n[port 80 (Bridge mode)]\n[available container slots]\n[node!=node1]"
		"\nhealth: 1 of 5 nodes removed (not healthy: node2)"
		"\nport: 3 of 5 nodes removed (port 80/tcp is taken: node3, node4, node5)"
		"\nconstraint: 1 of 5 nodes removed (node!=node1 does not hold: node1)");

	/* The filters behind the last that removed a node are not listed. */
	placement.constraints_len = 0;
	fleet->nodes[0].held[0] = &taken;
	fleet->nodes[0].view.containers_len = 1;
	expect_no_node(scheduler, fleet, &placement,
		"Unable to find a node that satisfies the following conditions "
		"\n[port 80 (Bridge mode)]"
		"\nhealth: 1 of 5 nodes removed (not healthy: node2)"
		"\nport: 4 of 5 nodes removed (port 80/tcp is taken: node1, node3, node4, node5)");

	for (int i = 0; i < NODES; i++)
		fleet->nodes[i].view.is_healthy = false;
	expect_no_node(scheduler, fleet, &placement,
		"No healthy node available in the cluster"
		"\nhealth: 5 of 5 nodes removed (not healthy: node1, node2, node3, node4, node5)");
	free(fleet);
	scheduler_free(scheduler);
}

static void test_report_of_resources(void **state)
{
	struct placement placement = {.want = {.memory = 16 * GIB}};
	struct scheduler *scheduler = a_scheduler("random");
	struct sketch_fleet *fleet = fleet_make();

	(void)state;
	fleet->nodes[0].view.is_healthy = false;
	fleet->nodes[1].view.used_memory = 100 * GIB;
	fleet->nodes[2].view.used_nano_cpus = CPU / 2;
	expect_no_node(scheduler, fleet, &placement,
		"no resources available to schedule container: it asks for 16 GiB of memory; "
		"the most left on one node is 4 CPUs, and 8 GiB"
		"\nhealth: 1 of 5 nodes removed (not healthy: node1)"
		"\nresources: 4 of 5 nodes removed (too little CPU or memory left: node2, node3, "
		"node4, node5)");
	placement.want = (struct container_view){.nano_cpus = 9 * CPU / 2};
	for (int i = 3; i < NODES; i++)
		fleet->nodes[i].view.is_healthy = false;
	expect_no_node(scheduler, fleet, &placement,
		"no resources available to schedule container: it asks for 4.5 CPUs; "
		"the most left on one node is 4 CPUs, and 8 GiB"
		"\nhealth: 3 of 5 nodes removed (not healthy: node1, node4, node5)"
		"\nresources: 2 of 5 nodes removed (too little CPU or memory left: node2, node3)");
	free(fleet);
	scheduler_free(scheduler);
}

static void test_no_nodes_at_all(void **state)
{
	struct scheduler *scheduler = a_scheduler("spread");
	const struct placement placement = {0};
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(select_of(scheduler, NULL, 0, &placement, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NO_NODE);
	assert_string_equal(err.msg, "No healthy node available in the cluster");
	scheduler_free(scheduler);
}

/* However long names and terms are, the message fits, stays printable, and keeps its beginning. */
static void test_report_is_bounded(void **state)
{
	enum { MANY = 3000 };
	static struct node_view views[MANY];
	static const struct node_view *list[MANY];
	const char *terms[EXPR_TERMS_MAX];
	const struct placement placement = {.constraints = terms,
		.constraints_len = EXPR_TERMS_MAX,
		.affinities = terms,
		.affinities_len = EXPR_TERMS_MAX};
	struct scheduler *scheduler = a_scheduler("spread");
	char term[1000];
	char name[2000];
	struct err err = ERR_INIT;

	(void)state;
	memset(term, 'a', sizeof(term));
	memcpy(term, "node!=", 6);
	term[sizeof(term) - 1] = '\0';
	memset(name, '\xc3', sizeof(name));
	memcpy(name, "a\nb\x1b[31m\"", 9);
	name[sizeof(name) - 1] = '\0';
	for (size_t i = 0; i < EXPR_TERMS_MAX; i++)
		terms[i] = term;
	terms[EXPR_TERMS_MAX - 1] = "node==nowhere";
	for (size_t i = 0; i < MANY; i++) {
		views[i] = (struct node_view){
			.id = "x", .engine_id = "x", .name = name, .addr = "", .is_healthy = true};
		list[i] = &views[i];
	}
	assert_int_equal(select_of(scheduler, list, MANY, &placement, NULL, &err), -1);
	assert_int_equal(err.code, ERR_NO_NODE);
	assert_true(str_has_prefix(
		err.msg, "Unable to find a node that satisfies the following conditions \n["));
	assert_non_null(strstr(err.msg, "\naffinity: 3000 of 3000 nodes removed ("));
	assert_non_null(strstr(err.msg, " and 2995 more"));
	for (const char *p = err.msg; *p != '\0'; p++)
		assert_true(*p == '\n' || (*p >= ' ' && *p < 0x7f));
	scheduler_free(scheduler);
}

static void test_excluded(void **state)
{
	struct scheduler *scheduler = a_scheduler("spread");
	struct sketch_fleet *fleet = fleet_make();
	const struct placement placement = {0};
	struct str_list excluded = {0};
	bool seen[NODES] = {false};
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < NODES; i++) {
		int got = pick_but(scheduler, fleet, &placement, &excluded, &err);

		assert_in_range(got, 1, NODES);
		assert_false(seen[got - 1]);
		seen[got - 1] = true;
		str_list_add(&excluded, fleet->nodes[got - 1].id);
	}
	assert_int_equal(pick_but(scheduler, fleet, &placement, &excluded, &err), 0);
	assert_int_equal(err.code, ERR_NO_NODE);
	assert_non_null(strstr(err.msg,
		"\nretry: 5 of 5 nodes removed (the engine refused this container: node1, "));
	str_list_free(&excluded);
	free(fleet);
	scheduler_free(scheduler);
}

/* Without the health filter an unhealthy node may be chosen, but not one that never answered. */
static void test_unknown_nodes(void **state)
{
	struct str_list filters = {0};
	const struct scheduler_config config = {.filters = &filters, .env = env_system()};
	struct sketch_fleet *fleet = fleet_make();
	const struct placement placement = {0};
	struct err err = ERR_INIT;
	struct scheduler *scheduler;

	(void)state;
	str_list_add(&filters, "port");
	scheduler = scheduler_new(&config, &err);
	assert_non_null(scheduler);
	for (int i = 0; i < NODES; i++) {
		fleet->nodes[i].view.is_healthy = false;
		if (i != 3)
			fleet->nodes[i].view.engine_id = "";
	}
	assert_int_equal(pick(scheduler, fleet, &placement, &err), 4);
	fleet->nodes[3].view.engine_id = "";
	assert_int_equal(pick(scheduler, fleet, &placement, &err), 0);
	assert_true(str_has_prefix(err.msg, "No healthy node available in the cluster"));
	str_list_free(&filters);
	free(fleet);
	scheduler_free(scheduler);
}

/* One bad request after the other changes nothing for the good one. */
static void test_bad_expressions_change_nothing(void **state)
{
	static const char *const bad[] = {
		"node==/", "node==/x(/", "n==1", "node", "node==/(a{999}){999}/"};
	struct scheduler *scheduler = a_scheduler("spread");
	struct sketch_fleet *fleet = fleet_make();
	const struct placement good = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		const struct placement placement = {
			.constraints = &bad[(size_t)i % ARRAY_LEN(bad)], .constraints_len = 1};
		struct err err = ERR_INIT;

		assert_int_equal(pick(scheduler, fleet, &placement, &err), 0);
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.msg, bad[(size_t)i % ARRAY_LEN(bad)]));
	}
	assert_int_equal(pick(scheduler, fleet, &good, NULL), 1);
	free(fleet);
	scheduler_free(scheduler);
}

/* What would keep the loop busy for seconds is refused. */
static void test_work_is_bounded(void **state)
{
	enum { MANY = 10000 };
	static char names[MANY][32];
	static struct node_view views[MANY];
	static const struct node_view *list[MANY];
	const char *slow = "node==/(.?){900}z/";
	const char *usual = "node!=/^node-[0-9]+-(x|y)$/";
	struct placement placement = {.constraints = &slow, .constraints_len = 1};
	struct scheduler *scheduler = a_scheduler("spread");
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "node-%zu-of-this-cluster", i);
		views[i] = (struct node_view){.id = names[i],
			.engine_id = names[i],
			.name = names[i],
			.addr = "",
			.is_healthy = true};
		list[i] = &views[i];
	}
	assert_int_equal(select_of(scheduler, list, MANY, &placement, NULL, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "too much work"));
	placement.constraints = &usual;
	assert_int_equal(select_of(scheduler, list, MANY, &placement, NULL, &err), 0);
	scheduler_free(scheduler);
}

/* ---- Through create requests and reservations ---- */

static struct fixture *cluster_make(void)
{
	struct fixture *fixture = fixture_new(0.0);
	char name[16], addr[32];

	for (int i = 0; i < NODES; i++) {
		snprintf(name, sizeof(name), "node%d", i % 9 + 1);
		snprintf(addr, sizeof(addr), "10.0.0.%d:2375", i % 9 + 1);
		fixture_node(fixture, name, addr);
	}
	return fixture;
}

static struct create_request *a_create(const char *body, const char *name)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *json = json_parse(body, strlen(body), &err);
	const struct create_options options = {.name = name};
	struct create_request *request = create_request_new(json, &options, &err);

	if (request == NULL)
		fail_msg("%s", err.msg);
	return request;
}

/* The place (from 0) of the node that got it; NODES when there is none. */
static size_t place(struct scheduler *scheduler, struct fixture *fixture,
	const struct create_request *request, struct reservation **held, struct err *err)
{
	size_t len, i = 0;
	struct node *const *nodes = cluster_nodes(&fixture->cluster, &len);

	*held = scheduler_place(scheduler, &fixture->cluster, request, NULL, err);
	while (*held != NULL && nodes[i] != reservation_node(*held))
		i++;
	return *held == NULL ? NODES : i;
}

static void cancel(struct reservation **held, size_t len)
{
	for (size_t i = 0; i < len; i++)
		reservation_cancel(held[i]);
}

static void place_evenly(const char *body)
{
	enum { MANY = 1000 };
	struct scheduler *scheduler = a_scheduler("spread");
	struct fixture *fixture = cluster_make();
	struct reservation *held[MANY];
	struct err err = ERR_INIT;
	size_t counts[NODES] = {0};

	for (int i = 0; i < MANY; i++) {
		struct create_request *request = a_create(body, NULL);
		size_t at = place(scheduler, fixture, request, &held[i], &err);

		assert_in_range(at, 0, NODES - 1);
		counts[at]++;
		create_request_free(request);
	}
	for (int i = 0; i < NODES; i++)
		assert_int_equal(counts[i], MANY / NODES);
	cancel(held, MANY);
	fixture_free(fixture);
	scheduler_free(scheduler);
}

static void test_a_thousand_creates(void **state)
{
	(void)state;
	place_evenly("{\"Image\":\"nginx\"}");
	place_evenly("{\"Image\":\"nginx\",\"HostConfig\":{\"Memory\":4194304}}");
	place_evenly("{\"Image\":\"nginx\",\"HostConfig\":{\"NanoCpus\":10000000}}");
}

static void test_name_conflict(void **state)
{
	struct scheduler *scheduler = a_scheduler("spread");
	struct fixture *fixture = cluster_make();
	struct create_request *request = a_create("{}", "web");
	struct reservation *held, *other;
	struct err err = ERR_INIT;

	(void)state;
	assert_in_range(place(scheduler, fixture, request, &held, &err), 0, NODES - 1);
	for (int i = 0; i < 99; i++) {
		assert_int_equal(place(scheduler, fixture, request, &other, &err), NODES);
		assert_int_equal(err.code, ERR_CONFLICT);
	}
	cancel(&held, 1);
	create_request_free(request);
	fixture_free(fixture);
	scheduler_free(scheduler);
}

/* CPUs run out before memory does: with -c as a number of CPUs. */
static void test_cpus_run_out(void **state)
{
	struct scheduler *scheduler = a_scheduler("binpack");
	struct fixture *fixture = cluster_make();
	struct create_request *request = a_create("{\"HostConfig\":{\"CpuShares\":2}}", NULL);
	struct reservation *held[2 * NODES], *other;
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		assert_int_equal(place(scheduler, fixture, request, &held[i], &err), i / 2);
	assert_int_equal(place(scheduler, fixture, request, &other, &err), NODES);
	assert_int_equal(err.code, ERR_NO_NODE);
	assert_true(str_has_prefix(err.msg, "no resources available to schedule container"));
	cancel(held, ARRAY_LEN(held));
	create_request_free(request);
	fixture_free(fixture);
	scheduler_free(scheduler);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new),
		cmocka_unit_test(test_soft_terms),
		cmocka_unit_test(test_soft_terms_over_filters),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_report_of_resources),
		cmocka_unit_test(test_no_nodes_at_all),
		cmocka_unit_test(test_report_is_bounded),
		cmocka_unit_test(test_excluded),
		cmocka_unit_test(test_unknown_nodes),
		cmocka_unit_test(test_bad_expressions_change_nothing),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_a_thousand_creates),
		cmocka_unit_test(test_name_conflict),
		cmocka_unit_test(test_cpus_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
