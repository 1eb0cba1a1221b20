/* Cursors over the containers of a cluster, against a plain record of what they had to give: random
 * histories with a fixed seed, during which several cursors go on at their own pace. */
#include "cluster/record.h"
#include "lib/mem.h"
#include "tests/unit/cluster_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 60000
#define NODES 5
#define PLACES 60 /* a container may be at each, on each node */
#define CURSORS 6

struct place {
	struct node *node;
	char digits[8];
	const char *state; /* NULL = no container */
	int64_t created;
	/* Of each cursor: how often it was given, and whether it was in its range all the time. */
	unsigned given[CURSORS];
	bool was_in[CURSORS];
};

struct walk {
	struct cursor *cursor;
	struct cursor_range range;
	int64_t last; /* created */
};

struct history {
	struct fixture *fx;
	uint64_t dice;
	struct node *nodes[NODES];
	struct place places[NODES][PLACES];
	struct walk walks[CURSORS];
	unsigned finished, refined, moved;
};

static unsigned roll(struct history *h, unsigned bound)
{
	h->dice = h->dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(h->dice >> 33) % bound;
}

static bool is_in(const struct place *place, const struct cursor_range *range)
{
	return place->state != NULL && range->states & 1u << container_state_number(place->state) &&
	       place->created >= range->oldest && place->created <= range->newest;
}

/* Whatever happens to a container, who was not in the range at some moment need not be given. */
static void note(struct history *h, struct place *place)
{
	for (unsigned i = 0; i < CURSORS; i++)
		place->was_in[i] = place->was_in[i] && is_in(place, &h->walks[i].range);
}

static void start(struct history *h, unsigned number)
{
	struct walk *walk = &h->walks[number];

	walk->range = (struct cursor_range){
		.states = roll(h, 2) ? CONTAINERS_ALL : 1 + roll(h, CONTAINERS_ALL),
		.oldest = roll(h, 2) ? INT64_MIN : (int64_t)roll(h, 15),
		.newest = roll(h, 2) ? INT64_MAX : (int64_t)roll(h, 25),
	};
	walk->last = INT64_MAX;
	walk->cursor = cursor_new(&h->fx->cluster, &walk->range);
	for (unsigned n = 0; n < NODES; n++) {
		for (unsigned i = 0; i < PLACES; i++) {
			struct place *place = &h->places[n][i];

			place->given[number] = 0;
			place->was_in[number] = is_in(place, &walk->range);
		}
	}
}

static void finish(struct history *h, unsigned number)
{
	struct walk *walk = &h->walks[number];

	for (unsigned n = 0; n < NODES; n++) {
		for (unsigned i = 0; i < PLACES; i++) {
			const struct place *place = &h->places[n][i];

			if (place->was_in[number])
				assert_int_equal(place->given[number], 1);
		}
	}
	cursor_free(walk->cursor);
	h->finished++;
	start(h, number);
}

static struct place *place_of(struct history *h, const struct container *c)
{
	for (unsigned n = 0; n < NODES; n++) {
		for (unsigned i = 0; i < PLACES && h->nodes[n] == c->node; i++) {
			struct place *place = &h->places[n][i];

			if (strncmp(c->view.id, place->digits, strlen(place->digits)) == 0)
				return place;
		}
	}
	fail_msg("a container that there is not");
	abort();
}

static void go_on(struct history *h, unsigned number)
{
	struct walk *walk = &h->walks[number];

	for (unsigned i = roll(h, 40); i > 0; i--) {
		const struct container *c = cursor_next(walk->cursor);
		struct place *place;

		if (c == NULL) {
			finish(h, number);
			return;
		}
		place = place_of(h, c);
		assert_true(is_in(place, &walk->range));
		assert_true(c->created <= walk->last);
		walk->last = c->created;
		assert_int_equal(place->given[number]++, 0);
	}
}

/* The container of this place, which was not there, or the one that is there in another state, or
 * with its time told better. */
static void put(struct history *h, struct place *place)
{
	static const char *const states[] = {"running", "paused", "exited"};
	struct container *c;
	struct container_record *record;

	h->moved += place->state != NULL;
	place->state = states[roll(h, 3)];
	c = fixture_container(place->node,
		&(struct sketch){
			.id = place->digits, .state = place->state, .created = place->created});
	place->state = c->state;
	record = container_record(c);
	if (roll(h, 3) == 0) {
		record->created_ns += roll(h, 1000000000);
		h->refined++;
	}
	inventory_container_put(c);
	note(h, place);
}

static void drop(struct history *h, struct place *place)
{
	inventory_container_remove(place->node, fixture_id(place->digits));
	place->state = NULL;
	note(h, place);
	/* One that comes again is another. */
	memset(place->given, 0, sizeof(place->given));
}

static void step(struct history *h)
{
	struct place *place = &h->places[roll(h, NODES)][roll(h, PLACES)];

	switch (roll(h, 8)) {
	case 0:
	case 1:
	case 2:
		put(h, place);
		break;
	case 3:
		drop(h, place);
		break;
	case 4:
		inventory_sweep(&h->fx->cluster.inventory);
		break;
	default:
		go_on(h, roll(h, CURSORS));
	}
}

