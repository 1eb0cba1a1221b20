/* Tar archives, read as they come and written piece by piece. */
#ifndef SIMULATOR_TAR_H
#define SIMULATOR_TAR_H

#include "lib/buf.h"
#include "lib/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_TAR_FILE '0'
#define SIM_TAR_HARD_LINK '1'
#define SIM_TAR_SYMLINK '2'
#define SIM_TAR_DIR '5'
#define SIM_TAR_BLOCK 512

struct sim_tar_entry {
	const char *name; /* without "./" before and '/' behind; "" is the root itself */
	const char *link; /* "" for what is no link */
	char type;
	unsigned mode, uid, gid;
	int64_t size, mtime;
};

struct sim_tar_ops {
	void (*entry)(void *arg, const struct sim_tar_entry *entry);
	void (*data)(void *arg, const char *data, size_t len); /* of the entry told last */
	void (*end)(void *arg);                                /* of that entry */
};

/* A reader. Holds one header at a time, with long names of GNU and pax archives. */
struct sim_tar;
struct sim_tar *sim_tar_new(const struct sim_tar_ops *ops, void *arg);
void sim_tar_free(struct sim_tar *t);
/* -1: it is no tar archive. */
int sim_tar_feed(struct sim_tar *t, const char *data, size_t len, struct err *err) MUSTCHECK;
/* There is no more: -1 when it stops in the middle. */
int sim_tar_finish(struct sim_tar *t, struct err *err) MUSTCHECK;

/* A header; data of entry->size bytes must follow, then sim_tar_pad. */
void sim_tar_write(struct buf *b, const struct sim_tar_entry *entry);
void sim_tar_pad(struct buf *b, int64_t size);
void sim_tar_write_file(struct buf *b, const char *name, const void *data, size_t len);
void sim_tar_write_end(struct buf *b);

#endif
