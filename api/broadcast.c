/* One request to several nodes at once. The reply begins when the first node has something to tell,
 * so that what all refuse is refused with the engines' status. */
#include "api/broadcast.h"
#include "cluster/json_split.h"
#include "cluster/node_call.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/spool.h"
#include "lib/str.h"

#include <string.h>

#define LINE_MAX_BYTES (1024 * 1024)
#define FAILURES_MAX (64 * 1024)
#define UPLOAD_PIECE ((size_t)64 * 1024)
#define RESULTS_MAX 1024 /* lines of one node; more images are loaded and not told of */

/* What a load has for its result. Clients take each such line for an image that was loaded, so it
 * is told once for all nodes, when they are done. */
static const char result_prefix[] = "Loaded image";

struct result {
	char *line;
	UT_hash_handle hh;
};

struct broadcast {
	struct request *r; /* NULL when the client has gone, or the reply is complete */
	char *path, *title, *success;
	unsigned parts;
	struct spool *spool; /* NULL = the request has no body */
	struct receiver *receivers;
	size_t len, running;
	size_t refs;   /* the exchange's, and one for each refresh under way */
	bool is_whole; /* all healthy nodes were asked */
	struct result
		*results; /* of the nodes that are done, a hash in the order of their coming */
};

/* One of the nodes. */
struct receiver {
	struct broadcast *b;
	struct node *node; /* referenced */
	char *name;
	struct node_call call;
	struct spool_reader *upload;
	bool upload_is_full;
	struct json_split split;
	int status;  /* 0 = no answer */
	char *last;  /* what was told last */
	char *error; /* the first that came */
	struct str_list results;
	bool is_over;
};

static void receiver_stop(struct receiver *n)
{
	node_call_cancel(&n->call);
	spool_reader_free(TAKE_PTR(n->upload));
}

static void broadcast_stop(struct broadcast *b)
{
	for (size_t i = 0; i < b->len; i++)
		receiver_stop(&b->receivers[i]);
	spool_free(TAKE_PTR(b->spool));
}

static void results_free(struct broadcast *b)
{
	struct result *result, *tmp;

	HASH_ITER (hh, b->results, result, tmp) {
		HASH_DEL(b->results, result);
		free(result->line);
		free(result);
	}
}

static void broadcast_unref(struct broadcast *b)
{
	if (--b->refs > 0)
		return;
	for (size_t i = 0; i < b->len; i++) {
		struct receiver *n = &b->receivers[i];

		json_split_reset(&n->split);
		node_unref(n->node);
		free(n->name);
		free(n->last);
		free(n->error);
		str_list_free(&n->results);
	}
	results_free(b);
	free(b->receivers);
	free(b->path);
	free(b->title);
	free(b->success);
	free(b);
}

static void broadcast_end(struct exchange *x, bool finished, void *arg)
{
	struct broadcast *b = arg;

	(void)x;
	(void)finished;
	broadcast_stop(b);
	b->r = NULL;
	broadcast_unref(b);
}

/* ---- What the client sees ---- */

static void write_object(struct broadcast *b, json_t *json_take)
{
	size_t len;
	char *text CLEANUP_FREE = json_text(json_take, &len);
	char *line CLEANUP_FREE = xasprintf("%s\r\n", text);

	json_decref(json_take);
	/* At once, so that it is one chunk, as an engine's: some clients take each for a whole
	 * object. */
	exchange_reply_write(b->r->x, line, len + 2);
}

static void tell_of(struct broadcast *b, const char *name, const char *status)
{
	char *text CLEANUP_FREE =
		b->title == NULL
			? xstrdup(status)
			: xasprintf("%s%s%s", b->title, status[0] != '\0' ? " : " : "", status);

	write_object(b, json_pack("{s:s,s:s}", "status", text, "id", name));
}

/* The same is told once. */
static void tell(struct receiver *n, const char *status)
{
	if (str_eq(n->last, status))
		return;
	free(n->last);
	n->last = xstrdup(status);
	tell_of(n->b, n->name, status);
}

static void tell_of_skipped(struct broadcast *b)
{
	size_t len;
	struct node *const *nodes = cluster_nodes(b->r->api->config.cluster, &len);

	for (size_t i = 0; i < len && b->is_whole; i++) {
		if (node_state(nodes[i]) != NODE_HEALTHY) {
			char *text CLEANUP_FREE = xasprintf(
				"skipped, the node is %s", node_state_name(node_state(nodes[i])));

			tell_of(b, node_view(nodes[i])->name, text);
		}
	}
}

static void start_reply(struct broadcast *b)
{
	struct http_headers headers = {0};

	if (exchange_reply_started(b->r->x))
		return;
	http_headers_add(&headers, "Content-Type", "application/json");
	exchange_reply_start(b->r->x, 200, &headers, -1);
	http_headers_free(&headers);
	tell_of_skipped(b);
	for (size_t i = 0; i < b->len; i++) {
		struct receiver *n = &b->receivers[i];

		if (b->title != NULL)
			tell(n, "");
		if (n->is_over && n->error != NULL)
			tell(n, n->error);
	}
}

