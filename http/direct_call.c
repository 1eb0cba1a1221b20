/* Calls to engines over our own sockets. Each connection carries one call at a time; when its reply
 * is complete it waits for the next one. Why not libcurl here as well: docs/internals/http.md has
 * the figures. */
#include "http/client_priv.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/stream.h"
#include "lib/str.h"

#include <string.h>
#include <utlist.h>

#define READS_PER_EVENT 8
#define BURST_IDLE_MAX 64  /* connections kept for a moment after a burst */
#define BURST_IDLE_MS 1000 /* that moment; then all but ENDPOINT_IDLE_MAX are closed */
#define QUIET_IDLE_MS 5000 /* without any that comes back: then one stays */
#define REQUEST_MAX (64 * 1024 * 1024)

/* An idle connection. */
struct wire {
	struct wire *next;
	struct wire *older, *newer; /* of all endpoints of the client */
	struct endpoint *endpoint;
	struct stream *stream;
};

struct direct_call {
	struct call call;
	struct dial *dial;
	struct stream *stream;
	bool is_reused;    /* the connection carried a call before */
	bool has_answered; /* a byte of the reply came */
	bool is_idempotent;
	bool is_chunked; /* the upload */
	bool last_chunk_sent;
	bool is_blocked;    /* the connection takes no more of the request for now */
	bool upload_is_due; /* upload_later is on its way */
	bool is_stopped;
	char *method;
	struct buf out;  /* the request, as far as it waits to be sent */
	struct buf kept; /* the request whole, to be sent once more; only on a connection that was
			    used before */
	struct buf in;
	size_t head_bytes;
	struct head head;
	struct framing framing;
	unsigned connect_timeout_ms;
};

static struct direct_call *direct_of(struct call *call)
{
	return CONTAINER_OF(call, struct direct_call, call);
}

/* ---- Idle connections ---- */

/* Out of the lists; its stream is the caller's, and it is gone. */
static struct stream *wire_take(struct wire *wire)
{
	struct endpoint *e = wire->endpoint;
	struct stream *stream = wire->stream;
	struct wire **at = &e->idle;

	while (*at != wire)
		at = &(*at)->next;
	*at = wire->next;
	e->idle_len--;
	DL_DELETE2(e->client->idle, wire, older, newer);
	e->client->idle_len--;
	free(wire);
	return stream;
}

static void wire_close(struct wire *wire)
{
	stream_close(wire_take(wire));
}

/* An idle connection has nothing to say: it has ended, or the engine is confused. */
static void wire_ready(unsigned events, void *arg)
{
	(void)events;
	wire_close(arg);
}

static void close_surplus(void *arg);

static void watch_surplus(struct endpoint *e)
{
	if (e->idle_len <= 1)
		return;
	if (e->idle_timer == NULL)
		e->idle_timer = loop_timer_new(e->client->loop, close_surplus, e);
	loop_timer_start(
		e->idle_timer, e->idle_len > ENDPOINT_IDLE_MAX ? BURST_IDLE_MS : QUIET_IDLE_MS);
}

/* The ones used longest ago stand last. */
static void close_surplus(void *arg)
{
	struct endpoint *e = arg;
	unsigned keep = e->idle_len > ENDPOINT_IDLE_MAX ? ENDPOINT_IDLE_MAX : 1;
	struct wire *wire = e->idle, *next;

	for (unsigned i = 0; wire != NULL; i++, wire = next) {
		next = wire->next;
		if (i >= keep)
			wire_close(wire);
	}
	watch_surplus(e);
}

void endpoint_drop_idle(struct endpoint *e)
{
	while (e->idle != NULL)
		wire_close(e->idle);
	loop_timer_free(TAKE_PTR(e->idle_timer));
}

