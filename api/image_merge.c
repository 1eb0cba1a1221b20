#include "api/image_merge.h"
#include "api/fanout.h"
#include "lib/str.h"

#include <string.h>

static void add_names(
	struct merged_image *image, const json_t *entry, const char *key, bool drops_none)
{
	struct merged_names *names = str_eq(key, "RepoTags") ? &image->tags : &image->digests;
	json_t *list = json_arr(image->json, key), *item;
	size_t i;

	json_array_foreach (json_arr(entry, key), i, item) {
		const char *name = json_string_value(item);
		size_t len = json_string_length(item);

		if (name == NULL || names->bytes + len > IMAGE_NAMES_MAX ||
			(drops_none && str_has_prefix(name, "<none>")))
			continue;
		if (names->seen == NULL)
			names->seen = json_object();
		if (json_object_get(names->seen, name) != NULL)
			continue;
		json_object_set_new(names->seen, name, json_true());
		names->bytes += len;
		if (list == NULL) {
			list = json_array();
			json_object_set_new(image->json, key, list);
		}
		json_array_append(list, item);
	}
}

void merged_image_add_containers(struct merged_image *image, int64_t count)
{
	int64_t sum = json_int(image->json, "Containers", -1);

	if (count >= 0)
		json_object_set_new(image->json, "Containers",
			json_integer(fanout_sum(sum >= 0 ? sum : 0, count)));
}

static struct merged_image *image_new(const json_t *entry)
{
	static const char *const keys[] = {"RepoTags", "RepoDigests"};
	struct merged_image *image = xcalloc(1, sizeof(*image));

	/* jansson's copy does not change what it copies. */
	image->json = json_copy((json_t *)(uintptr_t)entry);
	image->id = json_str(image->json, "Id", "");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (json_arr(entry, keys[i]) != NULL)
			json_object_set_new(image->json, keys[i], json_array());
	}
	if (json_int(entry, "Containers", 0) > FANOUT_TOLD_MAX)
		json_object_set_new(image->json, "Containers", json_integer(-1));
	return image;
}

struct merged_image *merged_image_add(
	struct merged_image **all, const json_t *entry, bool drops_none)
{
	const char *id = json_str(entry, "Id", "");
	struct merged_image *image;

	if (id[0] == '\0')
		return NULL;
	HASH_FIND_STR(*all, id, image);
	if (image == NULL) {
		image = image_new(entry);
		HASH_ADD_KEYPTR(hh, *all, image->id, strlen(image->id), image);
	} else {
		merged_image_add_containers(image, json_int(entry, "Containers", -1));
	}
	add_names(image, entry, "RepoTags", drops_none);
	add_names(image, entry, "RepoDigests", drops_none);
	return image;
}

void merged_images_free(struct merged_image **all)
{
	struct merged_image *image, *next;

	HASH_ITER (hh, *all, image, next) {
		HASH_DEL(*all, image);
		json_decref(image->json);
		json_decref(image->tags.seen);
		json_decref(image->digests.seen);
		free(image);
	}
}
