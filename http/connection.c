/* One client connection: heads in, one exchange at a time, bytes out. Everything that can happen
 * now happens in connection_pump; events and exchanges only call it. */
#include "http/server_priv.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>

#define READ_SIZE (64 * 1024)
#define PUMP_TURNS 16             /* most rounds of one pump, so that others get their turn */
#define PIPELINED_MAX (16 * 1024) /* bytes taken from the client beyond the request under way */
#define OUT_MAX \
	(64 * 1024 * 1024) /* of replies that wait for the client; whole ones may be long lists */
#define LINGER_MS 2000
#define COLLECT_STALL_MS (60 * 1000) /* a collected body must make progress */
#define ENDED_GRACE_MS 1000          /* a client that sent its end has this long to get its reply */

static void connection_ready(unsigned events, void *arg);

static void connection_set_state(struct connection *c, enum connection_state state)
{
	c->state = state;
	c->changed_ms = loop_now_ms(c->server->loop);
}

void connection_open(struct server *server, struct stream *stream, const char *peer)
{
	struct connection *c = xcalloc(1, sizeof(*c));

	c->server = server;
	c->stream = stream;
	c->peer = xstrdup(peer);
	buf_init(&c->in, server->limits.head_max + READ_SIZE);
	buf_init(&c->out, OUT_MAX);
	c->may_read = true;
	connection_set_state(c, CONNECTION_HEAD);
	c->next = server->connections;
	if (c->next != NULL)
		c->next->prev = c;
	server->connections = c;
	server->connections_len++;
	server_wake_janitor(server);
	stream_on_ready(stream, connection_ready, c);
	connection_pump(c);
}

static void connection_free(void *arg)
{
	struct connection *c = arg;

	buf_reset(&c->in);
	buf_reset(&c->out);
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
	connection_unlink(c);
	loop_defer(c->server->loop, connection_free, c);
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
		c->out.len <= EXCHANGE_HIGH_WATER / 2)
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

/* Answers without an exchange, and ends the connection after it. */
static void refuse(struct connection *c, int status, const char *message)
{
	json_t *json = json_pack("{s:s}", "message", message);
	size_t len;
	char *text CLEANUP_FREE = json_text(json, &len);

	json_decref(json);
	log_info("request refused: %s status=%d peer=%s", message, status, c->peer);
	head_write_reply(&c->out, status, NULL);
	buf_printf(&c->out,
		"Content-Type: application/json\r\nContent-Length: %zu\r\nConnection: "
		"close\r\n\r\n%s\n",
		len + 1, text);
	buf_reset(&c->in);
	connection_set_state(c, CONNECTION_CLOSING);
}

static bool parse_head(struct connection *c)
{
	struct err err = ERR_INIT;
	struct head head;
	size_t end;
	int status;

	/* One empty line before a request is tolerated (RFC 9112 section 2.2). */
	if (c->in.len >= 2 && memcmp(c->in.data, "\r\n", 2) == 0)
		buf_consume(&c->in, 2);
	if (c->in.len == 0)
		return false;
	end = head_find_end(c->in.data, c->in.len);
	if (end == 0 || end > c->server->limits.head_max) {
		if (c->in.len > c->server->limits.head_max) {
			refuse(c, 431, "the request's head is too large");
			return true;
		}
		return false;
	}
	status = head_parse_request(c->in.data, end, &head, &err);
	if (status != 0) {
		head_free(&head);
		refuse(c, status, err.msg);
		return true;
	}
	buf_consume(&c->in, end);
	c->requests++;
	c->keep_alive = head.keep_alive;
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
	refuse(c, 400, err->msg);
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
		if (framing_is_done(&c->framing))
			exchange_body_ended(x);
		else if (!feed_body(c))
			break;
		moved = true;
	}
	return moved;
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
	c->client_ended = true;
	c->changed_ms = loop_now_ms(c->server->loop);
	switch (c->state) {
	case CONNECTION_HEAD:
		if (c->in.len == 0 && c->out.len == 0)
			connection_close(c, "the client ended it");
		break;
	default: /* what is here already is still served, for a moment: see connection_check */
		break;
	}
}

/* It has sent its end, behind bytes for which there is no room. When these are the rest of a body
 * they are still to be read; else nothing that comes can matter. */
