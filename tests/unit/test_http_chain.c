/* Handlers in a chain: one in front judges requests and looks at replies, one behind it answers. */
#include "http/server_priv.h"
#include "lib/str.h"
#include "tests/unit/http_fixture.h"

#include <sys/un.h>

struct world {
	struct fixture f;
	struct handler judge, answerer;
	struct server *server;
	uint16_t port;
	unsigned requests, ends;
	const char *put; /* what the judge puts back; NULL = what it has read */
	unsigned judged; /* how often it reads before it passes on */
	size_t takes;    /* of a piece; 0 = all */
	struct exchange *held;
	bool taps;
	int status; /* what the tap makes of the reply's; 0 = leaves it */
	struct buf seen;
	struct exchange_summary summary;
	struct stream *raw;
	struct exchange_identity who; /* borrowed texts are not looked at later */
};

static void on_end(struct exchange *x, bool finished, void *arg)
{
	struct world *w = arg;

	(void)x;
	(void)finished;
	w->ends++;
}

/* ---- The judge ---- */

static void tap_head(
	struct exchange *x, int *status, struct http_headers *headers, bool is_raw, void *arg)
{
	struct world *w = arg;

	(void)x;
	buf_printf(&w->seen, "%d%s ", *status, is_raw ? " raw" : "");
	http_headers_set(headers, "X-Judged", "yes");
	http_headers_remove(headers, "X-Secret");
	if (w->status != 0)
		*status = w->status;
}

static void tap_piece(struct exchange *x, const char *data, size_t len, void *arg)
{
	(void)x;
	buf_append(&((struct world *)arg)->seen, data, len);
}

static void tap_end(struct exchange *x, const struct exchange_summary *summary, void *arg)
{
	struct world *w = arg;

	(void)x;
	w->summary = *summary;
}

static const struct exchange_tap_ops tap = {.head = tap_head, .piece = tap_piece, .end = tap_end};
/* One that has no interest in anything. */
static const struct exchange_tap_ops blind = {.head = NULL};

static void judge_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct world *w = arg;

	if (w->put != NULL)
		exchange_put_body(x, w->put, strlen(w->put));
	else
		exchange_put_body(x, body, len);
	if (--w->judged > 0)
		exchange_read_body(x, 1024 * 1024, judge_body, w);
	else
		handler_next(&w->judge, x);
}

static void judge(struct handler *h, struct exchange *x)
{
	struct world *w = CONTAINER_OF(h, struct world, judge);

	w->requests++;
	exchange_on_end(x, on_end, w);
	if (w->taps) {
		exchange_tap(x, &tap, w);
		exchange_tap(x, &blind, NULL);
	}
	if (w->judged > 0)
		exchange_read_body(x, 1024 * 1024, judge_body, w);
	else
		handler_next(h, x);
}

/* ---- Who answers ---- */

static void echo_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	(void)arg;
	exchange_reply(x, 200, NULL, body, len);
}

static size_t echo_piece(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct world *w = arg;

	if (!exchange_reply_started(x))
		exchange_reply_start(x, 200, NULL, -1);
	if (len == 0) {
		exchange_reply_end(x);
		return 0;
	}
	if (w->takes > 0 && len > w->takes) {
		w->held = x;
		len = w->takes;
	}
	exchange_reply_write(x, data, len);
	return len;
}

static void answer(struct handler *h, struct exchange *x)
{
	struct world *w = CONTAINER_OF(h, struct world, answerer);
	const char *path = exchange_target(x);
	struct http_headers headers = {0};

	if (str_eq(path, "/read")) {
		exchange_read_body(x, 100, echo_body, w);
	} else if (str_eq(path, "/sink")) {
		exchange_stream_body(x, echo_piece, w);
	} else if (str_eq(path, "/length")) {
		exchange_reply_error(x, 200, "%lld", (long long)exchange_body_length(x));
	} else if (str_eq(path, "/secret")) {
		http_headers_add(&headers, "X-Secret", "1");
		exchange_reply(x, 200, &headers, "hello", 5);
	} else if (str_eq(path, "/break")) {
		exchange_reply_start(x, 200, NULL, -1);
		exchange_reply_write(x, "abc", 3);
		exchange_reply_abort(x, "the end");
	} else if (str_eq(path, "/raw")) {
		http_headers_add(&headers, "X-Secret", "1");
		w->raw = exchange_upgrade(x, 101, &headers);
		assert_non_null(w->raw);
	} else if (str_eq(path, "/who")) {
		w->who = *exchange_identity(x);
		assert_ptr_equal(exchange_identity(x), exchange_identity(x));
		exchange_reply(x, 204, NULL, NULL, 0);
	} else {
		handler_next(h, x);
	}
	http_headers_free(&headers);
}

