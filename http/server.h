/* HTTP servers: listeners (tcp or unix, plain or TLS) that turn requests into exchanges. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http/exchange.h"
#include "http/tls.h"
#include "lib/addr.h"
#include "lib/env.h"
#include "lib/loop.h"

#include <sys/socket.h>

struct server;

struct server_limits {
	size_t head_max;          /* bytes of request line and headers; 431 above */
	unsigned connections_max; /* open client connections, but never more than half of the
				     descriptors; then the idle one that has waited longest goes, or
				     the newcomer is refused */
	unsigned head_timeout_ms; /* from the first byte of a request to the end of its head; 408 */
	unsigned idle_timeout_ms; /* between requests on a kept connection */
	unsigned body_timeout_ms; /* without progress of a request's body, or of a reply's reader */
	unsigned handshake_timeout_ms;
	unsigned handshakes_max;        /* TLS handshakes under way; above, the oldest is closed */
	unsigned handshakes_client_max; /* the same from one address */
	unsigned collect_timeout_ms;    /* without progress of a body that is collected */
	unsigned collect_grace_ms;      /* a collected body that takes longer must come at */
	unsigned collect_rate;          /* so many bytes a second, from then on */
	unsigned ended_grace_ms; /* a client that has sent its end has this long to get its reply */
	unsigned linger_ms;      /* what a client sends behind the last reply is read so long */
	size_t reply_max;        /* bytes of a reply that wait for its reader */
	size_t held_max;        /* bytes held for all clients, their unfinished requests and waiting
				   replies; 503 above, a small part of each is not counted */
	size_t held_client_max; /* the same for one client address */
};
extern const struct server_limits server_default_limits;

/* The handler gets every exchange; borrowed, must outlive the server. limits NULL = the defaults.
 */
struct server *server_new(
	struct loop *loop, struct handler *handler, const struct server_limits *limits);

/* Listens. tls NULL = plain. port 0 picks a free one. A unix socket left over by a dead process is
 * replaced, one that is in use is an error. The host "localhost" is both 127.0.0.1 and ::1, where
 * there is one, whichever a client's resolver gives it. The error names the address. */
int server_listen(struct server *server, const struct addr *addr, struct tls_context *tls,
	struct err *err) MUSTCHECK;
/* Listens on that port of all loopback addresses (127.0.0.0/8), with one socket for the servers of
 * many. pick gets the address that a client has called and says whose connection it is; NULL =
 * nobody's: the client sees a reset. What it returns must live; connections are that server's, and
 * count there. */
typedef struct server *server_pick_fn(void *arg, const struct sockaddr_storage *called);
int server_listen_loopback(struct server *server, uint16_t port, struct tls_context *tls,
	server_pick_fn *pick, void *arg, struct err *err) MUSTCHECK;
/* Port of the n-th tcp address that was listened on (after port 0). */
uint16_t server_port(const struct server *server, size_t n);
/* New connections of all TLS listeners use this from now on; those that are open stay. */
void server_set_tls(struct server *server, struct tls_context *tls);
/* Stops accepting; exchanges in flight go on. */
void server_stop_listening(struct server *server);
/* Connections that are open. */
size_t server_connections(const struct server *server);
/* Closes everything at once; exchanges in flight end unfinished before it returns. Unix socket
 * files are removed, unless another process has taken their path. */
void server_free(struct server *server);

#endif
