/* JSON helpers over jansson: parsing with limits, and getters that never crash on a wrong type. */
#ifndef LIB_JSON_H
#define LIB_JSON_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void json_cleanup(json_t **json);
#define CLEANUP_JSON __attribute__((cleanup(json_cleanup)))

/* A new reference to a value of any type, or NULL with err (ERR_INVALID; line, column and reason).
 * Duplicate keys are refused, since two parsers could read them differently; so are trailing text,
 * text that is not UTF-8, and "\u0000", where a C string would end. Depth is bounded by jansson
 * (2048). */
json_t *json_parse(const char *text, size_t len, struct err *err) MUSTCHECK;

/* What an engine tells, where one value that is odd is no reason to refuse the rest: of keys that
 * stand twice the last counts, as it does to Go, and texts may hold "\u0000". */
json_t *json_parse_told(const char *text, size_t len, struct err *err) MUSTCHECK;
/* NULL when the value is no text, or one that holds a NUL: cut there it would equal another. */
const char *json_whole_text(const json_t *value);

/* An upper bound of the values in a text, to be looked at before it is parsed: a value takes many
 * times the memory of its text. */
size_t json_values_bound(const char *text, size_t len);

/* Owned text, compact, no trailing newline. Never NULL. */
char *json_text(const json_t *json, size_t *len_out);
/* The same, appended to out; as buf_append when there is no room. */
int json_append(struct buf *out, const json_t *json);

/* Appends what stands between the quotes of this text as a JSON string, spelled as json_text does.
 * The text is UTF-8. */
void json_append_escaped(struct buf *out, const char *text);

/* Borrowed value behind a path of object keys, NULL at the end: json_path(o, "HostConfig",
 * "Memory", NULL). NULL when anything on the way is missing or not an object. Field names are
 * matched as Go's encoding/json does: exactly, else without regard to ASCII case. */
json_t *json_path(const json_t *json, ...) __attribute__((sentinel));
/* One key, with the same matching. */
json_t *json_get(const json_t *object, const char *key);

/* Typed getters: the value, or the default when missing, null or of another type, or a text with a
 * NUL. Borrowed. */
const char *json_str(const json_t *object, const char *key, const char *otherwise);
int64_t json_int(const json_t *object, const char *key, int64_t otherwise);
bool json_bool(const json_t *object, const char *key, bool otherwise);
json_t *json_obj(const json_t *object, const char *key); /* NULL unless an object */
json_t *json_arr(const json_t *object, const char *key); /* NULL unless an array */

/* Sets a field, under the spelling that it has there already if it differs in case. */
void json_put(json_t *object, const char *key, json_t *value_take);

/* Sets of values: an object whose keys are their texts, so that a long list costs no more for each
 * item than a short one. Adds the value; false when it was there already. */
bool json_set_add(json_t *set, const json_t *value);
bool json_set_has(const json_t *set, const json_t *value);

#endif
