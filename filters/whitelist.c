/* whitelist: the node is one of a list, `node==n1|n2`, or none of it, `node!=n1|n2`. Any key means
 * the node. */
#include "filters/filter_priv.h"

static void apply(struct filter_request *request, struct filter_pass *pass)
{
	expr_list_apply(&request->whitelists, pass, expr_add_nodes);
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
	.apply = apply,
	.conditions = conditions,
	.reason = reason,
};
