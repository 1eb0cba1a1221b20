/* The scheduler over the nodes of a cluster. */
#include "cluster/cluster.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

struct node *scheduler_pick(struct scheduler *scheduler, const struct cluster *cluster,
	const struct placement *placement, const struct str_list *excluded, struct err *err)
{
	size_t len;
	struct node *const *nodes = cluster_nodes(cluster, &len);
	const struct node_view **views = xcalloc(len + 1, sizeof(const struct node_view *));
	ssize_t chosen;

	for (size_t i = 0; i < len; i++)
		views[i] = node_view(nodes[i]);
	chosen = scheduler_select(scheduler, views, len, placement, excluded, err);
	free(views);
	return chosen < 0 ? NULL : nodes[chosen];
}

struct reservation *scheduler_place(struct scheduler *scheduler, struct cluster *cluster,
	const struct create_request *request, const struct str_list *excluded, struct err *err)
{
	const struct placement *placement = create_request_placement(request);
	struct node *node = scheduler_pick(scheduler, cluster, placement, excluded, err);

	return node == NULL ? NULL : cluster_reserve(cluster, node, &placement->want, err);
}
