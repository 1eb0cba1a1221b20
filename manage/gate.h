/* The first handler of the chain: counts the exchanges in flight, and once closed turns new ones
 * away, so that the manager can tell when it may leave. */
#ifndef MANAGE_GATE_H
#define MANAGE_GATE_H

#include "http/exchange.h"

#include <stddef.h>

struct handler *gate_new(struct handler *next_take);
/* Exchanges that have not ended. A stream that was upgraded is no exchange any more. */
size_t gate_in_flight(const struct handler *gate);
/* From now on every exchange is answered 503. idle is called each time the last one in flight has
 * ended; not from inside this call. */
void gate_close(struct handler *gate, void (*idle)(void *arg), void *arg);

#endif
