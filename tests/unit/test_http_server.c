/* A server in this process, and raw sockets against it. */
#include "http/relay.h"
#include "http/server_priv.h"
#include "lib/str.h"
#include "tests/unit/http_fixture.h"

#include <sys/stat.h>
#include <sys/un.h>

/* What the handler does is chosen by the target's path. */
struct world {
	struct fixture f;
	struct handler handler;
	struct server *server;
	uint16_t port;
	struct exchange *x; /* the one that is held, or streams */
	unsigned requests, ends, finished;
	size_t received;
	bool body_ended, is_stuck, drained, writes_on_drain, body_is_paused;
	size_t max_taken, written, to_write;
	struct stream *raw; /* of an upgrade */
	struct relay *relay;
	bool relay_is_over;
};

static void on_end(struct exchange *x, bool finished, void *arg)
{
	struct world *w = arg;

	if (w->x == x)
		w->x = NULL;
	w->ends++;
	w->finished += finished;
}

static void echo_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct world *w = arg;

	w->body_ended = true;
	exchange_reply(x, 200, NULL, body, len);
}

static size_t take_piece(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct world *w = arg;

	(void)data;
	if (w->body_is_paused)
		return 0;
	if (len == 0) {
		assert_false(w->body_ended);
		w->body_ended = true;
		exchange_reply_error(x, 200, "%zu", w->received);
	}
	if (w->max_taken > 0 && len > w->max_taken) {
		w->body_is_paused = true;
		len = w->max_taken;
	}
	w->received += len;
	return len;
}

static void write_more(struct exchange *x, void *arg)
{
	static char data[64 * 1024];
	struct world *w = arg;

	w->drained = true;
	memset(data, 'x', sizeof(data));
	while (w->written < w->to_write) {
		w->written += sizeof(data);
		if (!exchange_reply_write(x, data, sizeof(data))) {
			if (w->written < w->to_write)
				return;
			break;
		}
	}
	exchange_reply_end(x);
}

static void handle(struct handler *h, struct exchange *x)
{
	struct world *w = CONTAINER_OF(h, struct world, handler);
	const char *path = exchange_target(x);
	struct http_headers headers = {0};

	w->requests++;
	w->x = x;
	exchange_on_end(x, on_end, w);
	if (str_eq(path, "/echo")) {
		exchange_read_body(x, 1024 * 1024, echo_body, w);
	} else if (str_eq(path, "/small")) {
		exchange_read_body(x, 10, echo_body, w);
	} else if (str_eq(path, "/sink")) {
		exchange_stream_body(x, take_piece, w);
	} else if (str_eq(path, "/refuse")) {
		exchange_reply_error(x, 403, "no");
	} else if (str_eq(path, "/hold")) {
		;
	} else if (str_eq(path, "/stream")) {
		exchange_reply_start(x, 200, NULL, -1);
		exchange_on_drain(x, write_more, w);
		write_more(x, w);
	} else if (str_eq(path, "/start")) {
		http_headers_add(&headers, "X-A", "b");
		exchange_reply_start(x, 200, &headers, -1);
		exchange_reply_write(x, "begin", 5);
	} else if (str_eq(path, "/length")) {
		exchange_reply_start(x, 200, NULL, 5);
		exchange_reply_write(x, "1234567", 7);
		exchange_reply_end(x);
	} else if (str_eq(path, "/short")) {
		exchange_reply_start(x, 200, NULL, 5);
		exchange_reply_write(x, "123", 3);
		exchange_reply_end(x);
	} else if (str_eq(path, "/empty")) {
		exchange_reply(x, 204, NULL, NULL, 0);
	} else if (str_eq(path, "/split")) {
		http_headers_add(&headers, "Bad Name", "1");
		http_headers_add(&headers, " folded", "1");
		http_headers_add(&headers, "Content-Length", "3");
		http_headers_add(&headers, "Transfer-Encoding", "chunked");
		http_headers_add(&headers, "X-Good", "1");
		exchange_reply(x, 200, &headers, "hello", 5);
	} else if (str_eq(path, "/big")) {
		char *body = xmalloc(w->to_write);

		memset(body, 'x', w->to_write);
		exchange_reply(x, 200, NULL, body, w->to_write);
		free(body);
	} else if (str_eq(path, "/raw")) {
		w->raw = exchange_upgrade(x, 101, NULL);
		assert_non_null(w->raw);
	} else {
		handler_next(h, x);
	}
	http_headers_free(&headers);
}

static void handler_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops ops = {.name = "test", .handle = handle, .free = handler_nothing};

