#include "api/container_sizes.h"
#include "lib/hash.h"
#include "lib/str.h"

#include <string.h>

struct size {
	UT_hash_handle hh;
	int64_t rw, root_fs;
	char id[];
};

struct sized_node {
	UT_hash_handle hh;
	struct node *node;
	struct size *sizes;
};

struct container_sizes {
	struct sized_node *nodes;
};

struct container_sizes *container_sizes_new(void)
{
	return xcalloc(1, sizeof(struct container_sizes));
}

static void node_free(struct sized_node *of)
{
	struct size *size, *next;

	HASH_ITER (hh, of->sizes, size, next) {
		HASH_DEL(of->sizes, size);
		free(size);
	}
	free(of);
}

void container_sizes_free(struct container_sizes *sizes)
{
	struct sized_node *of, *next;

	if (sizes == NULL)
		return;
	HASH_ITER (hh, sizes->nodes, of, next) {
		HASH_DEL(sizes->nodes, of);
		node_free(of);
	}
	free(sizes);
}

static struct sized_node *find_node(const struct container_sizes *sizes, const struct node *node)
{
	struct sized_node *of;

	HASH_FIND_PTR(sizes->nodes, &node, of);
	return of;
}

static struct size *find(
	const struct container_sizes *sizes, const struct node *node, const char *id)
{
	struct sized_node *of = find_node(sizes, node);
	struct size *size = NULL;

	if (of != NULL)
		HASH_FIND_STR(of->sizes, id, size);
	return size;
}

void container_sizes_add(struct container_sizes *sizes, const struct container *container)
{
	struct sized_node *of = find_node(sizes, container->node);
	size_t len = strlen(container->view.id);
	struct size *size;

	if (of == NULL) {
		of = xcalloc(1, sizeof(*of));
		of->node = container->node;
		HASH_ADD_PTR(sizes->nodes, node, of);
	}
	HASH_FIND_STR(of->sizes, container->view.id, size);
	if (size != NULL)
		return;
	size = xcalloc(1, sizeof(*size) + len + 1);
	memcpy(size->id, container->view.id, len);
	HASH_ADD_KEYPTR(hh, of->sizes, size->id, len, size);
}

struct node **container_sizes_nodes(const struct container_sizes *sizes, size_t *len)
{
	struct node **nodes = xcalloc(HASH_COUNT(sizes->nodes) + 1, sizeof(struct node *));
	const struct sized_node *of;

	*len = 0;
	for (of = sizes->nodes; of != NULL; of = of->hh.next) {
		if (node_state(of->node) == NODE_HEALTHY)
			nodes[(*len)++] = of->node;
	}
	return nodes;
}

char *container_sizes_query(const struct container_sizes *sizes, const struct node *node)
{
	const struct sized_node *of = find_node(sizes, node);
	json_t *ids = json_object(), *filters CLEANUP_JSON = json_pack("{s:o}", "id", ids);
	const struct size *size = of != NULL ? of->sizes : NULL;
	char *text CLEANUP_FREE = NULL, *encoded CLEANUP_FREE = NULL;

	for (; size != NULL; size = size->hh.next) {
		if (json_object_size(ids) == SIZES_NAMED_MAX)
			return xstrdup("all=1&size=1");
		json_object_set_new(ids, size->id, json_true());
	}
	text = json_text(filters, NULL);
	encoded = str_url_encode(text, strlen(text));
	return xasprintf("all=1&size=1&filters=%s", encoded);
}

void container_sizes_read(
	struct container_sizes *sizes, const struct node *node, const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
		struct size *size = find(sizes, node, json_str(row, "Id", ""));

		if (size == NULL)
			continue;
		size->rw = json_int(row, "SizeRw", 0);
		size->root_fs = json_int(row, "SizeRootFs", 0);
	}
}

void container_sizes_get(const struct container_sizes *sizes, const struct container *container,
	int64_t *rw, int64_t *root_fs)
{
	const struct size *size = find(sizes, container->node, container->view.id);

	*rw = size != NULL ? size->rw : 0;
	*root_fs = size != NULL ? size->root_fs : 0;
}
