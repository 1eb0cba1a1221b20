/* Calls about one image: what reads goes to a node that has it, what changes to every one. */
#include "api/fanout.h"
#include "lib/str.h"

#include <string.h>

/* From here on clients expect Size alone. */
#define MINOR_WITHOUT_VIRTUAL_SIZE 44

/* ---- Where it is ---- */

static int node_cmp(const void *left, const void *right)
{
	uintptr_t a = (uintptr_t) * (struct node *const *)left;
	uintptr_t b = (uintptr_t) * (struct node *const *)right;

	return a < b ? -1 : a > b;
}

/* Keeps of the images found (healthy nodes first) those on healthy nodes that the request names,
 * one for each node; all healthy ones when it names none. 0 left is an error. */
static int keep_asked(
	struct request *r, struct image **found, size_t *len, const char *key, struct err *err)
{
	size_t nodes_len, kept = 0;
	struct node **nodes = request_nodes(r, NULL, &nodes_len, err);
	struct node *first = found[0]->node;

	if (nodes == NULL)
		return -1;
	qsort(nodes, nodes_len, sizeof(struct node *), node_cmp);
	for (size_t i = 0; i < *len; i++) {
		if (bsearch(&found[i]->node, nodes, nodes_len, sizeof(struct node *), node_cmp) ==
			NULL)
			continue;
		if (kept == 0 || found[kept - 1]->node != found[i]->node)
			found[kept++] = found[i];
	}
	free(nodes);
	*len = kept;
	if (kept > 0)
		return 0;
	if (node_state(first) == NODE_HEALTHY)
		return err_set(
			err, ERR_NOT_FOUND, "No such image: %.512s on the node asked for", key);
	return err_set(err, ERR_UNAVAILABLE, "image %.512s is only on unhealthy node %s (%s): %s",
		key, node_view(first)->name, node_view(first)->addr, node_error(first));
}

/* The image that {name} stands for on each node that may be asked; an array to be freed. NULL: the
 * error was sent. */
static struct image **request_images(struct request *r, size_t *len)
{
	struct err err = ERR_INIT;
	struct image **found = cluster_images_named(r->api->config.cluster, r->name, len, &err);

	if (found != NULL && keep_asked(r, found, len, r->name, &err) == 0)
		return found;
	free(found);
	request_fail(r, &err);
	return NULL;
}

/* The IDs of the nodes behind the first that have the very same image. */
static void other_nodes(struct image *const *found, size_t len, struct str_list *others)
{
	for (size_t i = 1; i < len; i++) {
		if (str_eq(found[i]->view.id, found[0]->view.id))
			str_list_add(others, node_view(found[i]->node)->id);
	}
}

/* "/images/<name as asked for>/tag" */
static char *path_as_asked(const struct request *r, const char *suffix)
{
	char *name CLEANUP_FREE = str_url_encode(r->name, strlen(r->name));

	return xasprintf("/images/%s%s", name, suffix);
}

/* ---- Reading ---- */

/* Clients of older versions read VirtualSize, which engines that do not speak these leave out. */
static bool add_virtual_size(
	struct request *r, struct node *node, const struct reply *reply, struct buf *out, void *arg)
{
	json_t *json CLEANUP_JSON = NULL;

	(void)node;
	(void)arg;
	if (reply->status != 200 || r->minor >= MINOR_WITHOUT_VIRTUAL_SIZE)
		return false;
	json = json_parse(reply->body, reply->body_len, NULL);
	if (!json_is_object(json) || json_object_get(json, "VirtualSize") != NULL)
		return false;
	json_object_set_new(json, "VirtualSize", json_integer(json_int(json, "Size", 0)));
	json_append(out, json);
	return true;
}

static void forward_to_holder(struct request *r, const char *suffix, bool is_inspect)
{
	struct str_list others CLEANUP_STR_LIST = {0};
	struct forward_spec spec = {.others = &others};
	size_t len;
	struct image **found = request_images(r, &len);
	char *id CLEANUP_FREE = NULL;

	if (found == NULL)
		return;
	other_nodes(found, len, &others);
	id = str_url_encode(found[0]->view.id, strlen(found[0]->view.id));
	spec.node = found[0]->node;
	spec.path_take = xasprintf("/images/%s%s", id, suffix);
	spec.edit = is_inspect ? add_virtual_size : NULL;
	free(found);
	forward_collected(r, &spec);
}

void image_inspect(struct request *r)
{
	forward_to_holder(r, "/json", true);
}

void image_history(struct request *r)
{
	forward_to_holder(r, "/history", false);
}

void image_attestations(struct request *r)
{
	forward_to_holder(r, "/attestations", false);
}

/* Without a tag every tag of the repository is meant, and a node with any of them will do. */
static struct image **images_to_push(struct request *r, size_t *len, struct err *err)
{
	const char *tag = request_query(r, "tag");
	char *reference CLEANUP_FREE =
		str_is_empty(tag) ? xstrdup(r->name) : xasprintf("%s:%s", r->name, tag);
	struct image **found = cluster_images_find(r->api->config.cluster, reference, len);

