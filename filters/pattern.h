/* One pattern of an expression: literal text, text with `*`, or /regular expression/. */
#ifndef FILTERS_PATTERN_H
#define FILTERS_PATTERN_H

#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct regex;

/* What matching a glob costs beside a step for each byte: a step is a quarter of a nanosecond. */
#define PATTERN_GLOB_STEPS 128

/* Results of a regular expression that are remembered, and the longest text (with its NUL) of one:
 * labels of engines and containers take few values. */
#define PATTERN_MEMO 64
#define PATTERN_MEMO_TEXT 126

struct pattern_memo {
	bool is_used;
	bool is_match;
	char text[PATTERN_MEMO_TEXT];
};

struct pattern {
	char *text;                /* owned; cut into pieces in place when it is a glob */
	size_t len;                /* bytes of text */
	struct regex *regex;       /* NULL = literal or glob */
	struct pattern_memo *memo; /* PATTERN_MEMO slots by hash, of a regex that was used */
	uint64_t *budget;          /* borrowed: steps that matching may still take; NULL = any */
	bool is_glob;              /* every `*` of text has become a NUL */
};

/* Compiles len (> 0) bytes of s into a zeroed pattern. -1 and ERR_INVALID, saying what is wrong,
 * with nothing to free. */
int pattern_init(struct pattern *pattern, const char *s, size_t len, struct err *err) MUSTCHECK;
/* May be called on a zeroed pattern. */
void pattern_clear(struct pattern *pattern);
/* Takes its steps from the budget. A match that could need more is not tried, sets the budget to 0
 * and gives false. */
bool pattern_match(struct pattern *pattern, const char *text);
/* Nothing but this text matches. */
bool pattern_is_literal(const struct pattern *pattern);
/* What every text that matches begins with; "" when nothing is known. Borrowed. */
const char *pattern_prefix(const struct pattern *pattern);
/* Size of the compiled regular expression; 0 when it is none. */
size_t pattern_cost(const struct pattern *pattern);

#endif
