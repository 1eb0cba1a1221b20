/* The fleet: what is asked of its indexes. */
#include "cluster/fleet_priv.h"

#include "cluster/record.h"
#include "lib/mem.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

/* Digits of an ID in its short form. */
#define SHORT_ID 12
#define ALGORITHM "sha256:"
#define PORT_KEY_SIZE 16
/* What a node without name has for one; not in the index of names. */
#define NO_NAME "(unknown)"

static void add_postings(const struct postings *postings, struct bitset *out)
{
	const struct posting *items = postings_items(postings);
	uint32_t i = 0;

	/* They are sorted: each word of the set is read and written once, however many of its bits
	 * are set. */
	while (i < postings->len) {
		uint32_t word = items[i].slot / BITSET_WORD;
		uint64_t bits = 0;

		for (; i < postings->len && items[i].slot / BITSET_WORD == word; i++)
			bits |= UINT64_C(1) << items[i].slot % BITSET_WORD;
		out->words[word] |= bits;
	}
}

static bool asks(const struct fleet_query *query, const char *text)
{
	if (query->is_exact)
		return strcmp(query->prefix, text) == 0;
	return str_has_prefix(text, query->prefix) && query->match(query->arg, text);
}

static void add_texts(
	const struct text_table *table, const struct fleet_query *query, struct bitset *out)
{
	const struct text_entry *entry = query->is_exact ? text_table_find(table, query->prefix)
							 : text_table_from(table, query->prefix);

	for (; entry; entry = text_table_next(entry)) {
		if (query->is_exact) {
			add_postings(&entry->nodes, out);
			return;
		}
		if (!str_has_prefix(entry->text, query->prefix))
			return;
		if (query->match(query->arg, entry->text))
			add_postings(&entry->nodes, out);
	}
}

/* ---- Nodes ---- */

static void add_node_entries(const struct index *index, const char *key, struct bitset *out)
{
	struct index_entry *entry = index_first(index, key);

	for (; entry; entry = index_next_same(entry))
		bitset_add(out, ((struct node *)entry->item)->inventory.slot);
}

void fleet_add_nodes(const struct fleet *fleet, const struct fleet_query *query, struct bitset *out)
{
	const struct inventory *inventory = fleet->inventory;

	if (query->is_exact && strcmp(query->prefix, NO_NAME) != 0) {
		add_node_entries(&inventory->node_names, query->prefix, out);
		add_node_entries(&inventory->node_engine_ids, query->prefix, out);
		add_node_entries(&inventory->node_ids, query->prefix, out);
		return;
	}
	BITSET_EACH(&fleet->all, slot)
	{
		const struct node_view *view = &fleet->nodes[slot]->inventory.view;

		if (asks(query, view->name) || asks(query, view->engine_id) ||
			asks(query, view->id))
			bitset_add(out, slot);
	}
}

void fleet_add_id(const struct fleet *fleet, const char *id, struct bitset *out)
{
	add_node_entries(&fleet->inventory->node_ids, id, out);
}

void fleet_add_node_labels(const struct fleet *fleet, const char *key,
	const struct fleet_query *query, struct bitset *out)
{
	const struct label_entry *label = label_table_find(&fleet->node_labels, key);

	if (label)
		add_texts(&label->values, query, out);
	if (!asks(query, ""))
		return;
	struct bitset has = {0};

	bitset_init(&has, fleet->slots_cap);
	if (label)
		add_postings(&label->key.nodes, &has);
	BITSET_EACH(&fleet->all, slot)
	{
		if (!bitset_has(&has, slot))
			bitset_add(out, slot);
	}
	bitset_release(&has);
}

void fleet_each_node_label(
	const struct fleet *fleet, const char *key, fleet_value_fn *fn, void *arg)
{
	const struct label_entry *label = label_table_find(&fleet->node_labels, key);
	const struct text_entry *entry = label ? text_table_from(&label->values, "") : NULL;

	for (; entry; entry = text_table_next(entry))
		fn(arg, entry->text, postings_items(&entry->nodes), entry->nodes.len);
}

