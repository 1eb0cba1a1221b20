/* Strategies over views written down here: who is chosen, who has room, how equals take turns. */
#include "lib/mem.h"
#include "lib/str.h"
#include "strategies/strategy.h"
#include "strategies/weight.h"
#include "tests/unit/view_fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODES 5
#define CPU INT64_C(1000000000)
#define GIB (INT64_C(1) << 30)

static uint32_t dice_value;
static uint32_t dice_bound;

static uint32_t dice(const struct env *env, uint32_t bound)
{
	(void)env;
	dice_bound = bound;
	return dice_value % bound;
}

static const struct env dice_env = {.random_below = dice};

struct sketch {
	char ids[NODES][16];
	struct node_view nodes[NODES];
	struct view_fleet *fleet;
};

static void sketch_init(struct sketch *sketch)
{
	const struct node_view *list[NODES];

	*sketch = (struct sketch){.fleet = NULL};
	for (int i = 0; i < NODES; i++) {
		snprintf(sketch->ids[i], sizeof(sketch->ids[i]), "node%d", i);
		sketch->nodes[i] = (struct node_view){
			.id = sketch->ids[i],
			.name = sketch->ids[i],
			.is_healthy = true,
			.total_nano_cpus = 4 * CPU,
			.total_memory = 8 * GIB,
		};
		list[i] = &sketch->nodes[i];
	}
	sketch->fleet = view_fleet_new(list, NODES);
}

static void sketch_clear(struct sketch *sketch)
{
	view_fleet_free(sketch->fleet);
}

/* The choice among the nodes of these bits, as they are now. */
static size_t choose(struct strategy *strategy, struct sketch *sketch, uint64_t among,
	const struct container_view *want)
{
	struct bitset nodes;
	size_t chosen;

	for (size_t i = 0; i < NODES; i++)
		view_fleet_load(sketch->fleet, i, &sketch->nodes[i]);
	bitset_init(&nodes, BITSET_WORD);
	nodes.words[0] = among;
	chosen = strategy_choose(strategy, view_fleet_get(sketch->fleet), &nodes, want);
	bitset_release(&nodes);
	return chosen;
}
#define ALL ((UINT64_C(1) << NODES) - 1)

static struct strategy *a_strategy(const char *name)
{
	struct err err = ERR_INIT;
	struct strategy *strategy = strategy_new(name, &dice_env, &err);

	if (strategy == NULL)
		fail_msg("%s", err.msg);
	return strategy;
}

/* One create: the node has one container more, and its share of the resources. */
static size_t create(
	struct strategy *strategy, struct sketch *fleet, const struct container_view *want)
{
	size_t chosen = choose(strategy, fleet, ALL, want);

	assert_in_range(chosen, 0, NODES - 1);
	fleet->nodes[chosen].containers_len++;
	fleet->nodes[chosen].used_nano_cpus += want->nano_cpus;
	fleet->nodes[chosen].used_memory += want->memory;
	return chosen;
}

static void test_names(void **state)
{
	static const char *const table[][2] = {{NULL, "spread"}, {"", "spread"},
		{"spread", "spread"}, {"binpack", "binpack"}, {"binpacking", "binpack"},
		{"random", "random"}};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct strategy *strategy = a_strategy(table[i][0]);

		assert_string_equal(strategy_name(strategy), table[i][1]);
		strategy_free(strategy);
	}
	assert_null(strategy_new("Spread", &dice_env, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "'Spread'"));
	assert_non_null(strstr(err.msg, "spread, binpack, random"));
	strategy_free(NULL);
}

static void test_room(void **state)
{
	struct fleet_load node = {.total_nano_cpus = 2 * CPU,
		.total_memory = GIB,
		.used_nano_cpus = CPU,
		.used_memory = GIB / 2};
	struct container_view want = {0};

	(void)state;
	assert_true(weight_has_room(&node, &want));
	want.nano_cpus = CPU;
	want.memory = GIB / 2;
	assert_true(weight_has_room(&node, &want));
	assert_int_equal(weight_of(&node, &want), 2 * WEIGHT_FULL);
	want.nano_cpus = CPU + 1;
	assert_false(weight_has_room(&node, &want));
	want.nano_cpus = 0;
	want.memory = GIB / 2 + 1;
	assert_false(weight_has_room(&node, &want));
	want.memory = INT64_MAX;
	assert_false(weight_has_room(&node, &want));
	want = (struct container_view){.nano_cpus = INT64_MAX};
	assert_false(weight_has_room(&node, &want));
	/* Over-full by what was there before: what asks for nothing still goes there. */
	want = (struct container_view){0};
	node.used_memory = 2 * GIB;
	assert_true(weight_has_room(&node, &want));
	want.memory = 1;
	assert_false(weight_has_room(&node, &want));
	/* A node that reports nothing. */
	node = (struct fleet_load){0};
	assert_false(weight_has_room(&node, &want));
	want.memory = 0;
	assert_int_equal(weight_of(&node, &want), 2 * WEIGHT_FULL);
}

