/* Which filters of the container list an index can answer. Inside api/ only. */
#ifndef API_CONTAINER_FIND_H
#define API_CONTAINER_FIND_H

#include "cluster/cursor.h"

/* Adds to the set all containers that this filter lets pass, and maybe others. False when no index
 * can tell, or when they are many: then nothing is said of the set. */
typedef bool container_find_fn(
	const struct cluster *cluster, const char *value, struct container_set *set);
container_find_fn container_find_id, container_find_name, container_find_label, container_find_node;

/* True for "node/name", "^/node/name": a node's own name is no part of the container's. */
bool container_pattern_names_node(const char *pattern);

/* The images that `ancestor` names, an array to be freed with free(). Without a tag it is the
 * latest, or else an ID: unlike in other calls, no other tag. */
struct image **container_find_ancestors(
	const struct cluster *cluster, const char *text, size_t *len);
/* The ID of the image that this one was made from, as any node knows it. Owned by the caller, NULL
 * at a base. */
char *container_find_parent(const struct cluster *cluster, const char *id);

#endif
