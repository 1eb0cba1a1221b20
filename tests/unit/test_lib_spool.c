/* A spool: readers at different paces, what a full or missing disk does, and what is left behind.
 */
#include "lib/spool.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"

#include <dirent.h>
#include <string.h>

#define MIB ((size_t)1024 * 1024)
#define READERS 3

struct fixture {
	struct loop *loop;
	struct spool *spool;
	uint64_t offered, total; /* what the writer has written, and will have */
	uint64_t stop_after;     /* a reader's place at which the loop is left */
	char *folder;
	struct taker {
		struct fixture *f;
		struct spool_reader *reader;
		uint64_t taken;
		uint64_t pause_at; /* it takes no more than that; UINT64_MAX = all */
		bool is_done;
		struct err err;
	} takers[READERS];
};

/* The byte at a place of the stream: wrong places and lost bytes show. */
static char byte_at(uint64_t place)
{
	return (char)((place * 2654435761U) >> 13);
}

static int descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static int entries(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

static void offer(void *arg)
{
	struct fixture *f = arg;
	char piece[10007];

	while (f->offered < f->total) {
		size_t len = sizeof(piece), taken;

		if (len > f->total - f->offered)
			len = (size_t)(f->total - f->offered);
		for (size_t i = 0; i < len; i++)
			piece[i] = byte_at(f->offered + i);
		taken = spool_write(f->spool, piece, len);
		f->offered += taken;
		if (taken < len)
			return;
	}
	spool_end(f->spool);
}

static void take(void *arg)
{
	struct taker *t = arg;
	const char *data;
	ssize_t len;

	while (t->reader != NULL && t->taken < t->pause_at) {
		len = spool_look(t->reader, &data, &t->err);
		if (len < 0) {
			spool_reader_free(TAKE_PTR(t->reader));
			return;
		}
		if (len == 0) {
			if (spool_reader_is_done(t->reader)) {
				t->is_done = true;
				spool_reader_free(TAKE_PTR(t->reader));
			}
			return;
		}
		if (len > 3001)
			len = 3001;
		if (t->pause_at - t->taken < (uint64_t)len)
			len = (ssize_t)(t->pause_at - t->taken);
		for (ssize_t i = 0; i < len; i++) {
			if (data[i] != byte_at(t->taken + (uint64_t)i))
				fail_msg("wrong byte at %llu",
					(unsigned long long)t->taken + (unsigned long long)i);
		}
		spool_take(t->reader, (size_t)len);
		t->taken += (uint64_t)len;
	}
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	f->folder = xasprintf("%s/spool-test-XXXXXX", spool_folder());
	assert_non_null(mkdtemp(f->folder));
	*state = f;
	alarm(120);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < READERS; i++)
		spool_reader_free(f->takers[i].reader);
	spool_free(f->spool);
	loop_free(f->loop);
	assert_int_equal(rmdir(f->folder), 0);
	free(f->folder);
	free(f);
	alarm(0);
	return 0;
}

static void begin(struct fixture *f, const char *folder, uint64_t file_max, uint64_t total)
{
	struct spool_config config = {
		.folder = folder, .file_max = file_max, .room = offer, .arg = f};

	f->total = total;
	f->spool = spool_new(f->loop, &config);
	for (size_t i = 0; i < READERS; i++) {
		f->takers[i].f = f;
		f->takers[i].pause_at = UINT64_MAX;
		f->takers[i].reader = spool_reader_new(f->spool, take, &f->takers[i]);
	}
}

/* Everybody does what there is to do, until nothing is left to be called. */
static void run(struct fixture *f)
{
	for (size_t i = 0; i < READERS; i++)
		take(&f->takers[i]);
	loop_run(f->loop);
}

static void equal_readers_need_no_file(void **state)
{
	struct fixture *f = *state;

	begin(f, "/nonexistent", 0, 20 * MIB + 77);
	offer(f);
	/* Nobody has taken anything: the writer is held, and little is kept. */
	assert_true(f->offered < SPOOL_WINDOW);
	run(f);
	for (size_t i = 0; i < READERS; i++) {
		assert_true(f->takers[i].is_done);
		assert_int_equal(f->takers[i].taken, f->total);
	}
	assert_int_equal(spool_file_bytes(f->spool), 0);
}

