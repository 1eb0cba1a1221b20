/* The life of a container: started, paused, ended, restarted; and those who wait for it. */
#include "simulator/simulator_priv.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define RESTART_FIRST_MS 100
#define RESTART_LAST_MS 60000

/* ---- Waiters and followers ---- */

void sim_container_wait(struct sim_container *c, struct sim_waiter *waiter)
{
	waiter->container = c;
	DL_APPEND(c->waiters, waiter);
}

void sim_container_wait_cancel(struct sim_waiter *waiter)
{
	if (waiter->container)
		DL_DELETE(waiter->container->waiters, waiter);
	waiter->container = NULL;
}

void sim_container_follow(struct sim_container *c, struct sim_follower *follower)
{
	follower->container = c;
	DL_APPEND(c->followers, follower);
}

void sim_container_unfollow(struct sim_follower *follower)
{
	if (follower->container)
		DL_DELETE(follower->container->followers, follower);
	follower->container = NULL;
}

/* Tells those for whom it is over now. */
void sim_container_wake(struct sim_container *c, bool removed)
{
	struct sim_waiter *waiter;
	struct sim_waiter *tmp;

	DL_FOREACH_SAFE (c->waiters, waiter, tmp) {
		if (!removed && waiter->condition == SIM_REMOVED)
			continue;
		DL_DELETE(c->waiters, waiter);
		waiter->container = NULL;
		waiter->fn(waiter->arg, c->exit_code);
	}
	while (c->followers) {
		struct sim_follower *follower = c->followers;

		sim_container_unfollow(follower);
		follower->fn(follower->arg, 0, NULL, 0, 0);
	}
}

static void container_output(void *arg, int fd, const char *data, size_t len)
{
	struct sim_container *c = arg;
	struct sim_follower *follower;
	struct sim_follower *tmp;
	int64_t now = sim_now(c->engine);

	if (!c->log)
		c->log = sim_log_new();
	sim_log_add(c->log, now, fd, data, len);
	DL_FOREACH_SAFE (c->followers, follower, tmp)
		follower->fn(follower->arg, fd, data, len, now);
}

/* ---- Ends ---- */

static void set_state(struct sim_container *c, enum sim_state state)
{
	struct sim_engine *e = c->engine;

	e->running -= c->state == SIM_RUNNING;
	e->paused -= c->state == SIM_PAUSED;
	c->state = state;
	e->running += c->state == SIM_RUNNING;
	e->paused += c->state == SIM_PAUSED;
}

static bool wants_restart(const struct sim_container *c)
{
	const char *policy = c->spec->restart_policy;

	if (c->stopped_by_user)
		return false;
	if (str_eq(policy, "always") || str_eq(policy, "unless-stopped"))
		return true;
	return str_eq(policy, "on-failure") && c->exit_code &&
	       (!c->spec->restart_max || c->restarts < c->spec->restart_max);
}

static void restart_due(void *arg)
{
	struct sim_container *c = arg;
	struct err err = ERR_INIT;

	set_state(c, SIM_EXITED);
	c->restarts++;
	if (sim_container_start(c, &err))
		sim_container_wake(c, false);
}

static void restart_later(struct sim_container *c)
{
	uint64_t delay = RESTART_FIRST_MS;

	for (unsigned i = 0; i < c->restarts && delay < RESTART_LAST_MS; i++)
		delay *= 2;
	if (!c->restart_timer)
		c->restart_timer = loop_timer_new(c->engine->options->loop, restart_due, c);
	loop_timer_start(c->restart_timer, delay < RESTART_LAST_MS ? delay : RESTART_LAST_MS);
}

/* Its program is no more. The container may be gone afterwards. */
static void container_ended(struct sim_container *c, int code)
{
	struct sim_engine *e = c->engine;
	char text[16];
	const struct sim_event_attr attrs[] = {{"exitCode", text}, {NULL, NULL}};
	bool again;

	sim_proc_free(TAKE_PTR(c->proc));
	c->exit_code = code;
	c->finished_ns = sim_now(e);
	c->pid = 0;
	again = wants_restart(c);
	set_state(c, again ? SIM_RESTARTING : SIM_EXITED);
	snprintf(text, sizeof(text), "%d", code);
	sim_exec_container_gone(e, c, false);
	sim_event_container(e, c, "die", attrs);
	sim_endpoints_down(c);
	sim_mounts_events(c, "unmount");
	if (again) {
		restart_later(c);
		return;
	}
	sim_container_wake(c, false);
	if (c->spec->auto_remove && !c->is_handled)
		sim_container_drop(c, true);
}

