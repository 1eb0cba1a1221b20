/* The scheduler over the nodes of a cluster. */
#include "cluster/cluster.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/metrics.h"
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
	struct placement here = *placement;
	struct view_need *needs = needs_new(cluster, placement, &here.needs_len);
	ssize_t chosen;

	here.needs = needs;
	chosen = scheduler_select(scheduler, cluster_fleet(cluster), NULL, &here, excluded, err);
	needs_free(needs, here.needs_len);
	return chosen < 0 ? NULL : cluster_node_at(cluster, (size_t)chosen);
}

/* A tag that was made again on another node while the cluster looked on means the last one: the
 * creation time of those that count then, else -1. What nodes had before counts alike, however old:
 * each may have made its own, and a newer one is no reason to go there. So do copies of a
 * registry's image. */
static int64_t newest_build(struct image *const *images, size_t len)
{
	const struct image *newest = NULL;
	bool differ = false;

	for (size_t i = 0; i < len; i++) {
		differ |= !str_eq(images[i]->view.id, images[0]->view.id);
		if (images[i]->is_made_here &&
			(newest == NULL || images[i]->created > newest->created))
			newest = images[i];
	}
	return !differ || newest == NULL || newest->has_digests ? -1 : newest->created;
}

/* The nodes that hold the image, when its name means more than one or is none; record by record. */
static void add_image_nodes(
	const struct cluster *cluster, const char *reference, struct bitset *out)
{
	size_t len = 0, chosen = 0;
	struct image **images = cluster_images_named(cluster, reference, &len, NULL);
	int64_t created = newest_build(images, len);

	for (size_t i = 0; i < len; i++) {
		if (created >= 0 && (!images[i]->is_made_here || images[i]->created != created))
			continue;
		bitset_add(out, node_slot(images[i]->node));
		chosen++;
	}
	if (chosen < len)
		log_info("%s is not the same image on each of %zu nodes, and those with the one "
			 "that was made last go first: nodes=%zu",
			reference, len, chosen);
	free(images);
}

/* The nodes that hold the image, else the one that is to get it. They come by the index of names,
 * so that nothing is looked up on each node. */
static void preferred_nodes(const struct cluster *cluster, const struct create_request *request,
	struct bitset *preferred)
{
	const char *reference = create_request_image(request);
	CLEANUP_FREE char *name = image_reference_familiar(reference);
	const struct node *wanted;

	if (fleet_add_image_named(cluster_fleet(cluster), name, preferred))
		return;
	add_image_nodes(cluster, reference, preferred);
	if (!bitset_is_empty(preferred))
		return;
	wanted = cluster_node_find(cluster, create_request_preferred_node(request));
	if (wanted != NULL)
		bitset_add(preferred, node_slot(wanted));
}

static enum metric outcome(const struct reservation *reservation, const struct err *err)
{
	if (reservation != NULL)
		return METRIC_PLACEMENTS_PLACED;
	if (err->code == ERR_NO_NODE)
		return METRIC_PLACEMENTS_NO_NODE;
	return err->code == ERR_CONFLICT ? METRIC_PLACEMENTS_CONFLICT : METRIC_PLACEMENTS_ERROR;
}

struct reservation *scheduler_place(struct scheduler *scheduler, struct cluster *cluster,
	const struct create_request *request, const struct str_list *excluded, struct err *err)
{
	struct placement placement = *create_request_placement(request);
	uint64_t start = metrics_now_ns();
	struct reservation *reservation = NULL;
	struct err failure = ERR_INIT;
	struct bitset preferred;
	struct node *node;

	bitset_init(&preferred, fleet_slots(cluster_fleet(cluster)));
	preferred_nodes(cluster, request, &preferred);
	placement.preferred = &preferred;
	placement.preferred_for = create_request_image(request);
	node = scheduler_pick(scheduler, cluster, &placement, excluded, &failure);
	bitset_release(&preferred);
	if (node != NULL)
		reservation = cluster_reserve(cluster, node, &placement.want, &failure);
	metrics_placement(metrics_now_ns() - start);
	metrics_inc(outcome(reservation, &failure));
	if (reservation == NULL && err != NULL)
		*err = failure;
	return reservation;
}
