/* token://, both sides: the client against the real token server in one loop, the server against
 * wrong requests, the client against wrong servers. */
#include "discovery/token_rate.h"
#include "discovery/token_server.h"
#include "discovery/token_store.h"
#include "lib/json.h"
#include "lib/log.h"
#include "tests/unit/discovery_fake.h"

#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#define HEARTBEAT_MS 50
#define UNKNOWN "0123456789abcdef0123456789abcdef"

struct state {
	struct loop *loop;
	struct client *client;
	char dir[64];
	struct token_server *server;
	uint16_t port;
	struct endpoint *endpoint;
	char token[TOKEN_STORE_ID_LEN + 1];
	struct str_list options;
	struct watcher w;
	/* An answer. */
	bool is_answered;
	int status;
	char *body;
	char *allow;
	char *retry_after;
	struct err err;
	/* Beats. */
	unsigned good, bad, more_than;
	bool is_withdrawn;
};

/* ---- Harness ---- */

/* A server that was ended keeps the folder until the disk has done what it was told. */
static bool server_starts(void *arg)
{
	struct state *s = arg;
	CLEANUP_STR_LIST struct str_list listen = {0};
	struct token_server_config config = {.listen = &listen, .data_dir = s->dir};

	s->err = (struct err)ERR_INIT;
	str_list_add_take(&listen, xasprintf("127.0.0.1:%u", s->port));
	s->server = token_server_new(s->loop, env_system(), &config, &s->err);
	return s->server != NULL || s->err.code != ERR_CONFLICT;
}

static void server_start(struct state *s)
{
	if (!fixture_run(s->loop, FIXTURE_DEADLINE_MS, server_starts, s) || s->server == NULL)
		fail_msg("%s", s->err.msg);
	s->port = token_server_port(s->server, 0);
}

static int setup(void **state)
{
	struct state *s = xcalloc(1, sizeof(*s));
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};

	log_set_level(LOG_LEVEL_FATAL);
	s->loop = loop_new();
	s->client = client_new(s->loop);
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/swarm-test-token-XXXXXX");
	if (mkdtemp(s->dir) == NULL)
		return -1;
	server_start(s);
	addr.port = s->port;
	s->endpoint = endpoint_new(s->client, &addr, NULL);
	str_list_add(&s->options, "token.scheme=http");
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

	watcher_free(&s->w);
	token_server_free(s->server);
	endpoint_free(s->endpoint);
	client_free(s->client);
	loop_free(s->loop);
	remove_all(s->dir);
	str_list_free(&s->options);
	free(s->body);
	free(s->allow);
	free(s->retry_after);
	free(s);
	return 0;
}

static void answered(void *arg, const struct reply *reply, const struct err *err)
{
	struct state *s = arg;
	const char *allow = NULL;

	s->is_answered = true;
	if (err != NULL) {
		s->err = *err;
		return;
	}
	s->status = reply->status;
	s->body = xstrndup(reply->body, reply->body_len);
	/* JSON ends with a newline; tokens must not. */
	if (str_has_prefix(s->body, "["))
		s->body[strcspn(s->body, "\n")] = '\0';
	allow = http_headers_get(reply->headers, "Allow");
	s->allow = allow != NULL ? xstrdup(allow) : NULL;
	allow = http_headers_get(reply->headers, "Retry-After");
	s->retry_after = allow != NULL ? xstrdup(allow) : NULL;
}

static bool is_answered(void *arg)
{
	return ((struct state *)arg)->is_answered;
}

/* Asks the server; the status is in s->status, the body in s->body. */
static int ask(struct state *s, const char *method, const char *target, const char *body)
{
	struct call_request request = {
		.method = method,
		.target = target,
		.body = body,
		.body_len = body != NULL ? strlen(body) : 0,
		.total_timeout_ms = FIXTURE_DEADLINE_MS,
	};

	s->is_answered = false;
	free(TAKE_PTR(s->body));
	free(TAKE_PTR(s->allow));
	free(TAKE_PTR(s->retry_after));
	(void)call_collect(s->endpoint, &request, 1024 * 1024, answered, s);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_answered, s));
	if (s->body == NULL)
		fail_msg("%s %s: %s", method, target, s->err.msg);
	return s->status;
}

