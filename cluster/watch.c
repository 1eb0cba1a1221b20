/* One engine's event stream: opened where the last one ended, cut into events, each event known
 * again when it is repeated; what an event is about is asked for anew, and then the event is
 * published, in the order of the engine. */
#include "cluster/live.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define CLOCK_TOLERANCE_NS (60 * INT64_C(1000000000))
#define LEFT_OUT_LOGGED 8 /* events, of each stream */

/* An event that waits for the inventory. */
struct held_event {
	struct node_live *live;
	json_t *json;
	size_t size;
	uint64_t deadline; /* env time: published then at the latest */
	unsigned waits;    /* questions to the engine under way */
	bool is_done;      /* published or dropped; freed when waits is 0 */
	struct held_event *prev, *next;
};

static uint64_t now_ms(const struct node_live *live)
{
	const struct env *env = live->shared->env;

	return env->now_ms(env);
}

/* ---- Events that wait ---- */

static void held_free(struct held_event *event)
{
	json_decref(event->json);
	free(event);
}

/* Takes the first out of the queue. */
static struct held_event *held_shift(struct watch *watch)
{
	struct held_event *event = watch->held;

	DL_DELETE(watch->held, event);
	watch->held_len--;
	watch->held_bytes -= event->size;
	return event;
}

static void held_end(struct held_event *event)
{
	event->is_done = true;
	if (event->waits == 0)
		held_free(event);
}

static bool is_over_full(const struct watch *watch)
{
	return watch->held_len > LIVE_EVENTS_HELD_MAX || watch->held_bytes > LIVE_EVENTS_HELD_BYTES;
}

void watch_flush(struct node_live *live)
{
	struct watch *watch = &live->watch;

	if (live->state != NODE_HEALTHY) {
		size_t dropped = 0;

		for (; is_over_full(watch); dropped++)
			held_end(held_shift(watch));
		if (dropped > 0)
			node_log(live, "%zu events dropped: too many while the node is not ready",
				dropped);
		return;
	}
	while (watch->held && !live->is_removed) {
		struct held_event *event = watch->held;
		uint64_t now = now_ms(live);

		if (event->waits > 0 && event->deadline > now && !is_over_full(watch)) {
			loop_timer_start(watch->timer, event->deadline - now);
			return;
		}
		held_shift(watch);
		event_publish(live, event->json);
		held_end(event);
	}
}

static void hold_expired(void *arg)
{
	watch_flush(arg);
}

static void held_ready(void *arg, const struct err *err)
{
	struct held_event *event = arg;
	struct node_live *live = event->live;

	(void)err; /* what cannot be asked for is told all the same */
	event->waits--;
	if (!event->is_done)
		watch_flush(live);
	else if (event->waits == 0)
		held_free(event);
}

/* ---- What an event changes ---- */

/* True for one of the words, which end with NULL; "exec_start: sh" is the word "exec_start". */
static bool is_word(const char *action, const char *const *words)
{
	size_t len = strcspn(action, ":");

	for (; *words; words++)
		if (strlen(*words) == len && strncmp(action, *words, len) == 0)
			return true;
	return false;
}

static void ask_container(struct held_event *event, const char *id)
{
	if (event->live->fetches_len >= LIVE_FETCHES_QUEUED_MAX) {
		live_resync_soon(event->live);
		return;
	}
	event->waits++;
	fetch_container(event->live, id, false, held_ready, event);
}

static void ask_parts(struct held_event *event, unsigned parts)
{
	event->waits++;
	parts_refresh(event->live, parts, true, held_ready, event);
}

static void container_event(struct held_event *event, const struct event_key *key)
{
	static const char *const harmless[] = {"attach", "detach", "commit", "copy", "export",
		"archive-path", "extract-to-dir", "top", "resize", "kill", "exec_create",
		"exec_start", "exec_die", "exec_detach", "oom", "prune", "checkpoint", NULL};
	static const char *const destroy[] = {"destroy", NULL};

	if (!str_is_hex(key->id, 64) || is_word(key->action, harmless))
		return;
	if (!is_word(key->action, destroy)) {
		ask_container(event, key->id);
		return;
	}
	node_container_gone(event->live->node, key->id);
}

