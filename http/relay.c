/* Two streams joined. Each direction has one buffer, taken while bytes are in flight; an end is
 * passed on once everything before it was written. */
#include "http/relay.h"
#include "lib/buf.h"
#include "lib/metrics.h"

#include <string.h>

#define RELAY_BUFFER (64 * 1024)
#define RELAY_TURNS 8 /* most rounds for one event, so that others get their turn */

#define CHECK_MS 500         /* how often a peer that may have gone unseen is looked at */
#define GONE_TICKS 2         /* checks that the other side has to end, once it was told */
#define GONE_STUCK_TICKS 120 /* checks that it has to take what the gone one sent */

struct direction {
	struct stream *from, *to;
	struct buf buf; /* read, not yet written */
	bool has_ended; /* from gave its end */
	bool is_shut;   /* and to was told */
	struct relay_bytes bytes;
	bool drops; /* to has gone: what comes is dropped, so that from may end in order */
};

struct relay {
	struct loop *loop;
	struct direction there, back;
	struct loop_timer *timer; /* runs while one side could go unseen */
	unsigned gone_ticks;
	bool is_over;
	bool ends_whole;
	void (*done)(struct relay *relay, void *arg);
	void *arg;
};

static void relay_free(void *arg)
{
	free(arg);
}

static void relay_close(struct relay *r)
{
	r->is_over = true;
	metrics_dec(METRIC_STREAMS_OPEN);
	loop_timer_free(TAKE_PTR(r->timer));
	stream_close(TAKE_PTR(r->there.from));
	stream_close(TAKE_PTR(r->there.to));
	buf_reset(&r->there.buf);
	buf_reset(&r->back.buf);
	loop_defer(r->loop, relay_free, r);
}

/* Nobody takes what d brings any more. */
static void drop(struct direction *d)
{
	d->drops = true;
	buf_reset(&d->buf);
}

/* 1 = something moved, 0 = nothing to do now, -1 = broken. */
static int move(struct direction *d)
{
	int moved = 0;

	if (!d->has_ended && d->buf.len == 0) {
		char data[RELAY_BUFFER];
		ssize_t n = stream_read(d->from, data, sizeof(data)), written;

		if (n == STREAM_ERROR)
			return -1;
		if (n == 0)
			d->has_ended = true;
		if (n > 0) {
			moved = 1;
			d->bytes.read += (size_t)n;
			if (d->drops)
				return moved;
			written = stream_write(d->to, data, (size_t)n);
			if (written == STREAM_ERROR) {
				drop(d);
				return moved;
			}
			if (written < 0)
				written = 0;
			d->bytes.written += (size_t)written;
			buf_append(&d->buf, data + written, (size_t)(n - written));
		}
	}
	while (d->buf.len > 0) {
		ssize_t n = stream_write(d->to, d->buf.data, d->buf.len);

		if (n == STREAM_AGAIN)
			break;
		if (n == STREAM_ERROR) {
			drop(d);
			break;
		}
		moved = 1;
		d->bytes.written += (size_t)n;
		buf_consume(&d->buf, (size_t)n);
	}
	if (d->has_ended && d->buf.len == 0 && !d->is_shut) {
		d->is_shut = true;
		if (!d->drops)
			stream_shutdown_write(d->to);
	}
	return moved;
}

/* What to wait for on the stream that `in` reads from and `out` writes to. */
static void want(struct direction *in, const struct direction *out)
{
	unsigned events = 0;

	if (!in->has_ended && in->buf.len == 0)
		events |= LOOP_READ;
	if (out->buf.len > 0)
		events |= LOOP_WRITE;
	stream_want(in->from, events);
}

static void relay_over(struct relay *r)
{
	relay_close(r);
	if (r->done != NULL)
		r->done(r, r->arg);
}

/* No event tells that a peer has gone while nothing is read from it: because its end was read
 * already, or because what it sent waits for the other side. */
static bool may_go_unseen(const struct direction *in)
{
	return in->has_ended || in->buf.len > 0;
}

static void relay_run(struct relay *r)
{
	for (int i = 0; i < RELAY_TURNS; i++) {
		int there = move(&r->there), back = there >= 0 ? move(&r->back) : -1;

		if (there < 0 || back < 0 || (r->there.is_shut && r->back.is_shut)) {
			relay_over(r);
			return;
		}
		if (there == 0 && back == 0)
			break;
		if ((there > 0 && !r->there.drops) || (back > 0 && !r->back.drops))
			r->gone_ticks = 0;
	}
	want(&r->there, &r->back);
	want(&r->back, &r->there);
	if ((may_go_unseen(&r->there) || may_go_unseen(&r->back) || r->there.drops ||
		    r->back.drops) &&
		!loop_timer_is_active(r->timer))
		loop_timer_start(r->timer, CHECK_MS);
}

/* The peer of `in` has gone: what it sent is still delivered, what was for it is dropped. */
static void set_gone(const struct relay *r, struct direction *in, struct direction *out)
{
	if (!may_go_unseen(in) || out->drops)
		return;
	if ((r->ends_whole && in->has_ended) || stream_is_gone(in->from))
		drop(out);
}

static void relay_check(void *arg)
{
	struct relay *r = arg;

	set_gone(r, &r->there, &r->back);
	set_gone(r, &r->back, &r->there);
	if (r->there.drops || r->back.drops) {
		const struct direction *last = r->back.drops ? &r->there : &r->back;

		if (++r->gone_ticks > (last->is_shut ? GONE_TICKS : GONE_STUCK_TICKS) ||
			(r->there.drops && r->back.drops)) {
			relay_over(r);
			return;
		}
	}
	relay_run(r);
}

static void relay_ready(unsigned events, void *arg)
{
	(void)events;
	relay_run(arg);
}

static void relay_first(void *arg)
{
	struct relay *r = arg;

	if (!r->is_over)
		relay_run(r);
}

struct relay *relay_start(struct loop *loop, struct stream *a, struct stream *b,
	void (*done)(struct relay *relay, void *arg), void *arg)
{
	struct relay *r = xcalloc(1, sizeof(*r));

	metrics_inc(METRIC_STREAMS);
	metrics_inc(METRIC_STREAMS_OPEN);
	r->loop = loop;
	r->there.from = r->back.to = a;
	r->there.to = r->back.from = b;
	buf_init(&r->there.buf, RELAY_BUFFER);
	buf_init(&r->back.buf, RELAY_BUFFER);
	r->timer = loop_timer_new(loop, relay_check, r);
	r->done = done;
	r->arg = arg;
	stream_on_ready(a, relay_ready, r);
	stream_on_ready(b, relay_ready, r);
	loop_defer(loop, relay_first, r);
	return r;
}

size_t relays_open(void)
{
	return (size_t)metrics_values[METRIC_STREAMS_OPEN];
}

void relay_ends_whole(struct relay *r)
{
	r->ends_whole = true;
}

void relay_cancel(struct relay *r)
{
	if (!r->is_over)
		relay_close(r);
}

struct relay_bytes relay_bytes_there(const struct relay *r)
{
	return r->there.bytes;
}

struct relay_bytes relay_bytes_back(const struct relay *r)
{
	return r->back.bytes;
}
