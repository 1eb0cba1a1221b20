/* Images, networks and volumes: from a real engine's lists, and from anything else. */
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

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- Images ---- */

#define DIGEST_A "aaa1111111111111111111111111111111111111111111111111111111111111"
#define DIGEST_B "aaa2222222222222222222222222222222222222222222222222222222222222"
#define DIGEST_C "cafe333333333333333333333333333333333333333333333333333333333333"

static void put_images(struct node *node, const char *text, size_t expect_bad)
{
	CLEANUP_JSON json_t *answer = fixture_json(text);
	size_t bad = 99;

	assert_int_equal(inventory_images_replace(node, fixture_ref(answer), &bad, NULL), 0);
	assert_int_equal(bad, expect_bad);
}

static size_t count_images(const struct fixture *fx, const char *reference)
{
	size_t len;

	free(cluster_images_find(&fx->cluster, reference, &len));
	return len;
}

static void test_images(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	struct cluster_totals totals;
	struct image **found;
	size_t len;

	(void)state;
	put_images(one,
		"[{'Id': 'sha256:" DIGEST_A "', 'RepoTags': ['nginx:latest', 'nginx:1.25'], "
		"'RepoDigests': ['nginx@sha256:" DIGEST_C "']}, {'Id': 'sha256:" DIGEST_C
		"', 'RepoTags': ['reg:5000/team/app:v1']}]",
		0);
	put_images(two,
		"[{'Id': 'sha256:" DIGEST_A
		"', 'RepoTags': ['nginx:1.25']}, {'Id': 'sha256:" DIGEST_B
		"', 'RepoTags': ['nginx:1.26', '<none>:<none>']}]",
		0);
	cluster_totals(&fx->cluster, &totals);
	assert_int_equal(totals.images, 3);
	assert_int_equal(node_view(one)->images_len, 2);
	assert_int_equal(node_view(two)->images[1]->names_len, 1);
	assert_int_equal(count_images(fx, "nginx"), 1);
	assert_int_equal(count_images(fx, "nginx:1.25"), 2);
	assert_int_equal(count_images(fx, "docker.io/library/nginx:1.25"), 2);
	assert_int_equal(count_images(fx, "library/nginx:1.26"), 1);
	assert_int_equal(count_images(fx, "nginx@sha256:" DIGEST_C), 1);
	assert_int_equal(count_images(fx, "nginx:1.25@sha256:" DIGEST_C), 1);
	assert_int_equal(count_images(fx, "reg:5000/team/app"), 1);
	assert_int_equal(count_images(fx, "reg"), 0);
	assert_int_equal(count_images(fx, "aaa1"), 2);
	assert_int_equal(count_images(fx, "aaa"), 0);
	assert_int_equal(count_images(fx, "caf"), 1);
	assert_int_equal(count_images(fx, "ca"), 0);
	assert_int_equal(count_images(fx, "sha256:cafe"), 1);
	assert_int_equal(count_images(fx, "sha256:" DIGEST_B), 1);
	assert_int_equal(count_images(fx, DIGEST_A), 2);
	assert_int_equal(count_images(fx, ""), 0);
	assert_int_equal(count_images(fx, "%s:@/:"), 0);
	inventory_node_set_health(one, false);
	found = cluster_images_find(&fx->cluster, "nginx:1.25", &len);
	assert_ptr_equal(found[0]->node, two);
	assert_ptr_equal(found[1]->node, one);
	free(found);
	cluster_totals(&fx->cluster, &totals);
	assert_int_equal(totals.images, 2);
	put_images(one, "[]", 0);
	inventory_node_set_health(one, true);
	cluster_totals(&fx->cluster, &totals);
	assert_int_equal(totals.images, 2);
	inventory_node_remove(two);
	cluster_totals(&fx->cluster, &totals);
	assert_int_equal(totals.images, 0);
	assert_null(fx->cluster.inventory.image_tallies);
	fixture_free(fx);
}