static const struct server_limits limits = {
	.head_max = 8192,
	.connections_max = 32,
	.head_timeout_ms = 300,
	.idle_timeout_ms = 600,
	.body_timeout_ms = 600,
	.handshake_timeout_ms = 300,
	.collect_timeout_ms = 600,
	.collect_grace_ms = 600,
	.ended_grace_ms = 1000,
	.linger_ms = 2000,
	.reply_max = (size_t)64 * 1024 * 1024,
	.held_max = (size_t)256 * 1024 * 1024,
	.held_client_max = (size_t)128 * 1024 * 1024,
};

static void world_start(struct world *w, const struct server_limits *l)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->f.loop = loop_new();
	w->handler.ops = &ops;
	w->server = server_new(w->f.loop, &w->handler, l);
	assert_int_equal(server_listen(w->server, &addr, NULL, &err), 0);
	w->port = server_port(w->server, 0);
	assert_true(w->port != 0);
}

static void world_stop(struct world *w)
{
	for (size_t i = 0; i < RAW_MAX; i++) {
		if (w->f.raws[i] != NULL)
			raw_close(&w->f, w->f.raws[i]);
	}
	stream_close(w->raw);
	server_free(w->server);
	loop_free(w->f.loop);
	assert_int_equal(w->ends, w->requests);
}

static bool all_ended(void *arg)
{
	struct world *w = arg;

	return w->requests > 0 && w->ends == w->requests;
}

static bool no_connections(void *arg)
{
	struct world *w = arg;

	return server_connections(w->server) == 0;
}

#define REQUEST(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(target, more) "POST " target " HTTP/1.1\r\nHost: a\r\n" more

static void requests_follow_on_one_connection(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/echo", "Content-Length: 5\r\n\r\nhello"));
	raw_expect(&w.f, &raw, "\r\n\r\nhello");
	raw_send(&raw,
		POST("/echo",
			"Transfer-Encoding: chunked\r\n\r\n2\r\nwo\r\n3\r\nrld\r\n0\r\n\r\n"));
	raw_expect(&w.f, &raw, "\r\n\r\nworld");
	raw_send(&raw, "\r\n" REQUEST("/nowhere"));
	raw_expect(&w.f, &raw, "{\"message\":\"page not found\"}");
	raw_send(&raw, REQUEST("/empty"));
	raw_expect(&w.f, &raw, "HTTP/1.1 204");
	raw_send(&raw, REQUEST("/length"));
	raw_expect(&w.f, &raw, "Content-Length: 5\r\n\r\n12345");
	raw_send(&raw, REQUEST("/echo"));
	raw_expect_times(&w.f, &raw, "HTTP/1.1 200", 4);
	wait_for(&w.f, all_ended, &w);
	assert_int_equal(w.requests, 6);
	assert_int_equal(w.finished, 6);
	assert_int_equal(server_connections(w.server), 1);
	assert_false(raw_is_over(&raw));
	assert_int_equal(count_text(&raw.in, "12345"), 1);
	assert_int_equal(count_text(&raw.in, "123456"), 0);
	world_stop(&w);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	struct world w;
	struct raw raw;
	char *first, *second, *third;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/echo", "Content-Length: 3\r\n\r\none") REQUEST("/length") POST(
			       "/echo", "Transfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n")
			       REQUEST("/nowhere"));
	raw_expect(&w.f, &raw, "page not found");
	first = strstr(raw.in.data, "one");
	second = strstr(raw.in.data, "12345");
	third = strstr(raw.in.data, "three");
	assert_true(first != NULL && first < second && second < third);
	assert_int_equal(w.finished, 4);
	world_stop(&w);
}

static void a_head_has_no_body(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	w.to_write = 64 * 1024;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, "HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"
		       "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n"
		       "HEAD /length HTTP/1.1\r\nHost: a\r\n\r\n" REQUEST("/empty"));
	raw_expect(&w.f, &raw, "HTTP/1.1 204");
	assert_int_equal(count_text(&raw.in, "not found"), 0);
	assert_int_equal(count_text(&raw.in, "xxx"), 0);
	assert_int_equal(count_text(&raw.in, "123"), 0);
	world_stop(&w);
}

static void http10_gets_no_chunks_and_the_end_of_the_connection(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	w.to_write = 64 * 1024;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, "GET /stream HTTP/1.0\r\n\r\n");
	wait_for(&w.f, raw_is_over, &raw);
	assert_int_equal(count_text(&raw.in, "chunked"), 0);
	assert_true(raw.in.len > 64 * 1024 && raw.in.len < 65 * 1024);
	raw_close(&w.f, &raw);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, "GET /nowhere HTTP/1.0\r\n\r\n");
	wait_for(&w.f, raw_is_over, &raw);
	assert_int_equal(count_text(&raw.in, "not found"), 1);
	world_stop(&w);
}

