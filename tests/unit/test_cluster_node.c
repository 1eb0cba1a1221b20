/* Node states, synchronisation and events against engines that behave, and engines that do not. */
#include "cluster/live.h"
#include "lib/json.h"
#include "lib/log.h"
#include "tests/unit/fake_engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* A hundred times faster than life, and so are the waits below. */
static const struct live_timing fast = {
	.probe = 100,
	.probe_spacing = 5,
	.probe_fast = 20,
	.probe_timeout = 100,
	.probe_fast_timeout = 60,
	.down_after = 600,
	.settle = 1500,
	.backoff = 20,
	.backoff_max = 200,
	.stream_proof = 100,
	.connect = 200,
	.head = 200,
	.idle = 200,
	.list = 250,
	.inspect = 200,
	.hold = 100,
	.debounce = 5,
	.period = 10,
	.turn = {20, 100},
};

/* For engines that are busy and shall not be taken for dead. */
static const struct live_timing patient = {
	.probe = 1000,
	.probe_spacing = 5,
	.probe_fast = 1000,
	.probe_timeout = 60000,
	.probe_fast_timeout = 60000,
	.down_after = 60000,
	.settle = 1500,
	.backoff = 20,
	.backoff_max = 200,
	.stream_proof = 100,
	.connect = 60000,
	.head = 60000,
	.idle = 60000,
	.list = 60000,
	.inspect = 60000,
	.hold = 60000,
	.debounce = 5,
	.period = 10,
	.turn = {20, 100},
};

enum { LOG_MAX = 400 };

struct fixture {
	struct loop *loop;
	struct client *client;
	struct cluster *cluster;
	struct event_listener *listener;
	struct fake_engine *engines[8];
	size_t engines_len;
	char *log[LOG_MAX]; /* "type action id-or-node" of the events heard */
	size_t log_len;
	char *last_text;
	void (*on_event)(struct fixture *f, const struct event *event);
	unsigned downs;
};