static void keep_stream(struct endpoint *e, struct stream *stream)
{
	struct wire *wire;

	if (e->is_freed || e->idle_len >= BURST_IDLE_MAX) {
		stream_close(stream);
		return;
	}
	wire = xcalloc(1, sizeof(*wire));
	wire->endpoint = e;
	wire->stream = stream;
	wire->next = e->idle;
	e->idle = wire;
	e->idle_len++;
	DL_APPEND2(e->client->idle, wire, older, newer);
	if (++e->client->idle_len > e->client->idle_max)
		wire_close(e->client->idle);
	stream_on_ready(stream, wire_ready, wire);
	stream_want(stream, LOOP_READ);
	watch_surplus(e);
}

static struct stream *take_idle(struct endpoint *e)
{
	struct stream *stream;

	if (e->idle == NULL)
		return NULL;
	stream = wire_take(e->idle);
	stream_on_ready(stream, NULL, NULL);
	return stream;
}

/* ---- The end ---- */

static void direct_free(void *arg)
{
	struct direct_call *d = arg;

	head_free(&d->head);
	buf_reset(&d->out);
	buf_reset(&d->kept);
	buf_reset(&d->in);
	free(d->method);
	call_release(&d->call);
}

static bool can_be_kept(const struct direct_call *d)
{
	return d->stream != NULL && d->call.has_head && framing_is_done(&d->framing) &&
	       d->head.keep_alive && d->out.len == 0 &&
	       (!d->call.has_upload ||
		       (d->call.upload.len == 0 && (d->last_chunk_sent || !d->is_chunked) &&
			       d->call.upload_ended));
}

static void direct_stop(struct call *call)
{
	struct direct_call *d = direct_of(call);

	d->is_stopped = true;
	dial_cancel(TAKE_PTR(d->dial));
	if (can_be_kept(d))
		keep_stream(call->endpoint, TAKE_PTR(d->stream));
	else
		stream_close(TAKE_PTR(d->stream));
	loop_defer(call->endpoint->client->loop, direct_free, d);
}

static void fail(struct direct_call *d, enum err_code code, const char *message)
{
	struct err err = ERR_INIT;

	err_set(&err, code, "%s", message);
	call_finish(&d->call, &err);
}

/* ---- The reply ---- */

/* Of what has been read, more is left behind the end of the answer: nothing that comes over this
 * connection is to be trusted. Looked at before anybody is told of the answer, who may end the call
 * at that. */
static void note_surplus(struct direct_call *d, size_t left)
{
	if (left > 0 && framing_is_done(&d->framing))
		d->head.keep_alive = false;
}

/* Heads at the front of data, interim ones too: how many bytes are used up; -1 when the call is
 * over. */
static ssize_t take_head(struct direct_call *d, const char *data, size_t len)
{
	struct err err = ERR_INIT;
	size_t end, used = 0;

	do {
		end = head_find_end(data + used, len - used);
		if (end == 0 && d->head_bytes + len - used <= CALL_HEAD_MAX)
			return (ssize_t)used;
		d->head_bytes += end;
		if (end == 0 || d->head_bytes > CALL_HEAD_MAX) {
			fail(d, ERR_UPSTREAM, "the answer's head is too large");
			return -1;
		}
		head_free(&d->head);
		if (head_parse_reply(data + used, end, d->method, &d->head, &err) != 0) {
			call_finish(&d->call, &err);
			return -1;
		}
		used += end;
	} while (d->head.status < 200 && d->head.status != 101);
	if (d->head.status == 101) {
		fail(d, ERR_UPSTREAM, "the answer upgrades, and nobody asked for it");
		return -1;
	}
	framing_init(&d->framing, d->head.body_length);
	note_surplus(d, len - used);
	d->call.reply_headers = d->head.headers;
	memset(&d->head.headers, 0, sizeof(d->head.headers));
	return call_take_head(&d->call, d->head.status) ? (ssize_t)used : -1;
}

/* Passes on what there is of the body: how many bytes are used up; -1 when the call is over. Many
 * small chunks (an engine makes one of each line of a log) are joined where they are. stays: behind
 * data there is room for one byte, and it is not touched before the call is over. */
