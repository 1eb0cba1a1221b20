/* The event loop: one thread, everything in it. A thin face over libuv, whose handles close
 * asynchronously; objects here are freed by their owner at any time and never call back afterwards.
 */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct loop;

struct loop *loop_new(void);
/* Everything made on the loop must have been freed before. */
void loop_free(struct loop *loop);
/* Runs until loop_stop, or until nothing is left that could call back. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/* Milliseconds on a clock that only goes forward, as of the start of this turn. */
uint64_t loop_now_ms(const struct loop *loop);

/* Calls fn(arg) once, after the callbacks of this turn, before the loop waits again. What
 * fn defers runs one pass later, between looks at the descriptors. The common use: free an object
 * when nothing can refer to it. */
void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Work of a millisecond or so that many may want in the same instant: fn(arg) is called once for
 * each loop_turn_ask, the oldest first, and a few of all turns between two looks at the
 * descriptors. */
struct loop_turn;
struct loop_turn *loop_turn_new(struct loop *loop, void (*fn)(void *arg), void *arg);
/* Nothing when it waits already. */
void loop_turn_ask(struct loop_turn *turn);
void loop_turn_free(struct loop_turn *turn);

/* A function called each time just before the loop waits; it may be used to flush work. Returns an
 * object to be freed with loop_prepare_free. It does not keep loop_run from returning. */
struct loop_prepare;
struct loop_prepare *loop_prepare_new(struct loop *loop, void (*fn)(void *arg), void *arg);
void loop_prepare_free(struct loop_prepare *hook);

/* Timers. One shot; start again for more. Starting a running timer moves it. The delay counts from
 * the call, never less. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *loop, void (*fn)(void *arg), void *arg);
void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_is_active(const struct loop_timer *timer);
void loop_timer_free(struct loop_timer *timer);

/* Readiness of a descriptor, level-triggered. Free the watch before closing the descriptor. At most
 * one watch per descriptor. */
enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_HANGUP = 4, /* the peer shut its writing side, or the connection is gone */
};
struct loop_watch;
/* Makes the descriptor non-blocking; wants nothing yet. Regular files cannot be watched: that ends
 * the process. events in the callback: those of LOOP_* that hold and are wanted; on a descriptor
 * error LOOP_READ | LOOP_WRITE, as long as anything is wanted. */
struct loop_watch *loop_watch_new(
	struct loop *loop, int fd, void (*fn)(unsigned events, void *arg), void *arg);
/* 0 = nothing. Cheap: the system is told once a turn, and only of a difference. */
void loop_watch_set(struct loop_watch *watch, unsigned events);
unsigned loop_watch_get(const struct loop_watch *watch);
void loop_watch_free(struct loop_watch *watch);

/* Unix signals. */
struct loop_signal;
struct loop_signal *loop_signal_new(
	struct loop *loop, int signum, void (*fn)(int signum, void *arg), void *arg);
void loop_signal_free(struct loop_signal *signal);

/* Changes of one file, by inotify on its folder, so that a file replaced by rename is seen too.
 * NULL and err set when the folder cannot be watched. */
struct loop_file;
struct loop_file *loop_file_new(
	struct loop *loop, const char *path, void (*fn)(void *arg), void *arg, struct err *err);
void loop_file_free(struct loop_file *file);

/* Work that must block: work runs on a helper thread and touches only arg; done runs in the loop,
 * always, also after loop_work_cancel (with canceled true; work may still have run). */
struct loop_work;
struct loop_work *loop_work_start(struct loop *loop, void (*work)(void *arg),
	void (*done)(void *arg, bool canceled), void *arg);
void loop_work_cancel(struct loop_work *work);

/* Addresses of a host, asked on a helper thread. done gets at least one address, or err. */
struct loop_resolve;
struct loop_address {
	struct sockaddr_storage addr;
	socklen_t len;
};
struct loop_resolve *loop_resolve_start(struct loop *loop, const char *host, uint16_t port,
	void (*done)(void *arg, const struct loop_address *addresses, size_t count,
		const struct err *err),
	void *arg);
/* done is not called afterwards. */
void loop_resolve_cancel(struct loop_resolve *resolve);

#endif
