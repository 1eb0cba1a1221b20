/* Container records: from a real engine's JSON, and from anything else. */
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

/* ---- The real engine ---- */

static struct container *real(struct node *node, const json_t *data, const char *name)
{
	const json_t *entry, *inspect;
	struct err err = ERR_INIT;
	size_t i;

	json_array_foreach (json_get(data, "list"), i, entry) {
		inspect = json_get(json_get(data, "inspect"), json_str(entry, "Id", ""));
		if (strcmp(json_str(inspect, "Name", "") + 1, name) == 0) {
			struct container *container = fixture_record(node, entry, inspect, &err);

			if (!container)
				fail_msg("%s: %s", name, err.msg);
			return container;
		}
	}
	fail_msg("no %s in the data", name);
	return NULL;
}

static bool has_port(
	const struct view_port *ports, size_t len, const char *ip, unsigned port, const char *proto)
{
	for (size_t i = 0; i < len; i++) {
		if (strcmp(ports[i].ip, ip) == 0 && ports[i].port == port &&
			strcmp(ports[i].protocol, proto) == 0)
			return true;
	}
	return false;
}

static void test_real_web(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");
	struct container *web = real(node, data, "web");
	const struct container_view *view = &web->view;

	(void)state;
	assert_string_equal(view->name, "web");
	assert_int_equal(strlen(view->id), 64);
	assert_int_equal(strspn(view->swarm_id, "a"), 64);
	assert_string_equal(view->image, "busybox");
	assert_int_equal(strncmp(view->image_id, "sha256:", 7), 0);
	assert_int_equal(view->labels.len, 2);
	assert_string_equal(view->labels.items[1].key, "tier");
	assert_string_equal(view->labels.items[1].value, "front");
	assert_true(view->is_running);
	assert_false(view->host_network);
	assert_int_equal(view->nano_cpus, 500000000);
	assert_int_equal(view->memory, 64 << 20);
	/* Asked for and actual, IPv4 and IPv6, are one each. */
	assert_int_equal(view->ports_len, 4);
	assert_true(has_port(view->ports, view->ports_len, "", 8080, "tcp"));
	assert_true(has_port(view->ports, view->ports_len, "127.0.0.1", 5353, "udp"));
	assert_true(has_port(view->ports, view->ports_len, "", 9001, "tcp"));
	assert_int_equal(view->exposed_len, 5);
	assert_true(has_port(view->exposed, view->exposed_len, "", 443, "tcp"));
	assert_true(str_list_has(&web->published, "8080/tcp"));
	assert_true(str_list_has(&web->published, "5353/udp"));
	assert_false(str_list_has(&web->published, "80/tcp"));
	assert_true(str_list_has(&web->container_ports, "443/tcp"));
	assert_true(str_list_has(&web->volumes, "data"));
	assert_true(str_list_has(&web->volumes, "/srv"));
	assert_true(str_list_has(&web->networks, "appnet"));
	assert_int_equal(web->networks.len, 2);
	assert_int_equal(web->created, 1795253512);
	assert_string_equal(web->state, "running");
	assert_string_equal(web->health, "none");
	container_unref(web);
	fixture_free(fx);
}

static void test_real_texts(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");
	struct container *web = real(node, data, "web");
	CLEANUP_FREE char *whole = fixture_row(web);
	CLEANUP_JSON json_t *summary = json_parse(whole, strlen(whole), NULL);
	CLEANUP_JSON json_t *ports = json_parse(web->ports_json, strlen(web->ports_json), NULL);
	const json_t *port;
	size_t i;

	(void)state;
	assert_non_null(summary);
	assert_string_equal(json_str(summary, "Id", ""), web->view.id);
	assert_string_equal(json_str(summary, "Command", ""), "sleep 100000");
	assert_string_equal(json_str(json_obj(summary, "HostConfig"), "NetworkMode", ""), "appnet");
	assert_int_equal(json_array_size(json_get(summary, "Mounts")), 2);
	assert_null(json_get(summary, "Status"));
	assert_null(json_get(summary, "State"));
	assert_null(json_get(summary, "Names"));
	assert_null(json_get(summary, "Ports"));
	/* Eight of the engine; [::] and 0.0.0.0 have become the same. */
	assert_int_equal(json_array_size(ports), 5);
	json_array_foreach (ports, i, port) {
		const char *ip = json_str(port, "IP", "none");

		assert_true(strcmp(ip, "10.0.0.1") == 0 || strcmp(ip, "127.0.0.1") == 0 ||
			    strcmp(ip, "none") == 0);
	}
	container_unref(web);
	fixture_free(fx);
}

