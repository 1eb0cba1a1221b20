/* A client's raw stream, joined to a container's or an exec instance's program. */
#include "simulator/http.h"
#include "simulator/ws.h"

#include "http/digest.h"

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
	struct sim_ws *ws;            /* it is a WebSocket: the reader of its frames */
	struct loop_timer *linger;
	bool binary; /* its frames hold bytes, not text */
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
	sim_ws_free(p->ws);
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
		if (p->ws && !p->shut && sim_ws_feed(p->ws, data, (size_t)n)) {
			p->input_over = p->output_over = true;
			break;
		}
		if (p->ws || !p->want_in || p->shut)
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
	if (p->ws)
		sim_ws_write(&p->out, p->binary ? SIM_WS_BINARY : SIM_WS_TEXT, data, len);
	else if (p->tty)
		buf_append(&p->out, data, len);
	else
		sim_frame(&p->out, fd, data, len);
}

static void pipe_over(struct sim_pipe *p)
{
	p->exec = NULL;
	if (p->ws && !p->output_over)
		sim_ws_write(&p->out, SIM_WS_CLOSE, "\x03\xe8", 2);
	p->output_over = true;
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
		pipe_over(p);
	} else if (fd == SIM_STDERR ? p->want_err : p->want_out) {
		pipe_put(p, fd, data, len);
		if (p->out.failed)
			p->output_over = true; /* a client that does not read loses the rest */
	}
	stream_want(p->stream, LOOP_WRITE | (pipe_has_room(p) ? LOOP_READ : 0));
}

/* NULL: the client has gone. Takes over a stream that exchange_upgrade gave. */
static struct sim_pipe *pipe_of(struct sim_request *r, struct stream *stream, bool tty)
{
	struct sim_pipe *p;

	if (!stream)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->host = r->host;
	p->stream = stream;
	p->tty = tty;
	buf_init(&p->out, PIPE_MAX);
	buf_init(&p->held, HELD_MAX);
	p->linger = loop_timer_new(p->host->engine->options->loop, pipe_linger, p);
	DL_APPEND(p->host->pipes, p);
	stream_on_ready(stream, pipe_ready, p);
	return p;
}

static struct sim_pipe *pipe_new(struct sim_request *r, bool tty, bool is_exec)
{
	struct sim_host *host = r->host;
	bool upgrade = exchange_header(r->x, "Upgrade") != NULL;
	bool multiplexed = !tty && host->engine->options->api >= 1042 && r->version >= 1042;
	struct http_headers h = {0};
	struct stream *stream;

	/* The engine takes a connection over before it makes these headers, for attach. */
	if (is_exec)
		sim_headers(r, &h, NULL);
	http_headers_add(&h, "Content-Type",
		multiplexed ? "application/vnd.docker.multiplexed-stream"
			    : "application/vnd.docker.raw-stream");
	stream = exchange_upgrade(r->x, upgrade ? 101 : 200, &h);
	http_headers_free(&h);
	return pipe_of(r, stream, tty);
}

/* What the client and the container have to say to each other from now on. */
struct attached {
	bool stream, logs, in, out, err;
};

static struct attached attached_of(const struct sim_request *r)
{
	return (struct attached){.stream = sim_query_bool(r, "stream"),
		.logs = sim_query_bool(r, "logs"),
		.in = sim_query_bool(r, "stdin"),
		.out = sim_query_bool(r, "stdout"),
		.err = sim_query_bool(r, "stderr")};
}

static void pipe_join(struct sim_pipe *p, struct sim_container *c, const struct attached *how)
{
	const struct sim_log_query query = {
		.out = how->out, .err = how->err, .framed = !p->ws && !c->spec->tty, .tail = -1};
	CLEANUP_BUF struct buf past = {0};

	p->want_in = how->in && how->stream && c->spec->open_stdin;
	p->want_out = how->out;
	p->want_err = how->err;
	buf_init(&past, PIPE_MAX / 2);
	if (how->logs && c->log)
		sim_log_write(c->log, &query, &past);
	if (past.len && p->ws)
		pipe_put(p, SIM_STDOUT, past.data, past.len);
	else
		buf_append(&p->out, past.data, past.len);
	if (how->stream) {
		p->follower.fn = pipe_output;
		p->follower.arg = p;
		sim_container_follow(c, &p->follower);
	} else {
		pipe_over(p);
	}
	sim_event_container(p->host->engine, c, "attach", NULL);
	stream_want(p->stream, LOOP_READ | LOOP_WRITE);
}

void sim_pipe_attach(struct sim_request *r, struct sim_container *c)
{
	const struct attached how = attached_of(r);
	struct sim_pipe *p = pipe_new(r, c->spec->tty, false);

	if (p)
		pipe_join(p, c, &how);
}

/* ---- WebSockets ---- */

static void ws_message(void *arg, int kind, const char *data, size_t len)
{
	struct sim_pipe *p = arg;

	if (kind == SIM_WS_PING)
		sim_ws_write(&p->out, SIM_WS_PONG, data, len);
	else if (kind == SIM_WS_CLOSE)
		pipe_over(p);
	else if (p->want_in)
		pipe_input(p, data, len);
}

void sim_pipe_attach_ws(struct sim_request *r, struct sim_container *c)
{
	struct attached how = attached_of(r);
	const char *key = exchange_header(r->x, "Sec-WebSocket-Key");
	const char *upgrade = exchange_header(r->x, "Upgrade");
	/* Clients from before API 1.28 get text. */
	bool binary = !r->version || r->version >= 1028;
	CLEANUP_FREE char *accept = NULL;
	struct http_headers h = {0};
	struct sim_pipe *p;

	if (!key || !upgrade || !str_ieq(upgrade, "websocket")) {
		exchange_reply(r->x, 400, NULL, "not websocket protocol", 22);
		return;
	}
	/* Engines before API 1.42 join all streams, whatever the client asks for. */
	if (r->engine->options->api < 1042 || (r->version && r->version < 1042))
		how.in = how.out = how.err = true;
	accept = digest_websocket_accept(key);
	http_headers_add(&h, "Sec-WebSocket-Accept", accept);
	p = pipe_of(r, exchange_upgrade(r->x, 101, &h), c->spec->tty);
	http_headers_free(&h);
	if (!p)
		return;
	p->ws = sim_ws_new(ws_message, p);
	p->binary = binary;
	pipe_join(p, c, &how);
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
