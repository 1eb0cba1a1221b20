#include "tests/unit/fake_engine.h"

#include "lib/mem.h"
#include "lib/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

struct fake_client {
	struct fake_engine *engine;
	int fd;
	struct loop_watch *watch;
	struct buf in, out; /* out: what it has not taken yet */
	char *held;         /* the target of a request that waits for its answer */
	bool is_busy;       /* with a request; those behind it wait */
	bool is_change;     /* that is no GET */
	bool is_stream, is_endless;
	struct fake_client *prev, *next;
};

static void client_free(struct fake_client *client)
{
	DL_DELETE(client->engine->clients, client);
	loop_watch_free(client->watch);
	close(client->fd);
	buf_reset(&client->in);
	buf_reset(&client->out);
	free(client->held);
	free(client);
}

static void watch(struct fake_client *client)
{
	unsigned events = LOOP_READ;

	if (client->out.len > 0 || client->is_endless)
		events |= LOOP_WRITE;
	loop_watch_set(client->watch, client->engine->is_paused ? 0 : events);
}

/* A client that has gone is noticed when it is read. */
static void flush(struct fake_client *client)
{
	ssize_t n = send(client->fd, client->out.data, client->out.len, MSG_NOSIGNAL);

	if (n > 0)
		buf_consume(&client->out, (size_t)n);
	else if (errno != EAGAIN)
		buf_clear(&client->out);
	watch(client);
}

static void say(struct fake_client *client, const char *data, size_t len)
{
	bool is_waiting = client->out.len > 0;

	if (len == 0)
		return;
	if (buf_append(&client->out, data, len) != 0)
		abort();
	if (!is_waiting)
		flush(client);
}

static void reply_with(struct fake_client *client, int status, const char *type, const char *body)
{
	struct buf out CLEANUP_BUF;
	char date[64];
	time_t now = time(NULL);
	struct tm tm;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	buf_init(&out, 1 << 24);
	buf_printf(&out,
		"HTTP/1.1 %d X\r\nContent-Type: %s\r\nDate: %s\r\nContent-Length: %zu\r\n\r\n%s",
		status, type, date, strlen(body), body);
	say(client, out.data, out.len);
	client->is_busy = false;
}

static void reply(struct fake_client *client, const char *body)
{
	reply_with(client, 200, "application/json", body);
}

/* ---- Answers ---- */

static void list_entry(struct buf *out, const struct fake_container *c)
{
	buf_printf(out,
		"%s{\"Id\":\"%s\",\"Names\":[\"/%s\"],\"Image\":\"busybox\",\"ImageID\":"
		"\"sha256:" FAKE_HEX "\",\"Command\":\"top\",\"Created\":1600000000,\"Ports\":[],"
		"\"Labels\":{%s%s%s},\"State\":\"%s\",\"Status\":\"%s\",\"HostConfig\":{"
		"\"NetworkMode\":\"default\"},\"NetworkSettings\":{\"Networks\":{}},"
		"\"Mounts\":[]}",
		out->len > 1 ? "," : "", c->id, c->name, c->label ? "\"big\":\"" : "",
		c->label ? c->label : "", c->label ? "\"" : "", c->state, c->status);
}

static void answer_list(struct fake_client *client, const char *target)
{
	struct fake_engine *engine = client->engine;
	const char *filter = strstr(target, "filters=");
	struct buf out CLEANUP_BUF;
	size_t i;

	*(filter ? &engine->filtered : &engine->lists) += 1;
	buf_init(&out, 1 << 24);
	buf_append_char(&out, '[');
	for (i = 0; i < engine->containers_len; i++) {
		const struct fake_container *c = &engine->containers[i];

		if (!c->is_gone && (!filter || strstr(filter, c->id)))
			list_entry(&out, c);
	}
	buf_append_char(&out, ']');
	reply(client, buf_str(&out));
}

