/* token://host[:port][/path]/TOKEN: a token server keeps the list. The public server of old is
 * gone; `swarm token-server` is one to run oneself. */
#include "discovery/discovery_priv.h"

#include "discovery/store.h"
#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/json_read.h"
#include "lib/log.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define TOKEN_MAGIC 0x544f4b4e
#define TOKEN_LEN_MAX 128
/* The most bytes of a list. */
#define TOKEN_LIST_MAX (8 * 1024 * 1024)

/* Where a token server is. */
struct place {
	char *base; /* path in front of "/clusters", "" or "/path" */
	char *token;
	struct store *store;
};

struct token {
	uint32_t magic;
	const struct discovery_context *context;
	struct place place;
	struct store_ask *look_ask;
	struct store_ask *beat_ask;
	char *addr;         /* the one that was published; NULL = none */
	bool withdraw_next; /* once beat_ask has ended */
};

struct discovery_create {
	struct place place;
	struct store_ask *ask;
	discovery_created_fn *done;
	void *arg;
};

static const char *const option_names[] = {
	"token.scheme", "token.cacertfile", "token.certfile", "token.keyfile", NULL};

/* ---- URLs ---- */

static void place_free(struct place *place)
{
	store_free(place->store);
	free(place->base);
	free(place->token);
	*place = (struct place){0};
}