static void client_hung_up(struct connection *c)
{
	c->client_hung_up = true;
	if (!c->client_ended && (framing_is_done(&c->framing) || c->state != CONNECTION_ACTIVE))
		client_ended(c);
}

/* Reads once. True when something came. */
static bool read_client(struct connection *c)
{
	size_t wanted = in_wanted(c), room;
	char *data;
	ssize_t n;

	/* A handler may have taken the stream (exchange_upgrade) in this very turn. */
	if (c->stream == NULL || c->client_ended || !c->may_read || c->in.len >= wanted)
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
	return false;
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
	else if (!c->client_ended && c->in.len < in_wanted(c))
		events |= LOOP_READ;
	else if (!c->client_ended && !c->client_hung_up)
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
		else if (c->client_ended)
			connection_set_state(c, CONNECTION_CLOSING);
	}
	if (c->state == CONNECTION_ACTIVE)
		moved |= move_body(c);
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
	int turns = 0;

	if (c->state == CONNECTION_DEAD)
		return;
	if (c->is_pumping) {
		c->pump_again = true;
		return;
	}
	c->is_pumping = true;
	do {
		c->pump_again = false;
		while (c->state != CONNECTION_DEAD && pump_once(c) && ++turns < PUMP_TURNS)
			;
	} while (c->pump_again && c->state != CONNECTION_DEAD && turns++ < PUMP_TURNS);
	c->is_pumping = false;
	if (c->state == CONNECTION_DEAD)
		return;
	if (c->pump_again || turns >= PUMP_TURNS)
		connection_pump_soon(c);
	update_watches(c);
}

void connection_pump_soon(struct connection *c)
{
	if (c->is_pumping) {
		c->pump_again = true;
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

/* The client has ended, but the rest of its request is here and waits for whom it is meant for. */
static bool body_is_still_to_be_taken(const struct connection *c)
{
	const struct exchange *x = c->exchange;

	if (framing_is_done(&c->framing) || c->in.len == 0)
		return false;
	if (x->body_state == EXCHANGE_BODY_UNCLAIMED)
		return c->framing.state != FRAMING_LENGTH ||
		       c->framing.remaining <= (int64_t)c->in.len;
	return x->body_state == EXCHANGE_BODY_HELD;
}

/* The client owes more of the body. */
static bool body_is_awaited(const struct connection *c)
{
	if (framing_is_done(&c->framing))
		return false;
	switch (c->exchange->body_state) {
	case EXCHANGE_BODY_COLLECT:
	case EXCHANGE_BODY_STREAM:
		return true;
	case EXCHANGE_BODY_HELD:
		return c->client_hung_up;
	default:
		return false;
	}
}

void connection_check(struct connection *c, uint64_t now)
{
	const struct server_limits *limits = &c->server->limits;
	uint64_t since = now - c->changed_ms;
	struct exchange *x = c->exchange;

	if (c->stream == NULL)
		return;
	switch (c->state) {
	case CONNECTION_HEAD:
		if (c->out.len > 0) {
			if (since > limits->body_timeout_ms)
				connection_close(c, "the client does not read its reply");
		} else if (c->in.len > 0 && since > limits->head_timeout_ms) {
			refuse(c, 408, "the request's head did not come in time");
			connection_pump(c);
		} else if (c->in.len == 0 && since > limits->idle_timeout_ms) {
			connection_close(c, "idle");
		}
		break;
	case CONNECTION_ACTIVE:
		if (c->client_ended && since > ENDED_GRACE_MS && !body_is_still_to_be_taken(c))
			connection_close(c, "the client ended it");
		else if (c->out.len > 0 && since > limits->body_timeout_ms)
			connection_close(c, "the client does not read its reply");
		else if (body_is_awaited(c) &&
			 since > (x->body_state == EXCHANGE_BODY_COLLECT ? COLLECT_STALL_MS
									 : limits->body_timeout_ms))
			connection_close(c, "the request's body did not come in time");
		break;
	case CONNECTION_CLOSING:
		if (since > limits->body_timeout_ms)
			connection_close(c, "the client does not read its reply");
		break;
	case CONNECTION_LINGER:
		if (since > LINGER_MS)
			connection_close(c, "finished");
		break;
	case CONNECTION_DEAD:
		break;
	}
}
