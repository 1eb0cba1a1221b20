/* Selection over views written down here: soft terms, failure reports, races, and the way through a
 * cluster, which is a fake of the few functions that placement uses. */
#include "cluster/cluster.h"
#include "filters/expr.h"
#include "lib/json.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODES 5
#define HELD_MAX 1100
#define CPU INT64_C(1000000000)
#define GIB (INT64_C(1) << 30)

/* ---- A cluster of NODES nodes that keeps what is reserved on them ---- */

struct node {
	struct node_view view;
	char id[64], name[16];
	const struct container_view *held[HELD_MAX];
};
struct reservation {
	struct node *node;
	struct container_view view;
};
struct cluster {
	struct node nodes[NODES];
	struct node *list[NODES];
	struct reservation *reservations[NODES * HELD_MAX];
	size_t reservations_len;
};

struct node *const *cluster_nodes(const struct cluster *cluster, size_t *len)
{
	*len = NODES;
	return cluster->list;
}

const struct node_view *node_view(const struct node *node)
{
	return &node->view;
}

struct node **cluster_network_nodes(const struct cluster *cluster, const char *key, size_t *len)
{
	(void)cluster;
	(void)key;
	*len = 0;
	return NULL;
}

struct node **cluster_volume_nodes(const struct cluster *cluster, const char *name, size_t *len)
{
	return cluster_network_nodes(cluster, name, len);
}

/* Images and preferences are tested over the real inventory. */
struct image **cluster_images_named(
	const struct cluster *cluster, const char *reference, size_t *len, struct err *err)
{
	(void)cluster;
	(void)reference;
	(void)err;
	*len = 0;
	return NULL;
}

struct node *cluster_node_find(const struct cluster *cluster, const char *name)
{
	(void)cluster;
	(void)name;
	return NULL;
}

struct reservation *cluster_reserve(struct cluster *cluster, struct node *node,
	const struct container_view *want, struct err *err)
{
	struct reservation *reservation;

	for (size_t i = 0; i < cluster->reservations_len; i++) {
		if (want->name[0] != '\0' &&
			strcmp(cluster->reservations[i]->view.name, want->name) == 0) {
			err_set(err, ERR_CONFLICT, "taken");
			return NULL;
		}
	}
	assert_in_range(node->view.containers_len, 0, HELD_MAX - 1);
	reservation = xcalloc(1, sizeof(*reservation));
	reservation->node = node;
	reservation->view = *want;
	node->held[node->view.containers_len++] = &reservation->view;
	node->view.used_nano_cpus += want->nano_cpus;
	node->view.used_memory += want->memory;
	cluster->reservations[cluster->reservations_len++] = reservation;
	return reservation;
}

struct node *reservation_node(const struct reservation *reservation)
{
	return reservation->node;
}

static struct cluster *cluster_make(void)
{
	struct cluster *cluster = xcalloc(1, sizeof(*cluster));

	for (int i = 0; i < NODES; i++) {
		struct node *node = &cluster->nodes[i];

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
		cluster->list[i] = node;
	}
	return cluster;
}

