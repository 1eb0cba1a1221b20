/* random: any node that has room, all with the same probability. */
#include "strategies/strategy_priv.h"

static size_t choose(const struct strategy *strategy, const struct node_view *const *nodes,
	size_t len, const struct container_view *want)
{
	uint32_t bound = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;

	(void)nodes;
	(void)want;
	return strategy->env->random_below(strategy->env, bound);
}

const struct strategy_ops strategy_random = {
	.name = "random",
	.choose = choose,
};