static void expectations_are_met_only_when_the_body_is_wanted(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/echo", "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
	raw_expect(&w.f, &raw, "HTTP/1.1 100 Continue\r\n\r\n");
	raw_send(&raw, "hello");
	raw_expect(&w.f, &raw, "\r\n\r\nhello");
	raw_send(&raw, POST("/sink", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"));
	raw_expect_times(&w.f, &raw, "HTTP/1.1 100 Continue\r\n\r\n", 2);
	w.body_ended = false;
	raw_send(&raw, "5\r\nhello\r\n0\r\n\r\n");
	raw_expect(&w.f, &raw, "{\"message\":\"5\"}");
	raw_send(&raw, POST("/refuse", "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
	raw_expect(&w.f, &raw, "HTTP/1.1 403");
	wait_for(&w.f, raw_is_over, &raw);
	assert_int_equal(count_text(&raw.in, "100 Continue"), 2);
	world_stop(&w);
}

static void a_body_that_is_not_there_ends_too(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, REQUEST("/sink"));
	raw_expect(&w.f, &raw, "{\"message\":\"0\"}");
	assert_true(w.body_ended);
	w.body_ended = false;
	raw_send(&raw, POST("/sink", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
	raw_expect_times(&w.f, &raw, "{\"message\":\"0\"}", 2);
	world_stop(&w);
}

static bool is_paused(void *arg)
{
	return ((struct world *)arg)->body_is_paused;
}

static void a_streamed_body_waits_for_its_reader(void **state)
{
	struct world w;
	struct raw raw;
	size_t total = 12 * 1024 * 1024;
	char *data = xcalloc(1, total + 1);
	bool was_held = false;

	(void)state;
	memset(data, 'x', total);
	world_start(&w, NULL);
	w.max_taken = 5000;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/sink", "Content-Length: 12582912\r\n\r\n"));
	raw_send(&raw, data);
	free(data);
	wait_for(&w.f, is_paused, &w);
	/* Nobody takes it: most of it has to stay with the client. */
	fixture_settle(&w.f);
	was_held = raw.out.len > 0 && w.received == 5000;
	assert_true(was_held);
	w.max_taken = 0;
	w.body_is_paused = false;
	exchange_body_resume(w.x);
	raw_expect(&w.f, &raw, "{\"message\":\"12582912\"}");
	assert_true(w.body_ended);
	world_stop(&w);
}

/* A client may send its end right behind the body. */
static void a_body_whose_end_is_the_end_of_the_client_is_read_whole(void **state)
{
	struct world w;
	struct raw raw;
	size_t total = 100 * 1024;
	char *data = xcalloc(1, total + 1);

	(void)state;
	memset(data, 'x', total);
	world_start(&w, NULL);
	w.max_taken = 1;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/sink", "Content-Length: 102400\r\n\r\n"));
	raw_send(&raw, data);
	raw.ends_after_out = true;
	free(data);
	wait_for(&w.f, raw_is_sent, &raw);
	wait_for(&w.f, is_paused, &w);
	fixture_run(&w.f, 1600, NULL, NULL); /* longer than the grace of a client that ended */
	assert_int_equal(w.ends, 0);
	w.max_taken = 0;
	w.body_is_paused = false;
	exchange_body_resume(w.x);
	raw_expect(&w.f, &raw, "{\"message\":\"102400\"}");
	world_stop(&w);
}

static void early_replies_reach_clients_that_still_send(void **state)
{
	struct world w;
	struct raw raw;
	char *data = xcalloc(1, 2 * 1024 * 1024 + 1);

	(void)state;
	memset(data, 'x', 2 * 1024 * 1024);
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/refuse", "Content-Length: 2097152\r\n\r\n"));
	raw_send(&raw, data);
	raw_expect(&w.f, &raw, "{\"message\":\"no\"}");
	raw_expect(&w.f, &raw, "Connection: close");
	wait_for(&w.f, raw_is_over, &raw);
	assert_false(raw.is_reset);
	free(data);
	world_stop(&w);
}

static void bodies_over_the_limit_get_413(void **state)
{
	static const char *const requests[] = {
		POST("/small", "Content-Length: 11\r\n\r\nhello world"),
		POST("/small", "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"),
		POST("/small",
			"Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"),
	};
	struct world w;

	(void)state;
	world_start(&w, NULL);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct raw raw;

		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, requests[i]);
		raw_expect(&w.f, &raw, "HTTP/1.1 413");
		wait_for(&w.f, raw_is_over, &raw);
		raw_close(&w.f, &raw);
	}
	assert_false(w.body_ended);
	world_stop(&w);
}

static void malformed_requests_are_refused_and_end_the_connection(void **state)
{
	static const struct {
		const char *request, *status;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n" REQUEST("/empty"), "HTTP/1.1 400"},
		{"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505"},
		{"GET / HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400"},
		{POST("/hold", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
				REQUEST("/empty"),
			"HTTP/1.1 400"},
		{POST("/echo", "Transfer-Encoding: chunked\r\n\r\nx\r\n") REQUEST("/empty"),
			"HTTP/1.1 400"},
		{POST("/echo", "Transfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n")
				REQUEST("/empty"),
			"HTTP/1.1 400"},
		{POST("/sink", "Transfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n")
				REQUEST("/empty"),
			"HTTP/1.1 400"},
	};
	struct world w;

	(void)state;
	world_start(&w, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct raw raw;

		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, cases[i].request);
		raw_expect(&w.f, &raw, cases[i].status);
		wait_for(&w.f, raw_is_over, &raw);
		assert_int_equal(count_text(&raw.in, "Connection: close"), 1);
		assert_int_equal(count_text(&raw.in, " 204 "), 0);
		raw_close(&w.f, &raw);
	}
	world_stop(&w);
}

static void endless_heads_are_refused(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, &limits);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, "GET / HTTP/1.1\r\nHost: a\r\n");
	for (int i = 0; i < 1000; i++)
		raw_send(&raw, "X-Padding: yyyyyyyyyyyyyyyyyyyyyyyy\r\n");
	raw_expect(&w.f, &raw, "HTTP/1.1 431");
	wait_for(&w.f, raw_is_over, &raw);
	raw_close(&w.f, &raw);
	raw_connect(&w.f, &raw, w.port);
	for (int i = 0; i < 10000; i++)
		raw_send(&raw, "no end of line ");
	raw_expect(&w.f, &raw, "HTTP/1.1 431");
	assert_int_equal(w.requests, 0);
	world_stop(&w);
}

static void slow_clients_run_into_deadlines(void **state)
{
	struct world w;
	struct raw slow_head, idle, silent, slow_body;

	(void)state;
	world_start(&w, &limits);
	raw_connect(&w.f, &slow_head, w.port);
	raw_send(&slow_head, "GET / HT");
	raw_connect(&w.f, &idle, w.port);
	raw_send(&idle, REQUEST("/empty"));
	raw_connect(&w.f, &silent, w.port);
	raw_connect(&w.f, &slow_body, w.port);
	raw_send(&slow_body, POST("/sink", "Content-Length: 5\r\n\r\nhe"));
	raw_expect(&w.f, &slow_head, "HTTP/1.1 408");
	wait_for(&w.f, raw_is_over, &slow_head);
	raw_close(&w.f, &slow_head);
	wait_for(&w.f, raw_is_over, &idle);
	wait_for(&w.f, raw_is_over, &silent);
	wait_for(&w.f, raw_is_over, &slow_body);
	assert_int_equal(count_text(&idle.in, "HTTP/1.1"), 1);
	assert_int_equal(silent.in.len, 0);
	wait_for(&w.f, no_connections, &w);
	assert_int_equal(w.finished, 1);
	world_stop(&w);
}

/* Parts of heads are here: none is idle. */
static bool all_have_begun(void *arg)
{
	const struct world *w = arg;

	return server_connections(w->server) == 6 && w->server->room.idle[0] == NULL;
}

static bool has_room_again(void *arg)
{
	return server_connections(((struct world *)arg)->server) < 6;
}

static void many_half_requests_do_not_stop_others(void **state)
{
	struct server_limits few = limits;
	struct world w;
	struct raw slow[6], good;

	(void)state;
	few.connections_max = 6;
	world_start(&w, &few);
	for (size_t i = 0; i < ARRAY_LEN(slow); i++) {
		raw_connect(&w.f, &slow[i], w.port);
		raw_send(&slow[i], "GET / HTTP/1.1\r\nHo");
	}
	wait_for(&w.f, all_have_begun, &w);
	/* No room is left, and nobody is idle; it comes back when the deadline of the others has
	 * passed. */
	raw_connect(&w.f, &good, w.port);
	raw_expect(&w.f, &good, "HTTP/1.1 503");
	wait_for(&w.f, raw_is_over, &good);
	raw_close(&w.f, &good);
	wait_for(&w.f, raw_is_over, &slow[0]);
	raw_close(&w.f, &slow[0]);
	wait_for(&w.f, has_room_again, &w);
	raw_connect(&w.f, &good, w.port);
	raw_send(&good, REQUEST("/empty"));
	raw_expect(&w.f, &good, "HTTP/1.1 204");
	assert_true(server_connections(w.server) <= few.connections_max);
	world_stop(&w);
}

static void clients_that_take_no_reply_run_into_the_deadline(void **state)
{
	static const char *const targets[] = {REQUEST("/stream"), REQUEST("/big")};
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct raw raw;

		world_start(&w, &limits);
		w.to_write = 16 * 1024 * 1024;
		raw_connect(&w.f, &raw, w.port);
		raw.is_deaf = true;
		raw_send(&raw, targets[i]);
		wait_for(&w.f, all_ended, &w);
		/* A whole one is handed over at once, and waits in the connection. */
		assert_int_equal(w.finished, i);
		wait_for(&w.f, no_connections, &w);
		world_stop(&w);
	}
}