static void created(void *arg, const char *token, const struct err *err)
{
	struct state *s = arg;

	s->is_answered = true;
	s->token[0] = '\0';
	if (err != NULL)
		s->err = *err;
	else
		(void)snprintf(s->token, sizeof(s->token), "%s", token);
}

static void create(struct state *s, const char *form)
{
	CLEANUP_FREE char *url = xasprintf("%s127.0.0.1:%u", form, s->port);
	struct err err = ERR_INIT;

	s->is_answered = false;
	if (discovery_create_token(s->client, url, &s->options, created, s, &err) == NULL)
		fail_msg("%s", err.msg);
	assert_false(s->is_answered);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_answered, s));
	assert_int_equal(strlen(s->token), TOKEN_STORE_ID_LEN);
}

/* "/clusters/TOKEN" and what follows. */
static const char *at(struct state *s, const char *rest)
{
	static char target[256];

	(void)snprintf(target, sizeof(target), "/clusters/%s%s", s->token, rest);
	return target;
}

static char *token_url(struct state *s)
{
	return xasprintf("token://127.0.0.1:%u/%s", s->port, s->token);
}

/* ---- The server ---- */

static void tokens_of_an_address_are_bounded(void **state)
{
	struct state *s = *state;
	long long wait = 0;

	create(s, "http://");
	for (int i = 1; i < TOKEN_RATE_PER_ADDRESS; i++)
		assert_int_equal(ask(s, "POST", "/clusters", NULL), 200);
	assert_int_equal(ask(s, "POST", "/clusters", NULL), 429);
	assert_non_null(s->retry_after);
	assert_int_equal(str_to_int(s->retry_after, 1, 60, &wait, "Retry-After", NULL), 0);
	/* Those that are there are served. */
	assert_int_equal(ask(s, "POST", at(s, ""), "a:1"), 200);
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 200);
	assert_string_equal(s->body, "[\"a:1\"]");
}

static void rates_are_by_address(void **state)
{
	struct token_rate *rate = token_rate_new();
	uint64_t now = 5000000;

	(void)state;
	for (int i = 0; i < TOKEN_RATE_PER_ADDRESS; i++)
		assert_int_equal(token_rate_take(rate, "10.0.0.1:1234", now), 0);
	assert_int_equal(token_rate_take(rate, "10.0.0.1:4321", now), 60);
	assert_int_equal(token_rate_take(rate, "[::ffff:10.0.0.1]:1", now + 30500), 30);
	assert_int_equal(token_rate_take(rate, "10.0.0.2:1234", now), 0);
	/* A host has a whole network of IPv6 addresses. */
	for (int i = 0; i < TOKEN_RATE_PER_ADDRESS; i++) {
		CLEANUP_FREE char *peer = xasprintf("[2001:db8::%x:1]:80", i);

		assert_int_equal(token_rate_take(rate, peer, now + 2000), 0);
	}
	assert_int_equal(token_rate_take(rate, "[2001:db8::ffff]:80", now + 2000), 60);
	assert_int_equal(token_rate_take(rate, "[2001:db8:0:1::1]:80", now + 2000), 0);
	assert_int_equal(token_rate_take(rate, "10.0.0.1:1", now + TOKEN_RATE_WINDOW_MS), 0);
	token_rate_free(rate);
}

static void rates_are_bounded_in_all(void **state)
{
	struct token_rate *rate = token_rate_new();
	uint64_t now = 5000000;

	(void)state;
	for (int i = 0; i < TOKEN_RATE_ALL; i++) {
		CLEANUP_FREE char *peer = xasprintf("10.0.0.%d:80", i);

		assert_int_equal(token_rate_take(rate, peer, now), 0);
	}
	assert_int_equal(token_rate_take(rate, "10.0.1.1:80", now + 999), 1);
	assert_int_equal(token_rate_take(rate, "10.0.1.1:80", now + 1000), 0);
	token_rate_free(rate);
}

