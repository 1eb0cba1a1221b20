/* constraint: the node itself, by name or by the labels of its engine. A label that an engine does
 * not have is empty. */
#include "filters/filter_priv.h"
#include "lib/str.h"

static void add(struct expr *expr, const struct fleet *fleet, struct bitset *out)
{
	struct fleet_query query;
	size_t at = 0;

	if (str_eq(expr_key(expr), "node")) {
		expr_add_nodes(expr, fleet, out);
		return;
	}
	while (expr_next_query(expr, &at, &query))
		fleet_add_node_labels(fleet, expr_key(expr), &query, out);
}

static void apply(struct filter_request *request, struct filter_pass *pass)
{
	expr_list_apply(&request->constraints, pass, add);
}

static void conditions(const struct filter_request *request, struct buf *out)
{
	expr_list_print(&request->constraints, false, out);
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	expr_list_reason(&request->constraints, why, out);
}

const struct filter_ops filter_constraint = {
	.name = "constraint",
	.apply = apply,
	.conditions = conditions,
	.reason = reason,
};
