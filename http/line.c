#include "http/direct_call.h"
#include "http/stream.h"

#include <utlist.h>

static void read_first(void *arg)
{
	struct line *line = arg;

	direct_read(line->calls);
}

void line_ask_turn(struct direct_call *d)
{
	loop_turn_ask(d->line->turn);
}

bool line_join(struct direct_call *d, unsigned max)
{
	struct endpoint *e = d->call.endpoint;
	struct line *line, *shortest = NULL;
	unsigned lines = 0;

	DL_FOREACH (e->lines, line) {
		lines++;
		if (shortest == NULL || line->len < shortest->len)
			shortest = line;
	}
	if (lines < max) {
		shortest = xcalloc(1, sizeof(*shortest));
		shortest->endpoint = e;
		shortest->turn = loop_turn_new(e->client->loop, read_first, shortest);
		DL_APPEND(e->lines, shortest);
	}
	d->line = shortest;
	DL_APPEND(shortest->calls, d);
	shortest->len++;
	if (shortest->calls == d)
		return false;
	d->call.is_waiting = true;
	direct_send_soon(shortest->calls);
	return true;
}

void line_unsent(struct direct_call *d)
{
	struct line *line = d->line;
	struct direct_call *call;

	line->endpoint->is_serial |= line->has_answered && d->is_sent;
	line->is_spoiled = line->has_answered = false;
	DL_FOREACH (line->calls, call)
		call->is_sent = false;
}

static void hand_over(struct line *line, struct direct_call *d)
{
	struct direct_call *heir = line->calls;
	struct stream *stream = TAKE_PTR(d->stream);

	heir->call.is_waiting = false;
	heir->call.started_ms = heir->call.progress_ms = loop_now_ms(line->endpoint->client->loop);
	line->has_answered |= d->is_whole;
	if (!d->is_whole || !direct_can_be_kept(d)) {
		stream_close(TAKE_PTR(stream));
		line_unsent(heir);
	}
	if (stream != NULL)
		d->heir = heir;
	direct_take_over(heir, stream);
}

void line_leave(struct direct_call *d)
{
	struct line *line = TAKE_PTR(d->line);
	bool was_first;

	if (line == NULL)
		return;
	was_first = line->calls == d;
	/* Nobody would know whose the next answer is. */
	if (line->is_spoiled)
		d->must_close = true;
	DL_DELETE(line->calls, d);
	line->len--;
	if (!was_first) {
		line->is_spoiled |= d->is_sent;
	} else if (line->calls != NULL) {
		hand_over(line, d);
	} else {
		DL_DELETE(line->endpoint->lines, line);
		loop_turn_free(line->turn);
		free(line);
	}
}

void line_fill(struct direct_call *d)
{
	struct line *line = d->line;
	struct direct_call *call;

	if (line == NULL)
		return;
	DL_FOREACH (line->calls, call) {
		if (call->is_sent)
			continue;
		if (call != d && (line->endpoint->is_serial || line->is_spoiled))
			break;
		buf_append(&d->out, call->kept.data, call->kept.len);
		call->is_sent = true;
	}
}

bool line_has_unsent(const struct direct_call *d)
{
	return !d->line->calls->prev->is_sent; /* the last one */
}

bool line_may_read_on(const struct direct_call *d)
{
	return d->line != NULL && !d->line->is_spoiled && d->next != NULL && d->next->is_sent;
}

void endpoint_spoil_lines(struct endpoint *e)
{
	struct line *line;

	DL_FOREACH (e->lines, line)
		line->is_spoiled = true;
}
