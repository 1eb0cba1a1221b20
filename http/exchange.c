/* Exchanges: what handlers see of a request, and the forms a reply can take. Nothing here calls
 * back before it returns: the connection's next pump does what follows from it. */
#include "http/server_priv.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/str.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SEND_AT_ONCE ((size_t)32 * 1024)
/* A writer that goes on when it is told to stop has that much of its own. */
#define OVER_WATER ((size_t)2 * EXCHANGE_HIGH_WATER)
#define BULK ((size_t)8 * 1024) /* a piece of that size is one of many */

struct exchange *exchange_new(struct connection *c, struct head *head)
{
	static uint64_t last_id;
	struct exchange *x = xcalloc(1, sizeof(*x));

	x->connection = c;
	x->head = *head;
	memset(head, 0, sizeof(*head));
	x->id = ++last_id;
	return x;
}

static void exchange_free(void *arg)
{
	struct exchange *x = arg;

	head_free(&x->head);
	buf_reset(&x->body);
	free(x);
}

void exchange_finish(struct exchange *x, bool finished)
{
	struct connection *c = x->connection;
	struct exchange_end *end;

	c->exchange = NULL;
	if (x->taps != NULL)
		taps_end(x, finished);
	metrics_inc(finished ? metrics_of_status(x->status) : METRIC_REQUESTS_CUT);
	while ((end = x->ends) != NULL) {
		x->ends = end->next;
		end->fn(x, finished, end->arg);
		free(end);
	}
	loop_defer(c->server->loop, exchange_free, x);
}

/* ---- The request ---- */

const char *exchange_method(const struct exchange *x)
{
	return x->head.method;
}

const char *exchange_target(const struct exchange *x)
{
	return x->head.target;
}

void exchange_set_target(struct exchange *x, const char *target)
{
	char *copy = xstrdup(target);

	free(x->head.target);
	x->head.target = copy;
}

const struct http_headers *exchange_headers(const struct exchange *x)
{
	return &x->head.headers;
}

struct http_headers *exchange_headers_mutable(struct exchange *x)
{
	return &x->head.headers;
}

const char *exchange_header(const struct exchange *x, const char *name)
{
	return http_headers_get(&x->head.headers, name);
}

int64_t exchange_body_length(const struct exchange *x)
{
	return x->head.body_length;
}

bool exchange_is_http10(const struct exchange *x)
{
	return x->head.is_http10;
}

const char *exchange_peer(const struct exchange *x)
{
	return x->connection->peer;
}

bool exchange_is_loopback(const struct exchange *x)
{
	return x->connection->is_loopback;
}

const struct exchange_identity *exchange_identity(const struct exchange *x)
{
	struct connection *c = x->connection;

	if (c->identity == NULL) {
		c->identity = xcalloc(1, sizeof(*c->identity));
		if (c->stream != NULL)
			stream_identify(c->stream, c->identity);
	}
	return c->identity;
}

uint64_t exchange_id(const struct exchange *x)
{
	return x->id;
}

