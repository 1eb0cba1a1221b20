/* What the files about events share. Inside api/ only. */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include "api/api_priv.h"
#include "lib/json_read.h"

/* One event as clients get it. Counted, never changed. It is kept as text alone, which is read
 * again by who has to look into it: read, it would take seven times the memory. */
struct told_event {
	unsigned refs;
	int64_t time_nano; /* as its engine tells */
	int64_t at_nano;   /* its place in histories: when it came, if that is earlier */
	size_t len;
	char text[]; /* a line, with its newline */
};
/* text: the JSON, without a newline; copied. */
struct told_event *told_event_new(const char *text, size_t len, int64_t time_nano);
struct told_event *told_event_ref(struct told_event *event);
void told_event_unref(struct told_event *event);

/* ---- event_filter.c ---- */

/* The filters of the request, checked; NULL with err. A new reference. */
json_t *event_filters(const struct request *r, struct err *err) MUSTCHECK;
bool event_filters_match(const json_t *filters, struct json_ref event);
/* The event without what may be long: labels and other attributes, and texts of more than 1 KiB. A
 * new reference. */
json_t *event_reduced(const json_t *event);
/* Words by which two tellings of one event are known to be the same. Owned by the caller. */
char *event_identity(struct json_ref event, int64_t time_nano);

/* ---- event_history.c ---- */

#define EVENT_HISTORY_BYTES ((size_t)32 * 1024 * 1024) /* for one client */
#define EVENT_HISTORIES_MAX 16                         /* clients that are waiting for it */

/* Asks the engines for what they remember from `since` up to where the events that the manager has
 * begin: at node_events_from, or at the last that it dropped (dropped_nano, 0 = none). until: -1 =
 * no earlier end. No engine is asked beyond now, whatever the times of its events: it would wait
 * for what is to come. False when nobody has to be asked; else done is called, not from inside,
 * unless the client goes: with the events that the filters let pass, in no order, each to be
 * unreferenced, and Warnings for nodes that could not tell. */
typedef void event_history_fn(
	struct told_event **events, size_t len, const struct http_headers *warnings, void *arg);
bool event_history_ask(struct request *r, const json_t *filters, int64_t since, int64_t until,
	int64_t dropped_nano, event_history_fn *done, void *arg);

#endif
