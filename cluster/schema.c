/* One record with a field of a wrong type makes a strictly typed client refuse the whole list that
 * it stands in; so such fields are found, or taken out, before anything is listed. */
#include "cluster/record.h"

static const struct field *field_find(const struct field *fields, const char *name)
{
	for (; fields->name; fields++) {
		/* The first letter tells most apart; its case is one bit. What is left is nearly
		 * always the field as it is written here. */
		if (((fields->name[0] ^ name[0]) & ~0x20) == 0 &&
			(str_eq(fields->name, name) || str_ieq(fields->name, name)))
			return fields;
	}
	return NULL;
}

static bool items_fit(struct json_ref value, const struct field *field, enum json_kind inner)
{
	for (struct json_walk w = json_walk(value); json_walk_next(&w);) {
		enum json_kind kind = json_ref_kind(w.value);

		if (kind == JSON_KIND_NULL)
			continue;
		if (kind != inner || (field->inner && !fields_fit(w.value, field->inner)))
			return false;
	}
	return true;
}

static bool value_fits(struct json_ref value, const struct field *field)
{
	enum json_kind kind = json_ref_kind(value);

	switch (field->type) {
	case FIELD_TEXT:
		return kind == JSON_KIND_TEXT;
	case FIELD_INT:
		return kind == JSON_KIND_INT;
	case FIELD_BOOL:
		return kind == JSON_KIND_BOOL;
	case FIELD_TEXTS:
		return kind == JSON_KIND_ARRAY && items_fit(value, field, JSON_KIND_TEXT);
	case FIELD_TEXT_MAP:
		return kind == JSON_KIND_OBJECT && items_fit(value, field, JSON_KIND_TEXT);
	case FIELD_OBJECT:
		return kind == JSON_KIND_OBJECT &&
		       (!field->inner || fields_fit(value, field->inner));
	case FIELD_ARRAY:
		return kind == JSON_KIND_ARRAY && items_fit(value, field, JSON_KIND_OBJECT);
	case FIELD_OBJECT_MAP:
		return kind == JSON_KIND_OBJECT && items_fit(value, field, JSON_KIND_OBJECT);
	}
	return false;
}

bool fields_fit(struct json_ref object, const struct field *fields)
{
	if (json_ref_kind(object) != JSON_KIND_OBJECT)
		return false;
	for (struct json_walk w = json_walk(object); json_walk_next(&w);) {
		const struct field *field = field_find(fields, w.key);

		if (field && json_ref_kind(w.value) != JSON_KIND_NULL &&
			!value_fits(w.value, field))
			return false;
	}
	return true;
}

/* ---- Cleaning ---- */

/* Whether value is of the field's type; not of collections. */
static bool type_fits(const json_t *value, enum field_type type)
{
	switch (type) {
	case FIELD_TEXT:
		return json_is_string(value);
	case FIELD_INT:
		return json_is_integer(value);
	case FIELD_BOOL:
		return json_is_boolean(value);
	default:
		return json_is_object(value);
	}
}

/* Drops the items of an object or array that are not of the inner type. */
static void items_clean(json_t *value, const struct field *field)
{
	bool of_text = field->type == FIELD_TEXTS || field->type == FIELD_TEXT_MAP;
	json_type inner = of_text ? JSON_STRING : JSON_OBJECT;
	const char *key;
	json_t *item;
	void *next;

	if (json_is_object(value)) {
		json_object_foreach_safe (value, next, key, item) {
			if (json_is_null(item))
				continue;
			if (json_typeof(item) != inner)
				json_object_del(value, key);
			else if (!of_text && field->inner)
				fields_clean(item, field->inner);
		}
		return;
	}
	for (size_t i = json_array_size(value); i-- > 0;) {
		item = json_array_get(value, i);
		if (json_typeof(item) != inner)
			json_array_remove(value, i);
		else if (!of_text && field->inner)
			fields_clean(item, field->inner);
	}
}

static bool is_collection(enum field_type type)
{
	return type == FIELD_TEXTS || type == FIELD_TEXT_MAP || type == FIELD_ARRAY ||
	       type == FIELD_OBJECT_MAP;
}

void fields_clean(json_t *object, const struct field *fields)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe (object, next, key, value) {
		const struct field *field = field_find(fields, key);
		bool is_map;

		if (!field || json_is_null(value))
			continue;
		if (is_collection(field->type)) {
			is_map = field->type == FIELD_TEXT_MAP || field->type == FIELD_OBJECT_MAP;
			if (is_map ? json_is_object(value) : json_is_array(value)) {
				items_clean(value, field);
				continue;
			}
		} else if (type_fits(value, field->type)) {
			if (field->type == FIELD_OBJECT && field->inner)
				fields_clean(value, field->inner);
			continue;
		}
		json_object_del(object, key);
	}
}
