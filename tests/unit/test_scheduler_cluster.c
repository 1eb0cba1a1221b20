/* The scheduler over the real inventory: what is reserved is seen by the next request, whatever
 * becomes of it afterwards. */
#include "lib/json.h"
#include "lib/log.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"
#include "tests/unit/cluster_fixture.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define NODES 5

struct setup {
	struct fixture *fixture;
	struct scheduler *scheduler;
	struct node *nodes[NODES];
};

static void setup_make(struct setup *setup)
{
	struct scheduler_config config = {.strategy = "spread"};
	char name[16], addr[32];

	setup->fixture = fixture_new(0.0);
	config.env = &setup->fixture->env;
	setup->scheduler = scheduler_new(&config, NULL);
	assert_non_null(setup->scheduler);
	for (int i = 0; i < NODES; i++) {
		snprintf(name, sizeof(name), "node%d", i % 9 + 1);
		snprintf(addr, sizeof(addr), "10.0.0.%d:2375", i % 9 + 1);
		setup->nodes[i] = fixture_node(setup->fixture, name, addr);
	}
}

static void setup_clear(struct setup *setup)
{
	scheduler_free(setup->scheduler);
	fixture_free(setup->fixture);
}

/* Creates a container from this body (' for "), as far as the reservation. */
static struct reservation *place(
	struct setup *setup, const char *body, const char *name, struct err *err)
{
	CLEANUP_JSON json_t *json = fixture_json(body);
	const struct create_options options = {.name = name};
	struct create_request *request = create_request_new(json, &options, err);
	struct reservation *reservation;

	if (request == NULL)
		fail_msg("%s", err->msg);
	reservation =
		scheduler_place(setup->scheduler, &setup->fixture->cluster, request, NULL, err);
	/* The reservation keeps nothing of the request. */
	create_request_free(request);
	return reservation;
}

static void test_one_port(void **state)
{
	static const char body[] =
		"{'HostConfig': {'PortBindings': {'80/tcp': [{'HostPort': '80'}]}}}";
	struct reservation *held[NODES];
	struct setup setup;

	(void)state;
	setup_make(&setup);
	for (int round = 0; round < 50; round++) {
		struct err err = ERR_INIT;

		for (int i = 0; i < NODES; i++) {
			held[i] = place(&setup, body, NULL, &err);
			assert_non_null(held[i]);
			for (int j = 0; j < i; j++)
				assert_ptr_not_equal(
					reservation_node(held[i]), reservation_node(held[j]));
		}
		assert_null(place(&setup, body, NULL, &err));
		assert_int_equal(err.code, ERR_NO_NODE);
		assert_non_null(
			strstr(err.msg, "port: 5 of 5 nodes removed (port 80/tcp is taken"));
		for (int i = 0; i < NODES; i++)
			reservation_cancel(held[i]);
	}
	setup_clear(&setup);
}

static void test_one_name(void **state)
{
	struct reservation *first;
	struct err err = ERR_INIT;
	struct setup setup;

	(void)state;
	setup_make(&setup);
	first = place(&setup, "{}", "web", &err);
	assert_non_null(first);
	for (int i = 0; i < 99; i++) {
		assert_null(place(&setup, "{}", "web", &err));
		assert_int_equal(err.code, ERR_CONFLICT);
		assert_non_null(strstr(err.msg, "Conflict: The name web is already assigned."));
	}
	reservation_cancel(first);
	first = place(&setup, "{}", "web", &err);
	assert_non_null(first);
	reservation_cancel(first);
	setup_clear(&setup);
}