static void hear(const struct event *event, void *arg)
{
	struct fixture *f = arg;
	const json_t *actor = json_obj(event->json, "Actor");

	assert_int_equal(strlen(event->text), event->text_len);
	assert_null(strchr(event->text, '\n'));
	assert_true(f->log_len < LOG_MAX);
	f->log[f->log_len++] = xasprintf("%s %s %.32s", event->type, event->action,
		strcmp(event->type, "swarm") == 0 ? event->node->inventory.view.addr
						  : json_str(actor, "ID", ""));
	free(f->last_text);
	f->last_text = xstrdup(event->text);
	if (f->on_event)
		f->on_event(f, event);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct cluster_config config = {
		.refresh_min_ms = 100000,
		.refresh_max_ms = 100000,
		.failure_retry = 3,
		.overcommit = 0.05,
	};

	log_set_level(LOG_LEVEL_ERROR);
	f->loop = loop_new();
	f->client = client_new(f->loop);
	f->cluster = cluster_new(f->loop, env_system(), f->client, &config);
	f->cluster->live->timing = fast;
	f->listener = cluster_listen(f->cluster, hear, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	size_t i;

	event_listener_free(f->listener);
	cluster_free(f->cluster);
	client_free(f->client);
	for (i = 0; i < f->engines_len; i++)
		fake_engine_free(f->engines[i]);
	loop_free(f->loop);
	for (i = 0; i < f->log_len; i++)
		free(f->log[i]);
	free(f->last_text);
	free(f);
	return 0;
}

static struct fake_engine *engine_new(struct fixture *f, const char *id, const char *name)
{
	struct fake_engine *engine = fake_engine_new(f->loop, id, name);

	f->engines[f->engines_len++] = engine;
	return engine;
}

/* Tells the cluster of all engines there are. */
static void discover(struct fixture *f)
{
	struct str_list addrs CLEANUP_STR_LIST = {0};
	size_t i;

	for (i = 0; i < f->engines_len; i++)
		str_list_add_take(&addrs, fake_engine_addr(f->engines[i]));
	cluster_set_nodes(f->cluster, &addrs);
}

static struct node *node_of(struct fixture *f, const struct fake_engine *engine)
{
	char *addr CLEANUP_FREE = fake_engine_addr(engine);

	return cluster_node_find(f->cluster, addr);
}

/* ---- Waiting ---- */

struct wait {
	struct fixture *f;
	bool (*is_true)(struct fixture *f);
	struct loop_timer *timer;
	uint64_t end;
	bool result;
};

static void wait_step(void *arg)
{
	struct wait *w = arg;

	w->result = w->is_true && w->is_true(w->f);
	if (w->result || loop_now_ms(w->f->loop) >= w->end)
		loop_stop(w->f->loop);
	else
		loop_timer_start(w->timer, 1);
}

/* Runs the loop until it is true, or for so long (is_true NULL: just so long). */
static bool wait_for(struct fixture *f, bool (*is_true)(struct fixture *f), unsigned ms)
{
	struct wait w = {.f = f, .is_true = is_true};

	w.timer = loop_timer_new(f->loop, wait_step, &w);
	w.end = loop_now_ms(f->loop) + ms;
	loop_timer_start(w.timer, 0);
	loop_run(f->loop);
	loop_timer_free(w.timer);
	return w.result;
}

/* For conditions that are used once. */
#define WAIT_UNTIL(f, condition) \
	do { \
		uint64_t end_ = loop_now_ms((f)->loop) + 8000; \
		while (!(condition) && loop_now_ms((f)->loop) < end_) \
			wait_for(f, NULL, 1); \
		assert_true(condition); \
	} while (0)

static bool all_healthy(struct fixture *f)
{
	struct cluster_totals totals;

	cluster_totals(f->cluster, &totals);
	return totals.nodes_healthy == f->engines_len;
}

static bool none_healthy(struct fixture *f)
{
	struct cluster_totals totals;

	cluster_totals(f->cluster, &totals);
	return totals.nodes_healthy == 0;
}

static size_t count_log(const struct fixture *f, const char *part)
{
	size_t i, n = 0;

	for (i = 0; i < f->log_len; i++)
		n += strstr(f->log[i], part) != NULL;
	return n;
}

static bool heard_marker(struct fixture *f)
{
	return count_log(f, " marker ") > 0;
}

/* ---- A good engine ---- */

static void test_ready(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct node *node;
	struct cluster_totals totals;
	char *path CLEANUP_FREE = NULL;

	fake_engine_add(engine, "one");
	fake_engine_add(engine, "two");
	snprintf(fake_engine_add(engine, "three")->state, 16, "exited");
	discover(f);
	node = node_of(f, engine);
	assert_non_null(node);
	assert_int_equal(node_state(node), NODE_PENDING);
	assert_string_equal(node_view(node)->name, "(unknown)");
	assert_true(wait_for(f, all_healthy, 5000));
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
	assert_int_equal(count_log(f, "swarm engine_connect 127.0.0.1:"), 1);
	assert_non_null(strstr(f->last_text, "\"from\":\"swarm node:alpha\""));
	assert_non_null(strstr(f->last_text, "\"node.name\":\"alpha\""));
}

static void test_labels(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	const struct view_labels *labels;
	const char *want[][2] = {{"disk", "ssd"}, {"kernelversion", "6.1"},
		{"operatingsystem", "mine"}, {"ostype", "linux"}, {"storagedriver", "overlay2"},
		{"x", "a=b"}};
	size_t i;

	engine->labels = "[\"disk=ssd\",\"x=a=b\",\"bare\",7,\"=y\",\"operatingsystem=mine\"]";
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	labels = &node_view(node_of(f, engine))->labels;
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

		setup(&own);
		f = own;
		engine = engine_new(f, "ID-A", "alpha");
		engine->api_min = cases[i].min;
		engine->api = cases[i].max;
		discover(f);
		node = node_of(f, engine);
		if (cases[i].used) {
			char *path CLEANUP_FREE = NULL;

			assert_true(wait_for(f, all_healthy, 5000));
			path = node_path(node, "/x");
			assert_string_equal(path, cases[i].used);
		} else {
			WAIT_UNTIL(f, strstr(node_error(node), cases[i].error));
			assert_int_equal(node_state(node), NODE_PENDING);
			assert_true(node_retry_in_ms(node) >= 0);
		}
		teardown(&own);
	}
}

/* ---- Events ---- */

/* Whatever an event tells is in the inventory when it is heard. */
static void check_event(struct fixture *f, const struct event *event)
{
	const char *id = json_str(json_obj(event->json, "Actor"), "ID", "");
	struct container *c = cluster_container_find(f->cluster, id, NULL);

	if (strcmp(event->type, "container") != 0)
		return;
	if (strcmp(event->action, "destroy") == 0) {
		assert_null(c);
		return;
	}
	assert_non_null(c);
	if (strcmp(event->action, "start") == 0)
		assert_string_equal(c->state, "running");
	if (strcmp(event->action, "die") == 0)
		assert_string_equal(c->state, "exited");
	assert_string_equal(json_str(json_obj(event->json, "node"), "Name", ""), "alpha");
}

static bool heard_start(struct fixture *f)
{
	return count_log(f, "container start ") > 0;
}

static bool heard_die(struct fixture *f)
{
	return count_log(f, "container die ") > 0;
}

static bool four_events(struct fixture *f)
{
	return count_log(f, "container ") >= 4;
}

