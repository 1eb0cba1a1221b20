/* Requests about images. The registry behind every engine has every image but those under
 * `notfound/`. */
#include "backends/sim_filter.h"
#include "backends/sim_http.h"

#include <fnmatch.h>
#include <string.h>
#include <utlist.h>

static bool matches_reference(const struct sim_image *image, const json_t *filters)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, "reference"), i, item)
		for (size_t k = 0; k < image->tags.len; k++) {
			const char *pattern = json_string_value(item);
			const char *tag = image->tags.items[k];
			const char *colon = strrchr(tag, ':');
			CLEANUP_FREE char *bare = xstrndup(tag, (size_t)(colon - tag));

			if (!fnmatch(pattern, tag, FNM_PATHNAME) ||
				!fnmatch(pattern, bare, FNM_PATHNAME))
				return true;
		}
	return !sim_filter_has(filters, "reference");
}

/* The image of `before` or `since`. 0 or a status. */
static int image_of(struct sim_request *r, const json_t *filters, const char *key,
	struct sim_image **out, struct err *err)
{
	const char *name = json_string_value(json_array_get(json_object_get(filters, key), 0));

	*out = name ? sim_image_find(r->engine, name) : NULL;
	if (name && !*out)
		return sim_fail(err, 404, "No such image: %s", name);
	return 0;
}

