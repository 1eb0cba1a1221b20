/* Networks and volumes, as the inventory knows them: local ones carry their node's name. */
#include "api/filters.h"
#include "lib/str.h"

#include <string.h>

static bool is_local(const char *scope)
{
	return !str_eq(scope, "global") && !str_eq(scope, "swarm");
}

/* A new copy of the entry whose name tells the node. */
static json_t *with_node_name(
	const json_t *json, const struct node *node, const char *name, const char *scope)
{
	json_t *copy = json_copy((json_t *)json);
	char *full CLEANUP_FREE = xasprintf("%s/%s", node_view(node)->name, name);

	if (is_local(scope))
		json_object_set_new(copy, "Name", json_string(full));
	return copy;
}

/* ---- Networks ---- */

static bool is_builtin(const char *name)
{
	return str_eq(name, "bridge") || str_eq(name, "host") || str_eq(name, "none");
}

static bool network_matches(const json_t *filters, const struct network *network)
{
	const char *type = json_string_value(json_array_get(json_object_get(filters, "type"), 0));
	char *full CLEANUP_FREE = xasprintf("%s/%s", node_view(network->node)->name, network->name);

	if (type != NULL && str_eq(type, "builtin") != is_builtin(network->name))
		return false;
	return filters_allow(filters, "driver", network->driver) &&
	       filters_allow_part(filters, "id", network->id) &&
	       filters_allow_part(filters, "name", full) &&
	       filters_allow(filters, "scope", network->scope) &&
	       filters_allow_node(filters, network->node) &&
	       filters_allow_labels(filters, json_obj(network->json, "Labels"));
}

void networks_list(struct request *r)
{
	static const char *const known[] = {
		"driver", "id", "label", "name", "node", "scope", "type", NULL};
	struct err err = ERR_INIT;
	json_t *filters CLEANUP_JSON = request_filters(r, &err);
	json_t *list, *seen CLEANUP_JSON = json_object();
	struct node *const *nodes;
	size_t nodes_len;

	if (filters == NULL || filters_check(filters, known, &err) != 0) {
		request_fail(r, &err);
		return;
	}
	list = json_array();
	nodes = cluster_nodes(r->api->config.cluster, &nodes_len);
	for (size_t i = 0; i < nodes_len; i++) {
		size_t len;
		struct network *const *networks = node_networks(nodes[i], &len);

		for (size_t k = 0; k < len && node_state(nodes[i]) == NODE_HEALTHY; k++) {
			const struct network *network = networks[k];

			/* A global one is known to every node, and listed once. */
			if (!network_matches(filters, network) ||
				json_object_get(seen, network->id) != NULL)
				continue;
			json_object_set_new(seen, network->id, json_true());
			json_array_append_new(list, with_node_name(network->json, network->node,
							    network->name, network->scope));
		}
	}
	exchange_reply_json(r->x, 200, list);
}

void network_inspect(struct request *r)
{
	struct err err = ERR_INIT;
	struct network *network = cluster_network_find(r->api->config.cluster, r->name, &err);
	struct forward_spec spec = {0};
	char *id CLEANUP_FREE = NULL;

	if (network == NULL) {
		request_fail(r, &err);
		return;
	}
	id = str_url_encode(network->id, strlen(network->id));
	spec.node = network->node;
	spec.path_take = xasprintf("/networks/%s", id);
	forward_collected(r, &spec);
}

/* ---- Volumes ---- */

static bool volume_matches(const json_t *filters, const struct volume *volume)
{
	char *full CLEANUP_FREE = xasprintf("%s/%s", node_view(volume->node)->name, volume->name);

	return filters_allow(filters, "driver", volume->driver) &&
	       filters_allow_part(filters, "name", full) &&
	       filters_allow_node(filters, volume->node) &&
	       filters_allow_labels(filters, json_obj(volume->json, "Labels"));
}

void volumes_list(struct request *r)
{
	static const char *const known[] = {"driver", "label", "name", "node", NULL};
	struct err err = ERR_INIT;
	json_t *filters CLEANUP_JSON = request_filters(r, &err);
	json_t *list, *seen CLEANUP_JSON = json_object();
	struct node *const *nodes;
	size_t nodes_len;

	if (filters == NULL || filters_check(filters, known, &err) != 0) {
		request_fail(r, &err);
		return;
	}
	list = json_array();
	nodes = cluster_nodes(r->api->config.cluster, &nodes_len);
	for (size_t i = 0; i < nodes_len; i++) {
		size_t len;
		struct volume *const *volumes = node_volumes(nodes[i], &len);

		for (size_t k = 0; k < len && node_state(nodes[i]) == NODE_HEALTHY; k++) {
			const struct volume *volume = volumes[k];

			if (!volume_matches(filters, volume))
				continue;
			if (!is_local(volume->scope)) {
				if (json_object_get(seen, volume->name) != NULL)
					continue;
				json_object_set_new(seen, volume->name, json_true());
			}
			json_array_append_new(list, with_node_name(volume->json, volume->node,
							    volume->name, volume->scope));
		}
	}
	exchange_reply_json(r->x, 200, json_pack("{s:o,s:[]}", "Volumes", list, "Warnings"));
}

void volume_inspect(struct request *r)
{
	struct err err = ERR_INIT;
	struct volume *volume = cluster_volume_find(r->api->config.cluster, r->name, &err);
	struct forward_spec spec = {0};
	char *name CLEANUP_FREE = NULL;

	if (volume == NULL) {
		request_fail(r, &err);
		return;
	}
	name = str_url_encode(volume->name, strlen(volume->name));
	spec.node = volume->node;
	spec.path_take = xasprintf("/volumes/%s", name);
	forward_collected(r, &spec);
}
