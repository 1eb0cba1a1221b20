#include "tests/unit/moved_clock.h"

#include <sys/syscall.h>
#include <time.h>

const struct live_timing forever_timing = {
	.probe = FOREVER,
	.probe_timeout = FOREVER,
	.probe_fast = FOREVER,
	.probe_fast_timeout = FOREVER,
	.down_after = FOREVER,
	.settle = FOREVER,
	.backoff = FOREVER,
	.backoff_max = FOREVER,
	.stream_proof = FOREVER,
	.connect = FOREVER,
	.head = FOREVER,
	.idle = FOREVER,
	.list = FOREVER,
	.inspect = FOREVER,
	.hold = FOREVER,
	.debounce = 5,
	.period = 10,
	.turn = {FOREVER, FOREVER},
};

static time_t ahead_s;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int done = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE)
		ts->tv_sec += ahead_s;
	return done;
}

void clock_pass(struct fixture *f, unsigned seconds)
{
	ahead_s += seconds;
	fixture_run(f, 0, NULL, NULL);
	fixture_settle(f);
}
