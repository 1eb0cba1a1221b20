/* GET /events: what all engines tell, one line each, with the last ones kept for `since`. */
#include "api/filters.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

#define EVENTS_KEPT 4096
#define SLOW_BYTES (8 * 1024 * 1024) /* that may wait for one listener before it is closed */

struct kept_event {
	json_t *json;
	char *text; /* a line, with its newline */
	size_t len;
	int64_t time_nano;
};

struct events {
	struct api *api;
	struct event_listener *listener;
	struct kept_event ring[EVENTS_KEPT];
	size_t next, len;
	struct listening *listening; /* doubly linked */
};

/* One client that listens. */
struct listening {
	struct events *events;
	struct listening *prev, *next;
	struct request *r;
	json_t *filters;
	struct loop_timer *until;
	size_t waiting; /* bytes written since the client last took all */
	bool is_over;
};

/* ---- Filters ---- */

static bool has_prefix(const json_t *values, const char *text)
{
	json_t *value;
	size_t i;

	if (str_is_empty(text))
		return false;
	json_array_foreach ((json_t *)values, i, value) {
		if (str_has_prefix(text, json_string_value(value)))
			return true;
	}
	return false;
}

/* "exec_create: sh" and "health_status: healthy" are matched by their first word too. */
static bool match_action(const json_t *values, const char *action)
{
	char *word CLEANUP_FREE = xstrndup(action, strcspn(action, ":"));

	return filters_have(values, action) || filters_have(values, word);
}

/* Objects are named by a prefix of their ID or by their name; containers' images by the attribute.
 */
static bool match_object(const char *kind, const json_t *values, const json_t *event)
{
	const json_t *actor = json_obj(event, "Actor");
	const json_t *attributes = json_obj(actor, "Attributes");
	const char *type = json_str(event, "Type", "");

	if (str_eq(type, kind))
		return has_prefix(values, json_str(actor, "ID", "")) ||
		       filters_have(values, json_str(attributes, "name", ""));
	if (str_eq(kind, "image") && str_eq(type, "container"))
		return has_prefix(values, json_str(attributes, "image", ""));
	if (str_eq(kind, "container") && str_eq(type, "network"))
		return has_prefix(values, json_str(attributes, "container", ""));
	return false;
}

static bool match_event(const json_t *filters, const json_t *event)
{
	const json_t *attributes = json_path(event, "Actor", "Attributes", NULL);
	const char *key;
	json_t *values;

	json_object_foreach ((json_t *)filters, key, values) {
		bool matches;

		if (json_array_size(values) == 0)
			continue;
		if (str_eq(key, "event"))
			matches = match_action(values, json_str(event, "Action", ""));
		else if (str_eq(key, "type"))
			matches = filters_have(values, json_str(event, "Type", ""));
		else if (str_eq(key, "scope"))
			matches = filters_have(values, json_str(event, "scope", "local"));
		else if (str_eq(key, "label"))
			matches = filters_allow_labels(filters, attributes);
		else if (str_eq(key, "node"))
			matches = filters_have(values, json_str(attributes, "node.name", "")) ||
				  filters_have(values, json_str(attributes, "node.id", ""));
		else
			matches = match_object(key, values, event);
		if (!matches)
			return false;
	}
	return true;
}

/* ---- Listeners ---- */

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
	loop_timer_free(l->until);
	json_decref(l->filters);
	free(l);
}

static void listening_drained(struct exchange *x, void *arg)
{
	struct listening *l = arg;

	(void)x;
	l->waiting = 0;
}

static void tell(struct listening *l, const json_t *json, const char *text, size_t len)
{
	if (l->is_over || !match_event(l->filters, json))
		return;
	if (l->waiting > SLOW_BYTES) {
		l->is_over = true;
		exchange_reply_abort(l->r->x, "the listener reads events too slowly");
		return;
	}
	/* In one piece: clients read an event a chunk. */
	if (!exchange_reply_write(l->r->x, text, len))
		l->waiting += len;
}

