/* Time and chance, handed down at start, so that tests run on a clock and dice of their own. */
#ifndef LIB_ENV_H
#define LIB_ENV_H

#include <stdint.h>

struct env {
	/* Monotonic milliseconds. */
	uint64_t (*now_ms)(const struct env *env);
	/* Seconds since 1970, UTC, as a wall clock shows them; nanoseconds within. */
	int64_t (*wall_ns)(const struct env *env);
	/* Uniform in [0, bound), bound > 0. */
	uint32_t (*random_below)(const struct env *env, uint32_t bound);
	void *impl;
};

/* The real one: system clocks, the system's random source. Never freed. */
const struct env *env_system(void);

/* A delay for attempt 0, 1, 2, ...: base * 2^attempt, at most cap, with the upper half random. All
 * in milliseconds. */
uint64_t env_backoff_ms(const struct env *env, unsigned attempt, uint64_t base_ms, uint64_t cap_ms);

#endif
