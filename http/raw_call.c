/* A request whose answer may turn the connection into a raw stream. Our own socket and TLS, because
 * libcurl cannot half-close. */
#include "http/client_priv.h"
#include "http/framing.h"
#include "http/head.h"
#include "lib/str.h"

#include <string.h>

#define HEAD_MAX (64 * 1024)
#define REFUSAL_MAX (1024 * 1024)
#define TIMEOUT_MS (30 * 1000) /* when the caller gives none */

struct raw_call {
	struct endpoint *endpoint;
	struct raw_call *prev, *next;
	const struct raw_ops *ops; /* NULL once it was told its end */
	void *arg;
	struct dial *dial;
	struct stream *stream;
	struct loop_timer *timer;
	char *method;
	unsigned connect_timeout_ms;
	bool wants_upgrade; /* by an Upgrade header */
	struct buf out;     /* the request */
	struct buf in;      /* of the answer's head */
	/* An answer that is not raw. */
	bool has_head;
	struct head_scan scan;
	struct head head;
	struct framing framing;
	struct buf body;
};

/* Before any callback, which may free the endpoint. */
static void raw_call_unlink(struct raw_call *call)
{
	struct endpoint *e = call->endpoint;

	if (e == NULL)
		return;
	if (call->prev != NULL)
		call->prev->next = call->next;
	else
		e->raw_calls = call->next;
	if (call->next != NULL)
		call->next->prev = call->prev;
	call->endpoint = NULL;
}

static void raw_call_free(struct raw_call *call)
{
	raw_call_unlink(call);
	dial_cancel(call->dial);
	stream_close(call->stream);
	loop_timer_free(call->timer);
	head_free(&call->head);
	buf_reset(&call->out);
	buf_reset(&call->in);
	buf_reset(&call->body);
	free(call->method);
	free(call);
}

void raw_call_cancel(struct raw_call *call)
{
	if (call != NULL && call->ops != NULL) /* not from inside its callback */
		raw_call_free(call);
}

static void raw_call_fail(struct raw_call *call, const struct err *err)
{
	const struct raw_ops *ops = call->ops;
	void *arg = call->arg;
	struct err copy = *err;

	raw_call_unlink(call);
	call->ops = NULL;
	ops->refused(call, NULL, &copy, arg);
	raw_call_free(call);
}

void raw_call_abort(struct raw_call *call)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_CANCELED, "the connection to %s is no longer wanted",
		call->endpoint->name);
	raw_call_fail(call, &err);
}

static void fail(struct raw_call *call, enum err_code code, const char *message)
{
	struct err err = ERR_INIT;

	err_set(&err, code, "%s", message);
	raw_call_fail(call, &err);
}

static void refused(struct raw_call *call)
{
	const struct raw_ops *ops = TAKE_PTR(call->ops);
	struct reply reply = {.status = call->head.status,
		.headers = &call->head.headers,
		.body = buf_str(&call->body),
		.body_len = call->body.len};

	raw_call_unlink(call);
	ops->refused(call, &reply, NULL, call->arg);
	raw_call_free(call);
}

static void upgraded(struct raw_call *call)
{
	struct stream *stream = TAKE_PTR(call->stream);
	const struct raw_ops *ops = TAKE_PTR(call->ops);

	stream_want(stream, 0);
	stream_on_ready(stream, NULL, NULL);
	if (call->in.len > 0)
		stream_unread(stream, call->in.data, call->in.len);
	raw_call_unlink(call);
	ops->upgraded(call, call->head.status, &call->head.headers, stream, call->arg);
	raw_call_free(call);
}

/* An engine that was not asked to upgrade says so by the type of its answer (API before 1.20, and
 * clients without Upgrade). */
static bool is_raw(const struct raw_call *call)
{
	const char *type = http_headers_get(&call->head.headers, "Content-Type");

	if (call->head.status == 101)
		return call->wants_upgrade;
	return call->head.status == 200 && call->head.body_length == HEAD_UNTIL_CLOSE &&
	       type != NULL &&
	       (str_has_prefix(type, "application/vnd.docker.raw-stream") ||
		       str_has_prefix(type, "application/vnd.docker.multiplexed-stream"));
}

/* True when the call is over. */
static bool parse_head(struct raw_call *call)
{
	struct err err = ERR_INIT;
	ssize_t end;

	do {
		end = head_find_end(call->in.data, call->in.len, &call->scan);
		if (end == 0 && call->in.len < HEAD_MAX)
			return false;
		if (end <= 0) {
			fail(call, ERR_UPSTREAM, "the answer's head is too large");
			return true;
		}
		head_free(&call->head);
		if (head_parse_reply(call->in.data, (size_t)end, call->method, &call->head, &err) !=
			0) {
			raw_call_fail(call, &err);
			return true;
		}
		buf_consume(&call->in, (size_t)end);
	} while (call->head.status < 200 && call->head.status != 101);
	if (is_raw(call)) {
		upgraded(call);
		return true;
	}
	if (call->head.status == 101) {
		fail(call, ERR_UPSTREAM, "the answer upgrades, and nobody asked for it");
		return true;
	}
	call->has_head = true;
	framing_init(&call->framing, call->head.body_length);
	return false;
}

