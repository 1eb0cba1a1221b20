/* An exchange: one request of a client and the reply to it. Handlers see only this; what carries it
 * (a listener, a socket, TLS) is the server's business.
 *
 * Life: the server hands a new exchange to the first handler. It lives until its reply has ended,
 * it was upgraded, or the client has gone; then the functions given to exchange_on_end run, and the
 * pointer is dead. Everything runs on the loop's thread, and no function here calls back before it
 * returns, except where said. */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/json.h"
#include "lib/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct exchange;
struct stream;

/* ---- Headers, for requests and replies, in order, names compared without case. ---- */

struct http_header {
	char *name;        /* owned */
	const char *value; /* in the same piece of memory */
};
struct http_headers {
	struct http_header *items;
	size_t len;
};
void http_headers_add(struct http_headers *h, const char *name, const char *value);
/* Likewise, of texts that need not end with NUL. */
void http_headers_add_text(struct http_headers *h, const char *name, size_t name_len,
	const char *value, size_t value_len);
/* Replaces all of that name by one. */
void http_headers_set(struct http_headers *h, const char *name, const char *value);
void http_headers_remove(struct http_headers *h, const char *name);
/* Removes those for whose name keeps says no. */
void http_headers_keep(struct http_headers *h, bool (*keeps)(const char *name));
const char *http_headers_get(const struct http_headers *h, const char *name); /* first, or NULL */
/* True when the comma-separated values of that name hold the token (case ignored). */
bool http_headers_has_token(const struct http_headers *h, const char *name, const char *token);
void http_headers_copy(struct http_headers *to, const struct http_headers *from);
void http_headers_free(struct http_headers *h);
/* True for what belongs to one connection and must not be passed on (RFC 9110 section 7.6.1):
 * Connection and what it names, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade,
 * HTTP2-Settings; and Content-Length, Host, Expect and Date, which each side makes anew. Names that
 * are written with `_` for `-` count as well.
 * h: the headers whose Connection counts; NULL = there is none. */
bool http_headers_is_hop(const struct http_headers *h, const char *name);
/* Removes all of those. */
void http_headers_strip_hop(struct http_headers *h);

/* ---- The request ---- */

const char *exchange_method(const struct exchange *x); /* "GET", "POST", ... */
/* The request target as sent: path and query, still percent-encoded, starting with '/'. Changing it
 * is for handlers that rewrite (exchange_set_target). */
const char *exchange_target(const struct exchange *x);
void exchange_set_target(struct exchange *x, const char *target);
const struct http_headers *exchange_headers(const struct exchange *x);
struct http_headers *exchange_headers_mutable(struct exchange *x);
const char *exchange_header(
	const struct exchange *x, const char *name); /* first of that name, or NULL */
/* Bytes of body that are to come: 0 = none, -1 = not known beforehand (chunked). */
int64_t exchange_body_length(const struct exchange *x);
bool exchange_is_http10(const struct exchange *x);
/* Who asks, for logs: "192.0.2.1:4711" or "unix". */
const char *exchange_peer(const struct exchange *x);
/* It came in by a TCP listener on a loopback address: what any program of the machine reaches, a
 * browser too. */
bool exchange_is_loopback(const struct exchange *x);
/* A number for logs, unique in this process. */
uint64_t exchange_id(const struct exchange *x);

/* Who the client is, as far as somebody vouches for it: never by what it says in a request. */
struct exchange_identity {
	/* Of the subject of its certificate, when that was verified; NULL and empty = there is
	 * none, or no such field. A certificate with several common names has none: each reader
	 * might take another of them for the client. Texts are UTF-8, without NUL. */
	char *common_name;
	struct str_list organizations, units;
	/* Of who connected the unix socket, by the kernel. */
	bool has_process;
	uid_t uid;
	gid_t gid;
	pid_t pid;
};
/* Borrowed until the exchange ends. Asked for the first time behind exchange_upgrade, it is empty.
 */
const struct exchange_identity *exchange_identity(const struct exchange *x);

/* Reads the whole body (at most max bytes). done gets it, borrowed, when complete; it may be called
 * before this returns when there is no body, or it was put back. When the body is larger, the reply
 * is 413, when the server holds too much for its clients already, 503, and done is not called; when
 * the client goes away, done is not called (exchange_on_end tells). */
typedef void exchange_body_fn(struct exchange *x, const char *body, size_t len, void *arg);
void exchange_read_body(struct exchange *x, size_t max, exchange_body_fn *done, void *arg);

/* Puts a body back that exchange_read_body gave, the same or another, for the next handler: it
 * reads or streams these bytes as if the client had sent them, and exchange_body_length is theirs.
 * May be called from inside done or later, before the reply, and as often as the body was read. The
 * bytes are copied; what done was given is valid afterwards only if it is what was put back. */
void exchange_put_body(struct exchange *x, const char *body, size_t len);

/* Streams the body: sink gets each piece as it comes and says how many bytes it took; fewer than
 * len stops the flow until exchange_body_resume. len 0 is the end, and comes exactly once. */
