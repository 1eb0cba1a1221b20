/* Images: the list is merged over the nodes by ID; a call about one image goes to a node that has
 * it. */
#include "api/api_priv.h"
#include "api/filters.h"
#include "lib/hash.h"
#include "lib/str.h"

#include <fnmatch.h>
#include <string.h>

/* One image ID with what all nodes say of it. */
struct merged {
	const char *id; /* of first */
	const struct image *first;
	json_t *json; /* the first node's entry, with tags and digests of all */
	bool is_listed;
	UT_hash_handle hh;
};

struct image_query {
	json_t *filters;
	bool all;
	int64_t before, since; /* creation time of the image named, or -1 */
};

/* ---- Merging ---- */

static void add_missing(json_t *to, const json_t *from)
{
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)from, i, item) {
		json_t *known;
		size_t k;

		json_array_foreach (to, k, known) {
			if (json_equal(known, item))
				break;
		}
		if (k == json_array_size(to))
			json_array_append(to, item);
	}
}

static void merge_names(json_t *into, const json_t *from, const char *key)
{
	json_t *list = json_arr(into, key);

	if (list == NULL) {
		list = json_array();
		json_object_set_new(into, key, list);
	}
	add_missing(list, json_arr(from, key));
}

static struct merged *merge_image(struct merged *all, const struct image *image)
{
	struct merged *m;

	HASH_FIND_STR(all, image->view.id, m);
	if (m == NULL) {
		m = xcalloc(1, sizeof(*m));
		m->id = image->view.id;
		m->first = image;
		m->json = json_copy(image->json);
		json_object_set_new(m->json, "RepoTags", json_array());
		json_object_set_new(m->json, "RepoDigests", json_array());
		HASH_ADD_KEYPTR(hh, all, m->id, strlen(m->id), m);
	}
	merge_names(m->json, image->json, "RepoTags");
	merge_names(m->json, image->json, "RepoDigests");
	return all;
}

/* ---- Filters ---- */

static bool is_named(const json_t *json)
{
	json_t *tag;
	size_t i;

	json_array_foreach (json_arr(json, "RepoTags"), i, tag) {
		if (!str_eq(json_string_value(tag), "<none>:<none>"))
			return true;
	}
	return false;
}

/* "alpine", "alpine:3*", "registry/alpine:latest": shell patterns over repo:tag, or over the
 * repository alone. */
static bool match_reference(const json_t *values, const json_t *json)
{
	static const char *const keys[] = {"RepoTags", "RepoDigests"};
	json_t *value, *name;
	size_t v, n;

	json_array_foreach ((json_t *)values, v, value) {
		const char *pattern = json_string_value(value);

		for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
			json_array_foreach (json_arr(json, keys[k]), n, name) {
				const char *text = json_string_value(name), *colon;
				char *repository CLEANUP_FREE = NULL;

				if (text == NULL)
					continue;
				colon = strchr(text, '@') != NULL ? strchr(text, '@')
								  : strrchr(text, ':');
				repository = xstrndup(text,
					colon != NULL ? (size_t)(colon - text) : strlen(text));
				if (fnmatch(pattern, text, FNM_PATHNAME) == 0 ||
					fnmatch(pattern, repository, FNM_PATHNAME) == 0)
					return true;
			}
		}
	}
	return false;
}

static bool first_is_true(const json_t *values)
{
	bool value = false;

	return str_to_bool(json_string_value(json_array_get(values, 0)), &value) == 0 && value;
}

static bool is_wanted(const struct image_query *query, const json_t *json)
{
	const json_t *dangling = json_object_get(query->filters, "dangling");
	const json_t *references = json_object_get(query->filters, "reference");
	int64_t created = json_int(json, "Created", 0);

	if (dangling != NULL && first_is_true(dangling) == is_named(json))
		return false;
	if (!filters_allow_labels(query->filters, json_obj(json, "Labels")))
		return false;
	if (references != NULL && !match_reference(references, json))
		return false;
	if (query->before >= 0 && created >= query->before)
		return false;
	return query->since < 0 || created > query->since;
}

