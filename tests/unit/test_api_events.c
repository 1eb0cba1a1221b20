/* What the events that are kept for listeners cost, and what is known of each. */
#include "api/events.h"
#include "cluster/live.h"
#include "lib/log.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/heap.h"

#include <stdio.h>
#include <string.h>

enum { KEPT = 4096 };

struct fixture {
	struct loop *loop;
	struct client *client;
	struct api api;
	struct node_live *live;
	size_t text_len; /* of an event, as it is told */
};

static void measure(const struct event *event, void *arg)
{
	struct fixture *f = arg;

	f->text_len = event->text_len;
}

/* A container's event with a label more. */
static void publish_with(struct fixture *f, int64_t nano, const char *label)
{
	json_t *attributes = json_object();
	json_t *event CLEANUP_JSON = json_pack("{s:s, s:s, s:s, s:{s:s, s:o}, s:s, s:I, s:I}",
		"status", "start", "Type", "container", "Action", "start", "Actor", "ID",
		"1111111111111111111111111111111111111111111111111111111111111111", "Attributes",
		attributes, "scope", "local", "time", (json_int_t)(nano / 1000000000), "timeNano",
		(json_int_t)nano);
	char name[40];

	json_object_set_new(attributes, "image", json_string("busybox"));
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "com.docker.compose.%d", i);
		json_object_set_new(attributes, name, json_string("value"));
	}
	json_object_set_new(attributes, "more", json_string(label));
	event_publish(f->live, event);
}

/* With 20 labels, as of one that Compose made. */
static void publish(struct fixture *f, int64_t nano)
{
	publish_with(f, nano, "");
}

static int setup(void **state)
{
	static const struct cluster_config config = {.failure_retry = 3, .overcommit = 0.05};
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct str_list addrs CLEANUP_STR_LIST = {0};

	log_set_level(LOG_LEVEL_ERROR);
	f->loop = loop_new();
	f->client = client_new(f->loop);
	f->api.config.env = env_system();
	f->api.config.cluster = cluster_new(f->loop, env_system(), f->client, &config);
	/* The loop does not run: it is never contacted. */
	str_list_add(&addrs, "127.0.0.1:1");
	cluster_set_nodes(f->api.config.cluster, &addrs);
	f->live = f->api.config.cluster->live->nodes;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	cluster_free(f->api.config.cluster);
	client_free(f->client);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* Trouble in a fleet fills the ring, and it stays full: an event may cost its text, not all the
 * values that it was read into. */
static void test_kept_as_text(void **state)
{
	struct fixture *f = *state;
	struct event_listener *listener = cluster_listen(f->api.config.cluster, measure, f);
	struct events *events = events_new(&f->api);
	size_t empty, full;

	publish(f, 1);
	empty = heap_in_use();
	for (int i = 0; i < KEPT; i++)
		publish(f, i);
	full = heap_in_use();
	assert_true(f->text_len > 500);
	if (full - empty > KEPT * (f->text_len * 2 + 128))
		fail_msg("%zu bytes for each of %zu", (full - empty) / KEPT, f->text_len);
	for (int i = 0; i < 2 * KEPT; i++)
		publish(f, i);
	assert_true(heap_in_use() < full + (size_t)KEPT * 16);
	events_free(events);
	event_listener_free(listener);
}

/* However long events are, all together cost no more than the ring may. */
static void test_kept_in_bytes(void **state)
{
	struct fixture *f = *state;
	struct events *events = events_new(&f->api);
	char *label = xcalloc(1, 900001);
	size_t empty = heap_in_use();

	memset(label, 'x', 900000);
	for (int i = 0; i < 300; i++)
		publish_with(f, i, label);
	/* The newest is whole. */
	assert_true(heap_in_use() < empty + 3 * 1024 * 1024);
	label[30000] = '\0';
	for (int i = 0; i < 1000; i++)
		publish_with(f, i, label);
	assert_true(heap_in_use() < empty + 10 * 1024 * 1024);
	events_free(events);
	free(label);
}

static void test_reduced(void **state)
{
	json_t *event = json_pack("{s:s,s:o,s:{s:s,s:{s:s,s:s,s:o}},s:I,s:{s:s}}", "Type",
		"container", "Action", json_sprintf("exec_create: sh %0*d", 2000, 1), "Actor", "ID",
		"abc", "Attributes", "name", "web", "tier", "front", "image",
		json_sprintf("%0*d", 2000, 1), "timeNano", (json_int_t)5, "node", "Name", "n1");
	json_t *reduced = event_reduced(event);
	char *text = json_text(reduced, NULL);

	(void)state;
	assert_string_equal(text,
		"{\"Type\":\"container\",\"timeNano\":5,\"Action\":\"exec_create\",\"Actor\":{"
		"\"ID\":"
		"\"abc\",\"Attributes\":{\"name\":\"web\"}},\"node\":{\"Name\":\"n1\"}}");
	free(text);
	json_decref(reduced);
	json_decref(event);
}

static bool matches(const char *event, const char *filters)
{
	json_t *json CLEANUP_JSON = json_parse(filters, strlen(filters), NULL);
	struct json_reader *reader = json_reader_new();
	bool result;

	assert_non_null(json);
	result = event_filters_match(json, json_read(reader, event, strlen(event), NULL));
	json_reader_free(reader);
	return result;
}

/* Labels are compared to the letter, and an attribute that is no text is none. */
static void test_filters(void **state)
{
	static const char event[] =
		"{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{\"ID\":\"abc\","
		"\"Attributes\":{\"image\":\"busybox:1\",\"Tier\":\"web\",\"empty\":\"\",\"n\":5,"
		"\"name\":\"app\",\"node.name\":\"n1\"}},\"timeNano\":1}\n";
	static const struct {
		const char *filters;
		bool matches;
	} table[] = {
		{"{}", true},
		{"{\"label\":[]}", true},
		{"{\"label\":[\"Tier\"]}", true},
		{"{\"label\":[\"Tier=web\"]}", true},
		{"{\"label\":[\"Tier=web\",\"empty\"]}", true},
		{"{\"label\":[\"empty=\"]}", true},
		{"{\"label\":[\"Tier=we\"]}", false},
		{"{\"label\":[\"Tie\"]}", false},
		{"{\"label\":[\"Tier2\"]}", false},
		{"{\"label\":[\"tier\"]}", false},
		{"{\"label\":[\"Tier=web\",\"other\"]}", false},
		{"{\"label\":[\"n\"]}", false},
		{"{\"type\":[\"container\"],\"event\":[\"stop\",\"start\"]}", true},
		{"{\"type\":[\"network\"]}", false},
		{"{\"container\":[\"ap\"]}", true},
		{"{\"container\":[\"abc\"]}", true},
		{"{\"image\":[\"busybox\"]}", true},
		{"{\"image\":[\"busy\"]}", false},
		{"{\"node\":[\"n1\"]}", true},
		{"{\"scope\":[\"local\"]}", true},
		{"{\"scope\":[\"swarm\"]}", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (matches(event, table[i].filters) != table[i].matches)
			fail_msg("%s", table[i].filters);
	}
	assert_false(matches("not JSON", "{\"type\":[\"container\"]}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_as_text, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kept_in_bytes, setup, teardown),
		cmocka_unit_test(test_reduced),
		cmocka_unit_test(test_filters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
