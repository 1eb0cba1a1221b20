/* Which nodes have a network or a volume that is not everywhere. */
#include "cluster/record.h"

#include "lib/mem.h"

#include <string.h>

#define SHORT_ID 12
/* Shorter ones would be a walk over all networks. */
#define PREFIX_MIN 3

struct places {
	struct node **nodes;
	size_t len, cap;
	bool is_everywhere; /* there is one that is not local */
};

/* Where something is local, that is what is meant there: no claim of another node, that it has it
 * for all, takes what is for it. */
static void places_add(struct places *places, struct node *node, bool is_shared)
{
	places->is_everywhere |= is_shared;
	if (is_shared)
		return;
	if (places->len == places->cap) {
		places->cap = places->cap ? places->cap * 2 : 4;
		places->nodes = xreallocarray(places->nodes, places->cap, sizeof(*places->nodes));
	}
	places->nodes[places->len++] = node;
}

static int by_coming(const void *left, const void *right)
{
	const struct node *const *a = left, *const *b = right;
	uint64_t x = (*a)->inventory.seq, y = (*b)->inventory.seq;

	return x < y ? -1 : x > y;
}

/* Each node once, in the order of their coming. */
static struct node **places_take(struct places *places, size_t *len)
{
	*len = 0;
	if (places->len > 1)
		qsort(places->nodes, places->len, sizeof(*places->nodes), by_coming);
	for (size_t i = 0; i < places->len; i++) {
		if (*len == 0 || places->nodes[*len - 1] != places->nodes[i])
			places->nodes[(*len)++] = places->nodes[i];
	}
	return places->nodes;
}

static void promised(struct places *places, const struct index *index, const char *name)
{
	struct index_entry *entry = index_first(index, name);

	for (; entry; entry = index_next_same(entry))
		places_add(places, promise_node(entry->item), false);
}

static bool is_unknown(const struct places *places)
{
	return places->len == 0 && !places->is_everywhere;
}

/* ---- Networks ---- */

static void networks_exact(struct places *places, const struct index *index, const char *key)
{
	struct index_entry *entry = index_first(index, key);

	for (; entry; entry = index_next_same(entry)) {
		const struct network *network = entry->item;

		places_add(places, network->node, network_is_shared(network));
	}
}

static void networks_short(struct places *places, const struct index *index, const char *prefix)
{
	struct index_entry *entry = index_from(index, prefix, 0);

	for (; entry && str_has_prefix(entry->key, prefix); entry = index_next(entry)) {
		const struct network *network = entry->item;

		places_add(places, network->node, network_is_shared(network));
	}
}

struct node **cluster_network_nodes(const struct cluster *cluster, const char *key, size_t *len)
{
	const struct inventory *inventory = &cluster->inventory;
	struct places places = {.len = 0};

	networks_exact(&places, &inventory->network_ids, key);
	if (is_unknown(&places)) {
		networks_exact(&places, &inventory->network_names, key);
		promised(&places, &inventory->promised_networks, key);
	}
	if (is_unknown(&places) && strlen(key) == SHORT_ID)
		networks_short(&places, &inventory->network_ids, key);
	return places_take(&places, len);
}

bool cluster_network_is_taken(
	const struct cluster *cluster, const char *name, const struct node *node)
{
	const struct inventory *inventory = &cluster->inventory;
	const struct index *const indexes[] = {
		&inventory->network_names, &inventory->promised_networks};

	for (size_t i = 0; i < ARRAY_LEN(indexes); i++) {
		uint64_t seq = node ? node->inventory.seq : 0;
		const struct index_entry *entry = index_from(indexes[i], name, seq);

		if (entry && strcmp(entry->key, name) == 0 && (!node || entry->order == seq))
			return true;
	}
	return false;
}

/* What has exactly this key on the node. */
static void *on_exact(const struct index *index, const struct node *node, const char *key)
{
	struct index_entry *entry = index_from(index, key, node->inventory.seq);

	if (!entry || strcmp(entry->key, key) != 0 || entry->order != node->inventory.seq)
		return NULL;
	return entry->item;
}

/* NULL when several begin with it. */
static struct network *on_by_prefix(
	const struct index *index, const struct node *node, const char *prefix)
{
	struct index_entry *entry = index_from(index, prefix, 0);
	struct network *found = NULL;

	for (; entry && str_has_prefix(entry->key, prefix); entry = index_next(entry)) {
		if (entry->order != node->inventory.seq)
			continue;
		if (found)
			return NULL;
		found = entry->item;
	}
	return found;
}

struct network *cluster_network_on(const struct node *node, const char *key)
{
	const struct inventory *inventory = &node->cluster->inventory;
	struct network *network = on_exact(&inventory->network_ids, node, key);

	if (!network)
		network = on_exact(&inventory->network_names, node, key);
	if (!network && strlen(key) >= PREFIX_MIN)
		network = on_by_prefix(&inventory->network_ids, node, key);
	return network;
}

/* ---- Volumes ---- */

struct node **cluster_volume_nodes(const struct cluster *cluster, const char *name, size_t *len)
{
	const struct inventory *inventory = &cluster->inventory;
	struct index_entry *entry = index_first(&inventory->volume_names, name);
	struct places places = {.len = 0};

	for (; entry; entry = index_next_same(entry)) {
		const struct volume *volume = entry->item;

		places_add(&places, volume->node, volume_is_shared(volume));
	}
	promised(&places, &inventory->promised_volumes, name);
	return places_take(&places, len);
}

struct volume *cluster_volume_on(const struct node *node, const char *name)
{
	return on_exact(&node->cluster->inventory.volume_names, node, name);
}