static void cluster_destroy(struct cluster *cluster)
{
	for (size_t i = 0; i < cluster->reservations_len; i++)
		free(cluster->reservations[i]);
	free(cluster);
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

/* The number (1 to NODES) of the node that is picked, or 0 with err. */
static int pick(struct scheduler *scheduler, const struct cluster *cluster,
	const struct placement *placement, struct err *err)
{
	const struct node *node = scheduler_pick(scheduler, cluster, placement, NULL, err);

	return node == NULL ? 0 : (int)(node - cluster->nodes) + 1;
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
	struct cluster *cluster = cluster_make();
	struct err err = ERR_INIT;

	(void)state;
	cluster->nodes[1].view.labels = (struct view_labels){disk, 1};
	cluster->nodes[2].view.labels = (struct view_labels){both, 2};
	cluster->nodes[4].view.labels = (struct view_labels){both, 2};
	for (int i = 0; i < 4; i++)
		assert_int_equal(pick(scheduler, cluster, &placement, &err), 3);
	/* The best node is down: the next best. */
	cluster->nodes[2].view.is_healthy = false;
	assert_int_equal(pick(scheduler, cluster, &placement, &err), 2);
	/* A wish is never a reason to refuse, nor for a node without room. */
	cluster->nodes[1].view.used_memory = 8 * GIB;
	assert_int_equal(pick(scheduler, cluster, &placement, &err), 2);
	{
		struct placement with_memory = placement;

		with_memory.want.memory = GIB;
		assert_in_set(pick(scheduler, cluster, &with_memory, &err),
			((const unsigned long[]){1, 4}), 2);
	}
	cluster_destroy(cluster);
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
	struct cluster *cluster = cluster_make();
	struct err err = ERR_INIT;

	(void)state;
	cluster->nodes[3].held[0] = &web;
	cluster->nodes[3].view.containers_len = 1;
	assert_int_equal(pick(scheduler, cluster, &placement, &err), 4);
	cluster_destroy(cluster);
	scheduler_free(scheduler);
}

static void expect_no_node(struct scheduler *scheduler, const struct cluster *cluster,
	const struct placement *placement, const char *message)
{
	struct err err = ERR_INIT;

	assert_int_equal(pick(scheduler, cluster, placement, &err), 0);
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
	struct cluster *cluster = cluster_make();

	(void)state;
	expect_no_node(scheduler, cluster, &placement,
		"Unable to find a node that satisfies the following conditions "
		"\n[available container slots]\n[node==x rack==/^r/]"
		"\nconstraint: 5 of 5 nodes removed (node==x does not hold: "
		"node1, node2, node3, node4, node5)");

	cluster->nodes[1].view.is_healthy = false;
	for (int i = 2; i < NODES; i++) {
		cluster->nodes[i].held[0] = &taken;
		cluster->nodes[i].view.containers_len = 1;
	}
	terms[0] = "node!=node1";
	placement.constraints_len = 1;
	placement.want.ports = &port;
	placement.want.ports_len = 1;
	expect_no_node(scheduler, cluster, &placement,
		"Unable to find a node that satisfies the following conditions "
		"\n[port 80 (Bridge mode)]\n[available container slots]\n[node!=node1]"
		"\nhealth: 1 of 5 nodes removed (not healthy: node2)"
		"\nport: 3 of 5 nodes removed (port 80/tcp is taken: node3, node4, node5)"
		"\nconstraint: 1 of 5 nodes removed (node!=node1 does not hold: node1)");

	/* The filters behind the last that removed a node are not listed. */
	placement.constraints_len = 0;
	cluster->nodes[0].held[0] = &taken;
	cluster->nodes[0].view.containers_len = 1;
	expect_no_node(scheduler, cluster, &placement,
		"Unable to find a node that satisfies the following conditions "
		"\n[port 80 (Bridge mode)]"
		"\nhealth: 1 of 5 nodes removed (not healthy: node2)"
		"\nport: 4 of 5 nodes removed (port 80/tcp is taken: node1, node3, node4, node5)");

	for (int i = 0; i < NODES; i++)
		cluster->nodes[i].view.is_healthy = false;
	expect_no_node(scheduler, cluster, &placement,
		"No healthy node available in the cluster"
		"\nhealth: 5 of 5 nodes removed (not healthy: node1, node2, node3, node4, node5)");
	cluster_destroy(cluster);
	scheduler_free(scheduler);
}

static void test_report_of_resources(void **state)
{
	struct placement placement = {.want = {.memory = 16 * GIB}};
	struct scheduler *scheduler = a_scheduler("random");
	struct cluster *cluster = cluster_make();

	(void)state;
	cluster->nodes[0].view.is_healthy = false;
	cluster->nodes[1].view.used_memory = 100 * GIB;
	cluster->nodes[2].view.used_nano_cpus = CPU / 2;
	expect_no_node(scheduler, cluster, &placement,
		"no resources available to schedule container: it asks for 16 GiB of memory; "
		"the most left on one node is 4 CPUs, and 8 GiB"
		"\nhealth: 1 of 5 nodes removed (not healthy: node1)"
		"\nresources: 4 of 5 nodes removed (too little CPU or memory left: node2, node3, "
		"node4, node5)");
	placement.want = (struct container_view){.nano_cpus = 9 * CPU / 2};
	for (int i = 3; i < NODES; i++)
		cluster->nodes[i].view.is_healthy = false;
	expect_no_node(scheduler, cluster, &placement,
		"no resources available to schedule container: it asks for 4.5 CPUs; "
		"the most left on one node is 4 CPUs, and 8 GiB"
		"\nhealth: 3 of 5 nodes removed (not healthy: node1, node4, node5)"
		"\nresources: 2 of 5 nodes removed (too little CPU or memory left: node2, node3)");
	cluster_destroy(cluster);
	scheduler_free(scheduler);
}

static void test_no_nodes_at_all(void **state)
{
	struct scheduler *scheduler = a_scheduler("spread");
	const struct placement placement = {0};
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(scheduler_select(scheduler, NULL, 0, &placement, NULL, &err), -1);
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
	assert_int_equal(scheduler_select(scheduler, list, MANY, &placement, NULL, &err), -1);
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
	struct cluster *cluster = cluster_make();
	const struct placement placement = {0};
	struct str_list excluded = {0};
	bool seen[NODES] = {false};
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < NODES; i++) {
		const struct node *node =
			scheduler_pick(scheduler, cluster, &placement, &excluded, &err);

		assert_non_null(node);
		assert_false(seen[node - cluster->nodes]);
		seen[node - cluster->nodes] = true;
		str_list_add(&excluded, node->id);
	}
	assert_null(scheduler_pick(scheduler, cluster, &placement, &excluded, &err));
	assert_int_equal(err.code, ERR_NO_NODE);
	assert_non_null(strstr(err.msg,
		"\nretry: 5 of 5 nodes removed (the engine refused this container: node1, "));
	str_list_free(&excluded);
	cluster_destroy(cluster);
	scheduler_free(scheduler);
}

