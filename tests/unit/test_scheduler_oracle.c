/* Selection against a slow and obvious second implementation of the rules, over random fleets and
 * requests. A failure prints the seed and the round; SCHEDULER_ORACLE_SEED repeats it.
 *
 * The oracle shares no code with what it checks: its own globs (by recursion), POSIX instead of
 * RE2, its own sums, and lists walked from end to end. */
#include "lib/str.h"
#include "scheduler/scheduler.h"
#include "tests/unit/chance.h"
#include "tests/unit/view_fleet.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 24000
#define NODES_MAX 6
#define CONTAINERS_MAX 5
#define TERMS_MAX 3
#define PORTS_MAX 3
#define FILTERS 7

/* ---- Chance ---- */

static uint32_t env_below(const struct env *env, uint32_t bound)
{
	(void)env;
	return below(bound);
}

static const struct env env = {.random_below = env_below};

/* ---- A random world, of few words, so that they meet often ---- */

static const char *const names[] = {"web", "db", "web-1", "cache"};
static const char *const label_values[] = {"ssd", "hdd", "s.d", ""};
static const char *const ips[] = {"", "10.0.0.1", "10.0.0.2"};
static const char *const protocols[] = {"tcp", "udp"};
static const uint16_t port_numbers[] = {80, 81, 443};
static const char *const image_names[] = {"nginx:1.25", "nginx:latest", "reg:5000/app", "redis:7"};
static const char *const slots[] = {"1", "2", "4", "many"};
static const char *const values[] = {"ssd", "s*d", "*", "s.d", "/^s/", "/d$/", "web", "web*", "db",
	"node1", "node2", "node*", "/node[12]/", "nginx", "nginx:latest", "*:7", "reg:5000/app",
	"reg", "", "/(web|db)/", "*e*b*", "E3"};
static const char *const constraint_keys[] = {"node", "disk", "zone"};
static const char *const affinity_keys[] = {"container", "image", "disk", "tier"};
static const char *const whitelist_values[] = {
	"node1", "node1|node2", "node*|x", "E2|node3", "/node[345]/", "none"};

struct world {
	struct node_view nodes[NODES_MAX];
	const struct node_view *list[NODES_MAX];
	size_t nodes_len;
	char ids[NODES_MAX][24], node_names[NODES_MAX][16], engines[NODES_MAX][8];
	struct view_label node_labels[NODES_MAX][3];
	struct container_view containers[NODES_MAX][CONTAINERS_MAX];
	const struct container_view *container_list[NODES_MAX][CONTAINERS_MAX];
	char container_ids[NODES_MAX][CONTAINERS_MAX][65];
	char container_names[NODES_MAX][CONTAINERS_MAX][16]; /* of reservations: each has its own */
	struct view_label container_labels[NODES_MAX][CONTAINERS_MAX][2];
	struct view_port ports[NODES_MAX][CONTAINERS_MAX][PORTS_MAX];
	const char *image_names[NODES_MAX][2];
	struct image_view images[NODES_MAX][2];
	const struct image_view *image_list[NODES_MAX][2];

	struct placement placement;
	struct view_port want_ports[PORTS_MAX];
	char terms[3][TERMS_MAX][64];
	const char *term_list[3][TERMS_MAX];
	const char *dependencies[2];
	struct view_need needs[2];
	const char *need_nodes[2][NODES_MAX + 1];
	uint64_t preferred_words[1];
	struct bitset preferred;
	bool is_preferred[NODES_MAX];
};

static size_t random_ports(struct view_port *ports, bool exposed)
{
	size_t len = below(3) == 0 ? below(PORTS_MAX + 1) : 0;

	for (size_t i = 0; i < len; i++)
		ports[i] = (struct view_port){.ip = exposed ? "" : PICK(ips),
			.port = PICK(port_numbers),
			.protocol = PICK(protocols)};
	return len;
}

