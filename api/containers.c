/* Calls that concern one container: found here, answered by its engine. */
#include "api/api_priv.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

const char *request_action(const struct request *r)
{
	const char *target = exchange_target(r->x);
	size_t len = strcspn(target, "?");
	const char *slash = memrchr(target, '/', len);

	if (str_eq(exchange_method(r->x), "DELETE") || slash == NULL)
		return "";
	return slash;
}

char *request_container_path(const struct request *r, const struct container *container)
{
	const char *action = request_action(r);

	return xasprintf(
		"/containers/%s%.*s", container->view.id, (int)strcspn(action, "?"), action);
}

void container_forward(struct request *r)
{
	struct container *container = request_container(r);
	struct forward_spec spec = {0};

	if (container == NULL)
		return;
	spec.node = container->node;
	spec.path_take = request_container_path(r, container);
	forward_collected(r, &spec);
}

void container_stream(struct request *r)
{
	struct container *container = request_container(r);

	if (container != NULL)
		forward_streamed(r, container->node, request_container_path(r, container));
}

void container_change(struct request *r)
{
	struct container *container = request_container(r);
	struct forward_spec spec = {0};

	if (container == NULL)
		return;
	spec.node = container->node;
	spec.path_take = request_container_path(r, container);
	spec.container_id = container->view.id;
	forward_collected(r, &spec);
}

/* ---- Inspect ---- */

/* The manager's addition to what the engine says: where the container runs. */
static json_t *node_json(const struct node *node)
{
	const struct node_view *view = node_view(node);
	json_t *labels = json_object();

	for (size_t i = 0; i < view->labels.len; i++)
		json_object_set_new(labels, view->labels.items[i].key,
			json_string(view->labels.items[i].value));
	return json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:o}", "ID", view->engine_id, "IP",
		node_ip(node), "Addr", view->addr, "Name", view->name, "Cpus",
		(json_int_t)(view->total_nano_cpus / 1000000000), "Memory",
		(json_int_t)view->total_memory, "Labels", labels);
}

/* Puts the node in front of everything else, and its address where a port is bound to all
 * addresses. The text is not parsed: an object starts with a brace, and inside a string the quotes
 * of the pattern would be escaped. */
static char *inspect_edit(struct request *r, struct node *node, int status, const char *body,
	size_t len, size_t *new_len, void *arg)
{
	static const char any[] = "\"HostIp\":\"0.0.0.0\"";
	json_t *json CLEANUP_JSON = NULL;
	char *text CLEANUP_FREE = NULL;
	const char *p, *end = body + len;
	struct buf out;
	size_t text_len;

	(void)r;
	(void)arg;
	if (status != 200 || len < 2 || body[0] != '{')
		return NULL;
	json = node_json(node);
	text = json_text(json, &text_len);
	buf_init(&out, len * 4 + text_len + 64);
	buf_printf(&out, "{\"Node\":%s%s", text, body[1] == '}' ? "" : ",");
	body++;
	while ((p = memmem(body, (size_t)(end - body), any, sizeof(any) - 1)) != NULL) {
		buf_append(&out, body, (size_t)(p - body));
		buf_printf(&out, "\"HostIp\":\"%s\"", node_ip(node));
		body = p + sizeof(any) - 1;
	}
	buf_append(&out, body, (size_t)(end - body));
	*new_len = out.len;
	if (out.failed) {
		buf_reset(&out);
		return NULL;
	}
	return buf_take(&out);
}

void container_inspect(struct request *r)
{
	struct container *container = request_container(r);
	struct forward_spec spec = {.edit = inspect_edit};

	if (container == NULL)
		return;
	spec.node = container->node;
	spec.path_take = request_container_path(r, container);
	forward_collected(r, &spec);
}

/* ---- Rename ---- */

static void rename_end(struct exchange *x, bool finished, void *arg)
{
	struct reservation **name = arg;

	(void)x;
	(void)finished;
	if (*name != NULL)
		reservation_cancel(*name);
	free(name);
}

void container_rename(struct request *r)
{
	const char *name = request_query(r, "name");
	struct container *container = request_container(r);
	struct forward_spec spec = {0};
	struct reservation **reserved;
	struct err err = ERR_INIT;

	if (container == NULL)
		return;
	if (str_is_empty(name)) {
		exchange_reply_error(r->x, 400, "Neither old nor new names may be empty");
		return;
	}
	if (name[0] == '/')
		name++;
	reserved = xcalloc(1, sizeof(struct reservation *));
	exchange_on_end(r->x, rename_end, reserved);
	/* Held until the reply is sent; by then the record has the new name. */
	if (!str_eq(name, container->view.name)) {
		*reserved = cluster_reserve_name(r->api->config.cluster, name, &err);
		if (*reserved == NULL) {
			request_fail(r, &err);
			return;
		}
	}
	spec.node = container->node;
	spec.path_take = request_container_path(r, container);
	spec.container_id = container->view.id;
	forward_collected(r, &spec);
}

/* ---- Commit ---- */

/* The query with container= naming the full ID. */
static char *commit_query(const struct request *r, const char *id)
{
	struct buf out;

	buf_init(&out, strlen(r->raw_query) * 3 + 256);
	buf_printf(&out, "container=%s", id);
	for (size_t i = 0; i < r->query_len; i++) {
		char *name, *value;

		if (str_eq(r->query[i].name, "container"))
			continue;
		name = str_url_encode(r->query[i].name, strlen(r->query[i].name));
		value = str_url_encode(r->query[i].value, strlen(r->query[i].value));
		buf_printf(&out, "&%s=%s", name, value);
		free(name);
		free(value);
	}
	return buf_take(&out);
}

void container_commit(struct request *r)
{
	const char *key = request_query(r, "container");
	struct container *container = request_container_named(r, key != NULL ? key : "");
	struct forward_spec spec = {.parts = NODE_IMAGES};
	char *query;

	if (container == NULL)
		return;
	query = commit_query(r, container->view.id);
	free(r->raw_query);
	r->raw_query = query;
	spec.node = container->node;
	spec.path_take = xstrdup("/commit");
	forward_collected(r, &spec);
}

/* ---- Attach ---- */

void container_attach(struct request *r)
{
	struct container *container = request_container(r);
	char *path CLEANUP_FREE = NULL;

	if (container == NULL)
		return;
	if (exchange_body_length(r->x) != 0) {
		exchange_reply_error(
			r->x, 400, "attach takes no body before the connection is upgraded");
		return;
	}
	path = request_container_path(r, container);
	hijack(r, container->node, path, NULL, 0);
}
