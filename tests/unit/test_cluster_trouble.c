/* Engines in trouble: dead, slow, paused, restarted, telling nonsense, or all the same. */
#include "tests/unit/live_fixture.h"

#include <string.h>
#include <sys/resource.h>

/* ---- Gone, or silent ---- */

static bool first_has_error(struct fixture *f)
{
	return node_error(fixture_node(f, f->engines[0]))[0] != '\0';
}

static void test_dead_stream(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");

	f->cluster->live->refresh_min = 50;
	f->cluster->live->refresh_max = 100;
	fixture_connect(f);
	fixture_run(f, 300);
	assert_int_equal(engine->streams, 1);
	snprintf(c->state, sizeof(c->state), "exited");
	fake_engine_event(engine, c, "die", true);
	WAIT_UNTIL(f, engine->streams >= 2);
	WAIT_UNTIL(f, fixture_count(f, "container die ") == 1);
	assert_string_equal(cluster_container_find(f->cluster, "web", NULL)->state, "exited");
	assert_int_equal(fixture_count(f, "swarm "), 1);
}

static void went_down(void *arg)
{
	++*(unsigned *)arg;
}

static bool first_is_down(struct fixture *f)
{
	return node_state(fixture_node(f, f->engines[0])) != NODE_HEALTHY;
}

static bool first_has_no_error(struct fixture *f)
{
	return !first_has_error(f);
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_engine *other = fixture_engine(f, "ID-B", "beta");
	struct node_waiter *waiter;
	struct node *node;
	struct fake_container *c = fake_engine_add(engine, "web");
	struct cluster_totals totals;
	unsigned downs = 0;

	fake_engine_add(other, "db");
	fixture_connect(f);
	node = fixture_node(f, engine);
	waiter = node_on_down(node, went_down, &downs);

	/* Short: nothing changes. */
	fake_engine_pause(engine);
	node_report_failure(node, NULL);
	WAIT_UNTIL(f, first_has_error(f));
	assert_true(fixture_is_healthy(f));
	assert_non_null(strstr(node_error(node), "/_ping"));
	fake_engine_resume(engine);
	WAIT_UNTIL(f, first_has_no_error(f));
	assert_true(fixture_is_healthy(f));
	assert_int_equal(fixture_count(f, "swarm "), 2);
	assert_int_equal(downs, 0);

	/* Long: one change each way; the containers stay known. */
	fake_engine_pause(engine);
	WAIT_UNTIL(f, first_is_down(f));
	fixture_run(f, 300);
	assert_int_equal(node_state(node), NODE_UNHEALTHY);
	assert_int_equal(node_state(fixture_node(f, other)), NODE_HEALTHY);
	assert_int_equal(downs, 1);
	assert_true(node_retry_in_ms(node) >= 0);
	assert_non_null(cluster_container_find(f->cluster, "web", NULL));
	cluster_totals(f->cluster, &totals);
	assert_int_equal(totals.nodes_healthy, 1);
	assert_int_equal(totals.containers, 2);
	snprintf(c->state, sizeof(c->state), "exited");
	fake_engine_event(engine, c, "die", true);
	fake_engine_resume(engine);
	WAIT_UNTIL(f, fixture_is_healthy(f));
	assert_string_equal(cluster_container_find(f->cluster, "web", NULL)->state, "exited");
	fixture_run(f, 200);
	assert_int_equal(fixture_count(f, "swarm engine_connect"), 2);
	assert_int_equal(fixture_count(f, "swarm engine_disconnect"), 1);
	assert_int_equal(fixture_count(f, "swarm engine_reconnect"), 1);
	assert_int_equal(fixture_count(f, "container die"), 1);
	assert_int_equal(downs, 1);
	node_waiter_free(waiter);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct node *node;

	fixture_connect(f);
	node = fixture_node(f, engine);
	fake_engine_stop(engine);
	WAIT_UNTIL(f, node_error(node)[0]);
	assert_true(fixture_is_healthy(f)); /* a quick restart of an engine is no outage */
	WAIT_UNTIL(f, fixture_is_down(f));
	assert_int_equal(node_state(node), NODE_DISCONNECTED);
	assert_true(node_error(node)[0] != '\0');
	fake_engine_start(engine);
	WAIT_UNTIL(f, fixture_is_healthy(f));
	assert_int_equal(fixture_count(f, "swarm engine_disconnect"), 1);
	assert_int_equal(fixture_count(f, "swarm engine_reconnect"), 1);
}

