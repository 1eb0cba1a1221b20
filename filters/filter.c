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

/* Most ports of a node are not wanted: one look tells, however many are. */
static void ports_mark(struct filter_request *request)
{
	size_t len;
	const struct view_port *wanted = wanted_ports(request, &len);

	if (len == 0)
		return;
	request->wanted_ports = xcalloc((UINT16_MAX + 1) / 8, 1);
	for (size_t i = 0; i < len; i++)
		request->wanted_ports[wanted[i].port / 8] |= (uint8_t)(1u << wanted[i].port % 8);
}

struct filter_request *filter_request_new(const struct placement *placement, struct err *err)
{
	struct filter_request *request = xcalloc(1, sizeof(*request));
	const struct placement *p = placement;

	request->placement = placement;
	request->budget = EXPR_STEPS_MAX;
	ports_mark(request);
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
	free(request->wanted_ports);
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

const char *labels_get(const struct view_labels *labels, const char *key)
{
	size_t low = 0;
	size_t high = labels->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(labels->items[middle].key, key);

		if (order == 0)
			return labels->items[middle].value;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return "";
}

bool expr_list_check(const struct expr_list *list, const struct node_view *node,
	expr_match_fn *match, struct filter_verdict *verdict)
{
	unsigned soft = 0;

	for (size_t i = 0; i < list->len; i++) {
		struct expr *expr = list->items[i];
		bool holds = match(expr, node) != expr_is_negated(expr);

		if (expr_is_soft(expr)) {
			soft += holds;
		} else if (!holds) {
			verdict->why = i;
			return false;
		}
	}
	verdict->soft += soft;
	return true;
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

bool expr_match_node(struct expr *expr, const struct node_view *node)
{
	return expr_match(expr, node->name) || expr_match(expr, node->engine_id) ||
	       expr_match(expr, node->id);
}