static void tokens_are_made(void **state)
{
	struct state *s = *state;
	char first[TOKEN_STORE_ID_LEN + 1];

	create(s, "token://");
	memcpy(first, s->token, sizeof(first));
	create(s, "http://");
	assert_string_not_equal(s->token, first);
	create(s, "");
	assert_true(str_is_hex(s->token, TOKEN_STORE_ID_LEN));
	/* Old clients take the whole body as the token. */
	assert_int_equal(ask(s, "POST", "/clusters", NULL), 200);
	assert_int_equal(strlen(s->body), TOKEN_STORE_ID_LEN);
	assert_int_equal(ask(s, "POST", "/v1/clusters", ""), 200);
	assert_int_equal(strlen(s->body), TOKEN_STORE_ID_LEN);
}

static void addresses_come_and_go(void **state)
{
	struct state *s = *state;

	create(s, "token://");
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 200);
	assert_string_equal(s->body, "[]");
	assert_int_equal(ask(s, "POST", at(s, "?ttl=60"), "b:2"), 200);
	assert_int_equal(ask(s, "POST", at(s, ""), " [::1]:3\r\n"), 200);
	assert_int_equal(ask(s, "POST", at(s, "?x=y&ttl=86400"), "a:1"), 200);
	assert_int_equal(ask(s, "POST", at(s, "?ttl=60"), "b:2"), 200);
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 200);
	assert_string_equal(s->body, "[\"[::1]:3\",\"a:1\",\"b:2\"]");
	assert_int_equal(ask(s, "DELETE", at(s, "/%5B%3A%3A1%5D%3A3"), NULL), 204);
	assert_int_equal(ask(s, "DELETE", at(s, "/a:1"), NULL), 204);
	assert_int_equal(ask(s, "DELETE", at(s, "/a:1"), NULL), 404);
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 200);
	assert_string_equal(s->body, "[\"b:2\"]");
	assert_int_equal(ask(s, "DELETE", at(s, ""), NULL), 204);
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 404);
	assert_int_equal(ask(s, "POST", at(s, ""), "a:1"), 404);
}

static void bad_requests_are_refused(void **state)
{
	struct state *s = *state;
	static const char *const bodies[] = {"", "a", "a:0", "a:65536", "a:1 b:2", "a:1\nb:2",
		"http://a:1", "a/b:1", "10.0.0.[1:9]:1", "{\"a\":1}", "\x01:1"};
	static const char *const ttls[] = {"?ttl=0", "?ttl=-1", "?ttl=86401", "?ttl=1.5",
		"?ttl=", "?ttl=x", "?ttl=99999999999999999999"};
	static const char *const pages[] = {"/", "/clusters/" UNKNOWN "x", "/clusters/x",
		"/clustersx", "/clusters/../../etc/passwd", "/clusters/%2e%2e/x", "/v2/clusters",
		"/clusters/0123456789ABCDEF0123456789ABCDEF", "/clusters//",
		"/clusters/" UNKNOWN "/a:1"};

	create(s, "token://");
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		if (ask(s, "POST", at(s, ""), bodies[i]) != 400)
			fail_msg("'%s': %d", bodies[i], s->status);
	for (size_t i = 0; i < ARRAY_LEN(ttls); i++)
		if (ask(s, "POST", at(s, ttls[i]), "a:1") != 400)
			fail_msg("'%s': %d", ttls[i], s->status);
	for (size_t i = 0; i < ARRAY_LEN(pages); i++)
		if (ask(s, "DELETE", pages[i], NULL) != 404)
			fail_msg("'%s': %d", pages[i], s->status);
	assert_int_equal(ask(s, "GET", "/clusters/" UNKNOWN, NULL), 404);
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 200);
	assert_string_equal(s->body, "[]");
}

static void wrong_methods_are_refused(void **state)
{
	struct state *s = *state;

	create(s, "token://");
	assert_int_equal(ask(s, "GET", "/clusters", NULL), 405);
	assert_string_equal(s->allow, "POST");
	assert_int_equal(ask(s, "PUT", at(s, ""), "a:1"), 405);
	assert_string_equal(s->allow, "GET, HEAD, POST, DELETE");
	assert_int_equal(ask(s, "GET", at(s, "/a:1"), NULL), 405);
	assert_string_equal(s->allow, "DELETE");
}