static void handler_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops judge_ops = {
	.name = "judge", .handle = judge, .free = handler_nothing};
static const struct handler_ops answer_ops = {
	.name = "answer", .handle = answer, .free = handler_nothing};

static void world_start(struct world *w)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->f.loop = loop_new();
	buf_init(&w->seen, 4096);
	w->judge.ops = &judge_ops;
	w->judge.next = &w->answerer;
	w->answerer.ops = &answer_ops;
	w->server = server_new(w->f.loop, &w->judge, NULL);
	assert_int_equal(server_listen(w->server, &addr, NULL, &err), 0);
	w->port = server_port(w->server, 0);
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
	buf_reset(&w->seen);
	assert_int_equal(w->ends, w->requests);
}

#define GET(target) "GET " target " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(target, more) "POST " target " HTTP/1.1\r\nHost: a\r\n" more
#define HELLO "Content-Length: 5\r\n\r\nhello"
#define CHUNKED_HELLO "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"

/* ---- Bodies that are put back ---- */

static void a_body_that_was_read_goes_to_the_next_handler(void **state)
{
	static const struct {
		const char *request, *put, *reply;
		unsigned judged;
	} cases[] = {
		{POST("/read", HELLO), NULL, "\r\n\r\nhello", 1},
		{POST("/read", CHUNKED_HELLO), NULL, "\r\n\r\nhello", 3},
		{POST("/read", HELLO), "another one", "\r\n\r\nanother one", 1},
		{POST("/read", HELLO), "another one", "\r\n\r\nanother one", 2},
		{POST("/read", HELLO), "", "Content-Length: 0\r\n\r\n", 1},
		{GET("/read"), "from nothing", "\r\n\r\nfrom nothing", 1},
		{POST("/sink", HELLO), NULL, "5\r\nhello\r\n0\r\n\r\n", 1},
		{POST("/sink", CHUNKED_HELLO), NULL, "5\r\nhello\r\n0\r\n\r\n", 1},
		{POST("/sink", HELLO), "", "\r\n\r\n0\r\n\r\n", 1},
		{GET("/sink"), NULL, "\r\n\r\n0\r\n\r\n", 1},
		{POST("/length", CHUNKED_HELLO), NULL, "{\"message\":\"5\"}", 1},
		{POST("/length", HELLO), "another one", "{\"message\":\"11\"}", 1},
		{POST("/nowhere", HELLO), NULL, "page not found", 1},
	};
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w);
	raw_connect(&w.f, &raw, w.port);
	/* All over one connection: what is left of none is taken for the next request. */
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_reset(&raw.in);
		w.put = cases[i].put;
		w.judged = cases[i].judged;
		raw_send(&raw, cases[i].request);
		raw_expect(&w.f, &raw, cases[i].reply);
		assert_int_equal(w.judged, 0);
	}
	assert_int_equal(w.requests, ARRAY_LEN(cases));
	world_stop(&w);
}

static void a_body_that_was_put_back_has_the_readers_limit(void **state)
{
	struct world w;
	struct raw raw;
	char big[102] = "";

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	world_start(&w);
	w.put = big;
	w.judged = 1;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/read", HELLO));
	raw_expect(&w.f, &raw, "HTTP/1.1 413");
	world_stop(&w);
}

static bool is_held(void *arg)
{
	return ((struct world *)arg)->held != NULL;
}

static void a_body_that_was_put_back_waits_for_its_sink(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w);
	w.judged = 1;
	w.takes = 2;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/sink", HELLO));
	wait_for(&w.f, is_held, &w);
	fixture_settle(&w.f);
	assert_int_equal(count_text(&raw.in, "2\r\nhe\r\n"), 1);
	assert_int_equal(count_text(&raw.in, "llo"), 0);
	w.takes = 0;
	exchange_body_resume(w.held);
	raw_expect(&w.f, &raw, "3\r\nllo\r\n0\r\n\r\n");
	world_stop(&w);
}

/* ---- Taps ---- */