static void image_list(struct sim_request *r)
{
	static const char *const accepted[] = {
		"dangling", "label", "before", "since", "reference", NULL};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_image *image;
	struct sim_image *before = NULL;
	struct sim_image *since = NULL;
	bool dangling = false;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (!status)
		status = sim_filter_bool(filters, "dangling", &dangling, &err);
	if (!status)
		status = image_of(r, filters, "before", &before, &err);
	if (!status)
		status = image_of(r, filters, "since", &since, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_char(&b, '[');
	DL_FOREACH (r->engine->images, image) {
		CLEANUP_JSON json_t *config = json_loads(image->config, 0, NULL);

		if ((before && image->created_ns >= before->created_ns) ||
			(since && image->created_ns <= since->created_ns) ||
			(sim_filter_has(filters, "dangling") &&
				dangling == (image->tags.len > 0)) ||
			!sim_filter_labels(filters, "label", json_obj(config, "Labels")) ||
			!matches_reference(image, filters))
			continue;
		sim_json_item(&b);
		sim_image_write_summary(&b, r->engine, image);
	}
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

static void progress(struct buf *b, const char *status, const char *id, bool detail)
{
	buf_append_char(b, '{');
	sim_json_s(b, "status", status);
	if (detail)
		buf_append_str(b, ",\"progressDetail\":{}");
	if (id)
		sim_json_s(b, "id", id);
	buf_append_str(b, "}\r\n");
}

static void pull_write(struct buf *b, const struct sim_image *image, const char *normal, bool known)
{
	const char *colon = strrchr(normal, ':');
	CLEANUP_FREE char *repo = xstrndup(normal, (size_t)(colon - normal));
	CLEANUP_FREE char *from =
		xasprintf("Pulling from %s%s", strchr(repo, '/') ? "" : "library/", repo);
	CLEANUP_FREE char *layer = xstrndup(image->id + 20, 12);
	CLEANUP_FREE char *digest = xasprintf("Digest: sha256:%s", image->id);
	CLEANUP_FREE char *end = xasprintf("Status: %s for %s",
		known ? "Image is up to date" : "Downloaded newer image", normal);

	progress(b, from, colon + 1, false);
	if (!known) {
		progress(b, "Pulling fs layer", layer, true);
		progress(b, "Download complete", layer, true);
		progress(b, "Pull complete", layer, true);
	}
	progress(b, digest, NULL, false);
	progress(b, end, NULL, false);
}

static void image_create(struct sim_request *r)
{
	const char *name = sim_query(r, "fromImage");
	const char *tag = sim_query(r, "tag");
	CLEANUP_FREE char *whole =
		*tag && !strchr(name, '@')
			? xasprintf(str_has_prefix(tag, "sha256:") ? "%s@%s" : "%s:%s", name, tag)
			: xstrdup(name);
	CLEANUP_FREE char *normal = NULL;
	CLEANUP_FREE char *bare = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_image *image;
	struct sim_event_attr attrs[] = {{"name", NULL}, {NULL, NULL}};
	bool known;

	if (!*name) {
		sim_reply_text(r, 501, "importing images is not simulated");
		return;
	}
	normal = sim_image_normal(whole, &err);
	if (!normal || strchr(normal, '@')) {
		if (normal)
			sim_reply_text(r, 501, "pulling by digest is not simulated");
		else
			sim_reply_error(r, 400, &err);
		return;
	}
	bare = xstrndup(normal, (size_t)(strrchr(normal, ':') - normal));
	if (str_has_prefix(normal, "notfound/")) {
		sim_reply_text(r, 404,
			"pull access denied for %s, repository does not exist or may require "
			"'docker "
			"login': denied: requested access to the resource is denied",
			bare);
		return;
	}
	image = sim_image_find(r->engine, normal);
	known = image != NULL;
	if (!known)
		image = sim_image_add(r->engine, normal);
	if (!image) {
		sim_reply_text(r, 507, "no space left for images");
		return;
	}
	buf_init(&b, 1 << 20);
	pull_write(&b, image, normal, known);
	attrs[0].value = bare;
	sim_event_emit(r->engine, "image", "pull", normal, attrs);
	sim_reply_stream(r, 200, "application/json");
	exchange_reply_write(r->x, b.data, b.len);
	exchange_reply_end(r->x);
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
	struct err err = ERR_INIT;
	int status;

	buf_init(&b, SIM_REPLY_MAX);
	status = sim_image_delete(r->engine, r->name, sim_query_bool(r, "force"), &b, &err);
	if (status)
		sim_reply_error(r, status, &err);
	else
		sim_reply_buf(r, 200, &b);
}

static void image_prune(struct sim_request *r)
{
	static const char *const accepted[] = {"dangling", "label", "label!", "until", NULL};
	const struct sim_event_attr attrs[] = {{"reclaimed", "0"}, {NULL, NULL}};
	CLEANUP_JSON json_t *filters = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_image *image;
	struct sim_image *tmp;
	bool dangling = true;
	size_t n = 0;
	int status = sim_filters_parse(sim_query(r, "filters"), accepted, &filters, &err);

	if (!status)
		status = sim_filter_bool(filters, "dangling", &dangling, &err);
	if (!status && (sim_filter_has(filters, "until") || sim_filter_has(filters, "label") ||
			       sim_filter_has(filters, "label!")))
		status = sim_fail(&err, 501, "only the filter dangling is simulated here");
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, SIM_REPLY_MAX);
	buf_append_str(&b, "{\"ImagesDeleted\":");
	DL_FOREACH_SAFE (r->engine->images, image, tmp) {
		CLEANUP_FREE char *key = xasprintf("sha256:%s", image->id);
		CLEANUP_BUF struct buf one = {0};

		if ((dangling && image->tags.len) || image->refs > 1)
			continue;
		buf_init(&one, SIM_REPLY_MAX);
		if (sim_image_delete(r->engine, key, true, &one, NULL) || one.len < 3)
			continue;
		buf_append_char(&b, n++ ? ',' : '[');
		buf_append(&b, one.data + 1, one.len - 2);
	}
	buf_append_str(&b, n ? "],\"SpaceReclaimed\":0}" : "null,\"SpaceReclaimed\":0}");
	sim_event_emit(r->engine, "image", "prune", "", attrs);
	sim_reply_buf(r, 200, &b);
}

static void image_commit(struct sim_request *r)
{
	const char *repo = sim_query(r, "repo");
	const char *key = sim_query(r, "container");
	struct sim_image *image = NULL;
	CLEANUP_FREE char *id = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	int status = 0;
	struct sim_container *c = sim_container_find(r->engine, key, &status, &err);

	if (c)
		status = sim_image_commit(r->engine, c, repo, sim_query(r, "tag"), &image, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	id = xasprintf("sha256:%s", image->id);
	sim_event_container(r->engine, c, "commit",
		(struct sim_event_attr[]){{"comment", sim_query(r, "comment")}, {"imageID", id},
			{"imageRef", repo}, {NULL, NULL}});
	buf_init(&b, 4096);
	buf_printf(&b, "{\"Id\":\"%s\"}", id);
	sim_reply_buf(r, 201, &b);
}

static void not_simulated(struct sim_request *r)
{
	sim_reply_text(r, 501, "contents of images are not simulated");
}

const struct sim_route sim_routes_image[] = {
	{"GET", "/images/json", NULL, image_list, 0},
	{"GET", "/images/get", NULL, not_simulated, 0},
	{"GET", "/images/search", NULL, not_simulated, 0},
	{"POST", "/images/create", NULL, image_create, SIM_ROUTE_DISCARD},
	{"POST", "/images/load", NULL, not_simulated, SIM_ROUTE_DISCARD},
	{"POST", "/images/prune", NULL, image_prune, 0},
	{"POST", "/commit", NULL, image_commit, SIM_ROUTE_DISCARD},
	{"POST", "/build", NULL, not_simulated, SIM_ROUTE_DISCARD},
	{"POST", "/build/prune", NULL, not_simulated, SIM_ROUTE_DISCARD},
	{"POST", "/auth", NULL, not_simulated, SIM_ROUTE_DISCARD},
	{"GET", "/distribution/", "/json", not_simulated, SIM_ROUTE_SLASHES},
	{"GET", "/images/", "/json", image_inspect, SIM_ROUTE_SLASHES},
	{"GET", "/images/", "/history", image_history, SIM_ROUTE_SLASHES},
	{"GET", "/images/", "/get", not_simulated, SIM_ROUTE_SLASHES},
	{"POST", "/images/", "/push", not_simulated, SIM_ROUTE_SLASHES | SIM_ROUTE_DISCARD},
	{"POST", "/images/", "/tag", image_tag, SIM_ROUTE_SLASHES},
	{"DELETE", "/images/", "", image_delete, SIM_ROUTE_SLASHES},
	{NULL, NULL, NULL, NULL, 0},
};
