/* GET /events: what all engines tell, one line each. The last ones are kept, once for all
 * listeners: each has a place in them and reads on as its client takes what it got, so that a slow
 * client costs no more than its place, and loses its stream when it is overtaken. */
#include "api/events.h"
#include "lib/log.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_KEPT 4096
#define KEPT_BYTES_MAX ((size_t)8 * 1024 * 1024)
/* What is longer is kept whole for those that listen now, until the next one comes, and then
 * without its labels: else one container's would push out all others. */
#define LONG_EVENT ((size_t)32 * 1024)
#define TOLD_EVERY_MS (60 * 1000) /* that events are shortened */

struct events {
	struct api *api;
	struct event_listener *listener;
	struct told_event *ring[EVENTS_KEPT]; /* event number n at n % EVENTS_KEPT */
	uint64_t count;                       /* of all that came; the number of the next */
	uint64_t oldest;                      /* the number of the first that is kept */
	size_t bytes;                         /* of those that are kept */
	struct told_event *shortened;         /* what is to be kept of the newest; NULL = all */
	uint64_t told_ms;                     /* when the log was told of one; 0 = never */
	int64_t dropped_nano;                 /* the latest of those that are not kept any more */
	struct listening *listening;          /* doubly linked */
	/* The event that was looked into last: mostly the newest, by each listener in turn. */
	struct told_event *read;
	struct json_ref value;
	struct json_reader *reader;
};

/* One client that listens. */
struct listening {
	struct events *events;
	struct listening *prev, *next;
	struct request *r;
	json_t *filters;
	int64_t since, until; /* -1 = none */
	/* Told first: what was before it came, when engines had to be asked for some of it. */
	struct told_event **history;
	size_t history_len, history_at;
	uint64_t at;      /* number of the next event to be told */
	uint64_t live_at; /* events before are told as far as since and until allow */
	bool is_past;     /* until is over: later events, too, are told as far as it allows */
	struct loop_timer *end;
	bool is_asking; /* the engines, for history: nothing is told yet */
	bool is_full;   /* until the client takes what waits for it */
	bool is_ending; /* when all is told */
	bool is_over;
};

/* ---- Events ---- */

struct told_event *told_event_new(const char *text, size_t len, int64_t time_nano)
{
	struct told_event *event = xmalloc(sizeof(*event) + len + 1);

	event->refs = 1;
	event->time_nano = event->at_nano = time_nano;
	event->len = len + 1;
	memcpy(event->text, text, len);
	event->text[len] = '\n';
	return event;
}

struct told_event *told_event_ref(struct told_event *event)
{
	event->refs++;
	return event;
}

void told_event_unref(struct told_event *event)
{
	if (event != NULL && --event->refs == 0)
		free(event);
}

/* What it tells, good until another one is looked into. */
static struct json_ref look_into(struct events *events, struct told_event *event)
{
	if (events->read != event) {
		told_event_unref(events->read);
		events->read = told_event_ref(event);
		events->value = json_read(events->reader, event->text, event->len, NULL);
	}
	return events->value;
}

static struct told_event *event_at(const struct events *events, uint64_t number)
{
	return events->ring[number % EVENTS_KEPT];
}

/* ---- Telling ---- */

static void listening_end(struct exchange *x, bool finished, void *arg)
{
	struct listening *l = arg;

	(void)x;
	(void)finished;
	if (l->prev != NULL)
		l->prev->next = l->next;
	else
		l->events->listening = l->next;
	if (l->next != NULL)
		l->next->prev = l->prev;
	for (size_t i = 0; i < l->history_len; i++)
		told_event_unref(l->history[i]);
	free(l->history);
	loop_timer_free(l->end);
	json_decref(l->filters);
	free(l);
}

static bool is_within(const struct listening *l, const struct told_event *event)
{
	return event->at_nano >= l->since && (l->until < 0 || event->at_nano <= l->until);
}

