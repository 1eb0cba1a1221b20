/* One datagram to a unix socket is the whole protocol. */
#include "manage/notify.h"

#include "lib/log.h"
#include "lib/mem.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

void notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (path == NULL || path[0] == '\0')
		return;
	size_t len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(to.sun_path)) {
		log_warn("NOTIFY_SOCKET is not usable path=%s", path);
		return;
	}
	memcpy(to.sun_path, path, len + 1);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	if (path[0] == '@') {
		to.sun_path[0] = '\0'; /* the abstract name space, whose names have no end mark */
		size--;
	}
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
				(const struct sockaddr *)&to, size) == -1)
		log_warn("cannot notify the service manager: %s path=%s", strerror(errno), path);
}
