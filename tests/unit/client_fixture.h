/* A client in a world with a good server, in this process, and a raw peer that says what it is told
 * to; and what a call told. */
#ifndef TESTS_UNIT_CLIENT_FIXTURE_H
#define TESTS_UNIT_CLIENT_FIXTURE_H

#include "http/client_priv.h"
#include "http/server.h"
#include "lib/str.h"
#include "tests/unit/http_fixture.h"

/* A peer that says what it is told to whoever asks. */
struct peer {
	struct fixture *f;
	int fd;
	uint16_t port;
	struct loop_watch *watch;
	struct raw raws[4];
	size_t len;
	const char *answer;
	bool ends; /* behind the answer */
};

struct world {
	struct fixture f;
	struct client *client;
	struct peer peer;
	struct endpoint *endpoint;
	/* What a call told. */
	struct call *call;
	unsigned heads, dones;
	int status;
	struct buf body;
	struct err err;
	bool failed, stops, is_stopped, has_room;
	const char *cancel_in;
	/* The good server. */
	struct handler handler;
	struct server *server;
	struct endpoint *good;
	size_t received, to_write, written;
	bool sink_is_paused;
	struct exchange *x;
	unsigned exchanges;
	unsigned refused;
	struct stream *stream;
};

void world_start(struct world *w);
void world_stop(struct world *w);
/* Starts w->call, which must tell nothing before the loop runs. */
void world_call(struct world *w, struct endpoint *e, const struct call_request *request);
/* The same, a GET. */
void world_get(struct world *w, struct endpoint *e, const char *target);
/* For wait_for: it ended; it was cancelled, and the good server knows. */
bool world_is_done(void *world);
bool world_is_canceled(void *world);

#endif
