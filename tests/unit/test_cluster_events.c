/* Events of engines: what they tell is in the inventory, in order, and none is lost or told twice.
 */
#include "tests/unit/live_fixture.h"

#include <string.h>

/* Whatever an event tells is in the inventory when it is heard. */
static void check_event(struct fixture *f, const struct event *event)
{
	const char *id = json_str(json_obj(event->json, "Actor"), "ID", "");
	struct container *c = cluster_container_find(f->cluster, id, NULL);

	if (strcmp(event->type, "container") != 0)
		return;
	if (strcmp(event->action, "destroy") == 0) {
		FIXTURE_CHECK(f, !c);
		return;
	}
	FIXTURE_CHECK(f, c);
	if (c && strcmp(event->action, "start") == 0)
		FIXTURE_CHECK(f, strcmp(c->state, "running") == 0);
	if (c && strcmp(event->action, "die") == 0)
		FIXTURE_CHECK(f, strcmp(c->state, "exited") == 0);
	FIXTURE_CHECK(f, strcmp(json_str(json_obj(event->json, "node"), "Name", ""), "alpha") == 0);
}

static void check_lifecycle(struct fixture *f, struct fake_engine *engine)
{
	struct fake_container *c;

	fixture_connect(f);
	f->on_event = check_event;
	c = fake_engine_add(engine, "web");
	fake_engine_event(engine, c, "create", false);
	fake_engine_event(engine, c, "start", false);
	WAIT_UNTIL(f, fixture_count(f, "container start ") == 1);
	snprintf(c->state, sizeof(c->state), "exited");
	fake_engine_event(engine, c, "die", false);
	WAIT_UNTIL(f, fixture_count(f, "container die ") == 1);
	c->is_gone = true;
	fake_engine_event(engine, c, "destroy", false);
	WAIT_UNTIL(f, fixture_count(f, "container ") == 4);
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

	check_lifecycle(f, fixture_engine(f, "ID-A", "alpha"));
}

static void test_events_in_bytes(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");

	engine->splits_events = true;
	check_lifecycle(f, engine);
}

/* A burst about one container is a few questions, and all of it is heard, in order. */
static void test_burst(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	unsigned i;

	fixture_connect(f);
	engine->inspects = 0;
	engine->fault_path = "/containers/";
	engine->fault = FAKE_HOLD;
	for (i = 0; i < 50; i++)
		fake_engine_event(engine, c, i % 2 ? "start" : "restart", false);
	fake_engine_event(engine, c, "marker", false);
	WAIT_UNTIL(f, fixture_node(f, engine)->live->watch.seen == 51);
	assert_int_equal(fixture_count(f, "container "), 0);
	/* The first question is older than what came behind it: once more for all of that. */
	WAIT_UNTIL(f, fake_engine_held(engine) > 0);
	engine->fault = FAKE_NONE;
	fake_engine_release(engine);
	WAIT_UNTIL(f, fixture_count(f, " marker ") == 1);
	assert_int_equal(fixture_count(f, "container "), 51);
	assert_int_equal(engine->inspects, 2);
	for (i = 0; i < 50; i++)
		assert_non_null(strstr(f->log[1 + i], i % 2 ? " start " : " restart "));
}

/* Exec and the like change nothing, so nothing is asked. */
static void test_harmless_events(void **state)
{
	static const char *const actions[] = {"exec_create: sh -c x", "exec_start: sh", "exec_die",
		"attach", "top", "resize", "kill", "commit", "export", "archive-path", "copy"};
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");
	size_t i;

	fixture_connect(f);
	engine->inspects = engine->filtered = 0;
	for (i = 0; i < ARRAY_LEN(actions); i++)
		fake_engine_event(engine, c, actions[i], false);
	WAIT_UNTIL(f, fixture_count(f, "container ") == ARRAY_LEN(actions));
	assert_int_equal(engine->inspects + engine->filtered, 0);
}

/* As if the time for it were over. */
static void end_gathering(struct node_live *live)
{
	for (size_t i = 0; i < PARTS; i++) {
		if (loop_timer_is_active(live->parts[i].debounce))
			loop_timer_start(live->parts[i].debounce, 0);
	}
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
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	char text[300];
	struct node_live *live;
	struct image **images;
	size_t len;
	int i;

	f->timing->debounce = 10 * FIXTURE_DEADLINE_MS;
	fixture_connect(f);
	live = fixture_node(f, engine)->live;
	engine->parts = 0;
	engine->images = "[{\"Id\":\"sha256:" FAKE_HEX "\",\"RepoTags\":[\"redis:1\"]}]";
	for (i = 0; i < 20; i++)
		fake_engine_send(engine, text, (size_t)snprintf(text, sizeof(text), pull, i + 1));
	fake_engine_send(engine, network, strlen(network));
	WAIT_UNTIL(f, live->watch.seen == 21);
	assert_int_equal(engine->parts, 0);
	assert_int_equal(f->log_len, 1);
	end_gathering(live);
	WAIT_UNTIL(f, fixture_count(f, "network create n2") == 1);
	assert_int_equal(fixture_count(f, "image pull redis:1"), 20);
	assert_int_equal(engine->parts, 2);
	images = cluster_images_find(f->cluster, "redis:1", &len);
	assert_int_equal(len, 1);
	free(images);
}

