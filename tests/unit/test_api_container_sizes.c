/* What engines measure for a list: of each answer two numbers for each row are kept, and what was
 * not asked for is left out. */
#include "api/container_sizes.h"
#include "lib/str.h"
#include "tests/unit/cluster_fixture.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

enum { MANY = 5000 };

static struct container *make(struct node *node, int number)
{
	char *id CLEANUP_FREE = xasprintf("%064x", number);
	json_t *entry CLEANUP_JSON = json_pack("{s:s, s:i, s:s, s:[o]}", "Id", id, "Created",
		number, "State", "running", "Names", json_sprintf("/c%d", number));
	struct err err = ERR_INIT;
	struct container *container = fixture_record(node, entry, NULL, &err);

	assert_non_null(container);
	inventory_container_put(container);
	return container;
}

static json_t *row(const struct container *container, int64_t rw, int64_t root_fs)
{
	return json_pack(
		"{s:s, s:I, s:I}", "Id", container->view.id, "SizeRw", rw, "SizeRootFs", root_fs);
}

static void expect(const struct container_sizes *sizes, const struct container *container,
	int64_t rw, int64_t root_fs)
{
	int64_t have_rw, have_root_fs;

	container_sizes_get(sizes, container, &have_rw, &have_root_fs);
	assert_int_equal(have_rw, rw);
	assert_int_equal(have_root_fs, root_fs);
}

static void test_whose(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *one = fixture_node(fx, "one", "10.0.0.1:1"),
		    *two = fixture_node(fx, "two", "10.0.0.2:1");
	struct container *a = make(one, 1), *b = make(two, 2), *not_asked = make(one, 3);
	struct container_sizes *sizes = container_sizes_new();
	json_t *rows CLEANUP_JSON =
		json_pack("[o,o,o,n,[],{}]", row(a, 5, 6), row(b, 7, 8), row(not_asked, 1, 1));

	(void)state;
	container_sizes_add(sizes, a);
	container_sizes_add(sizes, b);
	container_sizes_read(sizes, one, rows);
	container_sizes_read(sizes, NULL, rows);
	container_sizes_read(sizes, one, NULL);
	expect(sizes, a, 5, 6);
	/* Of its own engine alone. */
	expect(sizes, b, 0, 0);
	expect(sizes, not_asked, 0, 0);
	container_sizes_read(sizes, two, rows);
	expect(sizes, b, 7, 8);
	container_sizes_free(sizes);
	fixture_free(fx);
}

static void test_query(void **state)
{
	struct fixture *fx = fixture_new(0);
	struct node *node = fixture_node(fx, "one", "10.0.0.1:1");
	struct container_sizes *sizes = container_sizes_new();
	char *query;

	(void)state;
	container_sizes_add(sizes, make(node, 10));
	query = container_sizes_query(sizes, node);
	assert_non_null(strstr(query, "&filters=%7B%22id%22%3A%7B%220000"));
	free(query);
	for (int i = 11; i < 10 + MANY; i++)
		container_sizes_add(sizes, make(node, i));
	query = container_sizes_query(sizes, node);
	assert_string_equal(query, "all=1&size=1");
	free(query);
	container_sizes_free(sizes);
	fixture_free(fx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_query),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