static void network_event(struct held_event *event, const struct event_key *key)
{
	static const char *const members[] = {"connect", "disconnect", NULL};
	const json_t *attributes = json_path(event->json, "Actor", "Attributes", NULL);
	const char *container;

	if (!is_word(key->action, members)) {
		ask_parts(event, NODE_NETWORKS);
		return;
	}
	container = json_str(attributes, "container", "");
	if (inventory_container_get(event->live->node, container))
		ask_container(event, container);
}

/* Asks the engine for what the event changed. */
static void refresh(struct held_event *event)
{
	static const char *const image_harmless[] = {"save", "push", NULL};
	static const char *const volume_harmless[] = {"mount", "unmount", NULL};
	struct event_key key;

	event_key_of(event->json, &key);
	if (strcmp(key.type, "container") == 0)
		container_event(event, &key);
	else if (strcmp(key.type, "network") == 0)
		network_event(event, &key);
	else if (strcmp(key.type, "image") == 0 && !is_word(key.action, image_harmless))
		ask_parts(event, NODE_IMAGES);
	else if (strcmp(key.type, "volume") == 0 && !is_word(key.action, volume_harmless))
		ask_parts(event, NODE_VOLUMES);
	else if (strcmp(key.type, "daemon") == 0)
		live_resync_soon(event->live); /* its labels may be others now */
}

/* ---- Repetitions ---- */

/* True when it came before; else it is remembered. */
static bool is_repeated(struct watch *watch, uint64_t digest)
{
	size_t i;

	for (i = 0; i < watch->remembered_len; i++)
		if (watch->remembered[i] == digest)
			return true;
	if (!watch->remembered)
		watch->remembered = xcalloc(LIVE_EVENTS_REMEMBERED, sizeof(*watch->remembered));
	watch->remembered[watch->remembered_at] = digest;
	watch->remembered_at = (watch->remembered_at + 1) % LIVE_EVENTS_REMEMBERED;
	if (watch->remembered_len < LIVE_EVENTS_REMEMBERED)
		watch->remembered_len++;
	return false;
}

void watch_forget(struct node_live *live)
{
	live->watch.since_nano = live->watch.from_nano = 0;
	live->watch.remembered_len = live->watch.remembered_at = 0;
}

/* ---- The stream ---- */

/* What is needed of an event with more values than are worth building. */
static json_t *event_in_short(struct json_ref told)
{
	return json_pack("{s:s, s:s, s:{s:s, s:{}}, s:I, s:I}", "Type",
		json_ref_str(told, "Type", "container"), "Action",
		json_ref_str(told, "Action", json_ref_str(told, "status", "")), "Actor", "ID",
		json_ref_str(json_ref_obj(told, "Actor"), "ID", json_ref_str(told, "id", "")),
		"Attributes", "time", (json_int_t)json_ref_int(told, "time", 0), "timeNano",
		(json_int_t)json_ref_int(told, "timeNano", 0));
}

/* As much as can be read of an event, which clients of the engine have a hand in; NULL with err
 * when that is nothing. */
static json_t *read_event(struct node_live *live, const char *text, size_t len, struct err *err)
{
	json_t *json = live_parse(text, len, LIVE_OBJECT_VALUES, err);
	struct buf clean CLEANUP_BUF;
	struct json_ref told;

	buf_init(&clean, 8 * LIVE_EVENT_MAX); /* escapes are longer than what they stand for */
	if (json)
		return json;
	told = json_read(live->shared->reader, text, len, NULL);
	if (!told.document)
		return NULL;
	json_ref_print_clean(told, &clean);
	json = live_parse(buf_str(&clean), clean.len, LIVE_OBJECT_VALUES, NULL);
	return json ? json : event_in_short(told);
}