static void a_tap_sees_the_reply_and_may_change_its_head(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w);
	w.taps = true;
	w.status = 203;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, GET("/secret"));
	raw_expect(&w.f, &raw, "\r\n\r\nhello");
	assert_int_equal(count_text(&raw.in, "HTTP/1.1 203 "), 1);
	assert_int_equal(count_text(&raw.in, "X-Judged: yes\r\n"), 1);
	assert_int_equal(count_text(&raw.in, "X-Secret"), 0);
	assert_string_equal(buf_str(&w.seen), "200 hello");
	assert_int_equal(w.summary.status, 203);
	assert_int_equal(w.summary.bytes, 5);
	assert_true(w.summary.is_finished && !w.summary.is_raw);
	/* A body that is not sent is not seen. */
	buf_empty(&w.seen);
	raw_send(&raw, "HEAD /secret HTTP/1.1\r\nHost: a\r\n\r\n");
	raw_expect_times(&w.f, &raw, "Content-Length: 5\r\n\r\n", 2);
	assert_string_equal(buf_str(&w.seen), "200 ");
	assert_int_equal(w.summary.bytes, 0);
	world_stop(&w);
}

static void a_tap_hears_of_every_end(void **state)
{
	struct world w;
	struct raw raw;

	(void)state;
	world_start(&w);
	w.taps = true;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, GET("/break"));
	wait_for(&w.f, raw_is_over, &raw);
	assert_string_equal(buf_str(&w.seen), "200 abc");
	assert_false(w.summary.is_finished);
	assert_int_equal(w.summary.bytes, 3);
	raw_close(&w.f, &raw);
	/* The client goes before there is a reply. */
	w.summary.status = -1;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/read", "Content-Length: 5\r\n\r\nhel"));
	raw.ends_after_out = true;
	wait_for(&w.f, raw_is_over, &raw);
	assert_int_equal(w.summary.status, 0);
	assert_false(w.summary.is_finished);
	raw_close(&w.f, &raw);
	/* Of a raw stream the head is seen, and its status stays. */
	buf_empty(&w.seen);
	w.status = 500;
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, POST("/raw", "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"));
	raw_expect(&w.f, &raw, "X-Judged: yes\r\n");
	assert_int_equal(count_text(&raw.in, "HTTP/1.1 101 UPGRADED\r\n"), 1);
	assert_int_equal(count_text(&raw.in, "X-Secret"), 0);
	assert_string_equal(buf_str(&w.seen), "101 raw ");
	assert_true(w.summary.is_finished && w.summary.is_raw);
	assert_int_equal(w.summary.status, 101);
	world_stop(&w);
}

/* ---- Who asks ---- */

static void a_unix_socket_tells_who_has_connected_it(void **state)
{
	char folder[] = "/tmp/test_http_chain.XXXXXX";
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct addr addr = {.kind = ADDR_UNIX, .path = un.sun_path};
	struct err err = ERR_INIT;
	struct world w;
	struct raw raw;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/sock", folder);
	world_start(&w);
	assert_int_equal(server_listen(w.server, &addr, NULL, &err), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	raw_init(&w.f, &raw, fd);
	raw_send(&raw, GET("/who"));
	raw_expect(&w.f, &raw, "HTTP/1.1 204");
	assert_true(w.who.has_process);
	assert_int_equal(w.who.uid, getuid());
	assert_int_equal(w.who.gid, getgid());
	assert_int_equal(w.who.pid, getpid());
	assert_null(w.who.common_name);
	raw_close(&w.f, &raw);
	/* Nobody vouches for a client of plain TCP, whatever it says. */
	raw_connect(&w.f, &raw, w.port);
	raw_send(&raw, "GET /who HTTP/1.1\r\nHost: a\r\nX-Remote-User: root\r\n\r\n");
	raw_expect(&w.f, &raw, "HTTP/1.1 204");
	assert_false(w.who.has_process);
	assert_null(w.who.common_name);
	assert_int_equal(w.who.organizations.len, 0);
	world_stop(&w);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_that_was_read_goes_to_the_next_handler),
		cmocka_unit_test(a_body_that_was_put_back_has_the_readers_limit),
		cmocka_unit_test(a_body_that_was_put_back_waits_for_its_sink),
		cmocka_unit_test(a_tap_sees_the_reply_and_may_change_its_head),
		cmocka_unit_test(a_tap_hears_of_every_end),
		cmocka_unit_test(a_unix_socket_tells_who_has_connected_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
