/* Two raw streams joined: bytes flow both ways with back-pressure, an end of one direction is
 * passed on as a half-close, and the relay is over when both directions have ended or either side
 * breaks. It is over too, some seconds later, when a side whose end was read has gone entirely
 * (stream_is_gone): the other side gets what was sent before, its end, and a moment to end itself.
 */
#ifndef HTTP_RELAY_H
#define HTTP_RELAY_H

#include "http/stream.h"

#include <stdint.h>

struct relay;
/* Owns both streams. done is called once, never from inside, after they were closed; it may free
 * anything but the relay, which is dead then. */
struct relay *relay_start(struct loop *loop, struct stream *a_take, struct stream *b_take,
	void (*done)(struct relay *relay, void *arg), void *arg);
/* For protocols that know no half-close: the end of one side is that of its stream, and the other
 * side gets what was sent before, its end, and a moment to follow. */
void relay_ends_whole(struct relay *relay);
/* Closes both streams; done is not called. */
void relay_cancel(struct relay *relay);

/* Relays of this process that are not over. */
size_t relays_open(void);

/* What went from a to b, and back; until the relay is freed, so still inside of done. */
struct relay_bytes {
	uint64_t read, written;
};
struct relay_bytes relay_bytes_there(const struct relay *relay);
struct relay_bytes relay_bytes_back(const struct relay *relay);

#endif
