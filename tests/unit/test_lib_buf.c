#include "lib/buf.h"
#include "tests/unit/cmocka_all.h"

#include <fcntl.h>
#include <string.h>

static void starts_empty(void **state)
{
	CLEANUP_BUF struct buf b;
	char *text;

	(void)state;
	buf_init(&b, 10);
	assert_null(b.data);
	assert_string_equal(buf_str(&b), "");
	text = buf_take(&b);
	assert_string_equal(text, "");
	free(text);
}

static void appends_up_to_the_maximum(void **state)
{
	CLEANUP_BUF struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_append_str(&b, "01234"), 0);
	assert_int_equal(buf_printf(&b, "%d", 5678), 0);
	assert_int_equal(buf_append_char(&b, '9'), 0);
	assert_false(b.failed);
	assert_string_equal(buf_str(&b), "0123456789");
	assert_int_equal(b.len, 10);
	assert_true(b.cap <= 11);
	assert_int_equal(buf_append(&b, "", 0), 0);
	assert_false(b.failed);
}

static void numbers_are_written_whole(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 30);
	assert_int_equal(buf_append_number(&b, 0), 0);
	buf_append_char(&b, ' ');
	assert_int_equal(buf_append_number(&b, 200), 0);
	buf_append_char(&b, ' ');
	assert_int_equal(buf_append_number(&b, UINT64_MAX), 0);
	assert_string_equal(buf_str(&b), "0 200 18446744073709551615");
	assert_int_equal(buf_append_number(&b, 10000), -1);
	assert_true(b.failed);
	buf_reset(&b);
}

static void refuses_to_pass_the_maximum(void **state)
{
	CLEANUP_BUF struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_append_str(&b, "01234567"), 0);
	assert_int_equal(buf_append_str(&b, "abc"), -1);
	assert_true(b.failed);
	assert_string_equal(buf_str(&b), "01234567");
	assert_int_equal(buf_printf(&b, "%s", "abc"), -1);
	assert_int_equal(buf_append(&b, "x", SIZE_MAX), -1);
	assert_string_equal(buf_str(&b), "01234567");
	buf_consume(&b, 8);
	assert_true(b.failed);
	buf_reset(&b);
	assert_false(b.failed);
	assert_int_equal(buf_append_str(&b, "0123456789"), 0);
}

static void room_is_bounded_and_keeps_the_content(void **state)
{
	CLEANUP_BUF struct buf b;
	char *room;

	(void)state;
	buf_init(&b, 100000);
	buf_append_str(&b, "head ");
	room = buf_room(&b, 99995);
	assert_non_null(room);
	memset(room, 'x', 99995);
	buf_added(&b, 4);
	assert_string_equal(buf_str(&b), "head xxxx");
	assert_null(buf_room(&b, 99992));
	assert_null(buf_room(&b, SIZE_MAX));
	assert_non_null(buf_room(&b, 99991));
}

static void a_huge_maximum_allocates_nothing(void **state)
{
	CLEANUP_BUF struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_append_str(&b, "a"), 0);
	assert_true(b.cap < 1024);
}

static void consume_keeps_the_rest(void **state)
{
	CLEANUP_BUF struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_append_str(&b, "GET / HTTP");
	buf_consume(&b, 0);
	buf_consume(&b, 4);
	assert_string_equal(buf_str(&b), "/ HTTP");
	buf_consume(&b, 6);
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_str(&b), "");
}

static void large_memory_goes_back_when_empty(void **state)
{
	CLEANUP_BUF struct buf b;
	char *room;

	(void)state;
	buf_init(&b, 1 << 20);
	room = buf_room(&b, 1 << 20);
	assert_non_null(room);
	memset(room, 'x', 1 << 20);
	buf_added(&b, 1 << 20);
	buf_consume(&b, (1 << 20) - 1);
	assert_string_equal(buf_str(&b), "x");
	buf_consume(&b, 1);
	assert_int_equal(b.cap, 0);
	assert_int_equal(buf_append_str(&b, "again"), 0);
}

/* What is a queue of many megabytes over time never moves much, nor grows. */
static void a_queue_keeps_order_and_size(void **state)
{
	CLEANUP_BUF struct buf b;
	unsigned in = 0, out = 0, seed = 1;
	char *text;

	(void)state;
	buf_init(&b, 3000);
	for (unsigned turn = 0; turn < 200000; turn++) {
		unsigned len = (seed = seed * 1103515245 + 12345) >> 16 & 255;

		if (turn % 2 == 0 && b.len + len <= 3000) {
			char *room = buf_room(&b, len);

			assert_non_null(room);
			for (unsigned i = 0; i < len; i++)
				room[i] = (char)(in++ % 251);
			buf_added(&b, len);
		} else {
			len = len > b.len ? (unsigned)b.len : len;
			for (unsigned i = 0; i < len; i++)
				assert_int_equal(b.data[i], (char)(out++ % 251));
			buf_consume(&b, len);
		}
		assert_true(b.len == 0 || b.data[b.len] == '\0');
		assert_true(b.cap <= 3001);
	}
	assert_true(out > 100000);
	buf_append_str(&b, "end");
	text = buf_take(&b);
	assert_string_equal(text + (in - out), "end");
	free(text);
	assert_int_equal(b.cap, 0);
	assert_int_equal(b.gap, 0);
}

