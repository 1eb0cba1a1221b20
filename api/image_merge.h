/* Images as several engines tell of them, merged by ID. Inside api/ only. */
#ifndef API_IMAGE_MERGE_H
#define API_IMAGE_MERGE_H

#include "lib/hash.h"
#include "lib/json.h"

/* Bytes of an image's tags, and of its digests; what is more is left out. */
#define IMAGE_NAMES_MAX ((size_t)1024 * 1024)

/* Names that differ: an array, and the same as keys. */
struct merged_names {
	json_t *seen; /* NULL until the first is added */
	size_t bytes;
};

/* One image ID with what all engines say of it. */
struct merged_image {
	UT_hash_handle hh;
	const char *id; /* of json */
	json_t *json;   /* the first entry, with tags, digests and containers of all */
	struct merged_names tags, digests;
	bool is_listed; /* the caller's */
};

/* Adds what an engine tells of an image. The entry is not changed. `<none>`, which older engines
 * put in the place of no name, is left out if drops_none. NULL when it is no image: one bad record
 * is no reason to show nothing. */
struct merged_image *merged_image_add(
	struct merged_image **all, const json_t *entry, bool drops_none);
/* Adds to the containers that use the image; negative is "not counted". */
void merged_image_add_containers(struct merged_image *image, int64_t count);
void merged_images_free(struct merged_image **all);

#endif
