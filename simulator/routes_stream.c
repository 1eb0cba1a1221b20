/* Requests that last: wait, logs, stats, attach, exec. */
#include "simulator/http.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* ---- wait ---- */

struct wait {
	struct sim_request *r;
	struct sim_waiter waiter;
};

static void wait_cleanup(struct sim_request *r)
{
	struct wait *w = r->state;

	sim_container_wait_cancel(&w->waiter);
	free(w);
}

static void wait_answer(struct sim_request *r, int code)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"Error\":null,\"StatusCode\":%d}\n", code);
	exchange_reply_write(r->x, text, strlen(text));
	exchange_reply_end(r->x);
}

static void wait_done(void *arg, int code)
{
	wait_answer(((struct wait *)arg)->r, code);
}

static void container_wait(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);
	const char *condition = sim_query(r, "condition");
	struct wait *w;

	if (!c)
		return;
	/* The head goes out at once: clients start the container when they see it. */
	sim_reply_stream(r, 200, "application/json");
	w = xcalloc(1, sizeof(*w));
	w->r = r;
	w->waiter.fn = wait_done;
	w->waiter.arg = w;
	w->waiter.condition = str_eq(condition, "next-exit") ? SIM_NEXT_EXIT
			      : str_eq(condition, "removed") ? SIM_REMOVED
							     : SIM_NOT_RUNNING;
	r->state = w;
	r->cleanup = wait_cleanup;
	if (w->waiter.condition == SIM_NOT_RUNNING && !sim_container_is_running(c) &&
		c->state != SIM_RESTARTING)
		wait_answer(r, c->exit_code);
	else
		sim_container_wait(c, &w->waiter);
}

/* ---- logs ---- */

struct logs {
	struct sim_request *r;
	struct sim_follower follower;
	struct sim_log_query query;
	struct loop_timer *until;
	bool full;
};

static void logs_cleanup(struct sim_request *r)
{
	struct logs *l = r->state;

	sim_container_unfollow(&l->follower);
	loop_timer_free(l->until);
	free(l);
}

static void logs_follow(void *arg, int fd, const char *data, size_t len, int64_t ns)
{
	struct logs *l = arg;
	CLEANUP_BUF struct buf b = {0};

	if (l->full)
		return;
	if (!data) {
		exchange_reply_end(l->r->x);
		return;
	}
	buf_init(&b, 4 * SIM_LOG_MAX + 2 * len);
	while (len) {
		const char *newline = memchr(data, '\n', len);
		size_t piece = newline ? (size_t)(newline - data) + 1 : len;

		sim_log_write_entry(&b, &l->query, ns, fd, data, piece);
		data += piece;
		len -= piece;
	}
	if (b.len && !exchange_reply_write(l->r->x, b.data, b.len)) {
		l->full = true;
		exchange_reply_abort(l->r->x, "the client reads logs too slowly");
	}
}

static void logs_until(void *arg)
{
	struct logs *l = arg;

	sim_container_unfollow(&l->follower);
	if (!l->full)
		exchange_reply_end(l->r->x);
}

/* Seconds with an optional fraction; anything else counts as not given, as with the engine. */
static int64_t log_time(const char *text)
{
	CLEANUP_FREE char *seconds = xstrndup(text, strcspn(text, "."));
	long long n;

	return str_to_int(seconds, 0, 9000000000ll, &n, "time", NULL) ? 0 : n * 1000000000;
}

