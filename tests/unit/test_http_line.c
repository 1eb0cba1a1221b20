/* Calls that share connections, against a raw peer: it sees what is asked before it answers, cuts
 * its answers anywhere, and goes away. */
#include "http/client_priv.h"
#include "lib/str.h"
#include "tests/unit/chance.h"
#include "tests/unit/http_fixture.h"
#include "tests/unit/moved_clock.h"

#define CALLS_MAX 32
#define PEERS_MAX RAW_MAX

struct world;

struct asked {
	struct world *w;
	struct call *call; /* NULL = none is under way */
	unsigned number;
	unsigned dones, order;
	struct buf body;
	struct err err;
	bool is_cancelled;
	unsigned cancels_from, cancels; /* in done: so many others */
	unsigned asks;                  /* in done: one more, of this number */
};

struct world {
	struct fixture f;
	struct client *client;
	struct endpoint *endpoint;
	int fd;
	struct loop_watch *watch;
	struct raw raws[PEERS_MAX];
	size_t accepted; /* in all */
	struct asked asked[CALLS_MAX];
	unsigned lines, timeout_ms;
	unsigned dones;
	/* The random peer. */
	bool is_random;
	size_t answered[PEERS_MAX]; /* bytes of in */
	bool is_harmless;
};

static void on_accept(unsigned events, void *arg)
{
	struct world *w = arg;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	assert_int_not_equal(fd, -1);
	for (size_t i = 0; i < PEERS_MAX; i++) {
		if (w->raws[i].fd != -1)
			continue;
		raw_init(&w->f, &w->raws[i], fd);
		w->answered[i] = 0;
		w->accepted++;
		return;
	}
	fail_msg("more connections than were to be");
}

static void start(struct world *w, unsigned lines)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};

	memset(w, 0, sizeof(*w));
	w->lines = lines;
	w->f.loop = loop_new();
	w->client = client_new(w->f.loop);
	for (size_t i = 0; i < PEERS_MAX; i++)
		w->raws[i].fd = -1;
	w->fd = raw_listen(&addr.port);
	w->watch = loop_watch_new(w->f.loop, w->fd, on_accept, w);
	loop_watch_set(w->watch, LOOP_READ);
	w->endpoint = endpoint_new(w->client, &addr, NULL);
}

static void stop(struct world *w)
{
	endpoint_free(w->endpoint);
	client_free(w->client);
	for (size_t i = 0; i < PEERS_MAX; i++)
		raw_close(&w->f, &w->raws[i]);
	loop_watch_free(w->watch);
	if (w->fd != -1)
		close(w->fd);
	loop_free(w->f.loop);
	for (size_t i = 0; i < CALLS_MAX; i++)
		buf_reset(&w->asked[i].body);
}

static void ask(struct world *w, unsigned number);

static void cancel(struct world *w, unsigned number)
{
	struct asked *a = &w->asked[number];

	if (a->call == NULL)
		return;
	call_cancel(TAKE_PTR(a->call));
	a->is_cancelled = true;
}

static void on_done(void *arg, const struct reply *reply, const struct err *err)
{
	struct asked *a = arg;

	a->call = NULL;
	a->dones++;
	a->order = ++a->w->dones;
	if (err != NULL) {
		a->err = *err;
	} else {
		assert_int_equal(reply->body[reply->body_len], '\0');
		assert_int_equal(buf_append(&a->body, reply->body, reply->body_len), 0);
	}
	for (unsigned i = 0; i < a->cancels; i++)
		cancel(a->w, a->cancels_from + i);
	if (a->asks > 0)
		ask(a->w, a->asks);
}

static void ask(struct world *w, unsigned number)
{
	struct asked *a = &w->asked[number];
	char target[16];
	struct call_request request = {.method = "GET",
		.target = target,
		.lines = w->lines,
		.total_timeout_ms = w->timeout_ms};

	snprintf(target, sizeof(target), "/%u.", number);
	a->w = w;
	a->number = number;
	a->dones = 0;
	a->is_cancelled = false;
	memset(&a->err, 0, sizeof(a->err));
	buf_reset(&a->body);
	buf_init(&a->body, 1024 * 1024);
	a->call = call_collect(w->endpoint, &request, 1024 * 1024, on_done, a);
}

