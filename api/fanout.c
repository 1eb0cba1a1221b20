/* One question to several nodes at once, each with a deadline of its own: what one node fails to
 * answer is that node's error, and no reason for the others to wait or to fail. */
#include "api/fanout.h"
#include "api/filters.h"
#include "api/paced.h"
#include "cluster/node_call.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>

struct asked {
	struct fanout *fanout;
	struct fanout_reply reply;
	struct node_call call;
	bool is_over;
};

struct fanout {
	struct request *r; /* NULL when the client has gone, or nobody waits for the rest */
	struct fanout_spec spec;
	struct asked *asked;
	size_t len, waiting;
	size_t refs; /* the exchange's, and one for each refresh under way */
};

static void fanout_unref(struct fanout *f)
{
	if (--f->refs > 0)
		return;
	for (size_t i = 0; i < f->len; i++) {
		node_unref(f->asked[i].reply.node);
		free(f->asked[i].reply.name);
		free(f->asked[i].reply.body);
	}
	free(f->asked);
	free(f);
}

static void fanout_stop(struct fanout *f)
{
	for (size_t i = 0; i < f->len; i++)
		node_call_cancel(&f->asked[i].call);
}

static void fanout_end(struct exchange *x, bool finished, void *arg)
{
	struct fanout *f = arg;

	(void)x;
	(void)finished;
	fanout_stop(f);
	f->r = NULL;
	fanout_unref(f);
}

static void fanout_finish(struct fanout *f)
{
	struct request *r = TAKE_PTR(f->r);
	struct fanout_reply *replies;

	fanout_stop(f);
	if (r == NULL || f->spec.done == NULL)
		return;
	replies = xcalloc(f->len + 1, sizeof(*replies));
	for (size_t i = 0; i < f->len; i++)
		replies[i] = f->asked[i].reply;
	/* The exchange's end may come from inside, and must not take the texts away. */
	f->refs++;
	f->spec.done(r, replies, f->len, f->spec.arg);
	free(replies);
	fanout_unref(f);
}

static void asked_over(struct asked *asked)
{
	struct fanout *f = asked->fanout;

	if (asked->is_over)
		return;
	asked->is_over = true;
	/* As in fanout_finish. */
	f->refs++;
	f->waiting--;
	if (f->r != NULL && f->spec.each != NULL &&
		f->spec.each(f->r, &asked->reply, f->spec.arg)) {
		f->r = NULL;
		fanout_stop(f);
	} else if (f->waiting == 0) {
		fanout_finish(f);
	}
	fanout_unref(f);
}

static void asked_refreshed(void *arg, const struct err *err)
{
	struct asked *asked = arg;
	struct fanout *f = asked->fanout;

	if (err != NULL)
		log_debug("refresh after a change failed: %s", err->msg);
	asked_over(asked);
	fanout_unref(f);
}

static void asked_answered(const struct reply *reply, const struct node_failure *failure, void *arg)
{
	struct asked *asked = arg;
	struct fanout *f = asked->fanout;

	if (failure != NULL) {
		asked->reply.err = *failure->cause;
		asked->reply.err.code = failure->err.code;
		asked_over(asked);
		return;
	}
	asked->reply.status = reply->status;
	asked->reply.body = xstrndup(reply->body, reply->body_len);
	asked->reply.len = reply->body_len;
	if (reply->status < 300 && f->spec.parts != 0) {
		f->refs++;
		node_refresh_parts(asked->reply.node, f->spec.parts, asked_refreshed, asked);
	} else {
		asked_over(asked);
	}
}

static void ask(struct fanout *f, struct node *node)
{
	struct asked *asked = &f->asked[f->len++];
	char *own CLEANUP_FREE =
		f->spec.query_of != NULL ? f->spec.query_of(node, f->spec.arg) : NULL;
	char *target CLEANUP_FREE =
		forward_target(node, f->r->minor, f->spec.path, own != NULL ? own : f->spec.query);
	struct call_request call = {
		.method = f->spec.method,
		.target = target,
		.headers = exchange_headers(f->r->x),
		.body = f->spec.body,
		.body_len = f->spec.body_len,
		.total_timeout_ms = f->spec.timeout_ms > 0 ? f->spec.timeout_ms : DEADLINE_LONG_MS,
	};

	asked->fanout = f;
	node_ref(node);
	asked->reply.node = node;
	asked->reply.name = xstrdup(node_view(node)->name);
	node_call_collect(&asked->call, node, &call, f->spec.reply_max, asked_answered, asked);
}

void fanout(
	struct request *r, struct node *const *nodes, size_t len, const struct fanout_spec *spec)
{
	struct fanout *f = xcalloc(1, sizeof(*f));

