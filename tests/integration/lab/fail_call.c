/* Preloaded into a program whose system calls are to fail, one at a time: a file that the test
 * maps, too, holds how many calls are still to succeed before one fails, and how many there were.
 * Only calls on sockets and files count; those by which libuv wakes itself up must not fail. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
	atomic_long left;  /* calls that succeed before one fails; negative = none is to fail */
	atomic_long calls; /* so far */
	atomic_long failed;
};

static struct control *control;

static void __attribute__((constructor)) open_control(void)
{
	const char *path = getenv("FAIL_CONTROL");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd != -1) {
		map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
	}
	if (map != MAP_FAILED)
		control = map;
}

/* Whether this call is the one. */
static int is_due(int error)
{
	if (control == NULL)
		return 0;
	atomic_fetch_add(&control->calls, 1);
	if (atomic_load(&control->left) < 0 || atomic_fetch_sub(&control->left, 1) != 0)
		return 0;
	atomic_fetch_add(&control->failed, 1);
	errno = error;
	return 1;
}

static int counts(int fd)
{
	int saved = errno;
	struct stat st;
	int is_one = fd > 2 && fstat(fd, &st) == 0 && (S_ISSOCK(st.st_mode) || S_ISREG(st.st_mode));

	errno = saved;
	return is_one;
}

#define REAL(name) \
	static __typeof__(&(name)) real; \
	if (real == NULL) \
	*(void **)&real = dlsym(RTLD_NEXT, #name)

int socket(int domain, int type, int protocol)
{
	REAL(socket);
	return is_due(EMFILE) ? -1 : real(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	REAL(connect);
	return is_due(ENETUNREACH) ? -1 : real(fd, addr, len);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	REAL(accept4);
	return is_due(EMFILE) ? -1 : real(fd, addr, len, flags);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	REAL(setsockopt);
	return is_due(ENOMEM) ? -1 : real(fd, level, name, value, len);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	REAL(getsockopt);
	return is_due(ENOBUFS) ? -1 : real(fd, level, name, value, len);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
	REAL(recv);
	return is_due(ECONNRESET) ? -1 : real(fd, data, len, flags);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
	REAL(send);
	return is_due(ECONNRESET) ? -1 : real(fd, data, len, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	return is_due(ENOBUFS) ? -1 : real(fd, message, flags);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(recvmsg);
	return is_due(ECONNRESET) ? -1 : real(fd, message, flags);
}

ssize_t read(int fd, void *data, size_t len)
{
	REAL(read);
	return counts(fd) && is_due(EIO) ? -1 : real(fd, data, len);
}

ssize_t write(int fd, const void *data, size_t len)
{
	REAL(write);
	return counts(fd) && is_due(EIO) ? -1 : real(fd, data, len);
}

ssize_t writev(int fd, const struct iovec *pieces, int len)
{
	REAL(writev);
	return counts(fd) && is_due(EIO) ? -1 : real(fd, pieces, len);
}

int shutdown(int fd, int how)
{
	REAL(shutdown);
	return is_due(ENOTCONN) ? -1 : real(fd, how);
}
