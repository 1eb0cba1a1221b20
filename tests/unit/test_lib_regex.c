#include "lib/regex.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>
#include <time.h>

static bool matches(const char *pattern, const char *text)
{
	struct err err = ERR_INIT;
	struct regex *regex = regex_new(pattern, &err);
	bool result;

	assert_non_null(regex);
	result = regex_search(regex, text, strlen(text));
	regex_free(regex);
	return result;
}

static void searches_without_anchors(void **state)
{
	(void)state;
	assert_true(matches("o", "node"));
	assert_false(matches("^o", "node"));
	assert_true(matches("^node[0-9]+$", "node12"));
	assert_false(matches("^node[0-9]+$", "node12x"));
	assert_true(matches("(?i)NODE", "node"));
	assert_true(matches("", ""));
	assert_true(matches("a|b", "xbx"));
	assert_true(matches("^.$", "\303\244")); /* one character of two bytes */
	assert_true(matches("\\bweb\\b", "a web b"));
}

static void text_may_hold_anything(void **state)
{
	struct regex *regex = regex_new("b$", NULL);

	(void)state;
	assert_non_null(regex);
	assert_true(regex_search(regex, "a\0b", 3));
	assert_false(regex_search(regex, "a\0b", 2));
	assert_true(regex_search(regex, "\377\376b", 3));
	assert_false(regex_search(regex, "", 0));
	regex_free(regex);
	regex_free(NULL);
}

static void patterns_that_are_no_utf8_are_bytes(void **state)
{
	(void)state;
	assert_true(matches("a\377", "xa\377x"));
	assert_false(matches("a\377", "a\303\277"));
}

static void bad_patterns_are_explained(void **state)
{
	static const char *const bad[] = {"(", ")", "[a", "*", "a**", "a{2,1}", "\\", "(?<n>a",
		"(?=a)", "\\1", "[z-a]", "a{1001}", "((a{100}){100}){100}", "\\pL{500}[^x]{500}",
		"(\377"};
	char longest[REGEX_PATTERN_MAX + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err err = ERR_INIT;

		assert_null(regex_new(bad[i], &err));
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(strlen(err.msg) > strlen(bad[i]));
		assert_null(regex_new(bad[i], NULL));
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(regex_new(longest, NULL));
	longest[REGEX_PATTERN_MAX] = '\0';
	assert_true(matches(longest, longest));
}

/* With back-tracking, these would take longer than the universe has. */
static void time_is_linear(void **state)
{
	static const char *const patterns[] = {
		"(a*)*b", "(a|aa)+$", "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a]c", "(x+x+)+y"};
	static char text[100000];
	clock_t start = clock();

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 2] = '!';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		assert_false(matches(patterns[i], text));
	/* Processor time, so that a busy machine does not matter. */
	assert_true((clock() - start) / CLOCKS_PER_SEC < 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(searches_without_anchors),
		cmocka_unit_test(text_may_hold_anything),
		cmocka_unit_test(patterns_that_are_no_utf8_are_bytes),
		cmocka_unit_test(bad_patterns_are_explained),
		cmocka_unit_test(time_is_linear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