static void test_any_history(void **state)
{
	struct history *h = xcalloc(1, sizeof(*h));

	(void)state;
	h->fx = fixture_new(0);
	h->dice = 7;
	for (unsigned n = 0; n < NODES; n++) {
		char name[16], addr[32];

		snprintf(name, sizeof(name), "n%u", n);
		snprintf(addr, sizeof(addr), "10.0.0.%u:2375", n);
		h->nodes[n] = fixture_node(h->fx, name, addr);
		/* The same containers on all nodes, as cloned machines have them. */
		for (unsigned i = 0; i < PLACES; i++) {
			h->places[n][i].node = h->nodes[n];
			h->places[n][i].created = i / 3;
			snprintf(
				h->places[n][i].digits, sizeof(h->places[n][i].digits), "%02xf", i);
		}
	}
	for (unsigned i = 0; i < CURSORS; i++)
		start(h, i);
	for (unsigned i = 0; i < STEPS; i++)
		step(h);
	assert_in_range(h->finished, 100, UINT32_MAX);
	assert_in_range(h->refined, 1000, UINT32_MAX);
	assert_in_range(h->moved, 1000, UINT32_MAX);
	for (unsigned i = 0; i < CURSORS; i++)
		cursor_free(h->walks[i].cursor);
	fixture_free(h->fx);
	free(h);
}

/* Once no list is under way, the order is that of the times as they are told last. */
static void test_order_is_told_anew(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	const struct cursor_range all = {CONTAINERS_ALL, INT64_MIN, INT64_MAX};
	struct cursor *cursor = cursor_new(&fx->cluster, &all);

	(void)state;
	fixture_put(node, &(struct sketch){.id = "a", .created = 5});
	fixture_put(node, &(struct sketch){.id = "b", .created = 5});
	assert_string_equal(cursor_next(cursor)->view.id, fixture_id("a"));
	for (int i = 0; i < 2; i++) {
		struct container *b =
			fixture_container(node, &(struct sketch){.id = "b", .created = 5});

		container_record(b)->created_ns += 1;
		inventory_container_put(b);
		if (i == 0) {
			assert_string_equal(cursor_next(cursor)->view.id, fixture_id("b"));
			assert_null(cursor_next(cursor));
			cursor_free(cursor);
		}
	}
	cursor = cursor_new(&fx->cluster, &all);
	assert_string_equal(cursor_next(cursor)->view.id, fixture_id("b"));
	cursor_rewind(cursor);
	assert_string_equal(cursor_next(cursor)->view.id, fixture_id("b"));
	assert_string_equal(cursor_next(cursor)->view.id, fixture_id("a"));
	cursor_free(cursor);
	fixture_free(fx);
}

/* A node that goes takes its containers with it, whoever is passing them. */
static void test_node_goes(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	const struct cursor_range all = {CONTAINERS_ALL, INT64_MIN, INT64_MAX};
	struct cursor *cursor = cursor_new(&fx->cluster, &all);

	(void)state;
	fixture_put(one, &(struct sketch){.id = "a", .created = 9});
	fixture_put(two, &(struct sketch){.id = "b", .created = 8});
	fixture_put(one, &(struct sketch){.id = "c", .created = 7});
	fixture_put(two, &(struct sketch){.id = "d", .created = 6});
	assert_string_equal(cursor_next(cursor)->view.id, fixture_id("a"));
	inventory_node_remove(one);
	inventory_sweep(&fx->cluster.inventory);
	assert_string_equal(cursor_next(cursor)->view.id, fixture_id("b"));
	assert_string_equal(cursor_next(cursor)->view.id, fixture_id("d"));
	assert_null(cursor_next(cursor));
	cursor_free(cursor);
	fixture_free(fx);
}

