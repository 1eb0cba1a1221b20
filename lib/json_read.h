/* JSON that is only read: what an engine tells of its containers, a million of them. It costs a
 * tenth of json_parse, because no value is built. */
#ifndef LIB_JSON_READ_H
#define LIB_JSON_READ_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory of one text as it was read; it is used again for the next one. What a large text took
 * is given back when a small one is read. */
struct json_reader;
struct json_reader *json_reader_new(void);
void json_reader_free(struct json_reader *reader);

enum json_kind {
	JSON_KIND_NONE, /* there is no such value */
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_TEXT,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};

/* A value, by value. It and all texts got from it live until its reader reads, or is freed. All
 * zeros stand for a value that is missing, and may be given wherever a value is taken. */
struct json_ref {
	const void *document;
	size_t at;
};

/* The value in text, whole: ERR_INVALID with the reason when it is not JSON, or not UTF-8. Depth is
 * bounded by simdjson (1024). Of keys that stand twice in an object the first counts. */
struct json_ref json_read(
	struct json_reader *reader, const char *text, size_t len, struct err *err) MUSTCHECK;

enum json_kind json_ref_kind(struct json_ref value);
/* Matches as json_get does: exactly, else without regard to ASCII case. */
struct json_ref json_ref_get(struct json_ref object, const char *key);
/* NULL when it is none, or holds a NUL. */
const char *json_ref_text(struct json_ref value);

/* As those of lib/json.h. */
const char *json_ref_str(struct json_ref object, const char *key, const char *otherwise);
int64_t json_ref_int(struct json_ref object, const char *key, int64_t otherwise);
bool json_ref_bool(struct json_ref object, const char *key, bool otherwise);
struct json_ref json_ref_obj(struct json_ref object, const char *key);
struct json_ref json_ref_arr(struct json_ref object, const char *key);

/* The members of an object, or the items of an array, in their order:
 *
 *	for (struct json_walk w = json_walk(value); json_walk_next(&w);)
 *
 * Nothing for a value of another kind. Members whose key holds a NUL are left out. */
struct json_walk {
	const char *key; /* NULL in an array */
	struct json_ref value;
	struct json_ref next, end; /* private; of an object's members, or an array's items */
	bool is_object;
};
struct json_walk json_walk(struct json_ref value);
bool json_walk_next(struct json_walk *walk);

/* Appends the value as compact JSON; "null" for a missing one. False: it holds what json_parse_told
 * does not read (a NUL in a key, a number that needs all of 64 bits). */
bool json_ref_print(struct json_ref value, struct buf *out);
/* The same less those members, and with such numbers as reals. */
void json_ref_print_clean(struct json_ref value, struct buf *out);
/* Appends the member that the walk is at, as "key":value. */
void json_walk_print(const struct json_walk *walk, struct buf *out);

#endif
