/* The list of images, merged over the nodes by ID. It comes from the inventory; only what engines
 * count when they are asked for it (sizes shared with others, the manifests of an index) is asked
 * for then. */
#include "api/fanout.h"
#include "api/filters.h"
#include "api/image_age.h"
#include "api/image_merge.h"
#include "api/paced.h"
#include "lib/hash.h"
#include "lib/str.h"

#include <fnmatch.h>
#include <string.h>

/* The first versions whose clients expect no placeholders for images without names, and no
 * VirtualSize. */
#define MINOR_WITHOUT_NONE 43
#define MINOR_WITHOUT_VIRTUAL_SIZE 44
/* The first without the parameter `filter`. */
#define MINOR_WITHOUT_FILTER 41

struct image_query {
	json_t *filters;
	bool all;
	int minor; /* API version of the client */
	struct image_age age;
	struct merged_image *merged; /* as far as engines that are asked have answered */
};

/* ---- Filters ---- */

static bool is_named(const json_t *json)
{
	return json_array_size(json_arr(json, "RepoTags")) > 0;
}

/* "alpine", "alpine:3*", "registry/alpine:latest": shell patterns over repo:tag, or over the
 * repository alone. */
static bool reference_fits(const json_t *patterns, const char *name)
{
	const char *colon = strchr(name, '@') != NULL ? strchr(name, '@') : strrchr(name, ':');
	char *repository CLEANUP_FREE =
		xstrndup(name, colon != NULL ? (size_t)(colon - name) : strlen(name));
	json_t *value;
	size_t i;

	json_array_foreach ((json_t *)patterns, i, value) {
		const char *pattern = json_string_value(value);

		if (fnmatch(pattern, name, FNM_PATHNAME) == 0 ||
			fnmatch(pattern, repository, FNM_PATHNAME) == 0)
			return true;
	}
	return false;
}

/* Takes the other names from the image, as an engine does; false when none is left. */
static bool keep_references(const json_t *patterns, json_t *json)
{
	static const char *const keys[] = {"RepoTags", "RepoDigests"};
	bool is_any = false;

	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		json_t *names = json_arr(json, keys[k]);

		for (size_t i = json_array_size(names); i-- > 0;) {
			if (reference_fits(patterns, json_string_value(json_array_get(names, i))))
				is_any = true;
			else
				json_array_remove(names, i);
		}
	}
	return is_any;
}

static bool first_is_true(const json_t *values)
{
	bool value = false;

	return str_to_bool(json_string_value(json_array_get(values, 0)), &value) == 0 && value;
}

static bool is_wanted(const struct image_query *query, json_t *json)
{
	const json_t *dangling = json_object_get(query->filters, "dangling");
	const json_t *references = json_object_get(query->filters, "reference");

	if (dangling != NULL && first_is_true(dangling) == is_named(json))
		return false;
	if (!filters_allow_labels(query->filters, json_obj(json, "Labels")))
		return false;
	if (references != NULL && !keep_references(references, json))
		return false;
	return image_age_fits(&query->age, json_int(json, "Created", 0));
}

static int compile(const struct request *r, struct image_query *query, struct err *err)
{
	static const char *const known[] = {"before", "dangling", "label", "label!", "node",
		"reference", "since", "until", NULL};
	const char *old = request_query(r, "filter");
	const json_t *dangling;
	bool value;

	query->filters = request_filters(r, err);
	if (query->filters == NULL || filters_check(query->filters, known, err) != 0)
		return -1;
	dangling = json_array_get(json_object_get(query->filters, "dangling"), 0);
	if (dangling != NULL && str_to_bool(json_string_value(dangling), &value) != 0)
		return err_set(err, ERR_INVALID, "Invalid filter 'dangling=%s'",
			json_string_value(dangling));
	if (!str_is_empty(old) && r->minor < MINOR_WITHOUT_FILTER)
		json_object_set_new(query->filters, "reference", json_pack("[s]", old));
	query->all = request_query_bool(r, "all");
	query->minor = r->minor;
	return image_age_compile(r, query->filters, &query->age, err);
}

/* ---- The list ---- */

/* Without `all`, layers that only others are built on are left out, as an engine does. */
static void hide_layers(struct merged_image *all)
{
	struct merged_image *m, *parent, *next;

	HASH_ITER (hh, all, m, next)
		m->is_listed = true;
	HASH_ITER (hh, all, m, next) {
		HASH_FIND_STR(all, json_str(m->json, "ParentId", ""), parent);
		if (parent != NULL && !is_named(parent->json))
			parent->is_listed = false;
	}
}

static int newest_first(struct merged_image *a, struct merged_image *b)
{
	int64_t left = json_int(a->json, "Created", 0), right = json_int(b->json, "Created", 0);

	if (left != right)
		return left > right ? -1 : 1;
	return strcmp(a->id, b->id);
}

