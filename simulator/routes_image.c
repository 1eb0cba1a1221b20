/* Requests about images that are answered at once. */
#include "simulator/filter.h"
#include "simulator/http.h"
#include "simulator/image.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* Of the image's names those that a `reference` filter lets through. */
static void select_names(const struct str_list *names, const json_t *filters, struct str_list *out)
{
	json_t *item;
	size_t i;

	for (size_t k = 0; k < names->len; k++) {
		const char *name = names->items[k];
		const char *at = strchr(name, '@');
		CLEANUP_FREE char *bare =
			xstrndup(name, (size_t)((at ? at : strrchr(name, ':')) - name));
		bool fits = !sim_filter_has(filters, "reference");

		json_array_foreach (json_object_get(filters, "reference"), i, item) {
			const char *pattern = json_string_value(item);

			fits |= !fnmatch(pattern, name, FNM_PATHNAME) ||
				!fnmatch(pattern, bare, FNM_PATHNAME);
		}
		if (fits)
			str_list_add(out, name);
	}
}

/* The image of `before` or `since`. 0 or a status. */
static int image_of(struct sim_request *r, const json_t *filters, const char *key,
	struct sim_image **out, struct err *err)
{
	const char *name = json_string_value(json_array_get(json_object_get(filters, key), 0));

	*out = name ? sim_image_find(r->engine, name) : NULL;
	if (name && !*out)
		return sim_image_missing(name, err);
	return 0;
}

struct selection {
	struct sim_image *before, *since;
	bool has_dangling, dangling, all;
};

static void list_one(struct sim_request *r, const struct sim_image *image, const json_t *filters,
	const struct selection *s, struct buf *b)
{
	const struct sim_content *content = image->content;
	CLEANUP_STR_LIST struct str_list tags = {0};
	CLEANUP_STR_LIST struct str_list digests = {0};
	const struct sim_image_shown shown = {&tags, &digests, -1, -1};
	CLEANUP_JSON json_t *config = NULL;

	if ((s->before && content->created_ns >= s->before->content->created_ns) ||
		(s->since && content->created_ns <= s->since->content->created_ns))
		return;
	if (sim_filter_has(filters, "label")) {
		config = json_loads(content->config, 0, NULL);
		if (!sim_filter_labels(filters, "label", json_obj(config, "Labels")))
			return;
	}
	select_names(&image->tags, filters, &tags);
	select_names(&image->digests, filters, &digests);
	if (!tags.len && !digests.len) {
		/* Steps of builds show with `all` only. */
		if ((image->children && (!s->all || s->dangling)) ||
			(s->has_dangling && !s->dangling) || sim_filter_has(filters, "reference"))
			return;
	} else if (s->dangling && tags.len) {
		return;
	}
	sim_json_item(b);
	sim_image_write_summary(b, r->engine, image, &shown);
}

static int newest_first(const void *a, const void *b)
{
	const struct sim_image *x = *(struct sim_image *const *)a;
	const struct sim_image *y = *(struct sim_image *const *)b;

	return (x->content->created_ns < y->content->created_ns) -
	       (x->content->created_ns > y->content->created_ns);
}