/* Reservations that become containers: nothing is counted twice or forgotten on the way. */
static void test_a_thousand_containers(void **state)
{
	size_t least = SIZE_MAX, most = 0;
	struct setup setup;

	(void)state;
	setup_make(&setup);
	for (int i = 0; i < 1000; i++) {
		struct err err = ERR_INIT;
		char id[16], name[16];
		struct reservation *reservation;

		snprintf(id, sizeof(id), "%x", 0x1000000 + i);
		snprintf(name, sizeof(name), "web%d", i);
		reservation = place(&setup, "{'HostConfig': {'Memory': 1048576}}", name, &err);
		if (reservation == NULL)
			fail_msg("container %d: %s", i, err.msg);
		if (i % 3 > 0)
			fixture_put(reservation_node(reservation),
				&(struct sketch){.id = id, .name = name, .memory = 1048576});
		else
			fixture_put(reservation_node(reservation), &(struct sketch){.id = id,
									   .name = name,
									   .memory = 1048576,
									   .state = "exited"});
		reservation_commit(reservation);
	}
	for (int i = 0; i < NODES; i++) {
		const struct node_view *view = node_view(setup.nodes[i]);

		assert_int_equal(view->used_memory, view->containers_len * 1048576);
		least = view->containers_len < least ? view->containers_len : least;
		most = view->containers_len > most ? view->containers_len : most;
	}
	assert_true(most - least <= 1);
	setup_clear(&setup);
}

/* -c as a number of CPUs comes back from the engine's weight as the same number. */
static void test_cpus(void **state)
{
	struct reservation *held[2 * NODES];
	struct err err = ERR_INIT;
	struct setup setup;

	(void)state;
	setup_make(&setup);
	for (int i = 0; i < 2 * NODES; i++) {
		held[i] = place(&setup, "{'HostConfig': {'CpuShares': 2}}", NULL, &err);
		assert_non_null(held[i]);
	}
	assert_null(place(&setup, "{'HostConfig': {'CpuShares': 1}}", NULL, &err));
	assert_true(str_has_prefix(err.msg, "no resources available to schedule container"));
	for (int i = 0; i < 2 * NODES; i++)
		reservation_cancel(held[i]);
	setup_clear(&setup);
}

static void put_parts(struct node *node, const char *networks, const char *volumes)
{
	CLEANUP_JSON json_t *list = fixture_json(networks);
	CLEANUP_JSON json_t *answer = fixture_json(volumes);

	assert_int_equal(inventory_networks_replace(node, fixture_ref(list), NULL, NULL), 0);
	assert_int_equal(inventory_volumes_replace(node, fixture_ref(answer), NULL, NULL), 0);
}

/* The names of the nodes that five creates of this body come to, or the error. */
static const char *where(struct setup *setup, const char *body)
{
	static char text[1100];
	struct reservation *held[NODES];
	struct err err = ERR_INIT;
	int len = 0;

	while (len < NODES && (held[len] = place(setup, body, NULL, &err)) != NULL)
		len++;
	snprintf(text, sizeof(text), "%s", len < NODES ? err.msg : "");
	for (int i = 0; i < NODES && len == NODES; i++) {
		int count = 0;

		for (int j = 0; j < NODES; j++)
			count += reservation_node(held[j]) == setup->nodes[i];
		if (count > 0)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
				node_view(setup->nodes[i])->name);
	}
	while (len > 0)
		reservation_cancel(held[--len]);
	return text;
}

