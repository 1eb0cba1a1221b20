#include "simulator/filter.h"

#include "simulator/image.h"

#include "lib/regex.h"

#include <stdio.h>
#include <string.h>

static int unmarshal_error(const json_t *value, const char *into, struct err *err)
{
	const char *word = json_is_array(value)     ? "array"
			   : json_is_string(value)  ? "string"
			   : json_is_object(value)  ? "object"
			   : json_is_boolean(value) ? "bool"
						    : "number";

	return sim_fail(err, 500, "json: cannot unmarshal %s into Go value of type %s", word, into);
}

/* One key's values as a list of strings. */
static int values_of(const json_t *value, json_t *list, struct err *err)
{
	const char *name;
	json_t *item;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach ((json_t *)value, name, item)
			json_array_append_new(list, json_string(name));
		return 0;
	}
	json_array_foreach (value, i, item) {
		if (!json_is_string(item))
			return unmarshal_error(value, "map[string]bool", err);
		json_array_append(list, item);
	}
	return json_is_array(value) ? 0 : unmarshal_error(value, "map[string]bool", err);
}

int sim_filters_parse(const char *text, const char *const *accepted, json_t **out, struct err *err)
{
	CLEANUP_JSON json_t *parsed = NULL;
	CLEANUP_JSON json_t *result = json_object();
	const char *key;
	json_t *value;

	if (!str_is_empty(text)) {
		struct err why = ERR_INIT;

		parsed = json_parse(text, strlen(text), &why);
		if (!parsed)
			return sim_fail(err, 500, "%s", why.msg);
		if (!json_is_object(parsed))
			return unmarshal_error(parsed, "map[string]map[string]bool", err);
	}
	json_object_foreach (parsed, key, value) {
		json_t *list = json_array();
		int status;
		bool known = !accepted;

		json_object_set_new(result, key, list);
		status = values_of(value, list, err);
		if (status)
			return status;
		for (size_t i = 0; accepted && accepted[i]; i++)
			known |= str_eq(accepted[i], key);
		if (!known)
			return sim_fail(err, 400, "Invalid filter '%s'", key);
	}
	*out = TAKE_PTR(result);
	return 0;
}

bool sim_filter_has(const json_t *filters, const char *key)
{
	return json_array_size(json_object_get(filters, key)) > 0;
}

bool sim_filter_exact(const json_t *filters, const char *key, const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item)
		if (str_eq(json_string_value(item), value))
			return true;
	return !sim_filter_has(filters, key);
}

bool sim_filter_prefix(const json_t *filters, const char *key, const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item)
		if (str_has_prefix(value, json_string_value(item)))
			return true;
	return !sim_filter_has(filters, key);
}

bool sim_filter_regex(const json_t *filters, const char *key, const char *value)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item) {
		struct regex *regex = regex_new(json_string_value(item), NULL);
		bool found = regex && regex_search(regex, value, strlen(value));

		regex_free(regex);
		if (found)
			return true;
	}
	return !sim_filter_has(filters, key);
}

bool sim_filter_labels(const json_t *filters, const char *key, const json_t *labels)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item) {
		const char *text = json_string_value(item);
		const char *equals = strchr(text, '=');
		CLEANUP_FREE char *name =
			xstrndup(text, equals ? (size_t)(equals - text) : strlen(text));
		const char *value = json_string_value(json_object_get(labels, name));

		if (!value || (equals && !str_eq(value, equals + 1)))
			return false;
	}
	return true;
}

int sim_filter_bool(const json_t *filters, const char *key, bool *out, struct err *err)
{
	json_t *list = json_object_get(filters, key);
	const char *value = json_string_value(json_array_get(list, 0));
	bool yes;
	bool no;

	if (!value)
		return 0;
	yes = sim_filter_exact(filters, key, "1") || sim_filter_exact(filters, key, "true");
	no = sim_filter_exact(filters, key, "0") || sim_filter_exact(filters, key, "false");
	if (yes == no)
		return sim_fail(err, 400, "Invalid filter '%s=[%s]'", key, value);
	*out = yes;
	return 0;
}

bool sim_filter_prune_labels(const json_t *filters, const json_t *labels)
{
	return sim_filter_labels(filters, "label", labels) &&
	       !(sim_filter_has(filters, "label!") && sim_filter_labels(filters, "label!", labels));
}

int sim_filter_until(const json_t *filters, int64_t now_ns, int64_t *out, struct err *err)
{
	json_t *list = json_object_get(filters, "until");
	const char *text = json_string_value(json_array_get(list, 0));
	CLEANUP_FREE char *seconds = NULL;
	long long n;

	if (!text)
		return 0;
	if (json_array_size(list) > 1)
		return sim_fail(err, 500, "more than one until filter specified");
	if (!sim_time_parse(text, out))
		return 0;
	seconds = xstrndup(text, strcspn(text, "."));
	if (!str_to_int(seconds, 0, 9000000000ll, &n, "time", NULL))
		*out = n * 1000000000;
	else if (!str_to_duration_ms(text, &n, "time", NULL))
		*out = now_ns - n * 1000000;
	else
		return sim_fail(
			err, 500, "failed to parse value as time or duration: \"%s\"", text);
	return 0;
}

