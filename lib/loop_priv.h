/* What the files of the loop share; uv.h goes no further than here. */
#ifndef LIB_LOOP_PRIV_H
#define LIB_LOOP_PRIV_H

#include "lib/loop.h"

#include <uv.h>

struct deferred {
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_prepare_t prepare; /* just before the loop waits */
	uv_check_t check;     /* just after it has waited and called back */
	uv_idle_t pending;    /* active while something must happen before the loop may wait */

	struct deferred *deferred; /* calls that wait for their pass */
	size_t deferred_len;
	size_t deferred_cap;

	struct loop_turn *turns; /* list; those that were asked for */
	bool is_turn_deferred;

	struct loop_prepare *hooks; /* list; those freed while it is walked have no fn */
	bool walking_hooks;

	struct loop_watch *changed; /* list; watches whose mask libuv does not know yet */
	unsigned timer_depth;       /* inside a timer's callback */

	size_t objects;  /* timers, watches, signals, files, turns and hooks that have an owner */
	size_t requests; /* work and look-ups that have not ended */
};

/* Ends the process: a bug of the caller, or a system without descriptors or memory at start. */
void loop_die(const char *what, int uv_status) __attribute__((noreturn));
/* Does not let the loop wait, nor end, before the next pass of deferred calls. */
void loop_wake(struct loop *loop);
/* Tells libuv about the changed masks. */
void loop_flush_watches(struct loop *loop);

#endif
