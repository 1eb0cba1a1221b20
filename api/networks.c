/* Networks, as the inventory knows them: local ones carry their node's name. Each is made and
 * removed by one engine. */
#include "api/networks.h"
#include "api/listing.h"
#include "api/making.h"
#include "api/paced.h"
#include "lib/str.h"
#include "scheduler/create_request.h"

#include <string.h>

static bool is_local(const struct network *network)
{
	return str_eq(network->scope, "local");
}

static bool is_builtin(const char *name)
{
	return str_eq(name, "bridge") || str_eq(name, "host") || str_eq(name, "none");
}

struct network *request_usable_network(struct request *r, struct network *network)
{
	const struct node_view *view = node_view(network->node);

	if (node_state(network->node) == NODE_HEALTHY)
		return network;
	exchange_reply_error(r->x, 503, "network %s is on unhealthy node %s (%s): %s",
		network->name, view->name, view->addr, node_error(network->node));
	return NULL;
}

/* On the node that the request names by its header, if it does. */
static struct network *find_network(struct request *r, struct err *err)
{
	struct node *node;
	struct network *network;

	if (request_node_named(r, &node, err) != 0)
		return NULL;
	if (node == NULL)
		return cluster_network_find(r->api->config.cluster, r->name, err);
	network = cluster_network_on(node, r->name);
	if (network == NULL)
		err_set(err, ERR_NOT_FOUND, "network %s not found on node %s", r->name,
			node_view(node)->name);
	return network;
}

/* The one that {name} stands for, on a node that can be asked. NULL: the error was sent. */
static struct network *request_network(struct request *r)
{
	struct err err = ERR_INIT;
	struct network *network = find_network(r, &err);

	if (network != NULL)
		return request_usable_network(r, network);
	request_fail(r, &err);
	return NULL;
}

char *request_network_path(const struct network *network, const char *action)
{
	char *id CLEANUP_FREE = str_url_encode(network->id, strlen(network->id));

	return xasprintf("/networks/%s%s", id, action);
}

/* ---- The list ---- */

static bool type_matches(const json_t *filters, const char *name)
{
	return filters_allow(filters, "type", is_builtin(name) ? "builtin" : "custom");
}

/* The networks that every engine has count as used. */
static bool allows_use(const struct listing *listing, const struct network *network)
{
	if (listing->used != NULL && is_builtin(network->name))
		return !listing->is_dangling;
	return listing_allows_use(listing, network->id);
}

static bool is_listed(const struct listing *listing, const struct network *network)
{
	const json_t *filters = listing->filters;

	return listing_allows(listing, network->node, network->name, network->id) &&
	       filters_allow(filters, "driver", network->driver) &&
	       filters_allow(filters, "scope", network->scope) &&
	       type_matches(filters, network->name) &&
	       filters_allow_labels_of(filters, network->text) && allows_use(listing, network);
}

/* Containers that are not running have no end point. */
static void use_networks(struct listing *listing, const struct container *container)
{
	if (!container->view.is_running)
		return;
	for (size_t i = 0; i < container->networks.len; i++)
		listing_used(listing, container->networks.items[i]);
}

/* Compose asks for the networks of its project, and looks for one of exactly the name that it gave:
 * then the node is left out, which the ID tells just as well. */
static bool is_of_compose(const json_t *filters)
{
	json_t *value;
	size_t i;

	json_array_foreach (json_object_get(filters, "label"), i, value) {
		if (str_has_prefix(json_string_value(value), PROJECT_LABEL "="))
			return true;
	}
	return false;
}

/* The entry for a reply in pieces; the name tells the node. */
static json_t *list_entry(const struct network *network, bool is_plain)
{
	char *full CLEANUP_FREE = NULL;
	json_t *entry CLEANUP_JSON = NULL;

	if (is_plain || !is_local(network))
		return entry_json(network->text);
	full = xasprintf("%s/%s", node_view(network->node)->name, network->name);
	entry = entry_json(network->text);
	return paced_row_named(entry, full);
}

static int types_check(const json_t *filters, struct err *err)
{
	json_t *value;
	size_t i;

	json_array_foreach (json_object_get(filters, "type"), i, value) {
		const char *text = json_string_value(value);

		if (!str_eq(text, "builtin") && !str_eq(text, "custom"))
			return err_set(err, ERR_INVALID, "Invalid filter: 'type'='%s'", text);
	}
	return 0;
}

static json_t *networks_listed(const struct listing *listing)
{
	json_t *list = json_array(), *seen CLEANUP_JSON = json_object();
	bool is_plain = is_of_compose(listing->filters);
	struct node *const *nodes;
	size_t nodes_len;

	nodes = cluster_nodes(listing->r->api->config.cluster, &nodes_len);
	for (size_t i = 0; i < nodes_len; i++) {
		size_t len;
		struct network *const *networks = node_networks(nodes[i], &len);

		for (size_t k = 0; k < len && node_state(nodes[i]) == NODE_HEALTHY; k++) {
			/* A global one is known to every node, and listed once. */
			if (json_object_get(seen, networks[k]->id) != NULL ||
				!is_listed(listing, networks[k]))
				continue;
			json_object_set_new(seen, networks[k]->id, json_true());
			json_array_append_new(list, list_entry(networks[k], is_plain));
		}
	}
	return list;
}

