/* Chance that can be had again: all that a test draws follows from one seed. What fails says the
 * seed and the round. */
#ifndef TESTS_UNIT_CHANCE_H
#define TESTS_UNIT_CHANCE_H

#include "lib/mem.h"
#include "tests/unit/cmocka_all.h"

#include <stdint.h>
#include <stdlib.h>

struct chance {
	uint64_t seed, state;
	unsigned round; /* counted by the test */
};
static struct chance chance;

/* Begins anew, with the seed of this variable of the environment if it is set. */
static inline void chance_start(const char *variable)
{
	const char *given = getenv(variable);

	chance.seed = given == NULL ? 20160301 : strtoull(given, NULL, 10);
	chance.state = chance.seed;
	chance.round = 0;
}

/* In [0, bound), bound > 0. */
static inline unsigned below(unsigned bound)
{
	chance.state = chance.state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chance.state >> 33) % bound;
}

#define PICK(array) ((array)[below(ARRAY_LEN(array))])
#define CHECK(what) \
	do { \
		if (!(what)) \
			fail_msg("seed %llu, round %u: %s", (unsigned long long)chance.seed, \
				chance.round, #what); \
	} while (0)

#endif