/* Live events are told whatever their time: clocks of engines differ. */
static bool may_be_told(const struct listening *l, uint64_t number, const struct told_event *event)
{
	return (number >= l->live_at && !l->is_past) || is_within(l, event);
}

/* The next that it may hear, or NULL when it heard all there is. */
static struct told_event *next_event(struct listening *l)
{
	if (l->history_at < l->history_len)
		return l->history[l->history_at++];
	while (l->at < l->events->count) {
		uint64_t number = l->at++;
		struct told_event *event = event_at(l->events, number);

		if (may_be_told(l, number, event))
			return event;
	}
	return NULL;
}

static bool may_hear(const struct listening *l, struct told_event *event)
{
	return json_object_size(l->filters) == 0 ||
	       event_filters_match(l->filters, look_into(l->events, event));
}

/* Tells as much as the client takes. */
static void pump(struct listening *l)
{
	while (!l->is_over && !l->is_asking && !l->is_full) {
		struct told_event *event = next_event(l);

		if (event == NULL)
			break;
		/* In one piece: clients read an event a chunk. */
		if (may_hear(l, event))
			l->is_full = !exchange_reply_write(l->r->x, event->text, event->len);
	}
	if (l->is_ending && !l->is_over && !l->is_asking && !l->is_full) {
		l->is_over = true;
		exchange_reply_end(l->r->x);
	}
}

static void listening_drained(struct exchange *x, void *arg)
{
	struct listening *l = arg;

	(void)x;
	l->is_full = false;
	pump(l);
}

static void end_reached(void *arg)
{
	struct listening *l = arg;

	l->is_ending = true;
	/* What is on its way to a client that does not read it now comes before the end. */
	pump(l);
}

static size_t cost(const struct told_event *event)
{
	return sizeof(*event) + event->len;
}

static void drop_oldest(struct events *events)
{
	struct told_event **place = &events->ring[events->oldest++ % EVENTS_KEPT];

	if ((*place)->at_nano > events->dropped_nano)
		events->dropped_nano = (*place)->at_nano;
	events->bytes -= cost(*place);
	told_event_unref(TAKE_PTR(*place));
}

/* Of the newest, when another one comes. */
static void shorten(struct events *events)
{
	struct told_event **place = &events->ring[(events->count - 1) % EVENTS_KEPT];

	if (events->shortened == NULL)
		return;
	events->bytes -= cost(*place);
	told_event_unref(*place);
	*place = TAKE_PTR(events->shortened);
	events->bytes += cost(*place);
}

static struct told_event *shortened_of(struct events *events, const struct event *event)
{
	const struct env *env = events->api->config.env;
	json_t *json CLEANUP_JSON = event_reduced(event->json);
	size_t len;
	char *text CLEANUP_FREE = json_text(json, &len);
	uint64_t now = env->now_ms(env);

	if (events->told_ms == 0 || now - events->told_ms >= TOLD_EVERY_MS) {
		log_info("an event of node %s has %zu bytes: it is kept without its labels",
			node_view(event->node)->name, event->text_len);
		events->told_ms = now > 0 ? now : 1;
	}
	return told_event_new(text, len, event->time_nano);
}

static void keep(struct events *events, const struct event *event)
{
	const struct env *env = events->api->config.env;
	struct told_event *told = told_event_new(event->text, event->text_len, event->time_nano);
	int64_t now = env->wall_ns(env);

	/* What an engine's clock says of times to come is not known of here. */
	if (told->at_nano > now)
		told->at_nano = now;
	shorten(events);
	while (events->count > events->oldest &&
		(events->count - events->oldest == EVENTS_KEPT ||
			events->bytes + cost(told) > KEPT_BYTES_MAX))
		drop_oldest(events);
	events->ring[events->count++ % EVENTS_KEPT] = told;
	events->bytes += cost(told);
	if (told->len > LONG_EVENT) {
		events->shortened = shortened_of(events, event);
		events->shortened->at_nano = told->at_nano;
	}
}