void networks_list(struct request *r)
{
	static const char *const known[] = {
		"dangling", "driver", "id", "label", "name", "node", "scope", "type", NULL};
	struct listing listing;
	struct err err = ERR_INIT;

	if (listing_init(&listing, r, known, use_networks) != 0)
		return;
	if (types_check(listing.filters, &err) != 0)
		request_fail(r, &err);
	else
		listing_reply(&listing, networks_listed(&listing));
	listing_free(&listing);
}

/* ---- One network ---- */

void network_inspect(struct request *r)
{
	struct network *network = request_network(r);
	struct forward_spec spec = {0};

	if (network == NULL)
		return;
	spec.node = network->node;
	spec.path_take = request_network_path(network, "");
	forward_collected(r, &spec);
}

void network_remove(struct request *r)
{
	struct network *network = request_network(r);
	struct forward_spec spec = {.parts = NODE_NETWORKS};

	if (network == NULL)
		return;
	spec.node = network->node;
	spec.parts_everywhere = !is_local(network);
	spec.path_take = request_network_path(network, "");
	forward_collected(r, &spec);
}

/* ---- Create ---- */

/* Whether this engine can make networks that span nodes: by a store of its own, or as a manager of
 * its own swarm mode. */
static bool has_store(const struct node *node)
{
	return json_str(node_info(node), "ClusterStore", "")[0] != '\0';
}

static bool can_span(const struct node *node)
{
	return has_store(node) ||
	       json_bool(json_obj(node_info(node), "Swarm"), "ControlAvailable", false);
}

static bool any_has_store(struct request *r)
{
	size_t len;
	struct node **nodes = request_healthy_nodes(r, &len);
	bool any = false;

	for (size_t i = 0; i < len && !any; i++)
		any = has_store(nodes[i]);
	free(nodes);
	return any;
}

/* The IDs of nodes that cannot, unless none can: then the engine is to say so. */
static void exclude_others(struct request *r, struct str_list *excluded)
{
	size_t len;
	struct node **nodes = request_healthy_nodes(r, &len);

	for (size_t i = 0; i < len; i++) {
		if (!can_span(nodes[i]))
			str_list_add(excluded, node_view(nodes[i])->id);
	}
	if (excluded->len == len)
		str_list_free(excluded);
	free(nodes);
}

/* True when the request leaves the driver to us. Without a driver the cluster's default is a
 * network that all nodes reach, where engines can do it. */
static bool default_driver(struct making *m)
{
	const char *driver = json_str(m->body, "Driver", "");

	if (driver[0] != '\0' && !str_eq(driver, "default"))
		return false;
	if (m->node == NULL && any_has_store(m->r)) {
		json_put(m->body, "Driver", json_string("overlay"));
		return false;
	}
	/* The engine's own default is a local one. */
	json_put(m->body, "Driver", json_string(""));
	return m->node == NULL;
}

static bool spans_nodes(const struct making *m)
{
	const char *scope = json_str(m->body, "Scope", "");

	return str_eq(json_str(m->body, "Driver", ""), "overlay") || str_eq(scope, "global") ||
	       str_eq(scope, "swarm");
}

/* Takes the options of another network (--config-from), which its engine has to know. */
static int use_config(struct making *m, struct err *err)
{
	const char *config = json_str(json_obj(m->body, "ConfigFrom"), "Network", "");

	return config[0] == '\0' ? 0 : create_request_add_network(m->terms, config, err);
}

static void create_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;
	struct making *m = making_new(r, PROMISE_NETWORK);
	struct str_list excluded CLEANUP_STR_LIST = {0};
	struct err err = ERR_INIT;
	struct node *node;
	bool is_default;

	(void)x;
	(void)body;
	(void)len;
	if (m == NULL)
		return;
	/* Engines refuse the names of their own networks in their own words. */
	if (!is_builtin(m->name) && m->name[0] != '\0' &&
		cluster_network_is_taken(r->api->config.cluster, m->name, m->node)) {
		exchange_reply_error(r->x, 409, "network with name %s already exists", m->name);
		return;
	}
	is_default = default_driver(m);
	if (spans_nodes(m))
		exclude_others(r, &excluded);
	node = use_config(m, &err) == 0 ? making_choose(m, &excluded, &err) : NULL;
	if (node == NULL) {
		request_fail(r, &err);
		return;
	}
	if (is_default)
		m->warning = xasprintf(
			"network %s is local to node %s, and only containers on that node can use "
			"it: the request names no driver, and no engine of the cluster has a store "
			"for networks that span nodes",
			m->name, node_view(node)->name);
	making_send(m, node, spans_nodes(m));
}

void network_create(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, create_body, r);
}
