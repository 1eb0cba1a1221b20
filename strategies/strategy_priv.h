/* What the files of strategies/ share. Inside strategies/ only. */
#ifndef STRATEGIES_STRATEGY_PRIV_H
#define STRATEGIES_STRATEGY_PRIV_H

#include "strategies/strategy.h"

#include <stdint.h>

struct strategy_turn;

/* What was found for a slot: good while the slot has this stamp (struct fleet_load). */
struct strategy_known {
	uint64_t stamp;
	uint64_t turn;
};

struct strategy {
	const struct strategy_ops *ops;
	const struct env *env;
	struct strategy_turn *turns;  /* hash by node ID */
	uint64_t last_turn;           /* number of the last choice */
	struct strategy_known *known; /* by slot; spares a look into the hash for every node */
	size_t known_len;
};

extern const struct strategy_ops strategy_spread, strategy_binpack, strategy_random;

/* Looks for it in the hash, and keeps it in known. */
uint64_t strategy_find_turn(struct strategy *strategy, const struct fleet *fleet, size_t slot);

/* Number of the choice that fell on this node last, 0 = none (or long ago). */
static inline uint64_t strategy_last_turn(
	struct strategy *strategy, const struct fleet *fleet, size_t slot, uint64_t stamp)
{
	if (slot < strategy->known_len && strategy->known[slot].stamp == stamp)
		return strategy->known[slot].turn;
	return strategy_find_turn(strategy, fleet, slot);
}

#endif
