/* What an engine outside of swarm mode answers to its requests, and one without plugins and without
 * a BuildKit to theirs. */
#include "simulator/http.h"

#include <string.h>

static void no_swarm(struct sim_request *r)
{
	sim_reply_text(r, 503,
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm "
		"join\" to connect this node to swarm and try again.");
}

/* Changes name the version of what they change. */
static void update(struct sim_request *r, const char *what)
{
	const char *version = sim_query(r, "version");

	if (*version && !version[strspn(version, "0123456789")])
		no_swarm(r);
	else
		sim_reply_text(r, 400,
			"invalid %s version '%s': strconv.ParseUint: parsing \"%s\": invalid "
			"syntax",
			what, version, version);
}

static void swarm_update(struct sim_request *r)
{
	update(r, "swarm");
}

static void service_update(struct sim_request *r)
{
	update(r, "service");
}

static void node_update(struct sim_request *r)
{
	update(r, "node");
}

/* These two say less. */
static void update_short(struct sim_request *r, const char *what)
{
	const char *version = sim_query(r, "version");

	if (*version && !version[strspn(version, "0123456789")])
		no_swarm(r);
	else
		sim_reply_text(r, 400, "invalid %s version", what);
}

static void secret_update(struct sim_request *r)
{
	update_short(r, "secret");
}

static void config_update(struct sim_request *r)
{
	update_short(r, "config");
}

static void swarm_begin(struct sim_request *r)
{
	const char *address = json_str(r->body, "ListenAddr", "");

	if (!*address)
		sim_reply_text(r, 400, "invalid ListenAddr \"\": invalid empty address");
	else
		sim_reply_text(r, 500, "swarm mode is not simulated");
}

static void swarm_leave(struct sim_request *r)
{
	sim_reply_text(r, 503, "This node is not part of a swarm");
}

static void swarm_logs(struct sim_request *r)
{
	if (sim_query_bool(r, "stdout") || sim_query_bool(r, "stderr"))
		no_swarm(r);
	else
		sim_reply_text(r, 500, "Bad parameters: you must choose at least one stream");
}

/* ---- Plugins ---- */

static void empty_list(struct sim_request *r)
{
	CLEANUP_BUF struct buf b = {0};

	buf_init(&b, 64);
	buf_append_str(&b, "[]");
	sim_reply_buf(r, 200, &b);
}

static void no_plugin(struct sim_request *r)
{
	sim_reply_text(r, 404, "plugin \"%s\" not found", r->name);
}

static void plugin_enable(struct sim_request *r)
{
	const char *timeout = sim_query(r, "timeout");
	long long n;

	if (str_to_int(timeout, INT32_MIN, INT32_MAX, &n, "timeout", NULL))
		sim_reply_text(r, 500, "strconv.Atoi: parsing \"%s\": invalid syntax", timeout);
	else
		no_plugin(r);
}

static void plugin_set(struct sim_request *r)
{
	if (!r->has_body)
		sim_reply_text(r, 400, "got EOF while reading request body");
	else
		no_plugin(r);
}

static bool privileges_are_list(struct sim_request *r)
{
	if (json_is_array(r->body))
		return true;
	if (!r->has_body)
		sim_reply_text(r, 500, "failed to parse privileges: EOF");
	else
		sim_reply_text(r, 500,
			"failed to parse privileges: json: cannot unmarshal object into Go value "
			"of type types.PluginPrivileges");
	return false;
}

static void plugin_upgrade(struct sim_request *r)
{
	if (privileges_are_list(r))
		no_plugin(r);
}

static void plugin_pull(struct sim_request *r)
{
	if (privileges_are_list(r))
		sim_reply_text(r, 404, "plugin \"%s\" not found", sim_query(r, "remote"));
}

static void plugin_create(struct sim_request *r)
{
	sim_reply_text(r, 500,
		exchange_body_length(r->x) ? "failed to read from tar: unexpected EOF"
					   : "no rootfs found: EOF");
}

/* ---- Builders and checkpoints ---- */

static void build_prune(struct sim_request *r)
{
	CLEANUP_BUF struct buf b = {0};

	buf_init(&b, 64);
	buf_append_str(&b, "{\"CachesDeleted\":null,\"SpaceReclaimed\":0}");
	sim_reply_buf(r, 200, &b);
}

static void build_cancel(struct sim_request *r)
{
	struct http_headers h = {0};

	if (!*sim_query(r, "id")) {
		sim_reply_text(r, 500, "build ID not provided");
		return;
	}
	sim_headers(r, &h, "application/json");
	exchange_reply(r->x, 200, &h, "", 0);
	http_headers_free(&h);
}

