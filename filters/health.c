/* health: the engine answers. */
#include "filters/filter_priv.h"

static void apply(struct filter_request *request, struct filter_pass *pass)
{
	(void)request;
	filter_pass_keep(pass, fleet_healthy(pass->fleet), 0);
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	(void)request;
	(void)why;
	buf_append_str(out, "not healthy");
}

const struct filter_ops filter_health = {
	.name = "health",
	.apply = apply,
	.reason = reason,
};
