/* The token server's memory: tokens, and the addresses registered with each until their TTL passes.
 * It survives the death of the process at any moment: each token is a file of its own, written to
 * a temporary name, flushed and renamed, on a helper thread. Inside discovery/ only.
 *
 * Renewals touch no disk: a file holds addresses and their TTLs, not times. After a restart every
 * address gets a whole TTL to be renewed in, since the time in which the server did not run must
 * not count against the nodes. */
#ifndef DISCOVERY_TOKEN_STORE_H
#define DISCOVERY_TOKEN_STORE_H

#include "lib/env.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

#define TOKEN_STORE_ID_LEN 32 /* lower-case hexadecimal digits */
#define TOKEN_STORE_TOKENS_MAX 10000
#define TOKEN_STORE_TOKEN_ADDRS_MAX 16384
/* Addresses that each token may always have, and how many more all of them together: nobody can
 * take the room that others need for a small cluster. */
#define TOKEN_STORE_OWN_ADDRS 16
#define TOKEN_STORE_ADDRS_MAX 100000
#define TOKEN_STORE_TTL_MAX_S 86400
/* Tokens that never had an address are forgotten after this, those that have none any more after
 * the second. Both begin anew when the server starts. When there are TOKEN_STORE_TOKENS_MAX, the
 * oldest that never had one makes room for a new one, if it is at least TOKEN_STORE_FRESH_MS old.
 */
#define TOKEN_STORE_UNUSED_MS (24ull * 3600 * 1000)
#define TOKEN_STORE_IDLE_MS (30ull * 24 * 3600 * 1000)
#define TOKEN_STORE_FRESH_MS (10 * 60 * 1000)

struct token_store;

/* Reads what is in dir, which is made when it is missing; unreadable parts are skipped and logged.
 * ERR_CONFLICT when another process uses dir. */
struct token_store *token_store_open(
	struct loop *loop, const struct env *env, const char *dir, struct err *err) MUSTCHECK;
void token_store_close(struct token_store *store);

/* Called when a change is safe on disk; or could not be written (ERR_TOO_LARGE: the disk is full;
 * else ERR_SYSTEM), and then nothing has changed, but for a removed token, whose file is tried
 * again later; or the store was closed (ERR_CANCELED): exactly once, never from inside the function
 * that got it, except by token_store_close. */
typedef void token_store_saved_fn(void *arg, const struct err *err);

/* All return 0 when saved will be called, 1 when nothing had to be written (saved is not called),
 * -1 with err (saved is not called). Unknown tokens are ERR_NOT_FOUND, passed limits ERR_TOO_LARGE.
 */

/* Makes a token; its text goes to id (TOKEN_STORE_ID_LEN + 1 bytes). */
int token_store_create(struct token_store *store, char *id, token_store_saved_fn *saved, void *arg,
	struct err *err) MUSTCHECK;
int token_store_remove(struct token_store *store, const char *id, token_store_saved_fn *saved,
	void *arg, struct err *err) MUSTCHECK;
/* Registers addr, which the caller has validated, for ttl_s seconds from now. */
int token_store_put(struct token_store *store, const char *id, const char *addr, unsigned ttl_s,
	token_store_saved_fn *saved, void *arg, struct err *err) MUSTCHECK;
/* ERR_NOT_FOUND also when addr is not registered. */
int token_store_drop(struct token_store *store, const char *id, const char *addr,
	token_store_saved_fn *saved, void *arg, struct err *err) MUSTCHECK;
/* Adds the addresses whose TTL has not passed, sorted; 0 or -1. */
int token_store_list(
	struct token_store *store, const char *id, struct str_list *out, struct err *err) MUSTCHECK;

#endif
