#include "tests/unit/slow_select.h"

#include "filters/expr.h"
#include "filters/filter.h"
#include "scheduler/scheduler_priv.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SHORT_ID 12
#define FULL INT64_C(1000000)

/* The expressions of a request; they are the same as the scheduler's, what they are asked is not.
 */
struct terms {
	struct expr *items[EXPR_TERMS_MAX];
	size_t len;
};

struct request {
	const struct placement *placement;
	struct terms constraints, affinities, whitelists;
};

static void terms_make(struct terms *terms, const char *kind, const char *const *texts, size_t len,
	enum expr_form form)
{
	for (size_t i = 0; i < len; i++) {
		terms->items[i] = expr_new(kind, texts[i], form, NULL);
		assert_non_null(terms->items[i]);
	}
	terms->len = len;
}

static void terms_clear(struct terms *terms)
{
	for (size_t i = 0; i < terms->len; i++)
		expr_free(terms->items[i]);
}

static const char *label_of(const struct view_labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->len; i++) {
		if (strcmp(labels->items[i].key, key) == 0)
			return labels->items[i].value;
	}
	return "";
}

/* ---- What expressions say of a node ---- */

static bool match_node(struct expr *expr, const struct node_view *node)
{
	return expr_match(expr, node->name) || expr_match(expr, node->engine_id) ||
	       expr_match(expr, node->id);
}

static bool match_constraint(struct expr *expr, const struct node_view *node)
{
	if (strcmp(expr_key(expr), "node") == 0)
		return match_node(expr, node);
	return expr_match(expr, label_of(&node->labels, expr_key(expr)));
}

static bool match_id(struct expr *expr, const char *id)
{
	if (id[0] == '\0')
		return false;
	if (expr_match(expr, id))
		return true;
	return strlen(expr_value(expr)) == SHORT_ID && strlen(id) > SHORT_ID &&
	       strncmp(id, expr_value(expr), SHORT_ID) == 0;
}

static bool match_image_name(struct expr *expr, const char *name)
{
	char repository[128];
	size_t digest = strcspn(name, "@");
	const char *colon = memrchr(name, ':', digest);
	size_t len = digest;

	if (name[digest] == '\0' && colon != NULL && strchr(colon, '/') == NULL)
		len = (size_t)(colon - name);
	assert_in_range(len, 0, sizeof(repository) - 1);
	memcpy(repository, name, len);
	repository[len] = '\0';
	return expr_match(expr, name) || (name[len] != '\0' && expr_match(expr, repository));
}

static bool match_image(struct expr *expr, const struct image_view *image)
{
	for (size_t i = 0; i < image->names_len; i++) {
		if (match_image_name(expr, image->names[i]))
			return true;
	}
	return match_id(expr, image->id) || match_id(expr, image->id + strlen("sha256:"));
}

static bool match_affinity(struct expr *expr, const struct node_view *node)
{
	bool is_image = strcmp(expr_key(expr), "image") == 0;
	bool is_container = strcmp(expr_key(expr), "container") == 0;

	for (size_t i = 0; is_image && i < node->images_len; i++) {
		if (match_image(expr, node->images[i]))
			return true;
	}
	for (size_t i = 0; !is_image && i < node->containers_len; i++) {
		const struct container_view *c = node->containers[i];

		if (!is_container && expr_match(expr, label_of(&c->labels, expr_key(expr))))
			return true;
		if (is_container && ((c->name[0] != '\0' && expr_match(expr, c->name)) ||
					    match_id(expr, c->id) || match_id(expr, c->swarm_id)))
			return true;
	}
	return false;
}

typedef bool match_fn(struct expr *expr, const struct node_view *node);

static bool check_terms(const struct terms *terms, const struct node_view *node, match_fn *match,
	unsigned *soft, size_t *why)
{
	for (size_t i = 0; i < terms->len; i++) {
		struct expr *expr = terms->items[i];
		bool holds = match(expr, node) != expr_is_negated(expr);

		if (expr_is_soft(expr)) {
			*soft += holds;
		} else if (!holds) {
			*why = i;
			return false;
		}
	}
	return true;
}

/* ---- The other filters ---- */

static bool is_taken(const struct node_view *node, const struct view_port *port, bool host_network)
{
	for (size_t i = 0; i < node->containers_len; i++) {
		const struct container_view *c = node->containers[i];
		const struct view_port *ports = host_network ? c->exposed : c->ports;
		size_t len = host_network ? c->exposed_len : c->ports_len;

		for (size_t j = 0; j < len && (c->host_network || !host_network); j++) {
			if (ports[j].port == port->port &&
				strcmp(ports[j].protocol, port->protocol) == 0 &&
				(ports[j].ip[0] == '\0' || port->ip[0] == '\0' ||
					strcmp(ports[j].ip, port->ip) == 0))
				return true;
		}
	}
	return false;
}

