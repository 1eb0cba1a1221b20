/* The inventory against a naive model of it: random histories with a fixed seed, after every step
 * of which lookups, name conflicts, views and totals must agree with a plain walk over everything.
 */
#include "cluster/record.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/unit/cluster_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 20000
#define NODES 8
#define CONTAINERS 120
#define RESERVATIONS 24
#define NAMES 60
#define IMAGES 12

struct model_node {
	struct node *node; /* NULL = not there */
	char name[16], addr[32];
	bool is_healthy;
	bool has_image[IMAGES];
};

struct model_container {
	bool exists;
	unsigned node;
	char id[65], swarm_id[65]; /* swarm_id "" = none */
	char name[16];             /* "" = none */
	char link[16];             /* likewise; others may have the same */
	const char *state;
	int64_t memory, nano_cpus, created;
};

struct model_reservation {
	struct reservation *reservation; /* NULL = free place */
	bool is_active;
	int node; /* -1 = a name alone */
	char name[16], swarm_id[65];
	int64_t memory;
	uint64_t deadline;
};

struct model {
	struct fixture *fx;
	uint64_t dice;
	unsigned made; /* nodes so far, for addresses */
	struct model_node nodes[NODES];
	struct model_container containers[CONTAINERS];
	struct model_reservation reservations[RESERVATIONS];
	struct {
		unsigned conflicts, reserved, ambiguous, found, missing, covered, expired;
		unsigned parts_many, parts_none;
	} seen;
};

static unsigned roll(struct model *m, unsigned bound)
{
	m->dice = m->dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(m->dice >> 33) % bound;
}

static void random_name(struct model *m, char out[16])
{
	snprintf(out, 16, "c%u", roll(m, NAMES));
}

/* Few digits in front, so that prefixes clash. */
static void random_id(struct model *m, char out[65])
{
	for (int i = 0; i < 64; i++)
		out[i] = "0123456789abcdef"[roll(m, i < 3 ? 3 : 16)];
	out[64] = '\0';
}

/* ---- What the model says ---- */

static bool is_taken(const struct model *m, const char *name)
{
	for (unsigned i = 0; i < CONTAINERS; i++) {
		if (m->containers[i].exists && strcmp(m->containers[i].name, name) == 0)
			return true;
	}
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		const struct model_reservation *r = &m->reservations[i];

		if (r->reservation && r->is_active && strcmp(r->name, name) == 0)
			return true;
	}
	return false;
}

struct verdict {
	unsigned count;
	const struct model_container *one;
};

static void hit(struct verdict *v, const struct model_container *c)
{
	v->one = c;
	v->count++;
}

static bool matches(
	const struct model *m, const struct model_container *c, const char *key, int rule)
{
	const struct model_node *node = &m->nodes[c->node];
	const char *name = key[0] == '/' ? key + 1 : key;
	size_t len = strlen(key);
	char full[64];

	switch (rule) {
	case 0:
		return len == 64 ? strcmp(c->id, key) == 0
				 : len == 12 && strncmp(c->id, key, 12) == 0;
	case 1:
		return len == 64 ? strcmp(c->swarm_id, key) == 0
				 : len == 12 && strncmp(c->swarm_id, key, 12) == 0;
	case 2:
		return c->name[0] && strcmp(c->name, name) == 0;
	case 3:
		snprintf(full, sizeof(full), "%s/%s", node->name, c->name);
		if (c->name[0] && strcmp(full, name) == 0)
			return true;
		snprintf(full, sizeof(full), "E-%s/%s", node->name, c->name);
		return c->name[0] && strcmp(full, name) == 0;
	default:
		return len > 0 && (strncmp(c->id, key, len) == 0 ||
					  (c->swarm_id[0] && strncmp(c->swarm_id, key, len) == 0));
	}
}

static struct verdict judge(const struct model *m, const char *key)
{
	struct verdict v = {.count = 0};