static void on_event(const struct event *event, void *arg)
{
	struct events *events = arg;

	keep(events, event);
	for (struct listening *l = events->listening, *next; l != NULL; l = next) {
		next = l->next;
		if (!l->is_over && l->at < events->oldest) {
			l->is_over = true;
			exchange_reply_abort(
				l->r->x, l->is_asking ? "too many events came while the "
							"engines were asked for earlier ones"
						      : "the listener reads events too "
							"slowly");
		}
		pump(l);
	}
}

/* ---- Parameters ---- */

/* "1456747385.123456789", as clients send it; -1 when it is not that. Fractions have up to nine
 * digits. Nothing happened before 1970. */
static int parse_time(const char *text, int64_t *nano)
{
	long long seconds;
	char *whole CLEANUP_FREE = xstrndup(text, strcspn(text, "."));
	const char *fraction = strchr(text, '.');

	if (str_to_int(whole, -(1LL << 33), 1LL << 33, &seconds, "time", NULL) != 0)
		return -1;
	*nano = seconds * 1000000000;
	if (fraction != NULL) {
		int64_t unit = 100000000;

		for (fraction++; *fraction >= '0' && *fraction <= '9'; fraction++, unit /= 10)
			*nano += (*fraction - '0') * unit;
		if (*fraction != '\0')
			return -1;
	}
	if (*nano < 0)
		*nano = 0;
	return 0;
}

static int time_parameter(const struct request *r, const char *name, int64_t *nano, struct err *err)
{
	const char *text = request_query(r, name);

	*nano = -1;
	if (str_is_empty(text))
		return 0;
	if (parse_time(text, nano) != 0)
		return err_set(err, ERR_INVALID,
			"invalid value for \"%s\": %s is not a time in seconds since 1970", name,
			text);
	return 0;
}

static int read_times(const struct request *r, struct listening *l, struct err *err)
{
	if (time_parameter(r, "since", &l->since, err) != 0 ||
		time_parameter(r, "until", &l->until, err) != 0)
		return -1;
	if (l->until >= 0 && l->since > l->until)
		return err_set(err, ERR_INVALID,
			"`since` time (%s) cannot be after `until` time (%s)",
			request_query(r, "since"), request_query(r, "until"));
	if (l->since >= 0 && r->api->histories >= EVENT_HISTORIES_MAX)
		return err_set(err, ERR_UNAVAILABLE,
			"engines are being asked for earlier events by %d others: try again",
			EVENT_HISTORIES_MAX);
	return 0;
}

/* ---- History ---- */

struct ordered {
	struct told_event *event;
	size_t place; /* events of one time stay as they came */
};

static int ordered_cmp(const void *a, const void *b)
{
	const struct ordered *left = a, *right = b;

	if (left->event->at_nano != right->event->at_nano)
		return left->event->at_nano < right->event->at_nano ? -1 : 1;
	return left->place < right->place ? -1 : left->place > right->place;
}

static char *identity_of(struct events *events, struct told_event *event)
{
	return event_identity(look_into(events, event), event->time_nano);
}

/* What engines told that is not kept here too. */
static size_t add_untold(const struct listening *l, struct ordered *all, size_t len,
	struct told_event **events, size_t events_len)
{
	json_t *known CLEANUP_JSON = json_object();
	int64_t latest = 0;

	for (size_t i = 0; i < events_len; i++) {
		if (events[i]->time_nano > latest)
			latest = events[i]->time_nano;
	}
	for (size_t i = 0; i < len; i++) {
		char *identity CLEANUP_FREE = NULL;

		if (all[i].event->time_nano > latest)
			continue; /* that is most of them */
		identity = identity_of(l->events, all[i].event);
		json_object_set_new(known, identity, json_true());
	}
	for (size_t i = 0; i < events_len; i++) {
		char *identity CLEANUP_FREE = identity_of(l->events, events[i]);

		if (!is_within(l, events[i]) || json_object_get(known, identity) != NULL) {
			told_event_unref(events[i]);
			continue;
		}
		json_object_set_new(known, identity, json_true());
		all[len] = (struct ordered){.event = events[i], .place = len};
		len++;
	}
	return len;
}

