/* What an engine did with a request that it did not answer. It may be at it still: that its lists
 * do not show the thing counts only when they were asked for some time later, or when the engine
 * was lost meanwhile, and what was under way with it. */
#include "cluster/record.h"

#define OUTCOME_WAIT_MS (60 * 1000)

void outcome_init(struct outcome *outcome, const struct node *node)
{
	struct inventory *inventory = &node->cluster->inventory;

	*outcome = (struct outcome){.since_ms = inventory->env->now_ms(inventory->env)};
	if (!node->inventory.view.is_healthy)
		outcome_settle(outcome, inventory);
}

void outcome_settle(struct outcome *outcome, struct inventory *inventory)
{
	if (outcome->settled_at == 0)
		outcome->settled_at = inventory_ask(inventory);
}

void outcome_tick(struct outcome *outcome, struct inventory *inventory, uint64_t now)
{
	if (now - outcome->since_ms >= OUTCOME_WAIT_MS)
		outcome_settle(outcome, inventory);
}

bool outcome_is_told(const struct outcome *outcome, uint64_t asked_at)
{
	return outcome->settled_at != 0 && outcome->settled_at < asked_at;
}
