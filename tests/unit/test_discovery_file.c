/* nodes:// and file://: what is written by hand, well or badly. */
#include "lib/addr.h"
#include "lib/log.h"
#include "tests/unit/discovery_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct state {
	struct loop *loop;
	char dir[64];
	char path[96];
	char url[128];
};

/* So long that nothing in these tests is seen by polling alone. */
#define HEARTBEAT_MS (600 * 1000)

static int setup(void **state)
{
	struct state *s = xcalloc(1, sizeof(*s));

	log_set_level(LOG_LEVEL_FATAL);
	s->loop = loop_new();
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/swarm-test-discovery-XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		return -1;
	(void)snprintf(s->path, sizeof(s->path), "%s/nodes", s->dir);
	(void)snprintf(s->url, sizeof(s->url), "file://%s", s->path);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	loop_free(s->loop);
	(void)unlink(s->path);
	if (rmdir(s->dir) == -1)
		return -1;
	free(s);
	return 0;
}

static void write_bytes(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(close(fd), 0);
}

static void write_file(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

/* ---- nodes:// ---- */

static void nodes_are_sorted_and_unique(void **state)
{
	struct state *s = *state;
	struct watcher w;

	watcher_start(&w, s->loop, NULL, "nodes://b:2, a:1,b:2,,[::1]:2375", HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "[::1]:2375 a:1 b:2");
	assert_int_equal(w.changes, 1);
	watcher_free(&w);
}

static void bare_list_is_nodes(void **state)
{
	struct state *s = *state;
	struct watcher w;

	watcher_start(&w, s->loop, NULL, "10.0.0.[9:11]:2375,a:1", HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "10.0.0.10:2375 10.0.0.11:2375 10.0.0.9:2375 a:1");
	watcher_free(&w);
}

/* Engines of this machine, in lists that are written on it. */
static void sockets_are_nodes_too(void **state)
{
	struct state *s = *state;
	struct watcher w;

	watcher_start(&w, s->loop, NULL, "nodes://unix:///run/a.sock,b:2", HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "b:2 unix:///run/a.sock");
	watcher_free(&w);
	write_file(s->path, "unix:///run/a.sock # here\nunix://\nb:2\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "b:2 unix:///run/a.sock");
	watcher_free(&w);
	expect_refused(s->loop, NULL, "nodes://unix://", NULL, ERR_INVALID, "unix");
}

static void nodes_scheme_ignores_case(void **state)
{
	struct state *s = *state;
	struct watcher w;

	watcher_start(&w, s->loop, NULL, "NODES://a:1", HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1");
	watcher_free(&w);
}

static void bad_urls_are_refused(void **state)
{
	struct state *s = *state;

	expect_refused(s->loop, NULL, "", NULL, ERR_INVALID, "no discovery URL");
	expect_refused(s->loop, NULL, "nodes://", NULL, ERR_INVALID, "no node is listed");
	expect_refused(s->loop, NULL, " , ,", NULL, ERR_INVALID, "no node is listed");
	expect_refused(s->loop, NULL, "a:1,b", NULL, ERR_INVALID, "\"b\"");
	expect_refused(s->loop, NULL, "a:0", NULL, ERR_INVALID, "a:0");
	expect_refused(s->loop, NULL, "a:65536", NULL, ERR_INVALID, "a:65536");
	expect_refused(s->loop, NULL, "a/b:1", NULL, ERR_INVALID, "a/b:1");
	expect_refused(s->loop, NULL, "10.0.0.[3:1]:1", NULL, ERR_INVALID, "[3:1]");
	expect_refused(s->loop, NULL, "file://", NULL, ERR_INVALID, "path is missing");
	expect_refused(s->loop, NULL, "etcd://a:1/x", NULL, ERR_INVALID,
		"unsupported discovery scheme 'etcd': known are nodes://, file://, consul://, "
		"token://");
	expect_refused(s->loop, NULL, "://a:1", NULL, ERR_INVALID, "unsupported");
	expect_refused(s->loop, NULL, "a:1", "nonsense", ERR_USAGE, "name=value");
	expect_refused(s->loop, NULL, "a:1", "kv.pat=x", ERR_USAGE, "'kv.pat'");
	expect_refused(s->loop, NULL, "a:1", "=x", ERR_USAGE, "unknown");
}

static void option_values_stay_out_of_messages(void **state)
{
	struct state *s = *state;
	CLEANUP_STR_LIST struct str_list options = {0};
	struct discovery_config config = {.url = "a:1", .options = &options};
	struct err err = ERR_INIT;

	str_list_add(&options, "kv.tokenn=geheim");
	assert_null(discovery_open(s->loop, env_system(), NULL, &config, &err));
	assert_null(strstr(err.msg, "geheim"));
}

static void ranges_in_urls_are_bounded(void **state)
{
	struct state *s = *state;

	expect_refused(s->loop, NULL, "10.0.0.[1:100000000]:2375", NULL, ERR_TOO_LARGE, "16384");
	/* Each fits, both do not. */
	expect_refused(s->loop, NULL, "a[1:16000]:1,b[1:1000]:1", NULL, ERR_TOO_LARGE, "16384");
}

static void register_told(const struct err *err, void *arg)
{
	(void)err;
	(void)arg;
	fail_msg("nothing was registered");
}

static void withdraw_done(const struct err *err, void *arg)
{
	bool *done = arg;

	assert_null(err);
	*done = true;
}

static bool is_true(void *arg)
{
	return *(bool *)arg;
}

static void lists_cannot_register(void **state)
{
	struct state *s = *state;
	const char *urls[] = {"a:1", s->url};
	bool done;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct watcher w;
		struct err err = ERR_INIT;

		watcher_start(&w, s->loop, NULL, urls[i], HEARTBEAT_MS, NULL);
		assert_int_equal(
			discovery_publish(w.discovery, "a:1", register_told, NULL, &err), -1);
		assert_int_equal(err.code, ERR_UNSUPPORTED);
		/* Withdrawing what never was is done at once, but not from inside. */
		done = false;
		discovery_withdraw(w.discovery, withdraw_done, &done);
		assert_false(done);
		assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_true, &done));
		watcher_free(&w);
	}
}

