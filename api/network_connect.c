/* Connecting containers with networks: the container's engine does it, so a local network has to be
 * one of that engine's. */
#include "api/networks.h"
#include "lib/str.h"
#include "scheduler/create_request.h"

#include <string.h>

struct joining {
	struct network *network;
	struct container *container;
	json_t *body; /* for the engine */
};

/* The network that is meant: of those with the name, the one on the container's node if there is
 * one, since no other could be. */
static struct network *find_network(
	struct request *r, const struct container *container, struct err *err)
{
	struct network *network =
		container != NULL ? cluster_network_on(container->node, r->name) : NULL;

	return network != NULL ? network
			       : cluster_network_find(r->api->config.cluster, r->name, err);
}

static bool is_local(const struct network *network)
{
	return str_eq(network->scope, "local");
}

static void forward(
	struct request *r, struct node *node, const struct joining *joining, const char *action)
{
	struct forward_spec spec = {.node = node, .parts = NODE_NETWORKS};
	size_t len;
	char *text CLEANUP_FREE = json_text(joining->body, &len);

	if (joining->container != NULL && joining->container->node == node)
		spec.container_id = joining->container->view.id;
	spec.path_take = request_network_path(joining->network, action);
	forward_collected_with(r, &spec, text, len);
}

/* Both on the container's node, and that can be asked; else the error is sent. */
static bool can_join(struct request *r, const struct joining *joining)
{
	const struct container *container = joining->container;
	const struct network *network = joining->network;
	const struct node_view *view = node_view(container->node);

	if (is_local(network) && network->node != container->node) {
		exchange_reply_error(r->x, 400,
			"container %s is on node %s, and network %s on node %s: a local network "
			"reaches the containers of its own node only",
			container->view.name, view->name, network->name,
			node_view(network->node)->name);
		return false;
	}
	if (node_state(container->node) == NODE_HEALTHY)
		return true;
	exchange_reply_error(r->x, 503, "Container %s running on unhealthy node %s (%s): %s",
		container->view.name, view->name, view->addr, node_error(container->node));
	return false;
}

/* Reads the body and finds both. The error for a container that is not there stays in *missing:
 * what is to be forced goes on without it. -1: the error was sent. */
static int joining_read(struct request *r, struct joining *out, struct err *missing)
{
	struct err err = ERR_INIT;
	const char *key;

	out->body = json_incref(r->body);
	if (!json_is_object(out->body))
		err_set(&err, ERR_INVALID, "the body must be a JSON object");
	key = json_str(out->body, "Container", "");
	if (err.code == ERR_NONE && key[0] == '\0')
		err_set(&err, ERR_INVALID, "Container must name the container");
	if (err.code == ERR_NONE) {
		out->container = cluster_container_find(r->api->config.cluster, key, missing);
		out->network = find_network(r, out->container, &err);
	}
	if (err.code != ERR_NONE) {
		request_fail(r, &err);
		json_decref(TAKE_PTR(out->body));
		return -1;
	}
	if (out->container != NULL)
		json_put(out->body, "Container", json_string(out->container->view.id));
	return 0;
}

static void connect_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;
	struct joining joining = {0};
	struct err missing = ERR_INIT;

	(void)x;
	(void)body;
	(void)len;
	if (joining_read(r, &joining, &missing) != 0)
		return;
	if (joining.container == NULL) {
		request_fail(r, &missing);
	} else if (can_join(r, &joining)) {
		create_endpoint_links(json_obj(joining.body, "EndpointConfig"),
			node_view(joining.container->node));
		forward(r, joining.container->node, &joining, "/connect");
	}
	json_decref(joining.body);
}

/* Where the container, or its node, is no more: whoever knows the network takes the end point
 * away, by the container's name. */
static void disconnect_forced(struct request *r, struct joining *joining)
{
	if (joining->container != NULL)
		json_put(joining->body, "Container", json_string(joining->container->view.name));
	if (request_usable_network(r, joining->network) != NULL)
		forward(r, joining->network->node, joining, "/disconnect");
}

static void disconnect_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;
	struct joining joining = {0};
	struct err missing = ERR_INIT;
	bool is_down, is_forced;

	(void)x;
	(void)body;
	(void)len;
	if (joining_read(r, &joining, &missing) != 0)
		return;
	is_forced = json_bool(joining.body, "Force", false);
	is_down = joining.container != NULL && !is_local(joining.network) &&
		  node_state(joining.container->node) != NODE_HEALTHY;
	if (is_forced && (is_down || missing.code == ERR_NOT_FOUND)) {
		/* The network was found on the node that is down; another one knows it too. */
		if (is_down)
			joining.network = cluster_network_find(
				r->api->config.cluster, joining.network->id, &missing);
		disconnect_forced(r, &joining);
	} else if (joining.container == NULL) {
		request_fail(r, &missing);
	} else if (can_join(r, &joining)) {
		forward(r, joining.container->node, &joining, "/disconnect");
	}
	json_decref(joining.body);
}

void network_connect(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, connect_body, r);
}

void network_disconnect(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, disconnect_body, r);
}
