/* The container list's filters where an index serves them, against the same filters over all
 * containers: they must let pass the same, and look at little. */
#include "api/container_filter.h"
#include "lib/json.h"
#include "tests/unit/cluster_fixture.h"
#include "tests/unit/cpu_limit.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODES 6
#define CONTAINERS 600
#define CASES 4000

static uint64_t dice = 11;

static unsigned roll(unsigned bound)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(dice >> 33) % bound;
}

/* Few digits in front, so that prefixes have several. */
static char *some_id(void)
{
	char *id = xasprintf("%064x", roll(UINT32_MAX));

	for (int i = 0; i < 40; i++)
		id[i] = "0123456789abcdef"[roll(i < 3 ? 4 : 16)];
	return id;
}

static const char *const name_patterns[] = {"web", "^web", "^/web-1$", "^/?web-1$", "^web-1",
	"^web-1$", "^web.?$", "^we?b", "^web-1*", "^web-1?", "^web-1{2}", "^web-1+", "^(web|db_)1",
	"^web-1|db_1", "^/n1/web", "n1/web-1", "^n1/", "^n[12]/web", "^n4/web-2", "^/n4/web-2.$",
	"^n1", "^app1/web$", "^/app1/", "^app", "^web\\-1$", "^n1\\-web\\.1", "^n1\\x2dweb",
	"^\\Qweb-\\E1", "^/+web-1", "^/*web-1", "^/{0,1}web-1", "^//web", "^web-[0-9]+$", "", "^",
	"$", "^$", "^/$", "^/", "web-1$", "(?i)^web1", "^(?i)web1", "^web(", "[", "^web\\",
	"^web\\d", "\\Aweb-1", "^\\/web-1$", "^n1\\/web", "^n1/?web", "^n1/*web", "^n1\\/*web",
	"^web\xc3\xa9?", "web1", "^WEB1$", "^n9/web", "^ web",
	/* Parts of names. */
	"eb-1", "/web", "/web-1", "//web", "n1-web", "n1/web", "n1/web-1", "/n1/web-1", "n1//web",
	"n1/", "app1/web", "web$", "web.1", ".*web.*", "^.*web-1", "web-[0-9]+", "web-?1", "web-*1",
	"web-+1", "web-*?1", "web-{1}1", "web-{0}1", "web{1}-1", "web{", "web{1", "web{x}1",
	"web{[}-1]", "[web]-1", "[]web]-1", "[^]w]eb-1", "[^]-1", "[[]w]eb", "[[:alpha:]xyz]b_1",
	"[[:alpha:]", "we[b-]1", "[/]web-1", "n1.web-1", "n.*/web-1", ".?/n1", "n1/?web",
	"web-1|db_1", "(web-)?1", "web\\-1", "web\\d1", "web-1\\", "web^1", "web$1"};

static void add_container(struct node *node, unsigned number)
{
	static const char *const states[] = {"created", "running", "running", "paused",
		"restarting", "removing", "exited", "dead"};
	static const char *const names[] = {"web", "web-", "db_", "n1-web.", "WEB"};
	char *id CLEANUP_FREE = some_id(), *swarm_id CLEANUP_FREE = some_id();
	json_t *of = json_object(), *names_json = json_array();
	json_t *entry CLEANUP_JSON = json_pack("{s:s, s:i, s:s, s:o, s:o, s:s}", "Id", id,
		"Created", (int)roll(40), "State", states[roll(ARRAY_LEN(states))], "Names",
		names_json, "Labels", of, "Image", "busybox");
	const char *pattern = name_patterns[roll(ARRAY_LEN(name_patterns))];
	struct err err = ERR_INIT;
	struct container *container;

	/* Names of other nodes too, as of machines whose engines were used without a manager. */
	json_array_append_new(names_json, json_sprintf("/%s%u", names[roll(5)], number / 2));
	/* No engine has such names, but what is no expression is compared. */
	if (roll(20) == 0 && isalpha((unsigned char)pattern[0]))
		json_array_append_new(names_json, json_sprintf("/%s", pattern));
	if (roll(8) == 0)
		json_array_append_new(names_json, json_sprintf("/app%u/web", roll(4)));
	if (roll(20) == 0)
		json_array_append_new(names_json, json_sprintf("/n%u/db", roll(4)));
	if (roll(2))
		json_object_set_new(
			of, PROJECT_LABEL, json_sprintf("%s%u", roll(20) ? "p" : "", roll(30)));
	if (roll(30) == 0)
		json_object_set_new(of, PROJECT_LABEL, json_string(""));
	if (roll(2))
		json_object_set_new(of, "tier", json_string(roll(2) ? "front" : "back"));
	if (roll(50) == 0)
		json_object_set_new(of, "rare", json_string(roll(2) ? "1" : "a=b"));
	if (roll(2))
		json_object_set_new(of, "com.docker.swarm.id", json_string(swarm_id));
	container = fixture_record(node, entry, NULL, &err);
	if (container == NULL)
		fail_msg("%s", err.msg);
	inventory_container_put(container);
}

