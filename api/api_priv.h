/* What the files of api/ share: one client request, and the tools to answer it. */
#ifndef API_API_PRIV_H
#define API_API_PRIV_H

#include "api/api.h"
#include "lib/json.h"

/* The range of API versions that is offered to clients. The upper end is lowered to what all
 * healthy engines speak, and the lower end raised likewise, but not above
 * API_VERSION_MIN_MINOR_MOST: from there on older clients are served in the nearest version that an
 * engine speaks. */
#define API_VERSION_MIN_MINOR 12
#define API_VERSION_MIN_MINOR_MOST 24
#define API_VERSION_MAX_MINOR 50

#define API_BODY_MAX (4 * 1024 * 1024) /* of JSON requests */
#define API_REPLY_MAX \
	(16 * 1024 * 1024) /* of replies that are collected before they are passed on */
/* Of what is sent in their place: an inspection with the node and its labels, and with the node's
 * address for each 0.0.0.0 that a port is bound to. */
#define API_EDITED_MAX ((size_t)4 * (API_REPLY_MAX + 1024 * 1024))

struct builds;
struct events;
struct exec_searches;
struct held;
struct image_fetches;
struct paced;
struct pins;
struct route;
struct wanted_images;

struct api {
	struct handler handler;
	struct api_config config;
	struct str_list filters;
	struct events *events;
	struct event_listener *listener;
	unsigned histories; /* event_history.c: those that engines are being asked for */
	struct exec_searches *searches; /* exec_search.h */
	struct builds *builds;
	struct held *held;             /* session.c: a list */
	struct image_fetches *fetches; /* image_fetch.h */
	struct wanted_images *wanted;  /* wanted_image.h */
	struct paced *paced;           /* paced.h */
	struct pins *made;             /* making.c: where clients made what is of one node */
	struct buf edited;             /* forward.c: the reply that is being written */
	uint64_t surveyed_ms; /* when the healthy nodes were looked at, 0 = to be done anew */
	int min_minor, max_minor;
	int64_t cpus_max;             /* of the largest healthy node */
	struct http_headers defaults; /* what every reply has, see default_headers.c */
	int defaults_minor;           /* the version that they tell of */
	bool prefers_buildkit;
};

struct query_item {
	char *name;
	char *value;
};

/* One request: made when it is routed, freed when its exchange ends. */
struct request {
	struct api *api;
	struct exchange *x;
	int minor; /* API version 1.minor that the client speaks */
	const struct route *route;
	char *name;   /* what {name} of the route's pattern stands for, decoded; "" without one */
	json_t *body; /* of a route with a table of fields: as it was judged; NULL = empty */
	char *raw_query; /* behind '?', written anew; "" without one */
	struct query_item *query;
	size_t query_len;
};

/* ---- query.c ---- */

/* Reads the query (NULL = none), and writes raw_query. ERR_INVALID for what engines of some age
 * would read in another way: a second value of a parameter that has one, semicolons. */
int request_query_read(struct request *r, const char *text, struct err *err) MUSTCHECK;

/* ---- request.c ---- */

