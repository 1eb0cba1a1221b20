#include "scheduler/scheduler.h"

#include "filters/filter.h"
#include "lib/log.h"
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

/* ---- One selection ---- */

static void pass_init(
	struct filter_pass *pass, const struct fleet *fleet, const struct bitset *among)
{
	*pass = (struct filter_pass){.fleet = fleet};
	bitset_init(&pass->candidates, fleet_slots(fleet));
	bitset_init(&pass->scratch, fleet_slots(fleet));
	bitset_copy(&pass->candidates, fleet_all(fleet));
	if (among != NULL)
		bitset_and(&pass->candidates, among);
}

static void drop_excluded(struct filter_pass *pass, const struct str_list *excluded)
{
	bitset_empty(&pass->scratch);
	for (size_t i = 0; excluded != NULL && i < excluded->len; i++)
		fleet_add_id(pass->fleet, excluded->items[i], &pass->scratch);
	filter_pass_drop(pass, &pass->scratch, 0);
}

static void drop_full(struct filter_pass *pass, const struct container_view *want)
{
	const struct fleet_load *loads = fleet_loads(pass->fleet);

	if (want->nano_cpus <= 0 && want->memory <= 0)
		return;
	bitset_empty(&pass->scratch);
	BITSET_EACH(&pass->candidates, slot)
	{
		if (!weight_has_room(&loads[slot], want))
			bitset_add(&pass->scratch, slot);
	}
	filter_pass_drop(pass, &pass->scratch, 0);
}

/* Leaves the nodes that can take it. */
static void pass_run(const struct scheduler *scheduler, struct filter_request *request,
	struct filter_pass *pass, const struct str_list *excluded)
{
	pass->by = REMOVED_UNKNOWN;
	if (!scheduler->has_health) {
		bitset_copy(&pass->scratch, fleet_known(pass->fleet));
		bitset_or(&pass->scratch, fleet_healthy(pass->fleet));
		filter_pass_keep(pass, &pass->scratch, 0);
	}
	for (size_t i = 0; i < scheduler->filters_len && !bitset_is_empty(&pass->candidates); i++) {
		pass->by = (int)i;
		scheduler->filters[i]->apply(request, pass);
	}
	pass->by = REMOVED_EXCLUDED;
	drop_excluded(pass, excluded);
	pass->by = REMOVED_ROOM;
	drop_full(pass, &filter_request_placement(request)->want);
}

/* Leaves the candidates that are in the set, if there are any. */
static void prefer(struct filter_pass *pass, const struct bitset *set)
{
	bitset_copy(&pass->scratch, &pass->candidates);
	bitset_and(&pass->scratch, set);
	if (!bitset_is_empty(&pass->scratch))
		bitset_copy(&pass->candidates, &pass->scratch);
}

/* What the user has not said is told. */
static void prefer_image(struct filter_pass *pass, const struct placement *placement)
{
	size_t before = bitset_count(&pass->candidates), after;

	prefer(pass, placement->preferred);
	after = bitset_count(&pass->candidates);
	if (after < before)
		log_info("placed where the image is, or is to come: image=%s nodes=%zu of=%zu",
			placement->preferred_for != NULL ? placement->preferred_for : "", after,
			before);
}

/* Of those that can take it, leaves the ones on which the most soft terms hold, and of these those
 * that are preferred, if any are. */
static void keep_best(struct filter_pass *pass, const struct placement *placement)
{
	/* The largest counts are those with the highest bit, of these with the next, and so on. */
	for (size_t i = FILTER_SOFT_BITS; i-- > 0 && pass->soft[i].words != NULL;)
		prefer(pass, &pass->soft[i]);
	if (placement->preferred != NULL)
		prefer_image(pass, placement);
}

/* The words for nodes that were all removed. Why each was is asked only now, once more from the
 * beginning: most requests find a node, and need no notes about the others. */
static void explain(const struct scheduler *scheduler, const struct placement *placement,
	const struct fleet *fleet, const struct bitset *among, const struct str_list *excluded,
	struct err *err)
{
	struct filter_request *request = filter_request_new(placement, err);
	size_t order_len, len = 0;
	const uint32_t *order = fleet_order(fleet, &order_len);
	struct removal *by_slot = xcalloc(fleet_slots(fleet), sizeof(*by_slot));
	const struct node_view **nodes = xcalloc(order_len + 1, sizeof(const struct node_view *));
	struct removal *removals = xcalloc(order_len + 1, sizeof(*removals));
	struct filter_pass pass;

	pass_init(&pass, fleet, among);
	pass.removals = by_slot;
	pass_run(scheduler, request, &pass, excluded);
	for (size_t i = 0; i < order_len; i++) {
		if (among != NULL && !bitset_has(among, order[i]))
			continue;
		nodes[len] = fleet_view(fleet, order[i]);
		removals[len++] = by_slot[order[i]];
	}
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
	filter_pass_clear(&pass);
	filter_request_free(request);
	free(by_slot);
	free(nodes);
	free(removals);
}

ssize_t scheduler_select(struct scheduler *scheduler, const struct fleet *fleet,
	const struct bitset *among, const struct placement *placement,
	const struct str_list *excluded, struct err *err)
{
	struct filter_request *request = filter_request_new(placement, err);
	struct filter_pass pass;
	size_t len;
	ssize_t chosen = -1;

	if (request == NULL)
		return -1;
	pass_init(&pass, fleet, among);
	pass_run(scheduler, request, &pass, excluded);
	(void)fleet_order(fleet, &len);
	if (filter_request_is_exhausted(request)) {
		err_set(err, ERR_INVALID,
			"the patterns of this request take too much work in a cluster "
			"of %zu nodes",
			len);
	} else if (bitset_is_empty(&pass.candidates)) {
		explain(scheduler, placement, fleet, among, excluded, err);
	} else {
		keep_best(&pass, placement);
		chosen = (ssize_t)strategy_choose(
			scheduler->strategy, fleet, &pass.candidates, &placement->want);
	}
	filter_pass_clear(&pass);
	filter_request_free(request);
	return chosen;
}
