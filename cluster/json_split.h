/* Cuts a stream of JSON into its objects as the bytes come, without building a tree: an engine's
 * events (objects one after the other) or a list (one array of objects). Memory is bounded by the
 * largest object allowed, and work by the bytes, however they come. */
#ifndef CLUSTER_JSON_SPLIT_H
#define CLUSTER_JSON_SPLIT_H

#include "lib/buf.h"
#include "lib/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { JSON_SPLIT_LEVELS = 2 };

struct json_split {
	struct buf text; /* of the object that is not complete yet */
	int expect;      /* what may come outside of objects */
	unsigned depth;  /* brackets open; 0 = outside */
	bool in_string, is_escaped;
	bool is_array;
	unsigned null_len;  /* letters of a lone `null` seen */
	unsigned odd_depth; /* brackets open in an item of the list that is no object */
	/* To be set after json_split_init: an object that is too large is shortened, not refused.
	 * What is left out are members, or items, of the object or of a value in it, so that it
	 * stays JSON; when there is no large one, all members that did not fit. */
	bool shortens;
	bool ends_early;   /* likewise: what stands behind the array is not looked at */
	bool is_short;     /* the object that is being read, or given out, is not whole */
	unsigned skipping; /* depth at which something is being left out; 0 = nothing is */
	bool skips_rest;   /* up to the end of the object */
	size_t starts[JSON_SPLIT_LEVELS + 1]; /* by depth: where the member begins in text */
};

/* max: bytes of one object. is_array: one array of objects (or null, as Go writes an empty one);
 * items that are no objects are passed over. */
void json_split_init(struct json_split *split, size_t max, bool is_array);
void json_split_reset(struct json_split *split); /* frees; can be fed from the start again */

/* Called for each object; text is borrowed, NUL-ended, and only its brackets were checked. False =
 * stop: nothing more of this piece is looked at. */
typedef bool json_split_fn(const char *text, size_t len, void *arg);

/* -1: ERR_UPSTREAM when something else than JSON objects comes, or a line of a stream ends within
 * one that is shortened; ERR_TOO_LARGE unless it shortens.
 */
int json_split_feed(struct json_split *split, const char *data, size_t len, json_split_fn *fn,
	void *arg, struct err *err) MUSTCHECK;

/* True when the array was closed, or no object is open (not an array). */
bool json_split_is_complete(const struct json_split *split);

#endif
