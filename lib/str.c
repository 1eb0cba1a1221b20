#include "lib/str.h"

#include "lib/buf.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

/* All tests of characters are of ASCII, whatever the locale. */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_eq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return !strcmp(a, b);
}

bool str_ieq(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	while (*a && to_lower(*a) == to_lower(*b)) {
		a++;
		b++;
	}
	return to_lower(*a) == to_lower(*b);
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t len = strlen(s);
	size_t suffix_len = strlen(suffix);

	return len >= suffix_len && !memcmp(s + len - suffix_len, suffix, suffix_len);
}

bool str_is_empty(const char *s)
{
	return !s || !*s;
}

bool str_is_hex(const char *s, size_t len)
{
	if (!s)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(s[i]) && !(s[i] >= 'a' && s[i] <= 'f'))
			return false;
	}
	return s[len] == '\0';
}

int str_natural_cmp(const char *a, const char *b)
{
	const char *x = a;
	const char *y = b;

	while (*x && *y) {
		if (is_digit(*x) && is_digit(*y)) {
			size_t x_len;
			size_t y_len;
			int order;

			while (*x == '0' && is_digit(x[1]))
				x++;
			while (*y == '0' && is_digit(y[1]))
				y++;
			x_len = strspn(x, "0123456789");
			y_len = strspn(y, "0123456789");
			if (x_len != y_len)
				return x_len < y_len ? -1 : 1;
			order = memcmp(x, y, x_len);
			if (order)
				return order;
			x += x_len;
			y += y_len;
			continue;
		}
		if (*x != *y)
			return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
		x++;
		y++;
	}
	if (*x || *y)
		return *x ? 1 : -1;
	/* Only leading zeros differ, if anything: still a total order. */
	return strcmp(a, b);
}

char *str_human_bytes(double bytes, char *out, size_t out_size)
{
	static const char *const units[] = {
		"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
	size_t unit = 0;

	while (bytes >= 1024.0 && unit < ARRAY_LEN(units) - 1) {
		bytes /= 1024.0;
		unit++;
	}
	(void)snprintf(out, out_size, "%.4g %s", bytes, units[unit]);
	return out;
}

char *str_rfc3339(int64_t unix_seconds, char *out, size_t out_size)
{
	time_t t = (time_t)unix_seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(out, out_size, "%Y-%m-%dT%H:%M:%SZ", &tm))
		strlcpy(out, "0001-01-01T00:00:00Z", out_size);
	return out;
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = to_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *str_url_decode(const char *s, size_t len, bool plus_is_space)
{
	CLEANUP_FREE char *out = xmalloc(len + 1);
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int high = i + 1 < len ? hex_value(s[i + 1]) : -1;
			int low = i + 2 < len ? hex_value(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (!c)
			return NULL;
		out[used++] = c;
	}
	out[used] = '\0';
	return TAKE_PTR(out);
}

char *str_url_encode(const char *s, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	char *out = xreallocarray(NULL, len + 1, 3);
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (is_digit(s[i]) || (to_lower(s[i]) >= 'a' && to_lower(s[i]) <= 'z') ||
			c == '-' || c == '.' || c == '_' || c == '~') {
			out[used++] = s[i];
			continue;
		}
		out[used++] = '%';
		out[used++] = hex[c >> 4];
		out[used++] = hex[c & 15];
	}
	out[used] = '\0';
	return out;
}

void str_random_hex(char *out, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char chunk[64];

	for (size_t i = 0; i < len; i++) {
		size_t at = i % sizeof(chunk);

		/* Identifiers and tokens depend on it: there is no going on without. */
		if (!at && getentropy(chunk, sizeof(chunk)))
			abort();
		out[i] = hex[chunk[at] & 15];
	}
	out[len] = '\0';
}

void str_list_add(struct str_list *list, const char *s)
{
	str_list_add_take(list, xstrdup(s));
}

void str_list_add_take(struct str_list *list, char *s)
{
	/* The capacity is the next power of two, so it need not be stored. */
	if (!(list->len & (list->len - 1)))
		list->items = xreallocarray(
			list->items, list->len ? list->len * 2 : 1, sizeof(*list->items));
	list->items[list->len++] = s;
}

bool str_list_has(const struct str_list *list, const char *s)
{
	for (size_t i = 0; i < list->len; i++) {
		if (!strcmp(list->items[i], s))
			return true;
	}
	return false;
}

static int compare_items(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void str_list_sort(struct str_list *list)
{
	if (list->len > 1)
		qsort(list->items, list->len, sizeof(*list->items), compare_items);
}

void str_list_free(struct str_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		free(list->items[i]);
	free(list->items);
	list->items = NULL;
	list->len = 0;
}

void str_list_split(struct str_list *list, const char *s, const char *seps)
{
	while (*s) {
		size_t len = strcspn(s, seps);
		const char *start = s;
		const char *end = s + len;

		while (start < end && is_blank(*start))
			start++;
		while (end > start && is_blank(end[-1]))
			end--;
		if (end > start)
			str_list_add_take(list, xstrndup(start, (size_t)(end - start)));
		s += len;
		if (*s)
			s++;
	}
}
