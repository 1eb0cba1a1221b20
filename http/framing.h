/* Message bodies on the wire: by length, chunked (RFC 9112 section 7.1), or until the connection
 * closes. Inside http/ only. */
#ifndef HTTP_FRAMING_H
#define HTTP_FRAMING_H

#include "http/head.h"
#include "lib/buf.h"
#include "lib/err.h"

#include <stdint.h>

enum framing_state {
	FRAMING_DONE,
	FRAMING_LENGTH,
	FRAMING_UNTIL_CLOSE,
	FRAMING_CHUNK_SIZE,
	FRAMING_CHUNK_DATA,
	FRAMING_CHUNK_END,
	FRAMING_TRAILER,
};
#define FRAMING_TRAILER_MAX 8192

struct framing {
	enum framing_state state;
	int64_t remaining; /* of the body or the chunk */
	struct head_scan trailer;
};

/* length as in struct head: >= 0, -1 = chunked, HEAD_UNTIL_CLOSE. */
void framing_init(struct framing *f, int64_t length);
static inline bool framing_is_done(const struct framing *f)
{
	return f->state == FRAMING_DONE;
}

/* Looks at the wire bytes in data and says how many are used up now (0 = more are needed,
 * and the same are given again in front of them). When
 * they hold body, *body and *body_len are that part of them, else *body_len is 0. A caller that
 * takes only n < *body_len of the body gives the rest back with framing_give_back. -1 with err on
 * malformed framing; any chunk extension counts as such, since no Docker client sends one and
 * smugglers do. */
ssize_t framing_feed(struct framing *f, const char *data, size_t len, const char **body,
	size_t *body_len, struct err *err) MUSTCHECK;
void framing_give_back(struct framing *f, size_t len);

#endif
