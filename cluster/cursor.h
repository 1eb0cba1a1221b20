/* Walking over the containers of a cluster: all of them, or those that an index knows. */
#ifndef CLUSTER_CURSOR_H
#define CLUSTER_CURSOR_H

#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cluster;
struct container;

/* ---- States, as numbers ---- */

#define CONTAINER_STATES 7
/* Of one of the words in struct container; CONTAINER_STATES for any other text. */
unsigned container_state_number(const char *state);
/* Sets of them: 1 << number. */
#define CONTAINERS_ALL ((1u << CONTAINER_STATES) - 1)
unsigned containers_running(void); /* those that view.is_running tells of */

/* ---- Containers that an index found ---- */

/* Zeroed is empty. Records are borrowed. */
struct container_set {
	struct container **items;
	size_t len, cap;
	size_t searched; /* bytes of names, for this set so far */
};
void container_set_add(struct container_set *set, struct container *container);
void container_set_free(struct container_set *set);

/* Each adds those that it stands for, some perhaps twice; false when they would be more than
 * CONTAINER_SET_MAX, and walking over all is the better way. It costs as much as it adds. */
#define CONTAINER_SET_MAX 4096
/* ID or swarm ID begins with it. */
bool container_set_add_ids(
	struct container_set *set, const struct cluster *cluster, const char *prefix) MUSTCHECK;
/* A name (without its first slash) begins with it, or is it. */
bool container_set_add_names(struct container_set *set, const struct cluster *cluster,
	const char *prefix, bool is_whole) MUSTCHECK;
/* A name (without its first slash) has this text in it, which is not empty. It costs a search in
 * all names, some 10 ms for a million; false, too, when those of one set take more than
 * CONTAINER_SET_SEARCH_MAX bytes together. */
#define CONTAINER_SET_SEARCH_MAX (32 * 1024 * 1024)
bool container_set_add_name_parts(
	struct container_set *set, const struct cluster *cluster, const char *part) MUSTCHECK;
/* On nodes of that name, ID or address. */
bool container_set_add_node(
	struct container_set *set, const struct cluster *cluster, const char *node) MUSTCHECK;
/* With this label: value NULL = any. It costs as much as their nodes have; false, too, when that is
 * more than CONTAINER_SET_LOOKS_MAX. */
#define CONTAINER_SET_LOOKS_MAX 32768
bool container_set_add_labelled(struct container_set *set, const struct cluster *cluster,
	const char *key, const char *value) MUSTCHECK;

/* ---- Cursors ---- */

/* What a cursor walks over. */
struct cursor_range {
	unsigned states;        /* a set */
	int64_t oldest, newest; /* created in [oldest, newest], unix seconds */
};

/* A place in the list of containers: newest first, then by ID, then by node. It stays good while
 * containers come, change and go, for as long as it takes: every container that is in the range all
 * the time is passed exactly once, as it is at that moment; what comes, goes, or changes its state
 * meanwhile is passed once or not at all (what goes and comes again counts as another). One costs a
 * reference to the last record, whatever the size of the cluster. To be freed before the cluster
 * is.
 */
struct cursor;
struct cursor *cursor_new(struct cluster *cluster, const struct cursor_range *range) MUSTCHECK;
/* Over these, in the same order, each once, as they are now: it holds a reference to each. The set
 * is taken and left empty. */
struct cursor *cursor_new_of(struct cluster *cluster, struct container_set *set_take) MUSTCHECK;
void cursor_free(struct cursor *cursor); /* NULL is fine */
/* The next one, borrowed; NULL at the end. O(1) while nothing changes, else O(log n). */
struct container *cursor_next(struct cursor *cursor);
/* Back to its start. */
void cursor_rewind(struct cursor *cursor);

#endif
