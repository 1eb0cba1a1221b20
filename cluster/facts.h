/* What engines tell of themselves in /info. Thousands of engines of one make tell the same, but for
 * their names, sizes and counts: of what is equal there is one copy. Inside cluster/ only. */
#ifndef CLUSTER_FACTS_H
#define CLUSTER_FACTS_H

#include "lib/err.h"
#include "lib/json_read.h"

#include <jansson.h>

/* One of those that tell the same; counted. */
struct facts;

/* The facts in an answer to GET /info, an object, with one reference more; NULL with err when it
 * holds more than values_max values, or keys twice. table is theirs, NULL = empty. */
struct facts *facts_take(
	struct facts **table, struct json_ref info, size_t values_max, struct err *err) MUSTCHECK;
/* facts may be NULL. */
void facts_release(struct facts **table, struct facts *facts);
/* Borrowed: /info without what only one engine tells. NULL for NULL. */
const json_t *facts_json(const struct facts *facts);

#endif
