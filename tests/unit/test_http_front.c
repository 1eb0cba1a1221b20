/* What a server owes to clients that go, that send behind an upgrade, or that want it to hold much:
 * a server in this process, and raw sockets against it. */
#include "http/relay.h"
#include "http/server_priv.h"
#include "lib/str.h"
#include "tests/unit/http_fixture.h"

#include <sys/resource.h>

#define NEVER_MS (3600 * 1000)
#define KIB ((size_t)1024)

/* What the handler does is chosen by the target's path. */
struct world {
	struct fixture f;
	struct handler handler;
	struct server *server;
	uint16_t port;
	unsigned requests, ends;
	struct exchange *x;
	struct raw engine; /* the other end of the relay */
	size_t reply_len;
};

static void on_end(struct exchange *x, bool finished, void *arg)
{
	struct world *w = arg;

	(void)finished;
	if (w->x == x)
		w->x = NULL;
	w->ends++;
}

static void tell_length(struct exchange *x, const char *body, size_t len, void *arg)
{
	(void)body;
	(void)arg;
	exchange_reply_error(x, 200, "took %zu", len);
}

static size_t drop_piece(struct exchange *x, const char *data, size_t len, void *arg)
{
	(void)data;
	(void)arg;
	if (len == 0)
		exchange_reply_error(x, 200, "took it");
	return len;
}

static void start_relay(struct world *w, struct exchange *x)
{
	int pair[2];

	if (!exchange_may_upgrade(x)) {
		exchange_reply_error(x, 503, "too many");
		return;
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	raw_init(&w->f, &w->engine, pair[0]);
	relay_start(w->f.loop, exchange_upgrade(x, 101, NULL), stream_from_fd(w->f.loop, pair[1]),
		NULL, NULL);
}

static void handle(struct handler *h, struct exchange *x)
{
	struct world *w = CONTAINER_OF(h, struct world, handler);
	const char *path = exchange_target(x);

	w->requests++;
	w->x = x;
	exchange_on_end(x, on_end, w);
	if (str_eq(path, "/read")) {
		exchange_read_body(x, 1024 * KIB, tell_length, w);
	} else if (str_eq(path, "/sink")) {
		exchange_stream_body(x, drop_piece, w);
	} else if (str_eq(path, "/big")) {
		char *body = xcalloc(1, w->reply_len);

		exchange_reply(x, 200, NULL, body, w->reply_len);
		free(body);
	} else if (str_eq(path, "/raw")) {
		struct stream *stream = exchange_upgrade(x, 101, NULL);

		assert_null(stream);
	} else if (str_eq(path, "/relay")) {
		start_relay(w, x);
	} else if (str_eq(path, "/start")) {
		exchange_reply_start(x, 200, NULL, -1);
		exchange_reply_write(x, "begin", 5);
	} else if (!str_eq(path, "/hold")) {
		exchange_reply_error(x, 404, "no such page");
	}
}

static void handler_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops ops = {.name = "test", .handle = handle, .free = handler_nothing};

/* No deadline but those that a test sets. */
static struct server_limits patient(void)
{
	struct server_limits limits = server_default_limits;

	limits.head_timeout_ms = limits.idle_timeout_ms = limits.body_timeout_ms = NEVER_MS;
	limits.collect_timeout_ms = limits.collect_grace_ms = limits.ended_grace_ms = NEVER_MS;
	return limits;
}

static void world_start(struct world *w, const struct server_limits *limits)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"0.0.0.0"};
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->f.loop = loop_new();
	w->handler.ops = &ops;
	w->server = server_new(w->f.loop, &w->handler, limits);
	assert_int_equal(server_listen(w->server, &addr, NULL, &err), 0);
	w->port = server_port(w->server, 0);
}

static void world_stop(struct world *w)
{
	for (size_t i = 0; i < RAW_MAX; i++) {
		if (w->f.raws[i] != NULL)
			raw_close(&w->f, w->f.raws[i]);
	}
	server_free(w->server);
	loop_free(w->f.loop);
	assert_int_equal(w->ends, w->requests);
}

static bool no_connections(void *arg)
{
	return server_connections(((struct world *)arg)->server) == 0;
}

/* From 127.0.0.N. */
static void connect_from(struct world *w, struct raw *raw, unsigned n)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd != -1);
	in.sin_addr.s_addr = htonl(0x7f000000 + n);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons(w->port);
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	raw_init(&w->f, raw, fd);
}

