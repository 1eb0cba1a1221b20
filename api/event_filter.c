/* Which events a listener asked for, by an engine's rules. */
#include "api/events.h"
#include "api/filters.h"
#include "lib/str.h"

#include <inttypes.h>
#include <string.h>

json_t *event_filters(const struct request *r, struct err *err)
{
	static const char *const known[] = {"config", "container", "daemon", "event", "image",
		"label", "network", "node", "plugin", "scope", "secret", "service", "type",
		"volume", NULL};
	json_t *filters = request_filters(r, err);

	if (filters != NULL && filters_check(filters, known, err) != 0) {
		json_decref(filters);
		return NULL;
	}
	return filters;
}

static bool have_prefix_of(const json_t *values, const char *text)
{
	json_t *value;
	size_t i;

	json_array_foreach ((json_t *)values, i, value) {
		if (str_has_prefix(text, json_string_value(value)))
			return true;
	}
	return false;
}

/* "exec_create: sh" has many endings: where the first word of one such is asked for, all values are
 * beginnings. */
static bool match_action(const json_t *values, const char *action)
{
	if (filters_have(values, "health_status") || filters_have(values, "exec_create") ||
		filters_have(values, "exec_start"))
		return have_prefix_of(values, action);
	return filters_have(values, action);
}

/* The reference without its tag or digest. Owned by the caller. */
static char *without_tag(const char *image)
{
	const char *slash = strrchr(image, '/');
	const char *end = strchr(image, '@');

	if (end == NULL)
		end = strchr(slash != NULL ? slash : image, ':');
	return xstrndup(image, end != NULL ? (size_t)(end - image) : strlen(image));
}

/* An image's own events, and those of containers that were made from it. */
static bool match_image(const json_t *values, struct json_ref event)
{
	struct json_ref actor = json_ref_obj(event, "Actor");
	struct json_ref attributes = json_ref_obj(actor, "Attributes");
	const char *id = json_ref_str(actor, "ID", "");
	const char *name = json_ref_str(attributes,
		str_eq(json_ref_str(event, "Type", ""), "image") ? "name" : "image", "");
	char *short_id CLEANUP_FREE = without_tag(id);
	char *short_name CLEANUP_FREE = without_tag(name);

	return filters_have(values, id) || filters_have(values, name) ||
	       filters_have(values, short_id) || filters_have(values, short_name);
}

/* Any other kind of object: by the beginning of its ID or name. */
static bool match_object(const char *kind, const json_t *values, struct json_ref event)
{
	struct json_ref actor = json_ref_obj(event, "Actor");
	struct json_ref attributes = json_ref_obj(actor, "Attributes");

	return str_eq(json_ref_str(event, "Type", ""), kind) &&
	       (have_prefix_of(values, json_ref_str(actor, "ID", "")) ||
		       have_prefix_of(values, json_ref_str(attributes, "name", "")));
}

static bool match_node(const json_t *values, struct json_ref attributes)
{
	return filters_have(values, json_ref_str(attributes, "node.name", "")) ||
	       filters_have(values, json_ref_str(attributes, "node.id", "")) ||
	       filters_have(values, json_ref_str(attributes, "node.addr", ""));
}

/* The label as it is spelled, which json_ref_str would not insist on; NULL = none. */
static const char *label_of(struct json_ref attributes, const char *key, size_t len)
{
	for (struct json_walk w = json_walk(attributes); json_walk_next(&w);) {
		if (strncmp(w.key, key, len) == 0 && w.key[len] == '\0')
			return json_ref_text(w.value);
	}
	return NULL;
}

/* Every "key" or "key=value" has to hold. */
static bool match_labels(const json_t *values, struct json_ref attributes)
{
	json_t *value;
	size_t i;

	json_array_foreach ((json_t *)values, i, value) {
		const char *text = json_string_value(value), *equals = strchr(text, '=');
		const char *found = label_of(attributes, text, strcspn(text, "="));

		if (found == NULL || (equals != NULL && !str_eq(found, equals + 1)))
			return false;
	}
	return true;
}

bool event_filters_match(const json_t *filters, struct json_ref event)
{
	struct json_ref attributes = json_ref_obj(json_ref_obj(event, "Actor"), "Attributes");
	const char *key;
	json_t *values;

	json_object_foreach ((json_t *)filters, key, values) {
		bool matches;

		if (json_array_size(values) == 0)
			continue;
		if (str_eq(key, "event"))
			matches = match_action(values, json_ref_str(event, "Action", ""));
		else if (str_eq(key, "type"))
			matches = filters_have(values, json_ref_str(event, "Type", ""));
		else if (str_eq(key, "scope"))
			matches = filters_have(values, json_ref_str(event, "scope", "local"));
		else if (str_eq(key, "label"))
			matches = match_labels(values, attributes);
		else if (str_eq(key, "node"))
			matches = match_node(values, attributes);
		else if (str_eq(key, "image"))
			matches = match_image(values, event);
		else
			matches = match_object(key, values, event);
		if (!matches)
			return false;
	}
	return true;
}

char *event_identity(struct json_ref event, int64_t time_nano)
{
	struct json_ref actor = json_ref_obj(event, "Actor");

	return xasprintf("%s %" PRId64 " %s %s %s",
		json_ref_str(json_ref_obj(actor, "Attributes"), "node.id", ""), time_nano,
		json_ref_str(event, "Type", ""), json_ref_str(event, "Action", ""),
		json_ref_str(actor, "ID", ""));
}

/* ---- Long events ---- */

#define TEXT_MAX 1024 /* of one that is kept in a reduced event */

static void keep_texts(json_t *out, const json_t *from, const char *const *keys)
{
	for (; *keys != NULL; keys++) {
		json_t *value = json_get(from, *keys);

		if (json_is_integer(value) ||
			(json_is_string(value) && json_string_length(value) <= TEXT_MAX))
			json_object_set(out, *keys, value);
	}
}

/* "exec_create: sh -c ...": the word in front, which is what filters ask for. */
static void keep_action(json_t *out, const json_t *from, const char *key)
{
	const char *text = json_str(from, key, NULL);
	size_t len = text != NULL ? strcspn(text, ":") : TEXT_MAX;

	if (json_object_get(out, key) == NULL && len < TEXT_MAX)
		json_object_set_new(out, key, json_stringn(text, len));
}

json_t *event_reduced(const json_t *event)
{
	static const char *const fields[] = {
		"status", "id", "from", "Type", "Action", "scope", "time", "timeNano", NULL};
	static const char *const attributes[] = {"name", "image", "container", "type", "driver",
		"exitCode", "signal", "node.name", "node.id", "node.addr", "node.ip", NULL};
	static const char *const node[] = {"Name", "Id", "Addr", "Ip", NULL};
	static const char *const id[] = {"ID", NULL};
	json_t *kept = json_object(), *actor = json_object(), *own = json_object();
	json_t *out = json_object();

	keep_texts(out, event, fields);
	keep_action(out, event, "Action");
	keep_action(out, event, "status");
	keep_texts(actor, json_obj(event, "Actor"), id);
	keep_texts(kept, json_path(event, "Actor", "Attributes", NULL), attributes);
	json_object_set_new(actor, "Attributes", kept);
	json_object_set_new(out, "Actor", actor);
	keep_texts(own, json_obj(event, "node"), node);
	json_object_set_new(out, "node", own);
	return out;
}
