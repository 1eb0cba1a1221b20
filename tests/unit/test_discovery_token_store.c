/* The token server's memory: what survives, what expires, what is refused. */
#include "discovery/token_store.h"
#include "lib/log.h"
#include "tests/unit/discovery_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ID "0123456789abcdef0123456789abcdef"

/* A clock that the test sets. */
struct clock {
	struct env env;
	uint64_t now;
};

struct state {
	struct loop *loop;
	struct clock clock;
	struct token_store *store;
	char dir[64];
	char data[96];
	char tokens[128];
};

/* What a change said when it was saved. */
struct saved {
	unsigned count;
	struct err err;
};

static uint64_t clock_now(const struct env *env)
{
	return ((const struct clock *)env)->now;
}

/* A write that was under way holds the folder until it has ended, which the loop's end waits for.
 */
static void close_store(struct state *s)
{
	token_store_close(TAKE_PTR(s->store));
	loop_free(s->loop);
	s->loop = loop_new();
}

static void reopen(struct state *s)
{
	struct err err = ERR_INIT;

	close_store(s);
	s->store = token_store_open(s->loop, &s->clock.env, s->data, &err);
	if (s->store == NULL)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	struct state *s = xcalloc(1, sizeof(*s));

	log_set_level(LOG_LEVEL_FATAL);
	s->clock.env = *env_system();
	s->clock.env.now_ms = clock_now;
	s->clock.now = 1000000;
	s->loop = loop_new();
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/swarm-test-token-XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		return -1;
	(void)snprintf(s->data, sizeof(s->data), "%s/data", s->dir);
	(void)snprintf(s->tokens, sizeof(s->tokens), "%s/tokens", s->data);
	reopen(s);
	*state = s;
	return 0;
}

static void remove_all(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		CLEANUP_FREE char *name = xasprintf("%s/%s", path, entry->d_name);

		if (str_eq(entry->d_name, ".") || str_eq(entry->d_name, ".."))
			continue;
		if (unlink(name) == -1)
			remove_all(name);
	}
	if (dir != NULL)
		(void)closedir(dir);
	(void)rmdir(path);
}

static int teardown(void **state)
{
	struct state *s = *state;

	token_store_close(s->store);
	loop_free(s->loop);
	remove_all(s->dir);
	free(s);
	return 0;
}

static void on_saved(void *arg, const struct err *err)
{
	struct saved *saved = arg;

	saved->count++;
	saved->err = err != NULL ? *err : (struct err)ERR_INIT;
}

static bool is_saved(void *arg)
{
	return ((struct saved *)arg)->count > 0;
}

static void wait_saved(struct state *s, struct saved *saved, enum err_code code)
{
	assert_int_equal(saved->count, 0);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_saved, saved));
	assert_int_equal(saved->count, 1);
	assert_int_equal(saved->err.code, code);
}

static void create(struct state *s, char *id)
{
	struct saved saved = {0};

	assert_int_equal(token_store_create(s->store, id, on_saved, &saved, NULL), 0);
	wait_saved(s, &saved, ERR_NONE);
}

static void put(struct state *s, const char *id, const char *addr, unsigned ttl_s)
{
	struct saved saved = {0};

	assert_int_equal(token_store_put(s->store, id, addr, ttl_s, on_saved, &saved, NULL), 0);
	wait_saved(s, &saved, ERR_NONE);
}

static void expect_list(struct state *s, const char *id, const char *wanted)
{
	CLEANUP_STR_LIST struct str_list list = {0};
	CLEANUP_BUF struct buf text;

	buf_init(&text, 64 * 1024);
	assert_int_equal(token_store_list(s->store, id, &list, NULL), 0);
	for (size_t i = 0; i < list.len; i++)
		buf_printf(&text, "%s%s", i > 0 ? " " : "", list.items[i]);
	assert_string_equal(buf_str(&text), wanted);
}

static void write_file(const char *folder, const char *name, const char *text, size_t len)
{
	CLEANUP_FREE char *path = xasprintf("%s/%s", folder, name);
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, len), len);
}