/* Without the health filter an unhealthy node may be chosen, but not one that never answered. */
static void test_unknown_nodes(void **state)
{
	struct str_list filters = {0};
	const struct scheduler_config config = {.filters = &filters, .env = env_system()};
	struct cluster *cluster = cluster_make();
	const struct placement placement = {0};
	struct err err = ERR_INIT;
	struct scheduler *scheduler;

	(void)state;
	str_list_add(&filters, "port");
	scheduler = scheduler_new(&config, &err);
	assert_non_null(scheduler);
	for (int i = 0; i < NODES; i++) {
		cluster->nodes[i].view.is_healthy = false;
		if (i != 3)
			cluster->nodes[i].view.engine_id = "";
	}
	assert_int_equal(pick(scheduler, cluster, &placement, &err), 4);
	cluster->nodes[3].view.engine_id = "";
	assert_int_equal(pick(scheduler, cluster, &placement, &err), 0);
	assert_true(str_has_prefix(err.msg, "No healthy node available in the cluster"));
	str_list_free(&filters);
	cluster_destroy(cluster);
	scheduler_free(scheduler);
}

/* One bad request after the other changes nothing for the good one. */
static void test_bad_expressions_change_nothing(void **state)
{
	static const char *const bad[] = {
		"node==/", "node==/x(/", "n==1", "node", "node==/(a{999}){999}/"};
	struct scheduler *scheduler = a_scheduler("spread");
	struct cluster *cluster = cluster_make();
	const struct placement good = {0};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		const struct placement placement = {
			.constraints = &bad[(size_t)i % ARRAY_LEN(bad)], .constraints_len = 1};
		struct err err = ERR_INIT;

		assert_int_equal(pick(scheduler, cluster, &placement, &err), 0);
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.msg, bad[(size_t)i % ARRAY_LEN(bad)]));
	}
	assert_int_equal(pick(scheduler, cluster, &good, NULL), 1);
	cluster_destroy(cluster);
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
	assert_int_equal(scheduler_select(scheduler, list, MANY, &placement, NULL, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "too much work"));
	placement.constraints = &usual;
	assert_int_equal(scheduler_select(scheduler, list, MANY, &placement, NULL, &err), 0);
	scheduler_free(scheduler);
}