/* As clients of that version know it, whatever its engine speaks. */
static void adapt(json_t *json, int minor)
{
	if (json_arr(json, "RepoTags") == NULL)
		json_object_set_new(json, "RepoTags", json_array());
	if (json_arr(json, "RepoDigests") == NULL)
		json_object_set_new(json, "RepoDigests", json_array());
	if (minor >= MINOR_WITHOUT_VIRTUAL_SIZE)
		json_object_del(json, "VirtualSize");
	else if (json_object_get(json, "VirtualSize") == NULL)
		json_object_set_new(json, "VirtualSize", json_integer(json_int(json, "Size", 0)));
	if (minor >= MINOR_WITHOUT_NONE || is_named(json) ||
		json_array_size(json_arr(json, "RepoDigests")) > 0)
		return;
	json_object_set_new(json, "RepoTags", json_pack("[s]", "<none>:<none>"));
	json_object_set_new(json, "RepoDigests", json_pack("[s]", "<none>@<none>"));
}

static json_t *take_list(struct merged_image **all, const struct image_query *query)
{
	json_t *list = json_array();
	struct merged_image *m, *next;

	hide_layers(*all);
	HASH_SORT(*all, newest_first);
	HASH_ITER (hh, *all, m, next) {
		if ((m->is_listed || query->all) && is_wanted(query, m->json)) {
			adapt(m->json, query->minor);
			json_array_append(list, m->json);
		}
	}
	merged_images_free(all);
	return list;
}

/* An entry that was read, by its text: most of a fleet's images are told alike by many nodes. */
struct known {
	const char *text;
	int64_t containers; /* -1 = not counted */
	struct merged_image *merged;
	UT_hash_handle hh;
};

static void merge_text(struct merged_image **all, struct known **known, const char *text)
{
	json_t *entry CLEANUP_JSON = NULL;
	struct known *k;

	HASH_FIND_PTR(*known, &text, k);
	if (k == NULL) {
		entry = entry_json(text);
		k = xcalloc(1, sizeof(*k));
		k->text = text;
		k->containers = json_int(entry, "Containers", -1);
		k->merged = merged_image_add(all, entry, true);
		HASH_ADD_PTR(*known, text, k);
	} else if (k->merged != NULL) {
		merged_image_add_containers(k->merged, k->containers);
	}
}

static void list_inventory(
	struct request *r, const struct image_query *query, struct node *const *nodes, size_t len)
{
	struct merged_image *all = NULL;
	struct known *known = NULL, *k, *next;

	for (size_t i = 0; i < len; i++) {
		size_t images_len;
		struct image *const *images = node_images(nodes[i], &images_len);

		for (size_t j = 0; j < images_len; j++)
			merge_text(&all, &known, images[j]->text);
	}
	HASH_ITER (hh, known, k, next) {
		HASH_DEL(known, k);
		free(k);
	}
	paced_reply_json(r, NULL, take_list(&all, query), "\n");
}

/* ---- Asking the engines ---- */

/* Each answer is merged and dropped as it comes: together they may be too large to be held. */
static bool one_answered(struct request *r, struct fanout_reply *reply, void *arg)
{
	struct image_query *query = arg;
	json_t *entries CLEANUP_JSON = fanout_json(reply);
	json_t *entry;
	size_t i;

	(void)r;
	json_array_foreach (entries, i, entry)
		(void)merged_image_add(&query->merged, entry, true);
	fanout_reply_drop(reply);
	return false;
}

static void list_answered(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct image_query *query = arg;
	struct http_headers headers = {0};

	for (size_t i = 0; i < len; i++) {
		if (!fanout_is_good(&replies[i]))
			fanout_warn(&headers, &replies[i]);
	}
	paced_reply_json(r, &headers, take_list(&query->merged, query), "");
	http_headers_free(&headers);
}

static void query_end(struct exchange *x, bool finished, void *arg)
{
	struct image_query *query = arg;

	(void)x;
	(void)finished;
	merged_images_free(&query->merged);
	json_decref(query->filters);
	free(query);
}

static void list_engines(
	struct request *r, struct image_query *query, struct node *const *nodes, size_t len)
{
	char *parameters CLEANUP_FREE =
		xasprintf("all=1%s%s", request_query_bool(r, "shared-size") ? "&shared-size=1" : "",
			request_query_bool(r, "manifests") ? "&manifests=1" : "");
	const struct fanout_spec spec = {
		.method = "GET",
		.path = "/images/json",
		.query = parameters,
		.reply_max = API_REPLY_MAX,
		.each = one_answered,
		.done = list_answered,
		.arg = query,
	};

	fanout(r, nodes, len, &spec);
}

void images_list(struct request *r)
{
	struct image_query *query = xcalloc(1, sizeof(*query));
	struct err err = ERR_INIT;
	struct node **nodes;
	size_t healthy, len = 0;

	exchange_on_end(r->x, query_end, query);
	if (compile(r, query, &err) != 0) {
		request_fail(r, &err);
		return;
	}
	nodes = request_healthy_nodes(r, &healthy);
	for (size_t i = 0; i < healthy; i++) {
		if (filters_allow_node(query->filters, nodes[i]))
			nodes[len++] = nodes[i];
	}
	if (request_query_bool(r, "shared-size") || request_query_bool(r, "manifests"))
		list_engines(r, query, nodes, len);
	else
		list_inventory(r, query, nodes, len);
	free(nodes);
}