static void expect_weight(int64_t sum, int64_t total)
{
	const struct fleet_load load = {.total_memory = total, .used_memory = sum / 3};
	const struct container_view want = {.memory = sum - sum / 3};

	assert_int_equal(weight_of(&load, &want),
		WEIGHT_FULL + (int64_t)((__int128)sum * WEIGHT_FULL / total));
}

/* The quotient as integers give it, whole and of any size, although it is found otherwise: where it
 * is just below the next number, floating-point ones round up. */
static void test_weight_is_exact(void **state)
{
	static const int64_t totals[] = {1, 7, 1000003, 67 * CPU, 16 * GIB - 1,
		(INT64_C(1) << 43) - 1, (INT64_C(1) << 43) + 1, INT64_C(1) << 48};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(totals); i++) {
		for (int64_t share = 1; share <= WEIGHT_FULL; share += share < 980000 ? 997 : 1) {
			int64_t sum = (int64_t)((__int128)share * totals[i] / WEIGHT_FULL);

			if (sum > 0)
				expect_weight(sum, totals[i]);
			if (sum < totals[i])
				expect_weight(sum + 1, totals[i]);
		}
	}
}

static void spread_evenly(struct container_view want, int64_t total_cpus, int64_t total_memory)
{
	struct strategy *strategy = a_strategy("spread");
	struct sketch fleet;

	sketch_init(&fleet);
	for (int i = 0; i < NODES; i++) {
		fleet.nodes[i].total_nano_cpus = total_cpus;
		fleet.nodes[i].total_memory = total_memory;
	}
	for (int round = 0; round < 1000; round++) {
		size_t least = SIZE_MAX;
		size_t most = 0;

		create(strategy, &fleet, &want);
		for (int i = 0; i < NODES; i++) {
			size_t count = fleet.nodes[i].containers_len;

			least = count < least ? count : least;
			most = count > most ? count : most;
		}
		assert_true(most - least <= 1);
	}
	sketch_clear(&fleet);
	strategy_free(strategy);
}

static void test_spread_is_even(void **state)
{
	(void)state;
	spread_evenly((struct container_view){0}, 4 * CPU, 8 * GIB);
	spread_evenly((struct container_view){.nano_cpus = CPU / 100}, 4 * CPU, 8 * GIB);
	spread_evenly((struct container_view){.memory = 1 << 20}, 4 * CPU, 8 * GIB);
	spread_evenly((struct container_view){.nano_cpus = 7, .memory = 13}, 64 * CPU, 512 * GIB);
}

/* Containers that are gone before the next one comes leave nothing to count: equals take turns. */
static void test_turns(void **state)
{
	struct strategy *strategy = a_strategy("spread");
	const struct container_view want = {0};
	struct sketch fleet;
	unsigned counts[NODES] = {0};

	(void)state;
	sketch_init(&fleet);
	for (int i = 0; i < 1000; i++)
		counts[choose(strategy, &fleet, ALL, &want)]++;
	for (int i = 0; i < NODES; i++)
		assert_int_equal(counts[i], 1000 / NODES);
	/* Other requests in between, for which only some nodes are asked, do not disturb it. */
	memset(counts, 0, sizeof(counts));
	for (int i = 0; i < 1000; i++) {
		counts[choose(strategy, &fleet, 3, &want)]++;
		counts[choose(strategy, &fleet, ALL - 3, &want)]++;
	}
	assert_int_equal(counts[0], 500);
	assert_int_equal(counts[1], 500);
	for (int i = 2; i < NODES; i++)
		assert_in_range(counts[i], 333, 334);
	sketch_clear(&fleet);
	strategy_free(strategy);
}

