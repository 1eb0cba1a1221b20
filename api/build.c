/* POST /build: a build goes to one node, and stays there with all that belongs to it. The context
 * streams through as it comes, and so does what the engine says. */
#include "api/builds.h"
#include "api/fanout.h"
#include "api/project.h"
#include "lib/str.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <string.h>

#define CANCEL_TIMEOUT_MS (10 * 1000)

/* ---- The node ---- */

/* What the arguments of the build ask for, over these nodes; one that can take it, or NULL. */
static struct node *select_among(struct request *r, const struct placement *placement,
	struct node *const *nodes, size_t len, struct err *err)
{
	const struct cluster *cluster = r->api->config.cluster;
	const struct fleet *fleet = cluster_fleet(cluster);
	struct bitset among;
	ssize_t chosen;

	bitset_init(&among, fleet_slots(fleet));
	for (size_t i = 0; i < len; i++)
		bitset_add(&among, node_slot(nodes[i]));
	chosen = scheduler_select(r->api->config.scheduler, fleet, &among, placement, NULL, err);
	bitset_release(&among);
	return chosen < 0 ? NULL : cluster_node_at(cluster, (size_t)chosen);
}

/* One that has an image of this name already. */
static struct node *node_with_image(
	struct request *r, const struct placement *placement, const char *name)
{
	size_t len, nodes_len = 0;
	struct image **images = cluster_images_find(r->api->config.cluster, name, &len);
	struct node **nodes = xcalloc(len + 1, sizeof(struct node *));
	struct node *node = NULL;

	for (size_t i = 0; i < len; i++)
		nodes[nodes_len++] = images[i]->node;
	if (nodes_len > 0)
		node = select_among(r, placement, nodes, nodes_len, NULL);
	free(nodes);
	free(images);
	return node;
}

/* The one where the project of Compose is, which the labels of the image name, or its own name. */
static struct node *node_of_project(struct request *r, const struct placement *placement)
{
	const struct cluster *cluster = r->api->config.cluster;
	const char *text = request_query(r, "labels"), *name = request_query(r, "t");
	json_t *labels CLEANUP_JSON = text != NULL ? json_parse(text, strlen(text), NULL) : NULL;
	struct node *home = project_home(cluster, project_of(labels));

	if (home == NULL && name != NULL)
		home = project_home_of_image(cluster, name);
	return home != NULL ? select_among(r, placement, &home, 1, NULL) : NULL;
}

/* The node of the build's session. *is_bound: there is one, so that no other will do. */
static struct node *node_of_session(struct request *r, const struct placement *placement,
	struct node *named, bool *is_bound, struct err *err)
{
	const char *uuid = request_query(r, "session");
	struct node *node;

	if (str_is_empty(uuid))
		return NULL;
	node = builds_session(r, uuid, err);
	*is_bound = node != NULL || err->code != ERR_NONE;
	if (node == NULL)
		return NULL;
	if (named != NULL ? named == node : select_among(r, placement, &node, 1, NULL) != NULL)
		return node;
	err_set(err, ERR_CONFLICT,
		"the session of this build is on node %s, which the build itself rules out; name "
		"the node for both by the header X-Swarm-Node",
		node_view(node)->name);
	return NULL;
}

/* The first of these that there is, and that the arguments allow. */
static struct node *choose_node(
	struct request *r, const struct placement *placement, struct err *err)
{
	const char *name = request_query(r, "t");
	struct node *node, *named;
	bool is_bound = false;

	if (request_node_named(r, &named, err) != 0)
		return NULL;
	node = node_of_session(r, placement, named, &is_bound, err);
	if (is_bound)
		return node;
	if (named != NULL)
		return named;
	if (!str_is_empty(name))
		node = node_with_image(r, placement, name);
	if (node == NULL)
		node = node_of_project(r, placement);
	if (node == NULL && builds_home(r) != NULL) {
		node = builds_home(r);
		node = select_among(r, placement, &node, 1, NULL);
	}
	if (node == NULL)
		node = scheduler_pick(
			r->api->config.scheduler, r->api->config.cluster, placement, NULL, err);
	return node;
}

/* ---- The request ---- */

