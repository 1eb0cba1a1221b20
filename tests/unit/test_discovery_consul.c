/* consul://, watching: what a store may answer, rightly and wrongly. */
#include "discovery/consul_priv.h"
#include "lib/log.h"
#include "tests/unit/discovery_fake.h"

#include <stdio.h>
#include <stdlib.h>

#define HEARTBEAT_MS 2000

/* One answer of the script. */
struct step {
	int status;        /* 0 = no answer ever, -1 = breaks off in the middle */
	const char *index; /* NULL = no such header */
	const char *body;
};

struct state {
	struct loop *loop;
	struct client *client;
	struct fake *fake;
	const struct step *steps;
	size_t step_count;
	size_t at; /* the next one; the last one is repeated */
	char *token_seen;
	struct exchange *broken; /* is about to break off */
	struct loop_timer *breaker;
	struct watcher w;
};

/* Values in base64: a:1, b:2, c:3. */
#define A "{\"Key\":\"p/docker/swarm/nodes/a:1\",\"Value\":\"YTox\"}"
#define B "{\"Key\":\"p/docker/swarm/nodes/b:2\",\"Value\":\"Yjoy\"}"
#define C "{\"Key\":\"p/docker/swarm/nodes/c:3\",\"Value\":\"Yzoz\"}"

static void break_off(void *arg)
{
	struct state *s = arg;

	exchange_reply_abort(TAKE_PTR(s->broken), "told to");
}

static void answer(struct fake *fake, struct exchange *x, const char *body)
{
	struct state *s = fake->arg;
	const struct step *step;
	const char *token = exchange_header(x, "X-Consul-Token");

	assert_string_equal(body, "");
	free(s->token_seen);
	s->token_seen = token != NULL ? xstrdup(token) : NULL;
	step = &s->steps[s->at];
	if (s->at + 1 < s->step_count)
		s->at++;
	if (step->status == 0)
		return;
	if (step->status == -1) {
		struct http_headers headers = {0};

		http_headers_add(&headers, "X-Consul-Index", "7");
		exchange_reply_start(x, 200, &headers, (int64_t)strlen(step->body) + 100);
		(void)exchange_reply_write(x, step->body, strlen(step->body));
		http_headers_free(&headers);
		/* Later, when the client has seen the beginning. */
		s->broken = x;
		loop_timer_start(s->breaker, 30);
		return;
	}
	fake_reply(x, step->status, step->index, step->body);
}

static int setup(void **state)
{
	struct state *s = xcalloc(1, sizeof(*s));

	log_set_level(LOG_LEVEL_FATAL);
	(void)unsetenv("CONSUL_HTTP_TOKEN");
	s->loop = loop_new();
	s->client = client_new(s->loop);
	s->fake = fake_new(s->loop, answer, s);
	s->breaker = loop_timer_new(s->loop, break_off, s);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	watcher_free(&s->w);
	fake_free(s->fake);
	client_free(s->client);
	loop_timer_free(s->breaker);
	loop_free(s->loop);
	free(s->token_seen);
	free(s);
	return 0;
}

static void start_with(struct state *s, const struct step *steps, size_t count, const char *path,
	const char *option)
{
	CLEANUP_FREE char *url = xasprintf("consul://127.0.0.1:%u%s", s->fake->port, path);
	CLEANUP_STR_LIST struct str_list options = {0};

	s->steps = steps;
	s->step_count = count;
	s->at = 0;
	if (option != NULL)
		str_list_add(&options, option);
	watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, &options);
}

#define START(s, steps) start_with(s, steps, ARRAY_LEN(steps), "/p", NULL)

/* ---- The protocol as it should be ---- */

static void changes_are_followed(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{200, "5", "[" B "," A "]"},
		{200, "5", "[" B "," A "]"}, /* the wait ended */
		{200, "8", "[" A "," B "," C "]"},
		{200, "9", "[" C "]"},
		{0, NULL, NULL},
	};

	START(s, steps);
	watcher_expect(s->loop, &s->w, "c:3");
	assert_int_equal(s->w.changes, 3);
	assert_int_equal(s->w.failures, 0);
	fake_wait(s->loop, s->fake, 5);
	assert_string_equal(
		s->fake->requests[0], "GET /v1/kv/p/docker/swarm/nodes/?recurse=&consistent=");
	assert_string_equal(s->fake->requests[1],
		"GET /v1/kv/p/docker/swarm/nodes/?recurse=&consistent=&index=5&wait=2s");
	assert_string_equal(s->fake->requests[4],
		"GET /v1/kv/p/docker/swarm/nodes/?recurse=&consistent=&index=9&wait=2s");
}

