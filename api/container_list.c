/* GET /containers/json: from the inventory alone, written as the client takes it; sizes, where they
 * are asked for, from the engines.
 */
#include "api/container_filter.h"
#include "api/container_sizes.h"
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
#define SIZES_REPLY_MAX (16 * 1024 * 1024)

/* ---- Rows ---- */

/* As an engine: nothing where it is 0. */
static void write_size(struct buf *out, const char *key, int64_t size)
{
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
static void write_row(struct buf *out, const struct container *c, int64_t now,
	const struct container_sizes *sizes)
{
	int64_t rw, root_fs;

	container_row(c, out);
	if (sizes != NULL) {
		container_sizes_get(sizes, c, &rw, &root_fs);
		write_size(out, "SizeRw", rw);
		write_size(out, "SizeRootFs", root_fs);
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
	struct container_sizes *sizes; /* NULL = none were asked for */
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
	container_sizes_free(list->sizes);
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

/* The rows are chosen first, a piece in a turn, and held until they are written; each answer is
 * read and dropped as it comes. */
struct sizes {
	struct request *r;
	struct list *list;
	struct container_set rows;
	struct loop_timer *next; /* the next piece */
};

static void sizes_end(struct exchange *x, bool finished, void *arg)
{
	struct sizes *sizes = arg;

	(void)x;
	(void)finished;
	loop_timer_free(sizes->next);
	list_free(sizes->list);
	for (size_t i = 0; i < sizes->rows.len; i++)
		container_unref(sizes->rows.items[i]);
	container_set_free(&sizes->rows);
	free(sizes);
}

static char *sizes_query(const struct node *node, void *arg)
{
	const struct sizes *sizes = arg;

	return container_sizes_query(sizes->list->sizes, node);
}

static bool sizes_answered(struct request *r, struct fanout_reply *reply, void *arg)
{
	struct sizes *sizes = arg;
	json_t *rows CLEANUP_JSON = fanout_json(reply);

	(void)r;
	container_sizes_read(sizes->list->sizes, reply->node, rows);
	fanout_reply_drop(reply);
	return false;
}

static void sizes_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct sizes *sizes = arg;
	struct http_headers headers = {0};

	for (size_t i = 0; i < len; i++) {
		if (!fanout_is_good(&replies[i]))
			fanout_warn(&headers, &replies[i]);
	}
	list_reply(r, TAKE_PTR(sizes->list), &headers);
	http_headers_free(&headers);
}

static void measure(struct sizes *sizes)
{
	struct list *list = sizes->list;
	const struct fanout_spec spec = {
		.method = "GET",
		.path = "/containers/json",
		.query_of = sizes_query,
		.reply_max = SIZES_REPLY_MAX,
		.timeout_ms = SIZES_TIMEOUT_MS,
		.each = sizes_answered,
		.done = sizes_done,
		.arg = sizes,
	};
	struct node **nodes CLEANUP_FREE = NULL;
	struct container_set held = {.items = NULL};
	size_t len;

	for (size_t i = 0; i < sizes->rows.len; i++)
		container_set_add(&held, sizes->rows.items[i]);
	cursor_free(list->cursor);
	list->cursor = cursor_new_of(list->config->cluster, &held);
	container_filter_free(TAKE_PTR(list->filter));
	list->rows = 0;
	nodes = container_sizes_nodes(list->sizes, &len);
	fanout(sizes->r, nodes, len, &spec);
}

static void choose_rows(void *arg)
{
	struct sizes *sizes = arg;
	struct list *list = sizes->list;
	int looks = PIECE_CONTAINERS;
	bool is_over = false;
	struct container *c;

	while ((c = next_listed(list, &looks, &is_over)) != NULL) {
		container_set_add(&sizes->rows, container_ref(c));
		container_sizes_add(list->sizes, c);
	}
	if (container_filter_is_spent(list->filter))
		exchange_reply_error(sizes->r->x, 400, PATTERN_SPENT_TEXT);
	else if (is_over)
		measure(sizes);
	else
		loop_timer_start(sizes->next, 0);
}

static void list_with_sizes(struct request *r, struct list *list_take)
{
	struct sizes *sizes = xcalloc(1, sizeof(*sizes));

	sizes->r = r;
	sizes->list = list_take;
	sizes->list->is_rehearsal = false;
	sizes->list->sizes = container_sizes_new();
	sizes->next = loop_timer_new(r->api->config.loop, choose_rows, sizes);
	exchange_on_end(r->x, sizes_end, sizes);
	choose_rows(sizes);
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
