/* What the server's files share: listeners (server.c), client connections (connection.c) and
 * exchanges (exchange.c).
 *
 * A connection reads and checks request heads, keeps one exchange at a time, takes the framing off
 * its body, and writes what the exchange's functions leave in `out` to the client. */
#ifndef HTTP_SERVER_PRIV_H
#define HTTP_SERVER_PRIV_H

#include "http/framing.h"
#include "http/head.h"
#include "http/ledger.h"
#include "http/room.h"
#include "http/server.h"
#include "http/stream.h"

#include <time.h>

struct connection;

struct server {
	struct loop *loop;
	struct handler *handler;
	struct server_limits limits;
	struct listener *listeners;
	struct connection *connections; /* doubly linked */
	size_t connections_len;
	struct ledger ledger;        /* of bytes held for clients */
	struct ledger handshakes;    /* under way: one each, by address */
	struct accepting *accepting; /* TLS handshakes under way */
	struct loop_timer *janitor;
	struct room room;
	bool is_paused; /* accepts nobody: no descriptor is left */
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

/* How the client has ended. */
enum client_end {
	CLIENT_OPEN,
	CLIENT_HUNG_UP, /* its end is behind bytes that are not read yet */
	CLIENT_ENDED,   /* everything before its end was read */
};

enum pump_state {
	PUMP_IDLE,
	PUMP_RUNNING,
	PUMP_AGAIN, /* running, and asked for from inside */
};

struct connection {
	struct server *server;
	struct connection *prev, *next;
	struct stream *stream; /* NULL once an upgrade has taken it */
	char *peer;
	enum connection_state state;
	enum client_end client;
	enum pump_state pump;
	bool pump_is_deferred;
	bool is_loopback;                   /* see exchange_is_loopback */
	bool keep_alive;                    /* another request may follow this one */
	bool may_read;                      /* the client's stream may have something */
	unsigned wanted;                    /* what its stream was asked to tell */
	struct buf in;                      /* from the client, not looked at yet */
	struct head_scan scan;              /* of the head in it */
	struct buf out;                     /* for the client */
	struct framing framing;             /* of the request's body */
	struct exchange *exchange;          /* NULL but in CONNECTION_ACTIVE */
	struct exchange_identity *identity; /* of the client; NULL = not asked for yet */
	struct ledger_entry held;
	/* Of room.c: the list of idle connections that it is in, NULL = none. */
	struct connection **idle_in, *idle_prev, *idle_next;
	unsigned long idle_requests; /* requests there had been when it entered */
	uint64_t changed_ms;         /* last progress that the deadlines look at */
	unsigned long requests;
};

/* is_loopback: see exchange_is_loopback. */
void connection_open(
	struct server *server, struct stream *stream_take, const char *peer, bool is_loopback);
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
/* Answers without an exchange, and ends the connection after it. */
void connection_refuse(struct connection *c, int status, const char *message);
/* Enters into the server's ledger what it holds now. */
void connection_count(struct connection *c);
/* So many bytes more may be held for its client. */
bool connection_has_room(const struct connection *c, size_t more);
/* Bytes that may wait for the client before the writer of its reply is told to stop: few when there
 * is no room. */
size_t connection_high_water(const struct connection *c);
#define LOW_HIGH_WATER ((size_t)32 * 1024)
/* Not counted of each: a head, and a small body or reply. Who asks for no more is always served. */
#define UNCOUNTED ((size_t)16 * 1024)
/* Of refusals for want of room. */
#define SERVER_IS_FULL "too many bytes of requests and replies are under way: try again later"

/* ---- deadlines.c ---- */

/* Called a few times a second. */
void connection_check(struct connection *c, uint64_t now_ms);

/* ---- exchange.c ---- */

/* Of the request's body. */
enum exchange_body_state {
	EXCHANGE_BODY_UNCLAIMED, /* nobody has asked for it; also when there is none */
	EXCHANGE_BODY_COLLECT,   /* goes into `body`, until it is there whole */
	EXCHANGE_BODY_STREAM,    /* goes to the sink */
	EXCHANGE_BODY_HELD,      /* the sink is full */
	EXCHANGE_BODY_TAKEN,     /* who asked for it has had its end */
};

/* What the exchange's functions leave for the next pump to see. */
enum exchange_reply {
	EXCHANGE_REPLY_NONE,
	EXCHANGE_REPLY_STARTED,
	EXCHANGE_REPLY_ENDED,
	EXCHANGE_REPLY_ABORTED,
	EXCHANGE_REPLY_UPGRADED,
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
	enum exchange_body_state body_state;
	struct buf body; /* collected, or put back */
	bool body_is_put;
	uint64_t body_since_ms;
	exchange_body_fn *body_fn;
	exchange_sink_fn *sink;
	void *body_arg; /* of the one or the other */
	enum exchange_reply reply;
	int status;                          /* of the reply; 0 = none yet */
	const struct http_headers *defaults; /* of the reply; may be NULL. Borrowed */
	bool (*passes)(const char *name);    /* of the reply's headers; NULL = all do */
	bool is_chunked, drops_body;
	int64_t reply_left; /* of a known length */
	void (*drain)(struct exchange *x, void *arg);
	void *drain_arg;
	bool wants_drain;
	struct exchange_end *ends;
	struct exchange_taps *taps; /* NULL = nobody looks */
};

struct exchange *exchange_new(struct connection *c, struct head *head_take);
/* Runs the end functions and frees it at the end of the turn; connection->exchange becomes NULL. */
void exchange_finish(struct exchange *x, bool finished);
/* Somebody takes what comes of the body, or waits for its end. */
bool exchange_wants_body(const struct exchange *x);
/* Bytes of the body; how many were taken. */
size_t exchange_give_body(struct exchange *x, const char *data, size_t len);
/* The same of a body that was put back; false when none of it is left, or none was taken. */
bool exchange_give_put_body(struct exchange *x);
void exchange_body_ended(struct exchange *x);
/* out has drained below half of the high-water mark. */
void exchange_drained(struct exchange *x);

/* ---- tap.c; of exchanges that have taps ---- */

/* is_raw: the reply is the head of a raw stream. */
void taps_head(struct exchange *x, int *status, struct http_headers *headers, bool is_raw);
void taps_piece(struct exchange *x, const char *data, size_t len);
/* Frees them. */
void taps_end(struct exchange *x, bool is_finished);

#endif