static void close_changed(const struct str_list *addrs, void *arg)
{
	struct watcher *w = arg;

	assert_int_equal(addrs->len, 1);
	w->changes++;
	discovery_close(TAKE_PTR(w->discovery));
}

static bool has_changed(void *arg)
{
	return ((struct watcher *)arg)->changes > 0;
}

static void may_close_from_a_callback(void **state)
{
	struct state *s = *state;
	struct discovery_config config = {.heartbeat_ms = 1000, .ttl_ms = 3000};
	const char *urls[] = {"a:1", s->url};

	write_file(s->path, "a:1\n");
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct watcher w = {0};

		config.url = urls[i];
		w.discovery = discovery_open(s->loop, env_system(), NULL, &config, NULL);
		assert_non_null(w.discovery);
		discovery_watch(w.discovery, close_changed, watcher_failed, &w);
		assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, has_changed, &w));
		assert_null(w.discovery);
	}
}

/* ---- file:// ---- */

static void file_is_parsed(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "# the fleet\n"
			    "\n"
			    "  10.0.0.[8:10]:2375   # rack a, 100%s\r\n"
			    "\tb:2 # c:3\n"
			    "#d:4\n"
			    "b:2\n"
			    "last:9");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "10.0.0.10:2375 10.0.0.8:2375 10.0.0.9:2375 b:2 last:9");
	assert_int_equal(w.failures, 0);
	watcher_free(&w);
}

static void file_changes_are_seen_at_once(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "a:1\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1");
	write_file(s->path, "a:1\nb:2\n");
	watcher_expect(s->loop, &w, "a:1 b:2");
	/* Fewer, but not none: somebody took it out. */
	write_file(s->path, "b:2\n");
	watcher_expect(s->loop, &w, "b:2");
	assert_int_equal(w.changes, 3);
	assert_int_equal(w.failures, 0);
	watcher_free(&w);
}

static void file_replaced_by_rename_is_seen(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *other = xasprintf("%s.new", s->path);
	struct watcher w;

	write_file(s->path, "a:1\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1");
	for (int i = 0; i < 3; i++) {
		CLEANUP_FREE char *text = xasprintf("a:1\nb:%d\n", i + 1);
		CLEANUP_FREE char *set = xasprintf("a:1 b:%d", i + 1);

		write_file(other, text);
		assert_int_equal(rename(other, s->path), 0);
		watcher_expect(s->loop, &w, set);
	}
	watcher_free(&w);
}

