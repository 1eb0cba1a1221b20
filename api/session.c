/* POST /session and POST /grpc: BuildKit's own protocol, HTTP/2 in the clear on a connection that
 * was upgraded. What goes over it is not looked at: a client has one node where it builds, and all
 * its streams go there. */
#include "api/api_priv.h"
#include "api/builds.h"
#include "lib/str.h"

#include <utlist.h>

/* A client of old opens its session and posts its build at the same time, and only the build tells
 * the node. So a session that comes first waits a moment for it. And a build that is refused before
 * its session comes waits for that: told sooner, such a client closes a session that it has not
 * begun to open, opens it then, and waits for its end forever. */
#define HOLD_MS 100
#define HOLD_REFUSAL_MS 1000

/* Where the client builds; for one that is new, where the strategy says. */
static struct node *home_node(struct request *r, struct err *err)
{
	struct node *node;

	if (request_node_named(r, &node, err) != 0)
		return NULL;
	if (node == NULL)
		node = builds_home(r);
	if (node == NULL)
		node = request_any_node(r, err);
	if (node != NULL)
		builds_set_home(r, node);
	return node;
}

static void upgrade(struct request *r, struct node *node, const char *path, bool is_grpc)
{
	hijack(r, &(struct hijack_spec){.node = node,
			  .path = path,
			  .protocol = "h2c",
			  .over = build_run_over,
			  .arg = build_run_new(r, node, is_grpc)});
}

static void grpc(struct request *r)
{
	struct err err = ERR_INIT;
	struct node *node = home_node(r, &err);

	if (node != NULL)
		upgrade(r, node, "/grpc", true);
	else
		request_fail(r, &err);
}

void build_grpc(struct request *r)
{
	hijack_behind_body(r, grpc);
}

/* ---- Sessions ---- */

/* A session that waits for its build, or a refused build that waits for its session. */
struct held {
	struct held *prev, *next;
	struct request *r;
	const char *uuid; /* of the request */
	struct loop_timer *timer;
	struct err refusal; /* ERR_NONE: a session */
};

static void held_release(struct held *held)
{
	if (held->timer == NULL)
		return;
	loop_timer_free(TAKE_PTR(held->timer));
	DL_DELETE(held->r->api->held, held);
}

static void held_end(struct exchange *x, bool finished, void *arg)
{
	(void)x;
	(void)finished;
	held_release(arg);
	free(arg);
}

static void session_open(struct request *r);

/* held is freed with its request, which this may end. */
static void held_go(void *arg)
{
	struct held *held = arg;

	held_release(held);
	if (held->refusal.code != ERR_NONE)
		request_fail(held->r, &held->refusal);
	else
		session_open(held->r);
}

static void hold(struct request *r, const char *uuid, const struct err *refusal, unsigned ms)
{
	struct held *held = xcalloc(1, sizeof(*held));

	held->r = r;
	held->uuid = uuid;
	held->refusal = *refusal;
	held->timer = loop_timer_new(r->api->config.loop, held_go, held);
	exchange_on_end(r->x, held_end, held);
	DL_APPEND(r->api->held, held);
	loop_timer_start(held->timer, ms);
}

/* One of this session that waits: the session, or a build that was refused. */
static struct held *held_find(const struct api *api, const char *uuid, bool is_refusal)
{
	struct held *held;

	DL_FOREACH (api->held, held) {
		if (str_eq(held->uuid, uuid) && (held->refusal.code != ERR_NONE) == is_refusal)
			return held;
	}
	return NULL;
}

static void wake(struct api *api, const char *uuid, bool is_refusal)
{
	struct held *held;

	while ((held = held_find(api, uuid, is_refusal)) != NULL)
		held_go(held);
}

void session_wake(struct api *api, const char *uuid)
{
	wake(api, uuid, false);
}

void session_refuse_build(struct request *r, const char *uuid, const struct err *err)
{
	struct err down = ERR_INIT;

	if (str_is_empty(uuid) || builds_session(r, uuid, &down) != NULL || down.code != ERR_NONE ||
		held_find(r->api, uuid, false) != NULL)
		request_fail(r, err);
	else
		hold(r, uuid, err, HOLD_REFUSAL_MS);
}

static const char *uuid_of(const struct request *r)
{
	const char *uuid = exchange_header(r->x, "X-Docker-Expose-Session-Uuid");

	return uuid != NULL ? uuid : "";
}

static void session_open(struct request *r)
{
	const char *uuid = uuid_of(r);
	struct err err = ERR_INIT;
	struct node *node = builds_session(r, uuid, &err);

	if (uuid[0] != '\0')
		wake(r->api, uuid, true);
	if (node == NULL && err.code == ERR_NONE)
		node = home_node(r, &err);
	if (node == NULL) {
		request_fail(r, &err);
		return;
	}
	if (uuid[0] != '\0')
		builds_set_session(r, uuid, node);
	upgrade(r, node, "/session", false);
}

static void session(struct request *r)
{
	struct err err = ERR_INIT;
	struct node *named;

	if (request_node_named(r, &named, &err) != 0) {
		request_fail(r, &err);
		return;
	}
	/* A client that talks to BuildKit directly posts no build. */
	if (named != NULL || uuid_of(r)[0] == '\0' || builds_home_is_fixed(r) ||
		builds_session(r, uuid_of(r), &err) != NULL || err.code != ERR_NONE) {
		session_open(r);
		return;
	}
	hold(r, uuid_of(r), &err, HOLD_MS);
}

void build_session(struct request *r)
{
	hijack_behind_body(r, session);
}
