/* Each filter name has one function; values of one name are alternatives, names are all to be met.
 * As an engine reads them (API 1.50, GET /containers/json), and `node` besides. */
#include "api/container_filter.h"
#include "api/api_priv.h"
#include "api/container_find.h"
#include "api/filter_values.h"
#include "api/pattern.h"
#include "lib/str.h"

#include <string.h>

#define ANCESTRY_MAX 128 /* images from a container's up to its base */
#define VALUES_MAX 1000  /* of one filter */
#define NAME_LEN_USUAL 64
#define NAME_FORMS 4 /* that are matched: with and without slash, with and without node */

struct term {
	const char *text; /* borrowed from the filters */
	struct pattern pattern;
	int64_t number;
	const struct container *container; /* of before and since, referenced */
};

struct criterion {
	const struct filter_kind *kind;
	struct term *terms; /* that differ */
	size_t len;
	struct filter_values values;               /* the same as a set */
	const struct container *oldest, *youngest; /* of before and since */
	struct str_list image_ids;                 /* of ancestor */
	struct filter_values images;               /* the same as a set */
};

struct container_filter {
	const struct cluster *cluster;
	struct criterion *criteria;
	size_t len;
	struct pattern_budget *budget; /* spent by matching */
};

struct filter_kind {
	const char *name;
	/* Reads the value; NULL = nothing to read. */
	int (*compile)(const struct cluster *cluster, struct criterion *criterion,
		struct term *term, struct err *err);
	/* One of both. By all values at once: there may be VALUES_MAX of them. */
	bool (*match)(const struct container_filter *filter, const struct container *c,
		const struct term *term);
	bool (*match_any)(const struct container_filter *filter, const struct container *c,
		const struct criterion *criterion);
	/* By an index; NULL = there is none. */
	container_find_fn *find;
	/* Leaves out of the range what the value does not match; NULL = nothing. */
	void (*narrow)(struct cursor_range *range, const struct term *term);
	bool is_pattern; /* term->pattern is made of it */
	bool implies_all;
	bool all_terms; /* every value has to be met, not one */
};

static int invalid(const char *name, const char *value, struct err *err)
{
	return err_set(err, ERR_INVALID, "Invalid filter '%s=%s'", name, value);
}

static bool match_id(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	return filter_values_have_prefix_of(&criterion->values, c->view.id) ||
	       (c->view.swarm_id[0] != '\0' &&
		       filter_values_have_prefix_of(&criterion->values, c->view.swarm_id));
}

static bool match_name(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	const struct pattern *pattern = &term->pattern;

	for (size_t i = 0; i < c->names.len; i++) {
		const char *name = c->names.items[i];
		char *with_node CLEANUP_FREE = NULL;

		/* "^/web$" works with an engine too. */
		if (pattern_matches(pattern, filter->budget, name) ||
			(name[0] == '/' && pattern_matches(pattern, filter->budget, name + 1)))
			return true;
		if (!container_pattern_names_node(term->text))
			continue;
		name += name[0] == '/';
		with_node = xasprintf("/%s/%s", node_view(c->node)->name, name);
		if (pattern_matches(pattern, filter->budget, with_node) ||
			pattern_matches(pattern, filter->budget, with_node + 1))
			return true;
	}
	return false;
}

static bool match_label(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	const char *equals = strchr(term->text, '=');
	size_t len = equals != NULL ? (size_t)(equals - term->text) : strlen(term->text);

	(void)filter;
	for (size_t i = 0; i < c->view.labels.len; i++) {
		const struct view_label *label = &c->view.labels.items[i];

		if (strlen(label->key) == len && memcmp(label->key, term->text, len) == 0)
			return equals == NULL || str_eq(label->value, equals + 1);
	}
	return false;
}

static int compile_exited(const struct cluster *cluster, struct criterion *criterion,
	struct term *term, struct err *err)
{
	long long number;

	(void)cluster;
	(void)criterion;
	if (str_to_int(term->text, INT32_MIN, INT32_MAX, &number, "exited", NULL) != 0)
		return invalid("exited", term->text, err);
	term->number = number;
	return 0;
}

static bool match_exited(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return c->exit_code == term->number && c->finished_at != 0 && !str_eq(c->state, "running");
}

