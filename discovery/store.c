/* One ask at several hosts, in turn. */
#include "discovery/store.h"

#include "discovery/discovery_priv.h"
#include "lib/addr.h"
#include "lib/buf.h"

#include <string.h>
#include <utlist.h>

#define STORE_HOSTS_MAX 16
/* For the body of an answer, once it has begun. */
#define BODY_IDLE_MS 10000
#define BODY_TOTAL_MS 30000

struct store_ask {
	struct store *store;
	struct call *call;
	char *method, *target, *body; /* body may be NULL */
	unsigned timeout_ms;
	size_t max;
	size_t host;  /* index of the one that is asked now */
	size_t tried; /* hosts that have failed */
	store_done_fn *done;
	void *arg;
	struct store_ask *prev, *next;
};

struct store {
	struct endpoint *hosts[STORE_HOSTS_MAX];
	size_t host_count;
	size_t current;
	struct tls_context *tls;
	struct http_headers headers;
	struct store_ask *asks;
};

static void ask_host(struct store_ask *ask);

struct store *store_new(struct client *client, const char *hosts, uint16_t default_port,
	struct tls_context *tls, struct err *err)
{
	CLEANUP_STR_LIST struct str_list parts = {0};
	struct store *store = xcalloc(1, sizeof(*store));

	if (tls != NULL)
		store->tls = tls_context_ref(tls);
	str_list_split(&parts, hosts, ",");
	if (parts.len == 0 || parts.len > STORE_HOSTS_MAX) {
		err_set(err, ERR_INVALID, "%s: 1 to %d hosts are expected",
			parts.len == 0 ? "the host is missing" : "too many hosts", STORE_HOSTS_MAX);
		store_free(store);
		return NULL;
	}
	for (size_t i = 0; i < parts.len; i++) {
		struct addr addr = {0};
		CLEANUP_FREE char *text = NULL;

		/* The scheme here is the store's: an address with one of its own is a mistake. */
		if (strstr(parts.items[i], "://") != NULL) {
			err_set(err, ERR_INVALID, "invalid host '%s'", parts.items[i]);
			store_free(store);
			return NULL;
		}
		if (addr_parse(parts.items[i], default_port, &addr, err) != 0) {
			store_free(store);
			return NULL;
		}
		text = addr_format(&addr);
		if (addr.kind != ADDR_TCP || addr_check_host_port(text, err) != 0) {
			if (addr.kind != ADDR_TCP)
				err_set(err, ERR_INVALID, "invalid host '%s'", parts.items[i]);
			addr_free(&addr);
			store_free(store);
			return NULL;
		}
		store->hosts[store->host_count++] = endpoint_new_store(client, &addr, tls);
		addr_free(&addr);
	}
	return store;
}

void store_free(struct store *store)
{
	if (store == NULL)
		return;
	while (store->asks != NULL)
		store_cancel(store->asks);
	for (size_t i = 0; i < store->host_count; i++)
		endpoint_free(store->hosts[i]);
	if (store->tls != NULL)
		tls_context_unref(store->tls);
	http_headers_free(&store->headers);
	free(store);
}

void store_set_header(struct store *store, const char *name, const char *value)
{
	http_headers_set(&store->headers, name, value);
}

size_t store_current(const struct store *store)
{
	return store->current;
}

int store_tls(const struct str_list *options, const char *prefix, bool wanted,
	struct tls_context **out, struct err *err)
{
	CLEANUP_FREE char *ca = xasprintf("%s.cacertfile", prefix);
	CLEANUP_FREE char *cert = xasprintf("%s.certfile", prefix);
	CLEANUP_FREE char *key = xasprintf("%s.keyfile", prefix);
	struct tls_config config = {
		.ca_file = discovery_option(options, ca),
		.cert_file = discovery_option(options, cert),
		.key_file = discovery_option(options, key),
		.verify = true,
	};

	*out = NULL;
	if ((config.cert_file == NULL) != (config.key_file == NULL))
		return err_set(err, ERR_USAGE, "discovery options %s and %s must be given together",
			cert, key);
	if (!wanted && config.ca_file == NULL && config.cert_file == NULL)
		return 0;
	*out = tls_context_new(&config, err);
	return *out != NULL ? 0 : -1;
}

static void ask_free(struct store_ask *ask)
{
	DL_DELETE(ask->store->asks, ask);
	free(ask->method);
	free(ask->target);
	free(ask->body);
	free(ask);
}

static void answered(void *arg, const struct reply *reply, const struct err *err)
{
	struct store_ask *ask = arg;
	struct store *store = ask->store;
	store_done_fn *done = ask->done;
	void *done_arg = ask->arg;
	struct err wrapped = ERR_INIT;

	ask->call = NULL;
	if (err != NULL || reply->status >= 500) {
		if (store->current == ask->host)
			store->current = (ask->host + 1) % store->host_count;
		ask->tried++;
		if (ask->tried < store->host_count) {
			ask->host = (ask->host + 1) % store->host_count;
			ask_host(ask);
			return;
		}
	}
	if (err != NULL) {
		wrapped = *err;
		err_wrap(&wrapped, "%s", endpoint_name(store->hosts[ask->host]));
	}
	ask_free(ask);
	done(done_arg, err == NULL ? reply : NULL, err == NULL ? NULL : &wrapped);
}

static void ask_host(struct store_ask *ask)
{
	struct call_request request = {
		.method = ask->method,
		.target = ask->target,
		.headers = &ask->store->headers,
		.body = ask->body,
		.body_len = ask->body != NULL ? strlen(ask->body) : 0,
		.connect_timeout_ms = STORE_CONNECT_TIMEOUT_MS,
		.head_timeout_ms = ask->timeout_ms,
		.idle_timeout_ms = BODY_IDLE_MS,
		.total_timeout_ms = STORE_CONNECT_TIMEOUT_MS + ask->timeout_ms + BODY_TOTAL_MS,
	};

	ask->call = call_collect(ask->store->hosts[ask->host], &request, ask->max, answered, ask);
}

struct store_ask *store_ask(
	struct store *store, const struct store_request *request, store_done_fn *done, void *arg)
{
	struct store_ask *ask = xcalloc(1, sizeof(*ask));

	ask->store = store;
	ask->method = xstrdup(request->method);
	ask->target = xstrdup(request->target);
	ask->body = request->body != NULL ? xstrdup(request->body) : NULL;
	ask->timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : STORE_TIMEOUT_MS;
	ask->max = request->max != 0 ? request->max : STORE_ANSWER_MAX;
	ask->host = store->current;
	ask->done = done;
	ask->arg = arg;
	DL_APPEND(store->asks, ask);
	ask_host(ask);
	return ask;
}

void store_cancel(struct store_ask *ask)
{
	if (ask == NULL)
		return;
	if (ask->call != NULL)
		call_cancel(ask->call);
	ask_free(ask);
}

int store_refused(const struct reply *reply, const char *what, struct err *err)
{
	CLEANUP_FREE char *start =
		xstrndup(reply->body, reply->body_len < 200 ? reply->body_len : 200);
	enum err_code code = ERR_UPSTREAM;

	for (char *c = start; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
	if (reply->status == 404)
		code = ERR_NOT_FOUND;
	else if (reply->status >= 500)
		code = ERR_UNAVAILABLE;
	return err_set(err, code, "%s: the store answered %d%s%s", what, reply->status,
		*start != '\0' ? ": " : "", start);
}