static void check_lifecycle(struct fixture *f, struct fake_engine *engine)
{
	struct fake_container *c;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	f->on_event = check_event;
	c = fake_engine_add(engine, "web");
	fake_engine_event(engine, c, "create", false);
	fake_engine_event(engine, c, "start", false);
	assert_true(wait_for(f, heard_start, 5000));
	snprintf(c->state, sizeof(c->state), "exited");
	fake_engine_event(engine, c, "die", false);
	assert_true(wait_for(f, heard_die, 5000));
	c->is_gone = true;
	fake_engine_event(engine, c, "destroy", false);
	assert_true(wait_for(f, four_events, 5000));
	assert_int_equal(f->log_len, 5);
	assert_non_null(strstr(f->log[1], "container create "));
	assert_non_null(strstr(f->log[2], "container start "));
	assert_non_null(strstr(f->log[3], "container die "));
	assert_non_null(strstr(f->log[4], "container destroy "));
	assert_non_null(strstr(f->last_text, "\"from\":\"busybox node:alpha\""));
	assert_non_null(strstr(f->last_text, "\"node.ip\":\"127.0.0.1\""));
}

static void test_events(void **state)
{
	struct fixture *f = *state;

	check_lifecycle(f, engine_new(f, "ID-A", "alpha"));
}

static void test_events_in_bytes(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");

	engine->splits_events = true;
	check_lifecycle(f, engine);
}

/* A burst about one container is a few questions, and all of it is heard, in order. */
static void test_burst(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	unsigned i;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	engine->inspects = 0;
	for (i = 0; i < 50; i++)
		fake_engine_event(engine, c, i % 2 ? "start" : "restart", false);
	fake_engine_event(engine, c, "marker", false);
	assert_true(wait_for(f, heard_marker, 5000));
	assert_int_equal(count_log(f, "container "), 51);
	assert_true(engine->inspects <= 6);
	for (i = 0; i < 50; i++)
		assert_non_null(strstr(f->log[1 + i], i % 2 ? " start " : " restart "));
}

/* Exec and the like change nothing, so nothing is asked. */
static void test_harmless_events(void **state)
{
	static const char *const actions[] = {"exec_create: sh -c x", "exec_start: sh", "exec_die",
		"attach", "top", "resize", "kill", "commit", "export", "archive-path", "copy"};
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	size_t i;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	engine->inspects = engine->filtered = 0;
	for (i = 0; i < ARRAY_LEN(actions); i++)
		fake_engine_event(engine, c, actions[i], false);
	WAIT_UNTIL(f, count_log(f, "container ") == ARRAY_LEN(actions));
	assert_int_equal(engine->inspects + engine->filtered, 0);
}

/* Images, networks and volumes: gathered, asked for once, then told. */
static void test_part_events(void **state)
{
	static const char pull[] =
		"{\"Type\":\"image\",\"Action\":\"pull\",\"Actor\":{\"ID\":"
		"\"redis:1\",\"Attributes\":{\"name\":\"redis\"}},\"timeNano\":%d}";
	static const char network[] = "{\"Type\":\"network\",\"Action\":\"create\",\"Actor\":{"
				      "\"ID\":\"n2\"},\"timeNano\":1}";
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	char text[300];
	struct image **images;
	size_t len;
	int i;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	engine->parts = 0;
	engine->images = "[{\"Id\":\"sha256:" FAKE_HEX "\",\"RepoTags\":[\"redis:1\"]}]";
	for (i = 0; i < 20; i++)
		fake_engine_send(engine, text, (size_t)snprintf(text, sizeof(text), pull, i + 1));
	fake_engine_send(engine, network, strlen(network));
	WAIT_UNTIL(f, count_log(f, "network create n2") == 1);
	assert_int_equal(count_log(f, "image pull redis:1"), 20);
	assert_true(engine->parts >= 2 && engine->parts <= 6);
	images = cluster_images_find(f->cluster, "redis:1", &len);
	assert_int_equal(len, 1);
	free(images);
}

/* An engine that answers no question does not keep its events back for ever. */
static void test_event_deadline(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	c->fault = FAKE_SILENCE;
	fake_engine_event(engine, c, "start", false);
	fake_engine_event(engine, c, "marker", false);
	assert_true(wait_for(f, heard_marker, 5000));
	assert_int_equal(count_log(f, "container "), 2);
	assert_true(all_healthy(f));
}

