/* Connections that become one raw stream from client to engine, half-closes included: attach, exec,
 * WebSockets, BuildKit. */
#include "api/api_priv.h"
#include "cluster/node_call.h"
#include "http/relay.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>

#define ANSWER_TIMEOUT_MS (60 * 1000)

struct hijack {
	struct api *api;
	struct request *r; /* until it is raw */
	char *node_name;   /* for the log */
	struct node_call call;
	struct relay *relay;
	bool ends_whole;
	void (*over)(void *arg);
	void *arg;
};

static void hijack_free(struct hijack *h)
{
	node_call_cancel(&h->call);
	free(h->node_name);
	if (h->over != NULL)
		h->over(h->arg);
	free(h);
}

static void hijack_end(struct exchange *x, bool finished, void *arg)
{
	struct hijack *h = arg;

	(void)x;
	(void)finished;
	h->r = NULL;
	if (h->relay == NULL)
		hijack_free(h);
}

static void relay_done(struct relay *relay, void *arg)
{
	struct hijack *h = arg;
	struct relay_bytes there = relay_bytes_there(relay), back = relay_bytes_back(relay);

	log_debug("raw stream ended node=%s client_sent=%llu engine_got=%llu engine_sent=%llu "
		  "client_got=%llu",
		h->node_name, (unsigned long long)there.read, (unsigned long long)there.written,
		(unsigned long long)back.read, (unsigned long long)back.written);
	h->relay = NULL;
	if (h->r == NULL)
		hijack_free(h);
}

/* The stream is open, and ends with its node. */
static void node_down(void *arg)
{
	struct hijack *h = arg;

	if (h->relay != NULL)
		relay_cancel(TAKE_PTR(h->relay));
	if (h->r == NULL)
		hijack_free(h);
}

static bool has_room(struct request *r)
{
	if (exchange_may_upgrade(r->x))
		return true;
	exchange_reply_error(r->x, 503,
		"too many raw streams (attach, exec, session) are open: try again later");
	return false;
}

static void upgraded(
	int status, const struct http_headers *headers, struct stream *engine, void *arg)
{
	struct hijack *h = arg;
	struct http_headers copy = {0};
	struct stream *client;

	/* Others may have come while the engine was asked. */
	if (!has_room(h->r)) {
		stream_close(engine);
		return;
	}
	http_headers_copy(&copy, headers);
	client = exchange_upgrade(h->r->x, status, &copy);
	http_headers_free(&copy);
	if (client == NULL) {
		stream_close(engine);
		return;
	}
	h->relay = relay_start(h->api->config.loop, client, engine, relay_done, h);
	if (h->ends_whole)
		relay_ends_whole(h->relay);
}

static void refused(const struct reply *reply, const struct node_failure *failure, void *arg)
{
	struct hijack *h = arg;

	if (failure != NULL)
		request_fail(h->r, &failure->err);
	else
		exchange_reply(
			h->r->x, reply->status, reply->headers, reply->body, reply->body_len);
}

static const struct node_raw_ops hijack_ops = {
	.upgraded = upgraded,
	.down = node_down,
	.refused = refused,
};

/* The protocol to ask the engine for; NULL = none. Only one is passed on, whatever the client
 * wants: any other would be a tunnel past everything here. */
static int choose_protocol(
	struct request *r, const struct hijack_spec *spec, const char **out, struct err *err)
{
	const struct http_headers *headers = exchange_headers(r->x);
	const char *wanted = http_headers_get(headers, "Upgrade");

	*out = NULL;
	if (!http_headers_has_token(headers, "Connection", "Upgrade") || wanted == NULL) {
		if (spec->is_optional)
			return 0;
		return err_set(
			err, ERR_INVALID, "this call wants an upgrade to %s", spec->protocol);
	}
	if (!str_ieq(wanted, spec->protocol))
		return err_set(err, ERR_INVALID,
			"protocol %.100s not supported: this call is upgraded to %s", wanted,
			spec->protocol);
	*out = spec->protocol;
	return 0;
}

/* ---- Bodies in front of an upgrade ---- */

struct behind_body {
	struct request *r;
	void (*go)(struct request *r);
};

static void behind_body_end(struct exchange *x, bool finished, void *arg)
{
	(void)x;
	(void)finished;
	free(arg);
}

static void body_was_read(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct behind_body *b = arg;

	(void)x;
	(void)body;
	(void)len;
	b->go(b->r);
}

void hijack_behind_body(struct request *r, void (*go)(struct request *r))
{
	struct behind_body *b;

	if (exchange_body_length(r->x) == 0) {
		go(r);
		return;
	}
	b = xcalloc(1, sizeof(*b));
	b->r = r;
	b->go = go;
	exchange_on_end(r->x, behind_body_end, b);
	exchange_read_body(r->x, API_BODY_MAX, body_was_read, b);
}

void hijack(struct request *r, const struct hijack_spec *spec)
{
	struct hijack *h = xcalloc(1, sizeof(*h));
	struct err err = ERR_INIT;
	const char *protocol;
	char *target CLEANUP_FREE = forward_target(spec->node, r->minor, spec->path, r->raw_query);
	const struct call_request call = {
		.method = exchange_method(r->x),
		.target = target,
		.headers = exchange_headers(r->x),
		.body = spec->body,
		.body_len = spec->body_len,
		.head_timeout_ms = ANSWER_TIMEOUT_MS,
	};

	h->api = r->api;
	h->r = r;
	h->node_name = xstrdup(node_view(spec->node)->name);
	h->ends_whole = spec->ends_whole;
	h->over = spec->over;
	h->arg = spec->arg;
	exchange_on_end(r->x, hijack_end, h);
	if (choose_protocol(r, spec, &protocol, &err) != 0)
		request_fail(r, &err);
	else if (has_room(r))
		node_call_raw(&h->call, spec->node, &call, protocol, &hijack_ops, h);
}