	for (int rule = 0; rule < 5 && v.count == 0; rule++) {
		for (unsigned i = 0; i < CONTAINERS; i++) {
			if (m->containers[i].exists && matches(m, &m->containers[i], key, rule))
				hit(&v, &m->containers[i]);
		}
	}
	return v;
}

/* The record of a reservation's container is there: then the record alone counts. */
static bool is_covered(const struct model *m, const struct model_reservation *r)
{
	for (unsigned i = 0; i < CONTAINERS && r->swarm_id[0]; i++) {
		const struct model_container *c = &m->containers[i];

		if (c->exists && (int)c->node == r->node && strcmp(c->swarm_id, r->swarm_id) == 0)
			return true;
	}
	return false;
}

/* ---- Checks ---- */

static void check_key(struct model *m, const char *key)
{
	struct err err = ERR_INIT;
	const struct container *found = cluster_container_find(&m->fx->cluster, key, &err);
	struct verdict v = judge(m, key);

	if (v.count == 0) {
		assert_null(found);
		assert_int_equal(err.code, ERR_NOT_FOUND);
		m->seen.missing++;
	} else if (v.count > 1) {
		assert_null(found);
		assert_int_equal(err.code, ERR_INVALID);
		m->seen.ambiguous++;
	} else {
		assert_non_null(found);
		assert_string_equal(found->view.id, v.one->id);
		assert_ptr_equal(found->node, m->nodes[v.one->node].node);
		m->seen.found++;
	}
}

static void check_random_keys(struct model *m)
{
	const struct model_container *c = &m->containers[roll(m, CONTAINERS)];
	const struct model_node *node = &m->nodes[roll(m, NODES)];
	char name[16], key[80];

	random_name(m, name);
	check_key(m, name);
	snprintf(key, sizeof(key), "/%s", name);
	check_key(m, key);
	snprintf(key, sizeof(key), "%s%s/%s", roll(m, 2) ? "E-" : "", node->name, name);
	if (node->node)
		check_key(m, key);
	if (!c->id[0])
		return;
	check_key(m, c->id);
	snprintf(key, sizeof(key), "%.*s", (int)(1 + roll(m, 14)), c->id);
	check_key(m, key);
	snprintf(key, sizeof(key), "%.*s", roll(m, 4) ? 12 : 64, c->swarm_id);
	check_key(m, key);
}

