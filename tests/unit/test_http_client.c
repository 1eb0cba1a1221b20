/* Calls of the client against a server in this process, and against peers that are silent. */
#include "tests/unit/client_fixture.h"

static void calls_bring_replies(void **state)
{
	struct world w;
	struct call_request post = {
		.method = "POST", .target = "/echo", .body = "hello", .body_len = 5};
	struct call_request head = {.method = "HEAD", .target = "/nowhere"};

	(void)state;
	world_start(&w);
	world_get(&w, w.good, "/nowhere");
	wait_for(&w.f, world_is_done, &w);
	assert_false(w.failed);
	assert_int_equal(w.status, 404);
	assert_string_equal(buf_str(&w.body), "{\"message\":\"none\"}\n");
	world_call(&w, w.good, &post);
	wait_for(&w.f, world_is_done, &w);
	assert_string_equal(buf_str(&w.body), "hello");
	world_call(&w, w.good, &head);
	wait_for(&w.f, world_is_done, &w);
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
		world_get(&w, w.good, targets[i]);
		wait_for(&w.f, world_is_done, &w);
		assert_true(w.failed);
		assert_int_equal(w.err.code, ERR_INVALID);
	}
	world_call(&w, w.good, &request);
	wait_for(&w.f, world_is_done, &w);
	assert_int_equal(w.err.code, ERR_INVALID);
	assert_int_equal(w.exchanges, 0);
	world_stop(&w);
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
		world_call(&w, w.endpoint, &cases[i].request);
		wait_for(&w.f, world_is_done, &w);
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
	world_call(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	fixture_run(&w.f, 700, NULL, NULL);
	assert_int_equal(w.dones, 0);
	call_upload(w.call, "world", 5);
	call_upload_end(w.call);
	wait_for(&w.f, world_is_done, &w);
	assert_false(w.failed);
	assert_string_equal(buf_str(&w.body), "{\"message\":\"10\"}\n");
	/* One that never answers is late all the same. */
	request.target = "/hold";
	world_call(&w, w.good, &request);
	call_upload_end(w.call);
	wait_for(&w.f, world_is_done, &w);
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
	world_get(&w, w.endpoint, "/");
	wait_for(&w.f, world_is_done, &w);
	assert_int_equal(w.err.code, ERR_UNAVAILABLE);
	w.peer.fd = dup(0);
	world_stop(&w);
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
			world_call(&w, w.good, &upload);
			assert_false(call_upload(w.call, data, sizeof(data)));
		} else if (str_eq(places[i], "endpoint")) {
			world_get(&w, w.endpoint, "/");
			w.peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
		} else {
			world_get(&w, w.good, "/stream");
		}
		if (str_eq(places[i], "at once")) {
			call_cancel(w.call);
			w.call = NULL;
		}
		wait_for(&w.f, world_is_canceled, &w);
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
	world_get(&w, w.good, "/stream");
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
	wait_for(&w.f, world_is_done, &w);
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
		world_call(&w, w.good, &request);
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
		wait_for(&w.f, world_is_done, &w);
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
	world_call(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	call_upload(w.call, "world", 5);
	wait_for(&w.f, world_is_done, &w);
	assert_int_equal(w.err.code, ERR_INVALID);
	world_call(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	fixture_settle(&w.f);
	call_upload_end(w.call);
	wait_for(&w.f, world_is_done, &w);
	assert_int_equal(w.err.code, ERR_INVALID);
	/* What does not fit must not become a body that looks whole. */
	request.upload_length = -1;
	w.received = 0;
	world_call(&w, w.good, &request);
	call_upload(w.call, "hello", 5);
	call_upload(w.call, data, sizeof(data));
	wait_for(&w.f, world_is_done, &w);
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
	world_call(&w, w.good, &request);
	call_upload(w.call, data, sizeof(data));
	wait_for(&w.f, world_is_done, &w);
	assert_false(w.failed);
	assert_int_equal(w.status, 403);
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
	world_call(&w, w.endpoint, &request);
	wait_for(&w.f, is_looked_at_no_more, &w);
	call_cancel(w.call);
	assert_null(w.client->endless_calls);
	assert_int_equal(w.dones, 0);
	world_call(&w, w.endpoint, &request);
	wait_for(&w.f, is_looked_at_no_more, &w);
	endpoint_free(TAKE_PTR(w.endpoint));
	assert_null(w.client->endless_calls);
	assert_int_equal(w.err.code, ERR_CANCELED);
	assert_string_equal(buf_str(&w.body), "hello");
	world_stop(&w);
}

/* Many that are late at once, of which each that ends takes others with it: those before, behind,
 * and next to it. None is told twice or missed. */
enum { LATE = 200 };

struct late {
	struct call *calls[LATE];
	struct late_owner {
		struct late *late;
		size_t i;
	} owners[LATE];
	unsigned told, cancelled;
	struct loop *loop;
	uint64_t first_ms, last_ms;
};

static void cancel_late(struct late *late, size_t i)
{
	if (i >= LATE || late->calls[i] == NULL)
		return;
	call_cancel(TAKE_PTR(late->calls[i]));
	late->cancelled++;
}

static void on_late(void *arg, const struct reply *reply, const struct err *err)
{
	struct late_owner *owner = arg;
	struct late *late = owner->late;
	size_t i = owner->i;

	(void)reply;
	(void)err;
	late->calls[i] = NULL;
	late->last_ms = loop_now_ms(late->loop);
	if (late->told++ == 0)
		late->first_ms = late->last_ms;
	if (i % 3 == 0) {
		cancel_late(late, i - 1);
		cancel_late(late, i + 1);
	}
	if (i % 5 == 0) {
		cancel_late(late, i - 7);
		cancel_late(late, i + 7);
	}
	if (i % 7 == 0)
		cancel_late(late, LATE - 1 - i);
}

static bool is_none_left(void *arg)
{
	const struct late *late = arg;

	return late->told + late->cancelled == LATE;
}

static void late_calls_may_end_each_other(void **state)
{
	const struct call_request request = {
		.method = "GET", .target = "/hold", .total_timeout_ms = 100};
	struct late late = {.told = 0};
	struct world w;

	(void)state;
	world_start(&w);
	late.loop = w.f.loop;
	for (size_t i = 0; i < LATE; i++) {
		late.owners[i] = (struct late_owner){.late = &late, .i = i};
		late.calls[i] = call_collect(w.good, &request, 100, on_late, &late.owners[i]);
	}
	wait_for(&w.f, is_none_left, &late);
	assert_true(late.told > LATE / 4 && late.cancelled > LATE / 4);
	assert_int_equal(late.first_ms, late.last_ms); /* all in one round */
	assert_null(w.client->calls);
	fixture_settle(&w.f);
	world_stop(&w);
}

static void freeing_the_client_ends_its_calls(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	world_get(&w, w.good, "/hold");
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
	world_get(&w, w.good, "/nowhere"); /* libcurl's own, made at first use */
	wait_for(&w.f, world_is_done, &w);
	fixture_settle(&w.f);
	before = count_descriptors();
	for (int i = 0; i < 300; i++) {
		world_call(&w, w.good, &request);
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
		wait_for(&w.f, world_is_done, &w);
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
	wait_for(&w.f, world_is_done, &w);
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
		cmocka_unit_test(silence_runs_into_each_deadline),
		cmocka_unit_test(the_deadline_of_the_head_runs_from_the_end_of_the_request),
		cmocka_unit_test(refused_connections_are_unavailable),
		cmocka_unit_test(calls_may_be_cancelled_anywhere),
		cmocka_unit_test(paused_replies_wait_and_go_on),
		cmocka_unit_test(uploads_wait_for_their_reader),
		cmocka_unit_test(uploads_of_another_length_break_off),
		cmocka_unit_test(early_answers_to_uploads_are_heard),
		cmocka_unit_test(answers_without_a_deadline_are_set_aside),
		cmocka_unit_test(late_calls_may_end_each_other),
		cmocka_unit_test(freeing_the_client_ends_its_calls),
		cmocka_unit_test(nothing_is_left_open),
		cmocka_unit_test(raw_calls_become_streams_or_answers),
		cmocka_unit_test(raw_calls_end_with_their_deadline_or_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