/* Odd events: of later and earlier API versions, and with members of any type. */
static void test_event_forms(void **state)
{
	static const char *const texts[] = {
		"{\"Type\":\"container\",\"Action\":\"top\",\"Actor\":{\"ID\":\"x\",\"Attributes\":"
		"{\"image\":\"redis\"}},\"timeNano\":5}",
		"{\"status\":\"top\",\"id\":\"y\",\"from\":\"nginx\",\"time\":7}",
		"{\"Type\":1,\"Action\":\"x\",\"Actor\":3,\"timeNano\":\"x\",\"from\":{}}",
		"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"../../x\"}}",
		"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"Attributes\":[]}}",
		"{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{\"Attributes\":{"
		"\"container\":\"nothex\"}}}",
		"{\"Type\":\"plugin\",\"Action\":\"enable\",\"timeNano\":-9223372036854775808}",
	};
	static const char empty[] = "{}{\"Type\":\"container\",\"Action\":[]}";
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	size_t i;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *json CLEANUP_JSON = NULL;

		fake_engine_send(engine, texts[i], strlen(texts[i]));
		WAIT_UNTIL(f, f->log_len == i + 2);
		json = json_parse(f->last_text, strlen(f->last_text), NULL);
		assert_string_equal(json_str(json_obj(json, "node"), "Name", ""), "alpha");
		assert_string_equal(
			json_str(json_path(json, "Actor", "Attributes", NULL), "node.name", ""),
			"alpha");
		assert_true(str_has_suffix(json_str(json, "from", ""), " node:alpha"));
		if (i == 0) {
			assert_string_equal(json_str(json, "status", ""), "top");
			assert_string_equal(json_str(json, "id", ""), "x");
			assert_string_equal(json_str(json, "from", ""), "redis node:alpha");
		}
	}
	fake_engine_send(engine, empty, strlen(empty));
	wait_for(f, NULL, 10);
	assert_int_equal(f->log_len, ARRAY_LEN(texts) + 1); /* says nothing: not passed on */
	assert_true(all_healthy(f));
}

/* A flood of events, about containers that are not there, is taken in at a pace; all of it is
 * heard, and what is asked for meanwhile is answered. */
static void count_event(const struct event *event, void *arg)
{
	(void)event;
	++*(unsigned *)arg;
}

static void test_event_flood(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct event_listener *listener;
	unsigned count = 0, i;
	char text[300];

	event_listener_free(f->listener);
	f->listener = NULL;
	/* What is judged is how much is asked at a time, however long a busy machine takes; this
	 * engine forgets what it tells to a stream that is closed as too slow. */
	f->cluster->live->timing = patient;
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	listener = cluster_listen(f->cluster, count_event, &count);
	for (i = 0; i < 20000; i++) {
		fake_engine_send(engine, text,
			(size_t)snprintf(text, sizeof(text),
				"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":"
				"\"%064x\"},\"timeNano\":%u}",
				i % 12000, i + 1));
		if (i % 50 == 0)
			wait_for(f, NULL, 1);
		assert_true(node_of(f, engine)->live->fetches_len <= LIVE_FETCHES_QUEUED_MAX);
		/* One for each question would be four times as many. Some are kept for a moment,
		 * and the engine hears late of those that were closed. */
		assert_true(fake_engine_connections(engine) <= LIVE_LINES_MAX * LIVE_LINE_LEN / 2);
	}
	for (i = 0; i < 600 && count < 20000; i++)
		wait_for(f, NULL, 100);
	assert_int_equal(count, 20000);
	assert_true(all_healthy(f));
	event_listener_free(listener);
}

/* ---- Gaps ---- */

static void test_stream_gap(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *a = fake_engine_add(engine, "a"), *b = fake_engine_add(engine, "b");
	unsigned round;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	for (round = 0; round < 5; round++) {
		wait_for(f, NULL, fast.stream_proof + 20);
		fake_engine_event(engine, a, "restart", false);
		WAIT_UNTIL(f, count_log(f, "container restart ") == round + 1);
		fake_engine_drop_streams(engine);
		snprintf(b->state, sizeof(b->state), round % 2 ? "running" : "exited");
		fake_engine_event(engine, b, round % 2 ? "start" : "die", true);
		fake_engine_event(engine, a, "rename", true);
		WAIT_UNTIL(f, count_log(f, "container rename ") == round + 1);
		assert_true(engine->has_since);
		WAIT_UNTIL(f, strcmp(cluster_container_find(f->cluster, "b", NULL)->state,
				      round % 2 ? "running" : "exited") == 0);
		WAIT_UNTIL(f, node_of(f, engine)->live->stage == CONNECT_NONE);
		assert_int_equal(fake_engine_open_streams(engine), 1);
	}
	assert_int_equal(count_log(f, "container restart "), 5);
	assert_int_equal(count_log(f, "container rename "), 5);
	assert_int_equal(count_log(f, "container die "), 3);
	assert_int_equal(count_log(f, "container start "), 2);
	assert_int_equal(count_log(f, "swarm "), 1); /* it was healthy all the time */
	assert_int_equal(node_state(node_of(f, engine)), NODE_HEALTHY);
}