/* The query as it came, but for one parameter, which has this value now. Owned by the caller. */
static char *query_with(const char *query, const char *name, const char *value)
{
	char *encoded CLEANUP_FREE = str_url_encode(value, strlen(value));
	struct buf out;

	buf_init(&out, strlen(query) + (strlen(encoded) + strlen(name) + 2) * 256);
	while (*query != '\0') {
		size_t len = strcspn(query, "&"), name_len = strcspn(query, "=&");
		char *key CLEANUP_FREE = str_url_decode(query, name_len, true);

		if (out.len > 0)
			buf_append_char(&out, '&');
		if (str_eq(key, name))
			buf_printf(&out, "%s=%s", name, encoded);
		else
			buf_append(&out, query, len);
		query += len;
		query += *query == '&';
	}
	return buf_take(&out);
}

static void run_end(struct exchange *x, bool finished, void *arg)
{
	(void)x;
	if (finished)
		build_run_free(arg); /* the images were refreshed before the reply ended */
	else
		build_run_over(arg);
}

/* What is remembered of a build that goes to this node. */
static void remember(struct request *r, const struct node *node)
{
	const char *session = request_query(r, "session"), *id = request_query(r, "buildid");

	builds_set_home(r, node);
	if (!str_is_empty(id))
		builds_set(r, id, node);
	if (!str_is_empty(session)) {
		builds_set_session(r, session, node);
		session_wake(r->api, session);
	}
}

void image_build(struct request *r)
{
	const char *text = request_query(r, "buildargs");
	struct create_request *request = NULL;
	struct err err = ERR_INIT;
	json_t *args CLEANUP_JSON = NULL;
	json_t *kept CLEANUP_JSON = NULL;
	struct node *node = NULL;

	if (!str_is_empty(text))
		args = json_parse(text, strlen(text), &err);
	if (err.code == ERR_NONE)
		request = create_request_new_build(args, &err);
	else
		err_wrap(&err, "invalid buildargs");
	if (request != NULL)
		node = choose_node(r, create_request_placement(request), &err);
	if (node == NULL) {
		create_request_free(request);
		session_refuse_build(r, request_query(r, "session"), &err);
		return;
	}
	kept = create_request_body(request, node_view(node), 0);
	create_request_free(request);
	if (json_object_size(kept) < json_object_size(args)) {
		char *args_text CLEANUP_FREE = json_text(kept, NULL);
		char *query = query_with(r->raw_query, "buildargs", args_text);

		free(r->raw_query);
		r->raw_query = query;
	}
	remember(r, node);
	exchange_on_end(r->x, run_end, build_run_new(r, node, false));
	forward_streamed_then(r, node, xstrdup("/build"), NODE_IMAGES);
}

/* ---- Cancel ---- */

static void cancelled(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct http_headers headers = {0};
	const struct fanout_reply *failed = NULL;
	bool is_done = false;

	(void)arg;
	for (size_t i = 0; i < len; i++) {
		if (replies[i].status >= 200 && replies[i].status < 300) {
			is_done = true;
		} else {
			failed = &replies[i];
			fanout_warn(&headers, failed);
		}
	}
	if (is_done || failed == NULL) {
		exchange_reply(r->x, 200, &headers, "", 0);
	} else {
		char reason[1024];

		exchange_reply_error(r->x, failed->status >= 400 ? failed->status : 502,
			"node %s: %s", failed->name,
			fanout_reply_error(failed, reason, sizeof(reason)));
	}
	http_headers_free(&headers);
}

void build_cancel(struct request *r)
{
	const char *id = request_query(r, "id");
	struct node *node = id != NULL ? builds_find(r, id) : NULL;
	struct err err = ERR_INIT;
	struct node **nodes;
	size_t len;
	struct fanout_spec spec = {.method = "POST",
		.path = "/build/cancel",
		.query = r->raw_query,
		.reply_max = API_REPLY_MAX,
		.timeout_ms = CANCEL_TIMEOUT_MS,
		.done = cancelled};

	if (str_is_empty(id)) {
		exchange_reply_error(r->x, 400, "build ID not provided");
		return;
	}
	if (node != NULL) {
		fanout(r, &node, 1, &spec);
		return;
	}
	/* A build that another manager sent, or one before this: engines that have none of that ID
	 * do nothing. */
	nodes = request_nodes(r, NULL, &len, &err);
	if (nodes == NULL) {
		request_fail(r, &err);
		return;
	}
	fanout(r, nodes, len, &spec);
	free(nodes);
}
