/* The token server's HTTP side: routes, and replies that wait for the disk. */
#include "discovery/token_server.h"

#include "discovery/token_rate.h"
#include "discovery/token_store.h"
#include "http/exchange.h"
#include "http/server.h"
#include "lib/addr.h"
#include "lib/log.h"

#include <assert.h>
#include <string.h>

#define SERVER_MAGIC 0x544b5356
/* An address and blanks around it. */
#define BODY_MAX 1024
#define TTL_DEFAULT_S 180

struct token_server {
	struct handler handler; /* first */
	uint32_t magic;
	struct token_store *store;
	const struct env *env;
	struct token_rate *rate;
	struct server *http;
	struct tls_config tls; /* owned strings */
	bool has_tls;
};

/* A reply that waits for the disk. Freed when both the disk and the exchange are done with it. */
struct pending {
	struct exchange *x; /* NULL = it has ended */
	bool is_saved;
	int status;
	char body[TOKEN_STORE_ID_LEN + 1];
};

/* What a request is about. */
struct route {
	enum {
		ROUTE_NONE,
		ROUTE_CLUSTERS,
		ROUTE_TOKEN,
		ROUTE_ADDR,
	} kind;
	char id[TOKEN_STORE_ID_LEN + 1];
	char *addr; /* decoded, owned; ROUTE_ADDR */
};

/* ---- Replies ---- */

static void reply_text(struct exchange *x, int status, const char *text)
{
	struct http_headers headers = {0};

	if (*text != '\0')
		http_headers_add(&headers, "Content-Type", "text/plain; charset=utf-8");
	http_headers_add(&headers, "Cache-Control", "no-store");
	exchange_reply(x, status, &headers, text, strlen(text));
	http_headers_free(&headers);
}

static void reply_err(struct exchange *x, const struct err *err)
{
	int status = 500;

	switch (err->code) {
	case ERR_INVALID:
		status = 400;
		break;
	case ERR_NOT_FOUND:
		status = 404;
		break;
	case ERR_TOO_LARGE:
		status = 507;
		break;
	case ERR_CANCELED:
		status = 503;
		break;
	default:
		break;
	}
	exchange_reply_error(x, status, "%s", err->msg);
}

static void reply_method(struct exchange *x, const char *allow)
{
	static const char text[] = "{\"message\":\"the method is not allowed here\"}";
	struct http_headers headers = {0};

	http_headers_add(&headers, "Allow", allow);
	http_headers_add(&headers, "Content-Type", "application/json");
	exchange_reply(x, 405, &headers, text, strlen(text));
	http_headers_free(&headers);
}

static void reply_too_many(struct exchange *x, unsigned wait_s)
{
	static const char text[] = "{\"message\":\"too many tokens were made; try again later\"}";
	CLEANUP_FREE char *wait = xasprintf("%u", wait_s);
	struct http_headers headers = {0};

	http_headers_add(&headers, "Retry-After", wait);
	http_headers_add(&headers, "Content-Type", "application/json");
	exchange_reply(x, 429, &headers, text, strlen(text));
	http_headers_free(&headers);
}

static void pending_ended(struct exchange *x, bool finished, void *arg)
{
	struct pending *pending = arg;

	(void)x;
	(void)finished;
	pending->x = NULL;
	if (pending->is_saved)
		free(pending);
}

static void pending_saved(void *arg, const struct err *err)
{
	struct pending *pending = arg;

	pending->is_saved = true;
	if (pending->x == NULL)
		free(pending);
	else if (err != NULL)
		reply_err(pending->x, err);
	else
		reply_text(pending->x, pending->status, pending->body);
}

static struct pending *pending_new(struct exchange *x, int status)
{
	struct pending *pending = xcalloc(1, sizeof(*pending));

	pending->x = x;
	pending->status = status;
	return pending;
}

/* Replies now or later, as the store's function said: 0 later, 1 now, -1 err. */
static void pending_start(struct pending *pending, int started, const struct err *err)
{
	exchange_on_end(pending->x, pending_ended, pending);
	if (started < 0)
		pending_saved(pending, err);
	else if (started > 0)
		pending_saved(pending, NULL);
}

/* ---- Requests ---- */

