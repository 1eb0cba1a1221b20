/* Web pages at a server's doors: which requests reach the handler behind the guard. */
#include "http/server.h"
#include "http/web.h"
#include "tests/unit/http_fixture.h"

#include "lib/mem.h"

#include <sys/un.h>

struct world {
	struct fixture f;
	struct handler inner;
	struct handler *guard;
	struct server *server;
	struct str_list origins, host_names;
	char folder[32];
	struct sockaddr_un un;
};

/* Ports by the order of listening. */
enum { LOOPBACK, ANY };

static void answer(struct handler *h, struct exchange *x)
{
	(void)h;
	exchange_reply_error(x, 200, "served");
}

static void free_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops inner_ops = {
	.name = "inner",
	.handle = answer,
	.free = free_nothing,
};

static void listen_at(struct world *w, const char *text)
{
	struct addr addr = {0};
	assert_int_equal(addr_parse(text, 0, &addr, NULL), 0);
	assert_int_equal(server_listen(w->server, &addr, NULL, NULL), 0);
	addr_free(&addr);
}

static int start(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	str_list_add(&w->origins, "https://ui.example.com");
	str_list_add(&w->host_names, "swarm.example.com");
	struct web_rules rules = {.origins = &w->origins, .host_names = &w->host_names};
	w->f.loop = loop_new();
	w->inner.ops = &inner_ops;
	w->guard = web_guard_new(&rules, &w->inner);
	w->server = server_new(w->f.loop, w->guard, NULL);
	listen_at(w, "tcp://127.0.0.1:0");
	listen_at(w, "tcp://0.0.0.0:0");
	memcpy(w->folder, "/tmp/test_http_web.XXXXXX", sizeof("/tmp/test_http_web.XXXXXX"));
	assert_non_null(mkdtemp(w->folder));
	w->un.sun_family = AF_UNIX;
	snprintf(w->un.sun_path, sizeof(w->un.sun_path), "%s/sock", w->folder);
	CLEANUP_FREE char *text = xasprintf("unix://%s", w->un.sun_path);
	listen_at(w, text);
	*state = w;
	return 0;
}

static int stop(void **state)
{
	struct world *w = *state;
	server_free(w->server);
	handler_free(w->guard);
	loop_free(w->f.loop);
	rmdir(w->folder);
	str_list_free(&w->origins);
	str_list_free(&w->host_names);
	free(w);
	return 0;
}

static void ask(struct world *w, struct raw *raw, const char *headers, const char *status)
{
	CLEANUP_FREE char *head = xasprintf("POST /build HTTP/1.1\r\n%s\r\n", headers);
	CLEANUP_FREE char *line = xasprintf("HTTP/1.1 %s ", status);
	raw_send(raw, head);
	raw_expect(&w->f, raw, line);
	raw_close(&w->f, raw);
}

static void expect_at(struct world *w, size_t listener, const char *headers, const char *status)
{
	struct raw raw;
	raw_connect(&w->f, &raw, server_port(w->server, listener));
	ask(w, &raw, headers, status);
}

static void expect_at_unix(struct world *w, const char *headers, const char *status)
{
	struct raw raw;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&w->un, sizeof(w->un)), 0);
	raw_init(&w->f, &raw, fd);
	ask(w, &raw, headers, status);
}

static void loopback_is_called_by_known_names(void **state)
{
	struct world *w = *state;
	char own[256] = "";
	assert_int_equal(gethostname(own, sizeof(own) - 1), 0);
	CLEANUP_FREE char *by_own_name = xasprintf("Host: %s:2375\r\n", own);
	expect_at(w, LOOPBACK, by_own_name, "200");
	expect_at(w, LOOPBACK, "Host: 127.0.0.1:2375\r\n", "200");
	expect_at(w, LOOPBACK, "Host: 192.0.2.1\r\n", "200");
	expect_at(w, LOOPBACK, "Host: [::1]:2375\r\n", "200");
	expect_at(w, LOOPBACK, "Host: LocalHost\r\n", "200");
	expect_at(w, LOOPBACK, "Host: swarm.Example.com:80\r\n", "200");
	expect_at(w, LOOPBACK, "Host: docker\r\n", "200");
	expect_at(w, LOOPBACK, "Host: \r\n", "200");
	expect_at(w, LOOPBACK, "Host: api.moby.localhost\r\n", "200");
	expect_at(w, LOOPBACK, "Host: evil.\r\n", "421");
	expect_at(w, LOOPBACK, "Host: evil.example\r\n", "421");
	expect_at(w, LOOPBACK, "Host: evil.example:2375\r\n", "421");
	expect_at(w, LOOPBACK, "Host: localhost.evil.example\r\n", "421");
	expect_at(w, LOOPBACK, "Host: 127.0.0.1.evil.example\r\n", "421");
	expect_at(w, LOOPBACK, "Host: .localhost\r\n", "421");
	expect_at(w, LOOPBACK, "Host: localhost.evil\r\n", "421");
}