/* Streams that break again and again: each time all is right soon, and the node is healthy. */
static void test_torn_streams(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	unsigned round;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	for (round = 0; round < 12; round++) {
		uint64_t start = loop_now_ms(f->loop);
		struct fake_container *c = fake_engine_add(engine, "c");

		fake_engine_event(engine, c, "create", true);
		fake_engine_drop_streams(engine);
		while (!cluster_container_find(f->cluster, c->id, NULL) &&
			loop_now_ms(f->loop) < start + 5000)
			wait_for(f, NULL, 1);
		assert_true(loop_now_ms(f->loop) - start < 5000);
		assert_int_equal(node_state(node_of(f, engine)), NODE_HEALTHY);
	}
	WAIT_UNTIL(f, count_log(f, "container create ") == 12);
	assert_int_equal(count_log(f, "swarm "), 1);
}

/* What is as it was known is not asked for again; what was restarted is. */
static void test_resync_asks_little(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
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
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	assert_int_equal(engine->inspects, 20);
	engine->inspects = engine->lists = 0;
	c = &engine->containers[7];
	strftime(c->started, sizeof(c->started), "%Y-%m-%dT%H:%M:%SZ",
		gmtime_r(&(time_t){now - 60}, &tm));
	snprintf(c->status, sizeof(c->status), "Up About a minute");
	engine->containers[3].is_gone = true;
	wait_for(f, NULL, fast.stream_proof + 20);
	fake_engine_drop_streams(engine);
	WAIT_UNTIL(f, engine->lists == 1);
	WAIT_UNTIL(f, node_of(f, engine)->live->stage == CONNECT_NONE);
	assert_int_equal(engine->lists, 1);
	assert_int_equal(engine->inspects, 1);
	assert_null(cluster_container_find(f->cluster, "c3", NULL));
	assert_true(now - 60 - cluster_container_find(f->cluster, "c7", NULL)->started_at <= 1);
}

/* A stream that is open and dead is found out by the regular resynchronisation. */
static bool has_two_streams(struct fixture *f)
{
	return f->engines[0]->streams >= 2;
}

static void test_dead_stream(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");

	f->cluster->live->refresh_min = 50;
	f->cluster->live->refresh_max = 100;
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	wait_for(f, NULL, 300);
	assert_int_equal(engine->streams, 1);
	snprintf(c->state, sizeof(c->state), "exited");
	fake_engine_event(engine, c, "die", true);
	assert_true(wait_for(f, has_two_streams, 5000));
	WAIT_UNTIL(f, count_log(f, "container die ") == 1);
	assert_string_equal(cluster_container_find(f->cluster, "web", NULL)->state, "exited");
	assert_int_equal(count_log(f, "swarm "), 1);
}

/* The more nodes there are, the more seldom each is read anew. */
static void test_resyncs_are_spaced(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");

	f->cluster->live->refresh_min = f->cluster->live->refresh_max = 20;
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	WAIT_UNTIL(f, engine->lists >= 3);
	f->cluster->live->timing.resync_spacing = 60000;
	wait_for(f, NULL, 100);
	engine->lists = 0;
	wait_for(f, NULL, 300);
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
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	struct answer answers[6] = {{0}};
	struct node *node;
	size_t i;

	discover(f);
	node = node_of(f, engine);
	node_refresh_container(node, c->id, answered, &answers[0]);
	assert_int_equal(answers[0].count, 0);
	assert_true(wait_for(f, all_healthy, 5000));
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
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	struct answer answers[3] = {{0}};
	struct str_list none = {0};
	struct node *node;

	discover(f);
	node = node_of(f, engine);
	assert_true(wait_for(f, all_healthy, 5000));
	c->fault = FAKE_SILENCE;
	node_refresh_container(node, c->id, answered, &answers[0]);
	WAIT_UNTIL(f, answers[0].count == 1);
	assert_int_equal(answers[0].code, ERR_TIMEOUT);
	assert_true(all_healthy(f));
	node_refresh_container(node, c->id, answered, &answers[1]);
	node_refresh_parts(node, NODE_IMAGES, answered, &answers[2]);
	cluster_set_nodes(f->cluster, &none);
	WAIT_UNTIL(f, answers[1].count == 1);
	assert_int_equal(answers[1].code, ERR_UNAVAILABLE);
	assert_int_equal(answers[2].count, 1);
	f->engines_len = 0;
	assert_true(all_healthy(f)); /* none is left */
	f->engines_len = 1;
	assert_int_equal(count_log(f, "swarm engine_disconnect"), 1);
}

/* ---- Trouble ---- */

static void went_down(void *arg)
{
	struct fixture *f = arg;

	f->downs++;
}

static bool first_has_error(struct fixture *f)
{
	return node_error(node_of(f, f->engines[0]))[0] != '\0';
}

static bool first_is_down(struct fixture *f)
{
	return node_state(node_of(f, f->engines[0])) != NODE_HEALTHY;
}

