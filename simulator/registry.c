/* The registry behind all engines of a simulator. It has every image but those under `notfound/`,
 * keeps what is pushed, and lets anybody in whose password is not "wrong". */
#include "simulator/http.h"
#include "simulator/image.h"

#include <string.h>

#define PUSHED_MAX 10000 /* names that are kept */

/* A name and what was pushed under it. */
struct sim_pushed {
	UT_hash_handle hh;
	char *name;
	struct sim_content *content;
};

static int not_there(const char *name, struct err *err)
{
	const char *end = strpbrk(name, ":@");

	return sim_fail(err, 404,
		"pull access denied for %.*s, repository does not exist or may require 'docker "
		"login': denied: requested access to the resource is denied",
		end ? (int)(end - name) : (int)strlen(name), name);
}

struct sim_content *sim_registry_get(struct sim_options *options, const char *name, struct err *err)
{
	const char *at = strstr(name, "@sha256:");
	struct sim_pushed *pushed;
	struct sim_content *c;
	struct sim_content *tmp;

	if (str_has_prefix(name, "notfound/")) {
		not_there(name, err);
		return NULL;
	}
	HASH_FIND_STR(options->registry, name, pushed);
	if (pushed)
		return sim_content_ref(pushed->content);
	if (!at)
		return sim_content_of_name(&options->contents, name);
	/* It knows what any engine has pulled or pushed. */
	HASH_ITER (hh, options->contents.by_id, c, tmp) {
		char digest[SIM_ID_LEN + 1];

		sim_content_manifest_digest(c, digest);
		if (str_eq(digest, at + strlen("@sha256:")))
			return sim_content_ref(c);
	}
	sim_fail(err, 404, "manifest for %s not found: manifest unknown: manifest unknown", name);
	return NULL;
}

int sim_registry_put(
	struct sim_options *options, const char *name, struct sim_content *content, struct err *err)
{
	struct sim_pushed *pushed;

	if (str_has_prefix(name, "notfound/"))
		return sim_fail(err, 403, "denied: requested access to the resource is denied");
	HASH_FIND_STR(options->registry, name, pushed);
	if (!pushed) {
		if (HASH_COUNT(options->registry) >= PUSHED_MAX)
			return sim_fail(err, 507, "no space left in the registry");
		pushed = xcalloc(1, sizeof(*pushed));
		pushed->name = xstrdup(name);
		HASH_ADD_KEYPTR(hh, options->registry, pushed->name, strlen(name), pushed);
	}
	sim_content_ref(content);
	sim_content_unref(&options->contents, pushed->content);
	pushed->content = content;
	return 0;
}

void sim_registry_free(struct sim_options *options)
{
	struct sim_pushed *pushed;
	struct sim_pushed *tmp;

	HASH_ITER (hh, options->registry, pushed, tmp) {
		HASH_DEL(options->registry, pushed);
		sim_content_unref(&options->contents, pushed->content);
		free(pushed->name);
		free(pushed);
	}
}

/* ---- pull ---- */

/* Owned "docker.io/library/nginx" of "nginx:1". */
static char *full_repository(const char *name)
{
	const char *at = strchr(name, '@');
	const char *slash = strrchr(name, '/');
	const char *colon = strchr(slash ? slash : name, ':');
	const char *end = at ? at : colon ? colon : name + strlen(name);
	CLEANUP_FREE char *repo = xstrndup(name, (size_t)(end - name));
	const char *first = strchr(repo, '/');
	CLEANUP_FREE char *host = xstrndup(repo, first ? (size_t)(first - repo) : 0);

	if (strpbrk(host, ".:") || str_eq(host, "localhost"))
		return TAKE_PTR(repo);
	return xasprintf("docker.io/%s%s", first ? "" : "library/", repo);
}

/* The same without the host. */
static const char *path_of(const char *repository)
{
	return strchr(repository, '/') + 1;
}

static void pull_write(struct buf *b, const struct sim_image *image, const char *name, bool known)
{
	CLEANUP_FREE char *repo = full_repository(name);
	const char *tail = name + strcspn(name, "@");
	const char *slash = strrchr(name, '/');
	const char *tag = *tail ? tail + 1 : strchr(slash ? slash : name, ':') + 1;
	CLEANUP_FREE char *from = xasprintf("Pulling from %s", path_of(repo));
	CLEANUP_FREE char *end = xasprintf("Status: %s for %s",
		known ? "Image is up to date" : "Downloaded newer image", name);
	char digest[SIM_ID_LEN + 1];

	sim_progress(b, from, tag);
	for (size_t i = 0; i < image->content->layers_len && !known; i++) {
		static const char *const words[] = {
			"Pulling fs layer", "Download complete", "Pull complete"};
		CLEANUP_FREE char *id = xstrndup(image->content->layers[i].diff_id + 20, 12);

		for (size_t k = 0; k < ARRAY_LEN(words); k++)
			sim_progress_detail(b, words[k], id);
	}
	sim_content_manifest_digest(image->content, digest);
	buf_printf(b, "{\"status\":\"Digest: sha256:%s\"}\r\n", digest);
	sim_progress(b, end, NULL);
}

