/* Deleting images: names first, then what nothing needs any more. */
#include "simulator/filter.h"
#include "simulator/image.h"

#include <string.h>
#include <utlist.h>

static void record(struct sim_deleted *out, const char *key, const char *prefix, const char *value)
{
	CLEANUP_FREE char *text = xasprintf("%s%s", prefix, value);

	if (out->records->len)
		buf_append_char(out->records, ',');
	buf_append_char(out->records, '{');
	sim_json_s(out->records, key, text);
	buf_append_char(out->records, '}');
}

static struct sim_container *image_user(
	struct sim_engine *e, const struct sim_image *image, bool running)
{
	struct sim_container *c;

	DL_FOREACH (e->containers, c)
		if (c->image == image && sim_container_is_running(c) == running)
			return c;
	return NULL;
}

static size_t name_len(const char *name)
{
	const char *at = strchr(name, '@');
	const char *slash = strrchr(name, '/');
	const char *colon = strchr(slash ? slash : name, ':');

	return at ? (size_t)(at - name) : colon ? (size_t)(colon - name) : strlen(name);
}

static bool same_repository(const char *a, const char *b)
{
	return name_len(a) == name_len(b) && strncmp(a, b, name_len(a)) == 0;
}

/* At most one tag, and all names of one repository. */
static bool is_single(const struct sim_image *image)
{
	const char *first = image->tags.len      ? image->tags.items[0]
			    : image->digests.len ? image->digests.items[0]
						 : NULL;

	for (size_t i = 0; i < image->digests.len; i++)
		if (!same_repository(first, image->digests.items[i]))
			return false;
	return first && image->tags.len <= 1;
}

static void list_remove(struct str_list *list, size_t i)
{
	free(list->items[i]);
	memmove(&list->items[i], &list->items[i + 1], (list->len - i - 1) * sizeof(*list->items));
	list->len--;
}

static void untag_at(struct sim_engine *e, struct sim_image *image, struct str_list *list, size_t i,
	struct sim_deleted *out)
{
	record(out, "Untagged", "", list->items[i]);
	sim_image_event(e, image, "untag", NULL);
	list_remove(list, i);
}

static void untag_all(struct sim_engine *e, struct sim_image *image, struct sim_deleted *out)
{
	while (image->tags.len)
		untag_at(e, image, &image->tags, 0, out);
	while (image->digests.len)
		untag_at(e, image, &image->digests, 0, out);
}

/* Digests of a repository go with its last tag. */
static void untag_digests(
	struct sim_engine *e, struct sim_image *image, const char *name, struct sim_deleted *out)
{
	for (size_t i = 0; i < image->tags.len; i++)
		if (same_repository(image->tags.items[i], name))
			return;
	for (size_t i = image->digests.len; i-- > 0;)
		if (same_repository(image->digests.items[i], name))
			untag_at(e, image, &image->digests, i, out);
}

static int refuse(const struct sim_image *image, bool hard, const char *why,
	const struct sim_container *user, struct err *err)
{
	return sim_fail(err, 409, "conflict: unable to delete %.12s (%s) - %s%.12s", image->id,
		hard ? "cannot be forced" : "must be forced", why, user ? user->id : "");
}

/* soft: what may be forced stands in the way too; names: so do names of several repositories. */
static int check_conflict(
	struct sim_engine *e, const struct sim_image *image, bool soft, bool names, struct err *err)
{
	const struct sim_container *running = image_user(e, image, true);
	const struct sim_container *stopped = soft ? image_user(e, image, false) : NULL;

	if (image->children)
		return refuse(image, true, "image has dependent child images", NULL, err);
	if (running)
		return refuse(
			image, true, "image is being used by running container ", running, err);
	if (soft && names && image->tags.len + image->digests.len)
		return refuse(
			image, false, "image is referenced in multiple repositories", NULL, err);
	if (stopped)
		return refuse(
			image, false, "image is being used by stopped container ", stopped, err);
	return 0;
}

static bool shares_layers(const struct sim_content *a, const struct sim_content *b, size_t n)
{
	if (b->layers_len < n)
		return false;
	for (size_t i = n; i-- > 0;)
		if (!str_eq(a->layers[i].diff_id, b->layers[i].diff_id))
			return false;
	return true;
}

int64_t sim_image_own_size(const struct sim_engine *e, const struct sim_image *image, bool earlier)
{
	const struct sim_image *other;
	size_t shared = 0;
	int64_t bytes = 0;

	for (other = e->images; other && !(earlier && other == image); other = other->next)
		while (other != image && shared < image->content->layers_len &&
			shares_layers(image->content, other->content, shared + 1))
			shared++;
	for (size_t i = shared; i < image->content->layers_len; i++)
		bytes += image->content->layers[i].size;
	return bytes;
}

/* The n lowest layers are those of another image, or a container stands on them. */
static bool layer_is_used(struct sim_engine *e, const struct sim_image *image, size_t n)
{
	const struct sim_image *other;
	const struct sim_container *c;

	DL_FOREACH (e->images, other)
		if (other != image && shares_layers(image->content, other->content, n))
			return true;
	DL_FOREACH (e->containers, c)
		if (shares_layers(image->content, c->image->content, n))
			return true;
	return false;
}