/* An event that cannot be read costs itself. */
static void leave_out(struct node_live *live, const char *text, size_t len, const struct err *err)
{
	if (!is_repeated(&live->watch, live_digest(text, len)) &&
		live->watch.left_out++ < LEFT_OUT_LOGGED)
		node_log(live, "event left out: %s", err->msg);
}

/* The latest time that the engine may give an event now. Were a later one believed, the next stream
 * would leave out what happens until then. */
static int64_t latest_time(const struct node_live *live)
{
	const struct watch *watch = &live->watch;

	if (watch->clock_nano == 0)
		return INT64_MAX;
	return watch->clock_nano + (int64_t)(now_ms(live) - watch->clock_at) * 1000000 +
	       CLOCK_TOLERANCE_NS;
}

void watch_set_clock(struct node_live *live, int64_t engine_nano)
{
	live->watch.clock_nano = engine_nano;
	live->watch.clock_at = now_ms(live);
}

/* Whether the event tells something new. */
static bool is_news(struct watch *watch, const struct event_key *key, uint64_t digest)
{
	if (!*key->action)
		return false;
	/* Without its time it looks like others. */
	if (watch->split.is_short && key->time_nano == 0)
		return true;
	return !is_repeated(watch, digest);
}

static void hold(struct node_live *live, json_t *json, size_t len)
{
	struct watch *watch = &live->watch;
	struct held_event *event = xcalloc(1, sizeof(*event));

	metrics_inc(METRIC_EVENTS);
	event->live = live;
	event->json = json;
	event->size = len + sizeof(*event);
	event->deadline = now_ms(live) + live->shared->timing.hold;
	DL_APPEND(watch->held, event);
	watch->held_len++;
	watch->held_bytes += event->size;
	refresh(event);
	watch_flush(live);
}

static bool one_event(const char *text, size_t len, void *arg)
{
	struct node_live *live = arg;
	struct watch *watch = &live->watch;
	struct call *call = watch->call;
	struct err err = ERR_INIT;
	struct event_key key;
	json_t *json = read_event(live, text, len, &err);

	watch->seen++;
	watch->period_events++;
	if (!json) {
		leave_out(live, text, len, &err);
		return true;
	}
	event_key_of(json, &key);
	if (!is_news(watch, &key, live_digest(text, len))) {
		json_decref(json);
		return true;
	}
	if (watch->split.is_short)
		node_log(live, "event shortened: %s %s %.64s is larger than %d bytes", key.type,
			key.action, key.id, LIVE_EVENT_MAX);
	if (key.time_nano > watch->since_nano && key.time_nano <= latest_time(live))
		watch->since_nano = key.time_nano;
	hold(live, json, len);
	/* A listener may have ended the stream. */
	return !live->is_removed && watch->call == call;
}

static void stream_head(
	struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct node_live *live = arg;
	const struct env *env = live->shared->env;

	(void)call, (void)headers;
	live->watch.status = status;
	if (status != 200)
		return;
	live->watch.is_open = true;
	live->watch.left_out = 0;
	live->watch.opened_at = env->now_ms(env);
	connect_stream_open(live);
}

/* A stream that floods us is read at a pace at which the others do not suffer. */
static bool goes_on(struct watch *watch, unsigned period)
{
	if (!loop_timer_is_active(watch->period))
		loop_timer_start(watch->period, period);
	if (!watch->call || watch->period_events < LIVE_EVENTS_PERIOD_MAX)
		return true;
	watch->is_paused = true;
	return false;
}

static void period_over(void *arg)
{
	struct node_live *live = arg;
	struct watch *watch = &live->watch;

	watch->period_events = 0;
	if (watch->is_paused && watch->call) {
		watch->is_paused = false;
		call_resume(watch->call);
	}
}

static bool stream_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct node_live *live = arg;
	struct watch *watch = &live->watch;
	struct err err = ERR_INIT;

	(void)call;
	if (!watch->is_open) {
		buf_append(&watch->split.text, data, len);
		return true;
	}
	if (json_split_feed(&watch->split, data, len, one_event, live, &err) == -1) {
		err_wrap(&err, "event stream");
		live_lost(live, true, &err);
		return true;
	}
	return goes_on(watch, live->shared->timing.period);
}

