/* Calls that concern one container: found here, answered by its engine. */
#include "api/api_priv.h"
#include "lib/str.h"
#include "scheduler/create_request.h"

#include <stdio.h>
#include <string.h>

#define PATH_ROOM 128 /* for most; it grows */

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
	struct buf path;

	buf_init(&path, SIZE_MAX);
	(void)!buf_room(&path, PATH_ROOM);
	buf_append_str(&path, "/containers/");
	buf_append_str(&path, container->view.id);
	buf_append(&path, action, strcspn(action, "?"));
	return buf_take(&path);
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
	/* Before it, start took a host configuration, which nothing here has judged. */
	if (r->minor < API_VERSION_MIN_MINOR_MOST)
		r->minor = API_VERSION_MIN_MINOR_MOST;
	forward_collected(r, &spec);
}

/* ---- Inspect ---- */

/* A JSON string. What needs no escape, which is nearly everything, is written as it is: this runs
 * for each inspect. */
static void append_string(struct buf *out, const char *s)
{
	size_t plain = 0;
	char *room;

	while (s[plain] >= 0x20 && s[plain] < 0x7f && s[plain] != '"' && s[plain] != '\\')
		plain++;
	if (s[plain] == '\0' && (room = buf_room(out, plain + 2)) != NULL) {
		room[0] = '"';
		memcpy(room + 1, s, plain);
		room[plain + 1] = '"';
		buf_added(out, plain + 2);
	} else {
		json_t *json =
			json_string(s); /* NULL when it is not text, which no engine can send */

		if (json != NULL)
			json_append(out, json);
		else
			buf_append_str(out, "\"\"");
		json_decref(json);
	}
}

/* The manager's addition to what the engine says: where the container runs. */
static void append_node(struct buf *out, const struct node *node)
{
	const struct node_view *view = node_view(node);

	buf_append_str(out, "{\"ID\":");
	append_string(out, view->engine_id);
	buf_append_str(out, ",\"IP\":");
	append_string(out, node_ip(node));
	buf_append_str(out, ",\"Addr\":");
	append_string(out, view->addr);
	buf_append_str(out, ",\"Name\":");
	append_string(out, view->name);
	buf_printf(out, ",\"Cpus\":%lld,\"Memory\":%lld,\"Labels\":{",
		(long long)(view->total_nano_cpus / 1000000000), (long long)view->total_memory);
	for (size_t i = 0; i < view->labels.len; i++) {
		if (i > 0)
			buf_append_char(out, ',');
		append_string(out, view->labels.items[i].key);
		buf_append_char(out, ':');
		append_string(out, view->labels.items[i].value);
	}
	buf_append_str(out, "}}");
}

/* Where the object that begins at p ends: behind its last brace, or at end when it has none. */
static const char *object_end(const char *p, const char *end)
{
	bool in_string = false;
	size_t depth = 0;

	for (; p < end; p++) {
		if (in_string && *p == '\\')
			p++;
		else if (*p == '"')
			in_string = !in_string;
		else if (!in_string && *p == '{')
			depth++;
		else if (!in_string && *p == '}' && --depth == 0)
			return p + 1;
	}
	return end;
}

/* Appends the text with the node's address where a port is bound to all addresses: in what is so
 * (NetworkSettings), not in what was asked for (HostConfig.PortBindings), which clients compare
 * with what they would ask for. The text is not parsed: inside a string the quotes of the patterns
 * would be escaped. */
static void append_with_address(
	struct buf *out, const char *body, const char *end, const struct node *node)
{
	static const char settings[] = "\"NetworkSettings\":{";
	static const char any[] = "\"HostIp\":\"0.0.0.0\"";
	const char *p = memmem(body, (size_t)(end - body), settings, sizeof(settings) - 1);
	const char *settings_end;

