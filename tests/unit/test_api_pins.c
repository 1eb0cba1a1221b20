#include "api/pins.h"
#include "tests/unit/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#define TTL 1000

static void a_key_has_one_node(void **state)
{
	struct pins *pins = pins_new(10, TTL);

	(void)state;
	assert_null(pins_get(pins, "a", 0));
	pins_set(pins, "a", "node-1", 0);
	pins_set(pins, "b", "node-2", 0);
	assert_string_equal(pins_get(pins, "a", 1), "node-1");
	assert_string_equal(pins_get(pins, "b", 1), "node-2");
	pins_set(pins, "a", "node-3", 2);
	assert_string_equal(pins_get(pins, "a", 3), "node-3");
	assert_null(pins_get(pins, "", 3));
	pins_free(pins);
}

static void what_is_not_used_is_forgotten(void **state)
{
	struct pins *pins = pins_new(10, TTL);

	(void)state;
	pins_set(pins, "used", "node-1", 0);
	pins_set(pins, "unused", "node-2", 1);
	pins_set(pins, "young", "node-3", 900);
	assert_string_equal(pins_get(pins, "used", 999), "node-1");
	assert_null(pins_get(pins, "unused", TTL + 1));
	assert_string_equal(pins_get(pins, "young", 1899), "node-3");
	assert_string_equal(pins_get(pins, "used", 1998), "node-1");
	assert_null(pins_get(pins, "young", 1899 + TTL));
	assert_null(pins_get(pins, "used", 1998 + TTL));
	pins_free(pins);
}

static void the_one_used_longest_ago_makes_room(void **state)
{
	struct pins *pins = pins_new(3, TTL);
	char key[16];

	(void)state;
	pins_set(pins, "a", "node-1", 0);
	pins_set(pins, "b", "node-2", 1);
	pins_set(pins, "c", "node-3", 2);
	pins_set(pins, "b", "node-2", 3);
	assert_non_null(pins_get(pins, "a", 4));
	pins_set(pins, "d", "node-4", 5);
	assert_null(pins_get(pins, "c", 6));
	assert_non_null(pins_get(pins, "a", 6));
	assert_non_null(pins_get(pins, "b", 6));
	assert_non_null(pins_get(pins, "d", 6));
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key-%d", i);
		pins_set(pins, key, "node-5", 7);
	}
	assert_null(pins_get(pins, "key-996", 8));
	assert_non_null(pins_get(pins, "key-997", 8));
	assert_non_null(pins_get(pins, "key-999", 8));
	pins_free(pins);
}

static void long_keys_are_not_kept(void **state)
{
	struct pins *pins = pins_new(3, TTL);
	char key[PINS_KEY_MAX + 2];

	(void)state;
	memset(key, 'k', sizeof(key));
	key[PINS_KEY_MAX + 1] = '\0';
	pins_set(pins, key, "node-1", 0);
	assert_null(pins_get(pins, key, 0));
	key[PINS_KEY_MAX] = '\0';
	pins_set(pins, key, "node-1", 0);
	assert_string_equal(pins_get(pins, key, 0), "node-1");
	pins_free(pins);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_has_one_node),
		cmocka_unit_test(what_is_not_used_is_forgotten),
		cmocka_unit_test(the_one_used_longest_ago_makes_room),
		cmocka_unit_test(long_keys_are_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