/* A name is refused exactly when the lookup of it finds something, or somebody was promised it. */
static void check_name(struct model *m)
{
	struct err err = ERR_INIT;
	struct reservation *reservation;
	char name[16];

	random_name(m, name);
	reservation = cluster_reserve_name(&m->fx->cluster, name, &err);
	if (is_taken(m, name)) {
		assert_null(reservation);
		assert_int_equal(err.code, ERR_CONFLICT);
		m->seen.conflicts++;
		return;
	}
	assert_non_null(reservation);
	assert_null(cluster_container_find(&m->fx->cluster, name, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	reservation_cancel(reservation);
}

static bool has_part(const struct model_container *c, const char *part)
{
	return strstr(c->name, part) || strstr(c->link, part);
}

/* How many containers are found by this name on its node. */
static size_t same_named(const struct model *m, unsigned node, const char *name)
{
	size_t count = 0;

	for (unsigned i = 0; i < CONTAINERS; i++) {
		const struct model_container *c = &m->containers[i];

		count += c->exists && c->node == node &&
			 (strcmp(c->name, name) == 0 || strcmp(c->link, name) == 0);
	}
	return count;
}

static bool is_in(const struct container_set *set, const struct container *container)
{
	for (size_t i = 0; i < set->len; i++) {
		if (set->items[i] == container)
			return true;
	}
	return false;
}

/* Some part of a name that a container may have, or of a link. */
static void check_parts(struct model *m)
{
	struct container_set set = {.items = NULL};
	char name[16], text[32], part[32];
	size_t count = 0;
	unsigned from;

	random_name(m, name);
	snprintf(text, sizeof(text), "l%u/%s", roll(m, 4), name);
	from = roll(m, 4);
	snprintf(part, sizeof(part), "%.*s", (int)(1 + roll(m, 4)), text + from);
	assert_true(container_set_add_name_parts(&set, &m->fx->cluster, part));
	for (unsigned i = 0; i < CONTAINERS; i++) {
		const struct model_container *c = &m->containers[i];

		if (!c->exists)
			continue;
		assert_int_equal(
			is_in(&set, inventory_container_get(m->nodes[c->node].node, c->id)),
			has_part(c, part));
		count += strstr(c->name, part) ? same_named(m, c->node, c->name) : 0;
		count += strstr(c->link, part) ? same_named(m, c->node, c->link) : 0;
	}
	assert_int_equal(set.len, count);
	for (size_t i = 0; i < set.len; i++)
		assert_ptr_equal(set.items[i],
			inventory_container_get(set.items[i]->node, set.items[i]->view.id));
	m->seen.parts_many += set.len > 10;
	m->seen.parts_none += set.len == 0;
	container_set_free(&set);
}

/* What is kept for the lookup of parts follows the containers, and does not outgrow them. */
static void check_name_text(const struct model *m, unsigned index)
{
	const struct name_text *names = &m->nodes[index].node->inventory.names;
	size_t live = 0;

	for (unsigned i = 0; i < CONTAINERS; i++) {
		const struct model_container *c = &m->containers[i];

		if (!c->exists || c->node != index)
			continue;
		live += c->name[0] ? strlen(c->name) + 1 : 0;
		live += c->link[0] ? strlen(c->link) + 1 : 0;
	}
	assert_int_equal(names->len - names->dead, live);
	assert_true(2 * names->len <= 3 * live && 2 * names->cap <= 4 * live);
}

static void check_node(const struct model *m, unsigned index)
{
	const struct node *node = m->nodes[index].node;
	const struct node_view *view = node_view(node);
	size_t records = 0, views = 0, running = 0, paused = 0, len;
	int64_t memory = 0, cpus = 0, listed = 0;

	for (unsigned i = 0; i < CONTAINERS; i++) {
		const struct model_container *c = &m->containers[i];

		if (!c->exists || c->node != index)
			continue;
		records++;
		memory += c->memory;
		cpus += c->nano_cpus;
		running += strcmp(c->state, "running") == 0;
		paused += strcmp(c->state, "paused") == 0;
		assert_non_null(inventory_container_get(node, c->id));
	}
	views = records;
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		const struct model_reservation *r = &m->reservations[i];

		if (!r->reservation || !r->is_active || r->node != (int)index || is_covered(m, r))
			continue;
		views++;
		memory += r->memory;
	}
	node_containers(node, &len);
	assert_int_equal(len, records);
	assert_int_equal(view->containers_len, views);
	assert_int_equal(view->used_memory, memory);
	assert_int_equal(view->used_nano_cpus, cpus);
	for (size_t i = 0; i < view->containers_len; i++)
		listed += view->containers[i]->memory;
	assert_int_equal(listed, memory);
	assert_int_equal(node_running(node), running);
	assert_int_equal(node_paused(node), paused);
	assert_int_equal(node_stopped(node), records - running - paused);
}

static void check_totals(const struct model *m)
{
	struct cluster_totals want = {.nodes = 0}, have;

	for (unsigned i = 0; i < NODES; i++) {
		want.nodes += m->nodes[i].node != NULL;
		if (m->nodes[i].node && m->nodes[i].is_healthy) {
			want.nodes_healthy++;
			want.nano_cpus += node_view(m->nodes[i].node)->total_nano_cpus;
			want.memory += node_view(m->nodes[i].node)->total_memory;
		}
	}
	for (unsigned i = 0; i < CONTAINERS; i++) {
		const struct model_container *c = &m->containers[i];

		if (!c->exists)
			continue;
		want.containers++;
		if (strcmp(c->state, "running") == 0)
			want.running++;
		else if (strcmp(c->state, "paused") == 0)
			want.paused++;
		else
			want.stopped++;
	}
	for (unsigned image = 0; image < IMAGES; image++) {
		bool is_there = false;

		for (unsigned i = 0; i < NODES; i++)
			is_there |= m->nodes[i].node && m->nodes[i].is_healthy &&
				    m->nodes[i].has_image[image];
		want.images += is_there;
	}
	cluster_totals(&m->fx->cluster, &have);
	assert_memory_equal(&want, &have, sizeof(want));
}

static void check_orders(const struct model *m)
{
	const struct cursor_range everything = {CONTAINERS_ALL, INT64_MIN, INT64_MAX};
	struct node *const *nodes;
	struct cluster_totals totals;
	struct cursor *cursor;
	struct container *c, *last = NULL;
	size_t len, count = 0;

	nodes = cluster_nodes(&m->fx->cluster, &len);
	for (size_t i = 0; i + 1 < len; i++) {
		int cmp = str_natural_cmp(node_view(nodes[i])->name, node_view(nodes[i + 1])->name);

		assert_true(cmp < 0 || (cmp == 0 && str_natural_cmp(node_view(nodes[i])->addr,
							    node_view(nodes[i + 1])->addr) < 0));
	}
	cursor = cursor_new(&m->fx->cluster, &everything);
	while ((c = cursor_next(cursor))) {
		if (last) {
			assert_true(last->created >= c->created);
			if (last->created == c->created)
				assert_true(strcmp(last->view.id, c->view.id) <= 0);
		}
		last = c;
		count++;
	}
	cursor_free(cursor);
	cluster_totals(&m->fx->cluster, &totals);
	assert_int_equal(count, totals.containers);
}

/* ---- Steps ---- */

static void put(struct model *m, struct model_container *c)
{
	fixture_put(m->nodes[c->node].node, &(struct sketch){.id = c->id,
						    .swarm_id = c->swarm_id[0] ? c->swarm_id : NULL,
						    .name = c->name[0] ? c->name : NULL,
						    .link = c->link[0] ? c->link : NULL,
						    .state = c->state,
						    .memory = c->memory,
						    .nano_cpus = c->nano_cpus,
						    .created = c->created});
	c->exists = true;
}

static void random_body(struct model *m, struct model_container *c)
{
	static const char *const states[] = {"running", "running", "paused", "exited"};

	random_name(m, c->name);
	if (roll(m, 10) == 0)
		c->name[0] = '\0';
	c->link[0] = '\0';
	if (roll(m, 5) == 0)
		snprintf(c->link, sizeof(c->link), "l%u/c%u", roll(m, 4), roll(m, NAMES));
	c->state = states[roll(m, 4)];
	c->memory = roll(m, 1000);
	c->nano_cpus = (int64_t)roll(m, 4) * 500000000;
}

static void step_put(struct model *m)
{
	struct model_container *c = &m->containers[roll(m, CONTAINERS)];

	if (!c->exists) {
		c->node = roll(m, NODES);
		random_id(m, c->id);
		c->swarm_id[0] = '\0';
		if (roll(m, 2))
			random_id(m, c->swarm_id);
		c->created = roll(m, 50);
	}
	if (!m->nodes[c->node].node)
		return;
	random_body(m, c);
	put(m, c);
}

/* The whole container once more on another node, as a cloned machine has it. */
static void step_clone(struct model *m)
{
	const struct model_container *from = &m->containers[roll(m, CONTAINERS)];
	struct model_container *to = &m->containers[roll(m, CONTAINERS)];
	unsigned node = roll(m, NODES);

	if (!from->exists || to->exists || !m->nodes[node].node)
		return;
	for (unsigned i = 0; i < CONTAINERS; i++) {
		if (m->containers[i].exists && m->containers[i].node == node &&
			(strcmp(m->containers[i].id, from->id) == 0 ||
				strcmp(m->containers[i].swarm_id, from->swarm_id) == 0))
			return;
	}
	*to = *from;
	to->node = node;
	put(m, to);
}

static void step_remove(struct model *m)
{
	struct model_container *c = &m->containers[roll(m, CONTAINERS)];
	struct node *node = m->nodes[c->node].node;

	if (!node)
		return;
	if (c->id[0])
		assert_int_equal(inventory_container_remove(node, c->id), c->exists);
	c->exists = false;
}

static void step_reserve(struct model *m)
{
	struct model_reservation *r = &m->reservations[roll(m, RESERVATIONS)];
	unsigned node = roll(m, NODES);
	struct err err = ERR_INIT;
	struct container_view want = {
		.id = "", .swarm_id = r->swarm_id, .name = r->name, .image = "", .image_id = ""};

	if (r->reservation || !m->nodes[node].node)
		return;
	memset(r, 0, sizeof(*r));
	random_name(m, r->name);
	if (roll(m, 5) == 0)
		r->name[0] = '\0';
	random_id(m, r->swarm_id);
	r->node = (int)node;
	want.memory = r->memory = roll(m, 1000);
	r->reservation = cluster_reserve(&m->fx->cluster, m->nodes[node].node, &want, &err);
	r->is_active = false;
	if (r->name[0] && is_taken(m, r->name)) {
		assert_null(r->reservation);
		assert_int_equal(err.code, ERR_CONFLICT);
		return;
	}
	assert_non_null(r->reservation);
	r->is_active = true;
	r->deadline = m->fx->now_ms + RESERVATION_TTL_MS;
	m->seen.reserved++;
}

/* The engine made the container of a reservation, and says so before the request is answered. */
static void step_arrive(struct model *m)
{
	const struct model_reservation *r = &m->reservations[roll(m, RESERVATIONS)];
	struct model_container *c = &m->containers[roll(m, CONTAINERS)];

	if (!r->reservation || !r->is_active || c->exists || r->node < 0 || is_covered(m, r))
		return;
	random_body(m, c);
	c->node = (unsigned)r->node;
	random_id(m, c->id);
	memcpy(c->swarm_id, r->swarm_id, sizeof(c->swarm_id));
	memcpy(c->name, r->name, sizeof(c->name));
	c->created = roll(m, 50);
	put(m, c);
	m->seen.covered++;
}

static void step_settle(struct model *m)
{
	struct model_reservation *r = &m->reservations[roll(m, RESERVATIONS)];

	if (!r->reservation)
		return;
	if (roll(m, 2))
		reservation_commit(r->reservation);
	else
		reservation_cancel(r->reservation);
	r->reservation = NULL;
}

static void step_time(struct model *m)
{
	m->fx->now_ms += roll(m, RESERVATION_TTL_MS / 8);
	inventory_tick(&m->fx->cluster.inventory);
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		struct model_reservation *r = &m->reservations[i];

		if (!r->reservation || !r->is_active || r->deadline > m->fx->now_ms)
			continue;
		r->is_active = false;
		m->seen.expired++;
	}
}

