/* Creating a container: place it, reserve, have the engine make it, and answer once the inventory
 * shows it. Goes on when the client leaves: the engine may have made it already.
 *
 * An engine that has no such image says so with 404. Then the image is brought to that node, from
 * another one or by a pull, and the container is placed once more. */
#include "api/builds.h"
#include "api/create_networks.h"
#include "api/image_fetch.h"
#include "api/wanted_image.h"
#include "cluster/node_call.h"
#include "lib/log.h"
#include "lib/str.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <string.h>

#define CREATE_TIMEOUT_MS \
	(120 * 1000) /* for the engine's answer: volumes may have to be filled from the image */
#define STALE_MAX 3  /* of one create; an engine may go on listing what it does not have */

struct create {
	struct api *api;
	struct request *r; /* NULL when the client has gone */
	struct create_request *request;
	int minor;
	char *query;
	char *platform; /* of the query; NULL = none */
	char *peer;
	struct http_headers headers;
	struct str_list excluded; /* IDs of nodes whose engine failed to make it */
	/* IDs of nodes that the image was fetched for, the last one last. */
	struct str_list fetched;
	unsigned stale; /* times that the image had gone from where it was known to be */
	unsigned retries;
	bool is_finished;
	struct image_wait *wait;
	struct reservation *reservation;
	struct promise **promises; /* of the volumes that the engine may make for it */
	size_t promises_len;
	unsigned refreshes; /* under way */
	struct node *node;  /* referenced; NULL before the first attempt */
	struct node_call call;
	bool is_refresh_failed;
	json_t *networks; /* to be connected when it is made; NULL = none */
	char *id;         /* of the container, once it is made */
	/* The engine's answer. */
	int status;
	struct http_headers reply_headers;
	char *reply;
	size_t reply_len;
};

static void create_attempt(struct create *c);

enum made {
	NOT_MADE,
	IS_MADE,    /* and the inventory shows it */
	MAYBE_MADE, /* the node has to tell */
};

/* Gives back what is held on the node that was asked. */
static void create_release(struct create *c, enum made made)
{
	struct reservation *reservation = TAKE_PTR(c->reservation);

	for (size_t i = 0; i < c->promises_len; i++) {
		if (made == MAYBE_MADE)
			promise_leave(c->promises[i]);
		else
			promise_free(c->promises[i]);
	}
	free(TAKE_PTR(c->promises));
	c->promises_len = 0;
	if (reservation == NULL)
		return;
	if (made == MAYBE_MADE)
		reservation_leave(reservation, c->node);
	else if (made == IS_MADE)
		reservation_commit(reservation);
	else
		reservation_cancel(reservation);
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
	create_release(c, NOT_MADE);
	if (c->node != NULL)
		node_unref(c->node);
	create_request_free(c->request);
	http_headers_free(&c->headers);
	http_headers_free(&c->reply_headers);
	str_list_free(&c->excluded);
	str_list_free(&c->fetched);
	image_wait_cancel(c->wait);
	json_decref(c->networks);
	free(c->id);
	free(c->query);
	free(c->platform);
	free(c->peer);
	free(c->reply);
	free(c);
}

static void client_left(struct exchange *x, bool finished, void *arg)
{
	struct create *c = arg;

	(void)x;
	(void)finished;
	c->r = NULL;
	/* Nothing is made while an image comes, which is then for nobody. */
	if (c->is_finished || c->wait != NULL)
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

	if (err != NULL) {
		log_warn("a container was created, and its engine cannot show it: %s", err->msg);
		c->is_refresh_failed = true;
	}
	if (--c->refreshes > 0)
		return;
	create_release(c, c->is_refresh_failed ? MAYBE_MADE : IS_MADE);
	/* Without a client the API itself may have gone. */
	if (c->r != NULL)
		wanted_image_forget(c->api->wanted, create_request_image(c->request), c->peer);
	create_finish(c, NULL);
}

/* The next volume of the new container that spans nodes, from *at on; NULL = no more. */
static const struct volume *next_shared_volume(const struct create *c, size_t *at)
{
	const struct placement *placement = create_request_placement(c->request);

	while (*at < placement->volumes_len) {
		const struct volume *volume =
			cluster_volume_on(c->node, placement->volumes[(*at)++]);

		if (volume != NULL && !str_eq(volume->scope, "local"))
			return volume;
	}
	return NULL;
}

static bool lacks_shared_volume(const struct create *c, const struct node *node)
{
	const struct volume *volume;
	size_t at = 0;

	while ((volume = next_shared_volume(c, &at)) != NULL) {
		if (cluster_volume_on(node, volume->name) == NULL)
			return true;
	}
	return false;
}

