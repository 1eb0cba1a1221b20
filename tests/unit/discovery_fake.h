/* An HTTP server for tests of discovery: each test says how it answers. */
#ifndef TESTS_UNIT_DISCOVERY_FAKE_H
#define TESTS_UNIT_DISCOVERY_FAKE_H

#include "http/exchange.h"
#include "http/server.h"
#include "tests/unit/discovery_fixture.h"

#define FAKE_REQUESTS_MAX 4096

struct fake {
	struct handler handler; /* first */
	struct server *server;
	uint16_t port;
	/* Gets every request with its whole body. */
	void (*answer)(struct fake *fake, struct exchange *x, const char *body);
	void *arg;
	char *requests[FAKE_REQUESTS_MAX]; /* "METHOD target" */
	size_t count;
	unsigned more_than; /* for waiting */
};

static inline void fake_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct fake *fake = arg;
	char *text = xstrndup(len > 0 ? body : "", len);

	if (fake->count < FAKE_REQUESTS_MAX)
		fake->requests[fake->count++] =
			xasprintf("%s %s", exchange_method(x), exchange_target(x));
	fake->answer(fake, x, text);
	free(text);
}

static inline void fake_handle(struct handler *h, struct exchange *x)
{
	exchange_read_body(x, 64 * 1024, fake_body, h);
}

static inline void fake_handler_free(struct handler *h)
{
	(void)h;
}

static inline struct fake *fake_new(struct loop *loop,
	void (*answer)(struct fake *fake, struct exchange *x, const char *body), void *arg)
{
	static const struct handler_ops ops = {
		.name = "fake", .handle = fake_handle, .free = fake_handler_free};
	struct fake *fake = xcalloc(1, sizeof(*fake));
	struct addr addr = {0};
	struct err err = ERR_INIT;

	fake->handler.ops = &ops;
	fake->answer = answer;
	fake->arg = arg;
	fake->server = server_new(loop, &fake->handler, NULL);
	if (addr_parse("127.0.0.1:0", 0, &addr, &err) != 0 ||
		server_listen(fake->server, &addr, NULL, &err) != 0)
		fail_msg("%s", err.msg);
	addr_free(&addr);
	fake->port = server_port(fake->server, 0);
	return fake;
}

static inline void fake_free(struct fake *fake)
{
	if (fake->server != NULL)
		server_free(fake->server);
	for (size_t i = 0; i < fake->count; i++)
		free(fake->requests[i]);
	free(fake);
}

static inline bool fake_has_more(void *arg)
{
	struct fake *fake = arg;

	return fake->count > fake->more_than;
}

/* Waits until there were so many requests. */
static inline void fake_wait(struct loop *loop, struct fake *fake, unsigned count)
{
	fake->more_than = count - 1;
	if (!fixture_run(loop, FIXTURE_DEADLINE_MS, fake_has_more, fake))
		fail_msg("only %zu requests came, wanted %u", fake->count, count);
}

/* Waits for one more request and gives it. */
static inline const char *fake_next(struct loop *loop, struct fake *fake)
{
	fake->more_than = (unsigned)fake->count;
	if (!fixture_run(loop, FIXTURE_DEADLINE_MS, fake_has_more, fake))
		fail_msg("no further request came");
	return fake->requests[fake->count - 1];
}

/* A reply with an X-Consul-Index, unless index is NULL. */
static inline void fake_reply(struct exchange *x, int status, const char *index, const char *body)
{
	struct http_headers headers = {0};

	http_headers_add(&headers, "Content-Type", "application/json");
	if (index != NULL)
		http_headers_add(&headers, "X-Consul-Index", index);
	exchange_reply(x, status, &headers, body, strlen(body));
	http_headers_free(&headers);
}

#endif
