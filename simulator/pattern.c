#include "simulator/simulator_priv.h"

#include <string.h>

#define PATTERN_MAX 4096

/* {a|b|c}: the first for node 0, and so on, and from the first again. */
static int expand_choice(struct buf *out, const char *term, size_t len, unsigned i)
{
	const char *end = term + len;
	unsigned choices = 1;

	for (const char *p = term; p < end; p++)
		choices += *p == '|';
	for (unsigned skip = i % choices; skip; skip--)
		term = (const char *)memchr(term, '|', (size_t)(end - term)) + 1;
	for (; term < end && *term != '|'; term++)
		buf_append_char(out, *term);
	return 0;
}

/* What stands between the braces, without them. */
static int expand_term(struct buf *out, const char *term, size_t len, unsigned i,
	const char *pattern, struct err *err)
{
	CLEANUP_FREE char *number = NULL;
	long long n;

	if (len == 1 && term[0] == 'i')
		return buf_printf(out, "%u", i);
	if (memchr(term, '|', len))
		return expand_choice(out, term, len, i);
	if (len < 3 || term[0] != 'i' || !strchr("%/+", term[1]))
		return err_set(err, ERR_INVALID,
			"pattern \"%s\": {%.*s} is none of {i}, {i%%N}, {i/N}, {i+N}, {a|b}",
			pattern, (int)len, term);
	number = xstrndup(term + 2, len - 2);
	if (str_to_int(number, term[1] == '+' ? 0 : 1, 1000000000, &n, "number in a pattern", err))
		return err_wrap(err, "pattern \"%s\"", pattern);
	if (term[1] == '%')
		return buf_printf(out, "%lld", i % n);
	return buf_printf(out, "%lld", term[1] == '/' ? i / n : i + n);
}

char *sim_pattern_expand(const char *pattern, unsigned i, struct err *err)
{
	CLEANUP_BUF struct buf out = {0};
	const char *p = pattern;

	buf_init(&out, PATTERN_MAX);
	while (*p) {
		if (p[0] == '{' && p[1] == '{') {
			buf_append_char(&out, '{');
			p += 2;
		} else if (*p == '{') {
			const char *end = strchr(p, '}');

			if (!end) {
				err_set(err, ERR_INVALID, "pattern \"%s\": a brace is not closed",
					pattern);
				return NULL;
			}
			if (expand_term(&out, p + 1, (size_t)(end - p - 1), i, pattern, err))
				return NULL;
			p = end + 1;
		} else {
			buf_append_char(&out, *p++);
		}
	}
	if (out.failed) {
		err_set(err, ERR_TOO_LARGE, "pattern \"%.64s...\" is too long", pattern);
		return NULL;
	}
	return buf_take(&out);
}
