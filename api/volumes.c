/* Volumes, as the inventory knows them: local ones carry their node's name. One is made on one
 * node, and what uses it follows it (the filter `dependency`); with swarm.volumes=all, on every
 * node. */
#include "api/fanout.h"
#include "api/listing.h"
#include "api/making.h"
#include "api/paced.h"
#include "lib/str.h"

#include <string.h>

/* For one engine's answer: drivers may have to make a disk. */
#define VOLUME_TIMEOUT_MS (120 * 1000)

static bool is_local(const struct volume *volume)
{
	return str_eq(volume->scope, "local");
}

static bool is_usable(const struct volume *volume, const struct node *node, struct err *err)
{
	const struct node_view *view = node_view(node);

	if (node_state(node) == NODE_HEALTHY)
		return true;
	err_set(err, ERR_UNAVAILABLE, "volume %s is on unhealthy node %s (%s): %s", volume->name,
		view->name, view->addr, node_error(node));
	return false;
}

/* Any of the copies that swarm.volumes=all made; NULL when none is on a healthy node. */
static struct volume *any_copy(struct request *r)
{
	size_t len;
	struct node **nodes = cluster_volume_nodes(r->api->config.cluster, r->name, &len);
	struct volume *volume = NULL;

	for (size_t i = 0; i < len && volume == NULL; i++) {
		if (node_state(nodes[i]) == NODE_HEALTHY)
			volume = cluster_volume_on(nodes[i], r->name);
	}
	free(nodes);
	return volume;
}

/* The one that {name} stands for, on the node that the request names by its header, if it does;
 * NULL with err. has_copies: the name alone is not enough, and swarm.volumes=all made it so. */
static struct volume *find_volume(struct request *r, bool *has_copies, struct err *err)
{
	struct node *node;
	struct volume *volume;

	*has_copies = false;
	if (request_node_named(r, &node, err) != 0)
		return NULL;
	if (node == NULL) {
		volume = cluster_volume_find(r->api->config.cluster, r->name, err);
		*has_copies = volume == NULL && err->code == ERR_INVALID &&
			      r->api->config.volumes_everywhere;
		return volume;
	}
	volume = cluster_volume_on(node, r->name);
	if (volume == NULL)
		err_set(err, ERR_NOT_FOUND, "get %s: no such volume on node %s", r->name,
			node_view(node)->name);
	return volume;
}

static char *volume_path(const char *name)
{
	char *encoded CLEANUP_FREE = str_url_encode(name, strlen(name));

	return xasprintf("/volumes/%s", encoded);
}

/* ---- The list ---- */

static char *use_key(const struct node *node, const char *name)
{
	return xasprintf("%s/%s", node_view(node)->id, name);
}

/* Those that are stopped too. Their lists hold the mount points as well, which are no names. */
static void use_volumes(struct listing *listing, const struct container *container)
{
	for (size_t i = 0; i < container->volumes.len; i++) {
		char *key CLEANUP_FREE = use_key(container->node, container->volumes.items[i]);

		listing_used(listing, key);
	}
}

static bool allows_use(const struct listing *listing, const struct volume *volume)
{
	char *key CLEANUP_FREE = NULL;

	if (listing->used == NULL)
		return true;
	key = use_key(volume->node, volume->name);
	return listing_allows_use(listing, key);
}

static bool is_listed(const struct listing *listing, const struct volume *volume)
{
	const json_t *filters = listing->filters;

	return listing_allows(listing, volume->node, volume->name, NULL) &&
	       filters_allow(filters, "driver", volume->driver) &&
	       filters_allow_labels_of(filters, volume->text) && allows_use(listing, volume);
}

/* The entry for a reply in pieces; the name tells the node. */
static json_t *list_entry(const struct volume *volume)
{
	char *full CLEANUP_FREE = NULL;
	json_t *entry CLEANUP_JSON = NULL;

	if (!is_local(volume))
		return entry_json(volume->text);
	full = xasprintf("%s/%s", node_view(volume->node)->name, volume->name);
	entry = entry_json(volume->text);
	return paced_row_named(entry, full);
}

