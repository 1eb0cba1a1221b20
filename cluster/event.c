/* Events as they leave the manager: what it adds to them, and who hears them. */
#include "cluster/live.h"
#include "lib/json.h"

#include <string.h>
#include <utlist.h>

struct event_listener {
	struct cluster_live *shared; /* NULL when the cluster has gone */
	void (*fn)(const struct event *event, void *arg);
	void *arg;
	bool is_freed; /* while events are being given out */
	struct event_listener *prev, *next;
};

struct event_listener *cluster_listen(
	struct cluster *cluster, void (*fn)(const struct event *event, void *arg), void *arg)
{
	struct event_listener *listener = xcalloc(1, sizeof(*listener));

	listener->shared = cluster->live;
	listener->fn = fn;
	listener->arg = arg;
	DL_APPEND(cluster->live->listeners, listener);
	return listener;
}

void event_listener_free(struct event_listener *listener)
{
	if (!listener)
		return;
	if (listener->shared && listener->shared->publishing > 0) {
		listener->is_freed = true;
		return;
	}
	if (listener->shared)
		DL_DELETE(listener->shared->listeners, listener);
	free(listener);
}

void event_listeners_detach(struct cluster_live *shared)
{
	struct event_listener *listener, *tmp;

	DL_FOREACH_SAFE (shared->listeners, listener, tmp) {
		DL_DELETE(shared->listeners, listener);
		listener->shared = NULL;
	}
}

/* API versions before 1.22 told of containers and images alone, in three words. */
static const json_t *action_of(const json_t *event)
{
	const json_t *action = json_get(event, "Action");

	return action ? action : json_get(event, "status");
}

/* "exec_create: sh -c ..." may hold a NUL in its command, which is not looked at. */
static const char *action_text(const json_t *action)
{
	const char *text = json_string_value(action);

	if (!text || (!strchr(text, ':') && !json_whole_text(action)))
		return "";
	return text;
}

void event_key_of(const json_t *event, struct event_key *out)
{
	const json_t *actor = json_obj(event, "Actor");

	out->action = action_text(action_of(event));
	out->type = json_str(event, "Type", "container");
	out->id = json_str(actor, "ID", json_str(event, "id", ""));
	out->time_nano = json_int(event, "timeNano", 0);
	if (out->time_nano == 0) {
		int64_t seconds = json_int(event, "time", 0);

		if (seconds > 0 && seconds < INT64_MAX / 1000000000)
			out->time_nano = seconds * 1000000000;
	}
}

static void set_text(json_t *object, const char *key, const char *value)
{
	json_t *text = json_string(value);

	/* Names come from engines; what is not UTF-8 is not JSON either. */
	json_object_set_new(object, key, text ? text : json_string(""));
}

/* An object member, made when it is missing or something else. Borrowed. */
static json_t *need_object(json_t *object, const char *key)
{
	json_t *member = json_obj(object, key);

	if (!member) {
		member = json_object();
		json_object_set_new(object, key, member);
	}
	return member;
}

static void add_node(const struct node *node, json_t *event)
{
	const struct node_view *view = &node->inventory.view;
	json_t *attributes = need_object(need_object(event, "Actor"), "Attributes");
	json_t *own = json_object();

	set_text(attributes, "node.name", view->name);
	set_text(attributes, "node.id", view->id);
	set_text(attributes, "node.addr", view->addr);
	set_text(attributes, "node.ip", node_ip(node));
	set_text(own, "Name", view->name);
	set_text(own, "Id", view->id);
	set_text(own, "Addr", view->addr);
	set_text(own, "Ip", node_ip(node));
	json_object_set_new(event, "node", own);
}

/* The three words that clients up to API 1.51 read, where the engine left them out. */
static void add_old_words(const struct node *node, json_t *event, const struct event_key *key)
{
	const json_t *attributes = json_path(event, "Actor", "Attributes", NULL);
	bool is_container = strcmp(key->type, "container") == 0;
	const char *from =
		json_str(event, "from", is_container ? json_str(attributes, "image", "") : "");
	char *marked CLEANUP_FREE = xasprintf("%s node:%s", from, node->inventory.view.name);

	if (is_container || strcmp(key->type, "image") == 0) {
		if (!json_get(event, "status"))
			json_object_set(event, "status", (json_t *)(uintptr_t)action_of(event));
		if (!json_get(event, "id"))
			set_text(event, "id", key->id);
	}
	set_text(event, "from", marked);
}

static void give(struct cluster_live *shared, const struct event *event)
{
	struct event_listener *listener, *tmp;

	shared->publishing++;
	DL_FOREACH (shared->listeners, listener) {
		if (!listener->is_freed)
			listener->fn(event, listener->arg);
	}
	if (--shared->publishing > 0)
		return;
	DL_FOREACH_SAFE (shared->listeners, listener, tmp) {
		if (listener->is_freed)
			event_listener_free(listener);
	}
}

void node_complete_event(const struct node *node, json_t *event)
{
	struct event_key key;

	event_key_of(event, &key);
	add_old_words(node, event, &key);
	add_node(node, event);
}

void event_publish(struct node_live *live, json_t *json)
{
	struct event_key key;
	struct event event;
	char *text CLEANUP_FREE = NULL;

	if (!live->shared->listeners)
		return;
	node_complete_event(live->node, json);
	event_key_of(json, &key);
	event = (struct event){
		.json = json,
		.time_nano = key.time_nano,
		.type = key.type,
		.action = key.action,
		.node = live->node,
	};
	text = json_text(json, &event.text_len);
	event.text = text;
	give(live->shared, &event);
}

void event_publish_engine(struct node_live *live, const char *action)
{
	const struct env *env = live->shared->env;
	int64_t now = env->wall_ns(env);
	json_t *json CLEANUP_JSON =
		json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:{}}, s:I, s:I}", "status", action, "from",
			"swarm", "Type", "swarm", "Action", action, "Actor", "ID", "", "Attributes",
			"time", (json_int_t)(now / 1000000000), "timeNano", (json_int_t)now);

	event_publish(live, json);
}