/* The reply was handed over whole, but the client takes none of it. */
static bool is_finished(void *arg)
{
	return ((struct world *)arg)->finished >= 1;
}

static void a_finished_reply_that_nobody_takes_does_not_stay(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, &limits);
	/* More than fits into the sockets, so that some stays in the connection's own buffer. */
	w.to_write = 64 * 1024;
	raw_connect(&w.f, &raw, w.port);
	raw.is_deaf = true;
	for (int i = 0; i < 200; i++)
		raw_send(&raw, REQUEST("/big"));
	wait_for(&w.f, is_finished, &w);
	wait_for(&w.f, no_connections, &w);
	world_stop(&w);
}

static bool has_begun(void *arg)
{
	struct world *w = arg;

	return w->requests > 0 && w->x != NULL;
}

static void vanished_clients_end_their_exchange_once(void **state)
{
	static const char *const stages[] = {
		REQUEST("/hold"),
		REQUEST("/start"),
		POST("/echo", "Content-Length: 10\r\n\r\nhello"),
		POST("/echo", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
		POST("/sink", "Content-Length: 10\r\n\r\nhello"),
		POST("/hold", "Content-Length: 10\r\n\r\nhello"),
		REQUEST("/hold") REQUEST("/hold"),
	};

	(void)state;
	for (int resets = 0; resets < 2; resets++) {
		struct raw raws[ARRAY_LEN(stages)];
		struct world w;

		world_start(&w, NULL);
		for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
			raw_connect(&w.f, &raws[i], w.port);
			raw_send(&raws[i], stages[i]);
		}
		while (w.requests < ARRAY_LEN(stages))
			fixture_run(&w.f, 2, NULL, NULL);
		fixture_settle(&w.f);
		for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
			if (resets)
				raw_abort(&w.f, &raws[i]);
			else
				raw_close(&w.f, &raws[i]);
		}
		wait_for(&w.f, all_ended, &w);
		assert_int_equal(w.requests, ARRAY_LEN(stages));
		assert_int_equal(w.finished, 0);
		wait_for(&w.f, no_connections, &w);
		world_stop(&w);
	}
}

