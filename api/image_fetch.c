/* Copies and pulls of images for containers. A copy is two calls joined: what the one engine saves
 * is loaded by the other as it comes, each waiting for the other's pace. An engine registers an
 * image when its archive is complete, so that one which breaks off leaves nothing behind. */
#include "api/image_fetch.h"
#include "cluster/json_split.h"
#include "cluster/node_call.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>
#include <utlist.h>

#define LINE_MAX_BYTES (1024 * 1024)
/* A registry that has said nothing for so long is left to the client, who pulls next and sees what
 * is wrong. Once it has begun a download takes as long as it takes. */
#define PULL_SILENCE_MS (5 * 1000)
/* How many nodes a copy is begun from at most: each may break off late. */
#define SOURCES_MAX 3

/* What an engine tells while it works: lines of JSON, one of which may hold an error. */
struct progress {
	struct json_split split;
	int status;
	bool has_begun; /* something other than an error was told */
	char *error;    /* the last one told; NULL = none */
};

struct image_fetch {
	struct image_fetches *all; /* NULL: the API has gone */
	UT_hash_handle hh;
	char *key;             /* node, image, and for a pull what it depends on; has credentials */
	char *image;           /* what is copied or pulled: a name, or of a copy an ID */
	char *node_name;       /* for people */
	struct node *node;     /* that is to have it; referenced */
	struct node *source;   /* that has it, referenced; NULL = pull */
	struct str_list tried; /* IDs of nodes that broke off */
	struct node_call to, from;
	struct loop_timer *silence; /* of a pull without credentials; NULL once it has begun */
	struct progress to_says, from_says;
	struct image_wait *waits;
	bool is_refreshing;
	bool is_stale; /* the source has it no more */
	bool is_over;  /* those who wait are being told */
};

struct image_fetches {
	struct loop *loop;
	struct cluster *cluster;
	struct image_fetch *table;
};

struct image_wait {
	struct image_fetch *fetch;
	void (*done)(void *arg, const struct err *err);
	void *arg;
	struct image_wait *prev, *next;
};

/* ---- Progress ---- */

static void progress_init(struct progress *p)
{
	*p = (struct progress){0};
	json_split_init(&p->split, LINE_MAX_BYTES, false);
}

static void progress_reset(struct progress *p)
{
	json_split_reset(&p->split);
	free(TAKE_PTR(p->error));
}

static bool progress_line(const char *text, size_t len, void *arg)
{
	struct progress *p = arg;
	json_t *json CLEANUP_JSON = json_parse(text, len, NULL);
	const char *error = json_str(json, p->status >= 300 ? "message" : "error", NULL);

	if (error != NULL) {
		free(p->error);
		p->error = xstrdup(error);
	} else {
		p->has_begun = true;
	}
	return true;
}

static void progress_feed(struct progress *p, const char *data, size_t len)
{
	struct err err = ERR_INIT;

	if (json_split_feed(&p->split, data, len, progress_line, p, &err) != 0 && p->error == NULL)
		p->error = xstrdup(err.msg);
}

/* NULL when the engine did it. */
static const char *progress_error(const struct progress *p)
{
	if (p->error != NULL)
		return p->error;
	return p->status < 300 ? NULL : "the engine gave no reason";
}

/* ---- Ends ---- */

static void fetch_free(struct image_fetch *f)
{
	progress_reset(&f->to_says);
	progress_reset(&f->from_says);
	explicit_bzero(f->key, strlen(f->key));
	free(f->key);
	free(f->image);
	free(f->node_name);
	str_list_free(&f->tried);
	node_unref(f->node);
	if (f->source != NULL)
		node_unref(f->source);
	free(f);
}

static void fetch_stop_calls(struct image_fetch *f)
{
	node_call_cancel(&f->to);
	node_call_cancel(&f->from);
}

static void fetch_stop(struct image_fetch *f)
{
	fetch_stop_calls(f);
	loop_timer_free(TAKE_PTR(f->silence));
}

/* From here on nobody can join it. */
static void fetch_leave(struct image_fetch *f)
{
	fetch_stop(f);
	if (f->all != NULL)
		HASH_DEL(f->all->table, f);
	f->all = NULL;
}

