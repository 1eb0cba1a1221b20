/* What a node has besides containers: its images, networks and volumes, each list replaced as a
 * whole. Inside the data half only. */
#ifndef CLUSTER_NODE_PARTS_H
#define CLUSTER_NODE_PARTS_H

#include "cluster/record.h"

/* One list of one node. */
struct inventory_part {
	const struct part_kind *kind;
	json_t *answer; /* held when the items' texts are its own, else NULL */
	void **items;   /* struct image *, struct network * or struct volume * */
	size_t len;
	const struct image_view **views; /* of images */
	struct inventory_part *next_grave;
};

struct part_kind {
	const char *name;
	/* The array within the engine's answer, NULL = an empty one. False: the answer is none. */
	bool (*entries)(const json_t *answer, const json_t **entries);
	/* NULL when the entry is bad. */
	void *(*item_new)(struct node *node, json_t *entry);
	/* The entry's text as the item keeps it. NULL = items keep the answer. */
	const char *(*text)(const void *item);
	void (*item_free)(void *item);
	void (*enter)(struct inventory *inventory, void *item);
	void (*leave)(struct inventory *inventory, void *item);
};
extern const struct part_kind part_images, part_networks, part_volumes;

/* images.c: the images of a node become or stop being part of the totals. */
void images_count(struct inventory *inventory, const struct inventory_part *part, bool is_added);

#endif