	if (*len == 0)
		err_set(err, ERR_NOT_FOUND, "An image does not exist locally with the tag: %.512s",
			r->name);
	else if (keep_asked(r, found, len, reference, err) == 0)
		return found;
	free(found);
	return NULL;
}

void image_push(struct request *r)
{
	struct str_list others CLEANUP_STR_LIST = {0};
	struct err err = ERR_INIT;
	size_t len;
	struct image **found = images_to_push(r, &len, &err);
	struct node *node;

	if (found == NULL) {
		request_fail(r, &err);
		return;
	}
	other_nodes(found, len, &others);
	node = found[0]->node;
	free(found);
	forward_to_one_of(r, node, &others, path_as_asked(r, "/push"));
}

/* ---- Changing ---- */

/* Warnings of the reply; the exchange's. */
static void warnings_end(struct exchange *x, bool finished, void *arg)
{
	(void)x;
	(void)finished;
	http_headers_free(arg);
	free(arg);
}

/* One for each node that has the image and cannot be asked now. */
static struct http_headers *warnings_of(struct request *r)
{
	struct http_headers *warnings = xcalloc(1, sizeof(*warnings));
	size_t len = 0;
	struct image **found = cluster_images_named(r->api->config.cluster, r->name, &len, NULL);

	for (size_t i = 0; i < len; i++) {
		struct node *node = found[i]->node;
		struct fanout_reply none = {.node = node, .name = (char *)node_view(node)->name};

		if (node_state(node) == NODE_HEALTHY)
			continue;
		err_set(&none.err, ERR_UNAVAILABLE, "is %s, and was not asked",
			node_state_name(node_state(node)));
		fanout_warn(warnings, &none);
	}
	free(found);
	exchange_on_end(r->x, warnings_end, warnings);
	return warnings;
}

/* A change on every node that has the image. */
static void change_everywhere(struct request *r, const char *method, const char *suffix,
	void (*done)(struct request *r, struct fanout_reply *replies, size_t len, void *arg))
{
	size_t len;
	struct image **found = request_images(r, &len);
	char *path CLEANUP_FREE = path_as_asked(r, suffix);
	struct fanout_spec spec = {
		.method = method,
		.path = path,
		.query = r->raw_query,
		.reply_max = API_REPLY_MAX,
		.parts = NODE_IMAGES,
		.done = done,
	};
	struct node **nodes;

	if (found == NULL)
		return;
	spec.arg = warnings_of(r);
	nodes = xcalloc(len, sizeof(struct node *));
	for (size_t i = 0; i < len; i++)
		nodes[i] = found[i]->node;
	free(found);
	fanout(r, nodes, len, &spec);
	free(nodes);
}

/* Whether the change is done. If not, the error was sent: of every node that refused, with the
 * status of the first. Where the image has gone meanwhile nothing was to be done. */
static bool all_did_it(struct request *r, const struct fanout_reply *replies, size_t len)
{
	struct buf text CLEANUP_BUF;
	size_t gone = 0;
	int status = 0;

	for (size_t i = 0; i < len; i++)
		gone += replies[i].status == 404;
	buf_init(&text, 16 * 1024);
	for (size_t i = 0; i < len; i++) {
		if ((replies[i].status != 0 && replies[i].status < 300) ||
			(replies[i].status == 404 && gone < len))
			continue;
		if (status == 0)
			status = replies[i].status != 0               ? replies[i].status
				 : replies[i].err.code == ERR_TIMEOUT ? 504
								      : 502;
		fanout_append_error(&text, &replies[i], gone == len);
		if (gone == len)
			break;
	}
	if (status == 0)
		return true;
	exchange_reply_error(r->x, status, "%s", buf_str(&text));
	return false;
}

static void tagged(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	if (all_did_it(r, replies, len))
		exchange_reply(r->x, 201, arg, "", 0);
}

void image_tag(struct request *r)
{
	change_everywhere(r, "POST", "/tag", tagged);
}

/* What all nodes untagged and deleted, each thing once. */
static json_t *removed_of(struct fanout_reply *replies, size_t len)
{
	json_t *list = json_array(), *seen CLEANUP_JSON = json_object();

	for (size_t i = 0; i < len; i++) {
		json_t *items CLEANUP_JSON = fanout_json(&replies[i]);
		json_t *item;
		size_t k;

		json_array_foreach (items, k, item) {
			if (json_set_add(seen, item))
				json_array_append(list, item);
		}
	}
	return list;
}

static void removed(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct http_headers *headers = arg;
	json_t *list CLEANUP_JSON = NULL;
	char *text CLEANUP_FREE = NULL;
	size_t text_len;

	if (!all_did_it(r, replies, len))
		return;
	list = removed_of(replies, len);
	text = json_text(list, &text_len);
	http_headers_add(headers, "Content-Type", "application/json");
	exchange_reply(r->x, 200, headers, text, text_len);
}

void image_remove(struct request *r)
{
	change_everywhere(r, "DELETE", "", removed);
}
