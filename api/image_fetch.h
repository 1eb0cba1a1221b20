/* Bringing an image to a node that needs it for a container: copied from another node of the
 * cluster, else pulled. Requests that want the same thing share it. Inside api/ only. */
#ifndef API_IMAGE_FETCH_H
#define API_IMAGE_FETCH_H

#include "api/api_priv.h"

struct image_fetches;
struct image_fetches *image_fetches_new(struct loop *loop, struct cluster *cluster);
/* Ends those under way; nobody is told. */
void image_fetches_free(struct image_fetches *fetches);

struct image_fetch_spec {
	struct node *node;     /* that is to have it */
	const char *reference; /* as the user wrote it */
	const char *platform;  /* for a pull: "linux/arm64"; NULL = the engine's own */
	/* For a pull: the client's X-Registry-Auth, NULL = none. Kept while the pull runs, and
	 * shared with nobody who has not sent the same. */
	const char *auth;
};

/* One request's interest in an image. */
struct image_wait;
/* done is called once unless cancelled, never from inside: without an error when the node's
 * inventory shows the image; with ERR_NOT_FOUND when its engine could not pull it; with
 * ERR_CANCELED when the node to copy from had it no more, which the inventory shows now; else with
 * what broke: the nodes to copy from, of which a few are tried in turn, or the one to copy to. NULL
 * when there is no way to get it: the reference is the ID of an image that nobody has, or the node
 * has gone. */
struct image_wait *image_fetch(struct image_fetches *fetches, const struct image_fetch_spec *spec,
	void (*done)(void *arg, const struct err *err), void *arg);
/* When nobody waits any more, what is under way is broken off. NULL is fine. */
void image_wait_cancel(struct image_wait *wait);

#endif
