/* Where networks, volumes and projects are, and what is promised of them. */
#include "cluster/record.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/unit/cluster_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PROJECT "'Labels': {'" PROJECT_LABEL "': "

struct three {
	struct fixture *fx;
	struct node *one, *two, *three;
};

static struct three three_new(void)
{
	struct three t = {.fx = fixture_new(0)};

	t.one = fixture_node(t.fx, "n1", "10.0.0.1:2375");
	t.two = fixture_node(t.fx, "n2", "10.0.0.2:2375");
	t.three = fixture_node(t.fx, "n3", "10.0.0.3:2375");
	return t;
}

static void put_networks(struct node *node, const char *text)
{
	CLEANUP_JSON json_t *answer = fixture_json(text);

	assert_int_equal(inventory_networks_replace(node, fixture_ref(answer), NULL, NULL), 0);
}

static void put_volumes(struct node *node, const char *text)
{
	CLEANUP_JSON json_t *answer = fixture_json(text);

	assert_int_equal(inventory_volumes_replace(node, fixture_ref(answer), NULL, NULL), 0);
}

/* An image of that tag, and with that project's label if it is not NULL. */
static void put_image(struct node *node, const char *tag, const char *project)
{
	CLEANUP_FREE char *id = xasprintf("sha256:%s", fixture_id("1"));
	CLEANUP_JSON json_t *answer = json_pack("[{s:s, s:[s], s:{s:s*}}]", "Id", id, "RepoTags",
		tag, "Labels", PROJECT_LABEL, project);

	assert_int_equal(inventory_images_replace(node, fixture_ref(answer), NULL, NULL), 0);
}

/* The names of the nodes, with blanks between them. */
static const char *names(struct node **nodes_take, size_t len)
{
	static char text[64];

	text[0] = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? " " : "",
			node_view(nodes_take[i])->name);
	free(nodes_take);
	return text;
}

static const char *networks(const struct three *t, const char *key)
{
	size_t len;
	struct node **nodes = cluster_network_nodes(&t->fx->cluster, key, &len);

	return names(nodes, len);
}

static const char *volumes(const struct three *t, const char *name)
{
	size_t len;
	struct node **nodes = cluster_volume_nodes(&t->fx->cluster, name, &len);

	return names(nodes, len);
}

static const char *home(const struct three *t, const char *project)
{
	struct node *node = cluster_project_home(&t->fx->cluster, project);

	return node ? node_view(node)->name : "none";
}

static void test_networks(void **state)
{
	struct three t = three_new();

	(void)state;
	put_networks(t.one, "[{'Id': 'aaaa11111111ffff', 'Name': 'back', 'Scope': 'local'},"
			    " {'Id': 'cccc', 'Name': 'wide', 'Scope': 'global'}]");
	put_networks(t.three, "[{'Id': 'bbbb', 'Name': 'back', 'Scope': 'local'},"
			      " {'Id': 'b2b2', 'Name': 'back', 'Scope': 'local'},"
			      " {'Id': 'cccc', 'Name': 'wide', 'Scope': 'global'}]");
	assert_string_equal(networks(&t, "back"), "n1 n3");
	assert_string_equal(networks(&t, "bbbb"), "n3");
	assert_string_equal(networks(&t, "aaaa11111111"), "n1");
	assert_string_equal(networks(&t, "aaaa"), "");
	assert_string_equal(networks(&t, "wide"), "");
	assert_string_equal(networks(&t, "cccc"), "");
	assert_string_equal(networks(&t, "nope"), "");
	assert_string_equal(networks(&t, ""), "");
	/* A node that is down still has them. */
	inventory_node_set_health(t.one, false);
	assert_string_equal(networks(&t, "back"), "n1 n3");
	assert_true(cluster_network_is_taken(&t.fx->cluster, "back", NULL));
	assert_true(cluster_network_is_taken(&t.fx->cluster, "back", t.one));
	assert_false(cluster_network_is_taken(&t.fx->cluster, "back", t.two));
	assert_true(cluster_network_is_taken(&t.fx->cluster, "back", t.three));
	assert_false(cluster_network_is_taken(&t.fx->cluster, "bac", NULL));
	assert_string_equal(cluster_network_on(t.one, "back")->id, "aaaa11111111ffff");
	assert_string_equal(cluster_network_on(t.one, "aaa")->name, "back");
	assert_string_equal(cluster_network_on(t.one, "cccc")->name, "wide");
	assert_null(cluster_network_on(t.one, "bbbb"));
	assert_null(cluster_network_on(t.one, "aa"));
	assert_null(cluster_network_on(t.two, "back"));
	assert_null(cluster_network_on(t.two, ""));
	inventory_node_remove(t.three);
	assert_string_equal(networks(&t, "back"), "n1");
	fixture_free(t.fx);
}

