/* spread: the node that is least full; of equally full ones the one with the fewest containers
 * (stopped ones and reservations included), of these the one that was chosen longest ago. */
#include "strategies/strategy_priv.h"
#include "strategies/weight.h"

/* Whether one of two equally full nodes goes before the other. */
static bool is_before(
	struct strategy *strategy, const struct fleet *fleet, size_t slot, size_t other)
{
	const struct fleet_load *loads = fleet_loads(fleet);
	uint64_t turn, other_turn;

	if (loads[slot].containers != loads[other].containers)
		return loads[slot].containers < loads[other].containers;
	turn = strategy_last_turn(strategy, fleet, slot);
	other_turn = strategy_last_turn(strategy, fleet, other);
	if (turn != other_turn)
		return turn < other_turn;
	return fleet_ranks(fleet)[slot] < fleet_ranks(fleet)[other];
}

static size_t choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	const struct fleet_load *loads = fleet_loads(fleet);
	size_t best = BITSET_END;
	int64_t best_weight = INT64_MAX;

	BITSET_EACH(nodes, slot)
	{
		int64_t weight = weight_of(&loads[slot], want);

		if (weight > best_weight)
			continue;
		if (weight == best_weight && !is_before(strategy, fleet, slot, best))
			continue;
		best = slot;
		best_weight = weight;
	}
	return best;
}

const struct strategy_ops strategy_spread = {
	.name = "spread",
	.choose = choose,
};
