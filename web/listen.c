/* The socket of the operators' listener. */
#include "web/web_priv.h"

#include "lib/str.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

static int bind_tcp(const struct addrinfo *place)
{
	int fd, one = 1;

	fd = socket(place->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, place->ai_addr, place->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	one = errno;
	(void)close(fd);
	errno = one;
	return -1;
}

static int listen_tcp(const struct addr *addr, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *places = NULL;
	CLEANUP_FREE char *text = addr_format(addr);
	char port[8];
	int fd = -1, status;

	(void)snprintf(port, sizeof(port), "%u", (unsigned)addr->port);
	status = getaddrinfo(*addr->host != '\0' ? addr->host : NULL, port, &hints, &places);
	if (status != 0)
		return err_set(err, ERR_SYSTEM, "cannot listen on tcp://%s: %s", text,
			gai_strerror(status));
	for (const struct addrinfo *p = places; p != NULL && fd == -1; p = p->ai_next)
		fd = bind_tcp(p);
	if (fd == -1)
		err_errno(err, ERR_SYSTEM, errno, "cannot listen on tcp://%s", text);
	freeaddrinfo(places);
	return fd;
}

/* Nobody listens there any more. */
static bool is_left_over(const struct sockaddr_un *un)
{
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd != -1 && connect(fd, (const struct sockaddr *)un, sizeof(*un)) == -1 &&
	       errno == ECONNREFUSED;
}

static int listen_unix(const char *path, struct err *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int status;

	/* addr_parse has checked the length. */
	memcpy(un.sun_path, path, strlen(path) + 1);
	if (fd == -1)
		return err_errno(err, ERR_SYSTEM, errno, "socket");
	status = bind(fd, (const struct sockaddr *)&un, sizeof(un));
	if (status == -1 && errno == EADDRINUSE) {
		if (is_left_over(&un) && unlink(path) == 0)
			status = bind(fd, (const struct sockaddr *)&un, sizeof(un));
		else
			errno = EADDRINUSE;
	}
	if (status == -1 || listen(fd, BACKLOG) == -1)
		return err_errno(err, ERR_SYSTEM, errno, "cannot listen on unix://%s", path);
	status = fd;
	fd = -1;
	return status;
}

int web_listen(const struct addr *addr, struct err *err)
{
	return addr->kind == ADDR_UNIX ? listen_unix(addr->path, err) : listen_tcp(addr, err);
}

uint16_t web_socket_port(int fd)
{
	struct sockaddr_storage bound = {0};
	socklen_t len = sizeof(bound);

	if (getsockname(fd, (struct sockaddr *)&bound, &len) == -1)
		return 0;
	if (bound.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&bound)->sin_port);
	if (bound.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&bound)->sin6_port);
	return 0;
}
