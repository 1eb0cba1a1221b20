/* Calls against a server in this process, and against raw peers that misbehave. */
#include "http/client_priv.h"
#include "http/server.h"
#include "lib/str.h"
#include "tests/unit/http_fixture.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

/* A peer that says what it is told to whoever asks. */
struct peer {
	struct fixture *f;
	int fd;
	uint16_t port;
	struct loop_watch *watch;
	struct raw raws[4];
	size_t len;
	const char *answer;
	bool ends; /* behind the answer */
};

struct world {
	struct fixture f;
	struct client *client;
	struct peer peer;
	struct endpoint *endpoint;
	/* What a call told. */
	struct call *call;
	unsigned heads, dones;
	int status;
	struct buf body;
	struct err err;
	bool failed, stops, is_stopped, has_room;
	const char *cancel_in;
	/* The good server. */
	struct handler handler;
	struct server *server;
	struct endpoint *good;
	size_t received, to_write, written;
	bool sink_is_paused;
	struct exchange *x;
	unsigned exchanges;
	unsigned refused;
	struct stream *stream;
};

static void peer_accept(unsigned events, void *arg)
{
	struct peer *p = arg;
	int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	assert_true(fd != -1 && p->len < ARRAY_LEN(p->raws));
	raw_init(p->f, &p->raws[p->len], fd);
	if (p->answer != NULL)
		raw_send(&p->raws[p->len], p->answer);
	p->raws[p->len].ends_after_out = p->ends;
	p->len++;
}

static void handle(struct handler *h, struct exchange *x);

static void handler_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops handler_ops = {
	.name = "test", .handle = handle, .free = handler_nothing};

static void world_start(struct world *w)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->f.loop = loop_new();
	buf_init(&w->body, 128 * 1024 * 1024);
	w->client = client_new(w->f.loop);
	w->peer.f = &w->f;
	w->peer.fd = raw_listen(&w->peer.port);
	w->peer.watch = loop_watch_new(w->f.loop, w->peer.fd, peer_accept, &w->peer);
	loop_watch_set(w->peer.watch, LOOP_READ);
	addr.port = w->peer.port;
	w->endpoint = endpoint_new(w->client, &addr, NULL);
	w->handler.ops = &handler_ops;
	w->server = server_new(w->f.loop, &w->handler, NULL);
	addr.port = 0;
	assert_int_equal(server_listen(w->server, &addr, NULL, &err), 0);
	addr.port = server_port(w->server, 0);
	w->good = endpoint_new(w->client, &addr, NULL);
}

static void world_stop(struct world *w)
{
	endpoint_free(w->endpoint);
	endpoint_free(w->good);
	client_free(w->client);
	server_free(w->server);
	stream_close(w->stream);
	for (size_t i = 0; i < w->peer.len; i++)
		raw_close(&w->f, &w->peer.raws[i]);
	loop_watch_free(w->peer.watch);
	close(w->peer.fd);
	loop_free(w->f.loop);
	buf_reset(&w->body);
}

static bool maybe_cancel(struct world *w, const char *where)
{
	if (!str_eq(w->cancel_in, where))
		return false;
	call_cancel(w->call);
	w->call = NULL;
	return true;
}

static void on_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct world *w = arg;

	(void)call;
	(void)headers;
	w->heads++;
	w->status = status;
	maybe_cancel(w, "head");
}

static bool on_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct world *w = arg;

	(void)call;
	assert_int_equal(w->heads, 1);
	assert_int_equal(w->dones, 0);
	assert_int_equal(buf_append(&w->body, data, len), 0);
	if (maybe_cancel(w, "body"))
		return true;
	w->is_stopped = w->stops;
	return !w->stops;
}

static void on_drain(struct call *call, void *arg)
{
	struct world *w = arg;

	(void)call;
	w->has_room = true;
	maybe_cancel(w, "drain");
}

static void on_done(struct call *call, const struct err *err, void *arg)
{
	struct world *w = arg;

	w->dones++;
	w->failed = err != NULL;
	if (err != NULL)
		w->err = *err;
	if (str_eq(w->cancel_in, "done"))
		call_cancel(call); /* of no effect */
	if (str_eq(w->cancel_in, "endpoint")) {
		endpoint_free(w->endpoint);
		w->endpoint = NULL;
	}
	w->call = NULL;
}

static const struct call_ops ops = {
	.head = on_head, .body = on_body, .upload_drain = on_drain, .done = on_done};

static bool is_done(void *arg)
{
	return ((struct world *)arg)->dones > 0;
}

static void start(struct world *w, struct endpoint *e, const struct call_request *request)
{
	w->heads = w->dones = 0;
	w->failed = false;
	w->err = (struct err)ERR_INIT;
	buf_reset(&w->body);
	w->call = call_start(e, request, &ops, w);
	assert_int_equal(w->heads + w->dones, 0);
}

static void get(struct world *w, struct endpoint *e, const char *target)
{
	struct call_request request = {
		.method = "GET", .target = target, .total_timeout_ms = FIXTURE_DEADLINE_MS};

	start(w, e, &request);
}

