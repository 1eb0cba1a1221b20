/* Requests about containers that are answered at once. */
#include "simulator/filter.h"
#include "simulator/http.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

static void container_list(struct sim_request *r)
{
	static const char *const accepted[] = {"ancestor", "before", "exited", "expose", "health",
		"id", "isolation", "is-task", "label", "name", "network", "publish", "since",
		"status", "volume", NULL};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_FREE struct sim_container **list = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	long long limit = 0;
	int64_t now = sim_now(r->engine);
	const char *text = sim_query(r, "limit");
	size_t len = 0;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (!status && *text && str_to_int(text, INT32_MIN, INT32_MAX, &limit, "limit", NULL))
		status = sim_fail(&err, 500, "strconv.Atoi: parsing \"%s\": invalid syntax", text);
	if (!status)
		status = sim_filter_containers(
			r->engine, filters, sim_query_bool(r, "all"), limit, &list, &len, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_char(&b, '[');
	for (size_t i = 0; i < len; i++) {
		sim_json_item(&b);
		sim_container_write_summary(&b, list[i], now, sim_query_bool(r, "size"));
	}
	buf_append_char(&b, ']');
	sim_reply_buf(r, 200, &b);
}

static void container_create(struct sim_request *r)
{
	struct sim_container *c = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	int status;

	if (!r->has_body) {
		sim_reply_text(r, 500, "EOF");
		return;
	}
	status = sim_container_create(r->engine, sim_query(r, "name"), r->body, &c, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, 4096);
	buf_printf(&b, "{\"Id\":\"%s\",\"Warnings\":[]}", c->id);
	sim_reply_buf(r, 201, &b);
}

static void container_inspect(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);
	CLEANUP_BUF struct buf b = {0};

	if (!c)
		return;
	buf_init(&b, SIM_REPLY_MAX);
	sim_container_write(&b, c, sim_query_bool(r, "size"));
	sim_reply_buf(r, 200, &b);
}

static void simple(struct sim_request *r, int (*fn)(struct sim_container *c, struct err *err))
{
	struct sim_container *c = sim_request_container(r);
	struct err err = ERR_INIT;

	if (c)
		sim_reply_done(r, fn(c, &err), 204, &err);
}

static void container_start(struct sim_request *r)
{
	simple(r, sim_container_start);
}

static void container_stop(struct sim_request *r)
{
	simple(r, sim_container_stop);
}

static void container_restart(struct sim_request *r)
{
	simple(r, sim_container_restart);
}

static void container_pause(struct sim_request *r)
{
	simple(r, sim_container_pause);
}

static void container_unpause(struct sim_request *r)
{
	simple(r, sim_container_unpause);
}

static void container_kill(struct sim_request *r)
{
	const char *signal = sim_query(r, "signal");
	struct err err = ERR_INIT;
	struct sim_container *c;
	int status = 0;

	if (*signal && sim_signal_number(signal) < 0) {
		sim_reply_text(r, 400, "Invalid signal: %s", signal);
		return;
	}
	c = sim_container_find(r->engine, r->name, &status, &err);
	if (!c) {
		sim_reply_text(r, status, "Cannot kill container: %s: %s", r->name, err.msg);
		return;
	}
	sim_reply_done(r, sim_container_kill(c, r->name, signal, &err), 204, &err);
}

static void container_rename(struct sim_request *r)
{
	const char *name = sim_query(r, "name");
	struct err err = ERR_INIT;
	struct sim_container *c;

	if (!*name) {
		sim_reply_text(r, 400, "Neither old nor new names may be empty");
		return;
	}
	c = sim_request_container(r);
	if (c)
		sim_reply_done(r, sim_container_rename(c, name, &err), 204, &err);
}

static void container_update(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	int status;

	if (!c)
		return;
	status = sim_container_update(c, r->body, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, 64);
	buf_append_str(&b, "{\"Warnings\":null}");
	sim_reply_buf(r, 200, &b);
}