static void test_real_states(void **state)
{
	static const struct {
		const char *name, *state, *health, *status;
		bool is_running;
		int64_t since; /* seconds after the start, or the end, at which to ask */
	} cases[] = {
		{"db", "running", "healthy", "Up 5 minutes (healthy)", true, 300},
		{"sick", "running", "unhealthy", "Up About a minute (unhealthy)", true, 61},
		{"starting", "running", "starting", "Up Less than a second (health: starting)",
			true, 0},
		{"paused", "paused", "none", "Up 2 hours (Paused)", true, 7200},
		{"exited", "exited", "none", "Exited (3) 3 weeks ago", false, 22 * 86400},
		{"created", "created", "none", "Created", false, 5},
		{"crash", "restarting", "none", "Restarting (1) 5 seconds ago", true, 5},
	};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct container *c = real(node, data, cases[i].name);
		int64_t from =
			c->is_restarting || !c->view.is_running ? c->finished_at : c->started_at;
		CLEANUP_FREE char *status = container_status(c, from + cases[i].since);

		assert_string_equal(c->state, cases[i].state);
		assert_string_equal(c->health, cases[i].health);
		assert_string_equal(status, cases[i].status);
		assert_int_equal(c->view.is_running, cases[i].is_running);
		container_unref(c);
	}
	fixture_free(fx);
}

static void test_real_resources_and_ports(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");
	struct container *db = real(node, data, "db"), *app = real(node, data, "app");
	struct container *host = real(node, data, "host"), *exited = real(node, data, "exited");

	(void)state;
	/* The default weight, written out by hand, is no reservation; another one is. */
	assert_int_equal(db->view.nano_cpus, 0);
	assert_int_equal(db->view.memory, 32 << 20);
	assert_int_equal(app->view.nano_cpus, 2000000000);
	/* Chosen by the engine. */
	assert_true(has_port(app->view.ports, app->view.ports_len, "", 32768, "tcp"));
	assert_true(host->view.host_network);
	assert_true(has_port(host->view.exposed, host->view.exposed_len, "", 7777, "tcp"));
	/* A stopped container keeps what it asked for; it is published no more. */
	assert_true(has_port(exited->view.ports, exited->view.ports_len, "", 82, "tcp"));
	assert_int_equal(exited->published.len, 0);
	container_unref(db);
	container_unref(app);
	container_unref(host);
	container_unref(exited);
	fixture_free(fx);
}

/* What the manager writes as CpuShares, ceil(cpus * 1024 / ncpu), is read back as the same. */
static void test_shares_round_trip(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");

	(void)state;
	for (int64_t ncpu = 1; ncpu <= 96; ncpu++) {
		struct inventory_identity identity = {
			.engine_id = "E", .name = "n1", .ncpu = ncpu, .memory = 1};

		inventory_node_set_identity(node, &identity);
		for (int64_t cpus = 1; cpus <= ncpu; cpus++) {
			struct sketch sketch = {.id = "1",
				.swarm_id = "2",
				.cpu_shares = (cpus * 1024 + ncpu - 1) / ncpu};
			struct container *container = fixture_container(node, &sketch);

			assert_int_equal(container->view.nano_cpus, cpus * 1000000000);
			container_unref(container);
		}
	}
	fixture_free(fx);
}

