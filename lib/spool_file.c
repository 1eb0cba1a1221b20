/* The file behind a spool: where blocks lie in it, and moving them. */
#include "lib/spool_file.h"
#include "lib/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void spool_file_init(struct spool_file *file, const char *folder, uint64_t max_bytes)
{
	uint64_t slots = max_bytes / SPOOL_BLOCK;

	file->folder = xstrdup(folder);
	file->fd = -1;
	file->max = slots > UINT32_MAX ? UINT32_MAX : (uint32_t)slots;
}

void spool_file_reset(struct spool_file *file)
{
	if (file->fd != -1)
		close(file->fd);
	file->fd = -1;
	free(TAKE_PTR(file->folder));
	free(TAKE_PTR(file->free));
}

bool spool_file_is_full(const struct spool_file *file)
{
	return file->used >= file->max;
}

uint32_t spool_file_take_slot(struct spool_file *file)
{
	file->used++;
	return file->free_len > 0 ? file->free[--file->free_len] : file->end++;
}

void spool_file_give_slot(struct spool_file *file, uint32_t slot)
{
	file->used--;
	if (file->free_len == file->free_cap) {
		file->free_cap = file->free_cap > 0 ? file->free_cap * 2 : 64;
		file->free = xreallocarray(file->free, file->free_cap, sizeof(*file->free));
	}
	file->free[file->free_len++] = slot;
}

/* ---- On a helper thread ---- */

/* A file that nobody else can open, and that goes with its last descriptor. */
static int open_unnamed(const char *folder)
{
	char *path CLEANUP_FREE = NULL;
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);

	/* What file systems and kernels without it say. */
	if (fd != -1 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	path = xasprintf("%s/swarm-XXXXXX", folder);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd != -1)
		unlink(path);
	return fd;
}

static int move(const struct spool_io *io, const struct spool_piece *piece)
{
	off_t start = (off_t)piece->slot * (off_t)SPOOL_BLOCK;
	size_t done = 0;

	while (done < piece->len) {
		off_t at = start + (off_t)done;
		ssize_t n = io->is_write ? pwrite(io->fd, piece->data + done, piece->len - done, at)
					 : pread(io->fd, piece->data + done, piece->len - done, at);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

void spool_io_run(struct spool_io *io)
{
	if (io->fd == -1)
		io->fd = open_unnamed(io->folder);
	if (io->fd == -1) {
		err_errno(&io->err, ERR_SYSTEM, errno, "a temporary file in %s", io->folder);
		return;
	}
	for (size_t i = 0; i < io->len; i++) {
		if (move(io, &io->pieces[i]) != 0) {
			err_errno(&io->err, ERR_SYSTEM, errno, "%s a temporary file in %s",
				io->is_write ? "writing to" : "reading from", io->folder);
			return;
		}
	}
}