static void large_bodies_are_refused(void **state)
{
	struct state *s = *state;
	char body[4096];

	memset(body, 'a', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	create(s, "token://");
	assert_int_equal(ask(s, "POST", at(s, ""), body), 413);
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 200);
}

static void everything_survives_a_restart(void **state)
{
	struct state *s = *state;

	create(s, "token://");
	assert_int_equal(ask(s, "POST", at(s, "?ttl=60"), "a:1"), 200);
	token_server_free(TAKE_PTR(s->server));
	server_start(s);
	assert_int_equal(ask(s, "GET", at(s, ""), NULL), 200);
	assert_string_equal(s->body, "[\"a:1\"]");
}

static void ended_while_waiting_for_the_disk(void **state)
{
	struct state *s = *state;
	struct call_request request = {.method = "POST", .target = "/clusters"};

	for (int i = 0; i < 10; i++) {
		struct call *call = call_collect(s->endpoint, &request, 1024, answered, s);

		/* The client goes away at some moment, then the server does. */
		s->is_answered = false;
		(void)fixture_run(s->loop, (uint64_t)i % 5, is_answered, s);
		if (!s->is_answered)
			call_cancel(call);
		free(TAKE_PTR(s->body));
		if (i >= 5) {
			token_server_free(TAKE_PTR(s->server));
			server_start(s);
		}
	}
}

static void server_configuration_is_checked(void **state)
{
	struct state *s = *state;
	CLEANUP_STR_LIST struct str_list listen = {0};
	CLEANUP_FREE char *other = xasprintf("%s/other", s->dir);
	struct tls_config tls = {.cert_file = "/nonexistent/cert", .key_file = "/nonexistent/key"};
	struct token_server_config config = {.listen = &listen, .data_dir = other};
	struct err err = ERR_INIT;

	assert_null(token_server_new(s->loop, env_system(), &config, &err));
	assert_int_equal(err.code, ERR_INVALID);
	str_list_add(&listen, "127.0.0.1:99999");
	assert_null(token_server_new(s->loop, env_system(), &config, &err));
	assert_int_equal(err.code, ERR_INVALID);
	str_list_free(&listen);
	str_list_add_take(&listen, xasprintf("127.0.0.1:%u", s->port));
	assert_null(token_server_new(s->loop, env_system(), &config, &err));
	config.tls = &tls;
	assert_null(token_server_new(s->loop, env_system(), &config, &err));
	assert_non_null(strstr(err.msg, "/nonexistent/"));
	config.tls = NULL;
	config.data_dir = s->dir;
	assert_null(token_server_new(s->loop, env_system(), &config, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
}

/* ---- The client and the server ---- */

static void told(const struct err *err, void *arg)
{
	struct state *s = arg;

	if (err == NULL) {
		s->good++;
	} else {
		s->bad++;
		s->err = *err;
	}
}

static void withdrawn(const struct err *err, void *arg)
{
	struct state *s = arg;

	s->is_withdrawn = true;
	s->err = err != NULL ? *err : (struct err)ERR_INIT;
}

static bool has_more_beats(void *arg)
{
	struct state *s = arg;

	return s->good > s->more_than;
}

static bool has_more_bad(void *arg)
{
	struct state *s = arg;

	return s->bad > s->more_than;
}

static bool is_withdrawn(void *arg)
{
	return ((struct state *)arg)->is_withdrawn;
}

static void withdraw(struct state *s)
{
	s->is_withdrawn = false;
	discovery_withdraw(s->w.discovery, withdrawn, s);
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_withdrawn, s));
}

