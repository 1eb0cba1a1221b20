/* Reservations: what was promised to a request, before the engine's record of it is here.
 *
 * A reservation stands in its node's view like a container. Once a record with its swarm ID is put
 * on the same node, the record covers it: the view counts the record alone, and the reservation
 * keeps nothing but its name, until it is committed, or the record goes before that. */
#include "cluster/record.h"

#include "lib/mem.h"

#include <string.h>
#include <utlist.h>

#define RESERVATIONS_MAX 65536

struct reservation {
	struct inventory *inventory; /* NULL when the cluster has gone */
	struct node *node;           /* NULL: a name alone, or the node was removed */
	struct container_view *view; /* a copy */
	struct container_record *covered_by;
	uint64_t deadline; /* env milliseconds */
	bool is_active;    /* false: ended by time or by the node's removal; only to be freed */
	/* Nobody's, until the node has told what became of it. */
	bool is_left;
	struct node *left_on;
	struct outcome outcome;
	bool is_in_view;
	uint32_t view_at;
	struct index_entry by_name, by_swarm_id;
	struct reservation *prev, *next; /* of inventory.reservations or .ended_reservations */
};

static void show(struct reservation *reservation)
{
	if (reservation->is_in_view || !reservation->node)
		return;
	node_view_add(reservation->node, reservation->view, &reservation->view_at);
	reservation->is_in_view = true;
}

static void hide(struct reservation *reservation)
{
	if (!reservation->is_in_view)
		return;
	node_view_remove(reservation->node, reservation->view, reservation->view_at);
	reservation->is_in_view = false;
}

static void end(struct reservation *reservation);

static void cover(struct reservation *reservation, struct container_record *record)
{
	hide(reservation);
	reservation->covered_by = record;
	record->covers = reservation;
}

void reservations_cover(struct container_record *record)
{
	const struct container *container = &record->container;
	const struct node *node = container->node;
	struct index_entry *entry;

	if (!container->view.swarm_id[0])
		return;
	entry = index_from(&node->cluster->inventory.reservation_swarm_ids,
		container->view.swarm_id, node->inventory.seq);
	for (; entry && entry->order == node->inventory.seq &&
		strcmp(entry->key, container->view.swarm_id) == 0;
		entry = index_next(entry)) {
		struct reservation *reservation = entry->item;

		if (reservation->covered_by)
			continue;
		if (reservation->is_left)
			end(reservation);
		else
			cover(reservation, record);
		return;
	}
}

void reservations_uncover(struct container_record *record)
{
	struct reservation *reservation = record->covers;

	if (!reservation)
		return;
	record->covers = NULL;
	reservation->covered_by = NULL;
	show(reservation);
}

static void reservation_free(struct reservation *reservation)
{
	DL_DELETE(reservation->inventory->ended_reservations, reservation);
	free(reservation->view);
	free(reservation);
}

/* Gives back all that it holds. The struct stays for who made it, if that is not left. */
static void end(struct reservation *reservation)
{
	struct inventory *inventory = reservation->inventory;

	if (!reservation->is_active)
		return;
	reservation->is_active = false;
	hide(reservation);
	if (reservation->covered_by)
		reservation->covered_by->covers = NULL;
	reservation->covered_by = NULL;
	index_remove(&inventory->reservation_names, &reservation->by_name);
	index_remove(&inventory->reservation_swarm_ids, &reservation->by_swarm_id);
	DL_DELETE(inventory->reservations, reservation);
	DL_APPEND(inventory->ended_reservations, reservation);
	inventory->reservations_len--;
	if (reservation->is_left)
		reservation_free(reservation);
}

static void release(struct reservation *reservation)
{
	if (!reservation)
		return;
	if (reservation->inventory) {
		end(reservation);
		reservation_free(reservation);
		return;
	}
	free(reservation->view);
	free(reservation);
}

void reservation_commit(struct reservation *reservation)
{
	release(reservation);
}

void reservation_cancel(struct reservation *reservation)
{
	release(reservation);
}

void reservation_leave(struct reservation *reservation, struct node *node)
{
	struct inventory *inventory = reservation->inventory;

	if (!inventory || !reservation->is_active || reservation->covered_by ||
		node->inventory.is_removed) {
		release(reservation);
		return;
	}
	reservation->is_left = true;
	reservation->left_on = node;
	outcome_init(&reservation->outcome, node);
}

struct node *reservation_node(const struct reservation *reservation)
{
	return reservation->node;
}

const struct container_view *reservation_view(const struct reservation *reservation)
{
	return reservation->is_in_view ? reservation->view : NULL;
}

static bool name_is_taken(const struct inventory *inventory, const char *name)
{
	return index_first(&inventory->names, name) ||
	       index_first(&inventory->reservation_names, name);
}

