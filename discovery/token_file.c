/* The token store's files. Everything here may block: it runs at start, or on a helper thread. */
#include "discovery/token_store_priv.h"

#include "lib/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TMP_PREFIX "tmp-"

static int make_dir(const char *dir, struct err *err)
{
	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return err_errno(err, ERR_SYSTEM, errno, "cannot make the folder %s", dir);
	return 0;
}

/* Makes the names in dir last. */
static int sync_dir(const char *dir, struct err *err)
{
	CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || fsync(fd) == -1)
		return err_errno(err, ERR_SYSTEM, errno, "cannot flush the folder %s", dir);
	return 0;
}

int token_files_open(const char *dir, struct err *err)
{
	CLEANUP_FREE char *tokens = xasprintf("%s/tokens", dir);
	CLEANUP_FREE char *lock = xasprintf("%s/lock", dir);
	int fd;

	if (make_dir(dir, err) != 0 || make_dir(tokens, err) != 0 || sync_dir(dir, err) != 0)
		return -1;
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return err_errno(err, ERR_SYSTEM, errno, "cannot open %s", lock);
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			err_set(err, ERR_CONFLICT, "%s is in use by another token server", dir);
		else
			err_errno(err, ERR_SYSTEM, errno, "cannot lock %s", lock);
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int read_all(int dir_fd, const char *name, struct buf *out, struct err *err)
{
	CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd == -1)
		return err_errno(err, ERR_SYSTEM, errno, "cannot open it");
	for (;;) {
		char *room = buf_room(out, 64 * 1024);
		ssize_t n;

		if (room == NULL)
			return err_set(
				err, ERR_TOO_LARGE, "it is larger than %d bytes", TOKEN_FILE_MAX);
		n = read(fd, room, 64 * 1024);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_errno(err, ERR_SYSTEM, errno, "cannot read it");
		if (n == 0)
			return 0;
		buf_added(out, (size_t)n);
	}
}

int token_files_read(const char *dir,
	void (*found)(void *arg, const char *id, char *content, size_t len), void *arg,
	struct err *err)
{
	CLEANUP_FREE char *tokens = xasprintf("%s/tokens", dir);
	DIR *listing = opendir(tokens);
	struct dirent *entry;

	if (listing == NULL)
		return err_errno(err, ERR_SYSTEM, errno, "cannot list the folder %s", tokens);
	while ((entry = readdir(listing)) != NULL) {
		const char *name = entry->d_name;
		CLEANUP_BUF struct buf content;
		struct err failure = ERR_INIT;

		buf_init(&content, TOKEN_FILE_MAX + 64 * 1024);
		if (str_has_prefix(name, TMP_PREFIX)) {
			(void)unlinkat(dirfd(listing), name, 0);
		} else if (strlen(name) == TOKEN_STORE_ID_LEN &&
			   str_is_hex(name, TOKEN_STORE_ID_LEN)) {
			if (read_all(dirfd(listing), name, &content, &failure) != 0) {
				/* The name alone proves the token; what it listed is lost. */
				log_warn(
					"token server: a token's file is skipped: %s", failure.msg);
				buf_reset(&content);
			}
			(void)buf_append_str(&content, "");
			found(arg, name, content.data, content.len);
		} else if (name[0] != '.') {
			log_warn("token server: an unknown file is skipped file=%s/%s", tokens,
				name);
		}
	}
	(void)closedir(listing);
	return 0;
}

static int write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static enum err_code code_of(int errnum)
{
	return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG ? ERR_TOO_LARGE : ERR_SYSTEM;
}

int token_file_write(
	const char *dir, const char *id, const char *content, size_t len, struct err *err)
{
	CLEANUP_FREE char *tokens = xasprintf("%s/tokens", dir);
	CLEANUP_FREE char *path = xasprintf("%s/%s", tokens, id);
	CLEANUP_FREE char *tmp = xasprintf("%s/" TMP_PREFIX "%s", tokens, id);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);

	/* The token is a secret: messages name the folder. */
	if (fd == -1)
		return err_errno(err, code_of(errno), errno, "cannot make a file in %s", tokens);
	if (write_all(fd, content, len) == -1 || fsync(fd) == -1) {
		err_errno(err, code_of(errno), errno, "cannot write a file in %s", tokens);
		(void)close(fd);
		goto err_written;
	}
	if (close(fd) == -1 || rename(tmp, path) == -1) {
		err_errno(err, code_of(errno), errno, "cannot replace a file in %s", tokens);
		goto err_written;
	}
	return sync_dir(tokens, err);

err_written:
	(void)unlink(tmp);
	return -1;
}

int token_file_remove(const char *dir, const char *id, struct err *err)
{
	CLEANUP_FREE char *tokens = xasprintf("%s/tokens", dir);
	CLEANUP_FREE char *path = xasprintf("%s/%s", tokens, id);

	if (unlink(path) == -1 && errno != ENOENT)
		return err_errno(err, ERR_SYSTEM, errno, "cannot remove a file in %s", tokens);
	return sync_dir(tokens, err);
}
