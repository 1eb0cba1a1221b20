/* The temporary file of a spool: slots of one block each. Inside lib/ only. */
#ifndef LIB_SPOOL_FILE_H
#define LIB_SPOOL_FILE_H

#include "lib/spool.h"

#define SPOOL_BATCH 8 /* blocks that one helper moves at once */

struct spool_file {
	char *folder;
	int fd;         /* -1 until it is first written */
	uint32_t used;  /* slots that hold something, or are about to */
	uint32_t end;   /* slots that the file has ever had */
	uint32_t max;   /* most that it may have */
	uint32_t *free; /* slots before end that hold nothing; room for `end` of them */
	uint32_t free_len, free_cap;
};

void spool_file_init(struct spool_file *file, const char *folder, uint64_t max_bytes);
void spool_file_reset(struct spool_file *file);
bool spool_file_is_full(const struct spool_file *file);
uint32_t spool_file_take_slot(struct spool_file *file);
void spool_file_give_slot(struct spool_file *file, uint32_t slot);

/* What a helper thread is given, and gives back. It touches nothing else. */
struct spool_io {
	const char *folder;
	int fd; /* -1: it makes the file, which belongs to whoever starts the helper */
	bool is_write;
	size_t len;
	struct spool_piece {
		char *data;
		size_t len;
		uint32_t slot;
	} pieces[SPOOL_BATCH];
	struct err err;
};
void spool_io_run(struct spool_io *io);

#endif