static bool second_is_healthy(struct fixture *f)
{
	return node_state(node_of(f, f->engines[1])) == NODE_HEALTHY;
}

static bool first_has_no_error(struct fixture *f)
{
	return !first_has_error(f);
}

static void test_pause(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_engine *other = engine_new(f, "ID-B", "beta");
	struct node_waiter *waiter;
	struct node *node;
	struct fake_container *c = fake_engine_add(engine, "web");
	struct cluster_totals totals;

	fake_engine_add(other, "db");
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	node = node_of(f, engine);
	waiter = node_on_down(node, went_down, f);

	/* Short: nothing changes. */
	fake_engine_pause(engine);
	node_report_failure(node, NULL);
	assert_true(wait_for(f, first_has_error, 5000));
	assert_true(all_healthy(f));
	assert_non_null(strstr(node_error(node), "/_ping"));
	fake_engine_resume(engine);
	assert_true(wait_for(f, first_has_no_error, 5000));
	assert_true(all_healthy(f));
	assert_int_equal(count_log(f, "swarm "), 2);
	assert_int_equal(f->downs, 0);

	/* Long: one change each way; the containers stay known. */
	fake_engine_pause(engine);
	assert_true(wait_for(f, first_is_down, 10000));
	wait_for(f, NULL, 300);
	assert_int_equal(node_state(node), NODE_UNHEALTHY);
	assert_int_equal(node_state(node_of(f, other)), NODE_HEALTHY);
	assert_int_equal(f->downs, 1);
	assert_true(node_retry_in_ms(node) >= 0);
	assert_non_null(cluster_container_find(f->cluster, "web", NULL));
	cluster_totals(f->cluster, &totals);
	assert_int_equal(totals.nodes_healthy, 1);
	assert_int_equal(totals.containers, 2);
	snprintf(c->state, sizeof(c->state), "exited");
	fake_engine_event(engine, c, "die", true);
	fake_engine_resume(engine);
	assert_true(wait_for(f, all_healthy, 5000));
	assert_string_equal(cluster_container_find(f->cluster, "web", NULL)->state, "exited");
	wait_for(f, NULL, 200);
	assert_int_equal(count_log(f, "swarm engine_connect"), 2);
	assert_int_equal(count_log(f, "swarm engine_disconnect"), 1);
	assert_int_equal(count_log(f, "swarm engine_reconnect"), 1);
	assert_int_equal(count_log(f, "container die"), 1);
	assert_int_equal(f->downs, 1);
	node_waiter_free(waiter);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct node *node;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	node = node_of(f, engine);
	fake_engine_stop(engine);
	WAIT_UNTIL(f, node_error(node)[0]);
	assert_true(all_healthy(f)); /* a quick restart of an engine is no outage */
	assert_true(wait_for(f, none_healthy, 5000));
	assert_int_equal(node_state(node), NODE_DISCONNECTED);
	assert_true(node_error(node)[0] != '\0');
	fake_engine_start(engine);
	assert_true(wait_for(f, all_healthy, 5000));
	assert_int_equal(count_log(f, "swarm engine_disconnect"), 1);
	assert_int_equal(count_log(f, "swarm engine_reconnect"), 1);
}

static void test_quick_restart(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	fake_engine_stop(engine);
	fake_engine_add(engine, "new");
	wait_for(f, NULL, 50);
	fake_engine_start(engine);
	WAIT_UNTIL(f, cluster_container_find(f->cluster, "new", NULL));
	assert_int_equal(count_log(f, "swarm "), 1);
	assert_int_equal(fake_engine_open_streams(engine), 1);
}

/* Every fault in every answer: the node is not healthy, and says why; its neighbour never minds. */
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
			struct fixture *f;
			struct fake_engine *bad;
			bool is_told = (fault == FAKE_ERROR || fault == FAKE_HTTPS) && i >= 4;

			setup(&own);
			f = own;
			bad = engine_new(f, "ID-A", "alpha");
			engine_new(f, "ID-B", "beta");
			bad->fault_path = paths[i];
			bad->fault = fault;
			discover(f);
			assert_true(wait_for(f, is_told ? all_healthy : first_has_error, 5000));
			assert_int_equal(
				node_state(node_of(f, bad)), is_told ? NODE_HEALTHY : NODE_PENDING);
			assert_true(wait_for(f, second_is_healthy, 5000));
			bad->fault = FAKE_NONE;
			if (!wait_for(f, all_healthy, 8000))
				fail_msg("%s fault %d: never healthy", paths[i], fault);
			teardown(&own);
		}
	}
}