/* Nothing is read from this client, so only an event without bytes can tell. */
static void a_reset_is_seen_while_the_body_waits(void **state)
{
	struct world w;
	struct raw raw;
	char *data = xcalloc(1, 200 * 1024 + 1);

	(void)state;
	memset(data, 'x', 200 * 1024);
	world_start(&w, NULL);
	w.body_is_paused = true;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/sink", "Content-Length: 1000000\r\n\r\n"));
	raw_send(&raw, data);
	free(data);
	wait_for(&w.f, has_begun, &w);
	wait_for(&w.f, raw_is_sent, &raw);
	fixture_settle(&w.f);
	raw_abort(&w.f, &raw);
	wait_for(&w.f, all_ended, &w);
	world_stop(&w);
}

static void slow_readers_bound_what_waits_for_them(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	w.to_write = 32 * 1024 * 1024;
	raw_connect(&w.f, &raw, w.port);
	raw.is_deaf = true;
	raw_send(&raw, REQUEST("/stream"));
	wait_for(&w.f, has_begun, &w);
	fixture_settle(&w.f);
	fixture_settle(&w.f);
	/* The kernel's buffers on both sides, and ours. */
	assert_true(w.written < 16 * 1024 * 1024);
	raw.is_deaf = false;
	wait_for(&w.f, all_ended, &w);
	while (raw.in.len < w.to_write)
		fixture_run(&w.f, 2, NULL, NULL);
	raw_expect(&w.f, &raw, "\r\n0\r\n\r\n");
	assert_true(w.drained);
	assert_int_equal(w.written, w.to_write);
	assert_true(raw.in.len > w.to_write);
	wait_for(&w.f, all_ended, &w);
	assert_int_equal(w.finished, 1);
	world_stop(&w);
}

