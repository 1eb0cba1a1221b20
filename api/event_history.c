/* What happened before the manager saw it: engines remember their last events, and are asked for
 * those alone that the manager does not have. */
#include "api/events.h"
#include "api/fanout.h"
#include "api/filters.h"
#include "cluster/json_split.h"
#include "lib/str.h"

#include <inttypes.h>
#include <string.h>

#define REPLY_MAX (1024 * 1024) /* an engine remembers some hundred */
#define TIMEOUT_MS (10 * 1000)

struct history {
	struct api *api;
	const json_t *filters; /* borrowed: the request's */
	int64_t since, until, dropped_nano, now;
	event_history_fn *done;
	void *arg;
	struct json_reader *reader;
	struct told_event **events;
	size_t len, cap, bytes;
	const struct node *node; /* whose answer is being read */
};

static void history_free(struct history *h)
{
	for (size_t i = 0; i < h->len; i++)
		told_event_unref(h->events[i]);
	free(h->events);
	json_reader_free(h->reader);
	free(h);
}

static void history_end(struct exchange *x, bool finished, void *arg)
{
	struct history *h = arg;

	(void)x;
	(void)finished;
	if (h->done != NULL)
		h->api->histories--;
	history_free(h);
}

/* Up to where this engine is asked: from there on the manager has its events. */
static int64_t end_for(const struct history *h, const struct node *node)
{
	int64_t end = node_events_from(node);

	if (end < h->dropped_nano)
		end = h->dropped_nano;
	if (end > h->now)
		end = h->now;
	return h->until >= 0 && h->until < end ? h->until : end;
}

static char *query_for(const struct node *node, void *arg)
{
	const struct history *h = arg;
	int64_t end = end_for(h, node);

	return xasprintf("since=%" PRId64 ".%09" PRId64 "&until=%" PRId64 ".%09" PRId64,
		h->since / 1000000000, h->since % 1000000000, end / 1000000000, end % 1000000000);
}

static void add(struct history *h, struct told_event *event_take)
{
	if (h->len == h->cap) {
		h->cap = h->cap * 2 + 256;
		h->events = xreallocarray(h->events, h->cap, sizeof(*h->events));
	}
	h->events[h->len++] = event_take;
	h->bytes += sizeof(*event_take) + event_take->len;
}

static bool is_asked_for(struct history *h, const struct told_event *event)
{
	return event_filters_match(h->filters, json_read(h->reader, event->text, event->len, NULL));
}

/* False: there is no room for more. */
static bool one_event(const char *text, size_t len, void *arg)
{
	struct history *h = arg;
	json_t *json CLEANUP_JSON = json_parse(text, len, NULL);
	int64_t time_nano = json_int(json, "timeNano", 0);
	char *complete CLEANUP_FREE = NULL;
	struct told_event *event;
	size_t complete_len;

	/* An engine that does not heed the times asked for tells nothing wrong by it. */
	if (json == NULL || time_nano < h->since || time_nano > end_for(h, h->node))
		return true;
	node_complete_event(h->node, json);
	complete = json_text(json, &complete_len);
	event = told_event_new(complete, complete_len, time_nano);
	if (is_asked_for(h, event))
		add(h, event);
	else
		told_event_unref(event);
	return h->bytes < EVENT_HISTORY_BYTES;
}

static void read_answer(struct history *h, struct fanout_reply *reply)
{
	struct json_split split;
	struct err err = ERR_INIT;

	h->node = reply->node;
	json_split_init(&split, REPLY_MAX, false);
	if (json_split_feed(&split, reply->body, reply->len, one_event, h, &err) != 0) {
		reply->status = 0;
		reply->err = err;
	} else if (h->bytes >= EVENT_HISTORY_BYTES) {
		reply->status = 0;
		err_set(&reply->err, ERR_TOO_LARGE,
			"some events are left out: all together have more than %zu MiB",
			EVENT_HISTORY_BYTES >> 20);
	}
	json_split_reset(&split);
}

static bool history_answered(struct request *r, struct fanout_reply *reply, void *arg)
{
	(void)r;
	if (fanout_is_good(reply))
		read_answer(arg, reply);
	fanout_reply_drop(reply);
	return false;
}

static void history_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct history *h = arg;
	struct http_headers warnings = {0};
	event_history_fn *done = TAKE_PTR(h->done);
	size_t events_len = h->len;

	(void)r;
	for (size_t i = 0; i < len; i++) {
		if (!fanout_is_good(&replies[i]))
			fanout_warn(&warnings, &replies[i]);
	}
	h->api->histories--;
	h->len = 0;
	done(h->events, events_len, &warnings, h->arg);
	http_headers_free(&warnings);
}

bool event_history_ask(struct request *r, const json_t *filters, int64_t since, int64_t until,
	int64_t dropped_nano, event_history_fn *done, void *arg)
{
	struct history *h = xcalloc(1, sizeof(*h));
	struct fanout_spec spec = {
		.method = "GET",
		.path = "/events",
		.query_of = query_for,
		.reply_max = REPLY_MAX,
		.timeout_ms = TIMEOUT_MS,
		.each = history_answered,
		.done = history_done,
		.arg = h,
	};
	struct node **nodes;
	size_t len, asked = 0;

	*h = (struct history){.api = r->api,
		.filters = filters,
		.now = r->api->config.env->wall_ns(r->api->config.env),
		.since = since,
		.until = until,
		.dropped_nano = dropped_nano,
		.done = done,
		.arg = arg};
	nodes = request_healthy_nodes(r, &len);
	for (size_t i = 0; i < len; i++) {
		if (since <= end_for(h, nodes[i]) && filters_allow_node(filters, nodes[i]))
			nodes[asked++] = nodes[i];
	}
	if (asked > 0) {
		h->reader = json_reader_new();
		r->api->histories++;
		exchange_on_end(r->x, history_end, h);
		fanout(r, nodes, asked, &spec);
	} else {
		history_free(h);
	}
	free(nodes);
	return asked > 0;
}
