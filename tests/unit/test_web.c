/* The operators' listener, over real sockets in the loop; the cluster is played. The text of the
 * metrics is read as Prometheus reads it. */
#include "cluster/cluster.h"
#include "lib/log.h"
#include "lib/metrics.h"
#include "lib/str.h"
#include "tests/unit/cmocka_all.h"
#include "web/web_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DEADLINE_MS 60000

struct node {
	enum node_state state;
};

static struct node played[] = {{NODE_HEALTHY}, {NODE_HEALTHY}, {NODE_PENDING}};
static struct node *played_nodes[] = {&played[0], &played[1], &played[2]};

struct node *const *cluster_nodes(const struct cluster *cluster, size_t *len)
{
	(void)cluster;
	*len = ARRAY_LEN(played_nodes);
	return played_nodes;
}

void cluster_totals(const struct cluster *cluster, struct cluster_totals *out)
{
	(void)cluster;
	*out = (struct cluster_totals){.containers = 6, .running = 3, .paused = 1, .stopped = 2};
}

enum node_state node_state(const struct node *node)
{
	return node->state;
}

const char *node_state_name(enum node_state state)
{
	static const char *const names[] = {"Pending", "Healthy", "Unhealthy", "Disconnected"};

	return names[state];
}

/* ---- Harness ---- */

struct state {
	struct loop *loop;
	struct web_config config;
	struct web *web;
	const char *why; /* not ready */
	/* A client. */
	int fd;
	struct buf answer;
	bool has_ended, is_late;
};

static const char *unready(void *arg)
{
	return ((struct state *)arg)->why;
}

static void listen_at(struct state *s, const char *address)
{
	struct err err = ERR_INIT;

	s->config.address = address;
	s->web = web_new(s->loop, &s->config, &err);
	if (s->web == NULL)
		fail_msg("%s", err.msg);
}

static int setup(void **state)
{
	struct state *s = xcalloc(1, sizeof(*s));

	log_set_level(LOG_LEVEL_FATAL);
	s->loop = loop_new();
	s->config = (struct web_config){
		.version = "1.2\"\\\n3", .cluster = NULL, .unready = unready, .arg = s};
	buf_init(&s->answer, 1024 * 1024);
	s->fd = -1;
	listen_at(s, "tcp://127.0.0.1:0");
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct state *s = *state;

	web_free(s->web);
	mem_cleanup_fd(&s->fd);
	buf_reset(&s->answer);
	loop_free(s->loop);
	free(s);
	return 0;
}

static void call_to(struct state *s, const struct sockaddr *address, socklen_t len)
{
	mem_cleanup_fd(&s->fd);
	s->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_not_equal(s->fd, -1);
	assert_int_equal(connect(s->fd, address, len), 0);
	buf_reset(&s->answer);
	buf_init(&s->answer, 1024 * 1024);
	s->has_ended = false;
}

static void call_tcp(struct state *s)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
		.sin_port = htons(web_port(s->web)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	call_to(s, (struct sockaddr *)&in, sizeof(in));
}

static void on_answer(unsigned events, void *arg)
{
	struct state *s = arg;
	char data[4096];
	ssize_t len = recv(s->fd, data, sizeof(data), 0);

	(void)events;
	if (len > 0)
		(void)buf_append(&s->answer, data, (size_t)len);
	else
		s->has_ended = true;
	if (s->has_ended)
		loop_stop(s->loop);
}

static void on_deadline(void *arg)
{
	struct state *s = arg;

	s->is_late = true;
	loop_stop(s->loop);
}

/* Runs until the server closes the connection. */
static void wait_end(struct state *s)
{
	struct loop_watch *watch = loop_watch_new(s->loop, s->fd, on_answer, s);
	struct loop_timer *timer = loop_timer_new(s->loop, on_deadline, s);

	loop_watch_set(watch, LOOP_READ);
	loop_timer_start(timer, DEADLINE_MS);
	loop_run(s->loop);
	loop_watch_free(watch);
	loop_timer_free(timer);
	assert_false(s->is_late);
}