static void test_quick_restart(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");

	fixture_connect(f);
	fake_engine_stop(engine);
	fake_engine_add(engine, "new");
	fixture_run(f, 50);
	fake_engine_start(engine);
	WAIT_UNTIL(f, cluster_container_find(f->cluster, "new", NULL));
	assert_int_equal(fixture_count(f, "swarm "), 1);
	assert_int_equal(fake_engine_open_streams(engine), 1);
}

/* ---- Nonsense ---- */

static bool second_is_healthy(struct fixture *f)
{
	return node_state(fixture_node(f, f->engines[1])) == NODE_HEALTHY;
}

/* Every fault in every answer: the node is not healthy, and says why; its neighbour never minds. */
static void check_fault(struct fixture *f, const char *path, enum fake_fault fault, bool is_told)
{
	struct fake_engine *bad = fixture_engine(f, "ID-A", "alpha");

	fixture_engine(f, "ID-B", "beta");
	bad->fault_path = path;
	bad->fault = fault;
	fixture_discover(f);
	WAIT_UNTIL(f, is_told ? fixture_is_healthy(f) : first_has_error(f));
	assert_int_equal(node_state(fixture_node(f, bad)), is_told ? NODE_HEALTHY : NODE_PENDING);
	WAIT_UNTIL(f, second_is_healthy(f));
	bad->fault = FAKE_NONE;
	WAIT_UNTIL(f, fixture_is_healthy(f));
}

static void test_hostile(void **state)
{
	static const char *const paths[] = {"/version", "/info", "/events", "/containers/json",
		"/images/json", "/networks", "/volumes"};
	size_t i;
	int fault;

	(void)state;
	for (i = 0; i < ARRAY_LEN(paths); i++) {
		for (fault = FAKE_SILENCE; fault <= FAKE_HTTPS; fault++) {
			void *own = NULL;
			bool is_told = (fault == FAKE_ERROR || fault == FAKE_HTTPS) && i >= 4;

			fixture_setup_fast(&own);
			check_fault(own, paths[i], fault, is_told);
			assert_int_equal(fixture_teardown(&own), 0);
		}
	}
}

static uint64_t now_ms(void)
{
	return env_system()->now_ms(env_system());
}

/* The same once it was healthy: hysteresis first, then unhealthy, and back. */
static void test_turns_hostile(void **state)
{
	static const int faults[] = {
		FAKE_SILENCE, FAKE_GARBAGE, FAKE_ERROR, FAKE_ENDLESS_HEADERS, FAKE_CLOSE};
	struct fixture *f = *state;
	struct fake_engine *bad = fixture_engine(f, "ID-A", "alpha");
	size_t i;

	fixture_engine(f, "ID-B", "beta");
	fixture_connect(f);
	bad->fault_path = "/";
	for (i = 0; i < ARRAY_LEN(faults); i++) {
		struct node *node = fixture_node(f, bad);
		uint64_t start;

		WAIT_UNTIL(f, !node->live->probe);
		start = now_ms();
		bad->fault = faults[i];
		WAIT_UNTIL(f, node_state(node) != NODE_HEALTHY);
		assert_int_equal(node_state(node), NODE_UNHEALTHY);
		assert_true(now_ms() - start >= f->timing->down_after);
		assert_int_equal(node_state(fixture_node(f, f->engines[1])), NODE_HEALTHY);
		bad->fault = FAKE_NONE;
		WAIT_UNTIL(f, fixture_is_healthy(f));
	}
	assert_int_equal(fixture_count(f, "swarm engine_disconnect"), ARRAY_LEN(faults));
	assert_int_equal(fixture_count(f, "swarm engine_reconnect"), ARRAY_LEN(faults));
}

/* Garbage within the stream of an engine that is fine otherwise: unhealthy in the end. */
static void test_garbage_events(void **state)
{
	static const char *const garbage[] = {
		"garbage\n", "{\"a\":}\n", "[{}]", "{\"a\":1,\"a\":2}"};
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	unsigned i;

	fixture_connect(f);
	for (i = 0; i < 400 && fixture_is_healthy(f); i++) {
		const char *text = garbage[i % ARRAY_LEN(garbage)];

		fake_engine_send(engine, text, strlen(text));
		fixture_run(f, 5);
	}
	assert_false(fixture_is_healthy(f));
	assert_int_equal(node_state(fixture_node(f, engine)), NODE_UNHEALTHY);
	assert_non_null(strstr(node_error(fixture_node(f, engine)), "event stream"));
	WAIT_UNTIL(f, fixture_is_healthy(f));
}