/* The same once it was healthy: hysteresis first, then unhealthy, and back. */
static void test_turns_hostile(void **state)
{
	static const int faults[] = {
		FAKE_SILENCE, FAKE_GARBAGE, FAKE_ERROR, FAKE_ENDLESS_HEADERS, FAKE_CLOSE};
	struct fixture *f = *state;
	struct fake_engine *bad = engine_new(f, "ID-A", "alpha");
	size_t i;

	engine_new(f, "ID-B", "beta");
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	bad->fault_path = "/";
	for (i = 0; i < ARRAY_LEN(faults); i++) {
		uint64_t start = loop_now_ms(f->loop);
		struct node *node = node_of(f, bad);

		bad->fault = faults[i];
		while (node_state(node) == NODE_HEALTHY && loop_now_ms(f->loop) < start + 5000)
			wait_for(f, NULL, 5);
		assert_int_equal(node_state(node), NODE_UNHEALTHY);
		assert_true(loop_now_ms(f->loop) - start >= fast.down_after);
		assert_int_equal(node_state(node_of(f, f->engines[1])), NODE_HEALTHY);
		bad->fault = FAKE_NONE;
		assert_true(wait_for(f, all_healthy, 5000));
	}
	assert_int_equal(count_log(f, "swarm engine_disconnect"), ARRAY_LEN(faults));
	assert_int_equal(count_log(f, "swarm engine_reconnect"), ARRAY_LEN(faults));
}

/* Garbage within the stream of an engine that is fine otherwise: unhealthy in the end. */
static void test_garbage_events(void **state)
{
	static const char *const garbage[] = {
		"garbage\n", "{\"a\":}\n", "[{}]", "{\"a\":1,\"a\":2}"};
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	unsigned i;

	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	for (i = 0; i < 400 && all_healthy(f); i++) {
		const char *text = garbage[i % ARRAY_LEN(garbage)];

		fake_engine_send(engine, text, strlen(text));
		wait_for(f, NULL, 5);
	}
	assert_false(all_healthy(f));
	assert_int_equal(node_state(node_of(f, engine)), NODE_UNHEALTHY);
	assert_non_null(strstr(node_error(node_of(f, engine)), "event stream"));
	assert_true(wait_for(f, all_healthy, 5000));
}

/* One bad record is left out, the rest is there. */
static void test_bad_record(void **state)
{
	static const int faults[] = {
		FAKE_NOT_JSON, FAKE_WRONG_TYPE, FAKE_SILENCE, FAKE_ERROR, FAKE_EMPTY};
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct cluster_totals totals;
	size_t i;

	fake_engine_add(engine, "good");
	for (i = 0; i < ARRAY_LEN(faults); i++) {
		char name[8];

		snprintf(name, sizeof(name), "bad%zu", i);
		fake_engine_add(engine, name)->fault = faults[i];
	}
	snprintf(fake_engine_add(engine, "no-id")->id, 65, "XYZ");
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	cluster_totals(f->cluster, &totals);
	assert_non_null(cluster_container_find(f->cluster, "good", NULL));
	/* What the engine cannot inspect is known by its list entry. */
	assert_non_null(cluster_container_find(f->cluster, "bad3", NULL));
	assert_int_equal(totals.containers, 2);
}

