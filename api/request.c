/* Reading requests, and telling clients what is wrong with them. */
#include "api/api_priv.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

const char *request_query(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->query_len; i++) {
		if (str_eq(r->query[i].name, name))
			return r->query[i].value;
	}
	return NULL;
}

bool request_query_bool(const struct request *r, const char *name)
{
	const char *value = request_query(r, name);

	return !str_is_empty(value) && !str_eq(value, "0") && !str_ieq(value, "no") &&
	       !str_ieq(value, "false") && !str_ieq(value, "none");
}

void request_query_add(struct buf *query, const char *name, const char *value)
{
	char *encoded_name CLEANUP_FREE = str_url_encode(name, strlen(name));
	char *encoded CLEANUP_FREE = str_url_encode(value, strlen(value));

	buf_printf(query, "%s%s=%s", query->len > 0 ? "&" : "", encoded_name, encoded);
}

void request_warn(struct http_headers *headers, const char *fmt, ...)
{
	char text[2048];
	char *value;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e || *p == '"' || *p == '\\')
			*p = '?';
	}
	/* RFC 7234 section 5.5: code, agent, quoted text. */
	value = xasprintf("199 swarm \"%s\"", text);
	http_headers_add(headers, "Warning", value);
	free(value);
}

char *request_client(const char *peer)
{
	const char *colon = strrchr(peer, ':');

	return colon != NULL ? xstrndup(peer, (size_t)(colon - peer)) : xstrdup(peer);
}

int request_status_of(enum err_code code)
{
	switch (code) {
	case ERR_INVALID:
	case ERR_USAGE:
		return 400;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
		return 409;
	case ERR_TOO_LARGE:
		return 413;
	case ERR_UNSUPPORTED:
		return 501;
	case ERR_UPSTREAM:
		return 502;
	case ERR_NO_NODE:
	case ERR_UNAVAILABLE:
	case ERR_CANCELED:
	case ERR_EXHAUSTED:
		return 503;
	case ERR_TIMEOUT:
		return 504;
	case ERR_NONE:
	case ERR_SYSTEM:
		break;
	}
	return 500;
}

void request_fail(struct request *r, const struct err *err)
{
	exchange_reply_error(r->x, request_status_of(err->code), "%s", err->msg);
}

struct container *request_container_named(struct request *r, const char *key)
{
	struct err err = ERR_INIT;
	struct container *container = cluster_container_find(r->api->config.cluster, key, &err);

	if (container != NULL && node_state(container->node) != NODE_HEALTHY) {
		const struct node_view *view = node_view(container->node);

		err_set(&err, ERR_UNAVAILABLE, "Container %s running on unhealthy node %s (%s): %s",
			key, view->name, view->addr, node_error(container->node));
		container = NULL;
	}
	if (container == NULL)
		request_fail(r, &err);
	return container;
}

struct container *request_container(struct request *r)
{
	return request_container_named(r, r->name);
}
