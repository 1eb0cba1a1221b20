/* Images as archives: load, save and import. Layers have no bytes here: those that come are read
 * and dropped, and those that go are empty archives under the right names. */
#include "simulator/dockerfile.h"
#include "simulator/http.h"
#include "simulator/image.h"
#include "simulator/tar.h"

#include "http/digest.h"

#include <string.h>
#include <utlist.h>

#define KEPT_MAX (16u << 20) /* bytes of JSON files of one archive */
#define FILES_MAX 20000      /* names of one archive */
#define TMP "/var/lib/docker/tmp/docker-import-000000000"

/* A file of the archive. */
struct file {
	UT_hash_handle hh;
	char *name;
	int64_t size;
	struct buf text; /* of small ones that may be JSON */
};

struct load {
	struct sim_request *r;
	struct sim_tar *tar;
	struct file *files, *current;
	size_t kept;
	bool failed;
	struct err err;
	struct buf out;
	bool quiet;
};

/* ---- load ---- */

static void files_free(struct load *l)
{
	struct file *f;
	struct file *tmp;

	HASH_ITER (hh, l->files, f, tmp) {
		HASH_DEL(l->files, f);
		buf_reset(&f->text);
		free(f->name);
		free(f);
	}
}

static void load_cleanup(struct sim_request *r)
{
	struct load *l = r->state;

	files_free(l);
	sim_tar_free(l->tar);
	buf_reset(&l->out);
	free(l);
}

static void load_entry(void *arg, const struct sim_tar_entry *entry)
{
	struct load *l = arg;
	struct file *f;

	l->current = NULL;
	if (entry->type != SIM_TAR_FILE)
		return;
	HASH_FIND_STR(l->files, entry->name, f);
	if (f || HASH_COUNT(l->files) >= FILES_MAX)
		return;
	f = xcalloc(1, sizeof(*f));
	f->name = xstrdup(entry->name);
	f->size = entry->size;
	buf_init(&f->text, SIM_IMAGE_CONFIG_MAX);
	HASH_ADD_KEYPTR(hh, l->files, f->name, strlen(f->name), f);
	l->current = f;
}

static void load_data(void *arg, const char *data, size_t len)
{
	struct load *l = arg;
	struct file *f = l->current;

	if (!f || f->size > SIM_IMAGE_CONFIG_MAX || l->kept + len > KEPT_MAX ||
		(!f->text.len && *data != '{' && *data != '['))
		return;
	buf_append(&f->text, data, len);
	l->kept += len;
}

static void load_end(void *arg)
{
	(void)arg;
}

static const struct sim_tar_ops load_ops = {load_entry, load_data, load_end};

static const struct file *file_find(const struct load *l, const char *name)
{
	struct file *f;

	HASH_FIND_STR(l->files, name, f);
	return f;
}

static int load_names(struct load *l, struct sim_image *image, const json_t *names, struct err *err)
{
	struct sim_engine *e = l->r->engine;
	json_t *item;
	size_t i;

	json_array_foreach (names, i, item) {
		const char *text = json_string_value(item) ? json_string_value(item) : "";
		CLEANUP_FREE char *name = sim_image_normal(text, err);
		const struct sim_image *old = name ? sim_image_find(e, name) : NULL;
		CLEANUP_FREE char *line = NULL;

		if (!name)
			return -1;
		if (old && old != image) {
			line = xasprintf("The image %s already exists, renaming the old one with "
					 "ID sha256:%s to empty string\n",
				name, old->id);
			sim_progress_stream(&l->out, line);
			free(TAKE_PTR(line));
		}
		if (old != image && sim_image_name(e, image, name, NULL, err))
			return -1;
		line = xasprintf("Loaded image: %s\n", name);
		sim_progress_stream(&l->out, line);
	}
	return 0;
}

