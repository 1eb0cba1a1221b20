/* The language of expressions: what is taken, what is refused and with which words, what matches.
 */
#include "filters/expr.h"
#include "lib/mem.h"
#include "lib/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct good {
	const char *text, *key, *value;
	bool is_negated, is_soft;
};

static void test_accepts(void **state)
{
	static const struct good table[] = {
		{"disk==ssd", "disk", "ssd", false, false},
		{"disk!=ssd", "disk", "ssd", true, false},
		{"disk==~ssd", "disk", "ssd", false, true},
		{"disk!=~ssd", "disk", "ssd", true, true},
		{"no==1", "no", "1", false, false},
		{"_n==_node1", "_n", "_node1", false, false},
		{"NoDe==node1", "NoDe", "node1", false, false},
		{"com.docker.x-y_z==1", "com.docker.x-y_z", "1", false, false},
		{"os==Debian GNU/Linux 12 (bookworm)", "os", "Debian GNU/Linux 12 (bookworm)",
			false, false},
		{"image==reg.example.com:5000/a/b:1.0", "image", "reg.example.com:5000/a/b:1.0",
			false, false},
		{"image==a@sha256:00ff", "image", "a@sha256:00ff", false, false},
		{"disk==/ss[dx]{1,2}$/", "disk", "/ss[dx]{1,2}$/", false, false},
		{"disk!=~/^(a|b)\\.c?/", "disk", "/^(a|b)\\.c?/", true, true},
		{"disk==//", "disk", "//", false, false},
		{"disk==/data", "disk", "/data", false, false},
		{"disk==*", "disk", "*", false, false},
		{"disk==(", "disk", "(", false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		struct expr *expr = expr_new("constraint", table[i].text, EXPR_ONE, &err);

		if (expr == NULL)
			fail_msg("%s: %s", table[i].text, err.msg);
		assert_string_equal(expr_key(expr), table[i].key);
		assert_string_equal(expr_value(expr), table[i].value);
		assert_int_equal(expr_is_negated(expr), table[i].is_negated);
		assert_int_equal(expr_is_soft(expr), table[i].is_soft);
		expr_free(expr);
	}
}

static void test_refuses(void **state)
{
	/* The expression, and a word of the reason. */
	static const char *const table[][2] = {
		{"", "=="},
		{"node", "=="},
		{"node=1", "=="},
		{"node!1", "=="},
		{"==", "key is missing"},
		{"==1", "key is missing"},
		{"!=1", "key is missing"},
		{"n==1", "two characters"},
		{"1node==1", "begin"},
		{"-node==1", "begin"},
		{"~node==1", "begin"},
		{"no*de==1", "key may hold"},
		{"no$de==1", "key may hold"},
		{"node ==1", "key may hold"},
		{"n\xc3\xb6==1", "key may hold"},
		{"node==", "value is missing"},
		{"node==~", "value is missing"},
		{"node!=~", "value is missing"},
		{"node===1", "'='"},
		{"node==!1", "'!'"},
		{"node==a==b", "'='"},
		{"node==a~b", "'~'"},
		{"node==~~b", "'~'"},
		{"node==a;b", "';'"},
		{"node==a'b", "'''"},
		{"node==a\"b", "'\"'"},
		{"node==%s%n", "'%'"},
		{"node==a\nb", "control"},
		{"node==a\x7f", "control"},
		{"node==\xc3\xb6", "control"},
		{"node==/", "never closed"},
		{"node!=/", "never closed"},
		{"node==~/", "never closed"},
		{"node==/x(/", "x("},
		{"node==/x)/", "x)"},
		{"node==/[/", "["},
		{"node==/*/", "*"},
		{"node==/a**/", "**"},
		{"node==/\\/", "\\"},
		{"node==/(?P/", "(?P"},
		{"node==/(?=a)/", "'='"},
		{"node==/a\\1/", "\\1"},
		{"node==/a{2,1}/", "{2,1}"},
		{"node==/a{1001}/", "{1001}"},
		{"node==/((((a{100}){100}){100}){100}){100}/", ""},
		{"node==/(x+){1000}{1000}/", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		struct expr *expr = expr_new("affinity", table[i][0], EXPR_ONE, &err);

		if (expr != NULL)
			fail_msg("taken: %s", table[i][0]);
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(str_has_prefix(err.msg, "invalid affinity '"));
		if (strstr(err.msg, table[i][1]) == NULL)
			fail_msg("%s: no '%s' in: %s", table[i][0], table[i][1], err.msg);
		for (const char *p = err.msg; *p != '\0'; p++)
			assert_in_range((unsigned char)*p, 0x20, 0x7e);
	}
}

static void test_names_the_expression(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_null(expr_new("constraint", "node==/x(/", EXPR_ONE, &err));
	assert_non_null(strstr(err.msg, "invalid constraint 'node==/x(/': "));
}

static void test_length(void **state)
{
	char text[EXPR_LEN_MAX + 2];
	struct err err = ERR_INIT;
	struct expr *expr;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text, "node==", 6);
	text[EXPR_LEN_MAX + 1] = '\0';
	assert_null(expr_new("constraint", text, EXPR_ONE, &err));
	assert_non_null(strstr(err.msg, "longer than"));
	text[EXPR_LEN_MAX] = '\0';
	expr = expr_new("constraint", text, EXPR_ONE, &err);
	assert_non_null(expr);
	assert_true(expr_match(expr, text + 6));
	assert_false(expr_match(expr, text + 7));
	expr_free(expr);
}

static bool matches(const char *value, enum expr_form form, const char *text)
{
	CLEANUP_FREE char *full = xasprintf("kk==%s", value);
	struct err err = ERR_INIT;
	struct expr *expr = expr_new("constraint", full, form, &err);
	bool first, second;

	if (expr == NULL)
		fail_msg("%s: %s", value, err.msg);
	first = expr_match(expr, text);
	second = expr_match(expr, text);
	assert_int_equal(first, second);
	expr_free(expr);
	return first;
}

static void test_matches(void **state)
{
	static const struct {
		const char *value, *text;
		bool is_match;
	} table[] = {
		{"ssd", "ssd", true},
		{"ssd", "SSD", false},
		{"ssd", "ssd2", false},
		{"ssd", "", false},
		{"a.c", "a.c", true},
		{"a.c", "abc", false},
		{"a+", "aa", false},
		{"a+", "a+", true},
		{"[ab]", "a", false},
		{"n1|n2", "n1", false},
		{"n1|n2", "n1|n2", true},
		{"*", "", true},
		{"*", "anything at all", true},
		{"**", "", true},
		{"a*", "a", true},
		{"a*", "ab", true},
		{"a*", "ba", false},
		{"*a", "a", true},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"*b*", "abc", true},
		{"*b*", "ac", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"ab*ba", "aba", false},
		{"ab*ba", "abba", true},
		{"a*b*c", "abbc", true},
		{"a*b*c", "acb", false},
		{"a*bc*bcd", "abcbcd", true},
		{"a*bc*bcd", "abcd", false},
		{"a**b", "ab", true},
		{"nginx:1.*", "nginx:1.25", true},
		{"nginx:1.*", "nginx:1x25", false},
		{"/ss/", "a ssd", true},
		{"/^ss$/", "ssd", false},
		{"/(?i)^SSD$/", "ssd", true},
		{"/a.c/", "abc", true},
		{"/a\\.c/", "abc", false},
		{"//", "", true},
		{"/x|y/", "y", true},
		{"/data", "/data", true},
		{"/data", "data", false},
		{"/*", "/data", true},
		{"data/", "data/", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (matches(table[i].value, EXPR_ONE, table[i].text) != table[i].is_match)
			fail_msg("value '%s' against '%s'", table[i].value, table[i].text);
	}
}

static void test_choices(void **state)
{
	struct err err = ERR_INIT;

	(void)state;
	assert_true(matches("n1|n2", EXPR_CHOICES, "n1"));
	assert_true(matches("n1|n2", EXPR_CHOICES, "n2"));
	assert_false(matches("n1|n2", EXPR_CHOICES, "n1|n2"));
	assert_false(matches("n1|n2", EXPR_CHOICES, "n3"));
	assert_true(matches("n1", EXPR_CHOICES, "n1"));
	assert_true(matches("web*|db*", EXPR_CHOICES, "db7"));
	assert_true(matches("n1|/^db/", EXPR_CHOICES, "db7"));
	assert_true(matches("/^n1$|^n2$/", EXPR_CHOICES, "n2"));
	assert_null(expr_new("whitelist", "node==|n1", EXPR_CHOICES, &err));
	assert_null(expr_new("whitelist", "node==n1|", EXPR_CHOICES, &err));
	assert_null(expr_new("whitelist", "node==n1||n2", EXPR_CHOICES, &err));
	assert_null(expr_new("whitelist", "node==|", EXPR_CHOICES, &err));
	assert_null(expr_new("whitelist", "node==n1|/", EXPR_CHOICES, &err));
	assert_null(expr_new("whitelist", "node==n1|/x(/", EXPR_CHOICES, &err));
	assert_null(expr_new("whitelist", "node==/", EXPR_CHOICES, &err));
}

/* Expressions that take exponential or quadratic time where matching backtracks. CPU time, so that
 * a busy machine does not matter; the bound is some hundred times what is needed. */
static void test_time_is_bounded(void **state)
{
	static const char *const bombs[] = {
		"/(a+)+$/",
		"/^(a|a)*$/",
		"/(a|aa)+$/",
		"/(.*a){20}$/",
		"/^(a?){50}a{50}$/",
		"/(a*)*(a*)*(a*)*c$/",
		"*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*c",
		"*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac*",
	};
	size_t len = 64 * 1024;
	CLEANUP_FREE char *text = xmalloc(len + 1);

	(void)state;
	memset(text, 'a', len);
	text[len - 1] = 'b';
	text[len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(bombs); i++) {
		clock_t start = clock();

		assert_false(matches(bombs[i], EXPR_ONE, text));
		if (clock() - start > 5 * CLOCKS_PER_SEC)
			fail_msg("%s takes too long", bombs[i]);
	}
}

/* More texts than results are remembered, asked twice, against a literal comparison. */
static void test_memory_of_results(void **state)
{
	struct err err = ERR_INIT;
	struct expr *expr = expr_new("constraint", "kk==/^n[0-9]*7$/", EXPR_ONE, &err);
	char text[400];

	(void)state;
	assert_non_null(expr);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2000; i++) {
			snprintf(text, sizeof(text), "n%d", i);
			assert_int_equal(expr_match(expr, text), i % 10 == 7);
		}
		for (size_t len = 100; len < 300; len++) {
			memset(text, '0', len);
			text[0] = 'n';
			text[len - 1] = len % 2 ? '7' : '8';
			text[len] = '\0';
			assert_int_equal(expr_match(expr, text), len % 2);
		}
	}
	expr_free(expr);
	expr_free(NULL);
}