static void container_logs(struct sim_request *r)
{
	const char *tail = sim_query(r, "tail");
	int64_t now = sim_now(r->engine);
	struct sim_log_query query = {.out = sim_query_bool(r, "stdout"),
		.err = sim_query_bool(r, "stderr"),
		.timestamps = sim_query_bool(r, "timestamps"),
		.since_ns = log_time(sim_query(r, "since")),
		.until_ns = log_time(sim_query(r, "until"))};
	struct sim_container *c;
	CLEANUP_BUF struct buf b = {0};
	struct logs *l;

	if (!query.out && !query.err) {
		sim_reply_text(r, 400, "Bad parameters: you must choose at least one stream");
		return;
	}
	c = sim_request_container(r);
	if (!c)
		return;
	if (!*tail || str_to_int(tail, 0, INT32_MAX, &query.tail, "tail", NULL))
		query.tail = -1;
	query.framed = !c->spec->tty;
	buf_init(&b, 64 * SIM_LOG_MAX);
	if (c->log)
		sim_log_write(c->log, &query, &b);
	sim_reply_stream(r, 200,
		r->engine->options->api < 1042 ? NULL
		: c->spec->tty                 ? "application/vnd.docker.raw-stream"
					       : "application/vnd.docker.multiplexed-stream");
	if (b.len)
		exchange_reply_write(r->x, b.data, b.len);
	if (!sim_query_bool(r, "follow") || !sim_container_is_running(c) ||
		(query.until_ns && query.until_ns <= now)) {
		exchange_reply_end(r->x);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->r = r;
	l->query = query;
	l->follower.fn = logs_follow;
	l->follower.arg = l;
	r->state = l;
	r->cleanup = logs_cleanup;
	sim_container_follow(c, &l->follower);
	if (query.until_ns) {
		l->until = loop_timer_new(r->engine->options->loop, logs_until, l);
		loop_timer_start(l->until, (uint64_t)((query.until_ns - now) / 1000000 + 1));
	}
}

/* ---- stats ---- */

struct stats {
	struct sim_request *r;
	struct sim_waiter gone;
	struct loop_timer *timer;
};

static void stats_cleanup(struct sim_request *r)
{
	struct stats *s = r->state;

	sim_container_wait_cancel(&s->gone);
	loop_timer_free(s->timer);
	free(s);
}

static void stats_send(struct stats *s, bool first)
{
	CLEANUP_BUF struct buf b = {0};

	buf_init(&b, 64 * 1024);
	sim_stats_write(&b, s->gone.container, first);
	/* A reader that is late misses some: each line stands for itself. */
	exchange_reply_write(s->r->x, b.data, b.len);
	loop_timer_start(s->timer, 1000);
}

static void stats_timer(void *arg)
{
	stats_send(arg, false);
}

static void stats_gone(void *arg, int code)
{
	struct stats *s = arg;

	(void)code;
	loop_timer_stop(s->timer);
	exchange_reply_end(s->r->x);
}

static void container_stats(struct sim_request *r)
{
	struct sim_container *c;
	const char *stream = sim_query(r, "stream");
	CLEANUP_BUF struct buf b = {0};
	struct stats *s;

	if (*stream && !sim_query_bool(r, "stream")) {
		c = sim_request_container(r);
		if (!c)
			return;
		buf_init(&b, 64 * 1024);
		sim_stats_write(&b, c, sim_query_bool(r, "one-shot"));
		b.len--;
		sim_reply_buf(r, 200, &b);
		return;
	}
	if (sim_query_bool(r, "one-shot")) {
		sim_reply_text(r, 400, "cannot have stream=true and one-shot=true");
		return;
	}
	c = sim_request_container(r);
	if (!c)
		return;
	sim_reply_stream(r, 200, "application/json");
	s = xcalloc(1, sizeof(*s));
	s->r = r;
	s->gone.fn = stats_gone;
	s->gone.arg = s;
	s->gone.condition = SIM_REMOVED;
	s->timer = loop_timer_new(r->engine->options->loop, stats_timer, s);
	r->state = s;
	r->cleanup = stats_cleanup;
	sim_container_wait(c, &s->gone);
	stats_send(s, true);
}

/* ---- attach, exec, resize ---- */

static void container_attach(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);

	if (!c)
		return;
	if (c->state == SIM_PAUSED) {
		sim_reply_text(r, 409,
			"Container %s is paused, unpause the container before attach.", r->name);
		return;
	}
	sim_pipe_attach(r, c);
}