static int load_image(struct load *l, const json_t *entry, struct err *err)
{
	struct sim_engine *e = l->r->engine;
	const char *config = json_str(entry, "Config", "");
	const struct file *f = file_find(l, config);
	json_t *layers = json_arr(entry, "Layers");
	CLEANUP_FREE int64_t *sizes = NULL;
	struct sim_content *content;
	struct sim_image *image;

	if (!f)
		return err_set(
			err, ERR_NOT_FOUND, "open " TMP "/%s: no such file or directory", config);
	sizes = xcalloc(SIM_LAYERS_MAX, sizeof(*sizes));
	for (size_t i = 0; i < json_array_size(layers) && i < SIM_LAYERS_MAX; i++) {
		const char *name = json_string_value(json_array_get(layers, i));
		const struct file *layer = name ? file_find(l, name) : NULL;

		sizes[i] = layer ? layer->size : 0;
	}
	content =
		sim_content_make(&e->options->contents, buf_str(&f->text), f->text.len, sizes, err);
	if (!content)
		return -1;
	if (content->layers_len != json_array_size(layers)) {
		size_t expected = content->layers_len;

		sim_content_unref(&e->options->contents, content);
		return err_set(err, ERR_INVALID,
			"invalid manifest, layers length mismatch: expected %zu, got %zu", expected,
			json_array_size(layers));
	}
	image = sim_image_put(e, content, NULL);
	if (!image)
		return err_set(err, ERR_SYSTEM, "no space left for images");
	if (load_names(l, image, json_arr(entry, "RepoTags"), err))
		return -1;
	if (!json_array_size(json_arr(entry, "RepoTags"))) {
		CLEANUP_FREE char *line = xasprintf("Loaded image ID: sha256:%s\n", image->id);

		sim_progress_stream(&l->out, line);
	}
	sim_image_event(e, image, "load", NULL);
	return 0;
}

static int load_all(struct load *l, struct err *err)
{
	const struct file *f = file_find(l, "manifest.json");
	CLEANUP_JSON json_t *manifest = NULL;
	json_t *item;
	size_t i;

	if (!f)
		return err_set(
			err, ERR_NOT_FOUND, "open " TMP "/repositories: no such file or directory");
	manifest = json_parse(buf_str(&f->text), f->text.len, err);
	if (!manifest)
		return strstr(err->msg, "end of file") || strstr(err->msg, "premature")
			       ? err_set(err, ERR_INVALID, "unexpected EOF")
			       : -1;
	json_array_foreach (manifest, i, item)
		if (load_image(l, item, err))
			return -1;
	return 0;
}

static void load_answer(struct load *l)
{
	struct sim_request *r = l->r;
	struct err err = ERR_INIT;

	if (!l->failed && sim_tar_finish(l->tar, &l->err))
		l->failed = true;
	if (l->failed) {
		CLEANUP_FREE char *text =
			xasprintf("Error processing tar file(exit status 1): %s", l->err.msg);

		sim_progress_error(&l->out, text);
	} else if (load_all(l, &err)) {
		sim_progress_error(&l->out, err.msg);
	} else if (!l->out.len) {
		buf_append_str(&l->out, "{}\r\n");
	}
	sim_reply_stream(r, 200, "application/json");
	exchange_reply_write(r->x, l->out.data, l->out.len);
	exchange_reply_end(r->x);
}

static size_t load_body(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct load *l = arg;

	(void)x;
	if (!len)
		load_answer(l);
	else if (!l->failed && sim_tar_feed(l->tar, data, len, &l->err))
		l->failed = true;
	return len;
}

void sim_image_load(struct sim_request *r)
{
	struct load *l = xcalloc(1, sizeof(*l));

	l->r = r;
	l->tar = sim_tar_new(&load_ops, l);
	buf_init(&l->out, SIM_REPLY_MAX);
	r->state = l;
	r->cleanup = load_cleanup;
	exchange_stream_body(r->x, load_body, l);
}

/* ---- save ---- */

/* What one image is saved with: its names, of those that were asked for. */
struct saved {
	struct saved *prev, *next;
	struct sim_image *image;
	struct str_list tags;
};

static void saved_add(struct saved **list, struct sim_image *image, const char *tag)
{
	struct saved *s;

	DL_FOREACH (*list, s)
		if (s->image == image)
			break;
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->image = image;
		DL_APPEND(*list, s);
	}
	if (tag && !str_list_has(&s->tags, tag))
		str_list_add(&s->tags, tag);
}

static void saved_free(struct saved *list)
{
	struct saved *s;
	struct saved *tmp;

	DL_FOREACH_SAFE (list, s, tmp) {
		str_list_free(&s->tags);
		free(s);
	}
}

/* A name without a tag stands for all tags of the repository. */
static bool saved_repository(struct saved **list, struct sim_engine *e, const char *name)
{
	const char *slash = strrchr(name, '/');
	size_t len = strlen(name);
	struct sim_image *image;
	bool found = false;

	if (strchr(slash ? slash : name, ':') || strchr(name, '@'))
		return false;
	DL_FOREACH (e->images, image)
		for (size_t i = 0; i < image->tags.len; i++) {
			const char *tag = image->tags.items[i];

			if (strncmp(tag, name, len) != 0 || tag[len] != ':' ||
				strchr(tag + len, '/'))
				continue;
			saved_add(list, image, tag);
			found = true;
		}
	return found;
}

