/* Exec instances: further programs in a running container. */
#include "simulator/simulator_priv.h"

#include <stdio.h>
#include <string.h>

static void exec_event(struct sim_exec *x, const char *action, const char *code)
{
	const struct sim_event_attr attrs[] = {
		{"execID", x->id}, {code ? "exitCode" : NULL, code}, {NULL, NULL}};
	CLEANUP_BUF struct buf text = {0};

	if (!x->container)
		return;
	buf_init(&text, SIM_BODY_MAX * 2);
	buf_append_str(&text, action);
	if (!code) {
		buf_printf(&text, ": %s ", x->argv.items[0]);
		for (size_t i = 1; i < x->argv.len; i++)
			buf_printf(&text, "%s%s", i > 1 ? " " : "", x->argv.items[i]);
	}
	sim_event_container(x->engine, x->container, buf_str(&text), attrs);
}

void sim_exec_discard(struct sim_exec *x)
{
	HASH_DEL(x->engine->execs, x);
	sim_proc_free(x->proc);
	str_list_free(&x->argv);
	free(x->detach_keys);
	free(x);
}

/* Old ones go when there are too many, oldest first, but none that runs. */
static void execs_trim(struct sim_engine *e)
{
	struct sim_exec *x;
	struct sim_exec *tmp;

	HASH_ITER (hh, e->execs, x, tmp) {
		if (HASH_COUNT(e->execs) < SIM_EXECS_MAX)
			return;
		if (!x->running)
			sim_exec_discard(x);
	}
}

int sim_exec_create(struct sim_engine *e, const char *container, const json_t *body,
	struct sim_exec **out, struct err *err)
{
	json_t *cmd = json_arr(body, "Cmd");
	struct sim_container *c;
	struct sim_exec *x;
	json_t *item;
	size_t i;
	int status = 0;

	if (!json_array_size(cmd))
		return sim_fail(err, 400, "No exec command specified");
	c = sim_container_find(e, container, &status, err);
	if (!c)
		return status;
	if (c->state == SIM_PAUSED)
		return sim_fail(err, 409,
			"Container %s is paused, unpause the container before exec", container);
	if (c->state != SIM_RUNNING)
		return sim_fail(err, 409, "Container %s is not running", c->id);
	execs_trim(e);
	if (HASH_COUNT(e->execs) >= SIM_EXECS_MAX)
		return sim_fail(err, 507, "too many exec instances");
	x = xcalloc(1, sizeof(*x));
	x->engine = e;
	x->container = c;
	memcpy(x->container_id, c->id, sizeof(x->container_id));
	sim_hex(sim_random(e), x->id);
	json_array_foreach (cmd, i, item)
		str_list_add(&x->argv, json_string_value(item) ? json_string_value(item) : "");
	x->tty = json_bool(body, "Tty", false);
	x->in = json_bool(body, "AttachStdin", false);
	x->out = json_bool(body, "AttachStdout", false);
	x->err = json_bool(body, "AttachStderr", false);
	x->privileged = json_bool(body, "Privileged", false);
	x->detach_keys = xstrdup(json_str(body, "DetachKeys", ""));
	HASH_ADD_STR(e->execs, id, x);
	exec_event(x, "exec_create", NULL);
	*out = x;
	return 0;
}

struct sim_exec *sim_exec_find(struct sim_engine *e, const char *id, struct err *err)
{
	struct sim_exec *x;

	HASH_FIND_STR(e->execs, id, x);
	if (!x || !x->container) {
		sim_fail(err, 404, "No such exec instance: %s", id);
		return NULL;
	}
	return x;
}

static void exec_output(void *arg, int fd, const char *data, size_t len)
{
	struct sim_exec *x = arg;

	if (x->fn && (fd == SIM_STDERR ? x->err : x->out))
		x->fn(x->arg, fd, data, len, sim_now(x->engine));
}

static void exec_done(struct sim_exec *x, int code)
{
	char text[16];

	sim_proc_free(TAKE_PTR(x->proc));
	x->running = false;
	x->exit_code = code;
	snprintf(text, sizeof(text), "%d", code);
	exec_event(x, "exec_die", text);
	if (x->fn)
		x->fn(x->arg, 0, NULL, 0, 0);
	x->fn = NULL;
}

static void exec_exit(void *arg, int code)
{
	exec_done(arg, code);
}

int sim_exec_start(struct sim_exec *x,
	void (*fn)(void *arg, int fd, const char *data, size_t len, int64_t ns), void *arg,
	struct err *err)
{
	static const struct sim_proc_ops ops = {.output = exec_output, .exit = exec_exit};

	if (x->started)
		return sim_fail(err, 409, "Error: Exec command %s has already run", x->id);
	if (!x->container || x->container->state != SIM_RUNNING)
		return sim_fail(err, 409, "Container %s is not running", x->container_id);
	x->started = true;
	x->running = true;
	x->fn = fn;
	x->arg = arg;
	x->pid = x->engine->next_pid++;
	x->proc = sim_proc_new(x->engine->options->loop, &x->argv, x->in, x->tty, &ops, x);
	exec_event(x, "exec_start", NULL);
	return 0;
}

void sim_exec_leave(struct sim_exec *x)
{
	x->fn = NULL;
}

void sim_exec_container_gone(struct sim_engine *e, struct sim_container *c, bool removed)
{
	struct sim_exec *x;
	struct sim_exec *tmp;

	HASH_ITER (hh, e->execs, x, tmp) {
		if (x->container != c)
			continue;
		if (x->running)
			exec_done(x, 137);
		if (removed)
			x->container = NULL;
	}
}

void sim_exec_write(struct buf *b, const struct sim_exec *x)
{
	buf_append_char(b, '{');
	sim_json_s(b, "ID", x->id);
	sim_json_b(b, "Running", x->running);
	if (x->started && !x->running)
		sim_json_i(b, "ExitCode", x->exit_code);
	else
		sim_json_raw(b, "ExitCode", "null");
	sim_json_key(b, "ProcessConfig");
	buf_append_char(b, '{');
	sim_json_b(b, "tty", x->tty);
	sim_json_s(b, "entrypoint", x->argv.items[0]);
	sim_json_key(b, "arguments");
	buf_append_char(b, '[');
	for (size_t i = 1; i < x->argv.len; i++) {
		sim_json_item(b);
		sim_json_quote(b, x->argv.items[i]);
	}
	buf_append_char(b, ']');
	sim_json_b(b, "privileged", x->privileged);
	buf_append_char(b, '}');
	sim_json_b(b, "OpenStdin", x->in);
	sim_json_b(b, "OpenStderr", x->err);
	sim_json_b(b, "OpenStdout", x->out);
	sim_json_b(b, "CanRemove", false);
	sim_json_s(b, "ContainerID", x->container_id);
	sim_json_s(b, "DetachKeys", x->detach_keys);
	sim_json_i(b, "Pid", x->pid);
	buf_append_char(b, '}');
}
