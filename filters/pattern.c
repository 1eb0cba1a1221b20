#include "filters/pattern.h"

#include "lib/regex.h"

#include <string.h>

int pattern_init(struct pattern *pattern, const char *s, size_t len, struct err *err)
{
	if (s[0] == '/' && len == 1)
		return err_set(err, ERR_INVALID,
			"a single slash opens a regular expression that is never closed");
	if (s[0] == '/' && s[len - 1] == '/') {
		CLEANUP_FREE char *source = xstrndup(s + 1, len - 2);

		pattern->regex = regex_new(source, err);
		return pattern->regex == NULL ? -1 : 0;
	}
	pattern->text = xstrndup(s, len);
	pattern->len = len;
	for (size_t i = 0; i < len; i++) {
		if (pattern->text[i] == '*') {
			pattern->text[i] = '\0';
			pattern->is_glob = true;
		}
	}
	return 0;
}

void pattern_clear(struct pattern *pattern)
{
	free(pattern->text);
	regex_free(pattern->regex);
	free(pattern->memo);
	*pattern = (struct pattern){0};
}

/* False, and nothing is left, when there are fewer. */
static bool take_steps(const struct pattern *pattern, uint64_t steps)
{
	if (pattern->budget == NULL)
		return true;
	if (steps >= *pattern->budget) {
		*pattern->budget = 0;
		return false;
	}
	*pattern->budget -= steps;
	return true;
}

/* The pieces between the stars: the first at the start, the last at the end, each of the others at
 * the first place behind the one before. Taking the first place never loses a match. */
static bool glob_match(const struct pattern *pattern, const char *text)
{
	const char *piece = pattern->text;
	const char *end = pattern->text + pattern->len;
	size_t left = strlen(text);
	size_t len = strlen(piece);

	if (!take_steps(pattern, PATTERN_GLOB_STEPS + pattern->len + left))
		return false;
	if (left < len || memcmp(text, piece, len) != 0)
		return false;
	for (;;) {
		text += len;
		left -= len;
		piece += len + 1;
		len = strlen(piece);
		if (piece + len == end)
			break;
		if (len > 0) {
			const char *at = memmem(text, left, piece, len);

			if (at == NULL)
				return false;
			left -= (size_t)(at - text);
			text = at;
		}
	}
	return left >= len && memcmp(text + left - len, piece, len) == 0;
}

static size_t text_hash(const char *text)
{
	uint32_t hash = 2166136261u;

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash ^ hash >> 15;
}

static bool search(const struct pattern *pattern, const char *text, size_t len)
{
	return take_steps(pattern, (uint64_t)regex_cost(pattern->regex) * (len + 1)) &&
	       regex_search(pattern->regex, text, len);
}

static bool regex_match(struct pattern *pattern, const char *text)
{
	struct pattern_memo *slot;
	size_t len = strlen(text);

	if (len >= PATTERN_MEMO_TEXT)
		return search(pattern, text, len);
	if (pattern->memo == NULL)
		pattern->memo = xcalloc(PATTERN_MEMO, sizeof(*pattern->memo));
	slot = &pattern->memo[text_hash(text) % PATTERN_MEMO];
	if (!slot->is_used || strcmp(slot->text, text) != 0) {
		memcpy(slot->text, text, len + 1);
		slot->is_match = search(pattern, text, len);
		slot->is_used = true;
	}
	return slot->is_match;
}

bool pattern_is_literal(const struct pattern *pattern)
{
	return pattern->regex == NULL && !pattern->is_glob;
}

const char *pattern_prefix(const struct pattern *pattern)
{
	/* The stars of a glob are NULs. */
	return pattern->regex == NULL ? pattern->text : "";
}

size_t pattern_cost(const struct pattern *pattern)
{
	return pattern->regex == NULL ? 0 : regex_cost(pattern->regex);
}

bool pattern_match(struct pattern *pattern, const char *text)
{
	if (pattern->regex != NULL)
		return regex_match(pattern, text);
	if (pattern->is_glob)
		return glob_match(pattern, text);
	return strcmp(pattern->text, text) == 0;
}