#define GET(target, more) "GET " target " HTTP/1.1\r\nHost: a\r\n" more "\r\n"
#define POST(target, more) "POST " target " HTTP/1.1\r\nHost: a\r\n" more
#define UPGRADE "Connection: Upgrade\r\nUpgrade: tcp\r\n"

/* ---- Clients that go ---- */

static void a_client_that_ends_within_its_request_is_not_waited_for(void **state)
{
	static const char *const cut[] = {
		"",
		"G",
		"\r",
		"GET /hold HTTP/1.1\r\nHost: a\r\n",
		GET("/nowhere", ""),
		GET("/nowhere", "") "GET /now",
		POST("/read", "Content-Length: 10\r\n\r\n"),
		POST("/read", "Content-Length: 10\r\n\r\nhello"),
		POST("/read", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
		POST("/read", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b\r\n"),
		POST("/sink", "Content-Length: 10\r\n\r\nhello"),
		POST("/sink", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
		POST("/hold", "Content-Length: 10\r\n\r\nhello"),
	};
	struct server_limits limits = patient();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
		struct world w;
		struct raw raw;

		world_start(&w, &limits);
		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, cut[i]);
		raw.ends_after_out = true;
		wait_for(&w.f, raw_is_over, &raw);
		wait_for(&w.f, no_connections, &w);
		world_stop(&w);
	}
}

static void a_client_that_ends_behind_its_request_gets_the_reply(void **state)
{
	static const char *const whole[] = {
		GET("/nowhere", ""),
		POST("/read", "Content-Length: 5\r\n\r\nhello"),
		POST("/sink", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
	};
	struct server_limits limits = patient();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
		struct world w;
		struct raw raw;

		world_start(&w, &limits);
		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, whole[i]);
		raw.ends_after_out = true;
		raw_expect(&w.f, &raw, "{\"message\":");
		wait_for(&w.f, no_connections, &w);
		world_stop(&w);
	}
}

/* Its body is not asked for, whole or not. */
static void a_client_that_ended_is_not_kept_by_a_body_that_nobody_takes(void **state)
{
	static const char *const requests[] = {
		POST("/hold", "Content-Length: 5\r\n\r\nhello"),
		POST("/hold", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
		POST("/start", "Content-Length: 5\r\n\r\nhello"),
		POST("/start", "Content-Length: 9\r\n\r\nhello"),
		POST("/start", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
	};
	struct server_limits limits = patient();

	(void)state;
	limits.ended_grace_ms = 50;
	limits.collect_timeout_ms = 150;
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct world w;
		struct raw raw;

		world_start(&w, &limits);
		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, requests[i]);
		raw.ends_after_out = true;
		wait_for(&w.f, raw_is_over, &raw);
		wait_for(&w.f, no_connections, &w);
		world_stop(&w);
	}
}

/* ---- Bytes behind an upgrade ---- */