static void on_event(const struct event *event, void *arg)
{
	struct events *events = arg;
	struct kept_event *kept = &events->ring[events->next];

	json_decref(kept->json);
	free(kept->text);
	kept->json = json_incref((json_t *)event->json);
	kept->text = xasprintf("%s\n", event->text);
	kept->len = event->text_len + 1;
	kept->time_nano = event->time_nano;
	events->next = (events->next + 1) % EVENTS_KEPT;
	if (events->len < EVENTS_KEPT)
		events->len++;
	for (struct listening *l = events->listening, *next; l != NULL; l = next) {
		next = l->next;
		tell(l, kept->json, kept->text, kept->len);
	}
}

static void until_reached(void *arg)
{
	struct listening *l = arg;

	if (l->is_over)
		return;
	l->is_over = true;
	exchange_reply_end(l->r->x);
}

/* "1456747385.123456789", as clients send it; -1 when it is not that. Fractions have up to nine
 * digits. */
static int parse_time(const char *text, int64_t *nano)
{
	long long seconds;
	char *whole CLEANUP_FREE = xstrndup(text, strcspn(text, "."));
	const char *fraction = strchr(text, '.');

	if (str_to_int(whole, 0, 1LL << 33, &seconds, "time", NULL) != 0)
		return -1;
	*nano = seconds * 1000000000;
	if (fraction != NULL) {
		int64_t unit = 100000000;

		for (fraction++; *fraction >= '0' && *fraction <= '9' && unit > 0;
			fraction++, unit /= 10)
			*nano += (*fraction - '0') * unit;
		if (*fraction != '\0')
			return -1;
	}
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

static void tell_history(struct listening *l, int64_t since, int64_t until)
{
	struct events *events = l->events;

	for (size_t i = 0; i < events->len; i++) {
		const struct kept_event *kept =
			&events->ring[(events->next + EVENTS_KEPT - events->len + i) % EVENTS_KEPT];

		if (kept->time_nano >= since && (until < 0 || kept->time_nano <= until))
			tell(l, kept->json, kept->text, kept->len);
	}
}

void events_stream(struct request *r)
{
	static const char *const known[] = {"config", "container", "daemon", "event", "image",
		"label", "network", "node", "plugin", "scope", "secret", "service", "type",
		"volume", NULL};
	const struct api_config *config = &r->api->config;
	int64_t now = config->env->wall_ns(config->env), since, until;
	struct events *events = r->api->events;
	struct http_headers headers = {0};
	struct err err = ERR_INIT;
	json_t *filters = request_filters(r, &err);
	struct listening *l;

	if (filters == NULL || filters_check(filters, known, &err) != 0 ||
		time_parameter(r, "since", &since, &err) != 0 ||
		time_parameter(r, "until", &until, &err) != 0) {
		json_decref(filters);
		request_fail(r, &err);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->events = events;
	l->r = r;
	l->filters = filters;
	l->next = events->listening;
	if (l->next != NULL)
		l->next->prev = l;
	events->listening = l;
	exchange_on_end(r->x, listening_end, l);
	exchange_on_drain(r->x, listening_drained, l);
	http_headers_add(&headers, "Content-Type", "application/json");
	exchange_reply_start(r->x, 200, &headers, -1);
	http_headers_free(&headers);
	if (since >= 0)
		tell_history(l, since, until);
	if (until >= 0) {
		l->until = loop_timer_new(config->loop, until_reached, l);
		loop_timer_start(l->until, until > now ? (uint64_t)(until - now) / 1000000 : 0);
	}
}

struct events *events_new(struct api *api)
{
	struct events *events = xcalloc(1, sizeof(*events));

	events->api = api;
	events->listener = cluster_listen(api->config.cluster, on_event, events);
	return events;
}

void events_free(struct events *events)
{
	if (events == NULL)
		return;
	event_listener_free(events->listener);
	for (size_t i = 0; i < events->len; i++) {
		json_decref(events->ring[i].json);
		free(events->ring[i].text);
	}
	free(events);
}