static void create(struct token_server *server, struct exchange *x)
{
	unsigned wait_s =
		token_rate_take(server->rate, exchange_peer(x), server->env->now_ms(server->env));
	struct pending *pending;
	struct err err = ERR_INIT;
	int started;

	if (wait_s > 0) {
		log_debug("token server: too many tokens peer=%s", exchange_peer(x));
		reply_too_many(x, wait_s);
		return;
	}
	pending = pending_new(x, 200);
	started = token_store_create(server->store, pending->body, pending_saved, pending, &err);
	if (started == 0)
		log_info("token server: a token is made peer=%s", exchange_peer(x));
	pending_start(pending, started, &err);
}

static void remove_token(struct token_server *server, struct exchange *x, const struct route *route)
{
	struct pending *pending = pending_new(x, 204);
	struct err err = ERR_INIT;

	pending_start(pending,
		token_store_remove(server->store, route->id, pending_saved, pending, &err), &err);
}

static void remove_addr(struct token_server *server, struct exchange *x, const struct route *route)
{
	struct pending *pending = pending_new(x, 204);
	struct err err = ERR_INIT;

	pending_start(pending,
		token_store_drop(
			server->store, route->id, route->addr, pending_saved, pending, &err),
		&err);
}

static void list(struct token_server *server, struct exchange *x, const struct route *route)
{
	CLEANUP_STR_LIST struct str_list addrs = {0};
	struct err err = ERR_INIT;
	json_t *json;

	if (token_store_list(server->store, route->id, &addrs, &err) != 0) {
		reply_err(x, &err);
		return;
	}
	json = json_array();
	for (size_t i = 0; i < addrs.len; i++)
		json_array_append_new(json, json_string(addrs.items[i]));
	exchange_reply_json(x, 200, json);
}

/* The value of ttl= in the query, or the default. */
static int parse_ttl(const char *target, unsigned *out, struct err *err)
{
	CLEANUP_STR_LIST struct str_list fields = {0};
	const char *query = strchr(target, '?');
	long long ttl = TTL_DEFAULT_S;

	str_list_split(&fields, query != NULL ? query + 1 : "", "&");
	for (size_t i = 0; i < fields.len; i++)
		if (str_has_prefix(fields.items[i], "ttl=") &&
			str_to_int(fields.items[i] + 4, 1, TOKEN_STORE_TTL_MAX_S, &ttl, "ttl",
				err) != 0)
			return -1;
	*out = (unsigned)ttl;
	return 0;
}

/* The one address of a body. */
static int parse_addr(const char *body, size_t len, struct str_list *out, struct err *err)
{
	if (memchr(body, '\0', len) != NULL)
		return err_set(err, ERR_INVALID, "the body holds a NUL byte");
	str_list_split(out, body, "\r\n\t ");
	if (out->len != 1)
		return err_set(err, ERR_INVALID, "the body is not one address");
	return addr_check_host_port(out->items[0], err);
}

/* "/clusters[/TOKEN[/ADDR]]", with "/v1" in front or not, as the public server had it. */
static void parse_route(const char *target, struct route *out)
{
	CLEANUP_FREE char *path = xstrndup(target, strcspn(target, "?"));
	const char *rest = path;
	size_t len;

	*out = (struct route){0};
	if (str_has_prefix(rest, "/v1/"))
		rest += strlen("/v1");
	if (!str_has_prefix(rest, "/clusters"))
		return;
	rest += strlen("/clusters");
	if (*rest == '\0' || str_eq(rest, "/")) {
		out->kind = ROUTE_CLUSTERS;
		return;
	}
	if (*rest++ != '/')
		return;
	len = strcspn(rest, "/");
	if (len != TOKEN_STORE_ID_LEN)
		return;
	memcpy(out->id, rest, len);
	if (!str_is_hex(out->id, len))
		return;
	rest += len;
	if (*rest == '\0' || str_eq(rest, "/")) {
		out->kind = ROUTE_TOKEN;
		return;
	}
	out->addr = str_url_decode(rest + 1, strlen(rest + 1), false);
	if (out->addr != NULL)
		out->kind = ROUTE_ADDR;
}

static void put(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct token_server *server = arg;
	CLEANUP_FREE char *text = xstrndup(body != NULL ? body : "", len);
	CLEANUP_STR_LIST struct str_list addr = {0};
	struct pending *pending;
	struct err err = ERR_INIT;
	struct route route;
	unsigned ttl = 0;

	parse_route(exchange_target(x), &route);
	assert(route.kind == ROUTE_TOKEN);
	if (parse_ttl(exchange_target(x), &ttl, &err) != 0 ||
		parse_addr(text, len, &addr, &err) != 0) {
		reply_err(x, &err);
		return;
	}
	pending = pending_new(x, 200);
	pending_start(pending,
		token_store_put(
			server->store, route.id, addr.items[0], ttl, pending_saved, pending, &err),
		&err);
}

