/* Each filter by itself, over views written down here. */
#include "filters/expr.h"
#include "filters/filter.h"
#include "lib/str.h"
#include "tests/unit/view_fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LIST(type, ...) \
	(const type[]) \
	{ \
		__VA_ARGS__ \
	}
#define ID(c) c c c c c c c c c c c c c c c c
#define SHA(c) "sha256:" ID(c)

static struct container_view a_container(const char *id, const char *name)
{
	return (struct container_view){
		.id = id, .swarm_id = "", .name = name, .image = "", .image_id = ""};
}

static struct node_view a_node(const struct container_view *const *containers, size_t len)
{
	return (struct node_view){
		.id = "ENGINE|10.0.0.1:2375",
		.engine_id = "ENGINE",
		.name = "node1",
		.addr = "10.0.0.1:2375",
		.is_healthy = true,
		.containers = containers,
		.containers_len = len,
	};
}

/* One node on its way through one filter: true when it stays; else removal (may be NULL) tells why.
 * soft (0 before, may be NULL): the soft terms that hold. */
static bool run(const struct filter_ops *ops, struct filter_request *request,
	const struct node_view *node, struct removal *removal, unsigned *soft)
{
	struct view_fleet *fleet = view_fleet_new(&node, 1);
	struct removal of_slots[BITSET_WORD];
	struct filter_pass pass = {.fleet = view_fleet_get(fleet), .removals = of_slots};
	bool stays;

	assert_in_range(fleet_slots(pass.fleet), 1, BITSET_WORD);
	bitset_init(&pass.candidates, BITSET_WORD);
	bitset_init(&pass.scratch, BITSET_WORD);
	bitset_add(&pass.candidates, 0);
	ops->apply(request, &pass);
	stays = bitset_has(&pass.candidates, 0);
	if (!stays && removal != NULL)
		*removal = of_slots[0];
	for (size_t i = 0; soft != NULL && i < FILTER_SOFT_BITS; i++) {
		if (pass.soft[i].words != NULL && bitset_has(&pass.soft[i], 0))
			*soft |= 1u << i;
	}
	filter_pass_clear(&pass);
	view_fleet_free(fleet);
	return stays;
}

/* The verdict of one filter; soft may be NULL. */
static bool ask(const char *filter, const struct placement *placement, const struct node_view *node,
	unsigned *soft)
{
	struct err err = ERR_INIT;
	const struct filter_ops *ops = filter_find(filter, &err);
	struct filter_request *request = filter_request_new(placement, &err);
	struct removal removal = {0};
	bool pass;

	if (ops == NULL || request == NULL)
		fail_msg("%s", err.msg);
	pass = run(ops, request, node, &removal, soft);
	if (!pass) {
		struct buf out;

		/* Whatever is refused can be explained. */
		buf_init(&out, 4096);
		ops->reason(request, removal.why, &out);
		assert_true(out.len > 0);
		buf_reset(&out);
	}
	filter_request_free(request);
	return pass;
}

static bool ask_constraint(const struct node_view *node, const char *text)
{
	const struct placement placement = {.constraints = &text, .constraints_len = 1};

	return ask("constraint", &placement, node, NULL);
}

static bool ask_affinity(const struct node_view *node, const char *text)
{
	const struct placement placement = {.affinities = &text, .affinities_len = 1};

	return ask("affinity", &placement, node, NULL);
}

static bool ask_whitelist(const struct node_view *node, const char *text)
{
	const struct placement placement = {.whitelists = &text, .whitelists_len = 1};

	return ask("whitelist", &placement, node, NULL);
}

static void test_names(void **state)
{
	static const char *const order[] = {"health", "port", "containerslots", "dependency",
		"affinity", "constraint", "whitelist"};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		assert_string_equal(filters_all[i]->name, order[i]);
		assert_ptr_equal(filter_find(order[i], &err), filters_all[i]);
	}
	assert_null(filters_all[ARRAY_LEN(order)]);
	assert_null(filter_find("Health", &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "'Health'"));
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		assert_non_null(strstr(err.msg, order[i]));
}

