/* From a request to a node: filters, then strategy, then a reservation, in one go without waiting,
 * so that no two requests ever see the same free port, name or slot. */
#ifndef SCHEDULER_SCHEDULER_H
#define SCHEDULER_SCHEDULER_H

#include "cluster/cluster.h"
#include "cluster/fleet.h"
#include "cluster/view.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/str.h"

#include <sys/types.h>

struct create_request;
struct scheduler;

struct scheduler_config {
	const char *strategy; /* name or alias; NULL or "" = spread */
	const struct str_list
		*filters;      /* names, in the order in which to ask; NULL or empty = all */
	const struct env *env; /* borrowed for as long as the scheduler lives */
};

/* NULL and ERR_INVALID, naming the known ones, for a filter or strategy that there is not. */
struct scheduler *scheduler_new(const struct scheduler_config *config, struct err *err) MUSTCHECK;
void scheduler_free(struct scheduler *scheduler);
/* What is in use: never an alias, never empty. Borrowed. */
const char *scheduler_strategy(const struct scheduler *scheduler);
const struct str_list *scheduler_filters(const struct scheduler *scheduler);

/* The slot of the node that takes it, of those in `among` (NULL = all); -1 with ERR_INVALID for a
 * bad expression, with ERR_NO_NODE and the whole explanation when there is none. Nodes whose ID is
 * in excluded (may be NULL) are left out: engines that refused this container before. Nothing is
 * reserved. */
ssize_t scheduler_select(struct scheduler *scheduler, const struct fleet *fleet,
	const struct bitset *among, const struct placement *placement,
	const struct str_list *excluded, struct err *err) MUSTCHECK;

/* The same with what only some nodes have, for what needs a node and reserves nothing (builds,
 * networks, volumes, searches). Borrowed, as cluster_nodes gives it. */
struct node *scheduler_pick(struct scheduler *scheduler, const struct cluster *cluster,
	const struct placement *placement, const struct str_list *excluded,
	struct err *err) MUSTCHECK;

/* Picks a node for the container and reserves on it what it wants. Of the nodes that can take it,
 * and on which as many soft terms hold, those that hold its image go first; when no node of the
 * cluster does, that of create_request_prefer_node. ERR_CONFLICT when its name is taken. The caller
 * commits or cancels. */
struct reservation *scheduler_place(struct scheduler *scheduler, struct cluster *cluster,
	const struct create_request *request, const struct str_list *excluded,
	struct err *err) MUSTCHECK;

#endif