void sim_container_end(struct sim_container *c, int code)
{
	container_ended(c, code);
}

static void container_exit(void *arg, int code)
{
	container_ended(arg, code);
}

static const struct sim_proc_ops container_proc_ops = {
	.output = container_output,
	.exit = container_exit,
};

/* ---- Requests ---- */

static int start_failed(struct sim_container *c, int status, int code, struct err *err)
{
	free(c->error);
	c->error = xstrdup(err ? err->msg : "");
	c->exit_code = code;
	if (c->was_started)
		set_state(c, SIM_EXITED);
	return status;
}

int sim_container_start(struct sim_container *c, struct err *err)
{
	struct sim_engine *e = c->engine;
	struct err local = ERR_INIT;
	bool has_stdin = c->spec->open_stdin;
	struct sim_follower *follower;
	struct sim_follower *tmp;
	int status;

	if (c->state == SIM_PAUSED)
		return sim_fail(err, 409, "cannot start a paused container, try unpause instead");
	if (c->state == SIM_RUNNING)
		return 304;
	if (c->restart_timer)
		loop_timer_stop(c->restart_timer);
	if (!err)
		err = &local;
	status = sim_endpoints_up(c, err);
	if (status)
		return start_failed(c, status, 128, err);
	sim_mounts_events(c, "mount");
	free(TAKE_PTR(c->error));
	c->exit_code = 0;
	c->started_ns = sim_now(e);
	c->pid = e->next_pid++;
	c->stopped_by_user = false;
	c->was_started = true;
	set_state(c, SIM_RUNNING);
	if (!sim_proc_is_idle(&c->spec->argv, has_stdin, c->spec->tty))
		c->proc = sim_proc_new(e->options->loop, &c->spec->argv, has_stdin, c->spec->tty,
			&container_proc_ops, c);
	sim_event_container(e, c, "start", NULL);
	DL_FOREACH_SAFE (c->followers, follower, tmp)
		follower->fn(follower->arg, SIM_STDIN, "", 0, c->started_ns);
	return 0;
}

int sim_signal_number(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} signals[] = {{"HUP", 1}, {"INT", 2}, {"QUIT", 3}, {"ILL", 4}, {"TRAP", 5}, {"ABRT", 6},
		{"BUS", 7}, {"FPE", 8}, {"KILL", 9}, {"USR1", 10}, {"SEGV", 11}, {"USR2", 12},
		{"PIPE", 13}, {"ALRM", 14}, {"TERM", 15}, {"STKFLT", 16}, {"CHLD", 17},
		{"CONT", 18}, {"STOP", 19}, {"TSTP", 20}, {"TTIN", 21}, {"TTOU", 22}, {"URG", 23},
		{"XCPU", 24}, {"XFSZ", 25}, {"VTALRM", 26}, {"PROF", 27}, {"WINCH", 28}, {"IO", 29},
		{"PWR", 30}, {"SYS", 31}};
	long long n;

	if (!str_to_int(name, 1, 999, &n, "signal", NULL))
		return (int)n;
	if (str_has_prefix(name, "SIG") || str_has_prefix(name, "sig"))
		name += 3;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		if (str_ieq(name, signals[i].name))
			return signals[i].number;
	return -1;
}

/* Signals that the programs here do not die of. */
static bool is_harmless(int number)
{
	return number == 17 || number == 18 || number == 19 || (number >= 20 && number <= 23) ||
	       number == 28;
}

static void event_kill(struct sim_container *c, int number)
{
	char text[16];
	const struct sim_event_attr attrs[] = {{"signal", text}, {NULL, NULL}};

	snprintf(text, sizeof(text), "%d", number);
	sim_event_container(c->engine, c, "kill", attrs);
}