static struct sim_image *pull_done(
	struct sim_engine *e, const char *name, struct sim_content *content_take, struct err *err)
{
	struct sim_image *image = sim_image_put(e, content_take, NULL);

	if (!image) {
		sim_fail(err, 507, "no space left for images");
		return NULL;
	}
	if (!strchr(name, '@') && !str_list_has(&image->tags, name) &&
		sim_image_name(e, image, name, NULL, err))
		return NULL;
	image->tagged_ns = sim_now(e);
	sim_image_add_digest(image, name);
	return image;
}

void sim_image_pull(struct sim_request *r)
{
	const char *from = sim_query(r, "fromImage");
	const char *tag = sim_query(r, "tag");
	CLEANUP_FREE char *whole =
		*tag && !strchr(from, '@')
			? xasprintf(str_has_prefix(tag, "sha256:") ? "%s@%s" : "%s:%s", from, tag)
			: xstrdup(from);
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *bare = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_content *content;
	struct sim_image *old;
	struct sim_image *image;
	struct sim_event_attr attrs[] = {{"name", NULL}, {NULL, NULL}};
	bool known;

	name = sim_image_normal(whole, &err);
	if (!name) {
		sim_reply_error(r, 400, &err);
		return;
	}
	content = sim_registry_get(r->engine->options, name, &err);
	if (!content) {
		sim_reply_error(r, 404, &err);
		return;
	}
	old = sim_image_find(r->engine, name);
	known = old && old->content == content;
	image = pull_done(r->engine, name, content, &err);
	if (!image) {
		sim_reply_error(r, 507, &err);
		return;
	}
	buf_init(&b, 1 << 20);
	pull_write(&b, image, name, known);
	bare = xstrndup(name, strcspn(name, "@"));
	if (!strchr(name, '@'))
		*strrchr(bare, ':') = '\0';
	attrs[0].value = bare;
	sim_event_emit(r->engine, "image", "pull", name, attrs);
	sim_reply_stream(r, 200, "application/json");
	exchange_reply_write(r->x, b.data, b.len);
	exchange_reply_end(r->x);
}

/* ---- push ---- */

static void push_write(struct buf *b, struct sim_image *image, const char *tag)
{
	static const char *const words[] = {"Preparing", "Pushed"};
	char digest[SIM_ID_LEN + 1];
	CLEANUP_FREE char *status = NULL;

	for (size_t k = 0; k < ARRAY_LEN(words); k++)
		for (size_t i = image->content->layers_len; i-- > 0;) {
			CLEANUP_FREE char *id = xstrndup(image->content->layers[i].diff_id, 12);

			sim_progress_detail(b, words[k], id);
		}
	sim_content_manifest_digest(image->content, digest);
	status = xasprintf("%s: digest: sha256:%s size: %zu", tag, digest,
		300 + 110 * image->content->layers_len);
	sim_progress(b, status, NULL);
	buf_printf(b,
		"{\"progressDetail\":{},\"aux\":{\"Tag\":\"%s\",\"Digest\":\"sha256:%s\",\"Size\":"
		"%zu}}\r\n",
		tag, digest, 300 + 110 * image->content->layers_len);
}

/* Each tag of a repository is pushed, in order, or the one that is given. */
static int push_tags(
	struct sim_request *r, const char *repo, const char *tag, struct buf *b, struct err *err)
{
	struct sim_engine *e = r->engine;
	CLEANUP_STR_LIST struct str_list names = {0};
	struct sim_image *image;

	if (*tag) {
		str_list_add_take(&names, xasprintf("%s:%s", repo, tag));
	} else {
		size_t len = strlen(repo);

		for (image = e->images; image; image = image->next)
			for (size_t i = 0; i < image->tags.len; i++) {
				const char *name = image->tags.items[i];

				if (strncmp(name, repo, len) == 0 && name[len] == ':' &&
					!strchr(name + len, '/'))
					str_list_add(&names, name);
			}
		str_list_sort(&names);
		if (!names.len)
			return sim_fail(
				err, 404, "An image does not exist locally with the tag: %s", repo);
	}
	for (size_t i = 0; i < names.len; i++) {
		const char *name = names.items[i];
		struct sim_event_attr attrs[] = {{"name", repo}, {NULL, NULL}};
		int status;

		image = sim_image_find(e, name);
		if (!image)
			return sim_fail(
				err, 404, "An image does not exist locally with the tag: %s", repo);
		status = sim_registry_put(e->options, name, image->content, err);
		if (status)
			return status;
		sim_image_add_digest(image, name);
		push_write(b, image, strrchr(name, ':') + 1);
		sim_event_emit(e, "image", "push", name, attrs);
	}
	return 0;
}

