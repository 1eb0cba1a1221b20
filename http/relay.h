/* Two raw streams joined: bytes flow both ways with back-pressure, an end of one direction is
 * passed on as a half-close, and the relay is over when both directions have ended or either side
 * breaks. */
#ifndef HTTP_RELAY_H
#define HTTP_RELAY_H

#include "http/stream.h"

struct relay;
/* Owns both streams. done is called once, after they were closed. idle_timeout_ms 0 = none. */
struct relay *relay_start(struct loop *loop, struct stream *a_take, struct stream *b_take,
	void (*done)(struct relay *relay, void *arg), void *arg);
/* Closes both streams; done is not called. */
void relay_cancel(struct relay *relay);

#endif