/* The same history gives the same choices. */
static void test_deterministic(void **state)
{
	struct strategy *strategies[2] = {a_strategy("spread"), a_strategy("spread")};
	struct sketch fleets[2];

	(void)state;
	sketch_init(&fleets[0]);
	sketch_init(&fleets[1]);
	for (int i = 0; i < 300; i++) {
		const struct container_view want = {.memory = (i * 7919 % 13) << 20};

		assert_int_equal(create(strategies[0], &fleets[0], &want),
			create(strategies[1], &fleets[1], &want));
	}
	sketch_clear(&fleets[0]);
	sketch_clear(&fleets[1]);
	strategy_free(strategies[0]);
	strategy_free(strategies[1]);
}

static void test_spread_prefers_the_emptier(void **state)
{
	struct strategy *strategy = a_strategy("spread");
	struct container_view want = {.memory = GIB};
	struct sketch fleet;

	(void)state;
	sketch_init(&fleet);
	for (int i = 0; i < NODES; i++)
		fleet.nodes[i].used_memory = GIB;
	fleet.nodes[3].total_memory = 16 * GIB;
	fleet.nodes[3].containers_len = 50;
	assert_int_equal(choose(strategy, &fleet, ALL, &want), 3);
	/* Nothing asked for: the number of containers alone. */
	want.memory = 0;
	for (int i = 0; i < NODES; i++)
		fleet.nodes[i].containers_len = i == 2 ? 1 : 2;
	assert_int_equal(choose(strategy, &fleet, ALL, &want), 2);
	sketch_clear(&fleet);
	strategy_free(strategy);
}

static void test_binpack(void **state)
{
	struct strategy *strategy = a_strategy("binpacking");
	struct container_view want = {.memory = GIB};
	struct sketch fleet;
	size_t chosen;

	(void)state;
	sketch_init(&fleet);
	/* One node after the other is filled. */
	for (int i = 0; i < 8 * NODES; i++) {
		uint64_t with_room = 0;

		for (int j = 0; j < NODES; j++) {
			const struct fleet_load load = {.total_nano_cpus = 4 * CPU,
				.total_memory = 8 * GIB,
				.used_memory = fleet.nodes[j].used_memory};

			if (weight_has_room(&load, &want))
				with_room |= UINT64_C(1) << j;
		}
		assert_true(with_room != 0);
		chosen = choose(strategy, &fleet, with_room, &want);
		assert_int_equal(chosen, i / 8);
		fleet.nodes[i / 8].used_memory += GIB;
		fleet.nodes[i / 8].containers_len++;
	}
	/* Nothing asked for: all on one. */
	want.memory = 0;
	sketch_clear(&fleet);
	sketch_init(&fleet);
	chosen = create(strategy, &fleet, &want);
	for (int i = 0; i < 20; i++)
		assert_int_equal(create(strategy, &fleet, &want), chosen);
	sketch_clear(&fleet);
	strategy_free(strategy);
}

static void test_random(void **state)
{
	struct strategy *strategy = a_strategy("random");
	const struct container_view want = {0};
	struct sketch fleet;

	(void)state;
	sketch_init(&fleet);
	for (dice_value = 0; dice_value < NODES; dice_value++) {
		assert_int_equal(choose(strategy, &fleet, ALL, &want), dice_value);
		assert_int_equal(dice_bound, NODES);
	}
	sketch_clear(&fleet);
	strategy_free(strategy);
}

/* Nodes that come and go for ever; under the leak and memory checkers this shows nothing is lost,
 * and those that stay still take turns. */
static void test_many_nodes_pass_by(void **state)
{
	struct strategy *strategy = a_strategy("spread");
	const struct container_view want = {0};
	unsigned counts[2] = {0};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char id[32];
		const struct node_view stay[2] = {{.id = "a"}, {.id = "b"}};
		const struct node_view passing = {.id = id};
		const struct node_view *list[] = {&stay[0], &stay[1], &passing};
		struct view_fleet *fleet;
		struct bitset nodes;

		snprintf(id, sizeof(id), "passing%d", i);
		fleet = view_fleet_new(list, 3);
		bitset_init(&nodes, BITSET_WORD);
		nodes.words[0] = 4;
		assert_int_equal(
			strategy_choose(strategy, view_fleet_get(fleet), &nodes, &want), 2);
		nodes.words[0] = 3;
		counts[strategy_choose(strategy, view_fleet_get(fleet), &nodes, &want)]++;
		bitset_release(&nodes);
		view_fleet_free(fleet);
	}
	assert_int_equal(counts[0], counts[1]);
	strategy_free(strategy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_weight_is_exact),
		cmocka_unit_test(test_spread_is_even),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_spread_prefers_the_emptier),
		cmocka_unit_test(test_binpack),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_many_nodes_pass_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
