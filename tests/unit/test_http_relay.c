/* Two streams joined. */
#include "http/relay.h"
#include "tests/unit/http_fixture.h"

struct world {
	struct fixture f;
	struct raw a, b; /* the far ends */
	struct relay *relay;
	bool is_over;
	unsigned overs;
};

static void over(struct relay *relay, void *arg)
{
	struct world *w = arg;

	relay_cancel(relay); /* of no effect */
	w->is_over = true;
	w->overs++;
}

static void pair_tcp(int pair[2])
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint16_t port;
	int fd = raw_listen(&port);

	in.sin_port = htons(port);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair[0], (struct sockaddr *)&in, sizeof(in)), 0);
	pair[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(pair[1] != -1);
	close(fd);
}

static void world_start(struct world *w, bool is_tcp)
{
	int pairs[2][2];

	memset(w, 0, sizeof(*w));
	w->f.loop = loop_new();
	for (int i = 0; i < 2; i++) {
		if (is_tcp)
			pair_tcp(pairs[i]);
		else
			assert_int_equal(
				socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pairs[i]), 0);
	}
	raw_init(&w->f, &w->a, pairs[0][0]);
	raw_init(&w->f, &w->b, pairs[1][0]);
	w->relay = relay_start(w->f.loop, stream_from_fd(w->f.loop, pairs[0][1]),
		stream_from_fd(w->f.loop, pairs[1][1]), over, w);
}

static void world_stop(struct world *w)
{
	if (!w->is_over)
		relay_cancel(w->relay);
	raw_close(&w->f, &w->a);
	raw_close(&w->f, &w->b);
	loop_free(w->f.loop);
	assert_int_equal(w->overs, w->is_over ? 1 : 0);
}

static void bytes_and_ends_pass_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct world w;
		struct raw *first, *second;

		world_start(&w, i % 2 == 0);
		first = i < 2 ? &w.a : &w.b;
		second = i < 2 ? &w.b : &w.a;
		raw_send(first, "question");
		first->ends_after_out = true;
		raw_expect(&w.f, second, "question");
		wait_for(&w.f, raw_is_over, second);
		fixture_settle(&w.f);
		assert_false(w.is_over);
		assert_false(first->is_ended);
		raw_send(second, "answer");
		raw_expect(&w.f, first, "answer");
		second->ends_after_out = true;
		wait_for(&w.f, raw_is_over, first);
		wait_for(&w.f, value_is_set, &w.is_over);
		assert_true(first->is_ended && second->is_ended);
		world_stop(&w);
	}
}

/* It is the half that is open which counts, however long it is silent. */
static void a_half_closed_side_is_not_gone(void **state)
{
	struct world w;

	(void)state;
	for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
		world_start(&w, is_tcp);
		w.a.ends_after_out = true;
		wait_for(&w.f, raw_is_over, &w.b);
		fixture_run(&w.f, 1200, NULL, NULL);
		assert_false(w.is_over);
		raw_send(&w.b, "late");
		raw_expect(&w.f, &w.a, "late");
		world_stop(&w);
	}
}

/* Where a protocol knows no half-close, a side that ended has gone, whatever TCP thinks. */
static void an_end_is_that_of_the_whole(void **state)
{
	struct world w;

	(void)state;
	for (int is_tcp = 0; is_tcp < 2; is_tcp++) {
		world_start(&w, is_tcp);
		relay_ends_whole(w.relay);
		raw_send(&w.a, "last words");
		wait_for(&w.f, raw_is_sent, &w.a);
		w.a.ends_after_out = true;
		raw_expect(&w.f, &w.b, "last words");
		wait_for(&w.f, raw_is_over, &w.b);
		wait_for(&w.f, value_is_set, &w.is_over);
		world_stop(&w);
	}
}

struct total {
	struct raw *raw;
	size_t len;
};

static bool has_all(void *arg)
{
	struct total *t = arg;

	return t->raw->in.len >= t->len;
}

static void a_slow_side_holds_the_other_back(void **state)
{
	size_t len = 16 * 1024 * 1024;
	char *data = xmalloc(len + 1);
	struct total total;
	struct world w;

	(void)state;
	for (size_t i = 0; i < len; i++)
		data[i] = (char)('a' + i % 23);
	data[len] = '\0';
	world_start(&w, true);
	w.b.is_deaf = true;
	raw_send(&w.a, data);
	w.a.ends_after_out = true;
	fixture_settle(&w.f);
	fixture_settle(&w.f);
	assert_true(w.a.out.len > 0);
	/* The other direction is not held. */
	raw_send(&w.b, "still here");
	raw_expect(&w.f, &w.a, "still here");
	w.b.is_deaf = false;
	total = (struct total){&w.b, len};
	wait_for(&w.f, has_all, &total);
	wait_for(&w.f, raw_is_over, &w.b);
	assert_int_equal(w.b.in.len, len);
	assert_memory_equal(w.b.in.data, data, len);
	free(data);
	world_stop(&w);
}

