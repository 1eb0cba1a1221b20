/* The lists of networks and volumes: what their filters have in common. Inside api/ only. */
#ifndef API_LISTING_H
#define API_LISTING_H

#include "api/filters.h"

struct listing;
struct patterns;
/* Tells by listing_used what a container uses. */
typedef void listing_use_fn(struct listing *listing, const struct container *container);

struct listing {
	struct request *r;
	json_t *filters;
	/* Private. */
	struct patterns *names, *ids; /* NULL = no such filter */
	listing_use_fn *use;
	json_t *used; /* keys of what containers use; NULL = nobody asks */
	bool is_dangling;
};

/* Reads the filters; known: their names, NULL at the end. -1: the error was sent. */
int listing_init(struct listing *listing, struct request *r, const char *const *known,
	listing_use_fn *use) MUSTCHECK;
void listing_free(struct listing *listing);
/* The list, or 400 when matching took more work than it may. */
void listing_reply(struct listing *listing, json_t *json_take);
/* What all kinds have: name, id (NULL = has none), node. */
bool listing_allows(
	const struct listing *listing, const struct node *node, const char *name, const char *id);
/* The filter dangling: what no container uses, or what one does. */
void listing_used(struct listing *listing, const char *key);
bool listing_allows_use(const struct listing *listing, const char *key);

#endif
