/* Frames of WebSockets (RFC 6455), as the side that serves. */
#ifndef SIMULATOR_WS_H
#define SIMULATOR_WS_H

#include "lib/buf.h"

enum {
	SIM_WS_TEXT = 1,
	SIM_WS_BINARY = 2,
	SIM_WS_CLOSE = 8,
	SIM_WS_PING = 9,
	SIM_WS_PONG = 10,
};

/* kind: of the above; data of text and binary messages comes in pieces. */
typedef void sim_ws_fn(void *arg, int kind, const char *data, size_t len);

struct sim_ws;
struct sim_ws *sim_ws_new(sim_ws_fn *fn, void *arg);
void sim_ws_free(struct sim_ws *ws);
/* Takes what came; data is unmasked in place. -1: it is no WebSocket. */
int sim_ws_feed(struct sim_ws *ws, char *data, size_t len) MUSTCHECK;

void sim_ws_write(struct buf *out, int kind, const char *data, size_t len);

#endif