static void node_come(struct model *m, unsigned index)
{
	struct model_node *n = &m->nodes[index];

	/* Names and engine IDs are unique here; clones of nodes have tests of their own. */
	snprintf(n->name, sizeof(n->name), "n%u", index);
	snprintf(n->addr, sizeof(n->addr), "10.%u.0.%u:2375", m->made / 250, m->made % 250);
	m->made++;
	n->node = fixture_node(m->fx, n->name, n->addr);
	n->is_healthy = true;
	memset(n->has_image, 0, sizeof(n->has_image));
}

static void node_go(struct model *m, unsigned index)
{
	inventory_node_remove(m->nodes[index].node);
	m->nodes[index].node = NULL;
	for (unsigned i = 0; i < CONTAINERS; i++)
		m->containers[i].exists &= m->containers[i].node != index;
	for (unsigned i = 0; i < RESERVATIONS; i++) {
		struct model_reservation *r = &m->reservations[i];

		if (!r->reservation || r->node != (int)index)
			continue;
		r->is_active = false;
		assert_null(reservation_node(r->reservation));
	}
}

static void step_node(struct model *m)
{
	unsigned index = roll(m, NODES);
	struct model_node *n = &m->nodes[index];

	if (!n->node) {
		node_come(m, index);
	} else if (roll(m, 6) == 0) {
		node_go(m, index);
	} else {
		n->is_healthy = !n->is_healthy;
		inventory_node_set_health(n->node, n->is_healthy);
	}
}

