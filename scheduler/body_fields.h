/* JSON bodies of clients, read as engines read them. Go's decoder finds a field whatever the case
 * of its name, takes the last of several, and stops behind the first value: a body in which that
 * gives another meaning than ours is refused. */
#ifndef SCHEDULER_BODY_FIELDS_H
#define SCHEDULER_BODY_FIELDS_H

#include "lib/err.h"
#include "lib/mem.h"

#include <jansson.h>
#include <stddef.h>

/* Fields of one object; values in one body. */
#define BODY_FIELDS_MAX 1000
#define BODY_VALUES_MAX 50000

/* A field that the manager reads or acts upon. */
struct body_field {
	const char *name;
	json_type type;                  /* JSON_TRUE for either truth value */
	const struct body_field *fields; /* of that object; NULL = they are not ours to read */
};

/* A new reference to the value in text: an object, each of whose fields is there once whatever its
 * case, and of the type that the table (ended by name NULL) tells; or null. NULL and ERR_INVALID
 * for anything else. */
json_t *body_read(
	const char *text, size_t len, const struct body_field *fields, struct err *err) MUSTCHECK;

/* -1 and ERR_INVALID when two fields of the object differ in case only, so that an engine might
 * read the other one. where: "HostConfig", for the message. object may be NULL. */
int body_object_check(const json_t *object, const char *where, struct err *err) MUSTCHECK;
/* The value of a field, NULL when it is missing or null; -1 and ERR_INVALID ("HostConfig.Memory
 * must be a whole number") when it has another type. where: "HostConfig." or "". Borrowed. */
int body_field_get(const json_t *object, const char *where, const char *key, json_type type,
	json_t **out, struct err *err) MUSTCHECK;

#endif