/* What was not counted when it was made is not counted now. */
static void test_shares_that_are_a_weight(void **state)
{
	static const struct {
		const char *label;
		int64_t cpus;
	} table[] = {{"weight", 0}, {"", 2}, {"x", 2}};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct inventory_identity identity = {
		.engine_id = "E", .name = "n1", .ncpu = 4, .memory = 1};

	(void)state;
	inventory_node_set_identity(node, &identity);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct sketch sketch = {.id = "1",
			.swarm_id = "2",
			.cpu_shares = 512,
			.label = {"com.docker.swarm.cpu-shares", table[i].label}};
		struct container *container = fixture_container(node, &sketch);

		assert_int_equal(container->view.nano_cpus, table[i].cpus * 1000000000);
		container_unref(container);
	}
	fixture_free(fx);
}

/* ---- Without inspect ---- */

static void test_entry_alone(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");
	const json_t *entry;
	size_t i;

	(void)state;
	json_array_foreach (json_get(data, "list"), i, entry) {
		struct container *c = fixture_record(node, entry, NULL, NULL);
		struct container *full = real(node, data, c->view.name);
		CLEANUP_FREE char *status = container_status(c, 0);
		CLEANUP_FREE char *row = fixture_row(c);
		CLEANUP_FREE char *full_row = fixture_row(full);

		assert_string_equal(c->state, full->state);
		assert_string_equal(c->health, full->health);
		assert_string_equal(c->view.swarm_id, full->view.swarm_id);
		assert_int_equal(c->created, full->created);
		assert_int_equal(c->view.is_running, full->view.is_running);
		assert_string_equal(row, full_row);
		/* Nothing tells the times; so the engine's own words stay. */
		assert_string_equal(status, json_str(entry, "Status", ""));
		container_unref(c);
		container_unref(full);
	}
	fixture_free(fx);
}

/* ---- Wording ---- */

static void test_durations(void **state)
{
	static const struct {
		int64_t seconds;
		const char *words;
	} cases[] = {
		{-100, "Up Less than a second"},
		{0, "Up Less than a second"},
		{1, "Up 1 second"},
		{2, "Up 2 seconds"},
		{59, "Up 59 seconds"},
		{60, "Up About a minute"},
		{119, "Up About a minute"},
		{120, "Up 2 minutes"},
		{3599, "Up 59 minutes"},
		{3600, "Up About an hour"},
		{5399, "Up About an hour"},
		{5400, "Up 2 hours"},
		{47 * 3600, "Up 47 hours"},
		{47 * 3600 + 1800, "Up 2 days"},
		{13 * 86400, "Up 13 days"},
		{14 * 86400, "Up 2 weeks"},
		{59 * 86400, "Up 8 weeks"},
		{60 * 86400, "Up 2 months"},
		{729 * 86400, "Up 24 months"},
		{730 * 86400, "Up 2 years"},
		{3650 * (int64_t)86400, "Up 10 years"},
	};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container *c = fixture_container(node, &(struct sketch){.id = "1", .name = "x"});

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_FREE char *status = container_status(c, c->started_at + cases[i].seconds);

		assert_string_equal(status, cases[i].words);
	}
	container_unref(c);
	fixture_free(fx);
}

