#include "api/builds.h"
#include "api/pins.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/str.h"

#include <string.h>
#include <utlist.h>

#define PINS_MAX 4096 /* clients, sessions and builds, each */
#define HOME_TTL_MS (4 * 60 * 60 * 1000)
#define SESSION_TTL_MS (60 * 60 * 1000)

/* A node on which runs of a client are under way, or their images are being refreshed. */
struct workplace {
	struct workplace *next;
	char *node_id;
	size_t runs;
};

/* A client that has any. */
struct builder {
	UT_hash_handle hh;
	size_t grpcs; /* streams of POST /grpc: it talks to BuildKit directly */
	struct workplace *places;
	char client[];
};

struct builds {
	struct api *api; /* NULL once the API is gone: nothing is asked any more */
	unsigned refs;   /* the API's, and one for each run */
	struct pins *homes, *sessions, *builds;
	struct builder *builders;
};

struct builds *builds_new(struct api *api)
{
	struct builds *b = xcalloc(1, sizeof(*b));

	b->api = api;
	b->refs = 1;
	b->homes = pins_new(PINS_MAX, HOME_TTL_MS);
	b->sessions = pins_new(PINS_MAX, SESSION_TTL_MS);
	b->builds = pins_new(PINS_MAX, SESSION_TTL_MS);
	return b;
}

static void builds_unref(struct builds *b)
{
	if (--b->refs > 0)
		return;
	pins_free(b->homes);
	pins_free(b->sessions);
	pins_free(b->builds);
	free(b);
}

void builds_free(struct builds *b)
{
	b->api = NULL;
	builds_unref(b);
}

/* ---- Pins ---- */

static uint64_t now_ms(const struct api *api)
{
	return loop_now_ms(api->config.loop);
}

static struct node *healthy_node(const struct api *api, const char *node_id)
{
	struct node *node =
		node_id != NULL ? cluster_node_find(api->config.cluster, node_id) : NULL;

	return node != NULL && node_state(node) == NODE_HEALTHY ? node : NULL;
}

struct node *builds_home(const struct request *r)
{
	char *client CLEANUP_FREE = request_client(exchange_peer(r->x));

	return healthy_node(r->api, pins_get(r->api->builds->homes, client, now_ms(r->api)));
}

bool builds_home_is_fixed(const struct request *r)
{
	char *client CLEANUP_FREE = request_client(exchange_peer(r->x));
	const struct builder *builder;

	HASH_FIND_STR(r->api->builds->builders, client, builder);
	return builder != NULL && builder->grpcs > 0 && builds_home(r) != NULL;
}

void builds_set_home(const struct request *r, const struct node *node)
{
	char *client CLEANUP_FREE = request_client(exchange_peer(r->x));

	if (!builds_home_is_fixed(r))
		pins_set(r->api->builds->homes, client, node_view(node)->id, now_ms(r->api));
}

struct node *builds_find(const struct request *r, const char *build_id)
{
	return healthy_node(r->api, pins_get(r->api->builds->builds, build_id, now_ms(r->api)));
}

void builds_set(const struct request *r, const char *build_id, const struct node *node)
{
	pins_set(r->api->builds->builds, build_id, node_view(node)->id, now_ms(r->api));
}

struct node *builds_session(const struct request *r, const char *uuid, struct err *err)
{
	const char *node_id = pins_get(r->api->builds->sessions, uuid, now_ms(r->api));
	struct node *node = healthy_node(r->api, node_id);

	if (node_id != NULL && node == NULL) {
		node = cluster_node_find(r->api->config.cluster, node_id);
		err_set(err, ERR_UNAVAILABLE,
			"the session of this build is on node %s, which is down",
			node != NULL ? node_view(node)->name : node_id);
		return NULL;
	}
	return node;
}

void builds_set_session(const struct request *r, const char *uuid, const struct node *node)
{
	pins_set(r->api->builds->sessions, uuid, node_view(node)->id, now_ms(r->api));
}