static void test_errors_differ(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *tls = engine_new(f, "ID-A", "alpha");
	struct fake_engine *html = engine_new(f, "ID-B", "beta");
	struct fake_engine *silent = engine_new(f, "ID-C", "gamma");
	struct fake_engine *refused = engine_new(f, "ID-D", "delta");
	struct fake_engine *swarm = engine_new(f, "", "epsilon");
	struct node *const *nodes;
	size_t len, i, j;

	tls->fault_path = html->fault_path = silent->fault_path = "/version";
	tls->fault = FAKE_HTTPS;
	html->fault = FAKE_NOT_JSON;
	silent->fault = FAKE_SILENCE;
	fake_engine_stop(refused);
	discover(f);
	for (i = 0; i < f->engines_len; i++)
		WAIT_UNTIL(f, node_error(node_of(f, f->engines[i]))[0]);
	assert_non_null(strstr(node_error(node_of(f, tls)), "TLS"));
	assert_non_null(strstr(node_error(node_of(f, html)), "not a Docker engine"));
	assert_non_null(strstr(node_error(node_of(f, swarm)), "no valid ID"));
	nodes = cluster_nodes(f->cluster, &len);
	assert_int_equal(len, 5);
	for (i = 0; i < len; i++) {
		assert_int_equal(node_state(nodes[i]), NODE_PENDING);
		assert_true(node_error(nodes[i])[0] != '\0');
		assert_true(node_retry_in_ms(nodes[i]) <= (int64_t)fast.backoff_max);
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
		fake_engine_add(engine_new(f, "SAME", "same"), "web");
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	nodes = cluster_nodes(f->cluster, &len);
	assert_int_equal(len, 3);
	assert_string_not_equal(node_view(nodes[0])->id, node_view(nodes[1])->id);
	assert_string_not_equal(node_view(nodes[1])->id, node_view(nodes[2])->id);
	assert_int_equal(count_log(f, "engine_connect"), 3);
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
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct node *node;

	fake_engine_add(engine, "old");
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	node = node_of(f, engine);
	fake_engine_stop(engine);
	snprintf(engine->id, sizeof(engine->id), "ID-Z");
	snprintf(engine->name, sizeof(engine->name), "zeta");
	engine->containers[0].is_gone = true;
	fake_engine_add(engine, "new");
	fake_engine_start(engine);
	WAIT_UNTIL(f, cluster_container_find(f->cluster, "new", NULL));
	assert_true(all_healthy(f));
	assert_string_equal(node_view(node)->engine_id, "ID-Z");
	assert_ptr_equal(cluster_node_find(f->cluster, "zeta"), node);
	assert_null(cluster_node_find(f->cluster, "alpha"));
	WAIT_UNTIL(f, !cluster_container_find(f->cluster, "old", NULL));
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
		fake_engine_add(engine_new(f, id, id), id);
	}
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	kept = node_of(f, f->engines[1]);
	str_list_add_take(&some, fake_engine_addr(f->engines[1]));
	str_list_add(&some, "no port:0");
	str_list_add_take(&some, fake_engine_addr(f->engines[1]));
	cluster_set_nodes(f->cluster, &some);
	cluster_nodes(f->cluster, &len);
	assert_int_equal(len, 1);
	assert_ptr_equal(node_of(f, f->engines[1]), kept);
	assert_int_equal(node_state(kept), NODE_HEALTHY);
	assert_null(cluster_container_find(f->cluster, "n0", NULL));
	assert_int_equal(count_log(f, "engine_disconnect"), 2);
	WAIT_UNTIL(f, fake_engine_open_streams(f->engines[0]) == 0);
	assert_int_equal(fake_engine_open_streams(f->engines[1]), 1);
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	assert_int_equal(count_log(f, "engine_connect"), 5);
}

/* Nodes come and go at every moment of their connection: nothing is left behind. */
static void test_removed_at_any_time(void **state)
{
	struct fixture *f = *state;
	struct str_list none = {0};
	unsigned ms, i;

	for (i = 0; i < 4; i++) {
		struct fake_engine *engine = engine_new(f, "ID", "name");
		unsigned k;

		for (k = 0; k < 20; k++)
			fake_engine_add(engine, "c");
	}
	for (ms = 0; ms < 40; ms++) {
		discover(f);
		wait_for(f, NULL, ms / 2);
		fake_engine_event(
			f->engines[0], &f->engines[0]->containers[ms / 2], "start", false);
		cluster_set_nodes(f->cluster, &none);
		wait_for(f, NULL, 1);
	}
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
}

/* A listener that leaves, and one that comes, while events are given out. */
static struct event_listener *second;
static unsigned second_count;

static void hear_second(const struct event *event, void *arg)
{
	(void)event, (void)arg;
	second_count++;
	event_listener_free(second);
}

static void test_listeners(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = engine_new(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");

	second_count = 0;
	second = cluster_listen(f->cluster, hear_second, NULL);
	discover(f);
	assert_true(wait_for(f, all_healthy, 5000));
	fake_engine_event(engine, c, "marker", false);
	assert_true(wait_for(f, heard_marker, 5000));
	assert_int_equal(second_count, 1);
}

static void test_texts(void **state)
{
	struct err err = ERR_INIT;
	json_t *json;

	(void)state;
	assert_null(live_parse("[[],[],{}]", 10, 9, &err));
	assert_int_equal(err.code, ERR_TOO_LARGE);
	json = live_parse("[[],[],{}]", 10, 10, &err);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		TEST(test_ready),
		TEST(test_labels),
		cmocka_unit_test(test_versions),
		TEST(test_events),
		TEST(test_events_in_bytes),
		TEST(test_burst),
		TEST(test_harmless_events),
		TEST(test_part_events),
		TEST(test_event_deadline),
		TEST(test_event_forms),
		TEST(test_event_flood),
		TEST(test_stream_gap),
		TEST(test_torn_streams),
		TEST(test_resync_asks_little),
		TEST(test_resyncs_are_spaced),
		TEST(test_dead_stream),
		TEST(test_refresh),
		TEST(test_refresh_ends),
		TEST(test_pause),
		TEST(test_refused),
		TEST(test_quick_restart),
		cmocka_unit_test(test_hostile),
		TEST(test_turns_hostile),
		TEST(test_garbage_events),
		TEST(test_bad_record),
		TEST(test_errors_differ),
		TEST(test_twins),
		TEST(test_new_identity),
		TEST(test_set_nodes),
		TEST(test_removed_at_any_time),
		TEST(test_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
