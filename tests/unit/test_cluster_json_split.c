/* json_split: objects out of a stream, however it is cut. */
#include "cluster/json_split.h"
#include "lib/mem.h"
#include "lib/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct got {
	struct buf text; /* the objects, one a line */
	unsigned count, stop_at;
};

static bool collect(const char *text, size_t len, void *arg)
{
	struct got *got = arg;

	assert_int_equal(strlen(text), len);
	buf_append(&got->text, text, len);
	buf_append_char(&got->text, '\n');
	return ++got->count != got->stop_at;
}

/* Feeds text in pieces of `piece` bytes; the result of the first failure. */
static int feed(
	struct json_split *split, struct got *got, const char *text, size_t piece, struct err *err)
{
	size_t len = strlen(text), i;

	buf_init(&got->text, 1 << 16);
	got->count = 0;
	for (i = 0; i < len; i += piece) {
		size_t n = len - i < piece ? len - i : piece;

		if (json_split_feed(split, text + i, n, collect, got, err) == -1)
			return -1;
	}
	return 0;
}

static void test_every_cut(void **state)
{
	static const char text[] =
		"{\"a\":\"}{][\\\"\\\\\"}\n{\"b\":{\"c\":[1,{\"d\":\"\\u007d\"}]}}{}\r\n \t{\"e\":"
		"[[[]]]}";
	static const char want[] =
		"{\"a\":\"}{][\\\"\\\\\"}\n{\"b\":{\"c\":[1,{\"d\":\"\\u007d\"}]}}\n{}\n{\"e\":"
		"[[[]]]}\n";
	size_t piece;

	(void)state;
	for (piece = 1; piece <= sizeof(text); piece++) {
		struct json_split split;
		struct got got = {.stop_at = 0};

		json_split_init(&split, 1000, false);
		assert_int_equal(feed(&split, &got, text, piece, NULL), 0);
		assert_string_equal(buf_str(&got.text), want);
		assert_true(json_split_is_complete(&split));
		buf_reset(&got.text);
		json_split_reset(&split);
	}
}

static void test_arrays(void **state)
{
	static const struct {
		const char *text;
		int count; /* -1 = refused */
		bool is_complete;
	} cases[] = {
		{"[]", 0, true},
		{" [ ] \n", 0, true},
		{"null", 0, true},
		{"null\n", 0, true},
		{"[{}]", 1, true},
		{"[{\"a\":1},{\"b\":[2]} , {}]\n", 3, true},
		{"", 0, false},
		{"nul", 0, false},
		{"[", 0, false},
		{"[{}", 1, false},
		{"[{},", 1, false},
		{"[{\"a\":", 0, false},
		{"[{}{}]", -1, false},
		{"[,]", -1, false},
		{"[{},]", -1, false},
		/* What is no object costs itself. */
		{"[1]", 0, true},
		{"[[]]", 0, true},
		{"[{},3, \"],{\\\"\" ,[{\"a\":\"]\"},[]],null ,{\"c\":3},-1.5e3]", 2, true},
		{"[1", 0, false},
		{"[\"]", 0, false},
		{"[[1],", 0, false},
		{"[1}", -1, false},
		{"[[]}", -1, false},
		{"[x]", -1, false},
		{"{}", -1, false},
		{"nuts", -1, false},
		{"[] {}", -1, false},
		{"nullnull", -1, false},
		{"<html>", -1, false},
		{"\"text\"", -1, false},
	};
	size_t i, piece;

	(void)state;
	for (i = 0; i < ARRAY_LEN(cases); i++) {
		for (piece = 1; piece <= strlen(cases[i].text) + 1; piece++) {
			struct json_split split;
			struct got got = {.stop_at = 0};
			struct err err = ERR_INIT;
			int result;

			json_split_init(&split, 1000, true);
			result = feed(&split, &got, cases[i].text, piece, &err);
			assert_int_equal(result, cases[i].count == -1 ? -1 : 0);
			if (result == -1)
				assert_int_equal(err.code, ERR_UPSTREAM);
			else
				assert_int_equal(got.count, cases[i].count);
			if (result == 0)
				assert_int_equal(
					json_split_is_complete(&split), cases[i].is_complete);
			buf_reset(&got.text);
			json_split_reset(&split);
		}
	}
}

static void test_garbage(void **state)
{
	static const char *const texts[] = {
		"x", "{}x", "]", "{}]", "\"", "\x01", "HTTP/1.1", "[{}]"};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		struct json_split split;
		struct got got = {.stop_at = 0};
		struct err err = ERR_INIT;

		json_split_init(&split, 1000, false);
		assert_int_equal(feed(&split, &got, texts[i], 1, &err), -1);
		assert_int_equal(err.code, ERR_UPSTREAM);
		buf_reset(&got.text);
		json_split_reset(&split);
	}
}