static struct reservation *reservation_new(struct inventory *inventory, struct node *node,
	const struct container_view *want, struct err *err)
{
	struct reservation *reservation;

	if (inventory->reservations_len >= RESERVATIONS_MAX) {
		err_set(err, ERR_UNAVAILABLE, "too many requests are in progress");
		return NULL;
	}
	if (want->name[0] && name_is_taken(inventory, want->name)) {
		err_set(err, ERR_CONFLICT,
			"Conflict: The name %s is already assigned. You have to delete (or rename) "
			"that container to be able to assign %s to a container again.",
			want->name, want->name);
		return NULL;
	}
	reservation = xcalloc(1, sizeof(*reservation));
	reservation->inventory = inventory;
	reservation->node = node;
	reservation->view = view_dup(want);
	reservation->deadline = inventory->env->now_ms(inventory->env) + RESERVATION_TTL_MS;
	reservation->is_active = true;
	if (want->name[0])
		index_insert(&inventory->reservation_names, &reservation->by_name,
			reservation->view->name, 0, reservation);
	DL_APPEND(inventory->reservations, reservation);
	inventory->reservations_len++;
	return reservation;
}

/* The record came before the reservation: a create that is tried again after a lost answer. */
static void cover_by_known(struct reservation *reservation)
{
	struct inventory *inventory = reservation->inventory;
	uint64_t node = reservation->node->inventory.seq;
	const char *swarm_id = reservation->view->swarm_id;
	struct index_entry *entry = index_from(&inventory->swarm_ids, swarm_id, node);

	if (!entry || entry->order != node || strcmp(entry->key, swarm_id) != 0)
		return;

	struct container_record *record = container_record(entry->item);

	if (!record->covers)
		cover(reservation, record);
}

/* No view asks for less than nothing, or for so much that sums would overflow. */
static int check_want(const struct container_view *want, struct err *err)
{
	const int64_t most = (int64_t)1 << 45;

	if (want->nano_cpus < 0 || want->nano_cpus > most || want->memory < 0 ||
		want->memory > most)
		return err_set(err, ERR_INVALID, "the CPUs or memory asked for are out of range");
	return 0;
}

struct reservation *cluster_reserve(struct cluster *cluster, struct node *node,
	const struct container_view *want, struct err *err)
{
	struct inventory *inventory = &cluster->inventory;
	struct reservation *reservation;

	if (node->inventory.is_removed) {
		err_set(err, ERR_UNAVAILABLE, "node %s has left the cluster",
			node_view(node)->name);
		return NULL;
	}
	if (check_want(want, err) < 0)
		return NULL;
	reservation = reservation_new(inventory, node, want, err);
	if (!reservation)
		return NULL;
	show(reservation);
	if (!reservation->view->swarm_id[0])
		return reservation;
	index_insert(&inventory->reservation_swarm_ids, &reservation->by_swarm_id,
		reservation->view->swarm_id, node->inventory.seq, reservation);
	cover_by_known(reservation);
	return reservation;
}

struct reservation *cluster_reserve_name(struct cluster *cluster, const char *name, struct err *err)
{
	/* The engine drops a leading slash too. */
	struct container_view want = {.id = "",
		.swarm_id = "",
		.name = name[0] == '/' ? name + 1 : name,
		.image = "",
		.image_id = ""};

	return reservation_new(&cluster->inventory, NULL, &want, err);
}

void reservations_tick(struct inventory *inventory, uint64_t now)
{
	struct reservation *reservation;

	while (inventory->reservations && inventory->reservations->deadline <= now)
		end(inventory->reservations);
	DL_FOREACH (inventory->reservations, reservation) {
		if (reservation->is_left)
			outcome_tick(&reservation->outcome, inventory, now);
	}
}

void reservations_node_down(struct node *node)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct reservation *reservation;

	DL_FOREACH (inventory->reservations, reservation) {
		if (reservation->is_left && reservation->left_on == node)
			outcome_settle(&reservation->outcome, inventory);
	}
}

void reservations_listed(struct node *node, uint64_t asked_at)
{
	struct reservation *reservation, *next;

	DL_FOREACH_SAFE (node->cluster->inventory.reservations, reservation, next) {
		if (reservation->is_left && reservation->left_on == node &&
			outcome_is_told(&reservation->outcome, asked_at))
			end(reservation);
	}
}

void reservations_drop_node(struct node *node)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct reservation *reservation, *next;

	DL_FOREACH_SAFE (inventory->reservations, reservation, next) {
		if (reservation->node == node || reservation->left_on == node)
			end(reservation);
	}
	DL_FOREACH (inventory->ended_reservations, reservation) {
		if (reservation->node == node)
			reservation->node = NULL;
	}
}

void reservations_detach_all(struct inventory *inventory)
{
	struct reservation *reservation, *next;

	while (inventory->reservations)
		end(inventory->reservations);
	DL_FOREACH_SAFE (inventory->ended_reservations, reservation, next) {
		DL_DELETE(inventory->ended_reservations, reservation);
		reservation->inventory = NULL;
		reservation->node = NULL;
	}
}