static void handle_token(struct token_server *server, struct exchange *x, const struct route *route)
{
	const char *method = exchange_method(x);

	if (str_eq(method, "GET") || str_eq(method, "HEAD"))
		list(server, x, route);
	else if (str_eq(method, "POST"))
		exchange_read_body(x, BODY_MAX, put, server);
	else if (str_eq(method, "DELETE"))
		remove_token(server, x, route);
	else
		reply_method(x, "GET, HEAD, POST, DELETE");
}

static void handle(struct handler *h, struct exchange *x)
{
	struct token_server *server = (struct token_server *)h;
	struct route route;

	assert(server->magic == SERVER_MAGIC);
	parse_route(exchange_target(x), &route);
	switch (route.kind) {
	case ROUTE_CLUSTERS:
		if (str_eq(exchange_method(x), "POST"))
			create(server, x);
		else
			reply_method(x, "POST");
		break;
	case ROUTE_TOKEN:
		handle_token(server, x, &route);
		break;
	case ROUTE_ADDR:
		if (str_eq(exchange_method(x), "DELETE"))
			remove_addr(server, x, &route);
		else
			reply_method(x, "DELETE");
		break;
	case ROUTE_NONE:
		exchange_reply_error(x, 404, "no such token or page");
		break;
	}
	free(route.addr);
}

/* The handler is part of the server, which frees itself. */
static void handler_nothing(struct handler *h)
{
	(void)h;
}

static const struct handler_ops handler_ops = {
	.name = "token-server",
	.handle = handle,
	.free = handler_nothing,
};

/* ---- Starting and ending ---- */

static char *dup_or_null(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

static int listen_all(struct token_server *server, const struct token_server_config *config,
	struct tls_context *tls, struct err *err)
{
	if (config->listen == NULL || config->listen->len == 0)
		return err_set(err, ERR_INVALID, "no address to listen on is given");
	for (size_t i = 0; i < config->listen->len; i++) {
		struct addr addr = {0};
		int status;

		if (addr_parse(config->listen->items[i], 0, &addr, err) != 0)
			return -1;
		status = server_listen(server->http, &addr, tls, err);
		addr_free(&addr);
		if (status != 0)
			return -1;
	}
	return 0;
}

struct token_server *token_server_new(struct loop *loop, const struct env *env,
	const struct token_server_config *config, struct err *err)
{
	struct token_server *server = xcalloc(1, sizeof(*server));
	struct tls_context *tls = NULL;

	server->handler.ops = &handler_ops;
	server->magic = SERVER_MAGIC;
	server->env = env;
	server->rate = token_rate_new();
	if (config->tls != NULL) {
		server->has_tls = true;
		server->tls.ca_file = dup_or_null(config->tls->ca_file);
		server->tls.cert_file = dup_or_null(config->tls->cert_file);
		server->tls.key_file = dup_or_null(config->tls->key_file);
		server->tls.verify = config->tls->verify;
		tls = tls_context_new(&server->tls, err);
		if (tls == NULL)
			goto err_server;
	}
	server->store = token_store_open(loop, env, config->data_dir, err);
	if (server->store == NULL)
		goto err_server;
	server->http = server_new(loop, &server->handler, NULL);
	if (listen_all(server, config, tls, err) != 0)
		goto err_server;
	if (tls != NULL)
		tls_context_unref(tls);
	return server;

err_server:
	if (tls != NULL)
		tls_context_unref(tls);
	token_server_free(server);
	return NULL;
}

void token_server_free(struct token_server *server)
{
	if (server == NULL)
		return;
	/* First, so that no exchange waits for the store any more. */
	if (server->http != NULL)
		server_free(server->http);
	token_store_close(server->store);
	token_rate_free(server->rate);
	free((char *)server->tls.ca_file);
	free((char *)server->tls.cert_file);
	free((char *)server->tls.key_file);
	server->magic = 0;
	free(server);
}

uint16_t token_server_port(const struct token_server *server, size_t n)
{
	return server_port(server->http, n);
}

int token_server_reload_tls(struct token_server *server, struct err *err)
{
	struct tls_context *tls;

	if (!server->has_tls)
		return 0;
	tls = tls_context_new(&server->tls, err);
	if (tls == NULL)
		return -1;
	server_set_tls(server->http, tls);
	tls_context_unref(tls);
	return 0;
}
