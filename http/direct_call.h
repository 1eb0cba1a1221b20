/* What direct_call.c and line.c share: one call to an engine over our own sockets. */
#ifndef HTTP_DIRECT_CALL_H
#define HTTP_DIRECT_CALL_H

#include "http/client_priv.h"
#include "http/framing.h"
#include "http/head.h"

struct direct_call {
	struct call call;
	struct dial *dial;
	struct stream *stream;
	bool is_reused;    /* the connection carried a call before */
	bool has_answered; /* a byte of the reply came */
	bool is_idempotent;
	bool is_rounds;  /* as the request says */
	bool is_chunked; /* the upload */
	bool last_chunk_sent;
	bool is_blocked;  /* the connection takes no more of the request for now */
	bool send_is_due; /* send_later is on its way */
	bool is_stopped;
	bool must_close; /* the connection carries no other call, whatever the reply's head says */
	char *method;
	struct buf out;  /* the request, as far as it waits to be sent */
	struct buf kept; /* the request whole, to be sent once more; only on a connection that was
			    used before, or in a line */
	struct buf in;
	size_t head_bytes;
	struct head_scan scan; /* of the head that is being read */
	struct head head;
	struct framing framing;
	char *end;  /* where a NUL stands while the owner looks at the body, */
	char under; /* and what is there */
	unsigned connect_timeout_ms;
	/* Of line.c. */
	struct line *line; /* NULL = a connection of its own */
	struct direct_call *prev, *next;
	struct direct_call *heir; /* who has the connection, when this one has ended */
	bool is_sent;             /* the request was put into the out of the first in line */
	bool is_whole;            /* the reply was read to its end, and nobody has disturbed it */
};

/* ---- direct_call.c ---- */

/* Goes on with this connection, or with one of its own when it is NULL. Calls nobody back. */
void direct_take_over(struct direct_call *d, struct stream *stream_take);
/* Reads what has come, if the connection is there. */
void direct_read(struct direct_call *d);
/* At the end of the turn, what there is to be sent. */
void direct_send_soon(struct direct_call *d);
/* The connection may carry another call. */
bool direct_can_be_kept(const struct direct_call *d);

/* ---- line.c ---- */

/* Calls that share a connection: each request is sent without waiting for the answers to those
 * before it (RFC 9112 section 9.3.2), and the answers come in that order. The first of a line owns
 * the connection. Those behind have no deadlines yet.
 *
 * When the first one is done the next takes the connection over. When that has failed, or an answer
 * in it is not wanted any more, the next makes a new one, and all that wait send their requests
 * again. An endpoint that answers some and leaves the others without an answer is asked one thing
 * at a time from then on: a server or proxy there may not understand this. */
struct line {
	struct endpoint *endpoint;
	struct loop_turn *turn;    /* to read: several answers are work for a good part of a ms */
	struct direct_call *calls; /* in order */
	unsigned len;
	bool has_answered; /* over this connection, to one of them */
	bool is_spoiled;   /* one that was sent has gone: answers cannot be counted off any more */
	struct line *prev, *next;
};
/* Into the shortest line of the endpoint, or a new one as long as there are fewer than max. False:
 * it is the first, and has to find its connection. */
bool line_join(struct direct_call *d, unsigned max);
/* Out of its line, if it is in one. The heir is given the connection when it may have it, or makes
 * its own. */
void line_leave(struct direct_call *d);
/* The first in its line is called by direct_read, when others of the loop had their turns. */
void line_ask_turn(struct direct_call *d);
/* Adds to the out of this one, the first in its line, the requests that were not sent. */
void line_fill(struct direct_call *d);
bool line_has_unsent(const struct direct_call *d);
/* More of the connection is read than this answer: may that be the next one? */
bool line_may_read_on(const struct direct_call *d);
/* The connection is made anew: what was sent was sent to nobody. */
void line_unsent(struct direct_call *d);

#endif
