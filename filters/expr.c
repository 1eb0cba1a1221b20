#include "filters/expr.h"

#include "filters/pattern.h"
#include "filters/text.h"

#include <string.h>

struct expr {
	char *key;
	char *value;
	bool is_soft;
	bool is_negated;
	struct pattern *patterns;
	size_t patterns_len;
	const uint64_t *budget; /* NULL = no bound */
};

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c)
{
	return is_alpha(c) || (c >= '0' && c <= '9');
}

static bool is_in(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static int key_check(const char *key, size_t len, struct err *err)
{
	if (len == 0)
		return err_set(err, ERR_INVALID, "the key is missing");
	if (len == 1)
		return err_set(err, ERR_INVALID, "the key must have at least two characters");
	if (!is_alpha(key[0]) && key[0] != '_')
		return err_set(err, ERR_INVALID, "the key must begin with a letter or '_'");
	for (size_t i = 1; i < len; i++) {
		if (!is_alnum(key[i]) && !is_in(key[i], "-_."))
			return err_set(err, ERR_INVALID,
				"the key may hold letters, digits, '-', '_' and '.' only");
	}
	return 0;
}

static int value_check(const char *value, struct err *err)
{
	if (value[0] == '\0')
		return err_set(err, ERR_INVALID, "the value is missing");
	for (; *value != '\0'; value++) {
		if (is_alnum(*value) || is_in(*value, ":-_ \t.*/()?+[]\\^$|@,{}"))
			continue;
		if (*value > ' ' && *value < 0x7f)
			return err_set(err, ERR_INVALID,
				"the value may not hold the character '%c'", *value);
		return err_set(
			err, ERR_INVALID, "the value may not hold control or non-ASCII characters");
	}
	return 0;
}

static int patterns_compile(struct expr *expr, enum expr_form form, struct err *err)
{
	const char *at = expr->value;
	size_t len = strlen(at);
	size_t count = 1;

	if (form == EXPR_ONE || (len > 1 && at[0] == '/' && at[len - 1] == '/'))
		form = EXPR_ONE;
	else
		for (const char *p = at; *p != '\0'; p++)
			count += *p == '|';
	expr->patterns = xcalloc(count, sizeof(*expr->patterns));
	for (size_t i = 0; i < count; i++) {
		len = form == EXPR_ONE ? strlen(at) : strcspn(at, "|");
		if (len == 0)
			return err_set(err, ERR_INVALID, "there is nothing between two '|'");
		if (pattern_init(&expr->patterns[i], at, len, err) < 0)
			return -1;
		expr->patterns_len = i + 1;
		at += len + 1;
	}
	return 0;
}

static int expr_parse(struct expr *expr, const char *text, enum expr_form form, struct err *err)
{
	const char *op;

	if (strlen(text) > EXPR_LEN_MAX)
		return err_set(err, ERR_INVALID, "it is longer than %d bytes", EXPR_LEN_MAX);
	for (op = text; *op != '\0'; op++) {
		if ((op[0] == '=' || op[0] == '!') && op[1] == '=')
			break;
	}
	if (*op == '\0')
		return err_set(err, ERR_INVALID, "one of the operators == and != is expected");
	if (key_check(text, (size_t)(op - text), err) < 0)
		return -1;
	expr->key = xstrndup(text, (size_t)(op - text));
	expr->is_negated = op[0] == '!';
	op += 2;
	expr->is_soft = op[0] == '~';
	expr->value = xstrdup(op + expr->is_soft);
	if (value_check(expr->value, err) < 0)
		return -1;
	return patterns_compile(expr, form, err);
}

struct expr *expr_new(const char *kind, const char *text, enum expr_form form, struct err *err)
{
	struct expr *expr = xcalloc(1, sizeof(*expr));
	struct text_clip clip;

	if (expr_parse(expr, text, form, err) < 0) {
		err_wrap(err, "invalid %s '%s'", kind, text_clip(&clip, text));
		expr_free(expr);
		return NULL;
	}
	return expr;
}

void expr_free(struct expr *expr)
{
	if (expr == NULL)
		return;
	for (size_t i = 0; i < expr->patterns_len; i++)
		pattern_clear(&expr->patterns[i]);
	free(expr->patterns);
	free(expr->key);
	free(expr->value);
	free(expr);
}

const char *expr_key(const struct expr *expr)
{
	return expr->key;
}

const char *expr_value(const struct expr *expr)
{
	return expr->value;
}

bool expr_is_soft(const struct expr *expr)
{
	return expr->is_soft;
}

bool expr_is_negated(const struct expr *expr)
{
	return expr->is_negated;
}

bool expr_match(struct expr *expr, const char *text)
{
	for (size_t i = 0; i < expr->patterns_len; i++) {
		if (pattern_match(&expr->patterns[i], text))
			return true;
	}
	return false;
}

static bool query_match(void *arg, const char *text)
{
	return pattern_match(arg, text);
}

bool expr_next_query(struct expr *expr, size_t *at, struct fleet_query *out)
{
	struct pattern *pattern;

	if (*at == expr->patterns_len || (expr->budget != NULL && *expr->budget == 0))
		return false;
	pattern = &expr->patterns[(*at)++];
	*out = (struct fleet_query){
		.prefix = pattern_prefix(pattern),
		.is_exact = pattern_is_literal(pattern),
		.match = query_match,
		.arg = pattern,
	};
	return true;
}

size_t expr_cost(const struct expr *expr)
{
	size_t cost = 0;

	for (size_t i = 0; i < expr->patterns_len; i++)
		cost += pattern_cost(&expr->patterns[i]);
	return cost;
}

void expr_set_budget(struct expr *expr, uint64_t *budget)
{
	expr->budget = budget;
	for (size_t i = 0; i < expr->patterns_len; i++)
		expr->patterns[i].budget = budget;
}
