/* What all calls have in common: endpoints, deadlines, uploads, collected replies. */
#include "http/client.h"
#include "http/client_priv.h"
#include "http/head.h"
#include "http/tls.h"
#include "lib/metrics.h"
#include "lib/str.h"

#include <string.h>
#include <sys/resource.h>
#include <utlist.h>

#define JANITOR_MS 250
#define IDLE_SHARE 4 /* one in so many descriptors may be that of an idle connection */

struct collector {
	struct buf body;
	const char *whole; /* all of it, borrowed; NULL = it is in body */
	size_t whole_len;
	call_collect_fn *done;
	void *arg;
};

/* ---- Calls ---- */

static void call_link(struct call *call)
{
	struct endpoint *e = call->endpoint;

	DL_PREPEND(e->calls, call);
	DL_PREPEND2(e->client->calls, call, all_prev, all_next);
	e->running++;
	e->refs++;
}

/* Out of the one of the client's two lists that it is in. */
static void call_unlink_all(struct call *call)
{
	struct client *client = call->endpoint->client;

	if (client->looked_at == call)
		client->looked_at = call->all_next;
	if (call->is_endless)
		DL_DELETE2(client->endless_calls, call, all_prev, all_next);
	else
		DL_DELETE2(client->calls, call, all_prev, all_next);
}

static void call_unlink(struct call *call)
{
	struct endpoint *e = call->endpoint;

	DL_DELETE(e->calls, call);
	call_unlink_all(call);
	e->running--;
}

void call_release(struct call *call)
{
	struct endpoint *e = call->endpoint;

	if (call->collector != NULL)
		buf_reset(&call->collector->body);
	free(call->collector);
	http_headers_free(&call->reply_headers);
	buf_reset(&call->upload);
	free(call);
	endpoint_unref(e);
}

/* Calls to engines are counted; those to stores are not among them. */
static void count(const struct call *call, enum err_code code)
{
	if (call->endpoint->carrier == &direct_carrier)
		metrics_inc(metrics_of_call(call->status, (int)code));
}

void call_finish(struct call *call, const struct err *err)
{
	const struct call_ops *ops = TAKE_PTR(call->ops);
	struct err copy = ERR_INIT;

	if (ops == NULL)
		return;
	if (err != NULL)
		copy = *err;
	count(call, copy.code);
	call_unlink(call);
	call->endpoint->carrier->stop(call);
	if (ops->done != NULL)
		ops->done(call, err != NULL ? &copy : NULL, call->arg);
}

void call_fail(struct call *call, enum err_code code, const char *message)
{
	if (call->failure != NULL)
		return;
	call->failure = message;
	call->failure_code = code;
}

bool call_finish_failed(struct call *call)
{
	struct err err = ERR_INIT;

	if (call->failure == NULL)
		return false;
	err_set(&err, call->failure_code, "%s", call->failure);
	call_finish(call, &err);
	return true;
}

bool call_was_sent(const struct call *call)
{
	return call->was_sent;
}

void call_cancel(struct call *call)
{
	if (call->ops == NULL) /* from inside done */
		return;
	call->ops = NULL;
	count(call, ERR_CANCELED);
	call_unlink(call);
	call->endpoint->carrier->stop(call);
}

bool call_take_head(struct call *call, int status)
{
	call->has_head = true;
	call->status = status;
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->ops->head != NULL)
		call->ops->head(call, status, &call->reply_headers, call->arg);
	return call->ops != NULL;
}

bool call_take_body(struct call *call, const char *data, size_t len)
{
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->ops->body != NULL && !call->ops->body(call, data, len, call->arg) &&
		call->ops != NULL)
		call->is_paused = true;
	return call->ops != NULL;
}

bool call_upload_sent(struct call *call, size_t len)
{
	buf_consume(&call->upload, len);
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->upload_full && call->upload.len < CALL_UPLOAD_HIGH_WATER / 2) {
		call->upload_full = false;
		if (call->ops->upload_drain != NULL)
			call->ops->upload_drain(call, call->arg);
	}
	return call->ops != NULL;
}

struct call *call_start(struct endpoint *e, const struct call_request *request,
	const struct call_ops *ops, void *arg)
{
	struct call *call = e->carrier->create();

	call->endpoint = e;
	call->ops = ops;
	call->arg = arg;
	call->has_upload = request->has_upload;
	call->upload_left = request->upload_length;
	/* What would be a second request, or none, on the wire. */
	if (!head_is_token(request->method, strlen(request->method)) || request->target[0] != '/' ||
		!head_is_target(request->target, strlen(request->target)))
		call_fail(call, ERR_INVALID, "the request's target or method is malformed");
	buf_init(&call->upload, CALL_UPLOAD_MAX);
	call->head_timeout_ms = request->head_timeout_ms;
	call->idle_timeout_ms = request->idle_timeout_ms;
	call->total_timeout_ms = request->total_timeout_ms;
	call->started_ms = call->progress_ms = loop_now_ms(e->client->loop);
	call_link(call);
	e->carrier->start(call, request);
	return call;
}

