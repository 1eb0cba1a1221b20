#include "lib/err.h"
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <string.h>

static void set_fills_and_fails(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_set(&err, ERR_CONFLICT, "name %s taken", "web"), -1);
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(err.msg, "name web taken");
	assert_int_equal(err_set(NULL, ERR_CONFLICT, "nobody listens"), -1);
	assert_int_equal(err_errno(NULL, ERR_SYSTEM, EIO, "nobody listens"), -1);
	assert_int_equal(err_wrap(NULL, "nobody listens"), -1);
}

static void errno_adds_the_reason(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(err_errno(&err, ERR_SYSTEM, ENOENT, "open %s", "/x"), -1);
	assert_string_equal(err.msg, "open /x: No such file or directory");
	err_errno(&err, ERR_SYSTEM, 99999, "odd");
	assert_string_equal(err.msg, "odd: Unknown error 99999");
}

static void wrap_goes_in_front(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_TIMEOUT, "no answer");
	assert_int_equal(err_wrap(&err, "node %d", 7), -1);
	assert_int_equal(err.code, ERR_TIMEOUT);
	assert_string_equal(err.msg, "node 7: no answer");
}

static void own_message_may_be_an_argument(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	err_set(&err, ERR_INVALID, "inner");
	err_set(&err, ERR_UPSTREAM, "<%s>", err.msg);
	assert_string_equal(err.msg, "<inner>");
	err_wrap(&err, "%s again", err.msg);
	assert_string_equal(err.msg, "<inner> again: <inner>");
}

static void long_messages_are_cut(void **state)
{
	struct err err = ERR_INIT;
	char text[4096];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	err_set(&err, ERR_INVALID, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	err_wrap(&err, "context");
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_memory_equal(err.msg, "context: xxx", 12);
	err_errno(&err, ERR_INVALID, EIO, "%s", text);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void every_code_has_its_own_name(void **state)
{
	(void)state;
	for (int a = ERR_NONE; a <= ERR_SYSTEM; a++) {
		assert_string_not_equal(err_code_name((enum err_code)a), "unknown");
		for (int b = ERR_NONE; b < a; b++)
			assert_string_not_equal(
				err_code_name((enum err_code)a), err_code_name((enum err_code)b));
	}
	assert_string_equal(err_code_name(ERR_NOT_FOUND), "not_found");
	assert_string_equal(err_code_name((enum err_code)1000), "unknown");
}

/* Messages quote peers and end in JSON: they are UTF-8 whatever the peer said. */
static void messages_are_text(void **state)
{
	static const char *const cases[][2] = {
		{"plain\n\ttext", "plain\n\ttext"},
		{"a\x01\x1b\x7f", "a???"},
		{"\xff\xfe\x80", "???"},
		{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
		{"\xe2\x82\xac \xf0\x9f\x90\xb3", "\xe2\x82\xac \xf0\x9f\x90\xb3"},
		{"cut \xf0\x9f\x90", "cut ???"},
		{"overlong \xc0\xaf \xe0\x80\xaf", "overlong ?? ???"},
		{"surrogate \xed\xa0\x80", "surrogate ???"},
		{"beyond \xf4\x90\x80\x80", "beyond ????"},
	};
	char longest[1100];
	struct err err = ERR_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err_set(&err, ERR_UPSTREAM, "%s", cases[i][0]);
		assert_string_equal(err.msg, cases[i][1]);
	}
	/* A character that the end of the message cuts in two. */
	for (i = 0; i < sizeof(longest) - 2; i += 2)
		memcpy(longest + i, "\xc3\xbc", 2);
	longest[i] = '\0';
	err_set(&err, ERR_UPSTREAM, "%s", longest);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	assert_int_equal(err.msg[sizeof(err.msg) - 2], '?');
	err_wrap(&err, "x");
	assert_int_equal(err.msg[sizeof(err.msg) - 2], '\xbc');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_fills_and_fails),
		cmocka_unit_test(errno_adds_the_reason),
		cmocka_unit_test(wrap_goes_in_front),
		cmocka_unit_test(own_message_may_be_an_argument),
		cmocka_unit_test(long_messages_are_cut),
		cmocka_unit_test(every_code_has_its_own_name),
		cmocka_unit_test(messages_are_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
