/* binpack: the fullest node that still has room; of equally full ones the one with the most
 * containers (stopped ones and reservations included), of these the first in order: taking turns
 * would spread what is to be packed. */
#include "strategies/strategy_priv.h"
#include "strategies/weight.h"

static size_t choose(const struct strategy *strategy, const struct node_view *const *nodes,
	size_t len, const struct container_view *want)
{
	size_t best = 0;
	int64_t best_weight = weight_of(nodes[0], want);

	(void)strategy;
	for (size_t i = 1; i < len; i++) {
		int64_t weight = weight_of(nodes[i], want);

		if (weight < best_weight ||
			(weight == best_weight &&
				nodes[i]->containers_len <= nodes[best]->containers_len))
			continue;
		best = i;
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
