/* One question to several nodes at once. Inside api/ only. */
#ifndef API_FANOUT_H
#define API_FANOUT_H

#include "api/api_priv.h"

#define FANOUT_VALUES_MAX 1000000 /* in one JSON answer */

struct fanout_reply {
	struct node *node; /* held until done has returned; it may have left the cluster */
	char *name;        /* of the node */
	int status;        /* the engine's; 0 = no answer: then err says why, without the node */
	char *body;        /* NUL-ended */
	size_t len;
	struct err err;
};

struct fanout_spec {
	const char *method;
	const char *path;  /* encoded, without version: "/system/df" */
	const char *query; /* encoded, "" = none */
	/* In its place, where each node is asked something else. Owned by the caller. May be NULL.
	 */
	char *(*query_of)(const struct node *node, void *arg);
	const void *body;
	size_t body_len;
	size_t reply_max;    /* bytes of one node's answer */
	unsigned timeout_ms; /* for one node's whole answer; 0 = DEADLINE_LONG_MS */
	unsigned parts; /* NODE_IMAGES ...: refreshed on a node that did it, before it counts */
	/* Each answer or failure as it comes, the reply borrowed. True = enough: the other
	 * questions are taken back, and done is not called. May be NULL. */
	bool (*each)(struct request *r, struct fanout_reply *reply, void *arg);
	/* All answered or failed, in the order of nodes; borrowed. Not when the client has gone.
	 * May be called before fanout returns when there are no nodes. */
	void (*done)(struct request *r, struct fanout_reply *replies, size_t len, void *arg);
	void *arg;
};

/* The request's headers go along. nodes: healthy ones. Texts of the spec are copied or used before
 * it returns. Ends when the exchange does. */
void fanout(
	struct request *r, struct node *const *nodes, size_t len, const struct fanout_spec *spec);

/* The same to the nodes that the request names, else to all healthy ones (request_nodes), with the
 * request's query, less what names them. The request is answered when there are none. */
void fanout_to_named(struct request *r, const struct fanout_spec *spec);

/* Why that node failed, in the engine's words if it has any; into out, which it returns. */
const char *fanout_reply_error(const struct fanout_reply *reply, char *out, size_t size);
/* The same with its node in front, and behind "; " when there is something in out. One that is the
 * only answer stands as the engine gave it. What does not fit is left out. */
void fanout_append_error(struct buf *out, const struct fanout_reply *reply, bool is_only);
/* The engine did what it was asked. */
bool fanout_is_good(const struct fanout_reply *reply);
/* What it answered, a new reference; NULL when it is not good, or no JSON, or more of it than a
 * list can be: that is its failure from then on. */
json_t *fanout_json(struct fanout_reply *reply);
/* What it answered was read and is not needed any more; an error's text stays. */
void fanout_reply_drop(struct fanout_reply *reply);
/* The sum with what an engine told of a size or a number. Negative stands for "not measured", and
 * more than FANOUT_TOLD_MAX cannot be: neither is to spoil what the others told, so it is 0. */
#define FANOUT_TOLD_MAX ((json_int_t)1 << 53)
json_int_t fanout_sum(json_int_t sum, json_int_t told);
/* When none did it: answers the request with the first one's status and what all of them say, and
 * returns true. */
bool fanout_all_failed(struct request *r, const struct fanout_reply *replies, size_t len);
/* Adds a Warning header that tells of a node whose part is missing from the reply. */
void fanout_warn(struct http_headers *headers, const struct fanout_reply *reply);
/* 200 with this JSON, and a Warning for each node whose part is missing. */
void fanout_reply_json(
	struct request *r, json_t *json_take, const struct fanout_reply *replies, size_t len);

#endif