static void test_health(void **state)
{
	const struct placement placement = {0};
	struct node_view node = a_node(NULL, 0);

	(void)state;
	assert_true(ask("health", &placement, &node, NULL));
	node.is_healthy = false;
	assert_false(ask("health", &placement, &node, NULL));
}

static bool ask_port(struct view_port has, struct view_port wants)
{
	struct container_view container = a_container(ID("0001"), "web");
	const struct container_view *list[] = {&container};
	struct node_view node = a_node(list, 1);
	const struct placement placement = {.want = {.ports = &wants, .ports_len = 1}};

	container.ports = &has;
	container.ports_len = 1;
	container.is_running = false;
	return ask("port", &placement, &node, NULL);
}

static void test_port(void **state)
{
	const struct placement nothing = {0};
	const struct node_view empty = a_node(NULL, 0);
	const struct view_port http = {"", 80, "tcp"};
	const struct placement wants = {.want = {.ports = &http, .ports_len = 1}};

	(void)state;
	assert_true(ask("port", &nothing, &empty, NULL));
	assert_true(ask("port", &wants, &empty, NULL));
	assert_false(ask_port(http, http));
	assert_true(ask_port((struct view_port){"", 81, "tcp"}, http));
	assert_true(ask_port((struct view_port){"", 80, "udp"}, http));
	assert_false(ask_port((struct view_port){"10.0.0.1", 80, "tcp"}, http));
	assert_false(ask_port(http, (struct view_port){"10.0.0.1", 80, "tcp"}));
	assert_false(ask_port((struct view_port){"10.0.0.1", 80, "tcp"},
		(struct view_port){"10.0.0.1", 80, "tcp"}));
	assert_true(ask_port((struct view_port){"10.0.0.2", 80, "tcp"},
		(struct view_port){"10.0.0.1", 80, "tcp"}));
}

static void test_port_host_mode(void **state)
{
	const struct view_port http = {"", 80, "tcp"};
	struct container_view container = a_container(ID("0001"), "web");
	const struct container_view *list[] = {&container};
	const struct node_view node = a_node(list, 1);
	struct placement placement = {
		.want = {.host_network = true, .exposed = &http, .exposed_len = 1}};

	(void)state;
	container.exposed = &http;
	container.exposed_len = 1;
	assert_true(ask("port", &placement, &node, NULL));
	container.host_network = true;
	assert_false(ask("port", &placement, &node, NULL));
	placement.want.host_network = false;
	assert_true(ask("port", &placement, &node, NULL));
	placement.want.ports = &http;
	placement.want.ports_len = 1;
	assert_true(ask("port", &placement, &node, NULL));
}

static void test_containerslots(void **state)
{
	static const struct {
		const char *label;
		size_t containers;
		bool pass;
	} table[] = {{"2", 1, true}, {"2", 2, false}, {"2", 3, false}, {"0", 0, false},
		{"-1", 0, false}, {"two", 3, true}, {"", 3, true}, {"2x", 3, true}, {"1", 0, true},
		{"99999999999999999999", 3, true}};
	const struct container_view container = a_container("", "reserved");
	const struct container_view *list[] = {&container, &container, &container};
	const struct placement placement = {0};
	struct node_view node;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct view_label label = {"containerslots", table[i].label};

		node = a_node(list, table[i].containers);
		node.labels = (struct view_labels){&label, 1};
		if (ask("containerslots", &placement, &node, NULL) != table[i].pass)
			fail_msg("label '%s', %zu containers", table[i].label, table[i].containers);
	}
	node = a_node(list, 3);
	assert_true(ask("containerslots", &placement, &node, NULL));
}

