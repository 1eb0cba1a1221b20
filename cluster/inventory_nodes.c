/* Nodes: who they are, in which order, and how they are found. */
#include "cluster/record.h"

#include "lib/mem.h"

#include <string.h>

/* No engine has more; keeps sums over all nodes within 64 bits. */
#define NODE_NANO_CPUS_MAX ((int64_t)1 << 48)
#define NODE_MEMORY_MAX ((int64_t)1 << 48)
#define NCPU_MAX 16384
#define NODE_LABELS_MAX 1024

static const char name_unknown[] = "(unknown)";

/* ---- The order ---- */

static int node_cmp(const struct node *a, const struct node *b)
{
	int cmp = str_natural_cmp(a->inventory.view.name, b->inventory.view.name);

	if (cmp == 0)
		cmp = str_natural_cmp(a->inventory.view.addr, b->inventory.view.addr);
	if (cmp == 0)
		cmp = a->inventory.seq < b->inventory.seq ? -1 : 1;
	return cmp;
}

static void order_insert(struct inventory *inventory, struct node *node)
{
	size_t low = 0, high = inventory->nodes_len;

	if (inventory->nodes_len == inventory->nodes_cap) {
		inventory->nodes_cap = inventory->nodes_cap ? inventory->nodes_cap * 2 : 16;
		inventory->nodes = xreallocarray(
			inventory->nodes, inventory->nodes_cap, sizeof(struct node *));
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (node_cmp(inventory->nodes[middle], node) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	memmove(&inventory->nodes[low + 1], &inventory->nodes[low],
		(inventory->nodes_len - low) * sizeof(struct node *));
	inventory->nodes[low] = node;
	fleet_order_insert(&inventory->fleet, node, low, inventory->nodes_len);
	inventory->nodes_len++;
}

static void order_remove(struct inventory *inventory, const struct node *node)
{
	for (size_t i = 0; i < inventory->nodes_len; i++) {
		if (inventory->nodes[i] != node)
			continue;
		fleet_order_remove(&inventory->fleet, i, inventory->nodes_len);
		inventory->nodes_len--;
		memmove(&inventory->nodes[i], &inventory->nodes[i + 1],
			(inventory->nodes_len - i) * sizeof(struct node *));
		return;
	}
}

struct node *const *cluster_nodes(const struct cluster *cluster, size_t *len)
{
	*len = cluster->inventory.nodes_len;
	return cluster->inventory.nodes;
}

/* ---- Lookup ---- */

static struct node *find_unique(const struct index *index, const char *key)
{
	struct index_entry *entry = index_first(index, key);

	return entry && !index_next_same(entry) ? entry->item : NULL;
}

struct node *cluster_node_find(const struct cluster *cluster, const char *name)
{
	const struct inventory *inventory = &cluster->inventory;
	const struct index *const indexes[] = {&inventory->node_names, &inventory->node_ids,
		&inventory->node_engine_ids, &inventory->node_addrs};

	for (size_t i = 0; i < ARRAY_LEN(indexes); i++) {
		if (index_first(indexes[i], name))
			return find_unique(indexes[i], name);
	}
	return NULL;
}

static void index_node(struct inventory *inventory, struct node *node)
{
	struct node_inventory *own = &node->inventory;

	/* A pending node has no name and no engine ID yet that could be meant. */
	if (strcmp(own->view.name, name_unknown) != 0)
		index_insert(&inventory->node_names, &own->by_name, own->view.name, own->seq, node);
	if (own->view.engine_id[0])
		index_insert(&inventory->node_engine_ids, &own->by_engine_id, own->view.engine_id,
			own->seq, node);
	index_insert(&inventory->node_ids, &own->by_id, own->view.id, own->seq, node);
	index_insert(&inventory->node_addrs, &own->by_addr, own->view.addr, own->seq, node);
}

static void unindex_node(struct inventory *inventory, struct node *node)
{
	struct node_inventory *own = &node->inventory;

	index_remove(&inventory->node_names, &own->by_name);
	index_remove(&inventory->node_engine_ids, &own->by_engine_id);
	index_remove(&inventory->node_ids, &own->by_id);
	index_remove(&inventory->node_addrs, &own->by_addr);
}

/* ---- Life ---- */

static void free_const(const char *text)
{
	free((char *)(uintptr_t)text);
}

static void free_labels(struct node *node)
{
	struct node_inventory *own = &node->inventory;

	for (size_t i = 0; i < own->view.labels.len; i++) {
		free_const(own->labels[i].key);
		free_const(own->labels[i].value);
	}
	free(own->labels);
	own->labels = NULL;
	own->view.labels = (struct view_labels){.items = NULL};
}

void node_ref(struct node *node)
{
	node->refs++;
}

void node_unref(struct node *node)
{
	struct node_inventory *own = &node->inventory;

	if (--node->refs > 0)
		return;
	free_labels(node);
	free_const(own->view.id);
	free_const(own->view.engine_id);
	free_const(own->view.name);
	free_const(own->view.addr);
	free(own->ip);
	free(own->containers);
	free(own->views);
	free(own->view_places);
	free(node);
}

/* An engine that is reached by a socket is on this machine. */
static char *host_of(const char *addr)
{
	if (str_has_prefix(addr, "unix:"))
		return xstrdup("127.0.0.1");

	const char *colon = strrchr(addr, ':');
	size_t len = colon ? (size_t)(colon - addr) : strlen(addr);

	if (len >= 2 && addr[0] == '[' && addr[len - 1] == ']')
		return xstrndup(addr + 1, len - 2);
	return xstrndup(addr, len);
}

struct node *inventory_node_new(struct cluster *cluster, const char *addr)
{
	struct inventory *inventory = &cluster->inventory;
	struct node *node = xcalloc(1, sizeof(*node));
	struct node_inventory *own = &node->inventory;

	node->cluster = cluster;
	node->refs = 1;
	own->seq = ++inventory->node_seq;
	own->view.engine_id = xstrdup("");
	own->view.name = xstrdup(name_unknown);
	own->view.addr = xstrdup(addr);
	own->view.id = xasprintf("|%s", addr);
	own->ip = host_of(addr);
	fleet_node_enter(&inventory->fleet, node);
	index_node(inventory, node);
	order_insert(inventory, node);
	inventory->totals.nodes++;
	return node;
}

void inventory_node_remove(struct node *node)
{
	struct inventory *inventory = &node->cluster->inventory;

	inventory_node_set_health(node, false);
	reservations_drop_node(node);
	promises_drop_node(node);
	containers_drop_node(node);
	node_parts_drop_node(node);
	fleet_labels_take(&inventory->fleet, node);
	unindex_node(inventory, node);
	order_remove(inventory, node);
	fleet_node_leave(&inventory->fleet, node);
	inventory->totals.nodes--;
	node->inventory.is_removed = true;
	node->inventory.next_grave = inventory->node_graves;
	inventory->node_graves = node;
}

/* ---- Identity and health ---- */

static int label_cmp(const void *left, const void *right)
{
	const struct view_label *a = left, *b = right;

	return strcmp(a->key, b->key);
}

/* A stable sort by insertion would be quadratic; so equal keys are told apart by their place. */
struct placed_label {
	struct view_label label; /* first: label_cmp looks here */
	size_t place;
};

static int placed_cmp(const void *left, const void *right)
{
	const struct placed_label *a = left, *b = right;
	int cmp = label_cmp(a, b);

	if (cmp != 0)
		return cmp;
	return a->place < b->place ? -1 : a->place > b->place;
}

static void set_labels(struct node *node, const struct view_label *labels, size_t len)
{
	struct node_inventory *own = &node->inventory;
	struct placed_label *sorted;
	size_t kept = 0;

	free_labels(node);
	if (len > NODE_LABELS_MAX)
		len = NODE_LABELS_MAX;
	sorted = xcalloc(len + 1, sizeof(*sorted));
	own->labels = xcalloc(len + 1, sizeof(*own->labels));
	for (size_t i = 0; i < len; i++)
		sorted[i] = (struct placed_label){.label = labels[i], .place = i};
	qsort(sorted, len, sizeof(*sorted), placed_cmp);
	for (size_t i = 0; i < len; i++) {
		if (i + 1 < len && strcmp(sorted[i].label.key, sorted[i + 1].label.key) == 0)
			continue;
		own->labels[kept].key = xstrdup(sorted[i].label.key);
		own->labels[kept++].value = xstrdup(sorted[i].label.value);
	}
	free(sorted);
	own->view.labels = (struct view_labels){.items = own->labels, .len = kept};
}

static int64_t with_overcommit(int64_t amount, double overcommit, int64_t max)
{
	double total = (double)amount * (1.0 + overcommit);

	if (!(total > 0))
		return 0;
	return total >= (double)max ? max : (int64_t)total;
}

/* Adds (sign 1) or takes away (-1) a healthy node's part of the totals. */
static void count_healthy(struct node *node, int sign)
{
	struct cluster_totals *totals = &node->cluster->inventory.totals;

	totals->nodes_healthy += (size_t)sign;
	totals->nano_cpus += sign * node->inventory.view.total_nano_cpus;
	totals->memory += sign * node->inventory.view.total_memory;
}

static void replace_text(const char **text, char *with_take)
{
	free_const(*text);
	*text = with_take;
}

/* Name, ID and place among the nodes; left alone by the many resyncs that bring the same. False: it
 * was. */
static bool set_names(struct node *node, const char *engine_id, const char *name)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct node_view *view = &node->inventory.view;

	if (strcmp(view->engine_id, engine_id) == 0 && strcmp(view->name, name) == 0)
		return false;
	unindex_node(inventory, node);
	order_remove(inventory, node);
	replace_text(&view->engine_id, xstrdup(engine_id));
	replace_text(&view->name, xstrdup(name));
	replace_text(&view->id, xasprintf("%s|%s", engine_id, view->addr));
	index_node(inventory, node);
	order_insert(inventory, node);
	return true;
}

/* Names go into "node/name", into lists and logs. */
static bool is_node_name(const char *name)
{
	for (const char *p = name; *p; p++) {
		if ((unsigned char)*p <= 0x20 || *p == 0x7f || *p == '/')
			return false;
	}
	return name[0] != '\0';
}

void inventory_node_set_identity(struct node *node, const struct inventory_identity *identity)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct node_inventory *own = &node->inventory;
	struct node_view *view = &own->view;
	int64_t ncpu = identity->ncpu < 0 ? 0 : identity->ncpu;
	int64_t memory = identity->memory < 0 ? 0 : identity->memory;
	bool is_renamed;

	if (view->is_healthy)
		count_healthy(node, -1);
	is_renamed = set_names(node, identity->engine_id,
		is_node_name(identity->name) ? identity->name : name_unknown);
	fleet_labels_take(&inventory->fleet, node);
	set_labels(node, identity->labels, identity->labels_len);
	fleet_labels_add(&inventory->fleet, node);
	own->ncpu = ncpu > NCPU_MAX ? NCPU_MAX : ncpu;
	view->total_nano_cpus =
		with_overcommit(own->ncpu * 1000000000, inventory->overcommit, NODE_NANO_CPUS_MAX);
	view->total_memory = with_overcommit(memory, inventory->overcommit, NODE_MEMORY_MAX);
	fleet_node_changed(&inventory->fleet, node, is_renamed);
	if (view->is_healthy)
		count_healthy(node, 1);
}

