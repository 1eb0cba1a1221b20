/* Long replies, made in pieces. A reply makes its next piece when its client has taken enough of
 * the ones before, so it waits in no more memory than one piece and what the connection holds; and
 * of all replies together no more than a few pieces are made in one turn of the loop, in turns, so
 * that other requests need not wait for them. Inside api/ only. */
#ifndef API_PACED_H
#define API_PACED_H

#include "api/api_priv.h"

#define PACED_PIECE ((size_t)64 * 1024) /* bytes that a piece should have, or a little more */
#define PACED_PIECE_MAX ((size_t)16 * 1024 * 1024)
/* Replies of one request are made no faster than this many pieces a turn, those of all likewise. */
#define PACED_PIECES_A_TURN 2

enum paced_step {
	PACED_MORE, /* also without a byte, to go on with something long in the next turn */
	PACED_LAST,
	PACED_FAILED,
};

struct paced_spec {
	/* Appends the next piece to out (at most PACED_PIECE_MAX bytes), with work for some hundred
	 * microseconds at most. PACED_FAILED: err says why; it becomes the reply when nothing was
	 * sent before, else the reply breaks off. Called until it gives the last, or the client
	 * goes. */
	enum paced_step (*more)(struct buf *out, void *arg, struct err *err);
	/* Frees arg, once, whatever the end. */
	void (*free)(void *arg);
	void *arg;
};

struct paced;
struct paced *paced_new(struct loop *loop);
void paced_free(struct paced *paced);

/* Answers 200 with these headers (copied) and what `more` makes, first called after this returns.
 * One piece alone is sent with its length. */
void paced_reply(
	struct request *r, const struct http_headers *headers, const struct paced_spec *spec);
/* An array or object as such a reply, an element of it, or of an array in it, after the other. The
 * arrays and the object are not to be changed any more. end: static, what stands behind: "\n", "".
 * headers may be NULL; the type is added. */
void paced_reply_json(
	struct request *r, const struct http_headers *headers, json_t *json_take, const char *end);
/* An element for such an array: the object (a reference is taken) under another `Name`. Elements
 * are never arrays themselves. */
json_t *paced_row_named(json_t *object, const char *name);

#endif
