/* Swarm mode is the engines' own clustering, which the engines of this cluster stay out of: its
 * calls get the answers of an engine that is in none, down to the words, and no engine is asked. So
 * clients that look for a swarm find none, and go on as with any single engine. */
#include "api/api_priv.h"
#include "lib/str.h"

#include <string.h>

static void no_manager(struct request *r)
{
	exchange_reply_error(r->x, 503,
		"This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm "
		"join\" to connect this node to swarm and try again.");
}

/* False, and answered, when the name is of two parts: engines have no such path. */
static bool is_one_name(struct request *r)
{
	if (strchr(r->name, '/') == NULL)
		return true;
	exchange_reply_error(r->x, 404, "page not found");
	return false;
}

/* False, and answered, when the parameter is there and no truth value. */
static bool check_bool(struct request *r, const char *name, bool tells_why)
{
	const char *value = request_query(r, name);
	bool is_true;

	if (str_is_empty(value) || str_to_bool(value, &is_true) == 0)
		return true;
	if (tells_why)
		exchange_reply_error(r->x, 400,
			"invalid value for %s: %s: strconv.ParseBool: parsing \"%s\": invalid "
			"syntax",
			name, value, value);
	else
		exchange_reply_error(r->x, 400, "invalid value for %s: %s", name, value);
	return false;
}

void swarm_mode_ask(struct request *r)
{
	if (is_one_name(r))
		no_manager(r);
}

void swarm_mode_services(struct request *r)
{
	if (check_bool(r, "status", true))
		no_manager(r);
}

void swarm_mode_logs(struct request *r)
{
	if (!is_one_name(r))
		return;
	if (!request_query_bool(r, "stdout") && !request_query_bool(r, "stderr"))
		exchange_reply_error(
			r->x, 500, "Bad parameters: you must choose at least one stream");
	else
		no_manager(r);
}

void swarm_mode_leave(struct request *r)
{
	exchange_reply_error(r->x, 503, "This node is not part of a swarm");
}

/* The one place where an engine would do something, and must not: an engine that entered a swarm
 * would schedule and place containers behind the manager's back. */
void swarm_mode_enter(struct request *r)
{
	exchange_reply_error(r->x, 503,
		"This is a cluster already: its manager does not put engines into swarm mode. "
		"Nodes join it by discovery (see \"swarm join\").");
}

/* ---- Calls with a body ---- */

/* What the path changes, in the singular: "node" for "/v1.41/nodes/x/update". */
static const char *object_of(const struct request *r)
{
	static const char *const objects[] = {"swarm", "node", "service", "secret", "config"};
	const char *path = exchange_target(r->x) + 1;

	if (path[0] == 'v')
		path += strcspn(path, "/") + 1;
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		if (str_has_prefix(path, objects[i]))
			return objects[i];
	}
	return "object";
}

/* The version of the object that is to be changed, as an engine checks it. */
static bool check_version(struct request *r)
{
	const char *value = request_query(r, "version");
	const char *object = object_of(r);
	size_t digits = value != NULL ? strspn(value, "0123456789") : 0;

	if (digits > 0 && value[digits] == '\0')
		return true;
	/* An engine gives the reason for three of them. */
	if (str_eq(object, "secret") || str_eq(object, "config"))
		exchange_reply_error(r->x, 400, "invalid %s version", object);
	else
		exchange_reply_error(r->x, 400,
			"invalid %s version '%s': strconv.ParseUint: parsing \"%s\": invalid "
			"syntax",
			object, value != NULL ? value : "", value != NULL ? value : "");
	return false;
}

static bool check_body(struct request *r, const char *body, size_t len)
{
	struct err err = ERR_INIT;
	json_t *json CLEANUP_JSON = NULL;

	if (len == 0) {
		exchange_reply_error(r->x, 400, "got EOF while reading request body");
		return false;
	}
	json = json_parse(body, len, &err);
	if (json == NULL)
		request_fail(r, &err);
	else if (!json_is_object(json) && !json_is_null(json))
		exchange_reply_error(r->x, 400, "the body is no JSON object");
	return json_is_object(json) || json_is_null(json);
}

static void create_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	(void)x;
	if (check_body(arg, body, len))
		no_manager(arg);
}

static void update_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;

	(void)x;
	if (check_body(r, body, len) && check_version(r) &&
		check_bool(r, "rotateWorkerToken", false) &&
		check_bool(r, "rotateManagerToken", false) &&
		check_bool(r, "rotateManagerUnlockKey", false))
		no_manager(r);
}

void swarm_mode_create(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, create_body, r);
}

void swarm_mode_update(struct request *r)
{
	if (is_one_name(r))
		exchange_read_body(r->x, API_BODY_MAX, update_body, r);
}
