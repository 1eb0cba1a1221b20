/* What the client makes of answers: whole, torn, with more behind them, too large, and none at all.
 */
#include "tests/unit/client_fixture.h"

#include <sys/un.h>

#include <netinet/tcp.h>

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
		world_get(&w, w.endpoint, "/");
		wait_for(&w.f, world_is_done, &w);
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
		world_get(&w, w.endpoint, "/");
		wait_for(&w.f, world_is_done, &w);
		assert_true(w.failed);
		assert_int_equal(w.err.code, ERR_UPSTREAM);
		assert_int_equal(w.heads, 0);
		world_stop(&w);
	}
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

static struct call *collect(
	struct world *w, struct endpoint *endpoint, const char *target, size_t max)
{
	struct call_request request = {
		.method = "GET", .target = target, .total_timeout_ms = FIXTURE_DEADLINE_MS};

	w->dones = 0;
	w->err = (struct err)ERR_INIT;
	buf_reset(&w->body);
	return call_collect(endpoint, &request, max, collected, w);
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

	wait_for(&w->f, world_is_done, w);
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
		collect(&w, w.endpoint, "/", max);
		wait_for(&w.f, is_asked_once, &w);
		say(&w, &w.peer.raws[0], answer);
		expect_collected(&w, answer);
		collect(&w, w.endpoint, "/", max);
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
		collect(&w, w.endpoint, "/", CALL_READ_SIZE);
		wait_for(&w.f, is_asked_once, &w);
		buf_printf(&w.peer.raws[0].out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
			body_len);
		while (w.peer.raws[0].out.len < sizes[i])
			buf_append_char(&w.peer.raws[0].out, 'x');
		wait_for(&w.f, world_is_done, &w);
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
		world_get(&w, w.endpoint, "/");
		wait_for(&w.f, is_asked_once, &w);
		say(&w, &w.peer.raws[0], &cases[i].answer);
		wait_for(&w.f, world_is_canceled, &w);
		w.cancel_in = NULL;
		collect(&w, w.endpoint, "/", 1000);
		wait_for(&w.f, is_asked_twice, &w);
		assert_int_equal(w.peer.len, 2);
		say(&w, &w.peer.raws[1], &in_pieces[0]);
		expect_collected(&w, &in_pieces[0]);
		world_stop(&w);
	}
}

static void collected_replies_are_bounded(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	w.to_write = 1024 * 1024;
	collect(&w, w.good, "/stream", 100 * 1024);
	wait_for(&w.f, world_is_done, &w);
	assert_int_equal(w.err.code, ERR_TOO_LARGE);
	/* Cancelled: nothing is told. */
	call_cancel(collect(&w, w.good, "/stream", 100));
	fixture_settle(&w.f);
	assert_int_equal(w.dones, 0);
	world_stop(&w);
}

/* The resolver reads it as it reads a name; the good server is there, on this machine's 0.0.0.0. */
static void names_do_not_stand_for_refused_addresses(void **state)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"0.0.0.0"};
	struct call_request request = {.method = "GET", .target = "/"};
	struct endpoint *refused, *taken;
	struct world w;

	(void)state;
	world_start(&w);
	addr.port = w.peer.port;
	w.peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	taken = endpoint_new(w.client, &addr, NULL);
	addr.refused = ADDR_SPECIAL_UNSPECIFIED;
	refused = endpoint_new(w.client, &addr, NULL);
	world_call(&w, refused, &request);
	wait_for(&w.f, world_is_done, &w);
	assert_true(w.failed);
	assert_non_null(strstr(w.err.msg, "unspecified"));
	assert_int_equal(w.peer.len, 0);
	w.failed = false;
	w.dones = 0;
	world_call(&w, taken, &request);
	wait_for(&w.f, world_is_done, &w);
	assert_false(w.failed);
	endpoint_free(refused);
	endpoint_free(taken);
	world_stop(&w);
}

/* An engine behind a unix socket, where one side can stop reading without a reset. */
struct deaf {
	char folder[32];
	struct sockaddr_un un;
	int fd;
	struct raw raw;
	struct endpoint *endpoint;
};

static bool deaf_has_client(void *arg)
{
	struct deaf *d = arg;

	return (d->raw.fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC)) != -1;
}

static void deaf_start(struct world *w, struct deaf *d)
{
	struct addr addr = {.kind = ADDR_UNIX, .path = d->un.sun_path};

	*d = (struct deaf){.folder = "/tmp/test_http.XXXXXX", .un.sun_family = AF_UNIX};
	assert_non_null(mkdtemp(d->folder));
	snprintf(d->un.sun_path, sizeof(d->un.sun_path), "%s/sock", d->folder);
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(d->fd, (struct sockaddr *)&d->un, sizeof(d->un)), 0);
	assert_int_equal(listen(d->fd, 8), 0);
	d->endpoint = endpoint_new(w->client, &addr, NULL);
}

static void deaf_stop(struct world *w, struct deaf *d)
{
	endpoint_free(d->endpoint);
	raw_close(&w->f, &d->raw);
	close(d->fd);
	unlink(d->un.sun_path);
	rmdir(d->folder);
}

static bool upload_is_given_up(void *arg)
{
	return !((struct call *)arg)->has_upload;
}

/* The rest of the upload cannot be sent, but the answer to it can be read, and says nothing of the
 * connection's end. */
static void a_connection_that_takes_nothing_is_not_kept(void **state)
{
	struct call_request request = {.method = "POST",
		.target = "/",
		.has_upload = true,
		.upload_length = 1000,
		.total_timeout_ms = FIXTURE_DEADLINE_MS};
	struct world w;
	struct deaf d;

	(void)state;
	world_start(&w);
	deaf_start(&w, &d);
	world_call(&w, d.endpoint, &request);
	wait_for(&w.f, deaf_has_client, &d);
	assert_int_equal(shutdown(d.raw.fd, SHUT_RD), 0);
	assert_true(call_upload(w.call, "half", 4));
	wait_for(&w.f, upload_is_given_up, w.call);
	raw_init(&w.f, &d.raw, d.raw.fd);
	raw_send(&d.raw, "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno");
	wait_for(&w.f, world_is_done, &w);
	assert_false(w.failed);
	assert_int_equal(w.status, 400);
	assert_int_equal(d.endpoint->idle_len, 0);
	deaf_stop(&w, &d);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_do_not_stand_for_refused_addresses),
		cmocka_unit_test(misbehaving_peers_are_upstream_errors),
		cmocka_unit_test(endless_heads_and_interim_replies_are_cut),
		cmocka_unit_test(answers_may_come_in_any_pieces),
		cmocka_unit_test(answers_may_fill_a_read),
		cmocka_unit_test(collected_replies_are_bounded),
		cmocka_unit_test(surplus_behind_a_cancelled_call_is_not_an_answer),
		cmocka_unit_test(a_connection_that_takes_nothing_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