/* ---- The end ---- */

/* "node: why; node: why" */
static char *failures(const struct broadcast *b)
{
	struct buf text;

	buf_init(&text, FAILURES_MAX);
	for (size_t i = 0; i < b->len; i++) {
		const struct receiver *n = &b->receivers[i];

		if (n->error != NULL)
			buf_printf(&text, "%s%s: %s", text.len > 0 ? "; " : "", n->name, n->error);
	}
	return buf_take(&text);
}

/* All have refused, and nothing was told yet: when they agree, it is one engine's answer. */
static void refuse(struct broadcast *b)
{
	const struct receiver *first = &b->receivers[0];
	char *text CLEANUP_FREE = failures(b);
	int status = first->status;
	bool agree = true;

	for (size_t i = 1; i < b->len; i++) {
		agree &= str_eq(b->receivers[i].error, first->error);
		if (b->receivers[i].status != status)
			status = 500;
	}
	exchange_reply_error(b->r->x, status > 0 ? status : 502, "%s",
		agree && status > 0 ? first->error : text);
}

static void write_results(struct broadcast *b)
{
	struct result *result, *tmp;

	HASH_ITER (hh, b->results, result, tmp)
		write_object(b, json_pack("{s:s}", "stream", result->line));
}

static void finish(struct broadcast *b)
{
	char *text CLEANUP_FREE = failures(b);
	struct request *r = b->r;

	broadcast_stop(b);
	if (!exchange_reply_started(r->x)) {
		refuse(b);
	} else {
		write_results(b);
		if (text[0] != '\0')
			write_object(b, json_pack("{s:s,s:{s:s}}", "error", text, "errorDetail",
						"message", text));
		exchange_reply_end(r->x);
	}
	b->r = NULL;
}

static void results_add(struct broadcast *b, const struct str_list *lines)
{
	struct result *result;

	for (size_t i = 0; i < lines->len; i++) {
		HASH_FIND_STR(b->results, lines->items[i], result);
		if (result != NULL)
			continue;
		result = xcalloc(1, sizeof(*result));
		result->line = xstrdup(lines->items[i]);
		HASH_ADD_KEYPTR(hh, b->results, result->line, strlen(result->line), result);
	}
}

static void receiver_over(struct receiver *n)
{
	struct broadcast *b = n->b;

	if (n->is_over || b->r == NULL)
		return;
	n->is_over = true;
	receiver_stop(n);
	if (n->error == NULL) {
		start_reply(b);
		results_add(b, &n->results);
	}
	if (exchange_reply_started(b->r->x)) {
		if (n->error != NULL)
			tell(n, n->error);
		else if (b->title != NULL)
			tell(n, b->success);
	}
	if (--b->running == 0)
		finish(b);
}

static void receiver_fail(struct receiver *n, const char *error)
{
	if (n->error == NULL)
		n->error = xstrdup(error);
	receiver_over(n);
}

static void receiver_refreshed(void *arg, const struct err *err)
{
	struct receiver *n = arg;
	struct broadcast *b = n->b;

	if (err != NULL)
		log_debug("refresh after a change failed: %s", err->msg);
	receiver_over(n);
	broadcast_unref(b);
}

/* ---- What a node says ---- */

/* "Loaded image: busybox:1": kept for the end, and a step of this node now. True when it is one. */
static bool take_result(struct receiver *n, const char *line)
{
	const char *name = strchr(line, ':');
	char *status CLEANUP_FREE = NULL;

	if (!str_has_prefix(line, result_prefix) || name == NULL)
		return false;
	if (n->results.len < RESULTS_MAX)
		str_list_add(&n->results, line);
	status = xasprintf("loaded%.*s", (int)strcspn(name + 1, "\r\n"), name + 1);
	tell(n, status);
	return true;
}

static void pass_on(struct receiver *n, json_t *json)
{
	const char *id = json_str(json, "id", ""), *status = json_str(json, "status", "");
	char *text CLEANUP_FREE = NULL;

	if (n->b->title != NULL) {
		if (status[0] != '\0')
			tell(n, status);
		return;
	}
	if (take_result(n, json_str(json, "stream", "")))
		return;
	text = id[0] == '\0' ? xstrdup(n->name) : xasprintf("%s/%s", n->name, id);
	json_object_set_new(json, "id", json_string(text));
	write_object(n->b, json_incref(json));
}

static bool on_object(const char *text, size_t len, void *arg)
{
	struct receiver *n = arg;
	json_t *json CLEANUP_JSON = json_parse(text, len, NULL);
	const char *error = json_str(json, "error", NULL);

	if (n->status >= 300)
		error = json_str(json, "message", NULL);
	if (error == NULL)
		error = json_str(json_obj(json, "errorDetail"), "message", NULL);
	if (error != NULL && n->error == NULL)
		n->error = xstrdup(error);
	if (error == NULL && n->status < 300 && json != NULL)
		pass_on(n, json);
	return true;
}

static void on_head(int status, const struct http_headers *headers, void *arg)
{
	struct receiver *n = arg;

	(void)headers;
	n->status = status;
}

