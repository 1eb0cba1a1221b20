/* binpack: the fullest node that still has room; of equally full ones the one with the most
 * containers (stopped ones and reservations included), of these the first in order: taking turns
 * would spread what is to be packed. */
#include "strategies/strategy_priv.h"
#include "strategies/weight.h"

static size_t choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	const struct fleet_load *loads = fleet_loads(fleet);
	const uint32_t *ranks = fleet_ranks(fleet);
	size_t best = BITSET_END;
	int64_t best_weight = INT64_MIN;

	(void)strategy;
	BITSET_EACH(nodes, slot)
	{
		int64_t weight = weight_of(&loads[slot], want);

		if (weight < best_weight)
			continue;
		if (weight == best_weight && loads[slot].containers < loads[best].containers)
			continue;
		if (weight == best_weight && loads[slot].containers == loads[best].containers &&
			ranks[slot] > ranks[best])
			continue;
		best = slot;
		best_weight = weight;
	}
	return best;
}

static const char *const aliases[] = {"binpacking", NULL};

const struct strategy_ops strategy_binpack = {
	.name = "binpack",
	.aliases = aliases,
	.choose = choose,
};