	if (p == NULL)
		p = end;
	buf_append(out, body, (size_t)(p - body));
	body = p;
	settings_end = p < end ? object_end(p + sizeof(settings) - 2, end) : end;
	while ((p = memmem(body, (size_t)(settings_end - body), any, sizeof(any) - 1)) != NULL) {
		buf_append(out, body, (size_t)(p - body));
		buf_printf(out, "\"HostIp\":\"%s\"", node_ip(node));
		body = p + sizeof(any) - 1;
	}
	buf_append(out, body, (size_t)(end - body));
}

/* Puts the node in front of everything else. */
static bool inspect_edit(
	struct request *r, struct node *node, const struct reply *reply, struct buf *out, void *arg)
{
	const char *body = reply->body;

	(void)r;
	(void)arg;
	if (reply->status != 200 || reply->body_len < 2 || body[0] != '{')
		return false;
	/* Nearly always enough, so that it is not moved. */
	if (buf_room(out, reply->body_len + 1024) == NULL)
		return false;
	buf_append_str(out, "{\"Node\":");
	append_node(out, node);
	if (body[1] != '}')
		buf_append_char(out, ',');
	append_with_address(out, body + 1, body + reply->body_len, node);
	return true;
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

/* The container may have the name. */
static void rename_unknown(struct node *node, void *arg)
{
	struct reservation **name = arg;

	if (*name != NULL)
		reservation_leave(TAKE_PTR(*name), node);
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
	spec.unknown = rename_unknown;
	spec.unknown_arg = reserved;
	forward_collected(r, &spec);
}

/* ---- Commit ---- */

/* What the cluster wrote on a container is no part of its image: whatever is made of that would
 * carry the ID and the terms of another one. Engines add the container's labels to those that the
 * commit names, so one can be emptied but not taken away. Behind the client's own changes, whose
 * lines an engine counts when it complains. */
static void append_emptied_labels(struct buf *out, const struct view_labels *labels)
{
	static const char *const own[] = {SWARM_LABEL_ID, SWARM_LABEL_CONSTRAINTS,
		SWARM_LABEL_AFFINITIES, SWARM_LABEL_WHITELISTS, SWARM_LABEL_RESCHEDULE,
		SWARM_LABEL_SHARES};

	for (size_t i = 0; i < labels->len; i++) {
		for (size_t j = 0; j < ARRAY_LEN(own); j++) {
			if (str_eq(labels->items[i].key, own[j]) && labels->items[i].value[0])
				buf_printf(out, "&changes=LABEL%%20%s%%3D%%22%%22", own[j]);
		}
	}
}

/* The query with container= naming the full ID. */
static char *commit_query(const struct request *r, const struct container_view *container)
{
	struct buf out;

	buf_init(&out, strlen(r->raw_query) * 3 + 1024);
	buf_printf(&out, "container=%s", container->id);
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
	append_emptied_labels(&out, &container->labels);
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
	query = commit_query(r, &container->view);
	free(r->raw_query);
	r->raw_query = query;
	spec.node = container->node;
	spec.path_take = xstrdup("/commit");
	forward_collected(r, &spec);
}

/* ---- Attach ---- */

static void attach(struct request *r)
{
	struct container *container = request_container(r);
	char *path CLEANUP_FREE = NULL;

	exchange_end_connection(r->x);
	if (container == NULL)
		return;
	path = request_container_path(r, container);
	hijack(r, &(struct hijack_spec){.node = container->node,
			  .path = path,
			  .protocol = "tcp",
			  .is_optional = true});
}

void container_attach(struct request *r)
{
	hijack_behind_body(r, attach);
}

void container_attach_ws(struct request *r)
{
	struct container *container = request_container(r);
	char *path CLEANUP_FREE = NULL;

	exchange_end_connection(r->x);
	if (container == NULL)
		return;
	if (exchange_body_length(r->x) != 0) {
		exchange_reply_error(r->x, 400, "a WebSocket's handshake has no body");
		return;
	}
	path = xasprintf("/containers/%s/attach/ws", container->view.id);
	hijack(r, &(struct hijack_spec){.node = container->node,
			  .path = path,
			  .protocol = "websocket",
			  .ends_whole = true});
}