/* Volumes and networks that only some nodes have draw the container there. */
static void test_places(void **state)
{
	struct setup setup;

	(void)state;
	setup_make(&setup);
	put_parts(setup.nodes[1],
		"[{'Id':'a','Name':'back','Scope':'local'},{'Id':'c','Name':'wide','Scope':'swarm'}"
		"]",
		"{'Volumes':[{'Name':'data','Scope':'local'},{'Name':'nfs','Scope':'global'}]}");
	put_parts(setup.nodes[3], "[{'Id':'b','Name':'back','Scope':'local'}]",
		"{'Volumes':[{'Name':'logs','Scope':'local'},{'Name':'data','Scope':'local'}]}");
	assert_string_equal(where(&setup, "{'HostConfig':{'Binds':['logs:/x']}}"), "node4 ");
	assert_string_equal(where(&setup, "{'HostConfig':{'Binds':['data:/x']}}"), "node2 node4 ");
	assert_string_equal(where(&setup, "{'HostConfig':{'NetworkMode':'back','Mounts':"
					  "[{'Type':'volume','Source':'logs'}]}}"),
		"node4 ");
	/* Everywhere, or nowhere yet. */
	assert_string_equal(
		where(&setup, "{'HostConfig':{'NetworkMode':'wide','Binds':['nfs:/x','new:/y']}}"),
		"node1 node2 node3 node4 node5 ");
	/* The node that is named, whoever else has one of the name. */
	assert_string_equal(where(&setup, "{'HostConfig':{'Binds':['node1/logs:/x']}}"), "node1 ");
	assert_string_equal(where(&setup, "{'HostConfig':{'NetworkMode':'node4/back'}}"), "node4 ");
	/* Two that are on no node together. */
	assert_string_equal(where(&setup, "{'HostConfig':{'NetworkMode':'a','Binds':['logs:/x']}}"),
		"Unable to find a node that satisfies the following conditions "
		"\n[available container slots]\n[--volume=logs --net=a]"
		"\ndependency: 5 of 5 nodes removed (--volume=logs is not there: node1, node2, "
		"node3, node5; --net=a is not there: node4)");
	/* A volume does not move away from a node that is down. */
	inventory_node_set_health(setup.nodes[3], false);
	assert_non_null(strstr(where(&setup, "{'HostConfig':{'Binds':['logs:/x']}}"),
		"health: 1 of 5 nodes removed"));
	setup_clear(&setup);
}

static void hold_image(struct setup *setup, int node, const char *name)
{
	CLEANUP_JSON json_t *answer = json_pack("[{s:s, s:[s]}]", "Id",
		"sha256:0123456789012345678901234567890123456789012345678901234567890123",
		"RepoTags", name);

	assert_int_equal(
		inventory_images_replace(setup->nodes[node], fixture_ref(answer), NULL, NULL), 0);
}

/* Which nodes take ten containers of this body, as digits of node names. */
static unsigned nodes_of_ten(struct setup *setup, const char *body)
{
	struct reservation *held[10];
	struct err err = ERR_INIT;
	unsigned nodes = 0;

	for (int i = 0; i < 10; i++) {
		held[i] = place(setup, body, NULL, &err);
		if (held[i] == NULL)
			fail_msg("%s: %s", body, err.msg);
		for (int node = 0; node < NODES; node++)
			nodes |= (reservation_node(held[i]) == setup->nodes[node]) << node;
	}
	for (int i = 0; i < 10; i++)
		reservation_cancel(held[i]);
	return nodes;
}

static void test_where_the_image_is(void **state)
{
	struct setup setup;

	(void)state;
	setup_make(&setup);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x1f);
	hold_image(&setup, 1, "app:latest");
	hold_image(&setup, 3, "app:latest");
	hold_image(&setup, 4, "app:other");
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x0a);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'docker.io/library/app:latest'}"), 0x0a);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app:other'}"), 0x10);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': '0123456789'}"), 0x1a);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app:none'}"), 0x1f);
	/* What the user asked for comes first, wished for or not. */
	assert_int_equal(
		nodes_of_ten(&setup, "{'Image': 'app', 'Env': ['constraint:node==/node[123]/']}"),
		0x02);
	assert_int_equal(
		nodes_of_ten(&setup, "{'Image': 'app', 'Env': ['constraint:node==node1']}"), 0x01);
	assert_int_equal(
		nodes_of_ten(&setup, "{'Image': 'app', 'Env': ['constraint:node==~node1']}"), 0x01);
	assert_int_equal(
		nodes_of_ten(&setup, "{'Image': 'app', 'Env': ['constraint:node!=~node4']}"), 0x02);
	setup_clear(&setup);
}

/* id: its last digit. digest: NULL = built here, and in no registry. */
static void hold_version(
	struct setup *setup, int node, char id, json_int_t created, const char *digest)
{
	CLEANUP_FREE char *full = xasprintf("sha256:%063d%c", 0, id);
	CLEANUP_JSON json_t *answer = json_pack("[{s:s, s:[s], s:I, s:[s*]}]", "Id", full,
		"RepoTags", "app:latest", "Created", created, "RepoDigests", digest);