/* One history of what is kept and what the engines told, in the order of time. */
static void make_history(struct listening *l, struct told_event **told, size_t told_len)
{
	struct events *events = l->events;
	struct ordered *all =
		xcalloc((size_t)(events->count - events->oldest) + told_len + 1, sizeof(*all));
	size_t len = 0;

	for (uint64_t n = events->oldest; n < events->count; n++) {
		struct told_event *event = event_at(events, n);

		/* Those that came while the engines were asked are live. */
		if (!may_be_told(l, n, event))
			continue;
		all[len] = (struct ordered){.event = told_event_ref(event), .place = len};
		len++;
	}
	l->at = l->live_at = events->count;
	len = add_untold(l, all, len, told, told_len);
	qsort(all, len, sizeof(*all), ordered_cmp);
	l->history = xcalloc(len + 1, sizeof(struct told_event *));
	l->history_len = len;
	for (size_t i = 0; i < len; i++)
		l->history[i] = all[i].event;
	free(all);
}

/* ---- The stream ---- */

static void start(struct listening *l, const struct http_headers *warnings)
{
	const struct api_config *config = &l->events->api->config;
	struct http_headers headers = {0};

	http_headers_add(&headers, "Content-Type", "application/json");
	for (size_t i = 0; warnings != NULL && i < warnings->len; i++)
		http_headers_add(&headers, warnings->items[i].name, warnings->items[i].value);
	exchange_reply_start(l->r->x, 200, &headers, -1);
	http_headers_free(&headers);
	if (l->until >= 0) {
		int64_t now = config->env->wall_ns(config->env);

		l->end = loop_timer_new(config->loop, end_reached, l);
		loop_timer_start(l->end, l->until > now ? (uint64_t)(l->until - now) / 1000000 : 0);
	}
	pump(l);
}

static void history_told(
	struct told_event **events, size_t len, const struct http_headers *warnings, void *arg)
{
	struct listening *l = arg;

	if (l->is_over) {
		for (size_t i = 0; i < len; i++)
			told_event_unref(events[i]);
		return;
	}
	l->is_asking = false;
	make_history(l, events, len);
	start(l, warnings);
}

void events_stream(struct request *r)
{
	struct events *events = r->api->events;
	const struct env *env = r->api->config.env;
	struct err err = ERR_INIT;
	struct listening *l = xcalloc(1, sizeof(*l));

	l->filters = event_filters(r, &err);
	if (l->filters == NULL || read_times(r, l, &err) != 0) {
		json_decref(l->filters);
		free(l);
		request_fail(r, &err);
		return;
	}
	l->events = events;
	l->r = r;
	l->is_past = l->until >= 0 && l->until < env->wall_ns(env);
	l->live_at = events->count;
	l->at = l->since >= 0 ? events->oldest : events->count;
	l->next = events->listening;
	if (l->next != NULL)
		l->next->prev = l;
	events->listening = l;
	exchange_on_end(r->x, listening_end, l);
	exchange_on_drain(r->x, listening_drained, l);
	if (l->since >= 0)
		l->is_asking = event_history_ask(
			r, l->filters, l->since, l->until, events->dropped_nano, history_told, l);
	if (!l->is_asking)
		start(l, NULL);
}

struct events *events_new(struct api *api)
{
	struct events *events = xcalloc(1, sizeof(*events));

	events->api = api;
	events->reader = json_reader_new();
	events->listener = cluster_listen(api->config.cluster, on_event, events);
	return events;
}

void events_free(struct events *events)
{
	if (events == NULL)
		return;
	event_listener_free(events->listener);
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		told_event_unref(events->ring[i]);
	told_event_unref(events->shortened);
	told_event_unref(events->read);
	json_reader_free(events->reader);
	free(events);
}