static struct fixture *fleet(void)
{
	struct fixture *fx = fixture_new(0);

	for (unsigned n = 0; n < NODES; n++) {
		char name[16], addr[32];

		/* Two machines are called n4. */
		snprintf(name, sizeof(name), "n%u", n == 5 ? 4 : n);
		snprintf(addr, sizeof(addr), "10.0.0.%u:2375", n);
		fixture_node(fx, name, addr);
	}
	for (unsigned i = 0; i < CONTAINERS; i++) {
		size_t len;

		add_container(cluster_nodes(&fx->cluster, &len)[roll(NODES)], i);
	}
	return fx;
}

static const char *const labels[] = {"tier", "tier=front", "tier=front", "tier=nosuch", "nosuch",
	"nosuch=", PROJECT_LABEL, PROJECT_LABEL "=", "com.docker.swarm.id",
	"com.docker.swarm.id=nosuch", "", "=", "rare", "rare=1", "rare=a=b"};
static const char *const states[] = {
	"created", "running", "paused", "restarting", "removing", "exited", "dead"};

/* Some container of the fleet. */
static const struct container *any(struct fixture *fx)
{
	size_t len, nodes;
	const struct node *node = cluster_nodes(&fx->cluster, &nodes)[roll(NODES)];
	struct container *const *all = node_containers(node, &len);

	return all[roll((unsigned)len)];
}

static void add_value(json_t *filters, const char *key, const char *text)
{
	json_t *values = json_object_get(filters, key);

	if (values == NULL) {
		values = json_array();
		json_object_set_new(filters, key, values);
	}
	json_array_append_new(values, json_string(text));
}

static void add_filter(struct fixture *fx, json_t *filters)
{
	const struct container *c = any(fx);
	char text[128];

	switch (roll(9)) {
	case 0:
		snprintf(text, sizeof(text), "%.*s", (int)(1 + roll(5)),
			roll(2) ? c->view.id : c->view.swarm_id);
		add_value(filters, "id", text);
		break;
	case 1:
		add_value(filters, "name", name_patterns[roll(ARRAY_LEN(name_patterns))]);
		break;
	case 2:
		snprintf(text, sizeof(text), PROJECT_LABEL "=%s%u", roll(9) ? "p" : "", roll(32));
		add_value(filters, "label", text);
		break;
	case 3:
		add_value(filters, "label", labels[roll(ARRAY_LEN(labels))]);
		break;
	case 4:
		add_value(filters, "node",
			roll(2)   ? c->node->inventory.view.name
			: roll(2) ? c->node->inventory.view.id
			: roll(2) ? c->node->inventory.view.addr
				  : "n9");
		break;
	case 5:
		add_value(filters, "status", states[roll(ARRAY_LEN(states))]);
		break;
	case 6:
		add_value(filters, "before", c->view.id);
		break;
	case 7:
		add_value(filters, "since", c->view.id);
		break;
	default:
		add_value(filters, "health", "none");
	}
}

/* Filters that found something without looking at all containers. */
static unsigned served;

static void check(struct fixture *fx, const json_t *filters, bool all)
{
	struct err err = ERR_INIT;
	struct container_filter *filter = container_filter_new(&fx->cluster, filters, &err);
	const struct cursor_range everything = {CONTAINERS_ALL, INT64_MIN, INT64_MAX};
	struct cursor *plain, *cursor;
	struct container *wanted, *have;
	size_t looks = 0, found = 0;

	/* The same ID on two nodes, or a prefix of several. */
	if (filter == NULL && json_object_get(filters, "before") == NULL &&
		json_object_get(filters, "since") == NULL)
		fail_msg("%s", err.msg);
	if (filter == NULL)
		return;
	all |= container_filter_wants_all(filter);
	plain = cursor_new(&fx->cluster, &everything);
	cursor = container_filter_cursor(filter, &fx->cluster, all);
	do {
		while ((wanted = cursor_next(plain)) &&
			!((all || wanted->view.is_running) &&
				container_filter_match(filter, wanted)))
			;
		while ((have = cursor_next(cursor)) &&
			!((all || have->view.is_running) && container_filter_match(filter, have)))
			looks++;
		found += have != NULL;
		if (wanted != have) {
			char *text = json_text(filters, NULL);

			fail_msg("%s: %s in the place of %s", text,
				have ? have->names.items[0] : "nothing",
				wanted ? wanted->names.items[0] : "nothing");
		}
	} while (wanted != NULL);
	served += found > 0 && looks + found < CONTAINERS;
	assert_false(container_filter_is_spent(filter));
	cursor_free(plain);
	cursor_free(cursor);
	container_filter_free(filter);
}