static void big_whole_replies_arrive_whole(void **state)
{
	static const size_t sizes[] = {1, 65535, 65536, 262144 - 200, 262144, 300000, 5000000};
	struct world w;
	struct raw raw;
	size_t total = 0;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		w.to_write = sizes[i];
		w.ends = w.requests = 0;
		buf_reset(&raw.in);
		raw_send(&raw, REQUEST("/big"));
		raw_expect(&w.f, &raw, "\r\n\r\n");
		total = (size_t)(strstr(raw.in.data, "\r\n\r\n") - raw.in.data) + 4 + sizes[i];
		while (raw.in.len < total)
			assert_false(fixture_run(&w.f, 2, NULL, NULL));
		wait_for(&w.f, all_ended, &w);
		assert_int_equal(raw.in.len, total);
	}
	world_stop(&w);
}

static void aborted_replies_end_without_a_final_chunk(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, REQUEST("/start") REQUEST("/empty"));
	raw_expect(&w.f, &raw, "5\r\nbegin\r\n");
	exchange_reply_abort(w.x, "the engine is gone");
	wait_for(&w.f, raw_is_over, &raw);
	assert_int_equal(count_text(&raw.in, "0\r\n\r\n"), 0);
	assert_int_equal(count_text(&raw.in, "HTTP/1.1"), 1);
	assert_int_equal(w.finished, 0);
	raw_close(&w.f, &raw);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, REQUEST("/short"));
	raw_expect(&w.f, &raw, "Content-Length: 5\r\n\r\n123");
	wait_for(&w.f, raw_is_over, &raw);
	raw_close(&w.f, &raw);
	/* Before it was started, it becomes an answer. */
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, REQUEST("/hold"));
	wait_for(&w.f, has_begun, &w);
	exchange_reply_abort(w.x, "the engine is gone");
	raw_expect(&w.f, &raw, "{\"message\":\"the engine is gone\"}");
	raw_expect(&w.f, &raw, "HTTP/1.1 502");
	world_stop(&w);
}

static void headers_of_replies_cannot_split_them(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, REQUEST("/split"));
	raw_expect(&w.f, &raw, "\r\n\r\nhello");
	assert_int_equal(count_text(&raw.in, "Bad Name"), 0);
	assert_int_equal(count_text(&raw.in, "folded"), 0);
	assert_int_equal(count_text(&raw.in, "chunked"), 0);
	assert_int_equal(count_text(&raw.in, "Content-Length: 5"), 1);
	assert_int_equal(count_text(&raw.in, "X-Good: 1"), 1);
	world_stop(&w);
}

static void relay_is_over(struct relay *relay, void *arg)
{
	(void)relay;
	((struct world *)arg)->relay_is_over = true;
}

static void upgrades_keep_early_bytes_and_both_ends(void **state)
{
	struct world w;
	struct raw raw, far;
	int pair[2];

	(void)state;
	for (int client_first = 0; client_first < 2; client_first++) {
		world_start(&w, NULL);
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		raw_init(&w.f, &far, pair[0]);
		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw,
			POST("/raw", "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly" REQUEST(
					     "/empty")));
		raw_expect(&w.f, &raw, "HTTP/1.1 101 UPGRADED\r\n");
		assert_int_equal(count_text(&raw.in, "Upgrade: tcp\r\n"), 1);
		assert_int_equal(w.finished, 1);
		w.relay = relay_start(w.f.loop, TAKE_PTR(w.raw), stream_from_fd(w.f.loop, pair[1]),
			relay_is_over, &w);
		/* What follows is no request. */
		raw_expect(&w.f, &far, "early" REQUEST("/empty"));
		raw_send(&far, "output");
		raw_expect(&w.f, &raw, "output");
		if (client_first) {
			raw.ends_after_out = true;
			wait_for(&w.f, raw_is_over, &far);
			raw_send(&far, "last words");
			far.ends_after_out = true;
			raw_expect(&w.f, &raw, "last words");
			wait_for(&w.f, raw_is_over, &raw);
		} else {
			far.ends_after_out = true;
			wait_for(&w.f, raw_is_over, &raw);
			raw_send(&raw, "last words");
			raw.ends_after_out = true;
			raw_expect(&w.f, &far, "last words");
			wait_for(&w.f, raw_is_over, &far);
		}
		wait_for(&w.f, value_is_set, &w.relay_is_over);
		assert_int_equal(w.requests, 1);
		assert_int_equal(server_connections(w.server), 0);
		world_stop(&w);
	}
}

