/* Streams of JSON objects from bytes that a peer chose: the same objects come out, however the
 * stream is cut. The first byte says how, and whether it is a list. */
#include "cluster/json_split.h"
#include "tests/fuzz/fuzz.h"

#define OBJECT_MAX 256

struct seen {
	struct buf text;
	size_t objects;
	bool failed, is_complete;
};

static bool see(const char *text, size_t len, void *arg)
{
	struct seen *seen = arg;

	fuzz_check(strlen(text) <= len && text[len] == '\0');
	seen->objects++;
	fuzz_check(buf_append(&seen->text, text, len) == 0);
	return true;
}

static void feed(const char *data, size_t len, bool is_array, size_t step, struct seen *seen)
{
	struct json_split split;
	struct err err = ERR_INIT;

	memset(seen, 0, sizeof(*seen));
	buf_init(&seen->text, SIZE_MAX);
	json_split_init(&split, OBJECT_MAX, is_array);
	for (size_t at = 0; at < len && !seen->failed; at += step) {
		size_t piece = len - at < step ? len - at : step;

		if (json_split_feed(&split, data + at, piece, see, seen, &err) == -1) {
			fuzz_check(err.msg[0] != '\0');
			seen->failed = true;
		}
	}
	seen->is_complete = json_split_is_complete(&split);
	json_split_reset(&split);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole, cut;
	char *text;

	if (size < 2)
		return 0;
	text = fuzz_copy(data + 1, size - 1);
	feed(text, size - 1, data[0] & 1, size, &whole);
	feed(text, size - 1, data[0] & 1, 1 + (data[0] >> 1), &cut);
	fuzz_check(whole.failed == cut.failed && whole.objects == cut.objects);
	fuzz_check(whole.failed || whole.is_complete == cut.is_complete);
	fuzz_check(whole.text.len == cut.text.len);
	fuzz_check(
		whole.text.len == 0 || memcmp(whole.text.data, cut.text.data, whole.text.len) == 0);
	buf_reset(&whole.text);
	buf_reset(&cut.text);
	free(text);
	return 0;
}
