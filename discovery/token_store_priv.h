/* The two halves of the token store: what is in memory, and what is on disk. */
#ifndef DISCOVERY_TOKEN_STORE_PRIV_H
#define DISCOVERY_TOKEN_STORE_PRIV_H

#include "discovery/token_store.h"
#include "lib/buf.h"

/* ---- Files (token_file.c); these block. ---- */

/* Makes dir and dir/tokens where missing, and locks dir. Returns the lock's descriptor, which holds
 * it until closed, or -1. */
int token_files_open(const char *dir, struct err *err) MUSTCHECK;
/* Calls found for each token there, with its file's content (a NUL behind it), which may be
 * changed. Leftovers of interrupted writes are removed. */
int token_files_read(const char *dir,
	void (*found)(void *arg, const char *id, char *content, size_t len), void *arg,
	struct err *err) MUSTCHECK;
/* Replaces the token's file; the content is on disk when it returns. */
int token_file_write(const char *dir, const char *id, const char *content, size_t len,
	struct err *err) MUSTCHECK;
/* Removes it; one that is not there is fine. */
int token_file_remove(const char *dir, const char *id, struct err *err) MUSTCHECK;

/* The most bytes of a token's file: more than the limits allow it to grow to. */
#define TOKEN_FILE_MAX (8 * 1024 * 1024)
#define TOKEN_FILE_HEAD "swarm-token 1\n"
/* Behind it when the token has had an address. */
#define TOKEN_FILE_USED_LINE "used"
#define TOKEN_FILE_USED TOKEN_FILE_USED_LINE "\n"

#endif