static void random_container(struct world *w, size_t node, size_t at)
{
	struct container_view *c = &w->containers[node][at];
	struct view_label *labels = w->container_labels[node][at];
	size_t labels_len = 0;

	/* One in five is a reservation. */
	if (below(5) > 0)
		snprintf(w->container_ids[node][at], 65, "%016x%016x%016x%016x",
			(unsigned)(node + 1), (unsigned)at, below(1000), 7u);
	else
		w->container_ids[node][at][0] = '\0';
	snprintf(w->container_names[node][at], sizeof(w->container_names[node][at]), "db-%u-%u",
		(unsigned)node, (unsigned)at);
	if (below(2))
		labels[labels_len++] = (struct view_label){"disk", PICK(label_values)};
	if (below(3) == 0)
		labels[labels_len++] = (struct view_label){"tier", PICK(label_values)};
	*c = (struct container_view){
		.id = w->container_ids[node][at],
		.swarm_id = "",
		.name = w->container_ids[node][at][0] ? PICK(names) : w->container_names[node][at],
		.image = "",
		.image_id = "",
		.labels = {labels, labels_len},
		.is_running = below(2),
		.host_network = below(3) == 0,
	};
	if (c->host_network) {
		c->exposed = w->ports[node][at];
		c->exposed_len = random_ports(w->ports[node][at], true);
	} else {
		c->ports = w->ports[node][at];
		c->ports_len = random_ports(w->ports[node][at], false);
	}
	w->container_list[node][at] = c;
}

static void random_node(struct world *w, size_t at)
{
	struct node_view *node = &w->nodes[at];
	struct view_label *labels = w->node_labels[at];
	size_t labels_len = 0;
	size_t images = below(3);

	snprintf(w->engines[at], sizeof(w->engines[at]), "E%u", (unsigned)at + 1);
	snprintf(w->ids[at], sizeof(w->ids[at]), "E%u|a:%u", (unsigned)at + 1, (unsigned)at);
	snprintf(w->node_names[at], sizeof(w->node_names[at]), "node%u", (unsigned)at + 1);
	if (below(6) == 0)
		labels[labels_len++] = (struct view_label){"containerslots", PICK(slots)};
	if (below(2))
		labels[labels_len++] = (struct view_label){"disk", PICK(label_values)};
	if (below(2))
		labels[labels_len++] = (struct view_label){"zone", PICK(label_values)};
	*node = (struct node_view){
		.id = w->ids[at],
		.engine_id = w->engines[at],
		.name = w->node_names[at],
		.addr = "",
		.labels = {labels, labels_len},
		.is_healthy = below(8) > 0,
		.total_nano_cpus = 4,
		.total_memory = below(2) ? 64 : 100,
		.used_nano_cpus = below(5),
		.used_memory = below(70),
		.containers = w->container_list[at],
		.containers_len = below(CONTAINERS_MAX + 1),
		.images = w->image_list[at],
		.images_len = images,
	};
	for (size_t i = 0; i < node->containers_len; i++)
		random_container(w, at, i);
	for (size_t i = 0; i < images; i++) {
		w->image_names[at][i] = PICK(image_names);
		w->images[at][i] = (struct image_view){"sha256:00", &w->image_names[at][i], 1};
		w->image_list[at][i] = &w->images[at][i];
	}
	w->list[at] = node;
}

static size_t random_terms(struct world *w, int kind)
{
	size_t len = below(3) == 0 ? 1 + below(TERMS_MAX) : 0;

	for (size_t i = 0; i < len; i++) {
		const char *key = kind == 0   ? PICK(constraint_keys)
				  : kind == 1 ? PICK(affinity_keys)
					      : "node";
		const char *value = "";

		while (value[0] == '\0')
			value = kind == 2 ? PICK(whitelist_values) : PICK(values);
		snprintf(w->terms[kind][i], sizeof(w->terms[kind][i]), "%s%s%s%s", key,
			below(3) ? "==" : "!=", below(2) ? "~" : "", value);
		w->term_list[kind][i] = w->terms[kind][i];
	}
	return len;
}

