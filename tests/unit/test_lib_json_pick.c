#include "lib/json.h"
#include "lib/json_pick.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

static const struct json_pick inner[] = {{"a", NULL}, {NULL, NULL}};
static const struct json_pick any[] = {{"*", inner}, {NULL, NULL}};
static const struct json_pick wanted[] = {
	{"Id", NULL}, {"State", inner}, {"Map", any}, {NULL, NULL}};

static void expect(const char *text, const char *result)
{
	struct buf out CLEANUP_BUF;
	struct err err = ERR_INIT;

	buf_init(&out, 1000);
	if (result == NULL) {
		assert_int_equal(json_pick(text, strlen(text), wanted, &out, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		return;
	}
	assert_int_equal(json_pick(text, strlen(text), wanted, &out, &err), 0);
	assert_string_equal(buf_str(&out), result);
}

static void test_takes_what_is_wanted(void **state)
{
	(void)state;
	expect("{}", "{}");
	expect(" { } ", "{}");
	expect("{\"Id\":\"x\",\"No\":1}", "{\"Id\":\"x\"}");
	expect("{\"No\":{\"Id\":1},\"id\" : 5 , \"Other\":[{},[\"}\"]]}", "{\"id\":5}");
	expect("{\"State\":{\"b\":[1,2],\"A\":true,\"c\":null}}", "{\"State\":{\"A\":true}}");
	expect("{\"State\":[{\"b\":1}],\"Id\":null}", "{\"State\":[{\"b\":1}],\"Id\":null}");
	expect("{\"Map\":{\"x\":{\"a\":1,\"b\":2},\"y\":{}},\"z\":0}",
		"{\"Map\":{\"x\":{\"a\":1},\"y\":{}}}");
}

static void test_is_not_misled_by_strings(void **state)
{
	(void)state;
	expect("{\"No\":\"\\\"Id\\\":1,}{\",\"Id\":2}", "{\"Id\":2}");
	expect("{\"No\":\"\\\\\",\"Id\":2}", "{\"Id\":2}");
	expect("{\"Id\":\"}\\\\\\\"]\"}", "{\"Id\":\"}\\\\\\\"]\"}");
	/* An escape in a key is not undone: nobody writes known keys so. */
	expect("{\"\\u0049d\":2}", "{}");
}

static void test_refuses_what_is_no_object(void **state)
{
	static const char *const bad[] = {"", " ", "[]", "1", "\"Id\"", "{", "{\"Id\"",
		"{\"Id\":", "{\"Id\":1", "{\"Id\":1,", "{\"Id\":1,}", "{\"Id\" 1}", "{Id:1}",
		"{\"Id\":\"x}", "{\"No\":[1}", "{\"Id\":{}", "{} {}", "{}x", "{\"Id\":1 \"No\":2}",
		"{\"x\":\"\\", "{\"x\":\"\\\""};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(bad[i], NULL);
}

static void test_room_is_bounded(void **state)
{
	struct buf out CLEANUP_BUF;
	struct err err = ERR_INIT;

	(void)state;
	buf_init(&out, 10);
	assert_int_equal(json_pick("{\"Id\":\"0123456789\"}", 19, wanted, &out, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
}

/* Every prefix, and every byte replaced by one that matters, either fails or gives something that
 * the full parser can judge; nothing is read out of bounds (the sanitizers look). */
static void test_survives_mutations(void **state)
{
	static const char text[] =
		"{\"Id\":\"a\\\"b\",\"State\":{\"a\":[1,{\"x\":\"]\"}],\"q\":-1.5e3},\"Map\":"
		"{\"k\":{\"a\":{},\"b\":[[]]}},\"Rest\":{\"deep\":[[[{}]]]}}";
	static const char bytes[] = "{}[]\",:\\ 1x";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
			char *copy = xstrndup(text, len);
			struct buf out CLEANUP_BUF;

			if (len > 0)
				copy[len - 1] = bytes[i];
			buf_init(&out, 1000);
			if (json_pick(copy, len, wanted, &out, NULL) == 0)
				json_decref(json_parse(out.data, out.len, NULL));
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_what_is_wanted),
		cmocka_unit_test(test_is_not_misled_by_strings),
		cmocka_unit_test(test_refuses_what_is_no_object),
		cmocka_unit_test(test_room_is_bounded),
		cmocka_unit_test(test_survives_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
