#include "lib/json.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static json_t *parse(const char *text)
{
	struct err err = ERR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	assert_non_null(json);
	return json;
}

static void what_was_parsed_is_written_again(void **state)
{
	static const char *const texts[] = {"{}", "[]", "null", "true", "0", "-1", "\"x\"",
		"{\"z\":1,\"a\":[1,2.5,\"\\u0001\",null],\"m\":{\"Z\":false}}",
		"9223372036854775807", "\"caf\303\251 \\\"q\\\"\""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP_JSON json_t *json = parse(texts[i]);
		CLEANUP_FREE char *text = NULL;
		CLEANUP_BUF struct buf out;
		size_t len;

		text = json_text(json, &len);
		assert_string_equal(text, texts[i]);
		assert_int_equal(len, strlen(text));
		buf_init(&out, len + 1);
		buf_append_char(&out, '>');
		assert_int_equal(json_append(&out, json), 0);
		assert_string_equal(buf_str(&out) + 1, text);
		assert_int_equal(json_append(&out, json), -1);
	}
}

static void hostile_text_is_refused(void **state)
{
	static const char *const bad[] = {"", " ", "{", "}", "[1,]", "{\"a\":1,}", "{a:1}", "{}x",
		"{} {}", "nul", "01", "+1", "\"\\u0000\"", "\"\\ud800\"", "\"a\nb\"", "\"\377\"",
		"{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":1}}", "18446744073709551616", "1e999",
		"\"open", "'x'", "NaN", "[1 2]", "// x\n1"};
	char *deep = xmalloc(100001);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		assert_null(json_parse(bad[i], strlen(bad[i]), &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(str_has_prefix(err.msg, "invalid JSON at line "));
	}
	memset(deep, '[', 100000);
	deep[100000] = '\0';
	assert_null(json_parse(deep, 100000, NULL));
	assert_null(json_parse(NULL, 0, NULL));
	assert_null(json_parse("{}\0", 3, NULL));
	free(deep);
}

static void errors_say_where(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_null(json_parse("{\n  \"a\": nope\n}", 15, &err));
	assert_true(str_has_prefix(err.msg, "invalid JSON at line 2, column 11: "));
	assert_null(json_parse("{\"a\":1,\"a\":2}", 13, &err));
	assert_non_null(strstr(err.msg, "duplicate"));
}

static void length_counts_not_the_nul(void **state)
{
	CLEANUP_JSON json_t *json = NULL;

	(void)state;
	json = json_parse("[1]garbage", 3, NULL);
	assert_non_null(json);
	assert_null(json_parse("[12]", 3, NULL));
}

static void what_is_told_may_be_odd(void **state)
{
	static const char text[] = "{\"a\":\"x\\u0000y\",\"b\":1,\"b\":\"z\"}";
	CLEANUP_JSON json_t *json = json_parse_told(text, sizeof(text) - 1, NULL);
	CLEANUP_FREE char *again = NULL;

	(void)state;
	assert_non_null(json);
	assert_string_equal(json_str(json, "a", "none"), "none");
	assert_null(json_whole_text(json_get(json, "a")));
	assert_string_equal(json_str(json, "b", ""), "z");
	again = json_text(json, NULL);
	assert_string_equal(again, "{\"a\":\"x\\u0000y\",\"b\":\"z\"}");
}

static void keys_match_as_in_go(void **state)
{
	CLEANUP_JSON json_t *json =
		parse("{\"image\":\"lower\",\"Image\":\"exact\",\"hostCONFIG\":{\"MEMORY\":5},"
		      "\"\303\204\":1}");

	(void)state;
	assert_string_equal(json_str(json, "Image", NULL), "exact");
	assert_string_equal(json_str(json, "image", NULL), "lower");
	assert_string_equal(json_str(json, "IMAGE", NULL), "lower");
	assert_int_equal(json_int(json_path(json, "HostConfig", NULL), "Memory", -1), 5);
	assert_int_equal(json_integer_value(json_path(json, "HostConfig", "Memory", NULL)), 5);
	assert_null(json_get(json, "\303\244"));
	assert_null(json_get(json, "Imag"));
}

static void escaped_as_in_texts(void **state)
{
	char text[256];
	size_t len = 0;
	CLEANUP_BUF struct buf out;

	(void)state;
	for (int c = 1; c < 128; c++) {
		text[len++] = (char)c;
		if (c % 3 == 0)
			text[len++] = '"';
	}
	snprintf(text + len, sizeof(text) - len, "\303\244\342\202\254");
	for (size_t from = 0; text[from] != '\0'; from++) {
		CLEANUP_JSON json_t *json = json_string(text + from);
		CLEANUP_FREE char *wanted = json_text(json, NULL);

		if (json == NULL) /* within a character */
			continue;
		buf_init(&out, 4096);
		buf_append_char(&out, '"');
		json_append_escaped(&out, text + from);
		buf_append_char(&out, '"');
		assert_string_equal(buf_str(&out), wanted);
		buf_reset(&out);
	}
	buf_init(&out, 4096);
	json_append_escaped(&out, "");
	assert_int_equal(out.len, 0);
}

static void wrong_types_give_the_default(void **state)
{
	CLEANUP_JSON json_t *json =
		parse("{\"s\":\"x\",\"i\":-7,\"r\":1.5,\"b\":true,\"n\":null,\"o\":{},\"a\":[]}");
	static const char *const keys[] = {"s", "i", "r", "b", "n", "o", "a", "missing"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *k = keys[i];

		assert_string_equal(json_str(json, k, "default"), *k == 's' ? "x" : "default");
		assert_int_equal(json_int(json, k, 99), *k == 'i' ? -7 : 99);
		assert_int_equal(json_bool(json, k, false), *k == 'b');
		assert_int_equal(json_obj(json, k) != NULL, *k == 'o');
		assert_int_equal(json_arr(json, k) != NULL, *k == 'a');
	}
	assert_true(json_bool(json, "n", true));
}

static void getters_take_anything(void **state)
{
	CLEANUP_JSON json_t *array = parse("[1]");
	CLEANUP_JSON json_t *json = parse("{\"a\":{\"b\":null},\"t\":\"text\"}");

	(void)state;
	assert_null(json_get(NULL, "a"));
	assert_null(json_get(array, "a"));
	assert_null(json_path(NULL, "a", NULL));
	assert_null(json_path(array, "a", "b", NULL));
	assert_null(json_path(json, "t", "x", NULL));
	assert_null(json_path(json, "a", "b", "c", NULL));
	assert_true(json_is_null(json_path(json, "a", "b", NULL)));
	assert_ptr_equal(json_path(json, NULL), json);
	assert_null(json_str(NULL, "a", NULL));
	assert_int_equal(json_int(array, "0", 3), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_parsed_is_written_again),
		cmocka_unit_test(hostile_text_is_refused),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(length_counts_not_the_nul),
		cmocka_unit_test(what_is_told_may_be_odd),
		cmocka_unit_test(keys_match_as_in_go),
		cmocka_unit_test(escaped_as_in_texts),
		cmocka_unit_test(wrong_types_give_the_default),
		cmocka_unit_test(getters_take_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
