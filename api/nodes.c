/* Which nodes a request is for that names no object: all that are healthy, those it names, or any.
 */
#include "api/api_priv.h"
#include "api/filters.h"
#include "lib/str.h"
#include "scheduler/scheduler.h"

#include <string.h>

#define WARN_NAMES_MAX 10

struct node **request_healthy_nodes(const struct request *r, size_t *len)
{
	struct node *const *all;
	struct node **found;
	size_t all_len;

	all = cluster_nodes(r->api->config.cluster, &all_len);
	found = xcalloc(all_len + 1, sizeof(struct node *));
	*len = 0;
	for (size_t i = 0; i < all_len; i++) {
		if (node_state(all[i]) == NODE_HEALTHY)
			found[(*len)++] = all[i];
	}
	return found;
}

struct node *request_node(struct request *r, const char *name, struct err *err)
{
	struct node *node = cluster_node_find(r->api->config.cluster, name);

	if (node == NULL) {
		err_set(err, ERR_NOT_FOUND, "No such node: %s", name);
		return NULL;
	}
	if (node_state(node) != NODE_HEALTHY) {
		err_set(err, ERR_UNAVAILABLE, "node %s (%s) is %s: %s", node_view(node)->name,
			node_view(node)->addr, node_state_name(node_state(node)), node_error(node));
		return NULL;
	}
	return node;
}

/* Every name that the request gives: the header X-Swarm-Node (names with commas between them),
 * the parameter node (may be repeated), the filter node. */
static void names_of(const struct request *r, const json_t *filters, struct str_list *names)
{
	const char *header = exchange_header(r->x, "X-Swarm-Node");
	json_t *value;
	size_t i;

	if (header != NULL)
		str_list_split(names, header, ",");
	for (size_t k = 0; k < r->query_len; k++) {
		if (str_eq(r->query[k].name, "node"))
			str_list_split(names, r->query[k].value, ",");
	}
	json_array_foreach (json_object_get(filters, "node"), i, value)
		str_list_add(names, json_string_value(value));
}

/* As clients have sent filters since API 1.22: {"label":{"a=b":true}}. NULL without any. */
static char *filters_for_nodes(const json_t *filters)
{
	json_t *out CLEANUP_JSON = json_object();
	const char *key;
	json_t *values, *value;
	size_t i;

	json_object_foreach ((json_t *)filters, key, values) {
		json_t *set = json_object();

		json_array_foreach (values, i, value)
			json_object_set_new(set, json_string_value(value), json_true());
		json_object_set_new(out, key, set);
	}
	json_object_del(out, "node");
	return json_object_size(out) > 0 ? json_text(out, NULL) : NULL;
}

char *request_nodes_query(const struct request *r, const json_t *filters)
{
	char *rest CLEANUP_FREE = filters_for_nodes(filters);
	struct buf out;

	buf_init(&out, strlen(r->raw_query) * 8 + 256);
	for (size_t i = 0; i < r->query_len; i++) {
		const char *name = r->query[i].name;

		if (!str_eq(name, "node") && !(str_eq(name, "filters") && filters != NULL))
			request_query_add(&out, name, r->query[i].value);
	}
	if (rest != NULL)
		request_query_add(&out, "filters", rest);
	return buf_take(&out);
}

struct node **request_nodes(struct request *r, const json_t *filters, size_t *len, struct err *err)
{
	struct str_list names CLEANUP_STR_LIST = {0};
	struct node **found;

	names_of(r, filters, &names);
	if (names.len == 0) {
		found = request_healthy_nodes(r, len);
		if (*len > 0)
			return found;
		err_set(err, ERR_NO_NODE, "No healthy node available in the cluster");
		free(found);
		return NULL;
	}
	found = xcalloc(names.len, sizeof(struct node *));
	*len = 0;
	for (size_t i = 0; i < names.len; i++) {
		struct node *node = request_node(r, names.items[i], err);
		size_t k = 0;

		if (node == NULL) {
			free(found);
			return NULL;
		}
		while (k < *len && found[k] != node)
			k++;
		found[k] = node;
		*len += k == *len;
	}
	return found;
}

int request_node_named(struct request *r, struct node **node, struct err *err)
{
	struct str_list names CLEANUP_STR_LIST = {0};

	*node = NULL;
	names_of(r, NULL, &names);
	if (names.len == 0)
		return 0;
	if (names.len > 1)
		return err_set(err, ERR_INVALID,
			"this call is for one node, and the request names %zu", names.len);
	*node = request_node(r, names.items[0], err);
	return *node != NULL ? 0 : -1;
}

struct node *request_any_node(struct request *r, struct err *err)
{
	static const struct placement anywhere = {
		.want = {.id = "", .swarm_id = "", .name = "", .image = "", .image_id = ""}};
	struct node *node;

	if (request_node_named(r, &node, err) != 0 || node != NULL)
		return node;
	return scheduler_pick(
		r->api->config.scheduler, r->api->config.cluster, &anywhere, NULL, err);
}

void request_warn_unhealthy(const struct request *r, struct http_headers *headers)
{
	struct node *const *nodes;
	size_t len, names = 0;
	struct buf out CLEANUP_BUF;

	nodes = cluster_nodes(r->api->config.cluster, &len);
	buf_init(&out, 4096);
	for (size_t i = 0; i < len; i++) {
		const struct node_view *view = node_view(nodes[i]);

		if (node_state(nodes[i]) == NODE_HEALTHY)
			continue;
		if (names++ < WARN_NAMES_MAX)
			buf_printf(
				&out, "%s%s (%s)", names > 1 ? ", " : "", view->name, view->addr);
	}
	if (names == 0)
		return;
	if (names > WARN_NAMES_MAX)
		buf_printf(&out, " and %zu more", names - WARN_NAMES_MAX);
	request_warn(
		headers, "what is on nodes that do not answer may have changed: %s", buf_str(&out));
}
