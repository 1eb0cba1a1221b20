/* HTTP/1 heads, read strictly (RFC 9112) and written canonically. What is doubtful is refused: two
 * readers that understand one request differently are how requests are smuggled. Inside http/ only.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/exchange.h"
#include "lib/buf.h"

#include <stdint.h>
#include <sys/types.h>

struct head {
	char *method; /* requests */
	char *target; /* requests: origin form, or "*" */
	int status;   /* replies */
	bool is_http10;
	struct http_headers headers;
	int64_t body_length; /* from the framing headers: 0 = none, -1 = chunked, HEAD_UNTIL_CLOSE
				(replies) */
	bool keep_alive;     /* the sender keeps the connection for another message */
	bool expects_continue;
};
#define HEAD_UNTIL_CLOSE (-2)
#define HEAD_HEADERS_MAX 256 /* header lines in one head */

void head_free(struct head *head);

/* How far a head was looked through; zeroed = nothing of it. */
struct head_scan {
	size_t at;
	unsigned lines;
};
/* Length of the head at the start of data, its empty line included; 0 when it is not complete yet;
 * -1 when it has more lines than a head may have. Called again with the same bytes and more behind
 * them, it looks at the new ones only; a head that was found leaves scan zeroed. Finds ends that
 * are not well-formed too (bare LF), so that the parser can refuse them at once. */
ssize_t head_find_end(const char *data, size_t len, struct head_scan *scan);

/* 0, or the status to refuse with (400, 417, 431, 501, 505) and err. head is to be freed either
 * way. */
int head_parse_request(const char *data, size_t len, struct head *head, struct err *err);
/* The reply to a request with that method. -1 with err (ERR_UPSTREAM) when it is not a well-formed
 * HTTP/1 head. */
int head_parse_reply(
	const char *data, size_t len, const char *method, struct head *head, struct err *err);

/* A header's name, or a method (RFC 9110 section 5.6.2). */
bool head_is_token(const char *s, size_t len);
/* No blanks, control characters or others that a request line must not hold. */
bool head_is_target(const char *target, size_t len);

/* One header line after the other; 0, or -1 with err. Used for trailers as well. */
int head_parse_fields(const char *data, size_t len, struct http_headers *out, struct err *err);

/* "name: value\r\n", as it is. */
void head_write_field(struct buf *out, const char *name, const char *value);
/* "HTTP/1.1 404 Not Found\r\n" and the headers, each line ended; no empty line. Headers of one
 * connection (http_headers_is_hop) are left out, the caller writes its own; so are values with
 * control characters, which could only split the message; and those whose name does not pass
 * (passes NULL = all do). */
void head_write_reply(struct buf *out, int status, const struct http_headers *headers,
	bool (*passes)(const char *name));
void head_write_request(struct buf *out, const char *method, const char *target, const char *host,
	const struct http_headers *headers);
/* "Not Found"; "Status" for codes without a common phrase. */
const char *head_reason(int status);

#endif
