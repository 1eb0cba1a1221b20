/* Requests about networks and volumes. */
#include "simulator/filter.h"
#include "simulator/http.h"

#include <string.h>
#include <utlist.h>

static bool network_selected(const struct sim_network *n, const json_t *filters, bool unused)
{
	CLEANUP_JSON json_t *labels = json_loads(n->labels ? n->labels : "{}", 0, NULL);

	return sim_filter_exact(filters, "driver", n->driver) &&
	       sim_filter_regex(filters, "name", n->name) &&
	       sim_filter_regex(filters, "id", n->id) &&
	       sim_filter_labels(filters, "label", labels) &&
	       sim_filter_exact(filters, "scope", "local") &&
	       sim_filter_exact(filters, "type", n->predefined ? "builtin" : "custom") &&
	       (!sim_filter_has(filters, "dangling") ||
		       unused == (!n->predefined && !n->endpoints));
}

static void network_list(struct sim_request *r)
{
	static const char *const accepted[] = {
		"driver", "type", "name", "id", "label", "scope", "dangling", NULL};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_network *n;
	bool unused = false;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (!status && sim_filter_bool(filters, "dangling", &unused, NULL))
		status = sim_fail(&err, 400,
			"invalid value for filter 'dangling', must be \"true\" (or \"1\"), or "
			"\"false\" "
			"(or \"0\")");
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_char(&b, '[');
	DL_FOREACH (r->engine->networks, n) {
		if (!network_selected(n, filters, unused))
			continue;
		sim_json_item(&b);
		sim_network_write(&b, r->engine, n, false);
	}
	buf_append_char(&b, ']');
	sim_reply_buf(r, 200, &b);
}