static ssize_t take_body(struct direct_call *d, char *data, size_t len, bool stays)
{
	struct err err = ERR_INIT;
	char *joined = data;
	size_t joined_len = 0, at = 0;
	ssize_t used = 0;

	if (d->call.is_paused)
		return 0;
	while (!framing_is_done(&d->framing)) {
		const char *body;
		size_t body_len;

		used = framing_feed(&d->framing, data + at, len - at, &body, &body_len, &err);
		if (used <= 0)
			break;
		if (joined_len == 0)
			joined = data + (at + (size_t)used - body_len);
		else if (body_len > 0)
			memmove(joined + joined_len, body, body_len);
		joined_len += body_len;
		at += (size_t)used;
	}
	note_surplus(d, len - at);
	if (stays && at == len && framing_is_done(&d->framing)) {
		joined[joined_len] = '\0';
		d->call.piece_stays = true;
	}
	if (joined_len > 0 && !call_take_body(&d->call, joined, joined_len))
		return -1;
	if (used >= 0)
		return (ssize_t)at;
	err.code = ERR_UPSTREAM;
	call_finish(&d->call, &err);
	return -1;
}

/* Of these bytes, all that can be used now: how many; -1 when the call is over. */
static ssize_t take_bytes(struct direct_call *d, char *data, size_t len, bool stays)
{
	ssize_t head = 0, body;

	if (!d->call.has_head) {
		head = take_head(d, data, len);
		if (head < 0 || !d->call.has_head)
			return head;
	}
	body = take_body(d, data + head, len - (size_t)head, stays);
	return body < 0 ? -1 : head + body;
}

/* Looks at what was kept, and at len bytes that have just been read into the client's scratch:
 * these are used from where they are when nothing is before them. False when the call is over. */
static bool take(struct direct_call *d, char *data, size_t len)
{
	ssize_t used;

	if (d->in.len > 0) {
		if (buf_append(&d->in, data, len) != 0)
			goto full;
		used = take_bytes(d, d->in.data, d->in.len, false);
		if (used < 0)
			return false;
		buf_consume(&d->in, (size_t)used);
	} else if (len > 0) {
		used = take_bytes(d, data, len, true);
		if (used < 0)
			return false;
		if (buf_append(&d->in, data + used, len - (size_t)used) != 0)
			goto full;
	}
	if (!d->call.has_head || !framing_is_done(&d->framing))
		return true;
	call_finish(&d->call, NULL);
	return false;
full:
	fail(d, ERR_UPSTREAM, "the answer cannot be read");
	return false;
}

static void direct_retry(struct direct_call *d);

static void reply_ended(struct direct_call *d, bool in_order)
{
	if (!d->has_answered && d->is_reused && d->is_idempotent)
		direct_retry(d);
	else if (in_order && d->call.has_head && d->framing.state == FRAMING_UNTIL_CLOSE)
		call_finish(&d->call, NULL);
	else
		fail(d, ERR_UPSTREAM,
			d->has_answered ? "the answer broke off"
					: "the connection was closed without an answer");
}

static void read_reply(struct direct_call *d)
{
	struct client *client = d->call.endpoint->client;

	/* What a stop left behind while callbacks run is freed after this turn. */
	for (int i = 0; i < READS_PER_EVENT && !d->call.is_paused; i++) {
		ssize_t n = stream_read(d->stream, client->scratch, CALL_READ_SIZE);

		if (n == STREAM_AGAIN)
			return;
		if (n <= 0) {
			reply_ended(d, n == 0);
			return;
		}
		d->has_answered = true;
		if (!take(d, client->scratch, (size_t)n))
			return;
		if (n < CALL_READ_SIZE)
			return; /* all there is; readiness tells of more */
	}
}

/* ---- The request ---- */

/* Moves an upload of unknown length into out, framed; one of a known length is sent from where it
 * is. */
