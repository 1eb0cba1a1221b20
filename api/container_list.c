/* GET /containers/json: from the inventory alone; sizes, where they are asked for, from the
 * engines.
 */
#include "api/container_filter.h"
#include "api/fanout.h"
#include "api/filters.h"
#include "api/pattern.h"
#include "lib/str.h"

#include <string.h>

#define LIST_MAX (512 * 1024 * 1024) /* of text in one reply */
#define SIZES_TIMEOUT_MS (60 * 1000) /* it reads whole file systems */
#define SIZES_REPLY_MAX (64 * 1024 * 1024)
#define SIZES_NAMED_MAX 100 /* rows that an engine is asked for by ID */

/* The engine's row of this container with its sizes, or NULL. Borrowed. */
static const json_t *size_of(const json_t *sizes, const struct container *c)
{
	char *key CLEANUP_FREE = xasprintf("%s/%s", node_view(c->node)->name, c->view.id);

	return json_object_get(sizes, key);
}

/* As an engine: nothing where it is 0. */
static void write_size(struct buf *out, const json_t *row, const char *key)
{
	json_int_t size = json_int(row, key, 0);

	if (size != 0)
		buf_printf(out, ",\"%s\":%lld", key, (long long)size);
}

/* What changes with time, and what carries the node's name, stands behind the rest of the row. */
static void write_row(struct buf *out, const struct container *c, int64_t now, const json_t *sizes)
{
	bool is_down = node_state(c->node) != NODE_HEALTHY;
	char *status CLEANUP_FREE = is_down ? xstrdup("Host Down") : container_status(c, now);
	json_t *names = json_array();
	char *names_text CLEANUP_FREE = NULL;
	size_t len;

	for (size_t i = 0; i < c->names.len; i++) {
		const char *name = c->names.items[i];
		char *full CLEANUP_FREE = xasprintf(
			"/%s%s%s", node_view(c->node)->name, name[0] == '/' ? "" : "/", name);

		json_array_append_new(names, json_string(full));
	}
	names_text = json_text(names, &len);
	json_decref(names);
	container_row(c, out);
	write_size(out, sizes, "SizeRw");
	write_size(out, sizes, "SizeRootFs");
	buf_printf(out, ",\"Names\":%s,\"Ports\":%s,\"State\":\"%s\",\"Status\":\"%s\"}",
		names_text, c->ports_json, c->state, status);
}

static bool is_listed(const struct container *c, bool all)
{
	if (all)
		return true;
	/* One on a host that is down may be running or not: it is shown with the rest that are not
	 * known to run. */
	return c->view.is_running && node_state(c->node) == NODE_HEALTHY;
}

struct list_options {
	bool all;
	long long limit; /* -1 = none */
	struct container_filter *filter;
};

/* The rows of the list, in its order. They are held, since with sizes it is written later. */
struct list {
	struct container **rows;
	size_t len;
};

static void list_free(struct list *list)
{
	for (size_t i = 0; i < list->len; i++)
		container_unref(list->rows[i]);
	free(list->rows);
	free(list);
}

static struct list *list_new(const struct request *r, const struct list_options *options)
{
	struct list *list = xcalloc(1, sizeof(*list));
	size_t len, rows = 0;

	list->rows = cluster_containers(r->api->config.cluster, &len);
	for (size_t i = 0; i < len; i++) {
		struct container *c = list->rows[i];

		if (options->limit >= 0 && rows >= (size_t)options->limit)
			break;
		if (is_listed(c, options->all) && container_filter_match(options->filter, c))
			list->rows[rows++] = container_ref(c);
	}
	list->len = rows;
	return list;
}

/* sizes: "node/ID" -> the engine's row with its sizes; NULL = none were asked for. */
static void write_list(struct request *r, const struct list *list, const json_t *sizes,
	struct http_headers *headers)
{
	const struct api_config *config = &r->api->config;
	int64_t now = config->env->wall_ns(config->env) / 1000000000;
	struct buf out CLEANUP_BUF;

	buf_init(&out, LIST_MAX);
	buf_append_char(&out, '[');
	for (size_t i = 0; i < list->len; i++) {
		const struct container *c = list->rows[i];

		if (i > 0)
			buf_append_char(&out, ',');
		write_row(&out, c, now, sizes != NULL ? size_of(sizes, c) : NULL);
	}
	buf_append_str(&out, "]\n");
	if (out.failed) {
		exchange_reply_error(r->x, 500, "the list is larger than %d MiB", LIST_MAX >> 20);
		return;
	}
	http_headers_add(headers, "Content-Type", "application/json");
	request_warn_unhealthy(r, headers);
	exchange_reply(r->x, 200, headers, out.data, out.len);
}

/* ---- Sizes: only an engine can measure them ---- */

struct sizes {
	struct list *list;
	struct container **by_node; /* the rows again, those of one node side by side; borrowed */
	struct node **nodes;        /* that have rows in the list, and can be asked */
	size_t len;
};

static void sizes_end(struct exchange *x, bool finished, void *arg)
{
	struct sizes *sizes = arg;

	(void)x;
	(void)finished;
	list_free(sizes->list);
	free(sizes->by_node);
	free(sizes->nodes);
	free(sizes);
}

