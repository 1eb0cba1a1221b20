/* binpack: the fullest node that still has room; of equally full ones the one with the most
 * containers (stopped ones and reservations included), of these the first in order: taking turns
 * would spread what is to be packed. */
#include "strategies/strategy_priv.h"
#include "strategies/weight.h"

static size_t choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	const struct fleet_load *loads = fleet_loads(fleet);
	size_t len, best = BITSET_END;
	const uint32_t *order = fleet_order(fleet, &len);
	int64_t best_weight = -1;

	(void)strategy;
	for (size_t i = 0; i < len; i++) {
		const struct fleet_load *load = &loads[order[i]];
		int64_t weight;

		if (!bitset_has(nodes, order[i]))
			continue;
		weight = weight_of(load, want);
		if (best != BITSET_END &&
			(weight < best_weight ||
				(weight == best_weight &&
					load->containers <= loads[best].containers)))
			continue;
		best = order[i];
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
