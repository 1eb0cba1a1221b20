/* health: the engine answers. */
#include "filters/filter_priv.h"

static bool check(struct filter_request *request, const struct node_view *node,
	struct filter_verdict *verdict)
{
	(void)request;
	verdict->why = 0;
	return node->is_healthy;
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	(void)request;
	(void)why;
	buf_append_str(out, "not healthy");
}

const struct filter_ops filter_health = {
	.name = "health",
	.check = check,
	.reason = reason,
};
