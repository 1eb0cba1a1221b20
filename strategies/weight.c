#include "strategies/weight.h"

/* What can be multiplied by WEIGHT_FULL within 64 bits: nine TB, or as many thousand CPUs. */
#define NARROW_MAX (INT64_MAX / WEIGHT_FULL)

static bool fits(int64_t used, int64_t wanted, int64_t total)
{
	/* In 128 bits: users ask for any number, and engines report any. */
	return wanted <= 0 || (__int128)used + wanted <= total;
}

bool weight_has_room(const struct fleet_load *load, const struct container_view *want)
{
	return fits(load->used_nano_cpus, want->nano_cpus, load->total_nano_cpus) &&
	       fits(load->used_memory, want->memory, load->total_memory);
}

static int64_t score(int64_t used, int64_t wanted, int64_t total)
{
	int64_t quotient, dividend;

	if (wanted <= 0 || total <= 0)
		return WEIGHT_FULL;
	if (used < 0 || used > NARROW_MAX - wanted || wanted > NARROW_MAX || total > NARROW_MAX)
		return (int64_t)(((__int128)used + wanted) * WEIGHT_FULL / total);
	/* The machine divides floating-point numbers several times as fast, and is at most one off:
	 * the quotient is far below 2^53. It is asked for every node. */
	dividend = (used + wanted) * WEIGHT_FULL;
	quotient = (int64_t)((double)dividend / (double)total);
	if (quotient * total > dividend)
		quotient--;
	else if ((quotient + 1) * total <= dividend)
		quotient++;
	return quotient;
}

int64_t weight_of(const struct fleet_load *load, const struct container_view *want)
{
	return score(load->used_nano_cpus, want->nano_cpus, load->total_nano_cpus) +
	       score(load->used_memory, want->memory, load->total_memory);
}
