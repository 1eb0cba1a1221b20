/* affinity: containers, images or labels of containers that the node holds already, or must not. */
#include "filters/filter_priv.h"
#include "lib/str.h"

static void add(struct expr *expr, const struct fleet *fleet, struct bitset *out)
{
	const char *key = expr_key(expr);
	struct fleet_query query;
	size_t at = 0;

	while (expr_next_query(expr, &at, &query)) {
		if (str_eq(key, "container"))
			fleet_add_containers(fleet, &query, out);
		else if (str_eq(key, "image"))
			fleet_add_images(fleet, &query, out);
		else
			fleet_add_container_labels(fleet, key, &query, out);
	}
}

static void apply(struct filter_request *request, struct filter_pass *pass)
{
	expr_list_apply(&request->affinities, pass, add);
}

static void conditions(const struct filter_request *request, struct buf *out)
{
	expr_list_print(&request->affinities, true, out);
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	expr_list_reason(&request->affinities, why, out);
}

const struct filter_ops filter_affinity = {
	.name = "affinity",
	.apply = apply,
	.conditions = conditions,
	.reason = reason,
};
