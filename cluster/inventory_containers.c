/* Containers: how records come and go, with every index, counter and view that they are part of. */
#include "cluster/record.h"

#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"

#include <string.h>

int record_age_cmp(const struct container_record *a, const struct container_record *b)
{
	int cmp;

	if (a->age.ns != b->age.ns)
		return a->age.ns > b->age.ns ? -1 : 1;
	cmp = strcmp(a->age.id, b->age.id);
	if (cmp != 0)
		return cmp;
	if (a->age.node != b->age.node)
		return a->age.node < b->age.node ? -1 : 1;
	return 0;
}

int container_age_cmp(const struct container *a, const struct container *b)
{
	const struct container_record *left = (const struct container_record *)a;
	const struct container_record *right = (const struct container_record *)b;

	if (left->created_ns != right->created_ns)
		return left->created_ns < right->created_ns ? -1 : 1;
	return strcmp(b->view.id, a->view.id);
}

RB_GENERATE(record_tree, container_record, by_age, record_age_cmp)

static struct inventory *inventory_of(const struct container_record *record)
{
	return &record->container.node->cluster->inventory;
}

/* The counters follow the engine's own /info: what restarts counts as stopped. */
static void count(const struct container_record *record, int sign)
{
	struct cluster_totals *totals = &inventory_of(record)->totals;
	struct node_inventory *own = &record->container.node->inventory;
	size_t step = (size_t)sign;

	totals->containers += step;
	if (strcmp(record->container.state, "running") == 0) {
		totals->running += step;
		own->running += step;
	} else if (strcmp(record->container.state, "paused") == 0) {
		totals->paused += step;
		own->paused += step;
	} else {
		totals->stopped += step;
		own->stopped += step;
	}
}

static void index_record(struct container_record *record)
{
	struct inventory *inventory = inventory_of(record);
	struct container *container = &record->container;
	uint64_t node = container->node->inventory.seq;

	index_insert(&inventory->ids, &record->by_id, container->view.id, node, container);
	if (record->by_swarm_id)
		index_insert(&inventory->swarm_ids, record->by_swarm_id, container->view.swarm_id,
			node, container);
	/* Without the slash that every name begins with. */
	for (size_t i = 0; i < container->names.len; i++)
		index_insert(&inventory->names, &record->by_name[i], container->names.items[i] + 1,
			node, container);
	name_text_add(record);
	record->state = container_state_number(container->state);
	RB_INSERT(record_tree, &inventory->by_age[record->state], record);
	inventory->age_changes++;
}

static void unindex_record(struct container_record *record)
{
	struct inventory *inventory = inventory_of(record);

	index_remove(&inventory->ids, &record->by_id);
	if (record->by_swarm_id)
		index_remove(&inventory->swarm_ids, record->by_swarm_id);
	for (size_t i = 0; i < record->container.names.len; i++)
		index_remove(&inventory->names, &record->by_name[i]);
	name_text_remove(record);
	RB_REMOVE(record_tree, &inventory->by_age[record->state], record);
	inventory->age_changes++;
}

static void node_list_add(struct container_record *record)
{
	struct node_inventory *own = &record->container.node->inventory;

	if (own->containers_len == own->containers_cap) {
		own->containers_cap = own->containers_cap ? own->containers_cap * 2 : 8;
		own->containers = xreallocarray(
			own->containers, own->containers_cap, sizeof(*own->containers));
	}
	record->at = (uint32_t)own->containers_len;
	own->containers[own->containers_len++] = &record->container;
}

static void node_list_remove(struct container_record *record)
{
	struct node_inventory *own = &record->container.node->inventory;
	struct container *last = own->containers[--own->containers_len];

	own->containers[record->at] = last;
	container_record(last)->at = record->at;
}

/* old: the record whose place it takes, or NULL. An engine may tell the time more exactly than
 * before; a list under way knows containers by their place in the order, so that stays until none
 * is. */