/* ---- Containers ---- */

/* Entries of one text stand side by side: it is asked about once. */
struct last_answer {
	const char *text;
	bool is_match;
};

static bool asks_once(const struct fleet_query *query, const char *text, struct last_answer *last)
{
	if (!last->text || strcmp(last->text, text) != 0)
		*last = (struct last_answer){.text = text, .is_match = asks(query, text)};
	return last->is_match;
}

enum entry_kind {
	OF_CONTAINERS,   /* item: struct container */
	BY_NAME,         /* the same; the key may be an alias, which does not count */
	OF_RESERVATIONS, /* item: struct reservation */
};

/* The node of an entry's item, or NULL when it is not to count. */
static const struct node *node_of(const struct index_entry *entry, enum entry_kind kind)
{
	const struct container *container = entry->item;

	if (kind == OF_RESERVATIONS)
		return reservation_view(entry->item) ? reservation_node(entry->item) : NULL;
	if (kind == BY_NAME &&
		(entry->key[0] == '\0' || strcmp(container->view.name, entry->key) != 0))
		return NULL;
	return container->node;
}

static void add_entries(const struct index *index, const struct fleet_query *query,
	enum entry_kind kind, struct bitset *out)
{
	struct index_entry *entry = index_from(index, query->prefix, 0);
	struct last_answer last = {.text = NULL};

	for (; entry && str_has_prefix(entry->key, query->prefix); entry = index_next(entry)) {
		const struct node *node;

		if (query->is_exact && entry->key[strlen(query->prefix)] != '\0')
			return;
		node = node_of(entry, kind);
		if (node && asks_once(query, entry->key, &last))
			bitset_add(out, node->inventory.slot);
	}
}

static void add_short_ids(
	const struct index *index, const char *digits, enum entry_kind kind, struct bitset *out)
{
	struct index_entry *entry = index_from(index, digits, 0);

	for (; entry && str_has_prefix(entry->key, digits); entry = index_next(entry)) {
		const struct node *node = node_of(entry, kind);

		if (node)
			bitset_add(out, node->inventory.slot);
	}
}

void fleet_add_containers(
	const struct fleet *fleet, const struct fleet_query *query, struct bitset *out)
{
	const struct inventory *inventory = fleet->inventory;

	add_entries(&inventory->names, query, BY_NAME, out);
	add_entries(&inventory->reservation_names, query, OF_RESERVATIONS, out);
	add_entries(&inventory->ids, query, OF_CONTAINERS, out);
	add_entries(&inventory->swarm_ids, query, OF_CONTAINERS, out);
	add_entries(&inventory->reservation_swarm_ids, query, OF_RESERVATIONS, out);
	if (!query->is_exact || strlen(query->prefix) != SHORT_ID)
		return;
	add_short_ids(&inventory->ids, query->prefix, OF_CONTAINERS, out);
	add_short_ids(&inventory->swarm_ids, query->prefix, OF_CONTAINERS, out);
	add_short_ids(&inventory->reservation_swarm_ids, query->prefix, OF_RESERVATIONS, out);
}

/* Those with a container that has the label not at all. */
static void add_unlabelled(
	const struct fleet *fleet, const struct label_entry *label, struct bitset *out)
{
	const struct posting *items = label ? postings_items(&label->key.nodes) : NULL;
	uint32_t len = label ? label->key.nodes.len : 0;
	uint32_t at = 0;

	BITSET_EACH(&fleet->all, slot)
	{
		uint32_t with = 0;

		while (at < len && items[at].slot < slot)
			at++;
		if (at < len && items[at].slot == slot)
			with = items[at].count;
		if (fleet->loads[slot].containers > with)
			bitset_add(out, slot);
	}
}