static void answer_events(struct fake_client *client, const char *target)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				   "Transfer-Encoding: chunked\r\n\r\n";
	struct fake_engine *engine = client->engine;
	const char *since = strstr(target, "since=");
	double from = since ? strtod(since + 6, NULL) : 0;
	size_t i;

	engine->streams++;
	engine->has_since = since != NULL;
	client->is_stream = true;
	say(client, head, sizeof(head) - 1);
	for (i = 0; since && i < engine->history_len; i++) {
		const char *text = engine->history[i];
		double at = strtod(strstr(text, "\"timeNano\":") + 11, NULL) / 1e9;
		char size[32];

		if (at + 1e-6 < from)
			continue;
		snprintf(size, sizeof(size), "%zx\r\n", strlen(text));
		say(client, size, strlen(size));
		say(client, text, strlen(text));
		say(client, "\r\n", 2);
	}
}

static void answer_info(struct fake_client *client)
{
	struct fake_engine *engine = client->engine;
	struct buf out CLEANUP_BUF;
	struct timespec ts;
	struct tm tm;
	char now[64];

	engine->infos++;
	clock_gettime(CLOCK_REALTIME, &ts);
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S", gmtime_r(&ts.tv_sec, &tm));
	buf_init(&out, 1 << 20);
	buf_printf(&out,
		"{\"ID\":\"%s\",\"Name\":\"%s\",\"NCPU\":4,\"MemTotal\":8000000000,\"Driver\":"
		"\"overlay2\",\"OSType\":\"linux\",\"KernelVersion\":\"6.1\",\"OperatingSystem\":"
		"\"Debian\",\"Labels\":%s,\"ServerVersion\":\"20.10.24\",\"SystemTime\":"
		"\"%s.%09ldZ\"}",
		engine->id, engine->name, engine->labels, now, ts.tv_nsec);
	reply(client, buf_str(&out));
}

static void answer_inspect(struct fake_client *client, const char *path)
{
	struct fake_engine *engine = client->engine;
	size_t i;

	engine->inspects++;
	for (i = 0; i < engine->containers_len; i++) {
		const struct fake_container *c = &engine->containers[i];
		char *body CLEANUP_FREE = NULL;
		bool is_paused = strcmp(c->state, "paused") == 0;
		bool is_running = is_paused || strcmp(c->state, "running") == 0;

		if (c->is_gone || !strstr(path, c->id))
			continue;
		if (c->fault == FAKE_SILENCE)
			return;
		if (c->fault == FAKE_NOT_JSON || c->fault == FAKE_WRONG_TYPE) {
			reply(client, c->fault == FAKE_NOT_JSON ? "{\"Id\":" : "[1]");
			return;
		}
		if (c->fault == FAKE_EMPTY) {
			reply(client, "");
			return;
		}
		if (c->fault == FAKE_ERROR) {
			reply_with(client, 500, "application/json", "{\"message\":\"broken\"}");
			return;
		}
		body = xasprintf("{\"Id\":\"%s\",\"Name\":\"/%s\",\"Created\":"
				 "\"2020-09-13T12:26:40Z\",\"State\":{\"Status\":\"%s\","
				 "\"Running\":%s,\"Paused\":%s,\"Restarting\":false,\"Dead\":"
				 "false,\"ExitCode\":0,\"StartedAt\":\"%s\",\"FinishedAt\":"
				 "\"0001-01-01T00:00:00Z\"},\"Image\":\"sha256:" FAKE_HEX
				 "\",\"Config\":{"
				 "\"Image\":\"busybox\",\"Labels\":{%s%s%s}},\"HostConfig\":{"
				 "\"NetworkMode\":\"default\",\"Memory\":1000,\"NanoCpus\":0},"
				 "\"NetworkSettings\":{\"Networks\":{}},\"Mounts\":[]}",
			c->id, c->name, c->state, is_running ? "true" : "false",
			is_paused ? "true" : "false", c->started, c->label ? "\"big\":\"" : "",
			c->label ? c->label : "", c->label ? "\"" : "");
		reply(client, body);
		return;
	}
	reply_with(client, 404, "application/json", "{\"message\":\"No such container\"}");
}