/* What is bad of a record is left out, the rest is there. */
static void test_bad_record(void **state)
{
	static const int faults[] = {
		FAKE_NOT_JSON, FAKE_WRONG_TYPE, FAKE_SILENCE, FAKE_ERROR, FAKE_EMPTY};
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct cluster_totals totals;
	size_t i;

	fake_engine_add(engine, "good");
	for (i = 0; i < ARRAY_LEN(faults); i++) {
		char name[8];

		snprintf(name, sizeof(name), "bad%zu", i);
		fake_engine_add(engine, name)->fault = faults[i];
	}
	snprintf(fake_engine_add(engine, "no-id")->id, 65, "XYZ");
	fixture_connect(f);
	cluster_totals(f->cluster, &totals);
	assert_non_null(cluster_container_find(f->cluster, "good", NULL));
	/* What the engine cannot inspect is known by its list entry; not what it keeps silent of.
	 */
	assert_non_null(cluster_container_find(f->cluster, "bad0", NULL));
	assert_non_null(cluster_container_find(f->cluster, "bad1", NULL));
	assert_null(cluster_container_find(f->cluster, "bad2", NULL));
	assert_non_null(cluster_container_find(f->cluster, "bad3", NULL));
	assert_non_null(cluster_container_find(f->cluster, "bad4", NULL));
	assert_int_equal(totals.containers, 5);
}

static char *letters(size_t len)
{
	char *text = xmalloc(len + 1);

	memset(text, 'a', len);
	text[len] = '\0';
	return text;
}

/* However large a label is, its container is there, with what else is known of it, and the node
 * never minds: neither the event, nor the list, nor the list of one, nor the inspection. */
static void test_large_labels(void **state)
{
	static const size_t sizes[] = {1200000, 4194000, 5000000};
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	char *labels[ARRAY_LEN(sizes)];

	fixture_engine(f, "ID-B", "beta");
	fake_engine_add(engine, "small");
	labels[0] = letters(sizes[0]);
	fake_engine_add(engine, "listed")->label = labels[0];
	fixture_connect(f);
	assert_non_null(cluster_container_find(f->cluster, "listed", NULL));
	for (size_t i = 1; i < ARRAY_LEN(sizes); i++) {
		char name[16];
		struct fake_container *c;
		CLEANUP_FREE char *event = NULL;

		snprintf(name, sizeof(name), "large%zu", i);
		c = fake_engine_add(engine, name);
		c->label = labels[i] = letters(sizes[i]);
		event = xasprintf("{\"status\":\"create\",\"id\":\"%s\",\"Type\":\"container\","
				  "\"Action\":\"create\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{"
				  "\"big\":\"%s\",\"name\":\"%s\"}},\"time\":1,\"timeNano\":%zu}\n",
			c->id, c->id, c->label, name, i);
		fake_engine_send(engine, event, strlen(event));
		WAIT_UNTIL(f, cluster_container_find(f->cluster, name, NULL));
		assert_string_equal(
			cluster_container_find(f->cluster, name, NULL)->state, "running");
		WAIT_UNTIL(f, fixture_count(f, "container create ") == i);
	}
	/* The stream goes on behind them. */
	fake_engine_event(engine, &engine->containers[0], "die", false);
	WAIT_UNTIL(f, fixture_count(f, "container die ") == 1);
	assert_int_equal(engine->streams, 1);
	assert_int_equal(fixture_count(f, "engine_disconnect"), 0);
	assert_string_equal(node_error(fixture_node(f, engine)), "");
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		free(labels[i]);
}