static void ask_some(struct world *w, unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++)
		ask(w, i);
}

static bool is_accepted(void *arg)
{
	struct raw *raw = arg;

	return raw->fd != -1;
}

/* So many requests have come to that connection. */
static struct raw *expect(struct world *w, size_t peer, unsigned requests)
{
	wait_for(&w->f, is_accepted, &w->raws[peer]);
	raw_expect_times(&w->f, &w->raws[peer], "\r\n\r\n", requests);
	return &w->raws[peer];
}

static size_t requests_of(const struct raw *raw)
{
	return count_text(&raw->in, "\r\n\r\n");
}

/* As engines do: chunked when it is long. */
static void put_answer(struct buf *out, unsigned number)
{
	if (number % 2 == 0)
		buf_printf(
			out, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nbody of %3u.", number);
	else
		buf_printf(out,
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			"5\r\nbody \r\n7\r\nof %3u.\r\n0\r\n\r\n",
			number);
}

static void answer(struct raw *raw, unsigned number)
{
	put_answer(&raw->out, number);
}

static bool is_done(void *arg)
{
	const struct asked *a = arg;

	return a->dones > 0;
}

static void assert_answered(const struct world *w, unsigned number)
{
	const struct asked *a = &w->asked[number];
	char body[32];

	assert_int_equal(a->dones, 1);
	snprintf(body, sizeof(body), "body of %3u.", number);
	if (a->err.code != ERR_NONE)
		fail_msg("%u: %s", number, a->err.msg);
	assert_string_equal(buf_str(&a->body), body);
}

static bool all_are_done(void *arg)
{
	const struct world *w = arg;

	for (size_t i = 0; i < CALLS_MAX; i++) {
		if (w->asked[i].call != NULL)
			return false;
	}
	return true;
}

static void test_requests_go_out_before_answers(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 4);
	raw = expect(&w, 0, 4);
	assert_int_equal(w.dones, 0);
	for (unsigned i = 1; i <= 4; i++)
		answer(raw, i);
	wait_for(&w.f, all_are_done, &w);
	for (unsigned i = 1; i <= 4; i++) {
		assert_answered(&w, i);
		assert_int_equal(w.asked[i].order, i);
	}
	/* It is kept. */
	ask_some(&w, 5, 6);
	expect(&w, 0, 6);
	answer(raw, 5);
	answer(raw, 6);
	wait_for(&w.f, all_are_done, &w);
	assert_answered(&w, 6);
	assert_int_equal(w.accepted, 1);
	stop(&w);
}

/* Whatever way the bytes come, each call has its own, with a NUL behind it. */
static void test_answers_are_cut_anywhere(void **state)
{
	struct buf text;
	struct world w;
	struct raw *raw;

	(void)state;
	buf_init(&text, 4096);
	for (unsigned i = 1; i <= 4; i++)
		put_answer(&text, i);
	start(&w, 1);
	for (size_t at = 0; at <= text.len; at++) {
		ask_some(&w, 1, 4);
		raw = expect(&w, 0, 4 * (unsigned)(at + 1));
		buf_append(&raw->out, text.data, at);
		wait_for(&w.f, raw_is_sent, raw);
		fixture_run(&w.f, 1, NULL, NULL);
		buf_append(&raw->out, text.data + at, text.len - at);
		wait_for(&w.f, all_are_done, &w);
		for (unsigned i = 1; i <= 4; i++)
			assert_answered(&w, i);
	}
	assert_int_equal(w.accepted, 1);
	stop(&w);
	buf_reset(&text);
}

static void test_lines_are_bounded_and_even(void **state)
{
	struct world w;

	(void)state;
	start(&w, 2);
	ask_some(&w, 1, 6);
	expect(&w, 0, 3);
	expect(&w, 1, 3);
	assert_int_equal(w.accepted, 2);
	/* What is not for a line has a connection of its own. */
	w.lines = 0;
	ask(&w, 7);
	expect(&w, 2, 1);
	stop(&w);
}

/* Who answers joins in while others wait. */
static void test_more_are_asked_meanwhile(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 2);
	w.asked[1].asks = 3;
	w.asked[2].asks = 4;
	raw = expect(&w, 0, 2);
	answer(raw, 1);
	expect(&w, 0, 3);
	answer(raw, 2);
	expect(&w, 0, 4);
	answer(raw, 3);
	answer(raw, 4);
	wait_for(&w.f, all_are_done, &w);
	for (unsigned i = 1; i <= 4; i++)
		assert_answered(&w, i);
	assert_int_equal(w.accepted, 1);
	stop(&w);
}

