/* One question to several nodes at once, each with a deadline of its own: what one node fails to
 * answer is that node's error, and no reason for the others to wait or to fail. */
#include "api/fanout.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>

struct asked {
	struct fanout *fanout;
	struct fanout_reply reply;
	struct call *call;
	struct node_waiter *waiter;
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
		free(f->asked[i].reply.name);
		free(f->asked[i].reply.body);
	}
	free(f->asked);
	free(f);
}

static void fanout_stop(struct fanout *f)
{
	for (size_t i = 0; i < f->len; i++) {
		if (f->asked[i].call != NULL)
			call_cancel(TAKE_PTR(f->asked[i].call));
		node_waiter_free(TAKE_PTR(f->asked[i].waiter));
	}
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
	f->waiting--;
	if (f->r != NULL && f->spec.each != NULL &&
		f->spec.each(f->r, &asked->reply, f->spec.arg)) {
		f->r = NULL;
		fanout_stop(f);
	} else if (f->waiting == 0) {
		fanout_finish(f);
	}
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

static void asked_answered(void *arg, const struct reply *reply, const struct err *err)
{
	struct asked *asked = arg;
	struct fanout *f = asked->fanout;

	asked->call = NULL;
	if (err != NULL) {
		node_report_failure(asked->reply.node, err);
		forward_describe_failure(asked->reply.node, err, &asked->reply.err);
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

static void asked_node_down(void *arg)
{
	struct asked *asked = arg;
	bool is_answered = asked->reply.status != 0;

	node_waiter_free(TAKE_PTR(asked->waiter));
	if (asked->call != NULL)
		call_cancel(TAKE_PTR(asked->call));
	if (!asked->is_over && !is_answered)
		err_set(&asked->reply.err, ERR_TIMEOUT, "node %s went down before it answered: %s",
			asked->reply.name, node_error(asked->reply.node));
	asked->reply.node = NULL;
	/* A refresh under way tells its end by itself. */
	if (!is_answered)
		asked_over(asked);
}

static void ask(struct fanout *f, struct node *node)
{
	struct asked *asked = &f->asked[f->len++];
	char *target CLEANUP_FREE = forward_target(node, f->r->minor, f->spec.path, f->spec.query);
	struct call_request call = {
		.method = f->spec.method,
		.target = target,
		.headers = exchange_headers(f->r->x),
		.body = f->spec.body,
		.body_len = f->spec.body_len,
		.total_timeout_ms = f->spec.timeout_ms,
	};

	asked->fanout = f;
	asked->reply.node = node;
	asked->reply.name = xstrdup(node_view(node)->name);
	asked->waiter = node_on_down(node, asked_node_down, asked);
	asked->call =
		call_collect(node_endpoint(node), &call, f->spec.reply_max, asked_answered, asked);
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

void fanout_warn(struct http_headers *headers, const struct fanout_reply *reply)
{
	char reason[1024];
	char *text;

	fanout_reply_error(reply, reason, sizeof(reason));
	for (char *p = reason; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e || *p == '"' || *p == '\\')
			*p = '?';
	}
	/* RFC 7234 section 5.5: code, agent, quoted text. */
	text = xasprintf("199 swarm \"node %s: %s\"", reply->name, reason);
	http_headers_add(headers, "Warning", text);
	free(text);
}