static void test_volumes(void **state)
{
	struct three t = three_new();

	(void)state;
	put_volumes(t.two, "{'Volumes': [{'Name': 'data', 'Scope': 'local'},"
			   " {'Name': 'nfs', 'Scope': 'global'}]}");
	put_volumes(t.one, "{'Volumes': [{'Name': 'data', 'Scope': 'local'}]}");
	assert_string_equal(volumes(&t, "data"), "n1 n2");
	assert_string_equal(volumes(&t, "nfs"), "");
	assert_string_equal(volumes(&t, "dat"), "");
	assert_ptr_equal(cluster_volume_on(t.two, "nfs")->node, t.two);
	assert_null(cluster_volume_on(t.one, "nfs"));
	assert_null(cluster_volume_on(t.three, "data"));
	put_volumes(t.one, "{'Volumes': null}");
	assert_string_equal(volumes(&t, "data"), "n2");
	fixture_free(t.fx);
}

static void test_promises(void **state)
{
	struct three t = three_new();
	struct cluster *cluster = &t.fx->cluster;
	struct err err = ERR_INIT;
	struct promise *network =
		cluster_promise(cluster, PROMISE_NETWORK, t.two, "back", "shop", &err);
	struct promise *volume = cluster_promise(cluster, PROMISE_VOLUME, t.one, "data", "", &err);
	struct promise *again = cluster_promise(cluster, PROMISE_VOLUME, t.one, "data", "", &err);

	(void)state;
	assert_string_equal(networks(&t, "back"), "n2");
	assert_string_equal(volumes(&t, "back"), "");
	assert_string_equal(volumes(&t, "data"), "n1");
	assert_string_equal(home(&t, "shop"), "n2");
	assert_true(cluster_network_is_taken(cluster, "back", NULL));
	assert_false(cluster_network_is_taken(cluster, "data", NULL));
	assert_false(cluster_network_is_taken(cluster, "back", t.one));
	promise_free(volume);
	assert_string_equal(volumes(&t, "data"), "n1");
	/* The record comes before the promise goes. */
	put_networks(t.two, "[{'Id': 'aaaa', 'Name': 'back', 'Scope': 'local'}]");
	assert_string_equal(networks(&t, "back"), "n2");
	promise_free(network);
	assert_string_equal(networks(&t, "back"), "n2");
	assert_string_equal(home(&t, "shop"), "none");
	/* The node goes first, then the cluster. */
	inventory_node_remove(t.one);
	assert_string_equal(volumes(&t, "data"), "");
	inventory_sweep(&cluster->inventory);
	assert_string_equal(node_view(promise_node(again))->name, "n1");
	fixture_free(t.fx);
	assert_null(promise_node(again));
	promise_free(again);
	promise_free(NULL);
}

/* The engine did not answer: the name is promised until a list shows it, or one that was asked for
 * late enough does not. */
static void test_promises_left(void **state)
{
	struct three t = three_new();
	struct cluster *cluster = &t.fx->cluster;
	struct inventory *inventory = &cluster->inventory;
	struct node **nodes;
	size_t len;

	(void)state;
	promise_leave(cluster_promise(cluster, PROMISE_NETWORK, t.two, "back", "", NULL));
	promise_leave(cluster_promise(cluster, PROMISE_VOLUME, t.one, "data", "", NULL));
	inventory_part_told(t.two, NODE_NETWORKS, inventory_ask(inventory));
	assert_true(cluster_network_is_taken(cluster, "back", NULL));
	t.fx->now_ms += 60000;
	inventory_tick(inventory);
	inventory_part_told(t.two, NODE_VOLUMES, inventory_ask(inventory));
	inventory_part_told(t.one, NODE_NETWORKS, inventory_ask(inventory));
	assert_true(cluster_network_is_taken(cluster, "back", NULL));
	inventory_part_told(t.two, NODE_NETWORKS, inventory_ask(inventory));
	assert_false(cluster_network_is_taken(cluster, "back", NULL));
	nodes = cluster_volume_nodes(cluster, "data", &len);
	assert_string_equal(names(nodes, len), "n1");
	inventory_part_told(t.one, NODE_VOLUMES, inventory_ask(inventory));
	nodes = cluster_volume_nodes(cluster, "data", &len);
	assert_string_equal(names(nodes, len), "");
	/* It is there: the name is the network's, and free when that goes. */
	promise_leave(cluster_promise(cluster, PROMISE_NETWORK, t.two, "back", "", NULL));
	put_networks(t.two, "[{'Id': 'b2', 'Name': 'back', 'Scope': 'local'}]");
	inventory_part_told(t.two, NODE_NETWORKS, inventory_ask(inventory));
	put_networks(t.two, "[]");
	assert_false(cluster_network_is_taken(cluster, "back", NULL));
	/* The node goes down, leaves; time passes; the cluster goes. */
	promise_leave(cluster_promise(cluster, PROMISE_NETWORK, t.two, "back", "", NULL));
	inventory_node_set_health(t.two, false);
	inventory_part_told(t.two, NODE_NETWORKS, inventory_ask(inventory));
	assert_false(cluster_network_is_taken(cluster, "back", NULL));
	promise_leave(cluster_promise(cluster, PROMISE_NETWORK, t.one, "back", "", NULL));
	t.fx->now_ms += RESERVATION_TTL_MS;
	inventory_tick(inventory);
	assert_false(cluster_network_is_taken(cluster, "back", NULL));
	promise_leave(cluster_promise(cluster, PROMISE_NETWORK, t.one, "back", "", NULL));
	inventory_node_remove(t.one);
	assert_false(cluster_network_is_taken(cluster, "back", NULL));
	promise_leave(cluster_promise(cluster, PROMISE_NETWORK, t.three, "back", "", NULL));
	fixture_free(t.fx);
}