static void test_like_a_walk_over_all(void **state)
{
	struct fixture *fx = fleet();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(name_patterns); i++) {
		json_t *filters CLEANUP_JSON = json_pack("{s:[s]}", "name", name_patterns[i]);

		check(fx, filters, true);
	}
	for (int i = 0; i < CASES; i++) {
		json_t *filters CLEANUP_JSON = json_object();

		for (unsigned n = 1 + roll(3); n > 0; n--)
			add_filter(fx, filters);
		check(fx, filters, roll(2));
	}
	fixture_free(fx);
}

/* Some expression, or a text that is none. */
static void some_pattern(char *out, size_t size)
{
	static const char *const pieces[] = {"web", "web-", "w", "b", "-", "1", "2", "db_", "db_1",
		"n1-web.", "WEB", "app1", "n1", "n1/", "app1/", "/", ".", ".", "^", "$", "?", "*",
		"+", "{1}", "{0,1}", "{", "}", "[", "]", "[0-9]", "[^]w]", "[]b]", "[b-]",
		"[[:digit:]]", "|", "(", ")", "\\", "\\-", "(?i)", "\xc3\xa9"};
	size_t len = 0;

	for (unsigned n = 1 + roll(4); n > 0; n--)
		len += strlcpy(out + len, pieces[roll(ARRAY_LEN(pieces))], size - len);
}

static void test_patterns_like_a_walk(void **state)
{
	struct fixture *fx = fleet();

	(void)state;
	served = 0;
	for (int i = 0; i < CASES; i++) {
		json_t *filters CLEANUP_JSON = json_object();
		char pattern[64];

		some_pattern(pattern, sizeof(pattern));
		add_value(filters, "name", pattern);
		check(fx, filters, true);
	}
	assert_in_range(served, CASES / 10, CASES);
	fixture_free(fx);
}

/* How many containers are looked at for a filter. */
static size_t looked_at(struct fixture *fx, const char *key, const char *value)
{
	json_t *filters CLEANUP_JSON = json_pack("{s:[s]}", key, value);
	struct err err = ERR_INIT;
	struct container_filter *filter = container_filter_new(&fx->cluster, filters, &err);
	struct cursor *cursor = container_filter_cursor(filter, &fx->cluster, true);
	size_t looks = 0;

	while (cursor_next(cursor))
		looks++;
	cursor_free(cursor);
	container_filter_free(filter);
	return looks;
}

static void test_looks_at_little(void **state)
{
	struct fixture *fx = fleet();
	const struct container *c = any(fx);
	const struct cursor_range dead = {
		1u << container_state_number("dead"), INT64_MIN, INT64_MAX};
	struct cursor *cursor = cursor_new(&fx->cluster, &dead);
	char pattern[INVENTORY_NAME_MAX];
	size_t of_node, count = 0;

	(void)state;
	/* A dot is no letter of an expression. */
	while (strchr(c->names.items[0], '.'))
		c = any(fx);
	node_containers(c->node, &of_node);
	assert_int_equal(looked_at(fx, "id", c->view.id), 1);
	assert_int_equal(looked_at(fx, "node", c->node->inventory.view.id), of_node);
	snprintf(pattern, sizeof(pattern), "^%s$", c->names.items[0]);
	assert_in_range(looked_at(fx, "name", pattern), 1, 4);
	assert_in_range(looked_at(fx, "name", "^web-1"), 1, CONTAINERS / 4);
	assert_in_range(looked_at(fx, "name", "web-1"), 1, CONTAINERS / 4);
	assert_in_range(looked_at(fx, "name", "n1/web-1"), 1, CONTAINERS / 4);
	assert_in_range(looked_at(fx, "name", ".*eb-1[0-9]{2}$"), 1, CONTAINERS / 4);
	assert_in_range(looked_at(fx, "name", "[^a]eb-1.*1"), 1, CONTAINERS / 4);
	assert_int_equal(looked_at(fx, "name", "nosuch"), 0);
	assert_int_equal(looked_at(fx, "name", "n./web-1"), CONTAINERS);
	assert_in_range(looked_at(fx, "label", PROJECT_LABEL "=p1"), 1, CONTAINERS / 10);
	assert_in_range(looked_at(fx, "label", "rare"), 1, CONTAINERS / 25);
	assert_int_equal(looked_at(fx, "label", "nosuch"), 0);
	while (cursor_next(cursor))
		count++;
	cursor_free(cursor);
	assert_in_range(count, 1, CONTAINERS / 4);
	assert_int_equal(looked_at(fx, "status", "dead"), count);
	fixture_free(fx);
}