static void step_images(struct model *m)
{
	struct model_node *n = &m->nodes[roll(m, NODES)];
	CLEANUP_JSON json_t *answer = json_array();

	if (!n->node)
		return;
	for (unsigned i = 0; i < IMAGES; i++) {
		n->has_image[i] = roll(m, 3) == 0;
		if (n->has_image[i])
			json_array_append_new(answer,
				json_pack("{s:o, s:[o]}", "Id", json_sprintf("sha256:%064u", i),
					"RepoTags", json_sprintf("image%u:latest", i)));
	}
	assert_int_equal(inventory_images_replace(n->node, fixture_ref(answer), NULL, NULL), 0);
}

static void check_images(struct model *m)
{
	unsigned image = roll(m, IMAGES), holders = 0;
	struct image **found;
	char name[16];
	size_t len;

	for (unsigned i = 0; i < NODES; i++)
		holders += m->nodes[i].node && m->nodes[i].has_image[image];
	snprintf(name, sizeof(name), "image%u", image);
	found = cluster_images_find(&m->fx->cluster, name, &len);
	assert_int_equal(len, holders);
	for (size_t i = 0; i + 1 < len; i++)
		assert_true(node_view(found[i]->node)->is_healthy ||
			    !node_view(found[i + 1]->node)->is_healthy);
	free(found);
}