static void put_container(struct node *node, const char *name, const char *project)
{
	CLEANUP_JSON json_t *entry =
		json_pack("{s:s, s:i, s:[s], s:s, s:{s:s*}}", "Id", fixture_id("5"), "Created", 1,
			"Names", name, "State", "running", "Labels", PROJECT_LABEL, project);
	struct err err = ERR_INIT;
	struct container *container = fixture_record(node, entry, NULL, &err);

	assert_non_null(container);
	inventory_container_put(container);
}

/* From the weakest sign to the strongest: each is added, and decides. */
static void test_project_home(void **state)
{
	struct three t = three_new();

	(void)state;
	assert_string_equal(home(&t, "shop"), "none");
	assert_string_equal(home(&t, ""), "none");
	put_image(t.one, "shop:latest", NULL);
	put_image(t.three, "shops_web:latest", NULL);
	assert_string_equal(home(&t, "shop"), "none");
	put_image(t.three, "shop-web:latest", NULL);
	assert_string_equal(home(&t, "shop"), "n3");
	/* One that several nodes have says nothing. */
	put_image(t.one, "shop-web:latest", NULL);
	assert_string_equal(home(&t, "shop"), "none");
	put_image(t.one, "any:latest", "shop");
	assert_string_equal(home(&t, "shop"), "n1");
	put_container(t.two, "/shop_web_1", NULL);
	assert_string_equal(home(&t, "shop"), "n2");
	put_container(t.three, "/other", "shop");
	assert_string_equal(home(&t, "shop"), "n3");
	put_volumes(t.one, "{'Volumes': [{'Name': 'shop_data', 'Scope': 'global'}]}");
	assert_string_equal(home(&t, "shop"), "n3");
	put_volumes(t.one, "{'Volumes': [{'Name': 'shop_data', 'Scope': 'local'}]}");
	assert_string_equal(home(&t, "shop"), "n1");
	put_volumes(t.two, "{'Volumes': [{'Name': 'x', 'Scope': 'local', " PROJECT "'shop'}}]}");
	assert_string_equal(home(&t, "shop"), "n2");
	put_networks(t.three, "[{'Id': 'aaaa', 'Name': 'shop_default', 'Scope': 'local'}]");
	assert_string_equal(home(&t, "shop"), "n3");
	/* Two on one node; one of them goes. */
	put_networks(t.one, "[{'Id': 'bbbb', 'Name': 'x', 'Scope': 'local', " PROJECT "'shop'}},"
			    " {'Id': 'cccc', 'Name': 'y', 'Scope': 'local', " PROJECT "'shop'}}]");
	assert_string_equal(home(&t, "shop"), "n1");
	put_networks(t.one, "[{'Id': 'cccc', 'Name': 'y', 'Scope': 'local', " PROJECT "'shop'}}]");
	assert_string_equal(home(&t, "shop"), "n1");
	inventory_node_set_health(t.one, false);
	assert_string_equal(home(&t, "shop"), "n3");
	fixture_free(t.fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_promises),
		cmocka_unit_test(test_promises_left),
		cmocka_unit_test(test_project_home),
	};

	return cmocka_run_group_tests_name("cluster places", tests, NULL, NULL);
}
