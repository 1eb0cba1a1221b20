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
	size_t cost;           /* of all regular expressions, at most EXPR_COST_MAX */
	uint64_t budget;       /* steps left for matching them; 0 = ran out */
	uint8_t *wanted_ports; /* a bit for each port number that is wanted; NULL = none is */
};

extern const struct filter_ops filter_health, filter_port, filter_containerslots, filter_dependency,
	filter_affinity, filter_constraint, filter_whitelist;

/* The host ports that the container wants: exposed ones in host network mode, else bindings. */
const struct view_port *wanted_ports(const struct filter_request *request, size_t *len);

/* The value of a label, "" when it is missing. */
const char *labels_get(const struct view_labels *labels, const char *key);

/* Whether the value of the expression matches something about the node; the operator is applied by
 * expr_list_check. */
typedef bool expr_match_fn(struct expr *expr, const struct node_view *node);

/* Refuses at the first hard term that does not hold (verdict->why is its place), counts the soft
 * ones that do. */
bool expr_list_check(const struct expr_list *list, const struct node_view *node,
	expr_match_fn *match, struct filter_verdict *verdict);
/* "key==value key!=value" */
void expr_list_print(const struct expr_list *list, bool with_softness, struct buf *out);
/* "key==value does not hold" */
void expr_list_reason(const struct expr_list *list, size_t why, struct buf *out);
/* Whether name, engine ID or node ID match: what the key `node` means. */
bool expr_match_node(struct expr *expr, const struct node_view *node);

#endif