/* ---- Runs ---- */

struct build_run {
	struct builds *builds;
	struct builder *builder;
	struct workplace *place;
	bool is_grpc;
};

static struct workplace *workplace_get(struct builder *builder, const char *node_id)
{
	struct workplace *place;

	LL_FOREACH (builder->places, place) {
		if (str_eq(place->node_id, node_id))
			return place;
	}
	place = xcalloc(1, sizeof(*place));
	place->node_id = xstrdup(node_id);
	LL_PREPEND(builder->places, place);
	return place;
}

struct build_run *build_run_new(const struct request *r, const struct node *node, bool is_grpc)
{
	struct builds *b = r->api->builds;
	struct build_run *run = xcalloc(1, sizeof(*run));
	char *client CLEANUP_FREE = request_client(exchange_peer(r->x));
	size_t len = strlen(client);

	run->builds = b;
	b->refs++;
	HASH_FIND_STR(b->builders, client, run->builder);
	if (run->builder == NULL) {
		run->builder = xcalloc(1, sizeof(*run->builder) + len + 1);
		memcpy(run->builder->client, client, len + 1);
		HASH_ADD_STR(b->builders, client, run->builder);
	}
	run->place = workplace_get(run->builder, node_view(node)->id);
	run->place->runs++;
	run->is_grpc = is_grpc;
	run->builder->grpcs += is_grpc;
	return run;
}

void build_run_free(struct build_run *run)
{
	struct builds *b = run->builds;
	struct builder *builder = run->builder;

	builder->grpcs -= run->is_grpc;
	if (--run->place->runs == 0) {
		LL_DELETE(builder->places, run->place);
		free(run->place->node_id);
		free(run->place);
	}
	if (builder->places == NULL) {
		HASH_DEL(b->builders, builder);
		free(builder);
	}
	free(run);
	builds_unref(b);
}

static void run_refreshed(void *arg, const struct err *err)
{
	if (err != NULL)
		log_debug("refresh after a build failed: %s", err->msg);
	build_run_free(arg);
}

void build_run_over(void *arg)
{
	struct build_run *run = arg;
	const struct api *api = run->builds->api;
	struct node *node = api != NULL ? healthy_node(api, run->place->node_id) : NULL;

	/* The stream is closed, though the run goes on until what it made can be seen. */
	run->builder->grpcs -= run->is_grpc;
	run->is_grpc = false;
	if (node != NULL)
		node_refresh_parts(node, NODE_IMAGES, run_refreshed, run);
	else
		build_run_free(run);
}

/* ---- Those who want to see what was built ---- */

struct awaiting {
	unsigned refreshes; /* under way, and one while they are started */
	void (*done)(void *arg);
	void *arg;
};

static void await_refreshed(void *arg, const struct err *err)
{
	struct awaiting *a = arg;

	if (err != NULL)
		log_debug("refresh before a create failed: %s", err->msg);
	if (--a->refreshes > 0)
		return;
	a->done(a->arg);
	free(a);
}

void build_await(struct api *api, const char *peer, void (*done)(void *arg), void *arg)
{
	char *client CLEANUP_FREE = request_client(peer);
	const struct builder *builder;
	const struct workplace *place;
	struct awaiting *a;

	HASH_FIND_STR(api->builds->builders, client, builder);
	if (builder == NULL) {
		done(arg);
		return;
	}
	a = xcalloc(1, sizeof(*a));
	a->refreshes = 1;
	a->done = done;
	a->arg = arg;
	/* A refresh under way may have been answered before the image was made, and a stream that
	 * is still open here may have ended there: both are asked again. */
	LL_FOREACH (builder->places, place) {
		struct node *node = healthy_node(api, place->node_id);

		if (node == NULL)
			continue;
		a->refreshes++;
		node_refresh_parts(node, NODE_IMAGES, await_refreshed, a);
	}
	await_refreshed(a, NULL);
}
