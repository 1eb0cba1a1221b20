#include "lib/mem.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/heap.h"

#include <stdio.h>
#include <string.h>

/* Bytes of memory that the process has from the system. */
static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*u %zu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* What was in use goes back, though something behind it stays. */
static void test_gives_back(void **state)
{
	enum { COUNT = 20000, SIZE = 2000 };
	char **blocks = xcalloc(COUNT, sizeof(*blocks));
	size_t full;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		blocks[i] = xmalloc(SIZE);
		memset(blocks[i], 1, SIZE);
	}
	for (size_t i = 0; i < COUNT - 1; i++)
		free(blocks[i]);
	full = resident();
	mem_give_back();
#ifndef HEAP_IS_SANITIZED /* memory is the sanitizer's then */
	assert_true(resident() + (size_t)COUNT * SIZE / 2 < full);
#else
	(void)full;
#endif
	free(blocks[COUNT - 1]);
	free(blocks);
}

/* Of any size, also where the piece was in use a moment ago. */
static void test_zeroed(void **state)
{
	(void)state;
	for (size_t size = 0; size < 5000; size += 1 + size / 8) {
		for (int again = 0; again < 3; again++) {
			unsigned char *p = xcalloc(1, size);

			for (size_t i = 0; i < size; i++)
				assert_int_equal(p[i], 0);
			memset(p, 0xff, size);
			free(p);
		}
	}
	free(xcalloc(0, 0));
	free(xcalloc(10, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gives_back),
		cmocka_unit_test(test_zeroed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
