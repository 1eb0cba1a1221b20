#include "tests/unit/client_fixture.h"

static void peer_accept(unsigned events, void *arg)
{
	struct peer *p = arg;
	int fd = accept4(p->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	assert_true(fd != -1 && p->len < ARRAY_LEN(p->raws));
	raw_init(p->f, &p->raws[p->len], fd);
	if (p->answer != NULL)
		raw_send(&p->raws[p->len], p->answer);
	p->raws[p->len].ends_after_out = p->ends;
	p->len++;
}

static void handle(struct handler *h, struct exchange *x);

static void handler_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops handler_ops = {
	.name = "test", .handle = handle, .free = handler_nothing};

void world_start(struct world *w)
{
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct err err = ERR_INIT;

	memset(w, 0, sizeof(*w));
	w->f.loop = loop_new();
	buf_init(&w->body, 128 * 1024 * 1024);
	w->client = client_new(w->f.loop);
	w->peer.f = &w->f;
	w->peer.fd = raw_listen(&w->peer.port);
	w->peer.watch = loop_watch_new(w->f.loop, w->peer.fd, peer_accept, &w->peer);
	loop_watch_set(w->peer.watch, LOOP_READ);
	addr.port = w->peer.port;
	w->endpoint = endpoint_new(w->client, &addr, NULL);
	w->handler.ops = &handler_ops;
	w->server = server_new(w->f.loop, &w->handler, NULL);
	addr.port = 0;
	assert_int_equal(server_listen(w->server, &addr, NULL, &err), 0);
	addr.port = server_port(w->server, 0);
	w->good = endpoint_new(w->client, &addr, NULL);
}

void world_stop(struct world *w)
{
	endpoint_free(w->endpoint);
	endpoint_free(w->good);
	client_free(w->client);
	server_free(w->server);
	stream_close(w->stream);
	for (size_t i = 0; i < w->peer.len; i++)
		raw_close(&w->f, &w->peer.raws[i]);
	loop_watch_free(w->peer.watch);
	close(w->peer.fd);
	loop_free(w->f.loop);
	buf_reset(&w->body);
}

static bool maybe_cancel(struct world *w, const char *where)
{
	if (!str_eq(w->cancel_in, where))
		return false;
	call_cancel(w->call);
	w->call = NULL;
	return true;
}

static void on_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct world *w = arg;

	(void)call;
	(void)headers;
	w->heads++;
	w->status = status;
	maybe_cancel(w, "head");
}

static bool on_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct world *w = arg;

	(void)call;
	assert_int_equal(w->heads, 1);
	assert_int_equal(w->dones, 0);
	assert_int_equal(buf_append(&w->body, data, len), 0);
	if (maybe_cancel(w, "body"))
		return true;
	w->is_stopped = w->stops;
	return !w->stops;
}

static void on_drain(struct call *call, void *arg)
{
	struct world *w = arg;

	(void)call;
	w->has_room = true;
	maybe_cancel(w, "drain");
}

static void on_done(struct call *call, const struct err *err, void *arg)
{
	struct world *w = arg;

	w->dones++;
	w->failed = err != NULL;
	if (err != NULL)
		w->err = *err;
	if (str_eq(w->cancel_in, "done"))
		call_cancel(call); /* of no effect */
	if (str_eq(w->cancel_in, "endpoint")) {
		endpoint_free(w->endpoint);
		w->endpoint = NULL;
	}
	w->call = NULL;
}

static const struct call_ops ops = {
	.head = on_head, .body = on_body, .upload_drain = on_drain, .done = on_done};

bool world_is_done(void *world)
{
	return ((struct world *)world)->dones > 0;
}

bool world_is_canceled(void *world)
{
	struct world *w = world;

	return w->call == NULL && w->exchanges == 0;
}

void world_call(struct world *w, struct endpoint *e, const struct call_request *request)
{
	w->heads = w->dones = 0;
	w->failed = false;
	w->err = (struct err)ERR_INIT;
	buf_reset(&w->body);
	w->call = call_start(e, request, &ops, w);
	assert_int_equal(w->heads + w->dones, 0);
}

void world_get(struct world *w, struct endpoint *e, const char *target)
{
	struct call_request request = {
		.method = "GET", .target = target, .total_timeout_ms = FIXTURE_DEADLINE_MS};

	world_call(w, e, &request);
}

/* ---- What the good server does ---- */

static void echo_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	(void)arg;
	exchange_reply(x, 200, NULL, body, len);
}

static size_t take_piece(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct world *w = arg;

	(void)data;
	if (w->sink_is_paused)
		return 0;
	w->received += len;
	if (len == 0)
		exchange_reply_error(x, 200, "%zu", w->received);
	return len;
}

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

static void on_end(struct exchange *x, bool finished, void *arg)
{
	struct world *w = arg;

	(void)finished;
	w->exchanges--;
	if (w->x == x)
		w->x = NULL;
}

static void handle(struct handler *h, struct exchange *x)
{
	struct world *w = CONTAINER_OF(h, struct world, handler);
	const char *target = exchange_target(x);

	w->exchanges++;
	w->x = x;
	exchange_on_end(x, on_end, w);
	if (str_eq(target, "/echo")) {
		exchange_read_body(x, 1024 * 1024, echo_body, w);
	} else if (str_eq(target, "/sink")) {
		exchange_stream_body(x, take_piece, w);
	} else if (str_eq(target, "/stream")) {
		exchange_reply_start(x, 200, NULL, -1);
		exchange_on_drain(x, write_more, w);
		write_more(x, w);
	} else if (str_eq(target, "/refuse")) {
		exchange_reply_error(x, 403, "no");
	} else if (!str_eq(target, "/hold")) {
		exchange_reply_error(x, 404, "none");
	}
}