static void network_inspect(struct sim_request *r)
{
	struct sim_network *n = sim_network_find(r->engine, r->name);
	CLEANUP_BUF struct buf b = {0};

	if (!n) {
		sim_reply_text(r, 404, "network %s not found", r->name);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	sim_network_write(&b, r->engine, n, true);
	sim_reply_buf(r, 200, &b);
}

static void network_create(struct sim_request *r)
{
	struct sim_network *n = NULL;
	CLEANUP_FREE char *warning = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	int status;

	if (!r->has_body)
		status = sim_fail(&err, 400, "got EOF while reading request body");
	else
		status = sim_network_create(r->engine, r->body, &n, &warning, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, 64 * 1024);
	buf_append_char(&b, '{');
	sim_json_s(&b, "Id", n->id);
	sim_json_s(&b, "Warning", warning ? warning : "");
	buf_append_char(&b, '}');
	sim_reply_buf(r, 201, &b);
}

static void network_remove(struct sim_request *r)
{
	struct err err = ERR_INIT;

	sim_reply_done(r, sim_network_remove(r->engine, r->name, &err), 204, &err);
}

static void network_connect(struct sim_request *r)
{
	struct err err = ERR_INIT;
	int status = sim_network_connect(r->engine, r->name, json_str(r->body, "Container", ""),
		json_obj(r->body, "EndpointConfig"), &err);

	sim_reply_done(r, status, 200, &err);
}

static void network_disconnect(struct sim_request *r)
{
	struct err err = ERR_INIT;
	int status = sim_network_disconnect(r->engine, r->name, json_str(r->body, "Container", ""),
		json_bool(r->body, "Force", false), &err);

	sim_reply_done(r, status, 200, &err);
}

static bool network_is_pruned(const struct sim_network *n, const json_t *filters, int64_t until_ns)
{
	CLEANUP_JSON json_t *labels = json_loads(n->labels ? n->labels : "{}", 0, NULL);

	return !n->predefined && !n->endpoints && !(until_ns && n->created_ns > until_ns) &&
	       sim_filter_prune_labels(filters, labels);
}

static void network_prune(struct sim_request *r)
{
	static const char *const accepted[] = {"label", "label!", "until", NULL};
	const struct sim_event_attr attrs[] = {{"reclaimed", "0"}, {NULL, NULL}};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_network *n;
	struct sim_network *tmp;
	int64_t until_ns = 0;
	size_t count = 0;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (!status)
		status = sim_filter_until(filters, sim_now(r->engine), &until_ns, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_str(&b, "{\"NetworksDeleted\":");
	DL_FOREACH_SAFE (r->engine->networks, n, tmp) {
		if (!network_is_pruned(n, filters, until_ns))
			continue;
		buf_append_str(&b, count++ ? "," : "[");
		sim_json_quote(&b, n->name);
		sim_network_drop(r->engine, n);
	}
	buf_append_str(&b, count ? "]}" : "null}");
	sim_event_emit(r->engine, "network", "prune", "", attrs);
	sim_reply_buf(r, 200, &b);
}

static bool volume_selected(const struct sim_volume *v, const json_t *filters, bool unused)
{
	CLEANUP_JSON json_t *labels = json_loads(v->labels ? v->labels : "{}", 0, NULL);

	return sim_filter_exact(filters, "driver", "local") &&
	       sim_filter_regex(filters, "name", v->name) &&
	       sim_filter_labels(filters, "label", labels) &&
	       (!sim_filter_has(filters, "dangling") || unused == !v->users);
}

static void volume_list(struct sim_request *r)
{
	static const char *const accepted[] = {"dangling", "driver", "label", "name", NULL};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_volume *v;
	bool unused = false;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (!status)
		status = sim_filter_bool(filters, "dangling", &unused, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_str(&b, "{\"Volumes\":[");
	DL_FOREACH (r->engine->volumes, v) {
		if (!volume_selected(v, filters, unused))
			continue;
		sim_json_item(&b);
		sim_volume_write(&b, r->engine, v);
	}
	buf_append_str(&b, "],\"Warnings\":null}");
	sim_reply_buf(r, 200, &b);
}

static void volume_inspect(struct sim_request *r)
{
	struct sim_volume *v = sim_volume_find(r->engine, r->name);
	CLEANUP_BUF struct buf b = {0};

	if (!v) {
		sim_reply_text(r, 404, "get %s: no such volume", r->name);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	sim_volume_write(&b, r->engine, v);
	sim_reply_buf(r, 200, &b);
}

static void volume_create(struct sim_request *r)
{
	struct sim_volume *v = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	int status = sim_volume_create(r->engine, json_str(r->body, "Name", ""),
		json_str(r->body, "Driver", ""), json_obj(r->body, "Labels"),
		json_obj(r->body, "DriverOpts"), &v, &err);

	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	sim_volume_write(&b, r->engine, v);
	sim_reply_buf(r, 201, &b);
}

static void volume_remove(struct sim_request *r)
{
	struct err err = ERR_INIT;

	sim_reply_done(r, sim_volume_remove(r->engine, r->name, sim_query_bool(r, "force"), &err),
		204, &err);
}

static void volume_prune(struct sim_request *r)
{
	static const char *const accepted[] = {"label", "label!", NULL};
	const struct sim_event_attr attrs[] = {{"reclaimed", "0"}, {NULL, NULL}};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_volume *v;
	struct sim_volume *tmp;
	size_t count = 0;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_str(&b, "{\"VolumesDeleted\":[");
	DL_FOREACH_SAFE (r->engine->volumes, v, tmp) {
		CLEANUP_JSON json_t *labels = json_loads(v->labels ? v->labels : "{}", 0, NULL);

		if (v->users || !sim_filter_prune_labels(filters, labels))
			continue;
		buf_append_str(&b, count++ ? "," : "");
		sim_json_quote(&b, v->name);
		sim_volume_drop(r->engine, v);
	}
	buf_append_str(&b, "],\"SpaceReclaimed\":0}");
	sim_event_emit(r->engine, "volume", "prune", "", attrs);
	sim_reply_buf(r, 200, &b);
}

const struct sim_route sim_routes_network[] = {
	{"GET", "/networks", NULL, network_list, 0},
	{"GET", "/networks/", NULL, network_list, 0},
	{"POST", "/networks/create", NULL, network_create, SIM_ROUTE_JSON},
	{"POST", "/networks/prune", NULL, network_prune, SIM_ROUTE_DISCARD},
	{"POST", "/networks/", "/connect", network_connect, SIM_ROUTE_JSON},
	{"POST", "/networks/", "/disconnect", network_disconnect, SIM_ROUTE_JSON},
	{"GET", "/networks/", "", network_inspect, 0},
	{"DELETE", "/networks/", "", network_remove, 0},
	{"GET", "/volumes", NULL, volume_list, 0},
	{"POST", "/volumes/create", NULL, volume_create, SIM_ROUTE_JSON},
	{"POST", "/volumes/prune", NULL, volume_prune, SIM_ROUTE_DISCARD},
	{"GET", "/volumes/", "", volume_inspect, 0},
	{"DELETE", "/volumes/", "", volume_remove, 0},
	{NULL, NULL, NULL, NULL, 0},
};