static void stream_done(struct call *call, const struct err *failed, void *arg)
{
	struct node_live *live = arg;
	struct watch *watch = &live->watch;
	struct err err = ERR_INIT;
	struct reply reply = {
		.status = watch->status,
		.body = buf_str(&watch->split.text),
		.body_len = watch->split.text.len,
	};

	(void)call;
	watch->call = NULL;
	if (failed)
		err_set(&err, failed->code, "event stream: %s", failed->msg);
	else if (watch->is_open)
		err_set(&err, ERR_UNAVAILABLE, "the engine ended its event stream");
	else
		live_status_error("/events", &reply, &err);
	if (watch->is_open)
		live_lost(live, false, &err);
	else
		connect_failed(live, &err);
}

/* Where the next stream has to start. An engine stamps events before it tells them, so what came
 * last need not be the latest; what is repeated is known. */
static int64_t since_of(const struct watch *watch)
{
	int64_t since = watch->since_nano - LIVE_EVENTS_OVERLAP_NS;

	if (watch->remembered_len == 0)
		return watch->since_nano;
	return since > watch->from_nano ? since : watch->from_nano;
}

void watch_open(struct node_live *live)
{
	static const struct call_ops ops = {
		.head = stream_head,
		.body = stream_body,
		.done = stream_done,
	};
	const struct live_timing *t = &live->shared->timing;
	struct watch *watch = &live->watch;
	struct call_request request = {
		.method = "GET",
		.connect_timeout_ms = t->connect,
		.head_timeout_ms = t->head,
	};
	char path[80] = "/events";
	char *target CLEANUP_FREE = NULL;
	int64_t since = since_of(watch);

	watch_close(live);
	if (since > 0)
		snprintf(path, sizeof(path), "/events?since=%" PRId64 ".%09" PRId64,
			since / 1000000000, since % 1000000000);
	if (watch->from_nano == 0) {
		const struct env *env = live->shared->env;

		watch->from_nano = watch->since_nano > 0 ? watch->since_nano : env->wall_ns(env);
	}
	target = live_target(live, path);
	request.target = target;
	watch->call = call_start(live->endpoint, &request, &ops, live);
}

int64_t node_events_from(const struct node *node)
{
	return node->live ? node->live->watch.from_nano : 0;
}

void watch_close(struct node_live *live)
{
	struct watch *watch = &live->watch;

	if (watch->call)
		call_cancel(TAKE_PTR(watch->call));
	watch->is_open = watch->is_paused = false;
	json_split_reset(&watch->split);
	loop_timer_stop(watch->check);
}

/* ---- A stream that is dead without saying so ---- */

static void check_expired(void *arg)
{
	struct node_live *live = arg;
	struct err err = ERR_INIT;

	if (!live->watch.is_open || live->watch.seen != live->watch.check_seen)
		return;
	err_set(&err, ERR_TIMEOUT, "the event stream did not tell of changes");
	live_lost(live, false, &err);
}

void watch_check(struct node_live *live)
{
	if (live->watch.is_open)
		loop_timer_start(live->watch.check, live->shared->timing.hold);
}

/* ---- Life ---- */

void watch_init(struct node_live *live)
{
	json_split_init(&live->watch.split, LIVE_EVENT_MAX, false);
	live->watch.split.shortens = true;
	live->watch.timer = loop_timer_new(live->shared->loop, hold_expired, live);
	live->watch.check = loop_timer_new(live->shared->loop, check_expired, live);
	live->watch.period = loop_timer_new(live->shared->loop, period_over, live);
}

void watch_free(struct node_live *live)
{
	struct watch *watch = &live->watch;

	watch_close(live);
	while (watch->held)
		held_free(held_shift(watch));
	loop_timer_free(watch->timer);
	loop_timer_free(watch->check);
	loop_timer_free(watch->period);
	free(watch->remembered);
}