static bool fill_out(struct direct_call *d)
{
	struct call *call = &d->call;
	size_t len = call->upload.len;

	if (!call->has_upload || !d->is_chunked || d->out.len > 0)
		return true;
	if (len > CALL_READ_SIZE)
		len = CALL_READ_SIZE;
	if (len > 0) {
		buf_printf(&d->out, "%zx\r\n", len);
		buf_append(&d->out, call->upload.data, len);
		buf_append(&d->out, "\r\n", 2);
		if (!call_upload_sent(call, len))
			return false;
	}
	if (call->upload.len == 0 && call->upload_ended && !d->last_chunk_sent) {
		buf_append(&d->out, "0\r\n\r\n", 5);
		d->last_chunk_sent = true;
	}
	return true;
}

/* The bytes that are to be sent next, NULL = none. */
static struct buf *to_send(struct direct_call *d)
{
	if (d->out.len > 0)
		return &d->out;
	if (d->call.has_upload && !d->is_chunked && d->call.upload.len > 0)
		return &d->call.upload;
	return NULL;
}

/* False when the call is over. */
static bool write_request(struct direct_call *d)
{
	for (;;) {
		struct buf *from;
		ssize_t n;

		if (call_finish_failed(&d->call))
			return false;
		if (!fill_out(d))
			return false;
		from = to_send(d);
		d->is_blocked = false;
		if (from == NULL)
			return true;
		n = stream_write(d->stream, from->data, from->len);
		if (n == STREAM_AGAIN) {
			d->is_blocked = true;
			return true;
		}
		if (n == STREAM_ERROR) {
			/* The engine may have refused the upload and said so: what can be read
			 * comes first. */
			if (d->call.has_upload) {
				buf_reset(&d->out);
				d->call.has_upload = false;
				d->head.keep_alive = false;
				return true;
			}
			reply_ended(d, false);
			return false;
		}
		if (from == &d->out)
			buf_consume(&d->out, (size_t)n);
		else if (!call_upload_sent(&d->call, (size_t)n))
			return false;
		/* An answer may go on for as long as the engine lives. */
		if (d->out.len == 0 && !d->call.has_upload)
			buf_reset(&d->out);
	}
}

static void update_want(struct direct_call *d)
{
	unsigned events = d->is_blocked ? LOOP_WRITE : 0;

	if (!d->call.is_paused)
		events |= LOOP_READ;
	stream_want(d->stream, events);
}

static void direct_ready(unsigned events, void *arg)
{
	struct direct_call *d = arg;

	if ((events & LOOP_WRITE) && !write_request(d))
		return;
	if (events & (LOOP_READ | LOOP_HANGUP))
		read_reply(d);
	if (!d->is_stopped && d->stream != NULL)
		update_want(d);
}

static void begin(struct direct_call *d, struct stream *stream)
{
	d->stream = stream;
	stream_on_ready(stream, direct_ready, d);
	if (write_request(d) && !d->is_stopped && d->stream != NULL)
		update_want(d);
}

static void dialled(void *arg, struct stream *stream, const struct err *err)
{
	struct direct_call *d = arg;

	d->dial = NULL;
	if (err != NULL)
		call_finish(&d->call, err);
	else
		begin(d, stream);
}

static void direct_dial(struct direct_call *d)
{
	struct endpoint *e = d->call.endpoint;

	d->is_reused = false;
	d->dial = stream_dial(e->client->loop, &e->addr, e->tls, d->connect_timeout_ms, dialled, d);
}

/* The connection ended just as we took it: nothing was done with the request, or doing it twice is
 * no harm. */
static void direct_retry(struct direct_call *d)
{
	stream_close(TAKE_PTR(d->stream));
	buf_reset(&d->out);
	buf_append(&d->out, d->kept.data, d->kept.len);
	direct_dial(d);
}

/* An idle connection is written to from the loop, so that call_start calls nobody back. */
static void direct_first(void *arg)
{
	struct direct_call *d = arg;

	if (d->is_stopped)
		return;
	begin(d, TAKE_PTR(d->stream));
}

static void fail_first(void *arg)
{
	struct direct_call *d = arg;

	if (!d->is_stopped)
		(void)call_finish_failed(&d->call);
}