static void step(struct model *m)
{
	unsigned which = roll(m, 100);

	if (which < 35)
		step_put(m);
	else if (which < 38)
		step_clone(m);
	else if (which < 53)
		step_remove(m);
	else if (which < 68)
		step_reserve(m);
	else if (which < 80)
		step_arrive(m);
	else if (which < 88)
		step_settle(m);
	else if (which < 91)
		step_time(m);
	else if (which < 94)
		step_node(m);
	else
		step_images(m);
}

static void test_histories(void **state)
{
	struct model *m = xcalloc(1, sizeof(*m));

	(void)state;
	m->fx = fixture_new(0.05);
	m->dice = 20160301;
	for (unsigned i = 0; i < NODES; i++)
		node_come(m, i);
	for (unsigned i = 0; i < STEPS; i++) {
		step(m);
		check_totals(m);
		check_random_keys(m);
		check_name(m);
		check_parts(m);
		check_images(m);
		if (i % 20 == 0) {
			for (unsigned node = 0; node < NODES; node++) {
				if (!m->nodes[node].node)
					continue;
				check_node(m, node);
				check_name_text(m, node);
			}
			check_orders(m);
		}
		inventory_sweep(&m->fx->cluster.inventory);
	}
	/* The history was rich enough to tell anything. */
	assert_true(m->seen.conflicts > 1000 && m->seen.reserved > 500);
	assert_true(m->seen.ambiguous > 1000 && m->seen.found > 10000 && m->seen.missing > 1000);
	assert_true(m->seen.covered > 200 && m->seen.expired > 20);
	assert_true(m->seen.parts_many > 1000 && m->seen.parts_none > 1000);
	for (unsigned i = 0; i < RESERVATIONS; i++)
		reservation_cancel(m->reservations[i].reservation);
	fixture_free(m->fx);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};

	return cmocka_run_group_tests_name("cluster model", tests, NULL, NULL);
}
