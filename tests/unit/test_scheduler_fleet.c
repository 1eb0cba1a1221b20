/* Placement by indexes against the rules taken literally, over random clusters in which everything
 * comes and goes between two requests: the node has to be the same, and so do the words when there
 * is none. A failure prints the seed and the round; SCHEDULER_FLEET_SEED repeats it. */
#include "lib/json.h"
#include "scheduler/scheduler.h"
#include "tests/unit/chance.h"
#include "tests/unit/cluster_fixture.h"
#include "tests/unit/slow_select.h"

#include <stdio.h>
#include <string.h>

#define CLUSTERS 250
#define ROUNDS 420 /* of one cluster: 105,000 in all */
#define NODES_MAX 8
#define CONTAINERS_MAX 6 /* of one node */
#define HELD_MAX 8
#define TERMS_MAX 3
#define PORTS_MAX 3
#define ID(c) c c c c c c c c c c c c c c c c

/* ---- Chance ---- */

static uint64_t dice;

/* The same for both sides of one round. */
static uint32_t env_below(const struct env *env, uint32_t bound)
{
	(void)env;
	return (uint32_t)(dice % bound);
}

/* ---- Words, few of them, so that they meet often ---- */

static const char *const names[] = {"web", "db", "web-1", "cache", "ab01", "ab01ab01ab01"};
static const char *const ids[] = {ID("ab01"), ID("ab02"), ID("cd03"), ID("ce04"), ID("0005"),
	ID("0007"), ID("0008"), ID("0009")};
static const char *const label_keys[] = {"disk", "tier", "com.example.x", "zone"};
static const char *const label_values[] = {"ssd", "hdd", "s.d", "", "front"};
static const char *const ips[] = {"", "10.0.0.1", "10.0.0.2"};
static const char *const protocols[] = {"tcp", "udp"};
static const uint16_t port_numbers[] = {80, 81, 443};
static const char *const image_names[] = {"nginx:1.25", "nginx:latest", "reg:5000/app",
	"reg:5000/app:2", "redis@sha256:" ID("abcd"), "redis:7"};
static const char *const slots[] = {"1", "2", "4", "many", "-1", ""};
static const char *const values[] = {"ssd", "s*d", "*", "s.d", "/^s/", "/d$/", "/^$/", "web",
	"web*", "db", "node1", "node2", "node*", "/node[12]/", "nginx", "nginx:latest", "*:7",
	"reg:5000/app", "reg", "reg*", "redis", "/(web|db)/", "*e*b*", "E3", "E3|10.0.0.3:2375",
	ID("ab01"), "ab01ab01ab01", "ab01", "sha256:" ID("be01"), ID("be01"), "be01be01be01",
	"sha256:be01b", "(unknown)", "*1*", "front", "r-1", "r*"};
static const char *const constraint_keys[] = {"node", "disk", "zone", "none"};
static const char *const affinity_keys[] = {
	"container", "image", "disk", "tier", "com.example.x", "com.docker.swarm.id"};
static const char *const whitelist_values[] = {
	"node1", "node1|node2", "node*|x", "E2|node3", "/node[345]/", "none", "/x/|node4"};
static const char *const references[] = {"web", "/db", "node1/web", "E2/cache", "ab01", "ab",
	"ab01ab01ab01", ID("cd03"), "c", "nobody", "/", "node1/", "node2/ab02", "web-1"};

/* ---- A cluster ---- */

struct world {
	struct fixture *fixture;
	struct env env;
	bool taken[NODES_MAX]; /* numbers of nodes that are there */
	unsigned next_name;
	struct reservation *held[HELD_MAX];
};

static struct node *any_node(struct world *w)
{
	size_t len;
	struct node *const *nodes = cluster_nodes(&w->fixture->cluster, &len);

	return len == 0 ? NULL : nodes[below((unsigned)len)];
}

