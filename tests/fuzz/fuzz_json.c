/* JSON that a peer chose, read by both readers: what the stricter one takes, the other one takes,
 * too, and both see the same. */
#include "lib/json.h"
#include "lib/json_read.h"
#include "tests/fuzz/fuzz.h"

#define TEXT_MAX (64 * 1024)

/* What was written of a value is read as that value. */
static void check_round(const json_t *json)
{
	size_t len;
	char *text CLEANUP_FREE = json_text(json, &len);
	struct err err = ERR_INIT;
	json_t *again CLEANUP_JSON = json_parse(text, len, &err);

	fuzz_check(again != NULL && json_equal(again, json) == 1);
}

static void check_printed(struct json_ref value, const json_t *json)
{
	struct buf out;
	json_t *again;

	buf_init(&out, SIZE_MAX);
	if (json_ref_print(value, &out)) {
		again = json_parse(out.data, out.len, NULL);
		fuzz_check(again != NULL && json_equal(again, json) == 1);
		json_decref(again);
	}
	buf_reset(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_reader *reader = json_reader_new();
	struct err err = ERR_INIT;
	char *text = size <= TEXT_MAX ? fuzz_copy(data, size) : NULL;
	json_t *json;

	if (text != NULL) {
		json = json_parse(text, size, &err);
		if (json != NULL) {
			struct json_ref value = json_read(reader, text, size, &err);

			check_round(json);
			/* simdjson stops at a depth of 1024, and takes no number beyond a double.
			 */
			if (json_ref_kind(value) != JSON_KIND_NONE)
				check_printed(value, json);
		}
		json_decref(json);
	}
	json_reader_free(reader);
	free(text);
	return 0;
}
