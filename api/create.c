/* Creating a container: place it, reserve, have the engine make it, and answer once the inventory
 * shows it. Goes on when the client leaves: the engine may have made it already. */
#include "api/builds.h"
#include "lib/log.h"
#include "lib/str.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <string.h>

#define CREATE_TIMEOUT_MS \
	(120 * 1000) /* for the engine's answer: volumes may have to be filled from the image */

struct create {
	struct api *api;
	struct request *r; /* NULL when the client has gone */
	struct create_request *request;
	int minor;
	char *query;
	struct http_headers headers;
	struct str_list excluded; /* IDs of nodes whose engine failed to make it */
	unsigned retries;
	bool is_finished;
	bool follows_image; /* it has been sent after the image already */
	struct reservation *reservation;
	struct promise **promises; /* of the volumes that the engine may make for it */
	size_t promises_len;
	unsigned refreshes; /* under way */
	struct node *node;
	struct call *call;
	struct node_waiter *waiter;
	/* The engine's answer. */
	int status;
	struct http_headers reply_headers;
	char *reply;
	size_t reply_len;
};

static void create_attempt(struct create *c);

/* Nothing is held any more on the node that was asked. */
static void create_release(struct create *c)
{
	for (size_t i = 0; i < c->promises_len; i++)
		promise_free(c->promises[i]);
	free(TAKE_PTR(c->promises));
	c->promises_len = 0;
	if (c->reservation != NULL)
		reservation_cancel(TAKE_PTR(c->reservation));
}

/* Whoever wants the same volumes at this moment goes to the same node. */
static void create_promise(struct create *c)
{
	const struct placement *placement = create_request_placement(c->request);

	c->promises = xcalloc(placement->volumes_len + 1, sizeof(struct promise *));
	for (size_t i = 0; i < placement->volumes_len; i++) {
		struct promise *promise = cluster_promise(c->api->config.cluster, PROMISE_VOLUME,
			c->node, placement->volumes[i], "", NULL);

		if (promise != NULL)
			c->promises[c->promises_len++] = promise;
	}
}

static void create_free(struct create *c)
{
	create_release(c);
	create_request_free(c->request);
	http_headers_free(&c->headers);
	http_headers_free(&c->reply_headers);
	str_list_free(&c->excluded);
	free(c->query);
	free(c->reply);
	free(c);
}

static void client_left(struct exchange *x, bool finished, void *arg)
{
	struct create *c = arg;

	(void)x;
	(void)finished;
	c->r = NULL;
	if (c->is_finished)
		create_free(c);
}

/* The answer is given, or nobody is there to get it. While the exchange lives, its end frees the
 * create. */
static void create_finish(struct create *c, const struct err *err)
{
	struct request *r = c->r;

	if (r != NULL && err != NULL)
		request_fail(r, err);
	else if (r != NULL)
		exchange_reply(r->x, c->status, &c->reply_headers, c->reply, c->reply_len);
	c->is_finished = true;
	if (r == NULL)
		create_free(c);
}

static void create_refreshed(void *arg, const struct err *err)
{
	struct create *c = arg;

	if (err != NULL)
		log_warn("a container was created, and its engine cannot show it: %s", err->msg);
	if (--c->refreshes > 0)
		return;
	reservation_commit(TAKE_PTR(c->reservation));
	create_finish(c, NULL);
}

/* It was made: the inventory is to show it before the client hears of it, and so are the volumes
 * that were made with it. */
static void create_refresh(struct create *c, const char *id)
{
	bool with_volumes = create_request_names_volumes(c->request);

	c->refreshes = 1 + with_volumes;
	node_refresh_container(c->node, id, create_refreshed, c);
	if (with_volumes)
		node_refresh_parts(c->node, NODE_VOLUMES, create_refreshed, c);
}

/* Gives up on this node; true when another one is tried. */
static bool create_elsewhere(struct create *c)
{
	if (c->retries == 0)
		return false;
	c->retries--;
	log_info("create failed and is tried elsewhere: node=%s status=%d",
		node_view(c->node)->name, c->status);
	str_list_add(&c->excluded, node_view(c->node)->id);
	create_attempt(c);
	return true;
}

/* The engine has no such image. Where another one has it, the container goes there, unless the user
 * named the node. */
static bool create_at_image(struct create *c)
{
	const char *image = create_request_image(c->request);
	char *term CLEANUP_FREE = NULL;
	struct image **found;
	struct err err = ERR_INIT;
	size_t len;

	if (c->follows_image || create_request_is_pinned(c->request))
		return false;
	c->follows_image = true;
	found = cluster_images_find(c->api->config.cluster, image, &len);
	free(found);
	if (len == 0)
		return false;
	term = xasprintf("image==%s", image);
	if (create_request_add_term(c->request, CREATE_AFFINITY, term, &err) != 0)
		return false;
	create_attempt(c);
	return true;
}

