/* Bodies of clients: what two readers would read in two ways is refused. */
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/str.h"
#include "scheduler/body_fields.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct body_field inner[] = {{"Network", JSON_STRING, NULL}, {0}};
static const struct body_field fields[] = {
	{"Name", JSON_STRING, NULL},
	{"Force", JSON_TRUE, NULL},
	{"Memory", JSON_INTEGER, NULL},
	{"ConfigFrom", JSON_OBJECT, inner},
	{0},
};

static void bad(const char *text, const char *words)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *body = body_read(text, strlen(text), fields, &err);

	if (body != NULL)
		fail_msg("taken: %s", text);
	assert_int_equal(err.code, ERR_INVALID);
	if (strstr(err.msg, words) == NULL)
		fail_msg("%s: no '%s' in: %s", text, words, err.msg);
}

static void test_takes(void **state)
{
	static const char *const table[] = {
		"{}",
		"null",
		(" {\"Name\":\"a\",\"Force\":true,\"Memory\":1,"
		 "\"ConfigFrom\":{\"Network\":\"n\"}} \n"),
		"{\"name\":\"a\",\"FORCE\":false}",
		"{\"Name\":null,\"Force\":null,\"ConfigFrom\":null}",
		"{\"Other\":{\"a\":1,\"A\":2}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		CLEANUP_JSON json_t *body = body_read(table[i], strlen(table[i]), fields, &err);

		if (body == NULL)
			fail_msg("%s: %s", table[i], err.msg);
	}
}

static void test_refuses(void **state)
{
	(void)state;
	bad("", "empty");
	bad("[]", "must be a JSON object");
	bad("1", "must be a JSON object");
	bad("{} {}", "invalid JSON");
	bad("{}x", "invalid JSON");
	bad("{\"Name\":\"a\",\"Name\":\"b\"}", "invalid JSON");
	bad("{\"Name\":\"a\",\"name\":\"b\"}", "more than once");
	bad("{\"Other\":1,\"oTHER\":2}", "more than once");
	bad("{\"Re\xc5\xbfource\":1}", "unknown field");
	bad("{\"\xe2\x84\xaa\":1}", "unknown field");
	bad("{\"Name\":1}", "Name must be a string");
	bad("{\"Force\":\"true\"}", "Force must be true or false");
	bad("{\"Memory\":1.5}", "Memory must be a whole number");
	bad("{\"ConfigFrom\":[]}", "ConfigFrom must be an object");
	bad("{\"ConfigFrom\":{\"Network\":1}}", "ConfigFrom.Network must be a string");
	bad("{\"ConfigFrom\":{\"Network\":\"a\",\"network\":\"b\"}}", "ConfigFrom has the field");
	bad("{\"Name\":\"\\u0000\"}", "invalid JSON");
	bad("{\"Name\":\"\\ud800\"}", "invalid JSON");
}

/* Values are counted before they are built; what is inside of strings is none. */
static void test_counts(void **state)
{
	static const struct {
		const char *before, *entry, *after;
	} table[] = {
		{"{\"a\":[", "0", "]}"},
		{"{\"a\":[", "{}", "]}"},
		{"{\"a\":[", "[]", "]}"},
		{"{", "\"\\\"\":0", "}"},
	};
	struct buf body;
	struct err err = ERR_INIT;
	json_t *json;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		buf_init(&body, SIZE_MAX);
		buf_append_str(&body, table[i].before);
		for (int k = 0; k <= BODY_VALUES_MAX; k++)
			buf_printf(&body, "%s%s", k > 0 ? "," : "", table[i].entry);
		buf_append_str(&body, table[i].after);
		bad(buf_str(&body), "values");
		buf_reset(&body);
	}
	buf_init(&body, SIZE_MAX);
	buf_append_str(&body, "{\"a\":\"\\\\\\\"");
	for (int k = 0; k <= BODY_VALUES_MAX; k++)
		buf_append_str(&body, ",{[:");
	buf_append_str(&body, "\"}");
	json = body_read(body.data, body.len, fields, &err);
	assert_non_null(json);
	json_decref(json);
	buf_reset(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
