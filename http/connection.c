/* One client connection: heads in, one exchange at a time, bytes out. Everything that can happen
 * now happens in connection_pump; events and exchanges only call it. */
#include "http/server_priv.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/str.h"

#include <string.h>

#define READ_SIZE (64 * 1024)
#define PUMP_TURNS 16             /* most rounds of one pump, so that others get their turn */
#define PIPELINED_MAX (16 * 1024) /* bytes taken from the client beyond the request under way */
static void connection_ready(unsigned events, void *arg);

static void connection_set_state(struct connection *c, enum connection_state state)
{
	c->state = state;
	c->changed_ms = loop_now_ms(c->server->loop);
}

void connection_open(
	struct server *server, struct stream *stream, const char *peer, bool is_loopback)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	c->server = server;
	c->stream = stream;
	c->peer = xstrdup(peer);
	c->is_loopback = is_loopback;
	buf_init(&c->in, server->limits.head_max + READ_SIZE);
	buf_init(&c->out, server->limits.reply_max);
	c->may_read = true;
	connection_set_state(c, CONNECTION_HEAD);
	c->next = server->connections;
	if (c->next != NULL)
		c->next->prev = c;
	server->connections = c;
	server->connections_len++;
	metrics_inc(METRIC_CONNECTIONS);
	metrics_inc(METRIC_CONNECTIONS_OPEN);
	server_wake_janitor(server);
	stream_on_ready(stream, connection_ready, c);
	connection_pump(c);
}

static void connection_free(void *arg)
{
	struct connection *c = arg;

	buf_reset(&c->in);
	buf_reset(&c->out);
	stream_identity_free(c->identity);
	free(c->peer);
	free(c);
}

static void connection_unlink(struct connection *c)
{
	struct server *server = c->server;

	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		server->connections = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	server->connections_len--;
	metrics_dec(METRIC_CONNECTIONS_OPEN);
}

void connection_close(struct connection *c, const char *reason)
{
	if (c->state == CONNECTION_DEAD)
		return;
	log_debug(
		"client connection closed: %s peer=%s requests=%lu", reason, c->peer, c->requests);
	connection_set_state(c, CONNECTION_DEAD);
	if (c->exchange != NULL)
		exchange_finish(c->exchange, false);
	stream_close(TAKE_PTR(c->stream));
	ledger_set(&c->server->ledger, &c->held, c->peer, 0);
	room_forget(c);
	connection_unlink(c);
	loop_defer(c->server->loop, connection_free, c);
}

/* ---- What it holds ---- */

void connection_count(struct connection *c)
{
	size_t held = (c->in.len > 0 ? c->in.cap : 0) + (c->out.len > 0 ? c->out.cap : 0);

	if (c->state == CONNECTION_DEAD)
		return;
	if (c->exchange != NULL)
		held += c->exchange->body.cap;
	ledger_set(&c->server->ledger, &c->held, c->peer, held > UNCOUNTED ? held - UNCOUNTED : 0);
}

bool connection_has_room(const struct connection *c, size_t more)
{
	return ledger_has_room(&c->server->ledger, &c->held, c->peer, more);
}

size_t connection_high_water(const struct connection *c)
{
	return connection_has_room(c, EXCHANGE_HIGH_WATER) ? EXCHANGE_HIGH_WATER : LOW_HIGH_WATER;
}

/* ---- Out: to the client ---- */

/* Sends what waits; false when the connection broke. */
static bool flush_out(struct connection *c)
{
	while (c->out.len > 0) {
		ssize_t n = stream_write(c->stream, c->out.data, c->out.len);

		if (n == STREAM_AGAIN)
			break;
		if (n == STREAM_ERROR) {
			connection_close(c, "the client is gone");
			return false;
		}
		buf_consume(&c->out, (size_t)n);
		c->changed_ms = loop_now_ms(c->server->loop);
	}
	if (c->exchange != NULL && c->exchange->wants_drain &&
		c->out.len <= connection_high_water(c) / 2)
		exchange_drained(c->exchange);
	return c->state != CONNECTION_DEAD;
}

