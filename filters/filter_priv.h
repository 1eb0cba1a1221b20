/* What the files of filters/ share. Inside filters/ only. */
#ifndef FILTERS_FILTER_PRIV_H
#define FILTERS_FILTER_PRIV_H

#include "filters/expr.h"
#include "filters/filter.h"

struct expr_list {
	struct expr **items;
	size_t len;
};

struct filter_request {
	const struct placement *placement;
	struct expr_list constraints, affinities, whitelists;
	size_t cost;     /* of all regular expressions, at most EXPR_COST_MAX */
	uint64_t budget; /* steps left for matching them; 0 = ran out */
};

extern const struct filter_ops filter_health, filter_port, filter_containerslots, filter_dependency,
	filter_affinity, filter_constraint, filter_whitelist;

/* Adds the nodes about which the value of the expression says something, whatever its operator. */
typedef void expr_add_fn(struct expr *expr, const struct fleet *fleet, struct bitset *out);

/* Takes out the nodes on which a hard term does not hold (the reason is its place), counts the soft
 * ones that do. */
void expr_list_apply(const struct expr_list *list, struct filter_pass *pass, expr_add_fn *add);
/* "key==value key!=value" */
void expr_list_print(const struct expr_list *list, bool with_softness, struct buf *out);
/* "key==value does not hold" */
void expr_list_reason(const struct expr_list *list, size_t why, struct buf *out);
/* By name, engine ID or node ID: what the key `node` means. */
void expr_add_nodes(struct expr *expr, const struct fleet *fleet, struct bitset *out);

#endif
