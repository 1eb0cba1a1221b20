/* The `filters` parameter of lists and events: {"name":["a","b"]}. Values of one name are
 * alternatives, names are all to be met. */
#include "api/filters.h"
#include "lib/str.h"

#include <string.h>

/* {"a":true,"b":true} to ["a","b"]: clients before API 1.22. */
static json_t *keys_of(const json_t *object)
{
	json_t *list = json_array(), *value;
	const char *key;

	json_object_foreach ((json_t *)object, key, value)
		json_array_append_new(list, json_string(key));
	return list;
}

static bool is_string_list(const json_t *list)
{
	json_t *item;
	size_t i;

	if (!json_is_array(list))
		return false;
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return false;
	}
	return true;
}

json_t *request_filters(const struct request *r, struct err *err)
{
	const char *text = request_query(r, "filters"), *key;
	json_t *given CLEANUP_JSON = NULL;
	json_t *filters, *value;

	if (str_is_empty(text))
		return json_object();
	given = json_parse(text, strlen(text), err);
	if (given == NULL) {
		err_wrap(err, "invalid filters");
		return NULL;
	}
	/* As Go reads it into a map. */
	if (json_is_null(given))
		return json_object();
	if (!json_is_object(given)) {
		err_set(err, ERR_INVALID, "invalid filters: a JSON object is expected");
		return NULL;
	}
	filters = json_object();
	json_object_foreach (given, key, value) {
		if (json_is_object(value)) {
			json_object_set_new(filters, key, keys_of(value));
		} else if (is_string_list(value)) {
			json_object_set(filters, key, value);
		} else {
			err_set(err, ERR_INVALID, "invalid filters: '%s' wants a list of strings",
				key);
			json_decref(filters);
			return NULL;
		}
	}
	return filters;
}

int filters_check(const json_t *filters, const char *const *known, struct err *err)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)filters, key, value) {
		size_t i = 0;

		while (known[i] != NULL && !str_eq(known[i], key))
			i++;
		if (known[i] == NULL)
			return err_set(err, ERR_INVALID, "Invalid filter '%s'", key);
	}
	return 0;
}

bool filters_have(const json_t *values, const char *text)
{
	json_t *value;
	size_t i;

	json_array_foreach ((json_t *)values, i, value) {
		if (str_eq(json_string_value(value), text))
			return true;
	}
	return false;
}

bool filters_allow(const json_t *filters, const char *key, const char *text)
{
	const json_t *values = json_object_get(filters, key);

	return json_array_size(values) == 0 || filters_have(values, text);
}

/* Whether every "key" or "key=value" is among the labels. */
static bool labels_hold(const json_t *values, const json_t *labels)
{
	json_t *value;
	size_t i;

	json_array_foreach ((json_t *)values, i, value) {
		const char *text = json_string_value(value), *equals = strchr(text, '=');
		char *key CLEANUP_FREE = xstrndup(text, strcspn(text, "="));
		const char *found = json_whole_text(json_object_get(labels, key));

		if (found == NULL || (equals != NULL && !str_eq(found, equals + 1)))
			return false;
	}
	return true;
}

bool filters_allow_labels(const json_t *filters, const json_t *labels)
{
	const json_t *without = json_object_get(filters, "label!");

	return labels_hold(json_object_get(filters, "label"), labels) &&
	       (json_array_size(without) == 0 || !labels_hold(without, labels));
}

bool filters_allow_labels_of(const json_t *filters, const char *text)
{
	json_t *entry CLEANUP_JSON = NULL;

	if (json_object_get(filters, "label") == NULL && json_object_get(filters, "label!") == NULL)
		return true;
	entry = entry_json(text);
	return filters_allow_labels(filters, json_obj(entry, "Labels"));
}

bool filters_allow_node(const json_t *filters, const struct node *node)
{
	const struct node_view *view = node_view(node);

	return filters_allow(filters, "node", view->name) ||
	       filters_allow(filters, "node", view->id) ||
	       filters_allow(filters, "node", view->addr);
}
