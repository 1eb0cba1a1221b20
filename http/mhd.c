/* libmicrohttpd inside the loop: external epoll, no listening socket, one end of a socketpair per
 * connection. It sees only requests that connection.c has checked and written anew, takes the
 * framing off their bodies and makes whole replies. */
#include "http/server_priv.h"
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#define MHD_POOL_SIZE (32 * 1024)
/* It can miss the end of a socketpair that comes together with data (edge-triggered epoll after a
 * short read); this deadline, which does not run for suspended connections, finds those. */
#define MHD_TIMEOUT_S 120u

struct mhd {
	struct server *server;
	struct MHD_Daemon *daemon;
	struct loop_watch *watch;
	struct loop_prepare *prepare;
	bool is_woken;
	struct connection **by_fd; /* libmicrohttpd's end of a pair -> the connection */
	size_t by_fd_len;
	struct connection **
		replied; /* whose reply was sent in this run; a connection is freed only after it */
	size_t replied_len, replied_cap;
};

/* One request inside libmicrohttpd. Lives until its completion is notified. */
struct mhd_request {
	struct mhd *mhd;
	struct MHD_Connection *raw;
	struct exchange *exchange; /* NULL once abandoned */
	bool is_suspended;
	bool is_running; /* inside the handler callback */
};

static struct MHD_Response *make_response(struct exchange *x)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		x->reply_len, TAKE_PTR(x->reply_body), MHD_RESPMEM_MUST_FREE);

	if (response == NULL)
		return NULL;
	for (size_t i = 0; i < x->reply_headers.len; i++) {
		const char *name = x->reply_headers.items[i].name;

		if (head_is_token(name, strlen(name)))
			MHD_add_response_header(response, name, x->reply_headers.items[i].value);
	}
	if (!x->head.keep_alive)
		MHD_add_response_header(response, "Connection", "close");
	return response;
}

static enum MHD_Result queue_reply(struct mhd_request *request)
{
	struct exchange *x = request->exchange;
	struct MHD_Response *response = make_response(x);
	enum MHD_Result result = MHD_NO;

	if (response != NULL) {
		result = MHD_queue_response(request->raw, (unsigned)x->status, response);
		MHD_destroy_response(response);
	}
	return result;
}

/* The body is complete, or there was none: the exchange may have its reply now, or later. */
static enum MHD_Result request_complete(struct mhd_request *request)
{
	struct exchange *x = request->exchange;

	if (!x->body_complete) {
		x->body_complete = true;
		if (x->body_fn != NULL)
			x->body_fn(x, buf_str(&x->body), x->body.len, x->body_arg);
		if (request->exchange == NULL)
			return MHD_NO;
	}
	if (x->has_whole_reply)
		return queue_reply(request);
	MHD_suspend_connection(request->raw);
	request->is_suspended = true;
	return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *raw, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **context)
{
	struct mhd *mhd = arg;
	struct mhd_request *request = *context;
	enum MHD_Result result = MHD_YES;

	(void)url;
	(void)method;
	(void)version;
	if (request == NULL) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(raw, MHD_CONNECTION_INFO_CONNECTION_FD);
		struct connection *c = (size_t)info->connect_fd < mhd->by_fd_len
					       ? mhd->by_fd[info->connect_fd]
					       : NULL;

		request = xcalloc(1, sizeof(*request));
		request->mhd = mhd;
		request->raw = raw;
		*context = request;
		if (c == NULL || c->exchange == NULL || c->exchange->mhd != NULL)
			return MHD_NO;
		request->exchange = c->exchange;
		c->exchange->mhd = request;
		return MHD_YES;
	}
	if (request->exchange == NULL)
		return MHD_NO;
	request->is_running = true;
	if (*data_len > 0) {
		/* connection.c has bounded the length already. */
		if (buf_append(&request->exchange->body, data, *data_len) != 0)
			result = MHD_NO;
		*data_len = 0;
	} else {
		result = request_complete(request);
	}
	request->is_running = false;
	return result;
}

static void on_completed(
	void *arg, struct MHD_Connection *raw, void **context, enum MHD_RequestTerminationCode how)
{
	struct mhd *mhd = arg;
	struct mhd_request *request = *context;

	(void)raw;
	if (request == NULL)
		return;
	if (request->exchange != NULL) {
		struct connection *c = request->exchange->connection;

		request->exchange->mhd = NULL;
		c->mhd_replied = how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
		if (!c->mhd_replied)
			log_debug("libmicrohttpd gave up a request: code %d peer=%s", (int)how,
				c->peer);
		if (mhd->replied_len == mhd->replied_cap) {
			mhd->replied_cap = mhd->replied_cap * 2 + 16;
			mhd->replied = xreallocarray(
				mhd->replied, mhd->replied_cap, sizeof(struct connection *));
		}
		mhd->replied[mhd->replied_len++] = c;
	}
	free(request);
	*context = NULL;
}

void mhd_reply_ready(struct mhd_request *request)
{
	if (request->is_suspended) {
		request->is_suspended = false;
		MHD_resume_connection(request->raw);
	}
	mhd_wake(request->mhd);
}