static void test_ends(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container *c = fixture_container(
		node, &(struct sketch){.id = "1", .name = "x", .state = "exited"});
	char *status;

	(void)state;
	c->is_removing = true;
	status = container_status(c, 100);
	assert_string_equal(status, "Removal In Progress");
	free(status);
	c->is_removing = false;
	c->is_dead = true;
	status = container_status(c, 100);
	assert_string_equal(status, "Dead");
	free(status);
	container_unref(c);
	fixture_free(fx);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} cases[] = {
		{"1970-01-01T00:00:01Z", 1000000000},
		{"2016-03-01T12:00:00Z", 1456833600000000000},
		{"2016-02-29T23:59:59.5Z", 1456790399500000000},
		{"2026-11-21T09:31:52.322265755Z", 1795253512322265755},
		{"2026-11-21T10:31:52.322265755+01:00", 1795253512322265755},
		{"2026-11-21T04:01:52.322265755123-05:30", 1795253512322265755},
		{"0001-01-01T00:00:00Z", 0},
		{"1969-12-31T23:59:59Z", 0},
		{"9999-12-31T23:59:59Z", 0},
		{"2026-13-01T00:00:00Z", 0},
		{"2026-00-01T00:00:00Z", 0},
		{"2026-01-00T00:00:00Z", 0},
		{"2026-01-01T24:00:00Z", 0},
		{"2026-01-01T00:00:00", 0},
		{"2026-01-01T00:00:00.Z", 0},
		{"2026-01-01T00:00:00Zx", 0},
		{"2026-01-01T00:00:00+1", 0},
		{"2026-01-01 00:00:00Z", 0},
		{"20", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(time_parse_ns(cases[i].text), cases[i].ns);
}

/* ---- Rows ---- */

static const char alike[] =
	"{\"Id\":\"%s\",\"Image\":\"a \\\"Created\\\":1\",\"Created\":%s,\"Labels\":{\"Created\":"
	"\"%s\",\"IPAddress\":\"\"},\"NetworkSettings\":{\"Networks\":{\"n\":{\"IPAddress\":\"%s\","
	"\"EndpointID\":null,\"MacAddress\":\"02:42\"}}}}";

static struct container *alike_new(struct node *node, const char *id, const char *created,
	const char *label, const char *ip, char **text)
{
	struct engine_text told = {.inspect = NULL};
	struct container *container;
	struct err err = ERR_INIT;

	*text = xasprintf(alike, fixture_id(id), created, label, ip);
	told.entry = *text;
	told.entry_len = strlen(*text);
	container = container_from_engine(node, &told, &err);
	if (!container)
		fail_msg("%s", err.msg);
	return container;
}

/* Each row is the engine's entry to the byte, however little of it is the record's own. */
static void test_rows_share_what_is_alike(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_FREE char *text_a = NULL, *text_b = NULL, *text_c = NULL;
	struct container *a = alike_new(node, "1", "7", "x \\\" y", "10.0.0.1", &text_a);
	struct container *b = alike_new(node, "2", "1795253600", "", "", &text_b);
	struct container *c = alike_new(node, "3", "-7", "x", "10.0.0.3", &text_c);
	CLEANUP_FREE char *row_a = fixture_row(a), *row_b = fixture_row(b), *row_c = fixture_row(c);

	(void)state;
	assert_string_equal(row_a, text_a);
	assert_string_equal(row_b, text_b);
	assert_string_equal(row_c, text_c);
	assert_ptr_not_equal(a->row_template, c->row_template);
	container_unref(a);
	container_unref(b);
	container_unref(c);
	fixture_free(fx);
}

/* Blanks, another order, other cases, and what is left out holding what is otherwise cut out. */
static void test_row_of_an_unusual_entry(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_FREE char *text =
		xasprintf("\n{ \"Names\" : [ \"/x\", \"}\" ] , \"status\" : \"Up, "
			  "\\\"{\",\r\n\"created\" : 7 ,"
			  "\"Ports\":[{\"IPAddress\":\"z\",\"PrivatePort\":1}],\t\"Image\" : "
			  "\"i\\\\\" , \"State\":{},"
			  "\"HostConfig\" : { \"NetworkMode\" : \"a\" } , \"Id\" : \"%s\"}\n",
			fixture_id("7"));
	CLEANUP_FREE char *wanted =
		xasprintf("{\"Id\":\"%s\",\"created\" : 7 ,\"Image\" : \"i\\\\\" ,"
			  "\"HostConfig\" : { \"NetworkMode\" : \"a\" } }",
			fixture_id("7"));
	struct engine_text told = {.entry = text, .entry_len = strlen(text)};
	struct container *container = container_from_engine(node, &told, NULL);
	CLEANUP_FREE char *row = NULL;

	(void)state;
	assert_non_null(container);
	row = fixture_row(container);
	assert_string_equal(row, wanted);
	container_unref(container);
	fixture_free(fx);
}

static void test_alike_rows_have_one_template(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_FREE char *text_a = NULL, *text_b = NULL;
	struct container *a = alike_new(node, "1", "7", "x", "10.0.0.1", &text_a);
	struct container *b = alike_new(node, "2", "1795253600", "yy", "10.0.0.2", &text_b);

	(void)state;
	assert_ptr_equal(a->row_template, b->row_template);
	container_unref(a);
	container_unref(b);
	fixture_free(fx);
}

/* ---- Hostile input ---- */

/* A row is not looked at when its template is known: no engine can make one known that is not
 * sound, by a label that reads like it. */
static void test_labels_are_no_templates(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_FREE char *bad = xasprintf(
		"{\"Id\":\"%s\",\"Image\":\"a\",\"Created\":7,\"Mounts\":5}", fixture_id("1"));
	struct engine_text told = {.entry = bad, .entry_len = strlen(bad)};
	struct record_draft draft = {.id = ""};
	CLEANUP_JSON json_t *entry = NULL;
	CLEANUP_FREE char *text = NULL, *row = NULL, *again = NULL;
	struct container *liar, *first, *second;

	(void)state;
	assert_true(draft_row(&draft, bad));
	entry = json_pack(
		"{s:s, s:{s:s}}", "Id", fixture_id("2"), "Labels", "k", draft.row_template);
	text = json_text(entry, NULL);
	liar = container_from_engine(
		node, &(struct engine_text){.entry = text, .entry_len = strlen(text)}, NULL);
	assert_string_equal(liar->view.labels.items[0].value, draft.row_template);
	/* Nor by one such row for the next. */
	first = container_from_engine(node, &told, NULL);
	second = container_from_engine(node, &told, NULL);
	row = fixture_row(first);
	again = fixture_row(second);
	assert_non_null(strstr(row, "\"Created\":7"));
	assert_null(strstr(row, "Mounts"));
	assert_string_equal(again, row);
	container_unref(liar);
	container_unref(first);
	container_unref(second);
	record_draft_free(&draft);
	fixture_free(fx);
}

/* The texts must hold in front of a strict client, whatever went in. */
static void check_record(const struct container *container)
{
	CLEANUP_FREE char *whole = fixture_row(container);
	CLEANUP_FREE char *status = container_status(container, 1795253600);
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *summary = json_parse(whole, strlen(whole), &err);
	CLEANUP_JSON json_t *ports =
		json_parse(container->ports_json, strlen(container->ports_json), &err);
	json_t *value;

	assert_non_null(status);
	if (!summary || !ports)
		fail_msg("%s in %s", err.msg, whole);
	assert_true(json_is_array(ports));
	assert_int_equal(strlen(container->view.id), 64);
	assert_non_null(container->state);
	assert_non_null(container->health);
	value = json_get(summary, "Created");
	assert_true(!value || json_is_null(value) || json_is_integer(value));
	value = json_get(summary, "Labels");
	assert_true(!value || json_is_null(value) || json_is_object(value));
	value = json_get(summary, "Mounts");
	assert_true(!value || json_is_null(value) || json_is_array(value));
	assert_true(container->view.memory >= 0 && container->view.nano_cpus >= 0);
	for (size_t i = 0; i + 1 < container->view.labels.len; i++)
		assert_true(strcmp(container->view.labels.items[i].key,
				    container->view.labels.items[i + 1].key) < 0);
}

static void try_record(struct node *node, const json_t *entry, const json_t *inspect)
{
	struct err err = ERR_INIT;
	struct container *container = fixture_record(node, entry, inspect, &err);

	if (!container) {
		assert_int_equal(err.code, ERR_UPSTREAM);
		return;
	}
	check_record(container);
	inventory_container_put(container);
	assert_ptr_equal(inventory_container_get(node, container->view.id), container);
	inventory_sweep(&node->cluster->inventory);
}

static json_t *odd_value(unsigned which)
{
	switch (which) {
	case 0:
		return json_null();
	case 1:
		return json_true();
	case 2:
		return json_integer(INT64_MAX);
	case 3:
		return json_integer(INT64_MIN);
	case 4:
		return json_real(1e300);
	case 5:
		return json_string("");
	case 6:
		return json_string("\xe2\x82\xac%n%s/../'\"");
	case 7:
		return json_array();
	case 8:
		return fixture_json("[null, 1, 'x', {}, [[]]]");
	case 9:
		return json_object();
	default:
		return fixture_json("{'': null, 'x': [1], '80/tcp': {'HostPort': 7}, 'a/b': [{}]}");
	}
}
#define ODD_VALUES 11

/* Puts every odd value in the place of every value within at, and takes it out, and tries. */
static void mutate(json_t *at, struct node *node, const json_t *entry, const json_t *inspect)
{
	CLEANUP_JSON json_t *keys = json_array();
	const char *key;
	json_t *value, *name;
	size_t i;

	json_object_foreach (at, key, value)
		json_array_append_new(keys, json_string(key));
	json_array_foreach (keys, i, name) {
		key = json_string_value(name);
		value = json_incref(json_object_get(at, key));
		for (unsigned odd = 0; odd < ODD_VALUES; odd++) {
			json_object_set_new(at, key, odd_value(odd));
			try_record(node, entry, inspect);
		}
		json_object_del(at, key);
		try_record(node, entry, inspect);
		json_object_set(at, key, value);
		mutate(value, node, entry, inspect);
		json_decref(value);
	}
	json_array_foreach (at, i, value) {
		json_incref(value);
		for (unsigned odd = 0; odd < ODD_VALUES; odd++) {
			json_array_set_new(at, i, odd_value(odd));
			try_record(node, entry, inspect);
		}
		json_array_set(at, i, value);
		mutate(value, node, entry, inspect);
		json_decref(value);
	}
}

static void test_every_type_everywhere(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");
	json_t *entry, *inspect;
	size_t i;

	(void)state;
	json_array_foreach (json_get(data, "list"), i, entry) {
		inspect = json_get(json_get(data, "inspect"), json_str(entry, "Id", ""));
		if (strcmp(json_str(inspect, "Name", ""), "/web") != 0 &&
			strcmp(json_str(inspect, "Name", ""), "/db") != 0)
			continue;
		mutate(entry, node, entry, inspect);
		mutate(entry, node, entry, NULL);
		/* Most of inspect is not read; what is, is in these. */
		mutate(json_get(inspect, "State"), node, entry, inspect);
		mutate(json_get(inspect, "Config"), node, entry, inspect);
		mutate(json_get(inspect, "NetworkSettings"), node, entry, inspect);
		mutate(json_get(inspect, "Mounts"), node, entry, inspect);
		for (unsigned odd = 0; odd < ODD_VALUES; odd++) {
			CLEANUP_JSON json_t *value = odd_value(odd);

			try_record(node, value, inspect);
			try_record(node, entry, value);
			json_object_set(inspect, "HostConfig", value);
			try_record(node, entry, inspect);
		}
	}
	fixture_free(fx);
}

/* Every prefix of a real text that is JSON when closed, and every one that is not. */
static void test_truncation(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_JSON json_t *data = fixture_data("engine_20_10.json");
	const json_t *entry = json_array_get(json_get(data, "list"), 0);
	size_t len, whole = 0;
	CLEANUP_FREE char *text = json_text(entry, &len);

	(void)state;
	for (size_t cut = 0; cut <= len; cut++) {
		CLEANUP_FREE char *closed = xasprintf("%.*s}", (int)cut, text);
		CLEANUP_JSON json_t *json = json_parse(text, cut, NULL);
		CLEANUP_JSON json_t *shut = json_parse(closed, strlen(closed), NULL);

		whole += json != NULL;
		if (json)
			try_record(node, json, NULL);
		if (shut)
			try_record(node, shut, NULL);
	}
	assert_int_equal(whole, 1);
	fixture_free(fx);
}

static void test_bad_ids(void **state)
{
	static const char *const ids[] = {"", "abc", "../../../../etc",
		"ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789",
		"g000000000000000000000000000000000000000000000000000000000000000",
		"00000000000000000000000000000000000000000000000000000000000000000"};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *one = json_pack("{s:s}", "Id", fixture_id("1"));
	CLEANUP_JSON json_t *two = json_pack("{s:s}", "Id", fixture_id("2"));

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		CLEANUP_JSON json_t *entry = json_pack("{s:s}", "Id", ids[i]);

		assert_null(fixture_record(node, entry, NULL, &err));
		assert_int_equal(err.code, ERR_UPSTREAM);
	}
	/* Two containers are not one. */
	assert_null(fixture_record(node, one, two, &err));
	assert_int_equal(err.code, ERR_UPSTREAM);
	fixture_free(fx);
}

