/* What a connection may not wait for any longer. The server's janitor asks a few times a second. */
#include "http/server_priv.h"

/* The client has ended, but the rest of its request is here and waits for whom it is meant for.
 * Nobody asks for a body when the reply has begun, or a minute later. */
static bool body_is_still_to_be_taken(const struct connection *c, uint64_t since)
{
	const struct exchange *x = c->exchange;

	if (framing_is_done(&c->framing) || c->in.len == 0)
		return false;
	if (x->body_state == EXCHANGE_BODY_UNCLAIMED)
		return x->reply == EXCHANGE_REPLY_NONE &&
		       since <= c->server->limits.collect_timeout_ms;
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
		return c->client != CLIENT_OPEN;
	default:
		return false;
	}
}

/* Of a collected body, which takes memory while it comes: progress alone is not enough. */
static bool body_is_too_slow(const struct connection *c, uint64_t now)
{
	const struct server_limits *limits = &c->server->limits;
	const struct exchange *x = c->exchange;
	uint64_t took = now - x->body_since_ms;

	return x->body_state == EXCHANGE_BODY_COLLECT && took > limits->collect_grace_ms &&
	       x->body.len < (took - limits->collect_grace_ms) / 1000 * limits->collect_rate;
}

static void check_head(struct connection *c, uint64_t since)
{
	const struct server_limits *limits = &c->server->limits;

	if (c->out.len > 0) {
		if (since > limits->body_timeout_ms)
			connection_close(c, "the client does not read its reply");
	} else if (c->in.len > 0 && since > limits->head_timeout_ms) {
		connection_refuse(c, 408, "the request's head did not come in time");
		connection_pump(c);
	} else if (c->in.len == 0 && since > limits->idle_timeout_ms) {
		connection_close(c, "idle");
	}
}

static void check_active(struct connection *c, uint64_t since, uint64_t now)
{
	const struct server_limits *limits = &c->server->limits;
	unsigned stall = c->exchange->body_state == EXCHANGE_BODY_COLLECT
				 ? limits->collect_timeout_ms
				 : limits->body_timeout_ms;

	if (c->client == CLIENT_ENDED && since > limits->ended_grace_ms &&
		!body_is_still_to_be_taken(c, since))
		connection_close(c, "the client ended it");
	else if (c->out.len > 0 && since > limits->body_timeout_ms)
		connection_close(c, "the client does not read its reply");
	else if (body_is_awaited(c) && (since > stall || body_is_too_slow(c, now)))
		connection_close(c, "the request's body did not come in time");
}

void connection_check(struct connection *c, uint64_t now)
{
	const struct server_limits *limits = &c->server->limits;
	uint64_t since = now - c->changed_ms;

	if (c->stream == NULL)
		return;
	switch (c->state) {
	case CONNECTION_HEAD:
		check_head(c, since);
		break;
	case CONNECTION_ACTIVE:
		check_active(c, since, now);
		break;
	case CONNECTION_CLOSING:
		if (since > limits->body_timeout_ms)
			connection_close(c, "the client does not read its reply");
		break;
	case CONNECTION_LINGER:
		if (since > limits->linger_ms)
			connection_close(c, "finished");
		break;
	case CONNECTION_DEAD:
		break;
	}
}
