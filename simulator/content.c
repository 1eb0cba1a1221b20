/* What images are, shared by all engines of a simulator: configurations, which give the IDs. */
#include "simulator/image.h"

#include "http/digest.h"

#include <stdio.h>
#include <string.h>

#define NAMED_FROM 1577836800ll /* images that nobody made are from 2020 to 2022 */
#define NAMED_SPAN (3 * 365 * 86400ll)

struct sim_content *sim_content_ref(struct sim_content *c)
{
	c->refs++;
	return c;
}

void sim_content_unref(struct sim_contents *contents, struct sim_content *c)
{
	if (!c || --c->refs)
		return;
	HASH_DEL(contents->by_id, c);
	free(c->text);
	free(c->config);
	free(c->layers);
	free(c);
}

static int layers_read(
	struct sim_content *c, const json_t *json, const int64_t *sizes, struct err *err)
{
	json_t *list = json_arr(json_get(json, "rootfs"), "diff_ids");
	json_t *item;
	size_t i;

	if (json_array_size(list) > SIM_LAYERS_MAX)
		return err_set(err, ERR_INVALID, "max depth exceeded");
	c->layers_len = json_array_size(list);
	c->layers = xcalloc(c->layers_len + 1, sizeof(*c->layers));
	json_array_foreach (list, i, item) {
		const char *id = json_string_value(item) ? json_string_value(item) : "";

		if (!str_has_prefix(id, "sha256:") || strlen(id) != 7 + SIM_ID_LEN ||
			!str_is_hex(id + 7, SIM_ID_LEN))
			return err_set(err, ERR_INVALID, "invalid checksum digest format");
		memcpy(c->layers[i].diff_id, id + 7, SIM_ID_LEN + 1);
		c->layers[i].size = sizes ? sizes[i] : 0;
		c->size += c->layers[i].size;
	}
	return 0;
}

struct sim_content *sim_content_make(struct sim_contents *contents, const char *text, size_t len,
	const int64_t *sizes, struct err *err)
{
	CLEANUP_JSON json_t *json = json_parse(text, len, err);
	char id[SIM_ID_LEN + 1];
	struct sim_content *c;
	json_t *config;

	if (!json_is_object(json)) {
		if (json)
			err_set(err, ERR_INVALID, "the image's configuration is no object");
		return NULL;
	}
	digest_of(text, len, id);
	HASH_FIND_STR(contents->by_id, id, c);
	if (c)
		return sim_content_ref(c);
	c = xcalloc(1, sizeof(*c));
	if (layers_read(c, json, sizes, err)) {
		free(c->layers);
		free(c);
		return NULL;
	}
	c->refs = 1;
	memcpy(c->id, id, sizeof(id));
	c->text = xstrndup(text, len);
	c->len = len;
	config = json_obj(json, "config");
	c->config = config ? json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS) : xstrdup("{}");
	if (sim_time_parse(json_str(json, "created", ""), &c->created_ns))
		c->created_ns = 0;
	HASH_ADD_STR(contents->by_id, id, c);
	return c;
}

struct sim_content *sim_content_of_name(struct sim_contents *contents, const char *reference)
{
	CLEANUP_FREE char *name = xstrndup(reference, strcspn(reference, ":@"));
	const char *slash = strrchr(name, '/');
	const char *last = slash ? slash + 1 : name;
	CLEANUP_FREE char *text = NULL;
	char diff[SIM_ID_LEN + 1];
	char created[32];
	int64_t number;
	int64_t size;
	struct sim_content *c;

	digest_of(reference, strlen(reference), diff);
	number = strtoll(diff + SIM_ID_LEN - 8, NULL, 16);
	size = 1000000 + number % (16 << 20);
	str_rfc3339(NAMED_FROM + number % NAMED_SPAN, created, sizeof(created));
	if (str_eq(last, "busybox") || str_eq(last, "alpine"))
		last = "sh";
	text = xasprintf(
		"{\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"%s\"]},\"created\":\"%s\","
		"\"history\":[{\"created\":\"%s\"}],\"os\":\"linux\",\"rootfs\":{\"diff_ids\":["
		"\"sha256:%s\"],\"type\":\"layers\"}}",
		last, created, created, diff);
	c = sim_content_make(contents, text, strlen(text), &size, NULL);
	return c;
}