static void half_written_file_is_not_believed(void **state)
{
	struct state *s = *state;
	struct watcher w;
	int fd;

	write_file(s->path, "a:1\nb:2\nc:2375\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1 b:2 c:2375");
	/* An editor that truncates and writes piece by piece; the second cut is in a number. */
	fd = open(s->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	(void)fixture_run(s->loop, 10, NULL, NULL);
	assert_int_equal(write(fd, "a:1\nb:2\nc:23", 12), 12);
	(void)fixture_run(s->loop, 10, NULL, NULL);
	assert_int_equal(write(fd, "75\nd:4\n", 7), 7);
	assert_int_equal(close(fd), 0);
	watcher_expect(s->loop, &w, "a:1 b:2 c:2375 d:4");
	assert_int_equal(w.changes, 2);
	watcher_free(&w);
}

static void removed_file_keeps_the_nodes(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "a:1\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1");
	assert_int_equal(unlink(s->path), 0);
	watcher_expect_failure(s->loop, &w, "cannot open");
	assert_int_equal(w.err.code, ERR_UNAVAILABLE);
	assert_int_equal(w.changes, 1);
	write_file(s->path, "a:1\nb:2\n");
	watcher_expect(s->loop, &w, "a:1 b:2");
	assert_int_equal(w.changes, 2);
	watcher_free(&w);
}

static void emptied_file_keeps_the_nodes(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "a:1\nb:2\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1 b:2");
	write_file(s->path, "");
	watcher_expect_failure(s->loop, &w, "empty, and 2 nodes were known");
	write_file(s->path, "# all of them are commented out\n#a:1\n");
	watcher_expect_failure(s->loop, &w, "empty, and 2 nodes were known");
	assert_int_equal(w.changes, 1);
	write_file(s->path, "b:2\n");
	watcher_expect(s->loop, &w, "b:2");
	watcher_free(&w);
}

static void empty_file_at_start_is_no_nodes(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "# none yet\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "");
	assert_int_equal(w.count, 0);
	write_file(s->path, "a:1\n");
	watcher_expect(s->loop, &w, "a:1");
	assert_int_equal(w.failures, 0);
	watcher_free(&w);
}

static void file_may_come_later(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *folder = xasprintf("%s/later", s->dir);
	CLEANUP_FREE char *path = xasprintf("%s/nodes", folder);
	CLEANUP_FREE char *url = xasprintf("file://%s", path);
	struct watcher w;

	watcher_start(&w, s->loop, NULL, url, HEARTBEAT_MS, NULL);
	watcher_expect_failure(s->loop, &w, "cannot open");
	assert_int_equal(w.changes, 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	write_file(path, "a:1\n");
	watcher_expect(s->loop, &w, "a:1");
	/* The folder is watched by now. */
	write_file(path, "a:1\nb:2\n");
	watcher_expect(s->loop, &w, "a:1 b:2");
	watcher_free(&w);
	(void)unlink(path);
	(void)rmdir(folder);
}

static void folder_is_no_file(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *url = xasprintf("file://%s", s->dir);
	struct watcher w;

	watcher_start(&w, s->loop, NULL, url, HEARTBEAT_MS, NULL);
	watcher_expect_failure(s->loop, &w, "not a regular file");
	watcher_free(&w);
}

static void fifo_does_not_block(void **state)
{
	struct state *s = *state;
	struct watcher w;

	assert_int_equal(mkfifo(s->path, 0600), 0);
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect_failure(s->loop, &w, "not a regular file");
	watcher_free(&w);
}

static void good_lines_count_beside_bad_ones(void **state)
{
	struct state *s = *state;
	static const char text[] = "a:1\n"
				   "no port\n"
				   "b:99999\n"
				   "%s%n%n:1\n"
				   "c:[1:2\n"
				   "d:4 e:5\n"
				   "10.0.0.[1:1000000000]:2375\n"
				   "10.0.0.[1:300][1:300]:2375\n"
				   "nul\0:1\n"
				   "http://x:1\n"
				   "f:6\n";
	struct watcher w;

	write_bytes(s->path, text, sizeof(text) - 1);
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1 f:6");
	assert_int_equal(w.failures, 0);
	watcher_free(&w);
}

static void file_with_only_bad_lines_keeps_the_nodes(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "a:1\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1");
	write_file(s->path, "oops\n");
	watcher_expect_failure(s->loop, &w, "no line lists a node");
	assert_int_equal(w.changes, 1);
	watcher_free(&w);
}

