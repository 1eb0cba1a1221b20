/* What the files of scheduler/ share. Inside scheduler/ only. */
#ifndef SCHEDULER_SCHEDULER_PRIV_H
#define SCHEDULER_SCHEDULER_PRIV_H

#include "filters/filter.h"
#include "scheduler/scheduler.h"

/* By whom a node was removed (struct removal): the place of the filter in use, or one of these. */
#define REMOVED_UNKNOWN \
	(-2) /* its engine has never answered, and the health filter is not in use */
#define REMOVED_EXCLUDED (-3) /* it refused the container before */
#define REMOVED_ROOM (-4)     /* too little CPU or memory left */

/* All that a failed selection knows. */
struct selection {
	const struct filter_ops *const *filters; /* in use */
	size_t filters_len;
	const struct filter_request *request;
	const struct node_view *const *nodes;
	const struct removal *removals; /* one for each node, as all were removed */
	size_t len;
};

/* Fills err with ERR_NO_NODE and the words for a selection that left no node. Returns -1. */
int report_no_node(const struct selection *selection, struct err *err);

#endif
