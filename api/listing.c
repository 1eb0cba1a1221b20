#include "api/listing.h"
#include "api/paced.h"
#include "api/pattern.h"
#include "lib/str.h"

#include <string.h>

#define PATTERNS_MAX 64

struct patterns {
	struct pattern items[PATTERNS_MAX];
	size_t len;
	struct pattern_budget budget;
};

static void patterns_free(struct patterns *patterns)
{
	for (size_t i = 0; patterns != NULL && i < patterns->len; i++)
		pattern_reset(&patterns->items[i]);
	free(patterns);
}

static int patterns_new(
	const json_t *filters, const char *key, struct patterns **out, struct err *err)
{
	const json_t *values = json_object_get(filters, key);
	json_t *value;
	size_t i;

	if (json_array_size(values) == 0)
		return 0;
	if (json_array_size(values) > PATTERNS_MAX)
		return err_set(
			err, ERR_INVALID, "filter '%s' has more than %d values", key, PATTERNS_MAX);
	*out = xcalloc(1, sizeof(**out));
	pattern_budget_init(&(*out)->budget);
	json_array_foreach ((json_t *)values, i, value) {
		(*out)->len++;
		if (pattern_compile(&(*out)->items[i], &(*out)->budget, json_string_value(value),
			    key, err) != 0)
			return -1;
	}
	return 0;
}

static bool patterns_match(struct patterns *patterns, const char *text)
{
	for (size_t i = 0; i < patterns->len; i++) {
		if (pattern_matches(&patterns->items[i], &patterns->budget, text))
			return true;
	}
	return false;
}

static bool is_exhausted(const struct patterns *patterns)
{
	return patterns != NULL && pattern_budget_is_spent(&patterns->budget);
}

void listing_reply(struct listing *listing, json_t *json_take)
{
	if (!is_exhausted(listing->names) && !is_exhausted(listing->ids)) {
		paced_reply_json(listing->r, NULL, json_take, "\n");
		return;
	}
	json_decref(json_take);
	exchange_reply_error(listing->r->x, 400, PATTERN_SPENT_TEXT);
}

bool listing_allows(
	const struct listing *listing, const struct node *node, const char *name, const char *id)
{
	char *full CLEANUP_FREE = NULL;

	if (!filters_allow_node(listing->filters, node))
		return false;
	if (listing->ids != NULL && id != NULL && !patterns_match(listing->ids, id))
		return false;
	if (listing->names == NULL || patterns_match(listing->names, name))
		return true;
	full = xasprintf("%s/%s", node_view(node)->name, name);
	return patterns_match(listing->names, full);
}

/* ---- What containers use ---- */

void listing_used(struct listing *listing, const char *key)
{
	json_object_set_new(listing->used, key, json_true());
}

bool listing_allows_use(const struct listing *listing, const char *key)
{
	if (listing->used == NULL)
		return true;
	return (json_object_get(listing->used, key) == NULL) == listing->is_dangling;
}

/* All containers are looked at, as in a list of them, and only when this filter is there. */
static void collect_used(struct listing *listing)
{
	size_t nodes_len;
	struct node **nodes = request_healthy_nodes(listing->r, &nodes_len);

	listing->used = json_object();
	for (size_t i = 0; i < nodes_len; i++) {
		size_t len;
		struct container *const *containers = node_containers(nodes[i], &len);

		for (size_t k = 0; k < len; k++)
			listing->use(listing, containers[k]);
	}
	free(nodes);
}

/* ---- Start ---- */

static int read_dangling(struct listing *listing, struct err *err)
{
	const json_t *values = json_object_get(listing->filters, "dangling");

	if (values == NULL)
		return 0;
	if (json_array_size(values) != 1 ||
		str_to_bool(json_string_value(json_array_get(values, 0)), &listing->is_dangling) !=
			0)
		return err_set(err, ERR_INVALID,
			"Invalid filter 'dangling': one of true and false is expected");
	collect_used(listing);
	return 0;
}

static int listing_read(struct listing *listing, const char *const *known, struct err *err)
{
	listing->filters = request_filters(listing->r, err);
	if (listing->filters == NULL || filters_check(listing->filters, known, err) != 0 ||
		patterns_new(listing->filters, "name", &listing->names, err) != 0 ||
		patterns_new(listing->filters, "id", &listing->ids, err) != 0)
		return -1;
	return read_dangling(listing, err);
}

int listing_init(
	struct listing *listing, struct request *r, const char *const *known, listing_use_fn *use)
{
	struct err err = ERR_INIT;

	*listing = (struct listing){.r = r, .use = use};
	if (listing_read(listing, known, &err) == 0)
		return 0;
	request_fail(r, &err);
	listing_free(listing);
	return -1;
}

void listing_free(struct listing *listing)
{
	patterns_free(listing->names);
	patterns_free(listing->ids);
	json_decref(listing->filters);
	json_decref(listing->used);
}