/* The clock of discovery alone: the loop's goes on. */
static uint64_t moved_ms;

static uint64_t moved_now(const struct env *env)
{
	(void)env;
	return env_system()->now_ms(env_system()) + moved_ms;
}

static void watch_moved(struct watcher *w, struct state *s, struct env *env)
{
	struct discovery_config config = {
		.url = s->url, .heartbeat_ms = 100, .ttl_ms = WATCHER_GRACE_MS};

	*env = *env_system();
	env->now_ms = moved_now;
	moved_ms = 0;
	memset(w, 0, sizeof(*w));
	w->discovery = discovery_open(s->loop, env, NULL, &config, NULL);
	assert_non_null(w->discovery);
	discovery_watch(w->discovery, watcher_changed, watcher_failed, w);
}

static void list_that_stays_empty_is_believed(void **state)
{
	struct state *s = *state;
	struct watcher w;
	struct env env;

	write_file(s->path, "a:1\nb:2\n");
	watch_moved(&w, s, &env);
	watcher_expect(s->loop, &w, "a:1 b:2");
	write_file(s->path, "# none\n");
	watcher_expect_failure(s->loop, &w, "empty");
	moved_ms += 5000;
	/* Looked at again, and too early. */
	watcher_expect_failure(s->loop, &w, "empty");
	assert_int_equal(w.changes, 1);
	moved_ms += 5000;
	watcher_expect(s->loop, &w, "");
	assert_int_equal(w.changes, 2);
	write_file(s->path, "c:3\n");
	watcher_expect(s->loop, &w, "c:3");
	watcher_free(&w);
}

/* An error, and entries that are none, begin the time anew, and never end it. */
static void errors_are_no_empty_list(void **state)
{
	struct state *s = *state;
	static const char *const wrong[] = {NULL, "oops\n", "169.254.169.254:80\n"};
	struct watcher w;
	struct env env;

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		write_file(s->path, "a:1\n");
		watch_moved(&w, s, &env);
		watcher_expect(s->loop, &w, "a:1");
		write_file(s->path, "");
		watcher_expect_failure(s->loop, &w, "empty");
		if (wrong[i] != NULL)
			write_file(s->path, wrong[i]);
		else
			(void)unlink(s->path);
		do
			watcher_expect_failure(s->loop, &w, "");
		while (strstr(w.err.msg, "empty") != NULL);
		moved_ms += 60 * 1000;
		watcher_expect_failure(s->loop, &w, "");
		write_file(s->path, "");
		do
			watcher_expect_failure(s->loop, &w, "");
		while (strstr(w.err.msg, "empty") == NULL);
		assert_int_equal(w.changes, 1);
		watcher_free(&w);
	}
}

static bool has_any_set(void *arg)
{
	return ((struct watcher *)arg)->set != NULL;
}

static void ranges_in_files_are_bounded(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "a[1:16000]:1\nb[1:1000]:1\nc[1:300]:1\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, has_any_set, &w));
	/* The line that would pass the bound is a bad line. */
	assert_int_equal(w.count, 16300);
	watcher_free(&w);
}

/* Each line is short and gives thousands; none of them is an address. */
static void ranges_on_bad_lines_are_bounded(void **state)
{
	struct state *s = *state;
	struct buf text;
	struct watcher w;

	buf_init(&text, 4 * 1024 * 1024);
	buf_append_str(&text, "a:1\n");
	for (size_t i = 0; i < 300 * 1000; i++)
		buf_append_str(&text, "x[1:9999]\n");
	write_bytes(s->path, text.data, text.len);
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	/* 3,000,000,000 names would take until tomorrow. */
	watcher_expect(s->loop, &w, "a:1");
	watcher_free(&w);
	buf_reset(&text);
}

static void special_addresses_are_refused(void **state)
{
	struct state *s = *state;
	static const char text[] = "10.0.0.1:2375\n169.254.169.254:80\n0.0.0.0:2375\n[::]:1\n"
				   "[fe80::1]:1\n224.0.0.1:1\n255.255.255.255:1\n"
				   "[::ffff:169.254.169.254]:80\n2852039166:80\n[ff02::1]:1\n";
	CLEANUP_STR_LIST struct str_list options = {0};
	struct watcher w;

	write_file(s->path, text);
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "10.0.0.1:2375");
	assert_int_equal(discovery_refused(w.discovery), ADDR_SPECIAL_ALL);
	watcher_free(&w);
	str_list_add(&options, "allow.special=link-local,unspecified");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, &options);
	watcher_expect(s->loop, &w,
		"0.0.0.0:2375 10.0.0.1:2375 169.254.169.254:80 2852039166:80 [::]:1 "
		"[::ffff:169.254.169.254]:80 [fe80::1]:1");
	watcher_free(&w);
	expect_refused(
		s->loop, NULL, "nodes://a:1", "allow.special=everything", ERR_USAGE, "everything");
	expect_refused(s->loop, NULL, "nodes://a:0", NULL, ERR_INVALID, "a:0");
}

