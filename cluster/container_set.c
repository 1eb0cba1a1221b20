/* Sets of containers that the indexes know. */
#include "cluster/cursor.h"

#include "cluster/fleet_priv.h"
#include "cluster/inventory.h"
#include "cluster/record.h"
#include "lib/mem.h"

#include <string.h>

void container_set_add(struct container_set *set, struct container *container)
{
	if (set->len == set->cap) {
		set->cap = set->cap ? set->cap * 2 : 16;
		set->items = xreallocarray(set->items, set->cap, sizeof(struct container *));
	}
	set->items[set->len++] = container;
}

void container_set_free(struct container_set *set)
{
	free(set->items);
	*set = (struct container_set){.items = NULL};
}

/* All entries from the prefix on, or those of exactly this key. */
static bool add_range(
	struct container_set *set, const struct index *index, const char *key, bool is_whole)
{
	struct index_entry *entry = index_from(index, key, 0);

	while (entry &&
		(is_whole ? strcmp(entry->key, key) == 0 : str_has_prefix(entry->key, key))) {
		if (set->len == CONTAINER_SET_MAX)
			return false;
		container_set_add(set, entry->item);
		entry = index_next(entry);
	}
	return true;
}

bool container_set_add_ids(
	struct container_set *set, const struct cluster *cluster, const char *prefix)
{
	return add_range(set, &cluster->inventory.ids, prefix, false) &&
	       add_range(set, &cluster->inventory.swarm_ids, prefix, false);
}

bool container_set_add_names(
	struct container_set *set, const struct cluster *cluster, const char *prefix, bool is_whole)
{
	return add_range(set, &cluster->inventory.names, prefix, is_whole);
}

/* ---- Parts of names ---- */

struct name_hit {
	const char *name; /* in the text of its node */
	uint64_t node;
};

/* Adds the names with this part to *len hits; false when they would be more than max. */
static bool find_part(
	const struct node *node, const char *part, struct name_hit *hits, size_t *len, size_t max)
{
	const struct name_text *names = &node->inventory.names;
	size_t part_len = strlen(part);

	for (size_t from = 0; from < names->len;) {
		const char *at = memmem(names->text + from, names->len - from, part, part_len);
		const char *before;

		if (!at)
			break;
		if (*len == max)
			return false;
		before = memrchr(names->text, '\0', (size_t)(at - names->text));
		hits[(*len)++] = (struct name_hit){
			.name = before ? before + 1 : names->text, .node = node->inventory.seq};
		from = (size_t)(at - names->text) + strlen(at);
	}
	return true;
}

/* The containers of that name on that node: links of several may be called the same. */
static bool add_named(
	struct container_set *set, const struct index *index, const struct name_hit *hit)
{
	struct index_entry *entry = index_from(index, hit->name, hit->node);

	for (; entry && entry->order == hit->node && strcmp(entry->key, hit->name) == 0;
		entry = index_next(entry)) {
		if (set->len == CONTAINER_SET_MAX)
			return false;
		container_set_add(set, entry->item);
	}
	return true;
}

bool container_set_add_name_parts(
	struct container_set *set, const struct cluster *cluster, const char *part)
{
	const struct inventory *inventory = &cluster->inventory;
	size_t max = CONTAINER_SET_MAX - set->len, len = 0;
	struct name_hit *hits CLEANUP_FREE = xreallocarray(NULL, CONTAINER_SET_MAX, sizeof(*hits));

	/* First how many there are: to find one in the index takes as long as to search in hundreds
	 * of names, and would be for nothing. */
	for (size_t i = 0; i < inventory->nodes_len; i++) {
		const struct node *node = inventory->nodes[i];

		set->searched += node->inventory.names.len;
		if (set->searched > CONTAINER_SET_SEARCH_MAX ||
			node->inventory.names.left_out > 0 ||
			!find_part(node, part, hits, &len, max))
			return false;
	}
	for (size_t i = 0; i < len; i++) {
		if (!add_named(set, &inventory->names, &hits[i]))
			return false;
	}
	return true;
}

/* ---- Labels and nodes ---- */

static bool has_label(const struct container *container, const char *key, const char *value)
{
	const struct view_labels *labels = &container->view.labels;

	for (size_t i = 0; i < labels->len; i++) {
		if (strcmp(labels->items[i].key, key) == 0)
			return !value || strcmp(labels->items[i].value, value) == 0;
	}
	return false;
}

bool container_set_add_labelled(struct container_set *set, const struct cluster *cluster,
	const char *key, const char *value)
{
	size_t nodes_len, looks = 0, found = 0;
	const struct posting *nodes =
		fleet_container_label(cluster_fleet(cluster), key, value, &nodes_len);

	/* No index has the values of this one, but for that of the IDs. */
	if (strcmp(key, FLEET_SWARM_ID_LABEL) == 0)
		return false;
	for (size_t i = 0; i < nodes_len; i++) {
		const struct node *node = cluster_node_at(cluster, nodes[i].slot);

		found += nodes[i].count;
		looks += node->inventory.containers_len;
		if (set->len + found > CONTAINER_SET_MAX || looks > CONTAINER_SET_LOOKS_MAX)
			return false;
	}
	for (size_t i = 0; i < nodes_len; i++) {
		size_t len;
		struct container *const *all =
			node_containers(cluster_node_at(cluster, nodes[i].slot), &len);

		for (size_t k = 0; k < len; k++) {
			if (has_label(all[k], key, value))
				container_set_add(set, all[k]);
		}
	}
	return true;
}

bool container_set_add_node(
	struct container_set *set, const struct cluster *cluster, const char *node)
{
	const struct inventory *inventory = &cluster->inventory;
	const struct index *const nodes[] = {
		&inventory->node_names, &inventory->node_ids, &inventory->node_addrs};

	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		struct index_entry *entry = index_first(nodes[i], node);

		for (; entry; entry = index_next_same(entry)) {
			size_t len;
			struct container *const *all = node_containers(entry->item, &len);

			if (set->len + len > CONTAINER_SET_MAX)
				return false;
			for (size_t k = 0; k < len; k++)
				container_set_add(set, all[k]);
		}
	}
	return true;
}