/* ---- Through create requests and reservations ---- */

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

/* Creates that are in flight at once, again and again: each sees what the others reserved. */
static void test_one_port_on_five_nodes(void **state)
{
	struct scheduler *scheduler = a_scheduler("spread");

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct cluster *cluster = cluster_make();
		struct create_request *request =
			a_create("{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":"
				 "[{\"HostPort\":\"8080\"}]}}}",
				NULL);
		bool seen[NODES] = {false};
		struct err err = ERR_INIT;

		for (int i = 0; i < NODES; i++) {
			const struct reservation *got =
				scheduler_place(scheduler, cluster, request, NULL, &err);

			assert_non_null(got);
			assert_false(seen[got->node - cluster->nodes]);
			seen[got->node - cluster->nodes] = true;
		}
		assert_null(scheduler_place(scheduler, cluster, request, NULL, &err));
		assert_int_equal(err.code, ERR_NO_NODE);
		create_request_free(request);
		cluster_destroy(cluster);
	}
	scheduler_free(scheduler);
}

static void place_evenly(const char *body)
{
	struct scheduler *scheduler = a_scheduler("spread");
	struct cluster *cluster = cluster_make();
	struct err err = ERR_INIT;
	size_t least = SIZE_MAX;
	size_t most = 0;

	for (int i = 0; i < 1000; i++) {
		struct create_request *request = a_create(body, NULL);

		assert_non_null(scheduler_place(scheduler, cluster, request, NULL, &err));
		/* The fake keeps pointers into the request for no longer than it lives. */
		cluster->reservations[i]->view.name = "";
		cluster->reservations[i]->view.labels = (struct view_labels){NULL, 0};
		create_request_free(request);
	}
	for (int i = 0; i < NODES; i++) {
		size_t count = cluster->nodes[i].view.containers_len;

		least = count < least ? count : least;
		most = count > most ? count : most;
	}
	assert_true(most - least <= 1);
	cluster_destroy(cluster);
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
	struct cluster *cluster = cluster_make();
	struct create_request *request = a_create("{}", "web");
	struct err err = ERR_INIT;

	(void)state;
	assert_non_null(scheduler_place(scheduler, cluster, request, NULL, &err));
	for (int i = 0; i < 99; i++) {
		assert_null(scheduler_place(scheduler, cluster, request, NULL, &err));
		assert_int_equal(err.code, ERR_CONFLICT);
	}
	create_request_free(request);
	cluster_destroy(cluster);
	scheduler_free(scheduler);
}

/* CPUs run out before memory does: with -c as a number of CPUs. */
static void test_cpus_run_out(void **state)
{
	struct scheduler *scheduler = a_scheduler("binpack");
	struct cluster *cluster = cluster_make();
	struct create_request *request = a_create("{\"HostConfig\":{\"CpuShares\":2}}", NULL);
	struct err err = ERR_INIT;

	(void)state;
	for (int i = 0; i < 2 * NODES; i++) {
		const struct reservation *got =
			scheduler_place(scheduler, cluster, request, NULL, &err);

		assert_non_null(got);
		assert_int_equal(got->node - cluster->nodes, i / 2);
	}
	assert_null(scheduler_place(scheduler, cluster, request, NULL, &err));
	assert_int_equal(err.code, ERR_NO_NODE);
	assert_true(str_has_prefix(err.msg, "no resources available to schedule container"));
	create_request_free(request);
	cluster_destroy(cluster);
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
		cmocka_unit_test(test_one_port_on_five_nodes),
		cmocka_unit_test(test_a_thousand_creates),
		cmocka_unit_test(test_name_conflict),
		cmocka_unit_test(test_cpus_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
