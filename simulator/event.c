/* Events: a ring of past ones for `since`, and listeners. Text is made only when either exists. */
#include "simulator/simulator_priv.h"

#include <string.h>
#include <utlist.h>

void sim_listen(struct sim_engine *e, struct sim_listener *listener)
{
	DL_APPEND(e->listeners, listener);
	e->listeners_len++;
}

void sim_unlisten(struct sim_engine *e, struct sim_listener *listener)
{
	DL_DELETE(e->listeners, listener);
	e->listeners_len--;
}

static void ring_add(struct sim_engine *e, char *text_take, size_t len, int64_t time_ns)
{
	struct sim_event *slot;

	if (e->events_len == e->events_cap && e->events_cap < e->options->events_kept) {
		/* Nothing has wrapped yet, so growing keeps the order. */
		size_t cap = e->events_cap ? 2 * e->events_cap : 8;

		if (cap > e->options->events_kept)
			cap = e->options->events_kept;
		e->events = xreallocarray(e->events, cap, sizeof(*e->events));
		e->events_cap = cap;
	}
	if (e->events_len == e->events_cap) {
		slot = &e->events[e->events_first];
		free(slot->text);
		e->events_first = (e->events_first + 1) % e->events_cap;
	} else {
		slot = &e->events[(e->events_first + e->events_len++) % e->events_cap];
	}
	*slot = (struct sim_event){.time_ns = time_ns, .text = text_take, .len = len};
}

/* attributes are taken over. */
static void event_publish(struct sim_engine *e, const char *type, const char *action,
	const char *id, const char *from, json_t *attributes_take)
{
	int64_t now = sim_now(e);
	CLEANUP_BUF struct buf b = {0};
	CLEANUP_JSON json_t *parsed = NULL;
	struct sim_listener *listener;
	struct sim_listener *tmp;

	buf_init(&b, SIM_REPLY_MAX);
	buf_append_char(&b, '{');
	/* Only containers and images, and only up to API 1.51, have the three old fields. */
	if ((from || str_eq(type, "image")) && e->options->api < 1052) {
		sim_json_s(&b, "status", action);
		if (*id)
			sim_json_s(&b, "id", id);
		if (!str_is_empty(from))
			sim_json_s(&b, "from", from);
	}
	sim_json_s(&b, "Type", type);
	sim_json_s(&b, "Action", action);
	sim_json_key(&b, "Actor");
	buf_append_char(&b, '{');
	sim_json_s(&b, "ID", id);
	sim_json_value(&b, "Attributes", attributes_take, "{}");
	buf_append_char(&b, '}');
	json_decref(attributes_take);
	sim_json_s(&b, "scope", "local");
	sim_json_i(&b, "time", now / 1000000000);
	sim_json_i(&b, "timeNano", now);
	buf_append_str(&b, "}\n");
	if (e->listeners)
		parsed = json_loadb(b.data, b.len, 0, NULL);
	DL_FOREACH_SAFE (e->listeners, listener, tmp)
		listener->fn(listener->arg, parsed, b.data, b.len, now);
	if (e->options->events_kept) {
		size_t len = b.len;

		ring_add(e, buf_take(&b), len, now);
	}
}

static bool is_heard(const struct sim_engine *e)
{
	return e->listeners || e->options->events_kept;
}

static void attrs_add(json_t *to, const struct sim_event_attr *attrs)
{
	for (; attrs && attrs->key; attrs++)
		json_object_set_new(to, attrs->key, json_string(attrs->value));
}

void sim_event_container(struct sim_engine *e, const struct sim_container *c, const char *action,
	const struct sim_event_attr *attrs)
{
	json_t *all;

	if (!is_heard(e))
		return;
	all = json_loads(c->spec->labels, 0, NULL);
	attrs_add(all, attrs);
	json_object_set_new(all, "image", json_string(c->spec->image));
	json_object_set_new(all, "name", json_string(c->name));
	event_publish(e, "container", action, c->id, c->spec->image, all);
}

void sim_event_emit(struct sim_engine *e, const char *type, const char *action, const char *id,
	const struct sim_event_attr *attrs)
{
	json_t *all;

	if (!is_heard(e))
		return;
	all = json_object();
	attrs_add(all, attrs);
	event_publish(e, type, action, id, str_eq(type, "container") ? "" : NULL, all);
}

void sim_event_replay(
	struct sim_engine *e, int64_t since_ns, int64_t until_ns, sim_event_fn *fn, void *arg)
{
	for (size_t i = 0; i < e->events_len; i++) {
		struct sim_event *event = &e->events[(e->events_first + i) % e->events_cap];
		CLEANUP_JSON json_t *parsed = NULL;

		if (event->time_ns < since_ns || (until_ns && event->time_ns > until_ns))
			continue;
		parsed = json_loadb(event->text, event->len, 0, NULL);
		fn(arg, parsed, event->text, event->len, event->time_ns);
	}
}