/* What came before counts, the others are asked again; from then on one at a time. */
static void check_asked_again(struct world *w, struct raw *second)
{
	fixture_settle(&w->f);
	assert_int_equal(requests_of(second), 1);
	raw_expect(&w->f, second, "GET /2. ");
	answer(second, 2);
	raw_expect(&w->f, second, "GET /3. ");
	answer(second, 3);
	wait_for(&w->f, all_are_done, w);
	for (unsigned i = 1; i <= 3; i++)
		assert_answered(w, i);
	assert_int_equal(w->accepted, 2);
}

static void test_connection_ends_behind_an_answer(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 3);
	raw = expect(&w, 0, 3);
	answer(raw, 1);
	raw->ends_after_out = true;
	check_asked_again(&w, expect(&w, 1, 1));
	stop(&w);
}

/* As a server's system does that has closed with requests unread. */
static void test_connection_is_reset_behind_an_answer(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 3);
	raw = expect(&w, 0, 3);
	answer(raw, 1);
	raw_turn(raw);
	assert_int_equal(raw->out.len, 0);
	raw_abort(&w.f, raw);
	/* The place of the first one is free again. */
	check_asked_again(&w, expect(&w, 0, 1));
	stop(&w);
}

static void test_answer_says_close(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 3);
	raw = expect(&w, 0, 3);
	raw_send(raw, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n"
		      "body of   1.");
	check_asked_again(&w, expect(&w, 1, 1));
	assert_true(raw->is_ended || raw->is_reset);
	stop(&w);
}

/* The one that broke fails; it is not known what was done with it. */
static void test_answer_breaks_off(void **state)
{
	static const char *const parts[] = {"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nbody",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 2",
		"nonsense\r\n\r\n"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct world w;
		struct raw *raw;

		start(&w, 1);
		ask_some(&w, 1, 3);
		raw = expect(&w, 0, 3);
		answer(raw, 1);
		raw_send(raw, parts[i]);
		raw->ends_after_out = true;
		raw = expect(&w, 1, 1);
		raw_expect(&w.f, raw, "GET /3. ");
		assert_int_equal(w.asked[2].err.code, ERR_UPSTREAM);
		answer(raw, 3);
		wait_for(&w.f, all_are_done, &w);
		assert_answered(&w, 1);
		assert_answered(&w, 3);
		stop(&w);
	}
}

/* Its answer would be taken for that of the next. */
static void test_one_behind_is_cancelled(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 4);
	raw = expect(&w, 0, 4);
	cancel(&w, 2);
	for (unsigned i = 1; i <= 4; i++)
		answer(raw, i);
	raw = expect(&w, 1, 1);
	raw_expect(&w.f, raw, "GET /3. ");
	answer(raw, 3);
	raw_expect(&w.f, raw, "GET /4. ");
	answer(raw, 4);
	wait_for(&w.f, all_are_done, &w);
	assert_answered(&w, 1);
	assert_int_equal(w.asked[2].dones, 0);
	assert_answered(&w, 3);
	assert_answered(&w, 4);
	stop(&w);
}

/* The answer to it is still to come. */
static void test_last_is_cancelled(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 2);
	raw = expect(&w, 0, 2);
	cancel(&w, 2);
	answer(raw, 1);
	wait_for(&w.f, all_are_done, &w);
	ask(&w, 3);
	answer(raw, 2);
	raw = expect(&w, 1, 1);
	answer(raw, 3);
	wait_for(&w.f, all_are_done, &w);
	assert_answered(&w, 1);
	assert_answered(&w, 3);
	stop(&w);
}

static void test_first_is_cancelled(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 2);
	raw = expect(&w, 0, 2);
	cancel(&w, 1);
	answer(raw, 1);
	answer(raw, 2);
	raw = expect(&w, 1, 1);
	answer(raw, 2);
	wait_for(&w.f, all_are_done, &w);
	assert_int_equal(w.asked[1].dones, 0);
	assert_answered(&w, 2);
	stop(&w);
}