static bool take_body(struct raw_call *call)
{
	while (!framing_is_done(&call->framing)) {
		struct err err = ERR_INIT;
		const char *body;
		size_t len;
		ssize_t used = framing_feed(
			&call->framing, call->in.data, call->in.len, &body, &len, &err);

		if (used < 0) {
			err.code = ERR_UPSTREAM;
			raw_call_fail(call, &err);
			return true;
		}
		if (used == 0)
			return false;
		if (len > 0 && buf_append(&call->body, body, len) != 0) {
			fail(call, ERR_UPSTREAM, "the answer is too large");
			return true;
		}
		buf_consume(&call->in, (size_t)used);
	}
	refused(call);
	return true;
}

static void read_answer(struct raw_call *call)
{
	for (int i = 0; i < 16; i++) {
		char *room = buf_room(&call->in, 4096);
		ssize_t n;

		if (room == NULL) {
			fail(call, ERR_UPSTREAM, "the answer is too large");
			return;
		}
		n = stream_read(call->stream, room, 4096);
		if (n == STREAM_AGAIN)
			return;
		if (n == 0 && call->has_head && call->framing.state == FRAMING_UNTIL_CLOSE) {
			refused(call);
			return;
		}
		if (n <= 0) {
			fail(call, ERR_UPSTREAM, "the connection ended before the answer did");
			return;
		}
		buf_added(&call->in, (size_t)n);
		if (!call->has_head && parse_head(call))
			return;
		if (call->has_head && take_body(call))
			return;
	}
}

static void raw_call_ready(unsigned events, void *arg)
{
	struct raw_call *call = arg;

	while (call->out.len > 0) {
		ssize_t n = stream_write(call->stream, call->out.data, call->out.len);

		if (n == STREAM_AGAIN)
			break;
		if (n == STREAM_ERROR) {
			fail(call, ERR_UPSTREAM, "the connection broke while the request was sent");
			return;
		}
		buf_consume(&call->out, (size_t)n);
	}
	stream_want(call->stream, call->out.len > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
	if (events & (LOOP_READ | LOOP_HANGUP))
		read_answer(call);
}

static void raw_call_dial(struct raw_call *call);

static void dialled(void *arg, struct stream *stream, const struct err *err)
{
	struct raw_call *call = arg;

	call->dial = NULL;
	if (err != NULL && err->code == ERR_EXHAUSTED && client_give_back(call->endpoint->client)) {
		raw_call_dial(call);
		return;
	}
	if (err != NULL) {
		raw_call_fail(call, err);
		return;
	}
	call->stream = stream;
	stream_on_ready(stream, raw_call_ready, call);
	raw_call_ready(0, call);
}

static void raw_call_dial(struct raw_call *call)
{
	struct endpoint *e = call->endpoint;

	call->dial = stream_dial(
		e->client->loop, &e->addr, e->tls, call->connect_timeout_ms, dialled, call);
}

static void timed_out(void *arg)
{
	fail(arg, ERR_TIMEOUT, "no answer in time");
}

static void write_request(
	struct raw_call *call, const struct call_request *request, const char *upgrade_token)
{
	head_write_request(&call->out, request->method, request->target, call->endpoint->host,
		request->headers);
	if (upgrade_token != NULL)
		buf_printf(&call->out, "Connection: Upgrade\r\nUpgrade: %s\r\n", upgrade_token);
	if (request->body_len > 0 || !str_eq(request->method, "GET"))
		buf_printf(&call->out, "Content-Length: %zu\r\n", request->body_len);
	buf_append(&call->out, "\r\n", 2);
	if (request->body_len > 0)
		buf_append(&call->out, request->body, request->body_len);
}

struct raw_call *raw_call_start(struct endpoint *e, const struct call_request *request,
	const char *upgrade_token, const struct raw_ops *ops, void *arg)
{
	struct raw_call *call = xcalloc(1, sizeof(*call));
	struct loop *loop = e->client->loop;

	call->endpoint = e;
	call->ops = ops;
	call->arg = arg;
	call->method = xstrdup(request->method);
	call->wants_upgrade = upgrade_token != NULL;
	buf_init(&call->out, request->body_len + HEAD_MAX * 4);
	buf_init(&call->in, HEAD_MAX + 4096);
	buf_init(&call->body, REFUSAL_MAX);
	write_request(call, request, upgrade_token);
	call->next = e->raw_calls;
	if (call->next != NULL)
		call->next->prev = call;
	e->raw_calls = call;
	call->timer = loop_timer_new(loop, timed_out, call);
	loop_timer_start(
		call->timer, request->head_timeout_ms > 0 ? request->head_timeout_ms : TIMEOUT_MS);
	call->connect_timeout_ms = request->connect_timeout_ms > 0 ? request->connect_timeout_ms
								   : CALL_CONNECT_TIMEOUT_MS;
	raw_call_dial(call);
	return call;
}
