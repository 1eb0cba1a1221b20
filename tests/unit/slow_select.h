/* The rules of placement, taken literally: every filter is asked about every node, and looks at
 * every container, image and label of it; the strategies compare all nodes by their views. What the
 * scheduler finds by its indexes has to be this. */
#ifndef TESTS_UNIT_SLOW_SELECT_H
#define TESTS_UNIT_SLOW_SELECT_H

#include "cluster/view.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/str.h"

#include <sys/types.h>

struct slow_scheduler;

/* filters: names in the order in which to ask; NULL = all. */
struct slow_scheduler *slow_scheduler_new(
	const char *strategy, const struct str_list *filters, const struct env *env);
void slow_scheduler_free(struct slow_scheduler *scheduler);

/* As scheduler_select, but for the place in nodes. placement->preferred is not looked at;
 * is_preferred has one for each node. */
ssize_t slow_select(struct slow_scheduler *scheduler, const struct node_view *const *nodes,
	size_t len, const struct placement *placement, const bool *is_preferred,
	const struct str_list *excluded, struct err *err);

#endif