/* First parameter of that name, decoded; NULL when there is none. */
const char *request_query(const struct request *r, const char *name);
/* 1, true, True ... as an engine reads it: anything but "", 0, no, false, none is true. */
bool request_query_bool(const struct request *r, const char *name);
/* Adds a parameter, encoded, to a query that is being made. */
void request_query_add(struct buf *query, const char *name, const char *value);
/* Adds a Warning header with this text. */
void request_warn(struct http_headers *headers, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* What is remembered of a client goes by this: the peer (as exchange_peer gives it) without its
 * port, which is another one for each connection. Owned by the caller. */
char *request_client(const char *peer);
/* The status that belongs to a code. */
int request_status_of(enum err_code code);
/* Answers with that of err->code. */
void request_fail(struct request *r, const struct err *err);

/* The container that {name} stands for, on a node that can be asked. NULL: the error was sent. */
struct container *request_container(struct request *r);
/* Likewise for another key. */
struct container *request_container_named(struct request *r, const char *key);

/* ---- nodes.c: the nodes of a request that names no object ---- */

/* All that are healthy, maybe none; an array to be freed with free(). */
struct node **request_healthy_nodes(const struct request *r, size_t *len);
/* The one of that name, ID, engine ID or address, when it is healthy; else NULL: ERR_NOT_FOUND or
 * ERR_UNAVAILABLE, which names it. */
struct node *request_node(struct request *r, const char *name, struct err *err) MUSTCHECK;
/* Those that it names by the header X-Swarm-Node, parameters node=, or the filter node (filters may
 * be NULL); else all that are healthy. By name, ID, engine ID or address. An array to be freed with
 * free(), at least one node, or NULL: ERR_NOT_FOUND for an unknown one, ERR_UNAVAILABLE for one
 * that is not healthy, ERR_NO_NODE when none is. */
struct node **request_nodes(
	struct request *r, const json_t *filters, size_t *len, struct err *err) MUSTCHECK;
/* The query for the nodes: without what names them (node=, the filter node), as filters (may be
 * NULL) are. Owned by the caller. */
char *request_nodes_query(const struct request *r, const json_t *filters);
/* Adds a Warning header that names the nodes which cannot be asked now, when there are some. */
void request_warn_unhealthy(const struct request *r, struct http_headers *headers);
/* The one node that it names; NULL in *node and 0 when it names none. */
int request_node_named(struct request *r, struct node **node, struct err *err) MUSTCHECK;
/* That one, else one that the strategy picks; NULL with err. */
struct node *request_any_node(struct request *r, struct err *err) MUSTCHECK;

/* ---- containers.c ---- */

/* What stands behind the name in the path: "/start?t=1". "" for DELETE. Borrowed. */
const char *request_action(const struct request *r);
/* "/containers/<id>/start": what the request is for the engine. Owned by the caller. */
char *request_container_path(const struct request *r, const struct container *container);

/* ---- api.c ---- */

/* Gives the reply of x the headers that an engine puts on every one. */
void api_default_headers(struct api *api, struct exchange *x);
/* Takes out of a request what is not for engines, and lets pass of its reply what is for clients.
 */
void api_pass_headers(struct exchange *x);
/* The lowest and the highest minor version of 1.x offered now. */
int api_min_minor(struct api *api);
int api_max_minor(struct api *api);
/* CPUs of the largest healthy node, 0 when there is none. */
int64_t api_cpus_max(struct api *api);
/* All healthy engines prefer BuildKit. */
bool api_prefers_buildkit(struct api *api);

/* ---- system.c ---- */

/* 200 with this JSON, and the headers that an engine adds. */
void system_reply(struct request *r, json_t *json_take);
/* The same for a reply in pieces (api/paced.h). */
struct paced_spec;
void system_paced_reply(struct request *r, const struct paced_spec *spec);

/* ---- forward.c: passing a request on to one engine ---- */

/* The range of versions 1.min to 1.max that the node's engine speaks. */
void forward_minor_range(const struct node *node, int *min, int *max);
/* "/v1.41" + path + "?" + query, in the version 1.minor that the client speaks if the engine does,
 * else in the nearest one. */
char *forward_target(const struct node *node, int minor, const char *path, const char *query);

/* A call whose reply is collected, changed if need be, and sent. */
struct forward;
struct forward_spec {
	struct node *node;
	char *path_take;          /* "/containers/<id>/json", encoded */
	const char *container_id; /* refreshed before the reply is sent; NULL = none. Copied */
	unsigned parts;           /* NODE_IMAGES ... refreshed before the reply is sent, */
	bool parts_everywhere;    /* and on all healthy nodes: it changes what they all have; of a
				   * volume that is made, which says so itself, too */
	/* IDs of nodes that are asked in turn when this one cannot be reached or breaks off: only
	 * for what may be asked twice. Copied; NULL = none. */
	const struct str_list *others;
	/* May look at the reply, and give another body in its place: appends it to out, which is
	 * empty, and returns true. It is called for every status, before anything is refreshed. */
	bool (*edit)(struct request *r, struct node *node, const struct reply *reply,
		struct buf *out, void *arg);
	void *edit_arg;
	/* Called, before the exchange ends, when the engine may have done it and the inventory does
	 * not show it: there was no answer, or the client has gone. May be NULL. */
	void (*unknown)(struct node *node, void *arg);
	void *unknown_arg;
};
/* The request's body (at most API_BODY_MAX) is read first and sent along. */
void forward_collected(struct request *r, const struct forward_spec *spec);
/* The same with a body given. */
void forward_collected_with(
	struct request *r, const struct forward_spec *spec, const void *body, size_t len);
/* Bodies stream both ways as they come. */
void forward_streamed(struct request *r, struct node *node, char *path_take);
/* The same; parts (NODE_IMAGES ...) are refreshed before a reply of success ends. */
void forward_streamed_then(struct request *r, struct node *node, char *path_take, unsigned parts);
/* The reply streams; the request's body (at most API_BODY_MAX) is read first, so that it can be
 * sent to others in turn (IDs of nodes, copied), until one begins to answer. */
void forward_to_one_of(
	struct request *r, struct node *node, const struct str_list *others, char *path_take);

/* ---- deadline.c ---- */

/* What an engine is given for a whole answer, where nothing shorter is said. */
#define DEADLINE_LONG_MS (30U * 60 * 1000)
/* The same for the answer to this request, when it is collected; 0 = as long as the node is
 * healthy. */
unsigned deadline_ms(const struct request *r);

/* ---- hijack.c ---- */

/* A connection that becomes a raw stream to an engine. */
struct hijack_spec {
	struct node *node;
	const char *path; /* encoded, without version: "/grpc" */
	/* The only protocol that is passed on. Another one is 400: behind an upgrade nothing of
	 * what the client sends is looked at any more. */
	const char *protocol;
	bool is_optional; /* the client may do without an upgrade: attach and exec of old */
	bool ends_whole;  /* the protocol knows no half-close */
	const void *body; /* may be NULL */
	size_t body_len;
	/* Called once when the stream is over, or it is certain that there will be none; never from
	 * inside. May be NULL. */
	void (*over)(void *arg);
	void *arg;
};
/* The request's body has been read. Texts are copied or used before it returns. */
void hijack(struct request *r, const struct hijack_spec *spec);
/* Reads a body that stands in front of an upgrade and means nothing (some clients send their
 * options twice, or an empty one in chunks), as engines read past it, and calls go; at once when
 * there is none. One of more than API_BODY_MAX is 413. What go needs is to be looked up by it: time
 * passes. */
void hijack_behind_body(struct request *r, void (*go)(struct request *r));

/* ---- events.c ---- */

struct events *events_new(struct api *api);
void events_free(struct events *events);

/* ---- the endpoints ---- */

void system_ping(struct request *r);
void system_version(struct request *r);
void system_info(struct request *r);
void system_df(struct request *r);
void containers_prune(struct request *r);
void images_prune(struct request *r);
void networks_prune(struct request *r);
void volumes_prune(struct request *r);
void plugins_list(struct request *r);
void plugin_privileges(struct request *r);
void plugin_call(struct request *r);
void plugin_add(struct request *r);
void swarm_mode_ask(struct request *r);
void swarm_mode_services(struct request *r);
void swarm_mode_logs(struct request *r);
void swarm_mode_leave(struct request *r);
void swarm_mode_enter(struct request *r);
void swarm_mode_create(struct request *r);
void swarm_mode_update(struct request *r);
void events_stream(struct request *r);
void containers_list(struct request *r);
void containers_create(struct request *r);
void container_inspect(struct request *r);
void container_forward(struct request *r);
void container_stream(struct request *r);
void container_change(struct request *r);
void container_rename(struct request *r);
void container_attach(struct request *r);
void container_attach_ws(struct request *r);
void container_exec(struct request *r);
void container_commit(struct request *r);
void images_list(struct request *r);
void images_create(struct request *r);
void images_load(struct request *r);
void images_save(struct request *r);
void image_save(struct request *r);
void image_inspect(struct request *r);
void image_history(struct request *r);
void image_build(struct request *r);
void build_prune(struct request *r);
void build_cancel(struct request *r);
void build_session(struct request *r);
void build_grpc(struct request *r);
void image_attestations(struct request *r);
void image_push(struct request *r);
void image_tag(struct request *r);
void image_remove(struct request *r);
void images_search(struct request *r);
void registry_auth(struct request *r);
void registry_distribution(struct request *r);
void networks_list(struct request *r);
void network_inspect(struct request *r);
void network_create(struct request *r);
void network_remove(struct request *r);
void network_connect(struct request *r);
void network_disconnect(struct request *r);
void volumes_list(struct request *r);
void volume_inspect(struct request *r);
void volume_create(struct request *r);
void volume_update(struct request *r);
void volume_remove(struct request *r);
void exec_start(struct request *r);
void exec_forward(struct request *r);

#endif
