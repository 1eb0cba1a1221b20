/* The fleet: slots, and the indexes as things come and go. */
#include "cluster/fleet_priv.h"

#include "cluster/cluster_priv.h"
#include "lib/mem.h"

#include <stdio.h>
#include <string.h>

/* "65535/sctp" */
#define PORT_KEY_SIZE 16

void fleet_release(struct fleet *fleet)
{
	free(fleet->nodes);
	free(fleet->loads);
	free(fleet->order);
	free(fleet->ranks);
	free(fleet->free_slots);
	bitset_release(&fleet->all);
	bitset_release(&fleet->healthy);
	bitset_release(&fleet->known);
	*fleet = (struct fleet){0};
}

/* ---- Slots ---- */

static void grow(struct fleet *fleet)
{
	size_t cap = fleet->slots_cap ? fleet->slots_cap * 2 : BITSET_WORD;

	fleet->slots_cap = cap;
	fleet->nodes = xreallocarray(fleet->nodes, cap, sizeof(struct node *));
	fleet->loads = xreallocarray(fleet->loads, cap, sizeof(*fleet->loads));
	fleet->order = xreallocarray(fleet->order, cap, sizeof(*fleet->order));
	fleet->ranks = xreallocarray(fleet->ranks, cap, sizeof(*fleet->ranks));
	fleet->free_slots = xreallocarray(fleet->free_slots, cap, sizeof(*fleet->free_slots));
	bitset_grow(&fleet->all, cap);
	bitset_grow(&fleet->healthy, cap);
	bitset_grow(&fleet->known, cap);
}

void fleet_init(struct fleet *fleet, struct inventory *inventory)
{
	*fleet = (struct fleet){.inventory = inventory, .strings = &inventory->strings};
	/* An empty cluster has sets too. */
	grow(fleet);
}

void fleet_node_enter(struct fleet *fleet, struct node *node)
{
	uint32_t slot;

	if (fleet->free_len > 0) {
		slot = fleet->free_slots[--fleet->free_len];
	} else {
		if (fleet->slots == fleet->slots_cap)
			grow(fleet);
		slot = (uint32_t)fleet->slots++;
	}
	node->inventory.slot = slot;
	fleet->nodes[slot] = node;
	bitset_add(&fleet->all, slot);
	fleet_node_changed(fleet, node, true);
}

void fleet_node_leave(struct fleet *fleet, struct node *node)
{
	uint32_t slot = node->inventory.slot;

	fleet->nodes[slot] = NULL;
	bitset_remove(&fleet->all, slot);
	bitset_remove(&fleet->healthy, slot);
	bitset_remove(&fleet->known, slot);
	fleet->free_slots[fleet->free_len++] = slot;
}

static void rank_from(struct fleet *fleet, size_t at, size_t len)
{
	for (; at < len; at++)
		fleet->ranks[fleet->order[at]] = (uint32_t)at;
}

void fleet_order_insert(struct fleet *fleet, const struct node *node, size_t at, size_t len)
{
	memmove(&fleet->order[at + 1], &fleet->order[at], (len - at) * sizeof(*fleet->order));
	fleet->order[at] = node->inventory.slot;
	rank_from(fleet, at, len + 1);
}

void fleet_order_remove(struct fleet *fleet, size_t at, size_t len)
{
	memmove(&fleet->order[at], &fleet->order[at + 1], (len - at - 1) * sizeof(*fleet->order));
	rank_from(fleet, at, len - 1);
}

static void bit_set(struct bitset *set, size_t number, bool is_in)
{
	if (is_in)
		bitset_add(set, number);
	else
		bitset_remove(set, number);
}

void fleet_node_changed(struct fleet *fleet, const struct node *node, bool has_new_id)
{
	const struct node_view *view = &node->inventory.view;
	uint32_t slot = node->inventory.slot;
	struct fleet_load *load = &fleet->loads[slot];

	bit_set(&fleet->healthy, slot, view->is_healthy);
	bit_set(&fleet->known, slot, view->engine_id[0] != '\0');
	load->total_nano_cpus = view->total_nano_cpus;
	load->total_memory = view->total_memory;
	load->used_nano_cpus = view->used_nano_cpus;
	load->used_memory = view->used_memory;
	load->containers = view->containers_len;
	if (has_new_id)
		load->stamp = ++fleet->stamp;
}

size_t fleet_slots(const struct fleet *fleet)
{
	return fleet->slots_cap;
}