/* Something that some of the nodes have; they come in the order of their IDs. */
static void random_need(struct world *w, size_t at)
{
	size_t len = 0;

	for (size_t i = 0; i < w->nodes_len; i++) {
		if (below(3) > 0)
			w->need_nodes[at][len++] = w->ids[i];
	}
	/* A node that has left since. */
	if (below(3) == 0)
		w->need_nodes[at][len++] = "Z|z";
	w->needs[at] = (struct view_need){
		.option = "--volume", .name = "data", .nodes = w->need_nodes[at], .nodes_len = len};
}

static void random_world(struct world *w)
{
	struct placement *p = &w->placement;

	w->nodes_len = below(NODES_MAX + 1);
	for (size_t i = 0; i < w->nodes_len; i++)
		random_node(w, i);
	*p = (struct placement){
		.want = {.id = "", .swarm_id = "", .name = "", .image = "", .image_id = ""}};
	p->want.host_network = below(3) == 0;
	p->want.ports = p->want.exposed = w->want_ports;
	if (p->want.host_network)
		p->want.exposed_len = random_ports(w->want_ports, true);
	else
		p->want.ports_len = random_ports(w->want_ports, false);
	p->want.nano_cpus = below(2) ? below(3) : 0;
	p->want.memory = below(2) ? below(30) : 0;
	p->constraints = w->term_list[0];
	p->constraints_len = random_terms(w, 0);
	p->affinities = w->term_list[1];
	p->affinities_len = random_terms(w, 1);
	p->whitelists = w->term_list[2];
	p->whitelists_len = random_terms(w, 2);
	w->dependencies[0] = PICK(names);
	p->volumes_from = w->dependencies;
	p->volumes_from_len = below(8) == 0;
	w->dependencies[1] = "db:alias";
	p->links = w->dependencies + 1;
	p->links_len = below(8) == 0;
	p->network_container = below(8) == 0 ? PICK(names) : NULL;
	p->needs = w->needs;
	p->needs_len = below(4) == 0 ? 1 + below(2) : 0;
	for (size_t i = 0; i < p->needs_len; i++)
		random_need(w, i);
	w->preferred_words[0] = 0;
	w->preferred = (struct bitset){.words = w->preferred_words, .words_len = 1};
	p->preferred = &w->preferred;
	for (size_t i = 0; i < w->nodes_len; i++) {
		w->is_preferred[i] = below(4) == 0;
		if (w->is_preferred[i])
			bitset_add(&w->preferred, i);
	}
}

/* ---- The oracle ---- */

static bool oracle_glob(const char *pattern, const char *text)
{
	if (*pattern == '\0')
		return *text == '\0';
	if (*pattern == '*')
		return oracle_glob(pattern + 1, text) ||
		       (*text != '\0' && oracle_glob(pattern, text + 1));
	return *text == *pattern && oracle_glob(pattern + 1, text + 1);
}

static bool oracle_value(const char *value, const char *text)
{
	size_t len = strlen(value);

	if (value[0] == '/' && value[len - 1] == '/') {
		char source[64];
		regex_t re;
		bool is_match;

		snprintf(source, sizeof(source), "%.*s", (int)(len - 2), value + 1);
		assert_int_equal(regcomp(&re, source, REG_EXTENDED | REG_NOSUB), 0);
		is_match = regexec(&re, text, 0, NULL, 0) == 0;
		regfree(&re);
		return is_match;
	}
	return oracle_glob(value, text);
}

static const char *oracle_label(const struct view_labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->len; i++) {
		if (strcmp(labels->items[i].key, key) == 0)
			return labels->items[i].value;
	}
	return "";
}

struct term {
	char key[32], value[64];
	bool is_negated, is_soft;
};