static void image_list(struct sim_request *r)
{
	static const char *const accepted[] = {
		"dangling", "label", "before", "since", "reference", NULL};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct selection s = {.all = sim_query_bool(r, "all")};
	CLEANUP_FREE struct sim_image **list = NULL;
	struct sim_image *image;
	size_t len = 0;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (!status)
		status = sim_filter_bool(filters, "dangling", &s.dangling, &err);
	if (!status)
		status = image_of(r, filters, "before", &s.before, &err);
	if (!status)
		status = image_of(r, filters, "since", &s.since, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	s.has_dangling = sim_filter_has(filters, "dangling");
	list = xcalloc(r->engine->images_len + 1, sizeof(struct sim_image *));
	DL_FOREACH (r->engine->images, image)
		list[len++] = image;
	qsort(list, len, sizeof(struct sim_image *), newest_first);
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_char(&b, '[');
	for (size_t i = 0; i < len; i++)
		list_one(r, list[i], filters, &s, &b);
	buf_append_char(&b, ']');
	sim_reply_buf(r, 200, &b);
}

static struct sim_image *request_image(struct sim_request *r)
{
	struct sim_image *image = sim_image_find(r->engine, r->name);
	CLEANUP_FREE char *normal = image ? NULL : sim_image_normal(r->name, NULL);

	if (!image)
		sim_reply_text(r, 404, "no such image: %s: No such image: %s", r->name,
			normal && !str_has_prefix(r->name, "sha256:") ? normal : r->name);
	return image;
}

static void image_inspect(struct sim_request *r)
{
	struct sim_image *image = request_image(r);
	CLEANUP_BUF struct buf b = {0};

	if (!image)
		return;
	buf_init(&b, SIM_REPLY_MAX);
	sim_image_write(&b, r->engine, image);
	sim_reply_buf(r, 200, &b);
}

static void image_history(struct sim_request *r)
{
	struct sim_image *image = request_image(r);
	CLEANUP_BUF struct buf b = {0};

	if (!image)
		return;
	buf_init(&b, SIM_REPLY_MAX);
	sim_image_write_history(&b, image);
	sim_reply_buf(r, 200, &b);
}

static void image_create(struct sim_request *r)
{
	if (*sim_query(r, "fromImage")) {
		sim_image_pull(r);
	} else {
		sim_image_import(r);
	}
}

static void image_tag(struct sim_request *r)
{
	struct err err = ERR_INIT;
	int status =
		sim_image_tag(r->engine, r->name, sim_query(r, "repo"), sim_query(r, "tag"), &err);

	sim_reply_done(r, status, 201, &err);
}

static void image_delete(struct sim_request *r)
{
	CLEANUP_BUF struct buf b = {0};
	CLEANUP_BUF struct buf records = {0};
	struct sim_deleted deleted = {.records = &records};
	struct err err = ERR_INIT;
	int status;

	buf_init(&b, SIM_REPLY_MAX);
	buf_init(&records, SIM_REPLY_MAX / 2);
	status = sim_image_delete(r->engine, r->name, sim_query_bool(r, "force"),
		!sim_query_bool(r, "noprune"), &deleted, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_printf(&b, "[%s]", buf_str(&records));
	sim_reply_buf(r, 200, &b);
}

static void image_prune(struct sim_request *r)
{
	static const char *const accepted[] = {"dangling", "label", "label!", "until", NULL};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	CLEANUP_BUF struct buf records = {0};
	struct sim_deleted deleted = {.records = &records};
	struct err err = ERR_INIT;
	char reclaimed[32];
	const struct sim_event_attr attrs[] = {{"reclaimed", reclaimed}, {NULL, NULL}};
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	buf_init(&b, SIM_REPLY_MAX);
	buf_init(&records, SIM_REPLY_MAX / 2);
	if (!status)
		status = sim_images_prune(r->engine, filters, &deleted, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	snprintf(reclaimed, sizeof(reclaimed), "%lld", (long long)deleted.bytes);
	if (records.len)
		buf_printf(&b, "{\"ImagesDeleted\":[%s]", buf_str(&records));
	else
		buf_append_str(&b, "{\"ImagesDeleted\":null");
	buf_printf(&b, ",\"SpaceReclaimed\":%s}", reclaimed);
	sim_event_emit(r->engine, "image", "prune", "", attrs);
	sim_reply_buf(r, 200, &b);
}

const struct sim_route sim_routes_image[] = {
	{"GET", "/images/json", NULL, image_list, 0},
	{"GET", "/images/get", NULL, sim_images_save, 0},
	{"GET", "/images/search", NULL, sim_image_search, 0},
	{"POST", "/images/create", NULL, image_create, SIM_ROUTE_STREAM},
	{"POST", "/images/load", NULL, sim_image_load, SIM_ROUTE_STREAM},
	{"POST", "/images/prune", NULL, image_prune, SIM_ROUTE_DISCARD},
	{"POST", "/build", NULL, sim_build, SIM_ROUTE_STREAM},
	{"POST", "/commit", NULL, sim_image_commit, SIM_ROUTE_JSON},
	{"POST", "/auth", NULL, sim_registry_login, SIM_ROUTE_JSON},
	{"GET", "/distribution/", "/json", sim_image_distribution, SIM_ROUTE_SLASHES},
	{"GET", "/images/", "/json", image_inspect, SIM_ROUTE_SLASHES},
	{"GET", "/images/", "/history", image_history, SIM_ROUTE_SLASHES},
	{"GET", "/images/", "/get", sim_image_save, SIM_ROUTE_SLASHES},
	{"POST", "/images/", "/push", sim_image_push, SIM_ROUTE_SLASHES | SIM_ROUTE_DISCARD},
	{"POST", "/images/", "/tag", image_tag, SIM_ROUTE_SLASHES | SIM_ROUTE_DISCARD},
	{"DELETE", "/images/", "", image_delete, SIM_ROUTE_SLASHES},
	{NULL, NULL, NULL, NULL, 0},
};