static void test_too_large(void **state)
{
	struct json_split split;
	struct got got = {.stop_at = 0};
	struct err err = ERR_INIT;
	char *line = xmalloc(2001);
	unsigned i;

	(void)state;
	memset(line, 'a', 2000);
	line[2000] = '\0';
	memcpy(line, "{\"a\":\"", 6);
	json_split_init(&split, 1000, false);
	assert_int_equal(feed(&split, &got, line, 7, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	buf_reset(&got.text);
	json_split_reset(&split);

	/* The bound is for one object, not for the stream; deep nesting costs nothing. */
	for (i = 0; i < 100; i++) {
		assert_int_equal(feed(&split, &got, "{\"a\":[[[[[[[[[[]]]]]]]]]]}", 3, &err), 0);
		assert_int_equal(got.count, 1);
		buf_reset(&got.text);
	}
	json_split_reset(&split);
	free(line);
}

static void test_stop(void **state)
{
	struct json_split split;
	struct got got = {.stop_at = 2};

	(void)state;
	json_split_init(&split, 1000, false);
	assert_int_equal(feed(&split, &got, "{}{}{}{}", 8, NULL), 0);
	assert_int_equal(got.count, 2);
	buf_reset(&got.text);
	json_split_reset(&split);
}

/* Fed in pieces of any size, with 100 bytes a text, the object becomes `want`. */
static void check_short(const char *text, const char *want)
{
	for (size_t piece = 1; piece <= strlen(text); piece++) {
		struct json_split split;
		struct got got = {.stop_at = 0};

		json_split_init(&split, 100, false);
		split.shortens = true;
		assert_int_equal(feed(&split, &got, text, piece, NULL), 0);
		assert_string_equal(buf_str(&got.text), want);
		assert_true(json_split_is_complete(&split));
		buf_reset(&got.text);
		json_split_reset(&split);
	}
}

static char *repeated(const char *part, size_t times)
{
	struct buf text;

	buf_init(&text, SIZE_MAX);
	for (size_t i = 0; i < times; i++)
		buf_append_str(&text, part);
	return buf_take(&text);
}

/* What is large in it is left out, where it stands, and the rest stays. */
static void test_shortened(void **state)
{
	static const struct {
		const char *before, *part, *behind, *want;
	} cases[] = {
		{"{\"Id\":\"1\",\"Labels\":{\"a\":\"b\",\"big\":\"", "x,}]\\\"",
			"\",\"c\":\"d\"},\"State\":\"s\"}{}",
			"{\"Id\":\"1\",\"Labels\":{\"a\":\"b\",\"c\":\"d\"},\"State\":\"s\"}\n{}"
			"\n"},
		{"{\"Labels\":{\"big\":\"", "\\\\", "\",\"c\":\"d\"}}",
			"{\"Labels\":{\"c\":\"d\"}}\n"},
		{"{\"Labels\":{\"big\":\"", "z", "\"}}", "{\"Labels\":{}}\n"},
		{"{\"Id\":\"1\",\"Labels\":{\"a\":\"b\"", ",\"key\":\"value\"",
			"},\"State\":\"s\"}", "{\"Id\":\"1\",\"State\":\"s\"}\n"},
		{"{\"Actor\":{\"ID\":\"1\",\"Attributes\":{\"k\":\"v\"", ",\"k\":{\"a\":[]}",
			"}},\"time\":7}", "{\"Actor\":{\"ID\":\"1\"},\"time\":7}\n"},
		{"{\"big\":\"", "q", "\",\"a\":1}", "{\"a\":1}\n"},
		{"{\"list\":[1", ",22", "],\"a\":1}", "{\"a\":1}\n"},
		{"{\"list\":[\"", "22", "\",3],\"a\":1}", "{\"list\":[3],\"a\":1}\n"},
		{"{\"a\":1", ",\"key\":[1,2]", "}{}",
			"{\"a\":1,\"key\":[1,2],\"key\":[1,2],\"key\":[1,2],\"key\":[1,2],\"key\":["
			"1,"
			"2],\"key\":[1,2],\"key\":[1,2]}\n{}\n"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_FREE char *part = repeated(cases[i].part, 200);
		CLEANUP_FREE char *text =
			xasprintf("%s%s%s", cases[i].before, part, cases[i].behind);

		check_short(text, cases[i].want);
	}
}

/* As often as it is full; and the next is whole. */
static void test_shortened_often(void **state)
{
	CLEANUP_FREE char *half = repeated("h", 60);
	CLEANUP_FREE char *large = repeated("l", 200);
	CLEANUP_FREE char *text =
		xasprintf("{\"Id\":1,\"a\":\"%s\",\"b\":{\"x\":\"%s\",\"y\":[\"%s\"]}}"
			  "{\"Id\":2,\"k\":\"%s\",\"l\":\"%s\",\"m\":3}{\"Id\":3}",
			large, large, large, half, half);
	CLEANUP_FREE char *want = xasprintf("{\"Id\":1,\"b\":{}}\n"
					    "{\"Id\":2,\"k\":\"%s\"}\n{\"Id\":3}\n",
		half);

	(void)state;
	check_short(text, want);
}

/* Work in proportion to the bytes: with the square of them this would take hours. */
/* The end of a line within an object that is being shortened: it was broken off. */
static void test_broken_off(void **state)
{
	static const char text[] = "{\"a\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{\"b\":1}\n";
	size_t piece;

	(void)state;
	for (piece = 1; piece <= sizeof(text); piece++) {
		struct json_split split;
		struct got got = {.stop_at = 0};
		struct err err = ERR_INIT;

		json_split_init(&split, 20, false);
		split.shortens = true;
		assert_int_equal(feed(&split, &got, text, piece, &err), -1);
		assert_int_equal(err.code, ERR_UPSTREAM);
		buf_reset(&got.text);
		json_split_reset(&split);
	}
}

static void test_backslashes(void **state)
{
	size_t len = 64 * 1024 * 1024;
	struct json_split split;
	struct got got = {.stop_at = 0};
	char *text = xmalloc(len + 1);

	(void)state;
	memset(text, '\\', len);
	text[len] = '\0';
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + len - 2, "\"}", 2);
	json_split_init(&split, 1000, false);
	split.shortens = true;
	assert_int_equal(feed(&split, &got, text, len, NULL), 0);
	assert_string_equal(buf_str(&got.text), "{}\n");
	buf_reset(&got.text);
	json_split_reset(&split);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_shortened),
		cmocka_unit_test(test_shortened_often),
		cmocka_unit_test(test_broken_off),
		cmocka_unit_test(test_backslashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