static void enter(struct container_record *record, const struct container_record *old)
{
	struct container *container = &record->container;
	bool stays = old && inventory_of(record)->cursors > 0;

	record->seq = ++inventory_of(record)->seq;
	record->age = (struct record_age){
		.ns = stays ? old->age.ns : record->created_ns,
		.id = container->view.id,
		.node = container->node->inventory.seq,
	};
	index_record(record);
	node_list_add(record);
	node_view_add(container->node, &container->view, &record->view_at);
	count(record, 1);
	container->node->inventory.bytes += record->bytes;
	container->node->inventory.light += record->is_light;
	reservations_cover(record);
}

/* Leaves everything; the inventory's reference lasts until the end of the turn. */
static void leave(struct container_record *record)
{
	struct inventory *inventory = inventory_of(record);
	struct container *container = &record->container;

	container->node->inventory.bytes -= record->bytes;
	container->node->inventory.light -= record->is_light;
	reservations_uncover(record);
	count(record, -1);
	node_view_remove(container->node, &container->view, record->view_at);
	node_list_remove(record);
	unindex_record(record);
	record->seq = 0;
	record->next_grave = inventory->graves;
	inventory->graves = record;
}

struct container *inventory_container_get(const struct node *node, const char *id)
{
	const struct index *ids = &node->cluster->inventory.ids;
	struct index_entry *entry = NULL;

	/* As all of a fleet are when they are read for the first time. */
	if (node->inventory.containers_len > 0)
		entry = index_from(ids, id, node->inventory.seq);
	if (!entry || entry->order != node->inventory.seq || strcmp(entry->key, id) != 0)
		return NULL;
	return entry->item;
}

static bool is_full(struct node *node)
{
	struct node_inventory *own = &node->inventory;

	if (own->containers_len < INVENTORY_CONTAINERS_MAX)
		return false;
	if (!own->is_full_logged)
		log_warn("node has too many containers, the rest is ignored node=%s addr=%s max=%d",
			own->view.name, own->view.addr, INVENTORY_CONTAINERS_MAX);
	own->is_full_logged = true;
	return true;
}

void inventory_container_put(struct container *record_take)
{
	struct container_record *record = container_record(record_take);
	struct node *node = record_take->node;
	struct container *old = inventory_container_get(node, record_take->view.id);

	if (node->inventory.is_removed || (!old && is_full(node))) {
		container_unref(record_take);
		return;
	}
	if (old) {
		execs_move(container_record(old), record);
		leave(container_record(old));
	}
	enter(record, old ? container_record(old) : NULL);
}

bool inventory_container_mark_partial(struct container *container)
{
	const struct container *old = inventory_container_get(container->node, container->view.id);

	container_record(container)->is_partial = true;
	return !old || !container_record(old)->is_partial;
}

static void drop(struct container_record *record)
{
	execs_drop(record);
	leave(record);
}

bool inventory_container_remove(struct node *node, const char *id)
{
	struct container *container = inventory_container_get(node, id);

	if (!container)
		return false;
	drop(container_record(container));
	return true;
}

void containers_drop_node(struct node *node)
{
	while (node->inventory.containers_len > 0)
		drop(container_record(
			node->inventory.containers[node->inventory.containers_len - 1]));
}

void inventory_container_listed(struct container *container, uint64_t asked_at)
{
	container_record(container)->listed_at = asked_at;
}

size_t inventory_containers_prune(struct node *node, uint64_t asked_at)
{
	struct node_inventory *own = &node->inventory;
	size_t removed = 0;

	/* Backwards, since the last takes the place of one that goes. */
	for (size_t i = own->containers_len; i-- > 0;) {
		struct container_record *record = container_record(own->containers[i]);

		if (record->seq > asked_at || record->listed_at == asked_at)
			continue;
		drop(record);
		removed++;
	}
	return removed;
}

struct container *const *node_containers(const struct node *node, size_t *len)
{
	*len = node->inventory.containers_len;
	return node->inventory.containers;
}
