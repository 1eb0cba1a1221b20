/* Tokens and their addresses in memory, and the queue of what is to be written. */
#include "discovery/token_store_priv.h"

#include "discovery/token_entries.h"
#include "lib/hash.h"
#include "lib/log.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <utlist.h>

#define STORE_MAGIC 0x544b5354
/* How often addresses whose TTL has passed are taken out, and a failed write is tried again. */
#define JANITOR_MS 1000
#define RETRY_MS 5000

struct waiter {
	token_store_saved_fn *saved;
	void *arg;
	struct waiter *next;
};

struct token {
	char id[TOKEN_STORE_ID_LEN + 1];
	struct token_entries entries;
	struct waiter *waiters; /* for the next write */
	bool is_new;            /* was never written: goes again when the first write fails */
	bool is_removed;        /* not in the hash any more; its file is to go */
	bool is_queued;         /* in store->queue */
	bool is_failed;         /* in store->failed */
	bool was_used;          /* it has had an address; its file says so */
	bool is_empty;          /* in store->unused or store->idle */
	uint64_t empty_since;   /* ms */
	struct token *prev, *next;
	struct token *empty_prev, *empty_next;
	UT_hash_handle hh;
};

/* One write, done on a helper thread. */
struct save {
	struct token_store *store; /* NULL = the store was closed */
	struct token *token;       /* owned by the store; NULL as above */
	char *dir;
	char id[TOKEN_STORE_ID_LEN + 1];
	bool is_remove;
	struct buf content;
	struct waiter *waiters;
	int lock_fd; /* nobody else may use the folder before the write has ended */
	struct err err;
};

struct token_store {
	uint32_t magic;
	struct loop *loop;
	const struct env *env;
	char *dir;
	int lock_fd;
	struct token *tokens;
	size_t shared;        /* addresses of all tokens beyond TOKEN_STORE_OWN_ADDRS each */
	struct token *unused; /* without an address ever, the oldest first */
	struct token *idle;   /* without one now, by when the last one went */
	struct token *queue;  /* what is to be written */
	struct token *failed; /* what could not be, until the retry timer */
	struct save *save;    /* under way; NULL = none */
	struct loop_work *work;
	struct loop_timer *janitor;
	struct loop_timer *retry;
};

static void tell(struct waiter *waiters, const struct err *err)
{
	struct waiter *waiter, *next;

	for (waiter = waiters; waiter != NULL; waiter = next) {
		next = waiter->next;
		waiter->saved(waiter->arg, err);
		free(waiter);
	}
}

static uint64_t now_ms(const struct token_store *store)
{
	return store->env->now_ms(store->env);
}

/* ---- Tokens without addresses ---- */

static void empty_leave(struct token_store *store, struct token *token)
{
	if (!token->is_empty)
		return;
	token->is_empty = false;
	if (token->was_used)
		DL_DELETE2(store->idle, token, empty_prev, empty_next);
	else
		DL_DELETE2(store->unused, token, empty_prev, empty_next);
}

/* Puts the token where it belongs: called whenever addresses may have come or gone. */
static void empty_settle(struct token_store *store, struct token *token)
{
	bool is_empty = token->entries.count == 0 && !token->is_removed;

	if (token->is_empty == is_empty)
		return;
	if (!is_empty) {
		empty_leave(store, token);
		return;
	}
	token->is_empty = true;
	token->empty_since = now_ms(store);
	if (token->was_used)
		DL_APPEND2(store->idle, token, empty_prev, empty_next);
	else
		DL_APPEND2(store->unused, token, empty_prev, empty_next);
}

static void token_free(struct token_store *store, struct token *token)
{
	empty_leave(store, token);
	token_entries_free(&token->entries);
	assert(token->waiters == NULL);
	free(token);
}

/* ---- Writing ---- */

static void write_next(struct token_store *store);

static void save_work(void *arg)
{
	struct save *save = arg;
	int status;

	if (save->is_remove)
		status = token_file_remove(save->dir, save->id, &save->err);
	else
		status = token_file_write(
			save->dir, save->id, save->content.data, save->content.len, &save->err);
	assert(status == 0 || save->err.code != ERR_NONE);
}