static void what_follows_a_refused_upgrade_is_no_request(void **state)
{
	static const char *const requests[] = {
		GET("/nowhere", UPGRADE),
		GET("/nowhere", "Upgrade: tcp\r\n"),
		GET("/nowhere", "Connection: keep-alive, upgrade\r\n"),
		GET("/nowhere", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"),
		POST("/read", UPGRADE "Content-Length: 5\r\n\r\nhello"),
		POST("/sink", UPGRADE "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		POST("/nowhere", UPGRADE "Content-Length: 5\r\n\r\nhello"),
		"GET /nowhere HTTP/1.0\r\n" UPGRADE "\r\n",
		"GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	};
	struct world w;

	(void)state;
	world_start(&w, NULL);
	for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
		struct raw raw;

		w.requests = w.ends = 0;
		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, requests[i]);
		raw_send(&raw, "DELETE /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
		wait_for(&w.f, raw_is_over, &raw);
		assert_int_equal(count_text(&raw.in, "Connection: close\r\n"), 1);
		assert_int_equal(w.requests, 1);
		raw_close(&w.f, &raw);
	}
	world_stop(&w);
}

/* A client's end of which the test says how much it takes. */
struct tight_stream {
	struct stream stream;
	struct buf in, out;
	size_t room;
};

static ssize_t tight_read(struct stream *s, void *data, size_t len)
{
	struct tight_stream *t = CONTAINER_OF(s, struct tight_stream, stream);
	size_t n = len < t->in.len ? len : t->in.len;

	if (n == 0)
		return STREAM_AGAIN;
	memcpy(data, t->in.data, n);
	buf_consume(&t->in, n);
	return (ssize_t)n;
}

static ssize_t tight_write(struct stream *s, const void *data, size_t len)
{
	struct tight_stream *t = CONTAINER_OF(s, struct tight_stream, stream);
	size_t n = len < t->room ? len : t->room;

	if (n == 0)
		return STREAM_AGAIN;
	t->room -= n;
	assert_int_equal(buf_append(&t->out, data, n), 0);
	return (ssize_t)n;
}

static void tight_nothing(struct stream *s)
{
	(void)s;
}

static void tight_want(struct stream *s, unsigned events)
{
	(void)s;
	(void)events;
}

static const struct stream_ops tight_ops = {
	.name = "tight",
	.read = tight_read,
	.write = tight_write,
	.shutdown_write = tight_nothing,
	.want = tight_want,
	.close = tight_nothing,
};

static void an_upgrade_that_fails_sends_no_second_head(void **state)
{
	struct tight_stream tight = {.stream.ops = &tight_ops, .room = 20};
	struct world w;

	(void)state;
	world_start(&w, NULL);
	buf_init(&tight.in, 4096);
	buf_init(&tight.out, 4096);
	buf_append_str(&tight.in, GET("/raw", UPGRADE));
	connection_open(w.server, &tight.stream, "tight", false);
	tight.room = 4000;
	wait_for(&w.f, no_connections, &w);
	assert_int_equal(w.requests, 1);
	assert_string_equal(buf_str(&tight.out), "HTTP/1.1 101 UPGRADE");
	buf_reset(&tight.in);
	buf_reset(&tight.out);
	world_stop(&w);
}

/* ---- Heads ---- */

static void too_many_lines_are_refused_before_the_head_ends(void **state)
{
	struct server_limits limits = patient();
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, &limits);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < HEAD_HEADERS_MAX + 1; i++)
		raw_send(&raw, "a:b\r\n");
	raw_expect(&w.f, &raw, "HTTP/1.1 431");
	wait_for(&w.f, raw_is_over, &raw);
	assert_int_equal(w.requests, 0);
	world_stop(&w);
}

static void an_empty_line_in_two_pieces_is_one(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w, NULL);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, "\r");
	fixture_settle(&w.f);
	raw_send(&raw, "\n" GET("/nowhere", ""));
	raw_expect(&w.f, &raw, "no such page");
	world_stop(&w);
}

/* ---- What is held ---- */

static struct server_limits small_ledger(void)
{
	struct server_limits limits = patient();

	limits.held_max = 1200 * KIB;
	limits.held_client_max = 800 * KIB;
	return limits;
}

static void ask_to_hold(struct world *w, struct raw *raw, unsigned from)
{
	connect_from(w, raw, from);
	raw_send(raw, POST("/read", "Expect: 100-continue\r\nContent-Length: 400000\r\n\r\n"));
}

static bool nothing_is_held(void *arg)
{
	return ((struct world *)arg)->server->ledger.held == 0;
}

static void unfinished_bodies_have_a_sum(void **state)
{
	struct server_limits limits = small_ledger();
	struct raw first, second, other, late, small;
	struct world w;
	char *body = xcalloc(1, 400001);

	(void)state;
	memset(body, 'x', 400000);
	world_start(&w, &limits);
	ask_to_hold(&w, &first, 1);
	raw_expect(&w.f, &first, "100 Continue");
	/* Of one address. */
	ask_to_hold(&w, &second, 1);
	raw_expect(&w.f, &second, "HTTP/1.1 503");
	assert_int_equal(count_text(&second.in, "100 Continue"), 0);
	wait_for(&w.f, raw_is_over, &second);
	/* Of all. */
	ask_to_hold(&w, &other, 2);
	raw_expect(&w.f, &other, "100 Continue");
	ask_to_hold(&w, &late, 3);
	raw_expect(&w.f, &late, "HTTP/1.1 503");
	/* Others do not notice: neither who asks for little, nor who was let in. */
	connect_from(&w, &small, 1);
	raw_send(&small, POST("/read", "Content-Length: 5\r\n\r\nhello"));
	raw_expect(&w.f, &small, "took 5");
	raw_send(&first, body);
	raw_expect(&w.f, &first, "took 400000");
	raw_send(&other, body);
	raw_expect(&w.f, &other, "took 400000");
	wait_for(&w.f, nothing_is_held, &w);
	raw_send(&small, POST("/read", "Content-Length: 400000\r\n\r\n"));
	raw_send(&small, body);
	raw_expect(&w.f, &small, "took 400000");
	free(body);
	world_stop(&w);
}

