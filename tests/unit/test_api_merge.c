/* What several engines tell, merged: however long the lists are, each item costs about the same,
 * and what one engine says does not spoil the rest. */
#include "api/fanout.h"
#include "api/image_merge.h"
#include "api/usage.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/cpu_limit.h"

#include <string.h>

enum { MANY = 100000, CPU_S = 60 }; /* by squares it would be some billion comparisons */

static json_t *names(const char *prefix)
{
	json_t *list = json_array();

	for (int i = 0; i < MANY; i++)
		json_array_append_new(list, json_sprintf("%s%d", prefix, i));
	return list;
}

static json_t *image(json_t *tags_take)
{
	return json_pack(
		"{s:s, s:o, s:i}", "Id", "sha256:1", "RepoTags", tags_take, "Containers", 1);
}

static void add(struct usage *usage, json_t *answer_take, const char *node)
{
	usage_add(usage, answer_take, node);
	json_decref(answer_take);
}

static void test_many_volumes(void **state)
{
	struct usage *usage = usage_new();
	json_t *out;

	(void)state;
	cpu_limit(CPU_S);
	for (int n = 0; n < 2; n++) {
		json_t *volumes = json_array();

		for (int i = 0; i < MANY; i++)
			json_array_append_new(
				volumes, json_pack("{s:o, s:s}", "Name", json_sprintf("v%d", i),
						 "Scope", "global"));
		add(usage, json_pack("{s:o}", "Volumes", volumes), "n");
	}
	out = usage_take(usage, 50);
	assert_int_equal(json_array_size(json_arr(out, "Volumes")), MANY);
	json_decref(out);
	cpu_limit(0);
}

static void test_many_tags(void **state)
{
	struct usage *usage = usage_new();
	json_t *out, *images, *tags;

	(void)state;
	cpu_limit(CPU_S);
	add(usage, json_pack("{s:[o]}", "Images", image(names("a"))), "n1");
	add(usage, json_pack("{s:[o,o]}", "Images", image(names("b")), image(names("a"))), "n2");
	out = usage_take(usage, 50);
	images = json_arr(out, "Images");
	assert_int_equal(json_array_size(images), 1);
	assert_int_equal(json_int(json_array_get(images, 0), "Containers", 0), 3);
	tags = json_arr(json_array_get(images, 0), "RepoTags");
	/* As many as there is room for: of the second engine's not all. */
	assert_true(json_array_size(tags) > MANY && json_array_size(tags) < 2 * MANY);
	assert_string_equal(json_string_value(json_array_get(tags, MANY)), "b0");
	json_decref(out);
	cpu_limit(0);
}

/* A list by itself and the same within a section are two lists. */
static void test_sections(void **state)
{
	struct usage *usage = usage_new();
	json_t *out, *items;

	(void)state;
	for (int n = 0; n < 2; n++)
		add(usage,
			json_pack("{s:[o], s:{s:I, s:[o]}}", "Images", image(json_pack("[s]", "a")),
				"ImageUsage", "TotalSize", (json_int_t)5, "Items",
				image(json_pack("[s]", "a"))),
			"n");
	out = usage_take(usage, 50);
	items = json_arr(json_obj(out, "ImageUsage"), "Items");
	assert_int_equal(json_int(json_obj(out, "ImageUsage"), "TotalSize", 0), 10);
	assert_int_equal(json_array_size(items), 1);
	assert_int_equal(json_int(json_array_get(items, 0), "Containers", 0), 2);
	assert_int_equal(json_array_size(json_arr(out, "Images")), 1);
	json_decref(out);
}

/* Sizes that cannot be are nobody's. */
static void test_absurd_numbers(void **state)
{
	static const json_int_t absurd[] = {INT64_MAX, INT64_MIN, -1, FANOUT_TOLD_MAX + 1};
	struct usage *usage = usage_new();
	struct merged_image *images = NULL;
	json_t *out, *one = json_pack("{s:s, s:I}", "Id", "x", "Containers", INT64_MAX);

	(void)state;
	add(usage, json_pack("{s:I}", "LayersSize", (json_int_t)100), "good");
	(void)merged_image_add(&images, one, true);
	json_object_set_new(one, "Containers", json_integer(2));
	(void)merged_image_add(&images, one, true);
	for (size_t i = 0; i < ARRAY_LEN(absurd); i++) {
		json_t *answer = json_pack("{s:I, s:[{s:I}]}", "LayersSize", absurd[i],
			"Containers", "SizeRw", absurd[i]);
		json_t *sums = usage_of(answer, "bad", "id");

		assert_int_equal(json_int(sums, "LayersSize", -1), 0);
		assert_int_equal(json_int(sums, "ContainersSize", -1), 0);
		json_decref(sums);
		add(usage, answer, "bad");
		json_object_set_new(one, "Containers", json_integer(absurd[i]));
		(void)merged_image_add(&images, one, true);
	}
	out = usage_take(usage, 50);
	assert_int_equal(json_int(out, "LayersSize", 0), 100);
	assert_int_equal(json_int(images->json, "Containers", 0), 2);
	assert_int_equal(fanout_sum(INT64_MAX - 1, FANOUT_TOLD_MAX), INT64_MAX);
	merged_images_free(&images);
	json_decref(one);
	json_decref(out);
}

/* No list has other lists as items, where a reply in pieces would take them for something else. */
static void test_odd_items(void **state)
{
	struct usage *usage = usage_new();
	json_t *out, *tags;
	struct merged_image *images = NULL;
	json_t *one =
		json_pack("{s:s, s:[s,s,i,[],n]}", "Id", "x", "RepoTags", "a", "<none>:<none>", 1);

	(void)state;
	add(usage,
		json_pack("{s:[[],i,n,{s:n}], s:n, s:i}", "Containers", 1, "Names", "Images",
			"Volumes", 3),
		"n");
	out = usage_take(usage, 50);
	assert_int_equal(json_array_size(json_arr(out, "Containers")), 1);
	json_decref(out);
	(void)merged_image_add(&images, one, true);
	(void)merged_image_add(&images, one, true);
	tags = json_arr(images->json, "RepoTags");
	assert_int_equal(json_array_size(tags), 1);
	merged_images_free(&images);
	json_decref(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_volumes),
		cmocka_unit_test(test_many_tags),
		cmocka_unit_test(test_sections),
		cmocka_unit_test(test_absurd_numbers),
		cmocka_unit_test(test_odd_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