/* False when it has closed the connection. */
static bool misbehave(struct fake_client *client, enum fake_fault fault)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
	char junk[256];
	size_t i;

	switch (fault) {
	case FAKE_NONE:
	case FAKE_SILENCE:
	case FAKE_HOLD:
		break;
	case FAKE_GARBAGE:
		for (i = 0; i < sizeof(junk); i++)
			junk[i] = (char)(i * 37 + 11);
		say(client, junk, sizeof(junk));
		client_free(client);
		return false;
	case FAKE_ENDLESS_HEADERS:
		say(client, head, sizeof(head) - 1);
		client->is_endless = true;
		watch(client);
		break;
	case FAKE_TRUNCATED:
		say(client, head, sizeof(head) - 1);
		say(client, "Content-Length: 1000\r\n\r\n[{\"Id\":", 31);
		client_free(client);
		return false;
	case FAKE_NOT_JSON:
		reply(client, "<html>hello</html>");
		break;
	case FAKE_WRONG_TYPE:
		reply(client, "\"text\"");
		break;
	case FAKE_ERROR:
		reply_with(client, 500, "application/json", "{\"message\":\"out of order\"}");
		break;
	case FAKE_EMPTY:
		reply(client, "");
		break;
	case FAKE_CLOSE:
		client_free(client);
		return false;
	case FAKE_ENDLESS_BODY:
		say(client, head, sizeof(head) - 1);
		say(client, "\r\n[{\"Id\":\"", 10);
		client->is_endless = true;
		watch(client);
		break;
	case FAKE_HTTPS:
		reply_with(client, 400, "text/plain",
			"Client sent an HTTP request to an HTTPS server.\n");
		break;
	}
	return true;
}

/* A container that is there from now on; no event. */
static void answer_create(struct fake_client *client, const char *path)
{
	const char *name = strstr(path, "name=");
	char *plain CLEANUP_FREE =
		name ? xstrndup(name + 5, strcspn(name + 5, "&")) : xstrdup("unnamed");
	char body[128];

	client->engine->creates++;
	snprintf(body, sizeof(body), "{\"Id\":\"%s\",\"Warnings\":[]}",
		fake_engine_add(client->engine, plain)->id);
	reply_with(client, 201, "application/json", body);
}

static void answer_exec(struct fake_client *client, const char *path)
{
	struct fake_engine *engine = client->engine;
	char *told CLEANUP_FREE = xasprintf("{\"ContainerID\":\"%s\"}", engine->containers[0].id);

	engine->execs++;
	if (engine->exec_id && str_has_prefix(path + strlen("/exec/"), engine->exec_id))
		reply(client, told);
	else
		reply_with(client, 404, "application/json", "{\"message\":\"No such exec\"}");
}

/* Of a target without its version. */
static void answer_path(struct fake_client *client, const char *path)
{
	struct fake_engine *engine = client->engine;
	char version[160];

	if (client->is_change) {
		if (str_has_prefix(path, "/containers/create"))
			answer_create(client, path);
		else
			reply(client, "{}");
	} else if (str_has_prefix(path, "/_ping")) {
		engine->pings++;
		reply_with(client, 200, "text/plain", "OK");
	} else if (str_has_prefix(path, "/version")) {
		snprintf(version, sizeof(version),
			"{\"Version\":\"20.10.24\",\"ApiVersion\":\"%s\",\"MinAPIVersion\":\"%s\"}",
			engine->api, engine->api_min);
		reply(client, version);
	} else if (str_has_prefix(path, "/info")) {
		answer_info(client);
	} else if (str_has_prefix(path, "/events")) {
		answer_events(client, path);
	} else if (str_has_prefix(path, "/exec/")) {
		answer_exec(client, path);
	} else if (str_has_prefix(path, "/containers/json")) {
		answer_list(client, path);
	} else if (str_has_prefix(path, "/containers/")) {
		answer_inspect(client, path);
	} else {
		engine->parts++;
		reply(client, path[1] == 'i'   ? engine->images
			      : path[1] == 'n' ? engine->networks
					       : engine->volumes);
	}
}

/* False likewise. */
static bool answer(struct fake_client *client, const char *target)
{
	struct fake_engine *engine = client->engine;
	const char *path = target;
	bool is_faulty;

	engine->requests++;
	client->is_busy = true;
	if (path[1] == 'v' && path[2] >= '0' && path[2] <= '9')
		path = strchr(path + 1, '/');
	if (!path)
		path = "/";
	is_faulty = engine->fault_path && str_has_prefix(path, engine->fault_path);
	if (is_faulty && engine->fault == FAKE_HOLD)
		client->held = xstrdup(path);
	else if (is_faulty && engine->fault != FAKE_NONE)
		return misbehave(client, engine->fault);
	else
		answer_path(client, path);
	return true;
}

