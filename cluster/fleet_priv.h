/* The keeping of the fleet: called wherever something of the inventory comes or goes. Inside the
 * data half only. */
#ifndef CLUSTER_FLEET_PRIV_H
#define CLUSTER_FLEET_PRIV_H

#include "cluster/fleet.h"
#include "cluster/postings.h"

struct inventory;
struct node;

/* Its values are view.swarm_id, and not kept a second time. */
#define FLEET_SWARM_ID_LABEL "com.docker.swarm.id"

/* Embedded in struct inventory. */
struct fleet {
	const struct inventory *inventory;
	struct interned **strings; /* the inventory's */
	struct node **nodes;       /* by slot; NULL = free */
	struct fleet_load *loads;  /* by slot */
	size_t slots, slots_cap;
	uint32_t *order; /* beside inventory.nodes */
	uint32_t *ranks; /* by slot: its place in order */
	uint32_t *free_slots;
	size_t free_len;
	uint64_t stamp; /* last one given */
	struct bitset all, healthy, known;
	struct label_table node_labels, container_labels;
	struct label_table ports, exposed; /* "80/tcp" -> host addresses */
	struct label_table image_names;    /* "nginx:latest" -> IDs */
	struct text_table image_ids;
};

void fleet_init(struct fleet *fleet, struct inventory *inventory);
/* All nodes must have been removed. */
void fleet_release(struct fleet *fleet);

/* Gives a node its slot (node_inventory.slot), and takes it back; by then it must have nothing. */
void fleet_node_enter(struct fleet *fleet, struct node *node);
void fleet_node_leave(struct fleet *fleet, struct node *node);
/* Its place among the nodes, of which there were len before. */
void fleet_order_insert(struct fleet *fleet, const struct node *node, size_t at, size_t len);
void fleet_order_remove(struct fleet *fleet, size_t at, size_t len);
/* Its view says something else of its health, engine, ID or load. */
void fleet_node_changed(struct fleet *fleet, const struct node *node, bool has_new_id);

/* The texts must be the same when it goes as they were when it came. */
void fleet_labels_add(struct fleet *fleet, const struct node *node);
void fleet_labels_take(struct fleet *fleet, const struct node *node);
void fleet_container_add(
	struct fleet *fleet, const struct node *node, const struct container_view *view);
void fleet_container_take(
	struct fleet *fleet, const struct node *node, const struct container_view *view);
void fleet_image_add(struct fleet *fleet, const struct node *node, const struct image_view *image);
void fleet_image_take(struct fleet *fleet, const struct node *node, const struct image_view *image);

#endif