/* ---- Events ---- */

static bool event_action(const json_t *filters, const char *action)
{
	static const char *const families[] = {"exec_create", "exec_start", "health_status", NULL};

	for (size_t i = 0; families[i]; i++)
		if (str_has_prefix(action, families[i]) && sim_filter_has(filters, "event") &&
			sim_filter_exact(filters, "event", families[i]))
			return true;
	return sim_filter_exact(filters, "event", action);
}

static bool event_image(
	const json_t *filters, const char *type, const char *id, const json_t *attrs)
{
	const char *name = json_str(attrs, str_eq(type, "image") ? "name" : "image", "");
	CLEANUP_FREE char *bare = xstrndup(name, strcspn(name, ":"));

	return sim_filter_exact(filters, "image", id) || sim_filter_exact(filters, "image", name) ||
	       sim_filter_exact(filters, "image", bare);
}

bool sim_filter_event(const json_t *filters, const json_t *event)
{
	static const char *const kinds[] = {
		"container", "volume", "network", "daemon", "plugin", "service", "node", NULL};
	const json_t *actor = json_object_get(event, "Actor");
	const json_t *attrs = json_object_get(actor, "Attributes");
	const char *id = json_str(actor, "ID", "");
	const char *type = json_str(event, "Type", "");

	if (!json_object_size(filters))
		return true;
	if (!event_action(filters, json_str(event, "Action", "")) ||
		!sim_filter_exact(filters, "type", type) ||
		!sim_filter_exact(filters, "scope", json_str(event, "scope", "")) ||
		!event_image(filters, type, id, attrs) ||
		!sim_filter_labels(filters, "label", attrs))
		return false;
	for (size_t i = 0; kinds[i]; i++)
		if (!sim_filter_prefix(filters, kinds[i], id) &&
			!sim_filter_prefix(filters, kinds[i], json_str(attrs, "name", "")))
			return false;
	return true;
}

/* ---- Containers ---- */

struct selection {
	struct sim_engine *e;
	const json_t *filters;
	bool all;
	const struct sim_container *before, *since;
};

static int reference_of(
	struct selection *s, const char *key, const struct sim_container **out, struct err *err)
{
	const char *name = json_string_value(json_array_get(json_object_get(s->filters, key), 0));
	int status;

	if (!name)
		return 0;
	*out = sim_container_find(s->e, name, &status, NULL);
	return *out ? 0 : sim_fail(err, 500, "no such container %s", name);
}

static int check_words(const json_t *filters, const char *key, const char *const *words,
	const char *format, struct err *err)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item) {
		bool known = false;

		for (size_t k = 0; words[k]; k++)
			known |= str_eq(words[k], json_string_value(item));
		if (!known)
			return sim_fail(err, 400, "%s%s%s", format, json_string_value(item),
				str_has_prefix(format, "Invalid") ? "'" : "");
	}
	return 0;
}

/* "80", "80/udp", "8000-8010/tcp". */
static int port_range(const char *text, const char *key, long long *first, long long *last,
	char proto[8], struct err *err)
{
	size_t len = strcspn(text, "/");
	size_t dash = strcspn(text, "-/");
	CLEANUP_FREE char *from = xstrndup(text, dash < len ? dash : len);
	CLEANUP_FREE char *to =
		dash < len ? xstrndup(text + dash + 1, len - dash - 1) : xstrdup(from);

	snprintf(proto, 8, "%s", text[len] ? text + len + 1 : "tcp");
	if (str_to_int(from, 0, 65535, first, "port", NULL) ||
		str_to_int(to, 0, 65535, last, "port", NULL))
		return sim_fail(err, 500,
			"error while looking up for %s %s: strconv.ParseUint: parsing \"%s\": "
			"invalid "
			"syntax",
			key, text, from);
	return 0;
}

static int check_values(const json_t *filters, struct err *err)
{
	static const char *const states[] = {
		"created", "restarting", "running", "removing", "paused", "exited", "dead", NULL};
	static const char *const healths[] = {"none", "starting", "healthy", "unhealthy", NULL};
	static const char *const port_keys[] = {"publish", "expose"};
	long long first;
	long long last;
	char proto[8];
	bool is_task;
	json_t *item;
	size_t i;
	int status = check_words(filters, "status", states, "Invalid filter 'status=", err);

	if (!status)
		status = check_words(
			filters, "health", healths, "Unrecognised filter value for health: ", err);
	if (!status)
		status = sim_filter_bool(filters, "is-task", &is_task, err);
	if (status)
		return status;
	json_array_foreach (json_object_get(filters, "exited"), i, item)
		if (str_to_int(json_string_value(item), INT32_MIN, INT32_MAX, &first, "code", NULL))
			return sim_fail(err, 500, "strconv.Atoi: parsing \"%s\": invalid syntax",
				json_string_value(item));
	for (size_t k = 0; k < ARRAY_LEN(port_keys); k++)
		json_array_foreach (json_object_get(filters, port_keys[k]), i, item) {
			status = port_range(
				json_string_value(item), port_keys[k], &first, &last, proto, err);
			if (status)
				return status;
		}
	return 0;
}