static int compile_age(const struct request *r, const struct image_query *query, const char *name,
	int64_t *out, struct err *err)
{
	const char *reference =
		json_string_value(json_array_get(json_object_get(query->filters, name), 0));
	struct image **found;
	size_t len;

	*out = -1;
	if (reference == NULL)
		return 0;
	found = cluster_images_find(r->api->config.cluster, reference, &len);
	if (len == 0) {
		free(found);
		return err_set(err, ERR_INVALID, "invalid filter '%s': no such image found: '%s'",
			name, reference);
	}
	*out = json_int(found[0]->json, "Created", 0);
	free(found);
	return 0;
}

static int compile(const struct request *r, struct image_query *query, struct err *err)
{
	static const char *const known[] = {
		"before", "dangling", "label", "node", "reference", "since", NULL};
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
	/* `docker images NAME` before API 1.25. */
	if (!str_is_empty(old))
		json_object_set_new(query->filters, "reference", json_pack("[s]", old));
	query->all = request_query_bool(r, "all");
	if (compile_age(r, query, "before", &query->before, err) != 0)
		return -1;
	return compile_age(r, query, "since", &query->since, err);
}

/* ---- The list ---- */

/* Without `all`, layers that only others are built on are left out, as an engine does. */
static void hide_layers(struct merged *all)
{
	struct merged *m, *parent, *next;

	HASH_ITER (hh, all, m, next)
		m->is_listed = true;
	HASH_ITER (hh, all, m, next) {
		HASH_FIND_STR(all, json_str(m->json, "ParentId", ""), parent);
		if (parent != NULL && !is_named(parent->json))
			parent->is_listed = false;
	}
}

static int newest_first(struct merged *a, struct merged *b)
{
	int64_t left = json_int(a->json, "Created", 0), right = json_int(b->json, "Created", 0);

	if (left != right)
		return left > right ? -1 : 1;
	return strcmp(a->id, b->id);
}

static json_t *take_list(struct merged *all, const struct image_query *query)
{
	json_t *list = json_array();
	struct merged *m, *next;

	hide_layers(all);
	HASH_SORT(all, newest_first);
	HASH_ITER (hh, all, m, next) {
		if ((m->is_listed || query->all) && is_wanted(query, m->json))
			json_array_append(list, m->json);
		HASH_DEL(all, m);
		json_decref(m->json);
		free(m);
	}
	return list;
}

void images_list(struct request *r)
{
	struct image_query query = {0};
	struct err err = ERR_INIT;
	struct merged *all = NULL;
	struct node *const *nodes;
	size_t nodes_len;

	if (compile(r, &query, &err) != 0) {
		json_decref(query.filters);
		request_fail(r, &err);
		return;
	}
	nodes = cluster_nodes(r->api->config.cluster, &nodes_len);
	for (size_t i = 0; i < nodes_len; i++) {
		struct image *const *images;
		size_t len;

		if (node_state(nodes[i]) != NODE_HEALTHY ||
			!filters_allow_node(query.filters, nodes[i]))
			continue;
		images = node_images(nodes[i], &len);
		for (size_t k = 0; k < len; k++)
			all = merge_image(all, images[k]);
	}
	exchange_reply_json(r->x, 200, take_list(all, &query));
	json_decref(query.filters);
}

/* ---- One image ---- */

static void forward_to_image(struct request *r, const char *suffix)
{
	size_t len;
	struct image **found = cluster_images_find(r->api->config.cluster, r->name, &len);
	struct forward_spec spec = {0};
	char *id CLEANUP_FREE = NULL;

	if (len == 0) {
		exchange_reply_error(r->x, 404, "No such image: %s", r->name);
	} else if (node_state(found[0]->node) != NODE_HEALTHY) {
		exchange_reply_error(r->x, 503, "image %s is only on unhealthy node %s", r->name,
			node_view(found[0]->node)->name);
	} else {
		id = str_url_encode(found[0]->view.id, strlen(found[0]->view.id));
		spec.node = found[0]->node;
		spec.path_take = xasprintf("/images/%s%s", id, suffix);
		forward_collected(r, &spec);
	}
	free(found);
}

void image_inspect(struct request *r)
{
	forward_to_image(r, "/json");
}

void image_history(struct request *r)
{
	forward_to_image(r, "/history");
}
