/* Passing a request on to the one engine that it concerns. The path is built anew from what was
 * looked up, never taken from the client. */
#include "api/api_priv.h"
#include "cluster/node_call.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>

#define TARGET_ROOM 16 /* for the version */

/* The minor version of "1.41". */
static int minor_of(const char *version, int otherwise)
{
	long long minor;

	if (!str_has_prefix(version, "1.") ||
		str_to_int(version + 2, 0, 9999, &minor, "API version", NULL) != 0)
		return otherwise;
	return (int)minor;
}

void forward_minor_range(const struct node *node, int *min, int *max)
{
	*min = minor_of(node_api_min_version(node), API_VERSION_MIN_MINOR);
	*max = minor_of(node_api_version(node), API_VERSION_MAX_MINOR);
}

char *forward_target(const struct node *node, int minor, const char *path, const char *query)
{
	struct buf target;
	int min, max;

	forward_minor_range(node, &min, &max);
	if (minor > max)
		minor = max;
	if (minor < min)
		minor = min;
	buf_init(&target, SIZE_MAX);
	(void)!buf_room(&target, strlen(path) + strlen(query) + TARGET_ROOM);
	buf_append_str(&target, "/v1.");
	buf_append_number(&target, (uint64_t)minor);
	buf_append_str(&target, path);
	buf_append_str(&target, query[0] != '\0' ? "?" : "");
	buf_append_str(&target, query);
	return buf_take(&target);
}

/* ---- Further nodes ---- */

/* What is needed to send a request once more, to another node. Nodes are kept by their IDs: they
 * may leave in the meantime. */
struct fallback {
	struct str_list ids;
	size_t next;
	char *body; /* of the request; NULL = none */
	size_t body_len;
};

static void fallback_init(struct fallback *fallback, const struct str_list *ids)
{
	for (size_t i = 0; ids != NULL && i < ids->len; i++)
		str_list_add(&fallback->ids, ids->items[i]);
}

static void fallback_keep(struct fallback *fallback, const void *body, size_t len)
{
	if (fallback->ids.len == 0 || len == 0)
		return;
	fallback->body = xmalloc(len);
	memcpy(fallback->body, body, len);
	fallback->body_len = len;
}

static void fallback_reset(struct fallback *fallback)
{
	str_list_free(&fallback->ids);
	free(TAKE_PTR(fallback->body));
}

/* The next one that is healthy, NULL when there is none. */
static struct node *fallback_next(struct fallback *fallback, const struct request *r)
{
	while (r != NULL && fallback->next < fallback->ids.len) {
		struct node *node = cluster_node_find(
			r->api->config.cluster, fallback->ids.items[fallback->next++]);

		if (node != NULL && node_state(node) == NODE_HEALTHY)
			return node;
	}
	return NULL;
}

/* Holds this one in place of the one before. */
static void node_change(struct node **held, struct node *node)
{
	node_ref(node);
	if (*held != NULL)
		node_unref(*held);
	*held = node;
}

/* ---- Collected ---- */

struct forward {
	struct request *r; /* NULL when the client has gone */
	struct node *node; /* referenced: it may leave while the body is still to come */
	struct forward_spec spec;
	struct fallback fallback;
	char *container_id;
	struct node_call call;
	unsigned refs; /* the exchange's, and one for each refresh under way */
	unsigned refreshes;
	int status;
	struct http_headers headers;
	char *body;
	size_t body_len;
};

static void forward_unref(struct forward *f)
{
	if (--f->refs > 0)
		return;
	node_unref(f->node);
	http_headers_free(&f->headers);
	fallback_reset(&f->fallback);
	free(f->container_id);
	free(f->spec.path_take);
	free(f->body);
	free(f);
}

static void forward_unknown(struct forward *f)
{
	if (f->spec.unknown != NULL)
		f->spec.unknown(f->node, f->spec.unknown_arg);
}