static json_t *volumes_listed(const struct listing *listing)
{
	json_t *list = json_array(), *seen CLEANUP_JSON = json_object();
	struct node *const *nodes;
	size_t nodes_len;

	nodes = cluster_nodes(listing->r->api->config.cluster, &nodes_len);
	for (size_t i = 0; i < nodes_len; i++) {
		size_t len;
		struct volume *const *volumes = node_volumes(nodes[i], &len);

		for (size_t k = 0; k < len && node_state(nodes[i]) == NODE_HEALTHY; k++) {
			if (!is_listed(listing, volumes[k]))
				continue;
			/* One that every node can reach is told by each, and listed once. */
			if (!is_local(volumes[k])) {
				if (json_object_get(seen, volumes[k]->name) != NULL)
					continue;
				json_object_set_new(seen, volumes[k]->name, json_true());
			}
			json_array_append_new(list, list_entry(volumes[k]));
		}
	}
	return list;
}

void volumes_list(struct request *r)
{
	static const char *const known[] = {"dangling", "driver", "label", "name", "node", NULL};
	struct listing listing;

	if (listing_init(&listing, r, known, use_volumes) != 0)
		return;
	listing_reply(
		&listing, json_pack("{s:o,s:[]}", "Volumes", volumes_listed(&listing), "Warnings"));
	listing_free(&listing);
}

/* ---- One volume ---- */

static void forward_to(
	struct request *r, const struct volume *volume, struct node *node, unsigned parts)
{
	struct forward_spec spec = {
		.node = node, .parts = parts, .parts_everywhere = !is_local(volume)};
	struct err err = ERR_INIT;

	if (!is_usable(volume, node, &err)) {
		request_fail(r, &err);
		return;
	}
	spec.path_take = volume_path(volume->name);
	forward_collected(r, &spec);
}

void volume_inspect(struct request *r)
{
	struct err err = ERR_INIT;
	bool has_copies;
	struct volume *volume = find_volume(r, &has_copies, &err);

	/* One copy is as good as another. */
	if (has_copies)
		volume = any_copy(r);
	if (volume == NULL)
		request_fail(r, &err);
	else
		forward_to(r, volume, volume->node, 0);
}

void volume_update(struct request *r)
{
	struct err err = ERR_INIT;
	bool has_copies;
	struct volume *volume = find_volume(r, &has_copies, &err);

	if (volume == NULL)
		request_fail(r, &err);
	else
		forward_to(r, volume, volume->node, NODE_VOLUMES);
}

/* ---- On every node ---- */

static bool is_good(const struct fanout_reply *reply)
{
	return reply->status >= 200 && reply->status < 300;
}

/* One node's answer for all; what failed on others goes with it. */
static void everywhere_reply(struct request *r, const struct fanout_reply *chosen,
	const struct fanout_reply *replies, size_t len)
{
	struct http_headers headers = {0};

	for (size_t i = 0; i < len; i++) {
		if (!is_good(&replies[i]))
			fanout_warn(&headers, &replies[i]);
	}
	if (chosen->status == 0) {
		request_fail(r, &chosen->err);
	} else {
		http_headers_set(&headers, "Content-Type", "application/json");
		exchange_reply(r->x, chosen->status, &headers, chosen->body, chosen->len);
	}
	http_headers_free(&headers);
}

/* The first that is good, or that is not; else the first of all. No nodes: the error is sent. */
static void everywhere_done(
	struct request *r, const struct fanout_reply *replies, size_t len, bool wanted)
{
	size_t chosen = 0;

	if (len == 0) {
		exchange_reply_error(r->x, 503, "No healthy node available in the cluster");
		return;
	}
	while (chosen < len && is_good(&replies[chosen]) != wanted)
		chosen++;
	everywhere_reply(r, &replies[chosen < len ? chosen : 0], replies, len);
}

/* It is there when one node has it. */
static void created_everywhere(
	struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	(void)arg;
	everywhere_done(r, replies, len, true);
}

/* It is gone when no node has it any more. */
static void removed_everywhere(
	struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	(void)arg;
	everywhere_done(r, replies, len, false);
}