/* An engine that answers no question does not keep its events back for ever. */
static void test_event_deadline(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");

	f->timing->hold = 100;
	fixture_connect(f);
	c->fault = FAKE_SILENCE;
	fake_engine_event(engine, c, "start", false);
	fake_engine_event(engine, c, "marker", false);
	WAIT_UNTIL(f, fixture_count(f, " marker ") == 1);
	assert_int_equal(fixture_count(f, "container "), 2);
	assert_true(fixture_is_healthy(f));
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
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	size_t i;

	fixture_connect(f);
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
	WAIT_UNTIL(f, fixture_node(f, engine)->live->watch.seen == ARRAY_LEN(texts) + 2);
	assert_int_equal(f->log_len, ARRAY_LEN(texts) + 1); /* says nothing: not passed on */
	assert_true(fixture_is_healthy(f));
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
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct event_listener *listener;
	unsigned count = 0, i;
	char text[300];

	event_listener_free(f->listener);
	f->listener = NULL;
	fixture_connect(f);
	listener = cluster_listen(f->cluster, count_event, &count);
	for (i = 0; i < 20000; i++) {
		fake_engine_send(engine, text,
			(size_t)snprintf(text, sizeof(text),
				"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":"
				"\"%064x\"},\"timeNano\":%u}",
				i % 12000, i + 1));
		if (i % 50 == 0)
			fixture_run(f, 1);
		assert_true(fixture_node(f, engine)->live->fetches_len <= LIVE_FETCHES_QUEUED_MAX);
		/* One for each question would be four times as many. Some are kept for a moment,
		 * and the engine hears late of those that were closed. */
		assert_true(fake_engine_connections(engine) <= LIVE_LINES_MAX * LIVE_LINE_LEN / 2);
	}
	for (i = 0; i < 600 && count < 20000; i++)
		fixture_run(f, 100);
	assert_int_equal(count, 20000);
	assert_true(fixture_is_healthy(f));
	event_listener_free(listener);
}

/* ---- Gaps ---- */

static void test_stream_gap(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *a = fake_engine_add(engine, "a"), *b = fake_engine_add(engine, "b");
	unsigned round;

	fixture_connect(f);
	for (round = 0; round < 5; round++) {
		fixture_run(f, f->timing->stream_proof + 20);
		fake_engine_event(engine, a, "restart", false);
		WAIT_UNTIL(f, fixture_count(f, "container restart ") == round + 1);
		fake_engine_drop_streams(engine);
		snprintf(b->state, sizeof(b->state), round % 2 ? "running" : "exited");
		fake_engine_event(engine, b, round % 2 ? "start" : "die", true);
		fake_engine_event(engine, a, "rename", true);
		WAIT_UNTIL(f, fixture_count(f, "container rename ") == round + 1);
		assert_true(engine->has_since);
		WAIT_UNTIL(f, strcmp(cluster_container_find(f->cluster, "b", NULL)->state,
				      round % 2 ? "running" : "exited") == 0);
		WAIT_UNTIL(f, fixture_node(f, engine)->live->stage == CONNECT_NONE);
		assert_int_equal(fake_engine_open_streams(engine), 1);
	}
	assert_int_equal(fixture_count(f, "container restart "), 5);
	assert_int_equal(fixture_count(f, "container rename "), 5);
	assert_int_equal(fixture_count(f, "container die "), 3);
	assert_int_equal(fixture_count(f, "container start "), 2);
	assert_int_equal(fixture_count(f, "swarm "), 1); /* it was healthy all the time */
	assert_int_equal(node_state(fixture_node(f, engine)), NODE_HEALTHY);
}

/* Streams that break again and again: each time all is right soon, and the node is healthy. */
static void test_torn_streams(void **state)
{
	struct fixture *f = *state;
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	unsigned round;

	fixture_connect(f);
	for (round = 0; round < 12; round++) {
		uint64_t start = loop_now_ms(f->loop);
		struct fake_container *c = fake_engine_add(engine, "c");

		fake_engine_event(engine, c, "create", true);
		fake_engine_drop_streams(engine);
		while (!cluster_container_find(f->cluster, c->id, NULL) &&
			loop_now_ms(f->loop) < start + 5000)
			fixture_run(f, 1);
		assert_true(loop_now_ms(f->loop) - start < 5000);
		assert_int_equal(node_state(fixture_node(f, engine)), NODE_HEALTHY);
	}
	WAIT_UNTIL(f, fixture_count(f, "container create ") == 12);
	assert_int_equal(fixture_count(f, "swarm "), 1);
}

/* ---- Listeners ---- */

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
	struct fake_engine *engine = fixture_engine(f, "ID-A", "alpha");
	struct fake_container *c = fake_engine_add(engine, "web");

	second_count = 0;
	second = cluster_listen(f->cluster, hear_second, NULL);
	fixture_connect(f);
	fake_engine_event(engine, c, "marker", false);
	WAIT_UNTIL(f, fixture_count(f, " marker ") == 1);
	assert_int_equal(second_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		TEST(test_listeners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