static void agents_and_managers_meet(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *url = NULL;
	struct err err = ERR_INIT;

	create(s, "token://");
	url = token_url(s);
	watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, &s->options);
	watcher_expect(s->loop, &s->w, "");
	assert_int_equal(discovery_publish(s->w.discovery, "[::1]:2375", told, s, &err), 0);
	watcher_expect(s->loop, &s->w, "[::1]:2375");
	assert_int_equal(ask(s, "POST", at(s, ""), "b:2"), 200);
	watcher_expect(s->loop, &s->w, "[::1]:2375 b:2");
	/* The server dies and comes back. */
	token_server_free(TAKE_PTR(s->server));
	s->more_than = s->bad;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, has_more_bad, s));
	server_start(s);
	s->more_than = s->good;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, has_more_beats, s));
	assert_int_equal(s->w.changes, 3);
	assert_string_equal(s->w.set, "[::1]:2375 b:2");
	withdraw(s);
	assert_int_equal(s->err.code, ERR_NONE);
	watcher_expect(s->loop, &s->w, "b:2");
	/* No error gave the token away. */
	assert_null(strstr(s->w.err.msg, s->token));
}

static void removed_token_keeps_the_nodes(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *url = NULL;

	create(s, "token://");
	url = token_url(s);
	assert_int_equal(ask(s, "POST", at(s, ""), "a:1"), 200);
	watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, &s->options);
	watcher_expect(s->loop, &s->w, "a:1");
	assert_int_equal(ask(s, "DELETE", at(s, ""), NULL), 204);
	watcher_expect_failure(s->loop, &s->w, "404");
	assert_int_equal(s->w.changes, 1);
	assert_null(strstr(s->w.err.msg, s->token));
}

/* ---- The client and wrong servers ---- */

struct wrong {
	int status;
	const char *body;
};

static void answer_wrong(struct fake *fake, struct exchange *x, const char *body)
{
	const struct wrong *wrong = fake->arg;

	(void)body;
	fake_reply(x, wrong->status, NULL, wrong->body);
}

static void wrong_lists_are_failures(void **state)
{
	struct state *s = *state;
	static const struct {
		struct wrong wrong;
		const char *text;
	} cases[] = {
		{{200, "[\"a:1\""}, "list of nodes"},
		{{200, "{\"a:1\":1}"}, "not a JSON array"},
		{{200, ""}, "list of nodes"},
		{{302, "https://elsewhere"}, "302"},
		{{500, "broken"}, "500: broken"},
		{{404, "no"}, "404"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wrong wrong = cases[i].wrong;
		struct fake *fake = fake_new(s->loop, answer_wrong, &wrong);
		CLEANUP_FREE char *url =
			xasprintf("token://127.0.0.1:%u/deep/path/abc", fake->port);

		watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, &s->options);
		watcher_expect_failure(s->loop, &s->w, cases[i].text);
		assert_int_equal(s->w.changes, 0);
		assert_string_equal(fake->requests[0], "GET /deep/path/clusters/abc");
		watcher_free(&s->w);
		fake_free(fake);
	}
}

static void odd_entries_are_skipped(void **state)
{
	struct state *s = *state;
	struct wrong wrong = {200, "[\"a:1\",7,null,[\"b:2\"],\"\",\"c\",\"d:4\\n\",\"e:5\"]"};
	struct fake *fake = fake_new(s->loop, answer_wrong, &wrong);
	CLEANUP_FREE char *url = xasprintf("token://127.0.0.1:%u/abc", fake->port);

	watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, &s->options);
	watcher_expect(s->loop, &s->w, "a:1 e:5");
	wrong.body = "null";
	watcher_expect_failure(s->loop, &s->w, "empty");
	assert_int_equal(s->w.changes, 1);
	watcher_free(&s->w);
	fake_free(fake);
}

static void servers_without_removal_are_told(void **state)
{
	struct state *s = *state;
	struct wrong wrong = {200, ""};
	struct fake *fake = fake_new(s->loop, answer_wrong, &wrong);
	CLEANUP_FREE char *url = xasprintf("token://127.0.0.1:%u/x/abc", fake->port);
	struct discovery_config config = {
		.url = url, .heartbeat_ms = 1000, .ttl_ms = 90 * 1000, .options = &s->options};

	s->w.discovery = discovery_open(s->loop, env_system(), s->client, &config, NULL);
	assert_int_equal(discovery_publish(s->w.discovery, "[::1]:1", told, s, NULL), 0);
	s->more_than = 0;
	assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, has_more_beats, s));
	assert_string_equal(fake->requests[0], "POST /x/clusters/abc?ttl=90");
	wrong.status = 405;
	withdraw(s);
	assert_int_equal(s->err.code, ERR_UNSUPPORTED);
	assert_string_equal(
		fake->requests[fake->count - 1], "DELETE /x/clusters/abc/%5B%3A%3A1%5D%3A1");
	watcher_free(&s->w);
	fake_free(fake);
}