/* In the answer to the first, while those to the others stand behind it. */
static void test_others_are_cancelled_in_done(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	for (unsigned first = 2; first <= 3; first++) {
		start(&w, 1);
		ask_some(&w, 1, 4);
		w.asked[1].cancels_from = first;
		w.asked[1].cancels = 2;
		raw = expect(&w, 0, 4);
		for (unsigned i = 1; i <= 4; i++)
			answer(raw, i);
		if (first == 2) {
			raw = expect(&w, 1, 1);
			answer(raw, 4);
		}
		wait_for(&w.f, all_are_done, &w);
		assert_answered(&w, 1);
		assert_answered(&w, first == 2 ? 4 : 2);
		assert_int_equal(w.dones, 2);
		stop(&w);
	}
}

/* One that does not answer costs the others its deadline, and no more: theirs begins behind it. */
static void test_one_is_late(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	w.timeout_ms = 1000 * 1000;
	ask_some(&w, 1, 3);
	expect(&w, 0, 3);
	clock_pass(&w.f, 1001);
	assert_int_equal(w.asked[1].err.code, ERR_TIMEOUT);
	raw = expect(&w, 1, 2);
	clock_pass(&w.f, 900);
	answer(raw, 2);
	wait_for(&w.f, is_done, &w.asked[2]);
	clock_pass(&w.f, 900);
	answer(raw, 3);
	wait_for(&w.f, all_are_done, &w);
	assert_answered(&w, 2);
	assert_answered(&w, 3);
	stop(&w);
}

static void test_more_than_was_asked(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 2);
	raw = expect(&w, 0, 2);
	for (unsigned i = 1; i <= 3; i++)
		answer(raw, i);
	wait_for(&w.f, all_are_done, &w);
	assert_answered(&w, 1);
	assert_answered(&w, 2);
	/* Not the third answer. */
	ask(&w, 4);
	raw = expect(&w, 1, 1);
	answer(raw, 4);
	wait_for(&w.f, all_are_done, &w);
	assert_answered(&w, 4);
	stop(&w);
}

static void test_nobody_listens(void **state)
{
	struct world w;

	(void)state;
	start(&w, 2);
	loop_watch_free(TAKE_PTR(w.watch));
	close(w.fd);
	w.fd = -1;
	ask_some(&w, 1, 6);
	wait_for(&w.f, all_are_done, &w);
	for (unsigned i = 1; i <= 6; i++)
		assert_int_equal(w.asked[i].err.code, ERR_UNAVAILABLE);
	stop(&w);
}

/* The endpoint's owner may go at any time. */
static void test_endpoint_is_freed(void **state)
{
	struct world w;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 5);
	expect(&w, 0, 5);
	endpoint_free(TAKE_PTR(w.endpoint));
	fixture_settle(&w.f);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(w.asked[i].err.code, ERR_CANCELED);
	assert_int_equal(w.accepted, 1);
	stop(&w);
}

/* New certificates: nothing more over the old connection. */
static void test_connection_is_outdated(void **state)
{
	struct world w;
	struct raw *raw;

	(void)state;
	start(&w, 1);
	ask_some(&w, 1, 2);
	raw = expect(&w, 0, 2);
	endpoint_set_tls(w.endpoint, NULL);
	ask(&w, 3);
	fixture_settle(&w.f);
	assert_int_equal(requests_of(raw), 2);
	answer(raw, 1);
	answer(raw, 2);
	raw = expect(&w, 1, 1);
	while (w.asked[3].dones == 0) {
		if (w.asked[2].dones == 0) {
			raw_expect(&w.f, raw, "GET /2. ");
			answer(raw, 2);
		}
		raw_expect(&w.f, raw, "GET /3. ");
		answer(raw, 3);
		wait_for(&w.f, all_are_done, &w);
	}
	assert_answered(&w, 2);
	assert_answered(&w, 3);
	stop(&w);
}

struct passes {
	struct world *w;
	unsigned before, most; /* calls that were done between two looks at the descriptors */
};

static void count_pass(void *arg)
{
	struct passes *passes = arg;

	if (passes->w->dones - passes->before > passes->most)
		passes->most = passes->w->dones - passes->before;
	passes->before = passes->w->dones;
}