static void fetch_finish(struct image_fetch *f, const struct err *err)
{
	fetch_leave(f);
	f->is_over = true;
	if (err != NULL)
		log_info("no image for a container: image=%s node=%s error=%s", f->image,
			f->node_name, err->msg);
	else
		log_info("image fetched: image=%s node=%s", f->image, f->node_name);
	while (f->waits != NULL) {
		struct image_wait *wait = f->waits;
		struct image_wait told = *wait;

		DL_DELETE(f->waits, wait);
		free(wait);
		told.done(told.arg, err);
	}
	fetch_free(f);
}

static void fetch_refreshed(void *arg, const struct err *err)
{
	struct image_fetch *f = arg;
	struct err stale = ERR_INIT;

	if (err != NULL)
		log_debug("refresh after a change failed: %s", err->msg);
	if (f->is_stale)
		err_set(&stale, ERR_CANCELED, "image %s was removed meanwhile", f->image);
	/* The last one to wait may have left meanwhile, or the API gone. */
	fetch_finish(f, f->is_stale ? &stale : NULL);
}

/* What is known of the images of this node is brought up to date before those who wait go on. */
static void fetch_refresh(struct image_fetch *f, struct node *node)
{
	fetch_stop(f);
	f->is_refreshing = true;
	node_refresh_parts(node, NODE_IMAGES, fetch_refreshed, f);
}

/* ---- The node that is to have it: a load, or a pull ---- */

static void to_head(int status, const struct http_headers *headers, void *arg)
{
	struct image_fetch *f = arg;

	(void)headers;
	f->to_says.status = status;
}

static bool to_body(const char *data, size_t len, void *arg)
{
	struct image_fetch *f = arg;

	progress_feed(&f->to_says, data, len);
	if (f->to_says.has_begun)
		loop_timer_free(TAKE_PTR(f->silence));
	return true;
}

static void to_drain(void *arg)
{
	struct image_fetch *f = arg;

	node_call_resume(&f->from);
}

static void to_done(const struct node_failure *failed, void *arg)
{
	struct image_fetch *f = arg;
	const char *told;
	struct err failure = ERR_INIT;

	if (failed != NULL) {
		fetch_finish(f, &failed->err);
		return;
	}
	told = progress_error(&f->to_says);
	if (told == NULL) {
		fetch_refresh(f, f->node);
		return;
	}
	err_set(&failure, f->source != NULL ? ERR_UPSTREAM : ERR_NOT_FOUND,
		"node %s cannot %s image %s: %s", f->node_name, f->source != NULL ? "load" : "pull",
		f->image, told);
	fetch_finish(f, &failure);
}

static const struct node_call_ops to_ops = {
	.head = to_head,
	.body = to_body,
	.upload_drain = to_drain,
	.done = to_done,
};

static void start_load(struct image_fetch *f)
{
	char *target CLEANUP_FREE = node_path(f->node, "/images/load?quiet=1");
	struct http_headers headers = {0};
	const struct call_request call = {.method = "POST",
		.target = target,
		.headers = &headers,
		.has_upload = true,
		.upload_length = -1};

	http_headers_add(&headers, "Content-Type", "application/x-tar");
	node_call_start(&f->to, f->node, &call, &to_ops, f);
	http_headers_free(&headers);
}

/* The target of the pull of one tag or digest. */
static char *pull_target(const struct image_fetch *f, const char *platform)
{
	const char *at = strchr(f->image, '@');
	const char *cut = at != NULL ? at : strrchr(f->image, ':');
	char *name CLEANUP_FREE = str_url_encode(f->image, (size_t)(cut - f->image));
	char *tag CLEANUP_FREE = str_url_encode(cut + 1, strlen(cut + 1));
	char *wanted CLEANUP_FREE = str_url_encode(platform, strlen(platform));
	char *path CLEANUP_FREE = xasprintf("/images/create?fromImage=%s&tag=%s%s%s", name, tag,
		platform[0] != '\0' ? "&platform=" : "", wanted);

	return node_path(f->node, path);
}

static void pull_is_silent(void *arg)
{
	struct image_fetch *f = arg;
	struct err err = ERR_INIT;

	err_set(&err, ERR_NOT_FOUND, "no registry answered node %s for image %s", f->node_name,
		f->image);
	fetch_finish(f, &err);
}

