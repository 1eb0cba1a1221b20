/* Connections to engines that wait for their next call: how many stay, and for how long. */
#include "http/client_priv.h"

#include <utlist.h>

#define BURST_IDLE_MAX 64  /* connections kept for a moment after a burst */
#define BURST_IDLE_MS 1000 /* that moment; then all but ENDPOINT_IDLE_MAX are closed */
#define QUIET_IDLE_MS 5000 /* without any that comes back: then one stays */

/* An idle connection. */
struct wire {
	struct wire *next;
	struct wire *older, *newer; /* of all endpoints of the client */
	struct endpoint *endpoint;
	struct stream *stream;
};

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

bool client_give_back(struct client *client)
{
	if (client->idle == NULL)
		return false;
	wire_close(client->idle);
	return true;
}

/* Of the client's connections the one used longest ago is closed first. But calls that go round all
 * endpoints would then close each connection just before they come to it, when there is no room for
 * one to each: what they used stands first, so that the others stay. */
void endpoint_keep(struct endpoint *e, struct stream *stream, bool is_rounds)
{
	struct client *client = e->client;
	bool is_full = client->idle_len >= client->idle_max;
	struct wire *wire;

	if (e->is_freed || e->idle_len >= BURST_IDLE_MAX || (is_full && is_rounds)) {
		stream_close(stream);
		return;
	}
	if (is_full)
		wire_close(client->idle);
	wire = xcalloc(1, sizeof(*wire));
	wire->endpoint = e;
	wire->stream = stream;
	wire->next = e->idle;
	e->idle = wire;
	e->idle_len++;
	if (is_rounds)
		DL_PREPEND2(client->idle, wire, older, newer);
	else
		DL_APPEND2(client->idle, wire, older, newer);
	client->idle_len++;
	stream_on_ready(stream, wire_ready, wire);
	stream_want(stream, LOOP_READ);
	watch_surplus(e);
}

struct stream *endpoint_take_idle(struct endpoint *e)
{
	struct stream *stream;

	if (e->idle == NULL)
		return NULL;
	stream = wire_take(e->idle);
	stream_on_ready(stream, NULL, NULL);
	return stream;
}
