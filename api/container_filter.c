/* Each filter name has one function; values of one name are alternatives, names are all to be met.
 * As an engine reads them (API 1.50, GET /containers/json), and `node` besides. */
#include "api/container_filter.h"
#include "api/api_priv.h"
#include "api/container_find.h"
#include "api/pattern.h"
#include "lib/str.h"

#include <stdio.h>
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
	struct str_list image_ids;         /* of ancestor */
	unsigned from, to;                 /* of publish and expose */
	const char *protocol;              /* likewise */
};

struct criterion {
	const struct filter_kind *kind;
	struct term *terms;
	size_t len;
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
	int (*compile)(const struct cluster *cluster, struct term *term, struct err *err);
	bool (*match)(const struct container_filter *filter, const struct container *c,
		const struct term *term);
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

static bool match_id(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return str_has_prefix(c->view.id, term->text) ||
	       (c->view.swarm_id[0] != '\0' && str_has_prefix(c->view.swarm_id, term->text));
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

static int compile_exited(const struct cluster *cluster, struct term *term, struct err *err)
{
	long long number;

	(void)cluster;
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

static int compile_status(const struct cluster *cluster, struct term *term, struct err *err)
{
	(void)cluster;
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

static int compile_health(const struct cluster *cluster, struct term *term, struct err *err)
{
	static const char *const states[] = {"none", "starting", "healthy", "unhealthy"};

	(void)cluster;
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

/* Without a tag it is the latest, or else an ID: unlike in other calls, no other tag. */
static struct image **find_ancestors(const struct cluster *cluster, const char *text, size_t *len)
{
	const char *slash = strrchr(text, '/');
	bool is_whole =
		strchr(slash != NULL ? slash : text, ':') != NULL || strchr(text, '@') != NULL;
	char *latest CLEANUP_FREE = xasprintf("%s%s", text, is_whole ? "" : ":latest");
	struct image **found = cluster_images_find(cluster, latest, len);

	if (*len > 0 || is_whole || strspn(text, "0123456789abcdef") != strlen(text))
		return found;
	free(found);
	return cluster_images_find(cluster, text, len);
}

static int compile_ancestor(const struct cluster *cluster, struct term *term, struct err *err)
{
	struct image **found;
	size_t len;

	(void)err;
	found = find_ancestors(cluster, term->text, &len);
	for (size_t i = 0; i < len; i++) {
		if (!str_list_has(&term->image_ids, found[i]->view.id))
			str_list_add(&term->image_ids, found[i]->view.id);
	}
	free(found);
	return 0;
}

/* The image that this one was made from, as any node knows it. Owned by the caller, NULL at a base.
 */
static char *parent_of(const struct cluster *cluster, const char *id)
{
	size_t len;
	struct image **found = cluster_images_find(cluster, id, &len);
	char *parent = NULL;

	for (size_t i = 0; i < len && parent == NULL; i++) {
		if (!str_is_empty(found[i]->parent_id))
			parent = xstrdup(found[i]->parent_id);
	}
	free(found);
	return parent;
}

static bool match_ancestor(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	char *id;
	bool found = false;

	if (str_eq(c->view.image, term->text))
		return true;
	if (term->image_ids.len == 0)
		return false;
	id = xstrdup(c->view.image_id);
	for (int i = 0; i < ANCESTRY_MAX && id != NULL && id[0] != '\0' && !found; i++) {
		char *parent;

		found = str_list_has(&term->image_ids, id);
		parent = found ? NULL : parent_of(filter->cluster, id);
		free(id);
		id = parent;
	}
	free(id);
	return found;
}

static int compile_container(const struct cluster *cluster, struct term *term, struct err *err)
{
	struct container *container = cluster_container_find(cluster, term->text, err);

	if (container == NULL)
		return -1;
	term->container = container_ref(container);
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

static bool match_before(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return container_age_cmp(c, term->container) < 0;
}

static bool match_since(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return container_age_cmp(c, term->container) > 0;
}

static bool match_volume(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return str_list_has(&c->volumes, term->text);
}

static bool match_network(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	for (size_t i = 0; i < c->networks.len; i++) {
		const char *network = c->networks.items[i];

		if (str_eq(network, term->text) ||
			(str_is_hex(network, 64) && str_has_prefix(network, term->text)))
			return true;
	}
	return false;
}

/* "80", "80/udp", "8000-8010/tcp" */
static int compile_ports(const struct cluster *cluster, struct term *term, struct err *err)
{
	int n = 0;

	(void)cluster;
	term->protocol = "tcp";
	if (sscanf(term->text, "%5u-%5u%n", &term->from, &term->to, &n) != 2) {
		if (sscanf(term->text, "%5u%n", &term->from, &n) != 1)
			return err_set(err, ERR_INVALID, "invalid port in filter: %s", term->text);
		term->to = term->from;
	}
	if (term->text[n] == '/')
		term->protocol = term->text + n + 1;
	else if (term->text[n] != '\0')
		return err_set(err, ERR_INVALID, "invalid port in filter: %s", term->text);
	if (term->from > term->to || term->to > 65535)
		return err_set(err, ERR_INVALID, "invalid port range in filter: %s", term->text);
	return 0;
}

static bool ports_match(const struct str_list *ports, const struct term *term)
{
	for (size_t i = 0; i < ports->len; i++) {
		unsigned port;
		int n = 0;

		if (sscanf(ports->items[i], "%5u/%n", &port, &n) == 1 && n > 0 &&
			port >= term->from && port <= term->to &&
			str_eq(ports->items[i] + n, term->protocol))
			return true;
	}
	return false;
}

static bool match_publish(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return ports_match(&c->published, term);
}

static bool match_expose(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return ports_match(&c->container_ports, term);
}

/* Only containers of Windows are isolated one way or another; an engine of Linux does not look. */
static bool match_isolation(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	return c->isolation[0] == '\0' || str_eq(c->isolation, term->text);
}

static int compile_bool(const struct cluster *cluster, struct term *term, struct err *err)
{
	bool value;

	(void)cluster;
	if (str_to_bool(term->text, &value) != 0)
		return invalid("is-task", term->text, err);
	term->number = value;
	return 0;
}

/* Tasks belong to swarm mode, which engines here are not in. */
static bool match_task(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	(void)filter;
	(void)c;
	return term->number == 0;
}

static bool match_node(
	const struct container_filter *filter, const struct container *c, const struct term *term)
{
	const struct node_view *view = node_view(c->node);

	(void)filter;
	return str_eq(view->name, term->text) || str_eq(view->id, term->text) ||
	       str_eq(view->addr, term->text);
}

static const struct filter_kind kinds[] = {
	{.name = "id", .match = match_id, .find = container_find_id},
	{.name = "name", .is_pattern = true, .match = match_name, .find = container_find_name},
	{.name = "label", .match = match_label, .find = container_find_label, .all_terms = true},
	{.name = "exited", .compile = compile_exited, .match = match_exited},
	{.name = "status",
		.compile = compile_status,
		.match = match_status,
		.narrow = narrow_status,
		.implies_all = true},
	{.name = "ancestor", .compile = compile_ancestor, .match = match_ancestor},
	{.name = "before",
		.compile = compile_container,
		.match = match_before,
		.narrow = narrow_before},
	{.name = "since",
		.compile = compile_container,
		.match = match_since,
		.narrow = narrow_since},
	{.name = "volume", .match = match_volume},
	{.name = "network", .match = match_network},
	{.name = "publish", .compile = compile_ports, .match = match_publish},
	{.name = "expose", .compile = compile_ports, .match = match_expose},
	{.name = "health", .compile = compile_health, .match = match_health},
	{.name = "isolation", .match = match_isolation},
	{.name = "is-task", .compile = compile_bool, .match = match_task},
	{.name = "node", .match = match_node, .find = container_find_node},
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
		struct term *term = &criterion->terms[criterion->len++];

		term->text = json_string_value(value);
		if (kind->is_pattern && pattern_compile(&term->pattern, filter->budget, term->text,
						kind->name, err) != 0)
			return -1;
		if (kind->compile != NULL && kind->compile(filter->cluster, term, err) != 0)
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
			str_list_free(&criterion->terms[t].image_ids);
			if (criterion->terms[t].container != NULL)
				container_unref((struct container *)criterion->terms[t].container);
		}
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