/* A reservation may have a swarm ID without the label. */
static void add_swarm_id_labels(
	const struct fleet *fleet, const struct fleet_query *query, struct bitset *out)
{
	const struct inventory *inventory = fleet->inventory;
	struct index_entry *entry = index_from(&inventory->reservation_swarm_ids, query->prefix, 0);
	struct last_answer last = {.text = NULL};

	add_entries(&inventory->swarm_ids, query, OF_CONTAINERS, out);
	for (; entry && str_has_prefix(entry->key, query->prefix); entry = index_next(entry)) {
		const struct container_view *view = reservation_view(entry->item);

		if (!view || !asks_once(query, entry->key, &last))
			continue;
		for (size_t i = 0; i < view->labels.len; i++) {
			if (strcmp(view->labels.items[i].key, FLEET_SWARM_ID_LABEL) == 0)
				bitset_add(out, reservation_node(entry->item)->inventory.slot);
		}
	}
}

void fleet_add_container_labels(const struct fleet *fleet, const char *key,
	const struct fleet_query *query, struct bitset *out)
{
	const struct label_entry *label = label_table_find(&fleet->container_labels, key);

	if (label)
		add_texts(&label->values, query, out);
	if (label && strcmp(key, FLEET_SWARM_ID_LABEL) == 0)
		add_swarm_id_labels(fleet, query, out);
	if (asks(query, ""))
		add_unlabelled(fleet, label, out);
}

const struct posting *fleet_container_label(
	const struct fleet *fleet, const char *key, const char *value, size_t *len)
{
	const struct label_entry *label = label_table_find(&fleet->container_labels, key);
	const struct text_entry *entry = label ? &label->key : NULL;

	if (entry && value)
		entry = text_table_find(&label->values, value);
	*len = entry ? entry->nodes.len : 0;
	return entry ? postings_items(&entry->nodes) : NULL;
}

/* ---- References of the dependency kind ---- */

static void add_records(
	const struct index *index, const char *key, enum entry_kind kind, struct bitset *out)
{
	const struct fleet_query query = {.prefix = key, .is_exact = true};

	add_entries(index, &query, kind, out);
}

/* Those with one container whose ID begins so, and not two. */
static void add_unique_prefix(
	const struct fleet *fleet, const char *prefix, struct bitset *once, struct bitset *out)
{
	const struct index *ids = &fleet->inventory->ids;
	struct index_entry *entry = index_from(ids, prefix, 0);
	struct bitset again = {0};

	bitset_init(&again, fleet->slots_cap);
	bitset_empty(once);
	for (; entry && str_has_prefix(entry->key, prefix); entry = index_next(entry)) {
		size_t slot = node_slot(((struct container *)entry->item)->node);

		bitset_add(bitset_has(once, slot) ? &again : once, slot);
	}
	bitset_and_not(once, &again);
	BITSET_EACH(once, slot)
	bitset_add(out, slot);
	bitset_release(&again);
}

static void add_bare_reference(
	const struct fleet *fleet, const char *key, struct bitset *scratch, struct bitset *out)
{
	const struct inventory *inventory = fleet->inventory;

	if (key[0] == '\0')
		return;
	add_records(&inventory->names, key, BY_NAME, out);
	add_records(&inventory->ids, key, OF_CONTAINERS, out);
	add_records(&inventory->swarm_ids, key, OF_CONTAINERS, out);
	if (strlen(key) == SHORT_ID) {
		add_short_ids(&inventory->ids, key, OF_CONTAINERS, out);
		add_short_ids(&inventory->swarm_ids, key, OF_CONTAINERS, out);
	}
	add_unique_prefix(fleet, key, scratch, out);
}

void fleet_add_reference(const struct fleet *fleet, const char *reference, struct bitset *out)
{
	const struct inventory *inventory = fleet->inventory;
	const char *slash;
	struct bitset found = {0}, nodes = {0};

	/* "/name" and "/node/name", as lists show them. */
	if (reference[0] == '/')
		reference++;
	slash = strchr(reference, '/');
	bitset_init(&found, fleet->slots_cap);
	bitset_init(&nodes, fleet->slots_cap);
	add_bare_reference(fleet, slash ? slash + 1 : reference, &nodes, &found);
	if (slash) {
		CLEANUP_FREE char *name = xstrndup(reference, (size_t)(slash - reference));

		bitset_empty(&nodes);
		add_node_entries(&inventory->node_names, name, &nodes);
		add_node_entries(&inventory->node_engine_ids, name, &nodes);
		bitset_and(&found, &nodes);
	}
	BITSET_EACH(&found, slot)
	bitset_add(out, slot);
	bitset_release(&found);
	bitset_release(&nodes);
}

