/* Node states and synchronisation with engines that behave. */
#include "tests/unit/live_fixture.h"

#include <string.h>
#include <time.h>

static void test_texts(void **state)
{
	struct err err = ERR_INIT;
	json_t *json;

	(void)state;
	assert_null(live_parse("[[],[],{}]", 10, 10, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	json = live_parse("[[],[],{}]", 10, 11, &err);
	assert_int_equal(json_array_size(json), 3);
	json_decref(json);
	assert_int_equal(live_parse_time("2020-09-13T12:26:40Z"), 1600000000000000000);
	assert_int_equal(
		live_parse_time("2020-09-13T14:26:40.123456789+02:00"), 1600000000123456789);
	assert_int_equal(live_parse_time("2020-09-13T10:26:40.5-02:00"), 1600000000500000000);
	assert_int_equal(live_parse_time(""), 0);
	assert_int_equal(live_parse_time("2020-09-13T12:26:40"), 0);
	assert_int_equal(live_parse_time("2020-13-13T12:26:40Z"), 0);
	assert_int_equal(live_parse_time("2020-09-13T12:26:40.Zx"), 0);
	assert_int_equal(live_parse_time("0001-01-01T00:00:00Z"), 0);
	assert_int_equal(live_parse_time("20x0-09-13T12:26:40Z"), 0);
	assert_int_equal(live_parse_date("Sun, 13 Sep 2020 12:26:40 GMT"), 1600000000);
	assert_int_equal(live_parse_date("Sun, 13 Sep 2020 12:26:40 GMT x"), 0);
	assert_int_equal(live_parse_date("now"), 0);
	assert_int_equal(live_parse_date(NULL), 0);
}

static void test_ready(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct node *node;
	struct cluster_totals totals;
	char *path CLEANUP_FREE = NULL;

	fake_engine_add(engine, "one");
	fake_engine_add(engine, "two");
	snprintf(fake_engine_add(engine, "three")->state, 16, "exited");
	fixture_discover(f);
	node = fixture_node(f, engine);
	assert_non_null(node);
	assert_int_equal(node_state(node), NODE_PENDING);
	assert_string_equal(node_view(node)->name, "(unknown)");
	WAIT_UNTIL(f, fixture_is_healthy(f));
	assert_int_equal(node_state(node), NODE_HEALTHY);
	assert_string_equal(node_state_name(node_state(node)), "Healthy");
	assert_string_equal(node_view(node)->name, "alpha");
	assert_true(str_has_prefix(node_view(node)->id, "ID-A|127.0.0.1:"));
	assert_string_equal(node_api_version(node), "1.41");
	assert_string_equal(node_api_min_version(node), "1.12");
	assert_string_equal(node_server_version(node), "20.10.24");
	assert_string_equal(node_error(node), "");
	assert_int_equal(node_retry_in_ms(node), -1);
	assert_true(node_updated_at(node) > 1600000000);
	assert_string_equal(node_view(node)->engine_id, "ID-A");
	path = node_path(node, "/containers/json?all=1");
	assert_string_equal(path, "/v1.41/containers/json?all=1");
	cluster_totals(f->cluster, &totals);
	assert_int_equal(totals.containers, 3);
	assert_int_equal(totals.running, 2);
	assert_int_equal(totals.images, 1);
	assert_non_null(cluster_container_find(f->cluster, "alpha/two", NULL));
	assert_int_equal(engine->inspects, 3);
	assert_int_equal(engine->lists, 1);
	assert_int_equal(engine->filtered, 0);
	assert_int_equal(f->log_len, 1);
	assert_int_equal(fixture_count(f, "swarm engine_connect 127.0.0.1:"), 1);
	assert_non_null(strstr(f->last_text, "\"from\":\"swarm node:alpha\""));
	assert_non_null(strstr(f->last_text, "\"node.name\":\"alpha\""));
}

static void test_labels(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	const struct view_labels *labels;
	const char *want[][2] = {{"disk", "ssd"}, {"kernelversion", "6.1"},
		{"operatingsystem", "mine"}, {"ostype", "linux"}, {"storagedriver", "overlay2"},
		{"x", "a=b"}};
	size_t i;

	engine->labels = "[\"disk=ssd\",\"x=a=b\",\"bare\",7,\"=y\",\"operatingsystem=mine\"]";
	fixture_connect(f);
	labels = &node_view(fixture_node(f, engine))->labels;
	assert_int_equal(labels->len, ARRAY_LEN(want));
	for (i = 0; i < labels->len; i++) {
		assert_string_equal(labels->items[i].key, want[i][0]);
		assert_string_equal(labels->items[i].value, want[i][1]);
	}
}

static void test_versions(void **state)
{
	static const struct {
		const char *min, *max, *used, *error;
	} cases[] = {
		{"1.12", "1.41", "/v1.41/x", NULL},
		{"1.24", "1.50", "/v1.50/x", NULL},
		{"1.44", "1.52", "/v1.50/x", NULL},
		{"", "1.24", "/v1.24/x", NULL},
		{"1.12", "1.9", NULL, "too old"},
		{"1.12", "1.23", NULL, "too old"},
		{"1.51", "1.60", NULL, "too new"},
		{"1.12", "", NULL, "not a Docker engine"},
		{"1.12", "1.41x", NULL, "not a Docker engine"},
		{"1.12", "99999.99999", NULL, "not a Docker engine"},
		{"1.12", "-1.41", NULL, "not a Docker engine"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		void *own = NULL;
		struct fixture *f;
		struct fake_engine *engine;
		struct node *node;

		fixture_setup(&own);
		f = own;
		engine = fixture_engine(f, "ID-A", "alpha");
		engine->api_min = cases[i].min;
		engine->api = cases[i].max;
		fixture_discover(f);
		node = fixture_node(f, engine);
		if (cases[i].used) {
			char *path CLEANUP_FREE = NULL;

			WAIT_UNTIL(f, fixture_is_healthy(f));
			path = node_path(node, "/x");
			assert_string_equal(path, cases[i].used);
		} else {
			WAIT_UNTIL(f, strstr(node_error(node), cases[i].error));
			assert_int_equal(node_state(node), NODE_PENDING);
			assert_true(node_retry_in_ms(node) >= 0);
		}
		assert_int_equal(fixture_teardown(&own), 0);
	}
}

/* ---- Synchronisation ---- */

/* What is as it was known is not asked for again; what was restarted is. */
static void test_resync_asks_little(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c;
	unsigned i;
	time_t now = time(NULL);
	struct tm tm;

	for (i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		c = fake_engine_add(engine, name);
		strftime(c->started, sizeof(c->started), "%Y-%m-%dT%H:%M:%SZ",
			gmtime_r(&(time_t){now - 7200}, &tm));
		snprintf(c->status, sizeof(c->status), "Up 2 hours");
	}
	fixture_connect(f);
	assert_int_equal(engine->inspects, 20);
	engine->inspects = engine->lists = 0;
	c = &engine->containers[7];
	strftime(c->started, sizeof(c->started), "%Y-%m-%dT%H:%M:%SZ",
		gmtime_r(&(time_t){now - 60}, &tm));
	snprintf(c->status, sizeof(c->status), "Up About a minute");
	engine->containers[3].is_gone = true;
	fixture_run(f, f->timing->stream_proof + 20);
	fake_engine_drop_streams(engine);
	WAIT_UNTIL(f, engine->lists == 1);
	WAIT_UNTIL(f, fixture_node(f, engine)->live->stage == CONNECT_NONE);
	assert_int_equal(engine->lists, 1);
	assert_int_equal(engine->inspects, 1);
	assert_null(cluster_container_find(f->cluster, "c3", NULL));
	assert_true(now - 60 - cluster_container_find(f->cluster, "c7", NULL)->started_at <= 1);
}

/* The more nodes there are, the more seldom each is read anew. */
static void test_resyncs_are_spaced(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");

	f->cluster->live->refresh_min = f->cluster->live->refresh_max = 20;
	fixture_connect(f);
	WAIT_UNTIL(f, engine->lists >= 3);
	f->timing->resync_spacing = 60000;
	fixture_run(f, 100);
	engine->lists = 0;
	fixture_run(f, 300);
	assert_int_equal(engine->lists, 0);
}

/* ---- Asking anew ---- */

struct answer {
	unsigned count;
	enum err_code code;
};

static void answered(void *arg, const struct err *err)
{
	struct answer *answer = arg;

	answer->count++;
	answer->code = err ? err->code : ERR_NONE;
}

static void test_refresh(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	struct answer answers[6] = {{0}};
	struct node *node;
	size_t i;

	fixture_discover(f);
	node = fixture_node(f, engine);
	node_refresh_container(node, c->id, answered, &answers[0]);
	assert_int_equal(answers[0].count, 0);
	WAIT_UNTIL(f, fixture_is_healthy(f));
	assert_int_equal(answers[0].count, 1);
	assert_int_equal(answers[0].code, ERR_UNAVAILABLE);

	/* Five who ask at once: the first question, and one more for the rest. */
	engine->inspects = 0;
	snprintf(c->state, sizeof(c->state), "paused");
	for (i = 0; i < 5; i++)
		node_refresh_container(node, c->id, answered, &answers[i]);
	WAIT_UNTIL(f, answers[4].count == 1);
	for (i = 0; i < 5; i++)
		assert_int_equal(answers[i].count, i == 0 ? 2 : 1);
	assert_int_equal(answers[4].code, ERR_NONE);
	assert_int_equal(engine->inspects, 2);
	assert_string_equal(cluster_container_find(f->cluster, "web", NULL)->state, "paused");

	node_refresh_container(node, "short", answered, &answers[5]);
	assert_int_equal(answers[5].count, 0);
	WAIT_UNTIL(f, answers[5].count == 1);
	assert_int_equal(answers[5].code, ERR_INVALID);

	c->is_gone = true;
	node_refresh_container(node, c->id, answered, &answers[5]);
	WAIT_UNTIL(f, answers[5].count == 2);
	assert_int_equal(answers[5].code, ERR_NONE);
	assert_null(cluster_container_find(f->cluster, c->id, NULL));

	engine->images = "[]";
	node_refresh_parts(node, NODE_IMAGES | NODE_VOLUMES, answered, &answers[5]);
	node_refresh_parts(node, 0, answered, &answers[5]);
	WAIT_UNTIL(f, answers[5].count == 4);
	assert_int_equal(node_view(node)->images_len, 0);
}

/* Who waits for an engine that dies, or for a node that goes, is told. */
static void test_refresh_ends(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	struct answer answers[3] = {{0}};
	struct str_list none = {0};
	struct node *node;

	f->timing->inspect = 200;
	fixture_connect(f);
	node = fixture_node(f, engine);
	c->fault = FAKE_SILENCE;
	node_refresh_container(node, c->id, answered, &answers[0]);
	WAIT_UNTIL(f, answers[0].count == 1);
	assert_int_equal(answers[0].code, ERR_TIMEOUT);
	assert_true(fixture_is_healthy(f));
	node_refresh_container(node, c->id, answered, &answers[1]);
	node_refresh_parts(node, NODE_IMAGES, answered, &answers[2]);
	cluster_set_nodes(f->cluster, &none);
	WAIT_UNTIL(f, answers[1].count == 1);
	assert_int_equal(answers[1].code, ERR_UNAVAILABLE);
	assert_int_equal(answers[2].count, 1);
	f->engines_len = 0;
	assert_true(fixture_is_healthy(f)); /* none is left */
	f->engines_len = 1;
	assert_int_equal(fixture_count(f, "swarm engine_disconnect"), 1);
}

/* ---- The set of nodes ---- */

static void test_set_nodes(void **state)
{
	struct fixture *f = *state;
	struct str_list some CLEANUP_STR_LIST = {0};
	struct node *kept;
	size_t i, len;

	for (i = 0; i < 3; i++) {
		char id[8];

		snprintf(id, sizeof(id), "n%zu", i);
		fake_engine_add(fixture_engine(f, id, id), id);
	}
	fixture_connect(f);
	kept = fixture_node(f, f->engines[1]);
	str_list_add_take(&some, fake_engine_addr(f->engines[1]));
	str_list_add(&some, "no port:0");
	str_list_add_take(&some, fake_engine_addr(f->engines[1]));
	cluster_set_nodes(f->cluster, &some);
	cluster_nodes(f->cluster, &len);
	assert_int_equal(len, 1);
	assert_ptr_equal(fixture_node(f, f->engines[1]), kept);
	assert_int_equal(node_state(kept), NODE_HEALTHY);
	assert_null(cluster_container_find(f->cluster, "n0", NULL));
	assert_int_equal(fixture_count(f, "engine_disconnect"), 2);
	WAIT_UNTIL(f, fake_engine_open_streams(f->engines[0]) == 0);
	assert_int_equal(fake_engine_open_streams(f->engines[1]), 1);
	fixture_connect(f);
	assert_int_equal(fixture_count(f, "engine_connect"), 5);
}

/* Nodes come and go at every moment of their connection: nothing is left behind. */
static void test_removed_at_any_time(void **state)
{
	struct fixture *f = *state;
	struct str_list none = {0};
	unsigned ms, i;

	for (i = 0; i < 4; i++) {
		struct fake_engine *engine = fixture_engine(f, "ID", "name");
		unsigned k;

		for (k = 0; k < 20; k++)
			fake_engine_add(engine, "c");
	}
	for (ms = 0; ms < 40; ms++) {
		fixture_discover(f);
		fixture_run(f, ms / 2);
		fake_engine_event(
			f->engines[0], &f->engines[0]->containers[ms / 2], "start", false);
		cluster_set_nodes(f->cluster, &none);
		fixture_run(f, 1);
	}
	fixture_connect(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		TEST(test_ready),
		TEST(test_labels),
		cmocka_unit_test(test_versions),
		TEST(test_resync_asks_little),
		TEST(test_resyncs_are_spaced),
		TEST(test_refresh),
		TEST(test_refresh_ends),
		TEST(test_set_nodes),
		TEST(test_removed_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
