/* Where a project is. What Compose makes for one project needs each other: on engines whose
 * networks and volumes are local, all of it has to be on one node. */
#include "cluster/record.h"

#include "lib/mem.h"

#include <string.h>

/* Entries of one index that are looked at: one healthy node is wanted, not all that there are. */
#define LOOK_MAX 64

/* ---- The label ---- */

const char *project_of_entry(struct json_ref entry)
{
	const char *project = NULL;

	for (struct json_walk w = json_walk(json_ref_obj(entry, "Labels")); json_walk_next(&w);) {
		if (strcmp(w.key, PROJECT_LABEL) == 0)
			project = json_ref_text(w.value);
	}
	return project ? project : "";
}

void project_enter(struct inventory *inventory, enum project_kind kind, struct index_entry *entry,
	const char *project, const struct node *node, void *item)
{
	if (project[0])
		index_insert(&inventory->projects[kind], entry, project, node->inventory.seq, item);
}

/* ---- The node of an entry; NULL when it says nothing about where the project is ---- */

static struct node *of_promise(const struct index_entry *entry)
{
	return promise_node(entry->item);
}

static struct node *of_network(const struct index_entry *entry)
{
	const struct network *network = entry->item;

	return strcmp(network->scope, "local") == 0 ? network->node : NULL;
}

static struct node *of_volume(const struct index_entry *entry)
{
	const struct volume *volume = entry->item;

	return strcmp(volume->scope, "local") == 0 ? volume->node : NULL;
}

static struct node *of_container(const struct index_entry *entry)
{
	const struct container *container = entry->item;

	return container->node;
}

static struct node *of_image(const struct index_entry *entry)
{
	const struct image *image = entry->item;

	return image->node;
}

typedef struct node *node_of_fn(const struct index_entry *entry);

/* ---- The search ---- */

static struct node *by_label(const struct index *index, const char *project, node_of_fn *node_of)
{
	struct index_entry *entry = index_first(index, project);

	for (int i = 0; entry && i < LOOK_MAX; i++, entry = index_next_same(entry)) {
		struct node *node = node_of(entry);

		if (node && node_view(node)->is_healthy)
			return node;
	}
	return NULL;
}

/* Where containers, or reservations of them, have the label. */
static struct node *by_container_label(const struct cluster *cluster, const char *project)
{
	size_t len;
	const struct posting *nodes =
		fleet_container_label(cluster_fleet(cluster), PROJECT_LABEL, project, &len);

	for (size_t i = 0; i < len && i < LOOK_MAX; i++) {
		struct node *node = cluster_node_at(cluster, nodes[i].slot);

		if (node_view(node)->is_healthy)
			return node;
	}
	return NULL;
}

/* is_single: a name that several nodes have says nothing. */
static struct node *by_prefix(
	const struct index *index, const char *prefix, node_of_fn *node_of, bool is_single)
{
	struct index_entry *entry = index_from(index, prefix, 0);
	const char *before = "";

	for (int i = 0; entry && i < LOOK_MAX && str_has_prefix(entry->key, prefix);
		i++, before = entry->key, entry = index_next(entry)) {
		struct node *node = node_of(entry);

		if (!node || !node_view(node)->is_healthy)
			continue;
		if (!is_single || (strcmp(before, entry->key) != 0 && !index_next_same(entry)))
			return node;
	}
	return NULL;
}

static struct node *by_name(
	const struct index *index, const char *project, node_of_fn *node_of, bool is_single)
{
	static const char *const separators[] = {"_", "-"};

	for (size_t i = 0; i < ARRAY_LEN(separators); i++) {
		CLEANUP_FREE char *prefix = xasprintf("%s%s", project, separators[i]);
		struct node *node = by_prefix(index, prefix, node_of, is_single);

		if (node)
			return node;
	}
	return NULL;
}

struct node *cluster_project_home(const struct cluster *cluster, const char *project)
{
	const struct inventory *inventory = &cluster->inventory;
	const struct {
		node_of_fn *node_of;
		const struct index *names;
	} kinds[PROJECT_KINDS] = {
		[PROJECT_PROMISED] = {of_promise, NULL},
		[PROJECT_NETWORKS] = {of_network, &inventory->network_names},
		[PROJECT_VOLUMES] = {of_volume, &inventory->volume_names},
		[PROJECT_CONTAINERS] = {of_container, &inventory->names},
		[PROJECT_IMAGES] = {of_image, &inventory->image_names},
	};

	if (!project[0])
		return NULL;
	for (int kind = 0; kind < PROJECT_KINDS; kind++) {
		struct node *node = kind == PROJECT_CONTAINERS
					    ? by_container_label(cluster, project)
					    : by_label(&inventory->projects[kind], project,
						      kinds[kind].node_of);

		if (!node && kinds[kind].names)
			node = by_name(kinds[kind].names, project, kinds[kind].node_of,
				kind == PROJECT_IMAGES);
		if (node)
			return node;
	}
	return NULL;
}