static int compile_status(const struct cluster *cluster, struct criterion *criterion,
	struct term *term, struct err *err)
{
	(void)cluster;
	(void)criterion;
	if (container_state_number(term->text) == CONTAINER_STATES)
		return invalid("status", term->text, err);
	return 0;
}

static bool match_status(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return str_eq(c->state, term->text);
}

static void narrow_status(struct cursor_range *range, const struct term *term)
{
	range->states &= 1u << container_state_number(term->text);
}

static int compile_health(const struct cluster *cluster, struct criterion *criterion,
	struct term *term, struct err *err)
{
	static const char *const states[] = {"none", "starting", "healthy", "unhealthy"};

	(void)cluster;
	(void)criterion;
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		if (str_eq(states[i], term->text))
			return 0;
	}
	return invalid("health", term->text, err);
}

static bool match_health(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return str_eq(c->health, term->text);
}

static int compile_ancestor(const struct cluster *cluster, struct criterion *criterion,
	struct term *term, struct err *err)
{
	struct image **found;
	size_t len;

	(void)err;
	found = container_find_ancestors(cluster, term->text, &len);
	for (size_t i = 0; i < len; i++) {
		if (filter_values_have(&criterion->images, found[i]->view.id))
			continue;
		str_list_add(&criterion->image_ids, found[i]->view.id);
		filter_values_add(&criterion->images,
			criterion->image_ids.items[criterion->image_ids.len - 1]);
	}
	free(found);
	return 0;
}

static bool match_ancestor(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	char *id;
	bool found = false;

	if (filter_values_have(&criterion->values, c->view.image))
		return true;
	if (criterion->image_ids.len == 0)
		return false;
	id = xstrdup(c->view.image_id);
	for (int i = 0; i < ANCESTRY_MAX && id != NULL && id[0] != '\0' && !found; i++) {
		char *parent;

		found = filter_values_have(&criterion->images, id);
		parent = found ? NULL : container_find_parent(filter->cluster, id);
		free(id);
		id = parent;
	}
	free(id);
	return found;
}

static int compile_container(const struct cluster *cluster, struct criterion *criterion,
	struct term *term, struct err *err)
{
	struct container *container = cluster_container_find(cluster, term->text, err);

	if (container == NULL)
		return -1;
	term->container = container_ref(container);
	if (criterion->oldest == NULL || container_age_cmp(container, criterion->oldest) < 0)
		criterion->oldest = container;
	if (criterion->youngest == NULL || container_age_cmp(container, criterion->youngest) > 0)
		criterion->youngest = container;
	return 0;
}

static void narrow_before(struct cursor_range *range, const struct term *term)
{
	if (term->container->created < range->newest)
		range->newest = term->container->created;
}

static void narrow_since(struct cursor_range *range, const struct term *term)
{
	if (term->container->created > range->oldest)
		range->oldest = term->container->created;
}

static bool match_before(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	return container_age_cmp(c, criterion->youngest) < 0;
}

static bool match_since(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	return container_age_cmp(c, criterion->oldest) > 0;
}

static bool match_volume(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	return filter_values_have_any(&criterion->values, &c->volumes);
}

static bool match_network(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	if (filter_values_have_any(&criterion->values, &c->networks))
		return true;
	for (size_t i = 0; i < c->networks.len; i++) {
		const char *network = c->networks.items[i];

		if (str_is_hex(network, 64) &&
			filter_values_have_prefix_of(&criterion->values, network))
			return true;
	}
	return false;
}

static int compile_ports(const struct cluster *cluster, struct criterion *criterion,
	struct term *term, struct err *err)
{
	(void)cluster;
	return filter_values_add_ports(&criterion->values, term->text, err);
}

static bool match_publish(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	return filter_values_have_port(&criterion->values, &c->published);
}

static bool match_expose(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	return filter_values_have_port(&criterion->values, &c->container_ports);
}

/* Only containers of Windows are isolated one way or another; an engine of Linux does not look. */
static bool match_isolation(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	(void)filter;
	return c->isolation[0] == '\0' || filter_values_have(&criterion->values, c->isolation);
}

static int compile_bool(const struct cluster *cluster, struct criterion *criterion,
	struct term *term, struct err *err)
{
	bool value;

	(void)cluster;
	(void)criterion;
	if (str_to_bool(term->text, &value) != 0)
		return invalid("is-task", term->text, err);
	term->number = value;
	return 0;
}

