/* Streams: what they share, and the plain socket. */
#include "http/stream.h"
#include "http/exchange.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define UNREAD_MAX (1024 * 1024)

ssize_t stream_read(struct stream *s, void *data, size_t len)
{
	if (s->unread.len > 0) {
		size_t n = len < s->unread.len ? len : s->unread.len;

		memcpy(data, s->unread.data, n);
		buf_consume(&s->unread, n);
		return (ssize_t)n;
	}
	return s->ops->read(s, data, len);
}

ssize_t stream_write(struct stream *s, const void *data, size_t len)
{
	return s->ops->write(s, data, len);
}

void stream_shutdown_write(struct stream *s)
{
	s->ops->shutdown_write(s);
}

void stream_want(struct stream *s, unsigned events)
{
	s->ops->want(s, events);
}

bool stream_is_gone(struct stream *s)
{
	return s->ops->is_gone(s);
}

void stream_identify(struct stream *s, struct exchange_identity *out)
{
	if (s->ops->identify != NULL)
		s->ops->identify(s, out);
}

void stream_identify_process(int fd, struct exchange_identity *out)
{
	struct sockaddr_storage own = {0};
	struct ucred peer = {0};
	socklen_t own_len = sizeof(own), peer_len = sizeof(peer);

	/* Other sockets give credentials too, which are nobody's. */
	if (getsockname(fd, (struct sockaddr *)&own, &own_len) == -1 || own.ss_family != AF_UNIX ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == -1)
		return;
	out->has_process = true;
	out->uid = peer.uid;
	out->gid = peer.gid;
	out->pid = peer.pid;
}

void stream_identity_free(struct exchange_identity *identity)
{
	if (identity == NULL)
		return;
	free(identity->common_name);
	str_list_free(&identity->organizations);
	str_list_free(&identity->units);
	free(identity);
}

void stream_set_keepalive(int fd)
{
	int one = 1, idle = STREAM_KEEPALIVE_IDLE_S, interval = STREAM_KEEPALIVE_INTERVAL_S,
	    probes = STREAM_KEEPALIVE_PROBES;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

void stream_on_ready(struct stream *s, stream_ready_fn *ready, void *arg)
{
	s->ready = ready;
	s->ready_arg = arg;
}

void stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	buf_reset(&s->unread);
	s->ops->close(s);
}

void stream_unread(struct stream *s, const void *data, size_t len)
{
	if (s->unread.max == 0)
		buf_init(&s->unread, UNREAD_MAX);
	buf_append(&s->unread, data, len);
}

struct socket_stream {
	struct stream stream;
	struct loop *loop;
	int fd;
	struct loop_watch *watch;
	bool write_is_shut;
	bool is_kicked; /* socket_kick is on its way */
	bool is_closed;
	unsigned wanted;
};

static struct socket_stream *socket_of(struct stream *s)
{
	return CONTAINER_OF(s, struct socket_stream, stream);
}

static void socket_ready(unsigned events, void *arg)
{
	struct socket_stream *ss = arg;

	/* What nobody asked for is how the loop tells of an error. */
	if (events & ~ss->wanted)
		events = LOOP_READ | LOOP_WRITE | LOOP_HANGUP;
	if (ss->stream.ready != NULL)
		ss->stream.ready(events, ss->stream.ready_arg);
}

static ssize_t socket_read(struct stream *s, void *data, size_t len)
{
	ssize_t n;

	do {
		n = recv(socket_of(s)->fd, data, len, 0);
	} while (n == -1 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_AGAIN : STREAM_ERROR;
}

static ssize_t socket_write(struct stream *s, const void *data, size_t len)
{
	ssize_t n;

	do {
		n = send(socket_of(s)->fd, data, len, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_AGAIN : STREAM_ERROR;
}

static void socket_shutdown_write(struct stream *s)
{
	struct socket_stream *ss = socket_of(s);

	if (!ss->write_is_shut)
		shutdown(ss->fd, SHUT_WR);
	ss->write_is_shut = true;
}

/* Bytes put back are readable though the socket may not be. */
static void socket_kick(void *arg)
{
	struct socket_stream *ss = arg;

	ss->is_kicked = false;
	if (ss->is_closed) {
		free(ss);
		return;
	}
	if (ss->stream.unread.len > 0 && (ss->wanted & LOOP_READ))
		socket_ready(LOOP_READ, ss);
}

static void socket_want(struct stream *s, unsigned events)
{
	struct socket_stream *ss = socket_of(s);

	ss->wanted = events;
	loop_watch_set(ss->watch, events);
	if ((events & LOOP_READ) && s->unread.len > 0 && !ss->is_kicked) {
		ss->is_kicked = true;
		loop_defer(ss->loop, socket_kick, ss);
	}
}

static bool socket_is_gone(struct stream *s)
{
	struct pollfd p = {.fd = socket_of(s)->fd};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void socket_identify(struct stream *s, struct exchange_identity *out)
{
	stream_identify_process(socket_of(s)->fd, out);
}

static void socket_close(struct stream *s)
{
	struct socket_stream *ss = socket_of(s);

	loop_watch_free(ss->watch);
	close(ss->fd);
	if (ss->is_kicked)
		ss->is_closed = true;
	else
		free(ss);
}

static const struct stream_ops socket_ops = {
	.name = "socket",
	.read = socket_read,
	.write = socket_write,
	.shutdown_write = socket_shutdown_write,
	.want = socket_want,
	.is_gone = socket_is_gone,
	.identify = socket_identify,
	.close = socket_close,
};

struct stream *stream_from_fd(struct loop *loop, int fd)
{
	struct socket_stream *ss = xcalloc(1, sizeof(*ss));

	ss->stream.ops = &socket_ops;
	ss->loop = loop;
	ss->fd = fd;
	ss->watch = loop_watch_new(loop, fd, socket_ready, ss);
	return &ss->stream;
}
