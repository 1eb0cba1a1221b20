/* The addresses of one token: as its file has them, and what the next write is to change. A change
 * counts when it is on disk; when the write fails, all is as before. Inside discovery/ only. */
#ifndef DISCOVERY_TOKEN_ENTRIES_H
#define DISCOVERY_TOKEN_ENTRIES_H

#include "lib/buf.h"
#include "lib/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct token_entry;

/* All zeros but for shared at first. Times are ms of one clock. */
struct token_entries {
	struct token_entry *all;
	size_t count;     /* those that are still to be written, too */
	uint64_t soonest; /* no entry ends before */
	size_t *shared;   /* addresses of all tokens beyond TOKEN_STORE_OWN_ADDRS each; borrowed */
};

enum token_put {
	TOKEN_PUT_FULL,  /* refused: the limits */
	TOKEN_PUT_KNOWN, /* renewed; nothing is to be written */
	TOKEN_PUT_NEW,   /* counts after the next write */
};
enum token_put token_entries_put(
	struct token_entries *entries, const char *addr, unsigned ttl_s, uint64_t now);
/* Gone after the next write; false = it is not there. */
bool token_entries_drop(struct token_entries *entries, const char *addr);
/* Reads the text of a file, which has a NUL behind it and is changed: its entries are there at
 * once. was_used becomes true when it says that there was one ever. How many lines were damaged, or
 * over the limits. */
size_t token_entries_read(
	struct token_entries *entries, char *content, size_t len, uint64_t now, bool *was_used);
/* Takes out what nobody renewed; true when there was such. */
bool token_entries_expire(struct token_entries *entries, uint64_t now);
/* Those that count, unsorted. */
void token_entries_list(const struct token_entries *entries, uint64_t now, struct str_list *out);
/* The lines of the file, changes included, which are now being written. */
void token_entries_render(struct token_entries *entries, struct buf *out);
/* That write has ended. */
void token_entries_written(struct token_entries *entries, bool is_good, uint64_t now);
void token_entries_free(struct token_entries *entries);

#endif