	assert_int_equal(
		inventory_images_replace(setup->nodes[node], fixture_ref(answer), NULL, NULL), 0);
}

/* The nodes are read for the first time, and have nothing. */
static void list_nothing(struct setup *setup)
{
	CLEANUP_JSON json_t *answer = json_array();

	for (int i = 0; i < NODES; i++)
		assert_int_equal(
			inventory_images_replace(setup->nodes[i], fixture_ref(answer), NULL, NULL),
			0);
}

/* Each node had made its own before the cluster was: none of them is the last. */
static void test_where_each_has_its_own(void **state)
{
	struct setup setup;

	(void)state;
	setup_make(&setup);
	for (int i = 1; i < 4; i++)
		hold_version(&setup, i, (char)('a' + i), 1000 + i, NULL);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x0e);
	setup_clear(&setup);
}

/* The same while one of them is copied to another node. */
static void test_where_one_of_them_was_copied(void **state)
{
	struct setup setup;

	(void)state;
	setup_make(&setup);
	hold_version(&setup, 1, 'a', 1000, NULL);
	hold_version(&setup, 2, 'b', 2000, NULL);
	hold_version(&setup, 3, 'x', 1, NULL);
	hold_version(&setup, 3, 'b', 2000, NULL);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x0e);
	/* One is made again: it is the last, whatever its engine's clock says. */
	hold_version(&setup, 3, 'c', 1500, NULL);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x08);
	setup_clear(&setup);
}

/* A tag that was built again on another node means the last build; a registry's images count alike,
 * or one node that has pulled lately would get everything. */
static void test_where_the_last_build_is(void **state)
{
	static const char digest[] =
		"app@sha256:"
		"0123456789012345678901234567890123456789012345678901234567890123";
	struct setup setup;

	(void)state;
	setup_make(&setup);
	list_nothing(&setup);
	hold_version(&setup, 1, 'a', 1000, NULL);
	hold_version(&setup, 3, 'b', 2000, NULL);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x08);
	hold_version(&setup, 2, 'b', 2000, NULL);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x0c);
	for (int i = 0; i < NODES; i++)
		hold_version(&setup, i, (char)('a' + i), 1000 + i, NULL);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x10);
	hold_version(&setup, 0, 'f', 9000, digest);
	assert_int_equal(nodes_of_ten(&setup, "{'Image': 'app'}"), 0x1f);
	setup_clear(&setup);
}

/* The node that is about to get an image is preferred until some node has it. */
static void test_where_the_image_comes(void **state)
{
	CLEANUP_JSON json_t *json = fixture_json("{'Image': 'app'}");
	struct create_request *request = create_request_new(json, NULL, NULL);
	struct reservation *reservation;
	struct err err = ERR_INIT;
	struct setup setup;

	(void)state;
	setup_make(&setup);
	create_request_prefer_node(request, "gone");
	create_request_prefer_node(request, node_view(setup.nodes[2])->id);
	for (int i = 0; i < 3; i++) {
		reservation = scheduler_place(
			setup.scheduler, &setup.fixture->cluster, request, NULL, &err);
		assert_ptr_equal(reservation_node(reservation), setup.nodes[2]);
		reservation_cancel(reservation);
	}
	hold_image(&setup, 4, "app:latest");
	reservation =
		scheduler_place(setup.scheduler, &setup.fixture->cluster, request, NULL, &err);
	assert_ptr_equal(reservation_node(reservation), setup.nodes[4]);
	reservation_cancel(reservation);
	create_request_free(request);
	setup_clear(&setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_port),
		cmocka_unit_test(test_one_name),
		cmocka_unit_test(test_a_thousand_containers),
		cmocka_unit_test(test_where_the_image_is),
		cmocka_unit_test(test_where_each_has_its_own),
		cmocka_unit_test(test_where_one_of_them_was_copied),
		cmocka_unit_test(test_where_the_image_comes),
		cmocka_unit_test(test_where_the_last_build_is),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_places),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
