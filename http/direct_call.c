/* Calls to engines over our own sockets. A connection carries one call, or a line of them (line.c);
 * when no more are to be answered it waits for the next one (idle.c). Why not libcurl here as well:
 * docs/internals/http.md has the figures. */
#include "http/direct_call.h"
#include "http/stream.h"
#include "lib/str.h"

#include <string.h>

#define READS_PER_EVENT 8
#define REQUEST_MAX (64 * 1024 * 1024)

static struct direct_call *direct_of(struct call *call)
{
	return CONTAINER_OF(call, struct direct_call, call);
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

bool direct_can_be_kept(const struct direct_call *d)
{
	return d->call.has_head && framing_is_done(&d->framing) && d->head.keep_alive &&
	       !d->must_close && d->out.len == 0 &&
	       (!d->call.has_upload ||
		       (d->call.upload.len == 0 && (d->last_chunk_sent || !d->is_chunked) &&
			       d->call.upload_ended));
}

static void direct_stop(struct call *call)
{
	struct direct_call *d = direct_of(call);

	d->is_stopped = true;
	dial_cancel(TAKE_PTR(d->dial));
	line_leave(d);
	if (d->stream != NULL && direct_can_be_kept(d))
		endpoint_keep(call->endpoint, TAKE_PTR(d->stream), d->is_rounds);
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

/* Of what has been read, more is left behind the end of the answer: unless it answers the next in
 * line, nothing that comes over this connection is to be trusted. Looked at before anybody is told
 * of the answer, who may end the call at that. */
static void note_surplus(struct direct_call *d, size_t left)
{
	if (left > 0 && framing_is_done(&d->framing) && !line_may_read_on(d))
		d->must_close = true;
}

/* Heads at the front of data, interim ones too: how many bytes are used up; -1 when the call is
 * over. */
static ssize_t take_head(struct direct_call *d, const char *data, size_t len)
{
	struct err err = ERR_INIT;
	size_t used = 0;
	ssize_t end;

	do {
		end = head_find_end(data + used, len - used, &d->scan);
		if (end == 0 && d->head_bytes + len - used <= CALL_HEAD_MAX)
			return (ssize_t)used;
		d->head_bytes += end > 0 ? (size_t)end : 0;
		if (end <= 0 || d->head_bytes > CALL_HEAD_MAX) {
			fail(d, ERR_UPSTREAM, "the answer's head is too large");
			return -1;
		}
		head_free(&d->head);
		if (head_parse_reply(data + used, (size_t)end, d->method, &d->head, &err) != 0) {
			call_finish(&d->call, &err);
			return -1;
		}
		used += (size_t)end;
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
 * small chunks (an engine makes one of each line of a log) are joined where they are. Behind data
 * there is room for one byte, and the last piece stays where it is until the call is over. */
static ssize_t take_body(struct direct_call *d, char *data, size_t len)
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
	if (framing_is_done(&d->framing)) {
		d->end = joined + joined_len;
		d->under = *d->end;
		*d->end = '\0';
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
static ssize_t take_bytes(struct direct_call *d, char *data, size_t len)
{
	ssize_t head = 0, body;

	if (!d->call.has_head) {
		head = take_head(d, data, len);
		if (head < 0 || !d->call.has_head)
			return head;
	}
	body = take_body(d, data + head, len - (size_t)head);
	return body < 0 ? -1 : head + body;
}

static bool is_complete(const struct direct_call *d)
{
	return d->call.has_head && framing_is_done(&d->framing);
}

/* The answer is complete; its owner is told, who may look at its body where it was read, in the
 * first bytes of `in` or elsewhere. Returns who reads on over the connection. */
static struct direct_call *end_whole(struct direct_call *d, size_t used_of_in)
{
	struct direct_call *heir;

	d->is_whole = true;
	call_finish(&d->call, NULL);
	if (d->end != NULL)
		*d->end = d->under;
	buf_consume(&d->in, used_of_in);
	heir = d->heir;
	if (heir == NULL || heir->is_stopped)
		return NULL;
	heir->has_answered = d->in.len > 0;
	heir->in = d->in;
	buf_init(&d->in, 0);
	return heir;
}

static struct direct_call *fail_unread(struct direct_call *d)
{
	fail(d, ERR_UPSTREAM, "the answer cannot be read");
	return NULL;
}

/* Looks at what was kept. Returns whose answer goes on over the connection; NULL when that is
 * nobody's any more. */
static struct direct_call *take_kept(struct direct_call *d)
{
	while (d != NULL && d->in.len > 0) {
		ssize_t used = take_bytes(d, d->in.data, d->in.len);

		if (used < 0)
			return NULL;
		if (!is_complete(d)) {
			buf_consume(&d->in, (size_t)used);
			break;
		}
		d = end_whole(d, (size_t)used);
	}
	return d;
}

/* Looks at len bytes that have just been read into the client's scratch: they are used from where
 * they are when nothing is before them. Returns as above. */
static struct direct_call *take(struct direct_call *d, char *data, size_t len)
{
	while (d != NULL && (len > 0 || d->in.len > 0)) {
		ssize_t used;

		d->has_answered |= len > 0;
		if (d->in.len > 0) {
			if (buf_append(&d->in, data, len) != 0)
				return fail_unread(d);
			return take_kept(d);
		}
		used = take_bytes(d, data, len);
		if (used < 0)
			return NULL;
		data += used;
		len -= (size_t)used;
		if (!is_complete(d)) {
			if (buf_append(&d->in, data, len) != 0)
				return fail_unread(d);
			return d;
		}
		d = end_whole(d, 0);
	}
	return d;
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

/* Returns as take does. */
static struct direct_call *read_reply(struct direct_call *d)
{
	struct client *client = d->call.endpoint->client;

	/* What a stop left behind while callbacks run is freed after this turn. */
	for (int i = 0; i < READS_PER_EVENT && !d->call.is_paused; i++) {
		ssize_t n = stream_read(d->stream, client->scratch, CALL_READ_SIZE);

		if (n == STREAM_AGAIN)
			return d;
		if (n <= 0) {
			reply_ended(d, n == 0);
			return NULL;
		}
		d = take(d, client->scratch, (size_t)n);
		if (d == NULL || n < CALL_READ_SIZE)
			return d; /* all there is; readiness tells of more */
	}
	return d;
}

/* ---- The request ---- */

/* Moves an upload of unknown length into out, framed; one of a known length is sent from where it
 * is. */
static bool fill_out(struct direct_call *d)
{
	struct call *call = &d->call;
	size_t len = call->upload.len;

	line_fill(d);
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
				d->must_close = true;
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

void direct_read(struct direct_call *d)
{
	if (d->stream != NULL)
		d = read_reply(d);
	if (d != NULL && !d->is_stopped && d->stream != NULL)
		update_want(d);
}

static void direct_ready(unsigned events, void *arg)
{
	struct direct_call *d = arg;

	if ((events & LOOP_WRITE) && !write_request(d))
		return;
	if (!(events & (LOOP_READ | LOOP_HANGUP)))
		update_want(d);
	else if (d->line != NULL)
		line_ask_turn(d);
	else
		direct_read(d);
}

static void send_later(void *arg)
{
	struct direct_call *d = arg;

	d->send_is_due = false;
	if (!d->is_stopped && d->stream != NULL && write_request(d) && d->stream != NULL)
		update_want(d);
}

void direct_send_soon(struct direct_call *d)
{
	if (d->stream == NULL || d->is_blocked || d->send_is_due)
		return;
	d->send_is_due = true;
	loop_defer(d->call.endpoint->client->loop, send_later, d);
}

static void begin(struct direct_call *d, struct stream *stream)
{
	d->stream = stream;
	d->call.was_sent = true;
	stream_on_ready(stream, direct_ready, d);
	if (write_request(d) && !d->is_stopped && d->stream != NULL)
		update_want(d);
}

static void direct_dial(struct direct_call *d);

static void dialled(void *arg, struct stream *stream, const struct err *err)
{
	struct direct_call *d = arg;

	d->dial = NULL;
	if (err != NULL && err->code == ERR_EXHAUSTED && client_give_back(d->call.endpoint->client))
		direct_dial(d);
	else if (err != NULL)
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
	if (d->line != NULL)
		line_unsent(d);
	else
		buf_append(&d->out, d->kept.data, d->kept.len);
	direct_dial(d);
}

/* From the loop, so that call_start calls nobody back. */
static void direct_first(void *arg)
{
	struct direct_call *d = arg;

	if (d->is_stopped)
		return;
	if (d->stream != NULL)
		begin(d, d->stream);
	else
		direct_dial(d);
}

void direct_take_over(struct direct_call *d, struct stream *stream)
{
	d->stream = stream;
	d->is_reused = stream != NULL;
	if (stream == NULL) {
		loop_defer(d->call.endpoint->client->loop, direct_first, d);
		return;
	}
	d->call.was_sent = true;
	stream_on_ready(stream, direct_ready, d);
	update_want(d);
	if (line_has_unsent(d))
		direct_send_soon(d);
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
	d->is_rounds = request->is_rounds;
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
	if (request->lines > 0 && d->is_idempotent) {
		d->kept = d->out;
		buf_init(&d->out, REQUEST_MAX);
		if (line_join(d, request->lines))
			return;
	}
	d->stream = endpoint_take_idle(e);
	if (d->stream == NULL) {
		direct_dial(d);
		return;
	}
	d->is_reused = true;
	if (d->is_idempotent && d->line == NULL)
		buf_append(&d->kept, d->out.data, d->out.len);
	loop_defer(e->client->loop, direct_first, d);
}

static void resume_later(void *arg)
{
	struct direct_call *d = arg;

	if (d->is_stopped || d->call.is_paused || d->stream == NULL)
		return;
	d = take(d, NULL, 0);
	if (d != NULL)
		update_want(d);
}

static void direct_resume(struct call *call)
{
	loop_defer(call->endpoint->client->loop, resume_later, direct_of(call));
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
			break; /* full; or broken, which send_later finds out */
		sent += (size_t)n;
	}
	return sent;
}

static void direct_upload_changed(struct call *call)
{
	direct_send_soon(direct_of(call));
}

const struct call_carrier direct_carrier = {
	.create = direct_create,
	.start = direct_start,
	.stop = direct_stop,
	.resume = direct_resume,
	.upload_changed = direct_upload_changed,
	.send = direct_send,
};