static void test_container_find(void **state)
{
	struct container_view web = a_container(ID("ab01"), "web");
	struct container_view db = a_container(ID("ab02"), "db");
	struct container_view named_as_id = a_container(ID("cd03"), "ab01ab01ab01");
	const struct container_view reserved = a_container("", "soon");
	const struct container_view *list[] = {&web, &db, &named_as_id, &reserved};
	struct node_view node = a_node(list, 2);

	(void)state;
	web.swarm_id = ID("ff01");
	assert_ptr_equal(filter_container_find(&node, "web"), &web);
	assert_ptr_equal(filter_container_find(&node, "/web"), &web);
	assert_ptr_equal(filter_container_find(&node, "node1/web"), &web);
	assert_ptr_equal(filter_container_find(&node, "ENGINE/web"), &web);
	assert_null(filter_container_find(&node, "node2/web"));
	assert_null(filter_container_find(&node, "node/web"));
	assert_null(filter_container_find(&node, "node1/"));
	assert_null(filter_container_find(&node, ""));
	assert_null(filter_container_find(&node, "/"));
	assert_null(filter_container_find(&node, "we"));
	assert_ptr_equal(filter_container_find(&node, ID("ab02")), &db);
	assert_ptr_equal(filter_container_find(&node, "ab02ab02ab02"), &db);
	assert_ptr_equal(filter_container_find(&node, "ab02"), &db);
	assert_null(filter_container_find(&node, "ab0"));
	assert_ptr_equal(filter_container_find(&node, ID("ff01")), &web);
	assert_ptr_equal(filter_container_find(&node, "ff01ff01ff01"), &web);
	assert_null(filter_container_find(&node, ID("ab01") "0"));
	node.containers_len = 4;
	assert_ptr_equal(filter_container_find(&node, "ab01ab01ab01"), &named_as_id);
	assert_null(filter_container_find(&node, "soon"));
}

static void test_dependency(void **state)
{
	const struct container_view web = a_container(ID("ab01"), "web");
	const struct container_view *list[] = {&web};
	const struct node_view node = a_node(list, 1);
	struct placement placement = {0};

	(void)state;
	assert_true(ask("dependency", &placement, &node, NULL));
	placement.volumes_from = LIST(char *, "web");
	placement.volumes_from_len = 1;
	placement.links = LIST(char *, "web:db", "/web:/me/db");
	placement.links_len = 2;
	placement.network_container = "ab01";
	assert_true(ask("dependency", &placement, &node, NULL));
	placement.network_container = "other";
	assert_false(ask("dependency", &placement, &node, NULL));
	placement.network_container = NULL;
	placement.links = LIST(char *, "web:db", "other:web");
	assert_false(ask("dependency", &placement, &node, NULL));
	placement.links_len = 0;
	placement.volumes_from = LIST(char *, "other");
	assert_false(ask("dependency", &placement, &node, NULL));
}

static void test_needs(void **state)
{
	const struct node_view node = a_node(NULL, 0);
	const struct view_need here[] = {
		{"--volume", "data", LIST(char *, "A|a", "ENGINE|10.0.0.1:2375", "Z|z"), 3},
		{"--net", "back", LIST(char *, "ENGINE|10.0.0.1:2375"), 1},
	};
	const struct view_need elsewhere[] = {
		here[0],
		{"--net", "back", LIST(char *, "ENGINE|10.0.0.1:23", "ENGINE|10.0.0.1:2375x"), 2},
	};
	struct placement placement = {.needs = here, .needs_len = 2};
	struct filter_request *request;
	struct removal removal = {0};
	struct buf out;

	(void)state;
	assert_true(ask("dependency", &placement, &node, NULL));
	placement.needs = elsewhere;
	assert_false(ask("dependency", &placement, &node, NULL));
	/* What they are called, behind those that are containers. */
	placement.needs_len = 1;
	placement.network_container = "other";
	assert_false(ask("dependency", &placement, &node, NULL));
	placement.network_container = NULL;
	placement.needs_len = 2;
	request = filter_request_new(&placement, NULL);
	assert_false(run(filter_find("dependency", NULL), request, &node, &removal, NULL));
	buf_init(&out, 4096);
	filter_find("dependency", NULL)->reason(request, removal.why, &out);
	assert_string_equal(buf_str(&out), "--net=back is not there");
	buf_reset(&out);
	filter_request_free(request);
}