/* ---- Images ---- */

/* The length of the repository in "repo:tag" and "repo@digest"; a colon before a slash belongs to a
 * registry's port. */
static size_t repository_len(const char *name)
{
	size_t digest = strcspn(name, "@");
	const char *colon = memrchr(name, ':', digest);

	if (name[digest] == '@' || !colon || strchr(colon, '/'))
		return digest;
	return (size_t)(colon - name);
}

static bool asks_image_name(const struct fleet_query *query, const char *name)
{
	size_t len = repository_len(name);

	if (asks(query, name))
		return true;
	if (name[len] == '\0')
		return false;

	CLEANUP_FREE char *repository = xstrndup(name, len);

	return asks(query, repository);
}

static void add_image_names(
	const struct fleet *fleet, const struct fleet_query *query, struct bitset *out)
{
	const struct text_entry *entry = text_table_from(&fleet->image_names.keys, query->prefix);

	/* Whatever begins the repository begins the name. */
	for (; entry && str_has_prefix(entry->text, query->prefix);
		entry = text_table_next(entry)) {
		if (asks_image_name(query, entry->text))
			add_postings(&entry->nodes, out);
	}
}

static bool asks_image_id(const struct fleet_query *query, const char *id)
{
	bool is_short = query->is_exact && strlen(query->prefix) == SHORT_ID;

	if (asks(query, id) || (is_short && str_has_prefix(id, query->prefix)))
		return true;
	if (!str_has_prefix(id, ALGORITHM))
		return false;
	id += strlen(ALGORITHM);
	return asks(query, id) || (is_short && str_has_prefix(id, query->prefix));
}

static void add_image_ids(const struct text_table *ids, const char *from,
	const struct fleet_query *query, struct bitset *out)
{
	const struct text_entry *entry = text_table_from(ids, from);

	for (; entry && str_has_prefix(entry->text, from); entry = text_table_next(entry)) {
		if (asks_image_id(query, entry->text))
			add_postings(&entry->nodes, out);
	}
}

void fleet_add_images(
	const struct fleet *fleet, const struct fleet_query *query, struct bitset *out)
{
	CLEANUP_FREE char *full = xasprintf("%s%s", ALGORITHM, query->prefix);

	add_image_names(fleet, query, out);
	/* Two ranges: the prefix may begin the whole ID, or its digits. */
	add_image_ids(&fleet->image_ids, query->prefix, query, out);
	if (query->prefix[0] != '\0')
		add_image_ids(&fleet->image_ids, full, query, out);
}

bool fleet_add_image_named(const struct fleet *fleet, const char *name, struct bitset *out)
{
	const struct label_entry *entry = label_table_find(&fleet->image_names, name);
	const struct text_entry *id = entry ? text_table_from(&entry->values, "") : NULL;

	if (!id || text_table_next(id))
		return false;
	add_postings(&id->nodes, out);
	return true;
}

/* ---- Ports ---- */

void fleet_add_ports(const struct fleet *fleet, const struct view_port *port, bool host_network,
	struct bitset *out)
{
	const struct label_table *table = host_network ? &fleet->exposed : &fleet->ports;
	const struct fleet_query all = {.prefix = "", .is_exact = true};
	const struct fleet_query one = {.prefix = port->ip, .is_exact = true};
	const struct label_entry *entry;
	char key[PORT_KEY_SIZE];

	snprintf(key, sizeof(key), "%u/%.8s", (unsigned)port->port, port->protocol);
	entry = label_table_find(table, key);
	if (!entry)
		return;
	if (port->ip[0] == '\0') {
		add_postings(&entry->key.nodes, out);
		return;
	}
	add_texts(&entry->values, &all, out);
	add_texts(&entry->values, &one, out);
}