static void names_count_nowhere_else(void **state)
{
	struct world *w = *state;
	expect_at(w, ANY, "Host: any.name.example\r\n", "200");
	expect_at_unix(w, "Host: %2Fvar%2Frun%2Fdocker.sock\r\n", "200");
	expect_at_unix(w, "Host: docker\r\n", "200");
	expect_at_unix(w, "Host: \r\n", "200");
}

static void foreign_pages_are_refused_everywhere(void **state)
{
	static const char *const bad[] = {
		"Host: 127.0.0.1\r\nOrigin: https://evil.example\r\n",
		"Host: 127.0.0.1\r\norigin: null\r\n",
		"Host: 127.0.0.1\r\nOrigin: \r\n",
		"Host: 127.0.0.1\r\nOrigin: http://127.0.0.1:8080\r\n",
		"Host: 127.0.0.1\r\nOrigin: https://ui.example.com.evil.example\r\n",
		"Host: 127.0.0.1\r\nOrigin: https://ui.example.com\r\nOrigin: "
		"https://evil.example\r\n",
		"Host: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n",
		"Host: 127.0.0.1\r\nSec-Fetch-Site: same-site\r\n",
		"Host: 127.0.0.1\r\nSec-Fetch-Site: none\r\nSec-Fetch-Site: Cross-Site\r\n",
		"Host: 127.0.0.1\r\nOrigin: https://evil.example\r\nConnection: Upgrade\r\n"
		"Upgrade: websocket\r\n",
	};
	struct world *w = *state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		expect_at(w, LOOPBACK, bad[i], "403");
		expect_at(w, ANY, bad[i], "403");
		expect_at_unix(w, bad[i], "403");
	}
	/* A name that somebody else may have pointed here makes no origin ours. */
	expect_at(w, ANY, "Host: evil.example\r\nOrigin: http://evil.example\r\n", "403");
}

static void allowed_pages_and_programs_are_served(void **state)
{
	static const char *const good[] = {
		"Host: 127.0.0.1\r\nOrigin: https://ui.example.com\r\n",
		("Host: 127.0.0.1\r\nOrigin: https://ui.example.com\r\n"
		 "Sec-Fetch-Site: cross-site\r\n"),
		"Host: 127.0.0.1:2375\r\nOrigin: http://127.0.0.1:2375\r\n",
		"Host: 127.0.0.1\r\nSec-Fetch-Site: none\r\n",
		"Host: 127.0.0.1\r\nSec-Fetch-Site: same-origin\r\n",
	};
	struct world *w = *state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		expect_at(w, LOOPBACK, good[i], "200");
}

static void origins_are_given_as_browsers_send_them(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	assert_int_equal(web_check_origin("https://ui.example.com:8443", &err), 0);
	assert_int_equal(web_check_origin("null", &err), 0);
	assert_int_equal(web_check_origin("https://ui.example.com/", &err), -1);
	assert_non_null(strstr(err.msg, "--origin https://ui.example.com/"));
	assert_int_equal(err.code, ERR_USAGE);
	assert_int_equal(web_check_origin("ui.example.com", &err), -1);
	assert_int_equal(web_check_origin("*", &err), -1);
	assert_int_equal(web_check_origin("https://", &err), -1);
}

int main(void)
{
#define SERVED(test) cmocka_unit_test_setup_teardown(test, start, stop)
	const struct CMUnitTest tests[] = {
		SERVED(loopback_is_called_by_known_names),
		SERVED(names_count_nowhere_else),
		SERVED(foreign_pages_are_refused_everywhere),
		SERVED(allowed_pages_and_programs_are_served),
		cmocka_unit_test(origins_are_given_as_browsers_send_them),
	};
	return cmocka_run_group_tests_name("http_web", tests, NULL, NULL);
}