typedef size_t exchange_sink_fn(struct exchange *x, const char *data, size_t len, void *arg);
void exchange_stream_body(struct exchange *x, exchange_sink_fn *sink, void *arg);
void exchange_body_resume(struct exchange *x);

/* False when as many raw streams are open as this process may have: to be asked in front of
 * exchange_upgrade, and before an engine is. */
bool exchange_may_upgrade(const struct exchange *x);

/* ---- The reply: exactly one of the whole forms, the streamed form, or an upgrade ---- */

/* Headers that a reply gets where it has none of that name, whichever form it takes but the
 * upgrade. Borrowed until the exchange ends, and read when the reply begins. */
void exchange_set_defaults(struct exchange *x, const struct http_headers *defaults);

/* Of the headers that a reply is given, whichever form it takes, those of these names alone are
 * sent: others of a peer's answer are not for our clients. */
void exchange_pass_headers(struct exchange *x, bool (*passes)(const char *name));

/* A whole reply; headers (may be NULL) and body are copied. A large one becomes a 503 when the
 * server holds too much for its clients already. */
void exchange_reply(struct exchange *x, int status, const struct http_headers *headers,
	const void *body, size_t len);
/* JSON text; the reference is taken over. */
void exchange_reply_json(struct exchange *x, int status, json_t *json_take);
/* {"message": "..."} with that status, as a Docker engine gives errors. */
void exchange_reply_error(struct exchange *x, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* A reply in pieces. length -1 = not known (chunked). For HEAD, 204 and 304 the pieces are dropped.
 */
void exchange_reply_start(
	struct exchange *x, int status, const struct http_headers *headers, int64_t length);
/* Copies the bytes. False when more than EXCHANGE_HIGH_WATER bytes now wait for the client (fewer
 * when others hold much): the caller should stop until drain is called (see exchange_on_drain). */
bool exchange_reply_write(struct exchange *x, const void *data, size_t len);
void exchange_reply_end(struct exchange *x);
/* The reply cannot be completed: the connection is closed so that the client notices. Before the
 * reply was started it becomes a 502 with reason. */
void exchange_reply_abort(struct exchange *x, const char *reason);
bool exchange_reply_started(const struct exchange *x);
#define EXCHANGE_HIGH_WATER (256 * 1024)
void exchange_on_drain(struct exchange *x, void (*drain)(struct exchange *x, void *arg), void *arg);

/* Turns the connection into a raw stream: sends the head (101 or 200 with the headers as given;
 * Connection and Upgrade are added for 101) and gives the client's stream, with whatever the client
 * sent behind its request still to be read from it. The exchange ends. The request's body must have
 * been read. NULL when the client has gone. */
struct stream *exchange_upgrade(
	struct exchange *x, int status, const struct http_headers *headers) MUSTCHECK;

/* Looks at the reply on its way to the client. head may change it; pieces are bytes of the body as
 * they are written, without framing, borrowed; end is called once, before the functions of
 * exchange_on_end. Each may be NULL. None may reply, or end the exchange. */
struct exchange_summary {
	int status;       /* as the client has got it; 0 = no reply was begun */
	uint64_t bytes;   /* of the body, without framing; of a raw stream, none */
	bool is_finished; /* as exchange_on_end tells */
	bool is_raw;      /* it became a raw stream */
};
struct exchange_tap_ops {
	/* headers: those of the reply, a copy; defaults, Date and what frames the body are not
	 * among them yet. is_raw: a raw stream follows, and status cannot be changed. */
	void (*head)(struct exchange *x, int *status, struct http_headers *headers, bool is_raw,
		void *arg);
	void (*piece)(struct exchange *x, const char *data, size_t len, void *arg);
	void (*end)(struct exchange *x, const struct exchange_summary *summary, void *arg);
};
/* Before the reply. Several may be added: the last one added sees the reply first, as it is the
 * nearest to who replies. */
void exchange_tap(struct exchange *x, const struct exchange_tap_ops *ops, void *arg);

/* No further request is read from this connection: what the client sends behind this one may be
 * meant for a raw stream that it does not get. So it is already for requests that ask for an
 * upgrade; this is for those that become raw streams without asking. Before the reply. */
void exchange_end_connection(struct exchange *x);

/* Called once when the exchange ends, whatever the way: finished true when the reply was handed to
 * the transport whole (or upgraded), false when the client went away or the reply was aborted.
 * Several may be added; last added, first called. They must not call functions of the exchange but
 * the request's getters. */
void exchange_on_end(
	struct exchange *x, void (*end)(struct exchange *x, bool finished, void *arg), void *arg);

/* ---- Handlers, chained ---- */

struct handler;
struct handler_ops {
	const char *name;
	/* Answers the exchange now or later, or changes it and passes it on with handler_next. */
	void (*handle)(struct handler *h, struct exchange *x);
	void (*free)(struct handler *h);
};
/* Embedded first in every handler's own struct. */
struct handler {
	const struct handler_ops *ops;
	struct handler *next; /* owned; NULL at the end of the chain */
};
void handler_handle(struct handler *h, struct exchange *x);
void handler_next(struct handler *h, struct exchange *x); /* 404 when there is none */
void handler_free(struct handler *h);                     /* the rest of the chain too */

#endif
