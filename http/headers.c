/* Header lists: a few dozen entries at most, so a flat array beats anything cleverer. */
#include "http/exchange.h"
#include "lib/str.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define ITEMS_LEAST 16 /* a power of two */

/* Most names fall at their first letter, whose case is one bit. */
static bool names_are_equal(const char *a, const char *b)
{
	return ((a[0] ^ b[0]) & ~0x20) == 0 && strcasecmp(a, b) == 0;
}

static void add_item(struct http_headers *h, struct http_header item)
{
	/* Most heads fit; a head of thousands must not be copied each time. */
	if (h->len >= ITEMS_LEAST ? (h->len & (h->len - 1)) == 0 : h->len == 0)
		h->items = xreallocarray(
			h->items, h->len > 0 ? h->len * 2 : ITEMS_LEAST, sizeof(*h->items));
	h->items[h->len++] = item;
}

/* Name and value are one piece of memory, which begins with the name. */
void http_headers_add_text(struct http_headers *h, const char *name, size_t name_len,
	const char *value, size_t value_len)
{
	char *text = xmalloc(name_len + value_len + 2);

	memcpy(text, name, name_len);
	text[name_len] = '\0';
	memcpy(text + name_len + 1, value, value_len);
	text[name_len + 1 + value_len] = '\0';
	add_item(h, (struct http_header){.name = text, .value = text + name_len + 1});
}

void http_headers_add(struct http_headers *h, const char *name, const char *value)
{
	http_headers_add_text(h, name, strlen(name), value, strlen(value));
}

void http_headers_remove(struct http_headers *h, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->len; i++) {
		if (names_are_equal(h->items[i].name, name))
			free(h->items[i].name);
		else
			h->items[kept++] = h->items[i];
	}
	h->len = kept;
}

void http_headers_keep(struct http_headers *h, bool (*keeps)(const char *name))
{
	size_t kept = 0;

	for (size_t i = 0; i < h->len; i++) {
		if (keeps(h->items[i].name))
			h->items[kept++] = h->items[i];
		else
			free(h->items[i].name);
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
	}
	free(h->items);
	h->items = NULL;
	h->len = 0;
}

/* Behind a server that makes variables of names, `_` and `-` are one. */
static bool names_are_twins(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b) &&
			!(*a == '_' && *b == '-'))
			return false;
	}
	return *a == *b;
}

bool http_headers_is_hop(const struct http_headers *h, const char *name)
{
	static const char *const hop[] = {"Connection", "Content-Length", "Date", "Expect", "Host",
		"HTTP2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"};

	bool has_twins = strchr(name, '_') != NULL;

	for (size_t i = 0; i < ARRAY_LEN(hop); i++) {
		if (names_are_equal(name, hop[i]) || (has_twins && names_are_twins(name, hop[i])))
			return true;
	}
	return h != NULL && http_headers_has_token(h, "Connection", name);
}

void http_headers_strip_hop(struct http_headers *h)
{
	struct http_headers kept = {0}, dropped = {0};

	/* What Connection names is looked up until the last is sorted. */
	for (size_t i = 0; i < h->len; i++) {
		bool is_hop = http_headers_is_hop(h, h->items[i].name);

		add_item(is_hop ? &dropped : &kept, h->items[i]);
	}
	http_headers_free(&dropped);
	free(h->items);
	*h = kept;
}
