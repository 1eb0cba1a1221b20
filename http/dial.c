/* Connecting: resolve, connect to each address in turn, then TLS. */
#include "http/stream.h"
#include "http/tls.h"
#include "lib/str.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/un.h>

#define DIAL_ADDRESSES_MAX 8

struct dial {
	struct loop *loop;
	char *host;
	struct tls_context *tls;
	unsigned refused; /* ADDR_SPECIAL_* */
	stream_done_fn *done;
	void *arg;
	struct loop_timer *timer;
	struct loop_resolve *resolve;
	struct loop_address addresses[DIAL_ADDRESSES_MAX];
	size_t count, next;
	int fd;
	struct loop_watch *watch;
	struct tls_handshake *handshake;
	uint64_t deadline_ms;
	struct err last;
};

void dial_cancel(struct dial *d)
{
	if (d == NULL)
		return;
	loop_timer_free(d->timer);
	if (d->resolve != NULL)
		loop_resolve_cancel(d->resolve);
	loop_watch_free(d->watch);
	if (d->fd != -1)
		close(d->fd);
	tls_handshake_cancel(d->handshake);
	tls_context_unref(d->tls);
	free(d->host);
	free(d);
}

static void dial_finish(struct dial *d, struct stream *stream, const struct err *err)
{
	stream_done_fn *done = d->done;
	void *arg = d->arg;
	struct err copy = ERR_INIT;

	if (err != NULL)
		copy = *err;
	dial_cancel(d);
	done(arg, stream, err != NULL ? &copy : NULL);
}

static void handshake_done(void *arg, struct stream *stream, const struct err *err)
{
	struct dial *d = arg;

	d->handshake = NULL;
	dial_finish(d, stream, err);
}

static void dial_next(void *arg);

static void dial_connected(struct dial *d)
{
	int fd = d->fd, one = 1;

	d->fd = -1;
	loop_watch_free(TAKE_PTR(d->watch));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	stream_set_keepalive(fd);
	if (d->tls == NULL) {
		dial_finish(d, stream_from_fd(d->loop, fd), NULL);
		return;
	}
	d->handshake = stream_connect_tls(d->loop, fd, d->tls, d->host,
		d->deadline_ms > loop_now_ms(d->loop) ? d->deadline_ms - loop_now_ms(d->loop) : 1,
		handshake_done, d);
}

static void dial_writable(unsigned events, void *arg)
{
	struct dial *d = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0) {
		dial_connected(d);
		return;
	}
	err_errno(&d->last, ERR_UNAVAILABLE, error, "connect");
	loop_watch_free(TAKE_PTR(d->watch));
	close(d->fd);
	d->fd = -1;
	dial_next(d);
}

static void dial_next(void *arg)
{
	struct dial *d = arg;

	while (d->next < d->count) {
		const struct loop_address *a = &d->addresses[d->next++];

		d->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (d->fd == -1) {
			err_errno(&d->last, err_code_of_errno(errno, ERR_SYSTEM), errno, "socket");
			continue;
		}
		if (connect(d->fd, (const struct sockaddr *)&a->addr, a->len) == 0 ||
			errno == EINPROGRESS) {
			d->watch = loop_watch_new(d->loop, d->fd, dial_writable, d);
			loop_watch_set(d->watch, LOOP_WRITE);
			return;
		}
		err_errno(&d->last, err_code_of_errno(errno, ERR_UNAVAILABLE), errno, "connect");
		close(d->fd);
		d->fd = -1;
	}
	dial_finish(d, NULL, &d->last);
}

/* Takes the addresses of the name, but for those of a kind that it must not stand for. */
static void dial_take(struct dial *d, const struct loop_address *addresses, size_t count)
{
	for (size_t i = 0; i < count && d->count < DIAL_ADDRESSES_MAX; i++) {
		unsigned kind = addr_special_socket((const struct sockaddr *)&addresses[i].addr) &
				d->refused;

		if (kind != 0)
			err_set(&d->last, ERR_INVALID,
				"the name stands for a %s address, which discovery may not list",
				addr_special_name(kind));
		else
			d->addresses[d->count++] = addresses[i];
	}
}

static void dial_resolved(
	void *arg, const struct loop_address *addresses, size_t count, const struct err *err)
{
	struct dial *d = arg;

	d->resolve = NULL;
	if (err != NULL) {
		dial_finish(d, NULL, err);
		return;
	}
	dial_take(d, addresses, count);
	dial_next(d);
}

static void dial_timeout(void *arg)
{
	struct dial *d = arg;
	struct err err = ERR_INIT;

	err_set(&err, ERR_TIMEOUT, "connecting took too long");
	dial_finish(d, NULL, &err);
}

/* A unix socket's address needs no resolving; the first step still comes from the loop. */
static void dial_unix(struct dial *d, const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(un.sun_path)) {
		err_set(&d->last, ERR_INVALID, "the socket's path is too long: %s", path);
	} else {
		memcpy(un.sun_path, path, strlen(path) + 1);
		memcpy(&d->addresses[0].addr, &un, sizeof(un));
		d->addresses[0].len = sizeof(un);
		d->count = 1;
	}
}

static void dial_first(void *arg)
{
	struct dial *d = arg;

	loop_timer_free(d->timer);
	d->timer = loop_timer_new(d->loop, dial_timeout, d);
	loop_timer_start(d->timer,
		d->deadline_ms > loop_now_ms(d->loop) ? d->deadline_ms - loop_now_ms(d->loop) : 1);
	dial_next(d);
}

struct dial *stream_dial(struct loop *loop, const struct addr *addr, struct tls_context *tls,
	uint64_t timeout_ms, stream_done_fn *done, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));

	d->loop = loop;
	d->host = xstrdup(addr->kind == ADDR_TCP ? addr->host : "localhost");
	d->tls = tls_context_ref(tls);
	d->refused = addr->refused;
	d->done = done;
	d->arg = arg;
	d->fd = -1;
	d->deadline_ms = loop_now_ms(loop) + timeout_ms;
	err_set(&d->last, ERR_UNAVAILABLE, "no address to connect to");
	if (addr->kind == ADDR_UNIX) {
		dial_unix(d, addr->path);
		d->timer = loop_timer_new(loop, dial_first, d);
		loop_timer_start(d->timer, 0);
		return d;
	}
	d->timer = loop_timer_new(loop, dial_timeout, d);
	loop_timer_start(d->timer, timeout_ms);
	d->resolve = loop_resolve_start(loop, addr->host, addr->port, dial_resolved, d);
	return d;
}
