/* Replies in pieces, to exchanges that the test plays: what is made in one turn is bounded, however
 * long they are and however many. */
#include "api/paced.h"

#include "lib/loop.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>
#include <unistd.h>

/* ---- Exchanges that are played ---- */

struct exchange {
	struct buf got;
	int status;
	bool has_ended;
	bool is_slow; /* takes a piece, and no more until it is drained */
	void (*end)(struct exchange *x, bool finished, void *arg);
	void *end_arg;
	void (*drain)(struct exchange *x, void *arg);
	void *drain_arg;
};

void exchange_on_end(
	struct exchange *x, void (*end)(struct exchange *x, bool finished, void *arg), void *arg)
{
	x->end = end;
	x->end_arg = arg;
}

void exchange_on_drain(struct exchange *x, void (*drain)(struct exchange *x, void *arg), void *arg)
{
	x->drain = drain;
	x->drain_arg = arg;
}

bool exchange_reply_started(const struct exchange *x)
{
	return x->status != 0;
}

void exchange_reply_start(
	struct exchange *x, int status, const struct http_headers *headers, int64_t length)
{
	(void)headers;
	(void)length;
	x->status = status;
}

bool exchange_reply_write(struct exchange *x, const void *data, size_t len)
{
	assert_int_equal(buf_append(&x->got, data, len), 0);
	return !x->is_slow;
}

void exchange_reply_end(struct exchange *x)
{
	x->has_ended = true;
	x->end(x, true, x->end_arg);
}

void exchange_reply(struct exchange *x, int status, const struct http_headers *headers,
	const void *body, size_t len)
{
	exchange_reply_start(x, status, headers, (int64_t)len);
	exchange_reply_write(x, body, len);
	exchange_reply_end(x);
}

void exchange_reply_abort(struct exchange *x, const char *reason)
{
	(void)reason;
	exchange_reply_end(x);
}

void exchange_reply_error(struct exchange *x, int status, const char *fmt, ...)
{
	(void)fmt;
	x->status = status;
	exchange_reply_end(x);
}

int request_status_of(enum err_code code)
{
	return code == ERR_INVALID ? 400 : 500;
}

/* ---- Replies that are counted ---- */

struct fixture {
	struct loop *loop;
	struct api api;
	struct loop_watch *watch;
	int ends[2];
	unsigned replies, pieces, made, most; /* pieces in all, since the last look, in one turn */
};

struct counted {
	struct fixture *f;
	struct exchange x;
	struct request r;
	unsigned left;  /* pieces */
	bool is_silent; /* they are empty */
};

static enum paced_step more(struct buf *out, void *arg, struct err *err)
{
	struct counted *c = arg;

	(void)err;
	c->f->pieces++;
	c->f->made++;
	if (!c->is_silent)
		buf_append_char(out, 'x');
	return --c->left == 0 ? PACED_LAST : PACED_MORE;
}

static void over(void *arg)
{
	struct counted *c = arg;

	if (--c->f->replies == 0)
		loop_stop(c->f->loop);
}

/* A descriptor that is always ready is looked at once a turn. */
static void look(unsigned events, void *arg)
{
	struct fixture *f = arg;

	(void)events;
	if (f->made > f->most)
		f->most = f->made;
	f->made = 0;
}

static void start(struct counted *c, struct fixture *f, unsigned pieces)
{
	const struct paced_spec spec = {.more = more, .free = over, .arg = c};
	const struct http_headers headers = {0};

	c->f = f;
	c->left = pieces;
	c->r = (struct request){.api = &f->api, .x = &c->x};
	buf_init(&c->x.got, SIZE_MAX);
	f->replies++;
	paced_reply(&c->r, &headers, &spec);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	f->api.paced = paced_new(f->loop);
	assert_int_equal(pipe(f->ends), 0);
	f->watch = loop_watch_new(f->loop, f->ends[1], look, f);
	loop_watch_set(f->watch, LOOP_WRITE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_watch_free(f->watch);
	paced_free(f->api.paced);
	loop_free(f->loop);
	close(f->ends[0]);
	close(f->ends[1]);
	free(f);
	return 0;
}

/* Deferred calls have three passes between two looks. */
#define MOST (3 * PACED_PIECES_A_TURN)

static void silent_pieces_leave_others_their_turn(void **state)
{
	struct fixture *f = *state;
	struct counted c = {.is_silent = true};

	start(&c, f, 1000);
	loop_run(f->loop);
	assert_int_equal(f->pieces, 1000);
	assert_in_range(f->most, 1, MOST);
	assert_true(c.x.has_ended);
	assert_int_equal(c.x.got.len, 0);
	buf_reset(&c.x.got);
}

static void many_replies_make_no_more_than_one(void **state)
{
	struct fixture *f = *state;
	struct counted all[20] = {{.f = NULL}};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		start(&all[i], f, 50);
	loop_run(f->loop);
	assert_int_equal(f->pieces, 1000);
	assert_in_range(f->most, 1, MOST);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		assert_int_equal(all[i].x.status, 200);
		assert_int_equal(all[i].x.got.len, 50);
		buf_reset(&all[i].x.got);
	}
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void a_slow_client_gets_what_it_takes(void **state)
{
	struct fixture *f = *state;
	struct loop_timer *timer = loop_timer_new(f->loop, stop, f->loop);
	struct counted c = {.x.is_slow = true};

	start(&c, f, 3);
	for (unsigned i = 1; i <= 3; i++) {
		loop_timer_start(timer, 20);
		loop_run(f->loop);
		assert_int_equal(c.x.got.len, i);
		if (i < 3)
			c.x.drain(&c.x, c.x.drain_arg);
	}
	assert_true(c.x.has_ended);
	loop_timer_free(timer);
	buf_reset(&c.x.got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			silent_pieces_leave_others_their_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(
			many_replies_make_no_more_than_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_client_gets_what_it_takes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
