/* What engines measure of the containers in a list: two numbers for each. Inside api/ only. */
#ifndef API_CONTAINER_SIZES_H
#define API_CONTAINER_SIZES_H

#include "api/api_priv.h"

#define SIZES_NAMED_MAX 100 /* containers that an engine is asked for by ID */

struct container_sizes;
struct container_sizes *container_sizes_new(void);
void container_sizes_free(struct container_sizes *sizes);

/* Adds a container that is to be measured. Its node lives as long as sizes. */
void container_sizes_add(struct container_sizes *sizes, const struct container *container);
/* The healthy nodes that have some of them; an array to be freed with free(). */
struct node **container_sizes_nodes(const struct container_sizes *sizes, size_t *len);
/* The query for one of these (owned by the caller): measuring takes an engine long, so it is asked
 * for those alone that were added; for all when they are too many to name. */
char *container_sizes_query(const struct container_sizes *sizes, const struct node *node);
/* What the node answered, an array of rows; others than those that were added are left out. */
void container_sizes_read(
	struct container_sizes *sizes, const struct node *node, const json_t *rows);
/* 0 for what is not known. */
void container_sizes_get(const struct container_sizes *sizes, const struct container *container,
	int64_t *rw, int64_t *root_fs);

#endif