static void write_head(struct direct_call *d, const struct call_request *request)
{
	head_write_request(&d->out, request->method, request->target, d->call.endpoint->host,
		request->headers);
	d->is_chunked = request->has_upload && request->upload_length < 0;
	if (d->is_chunked)
		buf_append_str(&d->out, "Transfer-Encoding: chunked\r\n");
	else if (request->has_upload)
		buf_printf(&d->out, "Content-Length: %lld\r\n", (long long)request->upload_length);
	else if (request->body_len > 0 || str_eq(request->method, "POST") ||
		 str_eq(request->method, "PUT"))
		buf_printf(&d->out, "Content-Length: %zu\r\n", request->body_len);
	buf_append(&d->out, "\r\n", 2);
	if (request->body_len > 0)
		buf_append(&d->out, request->body, request->body_len);
}

static struct call *direct_create(void)
{
	struct direct_call *d = xcalloc(1, sizeof(*d));

	return &d->call;
}

static void direct_start(struct call *call, const struct call_request *request)
{
	struct direct_call *d = direct_of(call);
	struct endpoint *e = call->endpoint;

	d->method = xstrdup(request->method);
	d->connect_timeout_ms = request->connect_timeout_ms > 0 ? request->connect_timeout_ms
								: CALL_CONNECT_TIMEOUT_MS;
	buf_init(&d->out, REQUEST_MAX);
	buf_init(&d->kept, REQUEST_MAX);
	buf_init(&d->in, CALL_HEAD_MAX + CALL_READ_SIZE * 2);
	write_head(d, request);
	/* An upload cannot be repeated. */
	d->is_idempotent =
		!request->has_upload && (str_eq(d->method, "GET") || str_eq(d->method, "HEAD"));
	if (call->failure != NULL) {
		loop_defer(e->client->loop, fail_first, d);
		return;
	}
	d->stream = take_idle(e);
	if (d->stream == NULL) {
		direct_dial(d);
		return;
	}
	d->is_reused = true;
	if (d->is_idempotent)
		buf_append(&d->kept, d->out.data, d->out.len);
	loop_defer(e->client->loop, direct_first, d);
}

static void resume_later(void *arg)
{
	struct direct_call *d = arg;

	if (d->is_stopped || d->call.is_paused || d->stream == NULL)
		return;
	if (take(d, NULL, 0))
		update_want(d);
}

static void direct_resume(struct call *call)
{
	loop_defer(call->endpoint->client->loop, resume_later, direct_of(call));
}

static void upload_later(void *arg)
{
	struct direct_call *d = arg;

	d->upload_is_due = false;
	if (!d->is_stopped && d->stream != NULL && write_request(d) && d->stream != NULL)
		update_want(d);
}

static size_t direct_send(struct call *call, const char *data, size_t len)
{
	struct direct_call *d = direct_of(call);
	size_t sent = 0;
	ssize_t n;

	if (d->stream == NULL || d->is_stopped || d->is_blocked || d->out.len > 0 ||
		!call->has_upload || call->failure != NULL)
		return 0;
	if (d->is_chunked) {
		buf_printf(&d->out, "%zx\r\n", len);
		buf_append(&d->out, data, len);
		buf_append(&d->out, "\r\n", 2);
		return len;
	}
	while (sent < len) {
		n = stream_write(d->stream, data + sent, len - sent);
		if (n < 0)
			break; /* full; or broken, which upload_later finds out */
		sent += (size_t)n;
	}
	return sent;
}

static void direct_upload_changed(struct call *call)
{
	struct direct_call *d = direct_of(call);

	if (d->stream == NULL || d->is_blocked || d->upload_is_due)
		return;
	d->upload_is_due = true;
	loop_defer(call->endpoint->client->loop, upload_later, d);
}

const struct call_carrier direct_carrier = {
	.create = direct_create,
	.start = direct_start,
	.stop = direct_stop,
	.resume = direct_resume,
	.upload_changed = direct_upload_changed,
	.send = direct_send,
};