	f->r = r;
	f->spec = *spec;
	f->asked = xcalloc(len + 1, sizeof(*f->asked));
	f->waiting = len;
	f->refs = 1;
	exchange_on_end(r->x, fanout_end, f);
	for (size_t i = 0; i < len; i++)
		ask(f, nodes[i]);
	if (len == 0)
		fanout_finish(f);
}

void fanout_to_named(struct request *r, const struct fanout_spec *spec)
{
	struct fanout_spec own = *spec;
	struct err err = ERR_INIT;
	json_t *filters CLEANUP_JSON = request_filters(r, &err);
	char *query CLEANUP_FREE = NULL;
	struct node **nodes CLEANUP_FREE = NULL;
	size_t len = 0;

	if (filters != NULL)
		nodes = request_nodes(r, filters, &len, &err);
	if (nodes == NULL) {
		request_fail(r, &err);
		return;
	}
	own.query = query = request_nodes_query(r, filters);
	fanout(r, nodes, len, &own);
}

/* ---- What came back ---- */

const char *fanout_reply_error(const struct fanout_reply *reply, char *out, size_t size)
{
	json_t *json CLEANUP_JSON = NULL;

	if (reply->status == 0) {
		strlcpy(out, reply->err.msg, size);
	} else {
		json = json_parse(reply->body, reply->len, NULL);
		strlcpy(out, json_str(json, "message", "the engine gave no reason"), size);
	}
	return out;
}

bool fanout_is_good(const struct fanout_reply *reply)
{
	return reply->status >= 200 && reply->status < 300;
}

json_t *fanout_json(struct fanout_reply *reply)
{
	struct err why = ERR_INIT;
	json_t *json = NULL;

	if (!fanout_is_good(reply))
		return NULL;
	if (json_values_bound(reply->body, reply->len) > FANOUT_VALUES_MAX)
		err_set(&why, ERR_UPSTREAM, "more than %d values", FANOUT_VALUES_MAX);
	else
		json = json_parse(reply->body, reply->len, &why);
	if (json == NULL) {
		reply->status = 0;
		err_set(&reply->err, ERR_UPSTREAM, "the engine's answer is of no use: %s", why.msg);
	}
	return json;
}

void fanout_reply_drop(struct fanout_reply *reply)
{
	if (!fanout_is_good(reply))
		return;
	free(TAKE_PTR(reply->body));
	reply->len = 0;
}

json_int_t fanout_sum(json_int_t sum, json_int_t told)
{
	json_int_t out;

	if (told < 0 || told > FANOUT_TOLD_MAX)
		return sum;
	return __builtin_add_overflow(sum, told, &out) ? INT64_MAX : out;
}

void fanout_append_error(struct buf *out, const struct fanout_reply *reply, bool is_only)
{
	char reason[1024];

	fanout_reply_error(reply, reason, sizeof(reason));
	if (is_only && reply->status != 0)
		buf_append_str(out, reason);
	else
		buf_printf(out, "%snode %s: %s", out->len > 0 ? "; " : "", reply->name, reason);
}

/* What all of them say. */
static char *errors_text(const struct fanout_reply *replies, size_t len)
{
	struct buf out;

	buf_init(&out, 16 * 1024);
	/* What does not fit is left out. */
	for (size_t i = 0; i < len; i++)
		fanout_append_error(&out, &replies[i], len == 1);
	return buf_take(&out);
}

bool fanout_all_failed(struct request *r, const struct fanout_reply *replies, size_t len)
{
	const struct fanout_reply *first = NULL;
	char *text CLEANUP_FREE = NULL;

	for (size_t i = 0; i < len; i++) {
		if (fanout_is_good(&replies[i]))
			return false;
		if (first == NULL || (first->status == 0 && replies[i].status != 0))
			first = &replies[i];
	}
	if (first == NULL) {
		exchange_reply_error(r->x, 503, "No healthy node available in the cluster");
		return true;
	}
	text = errors_text(replies, len);
	/* One that answered knows better what is wrong than one that did not. */
	exchange_reply_error(r->x,
		first->status >= 400 ? first->status : request_status_of(first->err.code), "%s",
		text);
	return true;
}

void fanout_reply_json(
	struct request *r, json_t *json_take, const struct fanout_reply *replies, size_t len)
{
	struct http_headers headers = {0};

	for (size_t i = 0; i < len; i++) {
		if (!fanout_is_good(&replies[i]))
			fanout_warn(&headers, &replies[i]);
	}
	paced_reply_json(r, &headers, json_take, "");
	http_headers_free(&headers);
}

void fanout_warn(struct http_headers *headers, const struct fanout_reply *reply)
{
	char reason[1024];

	fanout_reply_error(reply, reason, sizeof(reason));
	request_warn(headers, "node %s: %s", reply->name, reason);
}
