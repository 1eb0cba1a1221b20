#include "lib/hash.h"
#include "tests/unit/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>

struct item {
	char name[16];
	int value;
	UT_hash_handle hh;
};

static void the_same_bytes_give_the_same_result(void **state)
{
	char text[] = "_container-name-of-some-length";

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char copy[sizeof(text)];

		/* At another alignment, and with other bytes behind it. */
		memset(copy, '!', sizeof(copy));
		memcpy(copy, text + 1, len);
		assert_int_equal(hash_bytes(copy, len), hash_bytes(text + 1, len));
		if (len)
			assert_int_not_equal(hash_bytes(copy, len), hash_bytes(copy, len - 1));
	}
	assert_int_not_equal(hash_bytes("\0", 1), hash_bytes("\0\0", 2));
}

static void keys_spread_over_the_buckets(void **state)
{
	unsigned buckets[64] = {0};
	char name[16];

	(void)state;
	for (int i = 0; i < 64000; i++) {
		int len = snprintf(name, sizeof(name), "node%d", i);

		buckets[hash_bytes(name, (size_t)len) % ARRAY_LEN(buckets)]++;
	}
	/* 1000 each, with a standard deviation of 31. */
	for (size_t i = 0; i < ARRAY_LEN(buckets); i++)
		assert_in_range(buckets[i], 750, 1250);
}

static void tables_work(void **state)
{
	static struct item items[1000];
	struct item *table = NULL;
	struct item *item;
	struct item *next;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(items[i].name, sizeof(items[i].name), "n%d", i);
		items[i].value = i;
		item = &items[i];
		HASH_ADD_STR(table, name, item);
	}
	HASH_FIND_STR(table, "n777", item);
	assert_non_null(item);
	assert_int_equal(item ? item->value : -1, 777);
	HASH_FIND_STR(table, "n1000", item);
	assert_null(item);
	HASH_ITER (hh, table, item, next)
		HASH_DEL(table, item);
	assert_null(table);
}

/* Another process draws another key. */
static void the_key_is_drawn_anew(void **state)
{
	char text[32] = "";
	char own[32];
	FILE *other = popen("\"$SELF\" --hash", "r");

	(void)state;
	if (!other) {
		fail_msg("cannot start another process");
		return;
	}
	assert_non_null(fgets(text, sizeof(text), other));
	assert_int_equal(pclose(other), 0);
	snprintf(own, sizeof(own), "%08" PRIx32 "%08" PRIx32, hash_bytes("a", 1),
		hash_bytes("b", 1));
	assert_int_equal(strlen(text), 16);
	assert_string_not_equal(text, own);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_bytes_give_the_same_result),
		cmocka_unit_test(keys_spread_over_the_buckets),
		cmocka_unit_test(tables_work),
		cmocka_unit_test(the_key_is_drawn_anew),
	};

	if (argc == 2 && !strcmp(argv[1], "--hash"))
		return printf("%08" PRIx32 "%08" PRIx32, hash_bytes("a", 1), hash_bytes("b", 1)) <
		       0;
	setenv("SELF", argv[0], 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