static bool check_ports(const struct placement *p, const struct node_view *node, size_t *why)
{
	bool host = p->want.host_network;
	const struct view_port *ports = host ? p->want.exposed : p->want.ports;
	size_t len = host ? p->want.exposed_len : p->want.ports_len;

	for (*why = 0; *why < len; (*why)++) {
		if (is_taken(node, &ports[*why], host))
			return false;
	}
	return true;
}

static bool check_slots(const struct node_view *node)
{
	const char *label = label_of(&node->labels, "containerslots");
	long long slots;

	if (label[0] == '\0' || str_to_int(label, LLONG_MIN, LLONG_MAX, &slots, "", NULL) < 0)
		return true;
	return slots > 0 && node->containers_len < (unsigned long long)slots;
}

static bool has_need(const struct view_need *need, const struct node_view *node)
{
	for (size_t i = 0; i < need->nodes_len; i++) {
		if (strcmp(need->nodes[i], node->id) == 0)
			return true;
	}
	return false;
}

static bool check_dependencies(const struct placement *p, const struct node_view *node, size_t *why)
{
	*why = 0;
	for (size_t i = 0; i < p->volumes_from_len; i++, (*why)++) {
		if (filter_container_find(node, p->volumes_from[i]) == NULL)
			return false;
	}
	for (size_t i = 0; i < p->links_len; i++, (*why)++) {
		CLEANUP_FREE char *name = xstrndup(p->links[i], strcspn(p->links[i], ":"));

		if (filter_container_find(node, name) == NULL)
			return false;
	}
	if (p->network_container != NULL) {
		if (filter_container_find(node, p->network_container) == NULL)
			return false;
		(*why)++;
	}
	for (size_t i = 0; i < p->needs_len; i++, (*why)++) {
		if (!has_need(&p->needs[i], node))
			return false;
	}
	return true;
}

static bool check(const char *filter, const struct request *request, const struct node_view *node,
	unsigned *soft, size_t *why)
{
	*why = 0;
	if (strcmp(filter, "health") == 0)
		return node->is_healthy;
	if (strcmp(filter, "port") == 0)
		return check_ports(request->placement, node, why);
	if (strcmp(filter, "containerslots") == 0)
		return check_slots(node);
	if (strcmp(filter, "dependency") == 0)
		return check_dependencies(request->placement, node, why);
	if (strcmp(filter, "affinity") == 0)
		return check_terms(&request->affinities, node, match_affinity, soft, why);
	if (strcmp(filter, "constraint") == 0)
		return check_terms(&request->constraints, node, match_constraint, soft, why);
	assert_string_equal(filter, "whitelist");
	return check_terms(&request->whitelists, node, match_node, soft, why);
}

/* ---- The scheduler ---- */

struct turn {
	char *id;
	uint64_t number;
};

struct slow_scheduler {
	char *strategy;
	const struct env *env;
	const struct filter_ops *filters[16];
	size_t filters_len;
	bool has_health;
	struct turn *turns;
	size_t turns_len;
	uint64_t last_turn;
};

struct slow_scheduler *slow_scheduler_new(
	const char *strategy, const struct str_list *filters, const struct env *env)
{
	struct slow_scheduler *s = xcalloc(1, sizeof(*s));

	s->strategy = xstrdup(strategy);
	s->env = env;
	for (size_t i = 0; filters == NULL && filters_all[i] != NULL; i++)
		s->filters[s->filters_len++] = filters_all[i];
	for (size_t i = 0; filters != NULL && i < filters->len; i++)
		s->filters[s->filters_len++] = filter_find(filters->items[i], NULL);
	for (size_t i = 0; i < s->filters_len; i++)
		s->has_health |= strcmp(s->filters[i]->name, "health") == 0;
	return s;
}

void slow_scheduler_free(struct slow_scheduler *s)
{
	for (size_t i = 0; i < s->turns_len; i++)
		free(s->turns[i].id);
	free(s->turns);
	free(s->strategy);
	free(s);
}

static struct turn *turn_of(struct slow_scheduler *s, const char *id)
{
	for (size_t i = 0; i < s->turns_len; i++) {
		if (strcmp(s->turns[i].id, id) == 0)
			return &s->turns[i];
	}
	s->turns = xreallocarray(s->turns, s->turns_len + 1, sizeof(*s->turns));
	s->turns[s->turns_len] = (struct turn){.id = xstrdup(id)};
	return &s->turns[s->turns_len++];
}

static bool has_room(const struct node_view *node, const struct container_view *want)
{
	return (want->nano_cpus <= 0 ||
		       (__int128)node->used_nano_cpus + want->nano_cpus <= node->total_nano_cpus) &&
	       (want->memory <= 0 ||
		       (__int128)node->used_memory + want->memory <= node->total_memory);
}

