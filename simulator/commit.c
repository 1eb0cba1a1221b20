/* Images made of containers and of file systems: commit and import. */
#include "simulator/dockerfile.h"
#include "simulator/http.h"
#include "simulator/image.h"
#include "simulator/tar.h"

#include "http/digest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int change_refuse(const char *name, struct err *err)
{
	CLEANUP_FREE char *small = xstrdup(name);

	for (char *p = small; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return sim_fail(err, 400, "%s is not a valid change command", small);
}

/* Every `changes` of the query is one line of a Dockerfile. */
static int changes_apply(const struct sim_request *r, json_t *config, struct err *err)
{
	CLEANUP_JSON json_t *vars = json_object();

	for (size_t i = 0; i + 1 < r->query.len; i += 2) {
		CLEANUP_DOCKERFILE struct sim_dockerfile d = {0};
		const char *text = r->query.items[i + 1];
		int status = 0;

		if (!str_eq(r->query.items[i], "changes"))
			continue;
		status = sim_dockerfile_parse(text, strlen(text), &d, err);
		for (size_t k = 0; k < d.len && !status; k++) {
			CLEANUP_FREE char *told = NULL;

			status = sim_dockerfile_apply(&d.steps[k], config, vars, &told, err);
			if (status == 1)
				status = change_refuse(d.steps[k].name, err);
		}
		if (status)
			return status;
	}
	return 0;
}

/* ---- commit ---- */

json_t *sim_container_config(const struct sim_container *c)
{
	json_t *config = sim_spec_config(c->spec);
	char hostname[13];

	snprintf(hostname, sizeof(hostname), "%.12s", c->id);
	json_object_set_new(config, "Hostname", json_string(c->hostname ? c->hostname : hostname));
	if (!json_is_object(json_object_get(config, "Labels")))
		json_object_set_new(config, "Labels", json_object());
	return config;
}

/* The image's configuration: what the request's body says, then what the container has. */
static int commit_config(
	struct sim_request *r, const struct sim_container *c, json_t **out, struct err *err)
{
	CLEANUP_JSON json_t *own = sim_container_config(c);
	CLEANUP_JSON json_t *base =
		json_object_size(r->body) ? json_deep_copy(r->body) : json_deep_copy(own);
	int status = changes_apply(r, base, err);

	if (!status)
		*out = sim_spec_merge(base, own);
	return status;
}

static char *command_text(const json_t *config)
{
	struct buf text;
	json_t *item;
	size_t i;

	buf_init(&text, SIM_BODY_MAX);
	json_array_foreach (json_arr(config, "Cmd"), i, item)
		buf_printf(&text, "%s%s", i ? " " : "", json_string_value(item));
	return buf_take(&text);
}

static struct sim_image *commit(
	struct sim_request *r, struct sim_container *c, json_t *config, struct err *err)
{
	struct sim_engine *e = r->engine;
	CLEANUP_JSON json_t *own = sim_container_config(c);
	CLEANUP_FREE char *command = command_text(own);
	const struct sim_content_change change = {.parent = c->image->content,
		.config = config,
		.container_config = own,
		.container = c->id,
		.comment = sim_query(r, "comment"),
		.author = sim_query(r, "author"),
		.created_by = command,
		.server_version = e->options->server_version,
		.created_ns = sim_now(e)};
	struct sim_content *content = sim_content_derive(&e->options->contents, &change, err);
	struct sim_image *image =
		content ? sim_image_put(e, content, c->image->is_listed ? c->image : NULL) : NULL;

	if (content && !image)
		sim_fail(err, 507, "no space left for images");
	return image;
}

void sim_image_commit(struct sim_request *r)
{
	const char *repo = sim_query(r, "repo");
	const char *tag = sim_query(r, "tag");
	const char *pause = sim_query(r, "pause");
	CLEANUP_FREE char *whole = *tag ? xasprintf("%s:%s", repo, tag) : xstrdup(repo);
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *id = NULL;
	CLEANUP_JSON json_t *config = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	struct sim_image *image = NULL;
	bool paused;
	int status = 0;
	struct sim_container *c =
		sim_container_find(r->engine, sim_query(r, "container"), &status, &err);

	if (c)
		status = commit_config(r, c, &config, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	paused = c->state == SIM_RUNNING && (!*pause || sim_query_bool(r, "pause")) &&
		 !sim_container_pause(c, NULL);
	image = commit(r, c, config, &err);
	if (paused)
		(void)!sim_container_unpause(c, NULL);
	/* A name that is none leaves the image without one. */
	if (image && *repo)
		name = sim_image_normal(whole, &err);
	if (!image || (*repo && !name) ||
		(name && sim_image_name(r->engine, image, name, whole, &err))) {
		sim_reply_error(r, 500, &err);
		return;
	}
	id = xasprintf("sha256:%s", image->id);
	sim_event_container(r->engine, c, "commit",
		(struct sim_event_attr[]){{"comment", sim_query(r, "comment")}, {"imageID", id},
			{"imageRef", name ? name : ""}, {NULL, NULL}});
	buf_init(&b, 4096);
	buf_printf(&b, "{\"Id\":\"%s\"}", id);
	sim_reply_buf(r, 201, &b);
}

/* ---- import ---- */

struct import {
	struct sim_request *r;
	struct sim_tar *tar;
	struct digest *digest;
	int64_t size;
	char *name, *told; /* NULL = none; as the event says it */
	json_t *config;
	bool failed;
	struct err err;
};

static void import_cleanup(struct sim_request *r)
{
	struct import *i = r->state;

	sim_tar_free(i->tar);
	digest_free(i->digest);
	json_decref(i->config);
	free(i->name);
	free(i->told);
	free(i);
}

static void import_entry(void *arg, const struct sim_tar_entry *entry)
{
	struct import *i = arg;

	if (entry->type == SIM_TAR_FILE)
		i->size += entry->size;
}

static void import_data(void *arg, const char *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
}

static void import_end(void *arg)
{
	(void)arg;
}

static const struct sim_tar_ops import_ops = {import_entry, import_data, import_end};

static struct sim_image *import_make(struct import *i, struct err *err)
{
	struct sim_engine *e = i->r->engine;
	const char *message = sim_query(i->r, "message");
	char layer[SIM_ID_LEN + 1];
	const struct sim_content_change change = {.config = i->config,
		.container_config = NULL,
		.comment = *message ? message : "Imported from -",
		.layer = layer,
		.size = i->size,
		.server_version = e->options->server_version,
		.created_ns = sim_now(e)};
	struct sim_content *content;
	struct sim_image *image;

	digest_finish(TAKE_PTR(i->digest), layer);
	content = sim_content_derive(&e->options->contents, &change, err);
	image = content ? sim_image_put(e, content, NULL) : NULL;
	if (!image || (i->name && sim_image_name(e, image, i->name, i->told, err)))
		return NULL;
	sim_image_event(e, image, "import", NULL);
	return image;
}

static void import_answer(struct import *i)
{
	struct sim_request *r = i->r;
	struct err err = ERR_INIT;
	CLEANUP_BUF struct buf b = {0};
	CLEANUP_FREE char *id = NULL;
	struct sim_image *image;

	if (!i->failed && sim_tar_finish(i->tar, &i->err))
		i->failed = true;
	if (i->failed) {
		sim_reply_text(r, 500, "Error processing tar file(exit status 1): %s", i->err.msg);
		return;
	}
	image = import_make(i, &err);
	if (!image) {
		sim_reply_text(r, 500, "%s", *err.msg ? err.msg : "too many images");
		return;
	}
	id = xasprintf("sha256:%s", image->id);
	buf_init(&b, 4096);
	sim_progress(&b, id, NULL);
	sim_reply_stream(r, 200, "application/json");
	exchange_reply_write(r->x, b.data, b.len);
	exchange_reply_end(r->x);
}

static size_t import_body(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct import *i = arg;

	(void)x;
	if (!len) {
		import_answer(i);
		return 0;
	}
	digest_add(i->digest, data, len);
	if (!i->failed && sim_tar_feed(i->tar, data, len, &i->err))
		i->failed = true;
	return len;
}

void sim_image_import(struct sim_request *r)
{
	const char *source = sim_query(r, "fromSrc");
	const char *repo = sim_query(r, "repo");
	const char *tag = sim_query(r, "tag");
	CLEANUP_FREE char *whole = *tag ? xasprintf("%s:%s", repo, tag) : xstrdup(repo);
	struct err err = ERR_INIT;
	struct import *i = xcalloc(1, sizeof(*i));
	int status = 0;

	i->r = r;
	i->config = json_object();
	i->tar = sim_tar_new(&import_ops, i);
	i->digest = digest_new();
	r->state = i;
	r->cleanup = import_cleanup;
	if (*repo) {
		i->name = sim_image_normal(whole, &err);
		i->told = TAKE_PTR(whole);
		status = i->name ? 0 : 400;
	}
	if (!status)
		status = changes_apply(r, i->config, &err);
	if (!status && !str_eq(source, "-"))
		status = sim_fail(
			&err, 500, "Get \"%s\": nothing is downloaded in a simulation", source);
	if (status)
		sim_reply_error(r, status, &err);
	else
		exchange_stream_body(r->x, import_body, i);
}