static void test_affinity(void **state)
{
	static const char *const names[] = {"nginx:1.25", "reg.example.com:5000/team/app:2",
		"redis@sha256:0123", "busybox:latest"};
	const struct image_view image = {SHA("beef"), names, ARRAY_LEN(names)};
	const struct image_view *images[] = {&image};
	const struct view_label label = {"com.x.tier", "front"};
	struct container_view web = a_container(ID("ab01"), "web");
	const struct container_view db = a_container("", "soon");
	const struct container_view *list[] = {&web, &db};
	struct node_view node = a_node(list, 2);

	(void)state;
	web.swarm_id = ID("ff01");
	web.labels = (struct view_labels){&label, 1};
	node.images = images;
	node.images_len = 1;
	assert_true(ask_affinity(&node, "container==web"));
	assert_true(ask_affinity(&node, "container==w*"));
	assert_true(ask_affinity(&node, "container==/^we/"));
	assert_true(ask_affinity(&node, "container==soon"));
	assert_true(ask_affinity(&node, "container==" ID("ab01")));
	assert_true(ask_affinity(&node, "container==ab01ab01ab01"));
	assert_true(ask_affinity(&node, "container==" ID("ff01")));
	assert_false(ask_affinity(&node, "container!=web"));
	assert_true(ask_affinity(&node, "container!=other"));
	assert_false(ask_affinity(&node, "container==other"));
	assert_false(ask_affinity(&node, "container==we"));

	assert_true(ask_affinity(&node, "image==nginx"));
	assert_true(ask_affinity(&node, "image==nginx:1.25"));
	assert_false(ask_affinity(&node, "image==nginx:1.2"));
	assert_false(ask_affinity(&node, "image==ngin"));
	assert_true(ask_affinity(&node, "image==reg.example.com:5000/team/app"));
	assert_false(ask_affinity(&node, "image==reg.example.com"));
	assert_true(ask_affinity(&node, "image==redis"));
	assert_true(ask_affinity(&node, "image==" SHA("beef")));
	assert_true(ask_affinity(&node, "image==" ID("beef")));
	assert_true(ask_affinity(&node, "image==beefbeefbeef"));
	assert_false(ask_affinity(&node, "image!=busybox"));
	assert_true(ask_affinity(&node, "image!=mysql"));

	assert_true(ask_affinity(&node, "com.x.tier==front"));
	assert_false(ask_affinity(&node, "com.x.tier==back"));
	assert_true(ask_affinity(&node, "com.x.tier!=back"));
	/* The container without the label has it empty. */
	assert_true(ask_affinity(&node, "com.x.other==*"));
	assert_false(ask_affinity(&node, "com.x.other!=*"));
	assert_false(ask_affinity(&node, "com.x.tier==/^b/"));
	assert_true(ask_affinity(&node, "com.x.tier==/^$/"));
	node.containers_len = 0;
	node.images_len = 0;
	assert_false(ask_affinity(&node, "com.x.other==*"));
	assert_true(ask_affinity(&node, "com.x.other!=*"));
	assert_false(ask_affinity(&node, "container==*"));
	assert_false(ask_affinity(&node, "image==*"));
}

static void test_affinity_huge_image_name(void **state)
{
	char name[5000];
	const char *names[] = {name};
	const struct image_view image = {SHA("beef"), names, 1};
	const struct image_view *images[] = {&image};
	struct node_view node = a_node(NULL, 0);

	(void)state;
	memset(name, 'x', sizeof(name));
	memcpy(name + sizeof(name) - 5, ":tag", 5);
	node.images = images;
	node.images_len = 1;
	assert_false(ask_affinity(&node, "image==xxx"));
	assert_true(ask_affinity(&node, "image==x*:tag"));
}

