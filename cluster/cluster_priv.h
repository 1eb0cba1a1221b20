/* What the files of cluster/ share: the two structs, each with a data half (inventory.h) and a live
 * half (node states, synchronisation, events). Inside cluster/ only. */
#ifndef CLUSTER_CLUSTER_PRIV_H
#define CLUSTER_CLUSTER_PRIV_H

#include "cluster/cluster.h"
#include "cluster/inventory.h"

/* Live halves; each is defined where it is used. The data half never looks into them. */
struct cluster_live;
struct node_live;

struct cluster {
	struct inventory inventory;
	struct cluster_live *live;
};

struct node {
	struct cluster *cluster;
	unsigned refs; /* the inventory's, and one for each container record */
	struct node_inventory inventory;
	struct node_live *live; /* NULL while it is made, and after it was removed */
};

/* Who implements what of cluster.h. Data half: cluster_nodes, cluster_node_find, cluster_totals,
 * node_view, node_ip, node_cpus, node_running, node_paused, node_stopped, node_containers,
 * node_images, node_networks, node_volumes, container_*, cluster_container*, cluster_images_find,
 * cluster_network_find, cluster_volume_find, cluster_exec_*, everything of reservations. Live half:
 * the rest. */

#endif
