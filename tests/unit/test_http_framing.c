/* Bodies on the wire, cut at every byte. */
#include "http/framing.h"
#include "http/head.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

/* Feeds the wire bytes, the first cut of them on their own, like a connection does; give_back bytes
 * of each piece come again. Bytes used, or -1. */
static ssize_t feed(struct framing *f, const char *wire, size_t len, size_t cut, size_t give_back,
	struct buf *body)
{
	size_t at = 0, have = cut;

	for (;;) {
		const char *piece;
		size_t piece_len;
		struct err err = ERR_INIT;
		ssize_t used;

		if (framing_is_done(f))
			return (ssize_t)at;
		used = framing_feed(f, wire + at, have - at, &piece, &piece_len, &err);
		if (used < 0) {
			assert_int_equal(err.code, ERR_INVALID);
			return -1;
		}
		if (used == 0) {
			assert_int_equal(piece_len, 0);
			if (have == len)
				return (ssize_t)at;
			have = have < cut ? cut : have + 1;
			continue;
		}
		if (piece_len > 0) {
			size_t back = give_back < piece_len ? give_back : piece_len - 1;

			assert_int_equal(buf_append(body, piece, piece_len - back), 0);
			framing_give_back(f, back);
			used -= (ssize_t)back;
		}
		at += (size_t)used;
	}
}

struct framing_case {
	const char *wire;
	int64_t length;
	const char *body; /* NULL = malformed */
	ssize_t used;     /* bytes; what is behind belongs to the next message */
	bool is_open;     /* more would have to come */
};

static const struct framing_case cases[] = {
	{"hello", 5, "hello", 5, false},
	{"helloGET /", 5, "hello", 5, false},
	{"hel", 5, "hel", 3, true},
	{"GET /", 0, "", 0, false},
	{"hello", HEAD_UNTIL_CLOSE, "hello", 5, true},
	{"5\r\nhello\r\n0\r\n\r\nGET", -1, "hello", 15, false},
	{"5\r\nhello\r\n00000\r\n\r\n", -1, "hello", 19, false},
	{"A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n", -1, "0123456789x", 26, false},
	{"00a\r\n0123456789\r\n0\r\n\r\n", -1, "0123456789", 22, false},
	{"0\r\nX-Sum: 1\r\nY: 2\r\n\r\nGET", -1, "", 21, false},
	{"5\r\nhel", -1, "hel", 6, true},
	{"5\r\nhello\r\n0\r\n\r", -1, "hello", 13, true},
	/* Sizes. */
	{"fffffffffffffff0\r\n", -1, NULL, 0, false},
	{"8000000000000000\r\n", -1, NULL, 0, false},
	{"10000000000000005\r\nhello\r\n", -1, NULL, 0, false},
	{"0000000000000000000000005\r\nhello\r\n", -1, NULL, 0, false},
	{"0x5\r\nhello\r\n0\r\n\r\n", -1, NULL, 0, false},
	{"+5\r\nhello\r\n0\r\n\r\n", -1, NULL, 0, false},
	{"-5\r\nhello\r\n0\r\n\r\n", -1, NULL, 0, false},
	{" 5\r\nhello\r\n0\r\n\r\n", -1, NULL, 0, false},
	{"5 \r\nhello\r\n0\r\n\r\n", -1, NULL, 0, false},
	{"5;x=y\r\nhello\r\n0\r\n\r\n", -1, NULL, 0, false},
	{"5;\nGET\r\nhello\r\n0\r\n\r\n", -1, NULL, 0, false},
	{"\r\nhello", -1, NULL, 0, false},
	{"g\r\nhello", -1, NULL, 0, false},
	{"5\nhello\n0\n\n", -1, NULL, 0, false},
	{"5\r\r\nhello", -1, NULL, 0, false},
	/* What follows a chunk. */
	{"5\r\nhello0\r\n\r\n", -1, NULL, 0, false},
	{"5\r\nhello\n0\r\n\r\n", -1, NULL, 0, false},
	{"5\r\nhello\rX0\r\n\r\n", -1, NULL, 0, false},
	{"5\r\nhello!\r\n0\r\n\r\n", -1, NULL, 0, false},
	/* Trailers. */
	{"0\r\nContent-Length: 5\r\n\r\n", -1, NULL, 0, false},
	{"0\r\ntransfer-encoding: chunked\r\n\r\n", -1, NULL, 0, false},
	{"0\r\nHost: b\r\n\r\n", -1, NULL, 0, false},
	{"0\r\nTrailer: x\r\n\r\n", -1, NULL, 0, false},
	{"0\r\nX : y\r\n\r\n", -1, NULL, 0, false},
	{"0\r\n X: y\r\n\r\n", -1, NULL, 0, false},
	{"0\r\nX: y\n\r\n", -1, NULL, 0, false},
	{"0\r\nGET / HTTP/1.1\r\n\r\n", -1, NULL, 0, false},
	{"0\r\n\n\n", -1, NULL, 0, false},
};

static void bodies_end_where_they_end_however_they_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct framing_case *t = &cases[i];
		size_t len = strlen(t->wire);

		for (size_t cut = 0; cut <= len; cut++) {
			for (size_t back = 0; back < 3; back++) {
				CLEANUP_BUF struct buf body;
				struct framing f;
				ssize_t used;

				buf_init(&body, 4096);
				framing_init(&f, t->length);
				used = feed(&f, t->wire, len, cut, back, &body);
				if (t->body == NULL) {
					if (used != -1)
						fail_msg("'%s' was taken", t->wire);
					continue;
				}
				if (used != t->used || framing_is_done(&f) == t->is_open ||
					strcmp(buf_str(&body), t->body) != 0)
					fail_msg("'%s' cut at %zu: used %zd, body '%s'", t->wire,
						cut, used, buf_str(&body));
			}
		}
	}
}

static void malformed_sizes_are_refused_before_their_end_comes(void **state)
{
	struct err err = ERR_INIT;
	const char *body;
	struct framing f;
	size_t len;

	(void)state;
	framing_init(&f, -1);
	assert_int_equal(framing_feed(&f, "0000000000000000", 16, &body, &len, &err), -1);
	framing_init(&f, -1);
	assert_int_equal(framing_feed(&f, "5;", 2, &body, &len, &err), -1);
}

static void endless_trailers_are_refused(void **state)
{
	CLEANUP_BUF struct buf wire, out;
	struct framing f;

	(void)state;
	buf_init(&wire, 64 * 1024);
	buf_init(&out, 4096);
	buf_append_str(&wire, "0\r\n");
	while (wire.len < 2 * FRAMING_TRAILER_MAX)
		buf_append_str(&wire, "X-Padding: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
	framing_init(&f, -1);
	assert_int_equal(feed(&f, wire.data, wire.len, FRAMING_TRAILER_MAX, 0, &out), -1);
	/* However it comes, and though it ends. */
	buf_append_str(&wire, "\r\n");
	framing_init(&f, -1);
	assert_int_equal(feed(&f, wire.data, wire.len, wire.len, 0, &out), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bodies_end_where_they_end_however_they_are_cut),
		cmocka_unit_test(malformed_sizes_are_refused_before_their_end_comes),
		cmocka_unit_test(endless_trailers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
