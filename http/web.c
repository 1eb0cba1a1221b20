/* Requests of web pages, told from those of programs. */
#include "http/web.h"

#include "lib/addr.h"
#include "lib/mem.h"

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct web_guard {
	struct handler handler;
	struct web_rules rules;
	char own_name[HOST_NAME_MAX + 1]; /* "" = not known */
};

static bool list_has_name(const struct str_list *list, const char *name)
{
	for (size_t i = 0; list != NULL && i < list->len; i++) {
		if (str_ieq(list->items[i], name))
			return true;
	}
	return false;
}

static bool is_ip(const char *host)
{
	unsigned char ip[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1;
}

/* Names below localhost are this machine for every browser (RFC 6761, section 6.3). */
static bool is_below_localhost(const char *host)
{
	static const char suffix[] = ".localhost";
	size_t len = strlen(host), suffix_len = sizeof(suffix) - 1;
	return len > suffix_len && str_ieq(host + len - suffix_len, suffix);
}

/* A Host header whose name the owner of a web page cannot have pointed to us. Names of the Internet
 * have a dot; one without is of this network. No browser sends an empty one: the docker client
 * does, where it asks for a stream. */
static bool is_known_host(const struct web_guard *g, const char *header)
{
	struct addr addr = {0};
	if (header[0] == '\0')
		return true;
	if (addr_parse(header, 80, &addr, NULL) < 0)
		return false;
	bool is_known = addr.kind == ADDR_TCP && addr.host[0] != '\0' &&
			(is_ip(addr.host) || strchr(addr.host, '.') == NULL ||
				is_below_localhost(addr.host) || str_ieq(addr.host, g->own_name) ||
				list_has_name(g->rules.host_names, addr.host));
	addr_free(&addr);
	return is_known;
}

/* Nobody but us serves pages of that origin, and we serve none: it is a program that says so, as
 * WebSocket libraries do. */
static bool is_own_origin(const struct web_guard *g, const char *origin, const char *host)
{
	const char *authority = strstr(origin, "://");
	return authority != NULL && host != NULL && str_ieq(authority + 3, host) &&
	       is_known_host(g, host);
}

/* The first Origin that may not ask; NULL = there is none. has_origin: there is one at all. */
static const char *foreign_origin(
	const struct web_guard *g, const struct exchange *x, bool *has_origin)
{
	const struct http_headers *h = exchange_headers(x);
	const char *host = exchange_header(x, "Host");
	*has_origin = false;
	for (size_t i = 0; i < h->len; i++) {
		const char *origin = h->items[i].value;
		if (strcasecmp(h->items[i].name, "Origin") != 0)
			continue;
		*has_origin = true;
		if (!list_has_name(g->rules.origins, origin) && !is_own_origin(g, origin, host))
			return origin;
	}
	return NULL;
}

static void handle(struct handler *h, struct exchange *x)
{
	struct web_guard *g = (struct web_guard *)h;
	const struct http_headers *headers = exchange_headers(x);
	const char *host = exchange_header(x, "Host");
	bool has_origin;
	if (exchange_is_loopback(x) && host != NULL && !is_known_host(g, host)) {
		exchange_reply_error(x, 421,
			"no client is expected to call this address \"%.255s\": use an IP address, "
			"or start the manager with --host-name",
			host);
		return;
	}
	const char *origin = foreign_origin(g, x, &has_origin);
	if (origin != NULL) {
		exchange_reply_error(x, 403,
			"web pages of %.255s may not use this API: see the option --origin",
			origin);
		return;
	}
	if (!has_origin &&
		(http_headers_has_token(headers, "Sec-Fetch-Site", "cross-site") ||
			http_headers_has_token(headers, "Sec-Fetch-Site", "same-site"))) {
		exchange_reply_error(x, 403,
			"web pages of other sites may not use this API: see the option --origin");
		return;
	}
	handler_next(h, x);
}

static void guard_free(struct handler *h)
{
	free(h);
}

static const struct handler_ops ops = {
	.name = "web guard",
	.handle = handle,
	.free = guard_free,
};

struct handler *web_guard_new(const struct web_rules *rules, struct handler *next_take)
{
	struct web_guard *g = xcalloc(1, sizeof(*g));
	g->handler.ops = &ops;
	g->handler.next = next_take;
	g->rules = *rules;
	/* Left empty, its last byte being 0, where it fails or does not fit. */
	if (gethostname(g->own_name, sizeof(g->own_name) - 1) == -1)
		g->own_name[0] = '\0';
	return &g->handler;
}

int web_check_origin(const char *origin, struct err *err)
{
	if (str_eq(origin, "null"))
		return 0;
	const char *host = strstr(origin, "://");
	if (host == NULL || host == origin || host[3] == '\0' ||
		strpbrk(host + 3, "/?#@, ") != NULL)
		return err_set(err, ERR_USAGE,
			"invalid --origin %s: it is scheme://host[:port], as browsers send it",
			origin);
	return 0;
}
