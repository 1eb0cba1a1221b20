/* A counter in front of the API. */
#include "manage/gate.h"

#include "lib/mem.h"

struct gate {
	struct handler handler;
	size_t in_flight;
	bool is_closed;
	void (*idle)(void *arg);
	void *idle_arg;
};

static void on_end(struct exchange *x, bool finished, void *arg)
{
	(void)x;
	(void)finished;
	struct gate *g = arg;
	g->in_flight--;
	if (g->is_closed && g->in_flight == 0)
		g->idle(g->idle_arg);
}

static void handle(struct handler *h, struct exchange *x)
{
	struct gate *g = (struct gate *)h;
	if (g->is_closed) {
		exchange_reply_error(x, 503, "The manager is shutting down");
		return;
	}
	g->in_flight++;
	exchange_on_end(x, on_end, g);
	handler_next(h, x);
}

static void gate_free(struct handler *h)
{
	free(h);
}

static const struct handler_ops ops = {
	.name = "gate",
	.handle = handle,
	.free = gate_free,
};

struct handler *gate_new(struct handler *next_take)
{
	struct gate *g = xcalloc(1, sizeof(*g));
	g->handler.ops = &ops;
	g->handler.next = next_take;
	return &g->handler;
}

size_t gate_in_flight(const struct handler *gate)
{
	return ((const struct gate *)gate)->in_flight;
}

void gate_close(struct handler *gate, void (*idle)(void *arg), void *arg)
{
	struct gate *g = (struct gate *)gate;
	g->is_closed = true;
	g->idle = idle;
	g->idle_arg = arg;
}
