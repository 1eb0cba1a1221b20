/* Expressions of placement: KEY==VALUE and KEY!=VALUE. A value is taken as it stands, except for
 * `*` (any run of characters, none too) and /.../ (a regular expression in Go's syntax that has to
 * match some part of the text). `~` in front of the value makes the term soft: a wish, not a
 * condition.
 *
 * Everything is checked when an expression is compiled; matching cannot fail, and takes time linear
 * in the text. */
#ifndef FILTERS_EXPR_H
#define FILTERS_EXPR_H

#include "cluster/fleet.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one expression. */
#define EXPR_LEN_MAX 1024
/* Expressions of one kind in one request. */
#define EXPR_TERMS_MAX 64
/* Compiled size of all regular expressions of one request together, in steps (regex_cost). */
#define EXPR_COST_MAX 20000
/* Steps that matching all expressions of one request may take, of a quarter of a nanosecond each:
 * bytes of text times the compiled size for regular expressions, see pattern.h for globs. */
#define EXPR_STEPS_MAX UINT64_C(50000000)

struct expr;

enum expr_form {
	EXPR_ONE,     /* VALUE is one pattern */
	EXPR_CHOICES, /* VALUE is patterns separated by '|' (or one regular expression) */
};

/* kind ("constraint") is for the message only. NULL and ERR_INVALID with a message that quotes the
 * expression and says what is wrong with it. */
struct expr *expr_new(
	const char *kind, const char *text, enum expr_form form, struct err *err) MUSTCHECK;
void expr_free(struct expr *expr);

const char *expr_key(const struct expr *expr);   /* borrowed */
const char *expr_value(const struct expr *expr); /* as written, without `~`; borrowed */
bool expr_is_soft(const struct expr *expr);
bool expr_is_negated(const struct expr *expr); /* `!=` */

/* Whether the value matches the text; the operator is left to the caller, who knows how many texts
 * there are: `==` holds when one of them matches, `!=` when none does. Not const: results of
 * regular expressions are remembered. */
bool expr_match(struct expr *expr, const char *text);

/* The same for the texts of a fleet, as questions to it: one for each alternative of the value,
 * each about this alternative alone. *at is 0 for the first. False: there is none left, or no step
 * of the budget. Good as long as the expression. */
bool expr_next_query(struct expr *expr, size_t *at, struct fleet_query *out);

/* Compiled size of the regular expressions in it. */
size_t expr_cost(const struct expr *expr);
/* From now on matching takes its steps from here (borrowed, shared by the expressions of a
 * request). A match that could need more than is left is not tried: it sets the budget to 0 and
 * fails. */
void expr_set_budget(struct expr *expr, uint64_t *budget);

#endif