/* What all containers of a node weigh is bounded: those beyond are there without their labels. */
static void test_share_of_a_node(void **state)
{
	enum { COUNT = 40, LABELS = 500 };
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *other = fixture_node(fx, "n2", "10.0.0.2:2375");
	CLEANUP_FREE char *value = xcalloc(1, 4001);
	CLEANUP_JSON json_t *labels = json_object(), *small CLEANUP_JSON = NULL;
	struct container *container = NULL;

	(void)state;
	memset(value, 'v', 4000);
	for (int i = 0; i < LABELS; i++) {
		CLEANUP_FREE char *key = xasprintf("k%d", i);

		json_object_set_new(labels, key, json_string(value));
	}
	for (int i = 1; i <= COUNT; i++) {
		CLEANUP_FREE char *id = xasprintf("%064x", (unsigned)i);
		CLEANUP_JSON json_t *entry =
			json_pack("{s:s, s:O, s:[s]}", "Id", id, "Labels", labels, "Names", "/web");

		container = fixture_record(node, entry, NULL, NULL);
		assert_non_null(container);
		assert_string_equal(container->view.name, "web");
		inventory_container_put(container);
		assert_true(node->inventory.bytes <= INVENTORY_NODE_BYTES_MAX);
	}
	assert_int_equal(node->inventory.containers_len, COUNT);
	assert_int_equal(container->view.labels.len, 0);
	assert_true(node->inventory.light > COUNT / 2);
	small = json_pack("{s:s, s:{s:s}}", "Id", fixture_id("1"), "Labels", "a", "b");
	container = fixture_record(other, small, NULL, NULL);
	assert_int_equal(container->view.labels.len, 1);
	container_unref(container);
	containers_drop_node(node);
	assert_int_equal(node->inventory.bytes, 0);
	assert_int_equal(node->inventory.light, 0);
	fixture_free(fx);
}

