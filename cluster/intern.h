/* Texts that many records share (image names, label keys and values), each kept once. */
#ifndef CLUSTER_INTERN_H
#define CLUSTER_INTERN_H

#include <stdbool.h>

struct interned;

/* The one copy of s, with one more reference to it. Never NULL. */
const char *intern(struct interned **table, const char *s);
bool intern_has(const struct interned *table, const char *s);
/* Gives up a reference; text must have come from intern on this table. NULL is allowed. */
void intern_release(struct interned **table, const char *text);

#endif
