#include "lib/json.h"

#include "lib/str.h"

#include <stdarg.h>
#include <string.h>

void json_cleanup(json_t **json)
{
	json_decref(*json);
}

static json_t *parse(const char *text, size_t len, size_t flags, struct err *err)
{
	json_error_t failure;
	json_t *json;

	if (!text || !len) {
		err_set(err, ERR_INVALID, "invalid JSON at line 1, column 0: it is empty");
		return NULL;
	}
	json = json_loadb(text, len, flags | JSON_DECODE_ANY, &failure);
	if (!json)
		err_set(err, ERR_INVALID, "invalid JSON at line %d, column %d: %s", failure.line,
			failure.column, failure.text);
	return json;
}

json_t *json_parse(const char *text, size_t len, struct err *err)
{
	return parse(text, len, JSON_REJECT_DUPLICATES, err);
}

json_t *json_parse_told(const char *text, size_t len, struct err *err)
{
	return parse(text, len, JSON_ALLOW_NUL, err);
}

size_t json_values_bound(const char *text, size_t len)
{
	size_t values = 1;

	for (size_t i = 0; i < len; i++) {
		values += text[i] == ',';
		values += 2 * (text[i] == '{' || text[i] == '[');
	}
	return values;
}

char *json_text(const json_t *json, size_t *len_out)
{
	char *text = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : xstrdup("null");

	/* Only memory can be wanting: what was parsed or built through jansson can be written. */
	if (!text)
		abort();
	if (len_out)
		*len_out = strlen(text);
	return text;
}

int json_append(struct buf *out, const json_t *json)
{
	size_t len;
	char *text CLEANUP_FREE = json_text(json, &len);

	return buf_append(out, text, len);
}

static void append_escape(struct buf *out, unsigned char c)
{
	static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
	const char *found = memchr(plain, c, sizeof(plain) - 1);

	if (found)
		buf_printf(out, "\\%c", letters[found - plain]);
	else
		buf_printf(out, "\\u%04X", c);
}

void json_append_escaped(struct buf *out, const char *text)
{
	const char *from = text;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_append(out, from, (size_t)(text - from));
		append_escape(out, c);
		from = text + 1;
	}
	buf_append(out, from, (size_t)(text - from));
}

json_t *json_get(const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);
	void *iter;

	if (value || !json_is_object(object))
		return value;
	/* jansson's iterators do not change the object. */
	for (iter = json_object_iter((json_t *)(uintptr_t)object); iter;
		iter = json_object_iter_next((json_t *)(uintptr_t)object, iter)) {
		if (str_ieq(json_object_iter_key(iter), key))
			return json_object_iter_value(iter);
	}
	return NULL;
}

json_t *json_path(const json_t *json, ...)
{
	json_t *at = (json_t *)(uintptr_t)json;
	const char *key;
	va_list keys;

	va_start(keys, json);
	while (at && (key = va_arg(keys, const char *)))
		at = json_get(at, key);
	va_end(keys);
	return at;
}

const char *json_whole_text(const json_t *value)
{
	const char *text = json_string_value(value);

	return text && strlen(text) == json_string_length(value) ? text : NULL;
}

const char *json_str(const json_t *object, const char *key, const char *otherwise)
{
	const char *text = json_whole_text(json_get(object, key));

	return text ? text : otherwise;
}

int64_t json_int(const json_t *object, const char *key, int64_t otherwise)
{
	const json_t *value = json_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

bool json_bool(const json_t *object, const char *key, bool otherwise)
{
	const json_t *value = json_get(object, key);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

json_t *json_obj(const json_t *object, const char *key)
{
	json_t *value = json_get(object, key);

	return json_is_object(value) ? value : NULL;
}

json_t *json_arr(const json_t *object, const char *key)
{
	json_t *value = json_get(object, key);

	return json_is_array(value) ? value : NULL;
}

void json_put(json_t *object, const char *key, json_t *value_take)
{
	const char *name;
	json_t *value;

	if (json_object_get(object, key) == NULL) {
		json_object_foreach (object, name, value) {
			if (str_ieq(name, key)) {
				json_object_set_new(object, name, value_take);
				return;
			}
		}
	}
	json_object_set_new(object, key, value_take);
}

bool json_set_add(json_t *set, const json_t *value)
{
	char *text CLEANUP_FREE = json_text(value, NULL);

	if (json_object_get(set, text) != NULL)
		return false;
	json_object_set_new(set, text, json_true());
	return true;
}

bool json_set_has(const json_t *set, const json_t *value)
{
	char *text CLEANUP_FREE = json_text(value, NULL);

	return json_object_get(set, text) != NULL;
}