static struct term oracle_term(const char *text)
{
	struct term term = {.is_negated = strstr(text, "!=") != NULL};
	const char *op = strstr(text, term.is_negated ? "!=" : "==");

	snprintf(term.key, sizeof(term.key), "%.*s", (int)(op - text), text);
	term.is_soft = op[2] == '~';
	snprintf(term.value, sizeof(term.value), "%s", op + 2 + term.is_soft);
	return term;
}

static bool oracle_on_node(const char *value, const struct node_view *node)
{
	return oracle_value(value, node->name) || oracle_value(value, node->engine_id) ||
	       oracle_value(value, node->id);
}

static bool oracle_constraint(const struct term *term, const struct node_view *node)
{
	if (strcmp(term->key, "node") == 0)
		return oracle_on_node(term->value, node);
	return oracle_value(term->value, oracle_label(&node->labels, term->key));
}

static bool oracle_image(const char *value, const char *name)
{
	char repository[64];
	char *colon;

	if (oracle_value(value, name))
		return true;
	snprintf(repository, sizeof(repository), "%s", name);
	colon = strrchr(repository, ':');
	if (colon == NULL || strchr(colon, '/') != NULL)
		return false;
	*colon = '\0';
	return oracle_value(value, repository);
}

static bool oracle_affinity(const struct term *term, const struct node_view *node)
{
	bool any = false;

	for (size_t i = 0; i < node->containers_len; i++) {
		const struct container_view *c = node->containers[i];

		if (strcmp(term->key, "container") == 0)
			any |= oracle_value(term->value, c->name) ||
			       (c->id[0] != '\0' && oracle_value(term->value, c->id));
		else if (strcmp(term->key, "image") != 0)
			any |= oracle_value(term->value, oracle_label(&c->labels, term->key));
	}
	if (strcmp(term->key, "image") != 0)
		return any;
	for (size_t i = 0; i < node->images_len; i++)
		any |= oracle_image(term->value, node->images[i]->names[0]) ||
		       oracle_value(term->value, node->images[i]->id) ||
		       oracle_value(term->value, node->images[i]->id + 7);
	return any;
}

static bool oracle_whitelist(const struct term *term, const struct node_view *node)
{
	char list[64];
	char *rest = list;
	char *one;
	bool any = false;

	if (term->value[0] == '/')
		return oracle_on_node(term->value, node);
	snprintf(list, sizeof(list), "%s", term->value);
	while ((one = strsep(&rest, "|")) != NULL)
		any |= oracle_on_node(one, node);
	return any;
}

static bool oracle_terms(const char *const *texts, size_t len, const struct node_view *node,
	bool (*holds)(const struct term *term, const struct node_view *node), unsigned *soft)
{
	bool pass = true;

	for (size_t i = 0; i < len; i++) {
		struct term term = oracle_term(texts[i]);
		bool result = holds(&term, node) != term.is_negated;

		if (term.is_soft)
			*soft += result;
		else
			pass &= result;
	}
	return pass;
}

static bool oracle_port(const struct container_view *want, const struct node_view *node)
{
	const struct view_port *a = want->host_network ? want->exposed : want->ports;
	size_t a_len = want->host_network ? want->exposed_len : want->ports_len;

	for (size_t i = 0; i < node->containers_len; i++) {
		const struct container_view *c = node->containers[i];
		const struct view_port *b = want->host_network ? c->exposed : c->ports;
		size_t b_len = want->host_network ? c->exposed_len : c->ports_len;

		if (want->host_network && !c->host_network)
			continue;
		for (size_t j = 0; j < a_len; j++) {
			for (size_t k = 0; k < b_len; k++) {
				if (a[j].port == b[k].port &&
					strcmp(a[j].protocol, b[k].protocol) == 0 &&
					(a[j].ip[0] == '\0' || b[k].ip[0] == '\0' ||
						strcmp(a[j].ip, b[k].ip) == 0))
					return false;
			}
		}
	}
	return true;
}