static void container_remove(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);
	struct err err = ERR_INIT;
	int status;

	if (!c)
		return;
	if (sim_query_bool(r, "link"))
		status = sim_fail(&err, 500,
			"Conflict, cannot remove the default link name of the container");
	else
		status = sim_container_remove(
			c, sim_query_bool(r, "force"), sim_query_bool(r, "v"), &err);
	sim_reply_done(r, status, 204, &err);
}

static void container_top(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);
	const char *args = sim_query(r, "ps_args");
	CLEANUP_BUF struct buf b = {0};

	if (!c)
		return;
	if (!sim_container_is_running(c)) {
		sim_reply_text(r, 409, "Container %s is not running", c->id);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_printf(&b, "{\"Processes\":[[\"root\",\"%u\",", (unsigned)c->pid);
	if (str_eq(args, "aux"))
		buf_append_str(
			&b, "\"0.0\",\"0.0\",\"2268\",\"1024\",\"?\",\"Ss\",\"00:00\",\"0:00\",");
	else
		buf_append_str(&b, "\"1\",\"0\",\"00:00\",\"?\",\"00:00:00\",");
	sim_json_quote(&b, c->spec->command);
	buf_append_str(&b, "]],\"Titles\":");
	if (str_eq(args, "aux"))
		buf_append_str(&b,
			"[\"USER\",\"PID\",\"%CPU\",\"%MEM\",\"VSZ\",\"RSS\",\"TTY\",\"STAT\","
			"\"START\",\"TIME\",\"COMMAND\"]}");
	else
		buf_append_str(
			&b, "[\"UID\",\"PID\",\"PPID\",\"C\",\"STIME\",\"TTY\",\"TIME\",\"CMD\"]}");
	sim_event_container(r->engine, c, "top", NULL);
	sim_reply_buf(r, 200, &b);
}

static void container_prune(struct sim_request *r)
{
	static const char *const accepted[] = {"label", "label!", "until", NULL};
	const struct sim_event_attr attrs[] = {{"reclaimed", "0"}, {NULL, NULL}};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_container *c;
	struct sim_container *tmp;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);
	int64_t until_ns = 0;
	size_t n = 0;

	if (!status)
		status = sim_filter_until(filters, sim_now(r->engine), &until_ns, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_str(&b, "{\"ContainersDeleted\":");
	DL_FOREACH_SAFE (r->engine->containers, c, tmp) {
		CLEANUP_JSON json_t *labels = json_loads(c->spec->labels, 0, NULL);

		if (sim_container_is_running(c) || c->state == SIM_RESTARTING ||
			(until_ns && c->created_ns > until_ns) ||
			!sim_filter_prune_labels(filters, labels))
			continue;
		buf_printf(&b, "%s\"%s\"", n++ ? "," : "[", c->id);
		sim_container_drop(c, false);
	}
	buf_append_str(&b, n ? "],\"SpaceReclaimed\":0}" : "null,\"SpaceReclaimed\":0}");
	sim_event_emit(r->engine, "container", "prune", "", attrs);
	sim_reply_buf(r, 200, &b);
}

const struct sim_route sim_routes_container[] = {
	{"GET", "/containers/json", NULL, container_list, 0},
	{"GET", "/containers/ps", NULL, container_list, 0},
	{"POST", "/containers/create", NULL, container_create, SIM_ROUTE_JSON},
	{"POST", "/containers/prune", NULL, container_prune, SIM_ROUTE_DISCARD},
	{"GET", "/containers/", "/json", container_inspect, 0},
	{"POST", "/containers/", "/start", container_start, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/stop", container_stop, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/restart", container_restart, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/kill", container_kill, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/pause", container_pause, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/unpause", container_unpause, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/rename", container_rename, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/update", container_update, SIM_ROUTE_JSON},
	{"GET", "/containers/", "/top", container_top, 0},
	{"DELETE", "/containers/", "", container_remove, 0},
	{NULL, NULL, NULL, NULL, 0},
};
