#include "lib/loop.h"

#include "lib/log.h"
#include "lib/loop_priv.h"

#include <string.h>
#include <utlist.h>

/* Above this many entries, the queue of deferred calls gives its memory back when empty. */
#define DEFERRED_KEEP 1024

struct loop_prepare {
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	struct loop_prepare *prev;
	struct loop_prepare *next;
};

void loop_die(const char *what, int uv_status)
{
	log_error("event loop: %s: %s", what, uv_strerror(uv_status));
	(void)log_flush();
	abort();
}

static void on_pending(uv_idle_t *handle)
{
	(void)handle;
}

void loop_wake(struct loop *loop)
{
	/* That it is active makes libuv poll instead of waiting. No effect when it is already. */
	uv_idle_start(&loop->pending, on_pending);
}

/* One pass: the calls that were queued before it. What they queue runs in the next one, so that
 * calls which always queue another cannot keep the loop from looking at its descriptors. */
static void run_deferred(struct loop *loop)
{
	size_t end = loop->deferred_len;

	/* A call may add calls, and so move the array. */
	for (size_t i = 0; i < end; i++) {
		struct deferred call = loop->deferred[i];

		call.fn(call.arg);
	}
	loop->deferred_len -= end;
	if (loop->deferred_len > 0) {
		memmove(loop->deferred, loop->deferred + end,
			loop->deferred_len * sizeof(*loop->deferred));
	} else if (loop->deferred_cap > DEFERRED_KEEP) {
		free(loop->deferred);
		loop->deferred = NULL;
		loop->deferred_cap = 0;
	}
}

static void run_hooks(struct loop *loop)
{
	struct loop_prepare *hook;
	struct loop_prepare *next;

	/* Nothing is taken out while the list is walked, so that any hook may free any other. */
	loop->walking_hooks = true;
	DL_FOREACH (loop->hooks, hook) {
		if (hook->fn)
			hook->fn(hook->arg);
	}
	loop->walking_hooks = false;
	DL_FOREACH_SAFE (loop->hooks, hook, next) {
		if (!hook->fn) {
			DL_DELETE(loop->hooks, hook);
			free(hook);
		}
	}
}

static void on_prepare(uv_prepare_t *handle)
{
	struct loop *loop = handle->data;
	bool again;

	run_deferred(loop);
	run_hooks(loop);
	/* What the hooks deferred may give them something to do: poll, and come back. */
	again = loop->deferred_len > 0;
	run_deferred(loop);
	loop_flush_watches(loop);
	if (again || loop->deferred_len)
		return;
	uv_idle_stop(&loop->pending);
	/* libuv takes the time to wait from its clock, which stood still while timers called back.
	 */
	uv_update_time(&loop->uv);
}

static void on_check(uv_check_t *handle)
{
	run_deferred(handle->data);
}

struct loop *loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));
	int status = uv_loop_init(&loop->uv);

	if (status)
		loop_die("cannot start", status);
	/* These three cannot fail. The first two never keep the loop running. */
	uv_prepare_init(&loop->uv, &loop->prepare);
	loop->prepare.data = loop;
	uv_prepare_start(&loop->prepare, on_prepare);
	uv_unref((uv_handle_t *)&loop->prepare);
	uv_check_init(&loop->uv, &loop->check);
	loop->check.data = loop;
	uv_check_start(&loop->check, on_check);
	uv_unref((uv_handle_t *)&loop->check);
	uv_idle_init(&loop->uv, &loop->pending);
	return loop;
}

static void report_handle(uv_handle_t *handle, void *arg)
{
	struct loop *loop = arg;

	if (uv_is_closing(handle) || handle == (uv_handle_t *)&loop->prepare ||
		handle == (uv_handle_t *)&loop->check || handle == (uv_handle_t *)&loop->pending)
		return;
	log_error("event loop: a %s was not freed", uv_handle_type_name(handle->type));
}

void loop_free(struct loop *loop)
{
	int status;

	if (!loop)
		return;
	/* Canceled work must end and be reported, whoever it was for; so must deferred calls. */
	while (loop->requests || loop->deferred_len)
		uv_run(&loop->uv, UV_RUN_ONCE);
	if (loop->objects) {
		uv_walk(&loop->uv, report_handle, loop);
		loop_die("freed with objects still on it", UV_EBUSY);
	}
	uv_close((uv_handle_t *)&loop->prepare, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->pending, NULL);
	/* Closing handles release their memory in callbacks. A loop_stop that no run has seen yet
	 * makes the first turn end early. */
	while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
		;
	status = uv_loop_close(&loop->uv);
	if (status)
		loop_die("cannot be closed", status);
	free(loop->deferred);
	free(loop);
}

void loop_run(struct loop *loop)
{
	uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
	uv_stop(&loop->uv);
}

uint64_t loop_now_ms(const struct loop *loop)
{
	return uv_now(&loop->uv);
}

void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	if (loop->deferred_len == loop->deferred_cap) {
		loop->deferred_cap = loop->deferred_cap ? loop->deferred_cap * 2 : 16;
		loop->deferred =
			xreallocarray(loop->deferred, loop->deferred_cap, sizeof(*loop->deferred));
	}
	loop->deferred[loop->deferred_len].fn = fn;
	loop->deferred[loop->deferred_len].arg = arg;
	loop->deferred_len++;
	loop_wake(loop);
}

/* ---- Turns ---- */

struct loop_turn {
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	bool is_asked;
	struct loop_turn *prev;
	struct loop_turn *next;
};

/* One, and the next in another pass. */
static void run_turn(void *arg)
{
	struct loop *loop = arg;
	struct loop_turn *turn = loop->turns;

	loop->is_turn_deferred = false;
	if (!turn)
		return;
	DL_DELETE(loop->turns, turn);
	turn->is_asked = false;
	if (loop->turns) {
		loop->is_turn_deferred = true;
		loop_defer(loop, run_turn, loop);
	}
	turn->fn(turn->arg);
}

struct loop_turn *loop_turn_new(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct loop_turn *turn = xcalloc(1, sizeof(*turn));

	turn->loop = loop;
	turn->fn = fn;
	turn->arg = arg;
	loop->objects++;
	return turn;
}

void loop_turn_ask(struct loop_turn *turn)
{
	struct loop *loop = turn->loop;

	if (turn->is_asked)
		return;
	turn->is_asked = true;
	DL_APPEND(loop->turns, turn);
	if (loop->is_turn_deferred)
		return;
	loop->is_turn_deferred = true;
	loop_defer(loop, run_turn, loop);
}

void loop_turn_free(struct loop_turn *turn)
{
	if (!turn)
		return;
	if (turn->is_asked)
		DL_DELETE(turn->loop->turns, turn);
	turn->loop->objects--;
	free(turn);
}

struct loop_prepare *loop_prepare_new(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct loop_prepare *hook = xcalloc(1, sizeof(*hook));

	hook->loop = loop;
	hook->fn = fn;
	hook->arg = arg;
	DL_APPEND(loop->hooks, hook);
	loop->objects++;
	return hook;
}

void loop_prepare_free(struct loop_prepare *hook)
{
	if (!hook)
		return;
	hook->loop->objects--;
	if (hook->loop->walking_hooks) {
		hook->fn = NULL;
		return;
	}
	DL_DELETE(hook->loop->hooks, hook);
	free(hook);
}