size_t connection_send(struct connection *c, const char *data, size_t len)
{
	size_t sent = 0;

	while (sent < len && c->stream != NULL) {
		ssize_t n = stream_write(c->stream, data + sent, len - sent);

		if (n < 0)
			break; /* full; or broken, which the next pump finds out */
		sent += (size_t)n;
		c->changed_ms = loop_now_ms(c->server->loop);
	}
	return sent;
}

/* The reply is in out, whole; what comes next is another request, or the end. */
static void reply_done(struct connection *c)
{
	if (!framing_is_done(&c->framing))
		c->keep_alive = false;
	exchange_finish(c->exchange, true);
	if (c->state == CONNECTION_ACTIVE)
		connection_set_state(c, c->keep_alive ? CONNECTION_HEAD : CONNECTION_CLOSING);
}

/* What came before the failure is still of use, as far as it fits. */
static void break_off(struct connection *c)
{
	buf_consume(&c->out, connection_send(c, c->out.data, c->out.len));
	connection_close(c, "the reply cannot be completed");
}

/* What the exchange's functions left to be done. False when the connection is over. */
static bool finish_exchange(struct connection *c)
{
	struct exchange *x = c->exchange;

	if (x == NULL)
		return true;
	switch (x->reply) {
	case EXCHANGE_REPLY_NONE:
	case EXCHANGE_REPLY_STARTED:
		break;
	case EXCHANGE_REPLY_ENDED:
		reply_done(c);
		break;
	case EXCHANGE_REPLY_ABORTED:
		break_off(c);
		break;
	case EXCHANGE_REPLY_UPGRADED:
		exchange_finish(x, true);
		connection_close(c, "upgraded");
		break;
	}
	return c->state != CONNECTION_DEAD;
}

/* ---- In: heads ---- */

void connection_refuse(struct connection *c, int status, const char *message)
{
	json_t *json = json_pack("{s:s}", "message", message);
	size_t len;
	char *text CLEANUP_FREE = json_text(json, &len);

	json_decref(json);
	log_info("request refused: %s status=%d peer=%s", message, status, c->peer);
	head_write_reply(&c->out, status, NULL, NULL);
	buf_printf(&c->out,
		"Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
		"close\r\n\r\n%s\n",
		len + 1, text);
	buf_reset(&c->in);
	connection_set_state(c, CONNECTION_CLOSING);
}

/* Bytes behind it were perhaps meant for what it is upgraded to. When it is refused they must not
 * be taken for a request. */
static bool wants_upgrade(const struct head *head)
{
	return http_headers_get(&head->headers, "Upgrade") != NULL ||
	       http_headers_has_token(&head->headers, "Connection", "Upgrade");
}

/* With what has been read, which is there already. */
static bool connection_fits(struct connection *c)
{
	connection_count(c);
	return connection_has_room(c, 0);
}

/* Length of the head that has come; 0 when there is none yet, or it was refused. */
static size_t find_head(struct connection *c)
{
	size_t max = c->server->limits.head_max;
	ssize_t end;

	/* One empty line before a request is tolerated (RFC 9112 section 2.2). */
	if (c->in.len >= 2 && memcmp(c->in.data, "\r\n", 2) == 0)
		buf_consume(&c->in, 2);
	if (c->in.len == 0 || (c->in.len == 1 && c->in.data[0] == '\r'))
		return 0;
	end = head_find_end(c->in.data, c->in.len, &c->scan);
	if (end > 0 && (size_t)end <= max)
		return (size_t)end;
	if (end < 0 || c->in.len > max)
		connection_refuse(c, 431, "the request's head is too large");
	else if (c->in.len > UNCOUNTED && !connection_fits(c))
		connection_refuse(c, 503, SERVER_IS_FULL);
	return 0;
}

static bool parse_head(struct connection *c)
{
	struct err err = ERR_INIT;
	struct head head;
	size_t end = find_head(c);
	int status;

	if (end == 0)
		return c->state != CONNECTION_HEAD;
	status = head_parse_request(c->in.data, end, &head, &err);
	if (status != 0) {
		head_free(&head);
		connection_refuse(c, status, err.msg);
		return true;
	}
	buf_consume(&c->in, end);
	c->requests++;
	c->keep_alive = head.keep_alive && !wants_upgrade(&head);
	framing_init(&c->framing, head.body_length);
	connection_set_state(c, CONNECTION_ACTIVE);
	c->exchange = exchange_new(c, &head);
	handler_handle(c->server->handler, c->exchange);
	return true;
}

