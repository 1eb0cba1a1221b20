/* whitelist: the node is one of a list, `node==n1|n2`, or none of it, `node!=n1|n2`. Any key means
 * the node. */
#include "filters/filter_priv.h"

static bool check(struct filter_request *request, const struct node_view *node,
	struct filter_verdict *verdict)
{
	return expr_list_check(&request->whitelists, node, expr_match_node, verdict);
}

static void conditions(const struct filter_request *request, struct buf *out)
{
	expr_list_print(&request->whitelists, false, out);
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	expr_list_reason(&request->whitelists, why, out);
}

const struct filter_ops filter_whitelist = {
	.name = "whitelist",
	.check = check,
	.conditions = conditions,
	.reason = reason,
};