void mhd_abandon(struct mhd_request *request)
{
	request->exchange->mhd = NULL;
	request->exchange = NULL;
	mhd_reply_ready(request);
}

static void run(struct mhd *mhd)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	/* It may find more to do than one pass does; what is left after a few keeps its descriptor
	 * ready. */
	for (int i = 0; i < 8; i++) {
		MHD_run(mhd->daemon);
		for (size_t n = 0; n < mhd->replied_len; n++)
			connection_pump(mhd->replied[n]);
		mhd->replied_len = 0;
		if (MHD_get_timeout(mhd->daemon, &timeout) != MHD_YES || timeout > 0)
			return;
	}
	mhd_wake(mhd);
}

static void on_prepare(void *arg)
{
	struct mhd *mhd = arg;

	if (!mhd->is_woken)
		return;
	mhd->is_woken = false;
	run(mhd);
}

static void on_epoll(unsigned events, void *arg)
{
	(void)events;
	mhd_wake(arg);
}

static void nothing(void *arg)
{
	(void)arg;
}

void mhd_wake(struct mhd *mhd)
{
	if (mhd == NULL || mhd->is_woken)
		return;
	mhd->is_woken = true;
	/* So that the loop does not go to sleep between this and the next prepare. */
	loop_defer(mhd->server->loop, nothing, NULL);
}

static void on_log(void *arg, const char *fmt, va_list ap)
{
	/* Its messages concern the socketpair (TCP options that do not apply) and requests that we
	 * abandon. */
	(void)arg;
	(void)fmt;
	(void)ap;
}

struct mhd *mhd_new(struct server *server, struct err *err)
{
	struct mhd *mhd = xcalloc(1, sizeof(*mhd));
	const union MHD_DaemonInfo *info;

	mhd->server = server;
	mhd->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET |
					       MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_request, mhd, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, mhd, MHD_OPTION_CONNECTION_LIMIT,
		server->limits.connections_max + 1024, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)MHD_POOL_SIZE, MHD_OPTION_CONNECTION_TIMEOUT, MHD_TIMEOUT_S,
		MHD_OPTION_END);
	if (mhd->daemon == NULL) {
		err_errno(err, ERR_SYSTEM, errno, "libmicrohttpd does not start");
		free(mhd);
		return NULL;
	}
	info = MHD_get_daemon_info(mhd->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	mhd->watch = loop_watch_new(server->loop, info->epoll_fd, on_epoll, mhd);
	loop_watch_set(mhd->watch, LOOP_READ);
	mhd->prepare = loop_prepare_new(server->loop, on_prepare, mhd);
	return mhd;
}

bool mhd_is_empty(const struct mhd *mhd)
{
	return mhd == NULL || MHD_get_daemon_info(mhd->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)
					      ->num_connections == 0;
}

void mhd_free(struct mhd *mhd)
{
	if (mhd == NULL)
		return;
	/* All connections are closed, so their requests were abandoned and resumed: let it see
	 * that, because stopping with one suspended ends the process. */
	run(mhd);
	loop_watch_free(mhd->watch);
	loop_prepare_free(mhd->prepare);
	MHD_stop_daemon(mhd->daemon);
	free(mhd->by_fd);
	free(mhd->replied);
	free(mhd);
}

int mhd_attach(struct connection *c, struct err *err)
{
	struct server *server = c->server;
	struct sockaddr_storage nobody = {.ss_family = AF_UNIX};
	struct mhd *mhd;
	int pair[2];

	/* A server whose replies all go past it has none, nor its descriptor. */
	if (server->mhd == NULL)
		server->mhd = mhd_new(server, err);
	mhd = server->mhd;
	if (mhd == NULL)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == -1)
		return err_errno(err, ERR_SYSTEM, errno, "socketpair");
	if ((size_t)pair[1] >= mhd->by_fd_len) {
		size_t len = (size_t)pair[1] + 64;

		mhd->by_fd = xreallocarray(mhd->by_fd, len, sizeof(*mhd->by_fd));
		memset(mhd->by_fd + mhd->by_fd_len, 0,
			(len - mhd->by_fd_len) * sizeof(*mhd->by_fd));
		mhd->by_fd_len = len;
	}
	mhd->by_fd[pair[1]] = c;
	if (MHD_add_connection(mhd->daemon, pair[1], (struct sockaddr *)&nobody,
		    sizeof(sa_family_t)) != MHD_YES) {
		/* It has closed its end. */
		close(pair[0]);
		return err_set(err, ERR_SYSTEM, "libmicrohttpd takes no more connections");
	}
	c->mhd_fd = pair[0];
	c->mhd_far_fd = pair[1];
	return 0;
}

void mhd_forget(struct mhd *mhd, const struct connection *c)
{
	/* Its end may be closed by now, and the number belong to another connection. */
	if (mhd->by_fd[c->mhd_far_fd] == c)
		mhd->by_fd[c->mhd_far_fd] = NULL;
}