static bool match_ports(const struct sim_container *c, const json_t *filters, const char *key)
{
	bool publish = str_eq(key, "publish");
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, key), i, item) {
		long long first;
		long long last;
		char proto[8];

		if (port_range(json_string_value(item), key, &first, &last, proto, NULL))
			continue;
		for (size_t k = 0; publish && k < c->ports_len; k++)
			if (str_eq(c->ports[k].proto, proto) && c->ports[k].host_port >= first &&
				c->ports[k].host_port <= last)
				return true;
		for (size_t k = 0; !publish && k < c->spec->ports_len; k++)
			if (str_eq(c->spec->ports[k].proto, proto) &&
				c->spec->ports[k].port >= first && c->spec->ports[k].port <= last)
				return true;
	}
	return !sim_filter_has(filters, key);
}

static bool match_exited(const struct sim_container *c, const json_t *filters)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, "exited"), i, item) {
		long long code;

		if (!str_to_int(
			    json_string_value(item), INT32_MIN, INT32_MAX, &code, "code", NULL) &&
			code == c->exit_code && c->was_started && !sim_container_is_running(c))
			return true;
	}
	return !sim_filter_has(filters, "exited");
}

static bool match_ancestor(const struct sim_container *c, const json_t *filters)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_object_get(filters, "ancestor"), i, item)
		if (sim_image_find(c->engine, json_string_value(item)) == c->image)
			return true;
	return !sim_filter_has(filters, "ancestor");
}

static bool match_network(const struct sim_container *c, const json_t *filters)
{
	for (const struct sim_endpoint *ep = c->endpoints; ep; ep = ep->next)
		if (sim_filter_exact(filters, "network", ep->name) ||
			(ep->network && sim_filter_prefix(filters, "network", ep->network->id)))
			return true;
	return !sim_filter_has(filters, "network");
}

static bool match_volume(const struct sim_container *c, const json_t *filters)
{
	for (size_t i = 0; i < c->spec->mounts_len; i++)
		if (sim_filter_exact(filters, "volume", c->spec->mounts[i].target) ||
			(c->mounts[i].volume &&
				sim_filter_exact(filters, "volume", c->mounts[i].volume->name)))
			return true;
	return !sim_filter_has(filters, "volume");
}

static bool is_selected(const struct selection *s, const struct sim_container *c)
{
	const json_t *f = s->filters;
	CLEANUP_JSON json_t *labels = NULL;
	bool is_task = false;

	if (!s->all && !sim_container_is_running(c) && c->state != SIM_RESTARTING)
		return false;
	if (!sim_filter_has(f, "name") && !json_object_size(f))
		return true;
	if (!sim_filter_regex(f, "name", c->name)) {
		CLEANUP_FREE char *slashed = xasprintf("/%s", c->name);

		if (!sim_filter_regex(f, "name", slashed))
			return false;
	}
	if (sim_filter_has(f, "label")) {
		labels = json_loads(c->spec->labels, 0, NULL);
		if (!sim_filter_labels(f, "label", labels))
			return false;
	}
	if (sim_filter_bool(f, "is-task", &is_task, NULL) || is_task)
		return false;
	return sim_filter_regex(f, "id", c->id) &&
	       sim_filter_exact(f, "status", sim_state_name(c->state)) &&
	       sim_filter_exact(f, "health", "none") && match_exited(c, f) &&
	       match_ancestor(c, f) && match_network(c, f) && match_volume(c, f) &&
	       match_ports(c, f, "publish") && match_ports(c, f, "expose") &&
	       sim_filter_exact(f, "isolation", "");
}

int sim_filter_containers(struct sim_engine *e, const json_t *filters, bool all, long long limit,
	struct sim_container ***out, size_t *len, struct err *err)
{
	struct selection s = {.e = e, .filters = filters, .all = all || limit > 0};
	struct sim_container **list;
	bool past_before;
	size_t n = 0;
	int status = check_values(filters, err);

	if (!status)
		status = reference_of(&s, "before", &s.before, err);
	if (!status)
		status = reference_of(&s, "since", &s.since, err);
	if (status)
		return status;
	if (sim_filter_has(filters, "status"))
		s.all = true;
	list = xcalloc(e->containers_len + 1, sizeof(*list));
	past_before = !s.before;
	for (struct sim_container *c = e->containers; c; c = c->next) {
		if (c == s.since || (limit > 0 && (long long)n >= limit))
			break;
		if (past_before && is_selected(&s, c))
			list[n++] = c;
		past_before |= c == s.before;
	}
	*out = list;
	*len = n;
	return 0;
}