static void descriptors_come_back_after_aborted_streams(void **state)
{
	struct world w;
	struct raw raw;
	size_t before;

	(void)state;
	world_start(&w, NULL);
	before = count_descriptors();
	for (int i = 0; i < 1000; i++) {
		w.requests = w.ends = 0;
		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, i % 3 == 0   ? REQUEST("/start")
			       : i % 3 == 1 ? POST("/echo", "Content-Length: 9\r\n\r\nhello")
					    : REQUEST("/empty") REQUEST("/start"));
		raw_turn(&raw);
		if (i % 10 == 0)
			wait_for(&w.f, has_begun, &w);
		raw_abort(&w.f, &raw);
	}
	wait_for(&w.f, no_connections, &w);
	assert_int_equal(count_descriptors(), before);
	w.requests = w.ends = 0;
	world_stop(&w);
}

static void accepted_sockets_are_probed(void **state)
{
	struct world w;
	struct raw raw;
	int fd, value;
	socklen_t len = sizeof(value);

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, REQUEST("/hold"));
	wait_for(&w.f, has_begun, &w);
	/* The server's end is the descriptor whose peer is ours. */
	for (fd = 0; fd < 1024; fd++) {
		struct sockaddr_in ours, peer;
		socklen_t ours_len = sizeof(ours), peer_len = sizeof(peer);

		getsockname(raw.fd, (struct sockaddr *)&ours, &ours_len);
		if (fd != raw.fd && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0 &&
			peer.sin_family == AF_INET && peer.sin_port == ours.sin_port)
			break;
	}
	assert_true(fd < 1024);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &len), 0);
	assert_int_equal(value, 1);
	world_stop(&w);
}

static void unix_sockets_are_served_and_cleared_away(void **state)
{
	char folder[] = "/tmp/test_http_server.XXXXXX";
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct addr addr = {.kind = ADDR_UNIX};
	struct err err = ERR_INIT;
	struct world w;
	struct raw raw;
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", folder);
	addr.path = un.sun_path;
	/* Left over by a dead process. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	world_start(&w, NULL);
	assert_int_equal(server_listen(w.server, &addr, NULL, &err), 0);
	assert_int_equal(stat(un.sun_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(server_listen(w.server, &addr, NULL, &err), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	raw_init(&w.f, &raw, fd);
	raw_send(&raw, REQUEST("/hold"));
	wait_for(&w.f, has_begun, &w);
	assert_string_equal(exchange_peer(w.x), "unix");
	exchange_reply_error(w.x, 404, "none");
	raw_expect(&w.f, &raw, "none");
	world_stop(&w);
	assert_int_equal(stat(un.sun_path, &st), -1);
	rmdir(folder);
}

/* A listening socket of somebody else. */
static int bind_other(const struct sockaddr_un *un, int type, int backlog)
{
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)un, sizeof(*un)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

static void a_unix_socket_that_another_took_is_left_to_it(void **state)
{
	char folder[] = "/tmp/test_http_server.XXXXXX";
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct addr addr = {.kind = ADDR_UNIX, .path = un.sun_path};
	struct err err = ERR_INIT;
	struct stat theirs, st;
	struct world w;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", folder);
	world_start(&w, NULL);
	assert_int_equal(server_listen(w.server, &addr, NULL, &err), 0);
	assert_int_equal(unlink(un.sun_path), 0);
	fd = bind_other(&un, SOCK_STREAM, 1);
	assert_int_equal(stat(un.sun_path, &theirs), 0);
	world_stop(&w);
	assert_int_equal(stat(un.sun_path, &st), 0);
	assert_int_equal(st.st_ino, theirs.st_ino);
	close(fd);
	unlink(un.sun_path);
	rmdir(folder);
}

static void a_unix_socket_in_use_is_not_replaced(void **state)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
	char folder[] = "/tmp/test_http_server.XXXXXX";
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct addr addr = {.kind = ADDR_UNIX, .path = un.sun_path};
	int fd, clients[8];
	struct world w;
	struct stat st;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", folder);
	world_start(&w, NULL);
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct err err = ERR_INIT;

		fd = bind_other(&un, types[i], 0);
		/* More than the backlog has room for: nobody can connect any more. */
		for (size_t j = 0; j < ARRAY_LEN(clients); j++) {
			clients[j] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
			(void)connect(clients[j], (const struct sockaddr *)&un, sizeof(un));
		}
		assert_int_equal(server_listen(w.server, &addr, NULL, &err), -1);
		assert_int_equal(err.code, ERR_CONFLICT);
		assert_non_null(strstr(err.msg, un.sun_path));
		assert_int_equal(stat(un.sun_path, &st), 0);
		for (size_t j = 0; j < ARRAY_LEN(clients); j++)
			close(clients[j]);
		close(fd);
		unlink(un.sun_path);
	}
	world_stop(&w);
	rmdir(folder);
}