static void forward_end(struct exchange *x, bool finished, void *arg)
{
	struct forward *f = arg;

	(void)x;
	(void)finished;
	if (node_call_is_active(&f->call) || f->refreshes > 0)
		forward_unknown(f);
	node_call_cancel(&f->call);
	f->r = NULL;
	forward_unref(f);
}

static void forward_send(struct forward *f, const void *body, size_t len);

/* The node did not answer: another one is asked, or the client is told. */
static void forward_fail(struct forward *f, const struct node_failure *failure)
{
	struct node *next = fallback_next(&f->fallback, f->r);

	if (failure->was_sent)
		forward_unknown(f);
	if (next == NULL) {
		request_fail(f->r, &failure->err);
		return;
	}
	log_info("asked elsewhere: node=%s error=%s", node_view(next)->name, failure->err.msg);
	node_change(&f->node, next);
	forward_send(f, f->fallback.body, f->fallback.body_len);
}

static void forward_reply(
	struct forward *f, const struct http_headers *headers, const char *body, size_t len)
{
	struct request *r = f->r;

	if (r == NULL)
		return;
	exchange_reply(r->x, f->status, headers, body, len);
}

static void forward_refreshed(void *arg, const struct err *err)
{
	struct forward *f = arg;

	/* That the inventory could not be brought up to date does not change what the engine did.
	 */
	if (err != NULL) {
		log_debug("refresh after a change failed: %s", err->msg);
		if (f->r != NULL)
			forward_unknown(f);
	}
	if (--f->refreshes == 0)
		forward_reply(f, &f->headers, f->body, f->body_len);
	forward_unref(f);
}

static void refresh_parts(struct forward *f, struct node *node)
{
	f->refreshes++;
	f->refs++;
	node_refresh_parts(node, f->spec.parts, forward_refreshed, f);
}

static void refresh_parts_everywhere(struct forward *f)
{
	size_t len;
	struct node **nodes = request_healthy_nodes(f->r, &len);

	for (size_t i = 0; i < len; i++) {
		if (nodes[i] != f->node)
			refresh_parts(f, nodes[i]);
	}
	free(nodes);
}

/* Whether other nodes have what was changed here, too. That a driver of volumes spans nodes is told
 * by what it made. */
static bool is_change_everywhere(const struct forward *f, const struct reply *reply)
{
	json_t *json CLEANUP_JSON = NULL;

	if (f->spec.parts_everywhere || f->spec.parts != NODE_VOLUMES)
		return f->spec.parts_everywhere;
	json = json_parse(reply->body, reply->body_len, NULL);
	return !str_eq(json_str(json, "Scope", "local"), "local");
}

/* Keeps the reply, with this body, until the inventory shows what it tells. */
static void forward_refresh(
	struct forward *f, const struct reply *reply, const char *body, size_t len)
{
	http_headers_copy(&f->headers, reply->headers);
	f->body = xmalloc(len + 1);
	memcpy(f->body, body, len);
	f->body_len = len;
	if (f->container_id != NULL) {
		f->refreshes++;
		f->refs++;
		node_refresh_container(f->node, f->container_id, forward_refreshed, f);
	}
	if (f->spec.parts != 0)
		refresh_parts(f, f->node);
	if (f->spec.parts != 0 && is_change_everywhere(f, reply))
		refresh_parts_everywhere(f);
}

/* True, and out holds another body for the reply. */
static bool forward_edit(struct forward *f, const struct reply *reply, struct buf *out)
{
	return f->spec.edit != NULL && f->spec.edit(f->r, f->node, reply, out, f->spec.edit_arg) &&
	       !out->failed;
}

