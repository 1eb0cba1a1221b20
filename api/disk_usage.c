/* GET /system/df: each node measures itself, and the answers become one: what several nodes have is
 * listed once, what is on one node carries its name, sizes are summed. */
#include "api/fanout.h"
#include "lib/hash.h"
#include "lib/str.h"

#include <string.h>

#define TIMEOUT_MS (60 * 1000) /* it reads whole file systems */

/* Everything that the nodes said, as far as it was merged. */
struct usage {
	json_t *out;
	json_t *images; /* "list/ID" -> the entry in that list */
};

/* ---- Sums ---- */

static void add_number(json_t *out, const char *key, json_int_t value)
{
	json_object_set_new(out, key, json_integer(fanout_sum(json_int(out, key, 0), value)));
}

static json_t *need_list(json_t *out, const char *key)
{
	json_t *list = json_arr(out, key);

	if (list == NULL) {
		list = json_array();
		json_object_set_new(out, key, list);
	}
	return list;
}

static json_int_t sum_of(const json_t *list, const char *key)
{
	json_int_t sum = 0;
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		/* -1 stands for what was not measured. */
		if (json_int(item, key, 0) > 0)
			sum = fanout_sum(sum, json_int(item, key, 0));
	}
	return sum;
}

static json_int_t volumes_size(const json_t *list)
{
	json_int_t sum = 0;
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)list, i, item) {
		json_int_t size = json_int(json_obj(item, "UsageData"), "Size", 0);

		sum = fanout_sum(sum, size > 0 ? size : 0);
	}
	return sum;
}

/* ---- Lists ---- */

static void add_missing(json_t *into, const json_t *from, const char *key)
{
	json_t *list = json_arr(into, key), *item, *known;
	size_t i, k;

	if (json_array_size(json_arr(from, key)) == 0)
		return;
	if (list == NULL) {
		list = json_array();
		json_object_set_new(into, key, list);
	}
	json_array_foreach (json_arr(from, key), i, item) {
		json_array_foreach (list, k, known) {
			if (json_equal(known, item))
				break;
		}
		if (k == json_array_size(list))
			json_array_append(list, item);
	}
}

/* One that several nodes have is one image of one size, used by the containers of all. */
static void merge_image(struct usage *usage, json_t *list, json_t *image)
{
	char *id CLEANUP_FREE = xasprintf("%p/%s", (void *)list, json_str(image, "Id", ""));
	json_t *known = json_object_get(usage->images, id);
	json_int_t containers = json_int(image, "Containers", -1);

	if (known == NULL) {
		json_array_append(list, image);
		json_object_set(usage->images, id, image);
		return;
	}
	add_missing(known, image, "RepoTags");
	add_missing(known, image, "RepoDigests");
	if (containers < 0)
		return;
	if (json_int(known, "Containers", -1) < 0)
		json_object_set_new(known, "Containers", json_integer(0));
	add_number(known, "Containers", containers);
}

static void name_container(json_t *container, const char *node)
{
	json_t *names = json_arr(container, "Names"), *name;
	size_t i;

	json_array_foreach (names, i, name) {
		const char *text = json_string_value(name);

		if (text != NULL)
			json_array_set_new(names, i,
				json_sprintf("/%s%s%s", node, text[0] == '/' ? "" : "/", text));
	}
}

/* False when another node told of this volume already. */
static bool name_volume(json_t *list, json_t *volume, const char *node)
{
	const char *scope = json_str(volume, "Scope", "local"),
		   *name = json_str(volume, "Name", "");
	json_t *known;
	size_t i;

	if (!str_eq(scope, "global") && !str_eq(scope, "swarm")) {
		json_object_set_new(volume, "Name", json_sprintf("%s/%s", node, name));
		return true;
	}
	json_array_foreach (list, i, known) {
		if (str_eq(json_str(known, "Scope", "local"), scope) &&
			str_eq(json_str(known, "Name", ""), name))
			return false;
	}
	return true;
}

enum list_kind {
	LIST_IMAGES,
	LIST_CONTAINERS,
	LIST_VOLUMES,
	LIST_BUILD_CACHE,
};

static void merge_list(struct usage *usage, json_t *list, const json_t *from, enum list_kind kind,
	const char *node)
{
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)from, i, item) {
		bool is_new = json_is_object(item);

		if (is_new && kind == LIST_IMAGES) {
			merge_image(usage, list, item);
			continue;
		}
		if (is_new && kind == LIST_CONTAINERS)
			name_container(item, node);
		if (is_new && kind == LIST_VOLUMES)
			is_new = name_volume(list, item, node);
		if (is_new)
			json_array_append(list, item);
	}
}

static const struct {
	const char *key;
	enum list_kind kind;
} lists[] = {
	{"Images", LIST_IMAGES},
	{"Containers", LIST_CONTAINERS},
	{"Volumes", LIST_VOLUMES},
	{"BuildCache", LIST_BUILD_CACHE},
};