static void create_everywhere(struct making *m)
{
	struct fanout_spec spec = {
		.method = "POST",
		.path = "/volumes/create",
		.query = m->r->raw_query,
		.reply_max = API_REPLY_MAX,
		.timeout_ms = VOLUME_TIMEOUT_MS,
		.parts = NODE_VOLUMES,
		.done = created_everywhere,
	};
	char *text CLEANUP_FREE = NULL;
	char name[65];
	size_t len;
	struct node **nodes = request_healthy_nodes(m->r, &len);

	/* Each engine would make up a name of its own. */
	if (m->name[0] == '\0') {
		str_random_hex(name, sizeof(name) - 1);
		json_put(m->body, "Name", json_string(name));
	}
	text = json_text(m->body, &spec.body_len);
	spec.body = text;
	fanout(m->r, nodes, len, &spec);
	free(nodes);
}

static void remove_everywhere(struct request *r)
{
	char *path CLEANUP_FREE = volume_path(r->name);
	struct fanout_spec spec = {
		.method = "DELETE",
		.path = path,
		.query = r->raw_query,
		.reply_max = API_REPLY_MAX,
		.timeout_ms = VOLUME_TIMEOUT_MS,
		.parts = NODE_VOLUMES,
		.done = removed_everywhere,
	};
	size_t len, asked = 0;
	struct node **nodes = cluster_volume_nodes(r->api->config.cluster, r->name, &len);

	for (size_t i = 0; i < len; i++) {
		if (node_state(nodes[i]) == NODE_HEALTHY)
			nodes[asked++] = nodes[i];
	}
	fanout(r, nodes, asked, &spec);
	free(nodes);
}

/* ---- Create and remove ---- */

/* The node that has a volume of that name already: its engine answers as it does for what exists. A
 * name that is nowhere goes where the scheduler says. */
static struct node *create_node(struct making *m, struct err *err)
{
	struct cluster *cluster = m->r->api->config.cluster;
	struct volume *volume;
	struct node **promised;
	struct node *node = NULL;
	size_t len;

	if (m->node != NULL || m->name[0] == '\0')
		return making_choose(m, NULL, err);
	volume = cluster_volume_find(cluster, m->name, err);
	if (volume != NULL)
		return is_usable(volume, volume->node, err) ? volume->node : NULL;
	if (err->code != ERR_NOT_FOUND)
		return NULL;
	/* Another request may be making it at this moment. */
	promised = cluster_volume_nodes(cluster, m->name, &len);
	if (len > 0 && node_state(promised[0]) == NODE_HEALTHY)
		node = promised[0];
	free(promised);
	*err = (struct err)ERR_INIT;
	return node != NULL ? node : making_choose(m, NULL, err);
}

static void create_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;
	struct making *m = making_new(r, PROMISE_VOLUME);
	struct err err = ERR_INIT;
	struct node *node;

	(void)x;
	(void)body;
	(void)len;
	if (m == NULL)
		return;
	if (r->api->config.volumes_everywhere && m->node == NULL) {
		create_everywhere(m);
		return;
	}
	node = create_node(m, &err);
	if (node == NULL)
		request_fail(r, &err);
	else
		making_send(m, node, false);
}

void volume_create(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, create_body, r);
}

static bool is_used_on(const struct node *node, const char *name)
{
	struct container *const *containers;
	size_t len;

	containers = node_containers(node, &len);
	for (size_t i = 0; i < len; i++) {
		if (str_list_has(&containers[i]->volumes, name))
			return true;
	}
	return false;
}

/* The node whose engine is to remove it. Of one that nodes share each engine knows its own
 * containers alone, and would have the driver remove what another one uses: so one that must
 * refuse. */
static struct node *removing_node(const struct request *r, const struct volume *volume)
{
	struct node *const *nodes;
	size_t len;

	if (is_local(volume))
		return volume->node;
	nodes = cluster_nodes(r->api->config.cluster, &len);
	for (size_t i = 0; i < len; i++) {
		if (is_used_on(nodes[i], volume->name))
			return nodes[i];
	}
	return volume->node;
}

void volume_remove(struct request *r)
{
	struct err err = ERR_INIT;
	bool has_copies;
	struct volume *volume = find_volume(r, &has_copies, &err);

	if (volume != NULL) {
		forward_to(r, volume, removing_node(r, volume), NODE_VOLUMES);
	} else if (has_copies) {
		remove_everywhere(r);
	} else if (err.code == ERR_NOT_FOUND && request_query_bool(r, "force")) {
		/* As an engine: what is not there need not be removed. */
		exchange_reply(r->x, 204, NULL, "", 0);
	} else {
		request_fail(r, &err);
	}
}
