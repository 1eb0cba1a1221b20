/* Nodes, lookups, reservations and exec instances, case by case. */
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

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *found_name(const struct fixture *fx, const char *key)
{
	struct err err = ERR_INIT;
	const struct container *container = cluster_container_find(&fx->cluster, key, &err);

	if (container)
		return container->view.name;
	return err.code == ERR_NOT_FOUND ? "none" : err.code == ERR_INVALID ? "many" : "?";
}

/* ---- Nodes ---- */

static void test_node_order(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *const *nodes;
	struct node *ten, *two, *clone;
	size_t len;

	(void)state;
	ten = fixture_node(fx, "node10", "10.0.0.1:2375");
	two = fixture_node(fx, "node2", "10.0.0.20:2375");
	clone = fixture_node(fx, "node2", "10.0.0.3:2375");
	nodes = cluster_nodes(&fx->cluster, &len);
	assert_int_equal(len, 3);
	assert_ptr_equal(nodes[0], clone);
	assert_ptr_equal(nodes[1], two);
	assert_ptr_equal(nodes[2], ten);
	fixture_identify(ten, "E-1", "a");
	nodes = cluster_nodes(&fx->cluster, &len);
	assert_ptr_equal(nodes[0], ten);
	inventory_node_remove(clone);
	nodes = cluster_nodes(&fx->cluster, &len);
	assert_int_equal(len, 2);
	assert_ptr_equal(nodes[1], two);
	fixture_free(fx);
}

static void test_node_find(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	struct node *pending = inventory_node_new(&fx->cluster, "[::1]:2375");

	(void)state;
	assert_ptr_equal(cluster_node_find(&fx->cluster, "n1"), one);
	assert_ptr_equal(cluster_node_find(&fx->cluster, "E-n2"), two);
	assert_ptr_equal(cluster_node_find(&fx->cluster, "E-n2|10.0.0.2:2375"), two);
	assert_ptr_equal(cluster_node_find(&fx->cluster, "10.0.0.1:2375"), one);
	assert_ptr_equal(cluster_node_find(&fx->cluster, "[::1]:2375"), pending);
	assert_string_equal(node_ip(pending), "::1");
	assert_string_equal(node_view(pending)->name, "(unknown)");
	assert_null(cluster_node_find(&fx->cluster, "(unknown)"));
	assert_null(cluster_node_find(&fx->cluster, ""));
	assert_null(cluster_node_find(&fx->cluster, "n"));
	/* A cloned machine: name and engine ID no longer tell which, the rest does. */
	fixture_identify(two, "E-n1", "n1");
	assert_null(cluster_node_find(&fx->cluster, "n1"));
	assert_null(cluster_node_find(&fx->cluster, "E-n1"));
	assert_ptr_equal(cluster_node_find(&fx->cluster, "E-n1|10.0.0.2:2375"), two);
	fixture_identify(two, "E-n2", "n2");
	assert_ptr_equal(cluster_node_find(&fx->cluster, "n1"), one);
	fixture_free(fx);
}

static void test_node_totals(void **state)
{
	struct fixture *fx = fixture_new(0.05);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct inventory_identity wild = {
		.engine_id = "E", .name = "n1", .ncpu = INT64_MAX, .memory = INT64_MAX};
	struct inventory_identity odd = {
		.engine_id = "E", .name = "", .ncpu = INT64_MIN, .memory = -1};
	struct cluster_totals totals;

	(void)state;
	assert_int_equal(node_view(node)->total_nano_cpus, 4200000000);
	assert_int_equal(node_view(node)->total_memory, (int64_t)(8.4 * (1 << 30)));
	cluster_totals(&fx->cluster, &totals);
	assert_int_equal(totals.nodes_healthy, 1);
	assert_int_equal(totals.nano_cpus, 4200000000);
	inventory_node_set_identity(node, &wild);
	cluster_totals(&fx->cluster, &totals);
	assert_true(totals.memory > 0 && totals.memory < INT64_MAX / 16384);
	inventory_node_set_identity(node, &odd);
	assert_string_equal(node_view(node)->name, "(unknown)");
	fixture_identify(node, "E", "a/b");
	assert_string_equal(node_view(node)->name, "(unknown)");
	fixture_identify(node, "E", "a\nb");
	assert_string_equal(node_view(node)->name, "(unknown)");
	inventory_node_set_health(node, false);
	cluster_totals(&fx->cluster, &totals);
	assert_int_equal(totals.nodes, 1);
	assert_int_equal(totals.nodes_healthy, 0);
	assert_int_equal(totals.nano_cpus, 0);
	assert_int_equal(totals.memory, 0);
	fixture_free(fx);
}