static bool is_token(const char *s)
{
	size_t len = strlen(s);

	return len > 0 && len <= TOKEN_LEN_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

/* "/a/b" re-encoded; slashes at the end dropped. */
static char *encode_path(const char *path)
{
	CLEANUP_STR_LIST struct str_list parts = {0};
	struct buf out;

	buf_init(&out, 16 + 4 * strlen(path));
	str_list_split(&parts, path, "/");
	for (size_t i = 0; i < parts.len; i++) {
		CLEANUP_FREE char *part = str_url_encode(parts.items[i], strlen(parts.items[i]));

		buf_append_char(&out, '/');
		buf_append_str(&out, part);
	}
	return buf_take(&out);
}

/* s is "host[:port][/path]". scheme NULL = as the options say, else https. */
static int place_open(struct place *place, struct client *client, const char *s, const char *scheme,
	const struct str_list *options, struct err *err)
{
	size_t host_len = strcspn(s, "/");
	CLEANUP_FREE char *host = xstrndup(s, host_len);
	struct tls_context *tls = NULL;
	bool is_https;

	if (strpbrk(s, "?#@, \t\r\n") != NULL)
		return err_set(err, ERR_INVALID, "token://host[:port]/path/TOKEN is expected");
	if (scheme == NULL)
		scheme = discovery_option(options, "token.scheme");
	if (scheme == NULL)
		scheme = "https";
	is_https = str_ieq(scheme, "https");
	if (!is_https && !str_ieq(scheme, "http"))
		return err_set(err, ERR_USAGE,
			"invalid discovery option token.scheme=%.32s: http or https is expected",
			scheme);
	if (store_tls(options, "token", is_https, &tls, err) != 0)
		return -1;
	/* Who names certificates does not want them ignored. */
	if (!is_https && tls != NULL) {
		tls_context_unref(tls);
		return err_set(err, ERR_USAGE,
			"TLS files are given, and the token server is to be reached by http");
	}
	place->base = encode_path(s + host_len);
	place->store = store_new(client, host, is_https ? 443 : 80, tls, err);
	if (tls != NULL)
		tls_context_unref(tls);
	return place->store != NULL ? 0 : -1;
}

static void token_close(void *self)
{
	struct token *token = self;

	place_free(&token->place);
	free(token->addr);
	token->magic = 0;
	free(token);
}

static void *token_open(const struct discovery_context *context, const char *s, struct err *err)
{
	const char *slash = strrchr(s, '/');
	CLEANUP_FREE char *server = NULL;
	struct token *token;

	/* The token is a secret: no message shows it. */
	if (slash == NULL || slash == s) {
		err_set(err, ERR_INVALID,
			"there is no public token server any more: give your own as "
			"token://host[:port]/path/TOKEN (it is reached by https; for plain http "
			"add --discovery-opt token.scheme=http). `swarm token-server` runs one, "
			"`swarm create` makes a token there");
		return NULL;
	}
	if (!is_token(slash + 1)) {
		err_set(err, ERR_INVALID,
			"no valid token at the end: token://host[:port]/path/TOKEN is expected");
		return NULL;
	}
	token = xcalloc(1, sizeof(*token));
	token->magic = TOKEN_MAGIC;
	token->context = context;
	token->place.token = xstrdup(slash + 1);
	server = xstrndup(s, (size_t)(slash - s));
	if (place_open(&token->place, context->client, server, NULL, context->options, err) != 0) {
		token_close(token);
		return NULL;
	}
	return token;
}

/* ---- Watching ---- */

int token_parse_list(const char *text, size_t len, struct str_list *out, struct err *err)
{
	struct json_reader *reader = json_reader_new();
	struct json_ref list = json_read(reader, text, len, err);
	enum json_kind kind = json_ref_kind(list);
	int status = 0;

	if (kind == JSON_KIND_NONE)
		status = err_wrap(err, "the token server's list of nodes");
	/* Some servers say null for an empty list. */
	else if (kind != JSON_KIND_ARRAY && kind != JSON_KIND_NULL)
		status = err_set(
			err, ERR_UPSTREAM, "the token server's list of nodes is not a JSON array");
	/* One more than there may be is enough for discovery.c to refuse them all. */
	for (struct json_walk w = json_walk(list);
		status == 0 && out->len <= ADDR_EXPAND_MAX && json_walk_next(&w);) {
		const char *addr = json_ref_text(w.value);

		str_list_add(out, addr != NULL ? addr : "(no text)");
	}
	json_reader_free(reader);
	return status;
}

static void listed(void *arg, const struct reply *reply, const struct err *err)
{
	struct token *token = arg;
	struct discovery *discovery = token->context->discovery;
	CLEANUP_STR_LIST struct str_list addrs = {0};
	struct err failure = ERR_INIT;

	assert(token->magic == TOKEN_MAGIC);
	token->look_ask = NULL;
	if (err != NULL)
		failure = *err;
	else if (reply->status != 200)
		store_refused(reply, "listing the nodes of the token", &failure);
	else if (token_parse_list(reply->body, reply->body_len, &addrs, &failure) != 0)
		str_list_free(&addrs);
	if (failure.code != ERR_NONE)
		discovery_report_error(discovery, &failure);
	else
		discovery_report_set(discovery, &addrs, token->context->heartbeat_ms);
}

static void token_look(void *self)
{
	struct token *token = self;
	CLEANUP_FREE char *target =
		xasprintf("%s/clusters/%s", token->place.base, token->place.token);
	struct store_request request = {.method = "GET", .target = target, .max = TOKEN_LIST_MAX};

	token->look_ask = store_ask(token->place.store, &request, listed, token);
}

/* ---- Registering ---- */

static void withdrawn(void *arg, const struct reply *reply, const struct err *err)
{
	struct token *token = arg;
	struct err failure = ERR_INIT;

	token->beat_ask = NULL;
	if (err != NULL)
		failure = *err;
	else if (reply->status == 405 || reply->status == 501)
		err_set(&failure, ERR_UNSUPPORTED,
			"the token server cannot remove a node; it forgets it after its TTL");
	else if ((reply->status < 200 || reply->status > 299) && reply->status != 404)
		store_refused(reply, "withdrawing from the token", &failure);
	discovery_report_withdrawn(
		token->context->discovery, failure.code != ERR_NONE ? &failure : NULL);
}

static void remove_addr(struct token *token)
{
	CLEANUP_FREE char *addr = str_url_encode(token->addr, strlen(token->addr));
	CLEANUP_FREE char *target =
		xasprintf("%s/clusters/%s/%s", token->place.base, token->place.token, addr);
	struct store_request request = {.method = "DELETE", .target = target};

	token->withdraw_next = false;
	free(TAKE_PTR(token->addr));
	token->beat_ask = store_ask(token->place.store, &request, withdrawn, token);
}

static void registered(void *arg, const struct reply *reply, const struct err *err)
{
	struct token *token = arg;
	struct err failure = ERR_INIT;

	assert(token->magic == TOKEN_MAGIC);
	token->beat_ask = NULL;
	if (token->withdraw_next) {
		remove_addr(token);
		return;
	}
	if (err != NULL)
		failure = *err;
	else if (reply->status < 200 || reply->status > 299)
		store_refused(reply, "registering with the token", &failure);
	discovery_report_published(
		token->context->discovery, failure.code != ERR_NONE ? &failure : NULL);
}

static void token_publish(void *self, const char *addr)
{
	struct token *token = self;
	uint64_t ttl = token->context->ttl_ms / 1000;
	CLEANUP_FREE char *target = xasprintf("%s/clusters/%s?ttl=%llu", token->place.base,
		token->place.token, (unsigned long long)(ttl > 0 ? ttl : 1));
	struct store_request request = {.method = "POST", .target = target, .body = addr};

	if (token->addr == NULL)
		token->addr = xstrdup(addr);
	token->beat_ask = store_ask(token->place.store, &request, registered, token);
}

/* A registration under way could arrive behind its removal: it is waited for. */
static void token_withdraw(void *self)
{
	struct token *token = self;

	if (token->beat_ask != NULL)
		token->withdraw_next = true;
	else
		remove_addr(token);
}

const struct discovery_ops discovery_token_ops = {
	.name = "token",
	.scheme = "token",
	.options = option_names,
	.expires = true,
	.open = token_open,
	.look = token_look,
	.publish = token_publish,
	.withdraw = token_withdraw,
	.close = token_close,
};

/* ---- Making a token ---- */

void discovery_create_cancel(struct discovery_create *create)
{
	if (create == NULL)
		return;
	place_free(&create->place);
	free(create);
}

static void created(void *arg, const struct reply *reply, const struct err *err)
{
	struct discovery_create *create = arg;
	discovery_created_fn *done = create->done;
	void *done_arg = create->arg;
	CLEANUP_FREE char *token = NULL;
	CLEANUP_STR_LIST struct str_list words = {0};
	struct err failure = ERR_INIT;

	if (err != NULL) {
		failure = *err;
	} else if (reply->status < 200 || reply->status > 299) {
		store_refused(reply, "making a token", &failure);
	} else {
		str_list_split(&words, reply->body, " \t\r\n\"");
		if (words.len == 1 && is_token(words.items[0]))
			token = xstrdup(words.items[0]);
		else
			err_set(&failure, ERR_UPSTREAM, "the server's answer is no token");
	}
	discovery_create_cancel(create);
	if (token == NULL)
		err_wrap(&failure, "token server");
	done(done_arg, token, token == NULL ? &failure : NULL);
}

struct discovery_create *discovery_create_token(struct client *client, const char *url,
	const struct str_list *options, discovery_created_fn *done, void *arg, struct err *err)
{
	static const struct str_list no_options;
	const char *end = strstr(url, "://");
	const char *server = end != NULL ? end + 3 : url;
	CLEANUP_FREE char *scheme = end != NULL ? xstrndup(url, (size_t)(end - url)) : NULL;
	CLEANUP_FREE char *target = NULL;
	struct store_request request = {.method = "POST"};
	struct discovery_create *create;

	if (options == NULL)
		options = &no_options;
	if (scheme != NULL && !str_ieq(scheme, "token") && !str_ieq(scheme, "http") &&
		!str_ieq(scheme, "https")) {
		err_set(err, ERR_INVALID, "token://host[:port]/path is expected");
		return NULL;
	}
	if (str_is_empty(server)) {
		err_set(err, ERR_INVALID,
			"there is no public token server any more: give your own as "
			"token://host[:port]/path; `swarm token-server` runs one");
		return NULL;
	}
	create = xcalloc(1, sizeof(*create));
	create->done = done;
	create->arg = arg;
	if (place_open(&create->place, client, server,
		    scheme == NULL || str_ieq(scheme, "token") ? NULL : scheme, options,
		    err) != 0) {
		discovery_create_cancel(create);
		return NULL;
	}
	target = xasprintf("%s/clusters", create->place.base);
	request.target = target;
	create->ask = store_ask(create->place.store, &request, created, create);
	return create;
}