/* From here on the reply is certain, whatever becomes of the node. */
static void forward_answered(
	const struct reply *reply, const struct node_failure *failure, void *arg)
{
	struct forward *f = arg;
	struct buf *edited = &f->r->api->edited;
	const char *body;
	size_t len;

	if (failure != NULL) {
		forward_fail(f, failure);
		return;
	}
	f->status = reply->status;
	if (forward_edit(f, reply, edited)) {
		body = edited->data;
		len = edited->len;
	} else {
		body = reply->body;
		len = reply->body_len;
	}
	if (reply->status < 300 && (f->container_id != NULL || f->spec.parts != 0))
		forward_refresh(f, reply, body, len);
	else
		forward_reply(f, reply->headers, body, len);
	buf_empty(edited);
}

static struct forward *forward_new(struct request *r, const struct forward_spec *spec)
{
	struct forward *f = xcalloc(1, sizeof(*f));

	f->r = r;
	node_change(&f->node, spec->node);
	f->spec = *spec;
	f->container_id = spec->container_id != NULL ? xstrdup(spec->container_id) : NULL;
	f->refs = 1;
	fallback_init(&f->fallback, spec->others);
	exchange_on_end(r->x, forward_end, f);
	return f;
}

static void forward_send(struct forward *f, const void *body, size_t len)
{
	char *target CLEANUP_FREE =
		forward_target(f->node, f->r->minor, f->spec.path_take, f->r->raw_query);
	const struct call_request call = {
		.method = exchange_method(f->r->x),
		.target = target,
		.headers = exchange_headers(f->r->x),
		.body = body,
		.body_len = len,
		.total_timeout_ms = deadline_ms(f->r),
	};

	node_call_collect(&f->call, f->node, &call, API_REPLY_MAX, forward_answered, f);
}

static void forward_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct forward *f = arg;

	(void)x;
	fallback_keep(&f->fallback, body, len);
	forward_send(f, body, len);
}

void forward_collected(struct request *r, const struct forward_spec *spec)
{
	exchange_read_body(r->x, API_BODY_MAX, forward_body, forward_new(r, spec));
}

void forward_collected_with(
	struct request *r, const struct forward_spec *spec, const void *body, size_t len)
{
	struct forward *f = forward_new(r, spec);

	fallback_keep(&f->fallback, body, len);
	forward_send(f, body, len);
}

/* ---- Streamed ---- */

struct pipe {
	struct request *r;
	struct node *node; /* referenced */
	char *path;
	struct fallback fallback;
	struct node_call call;
	bool upload_is_full;
	unsigned parts; /* refreshed before a reply of success ends */
	int status;
	unsigned refs; /* the exchange's, and that of a refresh under way */
};

static void pipe_unref(struct pipe *p)
{
	if (--p->refs > 0)
		return;
	node_unref(p->node);
	fallback_reset(&p->fallback);
	free(p->path);
	free(p);
}

static void pipe_end(struct exchange *x, bool finished, void *arg)
{
	struct pipe *p = arg;

	(void)x;
	(void)finished;
	node_call_cancel(&p->call);
	p->r = NULL;
	pipe_unref(p);
}

static void pipe_send(struct pipe *p, const void *body, size_t len, bool has_upload);

static void pipe_fail(struct pipe *p, const struct node_failure *failure)
{
	struct node *next;

	if (exchange_reply_started(p->r->x)) {
		exchange_reply_abort(p->r->x, failure->err.msg);
		return;
	}
	next = fallback_next(&p->fallback, p->r);
	if (next == NULL) {
		request_fail(p->r, &failure->err);
		return;
	}
	log_info("asked elsewhere: node=%s error=%s", node_view(next)->name, failure->err.msg);
	node_change(&p->node, next);
	pipe_send(p, p->fallback.body, p->fallback.body_len, false);
}

static int64_t announced_length(const struct http_headers *headers)
{
	const char *value = http_headers_get(headers, "Content-Length");
	long long length;

	if (value == NULL || str_to_int(value, 0, INT64_MAX, &length, "Content-Length", NULL) != 0)
		return -1;
	return length;
}