static void identify(struct node *node, unsigned number)
{
	struct view_label labels[3];
	char name[16], engine_id[8];
	struct inventory_identity identity = {
		.engine_id = engine_id, .name = name, .labels = labels};

	/* Some engines have the same name, and one kind of name is none. */
	snprintf(name, sizeof(name), below(8) ? "node%u" : below(2) ? "node1" : "a/b", number);
	snprintf(engine_id, sizeof(engine_id), "E%u", number);
	if (below(4) == 0)
		labels[identity.labels_len++] = (struct view_label){"containerslots", PICK(slots)};
	if (below(2))
		labels[identity.labels_len++] = (struct view_label){"disk", PICK(label_values)};
	if (below(2))
		labels[identity.labels_len++] = (struct view_label){"zone", PICK(label_values)};
	identity.ncpu = 1 + below(4);
	identity.memory = 100 * (1 + below(3));
	inventory_node_set_identity(node, &identity);
}

static void node_add(struct world *w)
{
	unsigned number = below(NODES_MAX);
	char addr[32];
	struct node *node;

	if (w->taken[number])
		return;
	w->taken[number] = true;
	snprintf(addr, sizeof(addr), "10.0.0.%u:2375", number + 1);
	node = inventory_node_new(&w->fixture->cluster, addr);
	if (below(6) == 0)
		return; /* it has not answered yet */
	identify(node, number + 1);
	inventory_node_set_health(node, below(6) > 0);
}

static unsigned number_of(const struct node *node)
{
	unsigned number;

	assert_int_equal(sscanf(node_view(node)->addr, "10.0.0.%u:", &number), 1);
	return number;
}

static void node_change(struct world *w)
{
	struct node *node = any_node(w);

	if (node == NULL)
		return;
	switch (below(4)) {
	case 0:
		w->taken[number_of(node) - 1] = false;
		inventory_node_remove(node);
		break;
	case 1:
		inventory_node_set_health(node, node_view(node)->engine_id[0] && below(3));
		break;
	default:
		identify(node, number_of(node));
	}
}

static void random_ports(json_t *host)
{
	json_t *bindings = json_get(host, "PortBindings");

	for (unsigned i = below(3) == 0 ? below(PORTS_MAX) : 0; i > 0; i--) {
		char key[16], port[8];

		snprintf(key, sizeof(key), "%u/%s", 1 + below(9), PICK(protocols));
		snprintf(port, sizeof(port), "%u", (unsigned)PICK(port_numbers));
		json_object_set_new(bindings, key,
			json_pack("[{s:s, s:s}]", "HostIp", PICK(ips), "HostPort", port));
	}
}

static void container_put(struct world *w)
{
	struct node *node = any_node(w);
	const char *id = PICK(ids);
	char name[32];
	struct err err = ERR_INIT;
	json_t *labels, *exposed;

	if (node == NULL || node->inventory.containers_len >= CONTAINERS_MAX)
		return;
	snprintf(name, sizeof(name), "/%s", PICK(names));

	CLEANUP_JSON json_t *entry = json_pack("{s:s, s:i, s:[s], s:s, s:s}", "Id", id, "Created",
		1, "Names", name, "State", below(2) ? "running" : "exited", "Image", "busybox");
	CLEANUP_JSON json_t *inspect = json_pack(
		"{s:s, s:s, s:{s:{}, s:{}}, s:{s:b}, s:{s:I, s:I, s:{}, s:s}}", "Id", id, "Name",
		name, "Config", "Labels", "ExposedPorts", "State", "Running", 1, "HostConfig",
		"NanoCpus", (json_int_t)below(3) * 100000000, "Memory", (json_int_t)below(40),
		"PortBindings", "NetworkMode", below(3) ? "bridge" : "host");

	assert_non_null(inspect);
	if (below(3) == 0)
		json_array_append_new(json_get(entry, "Names"), json_string("/app/db"));
	labels = json_path(inspect, "Config", "Labels", NULL);
	for (unsigned i = below(3); i > 0; i--)
		json_object_set_new(labels, PICK(label_keys), json_string(PICK(label_values)));
	if (below(4) == 0)
		json_object_set_new(labels, "com.docker.swarm.id", json_string(PICK(ids)));
	exposed = json_path(inspect, "Config", "ExposedPorts", NULL);
	if (below(2)) {
		char key[16];

		snprintf(key, sizeof(key), "%u/%s", (unsigned)PICK(port_numbers), PICK(protocols));
		json_object_set_new(exposed, key, json_object());
	}
	random_ports(json_get(inspect, "HostConfig"));

	struct container *container = fixture_record(node, entry, inspect, &err);

	CHECK(container != NULL);
	inventory_container_put(container);
}