static void a_reset_ends_it(void **state)
{
	struct world w;

	(void)state;
	for (int i = 0; i < 2; i++) {
		world_start(&w, true);
		raw_send(&w.a, "x");
		raw_expect(&w.f, &w.b, "x");
		raw_abort(&w.f, i == 0 ? &w.a : &w.b);
		wait_for(&w.f, value_is_set, &w.is_over);
		wait_for(&w.f, raw_is_over, i == 0 ? &w.b : &w.a);
		world_stop(&w);
	}
}

/* The other side is silent and never ends: nothing but the check can find that out. */
static void a_local_peer_that_closed_is_gone(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, false);
	raw_send(&w.a, "last words");
	wait_for(&w.f, raw_is_sent, &w.a);
	raw_close(&w.f, &w.a);
	raw_expect(&w.f, &w.b, "last words");
	wait_for(&w.f, raw_is_over, &w.b);
	assert_false(w.is_over);
	wait_for(&w.f, value_is_set, &w.is_over);
	world_stop(&w);
}

static void a_reset_behind_the_end_is_seen(void **state)
{
	struct world w;

	(void)state;
	world_start(&w, true);
	w.a.ends_after_out = true;
	wait_for(&w.f, raw_is_over, &w.b);
	raw_abort(&w.f, &w.a);
	wait_for(&w.f, value_is_set, &w.is_over);
	world_stop(&w);
}

/* What one side said before it went is still for the other. */
static void input_is_delivered_though_nobody_takes_the_output(void **state)
{
	size_t len = 4 * 1024 * 1024;
	char *data = xmalloc(len + 1);
	struct total total;
	struct world w;

	(void)state;
	memset(data, 'x', len);
	data[len] = '\0';
	world_start(&w, false);
	w.b.is_deaf = true;
	raw_send(&w.a, data);
	while (w.a.out.len > 64 * 1024 && w.a.out.len == len)
		fixture_run(&w.f, 2, NULL, NULL);
	w.b.is_deaf = false;
	wait_for(&w.f, raw_is_sent, &w.a);
	raw_close(&w.f, &w.a);
	raw_send(&w.b, "output for nobody");
	total = (struct total){&w.b, len};
	wait_for(&w.f, has_all, &total);
	wait_for(&w.f, raw_is_over, &w.b);
	assert_true(w.b.is_ended);
	w.b.ends_after_out = true;
	wait_for(&w.f, value_is_set, &w.is_over);
	free(data);
	world_stop(&w);
}

static void a_cancelled_relay_closes_both_and_tells_nothing(void **state)
{
	struct world w;
	size_t before;

	(void)state;
	for (int i = 0; i < 2; i++) {
		before = count_descriptors();
		world_start(&w, true);
		if (i == 1) {
			raw_send(&w.a, "x");
			raw_expect(&w.f, &w.b, "x");
		}
		relay_cancel(w.relay);
		wait_for(&w.f, raw_is_over, &w.a);
		wait_for(&w.f, raw_is_over, &w.b);
		assert_int_equal(w.overs, 0);
		raw_close(&w.f, &w.a);
		raw_close(&w.f, &w.b);
		loop_free(w.f.loop);
		assert_int_equal(count_descriptors(), before);
	}
}

static void bytes_put_back_come_first(void **state)
{
	struct fixture f = {.loop = loop_new()};
	struct stream *s;
	struct raw far;
	char data[16];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	raw_init(&f, &far, pair[0]);
	s = stream_from_fd(f.loop, pair[1]);
	assert_int_equal(stream_read(s, data, sizeof(data)), STREAM_AGAIN);
	stream_unread(s, "ab", 2);
	stream_unread(s, "cd", 2);
	assert_int_equal(stream_read(s, data, 3), 3);
	assert_memory_equal(data, "abc", 3);
	assert_int_equal(stream_read(s, data, sizeof(data)), 1);
	assert_int_equal(stream_read(s, data, sizeof(data)), STREAM_AGAIN);
	/* Closed with a call of its own on the way. */
	stream_unread(s, "ef", 2);
	stream_want(s, LOOP_READ);
	stream_close(s);
	raw_close(&f, &far);
	loop_free(f.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_and_ends_pass_both_ways),
		cmocka_unit_test(a_half_closed_side_is_not_gone),
		cmocka_unit_test(an_end_is_that_of_the_whole),
		cmocka_unit_test(a_slow_side_holds_the_other_back),
		cmocka_unit_test(a_reset_ends_it),
		cmocka_unit_test(a_local_peer_that_closed_is_gone),
		cmocka_unit_test(a_reset_behind_the_end_is_seen),
		cmocka_unit_test(input_is_delivered_though_nobody_takes_the_output),
		cmocka_unit_test(a_cancelled_relay_closes_both_and_tells_nothing),
		cmocka_unit_test(bytes_put_back_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
