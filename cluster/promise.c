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

void promises_drop_node(struct node *node)
{
	struct promise *promise;

	DL_FOREACH (node->cluster->inventory.promises, promise) {
		if (promise->node == node)
			hide(promise);
	}
}

void promises_detach_all(struct inventory *inventory)
{
	while (inventory->promises)
		detach(inventory->promises);
}