/* Answers over many connections at once are read in turns, with what else there is between. */
static void test_others_come_between(void **state)
{
	struct passes passes = {0};
	struct loop_prepare *hook;
	struct world w;

	(void)state;
	start(&w, PEERS_MAX);
	ask_some(&w, 1, PEERS_MAX);
	for (size_t i = 0; i < PEERS_MAX; i++)
		expect(&w, i, 1);
	for (size_t i = 0; i < PEERS_MAX; i++)
		answer(&w.raws[i], (unsigned)strtoul(w.raws[i].in.data + 5, NULL, 10));
	passes.w = &w;
	hook = loop_prepare_new(w.f.loop, count_pass, &passes);
	wait_for(&w.f, all_are_done, &w);
	assert_int_equal(w.dones, PEERS_MAX);
	assert_in_range(passes.most, 1, PEERS_MAX / 2);
	loop_prepare_free(hook);
	stop(&w);
}

/* ---- Chance ---- */

/* Answers what has come, in pieces of any size; closes at times. */
static void peer_acts(struct world *w, size_t peer)
{
	struct raw *raw = &w->raws[peer];
	const char *at, *end;

	if (raw->fd == -1)
		return;
	if (raw_is_over(raw) || (!w->is_harmless && below(40) == 0)) {
		raw_close(&w->f, raw);
		return;
	}
	while (w->answered[peer] < raw->in.len && below(3) > 0) {
		at = raw->in.data + w->answered[peer];
		end = strstr(at, "\r\n\r\n");
		if (end == NULL)
			return;
		CHECK(strncmp(at, "GET /", 5) == 0);
		answer(raw, (unsigned)strtoul(at + 5, NULL, 10));
		w->answered[peer] = (size_t)(end + 4 - raw->in.data);
	}
}

static void one_round(struct world *w)
{
	unsigned number = below(CALLS_MAX);
	struct asked *a = &w->asked[number];

	chance.round++;
	if (a->call == NULL && !w->is_harmless) {
		if (a->dones == 1 && a->err.code == ERR_NONE)
			assert_answered(w, number);
		a->cancels = below(8) == 0 ? below(4) : 0;
		a->cancels_from = below(CALLS_MAX - 4);
		ask(w, number);
	} else if (below(12) == 0 && !w->is_harmless) {
		cancel(w, number);
	}
	for (size_t i = 0; i < PEERS_MAX; i++)
		peer_acts(w, i);
	if (below(3) == 0)
		fixture_run(&w->f, 0, NULL, NULL);
}

static void test_everybody_has_his_own_answer(void **state)
{
	struct world w;
	unsigned answered = 0;

	(void)state;
	chance_start("LINE_SEED");
	for (unsigned i = 0; i < 30; i++) {
		start(&w, 1 + below(3));
		for (unsigned round = 0; round < 400; round++)
			one_round(&w);
		w.is_harmless = true;
		while (!all_are_done(&w))
			one_round(&w);
		for (unsigned number = 0; number < CALLS_MAX; number++) {
			struct asked *a = &w.asked[number];

			CHECK(a->w == NULL || a->dones + a->is_cancelled == 1);
			if (a->dones == 1 && a->err.code == ERR_NONE) {
				assert_answered(&w, number);
				answered++;
			}
		}
		stop(&w);
	}
	CHECK(answered > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_go_out_before_answers),
		cmocka_unit_test(test_answers_are_cut_anywhere),
		cmocka_unit_test(test_lines_are_bounded_and_even),
		cmocka_unit_test(test_more_are_asked_meanwhile),
		cmocka_unit_test(test_connection_ends_behind_an_answer),
		cmocka_unit_test(test_connection_is_reset_behind_an_answer),
		cmocka_unit_test(test_answer_says_close),
		cmocka_unit_test(test_answer_breaks_off),
		cmocka_unit_test(test_one_behind_is_cancelled),
		cmocka_unit_test(test_last_is_cancelled),
		cmocka_unit_test(test_first_is_cancelled),
		cmocka_unit_test(test_others_are_cancelled_in_done),
		cmocka_unit_test(test_one_is_late),
		cmocka_unit_test(test_more_than_was_asked),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_endpoint_is_freed),
		cmocka_unit_test(test_connection_is_outdated),
		cmocka_unit_test(test_others_come_between),
		cmocka_unit_test(test_everybody_has_his_own_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
