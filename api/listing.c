#include "api/listing.h"
#include "lib/regex.h"
#include "lib/str.h"

#include <string.h>

#define PATTERNS_MAX 64
/* Compiled size of all expressions of one filter; making one that fails may be as much work. */
#define COST_MAX 20000
#define COST_OF_FAILURE (COST_MAX / 4)
/* Steps of all searches of one list at their worst; each is some nanoseconds. */
#define STEPS_MAX UINT64_C(50000000)

/* ---- Names and IDs: an engine takes them as regular expressions; what is none is compared ---- */

struct patterns {
	const char *texts[PATTERNS_MAX]; /* borrowed from the filters */
	struct regex *regexes[PATTERNS_MAX];
	size_t len;
	uint64_t steps; /* left; 0 = ran out */
};

static void patterns_free(struct patterns *patterns)
{
	for (size_t i = 0; patterns != NULL && i < patterns->len; i++)
		regex_free(patterns->regexes[i]);
	free(patterns);
}

static int patterns_compile(
	struct patterns *patterns, const json_t *values, const char *key, struct err *err)
{
	size_t cost = 0;

	for (size_t i = 0; i < json_array_size(values); i++) {
		const char *text = json_string_value(json_array_get(values, i));
		struct regex *regex = regex_new(text, NULL);

		patterns->texts[i] = text;
		patterns->regexes[i] = regex;
		patterns->len++;
		cost += regex != NULL ? regex_cost(regex) : COST_OF_FAILURE;
		if (cost > COST_MAX)
			return err_set(err, ERR_INVALID,
				"the regular expressions of filter '%s' are too large together",
				key);
	}
	return 0;
}

static int patterns_new(
	const json_t *filters, const char *key, struct patterns **out, struct err *err)
{
	const json_t *values = json_object_get(filters, key);

	if (json_array_size(values) == 0)
		return 0;
	if (json_array_size(values) > PATTERNS_MAX)
		return err_set(
			err, ERR_INVALID, "filter '%s' has more than %d values", key, PATTERNS_MAX);
	*out = xcalloc(1, sizeof(**out));
	(*out)->steps = STEPS_MAX;
	return patterns_compile(*out, values, key, err);
}

static bool regex_matches(struct patterns *patterns, const struct regex *regex, const char *text)
{
	size_t len = strlen(text);
	uint64_t steps = (uint64_t)regex_cost(regex) * (len + 1);

	if (steps >= patterns->steps) {
		patterns->steps = 0;
		return false;
	}
	patterns->steps -= steps;
	return regex_search(regex, text, len);
}

static bool patterns_match(struct patterns *patterns, const char *text)
{
	for (size_t i = 0; i < patterns->len; i++) {
		if (str_eq(patterns->texts[i], text) ||
			(patterns->regexes[i] != NULL &&
				regex_matches(patterns, patterns->regexes[i], text)))
			return true;
	}
	return false;
}

static bool is_exhausted(const struct patterns *patterns)
{
	return patterns != NULL && patterns->steps == 0;
}

void listing_reply(struct listing *listing, json_t *json_take)
{
	if (!is_exhausted(listing->names) && !is_exhausted(listing->ids)) {
		exchange_reply_json(listing->r->x, 200, json_take);
		return;
	}
	json_decref(json_take);
	exchange_reply_error(listing->r->x, 400,
		"the regular expressions of the filters take too much work in this cluster");
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