/* That a driver of volumes spans nodes is told by what it made: the others have it, too, and still
 * when this node dies. */
static void create_volumes_refreshed(void *arg, const struct err *err)
{
	struct create *c = arg;
	struct node **nodes = NULL;
	size_t len = 0, at = 0;

	/* Without a client the API itself may have gone. */
	if (c->r != NULL && err == NULL && next_shared_volume(c, &at) != NULL)
		nodes = request_healthy_nodes(c->r, &len);
	for (size_t i = 0; i < len; i++) {
		if (nodes[i] == c->node || !lacks_shared_volume(c, nodes[i]))
			continue;
		c->refreshes++;
		node_refresh_parts(nodes[i], NODE_VOLUMES, create_refreshed, c);
	}
	free(nodes);
	create_refreshed(c, err);
}

/* It was made: the inventory is to show it before the client hears of it, and so are the volumes
 * that were made with it. */
static void create_refresh(struct create *c, const char *id)
{
	bool with_volumes = create_request_names_volumes(c->request);

	c->refreshes = 1 + with_volumes;
	node_refresh_container(c->node, id, create_refreshed, c);
	if (with_volumes)
		node_refresh_parts(c->node, NODE_VOLUMES, create_volumes_refreshed, c);
}

static void create_connected(const struct create_networks_result *result, void *arg)
{
	struct create *c = arg;

	if (result->status == 0 && result->err == NULL) {
		create_refresh(c, c->id);
		return;
	}
	create_release(c, result->is_left_behind ? MAYBE_MADE : NOT_MADE);
	if (result->err == NULL) {
		free(c->reply);
		c->status = result->status;
		c->reply = xstrndup(result->body, result->body_len);
		c->reply_len = result->body_len;
	}
	create_finish(c, result->err);
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

static void create_image_came(void *arg, const struct err *err)
{
	struct create *c = arg;
	const char *node_id = c->fetched.items[c->fetched.len - 1];

	c->wait = NULL;
	/* Placed anew: the reservation may have run out meanwhile, and nothing comes between. */
	create_release(c, NOT_MADE);
	if (err == NULL) {
		create_request_prefer_node(c->request, node_id);
		create_attempt(c);
		return;
	}
	if (err->code == ERR_CANCELED && c->stale++ < STALE_MAX) {
		free(c->fetched.items[--c->fetched.len]);
		create_attempt(c);
		return;
	}
	if (err->code != ERR_NOT_FOUND) {
		create_finish(c, err);
		return;
	}
	/* The engine's own 404. A client that knows how to pull does so next, with its own
	 * credentials. */
	wanted_image_remember(c->api->wanted, create_request_image(c->request), c->peer, node_id);
	create_finish(c, NULL);
}

static bool is_image_missing(const struct reply *reply)
{
	json_t *json CLEANUP_JSON =
		reply->status == 404 ? json_parse(reply->body, reply->body_len, NULL) : NULL;

	return strcasestr(json_str(json, "message", ""), "no such image") != NULL;
}

static bool is_known_there(const struct create *c)
{
	size_t len = 0;
	struct image **found = cluster_images_named(
		c->api->config.cluster, create_request_image(c->request), &len, NULL);
	bool is_known = false;

	for (size_t i = 0; i < len; i++)
		is_known |= found[i]->node == c->node;
	free(found);
	return is_known;
}

/* 64 digits can be no name of a repository, so nothing is pulled, and clients do not try: the
 * answer says what a pull would have. */
static void create_explain_id(struct create *c)
{
	const char *image = create_request_image(c->request);
	json_t *json CLEANUP_JSON = NULL;
	char *message CLEANUP_FREE = NULL;

	if (strlen(image) != 64 || !str_is_hex(image, 64))
		return;
	json = json_parse(c->reply, c->reply_len, NULL);
	message = xasprintf("%s: invalid repository name (%s), cannot specify 64-byte "
			    "hexadecimal strings",
		json_str(json, "message", ""), image);
	json_put(json, "message", json_string(message));
	free(c->reply);
	c->reply = json_text(json, &c->reply_len);
}

/* The inventory knows now that the node has the image no more. */
static void create_images_refreshed(void *arg, const struct err *err)
{
	struct create *c = arg;

	(void)err;
	create_release(c, NOT_MADE);
	if (c->r != NULL)
		create_attempt(c);
	else
		create_finish(c, NULL);
}

/* The engine has no such image: it is to get it, unless it was thought to have it, and another node
 * may do better. False when that was tried, or there is no way. */
static bool create_fetch_image(struct create *c)
{
	const char *node_id = node_view(c->node)->id;
	const struct image_fetch_spec spec = {
		.node = c->node,
		.reference = create_request_image(c->request),
		.platform = c->platform,
		.auth = http_headers_get(&c->headers, "X-Registry-Auth"),
	};

	if (c->r == NULL || str_list_has(&c->fetched, node_id))
		return false;
	if (is_known_there(c) && c->stale++ < STALE_MAX) {
		node_refresh_parts(c->node, NODE_IMAGES, create_images_refreshed, c);
		return true;
	}
	c->wait = image_fetch(c->api->fetches, &spec, create_image_came, c);
	if (c->wait == NULL)
		return false;
	str_list_add(&c->fetched, node_id);
	return true;
}

static void create_failed(struct create *c, const struct node_failure *failure)
{
	c->status = 502;
	create_release(c, failure->was_sent ? MAYBE_MADE : NOT_MADE);
	if (!failure->was_sent && create_elsewhere(c))
		return;
	create_finish(c, &failure->err);
}

static void create_made(struct create *c, const char *id)
{
	c->id = xstrdup(id);
	if (c->networks != NULL)
		create_networks_connect(
			c->node, c->minor, id, TAKE_PTR(c->networks), create_connected, c);
	else
		create_refresh(c, id);
}

static void create_keep_reply(struct create *c, const struct reply *reply)
{
	http_headers_free(&c->reply_headers);
	http_headers_copy(&c->reply_headers, reply->headers);
	free(c->reply);
	c->status = reply->status;
	c->reply = xstrndup(reply->body, reply->body_len);
	c->reply_len = reply->body_len;
}

static void create_answered(
	const struct reply *reply, const struct node_failure *failure, void *arg)
{
	struct create *c = arg;
	json_t *json CLEANUP_JSON = NULL;
	struct err err = ERR_INIT;
	const char *id;

	if (failure != NULL) {
		create_failed(c, failure);
		return;
	}
	create_keep_reply(c, reply);
	json = reply->status == 201 ? json_parse(reply->body, reply->body_len, NULL) : NULL;
	id = json_str(json, "Id", "");
	if (strlen(id) == 64) {
		create_made(c, id);
		return;
	}
	if (is_image_missing(reply)) {
		if (create_fetch_image(c))
			return;
		create_explain_id(c);
	}
	create_release(c, reply->status >= 400 ? NOT_MADE : MAYBE_MADE);
	if (reply->status >= 500 && create_elsewhere(c))
		return;
	if (reply->status < 300)
		err_set(&err, ERR_UPSTREAM, "node %s answered a create without the container's ID",
			node_view(c->node)->name);
	create_finish(c, err.code != ERR_NONE ? &err : NULL);
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
		create_finish(c, &err);
		return;
	}
	if (c->node != NULL)
		node_unref(c->node);
	c->node = reservation_node(c->reservation);
	node_ref(c->node);
	create_promise(c);
	body = create_request_body(c->request, node_view(c->node), node_cpus(c->node));
	json_decref(c->networks);
	c->networks = create_networks_take(c->node, &body);
	text = json_text(body, &call.body_len);
	json_decref(body);
	call.body = text;
	target = forward_target(c->node, c->minor, "/containers/create", c->query);
	call.target = target;
	node_call_collect(&c->call, c->node, &call, API_REPLY_MAX, create_answered, c);
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

static struct create *create_new(struct request *r, struct create_request *request_take)
{
	struct create *c = xcalloc(1, sizeof(*c));
	const char *platform = request_query(r, "platform");
	const char *wanted;

	c->api = r->api;
	c->r = r;
	c->request = request_take;
	c->minor = r->minor;
	c->query = xstrdup(r->raw_query);
	c->platform = platform != NULL ? xstrdup(platform) : NULL;
	c->peer = xstrdup(exchange_peer(r->x));
	c->retries = r->api->config.create_retry;
	http_headers_copy(&c->headers, exchange_headers(r->x));
	http_headers_set(&c->headers, "Content-Type", "application/json");
	wanted = wanted_image_node_id(c->api->wanted, create_request_image(c->request), c->peer);
	if (wanted != NULL)
		create_request_prefer_node(c->request, wanted);
	exchange_on_end(r->x, client_left, c);
	return c;
}

static void create_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;
	struct err err = ERR_INIT;
	struct create_options options = {
		.name = request_query(r, "name"),
		.shares = r->api->config.shares,
		.cpus_max = api_cpus_max(r->api),
	};
	struct create_request *request;

	(void)body;
	(void)len;
	request = create_request_new(r->body, &options, &err);
	if (request == NULL)
		request_fail(r, &err);
	else
		build_await(r->api, exchange_peer(x), create_ready, create_new(r, request));
}

void containers_create(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, create_body, r);
}