/* Events that clients of the engine have made odd are told as they are, or cost themselves. */
static void test_odd_events(void **state)
{
	static const char *const odd[] = {
		("{\"Type\":\"container\",\"Action\":\"exec_create: sh \\u0000\","
		 "\"Actor\":{\"ID\":\"1\"},\"timeNano\":1}\n"),
		("{\"Type\":\"container\",\"Action\":\"kill\",\"Actor\":{\"ID\":\"2\","
		 "\"Attributes\":{\"a\\u0000b\":\"c\\u0000d\"}},\"timeNano\":2}\n"),
		("{\"Type\":\"container\",\"Action\":\"top\",\"n\":18446744073709551615,"
		 "\"timeNano\":3}\n"),
		"{\"Type\":\"container\",\"Action\":\"kill\",\"Actor\":{\"ID\":\"\\ud800\"}}\n",
		"{\"a\":}\n",
		"{\"Type\":\"container\",\"Action\":\"kill\\u0000\",\"timeNano\":9}\n",
	};
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");

	fake_engine_add(engine, "web");
	fixture_connect(f);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		fake_engine_send(engine, odd[i], strlen(odd[i]));
	fake_engine_event(engine, &engine->containers[0], "die", false);
	WAIT_UNTIL(f, fixture_count(f, "container die ") == 1);
	assert_int_equal(fixture_count(f, "container exec_create: sh "), 1);
	assert_int_equal(fixture_count(f, "container kill 2"), 1);
	assert_int_equal(fixture_count(f, "container top"), 1);
	assert_int_equal(fixture_count(f, "container "), 4);
	assert_int_equal(engine->streams, 1);
	assert_string_equal(node_error(fixture_node(f, engine)), "");
}

/* An image, network or volume that is odd or large costs itself. */
static void test_odd_parts(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	CLEANUP_FREE char *large = letters(5000000);
	CLEANUP_FREE char *volumes =
		xasprintf("{\"Volumes\": [{\"Name\":\"a\",\"Scope\":\"local\",\"Labels\":{\"big\":"
			  "\"%s\"}},{\"Name\":\"b\",\"Labels\":{\"k\":}},{\"Name\":\"c\"}],"
			  "\"Warnings\":[\"w\"]}",
			large);
	size_t len;

	engine->volumes = volumes;
	engine->images =
		"[{\"Id\":\"sha256:" FAKE_HEX "\",\"Labels\":{\"a\\u0000b\":\"\\u0000\"}}]";
	fixture_connect(f);
	assert_non_null(cluster_volume_find(f->cluster, "a", NULL));
	assert_null(cluster_volume_find(f->cluster, "b", NULL));
	assert_non_null(cluster_volume_find(f->cluster, "c", NULL));
	node_images(fixture_node(f, engine), &len);
	assert_int_equal(len, 1);
	engine->volumes = "{\"Volumes\":null,\"Warnings\":null}";
	engine->images = "[]";
}

/* Who asks for one failure alone waits for less. */
static void test_down_after(void **state)
{
	static const struct {
		unsigned retry, ms;
	} cases[] = {{1, 3300}, {2, 6600}, {3, 9900}, {4, 10000}, {UINT32_MAX, 10000}};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct cluster_config config = {.failure_retry = cases[i].retry};
		struct cluster *cluster = cluster_new(f->loop, env_system(), f->client, &config);
		unsigned down_after = cluster->live->timing.down_after;

		cluster_free(cluster);
		assert_int_equal(down_after, cases[i].ms);
	}
}

/* What stands on a page of another server is told to nobody. */
static void test_repeats_no_page(void **state)
{
	static const char *const pages[] = {
		"secret", "<b>secret</b>", "{\"a\":\"secret\"}", "[\"secret\"]"};
	const char words[] = "{\"message\":\"own words\"}";
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		const struct reply reply = {
			.status = 403, .body = pages[i], .body_len = strlen(pages[i])};

		live_status_error("/version", &reply, &err);
		assert_string_equal(err.msg, "GET /version: the engine answered 403");
	}
	live_status_error("/version",
		&(struct reply){.status = 403, .body = words, .body_len = sizeof(words) - 1}, &err);
	assert_string_equal(err.msg, "GET /version: the engine answered 403: own words");
}

