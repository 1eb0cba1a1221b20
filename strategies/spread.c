/* spread: the node that is least full; of equally full ones the one with the fewest containers
 * (stopped ones and reservations included), of these the one that was chosen longest ago. */
#include "strategies/strategy_priv.h"
#include "strategies/weight.h"

static size_t choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	const struct fleet_load *loads = fleet_loads(fleet);
	size_t len, best = BITSET_END;
	const uint32_t *order = fleet_order(fleet, &len);
	int64_t best_weight = INT64_MAX;
	uint64_t best_turn = 0;

	for (size_t i = 0; i < len; i++) {
		const struct fleet_load *load = &loads[order[i]];
		int64_t weight;
		uint64_t turn;
		bool is_equal;

		if (!bitset_has(nodes, order[i]))
			continue;
		weight = weight_of(load, want);
		if (weight > best_weight)
			continue;
		is_equal = weight == best_weight;
		if (is_equal && load->containers > loads[best].containers)
			continue;
		is_equal &= best != BITSET_END && load->containers == loads[best].containers;
		turn = strategy_last_turn(strategy, fleet, order[i]);
		if (is_equal && turn >= best_turn)
			continue;
		best = order[i];
		best_weight = weight;
		best_turn = turn;
	}
	return best;
}

const struct strategy_ops strategy_spread = {
	.name = "spread",
	.choose = choose,
};
