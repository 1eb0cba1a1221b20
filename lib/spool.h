/* A stream of bytes with one writer and several readers, each at its own pace. What the fastest
 * reader has still to take, and a little behind it, is in memory, shared by all; what slower
 * readers have still to take goes to a temporary file without a name, written and read on helper
 * threads.
 *
 * The writer is held back by the fastest reader, and by the slowest once the file is full. When the
 * file cannot be written (no room on the disk, say), the readers that need it fail, and the fastest
 * goes on. Memory: SPOOL_WINDOW bytes, and SPOOL_BLOCK more for each reader that is behind.
 *
 * The functions that are called back never run from inside a function of the spool. */
#ifndef LIB_SPOOL_H
#define LIB_SPOOL_H

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SPOOL_BLOCK ((size_t)128 * 1024)
#define SPOOL_WINDOW (32 * SPOOL_BLOCK)
/* Of one file: what the slowest reader has not taken yet. The room behind it is used again. */
#define SPOOL_FILE_MAX ((uint64_t)16 * 1024 * 1024 * 1024)

struct spool;
struct spool_reader;

struct spool_config {
	const char *folder; /* where the file is made, when it is needed; NULL = spool_folder() */
	uint64_t file_max;  /* bytes; 0 = SPOOL_FILE_MAX */
	/* spool_write, having taken less than all, may take more. */
	void (*room)(void *arg);
	void *arg;
};
struct spool *spool_new(struct loop *loop, const struct spool_config *config);
/* Readers first. No callback follows; the file goes when the last helper has let go of it. */
void spool_free(struct spool *spool);
/* $TMPDIR, else /var/tmp, which survives what fills /tmp. */
const char *spool_folder(void);

/* How many bytes were taken (copied): fewer than len = wait for room. Without readers all are. */
size_t spool_write(struct spool *spool, const void *data, size_t len) MUSTCHECK;
/* Nothing more comes. */
void spool_end(struct spool *spool);

/* A reader stands where the writer began: make all of them before the first write. ready is called
 * when a look that found nothing would now find something, and when one would fail. */
struct spool_reader *spool_reader_new(struct spool *spool, void (*ready)(void *arg), void *arg);
void spool_reader_free(struct spool_reader *reader); /* NULL is fine */
/* The bytes that come next, borrowed until anything else is done with the spool; 0 = none now; -1
 * with err = they could not be kept for this reader. */
ssize_t spool_look(struct spool_reader *reader, const char **data, struct err *err) MUSTCHECK;
/* len of the bytes seen are done with. */
void spool_take(struct spool_reader *reader, size_t len);
/* The writer has ended, and everything was taken. */
bool spool_reader_is_done(const struct spool_reader *reader);

/* For tests and logs: bytes of the file in use now, and bytes of memory. */
uint64_t spool_file_bytes(const struct spool *spool);
size_t spool_memory(const struct spool *spool);

#endif
