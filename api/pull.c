/* POST /images/create: pulls on every healthy node at once, each at its own pace. What a node says
 * is told in lines that carry its name; a node that fails does not stop the others, and its failure
 * is the end of the reply. */
#include "api/api_priv.h"
#include "cluster/json_split.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES (1024 * 1024)

struct pull {
	struct request *r;
	char *image;
	struct pull_node *nodes;
	size_t len, running;
	struct buf failures; /* "node: why", one after the other */
	bool is_started;
};

struct pull_node {
	struct pull *pull;
	struct node *node;
	char *name;
	struct call *call;
	struct node_waiter *waiter;
	struct json_split split;
	int status;
	char *last; /* status text told last */
	char *error;
	bool is_done;
};

static void pull_end(struct exchange *x, bool finished, void *arg)
{
	struct pull *pull = arg;

	(void)x;
	(void)finished;
	for (size_t i = 0; i < pull->len; i++) {
		struct pull_node *n = &pull->nodes[i];

		if (n->call != NULL)
			call_cancel(n->call);
		node_waiter_free(n->waiter);
		json_split_reset(&n->split);
		free(n->name);
		free(n->last);
		free(n->error);
	}
	free(pull->nodes);
	free(pull->image);
	buf_reset(&pull->failures);
	free(pull);
}

static void write_line(struct pull *pull, json_t *json_take)
{
	size_t len;
	char *text CLEANUP_FREE = json_text(json_take, &len);

	json_decref(json_take);
	exchange_reply_write(pull->r->x, text, len);
	exchange_reply_write(pull->r->x, "\r\n", 2);
}

static void tell(struct pull_node *n, const char *status)
{
	char *text CLEANUP_FREE = xasprintf(
		"Pulling %s...%s%s", n->pull->image, status[0] != '\0' ? " : " : "", status);

	if (str_eq(n->last, text))
		return;
	free(n->last);
	n->last = xstrdup(text);
	write_line(n->pull, json_pack("{s:s,s:s}", "status", text, "id", n->name));
}

static void pull_finish(struct pull *pull)
{
	if (pull->failures.len > 0)
		write_line(pull, json_pack("{s:s,s:{s:s}}", "error", buf_str(&pull->failures),
					 "errorDetail", "message", buf_str(&pull->failures)));
	exchange_reply_end(pull->r->x);
}

static void node_finish(struct pull_node *n, const char *error)
{
	struct pull *pull = n->pull;

	if (n->is_done)
		return;
	n->is_done = true;
	node_waiter_free(TAKE_PTR(n->waiter));
	if (error != NULL) {
		buf_printf(&pull->failures, "%s%s: %s", pull->failures.len > 0 ? "; " : "", n->name,
			error);
		tell(n, error);
	} else {
		tell(n, "downloaded");
	}
	if (--pull->running == 0)
		pull_finish(pull);
}

static bool on_line(const char *text, size_t len, void *arg)
{
	struct pull_node *n = arg;
	json_t *json CLEANUP_JSON = json_parse(text, len, NULL);
	const char *error = json_str(json, "error", NULL);

	if (n->status >= 300)
		error = json_str(json, "message", "the engine refused");
	if (error != NULL) {
		free(n->error);
		n->error = xstrdup(error);
	} else {
		tell(n, json_str(json, "status", ""));
	}
	return true;
}

static void on_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct pull_node *n = arg;

	(void)call;
	(void)headers;
	n->status = status;
}

static bool on_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct pull_node *n = arg;
	struct err err = ERR_INIT;

	(void)call;
	if (json_split_feed(&n->split, data, len, on_line, n, &err) != 0 && n->error == NULL)
		n->error = xstrdup(err.msg);
	return true;
}

static void on_done(struct call *call, const struct err *err, void *arg)
{
	struct pull_node *n = arg;

	(void)call;
	n->call = NULL;
	if (err != NULL) {
		node_report_failure(n->node, err);
		node_finish(n, err->msg);
	} else if (n->status >= 300) {
		node_finish(n, n->error != NULL ? n->error : "the engine refused");
	} else {
		node_finish(n, n->error);
	}
}

static const struct call_ops pull_ops = {
	.head = on_head,
	.body = on_body,
	.done = on_done,
};

static void on_node_down(void *arg)
{
	struct pull_node *n = arg;

	node_waiter_free(TAKE_PTR(n->waiter));
	if (n->call != NULL)
		call_cancel(TAKE_PTR(n->call));
	node_finish(n, "the node went down");
}

static void start_node(struct pull *pull, struct node *node)
{
	struct pull_node *n = &pull->nodes[pull->len++];
	char *target CLEANUP_FREE =
		forward_target(node, pull->r->minor, "/images/create", pull->r->raw_query);
	struct call_request call = {
		.method = "POST", .target = target, .headers = exchange_headers(pull->r->x)};

	n->pull = pull;
	n->node = node;
	n->name = xstrdup(node_view(node)->name);
	json_split_init(&n->split, LINE_MAX_BYTES, false);
	pull->running++;
	n->waiter = node_on_down(node, on_node_down, n);
	n->call = call_start(node_endpoint(node), &call, &pull_ops, n);
	tell(n, "");
}

void images_pull(struct request *r)
{
	const char *image = request_query(r, "fromImage"), *tag = request_query(r, "tag");
	struct http_headers headers = {0};
	struct node *const *nodes;
	struct pull *pull;
	size_t len, healthy = 0;

	if (!str_is_empty(request_query(r, "fromSrc"))) {
		exchange_reply_error(r->x, 501,
			"POST /images/create?fromSrc is not offered by this cluster manager yet");
		return;
	}
	if (str_is_empty(image)) {
		exchange_reply_error(r->x, 400, "POST /images/create wants a parameter fromImage");
		return;
	}
	nodes = cluster_nodes(r->api->config.cluster, &len);
	for (size_t i = 0; i < len; i++)
		healthy += node_state(nodes[i]) == NODE_HEALTHY;
	if (healthy == 0) {
		exchange_reply_error(r->x, 503, "No healthy node available in the cluster");
		return;
	}
	pull = xcalloc(1, sizeof(*pull));
	pull->r = r;
	pull->image = str_is_empty(tag) ? xstrdup(image)
					: xasprintf("%s%s%s", image,
						  strchr(tag, ':') != NULL ? "@" : ":", tag);
	pull->nodes = xcalloc(healthy, sizeof(*pull->nodes));
	buf_init(&pull->failures, 64 * 1024);
	exchange_on_end(r->x, pull_end, pull);
	http_headers_add(&headers, "Content-Type", "application/json");
	exchange_reply_start(r->x, 200, &headers, -1);
	http_headers_free(&headers);
	for (size_t i = 0; i < len; i++) {
		if (node_state(nodes[i]) == NODE_HEALTHY)
			start_node(pull, nodes[i]);
	}
}
