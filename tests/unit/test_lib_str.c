#include "lib/str.h"
#include "tests/unit/cmocka_all.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static void comparisons(void **state)
{
	(void)state;
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
	assert_false(str_eq("a", NULL));
	assert_true(str_eq("a", "a"));
	assert_true(str_ieq("Content-TYPE", "content-type"));
	assert_false(str_ieq("abc", "ab"));
	assert_false(str_ieq("ab", "abc"));
	assert_false(str_ieq("[", "{"));
	assert_false(str_ieq("\303\204", "\303\244")); /* only ASCII folds */
	assert_true(str_ieq(NULL, NULL));
	assert_false(str_ieq("", NULL));
	assert_true(str_has_prefix("tcp://x", "tcp://"));
	assert_false(str_has_prefix("tcp", "tcp://"));
	assert_true(str_has_suffix("a.pem", ".pem"));
	assert_false(str_has_suffix("pem", ".pem"));
	assert_true(str_has_suffix("x", ""));
	assert_true(str_is_empty(NULL));
	assert_true(str_is_empty(""));
	assert_false(str_is_empty(" "));
}

static void hex_is_lower_case_and_of_the_length(void **state)
{
	(void)state;
	assert_true(str_is_hex("0123456789ab", 12));
	assert_false(str_is_hex("0123456789ab", 11));
	assert_false(str_is_hex("0123456789ab", 13));
	assert_false(str_is_hex("0123456789aB", 12));
	assert_false(str_is_hex("0123456789ag", 12));
	assert_false(str_is_hex(NULL, 0));
}

static int to_int(const char *s, long long *out)
{
	return str_to_int(s, LLONG_MIN, LLONG_MAX, out, "value", NULL);
}