static void paths_are_as_configured(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {{0, NULL, NULL}};
	static const struct {
		const char *path, *option, *target;
	} cases[] = {
		{"", NULL, "GET /v1/kv/docker/swarm/nodes/?"},
		{"/", NULL, "GET /v1/kv/docker/swarm/nodes/?"},
		{"//a//b/", NULL, "GET /v1/kv/a/b/docker/swarm/nodes/?"},
		{"/p", "kv.path=", "GET /v1/kv/p/?"},
		{"/p", "kv.path=/x/y", "GET /v1/kv/p/x/y/?"},
		{"", "kv.path=nodes", "GET /v1/kv/nodes/?"},
		{"/a%b&c=d", NULL, "GET /v1/kv/a%25b%26c%3Dd/docker/swarm/nodes/?"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		start_with(s, steps, 1, cases[i].path, cases[i].option);
		assert_true(str_has_prefix(fake_next(s->loop, s->fake), cases[i].target));
		watcher_free(&s->w);
	}
}

static void older_layout_has_bare_keys(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{200, "1",
			"[{\"Key\":\"p/10.0.0.1:2375\",\"Value\":null},"
			"{\"Key\":\"p/10.0.0.2:2375\",\"Value\":\"\"},"
			"{\"Key\":\"p/\",\"Value\":null},"
			/* The leader's key lies below, and is no node. */
			"{\"Key\":\"p/docker/swarm/leader\",\"Value\":\"bDox\"}]"},
		{0, NULL, NULL},
	};

	start_with(s, steps, ARRAY_LEN(steps), "/p", "kv.path=");
	watcher_expect(s->loop, &s->w, "10.0.0.1:2375 10.0.0.2:2375");
}

static void hosts_are_tried_in_turn(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {{200, "1", "[" A "]"}, {0, NULL, NULL}};
	struct fake *dead = fake_new(s->loop, answer, s);
	uint16_t dead_port = dead->port;
	CLEANUP_FREE char *url = NULL;

	fake_free(dead);
	url = xasprintf("consul://127.0.0.1:%u,127.0.0.1:%u/p", dead_port, s->fake->port);
	s->steps = steps;
	s->step_count = ARRAY_LEN(steps);
	watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &s->w, "a:1");
	assert_int_equal(s->w.failures, 0);
}

static void server_errors_move_on_to_the_next_host(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{500, NULL, "No cluster leader"}, {200, "1", "[" A "]"}, {0, NULL, NULL}};
	CLEANUP_FREE char *url =
		xasprintf("consul://127.0.0.1:%u,localhost:%u/p", s->fake->port, s->fake->port);

	s->steps = steps;
	s->step_count = ARRAY_LEN(steps);
	watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, NULL);
	watcher_expect(s->loop, &s->w, "a:1");
	assert_int_equal(s->w.failures, 0);
}

static void tokens_are_sent_and_not_told(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {{403, NULL, "Permission denied"}};

	start_with(s, steps, 1, "/p", "kv.token=geheim");
	watcher_expect_failure(s->loop, &s->w, "403: Permission denied");
	assert_string_equal(s->token_seen, "geheim");
	assert_null(strstr(s->w.err.msg, "geheim"));
	watcher_free(&s->w);
	assert_int_equal(setenv("CONSUL_HTTP_TOKEN", "umgebung", 1), 0);
	start_with(s, steps, 1, "/p", NULL);
	watcher_expect_failure(s->loop, &s->w, "403");
	assert_string_equal(s->token_seen, "umgebung");
	watcher_free(&s->w);
	/* The option is nearer than the environment; an empty one means none. */
	start_with(s, steps, 1, "/p", "kv.token=");
	watcher_expect_failure(s->loop, &s->w, "403");
	assert_null(s->token_seen);
	(void)unsetenv("CONSUL_HTTP_TOKEN");
}

