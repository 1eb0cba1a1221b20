/* TLS: who is let in, and what ends when. The certificates are made by the openssl command. */
#include "http/client.h"
#include "http/relay.h"
#include "http/server_priv.h"
#include "http/tls_priv.h"
#include "lib/str.h"
#include "tests/unit/http_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char folder[] = "/tmp/test_http_tls.XXXXXX";

static const char script[] =
	"cd \"$1\" || exit 1\n"
	"key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'\n"
	"for ca in ca ca2; do\n"
	"  openssl req -x509 $key -keyout $ca.key -out $ca.pem -days 2 -subj /CN=$ca || exit 1\n"
	"done\n"
	"leaf() {\n"
	"  subject=$1; set -- ${1%%/*} \"$2\" $3 $4 $5\n"
	"  openssl req $key -keyout $1.key -out $1.csr -subj /CN=$subject -addext "
	"subjectAltName=$4 &&\n"
	"  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -set_serial $5 -days $3 \\\n"
	"    -copy_extensions copyall -out $1.pem || exit 1\n"
	"}\n"
	"leaf server ca 2 IP:127.0.0.1 1\n"
	"leaf server2 ca2 2 IP:127.0.0.1 1\n"
	"leaf other ca 2 DNS:elsewhere.example 2\n"
	"leaf expired ca -1 IP:127.0.0.1 3\n"
	"leaf client ca 2 DNS:client 4\n"
	"leaf named/O=ours/O=theirs/OU=ops ca 2 DNS:client 5\n"
	"leaf double/CN=other/O=ours ca 2 DNS:client 6\n"
	"leaf client2 ca2 2 DNS:client 4\n"
	"echo nothing > empty.pem\n";

