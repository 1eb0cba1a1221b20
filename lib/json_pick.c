#include "lib/json_pick.h"

#include <string.h>
#include <strings.h>

struct scan {
	const char *start, *p, *end;
	struct buf *out;
	struct err *err;
};

static int malformed(struct scan *s)
{
	return err_set(
		s->err, ERR_INVALID, "malformed JSON at byte %zu", (size_t)(s->p - s->start));
}

static void skip_blanks(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
}

/* From the opening quote to behind the closing one. */
static int skip_string(struct scan *s)
{
	s->p++;
	while (s->p < s->end && *s->p != '"') {
		if (*s->p == '\\')
			s->p++;
		s->p++;
	}
	if (s->p >= s->end)
		return malformed(s);
	s->p++;
	return 0;
}

/* Brackets are counted, not matched by kind: what is skipped is used by nobody. */
static int skip_brackets(struct scan *s)
{
	size_t depth = 0;

	while (s->p < s->end) {
		char c = *s->p;

		if (c == '"') {
			if (skip_string(s) != 0)
				return -1;
			continue;
		}
		s->p++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return 0;
	}
	return malformed(s);
}

static int skip_value(struct scan *s)
{
	const char *start = s->p;

	if (s->p < s->end && *s->p == '"')
		return skip_string(s);
	if (s->p < s->end && (*s->p == '{' || *s->p == '['))
		return skip_brackets(s);
	while (s->p < s->end && memchr(",:{}[]\" \t\r\n", *s->p, 11) == NULL)
		s->p++;
	return s->p > start ? 0 : malformed(s);
}

static const struct json_pick *find(const struct json_pick *wanted, const char *key, size_t len)
{
	for (; wanted->key != NULL; wanted++) {
		if (wanted->key[0] == '*' ||
			(strlen(wanted->key) == len && strncasecmp(wanted->key, key, len) == 0))
			return wanted;
	}
	return NULL;
}

static int pick_object(struct scan *s, const struct json_pick *wanted);

/* The value behind a key that is wanted. */
static int pick_value(struct scan *s, const struct json_pick *pick)
{
	const char *start = s->p;

	if (pick->inner != NULL && s->p < s->end && *s->p == '{')
		return pick_object(s, pick->inner);
	if (skip_value(s) != 0)
		return -1;
	buf_append(s->out, start, (size_t)(s->p - start));
	return 0;
}

/* One "key": value. is_first: nothing was taken of this object yet. */
static int pick_member(struct scan *s, const struct json_pick *wanted, bool *is_first)
{
	const struct json_pick *pick;
	const char *key = s->p, *key_end;

	if (s->p >= s->end || *s->p != '"')
		return malformed(s);
	if (skip_string(s) != 0)
		return -1;
	key_end = s->p;
	skip_blanks(s);
	if (s->p >= s->end || *s->p != ':')
		return malformed(s);
	s->p++;
	skip_blanks(s);
	pick = find(wanted, key + 1, (size_t)(key_end - key) - 2);
	if (pick == NULL)
		return skip_value(s);
	if (!*is_first)
		buf_append_char(s->out, ',');
	*is_first = false;
	buf_append(s->out, key, (size_t)(key_end - key));
	buf_append_char(s->out, ':');
	return pick_value(s, pick);
}

/* As deep as the lists of what is wanted, whatever the text. */
static int pick_object(struct scan *s, const struct json_pick *wanted)
{
	bool is_first = true;

	s->p++;
	buf_append_char(s->out, '{');
	skip_blanks(s);
	while (s->p < s->end && *s->p != '}') {
		if (pick_member(s, wanted, &is_first) != 0)
			return -1;
		skip_blanks(s);
		if (s->p < s->end && *s->p == ',') {
			s->p++;
			skip_blanks(s);
			if (s->p < s->end && *s->p == '}')
				return malformed(s);
		} else if (s->p < s->end && *s->p != '}') {
			return malformed(s);
		}
	}
	if (s->p >= s->end)
		return malformed(s);
	s->p++;
	buf_append_char(s->out, '}');
	return 0;
}

int json_pick(const char *text, size_t len, const struct json_pick *wanted, struct buf *out,
	struct err *err)
{
	struct scan s = {.start = text, .p = text, .end = text + len, .out = out, .err = err};

	skip_blanks(&s);
	if (s.p >= s.end || *s.p != '{')
		return malformed(&s);
	if (pick_object(&s, wanted) != 0)
		return -1;
	skip_blanks(&s);
	if (s.p < s.end)
		return malformed(&s);
	if (out->failed)
		return err_set(err, ERR_TOO_LARGE, "more than %zu bytes are wanted", out->max);
	return 0;
}