static bool oracle_has(const struct node_view *node, const char *name, size_t len)
{
	for (size_t i = 0; i < node->containers_len; i++) {
		const struct container_view *c = node->containers[i];

		if (c->id[0] != '\0' && strlen(c->name) == len && memcmp(c->name, name, len) == 0)
			return true;
	}
	return false;
}

static bool oracle_dependency(const struct placement *p, const struct node_view *node)
{
	bool pass = true;

	for (size_t i = 0; i < p->volumes_from_len; i++)
		pass &= oracle_has(node, p->volumes_from[i], strlen(p->volumes_from[i]));
	for (size_t i = 0; i < p->links_len; i++)
		pass &= oracle_has(node, p->links[i], strcspn(p->links[i], ":"));
	if (p->network_container != NULL)
		pass &= oracle_has(node, p->network_container, strlen(p->network_container));
	for (size_t i = 0; i < p->needs_len; i++) {
		bool any = false;

		for (size_t k = 0; k < p->needs[i].nodes_len; k++)
			any |= strcmp(p->needs[i].nodes[k], node->id) == 0;
		pass &= any;
	}
	return pass;
}

static bool oracle_slots(const struct node_view *node)
{
	const char *label = oracle_label(&node->labels, "containerslots");

	return label[0] < '0' || label[0] > '9' || node->containers_len < (size_t)(label[0] - '0');
}

/* The place of the first filter that removes the node, FILTERS for want of room, -1 for none. */
static int oracle_check(const struct placement *p, const struct node_view *node, unsigned *soft)
{
	if (!node->is_healthy)
		return 0;
	if (!oracle_port(&p->want, node))
		return 1;
	if (!oracle_slots(node))
		return 2;
	if (!oracle_dependency(p, node))
		return 3;
	if (!oracle_terms(p->affinities, p->affinities_len, node, oracle_affinity, soft))
		return 4;
	if (!oracle_terms(p->constraints, p->constraints_len, node, oracle_constraint, soft))
		return 5;
	if (!oracle_terms(p->whitelists, p->whitelists_len, node, oracle_whitelist, soft))
		return 6;
	if (p->want.nano_cpus > 0 &&
		node->used_nano_cpus + p->want.nano_cpus > node->total_nano_cpus)
		return FILTERS;
	if (p->want.memory > 0 && node->used_memory + p->want.memory > node->total_memory)
		return FILTERS;
	return -1;
}

static int64_t oracle_weight(const struct container_view *want, const struct node_view *node)
{
	int64_t cpu = want->nano_cpus == 0 ? 1000000
					   : (node->used_nano_cpus + want->nano_cpus) * 1000000 /
						     node->total_nano_cpus;
	int64_t memory = want->memory == 0 ? 1000000
					   : (node->used_memory + want->memory) * 1000000 /
						     node->total_memory;

	return cpu + memory;
}

/* Whether a goes before b, by the strategy; history: when each node was chosen last. */
static bool oracle_before(
	const char *strategy, const struct world *w, const uint64_t *history, size_t a, size_t b)
{
	int64_t weight_a = oracle_weight(&w->placement.want, &w->nodes[a]);
	int64_t weight_b = oracle_weight(&w->placement.want, &w->nodes[b]);
	size_t count_a = w->nodes[a].containers_len;
	size_t count_b = w->nodes[b].containers_len;
	bool is_spread = strcmp(strategy, "spread") == 0;

	if (weight_a != weight_b)
		return is_spread ? weight_a < weight_b : weight_a > weight_b;
	if (count_a != count_b)
		return is_spread ? count_a < count_b : count_a > count_b;
	if (is_spread && history[a] != history[b])
		return history[a] < history[b];
	return a < b;
}

struct verdict {
	bool may[NODES_MAX];      /* among those that the strategy ranks */
	int removed[FILTERS + 1]; /* nodes that each filter removed */
	ssize_t best;             /* -1 = none */
};

