/* Listeners: accept, TLS handshake, connection. */
#include "http/server_priv.h"
#include "http/tls_priv.h"
#include "lib/log.h"
#include "lib/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define JANITOR_MS 250
#define LISTEN_BACKLOG 1024
#define FLEET_BACKLOG 65535

const struct server_limits server_default_limits = {
	.head_max = 128 * 1024,
	.connections_max = 20000,
	.head_timeout_ms = 30 * 1000,
	.idle_timeout_ms = 5 * 60 * 1000,
	.body_timeout_ms = 10 * 60 * 1000,
	.handshake_timeout_ms = 10 * 1000,
	.handshakes_max = 1024,
	.handshakes_client_max = 64,
	.collect_timeout_ms = 60 * 1000,
	.collect_grace_ms = 30 * 1000,
	.collect_rate = 1024,
	.ended_grace_ms = 1000,
	.linger_ms = 2000,
	.reply_max = (size_t)64 * 1024 * 1024,
	.held_max = (size_t)256 * 1024 * 1024,
	.held_client_max = (size_t)128 * 1024 * 1024,
};

struct listener {
	struct listener *next;
	struct server *server;
	int fd;
	struct loop_watch *watch;
	struct tls_context *tls; /* NULL = plain */
	char *path;              /* of a unix socket */
	dev_t path_dev;          /* the file that was made there */
	ino_t path_ino;
	bool is_twin; /* the second of one server_listen */
	uint16_t port;
	bool is_loopback;
	server_pick_fn *pick; /* whose a connection is; NULL = the server's own */
	void *pick_arg;
};

/* A TLS handshake under way. */
struct accepting {
	struct accepting *prev, *next;
	struct server *server;
	struct tls_handshake *handshake;
	struct ledger_entry place;
	char *peer;
	bool is_loopback;
};

static void accepting_remove(struct accepting *a)
{
	if (a->prev != NULL)
		a->prev->next = a->next;
	else
		a->server->accepting = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	a->server->connections_len--;
	ledger_set(&a->server->handshakes, &a->place, a->peer, 0);
	free(a->peer);
	free(a);
}

static void handshake_done(void *arg, struct stream *stream, const struct err *err)
{
	struct accepting *a = arg;
	struct server *server = a->server;
	char *peer CLEANUP_FREE = xstrdup(a->peer);
	bool is_loopback = a->is_loopback;

	accepting_remove(a);
	if (stream != NULL)
		connection_open(server, stream, peer, is_loopback);
	else
		log_info("client refused: %s peer=%s", err->msg, peer);
}

/* A handshake costs us more than the client, who is nobody yet, so they are bounded, of one address
 * and in all. The oldest goes: one that is meant has ended long before. It is looked for among as
 * many as there may be, for a newcomer beyond the bound alone. */
static void bound_handshakes(struct accepting *newest)
{
	struct ledger *ledger = &newest->server->handshakes;
	bool is_of_all = ledger->held > ledger->max;
	struct accepting *oldest = NULL;

	if (ledger_has_room(ledger, &newest->place, newest->peer, 0))
		return;
	for (struct accepting *a = newest->next; a != NULL; a = a->next) {
		if (is_of_all || a->place.client == newest->place.client)
			oldest = a;
	}
	if (oldest == NULL)
		return;
	log_info("client refused: too many handshakes are under way peer=%s", oldest->peer);
	tls_handshake_cancel(oldest->handshake);
	accepting_remove(oldest);
}

static void start_handshake(struct listener *l, struct server *server, int fd, const char *peer)
{
	struct accepting *a = xcalloc(1, sizeof(*a));

	a->server = server;
	a->peer = xstrdup(peer);
	ledger_set(&server->handshakes, &a->place, peer, 1);
	a->is_loopback = l->is_loopback;
	a->next = server->accepting;
	if (a->next != NULL)
		a->next->prev = a;
	server->accepting = a;
	server->connections_len++;
	a->handshake = stream_accept_tls(
		server->loop, fd, l->tls, server->limits.handshake_timeout_ms, handshake_done, a);
	bound_handshakes(a);
}