static void a_slow_reader_holds_nobody_back(void **state)
{
	struct fixture *f = *state;

	begin(f, f->folder, 0, 40 * MIB + 5);
	f->takers[0].pause_at = 1000;
	offer(f);
	run(f);
	assert_true(f->takers[1].is_done);
	assert_true(f->takers[2].is_done);
	assert_int_equal(f->takers[0].taken, 1000);
	assert_true(spool_file_bytes(f->spool) > 30 * MIB);
	assert_true(spool_memory(f->spool) <= SPOOL_WINDOW + 4 * SPOOL_BLOCK);
	assert_int_equal(entries(f->folder), 0);
	/* Half of it, then the rest: the room behind it is given back. */
	f->takers[0].pause_at = 20 * MIB;
	run(f);
	assert_int_equal(f->takers[0].taken, 20 * MIB);
	assert_true(spool_file_bytes(f->spool) < 21 * MIB);
	f->takers[0].pause_at = UINT64_MAX;
	run(f);
	assert_true(f->takers[0].is_done);
	assert_int_equal(f->takers[0].taken, f->total);
	assert_int_equal(spool_file_bytes(f->spool), 0);
}

static void at_the_limit_the_slowest_holds_the_writer(void **state)
{
	struct fixture *f = *state;

	begin(f, f->folder, 4 * MIB, 40 * MIB);
	f->takers[0].pause_at = 0;
	offer(f);
	run(f);
	assert_false(f->takers[1].is_done);
	assert_true(f->offered >= 4 * MIB);
	assert_true(f->offered <= 4 * MIB + SPOOL_WINDOW + SPOOL_BLOCK);
	assert_true(spool_file_bytes(f->spool) <= 4 * MIB);
	/* It goes on by as much as the slowest does. */
	f->takers[0].pause_at = 10 * MIB;
	run(f);
	assert_true(f->offered >= 14 * MIB);
	assert_true(f->offered <= 14 * MIB + SPOOL_WINDOW + SPOOL_BLOCK);
	f->takers[0].pause_at = UINT64_MAX;
	run(f);
	for (size_t i = 0; i < READERS; i++)
		assert_true(f->takers[i].is_done);
}

static void without_a_disk_only_the_slow_fail(void **state)
{
	struct fixture *f = *state;

	begin(f, "/nonexistent", 0, 40 * MIB);
	f->takers[0].pause_at = 1000;
	offer(f);
	run(f);
	assert_true(f->takers[1].is_done);
	assert_true(f->takers[2].is_done);
	f->takers[0].pause_at = UINT64_MAX;
	run(f);
	assert_false(f->takers[0].is_done);
	assert_null(f->takers[0].reader);
	assert_non_null(strstr(f->takers[0].err.msg, "/nonexistent"));
	assert_non_null(strstr(f->takers[0].err.msg, "No such file"));
}

static void readers_that_leave_free_what_they_held(void **state)
{
	struct fixture *f = *state;

	begin(f, f->folder, 4 * MIB, 40 * MIB);
	f->takers[0].pause_at = 0;
	f->takers[1].pause_at = 2 * MIB;
	offer(f);
	run(f);
	assert_false(f->takers[2].is_done);
	spool_reader_free(TAKE_PTR(f->takers[0].reader));
	run(f);
	assert_true(f->offered <= 6 * MIB + SPOOL_WINDOW + SPOOL_BLOCK);
	spool_reader_free(TAKE_PTR(f->takers[1].reader));
	run(f);
	assert_true(f->takers[2].is_done);
	assert_int_equal(spool_file_bytes(f->spool), 0);
}

static void without_readers_all_is_dropped(void **state)
{
	struct fixture *f = *state;

	begin(f, f->folder, 0, 10 * MIB);
	for (size_t i = 0; i < READERS; i++)
		spool_reader_free(TAKE_PTR(f->takers[i].reader));
	offer(f);
	assert_int_equal(f->offered, f->total);
	assert_true(spool_memory(f->spool) <= SPOOL_WINDOW);
}

static void nothing_stays_when_it_is_freed_at_work(void **state)
{
	struct fixture *f = *state;
	int before = descriptors();

	begin(f, f->folder, 0, 40 * MIB);
	f->takers[0].pause_at = 0;
	offer(f);
	for (unsigned i = 0; i < 8; i++) {
		take(&f->takers[1]);
		take(&f->takers[2]);
		offer(f);
	}
	/* A helper is on its way: it is waited for by nobody but the loop. */
	for (size_t i = 0; i < READERS; i++)
		spool_reader_free(TAKE_PTR(f->takers[i].reader));
	spool_free(TAKE_PTR(f->spool));
	loop_run(f->loop);
	assert_int_equal(descriptors(), before);
	assert_int_equal(entries(f->folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(equal_readers_need_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slow_reader_holds_nobody_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			at_the_limit_the_slowest_holds_the_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_disk_only_the_slow_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(
			readers_that_leave_free_what_they_held, setup, teardown),
		cmocka_unit_test_setup_teardown(without_readers_all_is_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_stays_when_it_is_freed_at_work, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