/* HTTP/2 inside of a connection, of which there is none here. */
static void session(struct sim_request *r)
{
	if (exchange_header(r->x, "Upgrade"))
		sim_reply_text(r, 404, "page not found");
	else
		sim_reply_text(
			r, str_eq(r->path, "/grpc") ? 500 : 400, "no upgrade proto in request");
}

static void checkpoint(struct sim_request *r)
{
	sim_reply_text(r, 501,
		"This experimental feature is disabled by default. Start the Docker daemon in "
		"experimental mode in order to enable it.");
}

const struct sim_route sim_routes_swarm[] = {
	{"GET", "/swarm", NULL, no_swarm, 0},
	{"POST", "/swarm/init", NULL, swarm_begin, SIM_ROUTE_JSON},
	{"POST", "/swarm/join", NULL, swarm_begin, SIM_ROUTE_JSON},
	{"POST", "/swarm/leave", NULL, swarm_leave, SIM_ROUTE_DISCARD},
	{"POST", "/swarm/update", NULL, swarm_update, SIM_ROUTE_DISCARD},
	{"GET", "/swarm/unlockkey", NULL, no_swarm, 0},
	{"POST", "/swarm/unlock", NULL, no_swarm, SIM_ROUTE_DISCARD},
	{"GET", "/services", NULL, no_swarm, 0},
	{"POST", "/services/create", NULL, no_swarm, SIM_ROUTE_JSON},
	{"POST", "/services/", "/update", service_update, SIM_ROUTE_DISCARD},
	{"GET", "/services/", "/logs", swarm_logs, 0},
	{"GET", "/services/", "", no_swarm, 0},
	{"DELETE", "/services/", "", no_swarm, 0},
	{"GET", "/nodes", NULL, no_swarm, 0},
	{"POST", "/nodes/", "/update", node_update, SIM_ROUTE_DISCARD},
	{"GET", "/nodes/", "", no_swarm, 0},
	{"DELETE", "/nodes/", "", no_swarm, 0},
	{"GET", "/tasks", NULL, no_swarm, 0},
	{"GET", "/tasks/", "/logs", swarm_logs, 0},
	{"GET", "/tasks/", "", no_swarm, 0},
	{"GET", "/secrets", NULL, no_swarm, 0},
	{"POST", "/secrets/create", NULL, no_swarm, SIM_ROUTE_JSON},
	{"POST", "/secrets/", "/update", secret_update, SIM_ROUTE_DISCARD},
	{"GET", "/secrets/", "", no_swarm, 0},
	{"DELETE", "/secrets/", "", no_swarm, 0},
	{"GET", "/configs", NULL, no_swarm, 0},
	{"POST", "/configs/create", NULL, no_swarm, SIM_ROUTE_JSON},
	{"POST", "/configs/", "/update", config_update, SIM_ROUTE_DISCARD},
	{"GET", "/configs/", "", no_swarm, 0},
	{"DELETE", "/configs/", "", no_swarm, 0},
	{"GET", "/plugins", NULL, empty_list, 0},
	{"GET", "/plugins/privileges", NULL, empty_list, 0},
	{"POST", "/plugins/pull", NULL, plugin_pull, SIM_ROUTE_JSON},
	{"POST", "/plugins/create", NULL, plugin_create, SIM_ROUTE_DISCARD},
	{"GET", "/plugins/", "/json", no_plugin, SIM_ROUTE_SLASHES},
	{"POST", "/plugins/", "/enable", plugin_enable, SIM_ROUTE_SLASHES | SIM_ROUTE_DISCARD},
	{"POST", "/plugins/", "/disable", no_plugin, SIM_ROUTE_SLASHES | SIM_ROUTE_DISCARD},
	{"POST", "/plugins/", "/push", no_plugin, SIM_ROUTE_SLASHES | SIM_ROUTE_DISCARD},
	{"POST", "/plugins/", "/upgrade", plugin_upgrade, SIM_ROUTE_SLASHES | SIM_ROUTE_JSON},
	{"POST", "/plugins/", "/set", plugin_set, SIM_ROUTE_SLASHES | SIM_ROUTE_JSON},
	{"DELETE", "/plugins/", "", no_plugin, SIM_ROUTE_SLASHES},
	{"POST", "/build/prune", NULL, build_prune, SIM_ROUTE_DISCARD},
	{"POST", "/build/cancel", NULL, build_cancel, SIM_ROUTE_DISCARD},
	{"POST", "/session", NULL, session, SIM_ROUTE_DISCARD},
	{"POST", "/grpc", NULL, session, SIM_ROUTE_DISCARD},
	{"GET", "/containers/", "/checkpoints", checkpoint, 0},
	{"POST", "/containers/", "/checkpoints", checkpoint, SIM_ROUTE_DISCARD},
	{NULL, NULL, NULL, NULL, 0},
};
