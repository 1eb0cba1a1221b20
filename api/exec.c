/* Exec instances: made in a container, then named by an ID of their own. The inventory remembers
 * whose they are; those that were made before this manager started are asked for at every engine.
 */
#include "api/exec_search.h"
#include "lib/str.h"

#include <string.h>

/* ---- Making one ---- */

static bool exec_created(
	struct request *r, struct node *node, const struct reply *reply, struct buf *out, void *arg)
{
	json_t *json CLEANUP_JSON =
		reply->status == 201 ? json_parse(reply->body, reply->body_len, NULL) : NULL;
	const char *id = json_str(json, "Id", "");

	(void)node;
	(void)out;
	if (strlen(id) == 64 && str_is_hex(id, 64))
		cluster_exec_add(r->api->config.cluster, id, arg);
	return false;
}

static void release_container(struct exchange *x, bool finished, void *arg)
{
	(void)x;
	(void)finished;
	container_unref(arg);
}

void container_exec(struct request *r)
{
	struct container *container = request_container(r);
	struct forward_spec spec = {.edit = exec_created};

	if (container == NULL)
		return;
	exchange_on_end(r->x, release_container, container_ref(container));
	spec.edit_arg = container;
	spec.node = container->node;
	spec.path_take = request_container_path(r, container);
	forward_collected(r, &spec);
}

/* ---- Finding its engine ---- */

/* Calls found with the engine of the instance {name}, now or later, or sends the error. */
static void exec_locate(struct request *r, exec_found_fn *found, void *arg)
{
	struct err err = ERR_INIT;
	struct node *node = cluster_exec_find(r->api->config.cluster, r->name, &err);

	if (node == NULL && strlen(r->name) == 64 && str_is_hex(r->name, 64)) {
		exec_search(r, found, arg);
		return;
	}
	if (node != NULL && node_state(node) != NODE_HEALTHY) {
		err_set(&err, ERR_UNAVAILABLE, "exec instance %s is on unhealthy node %s: %s",
			r->name, node_view(node)->name, node_error(node));
		node = NULL;
	}
	if (node == NULL)
		request_fail(r, &err);
	else
		found(r, node, arg);
}

/* ---- Using it ---- */

/* "/exec/<id>/start" */
static char *exec_path(const struct request *r)
{
	const char *action = request_action(r);

	return xasprintf("/exec/%s%.*s", r->name, (int)strcspn(action, "?"), action);
}

/* A request's body, kept while its engine is looked for. */
struct exec_body {
	char *data;
	size_t len;
	bool is_detached;
};

static void exec_body_free(struct exchange *x, bool finished, void *arg)
{
	struct exec_body *body = arg;

	(void)x;
	(void)finished;
	free(body->data);
	free(body);
}

static void exec_found(struct request *r, struct node *node, void *arg)
{
	struct exec_body *body = arg;
	char *path CLEANUP_FREE = exec_path(r);

	if (body->is_detached) {
		struct forward_spec spec = {.node = node, .path_take = TAKE_PTR(path)};

		forward_collected_with(r, &spec, body->data, body->len);
	} else {
		hijack(r, &(struct hijack_spec){.node = node,
				  .path = path,
				  .protocol = "tcp",
				  .is_optional = true,
				  .body = body->data,
				  .body_len = body->len});
	}
}

static struct exec_body *keep_body(struct request *r, const char *data, size_t len)
{
	struct exec_body *body = xcalloc(1, sizeof(*body));

	body->data = xstrndup(data, len);
	body->len = len;
	exchange_on_end(r->x, exec_body_free, body);
	return body;
}

static void exec_forward_body(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct exec_body *body = keep_body(arg, data, len);

	(void)x;
	body->is_detached = true;
	exec_locate(arg, exec_found, body);
}

void exec_forward(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, exec_forward_body, r);
}

static void exec_start_body(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct request *r = arg;
	struct exec_body *body = keep_body(r, data, len);

	body->is_detached = json_bool(r->body, "Detach", false);
	if (!body->is_detached)
		exchange_end_connection(x);
	exec_locate(r, exec_found, body);
}

void exec_start(struct request *r)
{
	exchange_read_body(r->x, API_BODY_MAX, exec_start_body, r);
}
