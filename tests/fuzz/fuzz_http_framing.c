/* Bodies from bytes that a peer chose. However they are cut and given back, the same body must come
 * out, and the same bytes be left over. The first byte says how to cut. */
#include "http/framing.h"
#include "http/head.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_so)
{
	if (!is_so)
		abort();
}

struct result {
	struct buf body;
	size_t used;
	bool failed, is_done;
};

static void feed(const char *wire, size_t len, int64_t length, size_t step, struct result *r)
{
	struct framing f;
	size_t have = step;

	memset(r, 0, sizeof(*r));
	buf_init(&r->body, len + 1);
	framing_init(&f, length);
	while (!framing_is_done(&f)) {
		struct err err = ERR_INIT;
		const char *body;
		size_t body_len, back;
		ssize_t used;

		if (have > len)
			have = len;
		used = framing_feed(&f, wire + r->used, have - r->used, &body, &body_len, &err);
		if (used < 0) {
			check(err.code == ERR_INVALID || err.code == ERR_TOO_LARGE);
			r->failed = true;
			return;
		}
		check((size_t)used <= have - r->used && body_len <= (size_t)used);
		if (used == 0) {
			if (have == len)
				break;
			have += step;
			continue;
		}
		back = body_len > 1 ? body_len / 2 : 0;
		check(buf_append(&r->body, body, body_len - back) == 0);
		framing_give_back(&f, back);
		r->used += (size_t)used - back;
	}
	r->is_done = framing_is_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t lengths[] = {-1, -1, HEAD_UNTIL_CLOSE, 7};
	struct result whole, cut;
	int64_t length;
	size_t step;
	char *wire;

	if (size < 2)
		return 0;
	length = lengths[data[0] & 3];
	step = 1 + (data[0] >> 2);
	size--;
	wire = xmalloc(size);
	memcpy(wire, data + 1, size);
	feed(wire, size, length, size, &whole);
	feed(wire, size, length, step, &cut);
	check(whole.failed == cut.failed);
	if (!whole.failed) {
		check(whole.used == cut.used && whole.is_done == cut.is_done);
		check(whole.body.len == cut.body.len);
		check(whole.body.len == 0 ||
			memcmp(whole.body.data, cut.body.data, whole.body.len) == 0);
	}
	buf_reset(&whole.body);
	buf_reset(&cut.body);
	free(wire);
	return 0;
}
