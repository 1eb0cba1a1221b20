/* A monotonic clock in the place of libc's, for libuv and libcurl too, that runs only while this
 * program does: it counts the time that its threads used, and what its loop waited in vain or until
 * something came, but never more than it wanted to wait. On a machine that is busy with other
 * things, deadlines do not pass while the program is kept from meeting them. */
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_SIGSET_BYTES 8

static int64_t waited_ns;

static int64_t read_ns(clockid_t clock)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int64_t ns;

	if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE)
		return (int)syscall(SYS_clock_gettime, clock, ts);
	/* From a day on, so that what is before the start has a time as well. */
	ns = INT64_C(86400) * 1000000000 + waited_ns + read_ns(CLOCK_PROCESS_CPUTIME_ID);
	*ts = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	return 0;
}

int epoll_pwait(
	int fd, struct epoll_event *events, int events_max, int timeout_ms, const sigset_t *mask)
{
	int64_t start = read_ns(CLOCK_MONOTONIC), passed;
	int n = (int)syscall(
		SYS_epoll_pwait, fd, events, events_max, timeout_ms, mask, KERNEL_SIGSET_BYTES);

	passed = read_ns(CLOCK_MONOTONIC) - start;
	if (timeout_ms >= 0 && passed > timeout_ms * INT64_C(1000000))
		passed = timeout_ms * INT64_C(1000000);
	waited_ns += passed;
	return n;
}

int epoll_wait(int fd, struct epoll_event *events, int events_max, int timeout_ms)
{
	return epoll_pwait(fd, events, events_max, timeout_ms, NULL);
}
