/* What the server's files share: listeners (server.c), client connections (connection.c), exchanges
 * (exchange.c) and libmicrohttpd (mhd.c).
 *
 * A connection reads and checks request heads, keeps one exchange at a time, and writes to the
 * client. Small things go through libmicrohttpd, over a socketpair: it takes the framing off bodies
 * that are collected, and makes whole replies. Streams (long replies, long bodies, raw connections)
 * never enter it; the connection frames them itself. */
#ifndef HTTP_SERVER_PRIV_H
#define HTTP_SERVER_PRIV_H

#include "http/framing.h"
#include "http/head.h"
#include "http/server.h"
#include "http/stream.h"

#include <time.h>

struct mhd;
struct mhd_request;
struct connection;

struct server {
	struct loop *loop;
	struct handler *handler;
	struct server_limits limits;
	struct mhd *mhd; /* made by the first reply that needs it */
	struct listener *listeners;
	struct connection *connections; /* doubly linked */
	size_t connections_len;
	struct accepting *accepting; /* TLS handshakes under way */
	struct loop_timer *janitor;
	bool is_full;
	time_t date_at; /* of the second that date names; 0 = none yet */
	char date[40];
};

/* ---- server.c ---- */

/* The deadlines of its connections are looked at from now on. */
void server_wake_janitor(struct server *server);

/* ---- connection.c ---- */

enum connection_state {
	CONNECTION_HEAD,    /* idle, or part of a head is here */
	CONNECTION_ACTIVE,  /* an exchange is under way */
	CONNECTION_CLOSING, /* what is in out goes to the client, then the end */
	CONNECTION_LINGER,  /* our end is sent; the client's bytes are dropped until its end, or a
			       little while */
	CONNECTION_DEAD,    /* freed at the end of the turn */
};

struct connection {
	struct server *server;
	struct connection *prev, *next;
	struct stream *stream;
	char *peer;
	enum connection_state state;
	struct buf in;  /* from the client, not looked at yet */
	struct buf out; /* for the client */
	struct exchange *exchange;
	struct framing framing; /* of the request's body */
	bool client_ended;      /* its writing side; everything before was read */
	bool client_hung_up;    /* the same, with bytes that may still be unread */
	bool keep_alive;
	bool is_pumping, pump_again, pump_is_deferred;
	bool is_linked;
	bool may_read;       /* the client's stream may have something */
	bool may_drain;      /* libmicrohttpd's end may have something */
	unsigned wanted;     /* what its stream was asked to tell */
	uint64_t changed_ms; /* last progress that the deadlines look at */
	unsigned long requests;
	/* libmicrohttpd's side: our end of the socketpair, -1 = none. */
	int mhd_fd;
	int mhd_far_fd; /* libmicrohttpd's end, valid as a key only */
	struct loop_watch *mhd_watch;
	struct buf to_mhd;
	bool mhd_replied; /* it has sent the whole reply */
};

void connection_open(struct server *server, struct stream *stream_take, const char *peer);
/* At once, with the reason for the log. The exchange, if any, ends unfinished. */
void connection_close(struct connection *c, const char *reason);
/* Makes all progress that is possible now. Safe to call from anywhere; runs later when called from
 * inside itself. */
void connection_pump(struct connection *c);
/* The same at the end of this turn, for callers that must not be called back. */
void connection_pump_soon(struct connection *c);
/* Sends to the client at once, as far as it goes, when nothing waits in front of the data; how many
 * bytes. Calls nobody back. */
size_t connection_send(struct connection *c, const char *data, size_t len);
/* Cuts libmicrohttpd off: from now on the connection itself writes the reply of this exchange. */
void connection_detach_mhd(struct connection *c);
/* Deadlines; called a few times a second. */
void connection_check(struct connection *c, uint64_t now_ms);

/* ---- exchange.c ---- */

enum exchange_body_mode {
	EXCHANGE_BODY_UNCLAIMED,
	EXCHANGE_BODY_COLLECT, /* by way of libmicrohttpd */
	EXCHANGE_BODY_STREAM,
};

struct exchange_end {
	struct exchange_end *next;
	void (*fn)(struct exchange *x, bool finished, void *arg);
	void *arg;
};

struct exchange {
	struct connection *connection;
	struct head head;
	uint64_t id;
	enum exchange_body_mode body_mode;
	bool body_complete;
	/* Collected bodies. */
	struct buf body;
	size_t body_max;
	exchange_body_fn *body_fn;
	/* Streamed bodies. */
	exchange_sink_fn *sink;
	bool sink_is_full, sink_has_end;
	void *body_arg;
	/* The reply. */
	bool envelope_sent;   /* libmicrohttpd has been given the request */
	bool has_whole_reply; /* status, headers and body wait for libmicrohttpd */
	int status;
	const struct http_headers *defaults; /* of the reply; may be NULL. Borrowed */
	struct http_headers reply_headers;
	char *reply_body;
	size_t reply_len;
	bool is_streaming, is_chunked, drops_body;
	bool is_ended, is_aborted, is_upgraded; /* seen by the next pump */
	int64_t reply_left;                     /* of a known length */
	void (*drain)(struct exchange *x, void *arg);
	void *drain_arg;
	bool wants_drain;
	struct exchange_end *ends;
	struct mhd_request *mhd; /* while libmicrohttpd has the request */
};

struct exchange *exchange_new(struct connection *c, struct head *head_take);
/* Runs the end functions and frees it at the end of the turn; connection->exchange becomes NULL. */
void exchange_finish(struct exchange *x, bool finished);
/* Bytes of the body for a streaming sink; how many it took. */
size_t exchange_give_body(struct exchange *x, const char *data, size_t len);
void exchange_body_ended(struct exchange *x);
/* out has drained below half of the high-water mark. */
void exchange_drained(struct exchange *x);

/* ---- mhd.c ---- */

/* NULL: there are no descriptors left. The others take NULL for one that has nothing to do. */
struct mhd *mhd_new(struct server *server, struct err *err);
void mhd_free(struct mhd *mhd);
bool mhd_is_empty(const struct mhd *mhd); /* no connection, not even one that it is to forget */
/* Gives the connection a socketpair with libmicrohttpd behind it. */
int mhd_attach(struct connection *c, struct err *err);
/* The connection is about to close its end. */
void mhd_forget(struct mhd *mhd, const struct connection *c);
/* Runs libmicrohttpd before the loop waits next. */
void mhd_wake(struct mhd *mhd);
/* The whole reply of this exchange is ready. */
void mhd_reply_ready(struct mhd_request *request);
/* The exchange or its connection has gone, or replies otherwise. */
void mhd_abandon(struct mhd_request *request);

#endif
