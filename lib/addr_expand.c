/* Ranges of addresses. A pattern is cut into literal parts and ranges; how many addresses it makes
 * is known, and bounded, before the first one is built. */
#include "lib/addr.h"

#include "lib/buf.h"

#include <string.h>

#define PATTERN_MAX 1024
#define RANGES_MAX 8
#define DIGITS_MAX 9

/* Some text, then a range or nothing. */
struct part {
	const char *text;
	size_t text_len;
	bool has_range;
	uint32_t from;
	uint32_t count;
	int width; /* at least so many digits */
};

struct pattern {
	struct part parts[RANGES_MAX + 1];
	size_t len;
	size_t count; /* addresses */
};

static int malformed(const char *s, const char *why, struct err *err)
{
	return err_set(err, ERR_INVALID, "address range \"%.256s\": %s", s, why);
}

/* Digits at *p, at most DIGITS_MAX of them; moves behind them. */
static int read_digits(const char **p, uint32_t *out, int *digits)
{
	size_t len = strspn(*p, "0123456789");

	if (!len || len > DIGITS_MAX)
		return -1;
	*out = 0;
	for (size_t i = 0; i < len; i++)
		*out = *out * 10 + (uint32_t)((*p)[i] - '0');
	*digits = (int)len;
	*p += len;
	return 0;
}

/* Reads "[from:to]" at *p into part. */
static int read_range(const char **p, struct part *part, const char *s, struct err *err)
{
	const char *q = *p + 1;
	const char *from_text = q;
	uint32_t to;
	int digits;
	int to_digits;

	if (read_digits(&q, &part->from, &digits) || *q++ != ':' ||
		read_digits(&q, &to, &to_digits) || *q++ != ']')
		return malformed(s,
			"a range is written [from:to], with numbers of at most nine digits", err);
	if (to < part->from)
		return malformed(s, "the range runs backwards", err);
	part->has_range = true;
	part->count = to - part->from + 1;
	part->width = *from_text == '0' ? digits : 1;
	*p = q;
	return 0;
}

/* The length of an IPv6 address in brackets at the start of s, 0 when there is none. No range looks
 * like one: those have two colons or more. */
static size_t ipv6_len(const char *s)
{
	size_t len = *s == '[' ? strcspn(s, "]") : 0;
	size_t colons = 0;

	for (size_t i = 0; i < len; i++)
		colons += s[i] == ':';
	return colons >= 2 && s[len] == ']' && !memchr(s + 1, '[', len - 1) ? len + 1 : 0;
}

static int parse_pattern(const char *s, struct pattern *out, struct err *err)
{
	const char *p = s;

	if (!*s || strlen(s) > PATTERN_MAX)
		return malformed(s, *s ? "it is too long" : "it is empty", err);
	out->count = 1;
	for (;;) {
		struct part *part = &out->parts[out->len++];
		size_t skip = p == s ? ipv6_len(s) : 0;

		part->text = p;
		part->text_len = skip + strcspn(p + skip, "[]");
		p += part->text_len;
		if (!*p)
			return 0;
		if (*p == ']')
			return malformed(s, "']' without '['", err);
		if (out->len > RANGES_MAX)
			return malformed(s, "it holds too many ranges", err);
		if (read_range(&p, part, s, err))
			return -1;
		/* Neither factor is large enough to overflow. */
		if (part->count > ADDR_EXPAND_MAX || out->count * part->count > ADDR_EXPAND_MAX)
			return err_set(err, ERR_TOO_LARGE,
				"address range \"%.256s\" gives more than %d addresses", s,
				ADDR_EXPAND_MAX);
		out->count *= part->count;
	}
}

static char *build_address(const struct pattern *pattern, size_t index)
{
	struct buf text;
	size_t divisor = pattern->count;

	buf_init(&text, PATTERN_MAX + RANGES_MAX * DIGITS_MAX);
	/* The last range runs fastest. */
	for (size_t i = 0; i < pattern->len; i++) {
		const struct part *part = &pattern->parts[i];

		buf_append(&text, part->text, part->text_len);
		if (!part->has_range)
			continue;
		divisor /= part->count;
		buf_printf(&text, "%0*u", part->width,
			(unsigned)(part->from + index / divisor % part->count));
	}
	return buf_take(&text);
}

int addr_expand(const char *pattern, struct str_list *out, struct err *err)
{
	struct pattern parsed = {.len = 0};

	if (parse_pattern(pattern, &parsed, err))
		return -1;
	if (out->len > ADDR_EXPAND_MAX || parsed.count > ADDR_EXPAND_MAX - out->len)
		return err_set(
			err, ERR_TOO_LARGE, "the list would pass %d addresses", ADDR_EXPAND_MAX);
	for (size_t i = 0; i < parsed.count; i++)
		str_list_add_take(out, build_address(&parsed, i));
	return 0;
}
