/* GET /containers/json: from the inventory alone. */
#include "api/api_priv.h"
#include "api/container_filter.h"
#include "api/filters.h"
#include "lib/str.h"

#include <string.h>

#define LIST_MAX (512 * 1024 * 1024) /* of text in one reply */

/* What changes with time, and what carries the node's name, stands behind the rest of the row. */
static void write_row(struct buf *out, const struct container *c, int64_t now)
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
	buf_append_str(out, c->summary);
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

static void write_list(struct request *r, const struct list_options *options)
{
	const struct api_config *config = &r->api->config;
	int64_t now = config->env->wall_ns(config->env) / 1000000000;
	struct http_headers headers = {0};
	struct buf out CLEANUP_BUF;
	long long rows = 0;
	size_t len;
	struct container **list = cluster_containers(config->cluster, &len);

	buf_init(&out, LIST_MAX);
	buf_append_char(&out, '[');
	for (size_t i = 0; i < len && (options->limit < 0 || rows < options->limit); i++) {
		if (!is_listed(list[i], options->all) ||
			!container_filter_match(options->filter, list[i]))
			continue;
		if (rows++ > 0)
			buf_append_char(&out, ',');
		write_row(&out, list[i], now);
	}
	buf_append_str(&out, "]\n");
	free(list);
	if (out.failed) {
		exchange_reply_error(r->x, 500, "the list is larger than %d MiB", LIST_MAX >> 20);
		return;
	}
	http_headers_add(&headers, "Content-Type", "application/json");
	exchange_reply(r->x, 200, &headers, out.data, out.len);
	http_headers_free(&headers);
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

	if (filters == NULL) {
		request_fail(r, &err);
		return;
	}
	if (request_query_bool(r, "size")) {
		exchange_reply_error(r->x, 501,
			"sizes in GET /containers/json are not offered by this cluster manager "
			"yet");
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
	write_list(r, &options);
	container_filter_free(options.filter);
}