static void bad_urls_are_refused(void **state)
{
	struct state *s = *state;
	static const struct {
		const char *url, *option;
		enum err_code code;
		const char *text;
	} cases[] = {
		{"consul://", NULL, ERR_INVALID, "host is missing"},
		{"consul:///p", NULL, ERR_INVALID, "host is missing"},
		{"consul://a:99999/p", NULL, ERR_INVALID, "a:99999"},
		{"consul://a:0/p", NULL, ERR_INVALID, "a:0"},
		{"consul://unix:///x", NULL, ERR_INVALID, "unix:"},
		{"consul://u:p@a:1/p", NULL, ERR_INVALID, "expected"},
		{"consul://a:1/p?dc=x", NULL, ERR_INVALID, "expected"},
		{"consul://a:1/../p", NULL, ERR_INVALID, "'..'"},
		{"consul://a:1/p\n", NULL, ERR_INVALID, "control"},
		{"consul://a:1", "kv.path=", ERR_INVALID, "a path is needed"},
		{"consul://a:1/p", "kv.path=./x", ERR_INVALID, "kv.path"},
		{"consul://a:1/p", "kv.certfile=/x", ERR_USAGE, "kv.keyfile"},
		{"consul://a:1/p", "kv.cacertfile=/nonexistent/ca", ERR_INVALID, "/nonexistent/ca"},
		{"consul://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/p", NULL, ERR_INVALID, "too many"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_STR_LIST struct str_list options = {0};
		struct discovery_config config = {.url = cases[i].url, .options = &options};
		struct err err = ERR_INIT;

		if (cases[i].option != NULL)
			str_list_add(&options, cases[i].option);
		if (discovery_open(s->loop, env_system(), s->client, &config, &err) != NULL)
			fail_msg("%s was accepted", cases[i].url);
		if (strstr(err.msg, cases[i].text) == NULL)
			fail_msg(
				"%s: '%s' does not say '%s'", cases[i].url, err.msg, cases[i].text);
		/* What a missing file is called is the TLS code's affair. */
		if (strstr(cases[i].text, "nonexistent") == NULL)
			assert_int_equal(err.code, cases[i].code);
	}
}

/* ---- Wrong answers: none drops a node ---- */

/* After a good answer each of these is a failure, keeps the set, and is got over. */
static void wrong_answers_keep_the_nodes(void **state)
{
	struct state *s = *state;
	static const struct {
		struct step step;
		const char *text;
	} cases[] = {
		{{200, "6", "[" A "," B}, "list of nodes"},
		{{200, "6", ""}, "list of nodes"},
		{{200, "6", "{}"}, "not a JSON array"},
		{{200, "6", "null"}, "not a JSON array"},
		{{200, "6", "[1]"}, "has no key"},
		{{200, "6", "[{\"Value\":\"YTox\"}]"}, "has no key"},
		{{200, "6", "[{\"Key\":5}]"}, "has no key"},
		{{200, "6", "<html>hotel portal</html>"}, "list of nodes"},
		{{200, "6", "[]"}, "empty, and 2 nodes were known"},
		{{404, "6", ""}, "empty, and 2 nodes were known"},
		{{404, NULL, "404 page not found"}, "404"},
		{{200, "6", "[{\"Key\":\"p/docker/swarm/nodes/\",\"Value\":null}]"}, "empty"},
		{{200, "6", "[{\"Key\":\"elsewhere/a:1\",\"Value\":\"YTox\"}]"}, "empty"},
		{{500, "6", "rpc error: No cluster leader"}, "500: rpc error: No cluster leader"},
		{{503, NULL, ""}, "503"},
		{{301, NULL, ""}, "301"},
		{{-1, NULL, "[" A}, "consul discovery"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct step steps[] = {
			{200, "5", "[" A "," B "]"},
			cases[i].step,
			{200, "9", "[" A "," B "," C "]"},
			{0, NULL, NULL},
		};

		START(s, steps);
		watcher_expect(s->loop, &s->w, "a:1 b:2 c:3");
		if (strstr(s->w.err.msg, cases[i].text) == NULL)
			fail_msg("'%s' does not say '%s'", s->w.err.msg, cases[i].text);
		assert_int_equal(s->w.changes, 2);
		assert_int_equal(s->w.failures, 1);
		watcher_free(&s->w);
	}
}

/* Everybody's entry expired while the store was away; they come back one by one. */
static void nodes_that_return_after_an_outage_never_went(void **state)
{
	struct state *s = *state;
	static const struct step failures[] = {
		{404, "6", ""}, {500, NULL, "No cluster leader"}, {200, "6", "[]"}};

	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		const struct step steps[] = {
			{200, "5", "[" A "," B "]"},
			failures[i],
			{200, "7", "[" B "]"},
			{200, "8", "[" B "," C "]"},
			{200, "9", "[" A "," B "," C "]"},
			{0, NULL, NULL},
		};

		START(s, steps);
		watcher_expect(s->loop, &s->w, "a:1 b:2 c:3");
		(void)fixture_run(s->loop, WATCHER_GRACE_MS + 500, NULL, NULL);
		assert_string_equal(s->w.set, "a:1 b:2 c:3");
		assert_int_equal(s->w.changes, 2);
		assert_int_equal(s->w.failures, 1);
		watcher_free(&s->w);
	}
}

static void nodes_that_do_not_return_go_after_the_grace(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{200, "5", "[" A "," B "]"},
		{500, NULL, "No cluster leader"},
		{200, "7", "[" B "]"},
		{200, "8", "[" B "," C "]"},
		{0, NULL, NULL},
	};

	START(s, steps);
	watcher_expect(s->loop, &s->w, "a:1 b:2 c:3");
	watcher_expect(s->loop, &s->w, "b:2 c:3");
	assert_int_equal(s->w.changes, 3);
	assert_int_equal(s->w.failures, 1);
}