/* What an engine would find: no tag is latest, and two IDs are no answer. */
static void test_images_named(void **state)
{
	static const struct {
		const char *reference;
		size_t len;
		enum err_code code;
		const char *message;
	} table[] = {
		{"nginx", 0, ERR_NOT_FOUND, "No such image: nginx:latest"},
		{"nginx:1.25", 1, ERR_NONE, ""},
		{"docker.io/nginx:1.25", 1, ERR_NONE, ""},
		{"web", 1, ERR_NONE, ""},
		{"aaa1", 1, ERR_NONE, ""},
		{"aaa", 0, ERR_INVALID,
			"ambiguous reference: image ID aaa may be aaa1111111111111, "
			"aaa2222222222222"},
		{"sha256:aaa", 0, ERR_INVALID, "ambiguous reference: image ID sha256:aaa may be "},
		{"sha256:" DIGEST_C, 0, ERR_NOT_FOUND, "No such image: sha256:" DIGEST_C},
		{"docker.io/library/x@sha256:" DIGEST_C, 0, ERR_NOT_FOUND,
			"No such image: x@sha256:" DIGEST_C},
		{"reg:5000/x", 0, ERR_NOT_FOUND, "No such image: reg:5000/x:latest"},
	};
	struct fixture *fx = fixture_new(0);

	(void)state;
	put_images(fixture_node(fx, "n1", "10.0.0.1:2375"),
		"[{'Id': 'sha256:" DIGEST_A "', 'RepoTags': ['nginx:1.25']}, "
		"{'Id': 'sha256:" DIGEST_B "', 'RepoTags': ['web:latest']}]",
		0);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		size_t len;
		struct image **found =
			cluster_images_named(&fx->cluster, table[i].reference, &len, &err);

		assert_int_equal(len, table[i].len);
		assert_int_equal(err.code, table[i].code);
		assert_true(str_has_prefix(err.msg, table[i].message));
		assert_true((found == NULL) == (len == 0));
		free(found);
	}
	fixture_free(fx);
}

