/* Which container, network or volume a key means. */
#include "cluster/record.h"

#include "lib/buf.h"
#include "lib/mem.h"

#include <stdio.h>
#include <string.h>

#define SHORT_ID 12
#define FULL_ID 64
/* As many are named to the user. */
#define CANDIDATES_MAX 10

/* What a key may mean so far. One more than is shown, to tell that there are more. */
struct candidates {
	void *items[CANDIDATES_MAX + 1];
	size_t len;
};

static bool is_full(const struct candidates *found)
{
	return found->len == ARRAY_LEN(found->items);
}

static void add(struct candidates *found, void *item)
{
	for (size_t i = 0; i < found->len; i++) {
		if (found->items[i] == item)
			return;
	}
	if (!is_full(found))
		found->items[found->len++] = item;
}

static void add_exact(struct candidates *found, const struct index *index, const char *key)
{
	struct index_entry *entry = index_first(index, key);

	for (; entry && !is_full(found); entry = index_next_same(entry))
		add(found, entry->item);
}

static void add_prefix(struct candidates *found, const struct index *index, const char *prefix)
{
	struct index_entry *entry = index_from(index, prefix, 0);

	for (; entry && !is_full(found) && str_has_prefix(entry->key, prefix);
		entry = index_next(entry))
		add(found, entry->item);
}

static void add_of_node(struct candidates *found, const struct index *index, const char *key,
	const struct node *node)
{
	struct index_entry *entry = index_from(index, key, node->inventory.seq);

	for (; entry && !is_full(found) && entry->order == node->inventory.seq &&
		strcmp(entry->key, key) == 0;
		entry = index_next(entry))
		add(found, entry->item);
}

/* "node/name": of all nodes that the first part means, what bears the name there. */
static void add_qualified(struct candidates *found, const struct inventory *inventory,
	const struct index *index, const char *key)
{
	const char *slash = strchr(key, '/');
	const struct index *const nodes[] = {&inventory->node_names, &inventory->node_engine_ids,
		&inventory->node_ids, &inventory->node_addrs};
	CLEANUP_FREE char *node = NULL;

	if (!slash || slash == key || !slash[1])
		return;
	node = xstrndup(key, (size_t)(slash - key));
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		struct index_entry *entry = index_first(nodes[i], node);

		for (; entry && !is_full(found); entry = index_next_same(entry))
			add_of_node(found, index, slash + 1, entry->item);
	}
}

static void describe(struct buf *text, const struct node *node, const char *name, const char *id)
{
	const struct node_view *view = node_view(node);

	/* Cloned machines can share their name, and pending ones have none. */
	if (cluster_node_find(node->cluster, view->name) == node)
		buf_append_str(text, view->name);
	else
		buf_append_str(text, view->addr);
	buf_printf(text, "/%.64s", name);
	if (id[0])
		buf_printf(text, " (%.12s)", id);
}

typedef void describe_fn(struct buf *text, const void *item);

static void ambiguous(struct err *err, const char *kind, const char *key,
	const struct candidates *found, describe_fn *describe_item)
{
	CLEANUP_BUF struct buf text;
	size_t shown = found->len < CANDIDATES_MAX ? found->len : CANDIDATES_MAX;

	buf_init(&text, 8192);
	for (size_t i = 0; i < shown; i++) {
		buf_append_str(&text, i ? ", " : "");
		describe_item(&text, found->items[i]);
	}
	err_set(err, ERR_INVALID, "%s %.256s is ambiguous: it may be %s%s", kind, key,
		buf_str(&text), found->len > shown ? ", and others" : "");
}

/* ---- Containers ---- */

static void describe_container(struct buf *text, const void *item)
{
	const struct container *container = item;

	describe(text, container->node, container->view.name, container->view.id);
}

static void container_by_id(
	struct candidates *found, const struct index *index, const char *key, size_t len)
{
	if (len == FULL_ID)
		add_exact(found, index, key);
	else if (len == SHORT_ID)
		add_prefix(found, index, key);
}

static void container_candidates(
	const struct inventory *inventory, const char *key, struct candidates *found)
{
	const char *name = key[0] == '/' ? key + 1 : key;
	size_t len = strlen(key);
	bool is_hex = len > 0 && len <= FULL_ID && str_is_hex(key, len);

	if (is_hex)
		container_by_id(found, &inventory->ids, key, len);
	if (is_hex && found->len == 0)
		container_by_id(found, &inventory->swarm_ids, key, len);
	if (found->len == 0 && !strchr(name, '/'))
		add_exact(found, &inventory->names, name);
	if (found->len == 0)
		add_qualified(found, inventory, &inventory->names, name);
	/* "other/alias": the name that a link gives. */
	if (found->len == 0)
		add_exact(found, &inventory->names, name);
	if (is_hex && found->len == 0) {
		add_prefix(found, &inventory->ids, key);
		add_prefix(found, &inventory->swarm_ids, key);
	}
}

