#include "scheduler/scheduler.h"

#include "filters/filter.h"
#include "scheduler/scheduler_priv.h"
#include "strategies/strategy.h"
#include "strategies/weight.h"

struct scheduler {
	struct strategy *strategy;
	const struct filter_ops **filters; /* in the order in which they are asked */
	size_t filters_len;
	struct str_list filter_names;
	bool has_health;
};

static int filters_add(struct scheduler *scheduler, const char *name, struct err *err)
{
	const struct filter_ops *ops = filter_find(name, err);

	if (ops == NULL)
		return -1;
	/* Asking twice changes nothing. */
	if (str_list_has(&scheduler->filter_names, ops->name))
		return 0;
	scheduler->filters = xreallocarray(
		scheduler->filters, scheduler->filters_len + 1, sizeof(*scheduler->filters));
	scheduler->filters[scheduler->filters_len++] = ops;
	str_list_add(&scheduler->filter_names, ops->name);
	scheduler->has_health |= str_eq(ops->name, "health");
	return 0;
}

struct scheduler *scheduler_new(const struct scheduler_config *config, struct err *err)
{
	struct scheduler *scheduler = xcalloc(1, sizeof(*scheduler));
	size_t asked = config->filters == NULL ? 0 : config->filters->len;

	scheduler->strategy = strategy_new(config->strategy, config->env, err);
	if (scheduler->strategy == NULL)
		goto fail;
	for (size_t i = 0; i < asked; i++) {
		if (filters_add(scheduler, config->filters->items[i], err) < 0)
			goto fail;
	}
	for (size_t i = 0; asked == 0 && filters_all[i] != NULL; i++) {
		if (filters_add(scheduler, filters_all[i]->name, err) < 0)
			goto fail;
	}
	return scheduler;
fail:
	scheduler_free(scheduler);
	return NULL;
}

void scheduler_free(struct scheduler *scheduler)
{
	if (scheduler == NULL)
		return;
	strategy_free(scheduler->strategy);
	free(scheduler->filters);
	str_list_free(&scheduler->filter_names);
	free(scheduler);
}

const char *scheduler_strategy(const struct scheduler *scheduler)
{
	return strategy_name(scheduler->strategy);
}

const struct str_list *scheduler_filters(const struct scheduler *scheduler)
{
	return &scheduler->filter_names;
}

static int place_cmp(const void *left, const void *right)
{
	uintptr_t a = (uintptr_t) * (const struct node_view *const *)left;
	uintptr_t b = (uintptr_t) * (const struct node_view *const *)right;

	return a < b ? -1 : a > b;
}

static bool is_preferred(const struct placement *placement, const struct node_view *node)
{
	return placement->preferred_len > 0 &&
	       bsearch(&node, placement->preferred, placement->preferred_len,
		       sizeof(const struct node_view *), place_cmp) != NULL;
}

/* Fills *removal when the node cannot take it, else how much speaks for it: the soft terms that
 * hold, and, where as many hold on another node, that it is preferred. */
static bool node_check(const struct scheduler *scheduler, struct filter_request *request,
	const struct node_view *node, const struct str_list *excluded, struct removal *removal,
	unsigned *merit)
{
	const struct placement *placement = filter_request_placement(request);
	struct filter_verdict verdict = {0};

	*removal = (struct removal){.by = REMOVED_UNKNOWN};
	if (!scheduler->has_health && !node->is_healthy && node->engine_id[0] == '\0')
		return false;
	for (size_t i = 0; i < scheduler->filters_len; i++) {
		if (!scheduler->filters[i]->check(request, node, &verdict)) {
			*removal = (struct removal){.by = (int)i, .why = verdict.why};
			return false;
		}
	}
	removal->by = REMOVED_EXCLUDED;
	if (excluded != NULL && excluded->len > 0 && str_list_has(excluded, node->id))
		return false;
	removal->by = REMOVED_ROOM;
	if (!weight_has_room(node, &placement->want))
		return false;
	removal->by = REMOVED_NOT;
	*merit = 2 * verdict.soft + is_preferred(placement, node);
	return true;
}

/* What is left of a selection: nodes that can take it, and where they stand. */
struct candidates {
	const struct node_view **nodes;
	size_t *places;
	size_t len;
	unsigned merit; /* of each of them: the most that any node has */
};

static void candidates_add(
	struct candidates *candidates, const struct node_view *node, size_t place, unsigned merit)
{
	if (candidates->len > 0 && merit < candidates->merit)
		return;
	if (merit > candidates->merit)
		candidates->len = 0;
	candidates->merit = merit;
	candidates->nodes[candidates->len] = node;
	candidates->places[candidates->len++] = place;
}

ssize_t scheduler_select(struct scheduler *scheduler, const struct node_view *const *nodes,
	size_t len, const struct placement *placement, const struct str_list *excluded,
	struct err *err)
{
	struct filter_request *request = filter_request_new(placement, err);
	CLEANUP_FREE struct removal *removals = NULL;
	struct candidates candidates = {0};
	ssize_t chosen = -1;

	if (request == NULL)
		return -1;
	removals = xcalloc(len + 1, sizeof(*removals));
	candidates.nodes = xcalloc(len + 1, sizeof(const struct node_view *));
	candidates.places = xcalloc(len + 1, sizeof(*candidates.places));
	for (size_t i = 0; i < len; i++) {
		unsigned merit = 0;

		if (node_check(scheduler, request, nodes[i], excluded, &removals[i], &merit))
			candidates_add(&candidates, nodes[i], i, merit);
	}
	if (filter_request_is_exhausted(request))
		err_set(err, ERR_INVALID,
			"the regular expressions of this request take too much work in a cluster "
			"of %zu nodes",
			len);
	else if (candidates.len == 0)
		report_no_node(
			&(struct selection){
				.filters = scheduler->filters,
				.filters_len = scheduler->filters_len,
				.request = request,
				.nodes = nodes,
				.removals = removals,
				.len = len,
			},
			err);
	else
		chosen = (ssize_t)candidates.places[strategy_choose(
			scheduler->strategy, candidates.nodes, candidates.len, &placement->want)];
	free(candidates.nodes);
	free(candidates.places);
	filter_request_free(request);
	return chosen;
}