static void describe_peer(const struct sockaddr_storage *addr, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(in->sin_port));
	} else if (addr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)addr;

		inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(in->sin6_port));
	} else {
		snprintf(out, size, "unix");
	}
}

/* Without a descriptor left, a client that waits would wake the loop for ever: the janitor resumes.
 */
static void set_paused(struct server *server, bool is_paused)
{
	if (server->is_paused == is_paused)
		return;
	server->is_paused = is_paused;
	server_wake_janitor(server);
	for (struct listener *l = server->listeners; l != NULL; l = l->next) {
		if (l->watch != NULL)
			loop_watch_set(l->watch, is_paused ? 0 : LOOP_READ);
	}
}

/* Nobody listens there, as far as the client can tell. */
static void reset_client(int fd)
{
	struct linger none = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

/* Best effort: what it has sent already may reset the connection before it reads this. */
static void refuse_client(const struct listener *l, int fd)
{
	static const char text[] =
		"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
		"Content-Type: application/json\r\nContent-Length: 59\r\n\r\n"
		"{\"message\":\"too many clients are connected: try it later\"}\n";

	if (l->tls == NULL)
		(void)!send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static struct server *pick_server(struct listener *l, int fd)
{
	struct sockaddr_storage called = {0};
	socklen_t len = sizeof(called);

	if (l->pick == NULL)
		return l->server;
	if (getsockname(fd, (struct sockaddr *)&called, &len) == -1)
		return NULL;
	return l->pick(l->pick_arg, &called);
}

static void serve_client(struct listener *l, int fd, const struct sockaddr_storage *addr)
{
	struct server *server = pick_server(l, fd);
	char peer[80];
	int one = 1;

	if (server == NULL) {
		reset_client(fd);
		return;
	}
	if (!room_make(server, fd)) {
		refuse_client(l, fd);
		return;
	}
	describe_peer(addr, peer, sizeof(peer));
	if (addr->ss_family != AF_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		stream_set_keepalive(fd);
	}
	if (l->tls != NULL)
		start_handshake(l, server, fd, peer);
	else
		connection_open(server, stream_from_fd(server->loop, fd), peer, l->is_loopback);
}

/* The system wants a descriptor before it looks whether anybody is to be accepted. */
static bool client_waits(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void accept_clients(unsigned events, void *arg)
{
	struct listener *l = arg;
	struct server *server = l->server;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage addr = {0};
		socklen_t len = sizeof(addr);
		int fd;

		fd = accept4(l->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			if (err_code_of_errno(errno, ERR_NONE) == ERR_NONE || !client_waits(l->fd))
				return;
			if (room_make_any(server))
				continue;
			set_paused(server, true);
			return;
		}
		serve_client(l, fd, &addr);
	}
}

static void janitor(void *arg)
{
	struct server *server = arg;
	struct connection *c = server->connections, *next;
	uint64_t now = loop_now_ms(server->loop);

	for (; c != NULL; c = next) {
		next = c->next;
		connection_check(c, now);
	}
	set_paused(server, false);
	server_wake_janitor(server);
}

/* A server without connections has no deadlines: thousands of idle ones cost nothing. */
void server_wake_janitor(struct server *server)
{
	if ((server->connections_len > 0 || server->is_paused) &&
		!loop_timer_is_active(server->janitor))
		loop_timer_start(server->janitor, JANITOR_MS);
}

struct server *server_new(
	struct loop *loop, struct handler *handler, const struct server_limits *limits)
{
	struct server *server = xcalloc(1, sizeof(*server));

	server->loop = loop;
	server->handler = handler;
	server->limits = limits != NULL ? *limits : server_default_limits;
	server->ledger.max = server->limits.held_max;
	server->ledger.client_max = server->limits.held_client_max;
	server->handshakes.max = server->limits.handshakes_max;
	server->handshakes.client_max = server->limits.handshakes_client_max;
	room_init(server);
	server->janitor = loop_timer_new(loop, janitor, server);
	return server;
}

/* A socket file that nobody serves any more is in the way, and only that: one that answers, that is
 * too busy to (EAGAIN), or that cannot be asked, belongs to somebody. */
static int clear_unix_path(const struct sockaddr_un *un, struct err *err)
{
	struct stat st;
	int fd CLEANUP_FD = -1;

	if (lstat(un->sun_path, &st) == -1)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_INVALID,
			"cannot listen on unix://%s: a file that is not a socket is there",
			un->sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_errno(err, ERR_SYSTEM, errno, "socket");
	if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno == EAGAIN)
		return err_set(err, ERR_CONFLICT,
			"cannot listen on unix://%s: another process does already", un->sun_path);
	if (errno == ECONNREFUSED)
		unlink(un->sun_path);
	else if (errno != ENOENT)
		return err_errno(err, ERR_CONFLICT, errno,
			"cannot listen on unix://%s: a socket is there that cannot be asked",
			un->sun_path);
	return 0;
}

/* Another process may have taken the path since. */
static void remove_own_file(const struct listener *l)
{
	struct stat st;

	if (lstat(l->path, &st) == 0 && st.st_dev == l->path_dev && st.st_ino == l->path_ino)
		unlink(l->path);
}

static void note_file(struct listener *l, const char *path)
{
	struct stat st;

	l->path = xstrdup(path);
	if (lstat(path, &st) == -1)
		return;
	l->path_dev = st.st_dev;
	l->path_ino = st.st_ino;
}

static int bind_unix(const struct addr *addr, struct err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, status;

	if (strlen(addr->path) >= sizeof(un.sun_path))
		return err_set(err, ERR_INVALID, "cannot listen on unix://%s: the path is too long",
			addr->path);
	memcpy(un.sun_path, addr->path, strlen(addr->path) + 1);
	if (clear_unix_path(&un, err) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return err_errno(err, ERR_SYSTEM, errno, "socket");
	old = umask(0117); /* owner and group only: the socket is root on every node */
	status = bind(fd, (struct sockaddr *)&un, sizeof(un));
	umask(old);
	if (status == -1 || listen(fd, LISTEN_BACKLOG) == -1) {
		err_errno(err, ERR_SYSTEM, errno, "cannot listen on unix://%s", addr->path);
		close(fd);
		return -1;
	}
	return fd;
}

static int bind_one(const struct addrinfo *ai)
{
	int one = 1, fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == -1 || listen(fd, LISTEN_BACKLOG) == -1) {
		int saved = errno;

		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

/* Resolving the own address blocks, at start only. */
static int bind_tcp(const struct addr *addr, struct err *err)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
				.ai_socktype = SOCK_STREAM},
			*list = NULL;
	char port[8];
	int fd = -1, status;

	snprintf(port, sizeof(port), "%u", addr->port);
	status = getaddrinfo(str_is_empty(addr->host) ? NULL : addr->host, port, &hints, &list);
	if (status != 0)
		return err_set(err, ERR_INVALID, "cannot listen on %s:%u: %s", addr->host,
			addr->port, gai_strerror(status));
	for (struct addrinfo *ai = list; ai != NULL && fd == -1; ai = ai->ai_next)
		fd = bind_one(ai);
	if (fd == -1)
		err_errno(err, ERR_SYSTEM, errno, "cannot listen on %s:%u", addr->host, addr->port);
	freeaddrinfo(list);
	return fd;
}

/* What the socket was bound to. */
static void note_bound(struct listener *l)
{
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);

	if (getsockname(l->fd, (struct sockaddr *)&addr, &len) == -1)
		return;
	if (addr.ss_family == AF_INET6)
		l->port = ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
	else
		l->port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
	l->is_loopback = addr_is_loopback_socket((struct sockaddr *)&addr);
}

