/* containerslots: the engine label containerslots=N bounds how many containers a node holds,
 * stopped ones and those being created included. A label that is no whole number bounds nothing. */
#include "filters/filter_priv.h"
#include "lib/str.h"

#include <limits.h>

static void add_full(void *arg, const char *value, const struct posting *nodes, size_t nodes_len)
{
	struct filter_pass *pass = arg;
	const struct fleet_load *loads = fleet_loads(pass->fleet);
	long long slots;

	if (value[0] == '\0' ||
		str_to_int(value, LLONG_MIN, LLONG_MAX, &slots, "containerslots", NULL) < 0)
		return;
	for (size_t i = 0; i < nodes_len; i++) {
		if (slots <= 0 || loads[nodes[i].slot].containers >= (unsigned long long)slots)
			bitset_add(&pass->scratch, nodes[i].slot);
	}
}

static void apply(struct filter_request *request, struct filter_pass *pass)
{
	(void)request;
	bitset_empty(&pass->scratch);
	fleet_each_node_label(pass->fleet, "containerslots", add_full, pass);
	filter_pass_drop(pass, &pass->scratch, 0);
}

static void conditions(const struct filter_request *request, struct buf *out)
{
	(void)request;
	buf_append_str(out, "available container slots");
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	(void)request;
	(void)why;
	buf_append_str(out, "all container slots are in use");
}

const struct filter_ops filter_containerslots = {
	.name = "containerslots",
	.apply = apply,
	.conditions = conditions,
	.reason = reason,
};
