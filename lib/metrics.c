/* The table of what is counted, and the text that Prometheus reads. */
#include "lib/metrics.h"

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/str.h"

#include <time.h>

uint64_t metrics_values[METRICS];

#define REQUESTS "swarm_http_requests_total", "code"
#define CALLS "swarm_engine_calls_total", "result"
#define PLACEMENTS "swarm_placements_total", "result"

/* Where a family begins, type and help stand. */
static const struct {
	const char *name, *label, *value, *type, *help;
} table[METRICS] = {
	[METRIC_CONNECTIONS] = {"swarm_http_connections_total", NULL, NULL, "counter",
		"Connections that clients of the Docker API opened."},
	[METRIC_CONNECTIONS_OPEN] = {"swarm_http_connections", NULL, NULL, "gauge",
		"Connections of clients that are open."},
	[METRIC_REQUESTS_1XX] = {REQUESTS, "1xx", "counter",
		"Requests of clients that have ended, by the class of their reply; 1xx: became "
		"raw streams; cut: without a whole reply."},
	[METRIC_REQUESTS_2XX] = {REQUESTS, "2xx", NULL, NULL},
	[METRIC_REQUESTS_3XX] = {REQUESTS, "3xx", NULL, NULL},
	[METRIC_REQUESTS_4XX] = {REQUESTS, "4xx", NULL, NULL},
	[METRIC_REQUESTS_5XX] = {REQUESTS, "5xx", NULL, NULL},
	[METRIC_REQUESTS_CUT] = {REQUESTS, "cut", NULL, NULL},
	[METRIC_STREAMS] = {"swarm_raw_streams_total", NULL, NULL, "counter",
		"Raw streams (attach, exec, build sessions) that were begun."},
	[METRIC_STREAMS_OPEN] = {"swarm_raw_streams", NULL, NULL, "gauge",
		"Raw streams that are open."},
	[METRIC_CALLS_OK] = {CALLS, "ok", "counter",
		"Calls to engines that have ended. ok: answered below 500; error: answered 500 "
		"or above; canceled: by us or for a client that went."},
	[METRIC_CALLS_ERROR] = {CALLS, "error", NULL, NULL},
	[METRIC_CALLS_UNAVAILABLE] = {CALLS, "unavailable", NULL, NULL},
	[METRIC_CALLS_TIMEOUT] = {CALLS, "timeout", NULL, NULL},
	[METRIC_CALLS_BROKEN] = {CALLS, "broken", NULL, NULL},
	[METRIC_CALLS_CANCELED] = {CALLS, "canceled", NULL, NULL},
	[METRIC_PLACEMENTS_PLACED] = {PLACEMENTS, "placed", "counter",
		"Searches for the node of a container."},
	[METRIC_PLACEMENTS_NO_NODE] = {PLACEMENTS, "no_node", NULL, NULL},
	[METRIC_PLACEMENTS_CONFLICT] = {PLACEMENTS, "conflict", NULL, NULL},
	[METRIC_PLACEMENTS_ERROR] = {PLACEMENTS, "error", NULL, NULL},
	[METRIC_DISCOVERY_UPDATES] = {"swarm_discovery_updates_total", NULL, NULL, "counter",
		"Changes of the list of engines that discovery told."},
	[METRIC_DISCOVERY_ERRORS] = {"swarm_discovery_errors_total", NULL, NULL, "counter",
		"Looks at discovery that failed, or were not believed."},
	[METRIC_EVENTS] = {"swarm_engine_events_total", NULL, NULL, "counter",
		"Events that engines told."},
};

/* Upper bounds, ns, and as Prometheus reads them. */
static const struct {
	uint64_t ns;
	const char *seconds;
} bounds[] = {
	{100000, "0.0001"},
	{250000, "0.00025"},
	{500000, "0.0005"},
	{1000000, "0.001"},
	{2500000, "0.0025"},
	{5000000, "0.005"},
	{10000000, "0.01"},
	{50000000, "0.05"},
	{250000000, "0.25"},
	{2000000000, "2"},
};
static struct {
	uint64_t counts[ARRAY_LEN(bounds) + 1];
	uint64_t sum_ns;
} placements;

uint64_t metrics_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void metrics_placement(uint64_t ns)
{
	size_t i = 0;

	while (i < ARRAY_LEN(bounds) && ns > bounds[i].ns)
		i++;
	placements.counts[i]++;
	placements.sum_ns += ns;
}

enum metric metrics_of_status(int status)
{
	if (status >= 500)
		return METRIC_REQUESTS_5XX;
	if (status >= 400)
		return METRIC_REQUESTS_4XX;
	if (status >= 300)
		return METRIC_REQUESTS_3XX;
	return status >= 200 ? METRIC_REQUESTS_2XX : METRIC_REQUESTS_1XX;
}

enum metric metrics_of_call(int status, int err_code)
{
	switch (err_code) {
	case ERR_NONE:
		return status >= 500 ? METRIC_CALLS_ERROR : METRIC_CALLS_OK;
	case ERR_TIMEOUT:
		return METRIC_CALLS_TIMEOUT;
	case ERR_CANCELED:
		return METRIC_CALLS_CANCELED;
	case ERR_UNAVAILABLE:
	case ERR_EXHAUSTED:
	case ERR_SYSTEM:
		return METRIC_CALLS_UNAVAILABLE;
	default:
		return METRIC_CALLS_BROKEN;
	}
}

/* ---- Text ---- */

static void print_escaped(struct buf *out, const char *text, bool escapes_quotes)
{
	for (; *text != '\0'; text++) {
		if (*text == '\\' || (*text == '"' && escapes_quotes))
			buf_append_char(out, '\\');
		if (*text == '\n')
			buf_append_str(out, "\\n");
		else
			buf_append_char(out, *text);
	}
}

void metrics_print_family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s ", name);
	print_escaped(out, help, false);
	buf_printf(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_print(
	struct buf *out, const char *name, const char *label, const char *value, double number)
{
	buf_append_str(out, name);
	if (label != NULL) {
		buf_printf(out, "{%s=\"", label);
		print_escaped(out, value, true);
		buf_append_str(out, "\"}");
	}
	buf_printf(out, " %.17g\n", number);
}

static void print_placements(struct buf *out)
{
	static const char name[] = "swarm_placement_seconds";
	uint64_t sum = 0;

	metrics_print_family(
		out, name, "histogram", "Time that searches for the node of a container took.");
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
		sum += placements.counts[i];
		metrics_print(out, "swarm_placement_seconds_bucket", "le", bounds[i].seconds,
			(double)sum);
	}
	sum += placements.counts[ARRAY_LEN(bounds)];
	metrics_print(out, "swarm_placement_seconds_bucket", "le", "+Inf", (double)sum);
	metrics_print(
		out, "swarm_placement_seconds_sum", NULL, NULL, (double)placements.sum_ns / 1e9);
	metrics_print(out, "swarm_placement_seconds_count", NULL, NULL, (double)sum);
}

void metrics_print_all(struct buf *out)
{
	for (size_t i = 0; i < METRICS; i++) {
		if (table[i].type != NULL)
			metrics_print_family(out, table[i].name, table[i].type, table[i].help);
		metrics_print(out, table[i].name, table[i].label, table[i].value,
			(double)metrics_values[i]);
	}
	print_placements(out);
}