static void create_answered(void *arg, const struct reply *reply, const struct err *why)
{
	struct create *c = arg;
	json_t *json CLEANUP_JSON = NULL;
	struct err err = ERR_INIT;
	const char *id;

	c->call = NULL;
	node_waiter_free(TAKE_PTR(c->waiter));
	if (why != NULL) {
		node_report_failure(c->node, why);
		forward_describe_failure(c->node, why, &err);
		create_release(c);
		c->status = 502;
		/* Whether it was made is not known, unless the engine was never reached. */
		if (why->code == ERR_UNAVAILABLE && create_elsewhere(c))
			return;
		create_finish(c, &err);
		return;
	}
	http_headers_free(&c->reply_headers);
	http_headers_copy(&c->reply_headers, reply->headers);
	free(c->reply);
	c->status = reply->status;
	c->reply = xstrndup(reply->body, reply->body_len);
	c->reply_len = reply->body_len;
	json = reply->status == 201 ? json_parse(reply->body, reply->body_len, NULL) : NULL;
	id = json_str(json, "Id", "");
	if (strlen(id) == 64) {
		create_refresh(c, id);
		return;
	}
	create_release(c);
	if (reply->status == 404 && create_at_image(c))
		return;
	if (reply->status >= 500 && create_elsewhere(c))
		return;
	if (reply->status < 300)
		err_set(&err, ERR_UPSTREAM, "node %s answered a create without the container's ID",
			node_view(c->node)->name);
	create_finish(c, err.code != ERR_NONE ? &err : NULL);
}

static void create_node_down(void *arg)
{
	struct create *c = arg;
	struct err err = ERR_INIT;

	node_waiter_free(TAKE_PTR(c->waiter));
	call_cancel(TAKE_PTR(c->call));
	create_release(c);
	err_set(&err, ERR_TIMEOUT, "node %s went down before it answered: %s",
		node_view(c->node)->name, node_error(c->node));
	create_finish(c, &err);
}

/* One more try, on the node that the scheduler picks now. */
static void create_attempt(struct create *c)
{
	struct err err = ERR_INIT;
	char *target CLEANUP_FREE = NULL;
	char *text CLEANUP_FREE = NULL;
	json_t *body;
	struct call_request call = {
		.method = "POST", .headers = &c->headers, .head_timeout_ms = CREATE_TIMEOUT_MS};

	c->reservation = scheduler_place(
		c->api->config.scheduler, c->api->config.cluster, c->request, &c->excluded, &err);
	if (c->reservation == NULL) {
		/* Where the image is it cannot be: that the engine has no image is what a client
		 * can do something about. */
		create_finish(c, c->follows_image && c->status == 404 ? NULL : &err);
		return;
	}
	c->node = reservation_node(c->reservation);
	create_promise(c);
	body = create_request_body(
		c->request, node_view(c->node), json_int(node_info(c->node), "NCPU", 0));
	text = json_text(body, &call.body_len);
	json_decref(body);
	call.body = text;
	target = forward_target(c->node, c->minor, "/containers/create", c->query);
	call.target = target;
	c->waiter = node_on_down(c->node, create_node_down, c);
	c->call = call_collect(node_endpoint(c->node), &call, API_REPLY_MAX, create_answered, c);
}

/* The inventory shows what this client has built. */
static void create_ready(void *arg)
{
	struct create *c = arg;

	/* Nothing was sent yet, and nobody waits for it. */
	if (c->r == NULL)
		create_free(c);
	else
		create_attempt(c);
}

static void create_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;
	struct err err = ERR_INIT;
	json_t *json CLEANUP_JSON = json_parse(body, len, &err);
	struct create_options options = {.name = request_query(r, "name")};
	struct create_request *request;
	struct create *c;

	if (json == NULL) {
		request_fail(r, &err);
		return;
	}
	request = create_request_new(json, &options, &err);
	if (request == NULL) {
		request_fail(r, &err);
		return;
	}
	c = xcalloc(1, sizeof(*c));
	c->api = r->api;
	c->r = r;
	c->request = request;
	c->minor = r->minor;
	c->query = xstrdup(r->raw_query);
	c->retries = r->api->config.create_retry;
	http_headers_copy(&c->headers, exchange_headers(x));
	http_headers_set(&c->headers, "Content-Type", "application/json");
	exchange_on_end(x, client_left, c);
	build_await(r->api, exchange_peer(x), create_ready, c);
}

void containers_create(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, create_body, r);
}