static void tokens_and_addresses_survive(void **state)
{
	struct state *s = *state;
	char one[TOKEN_STORE_ID_LEN + 1], two[TOKEN_STORE_ID_LEN + 1];

	create(s, one);
	create(s, two);
	assert_true(str_is_hex(one, TOKEN_STORE_ID_LEN));
	assert_int_equal(strlen(one), TOKEN_STORE_ID_LEN);
	assert_string_not_equal(one, two);
	put(s, one, "b:2", 100);
	put(s, one, "a:1", 100);
	put(s, one, "[::1]:3", 100);
	expect_list(s, one, "[::1]:3 a:1 b:2");
	expect_list(s, two, "");
	reopen(s);
	expect_list(s, one, "[::1]:3 a:1 b:2");
	expect_list(s, two, "");
}

static void addresses_expire_and_are_renewed(void **state)
{
	struct state *s = *state;
	struct saved saved = {0};
	char id[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	put(s, id, "a:1", 10);
	put(s, id, "b:2", 20);
	s->clock.now += 9000;
	expect_list(s, id, "a:1 b:2");
	/* A renewal needs no disk. */
	assert_int_equal(token_store_put(s->store, id, "a:1", 10, on_saved, &saved, NULL), 1);
	s->clock.now += 9999;
	expect_list(s, id, "a:1 b:2");
	s->clock.now += 1;
	expect_list(s, id, "b:2");
	s->clock.now += 1000000;
	expect_list(s, id, "");
	assert_int_equal(saved.count, 0);
}

static bool file_is_bare(void *arg)
{
	struct stat st;

	return stat(arg, &st) == 0 && st.st_size <= (off_t)strlen("swarm-token 1\nused\n");
}

static void expired_addresses_leave_the_disk(void **state)
{
	struct state *s = *state;
	char id[TOKEN_STORE_ID_LEN + 1];
	CLEANUP_FREE char *path = NULL;

	create(s, id);
	path = xasprintf("%s/%s", s->tokens, id);
	assert_true(file_is_bare(path));
	put(s, id, "a:1", 10);
	assert_false(file_is_bare(path));
	s->clock.now += 10000;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, file_is_bare, path));
	reopen(s);
	expect_list(s, id, "");
}

