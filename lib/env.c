#include "lib/env.h"

#include "lib/mem.h"

#include <sys/random.h>
#include <time.h>

static uint64_t system_now_ms(const struct env *env)
{
	struct timespec t;

	(void)env;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int64_t system_wall_ns(const struct env *env)
{
	struct timespec t;

	(void)env;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t system_random_below(const struct env *env, uint32_t bound)
{
	/* 2^32 mod bound: the lowest values are refused, so that the rest divides evenly. */
	uint32_t uneven = -bound % bound;
	uint32_t value;

	(void)env;
	do {
		/* It fails only where the system call does not exist. */
		if (getentropy(&value, sizeof(value)))
			abort();
	} while (value < uneven);
	return value % bound;
}

const struct env *env_system(void)
{
	static const struct env env = {
		.now_ms = system_now_ms,
		.wall_ns = system_wall_ns,
		.random_below = system_random_below,
	};

	return &env;
}

uint64_t env_backoff_ms(const struct env *env, unsigned attempt, uint64_t base_ms, uint64_t cap_ms)
{
	uint64_t delay = base_ms;
	uint64_t half;

	for (unsigned i = 0; i < attempt && delay && delay < cap_ms; i++)
		delay = delay > UINT64_MAX / 2 ? UINT64_MAX : delay * 2;
	if (delay > cap_ms)
		delay = cap_ms;
	half = delay / 2;
	if (half < UINT32_MAX)
		return delay - half + env->random_below(env, (uint32_t)half + 1);
	return delay - half + half / UINT32_MAX * env->random_below(env, UINT32_MAX);
}
