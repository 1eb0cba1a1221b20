#include "scheduler/body_fields.h"

#include "filters/text.h"
#include "lib/json.h"
#include "lib/str.h"

#include <string.h>

static const char *type_name(json_type type)
{
	switch (type) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_TRUE:
		return "true or false";
	default:
		return "a whole number";
	}
}

static bool is_of_type(const json_t *value, json_type type)
{
	return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

int body_field_get(const json_t *object, const char *where, const char *key, json_type type,
	json_t **out, struct err *err)
{
	json_t *value = json_get(object, key);

	*out = NULL;
	if (value == NULL || json_is_null(value))
		return 0;
	if (!is_of_type(value, type))
		return err_set(err, ERR_INVALID, "%s%s must be %s", where, key, type_name(type));
	*out = value;
	return 0;
}

/* Go's decoder folds two letters beyond ASCII onto `s` and `k`. */
static bool is_folded(const char *key)
{
	return strstr(key, "\xc5\xbf") != NULL || strstr(key, "\xe2\x84\xaa") != NULL;
}

int body_object_check(const json_t *object, const char *where, struct err *err)
{
	CLEANUP_STR_LIST struct str_list keys = {0};
	struct text_clip clip;
	const char *key;
	json_t *value;

	if (object == NULL)
		return 0;
	if (json_object_size(object) > BODY_FIELDS_MAX)
		return err_set(
			err, ERR_INVALID, "%s has more than %d fields", where, BODY_FIELDS_MAX);
	json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
		char *lower = xstrdup(key);

		for (char *p = lower; *p != '\0'; p++) {
			if (*p >= 'A' && *p <= 'Z')
				*p = (char)(*p - 'A' + 'a');
		}
		str_list_add_take(&keys, lower);
		if (is_folded(key))
			return err_set(err, ERR_INVALID, "%s has the unknown field '%s'", where,
				text_clip(&clip, key));
	}
	str_list_sort(&keys);
	for (size_t i = 1; i < keys.len; i++) {
		if (str_eq(keys.items[i - 1], keys.items[i]))
			return err_set(err, ERR_INVALID, "%s has the field '%s' more than once",
				where, text_clip(&clip, keys.items[i]));
	}
	return 0;
}

static int fields_check(
	const json_t *object, const char *where, const struct body_field *fields, struct err *err)
{
	CLEANUP_FREE char *prefix = where == NULL ? xstrdup("") : xasprintf("%s.", where);

	if (body_object_check(object, where == NULL ? "the request" : where, err) < 0)
		return -1;
	for (; fields->name != NULL; fields++) {
		json_t *value;

		if (body_field_get(object, prefix, fields->name, fields->type, &value, err) < 0)
			return -1;
		/* Tables are two deep, and so is this. */
		if (value != NULL && fields->fields != NULL &&
			fields_check(value, fields->name, fields->fields, err) < 0)
			return -1;
	}
	return 0;
}

/* How many values there are, without building one. */
static size_t count_values(const char *text, size_t len)
{
	bool is_quoted = false;
	size_t count = 1;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (is_quoted && c == '\\')
			i++;
		else if (c == '"')
			is_quoted = !is_quoted;
		else if (!is_quoted)
			count += c == ',' || c == ':' || c == '{' || c == '[';
	}
	return count;
}

json_t *body_read(const char *text, size_t len, const struct body_field *fields, struct err *err)
{
	CLEANUP_JSON json_t *body = NULL;

	if (count_values(text, len) > BODY_VALUES_MAX) {
		err_set(err, ERR_INVALID, "the body has more than %d values", BODY_VALUES_MAX);
		return NULL;
	}
	body = json_parse(text, len, err);
	if (body == NULL)
		return NULL;
	if (!json_is_object(body) && !json_is_null(body)) {
		err_set(err, ERR_INVALID, "the body must be a JSON object");
		return NULL;
	}
	if (json_is_object(body) && fields_check(body, NULL, fields, err) < 0)
		return NULL;
	return TAKE_PTR(body);
}