static bool on_body(const char *data, size_t len, void *arg)
{
	struct receiver *n = arg;
	struct err err = ERR_INIT;

	if (n->status < 300)
		start_reply(n->b);
	if (json_split_feed(&n->split, data, len, on_object, n, &err) != 0 && n->error == NULL)
		n->error = xstrdup(err.msg);
	/* Stop when the client does not take what it was told. */
	return !exchange_reply_started(n->b->r->x) || exchange_reply_write(n->b->r->x, "", 0);
}

static void on_done(const struct node_failure *failure, void *arg)
{
	struct receiver *n = arg;

	spool_reader_free(TAKE_PTR(n->upload));
	if (failure != NULL) {
		n->status = 0;
		receiver_fail(n, failure->cause->msg);
	} else if (n->status >= 300) {
		receiver_fail(n, "the engine refused, and gave no reason");
	} else if (n->error != NULL || n->b->parts == 0) {
		receiver_over(n);
	} else {
		n->b->refs++;
		node_refresh_parts(n->node, n->b->parts, receiver_refreshed, n);
	}
}

static void on_reply_drain(struct exchange *x, void *arg)
{
	struct broadcast *b = arg;

	(void)x;
	for (size_t i = 0; i < b->len; i++)
		node_call_resume(&b->receivers[i].call);
}

/* ---- What the nodes are sent ---- */

static void upload_more(void *arg)
{
	struct receiver *n = arg;
	struct err err = ERR_INIT;
	const char *data;

	while (node_call_is_active(&n->call) && n->upload != NULL) {
		ssize_t len = spool_look(n->upload, &data, &err);

		if (len < 0) {
			receiver_fail(n, err.msg);
			return;
		}
		if (len == 0 && spool_reader_is_done(n->upload)) {
			spool_reader_free(TAKE_PTR(n->upload));
			node_call_upload_end(&n->call);
		}
		if (len == 0 || n->upload_is_full)
			return;
		if ((size_t)len > UPLOAD_PIECE)
			len = (ssize_t)UPLOAD_PIECE;
		n->upload_is_full = !node_call_upload(&n->call, data, (size_t)len);
		spool_take(n->upload, (size_t)len);
	}
}

static void on_upload_drain(void *arg)
{
	struct receiver *n = arg;

	n->upload_is_full = false;
	upload_more(n);
}

static size_t on_request_body(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct broadcast *b = arg;

	(void)x;
	if (b->spool == NULL)
		return len; /* the reply is complete: the rest is dropped */
	if (len == 0) {
		spool_end(b->spool);
		return 0;
	}
	return spool_write(b->spool, data, len);
}

static void on_spool_room(void *arg)
{
	struct broadcast *b = arg;

	if (b->r != NULL)
		exchange_body_resume(b->r->x);
}

static const struct node_call_ops receiver_ops = {
	.head = on_head,
	.body = on_body,
	.upload_drain = on_upload_drain,
	.done = on_done,
};

static void receiver_start(struct broadcast *b, struct node *node)
{
	struct receiver *n = &b->receivers[b->len++];
	struct exchange *x = b->r->x;
	char *target CLEANUP_FREE = forward_target(node, b->r->minor, b->path, b->r->raw_query);
	struct call_request call = {
		.method = exchange_method(x),
		.target = target,
		.headers = exchange_headers(x),
		.has_upload = b->spool != NULL,
		.upload_length = exchange_body_length(x),
	};

	n->b = b;
	node_ref(node);
	n->node = node;
	n->name = xstrdup(node_view(node)->name);
	json_split_init(&n->split, LINE_MAX_BYTES, false);
	if (b->spool != NULL)
		n->upload = spool_reader_new(b->spool, upload_more, n);
	node_call_start(&n->call, node, &call, &receiver_ops, n);
	/* So that it is called when the first bytes are there. */
	upload_more(n);
}

void broadcast(
	struct request *r, struct node *const *nodes, size_t len, const struct broadcast_spec *spec)
{
	struct broadcast *b = xcalloc(1, sizeof(*b));
	struct spool_config spool = {.room = on_spool_room, .arg = b};
	struct node **healthy;
	size_t healthy_len;

	b->r = r;
	b->path = xstrdup(spec->path);
	b->title = spec->title != NULL ? xstrdup(spec->title) : NULL;
	b->success = spec->success != NULL ? xstrdup(spec->success) : NULL;
	b->parts = spec->parts;
	b->refs = 1;
	b->receivers = xcalloc(len, sizeof(*b->receivers));
	b->running = len;
	healthy = request_healthy_nodes(r, &healthy_len);
	b->is_whole = len == healthy_len;
	free(healthy);
	exchange_on_end(r->x, broadcast_end, b);
	exchange_on_drain(r->x, on_reply_drain, b);
	if (exchange_body_length(r->x) != 0)
		b->spool = spool_new(r->api->config.loop, &spool);
	for (size_t i = 0; i < len; i++)
		receiver_start(b, nodes[i]);
	if (b->spool != NULL)
		exchange_stream_body(r->x, on_request_body, b);
}