/* ---- What the good server does ---- */

static void echo_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	(void)arg;
	exchange_reply(x, 200, NULL, body, len);
}

static size_t take_piece(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct world *w = arg;

	(void)data;
	if (w->sink_is_paused)
		return 0;
	w->received += len;
	if (len == 0)
		exchange_reply_error(x, 200, "%zu", w->received);
	return len;
}

static void write_more(struct exchange *x, void *arg)
{
	static const char data[32 * 1024];
	struct world *w = arg;

	while (w->written < w->to_write) {
		w->written += sizeof(data);
		if (!exchange_reply_write(x, data, sizeof(data)))
			return;
	}
	exchange_reply_end(x);
}

static void on_end(struct exchange *x, bool finished, void *arg)
{
	struct world *w = arg;

	(void)finished;
	w->exchanges--;
	if (w->x == x)
		w->x = NULL;
}

static void handle(struct handler *h, struct exchange *x)
{
	struct world *w = CONTAINER_OF(h, struct world, handler);
	const char *target = exchange_target(x);

	w->exchanges++;
	w->x = x;
	exchange_on_end(x, on_end, w);
	if (str_eq(target, "/echo")) {
		exchange_read_body(x, 1024 * 1024, echo_body, w);
	} else if (str_eq(target, "/sink")) {
		exchange_stream_body(x, take_piece, w);
	} else if (str_eq(target, "/stream")) {
		exchange_reply_start(x, 200, NULL, -1);
		exchange_on_drain(x, write_more, w);
		write_more(x, w);
	} else if (str_eq(target, "/refuse")) {
		exchange_reply_error(x, 403, "no");
	} else if (!str_eq(target, "/hold")) {
		exchange_reply_error(x, 404, "none");
	}
}

/* ---- Tests ---- */

static void calls_bring_replies(void **state)
{
	struct world w;
	struct call_request post = {
		.method = "POST", .target = "/echo", .body = "hello", .body_len = 5};
	struct call_request head = {.method = "HEAD", .target = "/nowhere"};

	(void)state;
	world_start(&w);
	get(&w, w.good, "/nowhere");
	wait_for(&w.f, is_done, &w);
	assert_false(w.failed);
	assert_int_equal(w.status, 404);
	assert_string_equal(buf_str(&w.body), "{\"message\":\"none\"}\n");
	start(&w, w.good, &post);
	wait_for(&w.f, is_done, &w);
	assert_string_equal(buf_str(&w.body), "hello");
	start(&w, w.good, &head);
	wait_for(&w.f, is_done, &w);
	assert_false(w.failed);
	assert_int_equal(w.status, 404);
	assert_int_equal(w.body.len, 0);
	world_stop(&w);
}

static void requests_that_would_be_two_are_not_sent(void **state)
{
	static const char *const targets[] = {
		"/a b", "/a\r\nX: y", "/a HTTP/1.1\r\n\r\nGET /b", "x", "", "*", "http://a/b"};
	struct call_request request = {.method = "GE T", .target = "/"};
	struct world w;

	(void)state;
	world_start(&w);
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		get(&w, w.good, targets[i]);
		wait_for(&w.f, is_done, &w);
		assert_true(w.failed);
		assert_int_equal(w.err.code, ERR_INVALID);
	}
	start(&w, w.good, &request);
	wait_for(&w.f, is_done, &w);
	assert_int_equal(w.err.code, ERR_INVALID);
	assert_int_equal(w.exchanges, 0);
	world_stop(&w);
}

static void misbehaving_peers_are_upstream_errors(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
		"\x15\x03\x01\x00\x02\x02\x16",
		"hello world",
		"",
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		world_start(&w);
		w.peer.answer = answers[i];
		w.peer.ends = true;
		get(&w, w.endpoint, "/");
		wait_for(&w.f, is_done, &w);
		if (!w.failed || w.err.code != ERR_UPSTREAM)
			fail_msg("'%s' gave '%s'", answers[i], w.err.msg);
		world_stop(&w);
	}
}

static void endless_heads_and_interim_replies_are_cut(void **state)
{
	static const char *const lines[] = {"X-Padding: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct buf text CLEANUP_BUF;

		world_start(&w);
		buf_init(&text, 4 * 1024 * 1024);
		if (i == 0)
			buf_append_str(&text, "HTTP/1.1 200 OK\r\n");
		while (text.len < 1024 * 1024)
			buf_append_str(&text, lines[i]);
		w.peer.answer = text.data;
		get(&w, w.endpoint, "/");
		wait_for(&w.f, is_done, &w);
		assert_true(w.failed);
		assert_int_equal(w.err.code, ERR_UPSTREAM);
		assert_int_equal(w.heads, 0);
		world_stop(&w);
	}
}