static void save_free(struct save *save)
{
	buf_reset(&save->content);
	mem_cleanup_fd(&save->lock_fd);
	free(save->dir);
	free(save);
}

/* Takes the token out of both lists. */
static void unlist(struct token_store *store, struct token *token)
{
	if (token->is_queued)
		DL_DELETE(store->queue, token);
	if (token->is_failed)
		DL_DELETE(store->failed, token);
	token->is_queued = false;
	token->is_failed = false;
}

static void queue(struct token_store *store, struct token *token)
{
	if (token->is_queued)
		return;
	unlist(store, token);
	token->is_queued = true;
	DL_APPEND(store->queue, token);
}

/* What becomes of a token whose write has ended. */
static void save_ended(struct token_store *store, struct save *save)
{
	struct token *token = save->token;
	bool has_failed = save->err.code != ERR_NONE;

	/* Not while it is empty: its list is chosen by this. */
	if (!has_failed && token->entries.count > 0)
		token->was_used = true;
	token_entries_written(&token->entries, !has_failed, now_ms(store));
	empty_settle(store, token);
	if (has_failed && token->is_new && !token->is_removed && token->entries.count == 0) {
		/* Whoever asked for it is told that there is none. */
		HASH_DEL(store->tokens, token);
		unlist(store, token);
		LL_CONCAT(save->waiters, token->waiters);
		token->waiters = NULL;
		token_free(store, token);
	} else if (has_failed) {
		log_error("token server: %s", save->err.msg);
		if (!token->is_queued) {
			token->is_failed = true;
			DL_APPEND(store->failed, token);
		}
		if (!loop_timer_is_active(store->retry))
			loop_timer_start(store->retry, RETRY_MS);
	} else if (save->is_remove) {
		assert(!token->is_queued);
		token_free(store, token);
	} else {
		token->is_new = false;
	}
}

static void save_done(void *arg, bool canceled)
{
	struct save *save = arg;
	struct token_store *store = save->store;
	struct waiter *waiters;
	struct err err = save->err;

	if (store == NULL) {
		save_free(save);
		return;
	}
	assert(store->magic == STORE_MAGIC && !canceled);
	store->save = NULL;
	store->work = NULL;
	save_ended(store, save);
	waiters = save->waiters;
	save_free(save);
	write_next(store);
	/* Last: one of them may close the store. */
	tell(waiters, err.code != ERR_NONE ? &err : NULL);
}

static void render(struct token *token, struct buf *out)
{
	buf_append_str(out, TOKEN_FILE_HEAD);
	if (token->was_used)
		buf_append_str(out, TOKEN_FILE_USED);
	token_entries_render(&token->entries, out);
	/* Addresses are at most 260 bytes, and the limit on their number keeps the sum below. */
	assert(!out->failed);
}

/* Starts the next write, unless one is under way: there is never more than one, so that a token's
 * file cannot be overtaken by an older one. */
static void write_next(struct token_store *store)
{
	struct token *token = store->queue;
	struct save *save;

	if (store->save != NULL || token == NULL)
		return;
	unlist(store, token);
	save = xcalloc(1, sizeof(*save));
	save->store = store;
	save->token = token;
	save->dir = xstrdup(store->dir);
	memcpy(save->id, token->id, sizeof(save->id));
	save->is_remove = token->is_removed;
	save->lock_fd = fcntl(store->lock_fd, F_DUPFD_CLOEXEC, 0);
	buf_init(&save->content, TOKEN_FILE_MAX);
	if (!save->is_remove)
		render(token, &save->content);
	save->waiters = TAKE_PTR(token->waiters);
	store->save = save;
	store->work = loop_work_start(store->loop, save_work, save_done, save);
}

static void write_again(void *arg)
{
	struct token_store *store = arg;

	while (store->failed != NULL)
		queue(store, store->failed);
	write_next(store);
}

