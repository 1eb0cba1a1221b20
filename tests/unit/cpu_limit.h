/* A test that does far more work than it should ends by a signal, however busy the machine is. */
#ifndef TESTS_UNIT_CPU_LIMIT_H
#define TESTS_UNIT_CPU_LIMIT_H

#include <stddef.h>
#include <sys/time.h>

/* For the work that is done from now on, in seconds of the processor's time; 0 = no limit. */
static inline void cpu_limit(unsigned seconds)
{
	const struct itimerval limit = {.it_value.tv_sec = (time_t)seconds};

	setitimer(ITIMER_PROF, &limit, NULL);
}

#endif
