/* Images as lists, inspect and history show them. */
#include "simulator/image.h"

#include <string.h>

static void write_names(struct buf *b, const struct str_list *names)
{
	buf_append_char(b, '[');
	for (size_t i = 0; i < names->len; i++) {
		sim_json_item(b);
		sim_json_quote(b, names->items[i]);
	}
	buf_append_char(b, ']');
}

static void write_names_or_null(struct buf *b, const char *key, const struct str_list *names)
{
	sim_json_key(b, key);
	if (names->len)
		write_names(b, names);
	else
		buf_append_str(b, "null");
}

void sim_image_write_summary(struct buf *b, const struct sim_engine *e,
	const struct sim_image *image, const struct sim_image_shown *shown)
{
	CLEANUP_JSON json_t *config = json_loads(image->content->config, 0, NULL);
	const struct str_list *tags = shown->tags;
	const struct str_list *digests = shown->digests;

	buf_printf(b, "{\"Containers\":%lld,\"Created\":%lld,\"Id\":\"sha256:%s\"",
		shown->containers, (long long)(image->content->created_ns / 1000000000), image->id);
	sim_json_value(b, "Labels", json_get(config, "Labels"), "null");
	sim_json_key(b, "ParentId");
	if (image->parent)
		buf_printf(b, "\"sha256:%s\"", image->parent->id);
	else
		buf_append_str(b, "\"\"");
	if (tags->len || digests->len) {
		write_names_or_null(b, "RepoDigests", digests);
		write_names_or_null(b, "RepoTags", tags);
	} else {
		buf_append_str(
			b, ",\"RepoDigests\":[\"<none>@<none>\"],\"RepoTags\":[\"<none>:<none>\"]");
	}
	sim_json_i(b, "SharedSize", shown->shared);
	sim_json_i(b, "Size", image->content->size);
	if (e->options->api < 1044)
		sim_json_i(b, "VirtualSize", image->content->size);
	buf_append_char(b, '}');
}

static void write_layers(struct buf *b, const struct sim_content *content)
{
	sim_json_key(b, "RootFS");
	buf_append_str(b, "{\"Type\":\"layers\"");
	for (size_t i = 0; i < content->layers_len; i++)
		buf_printf(b, "%s\"sha256:%s\"", i ? "," : ",\"Layers\":[",
			content->layers[i].diff_id);
	buf_append_str(b, content->layers_len ? "]}" : "}");
}

void sim_image_write(struct buf *b, const struct sim_engine *e, const struct sim_image *image)
{
	const struct sim_content *content = image->content;
	CLEANUP_JSON json_t *all = json_loadb(content->text, content->len, 0, NULL);
	CLEANUP_JSON json_t *none = json_object();
	json_t *history = json_arr(all, "history");
	json_t *last = json_array_get(history, json_array_size(history) - 1);
	const char *comment = json_str(all, "comment", "");
	json_t *config = json_obj(all, "config");
	json_t *container_config = json_obj(all, "container_config");

	buf_printf(b, "{\"Id\":\"sha256:%s\",\"RepoTags\":", image->id);
	write_names(b, &image->tags);
	buf_append_str(b, ",\"RepoDigests\":");
	write_names(b, &image->digests);
	sim_json_key(b, "Parent");
	if (image->parent)
		buf_printf(b, "\"sha256:%s\"", image->parent->id);
	else
		buf_append_str(b, "\"\"");
	sim_json_s(b, "Comment", *comment ? comment : json_str(last, "comment", ""));
	sim_json_time(b, "Created", content->created_ns);
	sim_json_s(b, "Container", json_str(all, "container", ""));
	sim_json_key(b, "ContainerConfig");
	sim_spec_write_config(b, container_config ? container_config : none,
		json_str(container_config, "Hostname", NULL), false);
	sim_json_s(b, "DockerVersion", json_str(all, "docker_version", ""));
	sim_json_s(b, "Author", json_str(all, "author", ""));
	sim_json_key(b, "Config");
	sim_spec_write_config(b, config ? config : none, json_str(config, "Hostname", NULL), false);
	sim_json_s(b, "Architecture", json_str(all, "architecture", ""));
	sim_json_s(b, "Os", json_str(all, "os", ""));
	sim_json_i(b, "Size", content->size);
	if (e->options->api < 1044)
		sim_json_i(b, "VirtualSize", content->size);
	buf_append_str(b, ",\"GraphDriver\":{\"Data\":null,\"Name\":\"vfs\"}");
	write_layers(b, content);
	sim_json_key(b, "Metadata");
	buf_append_char(b, '{');
	sim_json_time(b, "LastTagTime", image->tagged_ns);
	buf_append_str(b, "}}");
}

void sim_image_write_history(struct buf *b, const struct sim_image *image)
{
	const struct sim_content *content = image->content;
	CLEANUP_JSON json_t *all = json_loadb(content->text, content->len, 0, NULL);
	json_t *history = json_arr(all, "history");
	size_t layer = content->layers_len;
	const struct sim_image *at = image;

	buf_append_char(b, '[');
	for (size_t i = json_array_size(history); i-- > 0;) {
		const json_t *entry = json_array_get(history, i);
		bool empty = json_bool(entry, "empty_layer", false);
		int64_t created = 0;

		if (!empty && layer)
			layer--;
		if (sim_time_parse(json_str(entry, "created", ""), &created))
			created = 0;
		sim_json_item(b);
		buf_append_char(b, '{');
		sim_json_s(b, "Comment", json_str(entry, "comment", ""));
		sim_json_i(b, "Created", created / 1000000000);
		sim_json_s(b, "CreatedBy", json_str(entry, "created_by", ""));
		sim_json_key(b, "Id");
		if (at)
			buf_printf(b, "\"sha256:%s\"", at->id);
		else
			buf_append_str(b, "\"<missing>\"");
		sim_json_i(b, "Size",
			!empty && layer < content->layers_len ? content->layers[layer].size : 0);
		if (at)
			write_names_or_null(b, "Tags", &at->tags);
		else
			buf_append_str(b, ",\"Tags\":null");
		buf_append_char(b, '}');
		at = at ? at->parent : NULL;
	}
	buf_append_char(b, ']');
}