static void wrong_tokens_are_refused(void **state)
{
	struct state *s = *state;
	static const struct wrong cases[] = {{200, ""}, {200, "two words"}, {200, "a/b"},
		{200, "../x"}, {200, "<html>"}, {404, UNKNOWN}, {500, UNKNOWN}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wrong wrong = cases[i];
		struct fake *fake = fake_new(s->loop, answer_wrong, &wrong);
		CLEANUP_FREE char *url = xasprintf("http://127.0.0.1:%u/v1", fake->port);

		s->is_answered = false;
		assert_non_null(discovery_create_token(s->client, url, NULL, created, s, NULL));
		assert_true(fixture_run(s->loop, FIXTURE_DEADLINE_MS, is_answered, s));
		assert_string_equal(s->token, "");
		assert_non_null(strstr(s->err.msg, "token server"));
		assert_string_equal(fake->requests[0], "POST /v1/clusters");
		fake_free(fake);
	}
}

static void bad_urls_are_refused(void **state)
{
	struct state *s = *state;
	struct err err = ERR_INIT;
	static const char *const create_urls[] = {"", "token://", "https://", "ftp://a/b",
		"consul://a:1/x", "token://a:0/x", "token://a b/x", "token://u@a/x"};

	expect_refused(s->loop, s->client, "token://0123456789abcdef", NULL, ERR_INVALID,
		"no public token server any more");
	expect_refused(s->loop, s->client, "token://0123456789abcdef", NULL, ERR_INVALID,
		"token://host[:port]/path/TOKEN");
	expect_refused(s->loop, s->client, "token:///abc", NULL, ERR_INVALID, "no public");
	expect_refused(s->loop, s->client, "token://host/", NULL, ERR_INVALID, "no valid token");
	expect_refused(s->loop, s->client, "token://host/a b", NULL, ERR_INVALID, "no valid");
	expect_refused(s->loop, s->client, "token://host:0/abc", NULL, ERR_INVALID, "host:0");
	expect_refused(s->loop, s->client, "token://host,b/abc", NULL, ERR_INVALID, "expected");
	expect_refused(s->loop, s->client, "token://host/abc", "token.scheme=ftp", ERR_USAGE,
		"http or https");
	expect_refused(s->loop, s->client, "token://host/abc", "token.keyfile=/x", ERR_USAGE,
		"token.certfile");
	for (size_t i = 0; i < ARRAY_LEN(create_urls); i++) {
		err.code = ERR_NONE;
		assert_null(
			discovery_create_token(s->client, create_urls[i], NULL, created, s, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void https_is_the_default(void **state)
{
	struct state *s = *state;
	CLEANUP_FREE char *url = NULL;

	create(s, "token://");
	url = token_url(s);
	/* The server here speaks plain HTTP: a TLS handshake with it fails. */
	watcher_start(&s->w, s->loop, s->client, url, HEARTBEAT_MS, NULL);
	watcher_expect_failure(s->loop, &s->w, "token discovery");
	assert_int_equal(s->w.changes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tokens_are_made, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens_of_an_address_are_bounded, setup, teardown),
		cmocka_unit_test(rates_are_by_address),
		cmocka_unit_test(rates_are_bounded_in_all),
		cmocka_unit_test_setup_teardown(addresses_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_requests_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_methods_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(large_bodies_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(everything_survives_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(ended_while_waiting_for_the_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(server_configuration_is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(agents_and_managers_meet, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_token_keeps_the_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_lists_are_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_entries_are_skipped, setup, teardown),
		cmocka_unit_test_setup_teardown(servers_without_removal_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_tokens_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_urls_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(https_is_the_default, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