static struct container_filter *filter_of(struct fixture *fx, const char *key, json_t *values)
{
	json_t *filters CLEANUP_JSON = json_pack("{s:O}", key, values);
	struct err err = ERR_INIT;
	struct container_filter *filter = container_filter_new(&fx->cluster, filters, &err);

	if (filter == NULL)
		fail_msg("%s: %s", key, err.msg);
	return filter;
}

static json_t *network_entry(unsigned number)
{
	static const char *const ports[] = {"tcp", "udp"};
	char *id CLEANUP_FREE = some_id(), *network CLEANUP_FREE = some_id();

	return json_pack("{s:s, s:i, s:s, s:[o], s:s, s:{s:{s:{s:s}}}, s:[{s:s, s:s, s:s}], "
			 "s:[{s:i, s:i, s:s}]}",
		"Id", id, "Created", number, "State", "running", "Names",
		json_sprintf("/c%u", number), "Image", roll(2) ? "busybox" : "nginx",
		"NetworkSettings", "Networks", roll(2) ? "front" : "back", "NetworkID", network,
		"Mounts", "Type", "volume", "Name", roll(2) ? "data" : "logs", "Destination", "/x",
		"Ports", "PrivatePort", (int)roll(20) + 80, "PublicPort", (int)roll(20) + 8080,
		"Type", ports[roll(2)]);
}

/* Alternatives let pass what each of them does. */
static void check_values(struct fixture *fx, const char *key, json_t *values)
{
	struct container_filter *all = filter_of(fx, key, values);
	size_t nodes, len;
	struct container *const *containers =
		node_containers(cluster_nodes(&fx->cluster, &nodes)[0], &len);

	for (size_t i = 0; i < len; i++) {
		bool any = false;

		for (size_t v = 0; v < json_array_size(values); v++) {
			json_t *one CLEANUP_JSON = json_pack("[O]", json_array_get(values, v));
			struct container_filter *filter = filter_of(fx, key, one);

			any = any || container_filter_match(filter, containers[i]);
			container_filter_free(filter);
		}
		if (any != container_filter_match(all, containers[i]))
			fail_msg("%s: %s is %s", key, containers[i]->names.items[0],
				any ? "left out" : "let pass");
	}
	container_filter_free(all);
	json_decref(values);
}

static struct fixture *networked(void)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n", "10.0.0.1:2375");

	for (unsigned i = 0; i < 100; i++) {
		json_t *entry CLEANUP_JSON = network_entry(i);
		struct err err = ERR_INIT;
		struct container *container = fixture_record(node, entry, NULL, &err);

		if (container == NULL)
			fail_msg("%s", err.msg);
		inventory_container_put(container);
	}
	return fx;
}

static void test_alternatives(void **state)
{
	struct fixture *fx = networked();
	size_t nodes, len;
	struct container *const *all =
		node_containers(cluster_nodes(&fx->cluster, &nodes)[0], &len);
	const struct container *some = all[len / 3], *other = all[len / 2];

	(void)state;
	check_values(fx, "network", json_pack("[s,s]", "front", "nosuch"));
	check_values(fx, "network",
		json_pack("[s%,s%]", some->networks.items[1], (size_t)2, some->networks.items[0],
			(size_t)1));
	check_values(fx, "volume", json_pack("[s,s]", "logs", "x"));
	check_values(fx, "ancestor", json_pack("[s,s]", "nginx", "busybo"));
	check_values(
		fx, "id", json_pack("[s%,s,s]", some->view.id, (size_t)2, other->view.id, "z"));
	check_values(fx, "node", json_pack("[s,s]", "m", "10.0.0.1:2375"));
	check_values(fx, "before", json_pack("[s,s]", some->view.id, other->view.id));
	check_values(fx, "since", json_pack("[s,s]", some->view.id, other->view.id));
	check_values(fx, "publish", json_pack("[s,s,s]", "8080-8085", "8090/udp", "8091/x"));
	check_values(fx, "publish", json_pack("[s,s]", "0-65535/tcp", "8081/udp"));
	check_values(fx, "expose", json_pack("[s,s]", "80/tcp", "95-99/udp"));
	check_values(fx, "isolation", json_pack("[s,s]", "hyperv", "process"));
	fixture_free(fx);
}

