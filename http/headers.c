/* Header lists: a few dozen entries at most, so a flat array beats anything cleverer. */
#include "http/exchange.h"
#include "lib/str.h"

#include <string.h>
#include <strings.h>

/* Most names fall at their first letter, whose case is one bit. */
static bool names_are_equal(const char *a, const char *b)
{
	return ((a[0] ^ b[0]) & ~0x20) == 0 && strcasecmp(a, b) == 0;
}

void http_headers_add_take(struct http_headers *h, char *name_take, char *value_take)
{
	/* Room for the next power of two: a head of thousands must not be copied each time. */
	if ((h->len & (h->len - 1)) == 0)
		h->items = xreallocarray(h->items, h->len > 0 ? h->len * 2 : 1, sizeof(*h->items));
	h->items[h->len].name = name_take;
	h->items[h->len].value = value_take;
	h->len++;
}

void http_headers_add(struct http_headers *h, const char *name, const char *value)
{
	http_headers_add_take(h, xstrdup(name), xstrdup(value));
}

void http_headers_remove(struct http_headers *h, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->len; i++) {
		if (names_are_equal(h->items[i].name, name)) {
			free(h->items[i].name);
			free(h->items[i].value);
		} else {
			h->items[kept++] = h->items[i];
		}
	}
	h->len = kept;
}

void http_headers_set(struct http_headers *h, const char *name, const char *value)
{
	char *copy = xstrdup(value);

	http_headers_remove(h, name);
	http_headers_add(h, name, copy);
	free(copy);
}

const char *http_headers_get(const struct http_headers *h, const char *name)
{
	for (size_t i = 0; i < h->len; i++) {
		if (names_are_equal(h->items[i].name, name))
			return h->items[i].value;
	}
	return NULL;
}

/* Calls fn for each comma-separated, trimmed token; stops when it returns true, and returns that.
 */
static bool each_token(
	const char *value, bool (*fn)(const char *token, size_t len, void *arg), void *arg)
{
	while (*value != '\0') {
		size_t len;
		const char *end;

		value += strspn(value, ", \t");
		len = strcspn(value, ",");
		end = value + len;
		while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		if (end > value && fn(value, (size_t)(end - value), arg))
			return true;
		value += len;
	}
	return false;
}

static bool token_equals(const char *token, size_t len, void *arg)
{
	const char *wanted = arg;

	return strlen(wanted) == len && strncasecmp(token, wanted, len) == 0;
}

bool http_headers_has_token(const struct http_headers *h, const char *name, const char *token)
{
	for (size_t i = 0; i < h->len; i++) {
		if (names_are_equal(h->items[i].name, name) &&
			each_token(h->items[i].value, token_equals, (void *)token))
			return true;
	}
	return false;
}

void http_headers_copy(struct http_headers *to, const struct http_headers *from)
{
	if (from == NULL)
		return;
	for (size_t i = 0; i < from->len; i++)
		http_headers_add(to, from->items[i].name, from->items[i].value);
}

void http_headers_free(struct http_headers *h)
{
	for (size_t i = 0; i < h->len; i++) {
		free(h->items[i].name);
		free(h->items[i].value);
	}
	free(h->items);
	h->items = NULL;
	h->len = 0;
}

bool http_headers_is_hop(const struct http_headers *h, const char *name)
{
	static const char *const hop[] = {"Connection", "Content-Length", "Date", "Expect", "Host",
		"HTTP2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"};

	for (size_t i = 0; i < ARRAY_LEN(hop); i++) {
		if (names_are_equal(name, hop[i]))
			return true;
	}
	return http_headers_has_token(h, "Connection", name);
}

void http_headers_strip_hop(struct http_headers *h)
{
	struct http_headers kept = {0};

	for (size_t i = 0; i < h->len; i++) {
		if (!http_headers_is_hop(h, h->items[i].name))
			http_headers_add(&kept, h->items[i].name, h->items[i].value);
	}
	http_headers_free(h);
	*h = kept;
}