static void bodies_of_unknown_length_are_in_the_sum(void **state)
{
	struct server_limits limits = small_ledger();
	struct raw holder, chunked;
	struct world w;
	char *body = xcalloc(1, 0x40000 + 1);

	(void)state;
	memset(body, 'x', 0x40000);
	world_start(&w, &limits);
	ask_to_hold(&w, &holder, 1);
	raw_expect(&w.f, &holder, "100 Continue");
	connect_from(&w, &chunked, 1);
	raw_send(&chunked, POST("/read", "Transfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 3; i++) {
		raw_send(&chunked, "40000\r\n");
		raw_send(&chunked, body);
		raw_send(&chunked, "\r\n");
	}
	raw_expect(&w.f, &chunked, "HTTP/1.1 503");
	wait_for(&w.f, raw_is_over, &chunked);
	free(body);
	world_stop(&w);
}

static void waiting_replies_have_a_sum(void **state)
{
	struct server_limits limits = small_ledger();
	struct raw deaf[2], other;
	struct world w;

	(void)state;
	limits.held_max = 24 * 1024 * KIB;
	limits.held_client_max = 20 * 1024 * KIB;
	world_start(&w, &limits);
	/* More than the sockets take. */
	w.reply_len = 14 * 1024 * KIB;
	for (size_t i = 0; i < ARRAY_LEN(deaf); i++) {
		connect_from(&w, &deaf[i], 1);
		deaf[i].is_deaf = true;
		raw_send(&deaf[i], GET("/big", ""));
		while (w.ends <= i)
			fixture_run(&w.f, 2, NULL, NULL);
	}
	assert_true(w.server->ledger.held > 0 && w.server->ledger.held <= limits.held_client_max);
	w.reply_len = 2 * 1024 * KIB;
	connect_from(&w, &other, 2);
	raw_send(&other, GET("/big", ""));
	raw_expect(&w.f, &other, "HTTP/1.1 200");
	deaf[1].is_deaf = false;
	raw_expect(&w.f, &deaf[1], "HTTP/1.1 503");
	deaf[0].is_deaf = false;
	wait_for(&w.f, nothing_is_held, &w);
	assert_int_equal(count_text(&deaf[0].in, "HTTP/1.1 200"), 1);
	world_stop(&w);
}

static void unfinished_heads_have_a_sum(void **state)
{
	struct server_limits limits = small_ledger();
	char *padding = xcalloc(1, 100 * KIB + 1);
	struct raw raws[6], small;
	struct world w;
	size_t refused = 0;

	(void)state;
	memset(padding, 'x', 100 * KIB);
	limits.held_client_max = 500 * KIB;
	world_start(&w, &limits);
	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		connect_from(&w, &raws[i], 1);
		raw_send(&raws[i], "GET /nowhere HTTP/1.1\r\nHost: a\r\nX-Padding: ");
		raw_send(&raws[i], padding);
		wait_for(&w.f, raw_is_sent, &raws[i]);
		fixture_settle(&w.f);
	}
	free(padding);
	for (size_t i = 0; i < ARRAY_LEN(raws); i++)
		refused += count_text(&raws[i].in, "HTTP/1.1 503");
	assert_true(refused > 0 && refused < ARRAY_LEN(raws));
	assert_true(w.server->ledger.held <= limits.held_client_max);
	connect_from(&w, &small, 1);
	raw_send(&small, GET("/nowhere", ""));
	raw_expect(&w.f, &small, "no such page");
	world_stop(&w);
}

/* It makes progress all the time. */
static void a_collected_body_must_come_at_a_rate(void **state)
{
	struct server_limits limits = patient();
	struct world w;
	struct raw raw;

	(void)state;
	limits.collect_grace_ms = 100;
	limits.collect_rate = 1024 * 1024;
	world_start(&w, &limits);
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/read", "Content-Length: 1000000\r\n\r\n"));
	for (int i = 0; i < 100000 && !raw_is_over(&raw); i++) {
		raw_send(&raw, "x");
		fixture_run(&w.f, 2, NULL, NULL);
	}
	wait_for(&w.f, raw_is_over, &raw);
	wait_for(&w.f, no_connections, &w);
	world_stop(&w);
}

