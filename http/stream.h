/* A two-way byte stream: plain socket, TLS, or memory (tests). Never blocks. Above it nobody asks
 * which it is. Reading end, writing end and failure are three different facts. */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <stddef.h>
#include <sys/types.h>

struct stream;
struct tls_context;
struct exchange_identity;

enum {
	STREAM_AGAIN = -1, /* nothing now; ask for it with stream_want */
	STREAM_ERROR = -2, /* broken; only stream_close is left */
};

struct stream_ops {
	const char *name;
	/* Up to len bytes; 0 = the peer ended its writing side in order; STREAM_AGAIN;
	 * STREAM_ERROR. A TLS peer that goes without close_notify is an error, not an end
	 * (truncation). */
	ssize_t (*read)(struct stream *s, void *data, size_t len);
	/* Bytes taken (>= 1), STREAM_AGAIN or STREAM_ERROR. */
	ssize_t (*write)(struct stream *s, const void *data, size_t len);
	/* Ends our writing side: FIN, or close_notify. Reading goes on. Idempotent; no failure to
	 * report. */
	void (*shutdown_write)(struct stream *s);
	/* Says which readiness (LOOP_READ, LOOP_WRITE, LOOP_HANGUP) should call the function given
	 * by stream_on_ready. What TLS has decrypted already counts as readable. */
	void (*want)(struct stream *s, unsigned events);
	/* True when the peer can be known to receive nothing any more: the connection was reset, a
	 * local peer has closed its socket, a TLS peer has closed the connection behind its
	 * close_notify. What it sent before may still be there to be read. A mere end of its
	 * writing side is not it. */
	bool (*is_gone)(struct stream *s);
	/* Fills in what is known of the peer; out is zeroed. NULL = nothing is. */
	void (*identify)(struct stream *s, struct exchange_identity *out);
	/* Frees it, at once; the callback is not called afterwards. */
	void (*close)(struct stream *s);
};

typedef void stream_ready_fn(unsigned events, void *arg);

/* The common head of every kind of stream. */
struct stream {
	const struct stream_ops *ops;
	stream_ready_fn *ready;
	void *ready_arg;
	struct buf unread; /* bytes to be read before those of the transport */
};

ssize_t stream_read(struct stream *s, void *data, size_t len) MUSTCHECK;
ssize_t stream_write(struct stream *s, const void *data, size_t len) MUSTCHECK;
void stream_shutdown_write(struct stream *s);
/* A broken transport is told with all of LOOP_READ, LOOP_WRITE and LOOP_HANGUP, wanted or not, as
 * long as anything is wanted. */
void stream_want(struct stream *s, unsigned events);
bool stream_is_gone(struct stream *s);
/* Sets who is called; replaces the one before. Until then readiness is not watched. */
void stream_on_ready(struct stream *s, stream_ready_fn *ready, void *arg);
/* Who is at the other end, as far as it is known; out is zeroed. */
void stream_identify(struct stream *s, struct exchange_identity *out);
void stream_identity_free(struct exchange_identity *identity); /* NULL is fine */
/* Of a unix socket's peer; nothing for others. */
void stream_identify_process(int fd, struct exchange_identity *out);
void stream_close(struct stream *s); /* NULL is fine */
/* Puts bytes (copied, at most 1 MiB in all) back in front of what stream_read gives next. */
void stream_unread(struct stream *s, const void *data, size_t len);

/* A stream over a connected, non-blocking socket, which it owns from now on. */
struct stream *stream_from_fd(struct loop *loop, int fd);

/* Lets the system find peers that vanished without a word: a TCP connection that is silent for
 * STREAM_KEEPALIVE_IDLE_S is asked every STREAM_KEEPALIVE_INTERVAL_S, and broken when
 * STREAM_KEEPALIVE_PROBES in a row are not answered. No effect on other sockets. */
#define STREAM_KEEPALIVE_IDLE_S 15
#define STREAM_KEEPALIVE_INTERVAL_S 5
#define STREAM_KEEPALIVE_PROBES 4
void stream_set_keepalive(int fd);

/* Called once, with the stream or with err; never from inside the starting call. */
typedef void stream_done_fn(void *arg, struct stream *stream_take, const struct err *err);

/* Server side of TLS on an accepted socket (owned). The handshake has timeout_ms. Cancel until done
 * was called. */
struct tls_handshake;
struct tls_handshake *stream_accept_tls(struct loop *loop, int fd, const struct tls_context *tls,
	uint64_t timeout_ms, stream_done_fn *done, void *arg);
/* Client side; the peer's certificate must be for host (a name or an IP address). */
struct tls_handshake *stream_connect_tls(struct loop *loop, int fd, const struct tls_context *tls,
	const char *host, uint64_t timeout_ms, stream_done_fn *done, void *arg);
void tls_handshake_cancel(struct tls_handshake *handshake);

/* Connects to addr (names are resolved, every address is tried in turn), with TLS when tls is not
 * NULL. The whole of it has timeout_ms. Cancel until done was called. */
struct dial;
struct dial *stream_dial(struct loop *loop, const struct addr *addr, struct tls_context *tls,
	uint64_t timeout_ms, stream_done_fn *done, void *arg);
void dial_cancel(struct dial *dial);

#endif