/* ---- In: bodies ---- */

static void body_failed(struct connection *c, const struct err *err)
{
	struct exchange *x = c->exchange;

	if (x->reply != EXCHANGE_REPLY_NONE) {
		connection_close(c, err->msg);
		return;
	}
	c->keep_alive = false;
	exchange_finish(x, false);
	connection_refuse(c, 400, err->msg);
}

/* Takes the framing off what has come, and gives what it holds to whoever takes the body. False
 * when it can go no further now. */
static bool feed_body(struct connection *c)
{
	struct exchange *x = c->exchange;
	struct err err = ERR_INIT;
	const char *body;
	size_t len, left;
	ssize_t used = framing_feed(&c->framing, c->in.data, c->in.len, &body, &len, &err);

	if (used < 0)
		body_failed(c, &err);
	if (used <= 0)
		return false;
	c->changed_ms = loop_now_ms(c->server->loop);
	left = len > 0 ? len - exchange_give_body(x, body, len) : 0;
	if (c->state == CONNECTION_DEAD)
		return false;
	framing_give_back(&c->framing, left);
	buf_consume(&c->in, (size_t)used - left);
	return (size_t)used > left;
}

/* Moves the request's body to whoever takes it. True when something moved. */
static bool move_body(struct connection *c)
{
	struct exchange *x = c->exchange;
	bool moved = false;

	while (c->exchange == x && exchange_wants_body(x)) {
		if (x->body_is_put && x->body.len > 0) {
			if (!exchange_give_put_body(x))
				break;
		} else if (framing_is_done(&c->framing)) {
			exchange_body_ended(x);
		} else if (!feed_body(c)) {
			break;
		}
		moved = true;
	}
	return moved;
}

/* The client has ended, and what is here of its body is not the whole of it. */
static bool body_is_cut(const struct connection *c)
{
	const struct exchange *x = c->exchange;

	if (c->client != CLIENT_ENDED || framing_is_done(&c->framing) ||
		x->reply != EXCHANGE_REPLY_NONE)
		return false;
	if (c->framing.state == FRAMING_LENGTH)
		return c->framing.remaining > (int64_t)c->in.len;
	return exchange_wants_body(x); /* and could not be given more */
}

/* ---- In: the socket ---- */

static size_t in_wanted(const struct connection *c)
{
	switch (c->state) {
	case CONNECTION_HEAD:
		return c->in.max;
	case CONNECTION_ACTIVE:
		return PIPELINED_MAX;
	default:
		return 0;
	}
}

static void client_ended(struct connection *c)
{
	c->client = CLIENT_ENDED;
	c->changed_ms = loop_now_ms(c->server->loop);
}

/* It has sent its end, behind bytes for which there is no room. When these are the rest of a body
 * they are still to be read; else nothing that comes can matter. */
static void client_hung_up(struct connection *c)
{
	if (c->client == CLIENT_OPEN)
		c->client = CLIENT_HUNG_UP;
	if (c->client == CLIENT_HUNG_UP &&
		(framing_is_done(&c->framing) || c->state != CONNECTION_ACTIVE))
		client_ended(c);
}

/* Reads once. True when something came, be it the end. */
static bool read_client(struct connection *c)
{
	size_t wanted = in_wanted(c), room;
	char *data;
	ssize_t n;

	/* A handler may have taken the stream (exchange_upgrade) in this very turn. */
	if (c->stream == NULL || c->client == CLIENT_ENDED || !c->may_read || c->in.len >= wanted)
		return false;
	room = c->in.max - c->in.len < READ_SIZE ? c->in.max - c->in.len : READ_SIZE;
	if (c->in.len == 0 && c->state == CONNECTION_HEAD)
		room = 8192; /* most heads */
	data = buf_room(&c->in, room);
	if (data == NULL)
		return false;
	n = stream_read(c->stream, data, room);
	/* Less than there was room for: the next readiness tells of more. */
	c->may_read = n == (ssize_t)room;
	if (n > 0) {
		if (c->in.len == 0 && c->state == CONNECTION_HEAD)
			c->changed_ms = loop_now_ms(
				c->server->loop); /* a head's deadline runs from its first byte */
		buf_added(&c->in, (size_t)n);
		return true;
	}
	if (n == 0)
		client_ended(c);
	else if (n == STREAM_ERROR)
		connection_close(c, "the client is gone");
	return n == 0;
}

