/* Which clients are let in: how many connections there may be, in all and while others wait, and
 * who goes when another comes. Inside http/ only.
 *
 * Connections of clients may be half of the descriptors of the process, since each may need another
 * to an engine, but no more than limits.connections_max. The last eighth of the descriptors (at
 * least 16) is nobody's but the engines', discovery's and the listeners': the system gives the
 * lowest number that is free, so that a connection with such a number tells that all below are
 * taken, by whomever. */
#ifndef HTTP_ROOM_H
#define HTTP_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct server;

struct room {
	size_t max;         /* connections, handshakes included */
	size_t fd_max;      /* its number and those above are reserved */
	size_t streams_max; /* raw streams; each costs two descriptors */
	/* Idle connections, the one that began to be so first in front: those that never asked for
	 * anything, and kept ones. */
	struct connection *idle[2];
	unsigned long refused; /* newcomers */
	bool was_told;
	uint64_t told_ms;
};

void room_init(struct server *server);
/* For a newcomer with that descriptor: closes the idle connection that has waited longest when
 * there is no room, first of those that never asked for anything. False when none is idle: the
 * newcomer is to be refused. */
bool room_make(struct server *server, int fd);
/* The same for one that got no descriptor at all. */
bool room_make_any(struct server *server);
/* Enters the connection among the idle ones, or takes it out, by what it is now. */
void room_note(struct connection *c);
/* It is closed. */
void room_forget(struct connection *c);
/* There may be another raw stream in this process. */
bool room_for_stream(const struct server *server);

#endif
