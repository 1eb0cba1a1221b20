/* What the program counts of itself: plain integers, since one thread counts. The table in
 * metrics.c has their names. Help texts and names follow Prometheus: _total for counters, base
 * units. */
#ifndef LIB_METRICS_H
#define LIB_METRICS_H

#include "lib/buf.h"

#include <stdint.h>

/* Members of one family stand together; their order is the table's. */
enum metric {
	METRIC_CONNECTIONS,
	METRIC_CONNECTIONS_OPEN, /* goes down, too */
	METRIC_REQUESTS_1XX,     /* became raw streams */
	METRIC_REQUESTS_2XX,
	METRIC_REQUESTS_3XX,
	METRIC_REQUESTS_4XX,
	METRIC_REQUESTS_5XX,
	METRIC_REQUESTS_CUT, /* without a whole reply */
	METRIC_STREAMS,
	METRIC_STREAMS_OPEN, /* goes down, too */
	METRIC_CALLS_OK,
	METRIC_CALLS_ERROR, /* the engine answered 5xx */
	METRIC_CALLS_UNAVAILABLE,
	METRIC_CALLS_TIMEOUT,
	METRIC_CALLS_BROKEN,
	METRIC_CALLS_CANCELED,
	METRIC_PLACEMENTS_PLACED,
	METRIC_PLACEMENTS_NO_NODE,
	METRIC_PLACEMENTS_CONFLICT,
	METRIC_PLACEMENTS_ERROR,
	METRIC_DISCOVERY_UPDATES,
	METRIC_DISCOVERY_ERRORS,
	METRIC_EVENTS,
	METRICS
};

extern uint64_t metrics_values[METRICS];

static inline void metrics_inc(enum metric metric)
{
	metrics_values[metric]++;
}

static inline void metrics_dec(enum metric metric)
{
	metrics_values[metric]--;
}

/* Nanoseconds on a clock that only goes forward, for what is measured. */
uint64_t metrics_now_ns(void);
/* How long one placement took. */
void metrics_placement(uint64_t ns);

/* The classes of those families. */
enum metric metrics_of_status(int status);
enum metric metrics_of_call(int status, int err_code);

/* Text format 0.0.4. A family: its HELP and TYPE, then its samples. */
void metrics_print_family(struct buf *out, const char *name, const char *type, const char *help);
/* label NULL = none; its value is escaped. */
void metrics_print(
	struct buf *out, const char *name, const char *label, const char *value, double number);
/* All that is counted here. */
void metrics_print_all(struct buf *out);

#endif
