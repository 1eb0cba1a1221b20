/* Promises: the names of networks and volumes that engines are being asked to make. Until the
 * record is here, who looks for the name, or for the project that it is of, finds the promise. */
#include "cluster/record.h"

#include "lib/mem.h"

#include <string.h>
#include <utlist.h>

#define PROMISES_MAX 65536

struct promise {
	struct inventory *inventory; /* NULL when the cluster has gone */
	struct node *node;           /* referenced; NULL with inventory */
	enum promise_kind kind;
	char *name, *project;
	bool is_left; /* nobody's, until the node has told what became of it */
	struct outcome outcome;
	uint64_t deadline; /* of one that is left */
	struct index_entry by_name, by_project;
	struct promise *prev, *next; /* of inventory.promises */
};

static struct index *names_of(struct inventory *inventory, enum promise_kind kind)
{
	return kind == PROMISE_NETWORK ? &inventory->promised_networks
				       : &inventory->promised_volumes;
}

struct promise *cluster_promise(struct cluster *cluster, enum promise_kind kind, struct node *node,
	const char *name, const char *project, struct err *err)
{
	struct inventory *inventory = &cluster->inventory;
	uint64_t seq = node->inventory.seq;
	struct promise *promise;

	if (inventory->promises_len >= PROMISES_MAX) {
		err_set(err, ERR_UNAVAILABLE, "too many requests are in progress");
		return NULL;
	}
	promise = xcalloc(1, sizeof(*promise));
	promise->inventory = inventory;
	promise->node = node;
	promise->kind = kind;
	promise->name = xstrdup(name);
	promise->project = xstrdup(project);
	node_ref(node);
	DL_APPEND(inventory->promises, promise);
	inventory->promises_len++;
	index_insert(names_of(inventory, kind), &promise->by_name, promise->name, seq, promise);
	if (project[0])
		index_insert(&inventory->projects[PROJECT_PROMISED], &promise->by_project,
			promise->project, seq, promise);
	return promise;
}

struct node *promise_node(const struct promise *promise)
{
	return promise->node;
}

/* Nobody finds it any more. */
static void hide(struct promise *promise)
{
	struct inventory *inventory = promise->inventory;

	index_remove(names_of(inventory, promise->kind), &promise->by_name);
	index_remove(&inventory->projects[PROJECT_PROMISED], &promise->by_project);
}

static void detach(struct promise *promise)
{
	if (!promise->inventory)
		return;
	hide(promise);
	DL_DELETE(promise->inventory->promises, promise);
	promise->inventory->promises_len--;
	promise->inventory = NULL;
	node_unref(TAKE_PTR(promise->node));
}

void promise_free(struct promise *promise)
{
	if (!promise)
		return;
	detach(promise);
	free(promise->name);
	free(promise->project);
	free(promise);
}

void promise_leave(struct promise *promise)
{
	struct inventory *inventory = promise->inventory;

	if (!inventory || promise->node->inventory.is_removed) {
		promise_free(promise);
		return;
	}
	promise->is_left = true;
	promise->deadline = inventory->env->now_ms(inventory->env) + RESERVATION_TTL_MS;
	outcome_init(&promise->outcome, promise->node);
}

void promises_tick(struct inventory *inventory, uint64_t now)
{
	struct promise *promise, *next;

	DL_FOREACH_SAFE (inventory->promises, promise, next) {
		if (!promise->is_left)
			continue;
		outcome_tick(&promise->outcome, inventory, now);
		if (promise->deadline <= now)
			promise_free(promise);
	}
}

void promises_node_down(struct node *node)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct promise *promise;

	DL_FOREACH (inventory->promises, promise) {
		if (promise->is_left && promise->node == node)
			outcome_settle(&promise->outcome, inventory);
	}
}

static bool is_made(const struct promise *promise)
{
	if (promise->kind == PROMISE_NETWORK)
		return cluster_network_on(promise->node, promise->name) != NULL;
	return cluster_volume_on(promise->node, promise->name) != NULL;
}

void promises_listed(struct node *node, enum promise_kind kind, uint64_t asked_at)
{
	struct promise *promise, *next;

	DL_FOREACH_SAFE (node->cluster->inventory.promises, promise, next) {
		if (promise->is_left && promise->node == node && promise->kind == kind &&
			(is_made(promise) || outcome_is_told(&promise->outcome, asked_at)))
			promise_free(promise);
	}
}

void promises_drop_node(struct node *node)
{
	struct promise *promise, *next;

	DL_FOREACH_SAFE (node->cluster->inventory.promises, promise, next) {
		if (promise->node != node)
			continue;
		hide(promise);
		if (promise->is_left)
			promise_free(promise);
	}
}

void promises_detach_all(struct inventory *inventory)
{
	while (inventory->promises) {
		struct promise *promise = inventory->promises;

		detach(promise);
		if (promise->is_left)
			promise_free(promise);
	}
}
