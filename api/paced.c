#include "api/paced.h"
#include "lib/str.h"

#include <utlist.h>

struct paced {
	struct loop *loop;
	struct paced_reply *ready; /* their clients take more; the next one first */
	struct buf piece;
	bool is_deferred;
};

struct paced_reply {
	struct paced *paced;
	struct paced_reply *prev, *next; /* in ready */
	struct exchange *x;
	struct http_headers headers;
	struct paced_spec spec;
	bool is_ready, is_over;
};

static void take_turns(void *arg);

static void set_ready(struct paced_reply *p)
{
	struct paced *paced = p->paced;

	if (p->is_ready || p->is_over)
		return;
	p->is_ready = true;
	DL_APPEND(paced->ready, p);
	if (!paced->is_deferred)
		loop_defer(paced->loop, take_turns, paced);
	paced->is_deferred = true;
}

static void set_waiting(struct paced_reply *p)
{
	if (p->is_ready)
		DL_DELETE(p->paced->ready, p);
	p->is_ready = false;
}

static void end(struct paced_reply *p, const struct buf *piece)
{
	p->is_over = true;
	if (!exchange_reply_started(p->x)) {
		exchange_reply(p->x, 200, &p->headers, buf_str(piece), piece->len);
		return;
	}
	exchange_reply_write(p->x, piece->data, piece->len);
	exchange_reply_end(p->x);
}

static void fail(struct paced_reply *p, const struct err *err)
{
	p->is_over = true;
	if (exchange_reply_started(p->x))
		exchange_reply_abort(p->x, err->msg);
	else
		exchange_reply_error(p->x, request_status_of(err->code), "%s", err->msg);
}

static void send_piece(struct paced_reply *p, const struct buf *piece)
{
	if (piece->len > 0 && !exchange_reply_started(p->x))
		exchange_reply_start(p->x, 200, &p->headers, -1);
	if (piece->len == 0 || exchange_reply_write(p->x, piece->data, piece->len))
		set_ready(p);
}

static void make_piece(struct paced_reply *p)
{
	struct buf *piece = &p->paced->piece;
	struct err err = ERR_INIT;
	enum paced_step step;

	set_waiting(p);
	step = p->spec.more(piece, p->spec.arg, &err);
	if (piece->failed) {
		step = PACED_FAILED;
		err_set(&err, ERR_TOO_LARGE, "a part of the reply is larger than %zu MiB",
			PACED_PIECE_MAX >> 20);
	}
	if (step == PACED_FAILED)
		fail(p, &err);
	else if (step == PACED_LAST)
		end(p, piece);
	else
		send_piece(p, piece);
	if (piece->len > PACED_PIECE * 2 || piece->failed)
		buf_reset(piece);
	else
		buf_clear(piece);
}

static void take_turns(void *arg)
{
	struct paced *paced = arg;

	for (int i = 0; i < PACED_PIECES_A_TURN && paced->ready != NULL; i++)
		make_piece(paced->ready);
	/* Once, whoever became ready above, and behind what the descriptors have to tell meanwhile.
	 */
	paced->is_deferred = paced->ready != NULL;
	if (paced->is_deferred)
		loop_defer(paced->loop, take_turns, paced);
	else
		buf_reset(&paced->piece);
}

static void drained(struct exchange *x, void *arg)
{
	(void)x;
	set_ready(arg);
}

static void reply_free(struct exchange *x, bool finished, void *arg)
{
	struct paced_reply *p = arg;

	(void)x;
	(void)finished;
	set_waiting(p);
	p->spec.free(p->spec.arg);
	http_headers_free(&p->headers);
	free(p);
}

void paced_reply(
	struct request *r, const struct http_headers *headers, const struct paced_spec *spec)
{
	struct paced_reply *p = xcalloc(1, sizeof(*p));

	p->paced = r->api->paced;
	p->x = r->x;
	p->spec = *spec;
	http_headers_copy(&p->headers, headers);
	exchange_on_end(r->x, reply_free, p);
	exchange_on_drain(r->x, drained, p);
	set_ready(p);
}

struct paced *paced_new(struct loop *loop)
{
	struct paced *paced = xcalloc(1, sizeof(*paced));

	paced->loop = loop;
	buf_init(&paced->piece, PACED_PIECE_MAX);
	return paced;
}

void paced_free(struct paced *paced)
{
	if (paced == NULL)
		return;
	buf_reset(&paced->piece);
	/* A turn may still be due. */
	loop_defer(paced->loop, free, paced);
}