static void test_image_reference_familiar(void **state)
{
	static const char *const table[][2] = {
		{"nginx", "nginx:latest"},
		{"docker.io/library/nginx", "nginx:latest"},
		{"index.docker.io/team/app:1", "team/app:1"},
		{"library/nginx:1", "nginx:1"},
		{"reg:5000/app", "reg:5000/app:latest"},
		{"reg:5000/app:2@sha256:" DIGEST_A, "reg:5000/app@sha256:" DIGEST_A},
		{"sha256:" DIGEST_A, "sha256:" DIGEST_A},
		{DIGEST_A, DIGEST_A},
		{"", ":latest"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *name CLEANUP_FREE = image_reference_familiar(table[i][0]);

		assert_string_equal(name, table[i][1]);
	}
}

/* Without "latest" any tag will do, and an image with two of them is still one. */
static void test_images_any_tag(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");

	(void)state;
	put_images(node,
		"[{'Id': 'sha256:" DIGEST_A
		"', 'RepoTags': ['app:1', 'app:2']}, {'Id': 'sha256:" DIGEST_B
		"', 'RepoTags': ['app:5000/x:1', 'apple:1'], 'RepoDigests': ['app@sha256:" DIGEST_C
		"']}]",
		0);
	assert_int_equal(count_images(fx, "app"), 1);
	assert_int_equal(count_images(fx, "app:3"), 0);
	fixture_free(fx);
}

static void test_parts_hostile(void **state)
{
	static const char *const not_lists[] = {"{}", "null", "'x'", "7", "{'Volumes': 5}"};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct err err = ERR_INIT;
	size_t len;

	(void)state;
	put_images(node, "[{'Id': 'sha256:" DIGEST_A "', 'RepoTags': ['a:1']}]", 0);
	for (size_t i = 0; i < COUNT(not_lists); i++) {
		CLEANUP_JSON json_t *answer = fixture_json(not_lists[i]);

		assert_int_equal(
			inventory_images_replace(node, fixture_ref(answer), NULL, &err), -1);
		assert_int_equal(err.code, ERR_UPSTREAM);
		assert_int_equal(
			inventory_networks_replace(node, fixture_ref(answer), NULL, &err), -1);
		if (!json_is_object(answer) || i == 4)
			assert_int_equal(
				inventory_volumes_replace(node, fixture_ref(answer), NULL, &err),
				-1);
	}
	/* What was known is still known; then only the one good entry is. */
	assert_int_equal(count_images(fx, "a:1"), 1);
	put_images(node,
		"[null, 1, [], {}, {'Id': 5}, {'Id': 'sha256:xyz'}, {'Id': 'sha256:" DIGEST_A
		"', 'RepoTags': 'a:1'}, {'Id': 'sha256:" DIGEST_A "', 'RepoTags': [5]}, "
		"{'Id': 'sha256:" DIGEST_A "', 'Size': 'big'}, {'Id': 'sha256:" DIGEST_B
		"', 'RepoTags': null, 'RepoDigests': null, 'Labels': null, 'Size': 1}]",
		9);
	node_images(node, &len);
	assert_int_equal(len, 1);
	assert_int_equal(count_images(fx, "aaa2"), 1);
	fixture_free(fx);
}

/* Entries are kept as text and made values of later, by another library, that has to be able to:
 * what it cannot read is left out of them. */
static void test_parts_can_be_read_again(void **state)
{
	static const char text[] =
		"[{\"Id\":\"sha256:" DIGEST_A
		"\",\"Labels\":{\"a\\u0000b\":\"\",\"a\":\"\\u0000\"}},"
		"{\"Id\":\"sha256:" DIGEST_B "\",\"Size\":-9223372036854775808,\"Odd\":[1e300,"
		"{\"\\\"\\\\\\n\\ud83d\\ude00\":null,\"x\":1,\"x\":2},[],{},true,false,0.1]}]";
	struct json_reader *reader = json_reader_new();
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *entry = NULL, *wanted = NULL;
	size_t bad, len;

	(void)state;
	assert_int_equal(inventory_images_replace(
				 node, json_read(reader, text, sizeof(text) - 1, NULL), &bad, NULL),
		0);
	assert_int_equal(bad, 0);
	assert_string_equal(node_images(node, &len)[0]->text,
		"{\"Id\":\"sha256:" DIGEST_A "\",\"Labels\":{\"a\":\"\\u0000\"}}");
	assert_int_equal(len, 2);
	entry = entry_json(node_images(node, &len)[1]->text);
	wanted = json_loads("[1e300,{\"\\\"\\\\\\n\\ud83d\\ude00\":null,\"x\":2},[],{},true,false,"
			    "0.1]",
		0, NULL);
	assert_true(json_equal(json_object_get(entry, "Odd"), wanted));
	assert_int_equal(json_int(entry, "Size", 0), INT64_MIN);
	json_reader_free(reader);
	fixture_free(fx);
}

/* As most of a fleet's images are. */
static void test_images_that_are_told_alike_share_their_texts(void **state)
{
	static const char told[] = "[{'Id': 'sha256:" DIGEST_A "', 'RepoTags': ['a:1'], "
				   "'ParentId': 'sha256:" DIGEST_B "', 'Created': 7}]";
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	const struct image *a, *b;
	size_t len;

	(void)state;
	put_images(one, told, 0);
	put_images(two, told, 0);
	a = node_images(one, &len)[0];
	b = node_images(two, &len)[0];
	assert_ptr_equal(a->text, b->text);
	assert_ptr_equal(a->view.names[0], b->view.names[0]);
	assert_string_equal(b->parent_id, "sha256:" DIGEST_B);
	assert_int_equal(b->created, 7);
	assert_false(b->has_digests);
	/* They go with the last of them. */
	put_images(one, "[]", 0);
	inventory_sweep(&fx->cluster.inventory);
	assert_string_equal(b->view.names[0], "a:1");
	put_images(two, "[]", 0);
	inventory_sweep(&fx->cluster.inventory);
	assert_null(fx->cluster.inventory.strings);
	fixture_free(fx);
}

/* ---- Networks and volumes ---- */

static void put_networks(struct node *node, const char *text, size_t expect_bad)
{
	CLEANUP_JSON json_t *answer = fixture_json(text);
	size_t bad = 99;

	assert_int_equal(inventory_networks_replace(node, fixture_ref(answer), &bad, NULL), 0);
	assert_int_equal(bad, expect_bad);
}

static void put_volumes(struct node *node, const char *text, size_t expect_bad)
{
	CLEANUP_JSON json_t *answer = fixture_json(text);
	size_t bad = 99;

	assert_int_equal(inventory_volumes_replace(node, fixture_ref(answer), &bad, NULL), 0);
	assert_int_equal(bad, expect_bad);
}

static const struct node *network_node(
	const struct fixture *fx, const char *key, enum err_code *code)
{
	struct err err = ERR_INIT;
	const struct network *network = cluster_network_find(&fx->cluster, key, &err);

	*code = err.code;
	return network ? network->node : NULL;
}

static void test_networks(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	struct err err = ERR_INIT;
	enum err_code code;

	(void)state;
	put_networks(one,
		"[{'Id': '" DIGEST_A "', 'Name': 'bridge', 'Driver': 'bridge', 'Scope': 'local'}, "
		"{'Id': 'x2ip88g0b2qsk3rhcvm4k5pk8', 'Name': 'over', 'Scope': 'global', "
		"'Driver': 'overlay'}, {'Id': '../x', 'Name': 'bad'}, {'Id': 'ab', 'Name': ''}]",
		2);
	put_networks(two,
		"[{'Id': '" DIGEST_B "', 'Name': 'bridge', 'Driver': 'bridge', 'Scope': 'local'}, "
		"{'Id': 'x2ip88g0b2qsk3rhcvm4k5pk8', 'Name': 'over', 'Scope': 'global', "
		"'Driver': 'overlay'}, "
		"{'Id': '" DIGEST_C "', 'Name': 'back', 'Scope': 'local'}]",
		0);
	assert_ptr_equal(network_node(fx, "back", &code), two);
	assert_ptr_equal(network_node(fx, "/back", &code), two);
	assert_ptr_equal(network_node(fx, "n2/back", &code), two);
	assert_null(network_node(fx, "n1/back", &code));
	assert_int_equal(code, ERR_NOT_FOUND);
	assert_ptr_equal(network_node(fx, DIGEST_A, &code), one);
	assert_ptr_equal(network_node(fx, "cafe33333333", &code), two);
	assert_ptr_equal(network_node(fx, "cafe", &code), two);
	assert_null(network_node(fx, "aaa", &code));
	assert_int_equal(code, ERR_INVALID);
	assert_ptr_equal(network_node(fx, "n2/bridge", &code), two);
	assert_null(cluster_network_find(&fx->cluster, "bridge", &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "n1/bridge (aaa111111111), n2/bridge (aaa222222222)"));
	/* One network, told by two nodes. */
	assert_ptr_equal(network_node(fx, "over", &code), one);
	inventory_node_set_health(one, false);
	assert_ptr_equal(network_node(fx, "over", &code), two);
	assert_ptr_equal(network_node(fx, "x2ip", &code), two);
	assert_null(cluster_network_find(&fx->cluster, "nope", &err));
	assert_string_equal(err.msg, "network nope not found");
	fixture_free(fx);
}

static const struct node *volume_node(
	const struct fixture *fx, const char *key, enum err_code *code)
{
	struct err err = ERR_INIT;
	const struct volume *volume = cluster_volume_find(&fx->cluster, key, &err);

	*code = err.code;
	return volume ? volume->node : NULL;
}

static void test_volumes(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	struct err err = ERR_INIT;
	enum err_code code;

	(void)state;
	put_volumes(one,
		"{'Volumes': [{'Name': 'data', 'Driver': 'local', 'Scope': 'local'}, {'Name': "
		"'nfs', "
		"'Driver': 'nfs', 'Scope': 'global'}, {'Name': 'mine', 'Driver': 'local', "
		"'Scope': 'local'}, {'Name': 5}], 'Warnings': null}",
		1);
	put_volumes(two,
		"{'Volumes': [{'Name': 'data', 'Driver': 'local', 'Scope': 'local'}, {'Name': "
		"'nfs', "
		"'Driver': 'nfs', 'Scope': 'global'}, {'Name': 'mine', 'Driver': 'nfs', "
		"'Scope': 'global'}]}",
		0);
	assert_null(volume_node(fx, "data", &code));
	assert_int_equal(code, ERR_INVALID);
	assert_ptr_equal(volume_node(fx, "n2/data", &code), two);
	assert_ptr_equal(volume_node(fx, "nfs", &code), one);
	assert_ptr_equal(volume_node(fx, "n2/nfs", &code), two);
	/* What one node says that all can reach is not what another has. */
	assert_ptr_equal(volume_node(fx, "mine", &code), one);
	assert_ptr_equal(volume_node(fx, "n1/mine", &code), one);
	inventory_node_set_health(one, false);
	assert_ptr_equal(volume_node(fx, "nfs", &code), two);
	assert_null(cluster_volume_find(&fx->cluster, "nope", &err));
	assert_string_equal(err.msg, "get nope: no such volume");
	put_volumes(one, "{'Volumes': null}", 0);
	assert_ptr_equal(volume_node(fx, "data", &code), two);
	fixture_free(fx);
}

static void test_real_parts(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");
	struct err err = ERR_INIT;
	const json_t *told;
	json_t *entry;
	size_t bad, len;

	(void)state;
	assert_int_equal(
		inventory_images_replace(node, fixture_ref(json_get(data, "images")), &bad, &err),
		0);
	assert_int_equal(bad, 0);
	assert_int_equal(inventory_networks_replace(
				 node, fixture_ref(json_get(data, "networks")), &bad, &err),
		0);
	assert_int_equal(bad, 0);
	assert_int_equal(
		inventory_volumes_replace(node, fixture_ref(json_get(data, "volumes")), &bad, &err),
		0);
	assert_int_equal(bad, 0);
	assert_int_equal(count_images(fx, "localhost:5000/team/app:v1"), 1);
	assert_int_equal(count_images(fx, "busybox"), 1);
	assert_non_null(cluster_network_find(&fx->cluster, "appnet", &err));
	entry = entry_json(cluster_volume_find(&fx->cluster, "data", &err)->text);
	json_array_foreach (json_get(json_get(data, "volumes"), "Volumes"), len, told) {
		if (strcmp(json_str(told, "Name", ""), "data") == 0)
			assert_true(json_equal(entry, told));
	}
	assert_string_equal(json_str(entry, "Name", ""), "data");
	json_decref(entry);
	assert_string_equal(node_networks(node, &len)[0]->scope, "local");
	assert_int_equal(len, 4);
	fixture_free(fx);
}

/* A local network or volume is not what another node says that it has under the same ID or name,
 * and never to be had there instead. */
static void test_claims_of_others_objects(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *good = fixture_node(fx, "good", "10.0.0.1:2375");
	struct node *bad = fixture_node(fx, "bad", "10.0.0.2:2375");
	struct err err = ERR_INIT;
	struct node **nodes;
	size_t len;

	(void)state;
	put_networks(
		good, "[{'Id': 'dddd', 'Name': 'mynet', 'Driver': 'bridge', 'Scope': 'local'}]", 0);
	put_volumes(
		good, "{'Volumes': [{'Name': 'data', 'Driver': 'local', 'Scope': 'local'}]}", 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *scope = i ? "global" : "local";
		CLEANUP_FREE char *networks = xasprintf("[{'Id': 'dddd', 'Name': 'evil', 'Driver': "
							"'bridge', 'Scope': '%s'}]",
			scope);
		CLEANUP_FREE char *volumes = xasprintf("{'Volumes': [{'Name': 'data', 'Driver': "
						       "'evil', 'Scope': '%s'}]}",
			scope);

		put_networks(bad, networks, 0);
		put_volumes(bad, volumes, 0);
		assert_null(cluster_network_find(&fx->cluster, "dddd", &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_ptr_equal(cluster_network_find(&fx->cluster, "mynet", NULL)->node, good);
		if (i) {
			assert_ptr_equal(
				cluster_volume_find(&fx->cluster, "data", NULL)->node, good);
			continue;
		}
		assert_null(cluster_volume_find(&fx->cluster, "data", &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_ptr_equal(cluster_volume_find(&fx->cluster, "good/data", NULL)->node, good);
	}
	/* Local before a claim. */
	nodes = cluster_volume_nodes(&fx->cluster, "data", &len);
	assert_int_equal(len, 1);
	assert_ptr_equal(nodes[0], good);
	free(nodes);
	fixture_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_of_others_objects),
		cmocka_unit_test(test_images),
		cmocka_unit_test(test_images_named),
		cmocka_unit_test(test_image_reference_familiar),
		cmocka_unit_test(test_images_any_tag),
		cmocka_unit_test(test_parts_hostile),
		cmocka_unit_test(test_parts_can_be_read_again),
		cmocka_unit_test(test_images_that_are_told_alike_share_their_texts),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_volumes),
		cmocka_unit_test(test_real_parts),
	};

	return cmocka_run_group_tests_name("cluster parts", tests, NULL, NULL);
}