static void test_constraint(void **state)
{
	static const struct view_label labels[] = {
		{"disk", "ssd"}, {"rack", "r.1"}, {"storagedriver", "overlay2"}, {"zone", ""}};
	struct node_view node = a_node(NULL, 0);

	(void)state;
	node.labels = (struct view_labels){labels, ARRAY_LEN(labels)};
	assert_true(ask_constraint(&node, "disk==ssd"));
	assert_false(ask_constraint(&node, "disk!=ssd"));
	assert_true(ask_constraint(&node, "disk!=hdd"));
	assert_true(ask_constraint(&node, "rack==r.1"));
	assert_true(ask_constraint(&node, "rack==/^r.1$/"));
	assert_false(ask_constraint(&node, "rack==rx1"));
	assert_true(ask_constraint(&node, "storagedriver==over*"));
	assert_true(ask_constraint(&node, "node==node1"));
	assert_true(ask_constraint(&node, "node==ENGINE"));
	assert_true(ask_constraint(&node, "node==ENGINE|10.0.0.1:2375"));
	assert_false(ask_constraint(&node, "node!=node1"));
	assert_false(ask_constraint(&node, "node!=ENGINE"));
	assert_true(ask_constraint(&node, "node!=node2"));
	/* Missing is empty. */
	assert_true(ask_constraint(&node, "foo!=bar"));
	assert_true(ask_constraint(&node, "foo==*"));
	assert_false(ask_constraint(&node, "foo==bar"));
	assert_true(ask_constraint(&node, "zone==*"));
	/* Soft terms never refuse. */
	assert_true(ask_constraint(&node, "disk==~hdd"));
}

static void test_whitelist(void **state)
{
	const struct node_view node = a_node(NULL, 0);

	(void)state;
	assert_true(ask_whitelist(&node, "node==node1|node2"));
	assert_false(ask_whitelist(&node, "node==node2|node3"));
	assert_false(ask_whitelist(&node, "node!=node1|node2"));
	assert_true(ask_whitelist(&node, "node!=node2|node3"));
	assert_true(ask_whitelist(&node, "any.key==node1"));
	assert_true(ask_whitelist(&node, "node==node*"));
	assert_true(ask_whitelist(&node, "node==~node2"));
}

static void test_soft_count(void **state)
{
	static const struct view_label label = {"disk", "ssd"};
	const struct placement placement = {
		.constraints =
			LIST(char *, "disk==~ssd", "disk==~hdd", "node!=~node2", "disk==ssd"),
		.constraints_len = 4,
	};
	struct node_view node = a_node(NULL, 0);
	unsigned soft = 0;

	(void)state;
	node.labels = (struct view_labels){&label, 1};
	assert_true(ask("constraint", &placement, &node, &soft));
	assert_int_equal(soft, 2);
	/* Every count that there can be. */
	for (size_t len = 0; len <= EXPR_TERMS_MAX; len++) {
		const char *terms[EXPR_TERMS_MAX];
		const struct placement many = {.constraints = terms, .constraints_len = len};

		for (size_t i = 0; i < len; i++)
			terms[i] = "disk==~ssd";
		soft = 0;
		assert_true(ask("constraint", &many, &node, &soft));
		assert_int_equal(soft, len);
	}
}

static void test_bad_expressions(void **state)
{
	const char *bad = "node==/";
	const struct placement table[] = {
		{.constraints = &bad, .constraints_len = 1},
		{.affinities = &bad, .affinities_len = 1},
		{.whitelists = &bad, .whitelists_len = 1},
	};
	const char *many[EXPR_TERMS_MAX + 1];
	struct placement placement = {.constraints = many, .constraints_len = ARRAY_LEN(many)};
	struct filter_request *request;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;

		assert_null(filter_request_new(&table[i], &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.msg, "node==/"));
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = "node==n1";
	assert_null(filter_request_new(&placement, NULL));
	placement.constraints_len--;
	request = filter_request_new(&placement, NULL);
	assert_non_null(request);
	filter_request_free(request);
	filter_request_free(NULL);
}

