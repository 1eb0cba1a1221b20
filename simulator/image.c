/* Images of one engine: names that point to content. */
#include "simulator/image.h"

#include <string.h>
#include <utlist.h>

#define REFERENCE_MAX 512
#define TAGS_MAX 1000

char *sim_image_normal(const char *reference, struct err *err)
{
	const char *at = strchr(reference, '@');
	const char *slash;
	const char *colon;

	for (const char *p = reference; *p && p != at; p++) {
		if (*p >= 'A' && *p <= 'Z' && !memchr(reference, ':', (size_t)(p - reference))) {
			sim_fail(err, 400,
				"invalid reference format: repository name must be lowercase");
			return NULL;
		}
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:",
			    *p))
			goto invalid;
	}
	if (!*reference || strchr("._-/:", *reference) || strlen(reference) > REFERENCE_MAX)
		goto invalid;
	if (str_has_prefix(reference, "docker.io/"))
		reference += strlen("docker.io/");
	if (str_has_prefix(reference, "library/"))
		reference += strlen("library/");
	slash = strrchr(reference, '/');
	colon = strchr(slash ? slash : reference, ':');
	if ((slash && !slash[1]) || (colon && !colon[1]))
		goto invalid;
	return colon || at ? xstrdup(reference) : xasprintf("%s:latest", reference);
invalid:
	sim_fail(err, 400, "invalid reference format");
	return NULL;
}

struct sim_image *sim_image_ref(struct sim_image *image)
{
	image->refs++;
	return image;
}

void sim_image_unref(struct sim_image *image)
{
	while (image && !--image->refs) {
		struct sim_image *parent = image->parent;

		sim_content_unref(image->contents, image->content);
		str_list_free(&image->tags);
		str_list_free(&image->digests);
		free(image);
		image = parent;
	}
}

void sim_image_event(
	struct sim_engine *e, const struct sim_image *image, const char *action, const char *name)
{
	CLEANUP_FREE char *id = xasprintf("sha256:%s", image->id);
	const struct sim_event_attr attrs[] = {{"name", name ? name : id}, {NULL, NULL}};

	sim_event_emit(e, "image", action, id, attrs);
}

static struct sim_image *image_by_name(struct sim_engine *e, const char *name)
{
	struct sim_image *image;

	DL_FOREACH (e->images, image)
		if (str_list_has(&image->tags, name) || str_list_has(&image->digests, name))
			return image;
	return NULL;
}

static struct sim_image *image_by_id(struct sim_engine *e, const char *prefix)
{
	size_t len = strlen(prefix);
	struct sim_image *found = NULL;
	struct sim_image *image;

	if (!len || len > SIM_ID_LEN || !str_is_hex(prefix, len))
		return NULL;
	DL_FOREACH (e->images, image) {
		if (strncmp(image->id, prefix, len) != 0)
			continue;
		if (found)
			return NULL;
		found = image;
	}
	return found;
}

static void untag(struct sim_image *image, const char *tag)
{
	for (size_t i = 0; i < image->tags.len; i++) {
		if (!str_eq(image->tags.items[i], tag))
			continue;
		free(image->tags.items[i]);
		memmove(&image->tags.items[i], &image->tags.items[i + 1],
			(image->tags.len - i - 1) * sizeof(*image->tags.items));
		image->tags.len--;
		return;
	}
}

struct sim_image *sim_image_put(
	struct sim_engine *e, struct sim_content *content_take, struct sim_image *parent)
{
	struct sim_image *image = image_by_id(e, content_take->id);

	if (image || e->images_len >= SIM_OBJECTS_MAX) {
		sim_content_unref(&e->options->contents, content_take);
		return image;
	}
	image = xcalloc(1, sizeof(*image));
	image->refs = 1;
	image->content = content_take;
	image->contents = &e->options->contents;
	image->id = content_take->id;
	image->is_listed = true;
	if (parent) {
		image->parent = sim_image_ref(parent);
		parent->children++;
	}
	DL_PREPEND(e->images, image);
	e->images_len++;
	return image;
}

struct sim_image *sim_image_add(struct sim_engine *e, const char *reference)
{
	struct sim_image *image = image_by_name(e, reference);
	struct sim_content *content;

	if (image)
		return image;
	content = sim_registry_get(e->options, reference, NULL);
	image = content ? sim_image_put(e, content, NULL) : NULL;
	if (image)
		str_list_add(&image->tags, reference);
	return image;
}

struct sim_image *sim_image_find(struct sim_engine *e, const char *reference)
{
	CLEANUP_FREE char *normal = NULL;
	struct sim_image *image = NULL;

	if (str_has_prefix(reference, "sha256:"))
		return image_by_id(e, reference + strlen("sha256:"));
	if (strlen(reference) == SIM_ID_LEN)
		image = image_by_id(e, reference);
	normal = image ? NULL : sim_image_normal(reference, NULL);
	if (normal)
		image = image_by_name(e, normal);
	return image ? image : image_by_id(e, reference);
}

int sim_image_missing(const char *reference, struct err *err)
{
	CLEANUP_FREE char *normal = sim_image_normal(reference, NULL);

	return sim_fail(err, 404, "No such image: %s",
		normal && !str_has_prefix(reference, "sha256:") ? normal : reference);
}

int sim_image_name(struct sim_engine *e, struct sim_image *image, const char *name,
	const char *told, struct err *err)
{
	struct sim_image *other = image_by_name(e, name);

	if (image->tags.len >= TAGS_MAX)
		return sim_fail(err, 507, "too many tags");
	if (other)
		untag(other, name);
	str_list_add(&image->tags, name);
	str_list_sort(&image->tags);
	if (!told)
		return 0;
	image->tagged_ns = sim_now(e);
	sim_image_event(e, image, "tag", told);
	return 0;
}

void sim_image_add_digest(struct sim_image *image, const char *name)
{
	char digest[SIM_ID_LEN + 1];
	CLEANUP_FREE char *whole = NULL;
	const char *end = strchr(name, '@');

	if (!end)
		end = strrchr(name, ':');
	sim_content_manifest_digest(image->content, digest);
	whole = xasprintf(
		"%.*s@sha256:%s", end ? (int)(end - name) : (int)strlen(name), name, digest);
	if (str_list_has(&image->digests, whole) || image->digests.len >= TAGS_MAX)
		return;
	str_list_add_take(&image->digests, TAKE_PTR(whole));
	str_list_sort(&image->digests);
}

int sim_image_tag(struct sim_engine *e, const char *source, const char *repo, const char *tag,
	struct err *err)
{
	CLEANUP_FREE char *whole =
		str_is_empty(tag) ? xstrdup(repo) : xasprintf("%s:%s", repo, tag);
	CLEANUP_FREE char *normal = NULL;
	struct sim_image *image = sim_image_find(e, source);

	if (!image)
		return sim_image_missing(source, err);
	normal = sim_image_normal(whole, err);
	return normal ? sim_image_name(e, image, normal, whole, err) : 500;
}

void sim_images_free(struct sim_engine *e)
{
	struct sim_image *image;
	struct sim_image *tmp;

	DL_FOREACH_SAFE (e->images, image, tmp) {
		DL_DELETE(e->images, image);
		sim_image_unref(image);
	}
}
