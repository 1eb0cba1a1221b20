#include "filters/filter.h"

#include "filters/filter_priv.h"
#include "filters/text.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>

const struct filter_ops *const filters_all[] = {
	&filter_health,
	&filter_port,
	&filter_containerslots,
	&filter_dependency,
	&filter_affinity,
	&filter_constraint,
	&filter_whitelist,
	NULL,
};

const struct filter_ops *filter_find(const char *name, struct err *err)
{
	char known[256] = "";
	size_t len = 0;
	struct text_clip clip;

	for (size_t i = 0; filters_all[i] != NULL; i++) {
		if (str_eq(filters_all[i]->name, name))
			return filters_all[i];
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "",
			filters_all[i]->name);
	}
	err_set(err, ERR_INVALID, "unknown filter '%s'; there are: %s", text_clip(&clip, name),
		known);
	return NULL;
}

static void expr_list_free(struct expr_list *list)
{
	for (size_t i = 0; i < list->len; i++)
		expr_free(list->items[i]);
	free(list->items);
}

static int expr_list_compile(struct filter_request *request, struct expr_list *list,
	const char *kind, const char *const *texts, size_t len, enum expr_form form,
	struct err *err)
{
	struct text_clip clip;

	if (len > EXPR_TERMS_MAX)
		return err_set(err, ERR_INVALID, "too many %s expressions: %zu, at most %d", kind,
			len, EXPR_TERMS_MAX);
	list->items = xcalloc(len + 1, sizeof(*list->items));
	for (size_t i = 0; i < len; i++) {
		list->items[i] = expr_new(kind, texts[i], form, err);
		if (list->items[i] == NULL)
			return -1;
		list->len++;
		expr_set_budget(list->items[i], &request->budget);
		request->cost += expr_cost(list->items[i]);
		if (request->cost > EXPR_COST_MAX)
			return err_set(err, ERR_INVALID,
				"invalid %s '%s': the regular expressions of one request are too "
				"large together",
				kind, text_clip(&clip, texts[i]));
	}
	return 0;
}

struct filter_request *filter_request_new(const struct placement *placement, struct err *err)
{
	struct filter_request *request = xcalloc(1, sizeof(*request));
	const struct placement *p = placement;

	request->placement = placement;
	request->budget = EXPR_STEPS_MAX;
	if (expr_list_compile(request, &request->constraints, "constraint", p->constraints,
		    p->constraints_len, EXPR_ONE, err) < 0 ||
		expr_list_compile(request, &request->affinities, "affinity", p->affinities,
			p->affinities_len, EXPR_ONE, err) < 0 ||
		expr_list_compile(request, &request->whitelists, "whitelist", p->whitelists,
			p->whitelists_len, EXPR_CHOICES, err) < 0) {
		filter_request_free(request);
		return NULL;
	}
	return request;
}

void filter_request_free(struct filter_request *request)
{
	if (request == NULL)
		return;
	expr_list_free(&request->constraints);
	expr_list_free(&request->affinities);
	expr_list_free(&request->whitelists);
	free(request);
}

bool filter_request_is_exhausted(const struct filter_request *request)
{
	return request->budget == 0;
}

const struct placement *filter_request_placement(const struct filter_request *request)
{
	return request->placement;
}

/* Takes out, of one word of candidates, those whose bits are set. */
static void take_out(struct filter_pass *pass, size_t word, uint64_t bits, size_t why)
{
	pass->candidates.words[word] &= ~bits;
	if (pass->removals == NULL)
		return;
	for (; bits != 0; bits &= bits - 1) {
		size_t slot = word * BITSET_WORD + (size_t)__builtin_ctzll(bits);

		pass->removals[slot] = (struct removal){.by = pass->by, .why = why};
	}
}

void filter_pass_keep(struct filter_pass *pass, const struct bitset *set, size_t why)
{
	for (size_t i = 0; i < pass->candidates.words_len; i++)
		take_out(pass, i, pass->candidates.words[i] & ~set->words[i], why);
}

void filter_pass_drop(struct filter_pass *pass, const struct bitset *set, size_t why)
{
	for (size_t i = 0; i < pass->candidates.words_len; i++)
		take_out(pass, i, pass->candidates.words[i] & set->words[i], why);
}

static void count_soft(struct filter_pass *pass, bool is_negated)
{
	size_t words_len = pass->candidates.words_len;

	_Static_assert(3 * EXPR_TERMS_MAX < 1 << FILTER_SOFT_BITS, "counts may overflow");
	for (size_t i = 0; i < FILTER_SOFT_BITS && pass->soft[i].words == NULL; i++)
		bitset_init(&pass->soft[i], words_len * BITSET_WORD);
	for (size_t word = 0; word < words_len; word++) {
		uint64_t holds = pass->scratch.words[word];
		uint64_t carry = pass->candidates.words[word] & (is_negated ? ~holds : holds);

		for (size_t i = 0; carry != 0; i++) {
			uint64_t *sum = &pass->soft[i].words[word];
			uint64_t next = *sum & carry;

			*sum ^= carry;
			carry = next;
		}
	}
}

void filter_pass_clear(struct filter_pass *pass)
{
	bitset_release(&pass->candidates);
	bitset_release(&pass->scratch);
	for (size_t i = 0; i < FILTER_SOFT_BITS; i++)
		bitset_release(&pass->soft[i]);
}

void expr_list_apply(const struct expr_list *list, struct filter_pass *pass, expr_add_fn *add)
{
	for (size_t i = 0; i < list->len; i++) {
		struct expr *expr = list->items[i];

		bitset_empty(&pass->scratch);
		add(expr, pass->fleet, &pass->scratch);
		if (expr_is_soft(expr))
			count_soft(pass, expr_is_negated(expr));
		else if (expr_is_negated(expr))
			filter_pass_drop(pass, &pass->scratch, i);
		else
			filter_pass_keep(pass, &pass->scratch, i);
	}
}

static void expr_print(const struct expr *expr, struct buf *out)
{
	struct text_clip clip;

	buf_printf(out, "%s%s%s", expr_key(expr),
		expr_is_negated(expr) ? "!=" : "==", text_clip(&clip, expr_value(expr)));
}

void expr_list_print(const struct expr_list *list, bool with_softness, struct buf *out)
{
	for (size_t i = 0; i < list->len; i++) {
		if (i > 0)
			buf_append_char(out, ' ');
		expr_print(list->items[i], out);
		if (with_softness)
			buf_printf(
				out, " (soft=%s)", expr_is_soft(list->items[i]) ? "true" : "false");
	}
}

void expr_list_reason(const struct expr_list *list, size_t why, struct buf *out)
{
	expr_print(list->items[why], out);
	buf_append_str(out, " does not hold");
}

void expr_add_nodes(struct expr *expr, const struct fleet *fleet, struct bitset *out)
{
	struct fleet_query query;
	size_t at = 0;

	while (expr_next_query(expr, &at, &query))
		fleet_add_nodes(fleet, &query, out);
}