static void image_drop(struct sim_engine *e, struct sim_image *image, struct sim_deleted *out)
{
	const struct sim_content *content = image->content;

	sim_image_event(e, image, "delete", NULL);
	record(out, "Deleted", "sha256:", image->id);
	for (size_t n = content->layers_len; n && !layer_is_used(e, image, n); n--) {
		char chain[SIM_ID_LEN + 1];

		sim_content_chain_id(content, n - 1, chain);
		record(out, "Deleted", "sha256:", chain);
		out->bytes += content->layers[n - 1].size;
	}
	DL_DELETE(e->images, image);
	e->images_len--;
	image->is_listed = false;
	if (image->parent)
		image->parent->children--;
	sim_image_unref(image);
}

/* Deletes it, and those that it was made from and that nothing else needs. quiet: conflicts end it
 * without an error. */
static int delete_image(struct sim_engine *e, struct sim_image *image, bool force, bool prune,
	bool quiet, struct sim_deleted *out, struct err *err)
{
	int status = check_conflict(e, image, !force, true, err);
	struct sim_image *parent = image->parent;

	if (status)
		return quiet ? 0 : status;
	untag_all(e, image, out);
	if (parent)
		sim_image_ref(parent);
	image_drop(e, image, out);
	if (prune && parent && parent->is_listed)
		status = delete_image(e, parent, false, true, true, out, err);
	sim_image_unref(parent);
	return status;
}

/* By one of its names: that goes, and with the last one the image. */
static int delete_name(struct sim_engine *e, struct sim_image *image, const char *key,
	const char *name, bool force, bool prune, struct sim_deleted *out, struct err *err)
{
	const struct sim_container *user = image_user(e, image, true);
	CLEANUP_FREE char *own = xstrdup(name);

	if (!user)
		user = image_user(e, image, false);
	if (!force && user && is_single(image))
		return sim_fail(err, 409,
			"conflict: unable to remove repository reference \"%s\" (must force) - "
			"container %.12s is using its referenced image %.12s",
			key, user->id, image->id);
	for (size_t i = 0; i < image->tags.len; i++)
		if (str_eq(image->tags.items[i], own)) {
			untag_at(e, image, &image->tags, i, out);
			untag_digests(e, image, own, out);
			break;
		}
	for (size_t i = 0; i < image->digests.len; i++)
		if (str_eq(image->digests.items[i], own))
			untag_at(e, image, &image->digests, i, out);
	if (image->tags.len + image->digests.len)
		return 0;
	return delete_image(e, image, force, prune, true, out, err);
}

int sim_image_delete(struct sim_engine *e, const char *key, bool force, bool prune,
	struct sim_deleted *out, struct err *err)
{
	struct sim_image *image = sim_image_find(e, key);
	CLEANUP_FREE char *normal = NULL;
	int status;

	if (!image)
		return sim_image_missing(key, err);
	normal = sim_image_normal(key, NULL);
	if (normal && (str_list_has(&image->tags, normal) || str_list_has(&image->digests, normal)))
		return delete_name(e, image, key, normal, force, prune, out, err);
	if (is_single(image)) {
		status = check_conflict(e, image, !force, false, err);
		if (status)
			return status;
		untag_all(e, image, out);
	}
	return delete_image(e, image, force, prune, false, out, err);
}

/* ---- prune ---- */

static bool is_pruned(
	const struct sim_image *image, const json_t *filters, bool dangling, int64_t until_ns)
{
	CLEANUP_JSON json_t *config = json_loads(image->content->config, 0, NULL);
	bool named = image->tags.len + image->digests.len > 0;

	return !(dangling ? image->children > 0 : !named && image->children > 0) &&
	       !(until_ns && image->content->created_ns > until_ns) &&
	       sim_filter_prune_labels(filters, json_obj(config, "Labels"));
}

static void prune_one(struct sim_engine *e, const char *id, bool dangling, struct sim_deleted *out)
{
	struct sim_image *image = sim_image_find(e, id);
	CLEANUP_STR_LIST struct str_list names = {0};

	if (!image)
		return;
	if (!image->tags.len && !image->digests.len) {
		(void)!sim_image_delete(e, id, false, true, out, NULL);
		return;
	}
	if (dangling && image->tags.len)
		return;
	for (size_t i = 0; i < image->tags.len; i++)
		str_list_add(&names, image->tags.items[i]);
	for (size_t i = 0; i < image->digests.len; i++)
		str_list_add(&names, image->digests.items[i]);
	for (size_t i = 0; i < names.len; i++)
		(void)!sim_image_delete(e, names.items[i], false, true, out, NULL);
}

int sim_images_prune(
	struct sim_engine *e, const json_t *filters, struct sim_deleted *out, struct err *err)
{
	CLEANUP_STR_LIST struct str_list ids = {0};
	struct sim_image *image;
	bool dangling = true;
	int64_t until_ns = 0;
	int status = sim_filter_bool(filters, "dangling", &dangling, err);

	if (!status)
		status = sim_filter_until(filters, sim_now(e), &until_ns, err);
	if (status)
		return status;
	/* Deleting one may delete others. */
	DL_FOREACH (e->images, image)
		if (is_pruned(image, filters, dangling, until_ns))
			str_list_add_take(&ids, xasprintf("sha256:%s", image->id));
	for (size_t i = 0; i < ids.len; i++)
		prune_one(e, ids.items[i], dangling, out);
	return 0;
}