static int group_setup(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* as the program does: OpenSSL writes to sockets without flags */
	if (mkdtemp(folder) == NULL)
		return -1;
	pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "w", stderr) == NULL)
			_exit(126);
		execl("/bin/sh", "sh", "-c", script, "sh", folder, (char *)NULL);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static int group_teardown(void **state)
{
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		execlp("rm", "rm", "-r", folder, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

/* ca, name: file names without ".pem", or NULL. */
static struct tls_context *context_try(
	const char *ca, const char *name, const char *key, bool verify, struct err *err)
{
	char *ca_file CLEANUP_FREE = ca != NULL ? xasprintf("%s/%s.pem", folder, ca) : NULL;
	char *cert_file CLEANUP_FREE = name != NULL ? xasprintf("%s/%s.pem", folder, name) : NULL;
	char *key_file CLEANUP_FREE = key != NULL ? xasprintf("%s/%s.key", folder, key) : NULL;
	struct tls_config config = {
		.ca_file = ca_file, .cert_file = cert_file, .key_file = key_file, .verify = verify};

	return tls_context_new(&config, err);
}

static struct tls_context *context(const char *ca, const char *name, bool verify)
{
	struct err err = ERR_INIT;
	struct tls_context *tls = context_try(ca, name, name, verify, &err);

	if (tls == NULL)
		fail_msg("%s", err.msg);
	return tls;
}

/* The test's own end of a TLS connection. */
struct end {
	struct fixture *f;
	struct stream *stream;
	struct dial *dial;
	struct tls_handshake *handshake;
	int fd; /* a second descriptor of the same socket, -1 = none */
	bool is_up, is_ended, is_broken;
	struct err err;
	struct buf in;
};

struct world {
	struct fixture f;
	struct handler handler;
	struct server *server;
	uint16_t port;
	struct client *client;
	struct stream *upgraded;
	struct relay *relay;
	bool relay_is_over;
	unsigned requests;
	char who[200]; /* the identity of the last client */
	size_t to_write, written;
};

static void write_more(struct exchange *x, void *arg)
{
	static const char data[32 * 1024];
	struct world *w = arg;

	while (w->written < w->to_write) {
		w->written += sizeof(data);
		if (!exchange_reply_write(x, data, sizeof(data)))
			return;
	}
	exchange_reply_end(x);
}

static void describe_client(const struct exchange_identity *who, char *out, size_t size)
{
	struct buf text;

	buf_init(&text, size);
	buf_append_str(&text, who->common_name != NULL ? who->common_name : "-");
	for (size_t i = 0; i < who->organizations.len; i++)
		buf_printf(&text, " O=%s", who->organizations.items[i]);
	for (size_t i = 0; i < who->units.len; i++)
		buf_printf(&text, " OU=%s", who->units.items[i]);
	assert_false(who->has_process);
	snprintf(out, size, "%s", buf_str(&text));
	buf_reset(&text);
}

static void handle(struct handler *h, struct exchange *x)
{
	struct world *w = CONTAINER_OF(h, struct world, handler);

	w->requests++;
	describe_client(exchange_identity(x), w->who, sizeof(w->who));
	if (str_eq(exchange_target(x), "/raw")) {
		w->upgraded = exchange_upgrade(x, 101, NULL);
	} else if (str_eq(exchange_target(x), "/stream")) {
		exchange_reply_start(x, 200, NULL, -1);
		exchange_on_drain(x, write_more, w);
		write_more(x, w);
	} else {
		exchange_reply_error(x, 404, "none");
	}
}

static void handler_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops ops = {.name = "test", .handle = handle, .free = handler_nothing};

static void world_start(struct world *w, struct tls_context *tls_take)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct server_limits limits = server_default_limits;
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	limits.handshake_timeout_ms = 300;
	w->f.loop = loop_new();
	w->client = client_new(w->f.loop);
	w->handler.ops = &ops;
	w->server = server_new(w->f.loop, &w->handler, &limits);
	assert_int_equal(server_listen(w->server, &addr, tls_take, &err), 0);
	tls_context_unref(tls_take);
	w->port = server_port(w->server, 0);
}

static void world_stop(struct world *w)
{
	stream_close(w->upgraded);
	client_free(w->client);
	server_free(w->server);
	loop_free(w->f.loop);
}

static void end_ready(unsigned events, void *arg)
{
	struct end *e = arg;
	char data[16384];
	ssize_t n;

	(void)events;
	while ((n = stream_read(e->stream, data, sizeof(data))) > 0)
		assert_int_equal(buf_append(&e->in, data, (size_t)n), 0);
	if (n == STREAM_AGAIN)
		return;
	e->is_ended = n == 0;
	e->is_broken = n == STREAM_ERROR;
	stream_want(e->stream, 0);
}

static void end_done(void *arg, struct stream *stream, const struct err *err)
{
	struct end *e = arg;

	e->dial = NULL;
	e->handshake = NULL;
	e->is_up = true;
	if (err != NULL) {
		e->err = *err;
		return;
	}
	e->stream = stream;
	stream_on_ready(stream, end_ready, e);
	stream_want(stream, LOOP_READ);
}

static void end_init(struct world *w, struct end *e)
{
	memset(e, 0, sizeof(*e));
	e->f = &w->f;
	e->fd = -1;
	buf_init(&e->in, 64 * 1024 * 1024);
}

/* By the same steps that raw calls take. */
static void end_dial(struct world *w, struct end *e, struct tls_context *tls_take)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1", .port = w->port};

	end_init(w, e);
	e->dial = stream_dial(w->f.loop, &addr, tls_take, FIXTURE_DEADLINE_MS, end_done, e);
	tls_context_unref(tls_take);
	wait_for(&w->f, value_is_set, &e->is_up);
}

/* With a second descriptor, to do to TCP what TLS would not. */
static void end_connect(struct world *w, struct end *e)
{
	struct tls_context *tls = context("ca", NULL, true);
	struct raw raw;

	end_init(w, e);
	raw_connect(&w->f, &raw, w->port);
	e->fd = dup(raw.fd);
	e->handshake = stream_connect_tls(
		w->f.loop, dup(raw.fd), tls, "127.0.0.1", FIXTURE_DEADLINE_MS, end_done, e);
	raw_close(&w->f, &raw);
	tls_context_unref(tls);
	wait_for(&w->f, value_is_set, &e->is_up);
	assert_non_null(e->stream);
}

static void end_close(struct end *e)
{
	stream_close(e->stream);
	if (e->fd != -1)
		close(e->fd);
	buf_reset(&e->in);
}

