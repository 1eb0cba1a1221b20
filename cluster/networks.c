/* Networks and volumes: their records. */
#include "cluster/node_parts.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <string.h>

struct network_item {
	struct network network; /* first */
	struct index_entry by_id, by_name, by_project;
};

struct volume_item {
	struct volume volume; /* first */
	struct index_entry by_name, by_shared_name, by_project;
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

/* ---- Networks ---- */

static bool array_itself(const json_t *answer, const json_t **entries)
{
	*entries = answer;
	return json_is_array(answer);
}

static void *network_new(struct node *node, json_t *entry)
{
	const char *id = json_str(entry, "Id", "");
	const char *name = json_str(entry, "Name", "");
	struct network_item *item;

	if (!is_network_id(id) || !is_sound_name(name) || !fields_fit(entry, network_fields))
		return NULL;
	item = xcalloc(1, sizeof(*item));
	item->network = (struct network){
		.id = id,
		.name = name,
		.driver = json_str(entry, "Driver", ""),
		.scope = json_str(entry, "Scope", "local"),
		.node = node,
		.json = entry,
	};
	return item;
}

static void network_enter(struct inventory *inventory, void *network)
{
	struct network_item *item = network;
	uint64_t node = item->network.node->inventory.seq;

	index_insert(&inventory->network_ids, &item->by_id, item->network.id, node, item);
	index_insert(&inventory->network_names, &item->by_name, item->network.name, node, item);
	project_enter(inventory, PROJECT_NETWORKS, &item->by_project,
		project_of_json(item->network.json), item->network.node, item);
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
	.item_free = free,
	.enter = network_enter,
	.leave = network_leave,
};

/* ---- Volumes ---- */

/* {"Volumes": [...], "Warnings": ...}; null instead of the array when there are none. */
static bool volumes_within(const json_t *answer, const json_t **entries)
{
	if (json_is_array(answer)) {
		*entries = answer;
		return true;
	}
	*entries = json_get(answer, "Volumes");
	if (json_is_null(*entries))
		*entries = NULL;
	return json_is_object(answer) && (!*entries || json_is_array(*entries));
}

static void *volume_new(struct node *node, json_t *entry)
{
	const char *name = json_str(entry, "Name", "");
	struct volume_item *item;

	if (!is_sound_name(name) || !fields_fit(entry, volume_fields))
		return NULL;
	item = xcalloc(1, sizeof(*item));
	item->volume = (struct volume){
		.name = name,
		.driver = json_str(entry, "Driver", ""),
		.scope = json_str(entry, "Scope", "local"),
		.node = node,
		.json = entry,
	};
	return item;
}

static void volume_enter(struct inventory *inventory, void *volume)
{
	struct volume_item *item = volume;
	uint64_t node = item->volume.node->inventory.seq;

	index_insert(&inventory->volume_names, &item->by_name, item->volume.name, node, item);
	if (strcmp(item->volume.scope, "local") != 0)
		index_insert(&inventory->shared_volume_names, &item->by_shared_name,
			item->volume.name, node, item);
	project_enter(inventory, PROJECT_VOLUMES, &item->by_project,
		project_of_json(item->volume.json), item->volume.node, item);
}

static void volume_leave(struct inventory *inventory, void *volume)
{
	struct volume_item *item = volume;

	index_remove(&inventory->volume_names, &item->by_name);
	index_remove(&inventory->shared_volume_names, &item->by_shared_name);
	index_remove(&inventory->projects[PROJECT_VOLUMES], &item->by_project);
}

const struct part_kind part_volumes = {
	.name = "volumes",
	.entries = volumes_within,
	.item_new = volume_new,
	.item_free = free,
	.enter = volume_enter,
	.leave = volume_leave,
};