/* A second failure within the grace: what was answered before it counts no more. */
static void grace_begins_again_with_each_failure(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{200, "5", "[" A "," B "]"},
		{500, NULL, "No cluster leader"},
		{200, "7", "[" B "]"},
		{404, "8", ""},
		{0, NULL, NULL},
	};

	START(s, steps);
	watcher_expect_failure(s->loop, &s->w, "500");
	watcher_expect_failure(s->loop, &s->w, "empty");
	(void)fixture_run(s->loop, WATCHER_GRACE_MS + 500, NULL, NULL);
	assert_string_equal(s->w.set, "a:1 b:2");
	assert_int_equal(s->w.changes, 1);
}

static void after_an_error_the_query_does_not_block(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{200, "5", "[" A "]"}, {500, NULL, "x"}, {200, "2", "[" B "]"}, {0, NULL, NULL}};

	START(s, steps);
	watcher_expect(s->loop, &s->w, "b:2");
	assert_null(strstr(s->fake->requests[2], "index="));
}

static void index_that_goes_back_starts_anew(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{200, "50", "[" A "]"},
		{200, "3", "[" A "]"},
		{200, "4", "[" B "]"},
		{0, NULL, NULL},
	};

	START(s, steps);
	watcher_expect(s->loop, &s->w, "b:2");
	fake_wait(s->loop, s->fake, 4);
	assert_non_null(strstr(s->fake->requests[1], "&index=50&"));
	assert_null(strstr(s->fake->requests[2], "index="));
	assert_non_null(strstr(s->fake->requests[3], "&index=4&"));
}

/* A store that never blocks, whatever index it gives, is not asked in a busy loop. */
static void answers_at_once_are_paced(void **state)
{
	struct state *s = *state;
	static const char *const indexes[] = {
		NULL, "0", "1", "-1", "99999999999999999999999", "abc", ""};

	for (size_t i = 0; i < ARRAY_LEN(indexes); i++) {
		const struct step steps[] = {{200, indexes[i], "[" A "]"}};
		size_t before = s->fake->count;

		START(s, steps);
		watcher_expect(s->loop, &s->w, "a:1");
		(void)fixture_run(s->loop, 700, NULL, NULL);
		/* 25, 50, 100, 200, 400 ms at the least. */
		assert_in_range(s->fake->count - before, 2, 8);
		assert_int_equal(s->w.changes, 1);
		assert_int_equal(s->w.failures, 0);
		watcher_free(&s->w);
	}
}

static void huge_answers_are_refused(void **state)
{
	struct state *s = *state;
	size_t len = 10 * 1024 * 1024;
	CLEANUP_FREE char *body = xmalloc(len + 1);
	struct step steps[] = {
		{200, "5", "[" A "]"}, {200, "6", NULL}, {200, "7", "[" B "]"}, {0, NULL, NULL}};

	memset(body, ' ', len);
	body[0] = '[';
	body[len - 1] = ']';
	body[len] = '\0';
	steps[1].body = body;
	START(s, steps);
	watcher_expect(s->loop, &s->w, "a:1 b:2");
	assert_int_equal(s->w.failures, 1);
	assert_int_equal(s->w.err.code, ERR_TOO_LARGE);
	assert_int_equal(s->w.changes, 2);
}

