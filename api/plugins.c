/* Plugins belong to one engine each: the list is of all nodes, every other call is for the node
 * that it names. */
#include "api/fanout.h"
#include "lib/str.h"

#include <string.h>

#define LIST_MAX (16 * 1024 * 1024)
#define LIST_TIMEOUT_MS (30 * 1000)

/* ---- The list ---- */

static void list_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	json_t *all;

	(void)arg;
	if (fanout_all_failed(r, replies, len))
		return;
	all = json_array();
	for (size_t i = 0; i < len; i++) {
		json_t *list CLEANUP_JSON = fanout_json(&replies[i]);
		json_t *plugin;
		size_t k;

		json_array_foreach (list, k, plugin) {
			const char *name = json_str(plugin, "Name", NULL);

			if (name == NULL)
				continue;
			json_object_set_new(
				plugin, "Name", json_sprintf("%s/%s", replies[i].name, name));
			json_array_append(all, plugin);
		}
	}
	fanout_reply_json(r, all, replies, len);
}

void plugins_list(struct request *r)
{
	const struct fanout_spec spec = {
		.method = "GET",
		.path = "/plugins",
		.reply_max = LIST_MAX,
		.timeout_ms = LIST_TIMEOUT_MS,
		.done = list_done,
	};

	fanout_to_named(r, &spec);
}

/* ---- Which node ---- */

/* The node that the name begins with, and the rest of the name. Plugins' own names have slashes
 * ("vieux/sshfs"), so a first part that is no node belongs to the name. NULL in *node: none. */
static int node_of_name(
	struct request *r, const char *name, struct node **node, const char **rest, struct err *err)
{
	const char *slash = strchr(name, '/');
	char *first CLEANUP_FREE = NULL;

	*node = NULL;
	*rest = name;
	if (slash == NULL)
		return 0;
	first = xstrndup(name, (size_t)(slash - name));
	*node = cluster_node_find(r->api->config.cluster, first);
	if (*node == NULL)
		return 0;
	*rest = slash + 1;
	if (node_state(*node) == NODE_HEALTHY)
		return 0;
	return err_set(err, ERR_UNAVAILABLE, "node %s (%s) is %s: %s", node_view(*node)->name,
		node_view(*node)->addr, node_state_name(node_state(*node)), node_error(*node));
}

/* The node that a call about this plugin is for: named by header or parameter, by the name, or the
 * only one there is. NULL: the error was sent. */
static struct node *plugin_node(struct request *r, const char *name, const char **rest)
{
	struct err err = ERR_INIT;
	struct node *node;
	struct node *const *all;
	size_t len;

	*rest = name;
	if (request_node_named(r, &node, &err) != 0)
		goto fail;
	/* The node's name may be said twice. */
	if (node != NULL) {
		size_t part = strlen(node_view(node)->name);

		if (str_has_prefix(name, node_view(node)->name) && name[part] == '/')
			*rest = name + part + 1;
		return node;
	}
	if (node_of_name(r, name, &node, rest, &err) != 0)
		goto fail;
	if (node != NULL)
		return node;
	all = cluster_nodes(r->api->config.cluster, &len);
	if (len == 1 && node_state(all[0]) == NODE_HEALTHY)
		return all[0];
	err_set(&err, len > 1 ? ERR_INVALID : ERR_NO_NODE, "%s",
		len > 1 ? "a plugin is one node's: name the node as in \"node/plugin\", or by the "
			  "header X-Swarm-Node"
			: "No healthy node available in the cluster");
fail:
	request_fail(r, &err);
	return NULL;
}

static void set_query(struct request *r, char *query_take)
{
	free(r->raw_query);
	r->raw_query = query_take;
}

/* ---- One plugin ---- */

void plugin_call(struct request *r)
{
	const char *name, *action = request_action(r);
	struct node *node = plugin_node(r, r->name, &name);
	char *encoded CLEANUP_FREE = NULL;

	if (node == NULL)
		return;
	encoded = str_url_encode(name, strlen(name));
	set_query(r, request_nodes_query(r, NULL));
	forward_streamed(
		r, node, xasprintf("/plugins/%s%.*s", encoded, (int)strcspn(action, "?"), action));
}

/* The query with this name, which tells no node any more. */
static char *query_with_name(const struct request *r, const char *name)
{
	struct buf out;

	buf_init(&out, strlen(r->raw_query) * 8 + 256);
	for (size_t i = 0; i < r->query_len; i++) {
		const char *key = r->query[i].name;

		if (!str_eq(key, "node") && !str_eq(key, "name"))
			request_query_add(&out, key, r->query[i].value);
	}
	if (name[0] != '\0')
		request_query_add(&out, "name", name);
	return buf_take(&out);
}

/* Pull and create: the plugin's name is a parameter (of a pull an alias, which may be missing). */
void plugin_add(struct request *r)
{
	const char *given = request_query(r, "name"), *name, *action = request_action(r);
	struct node *node = plugin_node(r, given != NULL ? given : "", &name);

	if (node == NULL)
		return;
	set_query(r, query_with_name(r, name));
	forward_streamed(r, node, xasprintf("/plugins%.*s", (int)strcspn(action, "?"), action));
}

/* What a plugin in a registry asks for: any node can look. */
void plugin_privileges(struct request *r)
{
	struct err err = ERR_INIT;
	struct node *node = request_any_node(r, &err);

	if (node == NULL) {
		request_fail(r, &err);
		return;
	}
	set_query(r, request_nodes_query(r, NULL));
	forward_streamed(r, node, xstrdup("/plugins/privileges"));
}