/* The status; the whole answer is in s->answer. */
static int ask(struct state *s, const char *request)
{
	int status = 0;

	call_tcp(s);
	assert_int_equal(send(s->fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	wait_end(s);
	assert_int_equal(sscanf(buf_str(&s->answer), "HTTP/1.1 %d", &status), 1);
	return status;
}

static int get(struct state *s, const char *path)
{
	CLEANUP_FREE char *request =
		xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);

	return ask(s, request);
}

static const char *body(struct state *s)
{
	const char *end = strstr(buf_str(&s->answer), "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

/* ---- Pages ---- */

static void pages_are_served(void **state)
{
	struct state *s = *state;

	assert_int_equal(get(s, "/health"), 200);
	assert_string_equal(body(s), "ok\n");
	assert_int_equal(get(s, "/ready"), 200);
	s->why = "discovery has not answered yet";
	assert_int_equal(get(s, "/ready"), 503);
	assert_string_equal(body(s), "discovery has not answered yet\n");
	assert_int_equal(get(s, "/health"), 200);
	assert_int_equal(get(s, "/metrics"), 200);
	assert_non_null(strstr(
		buf_str(&s->answer), "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	assert_int_equal(get(s, "/"), 404);
	assert_int_equal(get(s, "/metrics/../health"), 404);
	assert_int_equal(get(s, "/health?x=1"), 200);
}

static void only_reading_is_served(void **state)
{
	struct state *s = *state;

	assert_int_equal(
		ask(s, "HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 200);
	assert_string_equal(body(s), "");
	assert_non_null(strstr(buf_str(&s->answer), "Content-Length: 3\r\n"));
	assert_int_equal(ask(s, "POST /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
				"Content-Length: 5\r\n\r\nhello"),
		405);
	assert_non_null(strstr(buf_str(&s->answer), "Allow: GET, HEAD\r\n"));
	assert_int_equal(
		ask(s, "DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 405);
}

/* Several requests on one connection; then silence, which ends it. */
static void idle_connections_are_ended(void **state)
{
	struct state *s = *state;
	static const char request[] = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
				      "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"
				      "GET /hea";

	call_tcp(s);
	assert_int_equal(
		send(s->fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	wait_end(s);
	assert_non_null(strstr(buf_str(&s->answer), "\r\n\r\nok\n"));
	assert_non_null(strstr(buf_str(&s->answer), "\r\n\r\nready\n"));
}

static void unix_sockets_are_served(void **state)
{
	struct state *s = *state;
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	static const char request[] =
		"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	char dir[] = "/tmp/swarm-test-web-XXXXXX";
	CLEANUP_FREE char *address = NULL;
	struct err err = ERR_INIT;
	struct stat st;
	int left;

	assert_non_null(mkdtemp(dir));
	(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s/s", dir);
	address = xasprintf("unix://%s", un.sun_path);
	/* Left over by a dead process. */
	left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(left, (struct sockaddr *)&un, sizeof(un)), 0);
	(void)close(left);
	web_free(s->web);
	listen_at(s, address);
	call_to(s, (struct sockaddr *)&un, sizeof(un));
	assert_int_equal(
		send(s->fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
	wait_end(s);
	assert_non_null(strstr(buf_str(&s->answer), "ok\n"));
	/* One that answers is not taken. */
	assert_null(web_new(s->loop, &s->config, &err));
	assert_int_equal(err.code, ERR_SYSTEM);
	/* One that is another's by now is left alone. */
	assert_int_equal(unlink(un.sun_path), 0);
	left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(left, (struct sockaddr *)&un, sizeof(un)), 0);
	web_free(TAKE_PTR(s->web));
	assert_int_equal(stat(un.sun_path, &st), 0);
	(void)close(left);
	(void)unlink(un.sun_path);
	(void)rmdir(dir);
}

static void bad_addresses_are_refused(void **state)
{
	struct state *s = *state;
	static const char *const bad[] = {"tcp://127.0.0.1", "http://a:1", "", "unix://"};
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		s->config.address = bad[i];
		assert_null(web_new(s->loop, &s->config, &err));
		assert_int_equal(err.code, ERR_USAGE);
	}
}

/* ---- Metrics ---- */

/* One sample line; the family that it must belong to was named by the last TYPE. */
static void check_sample(const char *line, const char *family, const char *type, bool is_new)
{
	size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz_");
	const char *rest = line + name;
	char *end = NULL;

	assert_true(strncmp(line, family, strlen(family)) == 0);
	if (str_eq(type, "histogram"))
		assert_true(strncmp(line + strlen(family), "_bucket", 7) == 0 ||
			    strncmp(line + strlen(family), "_sum", 4) == 0 ||
			    strncmp(line + strlen(family), "_count", 6) == 0);
	else
		assert_int_equal(name, strlen(family));
	if (str_eq(type, "counter"))
		assert_string_equal(family + strlen(family) - 6, "_total");
	if (*rest == '{') {
		size_t label = strspn(++rest, "abcdefghijklmnopqrstuvwxyz_");

		assert_true(label > 0 && strncmp(rest + label, "=\"", 2) == 0);
		for (rest += label + 2; *rest != '"'; rest++) {
			assert_true(*rest != '\0');
			if (*rest == '\\')
				assert_non_null(strchr("\\\"n", *++rest));
		}
		assert_int_equal(rest[1], '}');
		rest += 2;
	} else {
		assert_true(is_new || str_eq(type, "histogram"));
	}
	assert_int_equal(*rest, ' ');
	(void)strtod(rest + 1, &end);
	assert_true(end > rest + 1 && *end == '\0');
}

/* HELP, TYPE and samples of each family stand together, and no family comes twice. */
static void check_text(const char *text)
{
	CLEANUP_STR_LIST struct str_list lines = {0}, families = {0};
	char family[128] = "", type[16] = "";
	bool is_new = false;

	assert_int_equal(text[strlen(text) - 1], '\n');
	str_list_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.len; i++) {
		const char *line = lines.items[i];

		if (strncmp(line, "# HELP ", 7) == 0) {
			assert_int_equal(sscanf(line, "# HELP %127s", family), 1);
			assert_false(str_list_has(&families, family));
			str_list_add(&families, family);
			assert_true(i + 1 < lines.len);
			continue;
		}
		if (strncmp(line, "# TYPE ", 7) == 0) {
			char again[128];

			assert_int_equal(sscanf(line, "# TYPE %127s %15s", again, type), 2);
			assert_string_equal(again, family);
			is_new = true;
			continue;
		}
		check_sample(line, family, type, is_new);
		is_new = false;
	}
	assert_true(families.len >= 12);
}

static void metrics_are_well_formed(void **state)
{
	struct state *s = *state;

	metrics_values[METRIC_REQUESTS_4XX] = 7;
	metrics_placement(300000);
	metrics_placement(400000);
	metrics_placement(3000000000);
	assert_int_equal(get(s, "/metrics"), 200);
	check_text(body(s));
	assert_non_null(strstr(body(s), "\nswarm_build_info{version=\"1.2\\\"\\\\\\n3\"} 1\n"));
	assert_non_null(strstr(body(s), "\nswarm_nodes{state=\"healthy\"} 2\n"));
	assert_non_null(strstr(body(s), "\nswarm_nodes{state=\"pending\"} 1\n"));
	assert_non_null(strstr(body(s), "\nswarm_containers{state=\"paused\"} 1\n"));
	assert_non_null(strstr(body(s), "\nswarm_http_requests_total{code=\"4xx\"} 7\n"));
	assert_non_null(strstr(body(s), "\nswarm_placement_seconds_bucket{le=\"0.0005\"} 2\n"));
	assert_non_null(strstr(body(s), "\nswarm_placement_seconds_bucket{le=\"2\"} 2\n"));
	assert_non_null(strstr(body(s), "\nswarm_placement_seconds_bucket{le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(body(s), "\nswarm_placement_seconds_count 3\n"));
	assert_non_null(strstr(body(s), "\nprocess_resident_memory_bytes "));
	assert_null(strstr(body(s), "process_resident_memory_bytes 0\n"));
	assert_null(strstr(body(s), "process_open_fds 0\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_are_served, setup, teardown),
		cmocka_unit_test_setup_teardown(only_reading_is_served, setup, teardown),
		cmocka_unit_test_setup_teardown(idle_connections_are_ended, setup, teardown),
		cmocka_unit_test_setup_teardown(unix_sockets_are_served, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_addresses_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(metrics_are_well_formed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
