#include "api/pattern.h"
#include "lib/regex.h"
#include "lib/str.h"

#include <string.h>

#define COST_MAX 20000
/* Making one that fails may be as much work. */
#define COST_OF_FAILURE (COST_MAX / 4)
#define STEPS_MAX UINT64_C(50000000)
/* Up to this size RE2 searches with tables, which takes the same for each byte. */
#define COST_SMALL 50
#define STEPS_SMALL 2

void pattern_budget_init(struct pattern_budget *budget)
{
	budget->cost = COST_MAX;
	budget->steps = STEPS_MAX;
}

void pattern_budget_renew(struct pattern_budget *budget)
{
	budget->steps = STEPS_MAX;
}

bool pattern_budget_is_spent(const struct pattern_budget *budget)
{
	return budget->steps == 0;
}

size_t pattern_plain_len(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/");
}

bool pattern_is_plain(const char *text)
{
	return text[pattern_plain_len(text)] == '\0';
}

int pattern_compile(struct pattern *pattern, struct pattern_budget *budget, const char *text,
	const char *filter, struct err *err)
{
	size_t cost;

	pattern->text = text;
	pattern->is_plain = pattern_is_plain(text);
	if (pattern->is_plain)
		return 0;
	pattern->regex = regex_new(text, NULL);
	cost = pattern->regex != NULL ? regex_cost(pattern->regex) : COST_OF_FAILURE;
	if (cost > budget->cost)
		return err_set(err, ERR_INVALID,
			"the regular expressions of filter '%s' are too large together", filter);
	budget->cost -= cost;
	return 0;
}

void pattern_reset(struct pattern *pattern)
{
	regex_free(TAKE_PTR(pattern->regex));
}

uint64_t pattern_steps(const struct pattern *pattern, size_t len)
{
	uint64_t cost;

	if (pattern->is_plain)
		return len + 1;
	if (pattern->regex == NULL)
		return 0;
	cost = regex_cost(pattern->regex);
	return (cost > COST_SMALL ? cost : STEPS_SMALL) * (len + 1);
}

bool pattern_matches(const struct pattern *pattern, struct pattern_budget *budget, const char *text)
{
	uint64_t steps;
	size_t len;

	if (str_eq(pattern->text, text))
		return true;
	len = strlen(text);
	steps = pattern_steps(pattern, len);
	if (steps == 0)
		return false;
	if (steps >= budget->steps) {
		budget->steps = 0;
		return false;
	}
	budget->steps -= steps;
	return pattern->is_plain ? strstr(text, pattern->text) != NULL
				 : regex_search(pattern->regex, text, len);
}
