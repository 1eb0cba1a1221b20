#include "cluster/node_call.h"

#include "cluster/live.h"
#include "lib/mem.h"

struct node_call_late {
	struct node_call *c; /* NULL = cancelled */
};

/* ---- Words ---- */

static void describe(const struct node *node, const struct err *cause, struct err *err)
{
	const struct node_view *view = node_view(node);

	if (cause->code == ERR_UNAVAILABLE)
		err_set(err, ERR_UPSTREAM,
			"Cannot connect to the Docker daemon at tcp://%s. Is the docker daemon "
			"running? (node %s: %s)",
			view->addr, view->name, cause->msg);
	else
		err_set(err, cause->code == ERR_TIMEOUT ? ERR_TIMEOUT : ERR_UPSTREAM,
			"node %s (%s): %s", view->name, view->addr, cause->msg);
}

static void describe_down(const struct node_call *c, struct err *cause)
{
	const char *when = c->has_head ? "" : " before it answered";

	if (!node_endpoint(c->node))
		err_set(cause, ERR_TIMEOUT, "the node was removed from the cluster%s", when);
	else
		err_set(cause, ERR_TIMEOUT, "the node went down%s: %s", when, node_error(c->node));
}

/* ---- The end ---- */

/* Idle from here on. The node stays the caller's: what is told may look at it. */
static struct node *take(struct node_call *c)
{
	struct node *node = c->node;

	if (c->call)
		call_cancel(c->call);
	raw_call_cancel(c->raw);
	node_waiter_free(c->waiter);
	if (c->late)
		c->late->c = NULL;
	*c = (struct node_call){.node = NULL};
	return node;
}

void node_call_cancel(struct node_call *c)
{
	if (c->node)
		node_unref(take(c));
}

bool node_call_is_active(const struct node_call *c)
{
	return c->node != NULL;
}

/* The owner may free c when it is told. */
static void tell(
	const struct node_call *told, const struct reply *reply, const struct node_failure *failure)
{
	if (told->collected)
		told->collected(reply, failure, told->arg);
	else
		told->ops->done(failure, told->arg);
}

static void finish(struct node_call *c, const struct reply *reply)
{
	const struct node_call told = *c;
	struct node *node = take(c);

	tell(&told, reply, NULL);
	node_unref(node);
}

static void fail(struct node_call *c, const struct err *cause, bool was_sent)
{
	const struct node_call told = *c;
	struct node_failure failure = {.err = ERR_INIT, .cause = cause, .was_sent = was_sent};
	struct node *node = take(c);

	describe(node, cause, &failure.err);
	tell(&told, NULL, &failure);
	node_unref(node);
}

/* The call itself ended so. */
static void fail_call(struct node_call *c, const struct err *cause, bool was_sent)
{
	node_report_failure(c->node, cause);
	fail(c, cause, was_sent);
}

static void on_down(void *arg)
{
	struct node_call *c = arg;
	const struct node_call told = *c;
	struct err cause = ERR_INIT;
	struct node *node;

	if (c->raw_ops && !c->raw) {
		node = take(c);
		told.raw_ops->down(told.arg);
		node_unref(node);
		return;
	}
	describe_down(c, &cause);
	fail(c, &cause, !c->call || call_was_sent(c->call));
}

static void on_late(void *arg, const struct err *err)
{
	struct node_call_late *late = arg;
	struct node_call *c = late->c;
	struct err cause = ERR_INIT;

	(void)err;
	free(late);
	if (!c)
		return;
	c->late = NULL;
	err_set(&cause, ERR_UNAVAILABLE, "it was removed from the cluster");
	fail(c, &cause, false);
}

/* ---- The call ---- */

static void on_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct node_call *c = arg;

	(void)call;
	c->has_head = true;
	if (c->ops->head)
		c->ops->head(status, headers, c->arg);
}

static bool on_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct node_call *c = arg;

	(void)call;
	return !c->ops->body || c->ops->body(data, len, c->arg);
}

static void on_upload_drain(struct call *call, void *arg)
{
	struct node_call *c = arg;

	(void)call;
	if (c->ops->upload_drain)
		c->ops->upload_drain(c->arg);
}

static void on_done(struct call *call, const struct err *err, void *arg)
{
	struct node_call *c = arg;

	c->call = NULL;
	if (err)
		fail_call(c, err, call_was_sent(call));
	else
		finish(c, NULL);
}

static void on_collected(void *arg, const struct reply *reply, const struct err *err)
{
	struct node_call *c = arg;
	struct call *call = TAKE_PTR(c->call);

	if (err)
		fail_call(c, err, call_was_sent(call));
	else
		finish(c, reply);
}

static void on_upgraded(struct raw_call *raw, int status, const struct http_headers *headers,
	struct stream *stream_take, void *arg)
{
	struct node_call *c = arg;

	(void)raw;
	c->raw = NULL;
	c->raw_ops->upgraded(status, headers, stream_take, c->arg);
}

static void on_refused(
	struct raw_call *raw, const struct reply *reply, const struct err *err, void *arg)
{
	struct node_call *c = arg;

	(void)raw;
	c->raw = NULL;
	if (err)
		fail_call(c, err, true);
	else
		finish(c, reply);
}

/* NULL: the node has gone, and done will tell. */
static struct endpoint *begin(struct node_call *c, struct node *node, void *arg)
{
	struct endpoint *endpoint = node_endpoint(node);

	node_ref(node);
	*c = (struct node_call){.node = node, .arg = arg};
	if (endpoint) {
		c->waiter = node_on_down(node, on_down, c);
		return endpoint;
	}
	c->late = xcalloc(1, sizeof(*c->late));
	c->late->c = c;
	live_later(node->cluster->live, on_late, c->late, NULL);
	return NULL;
}

void node_call_start(struct node_call *c, struct node *node, const struct call_request *request,
	const struct node_call_ops *ops, void *arg)
{
	static const struct call_ops call_ops = {
		.head = on_head,
		.body = on_body,
		.upload_drain = on_upload_drain,
		.done = on_done,
	};
	struct endpoint *endpoint = begin(c, node, arg);

	c->ops = ops;
	if (endpoint)
		c->call = call_start(endpoint, request, &call_ops, c);
}

void node_call_collect(struct node_call *c, struct node *node, const struct call_request *request,
	size_t max, node_call_fn *done, void *arg)
{
	struct endpoint *endpoint = begin(c, node, arg);

	c->collected = done;
	if (endpoint)
		c->call = call_collect(endpoint, request, max, on_collected, c);
}

void node_call_raw(struct node_call *c, struct node *node, const struct call_request *request,
	const char *upgrade_token, const struct node_raw_ops *ops, void *arg)
{
	static const struct raw_ops raw_ops = {
		.upgraded = on_upgraded,
		.refused = on_refused,
	};
	struct endpoint *endpoint = begin(c, node, arg);

	c->raw_ops = ops;
	c->collected = ops->refused;
	if (endpoint)
		c->raw = raw_call_start(endpoint, request, upgrade_token, &raw_ops, c);
}

void node_call_resume(struct node_call *c)
{
	if (c->call)
		call_resume(c->call);
}

bool node_call_upload(struct node_call *c, const void *data, size_t len)
{
	return !c->call || call_upload(c->call, data, len);
}

void node_call_upload_end(struct node_call *c)
{
	if (c->call)
		call_upload_end(c->call);
}