/* ---- Room ---- */

static void connect_idle(struct world *w, struct raw *raws, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		raw_connect(&w->f, &raws[i], w->port);
		raw_send(&raws[i], "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
		raw_expect(&w->f, &raws[i], "HTTP/1.1 ");
	}
}

/* A newcomer gets the place of who has been idle longest, which is not who came first; who asked
 * for nothing yet goes before all others. */
static void newcomers_get_the_place_of_the_idle(void **state)
{
	struct server_limits limits = patient();
	struct world w;
	struct raw raws[3], silent, first, second;

	(void)state;
	limits.connections_max = 4;
	world_start(&w, &limits);
	connect_idle(&w, raws, ARRAY_LEN(raws));
	raw_send(&raws[0], "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n");
	raw_expect_times(&w.f, &raws[0], "HTTP/1.1 ", 2);
	raw_connect(&w.f, &silent, w.port);
	connect_idle(&w, &first, 1);
	wait_for(&w.f, raw_is_over, &silent);
	assert_false(raw_is_over(&raws[1]));
	connect_idle(&w, &second, 1);
	wait_for(&w.f, raw_is_over, &raws[1]);
	assert_false(raw_is_over(&raws[0]) || raw_is_over(&raws[2]));
	assert_int_equal(server_connections(w.server), limits.connections_max);
	world_stop(&w);
}

/* The last descriptors are not for clients, whoever has taken those below. */
static void the_last_descriptors_are_not_for_clients(void **state)
{
	struct rlimit before, few;
	struct world w;
	struct raw raw;
	int fillers[128];
	size_t len = 0;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 128;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	world_start(&w, NULL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(w.server->room.max, 64);
	raw_connect(&w.f, &raw, w.port);
	do
		fillers[len] = dup(raw.fd);
	while (fillers[len++] < 112);
	raw_expect(&w.f, &raw, "HTTP/1.1 503");
	while (len > 0)
		close(fillers[--len]);
	raw_close(&w.f, &raw);
	connect_idle(&w, &raw, 1);
	raw_close(&w.f, &raw);
	world_stop(&w);
}

static bool no_relays(void *arg)
{
	(void)arg;
	return relays_open() == 0;
}

static void raw_streams_are_counted_until_they_end(void **state)
{
	struct server_limits limits = patient();
	struct world w;
	struct raw raw, other;
	size_t before;

	(void)state;
	world_start(&w, &limits);
	w.server->room.streams_max = 1;
	before = count_descriptors();
	for (int round = 0; round < 2; round++) {
		raw_connect(&w.f, &raw, w.port);
		raw_send(&raw, "POST /relay HTTP/1.1\r\nHost: x\r\n\r\n");
		raw_expect(&w.f, &raw, "HTTP/1.1 101");
		raw_connect(&w.f, &other, w.port);
		raw_send(&other, "POST /relay HTTP/1.1\r\nHost: x\r\n\r\n");
		raw_expect(&w.f, &other, "HTTP/1.1 503");
		raw_close(&w.f, &other);
		raw_close(&w.f, &raw);
		raw_close(&w.f, &w.engine);
		wait_for(&w.f, no_relays, NULL);
		wait_for(&w.f, no_connections, &w);
		assert_int_equal(count_descriptors(), before);
	}
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_that_ends_within_its_request_is_not_waited_for),
		cmocka_unit_test(a_client_that_ends_behind_its_request_gets_the_reply),
		cmocka_unit_test(a_client_that_ended_is_not_kept_by_a_body_that_nobody_takes),
		cmocka_unit_test(what_follows_a_refused_upgrade_is_no_request),
		cmocka_unit_test(an_upgrade_that_fails_sends_no_second_head),
		cmocka_unit_test(too_many_lines_are_refused_before_the_head_ends),
		cmocka_unit_test(an_empty_line_in_two_pieces_is_one),
		cmocka_unit_test(unfinished_bodies_have_a_sum),
		cmocka_unit_test(bodies_of_unknown_length_are_in_the_sum),
		cmocka_unit_test(waiting_replies_have_a_sum),
		cmocka_unit_test(unfinished_heads_have_a_sum),
		cmocka_unit_test(a_collected_body_must_come_at_a_rate),
		cmocka_unit_test(newcomers_get_the_place_of_the_idle),
		cmocka_unit_test(raw_streams_are_counted_until_they_end),
		cmocka_unit_test(the_last_descriptors_are_not_for_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
