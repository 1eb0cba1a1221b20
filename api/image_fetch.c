/* Copies and pulls of images for containers. A copy is two calls joined: what the one engine saves
 * is loaded by the other as it comes, each waiting for the other's pace. An engine registers an
 * image when its archive is complete, so that one which breaks off leaves nothing behind.
 *
 * An engine is not believed what it gives. The image is saved by its ID, the archive is looked at
 * on its way (archive_check.h), and the name is given by a call of its own. What a registry knows
 * by a digest is pulled by that first. */
#include "api/image_fetch.h"
#include "api/archive_check.h"
#include "api/image_source.h"
#include "api/progress.h"
#include "cluster/node_call.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>
#include <utlist.h>

/* A registry that has said nothing for so long is left to the client, who pulls next and sees what
 * is wrong. Once it has begun a download takes as long as it takes. */
#define PULL_SILENCE_MS (5 * 1000)
/* How many nodes a copy is begun from at most: each may break off late. */
#define SOURCES_MAX 3
#define NAMING_TIMEOUT_MS (60 * 1000)

enum step {
	PULL_DIGEST, /* what a source lists is pulled from its registry */
	COPY,
	PULL,
};

struct image_fetch {
	struct image_fetches *all; /* NULL: the API has gone */
	UT_hash_handle hh;
	char *key;         /* node, image, and for a pull what it depends on; has credentials */
	char *image;       /* what is copied or pulled: a name, or of a copy an ID */
	char *node_name;   /* for people */
	struct node *node; /* that is to have it; referenced */
	enum step step;
	struct node *source; /* that has it, referenced; NULL = nobody */
	char *id;            /* of the image there */
	char *digest;        /* repo@digest, for PULL_DIGEST */
	struct archive_check *check;
	struct err copy_err; /* why no copy came, while it is pulled for that; ERR_NONE = not so */
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

/* ---- Ends ---- */

static void fetch_free(struct image_fetch *f)
{
	progress_reset(&f->to_says);
	progress_reset(&f->from_says);
	explicit_bzero(f->key, strlen(f->key));
	free(f->key);
	free(f->image);
	free(f->node_name);
	free(f->id);
	free(f->digest);
	archive_check_free(f->check);
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

static void pull_failed(struct image_fetch *f, const struct err *why);
static void source_failed(struct image_fetch *f, const struct err *why);

static void step_failed(struct image_fetch *f, const struct err *why)
{
	if (f->step == COPY)
		source_failed(f, why);
	else
		pull_failed(f, why);
}

static void named(const struct reply *reply, const struct node_failure *failed, void *arg)
{
	struct image_fetch *f = arg;
	json_t *json CLEANUP_JSON = NULL;
	struct err failure = ERR_INIT;

	if (failed != NULL) {
		fetch_finish(f, &failed->err);
	} else if (reply->status < 300) {
		fetch_refresh(f, f->node);
	} else {
		json = json_parse(reply->body, reply->body_len, NULL);
		err_set(&failure, ERR_UPSTREAM, "node %s has no image %s as node %s lists it: %s",
			f->node_name, f->image, node_view(f->source)->name,
			json_str(json, "message", "the engine gave no reason"));
		step_failed(f, &failure);
	}
}

/* What came has no name yet: it gets the one that was asked for, and is there if that succeeds. */
static void start_naming(struct image_fetch *f)
{
	const char *what = f->step == COPY ? f->id : f->digest;
	const char *colon = strrchr(f->image, ':');
	char *encoded CLEANUP_FREE = str_url_encode(what, strlen(what));
	char *repo CLEANUP_FREE = str_url_encode(f->image, (size_t)(colon - f->image));
	char *tag CLEANUP_FREE = str_url_encode(colon + 1, strlen(colon + 1));
	char *path CLEANUP_FREE = image_is_id(f->image) ? xasprintf("/images/%s/json", encoded)
							: xasprintf("/images/%s/tag?repo=%s&tag=%s",
								  encoded, repo, tag);
	char *target CLEANUP_FREE = node_path(f->node, path);
	const struct call_request call = {.method = image_is_id(f->image) ? "GET" : "POST",
		.target = target,
		.total_timeout_ms = NAMING_TIMEOUT_MS};

	node_call_collect(&f->to, f->node, &call, API_REPLY_MAX, named, f);
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
	if (told != NULL) {
		err_set(&failure, f->step == COPY ? ERR_UPSTREAM : ERR_NOT_FOUND,
			"node %s cannot %s image %s: %s", f->node_name,
			f->step == COPY ? "load" : "pull", f->image, told);
		step_failed(f, &failure);
	} else if (f->step == PULL) {
		fetch_refresh(f, f->node);
	} else {
		loop_timer_free(TAKE_PTR(f->silence));
		start_naming(f);
	}
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
	const char *image = f->step == PULL_DIGEST ? f->digest : f->image;
	const char *at = strchr(image, '@');
	const char *cut = at != NULL ? at : strrchr(image, ':');
	char *name CLEANUP_FREE = str_url_encode(image, (size_t)(cut - image));
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
	pull_failed(f, &err);
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

static void start_copy(struct image_fetch *f);

/* What is under way is given up; the next step begins anew. */
static void clear_step(struct image_fetch *f)
{
	fetch_stop_calls(f);
	loop_timer_free(TAKE_PTR(f->silence));
	progress_reset(&f->to_says);
	progress_init(&f->to_says);
	progress_reset(&f->from_says);
	progress_init(&f->from_says);
}

static void pull_failed(struct image_fetch *f, const struct err *why)
{
	if (f->step == PULL) {
		fetch_finish(f, f->copy_err.code != ERR_NONE ? &f->copy_err : why);
		return;
	}
	log_info("image copied, since no registry gives it: image=%s node=%s from=%s error=%s",
		f->image, f->node_name, node_view(f->source)->name, why->msg);
	clear_step(f);
	start_copy(f);
}

static void set_source(struct image_fetch *f, struct image_source *source)
{
	node_ref(source->node);
	if (f->source != NULL)
		node_unref(f->source);
	f->source = source->node;
	free(f->id);
	f->id = TAKE_PTR(source->id);
}

/* Nothing came of it on the other side, so that another node can begin anew, or a registry. */
static void source_failed(struct image_fetch *f, const struct err *why)
{
	struct image_source next = {0};
	const struct err copy = *why;

	str_list_add(&f->tried, node_view(f->source)->id);
	if (f->tried.len < SOURCES_MAX)
		image_source_find(f->all->cluster, f->image, f->node, &f->tried, &next);
	clear_step(f);
	if (next.node != NULL) {
		log_info("image fetched from the next node: image=%s node=%s from=%s error=%s",
			f->image, f->node_name, node_view(next.node)->name, copy.msg);
		set_source(f, &next);
		start_copy(f);
	} else if (!image_is_id(f->image) && f->digest == NULL) {
		log_info("image pulled, since no node gives it: image=%s node=%s error=%s",
			f->image, f->node_name, copy.msg);
		f->copy_err = copy;
		f->step = PULL;
		/* Those who share it may not share credentials. */
		start_pull(f, "", "");
	} else {
		fetch_finish(f, &copy);
	}
	image_source_reset(&next);
}

static void from_head(int status, const struct http_headers *headers, void *arg)
{
	struct image_fetch *f = arg;

	(void)headers;
	f->from_says.status = status;
	if (status == 200)
		start_load(f);
}

static void describe_refusal(
	const struct image_fetch *f, const struct err *why, struct err *failure)
{
	err_set(failure, ERR_UPSTREAM, "node %s cannot give image %s: %s",
		node_view(f->source)->name, f->image, why->msg);
}

static bool from_body(const char *data, size_t len, void *arg)
{
	struct image_fetch *f = arg;

	struct err why = ERR_INIT, failure = ERR_INIT;

	if (!node_call_is_active(&f->to)) {
		progress_feed(&f->from_says, data, len);
		return true;
	}
	if (archive_check_feed(f->check, data, len, &why) == 0)
		return node_call_upload(&f->to, data, len);
	describe_refusal(f, &why, &failure);
	source_failed(f, &failure);
	return true;
}

static void from_done(const struct node_failure *failed, void *arg)
{
	struct image_fetch *f = arg;
	struct err failure = ERR_INIT;

	struct err why = ERR_INIT;

	if (failed != NULL) {
		source_failed(f, &failed->err);
	} else if (node_call_is_active(&f->to) && archive_check_end(f->check, &why) == 0) {
		node_call_upload_end(&f->to);
	} else if (node_call_is_active(&f->to)) {
		describe_refusal(f, &why, &failure);
		source_failed(f, &failure);
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

/* By its ID, so that it comes without a name. */
static void start_copy(struct image_fetch *f)
{
	char *encoded CLEANUP_FREE = str_url_encode(f->id, strlen(f->id));
	char *path CLEANUP_FREE = xasprintf("/images/%s/get", encoded);
	char *target CLEANUP_FREE = node_path(f->source, path);
	const struct call_request call = {.method = "GET", .target = target};

	f->step = COPY;
	archive_check_free(f->check);
	f->check = archive_check_new(f->id, image_is_id(f->image) ? NULL : f->image);
	node_call_start(&f->from, f->source, &call, &from_ops, f);
}

/* ---- Who wants what ---- */

static struct image_fetch *fetch_start(struct image_fetches *fetches,
	const struct image_fetch_spec *spec, struct image_source *source, char *key_take)
{
	struct image_fetch *f = xcalloc(1, sizeof(*f));
	bool is_copy = source->node != NULL && source->digest == NULL;

	f->all = fetches;
	f->key = key_take;
	f->image = TAKE_PTR(source->name);
	f->digest = TAKE_PTR(source->digest);
	f->node = spec->node;
	node_ref(f->node);
	f->node_name = xstrdup(node_view(f->node)->name);
	if (source->node != NULL)
		set_source(f, source);
	progress_init(&f->to_says);
	progress_init(&f->from_says);
	HASH_ADD_KEYPTR(hh, fetches->table, f->key, strlen(f->key), f);
	log_info("image fetched for a container: image=%s node=%s from=%s", f->image, f->node_name,
		is_copy ? node_view(source->node)->name : "registry");
	f->step = f->digest != NULL ? PULL_DIGEST : PULL;
	if (is_copy)
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
	struct image_source source;
	char *key;
	struct image_fetch *f;
	struct image_wait *wait;

	if (node_state(spec->node) != NODE_HEALTHY || spec->reference[0] == '\0')
		return NULL;
	image_source_find(fetches->cluster, spec->reference, spec->node, &tried, &source);
	if (source.node == NULL) {
		source.name = image_reference_familiar(spec->reference);
		/* The ID of an image is nothing that a registry knows. */
		if (strpbrk(source.name, ":@") == NULL || image_is_id(source.name)) {
			image_source_reset(&source);
			return NULL;
		}
	}
	/* Newlines are in none of these: neither in a header nor in what an engine takes for a
	 * name. */
	key = source.node != NULL && source.digest == NULL
		      ? xasprintf("%s\n%s", node_view(spec->node)->id, source.name)
		      : xasprintf("%s\n%s\n%s\n%s", node_view(spec->node)->id, source.name,
				spec->platform != NULL ? spec->platform : "",
				spec->auth != NULL ? spec->auth : "");
	HASH_FIND_STR(fetches->table, key, f);
	if (f == NULL) {
		f = fetch_start(fetches, spec, &source, key);
	} else {
		explicit_bzero(key, strlen(key));
		free(key);
	}
	image_source_reset(&source);
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
