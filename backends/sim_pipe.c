/* A client's raw stream, joined to a container's or an exec instance's program. */
#include "backends/sim_http.h"

#include <string.h>
#include <utlist.h>

#define PIPE_HIGH (256 * 1024) /* output waiting for the client: its input is not read above */
#define PIPE_MAX (8 * 1024 * 1024)
#define HELD_MAX (256 * 1024)
#define READ_SIZE 16384
#define READS_PER_TURN 4
#define LINGER_MS 10000

struct sim_pipe {
	struct sim_pipe *prev, *next;
	struct sim_host *host;
	struct stream *stream;
	struct buf out;
	struct buf held;              /* input for a container that has not been started yet */
	struct sim_follower follower; /* of a container */
	struct sim_exec *exec;        /* or of an exec instance; NULL once that has ended */
	struct loop_timer *linger;
	bool want_in, want_out, want_err, tty;
	bool input_over;  /* the client has sent its end */
	bool output_over; /* no more output will come */
	bool shut;        /* our end has been sent */
	bool saw_ctrl_p;
};

void sim_pipe_free(struct sim_pipe *p)
{
	DL_DELETE(p->host->pipes, p);
	sim_container_unfollow(&p->follower);
	if (p->exec)
		sim_exec_leave(p->exec);
	loop_timer_free(p->linger);
	stream_close(p->stream);
	buf_reset(&p->out);
	buf_reset(&p->held);
	free(p);
}

static void pipe_linger(void *arg)
{
	sim_pipe_free(arg);
}

static bool pipe_is_waiting(const struct sim_pipe *p)
{
	return p->want_in && p->follower.container && !p->follower.container->proc;
}

/* Whether more input may be read now. */
static bool pipe_has_room(const struct sim_pipe *p)
{
	if (p->input_over)
		return false;
	if (p->shut)
		return true;
	return p->out.len < PIPE_HIGH && p->held.len + READ_SIZE <= HELD_MAX;
}

static void pipe_want(struct sim_pipe *p)
{
	unsigned events = 0;

	if (p->out.len)
		events |= LOOP_WRITE;
	if (pipe_has_room(p))
		events |= LOOP_READ;
	stream_want(p->stream, events);
}

/* Sends what waits. False: p is freed. */
static bool pipe_flush(struct sim_pipe *p)
{
	while (p->out.len) {
		ssize_t n = stream_write(p->stream, p->out.data, p->out.len);

		if (n == STREAM_AGAIN)
			break;
		if (n < 0) {
			sim_pipe_free(p);
			return false;
		}
		buf_consume(&p->out, (size_t)n);
	}
	if (!p->output_over || p->out.len) {
		pipe_want(p);
		return true;
	}
	if (!p->shut) {
		p->shut = true;
		stream_shutdown_write(p->stream);
		/* Closing before the client's end came could cost it our last bytes. */
		loop_timer_start(p->linger, LINGER_MS);
	}
	if (p->input_over) {
		sim_pipe_free(p);
		return false;
	}
	pipe_want(p);
	return true;
}

static void pipe_input(struct sim_pipe *p, const char *data, size_t len)
{
	if (pipe_is_waiting(p))
		buf_append(&p->held, data, len);
	else if (p->exec && p->exec->proc)
		sim_proc_input(p->exec->proc, data, len);
	else if (p->follower.container)
		sim_container_input(p->follower.container, data, len);
}

static void pipe_input_end(struct sim_pipe *p)
{
	p->input_over = true;
	if (!p->want_in || pipe_is_waiting(p))
		return;
	if (p->exec && p->exec->proc)
		sim_proc_input_end(p->exec->proc);
	else if (p->follower.container)
		sim_container_input_end(p->follower.container);
}

/* Ctrl-P Ctrl-Q on a terminal leaves it. True: it came. */
static bool pipe_detaches(struct sim_pipe *p, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p->saw_ctrl_p && data[i] == 17)
			return true;
		p->saw_ctrl_p = data[i] == 16;
	}
	return false;
}

static void pipe_ready(unsigned events, void *arg)
{
	struct sim_pipe *p = arg;
	char data[READ_SIZE];

	for (int i = 0; (events & (LOOP_READ | LOOP_HANGUP)) && i < READS_PER_TURN; i++) {
		ssize_t n;

		if (!pipe_has_room(p))
			break;
		n = stream_read(p->stream, data, sizeof(data));
		if (n == STREAM_AGAIN)
			break;
		if (n == STREAM_ERROR) {
			sim_pipe_free(p);
			return;
		}
		if (n == 0) {
			pipe_input_end(p);
			break;
		}
		if (!p->want_in || p->shut)
			continue;
		if (p->tty && pipe_detaches(p, data, (size_t)n)) {
			if (p->follower.container)
				sim_event_container(
					p->host->engine, p->follower.container, "detach", NULL);
			sim_container_unfollow(&p->follower);
			if (p->exec)
				sim_exec_leave(TAKE_PTR(p->exec));
			p->output_over = true;
			break;
		}
		pipe_input(p, data, (size_t)n);
	}
	pipe_flush(p);
}

