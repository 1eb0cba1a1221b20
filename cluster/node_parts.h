/* What a node has besides containers: its images, networks and volumes, each list replaced as a
 * whole. Inside the data half only. */
#ifndef CLUSTER_NODE_PARTS_H
#define CLUSTER_NODE_PARTS_H

#include "cluster/record.h"

/* One list of one node. */
struct inventory_part {
	const struct part_kind *kind;
	void **items; /* struct image *, struct network * or struct volume * */
	size_t len;
	const struct image_view **views; /* of images */
	struct inventory_part *next_grave;
};

struct part_kind {
	const char *name;
	/* The array within the engine's answer, a missing one = an empty one. False: the answer is
	 * none. */
	bool (*entries)(struct json_ref answer, struct json_ref *entries);
	/* NULL when the entry is bad. text: the entry as the item keeps it. */
	void *(*item_new)(struct node *node, struct json_ref entry, const struct buf *text);
	const char *(*text)(const void *item);
	void (*item_free)(struct inventory *inventory, void *item);
	void (*enter)(struct inventory *inventory, void *item);
	void (*leave)(struct inventory *inventory, void *item);
};
extern const struct part_kind part_images, part_networks, part_volumes;

/* images.c: the images of a node become or stop being part of the totals. */
void images_count(struct inventory *inventory, const struct inventory_part *part, bool is_added);

#endif
