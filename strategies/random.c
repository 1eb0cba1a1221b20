/* random: any node that has room, all with the same probability. */
#include "strategies/strategy_priv.h"

static size_t choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	size_t left = strategy->env->random_below(strategy->env, (uint32_t)bitset_count(nodes));
	size_t len;
	const uint32_t *order = fleet_order(fleet, &len);
	size_t i = 0;

	(void)want;
	/* In the order of the fleet: that of the slots tells when nodes came. */
	for (;; i++) {
		if (bitset_has(nodes, order[i]) && left-- == 0)
			return order[i];
	}
}

const struct strategy_ops strategy_random = {
	.name = "random",
	.choose = choose,
};
