#include "cluster/json_split.h"

#include <ctype.h>
#include <string.h>

/* Values of json_split.expect. */
enum {
	EXPECT_ARRAY,          /* '[' or null */
	EXPECT_FIRST,          /* an object or ']' */
	EXPECT_COMMA,          /* ',' or ']' */
	EXPECT_OBJECT,         /* an object */
	EXPECT_NULL,           /* the rest of null */
	EXPECT_NOTHING,        /* blanks */
	EXPECT_OBJECT_OR_NONE, /* objects for ever */
};

void json_split_init(struct json_split *split, size_t max, bool is_array)
{
	*split = (struct json_split){
		.is_array = is_array,
		.expect = is_array ? EXPECT_ARRAY : EXPECT_OBJECT_OR_NONE,
	};
	buf_init(&split->text, max);
}

void json_split_reset(struct json_split *split)
{
	buf_reset(&split->text);
	json_split_init(split, split->text.max, split->is_array);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* One byte outside of any object. */
static int outside(struct json_split *split, char c, struct err *err)
{
	static const char null_text[] = "null";

	if (split->expect == EXPECT_NULL) {
		if (c != null_text[split->null_len])
			goto bad;
		if (++split->null_len == 4)
			split->expect = EXPECT_NOTHING;
		return 0;
	}
	if (is_blank(c))
		return 0;
	if (c == '{' && (split->expect == EXPECT_FIRST || split->expect == EXPECT_OBJECT ||
				split->expect == EXPECT_OBJECT_OR_NONE)) {
		split->depth = 1;
		return 0;
	}
	if (c == '[' && split->expect == EXPECT_ARRAY)
		split->expect = EXPECT_FIRST;
	else if (c == 'n' && split->expect == EXPECT_ARRAY) {
		split->expect = EXPECT_NULL;
		split->null_len = 1;
	} else if (c == ',' && split->expect == EXPECT_COMMA)
		split->expect = EXPECT_OBJECT;
	else if (c == ']' && (split->expect == EXPECT_FIRST || split->expect == EXPECT_COMMA))
		split->expect = EXPECT_NOTHING;
	else
		goto bad;
	return 0;
bad:
	return err_set(err, ERR_UPSTREAM, "not JSON: unexpected byte 0x%02x%s",
		(unsigned)(unsigned char)c,
		split->expect == EXPECT_NOTHING ? " behind the end" : "");
}

/* Within a string: behind its end, or behind the piece; the number of bytes. Most are in strings,
 * and most strings hold no backslash. */
static size_t in_string(struct json_split *split, const char *data, size_t len)
{
	const char *end, *escape;

	if (split->is_escaped) {
		split->is_escaped = false;
		return 1;
	}
	end = memchr(data, '"', len);
	escape = memchr(data, '\\', end ? (size_t)(end - data) : len);
	if (escape) {
		split->is_escaped = true;
		return (size_t)(escape - data) + 1;
	}
	split->in_string = !end;
	return end ? (size_t)(end - data) + 1 : len;
}

/* Walks to the end of the object, or of the piece; the number of bytes that belong to it. */
static size_t inside(struct json_split *split, const char *data, size_t len)
{
	size_t i = 0;

	while (i < len && split->depth > 0) {
		char c = data[i];

		if (split->in_string) {
			i += in_string(split, data + i, len - i);
			continue;
		}
		i++;
		if (c == '"')
			split->in_string = true;
		else if (c == '{' || c == '[')
			split->depth++;
		else if (c == '}' || c == ']')
			split->depth--;
	}
	return i;
}

int json_split_feed(struct json_split *split, const char *data, size_t len, json_split_fn *fn,
	void *arg, struct err *err)
{
	size_t i = 0;

	while (i < len) {
		size_t start = i;
		bool goes_on;

		if (split->depth == 0) {
			if (outside(split, data[i++], err) == -1)
				return -1;
			if (split->depth == 0)
				continue;
		}
		i += inside(split, data + i, len - i);
		if (buf_append(&split->text, data + start, i - start) == -1)
			return err_set(err, ERR_TOO_LARGE, "a JSON object of more than %zu bytes",
				split->text.max);
		if (split->depth > 0)
			break;
		if (split->is_array)
			split->expect = EXPECT_COMMA;
		goes_on = fn(split->text.data, split->text.len, arg);
		buf_consume(&split->text, split->text.len);
		if (!goes_on)
			break;
	}
	return 0;
}

bool json_split_is_complete(const struct json_split *split)
{
	return split->depth == 0 && (!split->is_array || split->expect == EXPECT_NOTHING);
}