static int stop_signal(const struct sim_container *c)
{
	int number = sim_signal_number(c->spec->stop_signal);

	return number > 0 ? number : 15;
}

int sim_container_stop(struct sim_container *c, struct err *err)
{
	struct sim_engine *e = c->engine;

	(void)err;
	if (c->state == SIM_RESTARTING) {
		loop_timer_stop(c->restart_timer);
		set_state(c, SIM_EXITED);
		sim_container_wake(c, false);
		return 0;
	}
	if (!sim_container_is_running(c))
		return 304;
	c->stopped_by_user = true;
	event_kill(c, stop_signal(c));
	if (c->state == SIM_PAUSED) {
		set_state(c, SIM_RUNNING);
		sim_event_container(e, c, "unpause", NULL);
	}
	/* A container that removes itself is told of as stopped before it goes. */
	c->is_handled = true;
	container_ended(c, 128 + stop_signal(c));
	c->is_handled = false;
	sim_event_container(e, c, "stop", NULL);
	if (c->spec->auto_remove)
		sim_container_drop(c, true);
	return 0;
}

int sim_container_restart(struct sim_container *c, struct err *err)
{
	bool own = c->is_handled;
	int status;

	if (sim_container_is_running(c)) {
		c->stopped_by_user = true;
		event_kill(c, stop_signal(c));
		if (c->state == SIM_PAUSED) {
			set_state(c, SIM_RUNNING);
			sim_event_container(c->engine, c, "unpause", NULL);
		}
		c->is_handled = true;
		container_ended(c, 128 + stop_signal(c));
		c->is_handled = own;
		sim_event_container(c->engine, c, "stop", NULL);
	}
	status = sim_container_start(c, err);
	if (status)
		return status;
	sim_event_container(c->engine, c, "restart", NULL);
	return 0;
}

int sim_container_kill(
	struct sim_container *c, const char *key, const char *signal, struct err *err)
{
	int number = str_is_empty(signal) ? 9 : sim_signal_number(signal);

	if (number < 0)
		return sim_fail(err, 400, "Invalid signal: %s", signal);
	if (number > 64)
		return sim_fail(err, 500,
			"Cannot kill container: %s: The linux daemon does not support signal %d",
			key, number);
	if (!sim_container_is_running(c))
		return sim_fail(err, 409, "Cannot kill container: %s: Container %s is not running",
			key, c->id);
	event_kill(c, number);
	if (is_harmless(number) || (c->state == SIM_PAUSED && number != 9))
		return 0;
	if (number == 9 || number == stop_signal(c))
		c->stopped_by_user = true;
	container_ended(c, 128 + number);
	return 0;
}

int sim_container_pause(struct sim_container *c, struct err *err)
{
	if (c->state == SIM_PAUSED)
		return sim_fail(err, 409, "Container %s is already paused", c->id);
	if (c->state == SIM_RESTARTING)
		return sim_fail(err, 409,
			"Container %s is restarting, wait until the container is running", c->id);
	if (c->state != SIM_RUNNING)
		return sim_fail(err, 409, "Container %s is not running", c->id);
	set_state(c, SIM_PAUSED);
	if (c->proc)
		sim_proc_pause(c->proc, true);
	sim_event_container(c->engine, c, "pause", NULL);
	return 0;
}

int sim_container_unpause(struct sim_container *c, struct err *err)
{
	if (c->state != SIM_PAUSED)
		return sim_fail(err, 500, "Container %s is not paused", c->id);
	set_state(c, SIM_RUNNING);
	sim_event_container(c->engine, c, "unpause", NULL);
	if (c->proc)
		sim_proc_pause(c->proc, false);
	return 0;
}

void sim_container_input(struct sim_container *c, const char *data, size_t len)
{
	if (c->proc && c->spec->open_stdin)
		sim_proc_input(c->proc, data, len);
}

void sim_container_input_end(struct sim_container *c)
{
	/* The input of a container that may be attached to again stays open. */
	if (c->proc && c->spec->open_stdin && c->spec->stdin_once)
		sim_proc_input_end(c->proc);
}