static void test_sets(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	struct container_set set = {.items = NULL};
	struct cursor *cursor;

	(void)state;
	fixture_put(one, &(struct sketch){.id = "a1", .name = "web", .created = 1});
	fixture_put(
		two, &(struct sketch){.id = "a2", .swarm_id = "a2", .name = "web2", .created = 3});
	fixture_put(two, &(struct sketch){.id = "b", .name = "db", .link = "web/db", .created = 2});
	assert_true(container_set_add_ids(&set, &fx->cluster, "a"));
	assert_int_equal(set.len, 3); /* one by both of its IDs */
	assert_true(container_set_add_names(&set, &fx->cluster, "web", true));
	assert_int_equal(set.len, 4);
	assert_true(container_set_add_names(&set, &fx->cluster, "web", false));
	assert_int_equal(set.len, 7);
	assert_true(container_set_add_node(&set, &fx->cluster, "10.0.0.2:2375"));
	assert_int_equal(set.len, 9);
	/* "web2"; "db" and "web/db". */
	assert_true(container_set_add_name_parts(&set, &fx->cluster, "eb2"));
	assert_int_equal(set.len, 10);
	assert_true(container_set_add_name_parts(&set, &fx->cluster, "db"));
	assert_int_equal(set.len, 12);
	assert_true(container_set_add_name_parts(&set, &fx->cluster, "web2d"));
	assert_int_equal(set.len, 12);
	assert_true(container_set_add_node(&set, &fx->cluster, "n3"));
	assert_true(container_set_add_labelled(&set, &fx->cluster, "tier", NULL));
	assert_int_equal(set.len, 12);
	/* Of this one not every value is in the index. */
	assert_false(container_set_add_labelled(&set, &fx->cluster, "com.docker.swarm.id", NULL));
	cursor = cursor_new_of(&fx->cluster, &set);
	assert_int_equal(set.len, 0);
	/* It keeps what it was given. */
	inventory_node_remove(two);
	inventory_sweep(&fx->cluster.inventory);
	assert_string_equal(cursor_next(cursor)->view.name, "web2");
	assert_string_equal(cursor_next(cursor)->view.name, "db");
	assert_string_equal(cursor_next(cursor)->view.name, "web");
	assert_null(cursor_next(cursor));
	cursor_free(cursor);
	fixture_free(fx);
}

static const char *numbered(unsigned number)
{
	char digits[16];

	snprintf(digits, sizeof(digits), "%04x", number);
	return fixture_id(digits);
}

/* As many names as a container may have, of as many bytes: "/app/0007-0511xxx...". */
static void put_long_names(struct node *node, unsigned number)
{
	json_t *names = json_array();
	json_t *entry CLEANUP_JSON = json_pack(
		"{s:s, s:s, s:o}", "Id", numbered(number), "State", "running", "Names", names);
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < INVENTORY_LIST_MAX; i++) {
		char name[INVENTORY_NAME_MAX + 1];

		memset(name, 'x', INVENTORY_NAME_MAX);
		name[snprintf(name, 32, "/app/%04u-%04u", number, i)] = 'x';
		name[INVENTORY_NAME_MAX] = '\0';
		json_array_append_new(names, json_string(name));
	}
	inventory_container_put(fixture_record(node, entry, NULL, &err));
}

static size_t found_of(struct fixture *fx, const char *part)
{
	struct container_set set = {.items = NULL};
	size_t len = SIZE_MAX;

	if (container_set_add_name_parts(&set, &fx->cluster, part))
		len = set.len;
	container_set_free(&set);
	return len;
}

/* What an engine can make the manager keep, and a client search in, has a bound; beyond it parts of
 * names are not known, and they are again when there is room. */
static void test_more_names_than_there_is_room_for(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	const struct name_text *names = &node->inventory.names;
	struct container_set set = {.items = NULL};
	unsigned count = 0, gone = 0;

	(void)state;
	while (names->left_out < 3 && count < 1000)
		put_long_names(node, count++);
	assert_in_range(names->len, 15 * 1024 * 1024, 16 * 1024 * 1024);
	assert_int_equal(found_of(fx, "0000-0"), SIZE_MAX);
	/* One that has no place goes, then those that have one, until the others find room. */
	assert_true(inventory_container_remove(node, numbered(--count)));
	assert_int_equal(names->left_out, 2);
	while (names->left_out > 0)
		assert_true(inventory_container_remove(node, numbered(gone++)));
	inventory_sweep(&fx->cluster.inventory);
	assert_int_equal(found_of(fx, "0000-0"), 0);
	assert_int_equal(found_of(fx, "-0511x"), count - gone);
	assert_int_equal(found_of(fx, "xxx"), SIZE_MAX);
	while (container_set_add_name_parts(&set, &fx->cluster, "nosuch"))
		assert_true(set.searched <= CONTAINER_SET_SEARCH_MAX);
	assert_in_range(
		set.searched, CONTAINER_SET_SEARCH_MAX, CONTAINER_SET_SEARCH_MAX + names->len);
	container_set_free(&set);
	while (gone < count)
		assert_true(inventory_container_remove(node, numbered(--count)));
	assert_null(names->text);
	assert_int_equal(names->len + names->cap, 0);
	fixture_free(fx);
}

/* Too many to be found one by one, of one name or of several. */
static void test_many_of_a_name(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container_set set = {.items = NULL};

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		fixture_put(node,
			&(struct sketch){.id = numbered(i), .name = name, .link = "app/alias"});
	}
	assert_true(container_set_add_name_parts(&set, &fx->cluster, "c9"));
	assert_int_equal(set.len, 11);
	/* Each of them by each of them. */
	assert_false(container_set_add_name_parts(&set, &fx->cluster, "alias"));
	assert_int_equal(set.len, CONTAINER_SET_MAX);
	container_set_free(&set);
	fixture_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_history),
		cmocka_unit_test(test_order_is_told_anew),
		cmocka_unit_test(test_node_goes),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_more_names_than_there_is_room_for),
		cmocka_unit_test(test_many_of_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
