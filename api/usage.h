/* The answers of several engines to GET /system/df, merged: what several nodes have is listed once,
 * what is on one node carries its name, sizes are summed. Inside api/ only. */
#ifndef API_USAGE_H
#define API_USAGE_H

#include "lib/json.h"

struct usage;
struct usage *usage_new(void);
void usage_free(struct usage *usage);

/* Merges what the engine of this node answered, in time that its length alone decides. Parts of the
 * answer are taken over, and changed. */
void usage_add(struct usage *usage, const json_t *json, const char *node);
/* The sums of one answer, before it is merged: for those who ask which node is full. */
json_t *usage_of(const json_t *json, const char *name, const char *id);
/* All that was merged, for clients of API 1.minor; frees usage. */
json_t *usage_take(struct usage *usage, int minor);

#endif