struct container *cluster_container_find(
	const struct cluster *cluster, const char *key, struct err *err)
{
	struct candidates found = {.len = 0};

	container_candidates(&cluster->inventory, key, &found);
	if (found.len == 1)
		return found.items[0];
	if (found.len == 0)
		err_set(err, ERR_NOT_FOUND, "No such container: %s", key);
	else
		ambiguous(err, "container", key, &found, describe_container);
	return NULL;
}

/* ---- Networks ---- */

static void describe_network(struct buf *text, const void *item)
{
	const struct network *network = item;

	describe(text, network->node, network->name, network->id);
}

static bool is_better(const struct node *node, const struct node *than)
{
	return node_view(node)->is_healthy && !node_view(than)->is_healthy;
}

/* What spans nodes is told by each of them, and alike. Local ones that share an ID are different
 * ones, as is what a node claims against others. */
static bool is_one_network(const struct network *a, const struct network *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->driver, b->driver) == 0 &&
	       network_is_shared(a) && network_is_shared(b);
}

/* Of one network one stays, on a healthy node if there is one. */
static void add_network(struct candidates *found, struct network *network)
{
	for (size_t i = 0; i < found->len; i++) {
		struct network *other = found->items[i];

		if (!is_one_network(other, network))
			continue;
		if (is_better(network->node, other->node))
			found->items[i] = network;
		return;
	}
	add(found, network);
}

static void networks_by_id(struct candidates *found, const struct index *ids, const char *prefix)
{
	struct index_entry *entry = index_from(ids, prefix, 0);

	for (; entry && !is_full(found) && str_has_prefix(entry->key, prefix);
		entry = index_next(entry))
		add_network(found, entry->item);
}

static void networks_by_exact(struct candidates *found, const struct index *index, const char *key)
{
	struct index_entry *entry = index_first(index, key);

	for (; entry && !is_full(found); entry = index_next_same(entry))
		add_network(found, entry->item);
}

static void network_candidates(
	const struct inventory *inventory, const char *key, struct candidates *found)
{
	const char *name = key[0] == '/' ? key + 1 : key;

	networks_by_exact(found, &inventory->network_ids, key);
	if (found->len == 0 && strlen(key) == SHORT_ID)
		networks_by_id(found, &inventory->network_ids, key);
	if (found->len == 0)
		networks_by_exact(found, &inventory->network_names, name);
	if (found->len == 0) {
		struct candidates qualified = {.len = 0};

		add_qualified(&qualified, inventory, &inventory->network_names, name);
		for (size_t i = 0; i < qualified.len; i++)
			add_network(found, qualified.items[i]);
	}
	if (found->len == 0 && key[0])
		networks_by_id(found, &inventory->network_ids, key);
}

struct network *cluster_network_find(
	const struct cluster *cluster, const char *key, struct err *err)
{
	struct candidates found = {.len = 0};

	network_candidates(&cluster->inventory, key, &found);
	if (found.len == 1)
		return found.items[0];
	if (found.len == 0)
		err_set(err, ERR_NOT_FOUND, "network %s not found", key);
	else if (index_first(&cluster->inventory.network_ids, key))
		err_set(err, ERR_INVALID,
			"network %.64s is ambiguous: %zu nodes say that they have it; name it as "
			"node/name",
			key, found.len);
	else
		ambiguous(err, "network", key, &found, describe_network);
	return NULL;
}

/* ---- Volumes ---- */

static void describe_volume(struct buf *text, const void *item)
{
	const struct volume *volume = item;

	describe(text, volume->node, volume->name, "");
}

/* Volumes of one name and driver that are not local are one volume, told by several nodes. */
static void add_volume(struct candidates *found, struct volume *volume)
{
	for (size_t i = 0; i < found->len && volume_is_shared(volume); i++) {
		struct volume *other = found->items[i];

		if (!volume_is_shared(other) || strcmp(other->driver, volume->driver) != 0)
			continue;
		if (is_better(volume->node, other->node))
			found->items[i] = volume;
		return;
	}
	add(found, volume);
}

static void volumes_named(struct candidates *found, const struct inventory *inventory,
	const char *name, bool is_shared)
{
	struct index_entry *entry = index_first(&inventory->volume_names, name);

	for (; entry && !is_full(found); entry = index_next_same(entry)) {
		if (volume_is_shared(entry->item) == is_shared)
			add_volume(found, entry->item);
	}
}

struct volume *cluster_volume_find(const struct cluster *cluster, const char *key, struct err *err)
{
	const struct inventory *inventory = &cluster->inventory;
	struct candidates found = {.len = 0};

	/* What a node says that all can reach takes no place of what another has itself. */
	volumes_named(&found, inventory, key, false);
	if (found.len == 0)
		volumes_named(&found, inventory, key, true);
	if (found.len == 0)
		add_qualified(&found, inventory, &inventory->volume_names, key);
	if (found.len == 1)
		return found.items[0];
	if (found.len == 0)
		err_set(err, ERR_NOT_FOUND, "get %s: no such volume", key);
	else
		ambiguous(err, "volume", key, &found, describe_volume);
	return NULL;
}