static struct listener *add_listener(
	struct server *server, const struct addr *addr, struct tls_context *tls, struct err *err)
{
	struct listener *l, **tail = &server->listeners;
	int fd;

	if (tls != NULL && tls->server == NULL) {
		err_set(err, ERR_INVALID, "a TLS listener needs a certificate and its key");
		return NULL;
	}
	fd = addr->kind == ADDR_UNIX ? bind_unix(addr, err) : bind_tcp(addr, err);
	if (fd == -1)
		return NULL;
	l = xcalloc(1, sizeof(*l));
	l->server = server;
	l->fd = fd;
	l->tls = tls_context_ref(tls);
	if (addr->kind == ADDR_UNIX)
		note_file(l, addr->path);
	else
		note_bound(l);
	l->watch = loop_watch_new(server->loop, fd, accept_clients, l);
	loop_watch_set(l->watch, LOOP_READ);
	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = l;
	return l;
}

/* Where IPv6 is switched off there is none. */
static bool has_loopback6(void)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd CLEANUP_FD = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd != -1 && bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
}

int server_listen(
	struct server *server, const struct addr *addr, struct tls_context *tls, struct err *err)
{
	struct addr v4 = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1", .port = addr->port};
	struct addr v6 = {.kind = ADDR_TCP, .host = (char *)"::1"};
	struct listener *l;