/* What backtracks nowhere is still bounded in all: by the size of the compiled expressions, and by
 * the steps that they take over the fleet. */
static void test_work_is_bounded(void **state)
{
	const char *large[] = {"node==/(.?){1000}z/", "node==/(.?){1000}y/", "node==/(.?){1000}x/"};
	const struct placement too_large = {.constraints = large, .constraints_len = 3};
	const struct placement slow = {.constraints = large, .constraints_len = 1};
	struct err err = ERR_INIT;
	struct filter_request *request;
	char name[64];
	struct node_view node = a_node(NULL, 0);

	(void)state;
	assert_null(filter_request_new(&too_large, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "too large together"));
	request = filter_request_new(&slow, &err);
	assert_non_null(request);
	node.name = name;
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "node-with-a-rather-long-name-%d", i);
		assert_false(run(filter_find("constraint", NULL), request, &node, NULL, NULL));
		if (i == 0)
			assert_false(filter_request_is_exhausted(request));
	}
	assert_true(filter_request_is_exhausted(request));
	filter_request_free(request);
}

static void test_conditions(void **state)
{
	static const struct view_port ports[] = {{"", 80, "tcp"}, {"10.0.0.1", 53, "udp"}};
	struct placement placement = {
		.want = {.ports = ports,
			.ports_len = 2,
			.exposed = ports,
			.exposed_len = 1,
			.host_network = false},
		.constraints = LIST(char *, "node==x", "disk!=~ssd"),
		.constraints_len = 2,
		.affinities = LIST(char *, "container==x", "image!=~y"),
		.affinities_len = 2,
		.whitelists = LIST(char *, "node==a|b"),
		.whitelists_len = 1,
		.volumes_from = LIST(char *, "a"),
		.volumes_from_len = 1,
		.links = LIST(char *, "b:c"),
		.links_len = 1,
		.network_container = "d",
	};
	const struct view_need needs[] = {
		{"--volume", "data", LIST(char *, "x"), 1},
		{"--net", "back", LIST(char *, "x"), 1},
	};
	static const char *const expected[][2] = {
		{"port", "port 80 (Bridge mode) port 53 (Bridge mode)"},
		{"containerslots", "available container slots"},
		{"dependency",
			"--volumes-from=a --link=b:c --net=container:d --volume=data --net=back"},
		{"affinity", "container==x (soft=false) image!=y (soft=true)"},
		{"constraint", "node==x disk!=ssd"},
		{"whitelist", "node==a|b"},
	};
	struct filter_request *request;
	struct buf out;

	(void)state;
	placement.needs = needs;
	placement.needs_len = ARRAY_LEN(needs);
	request = filter_request_new(&placement, NULL);
	assert_non_null(request);
	buf_init(&out, 4096);
	for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
		filter_find(expected[i][0], NULL)->conditions(request, &out);
		assert_string_equal(buf_str(&out), expected[i][1]);
		buf_reset(&out);
	}
	placement.want.host_network = true;
	filter_find("port", NULL)->conditions(request, &out);
	assert_string_equal(buf_str(&out), "port 80/tcp (Host mode)");
	buf_reset(&out);
	assert_null(filter_find("health", NULL)->conditions);
	filter_request_free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_port_host_mode),
		cmocka_unit_test(test_containerslots),
		cmocka_unit_test(test_container_find),
		cmocka_unit_test(test_dependency),
		cmocka_unit_test(test_needs),
		cmocka_unit_test(test_affinity),
		cmocka_unit_test(test_affinity_huge_image_name),
		cmocka_unit_test(test_constraint),
		cmocka_unit_test(test_whitelist),
		cmocka_unit_test(test_soft_count),
		cmocka_unit_test(test_bad_expressions),
		cmocka_unit_test(test_work_is_bounded),
		cmocka_unit_test(test_conditions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
