/* A manager over two engines: the whole of the program from the listener to the engines' sockets,
 * on a clock that the test moves. */
#ifndef TESTS_UNIT_MANAGER_FIXTURE_H
#define TESTS_UNIT_MANAGER_FIXTURE_H

#include "api/api.h"
#include "http/server.h"
#include "tests/unit/fake_engine.h"
#include "tests/unit/moved_clock.h"

struct manager {
	struct fixture f;
	struct client *client;
	struct cluster *cluster;
	struct scheduler *scheduler;
	struct handler *handler;
	struct server *server;
	struct fake_engine *alpha, *beta; /* with the containers "one" and "two" */
	struct raw caller;                /* connected to the manager */
};

/* Both engines are healthy when it returns. */
void manager_start(struct manager *m);
void manager_stop(struct manager *m);
/* Tells the cluster of these engines and no others; NULL = none. */
void manager_set_engines(
	struct manager *m, const struct fake_engine *first, const struct fake_engine *second);
/* True when both are healthy. */
bool manager_is_healthy(void *manager);
/* A new connection of the caller in place of the old one. */
void manager_reconnect(struct manager *m);

#endif