void inventory_node_set_health(struct node *node, bool is_healthy)
{
	if (node->inventory.view.is_healthy == is_healthy)
		return;
	node_parts_set_health(node, is_healthy);
	node->inventory.view.is_healthy = is_healthy;
	if (!is_healthy) {
		reservations_node_down(node);
		promises_node_down(node);
	}
	fleet_node_changed(&node->cluster->inventory.fleet, node, false);
	count_healthy(node, is_healthy ? 1 : -1);
}

void inventory_node_set_ip(struct node *node, const char *ip)
{
	free(node->inventory.ip);
	node->inventory.ip = xstrdup(ip);
}

/* ---- The view ---- */

void node_view_add(struct node *node, const struct container_view *view, uint32_t *at)
{
	struct node_inventory *own = &node->inventory;

	if (own->views_len == own->views_cap) {
		own->views_cap = own->views_cap ? own->views_cap * 2 : 8;
		own->views = xreallocarray(own->views, own->views_cap, sizeof(*own->views));
		own->view_places =
			xreallocarray(own->view_places, own->views_cap, sizeof(*own->view_places));
	}
	*at = (uint32_t)own->views_len;
	own->views[own->views_len] = view;
	own->view_places[own->views_len++] = at;
	own->view.containers = own->views;
	own->view.containers_len = own->views_len;
	own->view.used_nano_cpus += view->nano_cpus;
	own->view.used_memory += view->memory;
	fleet_container_add(&node->cluster->inventory.fleet, node, view);
	fleet_node_changed(&node->cluster->inventory.fleet, node, false);
}

void node_view_remove(struct node *node, const struct container_view *view, uint32_t at)
{
	struct node_inventory *own = &node->inventory;
	size_t last = --own->views_len;

	own->views[at] = own->views[last];
	own->view_places[at] = own->view_places[last];
	*own->view_places[at] = at;
	own->view.containers_len = own->views_len;
	own->view.used_nano_cpus -= view->nano_cpus;
	own->view.used_memory -= view->memory;
	fleet_container_take(&node->cluster->inventory.fleet, node, view);
	fleet_node_changed(&node->cluster->inventory.fleet, node, false);
}

const struct node_view *node_view(const struct node *node)
{
	return &node->inventory.view;
}

const char *node_ip(const struct node *node)
{
	return node->inventory.ip;
}

int64_t node_cpus(const struct node *node)
{
	return node->inventory.ncpu;
}

size_t node_running(const struct node *node)
{
	return node->inventory.running;
}

size_t node_paused(const struct node *node)
{
	return node->inventory.paused;
}

size_t node_stopped(const struct node *node)
{
	return node->inventory.stopped;
}
