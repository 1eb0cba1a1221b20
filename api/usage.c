#include "api/usage.h"
#include "api/fanout.h"
#include "api/image_merge.h"
#include "lib/str.h"

#define NAMES_MAX 1000 /* of one container */

/* What was told of already. */
struct seen {
	struct merged_image *images;
	json_t *volumes; /* those that nodes share: [scope, name] */
};

struct usage {
	json_t *out;
	/* An answer may have a list twice: by itself, and within a section. */
	struct seen in_answer, in_sections;
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
		sum = fanout_sum(sum, json_int(json_obj(item, "UsageData"), "Size", 0));
	}
	return sum;
}

/* ---- Lists ---- */

/* One that several nodes have is one image of one size, used by the containers of all. False when
 * it is not new; else the entry is the one that will have the names of all. */
static bool merge_image(struct seen *seen, json_t **entry)
{
	const char *id = json_str(*entry, "Id", "");
	struct merged_image *image;

	HASH_FIND_STR(seen->images, id, image);
	if (image != NULL) {
		(void)merged_image_add(&seen->images, *entry, false);
		return false;
	}
	image = merged_image_add(&seen->images, *entry, false);
	if (image != NULL)
		*entry = image->json;
	return true;
}

/* False when it has more names than a container can. */
static bool name_container(json_t *container, const char *node)
{
	json_t *names = json_arr(container, "Names"), *name;
	size_t i;

	if (json_array_size(names) > NAMES_MAX)
		return false;
	json_array_foreach (names, i, name) {
		const char *text = json_string_value(name);

		if (text != NULL)
			json_array_set_new(names, i,
				json_sprintf("/%s%s%s", node, text[0] == '/' ? "" : "/", text));
	}
	return true;
}

/* False when another node told of this volume already. */
static bool name_volume(struct seen *seen, json_t *volume, const char *node)
{
	const char *scope = json_str(volume, "Scope", "local"),
		   *name = json_str(volume, "Name", "");
	json_t *key CLEANUP_JSON = NULL;

	if (!str_eq(scope, "global") && !str_eq(scope, "swarm")) {
		json_object_set_new(volume, "Name", json_sprintf("%s/%s", node, name));
		return true;
	}
	key = json_pack("[s, s]", scope, name);
	return json_set_add(seen->volumes, key);
}

enum list_kind {
	LIST_IMAGES,
	LIST_CONTAINERS,
	LIST_VOLUMES,
	LIST_BUILD_CACHE,
};

static void merge_list(
	struct seen *seen, json_t *list, const json_t *from, enum list_kind kind, const char *node)
{
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)from, i, item) {
		bool is_new = json_is_object(item);

		if (is_new && kind == LIST_IMAGES)
			is_new = merge_image(seen, &item);
		if (is_new && kind == LIST_CONTAINERS)
			is_new = name_container(item, node);
		if (is_new && kind == LIST_VOLUMES)
			is_new = name_volume(seen, item, node);
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
			merge_list(&usage->in_sections, need_list(into, field), value, kind, node);
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
json_t *usage_of(const json_t *json, const char *name, const char *id)
{
	const json_t *images = json_arr(json, "Images"), *containers = json_arr(json, "Containers"),
		     *volumes = json_arr(json, "Volumes"), *cache = json_arr(json, "BuildCache");

	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "Name", name, "ID",
		id, "LayersSize", fanout_sum(0, json_int(json, "LayersSize", 0)), "Images",
		(json_int_t)json_array_size(images), "Containers",
		(json_int_t)json_array_size(containers), "ContainersSize",
		sum_of(containers, "SizeRw"), "Volumes", (json_int_t)json_array_size(volumes),
		"VolumesSize", volumes_size(volumes), "BuildCache",
		(json_int_t)json_array_size(cache), "BuildCacheSize", sum_of(cache, "Size"));
}

void usage_add(struct usage *usage, const json_t *json, const char *node)
{
	json_t *value;
	const char *key;

	json_object_foreach ((json_t *)json, key, value) {
		enum list_kind kind;

		if (json_is_object(value) && section_kind(key, &kind))
			merge_section(usage, key, value, kind, node);
		else if (json_is_integer(value))
			add_number(usage->out, key, json_integer_value(value));
	}
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		json_t *list = json_get(json, lists[i].key);

		/* With `type`, an engine leaves out what was not asked for. */
		if (list != NULL)
			merge_list(&usage->in_answer, need_list(usage->out, lists[i].key), list,
				lists[i].kind, node);
	}
}

/* ---- All ---- */

/* Clients before API 1.42 print the build cache's size from a field of its own, which newer engines
 * do not send. */
static void add_builder_size(json_t *out, int minor)
{
	const json_t *cache = json_arr(out, "BuildCache");
	json_int_t size = 0;
	json_t *record;
	size_t i;

	if (minor >= 42 || json_get(out, "BuilderSize") != NULL)
		return;
	json_array_foreach ((json_t *)cache, i, record) {
		if (!json_bool(record, "Shared", false))
			size = fanout_sum(size, json_int(record, "Size", 0));
	}
	json_object_set_new(out, "BuilderSize", json_integer(size));
}

struct usage *usage_new(void)
{
	struct usage *usage = xcalloc(1, sizeof(*usage));

	usage->out = json_object();
	usage->in_answer.volumes = json_object();
	usage->in_sections.volumes = json_object();
	return usage;
}

json_t *usage_take(struct usage *usage, int minor)
{
	json_t *out = json_incref(usage->out);

	add_builder_size(out, minor);
	usage_free(usage);
	return out;
}

static void seen_free(struct seen *seen)
{
	merged_images_free(&seen->images);
	json_decref(seen->volumes);
}

void usage_free(struct usage *usage)
{
	if (usage == NULL)
		return;
	seen_free(&usage->in_answer);
	seen_free(&usage->in_sections);
	json_decref(usage->out);
	free(usage);
}
