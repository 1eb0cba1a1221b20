/* spread: the node that is least full; of equally full ones the one with the fewest containers
 * (stopped ones and reservations included), of these the one that was chosen longest ago. */
#include "strategies/strategy_priv.h"
#include "strategies/weight.h"

static size_t choose(const struct strategy *strategy, const struct node_view *const *nodes,
	size_t len, const struct container_view *want)
{
	size_t best = 0;
	int64_t best_weight = weight_of(nodes[0], want);
	uint64_t best_turn = strategy_last_turn(strategy, nodes[0]);

	for (size_t i = 1; i < len; i++) {
		int64_t weight = weight_of(nodes[i], want);
		size_t containers = nodes[i]->containers_len;
		uint64_t turn;

		if (weight > best_weight)
			continue;
		if (weight == best_weight && containers > nodes[best]->containers_len)
			continue;
		turn = strategy_last_turn(strategy, nodes[i]);
		if (weight == best_weight && containers == nodes[best]->containers_len &&
			turn >= best_turn)
			continue;
		best = i;
		best_weight = weight;
		best_turn = turn;
	}
	return best;
}

const struct strategy_ops strategy_spread = {
	.name = "spread",
	.choose = choose,
};
