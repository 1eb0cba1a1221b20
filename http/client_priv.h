/* What the client's files share. A call is carried by one of two: direct_call.c, our own, for
 * engines, where every request counts; curl_call.c, libcurl, for stores. client.c is what is
 * common. */
#ifndef HTTP_CLIENT_PRIV_H
#define HTTP_CLIENT_PRIV_H

#include "http/client.h"

#define CALL_HEAD_MAX (256 * 1024)        /* bytes of one reply's head, interim replies included */
#define CALL_UPLOAD_MAX (4 * 1024 * 1024) /* bytes that call_upload may have waiting */
#define CALL_UPLOAD_HIGH_WATER (256 * 1024)
#define CALL_UPLOAD_BULK (8 * 1024) /* a piece of that size is one of many */
#define CALL_CONNECT_TIMEOUT_MS 10000
#define CALL_READ_SIZE (64 * 1024)

struct curl;
struct wire;
struct line;

struct client {
	struct loop *loop;
	struct loop_timer *janitor;
	struct call *calls;         /* all that run, doubly linked, but for */
	struct call *endless_calls; /* those that the janitor need not look at any more */
	struct call *looked_at;     /* by the janitor next, while it goes round */
	struct curl *curl;          /* libcurl's side; made when it is first needed */
	char *scratch;              /* CALL_READ_SIZE bytes and a NUL, for one read at a time */
	/* Of idle.c: connections of all endpoints, the one to be closed next first. */
	struct wire *idle;
	size_t idle_len, idle_max;
};

struct endpoint {
	struct client *client;
	const struct call_carrier *carrier;
	struct addr addr;
	char *name; /* "tcp://10.0.0.1:2375" */
	char *url;  /* for libcurl: "https://10.0.0.1:2376/" */
	char *host; /* the Host header */
	struct tls_context *tls;
	bool is_freed;              /* by its owner; goes when the last call has left */
	unsigned refs;              /* the owner's, and one for each call until its memory goes */
	unsigned running;           /* calls that have not ended */
	struct call *calls;         /* those, doubly linked */
	struct raw_call *raw_calls; /* likewise */
	/* Of idle.c: the connection used last first. */
	struct wire *idle;
	unsigned idle_len;
	struct loop_timer *idle_timer;
	/* Of line.c. */
	struct line *lines;
	bool is_serial; /* no request is sent before the one in front of it is answered */
};
void endpoint_unref(struct endpoint *e);

struct call_carrier {
	/* Memory for one call, with struct call first. */
	struct call *(*create)(void);
	void (*start)(struct call *call, const struct call_request *request);
	/* Ends it on the wire, when its reply was complete or not; calls nobody back. The memory is
	 * freed by call_release, at once or later. */
	void (*stop)(struct call *call);
	void (*resume)(struct call *call);
	void (*upload_changed)(struct call *call);
	/* Sends bytes of the upload at once, which nothing waits in front of: how many. Calls
	 * nobody back. NULL = cannot. */
	size_t (*send)(struct call *call, const char *data, size_t len);
};
extern const struct call_carrier direct_carrier, curl_carrier;

struct call {
	struct endpoint *endpoint;
	struct call *prev, *next;         /* of the endpoint */
	struct call *all_prev, *all_next; /* of the client, in one of its two lists */
	const struct call_ops *ops;       /* NULL once cancelled or done */
	void *arg;
	struct collector *collector; /* of call_collect, owned */
	/* The upload. */
	bool has_upload, upload_ended, upload_full;
	int64_t upload_left; /* of its length, -1 = chunked */
	struct buf upload;
	/* The reply. */
	int status;
	struct http_headers reply_headers;
	bool was_sent; /* a connection was there for the request */
	bool has_head, is_paused;
	bool piece_stays; /* the next piece is the body's last, has a NUL behind it, and stays where
			     it is until done has returned */
	/* Of our own making; the carrier ends the call with it. A constant; NULL = none. */
	const char *failure;
	enum err_code failure_code;
	/* Deadlines. */
	bool is_waiting; /* behind others in a line: they do not run */
	bool is_endless; /* in the client's list of these */
	unsigned head_timeout_ms, idle_timeout_ms, total_timeout_ms;
	uint64_t started_ms, progress_ms;
};

/* For carriers. Tells the owner; the call is stopped first. */
void call_finish(struct call *call, const struct err *err);
/* Sets call->failure unless there is one. */
void call_fail(struct call *call, enum err_code code, const char *message);
/* Ends the call with its failure; false when it has none. */
bool call_finish_failed(struct call *call);
/* The head is complete; false when the owner cancelled the call. */
bool call_take_head(struct call *call, int status);
/* A piece of the body; false likewise. May set is_paused. */
bool call_take_body(struct call *call, const char *data, size_t len);
/* len bytes at the front of the upload were sent; false likewise. */
bool call_upload_sent(struct call *call, size_t len);
/* Frees what client.c knows of, and the memory. */
void call_release(struct call *call);

/* idle.c: a connection that is fit for another call, or NULL. */
struct stream *endpoint_take_idle(struct endpoint *e);
/* Takes the stream: keeps it for the next call, or closes it when there are enough. is_rounds: of
 * the call that it served last (struct call_request). */
void endpoint_keep(struct endpoint *e, struct stream *stream, bool is_rounds);
void endpoint_drop_idle(struct endpoint *e); /* closes all */
/* Closes one of all endpoints, for who finds no descriptor left; false when there is none. */
bool client_give_back(struct client *client);
/* line.c: connections of lines carry no more than what is under way. */
void endpoint_spoil_lines(struct endpoint *e);
/* curl_call.c */
void curl_client_free(struct curl *curl);
/* raw_call.c: ends it with ERR_CANCELED. */
void raw_call_abort(struct raw_call *call);

#endif
