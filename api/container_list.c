/* GET /containers/json: from the inventory alone, written as the client takes it; sizes, where they
 * are asked for, from the engines.
 */
#include "api/container_filter.h"
#include "api/fanout.h"
#include "api/filters.h"
#include "api/paced.h"
#include "api/pattern.h"
#include "lib/str.h"

#include <string.h>

/* Of one piece of the list: containers looked at, and steps of their filters. */
#define PIECE_CONTAINERS 500
#define PIECE_STEPS 200000
#define SIZES_TIMEOUT_MS (60 * 1000) /* it reads whole file systems */
#define SIZES_REPLY_MAX (64 * 1024 * 1024)
#define SIZES_NAMED_MAX 100 /* rows that an engine is asked for by ID */

/* ---- Rows ---- */

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

static void write_names(struct buf *out, const struct container *c)
{
	const char *node = node_view(c->node)->name;

	for (size_t i = 0; i < c->names.len; i++) {
		const char *name = c->names.items[i];

		buf_append_str(out, i > 0 ? ",\"/" : "\"/");
		json_append_escaped(out, node);
		if (name[0] != '/')
			buf_append_char(out, '/');
		json_append_escaped(out, name);
		buf_append_char(out, '"');
	}
}

/* What changes with time, and what carries the node's name, stands behind the rest of the row. */
static void write_row(struct buf *out, const struct container *c, int64_t now, const json_t *sizes)
{
	const json_t *size = sizes != NULL ? size_of(sizes, c) : NULL;

	container_row(c, out);
	if (size != NULL) {
		write_size(out, size, "SizeRw");
		write_size(out, size, "SizeRootFs");
	}
	buf_append_str(out, ",\"Names\":[");
	write_names(out, c);
	buf_append_str(out, "],\"Ports\":");
	buf_append_str(out, c->ports_json);
	buf_append_str(out, ",\"State\":\"");
	buf_append_str(out, c->state);
	buf_append_str(out, "\",\"Status\":\"");
	if (node_state(c->node) != NODE_HEALTHY)
		buf_append_str(out, "Host Down");
	else
		container_status_append(out, c, now);
	buf_append_str(out, "\"}");
}

/* ---- The list ---- */

struct list {
	const struct api_config *config;
	json_t *filters;
	struct container_filter *filter; /* NULL = the cursor has been through it */
	struct cursor *cursor;
	json_t *sizes; /* "node/ID" -> the engine's row with its sizes; NULL = none were asked for
			*/
	bool all;
	long long limit; /* -1 = none */
	long long rows;  /* so far */
	/* To know before the first byte that the filters can be afforded, they are gone through
	 * once without writing. */
	bool is_rehearsal;
};

static void list_free(void *arg)
{
	struct list *list = arg;

	if (list == NULL)
		return;
	cursor_free(list->cursor);
	container_filter_free(list->filter);
	json_decref(list->filters);
	json_decref(list->sizes);
	free(list);
}

static bool is_listed(const struct list *list, const struct container *c)
{
	if (list->filter == NULL)
		return true;
	/* One on a host that is down may be running or not: it is shown with the rest that are not
	 * known to run. */
	if (!list->all && !(c->view.is_running && node_state(c->node) == NODE_HEALTHY))
		return false;
	return container_filter_match(list->filter, c);
}

static uint64_t steps_left(const struct list *list)
{
	return list->filter != NULL ? container_filter_steps_left(list->filter) : 0;
}

/* The next container that is listed; NULL at the end, or when *looks (less those taken) are done,
 * or the filters have cost enough for one piece. */
static struct container *next_listed(struct list *list, int *looks, bool *is_over)
{
	uint64_t before = steps_left(list);

	*is_over = false;
	while (*looks > 0 && before - steps_left(list) < PIECE_STEPS) {
		struct container *c = NULL;

		if (list->rows != list->limit)
			c = cursor_next(list->cursor);
		if (c == NULL) {
			*is_over = true;
			return NULL;
		}
		(*looks)--;
		if (is_listed(list, c)) {
			list->rows++;
			return c;
		}
	}
	*looks = 0;
	return NULL;
}

static void rehearse(struct list *list)
{
	int looks = PIECE_CONTAINERS;
	bool is_over;

	while (next_listed(list, &looks, &is_over) != NULL)
		;
	if (!is_over || container_filter_is_spent(list->filter))
		return;
	list->is_rehearsal = false;
	list->rows = 0;
	cursor_rewind(list->cursor);
	container_filter_renew(list->filter);
}

/* A piece of rows; true when they were the last. */
static bool write_rows(struct list *list, struct buf *out)
{
	int64_t now = list->config->env->wall_ns(list->config->env) / 1000000000;
	int looks = PIECE_CONTAINERS;
	const struct container *c;
	bool is_over = false;

	while (out->len < PACED_PIECE && (c = next_listed(list, &looks, &is_over)) != NULL) {
		buf_append_char(out, list->rows == 1 ? '[' : ',');
		write_row(out, c, now, list->sizes);
	}
	return is_over;
}

static enum paced_step list_more(struct buf *out, void *arg, struct err *err)
{
	struct list *list = arg;
	bool is_over = false;