static void add_sizes(json_t *all, const json_t *rows, const char *node)
{
	json_t *row;
	size_t i;

	json_array_foreach ((json_t *)rows, i, row) {
		char *key CLEANUP_FREE = xasprintf("%s/%s", node, json_str(row, "Id", ""));

		json_object_set(all, key, row);
	}
}

static void sizes_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct sizes *sizes = arg;
	json_t *all CLEANUP_JSON = json_object();
	struct http_headers headers = {0};

	for (size_t i = 0; i < len; i++) {
		json_t *rows CLEANUP_JSON = fanout_json(&replies[i]);

		add_sizes(all, rows, replies[i].name);
		if (rows == NULL)
			fanout_warn(&headers, &replies[i]);
	}
	write_list(r, sizes->list, all, &headers);
	http_headers_free(&headers);
}

static int node_cmp(const struct node *a, const struct node *b)
{
	return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

static int row_cmp(const void *a, const void *b)
{
	const struct container *const *left = a, *const *right = b;

	return node_cmp((*left)->node, (*right)->node);
}

/* Measuring takes an engine long, so it is asked for its rows of the list alone; for all when they
 * are too many to name. */
static char *sizes_query(const struct node *node, void *arg)
{
	const struct sizes *sizes = arg;
	json_t *ids = json_object(), *filters CLEANUP_JSON = json_pack("{s:o}", "id", ids);
	char *text CLEANUP_FREE = NULL;
	char *encoded CLEANUP_FREE = NULL;
	size_t from = 0, to = sizes->list->len;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (node_cmp(sizes->by_node[middle]->node, node) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	for (; from < sizes->list->len && sizes->by_node[from]->node == node; from++) {
		if (json_object_size(ids) == SIZES_NAMED_MAX)
			return xstrdup("all=1&size=1");
		json_object_set_new(ids, sizes->by_node[from]->view.id, json_true());
	}
	text = json_text(filters, NULL);
	encoded = str_url_encode(text, strlen(text));
	return xasprintf("all=1&size=1&filters=%s", encoded);
}

static void find_nodes(struct sizes *sizes)
{
	size_t len = sizes->list->len;

	sizes->by_node = xcalloc(len + 1, sizeof(struct container *));
	sizes->nodes = xcalloc(len + 1, sizeof(struct node *));
	for (size_t i = 0; i < len; i++)
		sizes->by_node[i] = sizes->list->rows[i];
	qsort(sizes->by_node, len, sizeof(struct container *), row_cmp);
	for (size_t i = 0; i < len; i++) {
		struct node *node = sizes->by_node[i]->node;

		if (node_state(node) == NODE_HEALTHY &&
			(sizes->len == 0 || sizes->nodes[sizes->len - 1] != node))
			sizes->nodes[sizes->len++] = node;
	}
}

static void list_with_sizes(struct request *r, struct list *list_take)
{
	struct sizes *sizes = xcalloc(1, sizeof(*sizes));
	const struct fanout_spec spec = {
		.method = "GET",
		.path = "/containers/json",
		.query_of = sizes_query,
		.reply_max = SIZES_REPLY_MAX,
		.timeout_ms = SIZES_TIMEOUT_MS,
		.done = sizes_done,
		.arg = sizes,
	};

	sizes->list = list_take;
	exchange_on_end(r->x, sizes_end, sizes);
	find_nodes(sizes);
	fanout(r, sizes->nodes, sizes->len, &spec);
}

/* The parameters that came before filters did. */
static void add_old_parameters(const struct request *r, json_t *filters)
{
	static const char *const names[] = {"before", "since"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *value = request_query(r, names[i]);

		if (!str_is_empty(value) && json_object_get(filters, names[i]) == NULL)
			json_object_set_new(filters, names[i], json_pack("[s]", value));
	}
}

void containers_list(struct request *r)
{
	struct err err = ERR_INIT;
	json_t *filters CLEANUP_JSON = request_filters(r, &err);
	const char *limit = request_query(r, "limit");
	struct list_options options = {.all = request_query_bool(r, "all"), .limit = -1};
	struct http_headers headers = {0};
	struct list *list;
	bool is_spent;

	if (filters == NULL) {
		request_fail(r, &err);
		return;
	}
	if (!str_is_empty(limit) &&
		str_to_int(limit, -1, INT32_MAX, &options.limit, "limit", &err) != 0) {
		request_fail(r, &err);
		return;
	}
	if (options.limit > 0)
		options.all = true;
	else
		options.limit = -1;
	add_old_parameters(r, filters);
	options.filter = container_filter_new(r->api->config.cluster, filters, &err);
	if (options.filter == NULL) {
		request_fail(r, &err);
		return;
	}
	options.all |= container_filter_wants_all(options.filter);
	list = list_new(r, &options);
	is_spent = container_filter_is_spent(options.filter);
	container_filter_free(options.filter);
	if (is_spent) {
		list_free(list);
		exchange_reply_error(r->x, 400, PATTERN_SPENT_TEXT);
		return;
	}
	if (request_query_bool(r, "size")) {
		list_with_sizes(r, list);
		return;
	}
	write_list(r, list, NULL, &headers);
	http_headers_free(&headers);
	list_free(list);
}