static void silence_runs_into_each_deadline(void **state)
{
	static const struct {
		struct call_request request;
		const char *answer;
	} cases[] = {
		{{.method = "GET", .target = "/", .head_timeout_ms = 100}, NULL},
		{{.method = "GET", .target = "/", .head_timeout_ms = 100},
			"HTTP/1.1 100 Continue\r\n\r\n"},
		{{.method = "GET", .target = "/", .idle_timeout_ms = 100},
			"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
		{{.method = "GET", .target = "/", .total_timeout_ms = 100},
			"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
		{{.method = "GET", .target = "/", .total_timeout_ms = 100}, NULL},
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		world_start(&w);
		w.peer.answer = cases[i].answer;
		start(&w, w.endpoint, &cases[i].request);
		wait_for(&w.f, is_done, &w);
		assert_true(w.failed);
		assert_int_equal(w.err.code, ERR_TIMEOUT);
		world_stop(&w);
	}
}

/* Of the upload, nothing is there for the peer to take: it is not late. */
static void the_deadline_of_the_head_runs_from_the_end_of_the_request(void **state)
{
	struct call_request request = {.method = "POST",
		.target = "/sink",
		.has_upload = true,
		.upload_length = -1,
		.head_timeout_ms = 100};
	struct world w;

	(void)state;
	world_start(&w);
	start(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	fixture_run(&w.f, 700, NULL, NULL);
	assert_int_equal(w.dones, 0);
	call_upload(w.call, "world", 5);
	call_upload_end(w.call);
	wait_for(&w.f, is_done, &w);
	assert_false(w.failed);
	assert_string_equal(buf_str(&w.body), "{\"message\":\"10\"}\n");
	/* One that never answers is late all the same. */
	request.target = "/hold";
	start(&w, w.good, &request);
	call_upload_end(w.call);
	wait_for(&w.f, is_done, &w);
	assert_int_equal(w.err.code, ERR_TIMEOUT);
	world_stop(&w);
}

static void refused_connections_are_unavailable(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	loop_watch_free(TAKE_PTR(w.peer.watch));
	close(w.peer.fd);
	w.peer.fd = -1;
	get(&w, w.endpoint, "/");
	wait_for(&w.f, is_done, &w);
	assert_int_equal(w.err.code, ERR_UNAVAILABLE);
	w.peer.fd = dup(0);
	world_stop(&w);
}

static bool is_canceled(void *arg)
{
	struct world *w = arg;

	return w->call == NULL && w->exchanges == 0;
}

static void calls_may_be_cancelled_anywhere(void **state)
{
	static const char *const places[] = {
		"head", "body", "done", "drain", "at once", "endpoint"};
	static char data[1024 * 1024];
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		struct call_request upload = {.method = "POST",
			.target = "/sink",
			.has_upload = true,
			.upload_length = -1};

		world_start(&w);
		w.cancel_in = places[i];
		w.to_write = 64 * 1024;
		if (str_eq(places[i], "drain")) {
			start(&w, w.good, &upload);
			assert_false(call_upload(w.call, data, sizeof(data)));
		} else if (str_eq(places[i], "endpoint")) {
			get(&w, w.endpoint, "/");
			w.peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
		} else {
			get(&w, w.good, "/stream");
		}
		if (str_eq(places[i], "at once")) {
			call_cancel(w.call);
			w.call = NULL;
		}
		wait_for(&w.f, is_canceled, &w);
		fixture_settle(&w.f);
		assert_int_equal(w.dones,
			str_eq(places[i], "done") || str_eq(places[i], "endpoint") ? 1 : 0);
		world_stop(&w);
	}
}

static bool is_stopped(void *arg)
{
	return ((struct world *)arg)->is_stopped;
}

static void paused_replies_wait_and_go_on(void **state)
{
	struct world w;
	size_t held;

	(void)state;
	world_start(&w);
	w.to_write = 32 * 1024 * 1024;
	w.stops = true;
	get(&w, w.good, "/stream");
	wait_for(&w.f, is_stopped, &w);
	fixture_settle(&w.f);
	held = w.body.len;
	fixture_settle(&w.f);
	assert_int_equal(w.body.len, held);
	assert_true(w.written < 16 * 1024 * 1024);
	/* One piece each time, for a while. */
	for (int i = 0; i < 20; i++) {
		w.is_stopped = false;
		call_resume(w.call);
		wait_for(&w.f, is_stopped, &w);
	}
	w.stops = false;
	call_resume(w.call);
	wait_for(&w.f, is_done, &w);
	assert_false(w.failed);
	assert_int_equal(w.body.len, w.to_write);
	world_stop(&w);
}

static bool has_room(void *arg)
{
	return ((struct world *)arg)->has_room;
}

static void uploads_wait_for_their_reader(void **state)
{
	static char data[64 * 1024];
	struct call_request request = {.method = "POST", .target = "/sink", .has_upload = true};
	const size_t pieces = 256;

	(void)state;
	for (int chunked = 0; chunked < 2; chunked++) {
		struct world w;
		size_t given = 0;

		world_start(&w);
		request.upload_length = chunked ? -1 : (int64_t)(pieces * sizeof(data));
		w.sink_is_paused = true;
		start(&w, w.good, &request);
		while (given < pieces) {
			given++;
			if (call_upload(w.call, data, sizeof(data)))
				continue;
			w.has_room = false;
			if (!w.sink_is_paused || fixture_run(&w.f, 300, has_room, &w)) {
				wait_for(&w.f, has_room, &w);
				continue;
			}
			/* Stuck, as it should be: nobody reads. */
			assert_true(given < pieces);
			w.sink_is_paused = false;
			exchange_body_resume(w.x);
			wait_for(&w.f, has_room, &w);
		}
		assert_false(w.sink_is_paused);
		call_upload_end(w.call);
		wait_for(&w.f, is_done, &w);
		assert_false(w.failed);
		assert_string_equal(buf_str(&w.body), "{\"message\":\"16777216\"}\n");
		world_stop(&w);
	}
}

static void uploads_of_another_length_break_off(void **state)
{
	struct call_request request = {
		.method = "POST", .target = "/sink", .has_upload = true, .upload_length = 8};
	static char data[5 * 1024 * 1024];
	struct world w;

	(void)state;
	world_start(&w);
	start(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	call_upload(w.call, "world", 5);
	wait_for(&w.f, is_done, &w);
	assert_int_equal(w.err.code, ERR_INVALID);
	start(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	fixture_settle(&w.f);
	call_upload_end(w.call);
	wait_for(&w.f, is_done, &w);
	assert_int_equal(w.err.code, ERR_INVALID);
	/* What does not fit must not become a body that looks whole. */
	request.upload_length = -1;
	w.received = 0;
	start(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	call_upload(w.call, data, sizeof(data));
	wait_for(&w.f, is_done, &w);
	assert_int_equal(w.err.code, ERR_TOO_LARGE);
	assert_true(w.received <= 5);
	world_stop(&w);
}

static void early_answers_to_uploads_are_heard(void **state)
{
	static char data[200 * 1024];
	struct call_request request = {.method = "POST",
		.target = "/refuse",
		.has_upload = true,
		.upload_length = 1000000};
	struct world w;

	(void)state;
	world_start(&w);
	start(&w, w.good, &request);
	call_upload(w.call, data, sizeof(data));
	wait_for(&w.f, is_done, &w);
	assert_false(w.failed);
	assert_int_equal(w.status, 403);
	world_stop(&w);
}

struct many {
	unsigned dones, failures;
	struct err err;
};

static void many_done(void *arg, const struct reply *reply, const struct err *err)
{
	struct many *m = arg;

	m->dones++;
	m->failures += err != NULL;
	if (err != NULL)
		m->err = *err;
	else
		assert_int_equal(reply->body_len, 19);
}

static bool all_done(void *arg)
{
	return ((struct many *)arg)->dones == 40;
}

static bool few_are_connected(void *arg)
{
	return server_connections(((struct world *)arg)->server) <= 65;
}

/* However many engines there are, their idle connections leave room for others; each is still
 * served, on a new one when need be. */
static void idle_connections_of_many_engines_are_bounded(void **state)
{
	struct world w;
	struct endpoint *many[120];
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct rlimit before, few;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 256; /* a quarter of it, and one */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	world_start(&w);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0); /* both ends are here */
	addr.port = server_port(w.server, 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = endpoint_new(w.client, &addr, NULL);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(many); i++) {
			get(&w, many[i], "/nowhere");
			wait_for(&w.f, is_done, &w);
			assert_false(w.failed);
		}
		wait_for(&w.f, few_are_connected, &w);
		assert_true(server_connections(w.server) > 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		endpoint_free(many[i]);
	world_stop(&w);
}

/* The first of them have theirs kept, and no other has. */
static void expect_kept(struct endpoint *const *many, size_t len, size_t first)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(many[i]->idle_len, i < first);
}

/* When each connection were closed before its turn comes again, none would ever be used twice. */
static void going_round_many_engines_keeps_connections(void **state)
{
	struct world w;
	struct endpoint *many[10];
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct call_request request = {.method = "GET",
		.target = "/nowhere",
		.is_rounds = true,
		.total_timeout_ms = FIXTURE_DEADLINE_MS};

	(void)state;
	world_start(&w);
	w.client->idle_max = 4;
	addr.port = server_port(w.server, 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = endpoint_new(w.client, &addr, NULL);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(many); i++) {
			start(&w, many[i], &request);
			wait_for(&w.f, is_done, &w);
			assert_false(w.failed);
		}
		expect_kept(many, ARRAY_LEN(many), w.client->idle_max);
	}
	/* Any other call is a reason to keep its connection; one of the others makes room. */
	get(&w, many[9], "/nowhere");
	wait_for(&w.f, is_done, &w);
	assert_int_equal(many[9]->idle_len, 1);
	assert_int_equal(w.client->idle_len, w.client->idle_max);
	for (size_t i = 0; i < ARRAY_LEN(many); i++)
		endpoint_free(many[i]);
	world_stop(&w);
}

static bool is_looked_at_no_more(void *arg)
{
	const struct client *client = ((struct world *)arg)->client;

	return client->calls == NULL && client->endless_calls != NULL;
}

/* The janitor does not look at thousands of event streams again and again; they end as others do.
 */
static void answers_without_a_deadline_are_set_aside(void **state)
{
	const struct call_request request = {
		.method = "GET", .target = "/", .head_timeout_ms = FIXTURE_DEADLINE_MS};
	struct world w;

	(void)state;
	world_start(&w);
	w.peer.answer = "HTTP/1.1 200 OK\r\n\r\nhello";
	start(&w, w.endpoint, &request);
	wait_for(&w.f, is_looked_at_no_more, &w);
	call_cancel(w.call);
	assert_null(w.client->endless_calls);
	assert_int_equal(w.dones, 0);
	start(&w, w.endpoint, &request);
	wait_for(&w.f, is_looked_at_no_more, &w);
	endpoint_free(TAKE_PTR(w.endpoint));
	assert_null(w.client->endless_calls);
	assert_int_equal(w.err.code, ERR_CANCELED);
	assert_string_equal(buf_str(&w.body), "hello");
	world_stop(&w);
}

static bool few_connections(void *arg)
{
	return server_connections(((struct world *)arg)->server) <= ENDPOINT_IDLE_MAX;
}

static bool one_connection(void *arg)
{
	return server_connections(((struct world *)arg)->server) == 1;
}

static void few_connections_stay_when_idle(void **state)
{
	struct call_request request = {.method = "GET", .target = "/nowhere"};
	struct world w;

	(void)state;
	world_start(&w);
	for (int round = 0; round < 3; round++) {
		struct many m = {0};

		for (int i = 0; i < 40; i++)
			assert_non_null(call_collect(w.good, &request, 1000, many_done, &m));
		wait_for(&w.f, all_done, &m);
		assert_int_equal(m.failures, 0);
		wait_for(&w.f, few_connections, &w);
		fixture_settle(&w.f);
		assert_in_range(server_connections(w.server), 1, ENDPOINT_IDLE_MAX);
	}
	wait_for(&w.f, one_connection, &w);
	fixture_settle(&w.f);
	assert_int_equal(server_connections(w.server), 1);
	world_stop(&w);
}

static void collected_replies_are_bounded(void **state)
{
	struct call_request request = {.method = "GET", .target = "/stream"};
	struct many m = {.dones = 39};
	struct world w;

	(void)state;
	world_start(&w);
	w.to_write = 1024 * 1024;
	call_collect(w.good, &request, 100 * 1024, many_done, &m);
	wait_for(&w.f, all_done, &m);
	assert_int_equal(m.failures, 1);
	assert_int_equal(m.err.code, ERR_TOO_LARGE);
	/* Cancelled: nothing is told. */
	m.dones = 39;
	call_cancel(call_collect(w.good, &request, 100, many_done, &m));
	fixture_settle(&w.f);
	assert_int_equal(m.dones, 39);
	world_stop(&w);
}

/* ---- Answers in one read and in many ---- */

#define BY_LENGTH "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
#define IN_CHUNKS "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define NO_BODY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define INTERIM "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
#define ANOTHER "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"

/* What the client must make of an answer that comes in these pieces. */
static const struct in_pieces {
	const char *pieces[4];
	const char *body; /* NULL = ERR_TOO_LARGE */
	size_t max;       /* of the body; 0 = enough */
	bool in_bytes;    /* one at a time */
	bool ends;        /* with the connection */
	bool is_kept;     /* the connection, for the next call */
} in_pieces[] = {
	/* Whole. */
	{{BY_LENGTH "hello"}, .body = "hello", .is_kept = true},
	{{IN_CHUNKS "5\r\nhello\r\n0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{IN_CHUNKS "2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{IN_CHUNKS "2\r\nhe\r\n3\r\nllo\r\n0\r\nX-A: b\r\n\r\n"}, .body = "hello",
		.is_kept = true},
	{{NO_BODY}, .body = "", .is_kept = true},
	{{IN_CHUNKS "0\r\n\r\n"}, .body = "", .is_kept = true},
	{{INTERIM BY_LENGTH "hello"}, .body = "hello", .is_kept = true},
	{{INTERIM IN_CHUNKS "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{INTERIM NO_BODY}, .body = "", .is_kept = true},
	{{"HTTP/1.1 200 OK\r\n\r\nhello"}, .body = "hello", .ends = true},
	/* Torn. */
	{{BY_LENGTH, "hello"}, .body = "hello", .is_kept = true},
	{{BY_LENGTH "hel", "lo"}, .body = "hello", .is_kept = true},
	{{"HTTP/1.1 200 OK\r\nContent-Le", "ngth: 5\r\n\r\nhello"}, .body = "hello",
		.is_kept = true},
	{{IN_CHUNKS, "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{IN_CHUNKS "5\r\nhel", "lo\r\n0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{IN_CHUNKS "2\r\nhe\r\n3\r\nl", "lo\r\n0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{IN_CHUNKS "2\r", "\nhe\r\n3\r\nllo\r", "\n0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{IN_CHUNKS "5\r\nhello\r\n", "0\r\n\r\n"}, .body = "hello", .is_kept = true},
	{{INTERIM, BY_LENGTH "hello"}, .body = "hello", .is_kept = true},
	{{"HTTP/1.1 200 OK\r\n\r\nhel", "lo"}, .body = "hello", .ends = true},
	{{BY_LENGTH "hello"}, .body = "hello", .in_bytes = true, .is_kept = true},
	{{IN_CHUNKS "2\r\nhe\r\n3\r\nllo\r\n0\r\nX-A: b\r\n\r\n"}, .body = "hello",
		.in_bytes = true, .is_kept = true},
	{{INTERIM NO_BODY}, .body = "", .in_bytes = true, .is_kept = true},
	/* With more behind it, which must not be taken for the next answer. */
	{{BY_LENGTH "hello!"}, .body = "hello"},
	{{BY_LENGTH "hello" ANOTHER}, .body = "hello"},
	{{IN_CHUNKS "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" ANOTHER}, .body = "hello"},
	{{NO_BODY ANOTHER}, .body = ""},
	{{BY_LENGTH, "hello" ANOTHER}, .body = "hello"},
	{{BY_LENGTH "hel", "lo" ANOTHER}, .body = "hello"},
	{{BY_LENGTH "hello", ANOTHER}, .body = "hello"},
	/* Too large, or just not. */
	{{BY_LENGTH "hello"}, .body = "hello", .max = 5, .is_kept = true},
	{{BY_LENGTH "hel", "lo"}, .body = "hello", .max = 5, .is_kept = true},
	{{BY_LENGTH "hello"}, .body = NULL, .max = 4, .is_kept = true},
	{{BY_LENGTH "hel", "lo"}, .body = NULL, .max = 4, .is_kept = true},
	{{BY_LENGTH "hel", "l"}, .body = NULL, .max = 3},
	{{IN_CHUNKS "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"}, .body = NULL, .max = 4, .is_kept = true},
	{{IN_CHUNKS "2\r\nhe\r\n", "3\r\nllo\r\n"}, .body = NULL, .max = 4},
	{{BY_LENGTH "hello" ANOTHER}, .body = NULL, .max = 4},
	{{BY_LENGTH "hel", "lo" ANOTHER}, .body = NULL, .max = 4},
};

static void collected(void *arg, const struct reply *reply, const struct err *err)
{
	struct world *w = arg;

	w->dones++;
	if (err != NULL) {
		w->err = *err;
		return;
	}
	assert_int_equal(reply->status, 200);
	assert_int_equal(reply->body[reply->body_len], '\0');
	assert_int_equal(buf_append(&w->body, reply->body, reply->body_len), 0);
}

static void collect(struct world *w, size_t max)
{
	struct call_request request = {
		.method = "GET", .target = "/", .total_timeout_ms = FIXTURE_DEADLINE_MS};

	w->dones = 0;
	w->err = (struct err)ERR_INIT;
	buf_reset(&w->body);
	call_collect(w->endpoint, &request, max, collected, w);
}

/* Requests that have come to the peer, over all connections. */
static size_t count_requests(const struct world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->peer.len; i++)
		n += count_text(&w->peer.raws[i].in, "GET / HTTP/1.1\r\n");
	return n;
}

static bool is_asked_once(void *arg)
{
	return count_requests(arg) == 1;
}

static bool is_asked_twice(void *arg)
{
	return count_requests(arg) == 2;
}

/* Each piece is read before the next comes. */
static void say(struct world *w, struct raw *raw, const struct in_pieces *answer)
{
	int one = 1;

	setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	for (size_t i = 0; i < ARRAY_LEN(answer->pieces) && answer->pieces[i] != NULL; i++) {
		size_t len = strlen(answer->pieces[i]), step = answer->in_bytes ? 1 : len;

		for (size_t at = 0; at < len; at += step) {
			assert_int_equal(buf_append(&raw->out, answer->pieces[i] + at, step), 0);
			for (int turn = 0; turn < 3; turn++)
				fixture_run(&w->f, 0, NULL, NULL);
		}
	}
	raw->ends_after_out = answer->ends;
}

static void expect_collected(struct world *w, const struct in_pieces *answer)
{
	const char *body = answer->body != NULL ? answer->body : "";
	enum err_code code = answer->body != NULL ? ERR_NONE : ERR_TOO_LARGE;

	wait_for(&w->f, is_done, w);
	assert_int_equal(w->dones, 1);
	if (w->err.code != code || !str_eq(buf_str(&w->body), body))
		fail_msg("answer %zd is '%s' (%s)", answer - in_pieces, buf_str(&w->body),
			w->err.msg);
}

/* Twice each, the second time over the connection of the first where that is to be used again. */
static void answers_may_come_in_any_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in_pieces); i++) {
		const struct in_pieces *answer = &in_pieces[i];
		size_t max = answer->max > 0 ? answer->max : 1000;
		struct world w;

		world_start(&w);
		collect(&w, max);
		wait_for(&w.f, is_asked_once, &w);
		say(&w, &w.peer.raws[0], answer);
		expect_collected(&w, answer);
		collect(&w, max);
		wait_for(&w.f, is_asked_twice, &w);
		if (w.peer.len != (answer->is_kept ? 1 : 2))
			fail_msg("behind answer %zu there are %zu connections", i, w.peer.len);
		say(&w, &w.peer.raws[w.peer.len - 1], answer);
		expect_collected(&w, answer);
		world_stop(&w);
	}
}

/* As large as what is read at once, and a byte more or less. */
static void answers_may_fill_a_read(void **state)
{
	static const size_t sizes[] = {CALL_READ_SIZE - 1, CALL_READ_SIZE, CALL_READ_SIZE + 1};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		const size_t head_len = strlen("HTTP/1.1 200 OK\r\nContent-Length: 65500\r\n\r\n");
		size_t body_len = sizes[i] - head_len;
		struct world w;

		world_start(&w);
		collect(&w, CALL_READ_SIZE);
		wait_for(&w.f, is_asked_once, &w);
		buf_printf(&w.peer.raws[0].out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			body_len);
		while (w.peer.raws[0].out.len < sizes[i])
			buf_append_char(&w.peer.raws[0].out, 'x');
		wait_for(&w.f, is_done, &w);
		assert_int_equal(w.err.code, ERR_NONE);
		assert_int_equal(w.body.len, body_len);
		assert_int_equal(strspn(buf_str(&w.body), "x"), body_len);
		world_stop(&w);
	}
}

/* Nor is it used again when the call is given up while there is more behind its answer. */
static void surplus_behind_a_cancelled_call_is_not_an_answer(void **state)
{
	static const struct {
		const char *cancel_in;
		struct in_pieces answer;
	} cases[] = {
		{"head", {.pieces = {NO_BODY ANOTHER}}},
		{"body", {.pieces = {BY_LENGTH "hello" ANOTHER}}},
		{"body", {.pieces = {BY_LENGTH, "hello" ANOTHER}}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		world_start(&w);
		w.cancel_in = cases[i].cancel_in;
		get(&w, w.endpoint, "/");
		wait_for(&w.f, is_asked_once, &w);
		say(&w, &w.peer.raws[0], &cases[i].answer);
		wait_for(&w.f, is_canceled, &w);
		w.cancel_in = NULL;
		collect(&w, 1000);
		wait_for(&w.f, is_asked_twice, &w);
		assert_int_equal(w.peer.len, 2);
		say(&w, &w.peer.raws[1], &in_pieces[0]);
		expect_collected(&w, &in_pieces[0]);
		world_stop(&w);
	}
}

static void freeing_the_client_ends_its_calls(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	get(&w, w.good, "/hold");
	while (w.exchanges == 0)
		fixture_run(&w.f, 2, NULL, NULL);
	client_free(TAKE_PTR(w.client));
	assert_int_equal(w.dones, 1);
	assert_int_equal(w.err.code, ERR_CANCELED);
	fixture_settle(&w.f);
	world_stop(&w);
}

static void nothing_is_left_open(void **state)
{
	struct call_request request = {.method = "GET", .target = "/hold"};
	struct world w;
	size_t before;

	(void)state;
	world_start(&w);
	get(&w, w.good, "/nowhere"); /* libcurl's own, made at first use */
	wait_for(&w.f, is_done, &w);
	fixture_settle(&w.f);
	before = count_descriptors();
	for (int i = 0; i < 300; i++) {
		start(&w, w.good, &request);
		if (i % 5 == 0)
			fixture_run(&w.f, 1, NULL, NULL);
		call_cancel(TAKE_PTR(w.call));
	}
	for (int i = 0; count_descriptors() > before && i < 300; i++)
		fixture_run(&w.f, 10, NULL, NULL);
	assert_true(count_descriptors() <= before);
	world_stop(&w);
}

/* ---- Raw calls ---- */

static void on_upgraded(struct raw_call *call, int status, const struct http_headers *headers,
	struct stream *stream, void *arg)
{
	struct world *w = arg;

	(void)headers;
	raw_call_cancel(call); /* of no effect */
	w->status = status;
	w->stream = stream;
	w->dones++;
}

static void on_refused(
	struct raw_call *call, const struct reply *reply, const struct err *err, void *arg)
{
	struct world *w = arg;

	w->dones++;
	w->refused++;
	w->failed = err != NULL;
	if (err != NULL) {
		w->err = *err;
	} else {
		w->status = reply->status;
		buf_append(&w->body, reply->body, reply->body_len);
	}
	if (str_eq(w->cancel_in, "endpoint")) {
		endpoint_free(w->endpoint);
		w->endpoint = NULL;
	}
	raw_call_cancel(call); /* of no effect */
}

static const struct raw_ops raw_ops = {.upgraded = on_upgraded, .refused = on_refused};

static void raw_calls_become_streams_or_answers(void **state)
{
	static const struct {
		const char *answer, *token, *rest;
		int status;
		enum err_code code;
	} cases[] = {
		{"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly", "tcp",
			"early", 101, ERR_NONE},
		{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: "
		 "application/vnd.docker.raw-stream\r\n\r\nearly",
			NULL, "early", 200, ERR_NONE},
		{"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnone", "tcp", NULL, 404, ERR_NONE},
		{"HTTP/1.1 409 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnone\r\n0\r\n\r\n",
			"tcp", NULL, 409, ERR_NONE},
		{"HTTP/1.1 500 No\r\n\r\nnone", "tcp", NULL, 500, ERR_NONE},
		{"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n", NULL, NULL, 0,
			ERR_UPSTREAM},
		{"HTTP/1.1 404 No\r\nContent-Length: 9\r\n\r\nnone", "tcp", NULL, 0, ERR_UPSTREAM},
		{"nonsense\r\n\r\n", "tcp", NULL, 0, ERR_UPSTREAM},
		{"", "tcp", NULL, 0, ERR_UPSTREAM},
	};
	struct call_request request = {
		.method = "POST", .target = "/x", .body = "{}", .body_len = 2};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		world_start(&w);
		w.peer.answer = cases[i].answer;
		w.peer.ends = cases[i].rest == NULL;
		raw_call_start(w.endpoint, &request, cases[i].token, &raw_ops, &w);
		wait_for(&w.f, is_done, &w);
		assert_int_equal(w.err.code, cases[i].code);
		assert_int_equal(w.status, cases[i].status);
		raw_expect(&w.f, &w.peer.raws[0], "\r\n\r\n{}");
		assert_int_equal(count_text(&w.peer.raws[0].in, "Upgrade: tcp\r\n"),
			cases[i].token != NULL ? 1 : 0);
		if (cases[i].rest != NULL) {
			char data[64] = "";

			assert_int_equal(stream_read(w.stream, data, sizeof(data) - 1), 5);
			assert_string_equal(data, cases[i].rest);
		} else if (cases[i].code == ERR_NONE) {
			assert_string_equal(buf_str(&w.body), "none");
		}
		world_stop(&w);
	}
}

static void raw_calls_end_with_their_deadline_or_endpoint(void **state)
{
	struct call_request request = {.method = "POST", .target = "/x", .head_timeout_ms = 100};
	struct world w;

	(void)state;
	world_start(&w);
	w.cancel_in = "endpoint";
	raw_call_start(w.endpoint, &request, "tcp", &raw_ops, &w);
	wait_for(&w.f, is_done, &w);
	assert_int_equal(w.err.code, ERR_TIMEOUT);
	world_stop(&w);
	world_start(&w);
	raw_call_start(w.endpoint, &request, "tcp", &raw_ops, &w);
	endpoint_free(TAKE_PTR(w.endpoint));
	assert_int_equal(w.refused, 1);
	assert_int_equal(w.err.code, ERR_CANCELED);
	world_stop(&w);
	world_start(&w);
	raw_call_cancel(raw_call_start(w.endpoint, &request, "tcp", &raw_ops, &w));
	fixture_settle(&w.f);
	assert_int_equal(w.refused, 0);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_bring_replies),
		cmocka_unit_test(requests_that_would_be_two_are_not_sent),
		cmocka_unit_test(misbehaving_peers_are_upstream_errors),
		cmocka_unit_test(endless_heads_and_interim_replies_are_cut),
		cmocka_unit_test(silence_runs_into_each_deadline),
		cmocka_unit_test(the_deadline_of_the_head_runs_from_the_end_of_the_request),
		cmocka_unit_test(refused_connections_are_unavailable),
		cmocka_unit_test(calls_may_be_cancelled_anywhere),
		cmocka_unit_test(paused_replies_wait_and_go_on),
		cmocka_unit_test(uploads_wait_for_their_reader),
		cmocka_unit_test(uploads_of_another_length_break_off),
		cmocka_unit_test(early_answers_to_uploads_are_heard),
		cmocka_unit_test(few_connections_stay_when_idle),
		cmocka_unit_test(collected_replies_are_bounded),
		cmocka_unit_test(idle_connections_of_many_engines_are_bounded),
		cmocka_unit_test(going_round_many_engines_keeps_connections),
		cmocka_unit_test(answers_without_a_deadline_are_set_aside),
		cmocka_unit_test(answers_may_come_in_any_pieces),
		cmocka_unit_test(answers_may_fill_a_read),
		cmocka_unit_test(surplus_behind_a_cancelled_call_is_not_an_answer),
		cmocka_unit_test(freeing_the_client_ends_its_calls),
		cmocka_unit_test(nothing_is_left_open),
		cmocka_unit_test(raw_calls_become_streams_or_answers),
		cmocka_unit_test(raw_calls_end_with_their_deadline_or_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
