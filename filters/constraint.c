/* constraint: the node itself, by name or by the labels of its engine. A label that an engine does
 * not have is empty. */
#include "filters/filter_priv.h"
#include "lib/str.h"

static bool match(struct expr *expr, const struct node_view *node)
{
	if (str_eq(expr_key(expr), "node"))
		return expr_match_node(expr, node);
	return expr_match(expr, labels_get(&node->labels, expr_key(expr)));
}

static bool check(struct filter_request *request, const struct node_view *node,
	struct filter_verdict *verdict)
{
	return expr_list_check(&request->constraints, node, match, verdict);
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
	.check = check,
	.conditions = conditions,
	.reason = reason,
};