static void too_many_nodes_are_refused(void **state)
{
	struct state *s = *state;
	CLEANUP_BUF struct buf body;
	struct step steps[] = {
		{200, "5", "[" A "]"}, {200, "6", NULL}, {200, "7", "[" B "]"}, {0, NULL, NULL}};

	buf_init(&body, 4 * 1024 * 1024);
	for (int i = 0; i < 16385; i++)
		buf_printf(
			&body, "%s{\"Key\":\"p/docker/swarm/nodes/n%d:1\"}", i > 0 ? "," : "[", i);
	buf_append_char(&body, ']');
	steps[1].body = buf_str(&body);
	START(s, steps);
	watcher_expect(s->loop, &s->w, "b:2");
	assert_int_equal(s->w.failures, 1);
	assert_int_equal(s->w.err.code, ERR_TOO_LARGE);
}

static void silence_ends_at_a_deadline(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{0, NULL, NULL}, {200, "5", "[" A "]"}, {0, NULL, NULL}};

	START(s, steps);
	watcher_expect(s->loop, &s->w, "a:1");
	assert_int_equal(s->w.failures, 1);
	assert_int_equal(s->w.err.code, ERR_TIMEOUT);
}

static void bad_entries_are_skipped(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {
		{200, "5",
			"[" A ","
			/* Malformed base64, a NUL, control characters: the key is the address. */
			"{\"Key\":\"p/docker/swarm/nodes/d:4\",\"Value\":\"Y*==\"},"
			"{\"Key\":\"p/docker/swarm/nodes/e:5\",\"Value\":\"ZToAOjU=\"},"
			"{\"Key\":\"p/docker/swarm/nodes/f:6\",\"Value\":\"Zg==Zg==\"},"
			"{\"Key\":\"p/docker/swarm/nodes/g:7\",\"Value\":7},"
			"{\"Key\":\"p/docker/swarm/nodes/h:8\",\"Value\":\"aDo4Cg==\"},"
			/* Value and key are both none. */
			"{\"Key\":\"p/docker/swarm/nodes/rubbish\",\"Value\":\"cnViYmlzaA==\"},"
			"{\"Key\":\"p/docker/swarm/nodes/10.0.0.[1:9]:2375\",\"Value\":\"\"},"
			"{\"Key\":\"p/docker/swarm/nodes/x:1\\r\\nY: z\",\"Value\":\"\"},"
			/* A store elsewhere must not point to files of this machine. */
			"{\"Key\":\"p/docker/swarm/nodes/s\","
			"\"Value\":\"dW5peDovLy9ydW4vYS5zb2Nr\"},"
			/* The value wins. */
			"{\"Key\":\"p/docker/swarm/nodes/k:1\",\"Value\":\"djox\"}]"},
		{0, NULL, NULL},
	};

	START(s, steps);
	watcher_expect(s->loop, &s->w, "a:1 d:4 e:5 f:6 g:7 h:8 v:1");
	assert_int_equal(s->w.failures, 0);
}

static void close_while_asking(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {{0, NULL, NULL}};

	for (int i = 0; i < 3; i++) {
		START(s, steps);
		if (i > 0)
			(void)fake_next(s->loop, s->fake);
		watcher_free(&s->w);
	}
}

static void client_gone_is_survived(void **state)
{
	struct state *s = *state;
	static const struct step steps[] = {{200, "5", "[" A "]"}, {0, NULL, NULL}};

	START(s, steps);
	watcher_expect(s->loop, &s->w, "a:1");
	/* The store dies while a query waits: nobody is lost, and the failure is told. */
	server_free(s->fake->server);
	s->fake->server = NULL;
	watcher_expect_failure(s->loop, &s->w, "consul discovery");
	watcher_expect_failure(s->loop, &s->w, "127.0.0.1");
	assert_int_equal(s->w.changes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(changes_are_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(paths_are_as_configured, setup, teardown),
		cmocka_unit_test_setup_teardown(older_layout_has_bare_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(hosts_are_tried_in_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(
			server_errors_move_on_to_the_next_host, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens_are_sent_and_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_urls_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_answers_keep_the_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nodes_that_return_after_an_outage_never_went, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nodes_that_do_not_return_go_after_the_grace, setup, teardown),
		cmocka_unit_test_setup_teardown(
			grace_begins_again_with_each_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(
			after_an_error_the_query_does_not_block, setup, teardown),
		cmocka_unit_test_setup_teardown(index_that_goes_back_starts_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(answers_at_once_are_paced, setup, teardown),
		cmocka_unit_test_setup_teardown(huge_answers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_nodes_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_ends_at_a_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_entries_are_skipped, setup, teardown),
		cmocka_unit_test_setup_teardown(close_while_asking, setup, teardown),
		cmocka_unit_test_setup_teardown(client_gone_is_survived, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
