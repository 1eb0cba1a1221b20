/* HTTP client: calls to engines and stores, many at once, on the loop. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "http/exchange.h"
#include "http/stream.h"
#include "http/tls.h"
#include "lib/addr.h"
#include "lib/loop.h"

struct client;
struct client *client_new(struct loop *loop);
/* Calls in flight end with ERR_CANCELED before it returns. */
void client_free(struct client *client);

/* Where calls go: one engine or store. Connections are kept and reused per endpoint, at most
 * ENDPOINT_IDLE_MAX of them idle (more for a second after a burst, one after some seconds without
 * calls), and in all a share of what
 * descriptors there are: with thousands of engines the ones used longest ago are closed. */
#define ENDPOINT_IDLE_MAX 4
struct endpoint;
/* tls NULL = plain. */
struct endpoint *endpoint_new(
	struct client *client, const struct addr *addr, struct tls_context *tls);
/* The same over libcurl: for stores, whose addresses and TLS are more varied than engines', and
 * where no request is urgent. */
struct endpoint *endpoint_new_store(
	struct client *client, const struct addr *addr, struct tls_context *tls);
/* New connections use it; idle ones are not reused any more. */
void endpoint_set_tls(struct endpoint *endpoint, struct tls_context *tls);
void endpoint_free(struct endpoint *endpoint); /* calls in flight end with ERR_CANCELED */
const char *endpoint_name(const struct endpoint *endpoint); /* "tcp://10.0.0.1:2375" */

struct call_request {
	const char *method;
	const char *target;                 /* path and query, percent-encoded, starting with '/' */
	const struct http_headers *headers; /* may be NULL; framing, Host and Expect are ours */
	const void *body;                   /* copied; NULL with body_len 0 = none */
	size_t body_len;
	/* Or a body in pieces, by call_upload: its length, -1 = chunked. Used when has_upload. */
	bool has_upload;
	int64_t upload_length;
	/* Not 0: it may wait for others like it. At most so many connections to the endpoint carry
	 * these, and on each a request is sent without waiting for the answers to those before it.
	 * For GET and HEAD; the deadlines run from when those before it are answered. */
	unsigned lines;
	/* Asked of one endpoint after the other: where there is no room to keep the connections to
	 * all of them, it takes the place of no other's. */
	bool is_rounds;
	/* Deadlines in ms; 0 = none. connect has a default of 10 s. */
	unsigned connect_timeout_ms;
	unsigned head_timeout_ms; /* from the end of the request to the reply's head */
	unsigned idle_timeout_ms; /* without a byte of the reply's body */
	unsigned total_timeout_ms;
};

struct call;
/* None of these is called from inside call_start. Any may cancel the call. */
struct call_ops {
	/* The reply's head, once. Headers are borrowed; hop-by-hop ones are still there. */
	void (*head)(struct call *call, int status, const struct http_headers *headers, void *arg);
	/* A piece of the body. False = taken, but stop until call_resume. NULL = the body is
	 * dropped. */
	bool (*body)(struct call *call, const char *data, size_t len, void *arg);
	/* The upload has room again (after call_upload returned false). */
	void (*upload_drain)(struct call *call, void *arg);
	/* The end: err NULL = the reply is complete. Called exactly once unless cancelled; call is
	 * dead after. */
	void (*done)(struct call *call, const struct err *err, void *arg);
};
struct call *call_start(struct endpoint *endpoint, const struct call_request *request,
	const struct call_ops *ops, void *arg);
/* Whether a byte of the request may have reached the peer. Good until done has returned. */
bool call_was_sent(const struct call *call);
/* Ends it at once; no callback follows. */
void call_cancel(struct call *call);
void call_resume(struct call *call);
/* Gives bytes of the upload (copied). False = the buffer is full, wait for upload_drain. */
bool call_upload(struct call *call, const void *data, size_t len);
void call_upload_end(struct call *call);

/* A call whose reply is collected, at most max bytes (more: ERR_TOO_LARGE). done gets status 0 and
 * err, or the reply, which is borrowed until it returns. Cancel with call_cancel until done was
 * called. */
struct reply {
	int status;
	const struct http_headers *headers;
	const char *body; /* NUL-ended */
	size_t body_len;
};
typedef void call_collect_fn(void *arg, const struct reply *reply, const struct err *err);
struct call *call_collect(struct endpoint *endpoint, const struct call_request *request, size_t max,
	call_collect_fn *done, void *arg);

/* A call that may become a raw two-way stream (attach, exec start): our own socket and TLS, since
 * libcurl cannot half-close. Sends the request with `Connection: Upgrade` and `Upgrade: tcp` (or
 * upgrade_token), or without them when upgrade_token is NULL (the engine then answers 200 and is
 * raw all the same). */
struct raw_call;
struct raw_ops {
	/* 101, or 200 with a raw-stream content type: the connection is raw; its stream is the
	 * receiver's. No other callback follows. */
	void (*upgraded)(struct raw_call *call, int status, const struct http_headers *headers,
		struct stream *stream_take, void *arg);
	/* Any other answer, with its body (at most 1 MiB), or err (reply NULL). No other callback
	 * follows. */
	void (*refused)(
		struct raw_call *call, const struct reply *reply, const struct err *err, void *arg);
};
struct raw_call *raw_call_start(struct endpoint *endpoint, const struct call_request *request,
	const char *upgrade_token, const struct raw_ops *ops, void *arg);
void raw_call_cancel(struct raw_call *call);

#endif