	if (addr->kind != ADDR_TCP || !str_ieq(addr->host, "localhost"))
		return add_listener(server, addr, tls, err) != NULL ? 0 : -1;
	l = add_listener(server, &v4, tls, err);
	if (l == NULL)
		return -1;
	if (!has_loopback6())
		return 0;
	v6.port = l->port;
	l = add_listener(server, &v6, tls, err);
	if (l == NULL)
		return -1;
	l->is_twin = true;
	return 0;
}

int server_listen_loopback(struct server *server, uint16_t port, struct tls_context *tls,
	server_pick_fn *pick, void *arg, struct err *err)
{
	static const char device[] = "lo";
	struct addr any = {.kind = ADDR_TCP, .host = (char *)"0.0.0.0", .port = port};
	struct listener *l = add_listener(server, &any, tls, err);

	if (l == NULL)
		return -1;
	l->pick = pick;
	l->pick_arg = arg;
	/* Best before the first client comes; where it is not allowed, pick refuses strangers. */
	setsockopt(l->fd, SOL_SOCKET, SO_BINDTODEVICE, device, sizeof(device));
	/* Many come at once, since each stands for a server; the kernel lowers it to its own limit.
	 */
	if (listen(l->fd, FLEET_BACKLOG) == -1)
		return err_errno(err, ERR_SYSTEM, errno, "cannot listen on port %u", port);
	return 0;
}

uint16_t server_port(const struct server *server, size_t n)
{
	for (const struct listener *l = server->listeners; l != NULL; l = l->next) {
		if (l->path == NULL && !l->is_twin && n-- == 0)
			return l->port;
	}
	return 0;
}

void server_set_tls(struct server *server, struct tls_context *tls)
{
	for (struct listener *l = server->listeners; l != NULL; l = l->next) {
		if (l->tls == NULL)
			continue;
		tls_context_ref(tls);
		tls_context_unref(l->tls);
		l->tls = tls;
	}
}

void server_stop_listening(struct server *server)
{
	for (struct listener *l = server->listeners; l != NULL; l = l->next) {
		if (l->fd == -1)
			continue;
		loop_watch_free(TAKE_PTR(l->watch));
		close(l->fd);
		l->fd = -1;
		if (l->path != NULL)
			remove_own_file(l);
	}
}

size_t server_connections(const struct server *server)
{
	return server->connections_len;
}

void server_free(struct server *server)
{
	struct listener *l;

	if (server == NULL)
		return;
	server_stop_listening(server);
	while (server->accepting != NULL) {
		tls_handshake_cancel(server->accepting->handshake);
		accepting_remove(server->accepting);
	}
	while (server->connections != NULL)
		connection_close(server->connections, "the server ends");
	loop_timer_free(server->janitor);
	while ((l = server->listeners) != NULL) {
		server->listeners = l->next;
		tls_context_unref(l->tls);
		free(l->path);
		free(l);
	}
	free(server);
}