static void test_node_labels(void **state)
{
	static const struct view_label labels[] = {
		{"zone", "b"}, {"disk", "ssd"}, {"zone", "a"}, {"Rack", "1"}, {"disk", "hdd"}};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct inventory_identity identity = {.engine_id = "E",
		.name = "n1",
		.labels = labels,
		.labels_len = COUNT(labels),
		.ncpu = 1,
		.memory = 1};
	const struct view_labels *kept = &node_view(node)->labels;

	(void)state;
	inventory_node_set_identity(node, &identity);
	assert_int_equal(kept->len, 3);
	assert_string_equal(kept->items[0].key, "Rack");
	assert_string_equal(kept->items[1].key, "disk");
	assert_string_equal(kept->items[1].value, "hdd");
	assert_string_equal(kept->items[2].value, "a");
	fixture_free(fx);
}

/* ---- Containers ---- */

static void test_lookup_forms(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2.example.org", "10.0.0.2:2375");

	(void)state;
	fixture_put(one, &(struct sketch){.id = "abc123", .swarm_id = "5a", .name = "web"});
	fixture_put(one, &(struct sketch){.id = "abd", .swarm_id = "5b", .name = "db"});
	fixture_put(two, &(struct sketch){.id = "fff", .name = "app", .link = "n1/alias"});
	assert_string_equal(found_name(fx, fixture_id("abc123")), "web");
	assert_string_equal(found_name(fx, "abc123000000"), "web");
	assert_string_equal(found_name(fx, fixture_id("5b")), "db");
	assert_string_equal(found_name(fx, "5b0000000000"), "db");
	assert_string_equal(found_name(fx, "web"), "web");
	assert_string_equal(found_name(fx, "/web"), "web");
	assert_string_equal(found_name(fx, "n1/web"), "web");
	assert_string_equal(found_name(fx, "/n1/web"), "web");
	assert_string_equal(found_name(fx, "E-n1/web"), "web");
	assert_string_equal(found_name(fx, "n2.example.org/app"), "app");
	assert_string_equal(found_name(fx, "n1/app"), "none");
	assert_string_equal(found_name(fx, "n2/app"), "none");
	assert_string_equal(found_name(fx, "n1/alias"), "app");
	assert_string_equal(found_name(fx, "abc"), "web");
	assert_string_equal(found_name(fx, "ab"), "many");
	assert_string_equal(found_name(fx, "5"), "many");
	assert_string_equal(found_name(fx, "5a"), "web");
	assert_string_equal(found_name(fx, "AB"), "none");
	assert_string_equal(found_name(fx, "we"), "none");
	assert_string_equal(found_name(fx, ""), "none");
	/* Both IDs of one container begin alike: it is still one. */
	fixture_put(two, &(struct sketch){.id = "77a", .swarm_id = "77b", .name = "both"});
	assert_string_equal(found_name(fx, "77"), "both");
	/* A full or short ID comes before a name that looks like it. */
	fixture_put(two, &(struct sketch){.id = "e1", .name = "abc123000000"});
	assert_string_equal(found_name(fx, "abc123000000"), "web");
	assert_string_equal(found_name(fx, "/abc123000000"), "abc123000000");
	/* A name comes before an ID that it happens to begin. */
	fixture_put(two, &(struct sketch){.id = "e0", .name = "77a"});
	assert_string_equal(found_name(fx, "77a"), "77a");
	fixture_free(fx);
}

