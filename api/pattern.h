/* Regular expressions in the filters of lists, and a bound to the work that they can ask for.
 * Inside api/ only. */
#ifndef API_PATTERN_H
#define API_PATTERN_H

#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct regex;

/* Of how many bytes in front it is clear that they mean themselves: letters, digits, '_', '-', '/'.
 * What follows may still say how often the last one comes. */
size_t pattern_plain_len(const char *text);
/* All of it. Most are: parts of a name. */
bool pattern_is_plain(const char *text);

/* Of one list: what its expressions may still cost. */
struct pattern_budget {
	size_t cost;    /* compiled size, all together */
	uint64_t steps; /* of all searches at their worst; each is some nanoseconds */
};
void pattern_budget_init(struct pattern_budget *budget);
/* As many steps as at first. */
void pattern_budget_renew(struct pattern_budget *budget);
/* A search was given up: what matched is not known, and the list must not be sent. */
bool pattern_budget_is_spent(const struct pattern_budget *budget);
#define PATTERN_SPENT_TEXT \
	"the regular expressions of the filters take too much work in this cluster"

/* An engine takes a name as a regular expression; a text that is none is compared. Zeroed matches
 * nothing. */
struct pattern {
	const char *text; /* borrowed */
	struct regex *regex;
	bool is_plain; /* text means itself alone, and regex is not needed */
};
/* ERR_INVALID, naming the filter, when the expressions of the budget are too large together. */
int pattern_compile(struct pattern *pattern, struct pattern_budget *budget, const char *text,
	const char *filter, struct err *err) MUSTCHECK;
void pattern_reset(struct pattern *pattern);
/* What a search in a text of that length takes of the budget; 0 when nothing is searched. */
uint64_t pattern_steps(const struct pattern *pattern, size_t len);
bool pattern_matches(
	const struct pattern *pattern, struct pattern_budget *budget, const char *text);

#endif