static struct verdict oracle_select(
	const char *strategy, const struct world *w, const uint64_t *history)
{
	struct verdict v = {.best = -1};
	unsigned soft[NODES_MAX] = {0};
	bool pass[NODES_MAX] = {false};
	unsigned most = 0, holders = 0;

	for (size_t i = 0; i < w->nodes_len; i++) {
		int by = oracle_check(&w->placement, &w->nodes[i], &soft[i]);

		pass[i] = by < 0;
		if (by >= 0)
			v.removed[by]++;
		else if (soft[i] > most)
			most = soft[i];
	}
	for (size_t i = 0; i < w->nodes_len; i++)
		holders += pass[i] && soft[i] == most && w->is_preferred[i];
	for (size_t i = 0; i < w->nodes_len; i++) {
		v.may[i] = pass[i] && soft[i] == most && (holders == 0 || w->is_preferred[i]);
		if (v.may[i] &&
			(v.best < 0 || oracle_before(strategy, w, history, i, (size_t)v.best)))
			v.best = (ssize_t)i;
	}
	return v;
}

/* ---- The comparison ---- */

static void check_report(const struct world *w, const struct verdict *v, const struct err *err)
{
	static const char *const filters[] = {"health", "port", "containerslots", "dependency",
		"affinity", "constraint", "whitelist", "resources"};

	CHECK(err->code == ERR_NO_NODE);
	if (v->removed[0] == (int)w->nodes_len)
		CHECK(str_has_prefix(err->msg, "No healthy node available in the cluster"));
	else if (v->removed[FILTERS] > 0)
		CHECK(str_has_prefix(err->msg, "no resources available to schedule container"));
	else
		CHECK(str_has_prefix(err->msg, "Unable to find a node that satisfies the "
					       "following conditions \n["));
	for (int i = 0; i <= FILTERS; i++) {
		char line[96];

		snprintf(line, sizeof(line), "\n%s: %d of %zu nodes removed (", filters[i],
			v->removed[i], w->nodes_len);
		CHECK((strstr(err->msg, line) != NULL) == (v->removed[i] > 0));
	}
}

static void compare(const char *strategy, unsigned rounds, unsigned *placed)
{
	const struct scheduler_config config = {.strategy = strategy, .env = &env};
	struct scheduler *scheduler = scheduler_new(&config, NULL);
	uint64_t history[NODES_MAX] = {0};

	assert_non_null(scheduler);
	for (unsigned i = 1; i <= rounds; i++) {
		static struct world w;
		struct err err = ERR_INIT;
		struct view_fleet *fleet;
		struct verdict v;
		ssize_t got;

		chance.round++;
		random_world(&w);
		v = oracle_select(strategy, &w, history);
		fleet = view_fleet_new(w.list, w.nodes_len);
		if (w.nodes_len == 0)
			w.placement.preferred = NULL;
		got = scheduler_select(
			scheduler, view_fleet_get(fleet), NULL, &w.placement, NULL, &err);
		view_fleet_free(fleet);
		if (got < 0) {
			CHECK(v.best < 0);
			check_report(&w, &v, &err);
			continue;
		}
		CHECK((size_t)got < w.nodes_len && v.may[got]);
		if (strcmp(strategy, "random") != 0)
			CHECK(got == v.best);
		history[got] = i;
		(*placed)++;
	}
	scheduler_free(scheduler);
}

static void test_oracle(void **state)
{
	unsigned placed = 0;

	(void)state;
	chance_start("SCHEDULER_ORACLE_SEED");
	compare("spread", ROUNDS / 3, &placed);
	compare("binpack", ROUNDS / 3, &placed);
	compare("random", ROUNDS / 3, &placed);
	/* The worlds are neither all full nor all empty: both ways were compared. */
	assert_in_range(placed, ROUNDS / 4, ROUNDS - ROUNDS / 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