/* Each alternative is a question of its own, and takes no more steps than for its own text. */
static void test_alternatives_ask_for_themselves(void **state)
{
	struct expr *expr = expr_new("whitelist", "node==*a*|*b*|*c*", EXPR_CHOICES, NULL);
	uint64_t budget = 1000000, all = budget, one = 0;
	struct fleet_query query;
	size_t at = 0, queries = 0;

	(void)state;
	assert_non_null(expr);
	expr_set_budget(expr, &budget);
	while (expr_next_query(expr, &at, &query)) {
		static const char *const texts[] = {"xa", "xb", "xc"};

		for (size_t i = 0; i < ARRAY_LEN(texts); i++)
			assert_int_equal(query.match(query.arg, texts[i]), i == queries);
		if (queries++ == 0)
			one = all - budget;
	}
	assert_int_equal(queries, 3);
	assert_true(one > 0);
	assert_int_equal(all - budget, 3 * one);
	/* Where no steps are left, nothing is asked any more. */
	budget = 1;
	at = 0;
	assert_true(expr_next_query(expr, &at, &query));
	assert_false(query.match(query.arg, "xa"));
	assert_int_equal(budget, 0);
	assert_false(expr_next_query(expr, &at, &query));
	expr_free(expr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_names_the_expression),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_time_is_bounded),
		cmocka_unit_test(test_memory_of_results),
		cmocka_unit_test(test_alternatives_ask_for_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