static void pipe_head(int status, const struct http_headers *headers, void *arg)
{
	struct pipe *p = arg;

	p->status = status;
	exchange_reply_start(p->r->x, status, headers, announced_length(headers));
}

static bool pipe_body(const char *data, size_t len, void *arg)
{
	struct pipe *p = arg;

	return exchange_reply_write(p->r->x, data, len);
}

static void pipe_refreshed(void *arg, const struct err *err)
{
	struct pipe *p = arg;

	if (err != NULL)
		log_debug("refresh after a change failed: %s", err->msg);
	if (p->r != NULL)
		exchange_reply_end(p->r->x);
	pipe_unref(p);
}

static void pipe_done(const struct node_failure *failure, void *arg)
{
	struct pipe *p = arg;

	if (failure != NULL) {
		pipe_fail(p, failure);
	} else if (p->parts != 0 && p->status < 300) {
		/* Certain from here on, whatever becomes of the node. */
		p->refs++;
		node_refresh_parts(p->node, p->parts, pipe_refreshed, p);
	} else {
		exchange_reply_end(p->r->x);
	}
}

static void pipe_upload_drain(void *arg)
{
	struct pipe *p = arg;

	p->upload_is_full = false;
	exchange_body_resume(p->r->x);
}

static void pipe_reply_drain(struct exchange *x, void *arg)
{
	struct pipe *p = arg;

	(void)x;
	node_call_resume(&p->call);
}

static size_t pipe_sink(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct pipe *p = arg;

	(void)x;
	if (!node_call_is_active(&p->call))
		return len; /* the engine has ended it: the rest is dropped */
	if (len == 0) {
		node_call_upload_end(&p->call);
		return 0;
	}
	if (p->upload_is_full)
		return 0;
	p->upload_is_full = !node_call_upload(&p->call, data, len);
	return len;
}

static void pipe_send(struct pipe *p, const void *body, size_t len, bool has_upload)
{
	static const struct node_call_ops ops = {
		.head = pipe_head,
		.body = pipe_body,
		.upload_drain = pipe_upload_drain,
		.done = pipe_done,
	};
	char *target CLEANUP_FREE = forward_target(p->node, p->r->minor, p->path, p->r->raw_query);
	const struct call_request call = {
		.method = exchange_method(p->r->x),
		.target = target,
		.headers = exchange_headers(p->r->x),
		.body = body,
		.body_len = len,
		.has_upload = has_upload,
		.upload_length = exchange_body_length(p->r->x),
	};

	exchange_on_drain(p->r->x, pipe_reply_drain, p);
	node_call_start(&p->call, p->node, &call, &ops, p);
	if (has_upload)
		exchange_stream_body(p->r->x, pipe_sink, p);
}

static struct pipe *pipe_new(struct request *r, struct node *node, char *path_take, unsigned parts)
{
	struct pipe *p = xcalloc(1, sizeof(*p));

	p->r = r;
	node_change(&p->node, node);
	p->path = path_take;
	p->parts = parts;
	p->refs = 1;
	exchange_on_end(r->x, pipe_end, p);
	return p;
}

void forward_streamed(struct request *r, struct node *node, char *path_take)
{
	forward_streamed_then(r, node, path_take, 0);
}

void forward_streamed_then(struct request *r, struct node *node, char *path_take, unsigned parts)
{
	pipe_send(pipe_new(r, node, path_take, parts), NULL, 0, exchange_body_length(r->x) != 0);
}

static void pipe_body_read(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct pipe *p = arg;

	(void)x;
	fallback_keep(&p->fallback, body, len);
	pipe_send(p, body, len, false);
}

void forward_to_one_of(
	struct request *r, struct node *node, const struct str_list *others, char *path_take)
{
	struct pipe *p = pipe_new(r, node, path_take, 0);

	fallback_init(&p->fallback, others);
	exchange_read_body(r->x, API_BODY_MAX, pipe_body_read, p);
}