static void test_lookup_ambiguous(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct err err = ERR_INIT;
	char addr[32], name[16], id[16];

	(void)state;
	for (int i = 0; i < 15; i++) {
		snprintf(addr, sizeof(addr), "10.0.0.%d:2375", i + 1);
		snprintf(name, sizeof(name), "n%d", i + 1);
		snprintf(id, sizeof(id), "a%x", i);
		fixture_put(
			fixture_node(fx, name, addr), &(struct sketch){.id = id, .name = "agent"});
	}
	assert_null(cluster_container_find(&fx->cluster, "agent", &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.msg, "n1/agent (a00000000000)"));
	assert_non_null(strstr(err.msg, "n10/agent (a90000000000)"));
	assert_null(strstr(err.msg, "n11/agent"));
	assert_non_null(strstr(err.msg, "and others"));
	assert_string_equal(found_name(fx, "n7/agent"), "agent");
	/* The same container on a cloned machine: only the name with its node tells them apart. */
	fixture_put(cluster_node_find(&fx->cluster, "n1"),
		&(struct sketch){.id = "c1", .name = "twin"});
	fixture_put(cluster_node_find(&fx->cluster, "n2"),
		&(struct sketch){.id = "c1", .name = "twin"});
	assert_string_equal(found_name(fx, fixture_id("c1")), "many");
	assert_string_equal(found_name(fx, "n2/twin"), "twin");
	fixture_free(fx);
}

static void test_lookup_hostile_keys(void **state)
{
	static const char *const keys[] = {"/", "//", "///", "n1/", "/n1/", "n1//web", "%s%n%n%n",
		"..", "../web", "web/", "web/../web", "\x01\xff\x7f", "n1/%2e%2e", "|", "E-n1|"};
	struct fixture *fx = fixture_new(0);
	struct err err = ERR_INIT;
	char big[4097];

	(void)state;
	fixture_put(fixture_node(fx, "n1", "10.0.0.1:2375"),
		&(struct sketch){.id = "1", .name = "web"});
	for (size_t i = 0; i < COUNT(keys); i++) {
		assert_string_equal(found_name(fx, keys[i]), "none");
		assert_null(cluster_network_find(&fx->cluster, keys[i], &err));
		assert_null(cluster_volume_find(&fx->cluster, keys[i], &err));
	}
	for (int c = 1; c < 256; c++) {
		memset(big, c, sizeof(big) - 1);
		big[sizeof(big) - 1] = '\0';
		assert_string_equal(found_name(fx, big), "none");
	}
	fixture_free(fx);
}

static void test_replace_and_rename(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container *old, *held;
	struct cluster_totals totals;

	(void)state;
	fixture_put(node, &(struct sketch){.id = "1", .name = "old", .memory = 100});
	old = inventory_container_get(node, fixture_id("1"));
	held = container_ref(old);
	fixture_put(
		node, &(struct sketch){.id = "1", .name = "new", .memory = 70, .state = "exited"});
	/* Borrowed until the end of the turn, held for as long as wanted. */
	assert_string_equal(old->view.name, "old");
	inventory_sweep(&fx->cluster.inventory);
	assert_string_equal(held->view.name, "old");
	assert_ptr_equal(held->node, node);
	assert_string_equal(found_name(fx, "old"), "none");
	assert_string_equal(found_name(fx, "new"), "new");
	assert_int_equal(node_view(node)->used_memory, 70);
	assert_int_equal(node_view(node)->containers_len, 1);
	cluster_totals(&fx->cluster, &totals);
	assert_int_equal(totals.containers, 1);
	assert_int_equal(totals.running, 0);
	assert_int_equal(totals.stopped, 1);
	assert_int_equal(node_stopped(node), 1);
	/* A held record outlives its node. */
	inventory_node_remove(node);
	inventory_sweep(&fx->cluster.inventory);
	assert_string_equal(held->node->inventory.view.name, "n1");
	container_unref(held);
	fixture_free(fx);
}

