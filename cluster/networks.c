/* Networks and volumes: their records. */
#include "cluster/node_parts.h"

#include "lib/mem.h"

#include <string.h>

/* Both keep texts of their own: see entry_json. */
struct network_item {
	struct network network; /* first */
	struct index_entry by_id, by_name, by_project;
	char *texts; /* one piece of memory for all */
	const char *project;
};

struct volume_item {
	struct volume volume; /* first */
	struct index_entry by_name, by_project;
	char *texts;
	const char *project;
};

static const struct field network_fields[] = {
	{"Name", FIELD_TEXT, NULL},
	{"Id", FIELD_TEXT, NULL},
	{"Created", FIELD_TEXT, NULL},
	{"Scope", FIELD_TEXT, NULL},
	{"Driver", FIELD_TEXT, NULL},
	{"EnableIPv4", FIELD_BOOL, NULL},
	{"EnableIPv6", FIELD_BOOL, NULL},
	{"IPAM", FIELD_OBJECT, NULL},
	{"Internal", FIELD_BOOL, NULL},
	{"Attachable", FIELD_BOOL, NULL},
	{"Ingress", FIELD_BOOL, NULL},
	{"ConfigFrom", FIELD_OBJECT, NULL},
	{"ConfigOnly", FIELD_BOOL, NULL},
	{"Containers", FIELD_OBJECT_MAP, NULL},
	{"Options", FIELD_TEXT_MAP, NULL},
	{"Labels", FIELD_TEXT_MAP, NULL},
	{"Peers", FIELD_ARRAY, NULL},
	{NULL, FIELD_TEXT, NULL},
};
static const struct field volume_fields[] = {
	{"Name", FIELD_TEXT, NULL},
	{"Driver", FIELD_TEXT, NULL},
	{"Mountpoint", FIELD_TEXT, NULL},
	{"CreatedAt", FIELD_TEXT, NULL},
	{"Scope", FIELD_TEXT, NULL},
	{"Status", FIELD_OBJECT, NULL},
	{"Labels", FIELD_TEXT_MAP, NULL},
	{"Options", FIELD_TEXT_MAP, NULL},
	{"UsageData", FIELD_OBJECT, NULL},
	{"ClusterVolume", FIELD_OBJECT, NULL},
	{NULL, FIELD_TEXT, NULL},
};

bool network_is_shared(const struct network *network)
{
	return strcmp(network->scope, "local") != 0;
}

bool volume_is_shared(const struct volume *volume)
{
	return strcmp(volume->scope, "local") != 0 && strcmp(volume->driver, "local") != 0;
}

/* Not empty, not too long, no control characters. */
static bool is_sound_name(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return false;
	}
	return len > 0 && len <= INVENTORY_NAME_MAX;
}

/* 64 hexadecimal digits, or the shorter ones of networks that span engines. It becomes a part of
 * paths. */
static bool is_network_id(const char *id)
{
	size_t len = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz");

	return len > 0 && len <= 64 && !id[len];
}

/* Copies of these texts and of the entry, one behind the other; each place gets its own. */
static char *keep_texts(const struct buf *entry, const char **entry_text, const char **places[],
	const char *const texts[], size_t len)
{
	size_t size = entry->len + 1;
	char *block, *at;

	for (size_t i = 0; i < len; i++)
		size += strlen(texts[i]) + 1;
	block = at = xmalloc(size);
	for (size_t i = 0; i < len; i++) {
		size_t one = strlen(texts[i]) + 1;

		*places[i] = memcpy(at, texts[i], one);
		at += one;
	}
	*entry_text = memcpy(at, entry->data, entry->len + 1);
	return block;
}

/* ---- Networks ---- */

static bool array_itself(struct json_ref answer, struct json_ref *entries)
{
	*entries = answer;
	return json_ref_kind(answer) == JSON_KIND_ARRAY;
}

