/* Connections that become one raw stream from client to engine, half-closes included: attach, exec,
 * WebSockets, BuildKit. */
#include "api/api_priv.h"
#include "http/relay.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>

#define ANSWER_TIMEOUT_MS (60 * 1000)

struct hijack {
	struct api *api;
	struct request *r; /* until it is raw */
	struct node *node;
	struct raw_call *call;
	struct relay *relay;
	struct node_waiter *waiter;
	bool ends_whole;
	void (*over)(void *arg);
	void *arg;
};

static void hijack_free(struct hijack *h)
{
	raw_call_cancel(h->call);
	node_waiter_free(h->waiter);
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
		node_view(h->node)->name, (unsigned long long)there.read,
		(unsigned long long)there.written, (unsigned long long)back.read,
		(unsigned long long)back.written);
	h->relay = NULL;
	if (h->r == NULL)
		hijack_free(h);
}

static void node_down(void *arg)
{
	struct hijack *h = arg;

	node_waiter_free(TAKE_PTR(h->waiter));
	if (h->relay != NULL) {
		relay_cancel(TAKE_PTR(h->relay));
		if (h->r == NULL)
			hijack_free(h);
		return;
	}
	raw_call_cancel(TAKE_PTR(h->call));
	if (h->r != NULL)
		exchange_reply_error(h->r->x, 504, "node %s went down before it answered: %s",
			node_view(h->node)->name, node_error(h->node));
}

static void upgraded(struct raw_call *call, int status, const struct http_headers *headers,
	struct stream *engine, void *arg)
{
	struct hijack *h = arg;
	struct http_headers copy = {0};
	struct stream *client;

	(void)call;
	h->call = NULL;
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

static void refused(
	struct raw_call *call, const struct reply *reply, const struct err *err, void *arg)
{
	struct hijack *h = arg;

	(void)call;
	h->call = NULL;
	if (reply != NULL) {
		exchange_reply(
			h->r->x, reply->status, reply->headers, reply->body, reply->body_len);
		return;
	}
	node_report_failure(h->node, err);
	exchange_reply_error(h->r->x, err->code == ERR_TIMEOUT ? 504 : 502, "node %s (%s): %s",
		node_view(h->node)->name, node_view(h->node)->addr, err->msg);
}

static const struct raw_ops hijack_ops = {
	.upgraded = upgraded,
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

void hijack(struct request *r, const struct hijack_spec *spec)
{
	struct endpoint *endpoint = node_endpoint(spec->node);
	struct hijack *h = xcalloc(1, sizeof(*h));
	struct err err = ERR_INIT;
	const char *protocol;
	char *target CLEANUP_FREE = NULL;
	struct call_request call = {
		.method = exchange_method(r->x),
		.headers = exchange_headers(r->x),
		.body = spec->body,
		.body_len = spec->body_len,
		.head_timeout_ms = ANSWER_TIMEOUT_MS,
	};

	h->api = r->api;
	h->r = r;
	h->node = spec->node;
	h->ends_whole = spec->ends_whole;
	h->over = spec->over;
	h->arg = spec->arg;
	exchange_on_end(r->x, hijack_end, h);
	if (choose_protocol(r, spec, &protocol, &err) != 0) {
		request_fail(r, &err);
		return;
	}
	if (endpoint == NULL) {
		exchange_reply_error(r->x, 503, "node %s was removed from the cluster",
			node_view(spec->node)->name);
		return;
	}
	target = forward_target(spec->node, r->minor, spec->path, r->raw_query);
	call.target = target;
	h->waiter = node_on_down(spec->node, node_down, h);
	h->call = raw_call_start(endpoint, &call, protocol, &hijack_ops, h);
}