/* The token has changed: it is written soon, and saved called then (NULL = nobody waits). */
static void changed(
	struct token_store *store, struct token *token, token_store_saved_fn *saved, void *arg)
{
	if (saved != NULL) {
		struct waiter *waiter = xcalloc(1, sizeof(*waiter));

		waiter->saved = saved;
		waiter->arg = arg;
		LL_PREPEND(token->waiters, waiter);
	}
	queue(store, token);
	write_next(store);
}

static void remove_token(
	struct token_store *store, struct token *token, token_store_saved_fn *saved, void *arg)
{
	HASH_DEL(store->tokens, token);
	token->is_removed = true;
	empty_leave(store, token);
	changed(store, token, saved, arg);
}

/* Lets go of tokens that have been empty for too long. */
static void clean_empty(struct token_store *store)
{
	uint64_t now = now_ms(store);
	size_t count = 0;

	for (; store->unused != NULL && now - store->unused->empty_since >= TOKEN_STORE_UNUSED_MS;
		count++)
		remove_token(store, store->unused, NULL, NULL);
	for (; store->idle != NULL && now - store->idle->empty_since >= TOKEN_STORE_IDLE_MS;
		count++)
		remove_token(store, store->idle, NULL, NULL);
	if (count > 0)
		log_info("token server: tokens without nodes are forgotten count=%zu", count);
}

/* Takes out what nobody renewed. */
static void clean(void *arg)
{
	struct token_store *store = arg;
	struct token *token, *next_token;

	assert(store->magic == STORE_MAGIC);
	HASH_ITER (hh, store->tokens, token, next_token) {
		if (!token_entries_expire(&token->entries, now_ms(store)))
			continue;
		empty_settle(store, token);
		changed(store, token, NULL, NULL);
	}
	clean_empty(store);
	if (store->tokens != NULL)
		loop_timer_start(store->janitor, JANITOR_MS);
}

/* ---- What the server calls ---- */

static struct token *find(struct token_store *store, const char *id, struct err *err)
{
	struct token *token = NULL;

	HASH_FIND_STR(store->tokens, id, token);
	if (token == NULL)
		err_set(err, ERR_NOT_FOUND, "no such token");
	return token;
}

static struct token *token_add(struct token_store *store, const char *id)
{
	struct token *token = xcalloc(1, sizeof(*token));

	memcpy(token->id, id, TOKEN_STORE_ID_LEN);
	token->entries.shared = &store->shared;
	HASH_ADD_STR(store->tokens, id, token);
	if (!loop_timer_is_active(store->janitor))
		loop_timer_start(store->janitor, JANITOR_MS);
	return token;
}

/* Room for one more: of what was made and not used for a while, the oldest goes. */
static bool make_room(struct token_store *store)
{
	if (HASH_COUNT(store->tokens) < TOKEN_STORE_TOKENS_MAX)
		return true;
	if (store->unused == NULL ||
		now_ms(store) - store->unused->empty_since < TOKEN_STORE_FRESH_MS)
		return false;
	log_warn("token server: there are %d tokens, the oldest unused one is forgotten",
		TOKEN_STORE_TOKENS_MAX);
	remove_token(store, store->unused, NULL, NULL);
	return true;
}

int token_store_create(struct token_store *store, char *id, token_store_saved_fn *saved, void *arg,
	struct err *err)
{
	struct token *token;

	if (!make_room(store))
		return err_set(err, ERR_TOO_LARGE, "there are %d tokens already, the most",
			TOKEN_STORE_TOKENS_MAX);
	str_random_hex(id, TOKEN_STORE_ID_LEN);
	token = token_add(store, id);
	token->is_new = true;
	empty_settle(store, token);
	changed(store, token, saved, arg);
	return 0;
}

int token_store_remove(struct token_store *store, const char *id, token_store_saved_fn *saved,
	void *arg, struct err *err)
{
	struct token *token = find(store, id, err);

	if (token == NULL)
		return -1;
	remove_token(store, token, saved, arg);
	return 0;
}

