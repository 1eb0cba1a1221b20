/* The members that are wanted of a large JSON object: what is not is skipped as text, at a small
 * part of the cost of building it. */
#ifndef LIB_JSON_PICK_H
#define LIB_JSON_PICK_H

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

/* A list of these ends with key NULL. */
struct json_pick {
	const char
		*key; /* matched as json_get does, without regard to ASCII case; "*" = every key */
	const struct json_pick *inner; /* of a value that is an object; NULL = all of the value */
};

/* Appends the object in text, with the wanted members only, to out. Of what is skipped only strings
 * and brackets are looked at, so json_parse of the result says no more than that the rest is sound.
 * A value that is no object is taken whole, also where inner says what is wanted of it. -1:
 * ERR_INVALID with the byte when text is not an object, ERR_TOO_LARGE when out is full. */
int json_pick(const char *text, size_t len, const struct json_pick *wanted, struct buf *out,
	struct err *err) MUSTCHECK;

#endif
