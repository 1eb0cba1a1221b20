/* Which of the nodes that may take a container takes it. */
#ifndef STRATEGIES_STRATEGY_H
#define STRATEGIES_STRATEGY_H

#include "cluster/fleet.h"
#include "cluster/view.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <stddef.h>

/* Holds when each node was last chosen, so that equal nodes take turns. */
struct strategy;

struct strategy_ops {
	const char *name;
	const char *const *aliases; /* NULL-ended, or NULL */
	/* The slot of the one of these nodes that takes it. There is at least one; all have room
	 * (weight_has_room). No I/O, no clock; chance only through env; cannot fail. */
	size_t (*choose)(struct strategy *strategy, const struct fleet *fleet,
		const struct bitset *nodes, const struct container_view *want);
};

/* All strategies; NULL-ended. */
extern const struct strategy_ops *const strategies_all[];

/* By name or alias; NULL and "" mean spread. ERR_INVALID naming the known ones. env is borrowed and
 * must outlive it. */
struct strategy *strategy_new(const char *name, const struct env *env, struct err *err) MUSTCHECK;
void strategy_free(struct strategy *strategy);
const char *strategy_name(const struct strategy *strategy); /* never an alias */

/* The slot of the one of these nodes that takes it, which has had its turn then. There must be at
 * least one, and each must have room. The order of the fleet decides between nodes that are equal
 * and were never chosen. */
size_t strategy_choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want);

#endif