static void localhost_is_both_loopback_addresses(void **state)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"localhost"};
	struct err err = ERR_INIT;
	struct world w;
	struct raw v4, v6;
	int fd;

	(void)state;
	world_start(&w, NULL);
	assert_int_equal(server_listen(w.server, &addr, NULL, &err), 0);
	addr.host = (char *)"127.0.0.1";
	assert_int_equal(server_listen(w.server, &addr, NULL, &err), 0);
	/* Counts as one. */
	assert_int_not_equal(server_port(w.server, 1), server_port(w.server, 2));
	raw_connect(&w.f, &v4, server_port(w.server, 1));
	raw_send(&v4, REQUEST("/refuse"));
	raw_expect(&w.f, &v4, "403");
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd != -1 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0) {
		in6.sin6_port = htons(server_port(w.server, 1));
		assert_int_equal(connect(fd, (struct sockaddr *)&in6, sizeof(in6)), 0);
		raw_init(&w.f, &v6, fd);
		raw_send(&v6, REQUEST("/refuse"));
		raw_expect(&w.f, &v6, "403");
	} else if (fd != -1) {
		close(fd);
	}
	world_stop(&w);
}

static void a_busy_address_is_an_error_that_names_it(void **state)
{
	struct err err = ERR_INIT;
	struct world w;
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};

	(void)state;
	world_start(&w, NULL);
	addr.port = w.port;
	assert_int_equal(server_listen(w.server, &addr, NULL, &err), -1);
	assert_non_null(strstr(err.msg, "127.0.0.1:"));
	world_stop(&w);
}

static void freeing_the_server_ends_what_is_under_way(void **state)
{
	struct world w;
	struct raw hold, start, collect;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &hold, w.port);
	raw_send(&hold, REQUEST("/hold"));
	raw_connect(&w.f, &start, w.port);
	raw_send(&start, REQUEST("/start"));
	raw_connect(&w.f, &collect, w.port);
	raw_send(&collect, POST("/echo", "Content-Length: 10\r\n\r\nhello"));
	raw_expect(&w.f, &start, "begin");
	while (w.requests < 3)
		fixture_run(&w.f, 2, NULL, NULL);
	world_stop(&w);
	assert_int_equal(w.ends, 3);
	assert_int_equal(w.finished, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_follow_on_one_connection),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(a_head_has_no_body),
		cmocka_unit_test(http10_gets_no_chunks_and_the_end_of_the_connection),
		cmocka_unit_test(expectations_are_met_only_when_the_body_is_wanted),
		cmocka_unit_test(a_body_that_is_not_there_ends_too),
		cmocka_unit_test(a_streamed_body_waits_for_its_reader),
		cmocka_unit_test(a_body_whose_end_is_the_end_of_the_client_is_read_whole),
		cmocka_unit_test(early_replies_reach_clients_that_still_send),
		cmocka_unit_test(bodies_over_the_limit_get_413),
		cmocka_unit_test(malformed_requests_are_refused_and_end_the_connection),
		cmocka_unit_test(endless_heads_are_refused),
		cmocka_unit_test(slow_clients_run_into_deadlines),
		cmocka_unit_test(many_half_requests_do_not_stop_others),
		cmocka_unit_test(clients_that_take_no_reply_run_into_the_deadline),
		cmocka_unit_test(a_finished_reply_that_nobody_takes_does_not_stay),
		cmocka_unit_test(vanished_clients_end_their_exchange_once),
		cmocka_unit_test(a_reset_is_seen_while_the_body_waits),
		cmocka_unit_test(slow_readers_bound_what_waits_for_them),
		cmocka_unit_test(big_whole_replies_arrive_whole),
		cmocka_unit_test(aborted_replies_end_without_a_final_chunk),
		cmocka_unit_test(headers_of_replies_cannot_split_them),
		cmocka_unit_test(upgrades_keep_early_bytes_and_both_ends),
		cmocka_unit_test(descriptors_come_back_after_aborted_streams),
		cmocka_unit_test(accepted_sockets_are_probed),
		cmocka_unit_test(unix_sockets_are_served_and_cleared_away),
		cmocka_unit_test(a_unix_socket_that_another_took_is_left_to_it),
		cmocka_unit_test(a_unix_socket_in_use_is_not_replaced),
		cmocka_unit_test(localhost_is_both_loopback_addresses),
		cmocka_unit_test(a_busy_address_is_an_error_that_names_it),
		cmocka_unit_test(freeing_the_server_ends_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