static void end_send(struct end *e, const char *text)
{
	assert_int_equal(stream_write(e->stream, text, strlen(text)), (ssize_t)strlen(text));
}

static bool end_has_response(void *arg)
{
	return count_text(&((struct end *)arg)->in, "HTTP/1.1 ") > 0;
}

static bool end_is_over(void *arg)
{
	struct end *e = arg;

	return e->is_ended || e->is_broken;
}

static bool end_is_answered_or_over(void *arg)
{
	return end_has_response(arg) || end_is_over(arg);
}

#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

static void files_are_checked_when_read(void **state)
{
	static const struct {
		const char *ca, *name, *key, *message;
		bool verify;
	} cases[] = {
		{"missing", NULL, NULL, "missing.pem", true},
		{"ca", "missing", "server", "missing.pem", true},
		{"ca", "server", "missing", "missing.key", true},
		{"ca", "server", "client", "client.key", true},
		{"ca", "server", NULL, "needs its key", true},
		{"empty", NULL, NULL, "empty.pem", true},
		{"ca", "empty", "server", "empty.pem", true},
		{NULL, "server", "server", "CA", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;

		assert_null(context_try(
			cases[i].ca, cases[i].name, cases[i].key, cases[i].verify, &err));
		if (err.code != ERR_INVALID || strstr(err.msg, cases[i].message) == NULL)
			fail_msg("'%s' does not say '%s'", err.msg, cases[i].message);
	}
}

/* What has nothing to read yet would be waited for for ever. */
static void only_regular_files_are_read(void **state)
{
	char *fifo CLEANUP_FREE = xasprintf("%s/fifo.pem", folder);
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(mkfifo(fifo, 0600), 0);
	alarm(FIXTURE_DEADLINE_MS / 1000);
	assert_null(context_try("fifo", NULL, NULL, false, &err));
	alarm(0);
	assert_non_null(strstr(err.msg, "fifo.pem is not a regular file"));
	err = (struct err)ERR_INIT;
	assert_null(context_try("fifo", "fifo", "server", true, &err));
	unlink(fifo);
}

static void servers_let_in_whom_they_should(void **state)
{
	static const struct {
		bool verify;
		const char *client;
		bool is_let_in;
	} cases[] = {
		{false, NULL, true},
		{false, "client2", true},
		{true, "client", true},
		{true, NULL, false},
		{true, "client2", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct end e;

		world_start(&w, context("ca", "server", cases[i].verify));
		end_dial(&w, &e, context("ca", cases[i].client, true));
		if (e.stream != NULL) {
			/* TLS 1.3: the refusal comes behind the client's own success. */
			if (stream_write(e.stream, REQUEST, strlen(REQUEST)) > 0)
				wait_for(&w.f, end_is_answered_or_over, &e);
		}
		assert_int_equal(end_has_response(&e), cases[i].is_let_in);
		assert_int_equal(w.requests, cases[i].is_let_in ? 1 : 0);
		end_close(&e);
		world_stop(&w);
	}
}

struct outcome {
	bool is_done;
	int status;
	struct err err;
};

static void on_reply(void *arg, const struct reply *reply, const struct err *err)
{
	struct outcome *o = arg;

	o->is_done = true;
	if (err != NULL)
		o->err = *err;
	else
		o->status = reply->status;
}

static void call(struct world *w, struct endpoint *e, struct outcome *o)
{
	struct call_request request = {.method = "GET", .target = "/"};

	memset(o, 0, sizeof(*o));
	call_collect(e, &request, 1000, on_reply, o);
	wait_for(&w->f, value_is_set, &o->is_done);
}

/* Both ways that lead to an engine: libcurl, and our own. */
static void clients_trust_whom_they_should(void **state)
{
	static const struct {
		const char *server, *ca;
		bool verify, is_trusted;
	} cases[] = {
		{"server", "ca", true, true},
		{"server", "ca2", true, false},
		{"server", NULL, true, false},
		{"server", "ca2", false, true},
		{"server", NULL, false, true},
		{"other", "ca", true, false},
		{"other", "ca", false, true},
		{"expired", "ca", true, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
		struct tls_context *tls = context(cases[i].ca, NULL, cases[i].verify);
		struct endpoint *endpoint;
		struct outcome o;
		struct world w;
		struct end e;

		world_start(&w, context("ca", cases[i].server, false));
		addr.port = w.port;
		endpoint = endpoint_new(w.client, &addr, tls);
		end_dial(&w, &e, tls);
		assert_int_equal(e.stream != NULL, cases[i].is_trusted);
		assert_true(cases[i].is_trusted || e.err.code == ERR_UNAVAILABLE);
		assert_true(cases[i].is_trusted || strstr(e.err.msg, "handshake") != NULL);
		call(&w, endpoint, &o);
		assert_int_equal(o.status, cases[i].is_trusted ? 404 : 0);
		assert_int_equal(o.err.code, cases[i].is_trusted ? ERR_NONE : ERR_UNAVAILABLE);
		end_close(&e);
		endpoint_free(endpoint);
		world_stop(&w);
	}
}

static void relay_over(struct relay *relay, void *arg)
{
	(void)relay;
	((struct world *)arg)->relay_is_over = true;
}

/* An upgraded TLS client, joined to a local socket whose other end is far. */
static void join(struct world *w, struct end *e, struct raw *far)
{
	int pair[2];

	world_start(w, context("ca", "server", false));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	raw_init(&w->f, far, pair[0]);
	end_connect(w, e);
	end_send(e, "POST /raw HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: "
		    "tcp\r\n\r\nearly");
	wait_for(&w->f, end_has_response, e);
	assert_non_null(w->upgraded);
	w->relay = relay_start(w->f.loop, TAKE_PTR(w->upgraded), stream_from_fd(w->f.loop, pair[1]),
		relay_over, w);
	raw_expect(&w->f, far, "early");
}

static void leave(struct world *w, struct end *e, struct raw *far)
{
	if (!w->relay_is_over)
		relay_cancel(w->relay);
	raw_close(&w->f, far);
	end_close(e);
	world_stop(w);
}

struct end_text {
	struct end *e;
	const char *text;
};

static bool end_has_text(void *arg)
{
	struct end_text *t = arg;

	return count_text(&t->e->in, t->text) > 0;
}

static void halves_close_both_ways(void **state)
{
	(void)state;
	for (int client_first = 0; client_first < 2; client_first++) {
		struct world w;
		struct raw far;
		struct end e;
		struct end_text answer = {&e, "answer"};

		join(&w, &e, &far);
		if (client_first) {
			stream_shutdown_write(e.stream);
			wait_for(&w.f, raw_is_over, &far);
			fixture_run(&w.f, 1200, NULL, NULL);
			assert_false(w.relay_is_over || e.is_ended || e.is_broken);
			raw_send(&far, "answer");
			wait_for(&w.f, end_has_text, &answer);
			far.ends_after_out = true;
			wait_for(&w.f, end_is_over, &e);
		} else {
			far.ends_after_out = true;
			wait_for(&w.f, end_is_over, &e);
			end_send(&e, "late input");
			raw_expect(&w.f, &far, "late input");
			stream_shutdown_write(e.stream);
			wait_for(&w.f, raw_is_over, &far);
		}
		assert_true(e.is_ended);
		assert_false(e.is_broken);
		assert_true(far.is_ended);
		wait_for(&w.f, value_is_set, &w.relay_is_over);
		leave(&w, &e, &far);
	}
}

/* A half-close is a close_notify alone: with the end of TCP behind it, the client is gone, and a
 * silent container must not keep the relay. */
/* One read for each time that it is told, as those do who take turns. */
static void end_ready_once(unsigned events, void *arg)
{
	static char data[128 * 1024];
	struct end *e = arg;
	ssize_t n = stream_read(e->stream, data, sizeof(data));

	(void)events;
	if (n > 0)
		assert_int_equal(buf_append(&e->in, data, (size_t)n), 0);
	e->is_ended = n == 0;
	e->is_broken = n == STREAM_ERROR;
	stream_want(e->stream, n == 0 || n == STREAM_ERROR ? 0 : LOOP_READ);
}

/* A read that takes several records may find the end behind them: it is told all the same. */
static void an_end_behind_full_records_is_told(void **state)
{
	static const char record[16384];
	struct world w;
	struct end e;

	(void)state;
	world_start(&w, context("ca", "server", false));
	end_connect(&w, &e);
	stream_on_ready(e.stream, end_ready_once, &e);
	end_send(&e, "GET /raw HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
	wait_for(&w.f, end_has_response, &e);
	buf_reset(&e.in);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(stream_write(w.upgraded, record, sizeof(record)), sizeof(record));
	stream_shutdown_write(w.upgraded);
	wait_for(&w.f, end_is_over, &e);
	assert_true(e.is_ended);
	assert_int_equal(e.in.len, 3 * sizeof(record));
	end_close(&e);
	world_stop(&w);
}

static void a_client_that_closed_behind_its_end_is_gone(void **state)
{
	struct world w;
	struct raw far;
	struct end e;

	(void)state;
	join(&w, &e, &far);
	end_send(&e, "last words");
	stream_close(TAKE_PTR(e.stream));
	shutdown(e.fd, SHUT_WR);
	raw_expect(&w.f, &far, "last words");
	wait_for(&w.f, raw_is_over, &far);
	wait_for(&w.f, value_is_set, &w.relay_is_over);
	leave(&w, &e, &far);
}

/* Clients that know no half-close of TLS close theirs of TCP. */
static void an_end_of_tcp_alone_is_a_half_close_of_a_client(void **state)
{
	struct world w;
	struct raw far;
	struct end e;
	struct end_text answer = {&e, "answer"};

	(void)state;
	join(&w, &e, &far);
	end_send(&e, "last words");
	shutdown(e.fd, SHUT_WR);
	raw_expect(&w.f, &far, "last words");
	wait_for(&w.f, raw_is_over, &far);
	/* The relay has looked twice whether the client has gone. */
	fixture_run(&w.f, 1200, NULL, NULL);
	assert_false(w.relay_is_over || e.is_ended || e.is_broken);
	raw_send(&far, "answer");
	wait_for(&w.f, end_has_text, &answer);
	far.ends_after_out = true;
	wait_for(&w.f, end_is_over, &e);
	assert_true(e.is_ended);
	wait_for(&w.f, value_is_set, &w.relay_is_over);
	leave(&w, &e, &far);
}

/* What a server sent may have been cut off. */
static void an_end_of_tcp_alone_is_a_failure_of_a_server(void **state)
{
	struct world w;
	struct raw far;
	struct end e;

	(void)state;
	join(&w, &e, &far);
	shutdown(e.fd, SHUT_RD);
	wait_for(&w.f, end_is_over, &e);
	assert_true(e.is_broken);
	assert_true(stream_is_gone(e.stream));
	assert_int_equal(stream_read(e.stream, (char[1]){0}, 1), STREAM_ERROR);
	leave(&w, &e, &far);
}

static void a_new_context_is_for_new_connections(void **state)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct tls_context *new_server = context("ca2", "server2", false);
	struct tls_context *old_client = context("ca", NULL, true);
	struct tls_context *new_client = context("ca2", NULL, true);
	struct endpoint *endpoint;
	struct outcome o;
	struct world w;
	struct end old, newer;

	(void)state;
	world_start(&w, context("ca", "server", false));
	addr.port = w.port;
	endpoint = endpoint_new(w.client, &addr, old_client);
	call(&w, endpoint, &o);
	assert_int_equal(o.status, 404);
	end_dial(&w, &old, tls_context_ref(old_client));
	assert_non_null(old.stream);
	server_set_tls(w.server, new_server);
	tls_context_unref(new_server);
	end_send(&old, REQUEST);
	wait_for(&w.f, end_has_response, &old);
	end_dial(&w, &newer, tls_context_ref(old_client));
	assert_null(newer.stream);
	end_close(&newer);
	end_dial(&w, &newer, tls_context_ref(new_client));
	assert_non_null(newer.stream);
	/* The connection that is kept was made with the old material. */
	call(&w, endpoint, &o);
	assert_int_equal(o.status, 404);
	endpoint_set_tls(endpoint, new_client);
	call(&w, endpoint, &o);
	assert_int_equal(o.status, 404);
	endpoint_set_tls(endpoint, old_client);
	endpoint_set_tls(endpoint, NULL);
	call(&w, endpoint, &o);
	assert_true(o.err.code != ERR_NONE);
	end_close(&old);
	end_close(&newer);
	endpoint_free(endpoint);
	tls_context_unref(old_client);
	tls_context_unref(new_client);
	world_stop(&w);
}

static bool no_connections(void *arg)
{
	return server_connections(((struct world *)arg)->server) == 0;
}

static void handshakes_have_a_deadline(void **state)
{
	struct world w;
	struct raw silent, plain;

	(void)state;
	world_start(&w, context("ca", "server", false));
	raw_connect(&w.f, &silent, w.port);
	raw_connect(&w.f, &plain, w.port);
	raw_send(&plain, REQUEST);
	wait_for(&w.f, raw_is_over, &plain);
	wait_for(&w.f, raw_is_over, &silent);
	wait_for(&w.f, no_connections, &w);
	assert_int_equal(w.requests, 0);
	/* One under way when the server goes. */
	raw_close(&w.f, &silent);
	raw_connect(&w.f, &silent, w.port);
	while (server_connections(w.server) == 0)
		fixture_run(&w.f, 2, NULL, NULL);
	raw_close(&w.f, &plain);
	raw_close(&w.f, &silent);
	world_stop(&w);
}

struct paused {
	struct call *call;
	size_t received;
	unsigned stops;
	bool is_stopped, is_done, failed;
};

static bool paused_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct paused *p = arg;

	(void)call;
	(void)data;
	p->received += len;
	p->is_stopped = p->stops > 0;
	return p->stops == 0;
}

static void paused_done(struct call *call, const struct err *err, void *arg)
{
	struct paused *p = arg;

	(void)call;
	p->is_done = true;
	p->failed = err != NULL;
}

/* What TLS has decrypted already makes no event of its own. */
static void paused_replies_go_on(void **state)
{
	static const struct call_ops call_ops = {.body = paused_body, .done = paused_done};
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct call_request request = {.method = "GET", .target = "/stream"};
	struct tls_context *tls = context("ca", NULL, true);
	struct endpoint *endpoint;
	struct paused p = {.stops = 20};
	struct world w;

	(void)state;
	world_start(&w, context("ca", "server", false));
	w.to_write = 8 * 1024 * 1024;
	addr.port = w.port;
	endpoint = endpoint_new(w.client, &addr, tls);
	tls_context_unref(tls);
	p.call = call_start(endpoint, &request, &call_ops, &p);
	for (; p.stops > 0; p.stops--) {
		wait_for(&w.f, value_is_set, &p.is_stopped);
		p.is_stopped = false;
		call_resume(p.call);
	}
	wait_for(&w.f, value_is_set, &p.is_done);
	assert_false(p.failed);
	assert_int_equal(p.received, w.to_write);
	endpoint_free(endpoint);
	world_stop(&w);
}

static void certificates_that_were_verified_tell_who_asks(void **state)
{
	static const struct {
		const char *name, *who;
		bool verify;
	} cases[] = {
		{"client", "client", true},
		{"named", "named O=ours O=theirs OU=ops", true},
		{"double", "- O=ours", true},
		/* Nobody has looked at it. */
		{"named", "-", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;
		struct end e;

		world_start(&w, context("ca", "server", cases[i].verify));
		end_dial(&w, &e, context("ca", cases[i].name, true));
		assert_non_null(e.stream);
		end_send(&e, REQUEST);
		wait_for(&w.f, end_has_response, &e);
		assert_string_equal(w.who, cases[i].who);
		end_close(&e);
		world_stop(&w);
	}
}

/* A client of OpenSSL's own, which offers a session that it kept. */
struct visit {
	SSL *ssl;
	bool has_asked, is_answered, is_resumed;
};

static bool visit_step(void *arg)
{
	struct visit *v = arg;
	char data[4096];
	int n;

	n = v->has_asked ? SSL_read(v->ssl, data, sizeof(data)) : SSL_do_handshake(v->ssl);
	if (n <= 0)
		return SSL_get_error(v->ssl, n) != SSL_ERROR_WANT_READ;
	v->is_answered = v->has_asked;
	if (!v->has_asked) {
		v->has_asked = true;
		v->is_resumed = SSL_session_reused(v->ssl);
		(void)SSL_write(v->ssl, REQUEST, (int)strlen(REQUEST));
	}
	return v->is_answered;
}

/* With the certificate of that name. *session: what is offered, NULL = none; replaced by what is
 * left behind. Owned by the caller. */
static struct visit visit(struct world *w, const char *name, int version, SSL_SESSION **session)
{
	struct tls_context *tls = context("ca", name, true);
	struct visit v = {.ssl = SSL_new(tls->client)};
	struct raw raw;

	raw_connect(&w->f, &raw, w->port);
	assert_int_equal(fcntl(raw.fd, F_SETFL, O_NONBLOCK), 0);
	SSL_set_fd(v.ssl, raw.fd);
	SSL_set_max_proto_version(v.ssl, version);
	SSL_set_connect_state(v.ssl);
	if (*session != NULL)
		SSL_set_session(v.ssl, *session);
	raw.is_deaf = true;
	wait_for(&w->f, visit_step, &v);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(v.ssl);
	/* As after an orderly end: one without would not be offered again. */
	SSL_set_shutdown(v.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(v.ssl);
	raw_close(&w->f, &raw);
	tls_context_unref(tls);
	return v;
}

/* Else an expired certificate would do for as long as its holder comes back in time. */
static void sessions_do_not_outlive_certificates(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		SSL_SESSION *session = NULL;
		struct world w;
		struct visit v;

		world_start(&w, context("ca", "server", true));
		v = visit(&w, "client", versions[i], &session);
		assert_true(v.is_answered);
		v = visit(&w, "client", versions[i], &session);
		assert_true(v.is_answered);
		assert_false(v.is_resumed);
		v = visit(&w, "expired", versions[i], &session);
		assert_false(v.is_answered);
		assert_int_equal(w.requests, 2);
		SSL_SESSION_free(session);
		world_stop(&w);
	}
}

static bool one_handshake(void *arg)
{
	return ((struct world *)arg)->server->handshakes.held == 1;
}

static bool two_handshakes(void *arg)
{
	return ((struct world *)arg)->server->handshakes.held == 2;
}

/* Who begins many handshakes and ends none loses the oldest, so that others of that address get in.
 */
static void handshakes_of_one_address_are_bounded(void **state)
{
	struct world w;
	struct raw silent[2], late;

	(void)state;
	world_start(&w, context("ca", "server", false));
	w.server->limits.handshake_timeout_ms = 3600 * 1000;
	w.server->handshakes.client_max = ARRAY_LEN(silent);
	for (size_t i = 0; i < ARRAY_LEN(silent); i++)
		raw_connect(&w.f, &silent[i], w.port);
	wait_for(&w.f, two_handshakes, &w);
	raw_connect(&w.f, &late, w.port);
	wait_for(&w.f, raw_is_over, &silent[0]);
	assert_false(raw_is_over(&silent[1]) || raw_is_over(&late));
	assert_int_equal(w.server->handshakes.held, ARRAY_LEN(silent));
	for (size_t i = 0; i < ARRAY_LEN(silent); i++)
		raw_close(&w.f, &silent[i]);
	wait_for(&w.f, one_handshake, &w);
	raw_close(&w.f, &late);
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_checked_when_read),
		cmocka_unit_test(only_regular_files_are_read),
		cmocka_unit_test(servers_let_in_whom_they_should),
		cmocka_unit_test(clients_trust_whom_they_should),
		cmocka_unit_test(halves_close_both_ways),
		cmocka_unit_test(an_end_behind_full_records_is_told),
		cmocka_unit_test(a_client_that_closed_behind_its_end_is_gone),
		cmocka_unit_test(an_end_of_tcp_alone_is_a_half_close_of_a_client),
		cmocka_unit_test(an_end_of_tcp_alone_is_a_failure_of_a_server),
		cmocka_unit_test(a_new_context_is_for_new_connections),
		cmocka_unit_test(handshakes_have_a_deadline),
		cmocka_unit_test(certificates_that_were_verified_tell_who_asks),
		cmocka_unit_test(sessions_do_not_outlive_certificates),
		cmocka_unit_test(paused_replies_go_on),
		cmocka_unit_test(handshakes_of_one_address_are_bounded),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
