/* Images: names that point to IDs made from the name that was first pulled. */
#include "backends/sim_priv.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define REFERENCE_MAX 512
#define TAGS_MAX 1000

/* The ID of an image that was pulled under this name: the same on every engine. */
static void image_id(const char *reference, char out[SIM_ID_LEN + 1])
{
	uint64_t h = 14695981039346656037ull;

	for (const char *p = reference; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211ull;
	sim_hex(h, out);
}

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

static char *image_config(const char *reference)
{
	CLEANUP_FREE char *name = xstrndup(reference, strcspn(reference, ":@"));
	const char *slash = strrchr(name, '/');
	const char *last = slash ? slash + 1 : name;

	if (str_eq(last, "busybox") || str_eq(last, "alpine"))
		last = "sh";
	return xasprintf("{\"Cmd\":[\"%s\"]}", last);
}

struct sim_image *sim_image_ref(struct sim_image *image)
{
	image->refs++;
	return image;
}

void sim_image_unref(struct sim_image *image)
{
	if (!image || --image->refs)
		return;
	str_list_free(&image->tags);
	free(image->config);
	free(image);
}

static void image_event(
	struct sim_engine *e, const struct sim_image *image, const char *action, const char *name)
{
	CLEANUP_FREE char *id = xasprintf("sha256:%s", image->id);
	const struct sim_event_attr attrs[] = {{"name", name ? name : id}, {NULL, NULL}};

	sim_event_emit(e, "image", action, id, attrs);
}

static struct sim_image *image_by_tag(struct sim_engine *e, const char *tag)
{
	struct sim_image *image;

	DL_FOREACH (e->images, image)
		if (str_list_has(&image->tags, tag))
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

static struct sim_image *image_new(struct sim_engine *e, const char *id, char *config_take)
{
	struct sim_image *image = xcalloc(1, sizeof(*image));
	uint64_t size;

	image->refs = 1;
	memcpy(image->id, id, SIM_ID_LEN + 1);
	image->config = config_take;
	image->created_ns = sim_now(e);
	size = strtoull(image->id + SIM_ID_LEN - 6, NULL, 16);
	image->size = 1000000 + (int64_t)size;
	DL_PREPEND(e->images, image);
	e->images_len++;
	return image;
}

struct sim_image *sim_image_add(struct sim_engine *e, const char *reference)
{
	char id[SIM_ID_LEN + 1];
	struct sim_image *image = image_by_tag(e, reference);

	if (image || e->images_len >= SIM_OBJECTS_MAX)
		return image;
	image_id(reference, id);
	image = image_by_id(e, id);
	if (!image)
		image = image_new(e, id, image_config(reference));
	str_list_add(&image->tags, reference);
	str_list_sort(&image->tags);
	image->tagged_ns = sim_now(e);
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
		image = image_by_tag(e, normal);
	return image ? image : image_by_id(e, reference);
}

static int image_missing(const char *reference, struct err *err)
{
	CLEANUP_FREE char *normal = sim_image_normal(reference, NULL);

	return sim_fail(err, 404, "No such image: %s",
		normal && !str_has_prefix(reference, "sha256:") ? normal : reference);
}

int sim_image_tag(struct sim_engine *e, const char *source, const char *repo, const char *tag,
	struct err *err)
{
	CLEANUP_FREE char *whole =
		str_is_empty(tag) ? xstrdup(repo) : xasprintf("%s:%s", repo, tag);
	CLEANUP_FREE char *normal = NULL;
	struct sim_image *image = sim_image_find(e, source);
	struct sim_image *other;

	if (!image)
		return image_missing(source, err);
	normal = sim_image_normal(whole, err);
	if (!normal)
		return 500;
	if (image->tags.len >= TAGS_MAX)
		return sim_fail(err, 507, "too many tags");
	other = image_by_tag(e, normal);
	if (other)
		untag(other, normal);
	str_list_add(&image->tags, normal);
	str_list_sort(&image->tags);
	image->tagged_ns = sim_now(e);
	image_event(e, image, "tag", whole);
	return 0;
}

static struct sim_container *image_user(
	struct sim_engine *e, const struct sim_image *image, bool running_only)
{
	struct sim_container *c;

	DL_FOREACH (e->containers, c)
		if (c->image == image && (!running_only || sim_container_is_running(c)))
			return c;
	return NULL;
}

static void image_drop(struct sim_engine *e, struct sim_image *image, struct buf *b)
{
	sim_json_item(b);
	buf_printf(b, "{\"Deleted\":\"sha256:%s\"}", image->id);
	image_event(e, image, "delete", NULL);
	DL_DELETE(e->images, image);
	e->images_len--;
	sim_image_unref(image);
}

static void untag_write(
	struct sim_engine *e, struct sim_image *image, const char *tag, struct buf *b)
{
	sim_json_item(b);
	buf_append_char(b, '{');
	sim_json_s(b, "Untagged", tag);
	buf_append_char(b, '}');
	image_event(e, image, "untag", NULL);
	untag(image, tag);
}

/* By name: the tag goes, and with the last one the image, unless a container uses it. */
static int delete_name(struct sim_engine *e, struct sim_image *image, const char *key,
	const char *tag, bool force, struct buf *b, struct err *err)
{
	CLEANUP_FREE char *name = xstrdup(tag);
	const struct sim_container *user = image_user(e, image, false);

	if (user && image->tags.len == 1 && !force)
		return sim_fail(err, 409,
			"conflict: unable to remove repository reference \"%s\" (must force) - "
			"container %.12s is using its referenced image %.12s",
			key, user->id, image->id);
	untag_write(e, image, name, b);
	if (!image->tags.len && !user)
		image_drop(e, image, b);
	return 0;
}

static int delete_id(
	struct sim_engine *e, struct sim_image *image, bool force, struct buf *b, struct err *err)
{
	const struct sim_container *running = image_user(e, image, true);
	const struct sim_container *user = image_user(e, image, false);

	if (running)
		return sim_fail(err, 409,
			"conflict: unable to delete %.12s (cannot be forced) - image is being used "
			"by "
			"running container %.12s",
			image->id, running->id);
	if (image->tags.len > 1 && !force)
		return sim_fail(err, 409,
			"conflict: unable to delete %.12s (must be forced) - image is referenced "
			"in "
			"multiple repositories",
			image->id);
	if (user && !force)
		return sim_fail(err, 409,
			"conflict: unable to delete %.12s (must be forced) - image is being used "
			"by "
			"stopped container %.12s",
			image->id, user->id);
	while (image->tags.len) {
		CLEANUP_FREE char *tag = xstrdup(image->tags.items[0]);

		untag_write(e, image, tag, b);
	}
	image_drop(e, image, b);
	return 0;
}

int sim_image_delete(
	struct sim_engine *e, const char *key, bool force, struct buf *b, struct err *err)
{
	struct sim_image *image = sim_image_find(e, key);
	CLEANUP_FREE char *normal = NULL;
	int status;

	if (!image)
		return image_missing(key, err);
	normal = sim_image_normal(key, NULL);
	buf_append_char(b, '[');
	if (normal && str_list_has(&image->tags, normal))
		status = delete_name(e, image, key, normal, force, b, err);
	else
		status = delete_id(e, image, force, b, err);
	buf_append_char(b, ']');
	return status;
}

int sim_image_commit(struct sim_engine *e, struct sim_container *c, const char *repo,
	const char *tag, struct sim_image **out, struct err *err)
{
	char id[SIM_ID_LEN + 1];
	CLEANUP_JSON json_t *config = sim_spec_config(c->spec);
	CLEANUP_FREE char *key = NULL;

	if (e->images_len >= SIM_OBJECTS_MAX)
		return sim_fail(err, 507, "no space left for images");
	sim_hex(sim_random(e), id);
	json_object_del(config, "Hostname");
	json_object_del(config, "Image");
	*out = image_new(e, id, json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS));
	if (str_is_empty(repo))
		return 0;
	key = xasprintf("sha256:%s", id);
	return sim_image_tag(e, key, repo, tag, err);
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

static void write_tags(struct buf *b, const struct sim_image *image)
{
	buf_append_char(b, '[');
	for (size_t i = 0; i < image->tags.len; i++) {
		sim_json_item(b);
		sim_json_quote(b, image->tags.items[i]);
	}
	buf_append_char(b, ']');
}

void sim_image_write_summary(
	struct buf *b, const struct sim_engine *e, const struct sim_image *image)
{
	CLEANUP_JSON json_t *config = json_loads(image->config, 0, NULL);

	buf_printf(b, "{\"Containers\":-1,\"Created\":%lld,\"Id\":\"sha256:%s\"",
		(long long)(image->created_ns / 1000000000), image->id);
	sim_json_value(b, "Labels", json_get(config, "Labels"), "null");
	buf_append_str(b, ",\"ParentId\":\"\"");
	if (image->tags.len) {
		buf_append_str(b, ",\"RepoDigests\":null,\"RepoTags\":");
		write_tags(b, image);
	} else {
		buf_append_str(
			b, ",\"RepoDigests\":[\"<none>@<none>\"],\"RepoTags\":[\"<none>:<none>\"]");
	}
	buf_printf(b, ",\"SharedSize\":-1,\"Size\":%lld", (long long)image->size);
	if (e->options->api < 1044)
		sim_json_i(b, "VirtualSize", image->size);
	buf_append_char(b, '}');
}

void sim_image_write(struct buf *b, const struct sim_engine *e, const struct sim_image *image)
{
	CLEANUP_JSON json_t *config = json_loads(image->config, 0, NULL);
	CLEANUP_JSON json_t *none = json_object();
	char layer[SIM_ID_LEN + 1];

	image_id(image->id, layer);
	buf_printf(b, "{\"Id\":\"sha256:%s\",\"RepoTags\":", image->id);
	write_tags(b, image);
	buf_append_str(b, ",\"RepoDigests\":[],\"Parent\":\"\",\"Comment\":\"Imported from -\"");
	sim_json_time(b, "Created", image->created_ns);
	buf_append_str(b, ",\"Container\":\"\",\"ContainerConfig\":");
	sim_spec_write_config(b, none, NULL, false);
	sim_json_s(b, "DockerVersion", e->options->server_version);
	buf_append_str(b, ",\"Author\":\"\",\"Config\":");
	sim_spec_write_config(b, config, NULL, false);
	buf_printf(b, ",\"Architecture\":\"amd64\",\"Os\":\"linux\",\"Size\":%lld",
		(long long)image->size);
	if (e->options->api < 1044)
		sim_json_i(b, "VirtualSize", image->size);
	buf_printf(b,
		",\"GraphDriver\":{\"Data\":null,\"Name\":\"vfs\"},\"RootFS\":{\"Type\":\"layers\","
		"\"Layers\":[\"sha256:%s\"]},\"Metadata\":{",
		layer);
	sim_json_time(b, "LastTagTime", image->tagged_ns);
	buf_append_str(b, "}}");
}

void sim_image_write_history(struct buf *b, const struct sim_image *image)
{
	buf_printf(b,
		"[{\"Comment\":\"Imported from -\",\"Created\":%lld,\"CreatedBy\":\"\",\"Id\":"
		"\"sha256:%s\",\"Size\":%lld,\"Tags\":",
		(long long)(image->created_ns / 1000000000), image->id, (long long)image->size);
	if (image->tags.len)
		write_tags(b, image);
	else
		buf_append_str(b, "null");
	buf_append_str(b, "}]");
}
