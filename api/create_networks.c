#include "api/create_networks.h"
#include "cluster/node_call.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>

#define SEVERAL_NETWORKS_MINOR 44 /* from here on an engine makes them all by itself */
#define CALL_TIMEOUT_MS (60 * 1000)

/* ---- What is to be connected later ---- */

/* The one that stays: the network mode's, else the first. */
static const char *first_network(const json_t *body, const json_t *endpoints)
{
	const char *mode = json_str(json_obj(body, "HostConfig"), "NetworkMode", "default");

	if (str_eq(mode, "default"))
		mode = "bridge";
	if (json_object_get(endpoints, mode) != NULL)
		return mode;
	return json_object_iter_key(json_object_iter((json_t *)(uintptr_t)endpoints));
}

json_t *create_networks_take(const struct node *node, json_t **body_io)
{
	const json_t *config = json_obj(*body_io, "NetworkingConfig");
	const json_t *endpoints = json_obj(config, "EndpointsConfig");
	json_t *body, *own, *rest;
	const char *stays;
	int min, max;

	forward_minor_range(node, &min, &max);
	if (max >= SEVERAL_NETWORKS_MINOR || json_object_size(endpoints) < 2)
		return NULL;
	stays = first_network(*body_io, endpoints);
	own = json_pack("{s:O}", stays, json_object_get(endpoints, stays));
	rest = json_copy((json_t *)(uintptr_t)endpoints);
	json_object_del(rest, stays);
	/* Parts of the body may be shared with the request, which another try may need whole. */
	body = json_copy(*body_io);
	json_object_set_new(body, "NetworkingConfig", json_pack("{s:o}", "EndpointsConfig", own));
	json_decref(*body_io);
	*body_io = body;
	return rest;
}

/* ---- Connecting ---- */

struct connecting {
	struct node *node; /* referenced */
	int minor;
	char *id;
	json_t *rest;
	create_networks_fn *done;
	void *arg;
	struct node_call call;
	bool is_left_behind;
	/* Of the network that could not be connected: */
	int status;
	char *body;
	size_t body_len;
	struct err err;
};

static void connect_next(struct connecting *c);

static void connecting_end(struct connecting *c)
{
	const struct create_networks_result result = {
		.status = c->status,
		.body = c->body,
		.body_len = c->body_len,
		.err = c->err.code != ERR_NONE ? &c->err : NULL,
		.is_left_behind = c->is_left_behind,
	};

	c->done(&result, c->arg);
	node_unref(c->node);
	json_decref(c->rest);
	free(c->body);
	free(c->id);
	free(c);
}

static void ask(struct connecting *c, const char *method, const char *path, const char *query,
	const json_t *json, node_call_fn *answered)
{
	static const struct http_header type = {
		.name = (char *)"Content-Type", .value = (char *)"application/json"};
	const struct http_headers headers = {
		.items = (struct http_header *)(uintptr_t)&type, .len = 1};
	char *target CLEANUP_FREE = forward_target(c->node, c->minor, path, query);
	char *text CLEANUP_FREE = json != NULL ? json_text(json, NULL) : NULL;
	struct call_request call = {
		.method = method,
		.target = target,
		.headers = &headers,
		.body = text,
		.body_len = text != NULL ? strlen(text) : 0,
		.total_timeout_ms = CALL_TIMEOUT_MS,
	};

	node_call_collect(&c->call, c->node, &call, API_REPLY_MAX, answered, c);
}

static void removed(const struct reply *reply, const struct node_failure *failure, void *arg)
{
	struct connecting *c = arg;

	c->is_left_behind = failure != NULL || (reply->status >= 300 && reply->status != 404);
	if (c->is_left_behind)
		log_warn("a container that could not be connected is left behind: node=%s id=%s",
			node_view(c->node)->name, c->id);
	connecting_end(c);
}

static void connected(const struct reply *reply, const struct node_failure *failure, void *arg)
{
	struct connecting *c = arg;
	char *path CLEANUP_FREE = NULL;

	if (failure == NULL && reply->status < 300) {
		connect_next(c);
		return;
	}
	if (failure != NULL) {
		c->err = failure->err;
	} else {
		c->status = reply->status;
		c->body = xstrndup(reply->body, reply->body_len);
		c->body_len = reply->body_len;
	}
	if (node_state(c->node) != NODE_HEALTHY) {
		c->is_left_behind = true;
		connecting_end(c);
		return;
	}
	path = xasprintf("/containers/%s", c->id);
	ask(c, "DELETE", path, "force=1&v=1", NULL, removed);
}

static void connect_next(struct connecting *c)
{
	const char *name = json_object_iter_key(json_object_iter(c->rest));
	json_t *body CLEANUP_JSON = NULL;
	char *encoded CLEANUP_FREE = NULL;
	char *path CLEANUP_FREE = NULL;

	if (name == NULL) {
		connecting_end(c);
		return;
	}
	body = json_pack(
		"{s:s, s:O}", "Container", c->id, "EndpointConfig", json_object_get(c->rest, name));
	encoded = str_url_encode(name, strlen(name));
	path = xasprintf("/networks/%s/connect", encoded);
	json_object_del(c->rest, name);
	ask(c, "POST", path, "", body, connected);
}

void create_networks_connect(struct node *node, int minor, const char *id, json_t *rest_take,
	create_networks_fn *done, void *arg)
{
	struct connecting *c = xcalloc(1, sizeof(*c));

	node_ref(node);
	c->node = node;
	c->minor = minor;
	c->id = xstrdup(id);
	c->rest = rest_take;
	c->done = done;
	c->arg = arg;
	connect_next(c);
}