/* The requests that are here, one after the other. */
static void serve(struct fake_client *client)
{
	char method[16], target[1024], *end;

	while (!client->is_busy && client->in.len > 0 &&
		(end = strstr(client->in.data, "\r\n\r\n"))) {
		const char *length = strcasestr(client->in.data, "\r\nContent-Length:");
		size_t len = (size_t)(end + 4 - client->in.data);

		if (length && length < end)
			len += strtoul(length + 17, NULL, 10);
		if (client->in.len < len)
			return;
		if (sscanf(client->in.data, "%15s %1023s ", method, target) != 2)
			abort();
		client->is_change = strcmp(method, "GET") != 0;
		buf_consume(&client->in, len);
		if (!answer(client, target))
			return;
	}
}

/* ---- Sockets ---- */

static void client_ready(unsigned events, void *arg)
{
	static const char endless[] = "X-Endless: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
	struct fake_client *client = arg;
	char data[4096];
	ssize_t n;

	if (client->out.len > 0) {
		flush(client);
	} else if (client->is_endless && (events & LOOP_WRITE)) {
		n = send(client->fd, endless, sizeof(endless) - 1, MSG_NOSIGNAL);
		if (n == -1 && errno != EAGAIN) {
			client_free(client);
			return;
		}
	}
	n = recv(client->fd, data, sizeof(data), 0);
	if (n == 0 || (n == -1 && errno != EAGAIN)) {
		client_free(client);
		return;
	}
	if (n > 0 && buf_append(&client->in, data, (size_t)n) == 0)
		serve(client);
}

static void accept_ready(unsigned events, void *arg)
{
	struct fake_engine *engine = arg;
	int fd = accept4(engine->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct fake_client *client;
	int one = 1;

	(void)events;
	if (fd == -1)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	client = xcalloc(1, sizeof(*client));
	client->engine = engine;
	client->fd = fd;
	buf_init(&client->in, 1 << 16);
	buf_init(&client->out, 1 << 26);
	client->watch = loop_watch_new(engine->loop, fd, client_ready, client);
	watch(client);
	DL_APPEND(engine->clients, client);
}

/* A socket at the engine's port; at any when it has none yet. */
static int bind_socket(struct fake_engine *engine)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(engine->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, len) == -1 ||
		getsockname(fd, (struct sockaddr *)&addr, &len) == -1)
		abort();
	engine->port = ntohs(addr.sin_port);
	return fd;
}

static void listen_on(struct fake_engine *engine)
{
	engine->fd = bind_socket(engine);
	if (listen(engine->fd, 128) == -1)
		abort();
	engine->watch = loop_watch_new(engine->loop, engine->fd, accept_ready, engine);
	loop_watch_set(engine->watch, LOOP_READ);
}

struct fake_engine *fake_engine_new(struct loop *loop, const char *id, const char *name)
{
	struct fake_engine *engine = xcalloc(1, sizeof(*engine));

	engine->loop = loop;
	engine->api = "1.41";
	engine->api_min = "1.12";
	engine->labels = "[\"disk=ssd\"]";
	engine->images = "[{\"Id\":\"sha256:" FAKE_HEX "\",\"ParentId\":\"\",\"RepoTags\":"
			 "[\"busybox:latest\"],\"RepoDigests\":null,\"Created\":1,\"Size\":1}]";
	engine->networks = "[{\"Name\":\"bridge\",\"Id\":\"n1\",\"Driver\":\"bridge\",\"Scope\":"
			   "\"local\"}]";
	engine->volumes = "{\"Volumes\":[{\"Name\":\"v1\",\"Driver\":\"local\",\"Scope\":"
			  "\"local\"}],\"Warnings\":null}";
	snprintf(engine->id, sizeof(engine->id), "%s", id);
	snprintf(engine->name, sizeof(engine->name), "%s", name);
	engine->port_fd = bind_socket(engine);
	listen_on(engine);
	return engine;
}

void fake_engine_stop(struct fake_engine *engine)
{
	if (engine->fd == -1)
		return;
	while (engine->clients)
		client_free(engine->clients);
	loop_watch_free(engine->watch);
	close(engine->fd);
	engine->fd = -1;
}

void fake_engine_start(struct fake_engine *engine)
{
	listen_on(engine);
}

