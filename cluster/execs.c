/* Exec instances: an ID, and the container that it runs in. */
#include "cluster/record.h"

#include "lib/hash.h"
#include "lib/mem.h"

#include <string.h>
#include <utlist.h>

#define EXEC_ID_MAX 128

struct exec {
	UT_hash_handle hh;
	struct container_record *record;
	struct exec *older, *newer;                   /* of all: execs.first */
	struct exec *prev_of_record, *next_of_record; /* of record->execs */
	char id[];
};

struct execs {
	struct exec *by_id;
	struct exec *first; /* oldest first */
	size_t len;
};

static void drop(struct execs *execs, struct exec *exec)
{
	DL_DELETE2(exec->record->execs, exec, prev_of_record, next_of_record);
	DL_DELETE2(execs->first, exec, older, newer);
	HASH_DEL(execs->by_id, exec);
	execs->len--;
	free(exec);
}

static struct exec *find(const struct execs *execs, const char *id)
{
	struct exec *exec = NULL;

	if (execs)
		HASH_FIND(hh, execs->by_id, id, strlen(id), exec);
	return exec;
}

void cluster_exec_add(
	struct cluster *cluster, const char *exec_id, const struct container *container)
{
	/* The record may have been replaced since the caller got it. */
	struct container *current = inventory_container_get(container->node, container->view.id);
	size_t len = strlen(exec_id);
	struct exec *exec;
	struct execs *execs;

	if (!current || len == 0 || len > EXEC_ID_MAX)
		return;
	if (!cluster->inventory.execs)
		cluster->inventory.execs = xcalloc(1, sizeof(*execs));
	execs = cluster->inventory.execs;
	exec = find(execs, exec_id);
	if (exec)
		drop(execs, exec);
	if (execs->len == EXECS_MAX)
		drop(execs, execs->first);
	exec = xcalloc(1, sizeof(*exec) + len + 1);
	memcpy(exec->id, exec_id, len);
	exec->record = container_record(current);
	HASH_ADD_KEYPTR(hh, execs->by_id, exec->id, len, exec);
	DL_APPEND2(execs->first, exec, older, newer);
	DL_APPEND2(exec->record->execs, exec, prev_of_record, next_of_record);
	execs->len++;
}

struct node *cluster_exec_find(const struct cluster *cluster, const char *exec_id, struct err *err)
{
	struct exec *exec = find(cluster->inventory.execs, exec_id);

	if (!exec) {
		err_set(err, ERR_NOT_FOUND, "No such exec instance: %s", exec_id);
		return NULL;
	}
	return exec->record->container.node;
}

void execs_move(struct container_record *from, struct container_record *to)
{
	struct exec *exec;

	to->execs = from->execs;
	from->execs = NULL;
	DL_FOREACH2(to->execs, exec, next_of_record)
	exec->record = to;
}

void execs_drop(struct container_record *record)
{
	while (record->execs)
		drop(record->container.node->cluster->inventory.execs, record->execs);
}

void execs_free(struct inventory *inventory)
{
	while (inventory->execs && inventory->execs->first)
		drop(inventory->execs, inventory->execs->first);
	free(inventory->execs);
	inventory->execs = NULL;
}
