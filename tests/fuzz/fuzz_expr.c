/* Expressions that a client chose: a line with one, and behind it a text to match. */
#include "filters/expr.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = memchr(data, '\n', size);
	size_t len = end != NULL ? (size_t)(end - data) : size;
	char *written = fuzz_text(data, len);
	char *text = fuzz_text(data + len, size - len);
	struct err err = ERR_INIT;
	struct expr *expr = expr_new("constraint", written, EXPR_CHOICES, &err);

	if (expr != NULL) {
		uint64_t budget = 10000;
		bool matches = expr_match(expr, text);

		/* What is remembered of a search does not change it. */
		fuzz_check(expr_match(expr, text) == matches);
		expr_set_budget(expr, &budget);
		expr_match(expr, text);
		fuzz_check(budget <= 10000);
		expr_free(expr);
	} else {
		fuzz_check(err.code == ERR_INVALID && err.msg[0] != '\0');
	}
	free(written);
	free(text);
	return 0;
}