static void pipe_put(struct sim_pipe *p, int fd, const char *data, size_t len)
{
	if (p->tty)
		buf_append(&p->out, data, len);
	else
		sim_frame(&p->out, fd, data, len);
}

/* Output of the program. Nothing is written here: p may be in use further up. */
static void pipe_output(void *arg, int fd, const char *data, size_t len, int64_t ns)
{
	struct sim_pipe *p = arg;

	(void)ns;
	if (data && fd == SIM_STDIN) {
		if (p->held.len)
			pipe_input(p, p->held.data, p->held.len);
		buf_reset(&p->held);
		if (p->input_over)
			pipe_input_end(p);
	} else if (!data) {
		p->exec = NULL;
		p->output_over = true;
	} else if (fd == SIM_STDERR ? p->want_err : p->want_out) {
		pipe_put(p, fd, data, len);
		if (p->out.failed)
			p->output_over = true; /* a client that does not read loses the rest */
	}
	stream_want(p->stream, LOOP_WRITE | (pipe_has_room(p) ? LOOP_READ : 0));
}

/* NULL: the client has gone. */
static struct sim_pipe *pipe_new(struct sim_request *r, bool tty, bool is_exec)
{
	struct sim_host *host = r->host;
	bool upgrade = exchange_header(r->x, "Upgrade") != NULL;
	bool multiplexed = !tty && r->engine->options->api >= 1042 && r->version >= 1042;
	struct http_headers h = {0};
	struct stream *stream;
	struct sim_pipe *p;

	/* The engine takes a connection over before it makes these headers, for attach. */
	if (is_exec)
		sim_headers(r, &h, NULL);
	http_headers_add(&h, "Content-Type",
		multiplexed ? "application/vnd.docker.multiplexed-stream"
			    : "application/vnd.docker.raw-stream");
	stream = exchange_upgrade(r->x, upgrade ? 101 : 200, &h);
	http_headers_free(&h);
	if (!stream)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->host = host;
	p->stream = stream;
	p->tty = tty;
	buf_init(&p->out, PIPE_MAX);
	buf_init(&p->held, HELD_MAX);
	p->linger = loop_timer_new(r->engine->options->loop, pipe_linger, p);
	DL_APPEND(host->pipes, p);
	stream_on_ready(stream, pipe_ready, p);
	return p;
}

void sim_pipe_attach(struct sim_request *r, struct sim_container *c)
{
	struct sim_log_query query = {.out = sim_query_bool(r, "stdout"),
		.err = sim_query_bool(r, "stderr"),
		.framed = !c->spec->tty,
		.tail = -1};
	bool stream = sim_query_bool(r, "stream");
	bool logs = sim_query_bool(r, "logs");
	bool in = sim_query_bool(r, "stdin");
	struct sim_pipe *p = pipe_new(r, c->spec->tty, false);

	if (!p)
		return;
	p->want_in = in && stream && c->spec->open_stdin;
	p->want_out = query.out;
	p->want_err = query.err;
	if (logs && c->log)
		sim_log_write(c->log, &query, &p->out);
	if (stream) {
		p->follower.fn = pipe_output;
		p->follower.arg = p;
		sim_container_follow(c, &p->follower);
	} else {
		p->output_over = true;
	}
	sim_event_container(p->host->engine, c, "attach", NULL);
	stream_want(p->stream, LOOP_READ | LOOP_WRITE);
}

void sim_pipe_exec(struct sim_request *r, struct sim_exec *x)
{
	struct err err = ERR_INIT;
	struct sim_pipe *p;
	int status;

	if (!x->started && (!x->container || x->container->state != SIM_RUNNING)) {
		sim_reply_text(r, 409, "Container %s is %s", x->container_id,
			x->container && x->container->state == SIM_PAUSED ? "paused"
									  : "not running");
		return;
	}
	p = pipe_new(r, x->tty, true);
	if (!p)
		return;
	status = sim_exec_start(x, pipe_output, p, &err);
	if (status) {
		/* The connection is raw already: the error goes the way of the output. */
		pipe_put(p, SIM_STDERR, err.msg, strlen(err.msg));
		p->output_over = true;
	} else {
		p->exec = x;
		p->want_in = x->in;
		p->want_out = x->out;
		p->want_err = x->err;
	}
	stream_want(p->stream, LOOP_READ | LOOP_WRITE);
}
