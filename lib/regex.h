/* Regular expressions from users, in RE2's syntax (which is Go's), matched in time linear in the
 * text whatever the expression. */
#ifndef LIB_REGEX_H
#define LIB_REGEX_H

#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct regex;

/* Longest pattern taken, in bytes, and the most memory that one compiled pattern may use. */
#define REGEX_PATTERN_MAX 1024
#define REGEX_MEMORY_MAX (1 << 20)

/* NULL with err set (ERR_INVALID, what is wrong and where) when the pattern is not valid or too
 * large. */
struct regex *regex_new(const char *pattern, struct err *err) MUSTCHECK;
void regex_free(struct regex *regex);
/* Unanchored: true when some part of text matches. */
bool regex_search(const struct regex *regex, const char *text, size_t len);
/* Steps that a search takes for each byte of text at the worst, some nanoseconds each (>= 1). Time
 * is linear in the text, but this factor is the user's choice: who searches many texts bounds the
 * product. */
size_t regex_cost(const struct regex *regex);

#ifdef __cplusplus
}
#endif

#endif