static void test_prune(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *other = fixture_node(fx, "n2", "10.0.0.2:2375");
	uint64_t asked_at;

	(void)state;
	fixture_put(node, &(struct sketch){.id = "1", .name = "gone"});
	fixture_put(node, &(struct sketch){.id = "2", .name = "there"});
	fixture_put(other, &(struct sketch){.id = "3", .name = "elsewhere"});
	asked_at = inventory_ask(&fx->cluster.inventory);
	inventory_container_listed(inventory_container_get(node, fixture_id("2")), asked_at);
	/* Made after the engine was asked: its answer does not know it. */
	fixture_put(node, &(struct sketch){.id = "4", .name = "young"});
	assert_int_equal(inventory_containers_prune(node, asked_at), 1);
	assert_string_equal(found_name(fx, "gone"), "none");
	assert_string_equal(found_name(fx, "there"), "there");
	assert_string_equal(found_name(fx, "young"), "young");
	assert_string_equal(found_name(fx, "elsewhere"), "elsewhere");
	/* The next list holds nothing, though nothing was put since the last one. */
	asked_at = inventory_ask(&fx->cluster.inventory);
	inventory_container_listed(inventory_container_get(node, fixture_id("4")), asked_at);
	assert_int_equal(
		inventory_containers_prune(node, inventory_ask(&fx->cluster.inventory)), 2);
	fixture_free(fx);
}

static void test_age_order(void **state)
{
	static const char *const order[] = {"d", "b", "c", "a"};
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct cursor *cursor = cursor_new(
		&fx->cluster, &(struct cursor_range){CONTAINERS_ALL, INT64_MIN, INT64_MAX});
	struct container *all[COUNT(order) + 1];
	size_t len = 0;

	(void)state;
	fixture_put(node, &(struct sketch){.id = "9", .name = "a", .created = 100});
	fixture_put(node, &(struct sketch){.id = "5", .name = "c", .created = 200});
	fixture_put(node, &(struct sketch){.id = "4", .name = "b", .created = 200});
	fixture_put(node, &(struct sketch){.id = "7", .name = "d", .created = 300});
	while (len < COUNT(all) && (all[len] = cursor_next(cursor)))
		len++;
	assert_int_equal(len, COUNT(order));
	for (size_t i = 0; i < len; i++)
		assert_string_equal(all[i]->view.name, order[i]);
	/* The comparison that filters use knows the same order, and parts of a second. */
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(container_age_cmp(all[i], all[i]), 0);
		for (size_t k = i + 1; k < len; k++) {
			assert_true(container_age_cmp(all[i], all[k]) > 0);
			assert_true(container_age_cmp(all[k], all[i]) < 0);
		}
	}
	((struct container_record *)all[2])->created_ns += 1;
	assert_true(container_age_cmp(all[2], all[1]) > 0);
	cursor_free(cursor);
	fixture_free(fx);
}

/* ---- Reservations ---- */

static struct container_view want(const char *name, const char *swarm_id)
{
	return (struct container_view){.id = "",
		.swarm_id = swarm_id,
		.name = name,
		.image = "busybox",
		.image_id = "",
		.nano_cpus = 1000000000,
		.memory = 100};
}

