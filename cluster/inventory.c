#include "cluster/inventory.h"

#include "cluster/record.h"
#include "lib/mem.h"

#include <string.h>

static void sweep_now(void *arg)
{
	inventory_sweep(arg);
}

void inventory_init(
	struct inventory *inventory, struct loop *loop, const struct env *env, double overcommit)
{
	memset(inventory, 0, sizeof(*inventory));
	for (size_t i = 0; i < CONTAINER_STATES; i++)
		RB_INIT(&inventory->by_age[i]);
	inventory->env = env;
	inventory->overcommit = overcommit;
	inventory->entry_reader = json_reader_new();
	inventory->inspect_reader = json_reader_new();
	fleet_init(&inventory->fleet, inventory);
	if (loop)
		inventory->sweep = loop_prepare_new(loop, sweep_now, inventory);
}

void inventory_sweep(struct inventory *inventory)
{
	struct container_record *record;
	struct node *node;

	while ((record = inventory->graves)) {
		inventory->graves = record->next_grave;
		record->next_grave = NULL;
		container_unref(&record->container);
	}
	node_parts_sweep(inventory);
	while ((node = inventory->node_graves)) {
		inventory->node_graves = node->inventory.next_grave;
		node_unref(node);
	}
}

void inventory_free(struct inventory *inventory)
{
	loop_prepare_free(inventory->sweep);
	inventory->sweep = NULL;
	reservations_detach_all(inventory);
	promises_detach_all(inventory);
	execs_free(inventory);
	inventory_sweep(inventory);
	json_reader_free(TAKE_PTR(inventory->entry_reader));
	json_reader_free(TAKE_PTR(inventory->inspect_reader));
	fleet_release(&inventory->fleet);
	free(inventory->nodes);
	inventory->nodes = NULL;
}

void inventory_tick(struct inventory *inventory)
{
	uint64_t now = inventory->env->now_ms(inventory->env);

	reservations_tick(inventory, now);
	promises_tick(inventory, now);
}

uint64_t inventory_ask(struct inventory *inventory)
{
	return ++inventory->seq;
}

void inventory_containers_told(struct node *node, uint64_t asked_at)
{
	reservations_listed(node, asked_at);
}

void inventory_part_told(struct node *node, unsigned part, uint64_t asked_at)
{
	if (part == NODE_NETWORKS)
		promises_listed(node, PROMISE_NETWORK, asked_at);
	else if (part == NODE_VOLUMES)
		promises_listed(node, PROMISE_VOLUME, asked_at);
}

void cluster_totals(const struct cluster *cluster, struct cluster_totals *out)
{
	*out = cluster->inventory.totals;
}
