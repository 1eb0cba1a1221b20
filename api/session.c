/* POST /session and POST /grpc: BuildKit's own protocol, HTTP/2 in the clear on a connection that
 * was upgraded. What goes over it is not looked at: a client has one node where it builds, and all
 * its streams go there. */
#include "api/api_priv.h"
#include "api/builds.h"
#include "lib/str.h"

#include <utlist.h>

/* A client of old opens its session and posts its build at the same time, and only the build tells
 * the node. So a session that comes first waits a moment for it. */
#define HOLD_MS 100

static bool has_body(struct request *r)
{
	if (exchange_body_length(r->x) == 0)
		return false;
	exchange_reply_error(r->x, 400, "a body must not come before the connection is upgraded");
	return true;
}

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

void build_grpc(struct request *r)
{
	struct err err = ERR_INIT;
	struct node *node;

	if (has_body(r))
		return;
	node = home_node(r, &err);
	if (node != NULL)
		upgrade(r, node, "/grpc", true);
	else
		request_fail(r, &err);
}

/* ---- Sessions ---- */

struct held_session {
	struct held_session *prev, *next;
	struct request *r;
	struct loop_timer *timer;
};

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

static void held_release(struct held_session *held)
{
	if (held->timer == NULL)
		return;
	loop_timer_free(TAKE_PTR(held->timer));
	DL_DELETE(held->r->api->held_sessions, held);
}

static void held_end(struct exchange *x, bool finished, void *arg)
{
	(void)x;
	(void)finished;
	held_release(arg);
	free(arg);
}

static void held_timeout(void *arg)
{
	struct held_session *held = arg;

	held_release(held);
	session_open(held->r);
}

void held_sessions_wake(struct api *api, const char *uuid)
{
	struct held_session *held, *next;

	DL_FOREACH_SAFE (api->held_sessions, held, next) {
		if (!str_eq(uuid_of(held->r), uuid))
			continue;
		held_release(held);
		session_open(held->r);
	}
}

void build_session(struct request *r)
{
	struct err err = ERR_INIT;
	struct held_session *held;
	struct node *named;

	if (has_body(r))
		return;
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
	held = xcalloc(1, sizeof(*held));
	held->r = r;
	held->timer = loop_timer_new(r->api->config.loop, held_timeout, held);
	exchange_on_end(r->x, held_end, held);
	DL_APPEND(r->api->held_sessions, held);
	loop_timer_start(held->timer, HOLD_MS);
}