static void *network_new(struct node *node, struct json_ref entry, const struct buf *text)
{
	const char *id = json_ref_str(entry, "Id", "");
	const char *name = json_ref_str(entry, "Name", "");
	struct network_item *item;

	if (!is_network_id(id) || !is_sound_name(name) || !fields_fit(entry, network_fields))
		return NULL;
	item = xcalloc(1, sizeof(*item));
	item->network.node = node;
	item->texts = keep_texts(text, &item->network.text,
		(const char **[]){&item->network.id, &item->network.name, &item->network.driver,
			&item->network.scope, &item->project},
		(const char *[]){id, name, json_ref_str(entry, "Driver", ""),
			json_ref_str(entry, "Scope", "local"), project_of_entry(entry)},
		5);
	return item;
}

static void network_free(struct inventory *inventory, void *network)
{
	struct network_item *item = network;

	(void)inventory;
	free(item->texts);
	free(item);
}

static const char *network_text(const void *network)
{
	return ((const struct network *)network)->text;
}

static void network_enter(struct inventory *inventory, void *network)
{
	struct network_item *item = network;
	uint64_t node = item->network.node->inventory.seq;

	index_insert(&inventory->network_ids, &item->by_id, item->network.id, node, item);
	index_insert(&inventory->network_names, &item->by_name, item->network.name, node, item);
	project_enter(inventory, PROJECT_NETWORKS, &item->by_project, item->project,
		item->network.node, item);
}

static void network_leave(struct inventory *inventory, void *network)
{
	struct network_item *item = network;

	index_remove(&inventory->network_ids, &item->by_id);
	index_remove(&inventory->network_names, &item->by_name);
	index_remove(&inventory->projects[PROJECT_NETWORKS], &item->by_project);
}

const struct part_kind part_networks = {
	.name = "networks",
	.entries = array_itself,
	.item_new = network_new,
	.item_free = network_free,
	.text = network_text,
	.enter = network_enter,
	.leave = network_leave,
};

/* ---- Volumes ---- */

/* {"Volumes": [...], "Warnings": ...}; null instead of the array when there are none. */
static bool volumes_within(struct json_ref answer, struct json_ref *entries)
{
	enum json_kind kind;

	if (array_itself(answer, entries))
		return true;
	*entries = json_ref_get(answer, "Volumes");
	kind = json_ref_kind(*entries);
	return json_ref_kind(answer) == JSON_KIND_OBJECT &&
	       (kind == JSON_KIND_ARRAY || kind == JSON_KIND_NULL || kind == JSON_KIND_NONE);
}

static void *volume_new(struct node *node, struct json_ref entry, const struct buf *text)
{
	const char *name = json_ref_str(entry, "Name", "");
	struct volume_item *item;

	if (!is_sound_name(name) || !fields_fit(entry, volume_fields))
		return NULL;
	item = xcalloc(1, sizeof(*item));
	item->volume.node = node;
	item->texts = keep_texts(text, &item->volume.text,
		(const char **[]){&item->volume.name, &item->volume.driver, &item->volume.scope,
			&item->project},
		(const char *[]){name, json_ref_str(entry, "Driver", ""),
			json_ref_str(entry, "Scope", "local"), project_of_entry(entry)},
		4);
	return item;
}

static void volume_free(struct inventory *inventory, void *volume)
{
	struct volume_item *item = volume;

	(void)inventory;
	free(item->texts);
	free(item);
}

static const char *volume_text(const void *volume)
{
	return ((const struct volume *)volume)->text;
}

static void volume_enter(struct inventory *inventory, void *volume)
{
	struct volume_item *item = volume;
	uint64_t node = item->volume.node->inventory.seq;

	index_insert(&inventory->volume_names, &item->by_name, item->volume.name, node, item);
	project_enter(inventory, PROJECT_VOLUMES, &item->by_project, item->project,
		item->volume.node, item);
}

static void volume_leave(struct inventory *inventory, void *volume)
{
	struct volume_item *item = volume;

	index_remove(&inventory->volume_names, &item->by_name);
	index_remove(&inventory->projects[PROJECT_VOLUMES], &item->by_project);
}

const struct part_kind part_volumes = {
	.name = "volumes",
	.entries = volumes_within,
	.item_new = volume_new,
	.item_free = volume_free,
	.text = volume_text,
	.enter = volume_enter,
	.leave = volume_leave,
};