void sim_image_push(struct sim_request *r)
{
	const char *auth = exchange_header(r->x, "X-Registry-Auth");
	const char *tag = sim_query(r, "tag");
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *repo = NULL;
	CLEANUP_FREE char *full = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	char *colon;

	if (str_is_empty(auth)) {
		sim_reply_text(r, 400, "Bad parameters and missing X-Registry-Auth: EOF");
		return;
	}
	name = sim_image_normal(r->name, &err);
	if (!name) {
		sim_reply_error(r, 400, &err);
		return;
	}
	repo = xstrndup(name, strcspn(name, "@"));
	colon = strrchr(repo, ':');
	if (colon && !strchr(colon, '/'))
		*colon = '\0';
	full = full_repository(name);
	buf_init(&b, 1 << 20);
	buf_printf(&b, "{\"status\":\"The push refers to repository [%s]\"}\r\n", full);
	if (push_tags(r, repo, tag, &b, &err))
		sim_progress_error(&b, err.msg);
	sim_reply_stream(r, 200, "application/json");
	exchange_reply_write(r->x, b.data, b.len);
	exchange_reply_end(r->x);
}

/* ---- What only asks ---- */

void sim_image_search(struct sim_request *r)
{
	const char *limit = sim_query(r, "limit");
	const char *term = sim_query(r, "term");
	CLEANUP_BUF struct buf b = {0};
	long long n = 25;

	if (*limit && str_to_int(limit, INT32_MIN, INT32_MAX, &n, "limit", NULL)) {
		sim_reply_text(r, 500, "strconv.Atoi: parsing \"%s\": invalid syntax", limit);
		return;
	}
	if (n < 1 || n > 100) {
		sim_reply_text(r, 400, "Limit %lld is outside the range of [1, 100]", n);
		return;
	}
	/* Whatever one looks for is there, as an official image. */
	buf_init(&b, 64 * 1024);
	buf_append_char(&b, '[');
	if (!str_has_prefix(term, "notfound/")) {
		buf_append_str(&b, "{\"star_count\":1,\"is_official\":true");
		sim_json_s(&b, "name", term);
		buf_append_str(&b, ",\"is_automated\":false,\"description\":\"simulated\"}");
	}
	buf_append_char(&b, ']');
	sim_reply_buf(r, 200, &b);
}

void sim_image_distribution(struct sim_request *r)
{
	struct err err = ERR_INIT;
	CLEANUP_FREE char *name = sim_image_normal(r->name, &err);
	struct sim_content *content;
	char digest[SIM_ID_LEN + 1];
	CLEANUP_BUF struct buf b = {0};

	if (!name) {
		sim_reply_error(r, 400, &err);
		return;
	}
	content = sim_registry_get(r->engine->options, name, &err);
	if (!content) {
		sim_reply_text(r, 403,
			"errors:\ndenied: requested access to the resource is denied\n"
			"unauthorized: authentication required\n");
		return;
	}
	sim_content_manifest_digest(content, digest);
	buf_init(&b, 4096);
	buf_printf(&b,
		"{\"Descriptor\":{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+"
		"json\",\"digest\":\"sha256:%s\",\"size\":%zu},\"Platforms\":[{\"architecture\":"
		"\"amd64\",\"os\":\"linux\"}]}",
		digest, 300 + 110 * content->layers_len);
	sim_content_unref(&r->engine->options->contents, content);
	sim_reply_buf(r, 200, &b);
}

void sim_registry_login(struct sim_request *r)
{
	CLEANUP_BUF struct buf b = {0};

	if (!r->has_body) {
		sim_reply_text(r, 500, "EOF");
		return;
	}
	if (str_eq(json_str(r->body, "password", ""), "wrong")) {
		sim_reply_text(r, 401,
			"Get \"https://%s/v2/\": unauthorized: incorrect username or password",
			json_str(r->body, "serveraddress", "registry-1.docker.io"));
		return;
	}
	buf_init(&b, 4096);
	buf_append_str(&b, "{\"IdentityToken\":\"\",\"Status\":\"Login Succeeded\"}");
	sim_reply_buf(r, 200, &b);
}