/* Sizes are bounded: the record stays small and usable, and nothing overflows. */
static void test_huge(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	CLEANUP_FREE char *text = xcalloc(1, 600001);
	CLEANUP_JSON json_t *entry = json_pack("{s:s, s:{}, s:[], s:[], s:i}", "Id",
		fixture_id("1"), "Labels", "Names", "Ports", "Created", 5);
	CLEANUP_JSON json_t *inspect = fixture_json(
		"{'HostConfig': {'NanoCpus': 9223372036854775807, 'Memory': 9223372036854775807, "
		"'PortBindings': {}}, 'Mounts': []}");
	struct container *container;
	char *row;

	(void)state;
	memset(text, 'x', 600000);
	json_object_set_new(json_get(entry, "Labels"), "big", json_string(text));
	json_array_append_new(json_get(entry, "Names"), json_sprintf("/%s", text));
	for (int i = 0; i < 20000; i++) {
		CLEANUP_FREE char *key = xasprintf("k%d", i);

		json_object_set_new(json_get(entry, "Labels"), key, json_string("v"));
		json_array_append_new(json_get(entry, "Names"), json_sprintf("/n%d", i));
		json_array_append_new(json_get(entry, "Ports"),
			json_pack("{s:i, s:i, s:s, s:s}", "PrivatePort", 80, "PublicPort", i + 1,
				"Type", "tcp", "IP", "0.0.0.0"));
	}
	container = fixture_record(node, entry, inspect, NULL);
	assert_non_null(container);
	check_record(container);
	row = fixture_row(container);
	assert_true(strlen(row) < INVENTORY_SUMMARY_MAX);
	free(row);
	assert_true(container->view.labels.len <= INVENTORY_LABELS_MAX);
	assert_true(container->view.ports_len <= INVENTORY_PORTS_MAX);
	assert_true(container->names.len <= INVENTORY_LIST_MAX);
	inventory_container_put(container);
	/* The sum over all that one node may have is still a number. */
	assert_true(container->view.memory <= INT64_MAX / 2 / INVENTORY_CONTAINERS_MAX);
	assert_true(container->view.nano_cpus <= INT64_MAX / 2 / INVENTORY_CONTAINERS_MAX);
	fixture_free(fx);
}

