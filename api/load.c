/* Images as archives: loaded on every node, or those named; saved from one that holds them all. */
#include "api/broadcast.h"
#include "lib/str.h"

#include <string.h>

void images_load(struct request *r)
{
	static const struct broadcast_spec spec = {.path = "/images/load", .parts = NODE_IMAGES};
	struct err err = ERR_INIT;
	struct node **nodes;
	size_t len;

	nodes = request_nodes(r, NULL, &len, &err);
	if (nodes == NULL) {
		request_fail(r, &err);
		return;
	}
	if (len == 1)
		forward_streamed_then(r, nodes[0], xstrdup(spec.path), spec.parts);
	else
		broadcast(r, nodes, len, &spec);
	free(nodes);
}

/* ---- Save ---- */

static int by_node(const void *a, const void *b)
{
	uintptr_t left = (uintptr_t)(*(struct image *const *)a)->node;
	uintptr_t right = (uintptr_t)(*(struct image *const *)b)->node;

	return (left > right) - (left < right);
}

/* Takes those out of nodes that have none of the images; how many are left. */
static size_t keep_holders(
	struct node **nodes, size_t len, struct image **images, size_t images_len)
{
	size_t kept = 0;

	if (images_len > 0)
		qsort(images, images_len, sizeof(struct image *), by_node);
	for (size_t i = 0; i < len; i++) {
		const struct image key = {.node = nodes[i]}, *wanted = &key;

		if (images_len > 0 && bsearch(&wanted, images, images_len, sizeof(struct image *),
					      by_node) != NULL)
			nodes[kept++] = nodes[i];
	}
	return kept;
}

/* The nodes that hold every image named, healthy ones first; NULL at the end. To be freed with
 * free(). only: no other than this one; NULL = any. */
static struct node **holders_of_all(
	struct request *r, const struct str_list *names, const struct node *only)
{
	struct cluster *cluster = r->api->config.cluster;
	struct node **holders;
	size_t len = 0, found_len;
	struct image **found = cluster_images_find(cluster, names->items[0], &found_len);

	holders = xcalloc(found_len + 1, sizeof(struct node *));
	for (size_t i = 0; i < found_len; i++) {
		if (only == NULL || found[i]->node == only)
			holders[len++] = found[i]->node;
	}
	free(found);
	for (size_t i = 1; i < names->len && len > 0; i++) {
		found = cluster_images_find(cluster, names->items[i], &found_len);
		len = keep_holders(holders, len, found, found_len);
		free(found);
	}
	holders[len] = NULL;
	return holders;
}

static void refuse_save(
	struct request *r, const struct str_list *names, struct node *const *unhealthy)
{
	struct buf text CLEANUP_BUF;

	buf_init(&text, 64 * 1024);
	for (size_t i = 0; i < names->len; i++)
		buf_printf(&text, "%s%s", i > 0 ? " " : "", names->items[i]);
	if (unhealthy[0] == NULL) {
		if (names->len == 1)
			exchange_reply_error(r->x, 404, "No such image: %s", buf_str(&text));
		else
			exchange_reply_error(r->x, 404,
				"Unable to find a healthy engine containing all images: [%s]",
				buf_str(&text));
		return;
	}
	buf_printf(&text, "%s", names->len > 1 ? " are" : " is");
	for (size_t i = 0; unhealthy[i] != NULL; i++)
		buf_printf(&text, "%s %s", i > 0 ? "," : " only on unhealthy node",
			node_view(unhealthy[i])->name);
	exchange_reply_error(r->x, 503, "image %s", buf_str(&text));
}

static void save(struct request *r, const struct str_list *names, char *path_take)
{
	char *path CLEANUP_FREE = path_take;
	struct node **holders CLEANUP_FREE = NULL;
	struct node *only;
	struct err err = ERR_INIT;

	if (request_node_named(r, &only, &err) != 0) {
		request_fail(r, &err);
		return;
	}
	holders = holders_of_all(r, names, only);
	if (holders[0] == NULL || node_state(holders[0]) != NODE_HEALTHY)
		refuse_save(r, names, holders);
	else
		forward_streamed(r, holders[0], TAKE_PTR(path));
}

void image_save(struct request *r)
{
	struct str_list names CLEANUP_STR_LIST = {0};
	char *encoded CLEANUP_FREE = str_url_encode(r->name, strlen(r->name));

	str_list_add(&names, r->name);
	save(r, &names, xasprintf("/images/%s/get", encoded));
}

/* names= once for each; written anew, so that the engine sees the images that were looked up. */
void images_save(struct request *r)
{
	struct str_list names CLEANUP_STR_LIST = {0};
	struct buf query;

	buf_init(&query, 1024 * 1024);
	for (size_t i = 0; i < r->query_len; i++) {
		const struct query_item *item = &r->query[i];
		char *name CLEANUP_FREE = str_url_encode(item->name, strlen(item->name));
		char *value CLEANUP_FREE = str_url_encode(item->value, strlen(item->value));

		if (str_eq(item->name, "names"))
			str_list_add(&names, item->value);
		buf_printf(&query, "%s%s=%s", query.len > 0 ? "&" : "", name, value);
	}
	free(r->raw_query);
	r->raw_query = buf_take(&query);
	if (names.len == 0)
		exchange_reply_error(r->x, 400, "GET /images/get wants a parameter names");
	else
		save(r, &names, xstrdup("/images/get"));
}