const uint32_t *fleet_order(const struct fleet *fleet, size_t *len)
{
	*len = fleet->inventory->nodes_len;
	return fleet->order;
}

const uint32_t *fleet_ranks(const struct fleet *fleet)
{
	return fleet->ranks;
}

const struct fleet_load *fleet_loads(const struct fleet *fleet)
{
	return fleet->loads;
}

const struct node_view *fleet_view(const struct fleet *fleet, size_t slot)
{
	return &fleet->nodes[slot]->inventory.view;
}

const struct bitset *fleet_all(const struct fleet *fleet)
{
	return &fleet->all;
}

const struct bitset *fleet_healthy(const struct fleet *fleet)
{
	return &fleet->healthy;
}

const struct bitset *fleet_known(const struct fleet *fleet)
{
	return &fleet->known;
}

const struct fleet *cluster_fleet(const struct cluster *cluster)
{
	return &cluster->inventory.fleet;
}

struct node *cluster_node_at(const struct cluster *cluster, size_t slot)
{
	return cluster->inventory.fleet.nodes[slot];
}

size_t node_slot(const struct node *node)
{
	return node->inventory.slot;
}

/* ---- What is on the nodes ---- */

/* Things come and go by the same walk, so that what came in is what goes out. */
typedef void label_change_fn(struct label_table *table, struct interned **strings, const char *key,
	const char *value, uint32_t slot);

static void labels_change(struct fleet *fleet, const struct node *node, label_change_fn *change)
{
	const struct view_labels *labels = &node->inventory.view.labels;

	for (size_t i = 0; i < labels->len; i++)
		change(&fleet->node_labels, fleet->strings, labels->items[i].key,
			labels->items[i].value, node->inventory.slot);
}

void fleet_labels_add(struct fleet *fleet, const struct node *node)
{
	labels_change(fleet, node, label_table_add);
}

void fleet_labels_take(struct fleet *fleet, const struct node *node)
{
	labels_change(fleet, node, label_table_take);
}

static void ports_change(struct fleet *fleet, struct label_table *table,
	const struct view_port *ports, size_t len, uint32_t slot, label_change_fn *change)
{
	char key[PORT_KEY_SIZE];

	for (size_t i = 0; i < len; i++) {
		snprintf(key, sizeof(key), "%u/%.8s", (unsigned)ports[i].port, ports[i].protocol);
		change(table, fleet->strings, key, ports[i].ip, slot);
	}
}

static void container_change(struct fleet *fleet, const struct node *node,
	const struct container_view *view, label_change_fn *change)
{
	uint32_t slot = node->inventory.slot;

	for (size_t i = 0; i < view->labels.len; i++) {
		const struct view_label *label = &view->labels.items[i];
		/* Every container has its own; there is an index of swarm IDs already. */
		bool is_swarm_id = view->swarm_id[0] &&
				   strcmp(label->key, FLEET_SWARM_ID_LABEL) == 0 &&
				   strcmp(label->value, view->swarm_id) == 0;

		change(&fleet->container_labels, fleet->strings, label->key,
			is_swarm_id ? NULL : label->value, slot);
	}
	ports_change(fleet, &fleet->ports, view->ports, view->ports_len, slot, change);
	if (view->host_network)
		ports_change(
			fleet, &fleet->exposed, view->exposed, view->exposed_len, slot, change);
}

void fleet_container_add(
	struct fleet *fleet, const struct node *node, const struct container_view *view)
{
	container_change(fleet, node, view, label_table_add);
}

void fleet_container_take(
	struct fleet *fleet, const struct node *node, const struct container_view *view)
{
	container_change(fleet, node, view, label_table_take);
}

static void images_change(struct fleet *fleet, const struct node *node,
	const struct image_view *image, label_change_fn *change)
{
	for (size_t i = 0; i < image->names_len; i++)
		change(&fleet->image_names, fleet->strings, image->names[i], image->id,
			node->inventory.slot);
}

void fleet_image_add(struct fleet *fleet, const struct node *node, const struct image_view *image)
{
	text_table_add(&fleet->image_ids, fleet->strings, image->id, node->inventory.slot);
	images_change(fleet, node, image, label_table_add);
}

void fleet_image_take(struct fleet *fleet, const struct node *node, const struct image_view *image)
{
	text_table_take(&fleet->image_ids, fleet->strings, image->id, node->inventory.slot);
	images_change(fleet, node, image, label_table_take);
}