void sim_content_chain_id(const struct sim_content *c, size_t i, char out[SIM_ID_LEN + 1])
{
	memcpy(out, c->layers[0].diff_id, SIM_ID_LEN + 1);
	for (size_t k = 1; k <= i; k++) {
		CLEANUP_FREE char *both =
			xasprintf("sha256:%s sha256:%s", out, c->layers[k].diff_id);

		digest_of(both, strlen(both), out);
	}
}

void sim_content_manifest_digest(const struct sim_content *c, char out[SIM_ID_LEN + 1])
{
	CLEANUP_FREE char *text = xasprintf("manifest of sha256:%s", c->id);

	digest_of(text, strlen(text), out);
}

/* ---- Made from others ---- */

static json_t *history_add(
	const json_t *old, const struct sim_content_change *change, const char *created)
{
	json_t *list = json_is_array(old) ? json_deep_copy(old) : json_array();
	json_t *entry = json_object();

	json_object_set_new(entry, "created", json_string(created));
	if (!str_is_empty(change->created_by))
		json_object_set_new(entry, "created_by", json_string(change->created_by));
	if (!str_is_empty(change->author))
		json_object_set_new(entry, "author", json_string(change->author));
	if (!str_is_empty(change->comment))
		json_object_set_new(entry, "comment", json_string(change->comment));
	if (!change->layer)
		json_object_set_new(entry, "empty_layer", json_true());
	json_array_append_new(list, entry);
	return list;
}

static void set_text(json_t *object, const char *key, const char *value)
{
	if (!str_is_empty(value))
		json_object_set_new(object, key, json_string(value));
}

struct sim_content *sim_content_derive(
	struct sim_contents *contents, const struct sim_content_change *change, struct err *err)
{
	const struct sim_content *parent = change->parent;
	size_t below = parent ? parent->layers_len : 0;
	CLEANUP_FREE int64_t *sizes = xcalloc(below + 1, sizeof(*sizes));
	CLEANUP_JSON json_t *old = parent ? json_loadb(parent->text, parent->len, 0, NULL) : NULL;
	CLEANUP_JSON json_t *made = json_object();
	CLEANUP_FREE char *text = NULL;
	json_t *ids = json_array();
	char created[80];

	sim_time_text(change->created_ns, created, sizeof(created));
	for (size_t i = 0; i < below; i++) {
		json_array_append_new(ids, json_sprintf("sha256:%s", parent->layers[i].diff_id));
		sizes[i] = parent->layers[i].size;
	}
	if (change->layer) {
		json_array_append_new(ids, json_sprintf("sha256:%s", change->layer));
		sizes[below] = change->size;
	}
	set_text(made, "architecture", "amd64");
	set_text(made, "os", "linux");
	set_text(made, "author", change->author);
	set_text(made, "comment", change->comment);
	set_text(made, "container", change->container);
	set_text(made, "created", created);
	set_text(made, "docker_version", change->server_version);
	if (parent)
		json_object_set_new(made, "parent", json_sprintf("sha256:%s", parent->id));
	json_object_set(made, "config", change->config);
	if (change->container_config)
		json_object_set(made, "container_config", change->container_config);
	json_object_set_new(
		made, "history", history_add(json_get(old, "history"), change, created));
	json_object_set_new(
		made, "rootfs", json_pack("{s:s,s:o}", "type", "layers", "diff_ids", ids));
	text = json_dumps(made, JSON_COMPACT | JSON_SORT_KEYS);
	if (strlen(text) > SIM_IMAGE_CONFIG_MAX) {
		err_set(err, ERR_INVALID, "the image's configuration is too large");
		return NULL;
	}
	return sim_content_make(contents, text, strlen(text), sizes, err);
}
