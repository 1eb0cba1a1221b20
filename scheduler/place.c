/* The scheduler over the nodes of a cluster. */
#include "cluster/cluster.h"
#include "lib/json.h"
#include "lib/str.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <string.h>

/* ---- What only some nodes have ---- */

static int by_text(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;

	return strcmp(*a, *b);
}

/* Takes the nodes' array. Nothing is needed when no node has it, or all can reach it. */
static void need_add(struct view_need *needs, size_t *len, const char *option, const char *name,
	struct node **nodes_take, size_t nodes_len)
{
	const char **ids = NULL;

	if (nodes_len > 0) {
		ids = xcalloc(nodes_len, sizeof(const char *));
		for (size_t i = 0; i < nodes_len; i++)
			ids[i] = node_view(nodes_take[i])->id;
		qsort(ids, nodes_len, sizeof(const char *), by_text);
		needs[(*len)++] = (struct view_need){
			.option = option, .name = name, .nodes = ids, .nodes_len = nodes_len};
	}
	free(nodes_take);
}

/* The needs of a placement in this cluster, now; to be freed with needs_free. */
static struct view_need *needs_new(
	const struct cluster *cluster, const struct placement *p, size_t *len)
{
	struct view_need *needs = xcalloc(p->volumes_len + p->networks_len + 1, sizeof(*needs));

	*len = 0;
	for (size_t i = 0; i < p->volumes_len; i++) {
		size_t nodes_len;
		struct node **nodes = cluster_volume_nodes(cluster, p->volumes[i], &nodes_len);

		need_add(needs, len, "--volume", p->volumes[i], nodes, nodes_len);
	}
	for (size_t i = 0; i < p->networks_len; i++) {
		size_t nodes_len;
		struct node **nodes = cluster_network_nodes(cluster, p->networks[i], &nodes_len);

		need_add(needs, len, "--net", p->networks[i], nodes, nodes_len);
	}
	return needs;
}

static void needs_free(struct view_need *needs, size_t len)
{
	for (size_t i = 0; i < len; i++)
		free((void *)(uintptr_t)needs[i].nodes);
	free(needs);
}

/* ---- A node ---- */

struct node *scheduler_pick(struct scheduler *scheduler, const struct cluster *cluster,
	const struct placement *placement, const struct str_list *excluded, struct err *err)
{
	size_t len;
	struct node *const *nodes = cluster_nodes(cluster, &len);
	const struct node_view **views = xcalloc(len + 1, sizeof(const struct node_view *));
	struct placement here = *placement;
	struct view_need *needs = needs_new(cluster, placement, &here.needs_len);
	ssize_t chosen;

	here.needs = needs;
	for (size_t i = 0; i < len; i++)
		views[i] = node_view(nodes[i]);
	chosen = scheduler_select(scheduler, views, len, &here, excluded, err);
	needs_free(needs, here.needs_len);
	free(views);
	return chosen < 0 ? NULL : nodes[chosen];
}

static int pointer_cmp(const void *left, const void *right)
{
	uintptr_t a = (uintptr_t) * (const struct node_view *const *)left;
	uintptr_t b = (uintptr_t) * (const struct node_view *const *)right;

	return a < b ? -1 : a > b;
}

/* What was built here, and not pulled from a registry, is one node's, and a tag that was built
 * again elsewhere means the last one: the creation time of those that count then, else -1. Copies
 * of a registry's image count alike, however old: a newer one on one node is no reason to go there.
 */
static int64_t newest_build(struct image *const *images, size_t len)
{
	const struct image *newest = NULL;
	bool differ = false;

	for (size_t i = 0; i < len; i++) {
		differ |= !str_eq(images[i]->view.id, images[0]->view.id);
		if (newest == NULL || json_int(images[i]->json, "Created", 0) >
					      json_int(newest->json, "Created", 0))
			newest = images[i];
	}
	if (!differ || json_array_size(json_arr(newest->json, "RepoDigests")) > 0)
		return -1;
	return json_int(newest->json, "Created", 0);
}

/* The nodes that hold the image, else the one that is to get it; an array to be freed. They come by
 * the index of names, so that nothing is looked up on each node. */
static const struct node_view **preferred_nodes(
	const struct cluster *cluster, const struct create_request *request, size_t *len)
{
	size_t images_len = 0;
	struct image **images =
		cluster_images_named(cluster, create_request_image(request), &images_len, NULL);
	const struct node *wanted =
		images_len == 0 ? cluster_node_find(cluster, create_request_preferred_node(request))
				: NULL;
	const struct node_view **views = xcalloc(images_len + 1, sizeof(const struct node_view *));
	int64_t created = newest_build(images, images_len);
	size_t nodes_len;

	(void)cluster_nodes(cluster, &nodes_len);
	*len = 0;
	for (size_t i = 0; i < images_len; i++) {
		if (created < 0 || json_int(images[i]->json, "Created", 0) == created)
			views[(*len)++] = node_view(images[i]->node);
	}
	/* What every node has draws to none of them. */
	if (*len == nodes_len)
		*len = 0;
	if (wanted != NULL)
		views[(*len)++] = node_view(wanted);
	qsort(views, *len, sizeof(const struct node_view *), pointer_cmp);
	free(images);
	return views;
}

struct reservation *scheduler_place(struct scheduler *scheduler, struct cluster *cluster,
	const struct create_request *request, const struct str_list *excluded, struct err *err)
{
	struct placement placement = *create_request_placement(request);
	const struct node_view **preferred =
		preferred_nodes(cluster, request, &placement.preferred_len);
	struct node *node;

	placement.preferred = preferred;
	node = scheduler_pick(scheduler, cluster, &placement, excluded, err);
	free(preferred);
	return node == NULL ? NULL : cluster_reserve(cluster, node, &placement.want, err);
}