/* ---- API 1.52: {"ImageUsage": {"TotalSize", ..., "Items"}} ---- */

static void merge_section(struct usage *usage, const char *key, const json_t *from,
	enum list_kind kind, const char *node)
{
	json_t *into = json_obj(usage->out, key), *value;
	const char *field;

	if (into == NULL) {
		into = json_object();
		json_object_set_new(usage->out, key, into);
	}
	json_object_foreach ((json_t *)from, field, value) {
		if (json_is_integer(value))
			add_number(into, field, json_integer_value(value));
		else if (json_is_array(value))
			merge_list(usage, need_list(into, field), value, kind, node);
	}
}

/* ImageUsage, ImagesUsage, BuildCacheUsage: the first letter tells which list it is about. */
static bool section_kind(const char *key, enum list_kind *kind)
{
	if (!str_has_suffix(key, "Usage"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		*kind = lists[i].kind;
		if (lists[i].key[0] == key[0])
			return true;
	}
	return false;
}

/* ---- One node's answer ---- */

/* The node's own sums, for those who ask which node is full. */
static json_t *node_sums(const struct fanout_reply *reply, const json_t *json)
{
	const json_t *images = json_arr(json, "Images"), *containers = json_arr(json, "Containers"),
		     *volumes = json_arr(json, "Volumes"), *cache = json_arr(json, "BuildCache");

	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "Name", reply->name,
		"ID", reply->node != NULL ? node_view(reply->node)->id : "", "LayersSize",
		json_int(json, "LayersSize", 0), "Images", (json_int_t)json_array_size(images),
		"Containers", (json_int_t)json_array_size(containers), "ContainersSize",
		sum_of(containers, "SizeRw"), "Volumes", (json_int_t)json_array_size(volumes),
		"VolumesSize", volumes_size(volumes), "BuildCache",
		(json_int_t)json_array_size(cache), "BuildCacheSize", sum_of(cache, "Size"));
}

static json_t *node_failure(const struct fanout_reply *reply)
{
	char reason[1024];
	json_t *text;

	fanout_reply_error(reply, reason, sizeof(reason));
	text = json_string(reason);
	return json_pack("{s:s, s:s, s:o}", "Name", reply->name, "ID",
		reply->node != NULL ? node_view(reply->node)->id : "", "Error",
		text != NULL ? text : json_string("(not readable)"));
}

static void merge_answer(struct usage *usage, const json_t *json, const struct fanout_reply *reply)
{
	json_t *value;
	const char *key;

	json_object_foreach ((json_t *)json, key, value) {
		enum list_kind kind;

		if (json_is_object(value) && section_kind(key, &kind))
			merge_section(usage, key, value, kind, reply->name);
		else if (json_is_integer(value))
			add_number(usage->out, key, json_integer_value(value));
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		json_t *list = json_get(json, lists[i].key);

		/* With `type`, an engine leaves out what was not asked for. */
		if (list != NULL)
			merge_list(usage, need_list(usage->out, lists[i].key), list, lists[i].kind,
				reply->name);
	}
}

/* Clients before API 1.42 print the build cache's size from a field of its own, which newer engines
 * do not send. */
static void add_builder_size(const struct request *r, json_t *out)
{
	const json_t *cache = json_arr(out, "BuildCache");
	json_int_t size = 0;
	json_t *record;
	size_t i;

	if (r->minor >= 42 || json_get(out, "BuilderSize") != NULL)
		return;
	json_array_foreach ((json_t *)cache, i, record) {
		if (!json_bool(record, "Shared", false))
			size = fanout_sum(size, json_int(record, "Size", 0));
	}
	json_object_set_new(out, "BuilderSize", json_integer(size));
}

static void df_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct usage usage;
	json_t *nodes;

	(void)arg;
	if (fanout_all_failed(r, replies, len))
		return;
	usage.out = json_object();
	usage.images = json_object();
	nodes = json_array();
	for (size_t i = 0; i < len; i++) {
		json_t *json CLEANUP_JSON = fanout_json(&replies[i]);

		if (json == NULL) {
			json_array_append_new(nodes, node_failure(&replies[i]));
			continue;
		}
		json_array_append_new(nodes, node_sums(&replies[i], json));
		merge_answer(&usage, json, &replies[i]);
	}
	add_builder_size(r, usage.out);
	json_object_set_new(usage.out, "Nodes", nodes);
	json_decref(usage.images);
	fanout_reply_json(r, usage.out, replies, len);
}

void system_df(struct request *r)
{
	const struct fanout_spec spec = {
		.method = "GET",
		.path = "/system/df",
		.reply_max = API_REPLY_MAX,
		.timeout_ms = TIMEOUT_MS,
		.done = df_done,
	};

	fanout_to_named(r, &spec);
}