static int64_t score(int64_t used, int64_t wanted, int64_t total)
{
	if (wanted <= 0 || total <= 0)
		return FULL;
	return (int64_t)(((__int128)used + wanted) * FULL / total);
}

static int64_t weight(const struct node_view *node, const struct container_view *want)
{
	return score(node->used_nano_cpus, want->nano_cpus, node->total_nano_cpus) +
	       score(node->used_memory, want->memory, node->total_memory);
}

/* Whether a, which comes behind b, goes before it all the same. */
static bool is_better(struct slow_scheduler *s, const struct container_view *want,
	const struct node_view *a, const struct node_view *b)
{
	bool is_spread = strcmp(s->strategy, "spread") == 0;
	int64_t weight_a = weight(a, want), weight_b = weight(b, want);

	if (weight_a != weight_b)
		return (weight_a < weight_b) == is_spread;
	if (a->containers_len != b->containers_len)
		return (a->containers_len < b->containers_len) == is_spread;
	if (!is_spread)
		return false;

	uint64_t turn_a = turn_of(s, a->id)->number;

	return turn_a < turn_of(s, b->id)->number;
}

static size_t choose(struct slow_scheduler *s, const struct node_view *const *nodes,
	const size_t *left, size_t len, const struct container_view *want)
{
	size_t best = 0;

	if (strcmp(s->strategy, "random") == 0)
		best = s->env->random_below(s->env, (uint32_t)len);
	for (size_t i = 1; strcmp(s->strategy, "random") != 0 && i < len; i++) {
		if (is_better(s, want, nodes[left[i]], nodes[left[best]]))
			best = i;
	}
	turn_of(s, nodes[left[best]]->id)->number = ++s->last_turn;
	return left[best];
}

/* False, with the reason, when the node cannot take it. */
static bool check_node(const struct slow_scheduler *s, const struct request *request,
	const struct node_view *node, const struct str_list *excluded, unsigned *soft,
	struct removal *removal)
{
	*removal = (struct removal){.by = REMOVED_UNKNOWN};
	if (!s->has_health && !node->is_healthy && node->engine_id[0] == '\0')
		return false;
	for (size_t i = 0; i < s->filters_len; i++) {
		removal->by = (int)i;
		if (!check(s->filters[i]->name, request, node, soft, &removal->why))
			return false;
	}
	*removal = (struct removal){.by = REMOVED_EXCLUDED};
	if (excluded != NULL && str_list_has(excluded, node->id))
		return false;
	removal->by = REMOVED_ROOM;
	return has_room(node, &request->placement->want);
}

static int report(const struct slow_scheduler *s, const struct node_view *const *nodes, size_t len,
	const struct placement *placement, const struct removal *removals, struct err *err)
{
	struct filter_request *words = filter_request_new(placement, err);

	assert_non_null(words);
	report_no_node(
		&(struct selection){
			.filters = s->filters,
			.filters_len = s->filters_len,
			.request = words,
			.nodes = nodes,
			.removals = removals,
			.len = len,
		},
		err);
	filter_request_free(words);
	return -1;
}

ssize_t slow_select(struct slow_scheduler *s, const struct node_view *const *nodes, size_t len,
	const struct placement *p, const bool *is_preferred, const struct str_list *excluded,
	struct err *err)
{
	struct request request = {.placement = p};
	struct removal *removals = xcalloc(len + 1, sizeof(*removals));
	size_t *left = xcalloc(len + 1, sizeof(*left));
	unsigned most = 0;
	size_t left_len = 0;
	ssize_t chosen;

	terms_make(
		&request.constraints, "constraint", p->constraints, p->constraints_len, EXPR_ONE);
	terms_make(&request.affinities, "affinity", p->affinities, p->affinities_len, EXPR_ONE);
	terms_make(
		&request.whitelists, "whitelist", p->whitelists, p->whitelists_len, EXPR_CHOICES);
	for (size_t i = 0; i < len; i++) {
		unsigned soft = 0, merit;

		if (!check_node(s, &request, nodes[i], excluded, &soft, &removals[i]))
			continue;
		merit = 2 * soft + is_preferred[i] + 1;
		if (merit > most)
			left_len = 0;
		if (merit >= most)
			left[left_len++] = i;
		most = merit > most ? merit : most;
	}
	if (left_len == 0)
		chosen = report(s, nodes, len, p, removals, err);
	else
		chosen = (ssize_t)choose(s, nodes, left, left_len, &p->want);
	terms_clear(&request.constraints);
	terms_clear(&request.affinities);
	terms_clear(&request.whitelists);
	free(removals);
	free(left);
	return chosen;
}