/* While the server is down nobody can renew: that time does not count. */
static void downtime_does_not_expire(void **state)
{
	struct state *s = *state;
	char id[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	put(s, id, "a:1", 10);
	token_store_close(TAKE_PTR(s->store));
	s->clock.now += 1000000;
	reopen(s);
	expect_list(s, id, "a:1");
	s->clock.now += 9999;
	expect_list(s, id, "a:1");
	s->clock.now += 1;
	expect_list(s, id, "");
}

static void dropped_addresses_stay_dropped(void **state)
{
	struct state *s = *state;
	struct saved saved = {0};
	struct err err = ERR_INIT;
	char id[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	put(s, id, "a:1", 10);
	put(s, id, "b:2", 10);
	assert_int_equal(token_store_drop(s->store, id, "a:1", on_saved, &saved, &err), 0);
	wait_saved(s, &saved, ERR_NONE);
	expect_list(s, id, "b:2");
	assert_int_equal(token_store_drop(s->store, id, "a:1", on_saved, &saved, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	reopen(s);
	expect_list(s, id, "b:2");
}

static void removed_tokens_stay_removed(void **state)
{
	struct state *s = *state;
	struct saved saved = {0}, again = {0};
	struct err err = ERR_INIT;
	struct str_list list = {0};
	char id[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	/* Removed while a write of it is under way, with two who wait. */
	assert_int_equal(token_store_put(s->store, id, "a:1", 9, on_saved, &saved, &err), 0);
	assert_int_equal(token_store_remove(s->store, id, on_saved, &again, &err), 0);
	assert_int_equal(token_store_list(s->store, id, &list, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
	wait_saved(s, &saved, ERR_NONE);
	if (again.count == 0)
		wait_saved(s, &again, ERR_NONE);
	reopen(s);
	assert_int_equal(token_store_list(s->store, id, &list, &err), -1);
	assert_int_equal(token_store_put(s->store, id, "a:1", 9, on_saved, &saved, &err), -1);
	assert_int_equal(token_store_remove(s->store, id, on_saved, &saved, &err), -1);
	assert_int_equal(err.code, ERR_NOT_FOUND);
}

/* Many changes while one write is under way are one write more, and all are told. */
static void changes_are_gathered(void **state)
{
	struct state *s = *state;
	struct saved saved[50] = {0};
	char id[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	for (size_t i = 0; i < ARRAY_LEN(saved); i++) {
		CLEANUP_FREE char *addr = xasprintf("n%zu:1", i);

		assert_int_equal(
			token_store_put(s->store, id, addr, 60, on_saved, &saved[i], NULL), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(saved); i++)
		assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_saved, &saved[i]));
	reopen(s);
	for (size_t i = 0; i < ARRAY_LEN(saved); i++) {
		struct str_list list = {0};

		assert_int_equal(saved[i].count, 1);
		assert_int_equal(saved[i].err.code, ERR_NONE);
		assert_int_equal(token_store_list(s->store, id, &list, NULL), 0);
		assert_int_equal(list.len, ARRAY_LEN(saved));
		str_list_free(&list);
	}
}

static void closing_tells_who_waits(void **state)
{
	struct state *s = *state;
	struct saved saved[3] = {0};
	char id[TOKEN_STORE_ID_LEN + 1], other[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	assert_int_equal(token_store_put(s->store, id, "a:1", 9, on_saved, &saved[0], NULL), 0);
	assert_int_equal(token_store_create(s->store, other, on_saved, &saved[1], NULL), 0);
	assert_int_equal(token_store_remove(s->store, id, on_saved, &saved[2], NULL), 0);
	token_store_close(TAKE_PTR(s->store));
	for (size_t i = 0; i < ARRAY_LEN(saved); i++) {
		assert_int_equal(saved[i].count, 1);
		assert_int_equal(saved[i].err.code, ERR_CANCELED);
	}
	/* The removal alone under way. */
	reopen(s);
	create(s, id);
	assert_int_equal(token_store_remove(s->store, id, on_saved, &saved[0], NULL), 0);
	token_store_close(TAKE_PTR(s->store));
	assert_int_equal(saved[0].count, 2);
	assert_int_equal(saved[0].err.code, ERR_CANCELED);
}

static void damaged_files_lose_only_the_damage(void **state)
{
	struct state *s = *state;
	static const char text[] = "swarm-token 1\n"
				   "60 a:1\n"
				   "rubbish\n"
				   "0 zero:1\n"
				   "86401 long:1\n"
				   "-5 minus:1\n"
				   "60 no-port\n"
				   "60 two:1 three:1\n"
				   "60 nul\0:1\n"
				   "60 %s%n:1\n"
				   "60 b:2\n"
				   "60 cut:23";
	static const char *const others[] = {
		"tmp-" ID, "stranger", "ABCDEF0123456789abcdef0123456789", ID "0"};
	CLEANUP_FREE char *tmp = xasprintf("%s/tmp-" ID, s->tokens);
	CLEANUP_FREE char *link = xasprintf("%s/dddddddddddddddddddddddddddddddd", s->tokens);
	struct str_list list = {0};

	write_file(s->tokens, ID, text, sizeof(text) - 1);
	write_file(s->tokens, "ffffffffffffffffffffffffffffffff", "", 0);
	write_file(s->tokens, "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "60 b:2\n60 a:1\n", 14);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		write_file(s->tokens, others[i], "swarm-token 1\n60 x:1\n", 21);
	reopen(s);
	expect_list(s, ID, "a:1 b:2");
	expect_list(s, "ffffffffffffffffffffffffffffffff", "");
	expect_list(s, "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", "a:1 b:2");
	expect_list(s, "dddddddddddddddddddddddddddddddd", "");
	assert_int_equal(token_store_list(s->store, others[2], &list, NULL), -1);
	assert_int_equal(access(tmp, F_OK), -1);
	/* The next change makes the file whole again. */
	put(s, ID, "c:3", 60);
	reopen(s);
	expect_list(s, ID, "a:1 b:2 c:3");
}

static void folder_serves_one_server(void **state)
{
	struct state *s = *state;
	struct err err = ERR_INIT;

	assert_null(token_store_open(s->loop, &s->clock.env, s->data, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_non_null(strstr(err.msg, "in use"));
}

static void unusable_folders_are_refused(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *deep = xasprintf("%s/no/such", s->dir);
	CLEANUP_FREE char *file = xasprintf("%s/file", s->dir);
	struct err err = ERR_INIT;

	assert_null(token_store_open(s->loop, &s->clock.env, deep, &err));
	assert_int_equal(err.code, ERR_SYSTEM);
	write_file(s->dir, "file", "", 0);
	assert_null(token_store_open(s->loop, &s->clock.env, file, &err));
	assert_int_equal(err.code, ERR_SYSTEM);
}

static void limits_hold(void **state)
{
	struct state *s = *state;
	struct err err = ERR_INIT;
	struct saved saved = {0};
	CLEANUP_BUF struct buf text;
	char id[TOKEN_STORE_ID_LEN + 1];

	buf_init(&text, 1024 * 1024);
	buf_append_str(&text, "swarm-token 1\n");
	/* One more than a token may have. */
	for (int i = 0; i <= TOKEN_STORE_TOKEN_ADDRS_MAX; i++)
		buf_printf(&text, "60 n%d:1\n", i);
	for (int i = 0; i < 7; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		write_file(s->tokens, id, text.data, text.len);
	}
	for (int i = 7; i <= TOKEN_STORE_TOKENS_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		write_file(s->tokens, id, "swarm-token 1\n", 14);
	}
	reopen(s);
	assert_int_equal(token_store_create(s->store, id, on_saved, &saved, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	/* The sum of all tokens is at its limit: those that have more than their own take none. */
	for (int i = 0; i < 7; i++) {
		struct str_list list = {0};

		(void)snprintf(id, sizeof(id), "%032x", i);
		if (token_store_list(s->store, id, &list, &err) != 0)
			continue;
		assert_true(list.len <= TOKEN_STORE_TOKEN_ADDRS_MAX);
		assert_int_equal(
			token_store_put(s->store, id, "more:1", 60, on_saved, &saved, &err), -1);
		assert_int_equal(err.code, ERR_TOO_LARGE);
		str_list_free(&list);
	}
	assert_int_equal(saved.count, 0);
}

/* Others have taken all that is shared; a small cluster has room all the same. */
static void each_token_has_room_of_its_own(void **state)
{
	struct state *s = *state;
	struct err err = ERR_INIT;
	struct saved saved = {0};
	CLEANUP_BUF struct buf text;
	char id[TOKEN_STORE_ID_LEN + 1];

	buf_init(&text, 1024 * 1024);
	buf_append_str(&text, "swarm-token 1\n");
	for (int i = 0; i < TOKEN_STORE_TOKEN_ADDRS_MAX; i++)
		buf_printf(&text, "60 n%d:1\n", i);
	for (int i = 0; i < 7; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		write_file(s->tokens, id, text.data, text.len);
	}
	reopen(s);
	create(s, id);
	for (int i = 0; i < TOKEN_STORE_OWN_ADDRS; i++) {
		CLEANUP_FREE char *addr = xasprintf("n%d:1", i);

		put(s, id, addr, 60);
	}
	assert_int_equal(token_store_put(s->store, id, "more:1", 60, on_saved, &saved, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
}

static bool has_token(struct state *s, const char *id)
{
	struct str_list list = {0};
	bool has = token_store_list(s->store, id, &list, NULL) == 0;

	str_list_free(&list);
	return has;
}

static bool file_is_gone(void *arg)
{
	return access(arg, F_OK) == -1;
}

static void tokens_without_addresses_are_forgotten(void **state)
{
	struct state *s = *state;
	char unused[TOKEN_STORE_ID_LEN + 1], idle[TOKEN_STORE_ID_LEN + 1],
		busy[TOKEN_STORE_ID_LEN + 1];
	CLEANUP_FREE char *unused_file = NULL;
	CLEANUP_FREE char *idle_file = NULL;

	create(s, unused);
	create(s, idle);
	create(s, busy);
	unused_file = xasprintf("%s/%s", s->tokens, unused);
	idle_file = xasprintf("%s/%s", s->tokens, idle);
	put(s, idle, "a:1", 10);
	s->clock.now += 10000;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, file_is_bare, idle_file));
	/* That it had one is known after a restart, too, and times begin anew. */
	s->clock.now += TOKEN_STORE_UNUSED_MS - 20000;
	reopen(s);
	put(s, busy, "a:1", TOKEN_STORE_TTL_MAX_S);
	s->clock.now += TOKEN_STORE_UNUSED_MS - 1;
	(void)fixture_run(s->loop, 1500, NULL, NULL);
	assert_true(has_token(s, unused));
	s->clock.now += 1;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, file_is_gone, unused_file));
	assert_false(has_token(s, unused));
	assert_true(has_token(s, idle));
	s->clock.now += TOKEN_STORE_IDLE_MS - TOKEN_STORE_UNUSED_MS;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, file_is_gone, idle_file));
	assert_false(has_token(s, idle));
	assert_true(has_token(s, busy));
}

static void unused_tokens_make_room(void **state)
{
	struct state *s = *state;
	struct err err = ERR_INIT;
	struct saved saved = {0};
	char id[TOKEN_STORE_ID_LEN + 1];

	for (int i = 0; i < TOKEN_STORE_TOKENS_MAX; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		write_file(s->tokens, id, i < 5 ? "swarm-token 1\nused\n" : "swarm-token 1\n",
			i < 5 ? 19 : 14);
	}
	reopen(s);
	assert_int_equal(token_store_create(s->store, id, on_saved, &saved, &err), -1);
	assert_int_equal(err.code, ERR_TOO_LARGE);
	s->clock.now += TOKEN_STORE_FRESH_MS;
	create(s, id);
	assert_true(has_token(s, id));
	for (int i = 0; i < 5; i++) {
		(void)snprintf(id, sizeof(id), "%032x", i);
		assert_true(has_token(s, id));
	}
}

/* Files of at most max bytes from now on, as on a full disk. Nothing is printed meanwhile: it could
 * be going to a file. */
static void disk_is_full(rlim_t max)
{
	struct rlimit limit;

	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Runs until both are told; then the disk has room again. */
static void wait_on_full_disk(struct state *s, struct saved *one, struct saved *two)
{
	struct rlimit limit;
	bool is_told = fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_saved, one) &&
		       fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_saved, two);

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(is_told);
	assert_int_equal(one->count, 1);
	assert_int_equal(one->err.code, ERR_TOO_LARGE);
	assert_int_equal(two->err.code, ERR_TOO_LARGE);
}

static void full_disk_changes_nothing(void **state)
{
	struct state *s = *state;
	struct saved saved[4] = {0};
	char id[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	put(s, id, "a:1", 60);
	/* One, and another while it is under way. */
	disk_is_full(21);
	assert_int_equal(token_store_put(s->store, id, "b:2", 60, on_saved, &saved[0], NULL), 0);
	assert_int_equal(token_store_put(s->store, id, "c:3", 60, on_saved, &saved[1], NULL), 0);
	wait_on_full_disk(s, &saved[0], &saved[1]);
	expect_list(s, id, "a:1");
	/* Another TTL is a change, too: the old one goes on. */
	disk_is_full(21);
	assert_int_equal(token_store_put(s->store, id, "a:1", 6000, on_saved, &saved[2], NULL), 0);
	wait_on_full_disk(s, &saved[2], &saved[2]);
	s->clock.now += 59999;
	expect_list(s, id, "a:1");
	assert_int_equal(token_store_put(s->store, id, "a:1", 60, on_saved, &saved[3], NULL), 1);
	reopen(s);
	expect_list(s, id, "a:1");
	put(s, id, "b:2", 60);
	expect_list(s, id, "a:1 b:2");
}

static void drops_on_a_full_disk_change_nothing(void **state)
{
	struct state *s = *state;
	struct saved saved[2] = {0};
	char id[TOKEN_STORE_ID_LEN + 1];

	create(s, id);
	put(s, id, "a:1", 60);
	put(s, id, "b:2", 60);
	disk_is_full(3);
	assert_int_equal(token_store_drop(s->store, id, "a:1", on_saved, &saved[0], NULL), 0);
	wait_on_full_disk(s, &saved[0], &saved[0]);
	expect_list(s, id, "a:1 b:2");
	assert_int_equal(token_store_drop(s->store, id, "a:1", on_saved, &saved[1], NULL), 0);
	wait_saved(s, &saved[1], ERR_NONE);
	expect_list(s, id, "b:2");
	reopen(s);
	expect_list(s, id, "b:2");
}

static void failed_writes_are_told_and_tried_again(void **state)
{
	struct state *s = *state;
	struct saved saved = {0}, failed = {0}, gone = {0};
	CLEANUP_FREE char *path = NULL;
	CLEANUP_FREE char *away = xasprintf("%s/away", s->data);
	char id[TOKEN_STORE_ID_LEN + 1], other[TOKEN_STORE_ID_LEN + 1];
	struct str_list list = {0};

	create(s, id);
	path = xasprintf("%s/%s", s->tokens, id);
	assert_int_equal(rename(s->tokens, away), 0);
	assert_int_equal(token_store_put(s->store, id, "a:1", 60, on_saved, &saved, NULL), 0);
	wait_saved(s, &saved, ERR_SYSTEM);
	/* A message must not give a token away. */
	assert_null(strstr(saved.err.msg, id));
	assert_int_equal(token_store_create(s->store, other, on_saved, &failed, NULL), 0);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_saved, &failed));
	assert_int_equal(failed.err.code, ERR_SYSTEM);
	assert_int_equal(token_store_list(s->store, other, &list, NULL), -1);
	expect_list(s, id, "");
	assert_int_equal(token_store_remove(s->store, id, on_saved, &gone, NULL), 0);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_saved, &gone));
	assert_int_equal(gone.err.code, ERR_SYSTEM);
	assert_int_equal(rename(away, s->tokens), 0);
	/* Another token's change does not wait for the next attempt; the attempt comes. */
	create(s, other);
	assert_true(file_is_bare(path));
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, file_is_gone, path));
	reopen(s);
	assert_int_equal(token_store_list(s->store, id, &list, NULL), -1);
	expect_list(s, other, "");
}

/* Says on stdout each address that is safe, until it is killed. The first may be so before it is
 * put: the one before was killed when it had saved and not yet said so. */
static void fill(int out, struct state *s, const char *id, unsigned from)
{
	for (unsigned i = from;; i++) {
		struct saved saved = {0};
		char addr[32];
		int status;

		(void)snprintf(addr, sizeof(addr), "n%u:1", i);
		status = token_store_put(s->store, id, addr, 600, on_saved, &saved, NULL);
		if (status != 0 && !(status == 1 && i == from))
			_exit(1);
		if (status == 0 && (!fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_saved, &saved) ||
					   saved.err.code != ERR_NONE))
			_exit(1);
		if (write(out, &i, sizeof(i)) != (ssize_t)sizeof(i))
			_exit(1);
	}
}

static void what_was_told_survives_kill(void **state)
{
	struct state *s = *state;
	char id[TOKEN_STORE_ID_LEN + 1];
	unsigned next = 0;

	create(s, id);
	close_store(s);
	for (unsigned round = 0; round < 8; round++) {
		struct str_list list = {0};
		unsigned got, count = 0;
		int pipe_fds[2], status;
		pid_t pid;

		/* The child opens the store itself, on a loop of its own. */
		assert_int_equal(pipe(pipe_fds), 0);
		pid = fork();
		assert_int_not_equal(pid, -1);
		if (pid == 0) {
			s->loop = loop_new();
			s->store = token_store_open(s->loop, &s->clock.env, s->data, NULL);
			if (s->store == NULL)
				_exit(1);
			fill(pipe_fds[1], s, id, next);
		}
		(void)close(pipe_fds[1]);
		while (count < 3 + round &&
			read(pipe_fds[0], &got, sizeof(got)) == (ssize_t)sizeof(got)) {
			next = got + 1;
			count++;
		}
		assert_int_equal(count, 3 + round);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		while (read(pipe_fds[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
			next = got + 1;
		(void)close(pipe_fds[0]);
		reopen(s);
		assert_int_equal(token_store_list(s->store, id, &list, NULL), 0);
		for (unsigned i = 0; i < next; i++) {
			CLEANUP_FREE char *addr = xasprintf("n%u:1", i);

			assert_true(str_list_has(&list, addr));
		}
		str_list_free(&list);
		close_store(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tokens_and_addresses_survive, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_expire_and_are_renewed, setup, teardown),
		cmocka_unit_test_setup_teardown(expired_addresses_leave_the_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(downtime_does_not_expire, setup, teardown),
		cmocka_unit_test_setup_teardown(dropped_addresses_stay_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_tokens_stay_removed, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_are_gathered, setup, teardown),
		cmocka_unit_test_setup_teardown(closing_tells_who_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(
			damaged_files_lose_only_the_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(folder_serves_one_server, setup, teardown),
		cmocka_unit_test_setup_teardown(unusable_folders_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_hold, setup, teardown),
		cmocka_unit_test_setup_teardown(each_token_has_room_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(
			tokens_without_addresses_are_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(unused_tokens_make_room, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			drops_on_a_full_disk_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			failed_writes_are_told_and_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_told_survives_kill, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