/* Engines here are in no swarm mode: a task is what says so of itself. */
static bool match_task(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	static const struct term name = {.text = "com.docker.swarm.task"};
	static const struct term id = {.text = "com.docker.swarm.task.id"};

	return term->number == (match_label(filter, c, &name) || match_label(filter, c, &id));
}

static bool match_node(const struct container_filter *filter, const struct container *c,
	const struct criterion *criterion)
{
	const struct node_view *view = node_view(c->node);

	(void)filter;
	return filter_values_have(&criterion->values, view->name) ||
	       filter_values_have(&criterion->values, view->id) ||
	       filter_values_have(&criterion->values, view->addr);
}

static const struct filter_kind kinds[] = {
	{.name = "id", .match_any = match_id, .find = container_find_id},
	{.name = "name", .is_pattern = true, .match = match_name, .find = container_find_name},
	{.name = "label", .match = match_label, .find = container_find_label, .all_terms = true},
	{.name = "exited", .compile = compile_exited, .match = match_exited},
	{.name = "status",
		.compile = compile_status,
		.match = match_status,
		.narrow = narrow_status,
		.implies_all = true},
	{.name = "ancestor", .compile = compile_ancestor, .match_any = match_ancestor},
	{.name = "before",
		.compile = compile_container,
		.match_any = match_before,
		.narrow = narrow_before},
	{.name = "since",
		.compile = compile_container,
		.match_any = match_since,
		.narrow = narrow_since},
	{.name = "volume", .match_any = match_volume},
	{.name = "network", .match_any = match_network},
	{.name = "publish", .compile = compile_ports, .match_any = match_publish},
	{.name = "expose", .compile = compile_ports, .match_any = match_expose},
	{.name = "health", .compile = compile_health, .match = match_health},
	{.name = "isolation", .match_any = match_isolation},
	{.name = "is-task", .compile = compile_bool, .match = match_task},
	{.name = "node", .match_any = match_node, .find = container_find_node},
};

static int compile(struct container_filter *filter, const struct filter_kind *kind,
	const json_t *values, struct err *err)
{
	struct criterion *criterion;
	json_t *value;
	size_t i;

	if (json_array_size(values) > VALUES_MAX)
		return err_set(err, ERR_INVALID, "filter '%s' has more than %d values", kind->name,
			VALUES_MAX);
	criterion = &filter->criteria[filter->len++];
	criterion->kind = kind;
	criterion->terms = xcalloc(json_array_size(values) + 1, sizeof(*criterion->terms));
	json_array_foreach (values, i, value) {
		const char *text = json_string_value(value);
		struct term *term = &criterion->terms[criterion->len];

		if (filter_values_have(&criterion->values, text))
			continue;
		criterion->len++;
		filter_values_add(&criterion->values, text);
		term->text = text;
		if (kind->is_pattern && pattern_compile(&term->pattern, filter->budget, term->text,
						kind->name, err) != 0)
			return -1;
		if (kind->compile != NULL &&
			kind->compile(filter->cluster, criterion, term, err) != 0)
			return -1;
	}
	return 0;
}

struct container_filter *container_filter_new(
	const struct cluster *cluster, const json_t *filters, struct err *err)
{
	struct container_filter *filter = xcalloc(1, sizeof(*filter));
	const char *key;
	json_t *values;

	filter->cluster = cluster;
	filter->budget = xcalloc(1, sizeof(*filter->budget));
	pattern_budget_init(filter->budget);
	filter->criteria = xcalloc(json_object_size(filters) + 1, sizeof(*filter->criteria));
	json_object_foreach ((json_t *)filters, key, values) {
		size_t i = 0;

		while (i < ARRAY_LEN(kinds) && !str_eq(kinds[i].name, key))
			i++;
		if (i == ARRAY_LEN(kinds)) {
			err_set(err, ERR_INVALID, "Invalid filter '%s'", key);
			goto fail;
		}
		if (compile(filter, &kinds[i], values, err) != 0)
			goto fail;
	}
	return filter;
fail:
	container_filter_free(filter);
	return NULL;
}