static void test_names(void **state)
{
	static const struct {
		const char *names, *inspect, *name;
		size_t count;
	} cases[] = {
		{"['/web']", "{'Name': '/web'}", "web", 1},
		{"['/app/db', '/db']", "{'Name': '/db'}", "db", 2},
		/* The list was asked for before the rename, inspect after. */
		{"['/old', '/app/db']", "{'Name': '/new'}", "new", 2},
		{"['/app/db', '/db']", "{}", "db", 2},
		{"null", "{}", "", 0},
		{"['', '/', 'web', 5, null]", "{'Name': ''}", "", 0},
		{"['/a', '/a', '/a']", "{}", "a", 1},
		{"[]", "{'Name': '/x/y'}", "", 0},
	};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		CLEANUP_JSON json_t *inspect = fixture_json(cases[i].inspect);
		CLEANUP_JSON json_t *entry = json_pack(
			"{s:s, s:o}", "Id", fixture_id("1"), "Names", fixture_json(cases[i].names));
		struct container *c = fixture_record(node, entry, inspect, NULL);

		assert_string_equal(c->view.name, cases[i].name);
		assert_int_equal(c->names.len, cases[i].count);
		container_unref(c);
	}
	fixture_free(fx);
}

static void test_port_texts(void **state)
{
	static const char *const bad[] = {"", "/", "0/tcp", "65536/tcp", "80/icmp", "-1/tcp",
		"80-90/tcp", " 80/tcp", "80/", "8e1/tcp", "000080/tcp", "99999999999/tcp"};
	const char *protocol;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(port_parse(bad[i], &port, &protocol));
	assert_true(port_parse("65535/sctp", &port, &protocol));
	assert_int_equal(port, 65535);
	assert_string_equal(protocol, "sctp");
	assert_true(port_parse("53/UDP", &port, &protocol));
	assert_string_equal(protocol, "udp");
	assert_true(port_parse("80", &port, &protocol));
	assert_string_equal(protocol, "tcp");
}

