#include "cluster/json_split.h"

#include <ctype.h>
#include <string.h>

/* Values of json_split.expect. */
enum {
	EXPECT_ARRAY,          /* '[' or null */
	EXPECT_FIRST,          /* an object or ']' */
	EXPECT_COMMA,          /* ',' or ']' */
	EXPECT_OBJECT,         /* an object */
	EXPECT_ODD,            /* the rest of an item that is no object */
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
	bool shortens = split->shortens, ends_early = split->ends_early;

	buf_reset(&split->text);
	json_split_init(split, split->text.max, split->is_array);
	split->shortens = shortens;
	split->ends_early = ends_early;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Whether an item of a list that is no object begins so. */
static bool begins_odd(const struct json_split *split, char c)
{
	return (split->expect == EXPECT_FIRST || split->expect == EXPECT_OBJECT) && c != '\0' &&
	       strchr("\"[-0123456789tfn", c) != NULL;
}

/* One byte of such an item, which is passed over with all that it holds. False: it cannot be one.
 */
static bool pass_odd(struct json_split *split, char c)
{
	split->expect = EXPECT_ODD;
	if (split->is_escaped) {
		split->is_escaped = false;
	} else if (split->in_string) {
		split->is_escaped = c == '\\';
		split->in_string = c != '"';
	} else if (c == '"') {
		split->in_string = true;
	} else if (c == '[' || c == '{') {
		split->odd_depth++;
	} else if (split->odd_depth > 0) {
		split->odd_depth -= c == ']' || c == '}';
	} else if (c == ',') {
		split->expect = EXPECT_OBJECT;
	} else if (c == ']') {
		split->expect = EXPECT_NOTHING;
	} else {
		return c != '}';
	}
	return true;
}

/* One byte outside of any object. */
static int outside(struct json_split *split, char c, struct err *err)
{
	static const char null_text[] = "null";

	if (split->expect == EXPECT_ODD || begins_odd(split, c)) {
		if (!pass_odd(split, c))
			goto bad;
		return 0;
	}
	if (split->expect == EXPECT_NULL) {
		if (c != null_text[split->null_len])
			goto bad;
		if (++split->null_len == 4)
			split->expect = EXPECT_NOTHING;
		return 0;
	}
	if (is_blank(c) || (split->expect == EXPECT_NOTHING && split->ends_early))
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
	size_t i = split->is_escaped, stop = 0;

	split->is_escaped = false;
	while (i < len) {
		const char *quote = stop <= i ? memchr(data + i, '"', len - i) : data + stop;
		const char *escape;

		stop = quote ? (size_t)(quote - data) : len;
		escape = memchr(data + i, '\\', stop - i);
		if (!escape) {
			split->in_string = stop == len;
			return split->in_string ? len : stop + 1;
		}
		i = (size_t)(escape - data) + 2;
	}
	split->is_escaped = i > len;
	return len;
}

static void begin_member(struct json_split *split, size_t at)
{
	if (split->depth <= JSON_SPLIT_LEVELS)
		split->starts[split->depth] = at;
}

/* Whether this byte, outside of strings, is the first one behind what is left out. */
static bool ends_skip(const struct json_split *split, char c)
{
	if (split->depth != split->skipping)
		return false;
	return c == '}' || c == ']' || (c == ',' && !split->skips_rest);
}

/* Walks to the end of the object, of what is left out, or of the piece; the number of bytes. */
static size_t inside(struct json_split *split, const char *data, size_t len)
{
	size_t base = split->text.len, i = 0;

	while (i < len && split->depth > 0) {
		char c = data[i];

		if (split->in_string) {
			i += in_string(split, data + i, len - i);
			continue;
		}
		if (split->skipping && ends_skip(split, c))
			break;
		i++;
		if (c == '"') {
			split->in_string = true;
		} else if (c == '{' || c == '[') {
			split->depth++;
			begin_member(split, base + i);
		} else if (c == '}' || c == ']') {
			split->depth--;
		} else if (c == ',') {
			begin_member(split, base + i - 1);
		}
	}
	return i;
}

/* ---- Objects that are too large ---- */

/* The text is full: leaves out what is being read, at the depth where it is at least half of all,
 * so that there is room for what stands behind it, and the work stays in proportion. */
static void shorten(struct json_split *split)
{
	unsigned level = split->depth < JSON_SPLIT_LEVELS ? split->depth : JSON_SPLIT_LEVELS;

	while (level > 0 && split->text.len - split->starts[level] < split->text.max / 2)
		level--;
	split->is_short = true;
	split->skips_rest = level == 0;
	split->skipping = level > 0 ? level : 1;
	split->text.len = split->starts[level > 0 ? level : 1];
	split->text.data[split->text.len] = '\0';
}

/* Behind what was left out. The comma there is not wanted when nothing stands before it; the number
 * of bytes to pass over. */
static size_t resume(struct json_split *split, char next)
{
	char last = split->text.data[split->text.len - 1];

	split->skipping = 0;
	return next == ',' && (last == '{' || last == '[');
}

/* Takes some of a piece that begins within an object; the number of bytes. -1 with err when the
 * object is too large. */
static int take(
	struct json_split *split, const char *data, size_t len, size_t *taken, struct err *err)
{
	size_t room = split->text.max - split->text.len;

	if (split->skipping) {
		*taken = inside(split, data, len);
		/* Objects of a stream are a line each: this one was broken off, and what would be
		 * left out is all that comes. */
		if (!split->is_array && memchr(data, '\n', *taken) != NULL)
			return err_set(err, ERR_UPSTREAM,
				"a line ends within an object of more than %zu bytes",
				split->text.max);
		if (*taken < len)
			*taken += resume(split, data[*taken]);
		return 0;
	}
	*taken = 0;
	if (room == 0 && !split->shortens)
		return err_set(err, ERR_TOO_LARGE, "a JSON object of more than %zu bytes",
			split->text.max);
	if (room == 0) {
		shorten(split);
		return 0;
	}
	*taken = inside(split, data, len < room ? len : room);
	return buf_append(&split->text, data, *taken);
}

static bool is_opened(struct json_split *split)
{
	if (split->depth == 0)
		return false;
	split->is_short = false;
	buf_append_char(&split->text, '{');
	begin_member(split, split->text.len);
	return true;
}

int json_split_feed(struct json_split *split, const char *data, size_t len, json_split_fn *fn,
	void *arg, struct err *err)
{
	size_t i = 0;

	while (i < len) {
		size_t taken;
		bool goes_on;

		if (split->depth == 0) {
			if (outside(split, data[i++], err) == -1)
				return -1;
			if (!is_opened(split))
				continue;
		}
		while (i < len && split->depth > 0) {
			if (take(split, data + i, len - i, &taken, err) == -1)
				return -1;
			i += taken;
		}
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