static void consuming_moves_nothing(void **state)
{
	CLEANUP_BUF struct buf b;
	const char *end;

	(void)state;
	buf_init(&b, 100000);
	for (unsigned i = 0; i < 1000; i++)
		buf_append_str(&b, "0123456789");
	end = b.data + b.len;
	buf_consume(&b, 9994);
	assert_ptr_equal(b.data + b.len, end);
	assert_string_equal(b.data, "456789");
}

static void clear_keeps_the_memory(void **state)
{
	struct buf b CLEANUP_BUF;
	const char *memory;

	(void)state;
	buf_init(&b, 16);
	buf_clear(&b);
	assert_string_equal(buf_str(&b), "");
	buf_append_str(&b, "0123456789");
	memory = b.data;
	buf_consume(&b, 3);
	assert_int_equal(buf_append_str(&b, "0123456789"), -1);
	buf_clear(&b);
	assert_false(b.failed);
	assert_int_equal(b.len, 0);
	assert_string_equal(buf_str(&b), "");
	buf_append_str(&b, "again");
	assert_ptr_equal(b.data, memory);
}

static void empty_keeps_what_is_small(void **state)
{
	struct buf b CLEANUP_BUF;
	const char *memory;

	(void)state;
	buf_init(&b, 100000);
	buf_empty(&b);
	buf_append_str(&b, "0123456789");
	memory = b.data;
	buf_empty(&b);
	assert_int_equal(b.len, 0);
	buf_append_str(&b, "again");
	assert_ptr_equal(b.data, memory);
	assert_non_null(buf_room(&b, 90000));
	assert_int_equal(buf_append(&b, NULL, 100001), -1);
	buf_empty(&b);
	assert_false(b.failed);
	assert_int_equal(b.cap, 0);
}

static void take_hands_the_bytes_over(void **state)
{
	CLEANUP_BUF struct buf b;
	CLEANUP_FREE char *text = NULL;

	(void)state;
	buf_init(&b, 100);
	buf_append(&b, "a\0b", 3);
	text = buf_take(&b);
	assert_memory_equal(text, "a\0b", 4);
	assert_int_equal(b.len, 0);
	assert_null(b.data);
	assert_int_equal(buf_append_str(&b, "next"), 0);
	assert_string_equal(text, "a");
}

static void every_byte_is_followed_by_nul(void **state)
{
	CLEANUP_BUF struct buf b;

	(void)state;
	buf_init(&b, 5000);
	for (size_t i = 0; i < 5000; i++) {
		assert_int_equal(buf_append_char(&b, 'x'), 0);
		assert_int_equal(b.data[b.len], '\0');
	}
	assert_int_equal(buf_append_char(&b, 'x'), -1);
}

static void memory_helpers(void **state)
{
	CLEANUP_FREE char *s = xasprintf("%s-%d", "node", 7);
	CLEANUP_FREE char *part = xstrndup("abcdef", 3);
	CLEANUP_FREE char *zeros = xcalloc(0, 8);
	char *taken = TAKE_PTR(s);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_null(s);
	assert_non_null(zeros);
	assert_string_equal(taken, "node-7");
	assert_string_equal(part, "abc");
	free(taken);
	assert_true(fd >= 0);
	mem_cleanup_fd(&fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	fd = -1;
	mem_cleanup_fd(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_empty),
		cmocka_unit_test(appends_up_to_the_maximum),
		cmocka_unit_test(numbers_are_written_whole),
		cmocka_unit_test(refuses_to_pass_the_maximum),
		cmocka_unit_test(room_is_bounded_and_keeps_the_content),
		cmocka_unit_test(a_huge_maximum_allocates_nothing),
		cmocka_unit_test(consume_keeps_the_rest),
		cmocka_unit_test(large_memory_goes_back_when_empty),
		cmocka_unit_test(a_queue_keeps_order_and_size),
		cmocka_unit_test(consuming_moves_nothing),
		cmocka_unit_test(clear_keeps_the_memory),
		cmocka_unit_test(empty_keeps_what_is_small),
		cmocka_unit_test(take_hands_the_bytes_over),
		cmocka_unit_test(every_byte_is_followed_by_nul),
		cmocka_unit_test(memory_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