/* A thousand values cost what one does: else these were some billions of comparisons. */
static void test_many_values(void **state)
{
	enum { VALUES = 1000, MATCHES = 2000000, CPU_S = 60 };
	static const char *const keys[] = {"network", "volume", "ancestor", "expose"};
	struct fixture *fx = networked();
	size_t nodes, len;
	struct container *const *all =
		node_containers(cluster_nodes(&fx->cluster, &nodes)[0], &len);

	(void)state;
	cpu_limit(CPU_S);
	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		json_t *values CLEANUP_JSON = json_array();
		struct container_filter *filter;

		for (int i = 0; i < VALUES; i++)
			json_array_append_new(
				values, json_sprintf(k == 3 ? "%d" : "net%d", 2000 + i));
		filter = filter_of(fx, keys[k], values);
		for (int i = 0; i < MATCHES / (int)ARRAY_LEN(keys); i++)
			assert_false(container_filter_match(filter, all[(size_t)i % len]));
		container_filter_free(filter);
	}
	cpu_limit(0);
	fixture_free(fx);
}

static size_t passing(struct fixture *fx, const char *key, const char *value)
{
	json_t *filters CLEANUP_JSON = json_pack("{s:[s]}", key, value);
	struct err err = ERR_INIT;
	struct container_filter *filter = container_filter_new(&fx->cluster, filters, &err);
	size_t count = 0, len;
	struct node *const *nodes = cluster_nodes(&fx->cluster, &len);

	assert_non_null(filter);
	for (size_t i = 0; i < len; i++) {
		size_t of_node;
		struct container *const *containers = node_containers(nodes[i], &of_node);

		for (size_t k = 0; k < of_node; k++)
			count += container_filter_match(filter, containers[k]);
	}
	container_filter_free(filter);
	return count;
}

/* A task is what has one of the labels. */
static void test_tasks(void **state)
{
	static const char *const task_labels[] = {
		"com.docker.swarm.task", "com.docker.swarm.task.id", "com.docker.swarm.tasks"};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(task_labels); i++) {
		json_t *entry CLEANUP_JSON = json_pack("{s:o, s:i, s:s, s:[s], s:{s:s}, s:s}", "Id",
			json_sprintf("%064x", i), "Created", 1, "State", "running", "Names", "/c",
			"Labels", task_labels[i], i == 0 ? "" : "x", "Image", "busybox");

		inventory_container_put(fixture_record(node, entry, NULL, NULL));
	}
	assert_int_equal(passing(fx, "is-task", "true"), 2);
	assert_int_equal(passing(fx, "is-task", "0"), 1);
	fixture_free(fx);
}

/* What matching costs is known to be affordable beforehand, or not known. */
static void test_cost(void **state)
{
	struct fixture *fx = fleet();
	json_t *cheap CLEANUP_JSON = json_pack("{s:[s], s:[s]}", "name", "web", "node", "n1");
	json_t *dear CLEANUP_JSON = json_pack("{s:[s]}", "name", "(a{1,30}){1,30}");
	struct err err = ERR_INIT;
	struct container_filter *filter = container_filter_new(&fx->cluster, cheap, &err);

	(void)state;
	assert_false(container_filter_may_be_spent(filter, 30000));
	assert_true(container_filter_may_be_spent(filter, 300000000));
	container_filter_free(filter);
	filter = container_filter_new(&fx->cluster, dear, &err);
	assert_true(container_filter_may_be_spent(filter, 30000));
	container_filter_free(filter);
	fixture_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_like_a_walk_over_all),
		cmocka_unit_test(test_patterns_like_a_walk),
		cmocka_unit_test(test_looks_at_little),
		cmocka_unit_test(test_alternatives),
		cmocka_unit_test(test_many_values),
		cmocka_unit_test(test_tasks),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