void container_filter_free(struct container_filter *filter)
{
	if (filter == NULL)
		return;
	for (size_t i = 0; i < filter->len; i++) {
		struct criterion *criterion = &filter->criteria[i];

		for (size_t t = 0; t < criterion->len; t++) {
			pattern_reset(&criterion->terms[t].pattern);
			if (criterion->terms[t].container != NULL)
				container_unref((struct container *)criterion->terms[t].container);
		}
		filter_values_free(&criterion->values);
		filter_values_free(&criterion->images);
		str_list_free(&criterion->image_ids);
		free(criterion->terms);
	}
	free(filter->criteria);
	free(filter->budget);
	free(filter);
}

static bool criterion_match(const struct container_filter *filter,
	const struct criterion *criterion, const struct container *c)
{
	if (criterion->len == 0)
		return true;
	if (criterion->kind->match_any != NULL)
		return criterion->kind->match_any(filter, c, criterion);
	for (size_t i = 0; i < criterion->len; i++) {
		bool matches = criterion->kind->match(filter, c, &criterion->terms[i]);

		if (matches != criterion->kind->all_terms)
			return matches;
	}
	return criterion->kind->all_terms;
}

bool container_filter_match(const struct container_filter *filter, const struct container *c)
{
	for (size_t i = 0; i < filter->len; i++) {
		if (!criterion_match(filter, &filter->criteria[i], c))
			return false;
	}
	return true;
}

/* ---- Where to look ---- */

static bool find(const struct container_filter *filter, const struct criterion *criterion,
	struct container_set *set)
{
	bool all = criterion->kind->all_terms;

	if (criterion->kind->find == NULL || criterion->len == 0)
		return false;
	/* Any value that has to be met will do; of alternatives, each is wanted. */
	for (size_t i = 0; i < criterion->len; i++) {
		if (all)
			set->len = 0;
		if (criterion->kind->find(filter->cluster, criterion->terms[i].text, set) == all)
			return all;
	}
	return !all;
}

/* To what its values, which are alternatives, leave together. */
static void narrow(const struct criterion *criterion, struct cursor_range *range)
{
	struct cursor_range any = {.states = 0, .oldest = INT64_MAX, .newest = INT64_MIN};

	if (criterion->kind->narrow == NULL || criterion->len == 0)
		return;
	for (size_t i = 0; i < criterion->len; i++) {
		struct cursor_range one = *range;

		criterion->kind->narrow(&one, &criterion->terms[i]);
		any.states |= one.states;
		any.oldest = one.oldest < any.oldest ? one.oldest : any.oldest;
		any.newest = one.newest > any.newest ? one.newest : any.newest;
	}
	*range = any;
}

struct cursor *container_filter_cursor(
	const struct container_filter *filter, struct cluster *cluster, bool all)
{
	struct cursor_range range = {
		.states = all ? CONTAINERS_ALL : containers_running(),
		.oldest = INT64_MIN,
		.newest = INT64_MAX,
	};
	struct container_set set = {.items = NULL};

	for (size_t i = 0; i < filter->len; i++) {
		set.len = 0;
		if (find(filter, &filter->criteria[i], &set))
			return cursor_new_of(cluster, &set);
	}
	container_set_free(&set);
	for (size_t i = 0; i < filter->len; i++)
		narrow(&filter->criteria[i], &range);
	return cursor_new(cluster, &range);
}

/* ---- What it costs ---- */

bool container_filter_may_be_spent(const struct container_filter *filter, size_t containers)
{
	uint64_t steps = 0;

	for (size_t i = 0; i < filter->len; i++) {
		for (size_t t = 0; t < filter->criteria[i].len; t++)
			steps += pattern_steps(
				&filter->criteria[i].terms[t].pattern, NAME_LEN_USUAL * NAME_FORMS);
	}
	return steps > 0 && containers >= filter->budget->steps / steps;
}

uint64_t container_filter_steps_left(const struct container_filter *filter)
{
	return filter->budget->steps;
}

void container_filter_renew(struct container_filter *filter)
{
	pattern_budget_renew(filter->budget);
}

bool container_filter_wants_all(const struct container_filter *filter)
{
	for (size_t i = 0; i < filter->len; i++) {
		if (filter->criteria[i].kind->implies_all && filter->criteria[i].len > 0)
			return true;
	}
	return false;
}

bool container_filter_is_spent(const struct container_filter *filter)
{
	return pattern_budget_is_spent(filter->budget);
}