static void container_remove(struct world *w)
{
	struct node *node = any_node(w);
	size_t len;
	struct container *const *containers;

	if (node == NULL)
		return;
	containers = node_containers(node, &len);
	if (len > 0)
		inventory_container_remove(node, containers[below((unsigned)len)]->view.id);
}

static void images_replace(struct world *w)
{
	struct node *node = any_node(w);
	static const char *const digits[] = {ID("be01"), ID("be02"), ID("0003")};
	CLEANUP_JSON json_t *list = json_array();

	if (node == NULL)
		return;
	for (unsigned i = below(3); i > 0; i--) {
		CLEANUP_FREE char *id = xasprintf("sha256:%s", digits[i]);
		json_t *tags = json_array();

		for (unsigned j = below(3); j > 0; j--)
			json_array_append_new(tags, json_string(PICK(image_names)));
		json_array_append_new(list, json_pack("{s:s, s:o}", "Id", id, "RepoTags", tags));
	}
	assert_int_equal(inventory_images_replace(node, fixture_ref(list), NULL, NULL), 0);
}

/* ---- A request ---- */

struct wish {
	struct placement placement;
	struct view_port ports[PORTS_MAX];
	char terms[3][TERMS_MAX][160];
	const char *term_list[3][TERMS_MAX];
	struct view_need needs[2];
	const char *need_nodes[2][NODES_MAX + 1];
	struct view_label labels[2];
	char name[16];
	const char *references[3];
	struct str_list excluded;
	struct bitset preferred;
};

static size_t wish_ports(struct wish *wish, bool exposed)
{
	size_t len = below(3) == 0 ? below(PORTS_MAX + 1) : 0;

	for (size_t i = 0; i < len; i++)
		wish->ports[i] = (struct view_port){.ip = exposed ? "" : PICK(ips),
			.port = PICK(port_numbers),
			.protocol = PICK(protocols)};
	return len;
}

static size_t wish_terms(struct wish *wish, int kind)
{
	size_t len = below(3) == 0 ? 1 + below(TERMS_MAX) : 0;

	for (size_t i = 0; i < len; i++) {
		const char *key = kind == 0   ? PICK(constraint_keys)
				  : kind == 1 ? PICK(affinity_keys)
					      : "node";

		snprintf(wish->terms[kind][i], sizeof(wish->terms[kind][i]), "%s%s%s%s", key,
			below(3) ? "==" : "!=", below(2) ? "~" : "",
			kind == 2 ? PICK(whitelist_values) : PICK(values));
		wish->term_list[kind][i] = wish->terms[kind][i];
	}
	return len;
}

static int by_text(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;

	return strcmp(*a, *b);
}

static void wish_need(
	struct wish *wish, size_t at, const struct node_view *const *nodes, size_t len)
{
	size_t need_len = 0;

	for (size_t i = 0; i < len; i++) {
		if (below(3) > 0)
			wish->need_nodes[at][need_len++] = nodes[i]->id;
	}
	/* A node that has left since. */
	if (below(3) == 0)
		wish->need_nodes[at][need_len++] = "Z|z";
	qsort(wish->need_nodes[at], need_len, sizeof(const char *), by_text);
	wish->needs[at] = (struct view_need){.option = "--volume",
		.name = "data",
		.nodes = wish->need_nodes[at],
		.nodes_len = need_len};
}