void call_resume(struct call *call)
{
	if (!call->is_paused)
		return;
	call->is_paused = false;
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	call->endpoint->carrier->resume(call);
}

/* The carrier breaks the request off, so that the peer does not take a part for the whole. */
static void upload_failed(struct call *call, enum err_code code, const char *message)
{
	call_fail(call, code, message);
	call->upload_ended = true;
}

/* Much is sent from where it is, as far as it goes. */
static size_t upload_at_once(struct call *call, const char *data, size_t len)
{
	size_t sent;

	if (len < CALL_UPLOAD_BULK || call->upload.len > 0 || call->endpoint->carrier->send == NULL)
		return 0;
	sent = call->endpoint->carrier->send(call, data, len);
	/* More like it follows: room for all that may wait, not growth by and by. */
	if (sent < len)
		(void)!buf_room(&call->upload, CALL_UPLOAD_HIGH_WATER + len);
	return sent;
}

bool call_upload(struct call *call, const void *data, size_t len)
{
	size_t sent = 0;

	if (call->upload.len == 0)
		call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->upload_left >= 0 && len > (size_t)call->upload_left) {
		upload_failed(call, ERR_INVALID, "the upload is longer than announced");
	} else {
		sent = upload_at_once(call, data, len);
		if (buf_append(&call->upload, (const char *)data + sent, len - sent) != 0)
			upload_failed(
				call, ERR_TOO_LARGE, "more upload waits than there is room for");
		else if (call->upload_left >= 0)
			call->upload_left -= (int64_t)len;
	}
	call->upload_full = call->upload.len > CALL_UPLOAD_HIGH_WATER;
	call->endpoint->carrier->upload_changed(call);
	return !call->upload_full;
}

void call_upload_end(struct call *call)
{
	if (call->upload_left > 0)
		upload_failed(call, ERR_INVALID, "the upload is shorter than announced");
	call->upload_ended = true;
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	call->endpoint->carrier->upload_changed(call);
}

/* The engine has to do something next: it is not our owner who has to give more of the upload. */
static bool waits_for_peer(const struct call *call)
{
	return !call->has_upload || call->upload_ended || call->upload.len > 0;
}

static bool is_late(const struct call *call, uint64_t now)
{
	if (call->is_waiting)
		return false;
	if (call->total_timeout_ms > 0 && now - call->started_ms > call->total_timeout_ms)
		return true;
	if (!call->has_head)
		return call->head_timeout_ms > 0 && waits_for_peer(call) &&
		       now - call->progress_ms > call->head_timeout_ms;
	return !call->is_paused && call->idle_timeout_ms > 0 &&
	       now - call->progress_ms > call->idle_timeout_ms;
}

static void end_late(struct call *call, uint64_t now)
{
	struct err err = ERR_INIT;

	if (call->total_timeout_ms > 0 && now - call->started_ms > call->total_timeout_ms)
		err_set(&err, ERR_TIMEOUT, "no complete answer within %u ms",
			call->total_timeout_ms);
	else if (!call->has_head)
		err_set(&err, ERR_TIMEOUT, "no answer within %u ms", call->head_timeout_ms);
	else
		err_set(&err, ERR_TIMEOUT, "the answer stopped for %u ms", call->idle_timeout_ms);
	call_finish(call, &err);
}

/* Its head has come, and there is no deadline for what follows. */
static bool may_go_on_for_ever(const struct call *call)
{
	return call->has_head && call->idle_timeout_ms == 0 && call->total_timeout_ms == 0;
}

/* Deadlines, a few times a second for all that have one. Thousands of event streams have none, and
 * are looked at no more than once after their heads. */
static void janitor(void *arg)
{
	struct client *client = arg;
	uint64_t now = loop_now_ms(client->loop);
	struct call *call;

	/* The owner of one that ends may end any other. */
	client->looked_at = client->calls;
	while ((call = client->looked_at) != NULL) {
		client->looked_at = call->all_next;
		if (is_late(call, now)) {
			end_late(call, now);
		} else if (may_go_on_for_ever(call)) {
			call_unlink_all(call);
			call->is_endless = true;
			DL_PREPEND2(client->endless_calls, call, all_prev, all_next);
		}
	}
	loop_timer_start(client->janitor, JANITOR_MS);
}

/* ---- Collected replies ---- */

static void collected_head(
	struct call *call, int status, const struct http_headers *headers, void *arg)
{
	/* The call keeps them until its end. */
	(void)call;
	(void)status;
	(void)headers;
	(void)arg;
}

