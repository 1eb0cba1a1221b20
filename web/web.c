/* libmicrohttpd inside the loop: its epoll descriptor is watched, and its deadlines are a timer of
 * ours. No thread; every reply is whole when it is queued. */
#include "web/web_priv.h"

#include "lib/log.h"
#include "lib/str.h"

#include <errno.h>
#include <microhttpd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* Those who ask are few, and ask little. */
#define CONNECTIONS_MAX 16u
#define IDLE_TIMEOUT_S 5u
#define CONNECTION_BYTES_MAX ((size_t)16 * 1024)
#define PAGE_BYTES_MAX (64 * 1024)
/* Passes of the daemon in one turn of the loop; what is left keeps its descriptor ready. */
#define RUNS_MAX 8

struct web {
	const struct web_config *config;
	struct addr addr;
	dev_t device; /* of a unix socket's file, and */
	ino_t inode;
	uint16_t port;
	struct MHD_Daemon *daemon;
	struct loop_watch *watch;
	struct loop_timer *timer;
};

/* ---- Requests ---- */

static enum MHD_Result queue_reply(struct MHD_Connection *connection, unsigned status,
	struct buf *body, const char *type, const char *allow)
{
	size_t len = body->len;
	struct MHD_Response *response =
		MHD_create_response_from_buffer(len, buf_take(body), MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (allow != NULL)
		MHD_add_response_header(response, "Allow", allow);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **context)
{
	static char seen;
	struct web *web = arg;
	const char *type = "text/plain; charset=utf-8";
	struct buf body;
	unsigned status;

	(void)version;
	(void)data;
	buf_init(&body, PAGE_BYTES_MAX);
	if (!str_eq(method, "GET") && !str_eq(method, "HEAD")) {
		/* At the first call, so that no body is read. */
		buf_append_str(&body, "GET and HEAD alone are served\n");
		return queue_reply(connection, 405, &body, type, "GET, HEAD");
	}
	/* At the second: a reply to the first would end the connection. */
	if (*context == NULL) {
		*context = &seen;
		return MHD_YES;
	}
	if (*data_len > 0) {
		*data_len = 0;
		return MHD_YES;
	}
	status = (unsigned)web_page(web->config, url, &body, &type);
	return queue_reply(connection, status, &body, type, NULL);
}

/* ---- The loop ---- */

static void run(struct web *web)
{
	MHD_UNSIGNED_LONG_LONG timeout = 0;

	for (int i = 0; i < RUNS_MAX; i++) {
		MHD_run(web->daemon);
		if (MHD_get_timeout(web->daemon, &timeout) != MHD_YES) {
			loop_timer_stop(web->timer);
			return;
		}
		if (timeout > 0)
			break;
	}
	loop_timer_start(web->timer, (uint64_t)timeout);
}

static void on_readable(unsigned events, void *arg)
{
	(void)events;
	run(arg);
}

static void on_timer(void *arg)
{
	run(arg);
}

/* ---- Life ---- */

static void on_log(void *arg, const char *fmt, va_list ap)
{
	/* Its messages are of single clients; nobody needs them. */
	(void)arg;
	(void)fmt;
	(void)ap;
}

/* Says where it listens, with the port that it got. */
static void tell(struct web *web, int fd)
{
	struct stat st;

	if (web->addr.kind == ADDR_UNIX) {
		log_info("admin listening address=unix://%s", web->addr.path);
		if (stat(web->addr.path, &st) == 0) {
			web->device = st.st_dev;
			web->inode = st.st_ino;
		}
		return;
	}
	web->port = web->addr.port = web_socket_port(fd);
	CLEANUP_FREE char *text = addr_format(&web->addr);
	log_info("admin listening address=tcp://%s", text);
	if (!addr_is_local(&web->addr))
		log_warn("the admin listener is open to whoever can reach it "
			 "address=tcp://%s",
			text);
}

struct web *web_new(struct loop *loop, const struct web_config *config, struct err *err)
{
	struct web *web = xcalloc(1, sizeof(*web));
	int fd;

	web->config = config;
	if (addr_parse(config->address, 0, &web->addr, err) < 0) {
		err->code = ERR_USAGE;
		goto err_web;
	}
	fd = web_listen(&web->addr, err);
	if (fd == -1)
		goto err_web;
	tell(web, fd);
	web->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, on_request,
		web, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
		IDLE_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES_MAX,
		MHD_OPTION_END);
	if (web->daemon == NULL) {
		(void)close(fd);
		err_errno(err, ERR_SYSTEM, errno, "libmicrohttpd does not start");
		goto err_web;
	}
	web->timer = loop_timer_new(loop, on_timer, web);
	web->watch = loop_watch_new(loop,
		MHD_get_daemon_info(web->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, on_readable,
		web);
	loop_watch_set(web->watch, LOOP_READ);
	return web;

err_web:
	web_free(web);
	return NULL;
}

void web_free(struct web *web)
{
	struct stat st;

	if (web == NULL)
		return;
	loop_watch_free(web->watch);
	loop_timer_free(web->timer);
	if (web->daemon != NULL)
		MHD_stop_daemon(web->daemon); /* closes the socket */
	/* The path may be another's by now. */
	if (web->inode != 0 && stat(web->addr.path, &st) == 0 && st.st_ino == web->inode &&
		st.st_dev == web->device)
		(void)unlink(web->addr.path);
	addr_free(&web->addr);
	free(web);
}

uint16_t web_port(const struct web *web)
{
	return web->port;
}