static void wish_fill(
	struct wish *wish, struct world *w, const struct node_view *const *nodes, size_t len)
{
	struct placement *p = &wish->placement;

	*wish = (struct wish){.placement = {.want = {.id = "",
						    .swarm_id = below(4) ? "" : PICK(ids),
						    .name = "",
						    .image = "",
						    .image_id = ""}}};
	if (below(2)) {
		snprintf(wish->name, sizeof(wish->name), "r-%u", w->next_name++ % 1000);
		p->want.name = wish->name;
	}
	p->want.host_network = below(3) == 0;
	p->want.ports = p->want.exposed = wish->ports;
	if (p->want.host_network)
		p->want.exposed_len = wish_ports(wish, true);
	else
		p->want.ports_len = wish_ports(wish, false);
	wish->labels[0] = (struct view_label){"com.docker.swarm.id", p->want.swarm_id};
	wish->labels[1] = (struct view_label){"disk", PICK(label_values)};
	p->want.labels = (struct view_labels){wish->labels + below(2), 1};
	p->want.nano_cpus = below(2) ? below(3) * 500000000 : 0;
	p->want.memory = below(2) ? below(60) : 0;
	p->constraints = wish->term_list[0];
	p->constraints_len = wish_terms(wish, 0);
	p->affinities = wish->term_list[1];
	p->affinities_len = wish_terms(wish, 1);
	p->whitelists = wish->term_list[2];
	p->whitelists_len = wish_terms(wish, 2);
	wish->references[0] = PICK(references);
	wish->references[1] = below(2) ? "db:alias" : "ab01:/me/x";
	wish->references[2] = PICK(references);
	p->volumes_from = wish->references;
	p->volumes_from_len = below(8) == 0;
	p->links = wish->references + 1;
	p->links_len = below(10) == 0;
	p->network_container = below(10) == 0 ? wish->references[2] : NULL;
	p->needs = wish->needs;
	p->needs_len = below(6) == 0 ? 1 + below(2) : 0;
	for (size_t i = 0; i < p->needs_len; i++)
		wish_need(wish, i, nodes, len);
}

/* ---- The comparison ---- */

struct pair {
	struct scheduler *fast;
	struct slow_scheduler *slow;
};

static struct pair pair_new(const char *strategy, const char *filters, const struct env *env)
{
	struct str_list list = {0};
	struct scheduler_config config = {.strategy = strategy, .filters = &list, .env = env};
	struct pair pair;

	if (filters != NULL)
		str_list_split(&list, filters, ",");
	pair.fast = scheduler_new(&config, NULL);
	assert_non_null(pair.fast);
	pair.slow = slow_scheduler_new(strategy, filters == NULL ? NULL : &list, env);
	str_list_free(&list);
	return pair;
}

static void pair_free(struct pair *pair)
{
	scheduler_free(pair->fast);
	slow_scheduler_free(pair->slow);
}

/* What was chosen is held for a while, now and then. */
static void keep(struct world *w, const struct wish *wish, size_t slot)
{
	struct reservation **held = &w->held[below(HELD_MAX)];

	if (*held != NULL)
		reservation_cancel(*held);
	*held = cluster_reserve(&w->fixture->cluster, cluster_node_at(&w->fixture->cluster, slot),
		&wish->placement.want, NULL);
}

