/* One request to several nodes at once, each at its own pace, and what they stream back as one
 * reply. Inside api/ only. */
#ifndef API_BROADCAST_H
#define API_BROADCAST_H

#include "api/api_priv.h"

struct broadcast_spec {
	const char *path; /* encoded, without version: "/images/load". The query goes along */
	/* "Pulling busybox:1...": of what a node streams, each change of its status is told, behind
	 * this text and with the node's name as `id`. NULL: every object is passed on, with the
	 * name put in front of its `id`. */
	const char *title;
	const char *success; /* with a title: told of a node that did it */
	unsigned parts; /* NODE_IMAGES ...: refreshed on a node that did it, before it counts */
};

/* Request, headers and body go to every one of the nodes (healthy ones, at least one). The body is
 * read once; a node that is slower than the others gets it from a spool. A node that fails stops no
 * other, and is told of at the end: by an object with `error`, or by a status when no node has
 * streamed anything. Texts of the spec are copied. */
void broadcast(struct request *r, struct node *const *nodes, size_t len,
	const struct broadcast_spec *spec);

#endif
