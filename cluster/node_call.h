/* A call to a node's engine. It holds the node, ends when the node does, puts what went wrong into
 * words, tells the node of it, and tells its owner once.
 *
 * It is a part of its owner's struct: zeros are an idle one. Its memory must stay where it is while
 * it is under way, and may be freed in any callback that is the last one. */
#ifndef CLUSTER_NODE_CALL_H
#define CLUSTER_NODE_CALL_H

#include "cluster/cluster.h"

/* Why there is no whole answer. */
struct node_failure {
	/* ERR_TIMEOUT (a deadline passed, or the node went down) or ERR_UPSTREAM; names the node
	 * and its address. */
	struct err err;
	const struct err *cause; /* the same without the node, with its own code */
	/* The engine may have done what it was asked for. False: certainly not. */
	bool was_sent;
};

/* done comes exactly once, unless the call is cancelled, and is the last; the call is idle then.
 * None is called from inside node_call_start; any may cancel the call. */
struct node_call_ops {
	/* As in struct call_ops; NULL = not wanted. */
	void (*head)(int status, const struct http_headers *headers, void *arg);
	bool (*body)(const char *data, size_t len, void *arg);
	void (*upload_drain)(void *arg);
	/* failure NULL = the reply is complete. The node can be looked at until it returns. */
	void (*done)(const struct node_failure *failure, void *arg);
};

/* The reply (borrowed until it returns), or NULL and the failure. Likewise the last. */
typedef void node_call_fn(const struct reply *reply, const struct node_failure *failure, void *arg);

/* A call that may become a raw stream (raw_call_start). */
struct node_raw_ops {
	/* The call goes on: it holds the node until it is cancelled, or down is called. */
	void (*upgraded)(int status, const struct http_headers *headers, struct stream *stream_take,
		void *arg);
	/* The node went down, or left, after that. The last. */
	void (*down)(void *arg);
	/* Another answer, or none. The last. */
	node_call_fn *refused;
};

struct node_call_late;
struct node_call {         /* private */
	struct node *node; /* referenced; NULL = idle */
	struct call *call;
	struct raw_call *raw;
	struct node_waiter *waiter;
	struct node_call_late *late; /* the node has gone already, and done is due */
	const struct node_call_ops *ops;
	const struct node_raw_ops *raw_ops;
	node_call_fn *collected;
	void *arg;
	bool has_head;
};

/* The call is idle. request->target has its version (node_path and the like); deadlines as there. A
 * node that has left the cluster is a failure. */
void node_call_start(struct node_call *c, struct node *node, const struct call_request *request,
	const struct node_call_ops *ops, void *arg);
/* The reply collected, at most max bytes. */
void node_call_collect(struct node_call *c, struct node *node, const struct call_request *request,
	size_t max, node_call_fn *done, void *arg);
void node_call_raw(struct node_call *c, struct node *node, const struct call_request *request,
	const char *upgrade_token, const struct node_raw_ops *ops, void *arg);
bool node_call_is_active(const struct node_call *c);
/* No callback follows. Of an idle one: nothing, so that it can be done twice. */
void node_call_cancel(struct node_call *c);

/* As call_resume, call_upload and call_upload_end; of an idle one nothing, and its upload is
 * dropped. */
void node_call_resume(struct node_call *c);
bool node_call_upload(struct node_call *c, const void *data, size_t len);
void node_call_upload_end(struct node_call *c);

#endif
