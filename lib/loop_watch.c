/* Timers, descriptors and signals. Each object embeds its libuv handle: freeing closes the handle
 * at once, so that it never calls back again, and the memory goes when libuv has let go of it. */
#include "lib/loop.h"

#include "lib/loop_priv.h"

#include <utlist.h>

struct loop_timer {
	uv_timer_t handle;
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_watch {
	uv_poll_t handle;
	struct loop *loop;
	void (*fn)(unsigned events, void *arg);
	void *arg;
	unsigned wanted;         /* LOOP_*, as the owner set it */
	unsigned known;          /* the mask that libuv watches for now */
	bool is_changed;         /* in loop->changed: wanted != known */
	struct loop_watch *prev; /* in loop->changed */
	struct loop_watch *next;
};

struct loop_signal {
	uv_signal_t handle;
	struct loop *loop;
	void (*fn)(int signum, void *arg);
	void *arg;
};

/* Every handle here is the first member of its object. */
static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_timer(uv_timer_t *handle)
{
	struct loop_timer *timer = handle->data;
	struct loop *loop = timer->loop;

	loop->timer_depth++;
	timer->fn(timer->arg);
	loop->timer_depth--;
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *timer = xcalloc(1, sizeof(*timer));

	timer->loop = loop;
	timer->fn = fn;
	timer->arg = arg;
	uv_timer_init(&loop->uv, &timer->handle);
	timer->handle.data = timer;
	loop->objects++;
	return timer;
}

void loop_timer_start(struct loop_timer *timer, uint64_t delay_ms)
{
	uint64_t cached = uv_now(&timer->loop->uv);
	uint64_t now = uv_hrtime() / 1000000;

	/* libuv runs all timers that are due before anything else: one that starts itself again
	 * without delay would be due for ever. */
	if (!delay_ms && timer->loop->timer_depth)
		delay_ms = 1;
	/* libuv counts from the start of the turn, which may be long ago by now. The loop's clock
	 * is not moved for that: it stands still during a turn. */
	if (now > cached && delay_ms < UINT64_MAX - (now - cached))
		delay_ms += now - cached;
	uv_timer_start(&timer->handle, on_timer, delay_ms, 0);
}

void loop_timer_stop(struct loop_timer *timer)
{
	uv_timer_stop(&timer->handle);
}

bool loop_timer_is_active(const struct loop_timer *timer)
{
	return uv_is_active((const uv_handle_t *)&timer->handle);
}

void loop_timer_free(struct loop_timer *timer)
{
	if (!timer)
		return;
	timer->loop->objects--;
	uv_close((uv_handle_t *)&timer->handle, on_closed);
}

static int mask_to_uv(unsigned events)
{
	return (events & LOOP_READ ? UV_READABLE : 0) | (events & LOOP_WRITE ? UV_WRITABLE : 0) |
	       (events & LOOP_HANGUP ? UV_DISCONNECT : 0);
}

static unsigned mask_from_uv(int events)
{
	return (events & UV_READABLE ? LOOP_READ : 0u) | (events & UV_WRITABLE ? LOOP_WRITE : 0u) |
	       (events & UV_DISCONNECT ? LOOP_HANGUP : 0u);
}

/* Keeps loop->changed in step with the two masks. */
static void note_change(struct loop_watch *watch)
{
	bool changed = watch->wanted != watch->known;

	if (changed == watch->is_changed)
		return;
	watch->is_changed = changed;
	if (changed) {
		DL_APPEND(watch->loop->changed, watch);
		loop_wake(watch->loop);
	} else {
		DL_DELETE(watch->loop->changed, watch);
	}
}

static void on_poll(uv_poll_t *handle, int status, int uv_events)
{
	struct loop_watch *watch = handle->data;
	unsigned events = mask_from_uv(uv_events) & watch->wanted;

	if (status < 0) {
		/* A socket error. libuv has stopped watching, but here that is level-triggered too:
		 * it watches again unless the callback takes its wish back. */
		watch->known = 0;
		note_change(watch);
		events = watch->wanted ? LOOP_READ | LOOP_WRITE : 0;
	}
	/* Nothing remains when the mask was narrowed earlier in this turn. */
	if (events)
		watch->fn(events, watch->arg);
}

struct loop_watch *loop_watch_new(
	struct loop *loop, int fd, void (*fn)(unsigned events, void *arg), void *arg)
{
	struct loop_watch *watch = xcalloc(1, sizeof(*watch));
	int status;

	watch->loop = loop;
	watch->fn = fn;
	watch->arg = arg;
	/* Makes the descriptor non-blocking, and fails for what cannot be polled. */
	status = uv_poll_init(&loop->uv, &watch->handle, fd);
	if (status)
		loop_die("a descriptor cannot be watched", status);
	watch->handle.data = watch;
	loop->objects++;
	return watch;
}

void loop_watch_set(struct loop_watch *watch, unsigned events)
{
	/* Each change costs libuv two system calls, so it is told once, before the loop waits. */
	watch->wanted = events & (LOOP_READ | LOOP_WRITE | LOOP_HANGUP);
	note_change(watch);
}

unsigned loop_watch_get(const struct loop_watch *watch)
{
	return watch->wanted;
}

void loop_watch_free(struct loop_watch *watch)
{
	if (!watch)
		return;
	if (watch->is_changed)
		DL_DELETE(watch->loop->changed, watch);
	watch->loop->objects--;
	/* At once, not later: it takes the descriptor out of the epoll set and drops its events of
	 * this turn. Later, the number may be a new watch's. */
	uv_close((uv_handle_t *)&watch->handle, on_closed);
}

void loop_flush_watches(struct loop *loop)
{
	struct loop_watch *watch;
	struct loop_watch *next;

	DL_FOREACH_SAFE (loop->changed, watch, next) {
		int status = 0;

		if (watch->wanted)
			status = uv_poll_start(&watch->handle, mask_to_uv(watch->wanted), on_poll);
		else
			uv_poll_stop(&watch->handle);
		if (status)
			loop_die("a descriptor has two watches", status);
		watch->known = watch->wanted;
		note_change(watch);
	}
}

static void on_signal(uv_signal_t *handle, int signum)
{
	struct loop_signal *signal = handle->data;

	signal->fn(signum, signal->arg);
}

struct loop_signal *loop_signal_new(
	struct loop *loop, int signum, void (*fn)(int signum, void *arg), void *arg)
{
	struct loop_signal *signal = xcalloc(1, sizeof(*signal));
	int status;

	signal->loop = loop;
	signal->fn = fn;
	signal->arg = arg;
	status = uv_signal_init(&loop->uv, &signal->handle);
	if (!status)
		status = uv_signal_start(&signal->handle, on_signal, signum);
	if (status)
		loop_die("a signal cannot be caught", status);
	signal->handle.data = signal;
	loop->objects++;
	return signal;
}

void loop_signal_free(struct loop_signal *signal)
{
	if (!signal)
		return;
	signal->loop->objects--;
	uv_close((uv_handle_t *)&signal->handle, on_closed);
}