/* After our end: drop what the client still sends, so that it reads our last reply before a reset.
 */
static void linger(struct connection *c)
{
	char data[16 * 1024];

	for (int i = 0; i < PUMP_TURNS; i++) {
		ssize_t n = stream_read(c->stream, data, sizeof(data));

		if (n == STREAM_AGAIN)
			return;
		if (n <= 0) {
			connection_close(c, "finished");
			return;
		}
	}
}

static void update_watches(struct connection *c)
{
	unsigned events = 0;

	if (c->state == CONNECTION_DEAD || c->stream == NULL)
		return;
	if (c->state == CONNECTION_LINGER)
		events |= LOOP_READ;
	else if (c->client != CLIENT_ENDED && c->in.len < in_wanted(c))
		events |= LOOP_READ;
	else if (c->client == CLIENT_OPEN)
		events |= LOOP_HANGUP;
	if (c->out.len > 0)
		events |= LOOP_WRITE;
	c->wanted = events;
	stream_want(c->stream, events);
}

static bool pump_once(struct connection *c)
{
	bool moved = false;

	if (!finish_exchange(c))
		return false;
	if (!flush_out(c))
		return false;
	if (c->state == CONNECTION_HEAD && c->out.len == 0) {
		if (c->in.len > 0 && parse_head(c))
			moved = true;
		else if (c->client == CLIENT_ENDED)
			connection_set_state(c, CONNECTION_CLOSING);
	}
	if (c->state == CONNECTION_ACTIVE)
		moved |= move_body(c);
	if (c->state == CONNECTION_ACTIVE && body_is_cut(c))
		connection_close(c, "the client ended it within the request's body");
	if (c->state == CONNECTION_CLOSING && c->out.len == 0) {
		stream_shutdown_write(c->stream);
		connection_set_state(c, CONNECTION_LINGER);
	}
	if (c->state == CONNECTION_LINGER)
		linger(c);
	else if (c->state == CONNECTION_HEAD || c->state == CONNECTION_ACTIVE)
		moved |= read_client(c);
	return moved;
}

static void pump_later(void *arg)
{
	struct connection *c = arg;

	c->pump_is_deferred = false;
	connection_pump(c);
}

void connection_pump(struct connection *c)
{
	bool is_unfinished;
	int turns = 0;

	if (c->state == CONNECTION_DEAD)
		return;
	if (c->pump != PUMP_IDLE) {
		c->pump = PUMP_AGAIN;
		return;
	}
	do {
		c->pump = PUMP_RUNNING;
		while (c->state != CONNECTION_DEAD && pump_once(c) && ++turns < PUMP_TURNS)
			;
	} while (c->pump == PUMP_AGAIN && c->state != CONNECTION_DEAD && turns++ < PUMP_TURNS);
	is_unfinished = c->pump == PUMP_AGAIN || turns >= PUMP_TURNS;
	c->pump = PUMP_IDLE;
	if (c->state == CONNECTION_DEAD)
		return;
	if (is_unfinished)
		connection_pump_soon(c);
	connection_count(c);
	room_note(c);
	update_watches(c);
}

void connection_pump_soon(struct connection *c)
{
	if (c->pump != PUMP_IDLE) {
		c->pump = PUMP_AGAIN;
	} else if (!c->pump_is_deferred) {
		c->pump_is_deferred = true;
		loop_defer(c->server->loop, pump_later, c);
	}
}

static void connection_ready(unsigned events, void *arg)
{
	struct connection *c = arg;

	/* The transport is broken, and reading, which would find that out, is not due. */
	if ((events & ~c->wanted) && !(c->wanted & LOOP_READ)) {
		connection_close(c, "the client is gone");
		return;
	}
	/* Bytes that wait unread hide the client's end from read_client. */
	if (events & LOOP_HANGUP)
		client_hung_up(c);
	if (events & (LOOP_READ | LOOP_HANGUP))
		c->may_read = true;
	connection_pump(c);
}