/* One request to both. True when a node took it. */
static bool compare(struct world *w, struct pair *pair)
{
	const struct fleet *fleet = cluster_fleet(&w->fixture->cluster);
	size_t len;
	struct node *const *nodes = cluster_nodes(&w->fixture->cluster, &len);
	const struct node_view *views[NODES_MAX];
	bool is_preferred[NODES_MAX] = {false};
	struct err fast_err = ERR_INIT, slow_err = ERR_INIT;
	struct wish wish;
	ssize_t fast, slow;

	for (size_t i = 0; i < len; i++)
		views[i] = node_view(nodes[i]);
	wish_fill(&wish, w, views, len);
	bitset_init(&wish.preferred, fleet_slots(fleet));
	for (size_t i = 0; i < len; i++) {
		if (below(10) == 0)
			str_list_add(&wish.excluded, views[i]->id);
		is_preferred[i] = below(4) == 0;
		if (is_preferred[i])
			bitset_add(&wish.preferred, node_slot(nodes[i]));
	}
	wish.placement.preferred = len == 0 ? NULL : &wish.preferred;
	dice = below(1000);
	fast = scheduler_select(
		pair->fast, fleet, NULL, &wish.placement, &wish.excluded, &fast_err);
	slow = slow_select(
		pair->slow, views, len, &wish.placement, is_preferred, &wish.excluded, &slow_err);
	if ((fast < 0) != (slow < 0) || strcmp(fast_err.msg, slow_err.msg) != 0)
		print_error("fast: %zd %s\nslow: %zd %s\n", fast, fast_err.msg, slow, slow_err.msg);
	CHECK((fast < 0) == (slow < 0));
	CHECK(fast_err.code == slow_err.code);
	CHECK(strcmp(fast_err.msg, slow_err.msg) == 0);
	CHECK(fast < 0 || cluster_node_at(&w->fixture->cluster, (size_t)fast) == nodes[slow]);
	if (fast >= 0 && below(3) == 0)
		keep(w, &wish, (size_t)fast);
	bitset_release(&wish.preferred);
	str_list_free(&wish.excluded);
	return fast >= 0;
}

static void change(struct world *w)
{
	switch (below(8)) {
	case 0:
		node_add(w);
		break;
	case 1:
		node_change(w);
		break;
	case 2:
	case 3:
	case 4:
		container_put(w);
		break;
	case 5:
	case 6:
		container_remove(w);
		break;
	default:
		images_replace(w);
	}
	inventory_sweep(&w->fixture->cluster.inventory);
}

/* When everything has gone, so has everything in the indexes. */
static void world_end(struct world *w)
{
	struct fleet *fleet = &w->fixture->cluster.inventory.fleet;
	size_t len;
	struct node *const *nodes;

	for (size_t i = 0; i < HELD_MAX; i++) {
		if (w->held[i] != NULL)
			reservation_cancel(w->held[i]);
	}
	while (nodes = cluster_nodes(&w->fixture->cluster, &len), len > 0)
		inventory_node_remove(nodes[0]);
	CHECK(bitset_is_empty(&fleet->all));
	CHECK(RB_EMPTY(&fleet->node_labels.keys.tree));
	CHECK(RB_EMPTY(&fleet->container_labels.keys.tree));
	CHECK(RB_EMPTY(&fleet->ports.keys.tree));
	CHECK(RB_EMPTY(&fleet->exposed.keys.tree));
	CHECK(RB_EMPTY(&fleet->image_names.keys.tree));
	CHECK(RB_EMPTY(&fleet->image_ids.tree));
	fixture_free(w->fixture);
}

static void test_same_as_slow(void **state)
{
	const struct env env = {.random_below = env_below};
	unsigned placed = 0;

	(void)state;
	chance_start("SCHEDULER_FLEET_SEED");
	for (unsigned i = 0; i < CLUSTERS; i++) {
		struct world w = {.fixture = fixture_new(0.0)};
		struct pair pairs[] = {pair_new("spread", NULL, &env),
			pair_new("binpack", NULL, &env), pair_new("random", NULL, &env),
			pair_new("spread", "whitelist,constraint,port", &env)};

		for (unsigned j = 0; j < ROUNDS; j++) {
			chance.round++;
			change(&w);
			placed += compare(&w, &PICK(pairs));
		}
		world_end(&w);
		for (size_t j = 0; j < ARRAY_LEN(pairs); j++)
			pair_free(&pairs[j]);
	}
	/* Both ways were compared. */
	assert_in_range(placed, CLUSTERS * ROUNDS / 5, CLUSTERS * ROUNDS * 4 / 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_as_slow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