static bool collected_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct collector *c = arg;
	struct err err = ERR_INIT;

	/* Most answers come in one piece, and need not be copied to be looked at. */
	if (call->piece_stays && c->body.len == 0 && len <= c->body.max) {
		c->whole = data;
		c->whole_len = len;
	} else if (buf_append(&c->body, data, len) != 0) {
		err_set(&err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", c->body.max);
		call_finish(call, &err);
	}
	return true;
}

static void collected_done(struct call *call, const struct err *err, void *arg)
{
	struct collector *c = arg;
	struct reply reply = {.status = call->status,
		.headers = &call->reply_headers,
		.body = c->whole ? c->whole : buf_str(&c->body),
		.body_len = c->whole ? c->whole_len : c->body.len};

	c->done(c->arg, err == NULL ? &reply : NULL, err);
}

static const struct call_ops collect_ops = {
	.head = collected_head,
	.body = collected_body,
	.done = collected_done,
};

struct call *call_collect(struct endpoint *e, const struct call_request *request, size_t max,
	call_collect_fn *done, void *arg)
{
	struct collector *c = xcalloc(1, sizeof(*c));
	struct call *call;

	buf_init(&c->body, max);
	c->done = done;
	c->arg = arg;
	call = call_start(e, request, &collect_ops, c);
	call->collector = c;
	return call;
}

/* ---- Endpoints ---- */

static struct endpoint *new_endpoint(struct client *client, const struct addr *addr,
	struct tls_context *tls, const struct call_carrier *carrier)
{
	struct endpoint *e = xcalloc(1, sizeof(*e));
	char *text = addr_format(addr);

	e->client = client;
	e->carrier = carrier;
	e->refs = 1;
	e->addr = *addr;
	e->addr.host = addr->host != NULL ? xstrdup(addr->host) : NULL;
	e->addr.path = addr->path != NULL ? xstrdup(addr->path) : NULL;
	e->tls = tls_context_ref(tls);
	e->name = addr->kind == ADDR_UNIX ? xstrdup(text) : xasprintf("tcp://%s", text);
	e->host = addr->kind == ADDR_UNIX ? xstrdup("localhost") : xstrdup(text);
	e->url = xasprintf("%s://%s/", tls != NULL ? "https" : "http", e->host);
	free(text);
	return e;
}

struct endpoint *endpoint_new(
	struct client *client, const struct addr *addr, struct tls_context *tls)
{
	return new_endpoint(client, addr, tls, &direct_carrier);
}

struct endpoint *endpoint_new_store(
	struct client *client, const struct addr *addr, struct tls_context *tls)
{
	return new_endpoint(client, addr, tls, &curl_carrier);
}

void endpoint_set_tls(struct endpoint *e, struct tls_context *tls)
{
	tls_context_ref(tls);
	tls_context_unref(e->tls);
	e->tls = tls;
	free(e->url);
	e->url = xasprintf("%s://%s/", tls != NULL ? "https" : "http", e->host);
	/* libcurl keys its own by the material itself. */
	endpoint_drop_idle(e);
	endpoint_spoil_lines(e);
}

void endpoint_unref(struct endpoint *e)
{
	if (--e->refs > 0)
		return;
	tls_context_unref(e->tls);
	addr_free(&e->addr);
	free(e->name);
	free(e->host);
	free(e->url);
	free(e);
}

void endpoint_free(struct endpoint *e)
{
	struct err err = ERR_INIT;

	if (e == NULL)
		return;
	err_set(&err, ERR_CANCELED, "the connection to %s is no longer wanted", e->name);
	while (e->calls != NULL)
		call_finish(e->calls, &err);
	while (e->raw_calls != NULL)
		raw_call_abort(e->raw_calls);
	e->is_freed = true;
	endpoint_drop_idle(e);
	endpoint_unref(e);
}

const char *endpoint_name(const struct endpoint *e)
{
	return e->name;
}

/* ---- The client ---- */

struct client *client_new(struct loop *loop)
{
	struct client *client = xcalloc(1, sizeof(*client));
	struct rlimit limit;

	/* The rest is for clients, and for what is under way. */
	client->idle_max = SIZE_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		client->idle_max = limit.rlim_cur / IDLE_SHARE + 1;
	client->loop = loop;
	client->scratch = xmalloc(CALL_READ_SIZE + 1);
	client->janitor = loop_timer_new(loop, janitor, client);
	loop_timer_start(client->janitor, JANITOR_MS);
	return client;
}

void client_free(struct client *client)
{
	struct err err = ERR_INIT;

	if (client == NULL)
		return;
	err_set(&err, ERR_CANCELED, "the client ends");
	while (client->calls != NULL)
		call_finish(client->calls, &err);
	while (client->endless_calls != NULL)
		call_finish(client->endless_calls, &err);
	curl_client_free(client->curl);
	loop_timer_free(client->janitor);
	free(client->scratch);
	free(client);
}