static void integers(void **state)
{
	static const char *const bad[] = {"", "-", "+", " 1", "1 ", "1x", "0x10", "1.0", "--1",
		"9223372036854775808", "-9223372036854775809", "99999999999999999999999999", "\n1",
		"1e3"};
	struct err err = ERR_INIT;
	long long n = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(to_int(bad[i], &n), -1);
	assert_int_equal(n, 77);
	assert_int_equal(to_int("-9223372036854775808", &n), 0);
	assert_true(n == LLONG_MIN);
	assert_int_equal(to_int("9223372036854775807", &n), 0);
	assert_true(n == LLONG_MAX);
	assert_int_equal(to_int("+007", &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(str_to_int("0", 1, 65535, &n, "port", &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_string_equal(err.msg, "port: 0 is not within 1 to 65535");
	assert_int_equal(str_to_int("65536", 1, 65535, &n, "port", &err), -1);
	assert_int_equal(str_to_int("65535", 1, 65535, &n, "port", &err), 0);
	assert_int_equal(n, 65535);
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		long long ms;
	} good[] = {
		{"0", 0},
		{"0s", 0},
		{"20", 20000},
		{"1.5", 1500},
		{"60s", 60000},
		{"1h30m", 5400000},
		{"1.5s", 1500},
		{".5s", 500},
		{"1.s", 1000},
		{"300ms", 300},
		{"1m0.5s", 60500},
		{"1ns", 1}, /* never rounded down to none */
		{"1500us", 2},
		{"2000\302\265s", 2},
		{"2000\316\274s", 2},
		{"-20s", -20000},
		{"+5s", 5000},
		{"87600h", 315360000000LL},
		{"0.0000000000000000001s", 0},
	};
	static const char *const bad[] = {"", "-", "s", ".", ".s", "1x", "1h30", "1 s", " 1s",
		"1s ", "87600h1ms", "9999999999999999999s", "9223372036854775807h", "1e3s", "--1s",
		"1d", "1S", "1..5s", "1s\n"};
	struct err err = ERR_INIT;
	long long ms = 77;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(str_to_duration_ms(good[i].text, &ms, "--ttl", &err), 0);
		assert_int_equal(ms, good[i].ms);
	}
	ms = 77;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(str_to_duration_ms(bad[i], &ms, "--ttl", &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(str_has_prefix(err.msg, "--ttl: "));
	}
	assert_int_equal(ms, 77);
}

static void truth(void **state)
{
	static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
	static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
	static const char *const bad[] = {"", "yes", "no", "tRUE", "2", " 1", "on"};
	bool value;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		value = false;
		assert_int_equal(str_to_bool(yes[i], &value), 0);
		assert_true(value);
		assert_int_equal(str_to_bool(no[i], &value), 0);
		assert_false(value);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(str_to_bool(bad[i], &value), -1);
	assert_int_equal(str_to_bool(NULL, &value), -1);
}

static void human_bytes(void **state)
{
	static const struct {
		double bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{1, "1 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{1024 * 1024, "1 MiB"},
		{1024.0 * 1024 - 1, "1024 KiB"},
		{26546000000.0, "24.72 GiB"},
		{9.5 * 1024 * 1024 * 1024, "9.5 GiB"},
		{1125899906842624.0, "1 PiB"},
		{-5, "-5 B"},
	};
	char out[24];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_string_equal(
			str_human_bytes(cases[i].bytes, out, sizeof(out)), cases[i].text);
	assert_true(str_has_suffix(str_human_bytes(1e300, out, sizeof(out)), " YiB"));
	assert_true(str_has_suffix(str_human_bytes(INFINITY, out, sizeof(out)), " YiB"));
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void natural_order(void **state)
{
	static const char *const sorted[] = {"", "1", "2", "10", "node", "node-1", "node1",
		"node02", "node2", "node2a", "node10", "node10b2", "node10b10",
		"node99999999999999999999999999999998", "node99999999999999999999999999999999",
		"nodf", "\303\244"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sorted); i++) {
		for (size_t j = 0; j < ARRAY_LEN(sorted); j++)
			assert_int_equal(
				sign(str_natural_cmp(sorted[i], sorted[j])), sign((int)i - (int)j));
	}
	assert_int_equal(str_natural_cmp("a0", "a0"), 0);
	assert_int_not_equal(str_natural_cmp("a0", "a00"), 0);
	assert_true(str_natural_cmp("a00b1", "a0b2") < 0);
}

static void times(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(str_rfc3339(0, out, sizeof(out)), "1970-01-01T00:00:00Z");
	assert_string_equal(str_rfc3339(1456833600, out, sizeof(out)), "2016-03-01T12:00:00Z");
	assert_string_equal(str_rfc3339(951782400, out, sizeof(out)), "2000-02-29T00:00:00Z");
	assert_string_equal(str_rfc3339(INT64_MAX, out, sizeof(out)), "0001-01-01T00:00:00Z");
}

static void url_decoding(void **state)
{
	static const char *const bad[] = {"%", "%4", "%4g", "%g4", "a%", "%00", "x%00y", "%-1"};
	char *s;

	(void)state;
	s = str_url_decode("a%2Fb%2fc+d", 11, false);
	assert_string_equal(s, "a/b/c+d");
	free(s);
	s = str_url_decode("a+b%2B", 6, true);
	assert_string_equal(s, "a b+");
	free(s);
	s = str_url_decode("%25%32%46", 9, false); /* once, not twice */
	assert_string_equal(s, "%2F");
	free(s);
	s = str_url_decode("", 0, false);
	assert_string_equal(s, "");
	free(s);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(str_url_decode(bad[i], strlen(bad[i]), false));
	assert_null(str_url_decode("a\0b", 3, false));
	assert_null(str_url_decode("%41", 2, false)); /* the escape ends behind the text */
}

static void url_encoding_comes_back(void **state)
{
	char all[255];
	char *encoded;
	char *decoded;

	(void)state;
	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	encoded = str_url_encode(all, sizeof(all));
	for (const char *p = encoded; *p; p++)
		assert_true(*p > ' ' && *p < 0x7f && !strchr("/?#[]@!$&'()*+,;=:\\\"<>^`{|}", *p));
	decoded = str_url_decode(encoded, strlen(encoded), false);
	assert_memory_equal(decoded, all, sizeof(all));
	free(encoded);
	free(decoded);
	encoded = str_url_encode("aZ09-._~ /", 10);
	assert_string_equal(encoded, "aZ09-._~%20%2F");
	free(encoded);
}

static void random_hex_is_hex_and_differs(void **state)
{
	char a[65];
	char b[201];
	char c[65];

	(void)state;
	str_random_hex(a, 64);
	str_random_hex(c, 64);
	str_random_hex(b, 200);
	assert_true(str_is_hex(a, 64));
	assert_true(str_is_hex(b, 200));
	assert_string_not_equal(a, c);
	assert_memory_not_equal(b, b + 64, 64);
	str_random_hex(a, 0);
	assert_string_equal(a, "");
}

static void lists(void **state)
{
	CLEANUP_STR_LIST struct str_list list = {0};

	(void)state;
	str_list_sort(&list);
	assert_false(str_list_has(&list, "a"));
	str_list_split(&list, " b, a ,,\tc\n,", ",");
	assert_int_equal(list.len, 3);
	str_list_sort(&list);
	assert_string_equal(list.items[0], "a");
	assert_string_equal(list.items[1], "b");
	assert_string_equal(list.items[2], "c");
	assert_true(str_list_has(&list, "c"));
	str_list_split(&list, "x;y z", "; ");
	assert_int_equal(list.len, 6);
	str_list_free(&list);
	assert_int_equal(list.len, 0);
	assert_null(list.items);
	for (int i = 0; i < 1000; i++)
		str_list_add_take(&list, xasprintf("%d", i));
	assert_string_equal(list.items[999], "999");
	assert_string_equal(list.items[0], "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparisons),
		cmocka_unit_test(hex_is_lower_case_and_of_the_length),
		cmocka_unit_test(integers),
		cmocka_unit_test(durations),
		cmocka_unit_test(truth),
		cmocka_unit_test(human_bytes),
		cmocka_unit_test(natural_order),
		cmocka_unit_test(times),
		cmocka_unit_test(url_decoding),
		cmocka_unit_test(url_encoding_comes_back),
		cmocka_unit_test(random_hex_is_hex_and_differs),
		cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