static void container_attach_ws(struct sim_request *r)
{
	struct sim_container *c = sim_request_container(r);

	if (c && c->state == SIM_PAUSED)
		sim_reply_text(r, 409,
			"Container %s is paused, unpause the container before attach.", r->name);
	else if (c)
		sim_pipe_attach_ws(r, c);
}

static bool size_is_number(struct sim_request *r, const char *key)
{
	long long n;

	if (!str_to_int(sim_query(r, key), 0, INT32_MAX, &n, key, NULL))
		return true;
	sim_reply_text(r, 400, "strconv.Atoi: parsing \"%s\": invalid syntax", sim_query(r, key));
	return false;
}

static void container_resize(struct sim_request *r)
{
	struct sim_container *c;
	struct sim_event_attr attrs[] = {
		{"height", sim_query(r, "h")}, {"width", sim_query(r, "w")}, {NULL, NULL}};

	if (!size_is_number(r, "h") || !size_is_number(r, "w"))
		return;
	c = sim_request_container(r);
	if (!c)
		return;
	if (!sim_container_is_running(c)) {
		sim_reply_text(r, 409, "Container %s is not running", c->id);
		return;
	}
	sim_event_container(r->engine, c, "resize", attrs);
	sim_reply_empty(r, 200);
}

static void exec_create(struct sim_request *r)
{
	struct sim_exec *x = NULL;
	CLEANUP_BUF struct buf b = {0};
	struct err err = ERR_INIT;
	int status;

	if (!r->has_body)
		status = sim_fail(&err, 400, "No exec command specified");
	else
		status = sim_exec_create(r->engine, r->name, r->body, &x, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	buf_init(&b, 4096);
	buf_printf(&b, "{\"Id\":\"%s\"}", x->id);
	sim_reply_buf(r, 201, &b);
}

static struct sim_exec *request_exec(struct sim_request *r)
{
	struct err err = ERR_INIT;
	struct sim_exec *x = sim_exec_find(r->engine, r->name, &err);

	if (!x)
		sim_reply_error(r, 404, &err);
	return x;
}

static void exec_inspect(struct sim_request *r)
{
	struct sim_exec *x = request_exec(r);
	CLEANUP_BUF struct buf b = {0};

	if (!x)
		return;
	buf_init(&b, SIM_REPLY_MAX);
	sim_exec_write(&b, x);
	sim_reply_buf(r, 200, &b);
}

static void exec_start(struct sim_request *r)
{
	struct sim_exec *x = request_exec(r);
	struct err err = ERR_INIT;
	int status;

	if (!x)
		return;
	if (!json_bool(r->body, "Detach", false)) {
		sim_pipe_exec(r, x);
		return;
	}
	status = sim_exec_start(x, NULL, NULL, &err);
	sim_reply_done(r, status, 200, &err);
}

static void exec_resize(struct sim_request *r)
{
	struct sim_exec *x;

	if (!size_is_number(r, "h") || !size_is_number(r, "w"))
		return;
	x = request_exec(r);
	if (!x)
		return;
	if (x->running)
		sim_reply_empty(r, 200);
	else
		sim_reply_text(r, 404, "no such exec");
}

const struct sim_route sim_routes_stream[] = {
	{"POST", "/containers/", "/wait", container_wait, SIM_ROUTE_DISCARD},
	{"GET", "/containers/", "/logs", container_logs, 0},
	{"GET", "/containers/", "/stats", container_stats, 0},
	{"POST", "/containers/", "/attach", container_attach, SIM_ROUTE_JSON},
	{"GET", "/containers/", "/attach/ws", container_attach_ws, 0},
	{"POST", "/containers/", "/resize", container_resize, SIM_ROUTE_DISCARD},
	{"POST", "/containers/", "/exec", exec_create, SIM_ROUTE_JSON},
	{"POST", "/exec/", "/start", exec_start, SIM_ROUTE_JSON},
	{"POST", "/exec/", "/resize", exec_resize, SIM_ROUTE_DISCARD},
	{"GET", "/exec/", "/json", exec_inspect, 0},
	{NULL, NULL, NULL, NULL, 0},
};