static void test_reserve(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	struct view_port port = {.ip = "", .port = 80, .protocol = "tcp"};
	struct container_view web = want("web", "");
	struct err err = ERR_INIT;
	struct reservation *first, *second;

	(void)state;
	web.ports = &port;
	web.ports_len = 1;
	first = cluster_reserve(&fx->cluster, one, &web, &err);
	assert_non_null(first);
	port.port = 1; /* a copy was taken */
	assert_ptr_equal(reservation_node(first), one);
	assert_int_equal(node_view(one)->containers_len, 1);
	assert_int_equal(node_view(one)->containers[0]->ports[0].port, 80);
	assert_int_equal(node_view(one)->used_memory, 100);
	assert_null(cluster_reserve(&fx->cluster, two, &web, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	assert_string_equal(err.msg,
		"Conflict: The name web is already assigned. You have to delete (or rename) that "
		"container to be able to assign web to a container again.");
	assert_null(cluster_reserve_name(&fx->cluster, "web", &err));
	assert_null(cluster_reserve_name(&fx->cluster, "/web", &err));
	reservation_cancel(first);
	assert_int_equal(node_view(one)->containers_len, 0);
	assert_int_equal(node_view(one)->used_nano_cpus, 0);
	second = cluster_reserve_name(&fx->cluster, "web", &err);
	assert_non_null(second);
	assert_null(reservation_node(second));
	reservation_commit(second);
	/* Names of unhealthy nodes' containers are taken too. */
	fixture_put(two, &(struct sketch){.id = "1", .name = "web"});
	inventory_node_set_health(two, false);
	assert_null(cluster_reserve(&fx->cluster, one, &web, &err));
	assert_int_equal(err.code, ERR_CONFLICT);
	/* Without a name nothing can clash. */
	web.name = "";
	first = cluster_reserve(&fx->cluster, one, &web, &err);
	second = cluster_reserve(&fx->cluster, one, &web, &err);
	assert_non_null(first);
	assert_non_null(second);
	assert_int_equal(node_view(one)->containers_len, 2);
	reservation_cancel(first);
	reservation_cancel(second);
	reservation_cancel(NULL);
	fixture_free(fx);
}

/* From the engine's event until the commit, record and reservation are one. */
static void test_reserve_then_record(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container_view web = want("web", "");
	struct sketch real = {.id = "1", .swarm_id = "5", .name = "web", .memory = 120};
	struct reservation *reservation;
	struct err err = ERR_INIT;

	(void)state;
	web.swarm_id = fixture_id("5");
	reservation = cluster_reserve(&fx->cluster, node, &web, &err);
	assert_non_null(reservation);
	fixture_put(node, &real);
	assert_int_equal(node_view(node)->containers_len, 1);
	assert_int_equal(node_view(node)->used_memory, 120);
	assert_null(cluster_reserve_name(&fx->cluster, "web", &err));
	/* The start event replaces the record. */
	fixture_put(node, &real);
	assert_int_equal(node_view(node)->containers_len, 1);
	/* Removed before the commit: what was promised counts again. */
	assert_true(inventory_container_remove(node, fixture_id("1")));
	assert_int_equal(node_view(node)->containers_len, 1);
	assert_int_equal(node_view(node)->used_memory, 100);
	assert_null(cluster_reserve_name(&fx->cluster, "web", &err));
	fixture_put(node, &real);
	reservation_commit(reservation);
	assert_int_equal(node_view(node)->containers_len, 1);
	assert_int_equal(node_view(node)->used_memory, 120);
	assert_null(cluster_reserve_name(&fx->cluster, "web", &err));
	assert_true(inventory_container_remove(node, fixture_id("1")));
	assert_int_equal(node_view(node)->used_memory, 0);
	/* The record first, the reservation of a second attempt after it. */
	fixture_put(node, &(struct sketch){.id = "2", .swarm_id = "6", .memory = 50});
	web.swarm_id = fixture_id("6");
	reservation = cluster_reserve(&fx->cluster, node, &web, &err);
	assert_int_equal(node_view(node)->used_memory, 50);
	reservation_cancel(reservation);
	assert_int_equal(node_view(node)->used_memory, 50);
	fixture_free(fx);
}

static void test_reserve_ends(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *two = fixture_node(fx, "n2", "10.0.0.2:2375");
	struct container_view a = want("a", ""), b = want("b", ""), c = want("c", "");
	struct err err = ERR_INIT;
	struct reservation *first = cluster_reserve(&fx->cluster, one, &a, &err), *second, *third;

	(void)state;
	fx->now_ms += RESERVATION_TTL_MS / 2;
	second = cluster_reserve(&fx->cluster, two, &b, &err);
	fx->now_ms += RESERVATION_TTL_MS / 2 - 1;
	inventory_tick(&fx->cluster.inventory);
	assert_int_equal(node_view(one)->containers_len, 1);
	fx->now_ms += 1;
	inventory_tick(&fx->cluster.inventory);
	assert_int_equal(node_view(one)->containers_len, 0);
	assert_int_equal(node_view(two)->containers_len, 1);
	third = cluster_reserve_name(&fx->cluster, "a", &err);
	assert_non_null(third);
	reservation_commit(third);
	/* The pointers stay good when node, or cluster, go. */
	inventory_node_remove(two);
	assert_null(reservation_node(second));
	assert_ptr_equal(reservation_node(first), one);
	third = cluster_reserve_name(&fx->cluster, "b", &err);
	assert_non_null(third);
	assert_null(cluster_reserve(&fx->cluster, two, &c, &err));
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	reservation_cancel(second);
	fixture_free(fx);
	reservation_cancel(first);
	reservation_commit(third);
}

/* A list that is asked for now, and told. */
static void list_now(struct fixture *fx, struct node *node)
{
	inventory_containers_told(node, inventory_ask(&fx->cluster.inventory));
}

static void pass(struct fixture *fx, uint64_t ms)
{
	fx->now_ms += ms;
	inventory_tick(&fx->cluster.inventory);
}

static bool is_free(struct fixture *fx, const char *name)
{
	struct reservation *reservation = cluster_reserve_name(&fx->cluster, name, NULL);

	reservation_cancel(reservation);
	return reservation != NULL;
}

/* A reservation of `web` on the node whose engine did not answer. */
static void leave_web(struct fixture *fx, struct node *node)
{
	struct container_view web = want("web", "");
	struct reservation *reservation;

	web.swarm_id = fixture_id("5");
	reservation = cluster_reserve(&fx->cluster, node, &web, NULL);
	assert_non_null(reservation);
	reservation_leave(reservation, node);
	assert_false(is_free(fx, "web"));
	assert_int_equal(node_view(node)->used_memory, 100);
}

/* The engine may be at it still: a list without it counts only when it was asked for late. */
static void test_left_until_a_later_list(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct node *other = fixture_node(fx, "n2", "10.0.0.2:2375");
	uint64_t asked_at;

	(void)state;
	leave_web(fx, node);
	list_now(fx, node);
	assert_false(is_free(fx, "web"));
	pass(fx, 59999);
	list_now(fx, node);
	assert_false(is_free(fx, "web"));
	asked_at = inventory_ask(&fx->cluster.inventory);
	pass(fx, 1);
	inventory_containers_told(node, asked_at);
	assert_false(is_free(fx, "web"));
	list_now(fx, other);
	assert_false(is_free(fx, "web"));
	assert_int_equal(node_view(node)->used_memory, 100);
	list_now(fx, node);
	assert_true(is_free(fx, "web"));
	assert_int_equal(node_view(node)->used_memory, 0);
	fixture_free(fx);
}

static void test_left_until_the_record(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");

	(void)state;
	leave_web(fx, node);
	fixture_put(
		node, &(struct sketch){.id = "1", .swarm_id = "5", .name = "web", .memory = 120});
	assert_false(is_free(fx, "web"));
	assert_int_equal(node_view(node)->used_memory, 120);
	/* The name is the container's alone. */
	assert_true(inventory_container_remove(node, fixture_id("1")));
	assert_true(is_free(fx, "web"));
	assert_int_equal(node_view(node)->used_memory, 0);
	fixture_free(fx);
}

/* The record came before: nothing is left to be known. */
static void test_left_behind_the_record(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container_view web = want("web", "");
	struct reservation *reservation;

	(void)state;
	web.swarm_id = fixture_id("5");
	reservation = cluster_reserve(&fx->cluster, node, &web, NULL);
	fixture_put(node, &(struct sketch){.id = "1", .swarm_id = "5", .name = "web"});
	reservation_leave(reservation, node);
	assert_true(inventory_container_remove(node, fixture_id("1")));
	assert_true(is_free(fx, "web"));
	fixture_free(fx);
}

/* What was under way with an engine that was lost is over when it is there again. */
static void test_left_on_a_node_that_goes_down(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");

	(void)state;
	leave_web(fx, node);
	inventory_node_set_health(node, false);
	assert_false(is_free(fx, "web"));
	list_now(fx, node);
	assert_true(is_free(fx, "web"));
	/* It was down already. */
	leave_web(fx, node);
	list_now(fx, node);
	assert_true(is_free(fx, "web"));
	fixture_free(fx);
}

static void test_left_ends(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct reservation *name;

	(void)state;
	leave_web(fx, node);
	pass(fx, RESERVATION_TTL_MS);
	assert_true(is_free(fx, "web"));
	/* A name alone. */
	name = cluster_reserve_name(&fx->cluster, "db", NULL);
	reservation_leave(name, node);
	assert_false(is_free(fx, "db"));
	pass(fx, 60000);
	list_now(fx, node);
	assert_true(is_free(fx, "db"));
	leave_web(fx, node);
	name = cluster_reserve_name(&fx->cluster, "db", NULL);
	reservation_leave(name, node);
	inventory_node_remove(node);
	assert_true(is_free(fx, "web"));
	assert_true(is_free(fx, "db"));
	/* The whole cluster goes. */
	leave_web(fx, fixture_node(fx, "n2", "10.0.0.2:2375"));
	fixture_free(fx);
}

static void test_reserve_bounds(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container_view a = want("a", "");
	struct err err = ERR_INIT;

	(void)state;
	a.memory = INT64_MAX;
	assert_null(cluster_reserve(&fx->cluster, node, &a, &err));
	assert_int_equal(err.code, ERR_INVALID);
	a.memory = 0;
	a.nano_cpus = -1;
	assert_null(cluster_reserve(&fx->cluster, node, &a, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(node_view(node)->containers_len, 0);
	fixture_free(fx);
}

/* ---- Exec instances ---- */

static void test_execs(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct container *container;
	struct err err = ERR_INIT;

	(void)state;
	fixture_put(node, &(struct sketch){.id = "1", .name = "web"});
	fixture_put(node, &(struct sketch){.id = "2", .name = "db"});
	container = container_ref(inventory_container_get(node, fixture_id("1")));
	cluster_exec_add(&fx->cluster, "e1", container);
	cluster_exec_add(&fx->cluster, "", container);
	assert_ptr_equal(cluster_exec_find(&fx->cluster, "e1", &err), node);
	assert_null(cluster_exec_find(&fx->cluster, "e2", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_string_equal(err.msg, "No such exec instance: e2");
	/* Kept across a change of the container, also when told of the record before it. */
	fixture_put(node, &(struct sketch){.id = "1", .name = "renamed"});
	assert_ptr_equal(cluster_exec_find(&fx->cluster, "e1", &err), node);
	cluster_exec_add(&fx->cluster, "e2", container);
	assert_ptr_equal(cluster_exec_find(&fx->cluster, "e2", &err), node);
	assert_true(inventory_container_remove(node, fixture_id("1")));
	assert_null(cluster_exec_find(&fx->cluster, "e1", &err));
	assert_null(cluster_exec_find(&fx->cluster, "e2", &err));
	cluster_exec_add(&fx->cluster, "e3", container);
	assert_null(cluster_exec_find(&fx->cluster, "e3", &err));
	container_unref(container);
	fixture_free(fx);
}

static void test_execs_bounded(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "n1", "10.0.0.1:2375");
	struct err err = ERR_INIT;
	const struct container *container;
	char id[16];

	(void)state;
	fixture_put(node, &(struct sketch){.id = "1", .name = "web"});
	container = inventory_container_get(node, fixture_id("1"));
	for (int i = 0; i < EXECS_MAX + 10; i++) {
		snprintf(id, sizeof(id), "e%d", i);
		cluster_exec_add(&fx->cluster, id, container);
	}
	assert_null(cluster_exec_find(&fx->cluster, "e9", &err));
	assert_ptr_equal(cluster_exec_find(&fx->cluster, "e10", &err), node);
	assert_ptr_equal(cluster_exec_find(&fx->cluster, id, &err), node);
	fixture_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_order),
		cmocka_unit_test(test_node_find),
		cmocka_unit_test(test_node_totals),
		cmocka_unit_test(test_node_labels),
		cmocka_unit_test(test_lookup_forms),
		cmocka_unit_test(test_lookup_ambiguous),
		cmocka_unit_test(test_lookup_hostile_keys),
		cmocka_unit_test(test_replace_and_rename),
		cmocka_unit_test(test_prune),
		cmocka_unit_test(test_age_order),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_reserve_then_record),
		cmocka_unit_test(test_reserve_ends),
		cmocka_unit_test(test_left_until_a_later_list),
		cmocka_unit_test(test_left_until_the_record),
		cmocka_unit_test(test_left_behind_the_record),
		cmocka_unit_test(test_left_on_a_node_that_goes_down),
		cmocka_unit_test(test_left_ends),
		cmocka_unit_test(test_reserve_bounds),
		cmocka_unit_test(test_execs),
		cmocka_unit_test(test_execs_bounded),
	};

	return cmocka_run_group_tests_name("cluster inventory", tests, NULL, NULL);
}
