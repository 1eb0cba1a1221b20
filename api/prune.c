/* Prunes: each node removes what it does not use, and the client is told the sum. */
#include "api/fanout.h"

#include <string.h>

#define PRUNE_REPLY_MAX (16 * 1024 * 1024) /* a line for each object that went */

struct prune_kind {
	const char *path;
	const char *key; /* of the reply: what was removed */
	unsigned parts;  /* refreshed before the reply */
	bool has_space;  /* networks take none */
	/* Adds what one node removed. */
	void (*merge)(json_t *all, const json_t *removed, const struct fanout_reply *reply);
};

static void merge_containers(json_t *all, const json_t *removed, const struct fanout_reply *reply)
{
	json_t *id;
	size_t i;

	json_array_foreach ((json_t *)removed, i, id) {
		if (!json_is_string(id))
			continue;
		node_container_gone(reply->node, json_string_value(id));
		json_array_append(all, id);
	}
}

/* Networks and volumes, by name: the same name on another node is another object. */
static void merge_names(json_t *all, const json_t *removed, const struct fanout_reply *reply)
{
	json_t *name;
	size_t i;

	json_array_foreach ((json_t *)removed, i, name) {
		if (json_is_string(name))
			json_array_append_new(
				all, json_sprintf("%s/%s", reply->name, json_string_value(name)));
	}
}

/* What is the same on all nodes and told of once: {"Untagged": name} and {"Deleted": ID} of images,
 * IDs of build caches. */
static void merge_as_they_are(json_t *all, const json_t *removed, const struct fanout_reply *reply)
{
	json_t *item;
	size_t i;

	(void)reply;
	json_array_foreach ((json_t *)removed, i, item) {
		if (json_is_string(item) || json_is_object(item))
			json_array_append(all, item);
	}
}

/* A new list of the items that differ, in the order of their first coming. */
static json_t *without_repetitions(const json_t *list)
{
	json_t *seen CLEANUP_JSON = json_object();
	json_t *out = json_array(), *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		if (json_set_add(seen, item))
			json_array_append(out, item);
	}
	return out;
}

static void prune_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	const struct prune_kind *kind = arg;
	json_t *all CLEANUP_JSON = json_array();
	json_t *out;
	json_int_t space = 0;

	if (fanout_all_failed(r, replies, len))
		return;
	for (size_t i = 0; i < len; i++) {
		json_t *json CLEANUP_JSON = fanout_json(&replies[i]);

		kind->merge(all, json_arr(json, kind->key), &replies[i]);
		space = fanout_sum(space, json_int(json, "SpaceReclaimed", 0));
	}
	out = json_object();
	/* Empty, an engine writes it as null; clients take both. */
	json_object_set_new(out, kind->key, without_repetitions(all));
	if (kind->has_space)
		json_object_set_new(out, "SpaceReclaimed", json_integer(space));
	fanout_reply_json(r, out, replies, len);
}

static void prune(struct request *r, const struct prune_kind *kind)
{
	const struct fanout_spec spec = {
		.method = "POST",
		.path = kind->path,
		.reply_max = PRUNE_REPLY_MAX,
		.parts = kind->parts,
		.done = prune_done,
		.arg = (void *)(uintptr_t)kind,
	};

	fanout_to_named(r, &spec);
}

void containers_prune(struct request *r)
{
	static const struct prune_kind kind = {
		.path = "/containers/prune",
		.key = "ContainersDeleted",
		.has_space = true,
		.merge = merge_containers,
	};

	prune(r, &kind);
}

void images_prune(struct request *r)
{
	static const struct prune_kind kind = {
		.path = "/images/prune",
		.key = "ImagesDeleted",
		.parts = NODE_IMAGES,
		.has_space = true,
		.merge = merge_as_they_are,
	};

	prune(r, &kind);
}

void networks_prune(struct request *r)
{
	static const struct prune_kind kind = {
		.path = "/networks/prune",
		.key = "NetworksDeleted",
		.parts = NODE_NETWORKS,
		.merge = merge_names,
	};

	prune(r, &kind);
}

void volumes_prune(struct request *r)
{
	static const struct prune_kind kind = {
		.path = "/volumes/prune",
		.key = "VolumesDeleted",
		.parts = NODE_VOLUMES,
		.has_space = true,
		.merge = merge_names,
	};

	prune(r, &kind);
}

void build_prune(struct request *r)
{
	static const struct prune_kind kind = {
		.path = "/build/prune",
		.key = "CachesDeleted",
		.has_space = true,
		.merge = merge_as_they_are,
	};

	prune(r, &kind);
}