static int saved_find(struct saved **list, struct sim_engine *e, const char *name, struct err *err)
{
	struct sim_image *image;
	CLEANUP_FREE char *normal = NULL;

	if (saved_repository(list, e, name))
		return 0;
	image = sim_image_find(e, name);
	if (!image)
		return sim_fail(err, 404, "No such image: %s", name);
	normal = sim_image_normal(name, NULL);
	saved_add(list, image, normal && str_list_has(&image->tags, normal) ? normal : NULL);
	return 0;
}

static void save_layers(struct buf *b, const struct sim_image *image, struct buf *manifest,
	struct str_list *written)
{
	const struct sim_content *c = image->content;

	buf_append_str(manifest, ",\"Layers\":[");
	for (size_t i = 0; i < c->layers_len; i++) {
		char chain[SIM_ID_LEN + 1];
		CLEANUP_FREE char *name = NULL;
		struct buf empty;

		sim_content_chain_id(c, i, chain);
		name = xasprintf("%s/layer.tar", chain);
		buf_printf(manifest, "%s\"%s\"", i ? "," : "", name);
		if (str_list_has(written, name))
			continue;
		str_list_add(written, name);
		buf_init(&empty, 4096);
		sim_tar_write_end(&empty);
		sim_tar_write_file(b, name, empty.data, empty.len);
		buf_reset(&empty);
	}
	buf_append_char(manifest, ']');
}

static void save_write(struct buf *b, const struct saved *list)
{
	CLEANUP_STR_LIST struct str_list written = {0};
	CLEANUP_BUF struct buf manifest = {0};
	CLEANUP_JSON json_t *repositories = json_object();
	CLEANUP_FREE char *text = NULL;
	const struct saved *s;

	buf_init(&manifest, SIM_REPLY_MAX);
	buf_append_str(&manifest, list ? "[" : "null");
	DL_FOREACH (list, s) {
		CLEANUP_FREE char *name = xasprintf("%s.json", s->image->id);

		sim_json_item(&manifest);
		buf_printf(&manifest, "{\"Config\":\"%s\",\"RepoTags\":%s", name,
			s->tags.len ? "[" : "null");
		for (size_t i = 0; i < s->tags.len; i++) {
			const char *tag = s->tags.items[i];
			const char *colon = strrchr(tag, ':');
			CLEANUP_FREE char *repo = xstrndup(tag, (size_t)(colon - tag));

			buf_printf(&manifest, "%s\"%s\"", i ? "," : "", tag);
			if (!json_object_get(repositories, repo))
				json_object_set_new(repositories, repo, json_object());
			json_object_set_new(json_object_get(repositories, repo), colon + 1,
				json_string(s->image->id));
		}
		if (s->tags.len)
			buf_append_char(&manifest, ']');
		save_layers(b, s->image, &manifest, &written);
		buf_append_char(&manifest, '}');
		sim_tar_write_file(b, name, s->image->content->text, s->image->content->len);
	}
	buf_append_str(&manifest, list ? "]\n" : "\n");
	sim_tar_write_file(b, "manifest.json", manifest.data, manifest.len);
	if (json_object_size(repositories)) {
		CLEANUP_FREE char *line = NULL;

		text = json_dumps(repositories, JSON_COMPACT | JSON_SORT_KEYS);
		line = xasprintf("%s\n", text);
		sim_tar_write_file(b, "repositories", line, strlen(line));
	}
	sim_tar_write_end(b);
}

static void save(struct sim_request *r, const struct str_list *names)
{
	struct saved *list = NULL;
	const struct saved *s;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	int status = 0;

	for (size_t i = 0; i < names->len && !status; i++)
		status = saved_find(&list, r->engine, names->items[i], &err);
	buf_init(&b, SIM_REPLY_MAX);
	if (!status) {
		save_write(&b, list);
		if (b.failed)
			status = sim_fail(&err, 500, "the archive is too large");
	}
	if (status) {
		sim_reply_error(r, status, &err);
	} else {
		DL_FOREACH (list, s)
			sim_image_event(r->engine, s->image, "save", NULL);
		sim_reply_stream(r, 200, "application/x-tar");
		exchange_reply_write(r->x, b.data, b.len);
		exchange_reply_end(r->x);
	}
	saved_free(list);
}

void sim_image_save(struct sim_request *r)
{
	CLEANUP_STR_LIST struct str_list names = {0};

	str_list_add(&names, r->name);
	save(r, &names);
}

void sim_images_save(struct sim_request *r)
{
	CLEANUP_STR_LIST struct str_list names = {0};

	for (size_t i = 0; i + 1 < r->query.len; i += 2)
		if (str_eq(r->query.items[i], "names"))
			str_list_add(&names, r->query.items[i + 1]);
	save(r, &names);
}
