/* The Docker Remote API before one simulated engine. */
#ifndef SIMULATOR_HTTP_H
#define SIMULATOR_HTTP_H

#include "http/exchange.h"
#include "http/server.h"
#include "simulator/simulator_priv.h"

/* What can be made to go wrong with an engine. */
enum sim_fault {
	SIM_FAULT_NONE,
	SIM_FAULT_HANG,     /* requests wait until the fault is over */
	SIM_FAULT_CLOSE,    /* connections are closed instead of an answer */
	SIM_FAULT_GARBAGE,  /* 200 and bytes that are no JSON */
	SIM_FAULT_SLOW,     /* answers wait `ms` more */
	SIM_FAULT_TRUNCATE, /* half of an answer, then the connection is closed */
	SIM_FAULT_DOWN,     /* nobody listens; open connections are closed at once */
	SIM_FAULT_ERROR,    /* 500 */
	SIM_FAULT_DRIP,     /* bodies of answers come a byte each `ms` */
};

struct sim_request;
struct sim_pipe;

struct sim_host {
	struct handler handler; /* first: it is what the server knows */
	struct sim_engine *engine;
	struct server *server;         /* NULL while it is down */
	bool listens;                  /* has a socket of its own */
	struct loop_timer *timer;      /* ends the fault */
	struct loop_timer *down_timer; /* takes it down, out of its own request */
	struct addr addr;
	struct tls_context *tls; /* borrowed */
	unsigned latency_ms, jitter_ms;
	uint32_t failures; /* of UINT32_MAX */
	bool control;
	struct sim_chance *chance; /* borrowed */
	enum sim_fault fault;
	unsigned slow_ms;
	struct sim_request *requests;
	struct sim_pipe *pipes;
};

/* addr is copied. listens false: its server gets connections from another one. */
struct sim_host *sim_host_new(struct sim_engine *engine_take, const struct addr *addr,
	struct tls_context *tls, bool listens, struct err *err) MUSTCHECK;
void sim_host_free(struct sim_host *host);

/* One request, from its head to the end of its exchange; freed then. */
struct sim_request {
	struct sim_request *prev, *next;
	struct sim_host *host;
	struct sim_engine *engine;
	struct exchange *x;
	char *path;            /* decoded, without the version */
	char *name;            /* what stands in the route's place for a name */
	unsigned version;      /* of the API: major * 1000 + minor */
	struct str_list query; /* key, value, key, value ... */
	json_t *body;          /* NULL = none */
	bool has_body, is_routed, is_held;
	bool wrong_version;
	bool is_cut;      /* half of the answer is sent: the timer breaks it off */
	bool is_dripping; /* the timer sends a byte of what is in drip */
	unsigned drip_ms;
	struct buf drip;
	struct buf text; /* the body as it came */
	void (*on_body)(struct sim_request *r);
	struct loop_timer *timer;
	const struct sim_route *route;
	/* For what outlives the handler: called when the exchange ends. */
	void (*cleanup)(struct sim_request *r);
	void *state;
};

enum {
	SIM_ROUTE_JSON = 1,    /* has a JSON body */
	SIM_ROUTE_DISCARD = 2, /* has a body that is dropped */
	SIM_ROUTE_SLASHES = 4, /* the name may hold '/' */
	SIM_ROUTE_STREAM = 8,  /* has a body that the handler takes as it comes */
};
struct sim_route {
	const char *method, *prefix, *suffix; /* no suffix and no name when NULL */
	void (*fn)(struct sim_request *r);
	unsigned flags;
};
extern const struct sim_route sim_routes_container[], sim_routes_stream[], sim_routes_image[],
	sim_routes_network[], sim_routes_system[], sim_routes_swarm[], sim_routes_files[];

const char *sim_query(const struct sim_request *r, const char *key); /* "" when missing */
bool sim_query_bool(const struct sim_request *r, const char *key);

/* Collects the body, at most max bytes (else 413), into r->text; done may run at once. */
void sim_request_read(struct sim_request *r, size_t max, void (*done)(struct sim_request *r));
/* The request goes on then: it is run, or its answer is. */
void sim_request_delay(struct sim_request *r, uint64_t ms);

/* Faults (fault.c). Ends the one there is; ms 0 = until another begins. */
void sim_fault_begin(struct sim_host *host, enum sim_fault fault, uint64_t ms, unsigned slow_ms);
/* A client's order. */
void sim_fault_order(struct sim_request *r);
/* True: the request has been dealt with. */
bool sim_fault_apply(struct sim_request *r);
/* For the host's timers. */
void sim_fault_timer(void *arg);
void sim_fault_take_down(void *arg);

/* What happens by itself (chance.c); nothing until rates are set. hosts may become more, up to
 * hosts_len, until then. */
struct sim_chance *sim_chance_new(
	struct loop *loop, struct sim_host *const *hosts, size_t hosts_len, unsigned outage_ms);
/* In the whole fleet, a second. */
void sim_chance_set(struct sim_chance *chance, double changes, double outages);
/* A client's order. */
void sim_chance_order(struct sim_request *r);
void sim_chance_free(struct sim_chance *chance);

/* Replies beside exchange_reply; each ends the request. */
void sim_reply_buf(struct sim_request *r, int status, struct buf *b); /* JSON; a newline is added */
void sim_reply_empty(struct sim_request *r, int status);
void sim_reply_error(struct sim_request *r, int status, const struct err *err);
void sim_reply_text(struct sim_request *r, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* 0 or 200: an empty answer with ok; 304 too; else the error. */
void sim_reply_done(struct sim_request *r, int status, int ok, const struct err *err);
/* The head of a streamed reply. type NULL = no Content-Type. */
void sim_reply_stream(struct sim_request *r, int status, const char *type);
/* The headers that every routed answer has. */
void sim_headers(const struct sim_request *r, struct http_headers *h, const char *type);

/* NULL: the error has been sent. */
struct sim_container *sim_request_container(struct sim_request *r);

/* Images as archives (load.c), made here (commit.c), and the registry (registry.c). */
void sim_image_load(struct sim_request *r);
void sim_image_save(struct sim_request *r);
void sim_images_save(struct sim_request *r); /* of the query's names */
void sim_image_import(struct sim_request *r);
void sim_image_commit(struct sim_request *r);
void sim_image_pull(struct sim_request *r);
void sim_image_push(struct sim_request *r);
void sim_image_search(struct sim_request *r);
void sim_image_distribution(struct sim_request *r);
void sim_registry_login(struct sim_request *r);
/* build.c */
void sim_build(struct sim_request *r);

/* Raw streams (pipe.c). */
void sim_pipe_attach(struct sim_request *r, struct sim_container *c);
/* The same with what the client has to say in frames. */
void sim_pipe_attach_ws(struct sim_request *r, struct sim_container *c);
void sim_pipe_exec(struct sim_request *r, struct sim_exec *x);
void sim_pipe_free(struct sim_pipe *pipe);

#endif
