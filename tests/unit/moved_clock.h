/* A monotonic clock that the test moves, in the place of libc's, for the loop too; and times of
 * nodes that pass only when it is moved. Seconds that go by by themselves do not count beside
 * these. */
#ifndef TESTS_UNIT_MOVED_CLOCK_H
#define TESTS_UNIT_MOVED_CLOCK_H

#include "cluster/live.h"
#include "tests/unit/http_fixture.h"

#define FOREVER 100000000 /* milliseconds */

extern const struct live_timing forever_timing;

/* Moves it, and runs what the loop does at once when so much time has passed. */
void clock_pass(struct fixture *f, unsigned seconds);

#endif