/* A client that has begun to send its body waits for nobody. */
static void send_continue(struct exchange *x)
{
	struct connection *c = x->connection;

	if (x->head.expects_continue && c->in.len == 0)
		buf_append_str(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
}

static void refuse_body(struct exchange *x, size_t max)
{
	exchange_reply_error(x, 413, "the request's body is larger than %zu bytes", max);
}

/* For more of a collected body; false when it was refused. All of a known length is taken at once,
 * so that who comes when others hold everything is refused before it has sent anything. */
static bool make_room(struct exchange *x, size_t more)
{
	struct connection *c = x->connection;

	if (more > x->body.max - x->body.len) {
		refuse_body(x, x->body.max);
		return false;
	}
	if (x->body.len + more > UNCOUNTED && !connection_has_room(c, more)) {
		exchange_reply_error(x, 503, "%s", SERVER_IS_FULL);
		return false;
	}
	(void)!buf_room(&x->body, more);
	connection_count(c);
	return true;
}

static void read_put_body(struct exchange *x, size_t max, exchange_body_fn *done, void *arg)
{
	if (x->body.len > max) {
		refuse_body(x, max);
		return;
	}
	x->body_is_put = false;
	x->body_state = EXCHANGE_BODY_TAKEN;
	done(x, buf_str(&x->body), x->body.len, arg);
}

void exchange_put_body(struct exchange *x, const char *body, size_t len)
{
	struct buf copy;

	assert(framing_is_done(&x->connection->framing) && x->reply == EXCHANGE_REPLY_NONE);
	if (body != x->body.data || len != x->body.len) {
		buf_init(&copy, len);
		buf_append(&copy, body, len);
		buf_reset(&x->body);
		x->body = copy;
	}
	x->body_is_put = true;
	x->body_state = EXCHANGE_BODY_UNCLAIMED;
	x->head.body_length = (int64_t)len;
	x->head.expects_continue = false;
	connection_count(x->connection);
}

bool exchange_give_put_body(struct exchange *x)
{
	size_t taken = exchange_give_body(x, x->body.data, x->body.len);

	buf_consume(&x->body, taken);
	return taken > 0;
}

void exchange_read_body(struct exchange *x, size_t max, exchange_body_fn *done, void *arg)
{
	assert(x->body_state == EXCHANGE_BODY_UNCLAIMED);
	if (x->head.body_length == 0) {
		done(x, "", 0, arg);
		return;
	}
	if (x->body_is_put) {
		read_put_body(x, max, done, arg);
		return;
	}
	buf_init(&x->body, max);
	if (!make_room(x, x->head.body_length > 0 ? (size_t)x->head.body_length : 0))
		return;
	x->body_state = EXCHANGE_BODY_COLLECT;
	x->body_since_ms = loop_now_ms(x->connection->server->loop);
	x->body_fn = done;
	x->body_arg = arg;
	send_continue(x);
	connection_pump_soon(x->connection);
}

void exchange_stream_body(struct exchange *x, exchange_sink_fn *sink, void *arg)
{
	assert(x->body_state == EXCHANGE_BODY_UNCLAIMED);
	x->body_state = EXCHANGE_BODY_STREAM;
	x->sink = sink;
	x->body_arg = arg;
	send_continue(x);
	connection_pump_soon(x->connection);
}

void exchange_body_resume(struct exchange *x)
{
	if (x->body_state == EXCHANGE_BODY_HELD)
		x->body_state = EXCHANGE_BODY_STREAM;
	connection_pump_soon(x->connection);
}

bool exchange_wants_body(const struct exchange *x)
{
	return (x->body_state == EXCHANGE_BODY_COLLECT || x->body_state == EXCHANGE_BODY_STREAM) &&
	       x->reply <= EXCHANGE_REPLY_STARTED;
}

size_t exchange_give_body(struct exchange *x, const char *data, size_t len)
{
	struct connection *c = x->connection;
	size_t taken;

	if (x->body_state == EXCHANGE_BODY_COLLECT) {
		if (len < x->body.cap - x->body.len || make_room(x, len))
			buf_append(&x->body, data, len);
		return len;
	}
	taken = x->sink(x, data, len, x->body_arg);
	if (c->exchange == x && taken < len)
		x->body_state = EXCHANGE_BODY_HELD;
	return taken;
}

void exchange_body_ended(struct exchange *x)
{
	bool is_collected = x->body_state == EXCHANGE_BODY_COLLECT;

	x->body_state = EXCHANGE_BODY_TAKEN;
	if (is_collected)
		x->body_fn(x, buf_str(&x->body), x->body.len, x->body_arg);
	else
		x->sink(x, NULL, 0, x->body_arg);
}

/* ---- The reply ---- */

static bool has_reply(const struct exchange *x)
{
	return x->reply != EXCHANGE_REPLY_NONE;
}

void exchange_set_defaults(struct exchange *x, const struct http_headers *defaults)
{
	x->defaults = defaults;
}

void exchange_pass_headers(struct exchange *x, bool (*passes)(const char *name))
{
	x->passes = passes;
}

static bool is_missing(const struct http_headers *headers, const char *name)
{
	return headers == NULL || http_headers_get(headers, name) == NULL;
}

/* As a header tells it; made anew once a second. */
static const char *date_of_now(struct server *server)
{
	time_t now = time(NULL);
	struct tm tm;

	if (server->date_at != now) {
		gmtime_r(&now, &tm);
		strftime(server->date, sizeof(server->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		server->date_at = now;
	}
	return server->date;
}

/* The head of a reply, but for what frames its body. */
static void write_head(struct exchange *x, int status, const struct http_headers *headers)
{
	struct connection *c = x->connection;

	head_write_reply(&c->out, status, headers, x->passes);
	for (size_t i = 0; x->defaults != NULL && i < x->defaults->len; i++) {
		const struct http_header *item = &x->defaults->items[i];

		if (is_missing(headers, item->name))
			head_write_field(&c->out, item->name, item->value);
	}
	head_write_field(&c->out, "Date", date_of_now(c->server));
}

void exchange_reply(struct exchange *x, int status, const struct http_headers *headers,
	const void *body, size_t len)
{
	if (len > UNCOUNTED && !connection_has_room(x->connection, len)) {
		exchange_reply_error(x, 503, "%s", SERVER_IS_FULL);
		return;
	}
	exchange_reply_start(x, status, headers, (int64_t)len);
	exchange_reply_write(x, body, len);
	exchange_reply_end(x);
}

void exchange_reply_json(struct exchange *x, int status, json_t *json)
{
	struct http_headers headers = {0};
	size_t len;
	char *text = json_text(json, &len);

	json_decref(json);
	text = xrealloc(text, len + 2);
	text[len++] = '\n';
	text[len] = '\0';
	http_headers_add(&headers, "Content-Type", "application/json");
	exchange_reply(x, status, &headers, text, len);
	http_headers_free(&headers);
	free(text);
}

void exchange_reply_error(struct exchange *x, int status, const char *fmt, ...)
{
	char message[2048];
	va_list ap;
	json_t *text;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	text = json_string(message);
	if (text == NULL) /* not UTF-8: a peer's bytes in the message */
		text = json_string("the request cannot be served, and the reason holds bytes that "
				   "are not text");
	log_debug("error reply: %s status=%d exchange=%llu", message, status,
		(unsigned long long)x->id);
	exchange_reply_json(x, status, json_pack("{s:o}", "message", text));
}

static void write_length(struct buf *out, int64_t length)
{
	buf_append_str(out, "Content-Length: ");
	buf_append_number(out, (uint64_t)length);
	buf_append(out, "\r\n", 2);
}

/* The headers as those who look at the reply leave them, which changed holds. */
static const struct http_headers *tapped_head(struct exchange *x, int *status,
	const struct http_headers *headers, struct http_headers *changed, bool is_raw)
{
	http_headers_copy(changed, headers);
	taps_head(x, status, changed, is_raw);
	return changed;
}

void exchange_reply_start(
	struct exchange *x, int status, const struct http_headers *headers, int64_t length)
{
	struct connection *c = x->connection;
	struct http_headers changed = {0};

	assert(!has_reply(x));
	if (x->taps != NULL)
		headers = tapped_head(x, &status, headers, &changed, false);
	x->reply = EXCHANGE_REPLY_STARTED;
	x->status = status;
	x->drops_body = str_eq(x->head.method, "HEAD") || status == 204 || status == 304;
	x->is_chunked = length < 0 && !x->head.is_http10 && !x->drops_body;
	x->reply_left = length;
	if (!framing_is_done(&c->framing) || (length < 0 && x->head.is_http10))
		c->keep_alive = false;
	write_head(x, status, headers);
	http_headers_free(&changed);
	if (x->is_chunked)
		buf_append_str(&c->out, "Transfer-Encoding: chunked\r\n");
	else if (length >= 0 && status != 204 && status != 304)
		write_length(&c->out, length);
	if (!c->keep_alive)
		buf_append_str(&c->out, "Connection: close\r\n");
	buf_append_str(&c->out, "\r\n");
	connection_pump_soon(c);
}

static void write_piece(struct exchange *x, const char *data, size_t len)
{
	struct connection *c = x->connection;
	struct buf *out = &c->out;

	/* Copying so much costs more than a call of its own for the head in front of it. */
	if (!x->is_chunked && len >= EXCHANGE_HIGH_WATER && !(c->wanted & LOOP_WRITE))
		buf_consume(out, connection_send(c, out->data, out->len));
	/* Nothing is before it, and nothing to be put around it: it need not be copied. */
	if (!x->is_chunked && out->len == 0 && len >= SEND_AT_ONCE) {
		size_t sent = connection_send(c, data, len);

		data += sent;
		len -= sent;
	}
	/* More like it follows: room for all that may wait, not growth by and by. */
	if (out->len == 0 && len >= BULK)
		(void)!buf_room(out, EXCHANGE_HIGH_WATER + len);
	if (x->is_chunked)
		buf_printf(out, "%zx\r\n", len);
	buf_append(out, data, len);
	if (x->is_chunked)
		buf_append(out, "\r\n", 2);
	if (out->failed || (out->len > OVER_WATER && !connection_has_room(c, 0)))
		x->reply = EXCHANGE_REPLY_ABORTED;
	/* Much is sent while it is in the processor's caches, little with what else there is. */
	if (out->len >= SEND_AT_ONCE && !(c->wanted & LOOP_WRITE))
		buf_consume(out, connection_send(c, out->data, out->len));
	if (out->len > UNCOUNTED)
		connection_count(c);
	connection_pump_soon(c);
}

bool exchange_reply_write(struct exchange *x, const void *data, size_t len)
{
	struct buf *out = &x->connection->out;

	assert(x->reply == EXCHANGE_REPLY_STARTED || x->reply == EXCHANGE_REPLY_ABORTED);
	if (x->reply_left >= 0) {
		/* More than was announced would be read as the next reply. */
		if ((int64_t)len > x->reply_left)
			len = (size_t)x->reply_left;
		x->reply_left -= (int64_t)len;
	}
	if (len > 0 && !x->drops_body && x->reply == EXCHANGE_REPLY_STARTED) {
		if (x->taps != NULL)
			taps_piece(x, data, len);
		write_piece(x, data, len);
	}
	x->wants_drain = out->len > connection_high_water(x->connection);
	return !x->wants_drain;
}

void exchange_reply_end(struct exchange *x)
{
	assert(x->reply == EXCHANGE_REPLY_STARTED || x->reply == EXCHANGE_REPLY_ABORTED);
	if (x->reply == EXCHANGE_REPLY_ABORTED)
		return;
	if (x->reply_left > 0 && !x->drops_body) {
		exchange_reply_abort(x, "shorter than announced");
		return;
	}
	if (x->is_chunked)
		buf_append_str(&x->connection->out, "0\r\n\r\n");
	x->reply = EXCHANGE_REPLY_ENDED;
	connection_pump_soon(x->connection);
}

void exchange_reply_abort(struct exchange *x, const char *reason)
{
	if (!has_reply(x)) {
		exchange_reply_error(x, 502, "%s", reason);
		return;
	}
	if (x->reply == EXCHANGE_REPLY_UPGRADED)
		return;
	log_info("reply broken off: %s peer=%s exchange=%llu", reason, x->connection->peer,
		(unsigned long long)x->id);
	x->reply = EXCHANGE_REPLY_ABORTED;
	connection_pump_soon(x->connection);
}

bool exchange_reply_started(const struct exchange *x)
{
	return has_reply(x);
}

void exchange_on_drain(struct exchange *x, void (*drain)(struct exchange *x, void *arg), void *arg)
{
	x->drain = drain;
	x->drain_arg = arg;
}

void exchange_drained(struct exchange *x)
{
	if (!x->wants_drain)
		return;
	x->wants_drain = false;
	if (x->drain != NULL && x->reply == EXCHANGE_REPLY_STARTED)
		x->drain(x, x->drain_arg);
}

bool exchange_may_upgrade(const struct exchange *x)
{
	return room_for_stream(x->connection->server);
}

struct stream *exchange_upgrade(struct exchange *x, int status, const struct http_headers *headers)
{
	struct connection *c = x->connection;
	struct http_headers changed = {0};
	struct stream *stream;
	ssize_t written;

	assert(!has_reply(x) && framing_is_done(&c->framing));
	if (x->taps != NULL)
		headers = tapped_head(x, &status, headers, &changed, true);
	write_head(x, status, headers);
	http_headers_free(&changed);
	if (status == 101)
		buf_printf(&c->out, "Connection: Upgrade\r\nUpgrade: %s\r\n",
			exchange_header(x, "Upgrade") != NULL ? exchange_header(x, "Upgrade")
							      : "tcp");
	buf_append_str(&c->out, "\r\n");
	written = stream_write(c->stream, c->out.data, c->out.len);
	/* So few bytes fit into the socket of a client that waits for them. What else is said would
	 * follow the part of a head. */
	if (written != (ssize_t)c->out.len) {
		buf_reset(&c->out);
		x->reply = EXCHANGE_REPLY_STARTED;
		exchange_reply_abort(x, "the client does not read");
		return NULL;
	}
	buf_reset(&c->out);
	stream = TAKE_PTR(c->stream);
	stream_want(stream, 0);
	stream_on_ready(stream, NULL, NULL);
	if (c->in.len > 0)
		stream_unread(stream, c->in.data, c->in.len);
	buf_reset(&c->in);
	x->reply = EXCHANGE_REPLY_UPGRADED;
	connection_pump_soon(c);
	return stream;
}

void exchange_end_connection(struct exchange *x)
{
	x->connection->keep_alive = false;
}

void exchange_on_end(
	struct exchange *x, void (*end)(struct exchange *x, bool finished, void *arg), void *arg)
{
	struct exchange_end *e = xcalloc(1, sizeof(*e));

	e->fn = end;
	e->arg = arg;
	e->next = x->ends;
	x->ends = e;
}

/* ---- Handlers ---- */

void handler_handle(struct handler *h, struct exchange *x)
{
	h->ops->handle(h, x);
}

void handler_next(struct handler *h, struct exchange *x)
{
	if (h->next != NULL)
		handler_handle(h->next, x);
	else
		exchange_reply_error(x, 404, "page not found");
}

void handler_free(struct handler *h)
{
	while (h != NULL) {
		struct handler *next = h->next;

		h->ops->free(h);
		h = next;
	}
}
