/* containerslots: the engine label containerslots=N bounds how many containers a node holds,
 * stopped ones and those being created included. A label that is no whole number bounds nothing. */
#include "filters/filter_priv.h"
#include "lib/str.h"

#include <limits.h>

static bool check(struct filter_request *request, const struct node_view *node,
	struct filter_verdict *verdict)
{
	const char *label = labels_get(&node->labels, "containerslots");
	long long slots;

	(void)request;
	verdict->why = 0;
	if (label[0] == '\0')
		return true;
	if (str_to_int(label, LLONG_MIN, LLONG_MAX, &slots, "containerslots", NULL) < 0)
		return true;
	return slots > 0 && node->containers_len < (unsigned long long)slots;
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
	.check = check,
	.conditions = conditions,
	.reason = reason,
};
