/* spread: the node that is least full; of equally full ones the one with the fewest containers
 * (stopped ones and reservations included), of these the one that was chosen longest ago. */
#include "strategies/strategy_priv.h"
#include "strategies/weight.h"

static size_t choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	const struct fleet_load *loads = fleet_loads(fleet);
	const uint32_t *ranks = fleet_ranks(fleet);
	size_t best = BITSET_END;
	int64_t best_weight = INT64_MAX;
	uint64_t best_turn = 0;

	BITSET_EACH(nodes, slot)
	{
		int64_t weight = weight_of(&loads[slot], want);
		bool is_equal = weight == best_weight;
		uint64_t turn;

		if (weight > best_weight)
			continue;
		if (is_equal && loads[slot].containers > loads[best].containers)
			continue;
		is_equal = is_equal && loads[slot].containers == loads[best].containers;
		turn = strategy_last_turn(strategy, fleet, slot, loads[slot].stamp);
		if (is_equal &&
			(turn > best_turn || (turn == best_turn && ranks[slot] > ranks[best])))
			continue;
		best = slot;
		best_weight = weight;
		best_turn = turn;
	}
	return best;
}

const struct strategy_ops strategy_spread = {
	.name = "spread",
	.choose = choose,
};