/* What many containers have alike is kept once, and goes with the last of them. */
static void test_shared_texts(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container *a = fixture_container(node, &(struct sketch){.id = "1", .swarm_id = "5"});
	struct container *b = fixture_container(node, &(struct sketch){.id = "2", .swarm_id = "6"});

	(void)state;
	assert_ptr_equal(a->view.image, b->view.image);
	assert_ptr_equal(a->view.labels.items[0].key, b->view.labels.items[0].key);
	assert_ptr_equal(a->view.labels.items[0].value, a->view.swarm_id);
	assert_ptr_not_equal(a->view.swarm_id, b->view.swarm_id);
	container_unref(a);
	assert_string_equal(b->view.image, "busybox");
	container_unref(b);
	assert_null(fx->cluster.inventory.strings);
	assert_null(fx->cluster.inventory.templates);
	fixture_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_web),
		cmocka_unit_test(test_rows_share_what_is_alike),
		cmocka_unit_test(test_alike_rows_have_one_template),
		cmocka_unit_test(test_row_of_an_unusual_entry),
		cmocka_unit_test(test_real_texts),
		cmocka_unit_test(test_real_states),
		cmocka_unit_test(test_real_resources_and_ports),
		cmocka_unit_test(test_shares_round_trip),
		cmocka_unit_test(test_shares_that_are_a_weight),
		cmocka_unit_test(test_entry_alone),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_labels_are_no_templates),
		cmocka_unit_test(test_every_type_everywhere),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_bad_ids),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_share_of_a_node),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_port_texts),
		cmocka_unit_test(test_shared_texts),
	};

	return cmocka_run_group_tests_name("cluster container", tests, NULL, NULL);
}