static void set_paused(struct fake_engine *engine, bool is_paused)
{
	struct fake_client *client;

	engine->is_paused = is_paused;
	DL_FOREACH (engine->clients, client)
		watch(client);
}

void fake_engine_pause(struct fake_engine *engine)
{
	set_paused(engine, true);
}

void fake_engine_resume(struct fake_engine *engine)
{
	set_paused(engine, false);
}

size_t fake_engine_held(const struct fake_engine *engine)
{
	const struct fake_client *client;
	size_t n = 0;

	DL_FOREACH (engine->clients, client)
		n += client->held != NULL;
	return n;
}

size_t fake_engine_waiting(const struct fake_engine *engine)
{
	const struct fake_client *client;
	size_t n = 0;

	DL_FOREACH (engine->clients, client) {
		const char *p = client->in.data;

		while (client->in.len > 0 && (p = strstr(p, "\r\n\r\n"))) {
			p += 4;
			n++;
		}
	}
	return n;
}

void fake_engine_release(struct fake_engine *engine)
{
	struct fake_client *client, *next;

	DL_FOREACH_SAFE (engine->clients, client, next) {
		char *path CLEANUP_FREE = TAKE_PTR(client->held);

		if (!path)
			continue;
		answer_path(client, path);
		serve(client);
	}
}

void fake_engine_free(struct fake_engine *engine)
{
	size_t i;

	fake_engine_stop(engine);
	close(engine->port_fd);
	for (i = 0; i < engine->history_len; i++)
		free(engine->history[i]);
	free(engine);
}

char *fake_engine_addr(const struct fake_engine *engine)
{
	return xasprintf("127.0.0.1:%u", engine->port);
}

/* ---- Content ---- */

struct fake_container *fake_engine_add(struct fake_engine *engine, const char *name)
{
	struct fake_container *c = &engine->containers[engine->containers_len++];

	snprintf(c->id, sizeof(c->id), "%032zx%024x%08x", engine->containers_len, 0, engine->port);
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->state, sizeof(c->state), "running");
	snprintf(c->status, sizeof(c->status), "Up 3 years");
	snprintf(c->started, sizeof(c->started), "%s", "2023-01-01T00:00:00Z");
	return c;
}

static void chunk(struct fake_client *client, const char *data, size_t len)
{
	char size[32];

	snprintf(size, sizeof(size), "%zx\r\n", len);
	say(client, size, strlen(size));
	say(client, data, len);
	say(client, "\r\n", 2);
}

void fake_engine_send(struct fake_engine *engine, const char *text, size_t len)
{
	struct fake_client *client;
	size_t i;

	DL_FOREACH (engine->clients, client) {
		if (!client->is_stream)
			continue;
		if (!engine->splits_events)
			chunk(client, text, len);
		for (i = 0; engine->splits_events && i < len; i++)
			chunk(client, text + i, 1);
	}
}

void fake_engine_event(struct fake_engine *engine, const struct fake_container *container,
	const char *action, bool is_lost)
{
	struct timespec ts;
	int64_t nano;
	char *text;

	clock_gettime(CLOCK_REALTIME, &ts);
	nano = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	text = xasprintf("{\"status\":\"%s\",\"id\":\"%s\",\"from\":\"busybox\",\"Type\":"
			 "\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":{"
			 "\"image\":\"busybox\",\"name\":\"%s\"}},\"scope\":\"local\",\"time\":"
			 "%" PRId64 ",\"timeNano\":%" PRId64 "}\n",
		action, container->id, action, container->id, container->name, nano / 1000000000,
		nano);
	engine->history[engine->history_len++] = text;
	if (!is_lost)
		fake_engine_send(engine, text, strlen(text));
}

void fake_engine_drop_streams(struct fake_engine *engine)
{
	struct fake_client *client, *tmp;

	DL_FOREACH_SAFE (engine->clients, client, tmp) {
		if (client->is_stream)
			client_free(client);
	}
}

size_t fake_engine_connections(const struct fake_engine *engine)
{
	const struct fake_client *client;
	size_t n = 0;

	DL_COUNT(engine->clients, client, n);
	return n;
}

size_t fake_engine_open_streams(const struct fake_engine *engine)
{
	struct fake_client *client;
	size_t n = 0;

	DL_FOREACH (engine->clients, client)
		n += client->is_stream;
	return n;
}