static void test_errors_differ(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *tls = fixture_engine(f, "ID-A", "alpha");
	struct fake_engine *html = fixture_engine(f, "ID-B", "beta");
	struct fake_engine *silent = fixture_engine(f, "ID-C", "gamma");
	struct fake_engine *refused = fixture_engine(f, "ID-D", "delta");
	struct fake_engine *swarm = fixture_engine(f, "", "epsilon");
	struct node *const *nodes;
	size_t len, i, j;

	tls->fault_path = html->fault_path = silent->fault_path = "/version";
	tls->fault = FAKE_HTTPS;
	html->fault = FAKE_NOT_JSON;
	silent->fault = FAKE_SILENCE;
	fake_engine_stop(refused);
	fixture_discover(f);
	for (i = 0; i < f->engines_len; i++)
		WAIT_UNTIL(f, node_error(fixture_node(f, f->engines[i]))[0]);
	assert_non_null(strstr(node_error(fixture_node(f, tls)), "TLS"));
	assert_non_null(strstr(node_error(fixture_node(f, html)), "not a Docker engine"));
	assert_non_null(strstr(node_error(fixture_node(f, swarm)), "no valid ID"));
	nodes = cluster_nodes(f->cluster, &len);
	assert_int_equal(len, 5);
	for (i = 0; i < len; i++) {
		assert_int_equal(node_state(nodes[i]), NODE_PENDING);
		assert_true(node_error(nodes[i])[0] != '\0');
		assert_true(node_retry_in_ms(nodes[i]) <= (int64_t)f->timing->backoff_max);
		for (j = 0; j < i; j++)
			assert_string_not_equal(node_error(nodes[i]), node_error(nodes[j]));
	}
}

/* ---- Identity ---- */

static void test_twins(void **state)
{
	struct fixture *f = *state;
	size_t i, len;
	struct node *const *nodes;

	for (i = 0; i < 3; i++)
		fake_engine_add(fixture_engine(f, "SAME", "same"), "web");
	fixture_connect(f);
	nodes = cluster_nodes(f->cluster, &len);
	assert_int_equal(len, 3);
	assert_string_not_equal(node_view(nodes[0])->id, node_view(nodes[1])->id);
	assert_string_not_equal(node_view(nodes[1])->id, node_view(nodes[2])->id);
	assert_int_equal(fixture_count(f, "engine_connect"), 3);
	for (i = 0; i < len; i++) {
		size_t n;

		node_containers(nodes[i], &n);
		assert_int_equal(n, 1);
		assert_true(cluster_node_find(f->cluster, node_view(nodes[i])->id) == nodes[i]);
	}
}

static void test_new_identity(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct node *node;

	fake_engine_add(engine, "old");
	fixture_connect(f);
	node = fixture_node(f, engine);
	fake_engine_stop(engine);
	snprintf(engine->id, sizeof(engine->id), "ID-Z");
	snprintf(engine->name, sizeof(engine->name), "zeta");
	engine->containers[0].is_gone = true;
	fake_engine_add(engine, "new");
	fake_engine_start(engine);
	WAIT_UNTIL(f, cluster_container_find(f->cluster, "new", NULL));
	assert_true(fixture_is_healthy(f));
	assert_string_equal(node_view(node)->engine_id, "ID-Z");
	assert_ptr_equal(cluster_node_find(f->cluster, "zeta"), node);
	assert_null(cluster_node_find(f->cluster, "alpha"));
	WAIT_UNTIL(f, !cluster_container_find(f->cluster, "old", NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define FAST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_fast, fixture_teardown)

/* What this process lacks is no failure of its engines, however long it lacks it. */
static void test_own_shortage(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct rlimit before, none;
	struct node_live *live;
	uint64_t since;

	fixture_connect(f);
	live = fixture_node(f, engine)->live;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fake_engine_drop_streams(engine);
	since = loop_now_ms(f->loop);
	WAIT_UNTIL(f, live->shared->shortages > 2 * live->shared->failure_retry &&
			      loop_now_ms(f->loop) - since > 2 * f->timing->down_after);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(fixture_is_healthy(f));
	assert_int_equal(live->failures, 1); /* the stream that ended */
	WAIT_UNTIL(f, first_has_no_error(f) && fake_engine_open_streams(engine) == 1);
	assert_int_equal(fixture_count(f, "swarm "), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FAST(test_dead_stream),
		FAST(test_pause),
		FAST(test_refused),
		FAST(test_quick_restart),
		cmocka_unit_test(test_hostile),
		FAST(test_turns_hostile),
		FAST(test_garbage_events),
		FAST(test_bad_record),
		TEST(test_large_labels),
		TEST(test_odd_events),
		TEST(test_odd_parts),
		TEST(test_down_after),
		cmocka_unit_test(test_repeats_no_page),
		FAST(test_errors_differ),
		TEST(test_twins),
		FAST(test_new_identity),
		FAST(test_own_shortage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
