/* Watching one file. */
#include "lib/loop.h"
#include "tests/unit/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
	struct loop *loop;
	struct loop_file *file;
	struct loop_file *other;
	struct loop_timer *timer;
	char folder[64];
	char path[128];
	unsigned count;
	unsigned other_count;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	strlcpy(f->folder, "/tmp/swarm-test-XXXXXX", sizeof(f->folder));
	if (!mkdtemp(f->folder))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/nodes", f->folder);
	f->loop = loop_new();
	*state = f;
	alarm(60);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char path[160];

	loop_free(f->loop);
	unlink(f->path);
	snprintf(path, sizeof(path), "%s.new", f->path);
	unlink(path);
	if (rmdir(f->folder) && errno != ENOENT)
		return -1;
	free(f);
	alarm(0);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void on_change(void *arg)
{
	struct fixture *f = arg;

	f->count++;
	loop_stop(f->loop);
}

static void on_other_change(void *arg)
{
	struct fixture *f = arg;

	f->other_count++;
	loop_stop(f->loop);
}

static void on_guard(void *arg)
{
	(void)arg;
	fail_msg("no change was seen");
}

static void burst_is_one_change(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	f->file = loop_file_new(f->loop, f->path, on_change, f, &err);
	assert_non_null(f->file);
	/* All of it is there before the loop looks. */
	for (int i = 0; i < 20; i++)
		write_file(f->path, "10.0.0.1:2375\n");
	loop_run(f->loop);
	assert_int_equal(f->count, 1);
	unlink(f->path);
	loop_run(f->loop);
	assert_int_equal(f->count, 2);
	loop_file_free(f->file);
}

static void replacement_by_rename_is_seen(void **state)
{
	struct fixture *f = *state;
	char path[160];

	write_file(f->path, "old");
	f->file = loop_file_new(f->loop, f->path, on_change, f, NULL);
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(path, sizeof(path), "%s.new", f->path);
		write_file(path, "new");
		assert_int_equal(rename(path, f->path), 0);
		loop_run(f->loop);
		assert_int_equal(f->count, i);
	}
	loop_file_free(f->file);
}

static void other_files_do_not_matter(void **state)
{
	struct fixture *f = *state;
	char path[160];

	snprintf(path, sizeof(path), "%s.new", f->path);
	f->file = loop_file_new(f->loop, f->path, on_change, f, NULL);
	f->other = loop_file_new(f->loop, path, on_other_change, f, NULL);
	write_file(path, "x");
	loop_run(f->loop);
	assert_int_equal(f->other_count, 1);
	assert_int_equal(f->count, 0);
	write_file(f->path, "x");
	loop_run(f->loop);
	assert_int_equal(f->other_count, 1);
	assert_int_equal(f->count, 1);
	loop_file_free(f->file);
	loop_file_free(f->other);
}

static void on_change_free_all(void *arg)
{
	struct fixture *f = arg;

	f->count++;
	loop_file_free(f->file);
	loop_file_free(f->other);
}

static void a_callback_may_free_all(void **state)
{
	struct fixture *f = *state;

	/* Both see the same event; the first called frees the second, which waits its turn. */
	f->file = loop_file_new(f->loop, f->path, on_change_free_all, f, NULL);
	f->other = loop_file_new(f->loop, f->path, on_change_free_all, f, NULL);
	write_file(f->path, "x");
	loop_run(f->loop);
	assert_int_equal(f->count, 1);
	loop_file_free(NULL);
}

static void removal_of_the_folder_is_a_change(void **state)
{
	struct fixture *f = *state;

	f->timer = loop_timer_new(f->loop, on_guard, NULL);
	loop_timer_start(f->timer, 30000);
	f->file = loop_file_new(f->loop, f->path, on_change, f, NULL);
	assert_int_equal(rmdir(f->folder), 0);
	loop_run(f->loop);
	assert_int_equal(f->count, 1);
	loop_file_free(f->file);
	loop_timer_free(f->timer);
}

static void a_missing_folder_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	assert_null(loop_file_new(f->loop, "/nonexistent/nodes", on_change, f, &err));
	assert_int_equal(err.code, ERR_SYSTEM);
	assert_non_null(strstr(err.msg, "/nonexistent"));
	assert_null(loop_file_new(f->loop, "/tmp/", on_change, f, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_null(loop_file_new(f->loop, "", on_change, f, NULL));
}

static void relative_paths_work(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(chdir(f->folder), 0);
	f->file = loop_file_new(f->loop, "nodes", on_change, f, NULL);
	assert_non_null(f->file);
	write_file(f->path, "x");
	loop_run(f->loop);
	assert_int_equal(f->count, 1);
	loop_file_free(f->file);
	assert_int_equal(chdir("/"), 0);
}

int main(void)
{
#define FILE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		FILE_TEST(burst_is_one_change),
		FILE_TEST(replacement_by_rename_is_seen),
		FILE_TEST(other_files_do_not_matter),
		FILE_TEST(a_callback_may_free_all),
		FILE_TEST(removal_of_the_folder_is_a_change),
		FILE_TEST(a_missing_folder_is_an_error),
		FILE_TEST(relative_paths_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
