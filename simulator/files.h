/* Files of a container: a few folders that every image has here, and what was put into it. */
#ifndef SIMULATOR_FILES_H
#define SIMULATOR_FILES_H

#include "simulator/simulator_priv.h"
#include "simulator/tar.h"

#define SIM_FILES_MAX 10000            /* per container */
#define SIM_FILES_BYTES_MAX (1u << 20) /* of their content, per container */

struct sim_file {
	struct sim_file *prev, *next; /* by path */
	const char *path;             /* owned; absolute, "/" alone with a slash behind */
	const char *link;             /* owned */
	char type;                    /* as in archives */
	unsigned mode;
	int64_t mtime;
	struct buf data;
};

/* "/a//b/../c/" is "/a/c". Owned. */
char *sim_files_path(const char *text);
/* What is at that path; borrowed until the next change. NULL: nothing. */
const struct sim_file *sim_files_find(const struct sim_container *c, const char *path);
/* Whether a path is in a folder, or in one below it. */
bool sim_files_is_below(const char *path, const char *folder);
/* Whether images have it. */
bool sim_files_in_image(const char *path);
/* Puts a new file or folder there, in place of what was there, with the folders above it. 0 or a
 * status. */
int sim_files_put(struct sim_container *c, const char *path, const struct sim_tar_entry *entry,
	struct err *err) MUSTCHECK;
/* Adds to a file that was put there; nothing happens when it has gone since. */
int sim_files_write(struct sim_container *c, const char *path, const char *data, size_t len,
	struct err *err) MUSTCHECK;
int64_t sim_files_size(const struct sim_container *c);
/* The path and all below it, as an archive. strip: bytes of each path that are left out. */
void sim_files_archive(
	const struct sim_container *c, const char *path, size_t strip, struct buf *b);
/* [{"Path":...,"Kind":...}] or null. */
void sim_files_changes(const struct sim_container *c, struct buf *b);
void sim_files_free(struct sim_container *c);

#endif