static void start_pull(struct image_fetch *f, const char *platform, const char *auth)
{
	char *target CLEANUP_FREE = pull_target(f, platform);
	struct http_headers headers = {0};
	const struct call_request call = {.method = "POST", .target = target, .headers = &headers};

	/* Who brings credentials counts on this pull. */
	if (auth[0] != '\0') {
		http_headers_add(&headers, "X-Registry-Auth", auth);
	} else {
		f->silence = loop_timer_new(f->all->loop, pull_is_silent, f);
		loop_timer_start(f->silence, PULL_SILENCE_MS);
	}
	node_call_start(&f->to, f->node, &call, &to_ops, f);
	http_headers_free(&headers);
}

/* ---- The node that has it ---- */

static bool has_name(const struct image *image, const char *name)
{
	for (size_t i = 0; i < image->view.names_len; i++) {
		if (str_eq(image->view.names[i], name))
			return true;
	}
	return false;
}

/* A healthy node other than this one that has it and was not tried, and, where name is not NULL,
 * its name there: repo:tag, or the ID if it was asked for by that. NULL when it must be pulled: a
 * digest is lost on the way through an archive. */
static struct node *find_source(const struct cluster *cluster, const char *reference,
	const struct node *target, const struct str_list *tried, char **name)
{
	size_t len = 0;
	struct image **found = cluster_images_named(cluster, reference, &len, NULL);
	struct node *source = NULL;

	for (size_t i = 0; i < len && source == NULL; i++) {
		struct node *node = found[i]->node;
		char *full CLEANUP_FREE = image_reference_familiar(reference);

		if (node == target || node_state(node) != NODE_HEALTHY ||
			str_list_has(tried, node_view(node)->id) || strchr(full, '@') != NULL)
			continue;
		source = node;
		if (name != NULL)
			*name = has_name(found[i], full) ? TAKE_PTR(full)
							 : xstrdup(found[i]->view.id);
	}
	free(found);
	return source;
}

static void start_copy(struct image_fetch *f);

/* Nothing came of it on the other side, so that another node can begin anew. */
static void source_failed(struct image_fetch *f, const struct err *why)
{
	struct node *next = NULL;

	str_list_add(&f->tried, node_view(f->source)->id);
	if (f->tried.len < SOURCES_MAX)
		next = find_source(f->all->cluster, f->image, f->node, &f->tried, NULL);
	if (next == NULL) {
		fetch_finish(f, why);
		return;
	}
	log_info("image fetched from the next node: image=%s node=%s from=%s error=%s", f->image,
		f->node_name, node_view(next)->name, why->msg);
	fetch_stop_calls(f);
	progress_reset(&f->to_says);
	progress_init(&f->to_says);
	progress_reset(&f->from_says);
	progress_init(&f->from_says);
	node_ref(next);
	node_unref(f->source);
	f->source = next;
	start_copy(f);
}

static void from_head(int status, const struct http_headers *headers, void *arg)
{
	struct image_fetch *f = arg;

	(void)headers;
	f->from_says.status = status;
	if (status == 200)
		start_load(f);
}

static bool from_body(const char *data, size_t len, void *arg)
{
	struct image_fetch *f = arg;

	if (node_call_is_active(&f->to))
		return node_call_upload(&f->to, data, len);
	progress_feed(&f->from_says, data, len);
	return true;
}

static void from_done(const struct node_failure *failed, void *arg)
{
	struct image_fetch *f = arg;
	struct err failure = ERR_INIT;

	if (failed != NULL) {
		source_failed(f, &failed->err);
	} else if (node_call_is_active(&f->to)) {
		node_call_upload_end(&f->to);
	} else if (f->from_says.status == 404) {
		f->is_stale = true;
		fetch_refresh(f, f->source);
	} else {
		err_set(&failure, ERR_UPSTREAM, "node %s cannot give image %s: %s",
			node_view(f->source)->name, f->image, progress_error(&f->from_says));
		source_failed(f, &failure);
	}
}

static const struct node_call_ops from_ops = {
	.head = from_head,
	.body = from_body,
	.done = from_done,
};

