/* What the engines of a cluster tell of themselves, as one. Inside api/ only. */
#ifndef API_INFO_MERGE_H
#define API_INFO_MERGE_H

#include "cluster/cluster.h"

/* A new object: the fields of an engine's /info that clients read and that are no sums, over the
 * healthy nodes among these. What one engine can do and another cannot, the cluster cannot; lists
 * hold what any has; texts that differ stand side by side. Each field is there, so that no client
 * misses one, but Architecture, which is missing where engines differ. */
json_t *info_merge(struct node *const *nodes, size_t len);

#endif
