/* random: any node that has room, all with the same probability. */
#include "strategies/strategy_priv.h"

static size_t choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	uint32_t left = strategy->env->random_below(strategy->env, (uint32_t)bitset_count(nodes));
	const uint32_t *ranks = fleet_ranks(fleet);
	size_t len, at;
	const uint32_t *order = fleet_order(fleet, &len);
	struct bitset ranked;

	(void)want;
	/* In the order of the fleet: slots tell when nodes came, which is nobody's business. */
	bitset_init(&ranked, len);
	BITSET_EACH(nodes, slot)
	bitset_add(&ranked, ranks[slot]);
	for (at = bitset_next(&ranked, 0); left > 0; left--)
		at = bitset_next(&ranked, at + 1);
	bitset_release(&ranked);
	return order[at];
}

const struct strategy_ops strategy_random = {
	.name = "random",
	.choose = choose,
};
