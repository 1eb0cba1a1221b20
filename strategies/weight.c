#include "strategies/weight.h"

static bool fits(int64_t used, int64_t wanted, int64_t total)
{
	/* In 128 bits: users ask for any number, and engines report any. */
	return wanted <= 0 || (__int128)used + wanted <= total;
}

bool weight_has_room(const struct node_view *node, const struct container_view *want)
{
	return fits(node->used_nano_cpus, want->nano_cpus, node->total_nano_cpus) &&
	       fits(node->used_memory, want->memory, node->total_memory);
}

static int64_t score(int64_t used, int64_t wanted, int64_t total)
{
	if (wanted <= 0 || total <= 0)
		return WEIGHT_FULL;
	return (int64_t)(((__int128)used + wanted) * WEIGHT_FULL / total);
}

int64_t weight_of(const struct node_view *node, const struct container_view *want)
{
	return score(node->used_nano_cpus, want->nano_cpus, node->total_nano_cpus) +
	       score(node->used_memory, want->memory, node->total_memory);
}
