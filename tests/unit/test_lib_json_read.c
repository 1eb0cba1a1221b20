#include "lib/json_read.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/heap.h"

#include <string.h>

static struct json_reader *reader;

static int setup(void **state)
{
	(void)state;
	reader = json_reader_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	json_reader_free(reader);
	return 0;
}

static struct json_ref read_text(const char *text)
{
	struct err err = ERR_INIT;
	struct json_ref value = json_read(reader, text, strlen(text), &err);

	if (err.code != ERR_NONE)
		fail_msg("%s: %s", text, err.msg);
	return value;
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text;
		enum json_kind kind;
	} cases[] = {
		{"null", JSON_KIND_NULL},
		{"true", JSON_KIND_BOOL},
		{"-1", JSON_KIND_INT},
		{"18446744073709551615", JSON_KIND_INT},
		{"1.5", JSON_KIND_REAL},
		{"\"\"", JSON_KIND_TEXT},
		{" [ ] ", JSON_KIND_ARRAY},
		{"{}", JSON_KIND_OBJECT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(json_ref_kind(read_text(cases[i].text)), cases[i].kind);
	assert_int_equal(json_ref_kind((struct json_ref){0}), JSON_KIND_NONE);
}

/* A text that is refused leaves nothing, and the reader is as good as before. */
static void test_refuses(void **state)
{
	static const char *const cases[] = {"", " ", "{", "[1,]", "{\"a\":}", "{\"a\" 1}", "[1 2]",
		"\"\xff\"", "\"\\ud800\"", "\"\\x\"", "01", "1e", "nul", "{} x", "[\"a\nb\"]",
		"100000000000000000000", "{\"a\":1,}", "[1]]", "\"a"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;
		struct json_ref value = json_read(reader, cases[i], strlen(cases[i]), &err);

		if (err.code != ERR_INVALID || value.document)
			fail_msg("taken: %s", cases[i]);
		assert_int_equal(json_ref_kind(read_text("[]")), JSON_KIND_ARRAY);
	}
}

static void test_depth_is_bounded(void **state)
{
	char text[100000];
	struct err err = ERR_INIT;

	(void)state;
	memset(text, '[', sizeof(text));
	assert_null(json_read(reader, text, sizeof(text), &err).document);
	assert_int_equal(err.code, ERR_INVALID);
}

/* One large text does not cost its memory for good. */
static void test_gives_back(void **state)
{
	const size_t len = (size_t)4 << 20;
	char *text = xmalloc(len);
	struct err err = ERR_INIT;
	size_t before;

	(void)state;
	read_text("[]");
	before = heap_in_use();
	memset(text, ' ', len);
	text[0] = '[';
	text[len - 1] = ']';
	assert_int_equal(json_ref_kind(json_read(reader, text, len, &err)), JSON_KIND_ARRAY);
	assert_true(heap_in_use() > before + len);
	read_text("[]");
	assert_true(heap_in_use() < before + len / 4);
	free(text);
}

static void test_gets(void **state)
{
	struct json_ref o = read_text("{\"T\":\"x\",\"i\":7,\"b\":true,\"o\":{\"k\":1},\"a\":[2],"
				      "\"n\":null,\"r\":1.5,\"nul\":\"a\\u0000b\",\"e\":\"\"}");

	(void)state;
	assert_string_equal(json_ref_str(o, "T", "-"), "x");
	assert_string_equal(json_ref_str(o, "e", "-"), "");
	assert_int_equal(json_ref_int(o, "i", -1), 7);
	assert_true(json_ref_bool(o, "b", false));
	assert_int_equal(json_ref_int(json_ref_obj(o, "o"), "k", -1), 1);
	assert_int_equal(json_ref_kind(json_ref_arr(o, "a")), JSON_KIND_ARRAY);
	/* Missing, null, of another kind. */
	assert_string_equal(json_ref_str(o, "none", "-"), "-");
	assert_string_equal(json_ref_str(o, "n", "-"), "-");
	assert_string_equal(json_ref_str(o, "i", "-"), "-");
	assert_int_equal(json_ref_int(o, "T", -1), -1);
	assert_int_equal(json_ref_int(o, "r", -1), -1);
	assert_false(json_ref_bool(o, "i", false));
	assert_int_equal(json_ref_kind(json_ref_obj(o, "a")), JSON_KIND_NONE);
	assert_int_equal(json_ref_kind(json_ref_arr(o, "o")), JSON_KIND_NONE);
	assert_int_equal(json_ref_int(read_text("{\"i\":18446744073709551615}"), "i", -1), -1);
	assert_int_equal(json_ref_kind(json_ref_get((struct json_ref){0}, "x")), JSON_KIND_NONE);
	assert_int_equal(json_ref_kind(json_ref_get(read_text("[1]"), "x")), JSON_KIND_NONE);
}

/* A C string would end there. */
static void test_text_with_nul_is_none(void **state)
{
	struct json_ref o = read_text("{\"a\":\"x\\u0000y\"}");

	(void)state;
	assert_int_equal(json_ref_kind(json_ref_get(o, "a")), JSON_KIND_TEXT);
	assert_null(json_ref_text(json_ref_get(o, "a")));
	assert_string_equal(json_ref_str(o, "a", "-"), "-");
}

static void test_keys_as_go_matches_them(void **state)
{
	struct json_ref o = read_text("{\"ID\":\"folded\",\"Id\":\"exact\",\"X\":1,\"x\":2}");

	(void)state;
	assert_string_equal(json_ref_str(o, "Id", ""), "exact");
	assert_string_equal(json_ref_str(o, "iD", ""), "folded");
	assert_int_equal(json_ref_int(o, "x", 0), 2);
	assert_int_equal(json_ref_int(read_text("{\"k\":1,\"k\":2}"), "k", 0), 1);
}

static void test_walks(void **state)
{
	static const char *const keys[] = {"a", "b", "c"};
	struct json_ref o = read_text("{\"a\":[[1],{\"x\":2}],\"b\":{},\"n\\u0000\":0,\"c\":3}");
	size_t count = 0;
	int64_t sum = 0;

	(void)state;
	for (struct json_walk w = json_walk(o); json_walk_next(&w); count++) {
		assert_true(count < ARRAY_LEN(keys));
		assert_string_equal(w.key, keys[count]);
	}
	assert_int_equal(count, 3);
	for (struct json_walk w = json_walk(read_text("[1,20,300]")); json_walk_next(&w);) {
		struct buf text CLEANUP_BUF;

		assert_null(w.key);
		buf_init(&text, 100);
		json_ref_print(w.value, &text);
		sum = sum * 10 + (int64_t)text.len;
	}
	assert_int_equal(sum, 123);
	for (struct json_walk w = json_walk(read_text("7")); json_walk_next(&w);)
		fail();
	for (struct json_walk w = json_walk(read_text("[]")); json_walk_next(&w);)
		fail();
	for (struct json_walk w = json_walk((struct json_ref){0}); json_walk_next(&w);)
		fail();
}

static void test_prints(void **state)
{
	static const char text[] =
		"{\"q\\\"\\\\\":\"\\n\\u0001\xc3\xa9\",\"o\":{\"a\":[1,-2,true,"
		"null,\"\"]},\"big\":9007199254740993,\"max\":18446744073709551615,"
		"\"real\":1.0,\"small\":-2.5e-300,\"all\":\"\\b\\f\\r\\t/\",\"e\":{},"
		"\"f\":[]}";
	struct buf whole CLEANUP_BUF, parts CLEANUP_BUF;
	struct json_ref value = read_text(text);

	(void)state;
	buf_init(&whole, 1000);
	buf_init(&parts, 1000);
	json_ref_print(value, &whole);
	assert_string_equal(buf_str(&whole), text);
	for (struct json_walk w = json_walk(value); json_walk_next(&w);) {
		buf_append_char(&parts, parts.len > 0 ? ',' : '{');
		json_walk_print(&w, &parts);
	}
	buf_append_char(&parts, '}');
	assert_string_equal(buf_str(&parts), text);
	buf_consume(&parts, parts.len);
	json_ref_print((struct json_ref){0}, &parts);
	assert_string_equal(buf_str(&parts), "null");
}

static void test_says_what_others_cannot_read(void **state)
{
	static const struct {
		const char *text;
		bool is_plain;
	} cases[] = {
		{"{\"a\":[1,-9223372036854775808,9223372036854775807,1.5,null,\"x\"]}", true},
		{"[9223372036854775808]", false},
		{"{\"a\":{\"b\\u0000\":1},\"c\":2}", false},
		{"[\"\\u0000\",1]", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct buf text CLEANUP_BUF;

		buf_init(&text, 1000);
		assert_int_equal(
			json_ref_print(read_text(cases[i].text), &text), cases[i].is_plain);
		/* All is written, whatever it is. */
		assert_string_equal(buf_str(&text), cases[i].text);
	}
}

static void test_cleans(void **state)
{
	struct buf text CLEANUP_BUF;

	(void)state;
	buf_init(&text, 1000);
	json_ref_print_clean(read_text("{\"\\u0000\":1,\"a\\u0000b\":[],\"a\":\"\\u0000\",\"n\":["
				       "18446744073709551615,"
				       "1,{\"x\\u0000\":1}]}"),
		&text);
	assert_string_equal(
		buf_str(&text), "{\"a\":\"\\u0000\",\"n\":[1.8446744073709552e+19,1,{}]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_depth_is_bounded),
		cmocka_unit_test(test_gives_back),
		cmocka_unit_test(test_gets),
		cmocka_unit_test(test_text_with_nul_is_none),
		cmocka_unit_test(test_keys_as_go_matches_them),
		cmocka_unit_test(test_walks),
		cmocka_unit_test(test_prints),
		cmocka_unit_test(test_says_what_others_cannot_read),
		cmocka_unit_test(test_cleans),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
