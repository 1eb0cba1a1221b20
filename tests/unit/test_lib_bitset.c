/* Sets of numbers against an array of booleans, with numbers at the edges of words. */
#include "lib/bitset.h"
#include "tests/unit/cmocka_all.h"

#define LEN 200

static void fill(struct bitset *set, bool *plain, size_t step)
{
	for (size_t i = 0; i < LEN; i++) {
		plain[i] = i % step == 0 || i == 63 || i == 64 || i == LEN - 1;
		if (plain[i])
			bitset_add(set, i);
	}
}

static void expect(const struct bitset *set, const bool *plain)
{
	size_t count = 0, next = bitset_next(set, 0);

	for (size_t i = 0; i < LEN; i++) {
		assert_int_equal(bitset_has(set, i), plain[i]);
		if (!plain[i])
			continue;
		assert_int_equal(next, i);
		next = bitset_next(set, i + 1);
		count++;
	}
	assert_int_equal(next, BITSET_END);
	assert_int_equal(bitset_count(set), count);
	assert_int_equal(bitset_is_empty(set), count == 0);
}

static void test_operations(void **state)
{
	struct bitset a, b, c;
	bool in_a[LEN], in_b[LEN], in_c[LEN];

	(void)state;
	bitset_init(&a, LEN);
	bitset_init(&b, LEN);
	bitset_init(&c, LEN);
	fill(&a, in_a, 3);
	fill(&b, in_b, 7);
	expect(&a, in_a);
	bitset_copy(&c, &a);
	expect(&c, in_a);
	bitset_and(&c, &b);
	for (size_t i = 0; i < LEN; i++)
		in_c[i] = in_a[i] && in_b[i];
	expect(&c, in_c);
	bitset_copy(&c, &a);
	bitset_or(&c, &b);
	for (size_t i = 0; i < LEN; i++)
		in_c[i] = in_a[i] || in_b[i];
	expect(&c, in_c);
	bitset_and_not(&c, &b);
	for (size_t i = 0; i < LEN; i++)
		in_c[i] = in_a[i] && !in_b[i];
	expect(&c, in_c);
	for (size_t i = 0; i < LEN; i++)
		bitset_remove(&a, i);
	assert_true(bitset_is_empty(&a));
	bitset_empty(&b);
	assert_int_equal(bitset_next(&b, 0), BITSET_END);
	assert_int_equal(bitset_next(&b, 100000), BITSET_END);
	bitset_release(&a);
	bitset_release(&b);
	bitset_release(&c);
}

static void test_grow(void **state)
{
	struct bitset set = {0};

	(void)state;
	bitset_grow(&set, 64);
	bitset_add(&set, 63);
	bitset_grow(&set, 65);
	assert_true(bitset_has(&set, 63));
	assert_false(bitset_has(&set, 64));
	bitset_add(&set, 64);
	/* Never smaller. */
	bitset_grow(&set, 1);
	assert_int_equal(bitset_count(&set), 2);
	bitset_release(&set);
	assert_null(set.words);
}

static void test_each(void **state)
{
	struct bitset set;
	size_t sum = 0;

	(void)state;
	bitset_init(&set, LEN);
	bitset_add(&set, 0);
	bitset_add(&set, 64);
	bitset_add(&set, 127);
	/* What has been seen may go meanwhile. */
	BITSET_EACH(&set, number)
	{
		sum += number + 1;
		bitset_remove(&set, number);
	}
	assert_int_equal(sum, 1 + 65 + 128);
	assert_true(bitset_is_empty(&set));
	bitset_release(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_grow),
		cmocka_unit_test(test_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
