#include "tests/unit/view_fleet.h"

#include "cluster/record.h"
#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* What one container of a view became. */
struct held {
	struct container_record record; /* of one with an ID */
	struct index_entry by_name, by_swarm_id;
	struct reservation *reservation; /* of one without */
	const struct container_view *view;
	uint32_t at;
};

struct held_node {
	struct node *node;
	struct held *held;
	size_t held_len;
	const struct image_view *const *images;
	size_t images_len;
};

struct view_fleet {
	struct cluster cluster;
	struct env env;
	struct held_node *nodes;
	size_t len;
};

/* No two fleets give the same one to a slot: a strategy that sees both is not to mix them up. */
static uint64_t last_stamp;

static uint64_t no_time(const struct env *env)
{
	(void)env;
	return 0;
}

static char *text_dup(const char *text)
{
	return xstrdup(text ? text : "");
}

/* Gives a new node what the view says of it, however odd. */
static void node_set(struct node *node, const struct node_view *view)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct node_inventory *own = &node->inventory;

	index_remove(&inventory->node_ids, &own->by_id);
	free((char *)(uintptr_t)own->view.id);
	free((char *)(uintptr_t)own->view.name);
	free((char *)(uintptr_t)own->view.engine_id);
	own->view.id = text_dup(view->id);
	own->view.name = text_dup(view->name);
	own->view.engine_id = text_dup(view->engine_id);
	index_insert(&inventory->node_ids, &own->by_id, own->view.id, own->seq, node);
	index_insert(&inventory->node_names, &own->by_name, own->view.name, own->seq, node);
	if (own->view.engine_id[0])
		index_insert(&inventory->node_engine_ids, &own->by_engine_id, own->view.engine_id,
			own->seq, node);
	own->labels = xcalloc(view->labels.len + 1, sizeof(*own->labels));
	for (size_t i = 0; i < view->labels.len; i++)
		own->labels[i] = (struct view_label){
			text_dup(view->labels.items[i].key), text_dup(view->labels.items[i].value)};
	own->view.labels = (struct view_labels){own->labels, view->labels.len};
	fleet_labels_add(&inventory->fleet, node);
	inventory_node_set_health(node, view->is_healthy);
	fleet_node_changed(&inventory->fleet, node, true);
}

static void hold_record(struct held *held, struct node *node)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct container *container = &held->record.container;
	const struct container_view *view = held->view;
	uint64_t order = node->inventory.seq;

	container->view = *view;
	container->node = node;
	index_insert(&inventory->ids, &held->record.by_id, view->id, order, container);
	if (view->swarm_id[0])
		index_insert(&inventory->swarm_ids, &held->by_swarm_id, view->swarm_id, order,
			container);
	index_insert(&inventory->names, &held->by_name, view->name, order, container);
	node_view_add(node, view, &held->at);
}

static void hold(struct held *held, struct node *node, const struct container_view *view)
{
	struct container_view want = *view;

	held->view = view;
	if (view->id[0]) {
		hold_record(held, node);
		return;
	}
	held->reservation = cluster_reserve(node->cluster, node, &want, NULL);
	if (held->reservation)
		return;
	/* Names are taken once. */
	want.name = "";
	held->reservation = cluster_reserve(node->cluster, node, &want, NULL);
	assert_non_null(held->reservation);
}

static void release(struct held *held, struct node *node)
{
	struct inventory *inventory = &node->cluster->inventory;

	if (held->reservation) {
		reservation_cancel(held->reservation);
		return;
	}
	node_view_remove(node, held->view, held->at);
	index_remove(&inventory->ids, &held->record.by_id);
	index_remove(&inventory->swarm_ids, &held->by_swarm_id);
	index_remove(&inventory->names, &held->by_name);
}

void view_fleet_load(struct view_fleet *fleet, size_t slot, const struct node_view *view)
{
	struct node *node = fleet->nodes[slot].node;
	struct node_view *own = &node->inventory.view;
	size_t containers_len = own->containers_len;

	own->total_nano_cpus = view->total_nano_cpus;
	own->total_memory = view->total_memory;
	own->used_nano_cpus = view->used_nano_cpus;
	own->used_memory = view->used_memory;
	own->containers_len = view->containers_len;
	fleet_node_changed(&fleet->cluster.inventory.fleet, node, false);
	own->containers_len = containers_len;
}

static void add_node(struct view_fleet *fleet, const struct node_view *view)
{
	struct held_node *place = &fleet->nodes[fleet->len];
	struct inventory *inventory = &fleet->cluster.inventory;

	place->images = view->images;
	place->images_len = view->images_len;
	place->held_len = view->containers ? view->containers_len : 0;
	place->held = xcalloc(place->held_len + 1, sizeof(*place->held));
	node_set(place->node, view);
	for (size_t i = 0; i < place->held_len; i++)
		hold(&place->held[i], place->node, view->containers[i]);
	for (size_t i = 0; i < place->images_len; i++)
		fleet_image_add(&inventory->fleet, place->node, view->images[i]);
	view_fleet_load(fleet, fleet->len++, view);
}

struct view_fleet *view_fleet_new(const struct node_view *const *views, size_t len)
{
	struct view_fleet *fleet = xcalloc(1, sizeof(*fleet));

	fleet->env = (struct env){.now_ms = no_time};
	inventory_init(&fleet->cluster.inventory, NULL, &fleet->env, 0.0);
	fleet->cluster.inventory.fleet.stamp = last_stamp;
	fleet->nodes = xcalloc(len + 1, sizeof(*fleet->nodes));
	/* All at once, while the addresses alone decide about the order. */
	for (size_t i = 0; i < len; i++) {
		CLEANUP_FREE char *addr = xasprintf("v%zu", i);

		fleet->nodes[i].node = inventory_node_new(&fleet->cluster, addr);
	}
	for (size_t i = 0; i < len; i++)
		add_node(fleet, views[i]);
	return fleet;
}

void view_fleet_free(struct view_fleet *fleet)
{
	struct inventory *inventory = &fleet->cluster.inventory;

	last_stamp = inventory->fleet.stamp;
	for (size_t i = 0; i < fleet->len; i++) {
		struct held_node *place = &fleet->nodes[i];

		for (size_t j = 0; j < place->held_len; j++)
			release(&place->held[j], place->node);
		for (size_t j = 0; j < place->images_len; j++)
			fleet_image_take(&inventory->fleet, place->node, place->images[j]);
		inventory_node_remove(place->node);
		free(place->held);
	}
	inventory_free(inventory);
	free(fleet->nodes);
	free(fleet);
}

const struct fleet *view_fleet_get(const struct view_fleet *fleet)
{
	return cluster_fleet(&fleet->cluster);
}
