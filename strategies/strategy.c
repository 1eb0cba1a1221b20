#include "strategies/strategy.h"

#include "lib/hash.h"
#include "lib/str.h"
#include "strategies/strategy_priv.h"

#include <stdio.h>
#include <string.h>

/* Choices remembered beyond twice the nodes that there were to choose from. */
#define TURNS_SPARE 64

struct strategy_turn {
	UT_hash_handle hh;
	uint64_t number;
	char id[];
};

const struct strategy_ops *const strategies_all[] = {
	&strategy_spread,
	&strategy_binpack,
	&strategy_random,
	NULL,
};

static const struct strategy_ops *find(const char *name)
{
	if (str_is_empty(name))
		return &strategy_spread;
	for (size_t i = 0; strategies_all[i] != NULL; i++) {
		const char *const *alias = strategies_all[i]->aliases;

		if (str_eq(strategies_all[i]->name, name))
			return strategies_all[i];
		for (; alias != NULL && *alias != NULL; alias++) {
			if (str_eq(*alias, name))
				return strategies_all[i];
		}
	}
	return NULL;
}

struct strategy *strategy_new(const char *name, const struct env *env, struct err *err)
{
	const struct strategy_ops *ops = find(name);
	struct strategy *strategy;
	char known[128] = "";
	size_t len = 0;

	if (ops == NULL) {
		for (size_t i = 0; strategies_all[i] != NULL; i++)
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
				i > 0 ? ", " : "", strategies_all[i]->name);
		err_set(err, ERR_INVALID, "unknown strategy '%.100s'; there are: %s", name, known);
		return NULL;
	}
	strategy = xcalloc(1, sizeof(*strategy));
	strategy->ops = ops;
	strategy->env = env;
	return strategy;
}

void strategy_free(struct strategy *strategy)
{
	struct strategy_turn *turn;
	struct strategy_turn *next;

	if (strategy == NULL)
		return;
	HASH_ITER (hh, strategy->turns, turn, next) {
		HASH_DEL(strategy->turns, turn);
		free(turn);
	}
	free(strategy->known);
	free(strategy);
}

const char *strategy_name(const struct strategy *strategy)
{
	return strategy->ops->name;
}

/* What is known of a slot, the turn looked up anew if the slot has another node since. */
static struct strategy_known *known_of(
	struct strategy *strategy, const struct fleet *fleet, size_t slot)
{
	uint64_t stamp = fleet_loads(fleet)[slot].stamp;
	struct strategy_known *known;
	struct strategy_turn *turn;

	if (slot >= strategy->known_len) {
		size_t len = fleet_slots(fleet);

		strategy->known = xreallocarray(strategy->known, len, sizeof(*strategy->known));
		memset(strategy->known + strategy->known_len, 0,
			(len - strategy->known_len) * sizeof(*strategy->known));
		strategy->known_len = len;
	}
	known = &strategy->known[slot];
	if (known->stamp == stamp)
		return known;
	HASH_FIND_STR(strategy->turns, fleet_view(fleet, slot)->id, turn);
	*known = (struct strategy_known){.stamp = stamp, .turn = turn == NULL ? 0 : turn->number};
	return known;
}

uint64_t strategy_find_turn(struct strategy *strategy, const struct fleet *fleet, size_t slot)
{
	return known_of(strategy, fleet, slot)->turn;
}

/* Nodes come and go for as long as the manager lives: of choices long past nothing is kept. */
static void turns_prune(struct strategy *strategy, size_t nodes)
{
	uint64_t keep = 2 * (uint64_t)nodes + TURNS_SPARE;
	struct strategy_turn *turn;
	struct strategy_turn *next;

	if (HASH_COUNT(strategy->turns) <= 2 * keep)
		return;
	HASH_ITER (hh, strategy->turns, turn, next) {
		if (turn->number + keep < strategy->last_turn) {
			HASH_DEL(strategy->turns, turn);
			free(turn);
		}
	}
	memset(strategy->known, 0, strategy->known_len * sizeof(*strategy->known));
}

size_t strategy_choose(struct strategy *strategy, const struct fleet *fleet,
	const struct bitset *nodes, const struct container_view *want)
{
	size_t chosen = strategy->ops->choose(strategy, fleet, nodes, want);
	const char *id = fleet_view(fleet, chosen)->id;
	struct strategy_turn *turn;

	HASH_FIND_STR(strategy->turns, id, turn);
	if (turn == NULL) {
		turn = xcalloc(1, sizeof(*turn) + strlen(id) + 1);
		memcpy(turn->id, id, strlen(id) + 1);
		HASH_ADD_STR(strategy->turns, id, turn);
	}
	turn->number = ++strategy->last_turn;
	known_of(strategy, fleet, chosen)->turn = turn->number;
	turns_prune(strategy, bitset_count(nodes));
	return chosen;
}