/* By repo:tag, which the copy then has too, or an ID. */
static void start_copy(struct image_fetch *f)
{
	char *encoded CLEANUP_FREE = str_url_encode(f->image, strlen(f->image));
	char *path CLEANUP_FREE = xasprintf("/images/%s/get", encoded);
	char *target CLEANUP_FREE = node_path(f->source, path);
	const struct call_request call = {.method = "GET", .target = target};

	node_call_start(&f->from, f->source, &call, &from_ops, f);
}

/* ---- Who wants what ---- */

static struct image_fetch *fetch_start(struct image_fetches *fetches,
	const struct image_fetch_spec *spec, struct node *source, const char *name, char *key_take)
{
	struct image_fetch *f = xcalloc(1, sizeof(*f));

	f->all = fetches;
	f->key = key_take;
	f->image = xstrdup(name);
	f->node = spec->node;
	node_ref(f->node);
	f->node_name = xstrdup(node_view(f->node)->name);
	f->source = source;
	if (source != NULL)
		node_ref(source);
	progress_init(&f->to_says);
	progress_init(&f->from_says);
	HASH_ADD_KEYPTR(hh, fetches->table, f->key, strlen(f->key), f);
	log_info("image fetched for a container: image=%s node=%s from=%s", f->image, f->node_name,
		source != NULL ? node_view(source)->name : "registry");
	if (source != NULL)
		start_copy(f);
	else
		start_pull(f, spec->platform != NULL ? spec->platform : "",
			spec->auth != NULL ? spec->auth : "");
	return f;
}

struct image_wait *image_fetch(struct image_fetches *fetches, const struct image_fetch_spec *spec,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	const struct str_list tried = {0};
	char *name CLEANUP_FREE = NULL;
	char *key;
	struct node *source;
	struct image_fetch *f;
	struct image_wait *wait;

	if (node_state(spec->node) != NODE_HEALTHY || spec->reference[0] == '\0')
		return NULL;
	source = find_source(fetches->cluster, spec->reference, spec->node, &tried, &name);
	if (source == NULL) {
		name = image_reference_familiar(spec->reference);
		/* The ID of an image is nothing that a registry knows. */
		if (strpbrk(name, ":@") == NULL || str_has_prefix(name, "sha256:"))
			return NULL;
	}
	/* Newlines are in none of these: neither in a header nor in what an engine takes for a
	 * name. */
	key = source != NULL ? xasprintf("%s\n%s", node_view(spec->node)->id, name)
			     : xasprintf("%s\n%s\n%s\n%s", node_view(spec->node)->id, name,
				       spec->platform != NULL ? spec->platform : "",
				       spec->auth != NULL ? spec->auth : "");
	HASH_FIND_STR(fetches->table, key, f);
	if (f == NULL) {
		f = fetch_start(fetches, spec, source, name, key);
	} else {
		explicit_bzero(key, strlen(key));
		free(key);
	}
	wait = xcalloc(1, sizeof(*wait));
	wait->fetch = f;
	wait->done = done;
	wait->arg = arg;
	DL_APPEND(f->waits, wait);
	return wait;
}

void image_wait_cancel(struct image_wait *wait)
{
	struct image_fetch *f;

	if (wait == NULL)
		return;
	f = wait->fetch;
	DL_DELETE(f->waits, wait);
	free(wait);
	if (f->waits != NULL || f->is_over || f->is_refreshing)
		return;
	log_info("image not wanted any more: image=%s node=%s", f->image, f->node_name);
	fetch_leave(f);
	fetch_free(f);
}

struct image_fetches *image_fetches_new(struct loop *loop, struct cluster *cluster)
{
	struct image_fetches *fetches = xcalloc(1, sizeof(*fetches));

	fetches->loop = loop;
	fetches->cluster = cluster;
	return fetches;
}

void image_fetches_free(struct image_fetches *fetches)
{
	struct image_fetch *f, *next;

	HASH_ITER (hh, fetches->table, f, next) {
		struct image_wait *wait, *after;

		fetch_leave(f);
		DL_FOREACH_SAFE (f->waits, wait, after)
			free(wait);
		f->waits = NULL;
		/* A refresh tells its end by itself. */
		if (!f->is_refreshing)
			fetch_free(f);
	}
	free(fetches);
}