static void huge_file_is_refused(void **state)
{
	struct state *s = *state;
	size_t len = 5 * 1024 * 1024;
	CLEANUP_FREE char *text = xmalloc(len);
	struct watcher w;

	write_file(s->path, "a:1\n");
	watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &w, "a:1");
	memset(text, '#', len);
	write_bytes(s->path, text, len);
	watcher_expect_failure(s->loop, &w, "larger than");
	assert_int_equal(w.err.code, ERR_TOO_LARGE);
	assert_int_equal(w.changes, 1);
	watcher_free(&w);
}

/* Where inotify sees nothing, looking does: the folder is exchanged under the watch. */
static void polling_sees_what_inotify_does_not(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *link = xasprintf("%s/link", s->dir);
	CLEANUP_FREE char *one = xasprintf("%s/one", s->dir);
	CLEANUP_FREE char *two = xasprintf("%s/two", s->dir);
	CLEANUP_FREE char *one_nodes = xasprintf("%s/nodes", one);
	CLEANUP_FREE char *two_nodes = xasprintf("%s/nodes", two);
	CLEANUP_FREE char *url = xasprintf("file://%s/nodes", link);
	struct watcher w;

	assert_int_equal(mkdir(one, 0700), 0);
	assert_int_equal(mkdir(two, 0700), 0);
	write_file(one_nodes, "a:1\n");
	write_file(two_nodes, "a:1\nb:2\n");
	assert_int_equal(symlink(one, link), 0);
	watcher_start(&w, s->loop, NULL, url, 100, NULL);
	watcher_expect(s->loop, &w, "a:1");
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink(two, link), 0);
	watcher_expect(s->loop, &w, "a:1 b:2");
	watcher_free(&w);
	(void)unlink(link);
	(void)unlink(one_nodes);
	(void)unlink(two_nodes);
	(void)rmdir(one);
	(void)rmdir(two);
}

static void close_while_reading(void **state)
{
	struct state *s = *state;
	struct watcher w;

	write_file(s->path, "a:1\n");
	for (int i = 0; i < 20; i++) {
		watcher_start(&w, s->loop, NULL, s->url, HEARTBEAT_MS, NULL);
		(void)fixture_run(s->loop, (uint64_t)i % 4, NULL, NULL);
		watcher_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nodes_are_sorted_and_unique, setup, teardown),
		cmocka_unit_test_setup_teardown(bare_list_is_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(sockets_are_nodes_too, setup, teardown),
		cmocka_unit_test_setup_teardown(nodes_scheme_ignores_case, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_urls_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			option_values_stay_out_of_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(ranges_in_urls_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(lists_cannot_register, setup, teardown),
		cmocka_unit_test_setup_teardown(may_close_from_a_callback, setup, teardown),
		cmocka_unit_test_setup_teardown(file_is_parsed, setup, teardown),
		cmocka_unit_test_setup_teardown(file_changes_are_seen_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(file_replaced_by_rename_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(half_written_file_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_file_keeps_the_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(emptied_file_keeps_the_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_file_at_start_is_no_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(file_may_come_later, setup, teardown),
		cmocka_unit_test_setup_teardown(folder_is_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(fifo_does_not_block, setup, teardown),
		cmocka_unit_test_setup_teardown(good_lines_count_beside_bad_ones, setup, teardown),
		cmocka_unit_test_setup_teardown(
			file_with_only_bad_lines_keeps_the_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(ranges_in_files_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(list_that_stays_empty_is_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(errors_are_no_empty_list, setup, teardown),
		cmocka_unit_test_setup_teardown(ranges_on_bad_lines_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(special_addresses_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_file_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			polling_sees_what_inotify_does_not, setup, teardown),
		cmocka_unit_test_setup_teardown(close_while_reading, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
