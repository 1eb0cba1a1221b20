#include "http/room.h"
#include "http/relay.h"
#include "http/server_priv.h"
#include "lib/log.h"

#include <sys/resource.h>
#include <utlist.h>

#define CLIENTS_SHARE 2 /* one in so many descriptors may be a client's */
#define STREAMS_SHARE 8 /* one in so many may begin a raw stream; it takes another */
#define RESERVE_SHARE 8 /* one in so many is no client's */
#define RESERVE_MIN 16
#define TOLD_MS (60 * 1000) /* how often the log tells that there is no room */

enum idle_kind {
	IDLE_NEW,  /* asked for nothing yet */
	IDLE_KEPT, /* kept after a reply */
};

void room_init(struct server *server)
{
	struct room *room = &server->room;
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
	size_t reserve;

	room->max = server->limits.connections_max;
	room->fd_max = room->streams_max = SIZE_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur == RLIM_INFINITY)
		return;
	if (room->max > limit.rlim_cur / CLIENTS_SHARE)
		room->max = limit.rlim_cur / CLIENTS_SHARE;
	reserve = limit.rlim_cur / RESERVE_SHARE;
	if (reserve < RESERVE_MIN)
		reserve = RESERVE_MIN;
	room->fd_max = limit.rlim_cur > reserve ? limit.rlim_cur - reserve : 0;
	room->streams_max = limit.rlim_cur / STREAMS_SHARE;
}

static bool has_room(const struct server *server, int fd)
{
	return server->connections_len < server->room.max && (size_t)fd < server->room.fd_max;
}

static void tell(struct server *server, const char *what)
{
	struct room *room = &server->room;
	uint64_t now = loop_now_ms(server->loop);

	if (room->was_told && now - room->told_ms < TOLD_MS)
		return;
	log_warn("%s: open=%zu refused=%lu", what, server->connections_len, room->refused);
	room->was_told = true;
	room->told_ms = now;
}

bool room_make_any(struct server *server)
{
	struct room *room = &server->room;
	struct connection *oldest = room->idle[IDLE_NEW];

	if (oldest == NULL)
		oldest = room->idle[IDLE_KEPT];
	if (oldest == NULL) {
		tell(server, "no room for more client connections");
		return false;
	}
	tell(server, "idle client connections are closed to make room");
	connection_close(oldest, "idle, and another needs its place");
	return true;
}

bool room_make(struct server *server, int fd)
{
	if (has_room(server, fd) || room_make_any(server))
		return true;
	server->room.refused++;
	return false;
}

void room_forget(struct connection *c)
{
	if (c->idle_in == NULL)
		return;
	DL_DELETE2(*c->idle_in, c, idle_prev, idle_next);
	c->idle_in = NULL;
}

void room_note(struct connection *c)
{
	bool is_idle = c->state == CONNECTION_HEAD && c->in.len == 0 && c->out.len == 0;

	if (is_idle && c->idle_in != NULL && c->idle_requests == c->requests)
		return;
	room_forget(c);
	if (!is_idle)
		return;
	c->idle_in = &c->server->room.idle[c->requests > 0 ? IDLE_KEPT : IDLE_NEW];
	c->idle_requests = c->requests;
	DL_APPEND2(*c->idle_in, c, idle_prev, idle_next);
}

bool room_for_stream(const struct server *server)
{
	return relays_open() < server->room.streams_max;
}