	if (list->is_rehearsal)
		rehearse(list);
	else
		is_over = write_rows(list, out);
	if (list->filter != NULL && container_filter_is_spent(list->filter)) {
		err_set(err, ERR_INVALID, PATTERN_SPENT_TEXT);
		return PACED_FAILED;
	}
	if (!is_over)
		return PACED_MORE;
	buf_append_str(out, list->rows == 0 ? "[]\n" : "]\n");
	return PACED_LAST;
}

static void list_reply(struct request *r, struct list *list_take, struct http_headers *headers)
{
	const struct paced_spec spec = {.more = list_more, .free = list_free, .arg = list_take};

	http_headers_add(headers, "Content-Type", "application/json");
	request_warn_unhealthy(r, headers);
	paced_reply(r, headers, &spec);
}

/* ---- Sizes: only an engine can measure them ---- */

struct sizes {
	struct list *list;
	struct container_set
		rows;        /* those of one node side by side; the list's cursor holds them */
	struct node **nodes; /* that have rows in the list, and can be asked */
	size_t len;
};

static void sizes_end(struct exchange *x, bool finished, void *arg)
{
	struct sizes *sizes = arg;

	(void)x;
	(void)finished;
	list_free(sizes->list);
	container_set_free(&sizes->rows);
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
	sizes->list->sizes = json_incref(all);
	list_reply(r, TAKE_PTR(sizes->list), &headers);
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
	size_t from = 0, to = sizes->rows.len;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (node_cmp(sizes->rows.items[middle]->node, node) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	for (; from < sizes->rows.len && sizes->rows.items[from]->node == node; from++) {
		if (json_object_size(ids) == SIZES_NAMED_MAX)
			return xstrdup("all=1&size=1");
		json_object_set_new(ids, sizes->rows.items[from]->view.id, json_true());
	}
	text = json_text(filters, NULL);
	encoded = str_url_encode(text, strlen(text));
	return xasprintf("all=1&size=1&filters=%s", encoded);
}

static void find_nodes(struct sizes *sizes)
{
	struct container_set *rows = &sizes->rows;

	if (rows->len > 0)
		qsort(rows->items, rows->len, sizeof(struct container *), row_cmp);
	sizes->nodes = xcalloc(rows->len + 1, sizeof(struct node *));
	for (size_t i = 0; i < rows->len; i++) {
		struct node *node = rows->items[i]->node;

		if (node_state(node) == NODE_HEALTHY &&
			(sizes->len == 0 || sizes->nodes[sizes->len - 1] != node))
			sizes->nodes[sizes->len++] = node;
	}
}

/* Chooses the rows of the list, which are held until they are written. -1: the error was sent. */
static int choose_rows(struct request *r, struct sizes *sizes)
{
	struct cluster *cluster = r->api->config.cluster;
	struct list *list = sizes->list;
	struct container_set held = {.items = NULL};
	bool is_over = false;

	list->is_rehearsal = false;
	while (!is_over) {
		int looks = PIECE_CONTAINERS;
		struct container *c;

		while ((c = next_listed(list, &looks, &is_over)) != NULL) {
			container_set_add(&sizes->rows, c);
			container_set_add(&held, c);
		}
	}
	cursor_free(list->cursor);
	list->cursor = cursor_new_of(cluster, &held);
	if (container_filter_is_spent(list->filter)) {
		exchange_reply_error(r->x, 400, PATTERN_SPENT_TEXT);
		return -1;
	}
	container_filter_free(TAKE_PTR(list->filter));
	list->rows = 0;
	return 0;
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
	if (choose_rows(r, sizes) != 0)
		return;
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

static struct list *list_new(struct request *r, struct err *err)
{
	struct list *list = xcalloc(1, sizeof(*list));
	const char *limit = request_query(r, "limit");
	struct cluster_totals totals;

	list->config = &r->api->config;
	list->all = request_query_bool(r, "all");
	list->filters = request_filters(r, err);
	if (list->filters == NULL ||
		(!str_is_empty(limit) &&
			str_to_int(limit, -1, INT32_MAX, &list->limit, "limit", err) != 0))
		goto fail;
	if (list->limit > 0)
		list->all = true;
	else
		list->limit = -1;
	add_old_parameters(r, list->filters);
	list->filter = container_filter_new(list->config->cluster, list->filters, err);
	if (list->filter == NULL)
		goto fail;
	list->all |= container_filter_wants_all(list->filter);
	list->cursor = container_filter_cursor(list->filter, list->config->cluster, list->all);
	cluster_totals(list->config->cluster, &totals);
	list->is_rehearsal = container_filter_may_be_spent(list->filter, totals.containers);
	return list;
fail:
	list_free(list);
	return NULL;
}

void containers_list(struct request *r)
{
	struct err err = ERR_INIT;
	struct list *list = list_new(r, &err);
	struct http_headers headers = {0};

	if (list == NULL) {
		request_fail(r, &err);
	} else if (request_query_bool(r, "size")) {
		list_with_sizes(r, list);
	} else {
		list_reply(r, list, &headers);
		http_headers_free(&headers);
	}
}