int token_store_put(struct token_store *store, const char *id, const char *addr, unsigned ttl_s,
	token_store_saved_fn *saved, void *arg, struct err *err)
{
	struct token *token = find(store, id, err);

	assert(ttl_s > 0 && ttl_s <= TOKEN_STORE_TTL_MAX_S);
	if (token == NULL)
		return -1;
	switch (token_entries_put(&token->entries, addr, ttl_s, now_ms(store))) {
	case TOKEN_PUT_FULL:
		return err_set(err, ERR_TOO_LARGE,
			"the token has %zu nodes, and there is no room for more",
			token->entries.count);
	case TOKEN_PUT_KNOWN:
		return 1;
	case TOKEN_PUT_NEW:
		break;
	}
	empty_settle(store, token);
	changed(store, token, saved, arg);
	return 0;
}

int token_store_drop(struct token_store *store, const char *id, const char *addr,
	token_store_saved_fn *saved, void *arg, struct err *err)
{
	struct token *token = find(store, id, err);

	if (token == NULL)
		return -1;
	if (!token_entries_drop(&token->entries, addr))
		return err_set(err, ERR_NOT_FOUND, "the node is not registered with this token");
	changed(store, token, saved, arg);
	return 0;
}

int token_store_list(
	struct token_store *store, const char *id, struct str_list *out, struct err *err)
{
	struct token *token = find(store, id, err);

	if (token == NULL)
		return -1;
	token_entries_list(&token->entries, now_ms(store), out);
	str_list_sort(out);
	return 0;
}

/* ---- Opening and closing ---- */

static void load(void *arg, const char *id, char *content, size_t len)
{
	struct token_store *store = arg;
	struct token *token;
	size_t bad;

	if (HASH_COUNT(store->tokens) >= TOKEN_STORE_TOKENS_MAX) {
		log_warn("token server: more than %d tokens, one is skipped",
			TOKEN_STORE_TOKENS_MAX);
		return;
	}
	token = token_add(store, id);
	bad = token_entries_read(&token->entries, content, len, now_ms(store), &token->was_used);
	empty_settle(store, token);
	if (bad > 0)
		log_warn("token server: lines of a token's file are damaged and skipped "
			 "count=%zu kept=%zu",
			bad, token->entries.count);
}

struct token_store *token_store_open(
	struct loop *loop, const struct env *env, const char *dir, struct err *err)
{
	struct token_store *store = xcalloc(1, sizeof(*store));

	store->magic = STORE_MAGIC;
	store->loop = loop;
	store->env = env;
	store->dir = xstrdup(dir);
	store->janitor = loop_timer_new(loop, clean, store);
	store->retry = loop_timer_new(loop, write_again, store);
	store->lock_fd = token_files_open(dir, err);
	if (store->lock_fd == -1 || token_files_read(dir, load, store, err) != 0) {
		token_store_close(store);
		return NULL;
	}
	return store;
}

void token_store_close(struct token_store *store)
{
	struct err err = ERR_INIT;
	struct waiter *waiters = NULL;
	struct token *token, *next;

	if (store == NULL)
		return;
	if (store->save != NULL) {
		waiters = TAKE_PTR(store->save->waiters);
		/* A removed token is in no list while its file is being removed. */
		token = store->save->token;
		if (token->is_removed && !token->is_queued)
			queue(store, token);
		store->save->store = NULL;
		store->save->token = NULL;
		loop_work_cancel(store->work);
	}
	while (store->failed != NULL)
		queue(store, store->failed);
	DL_FOREACH_SAFE (store->queue, token, next) {
		if (!token->is_removed)
			continue;
		unlist(store, token);
		LL_CONCAT(waiters, token->waiters);
		token->waiters = NULL;
		token_free(store, token);
	}
	HASH_ITER (hh, store->tokens, token, next) {
		HASH_DEL(store->tokens, token);
		LL_CONCAT(waiters, token->waiters);
		token->waiters = NULL;
		token_free(store, token);
	}
	loop_timer_free(store->janitor);
	loop_timer_free(store->retry);
	mem_cleanup_fd(&store->lock_fd);
	free(store->dir);
	store->magic = 0;
	free(store);
	err_set(&err, ERR_CANCELED, "the token server is being closed");
	tell(waiters, &err);
}
