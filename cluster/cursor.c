#include "cluster/cursor.h"

#include "cluster/record.h"
#include "lib/mem.h"

#include <string.h>

#define NS_PER_S INT64_C(1000000000)
#define CACHE_LINE 64
#define AHEAD_TEXTS 512 /* bytes */

struct cursor {
	struct cluster *cluster;
	struct cursor_range range;
	struct container *last; /* given; referenced, since its place is needed when it has gone */
	/* Of each state, the first behind last; true as long as the trees are what they were at
	 * `changes`. */
	struct container_record *heads[CONTAINER_STATES];
	uint64_t changes;
	bool is_sought;
	/* Otherwise: these, referenced. */
	bool has_set;
	struct container_set set;
	size_t at;
};

static const char *const states[CONTAINER_STATES] = {
	"created", "running", "paused", "restarting", "removing", "exited", "dead"};

unsigned container_state_number(const char *state)
{
	unsigned i = 0;

	while (i < CONTAINER_STATES && strcmp(states[i], state) != 0)
		i++;
	return i;
}

unsigned containers_running(void)
{
	return 1u << container_state_number("running") | 1u << container_state_number("paused") |
	       1u << container_state_number("restarting");
}

/* ---- Over the trees ---- */

struct cursor *cursor_new(struct cluster *cluster, const struct cursor_range *range)
{
	struct cursor *cursor = xcalloc(1, sizeof(*cursor));

	cursor->cluster = cluster;
	cursor->range = *range;
	cluster->inventory.cursors++;
	return cursor;
}

/* The place in front of the first record that may be given. */
static struct record_age start_of(const struct cursor *cursor)
{
	const struct cursor_range *range = &cursor->range;

	if (cursor->last) {
		struct record_age age = container_record(cursor->last)->age;

		/* No record can stand between the two. */
		age.node++;
		return age;
	}
	return (struct record_age){
		.ns = range->newest < INT64_MAX / NS_PER_S ? (range->newest + 1) * NS_PER_S - 1
							   : INT64_MAX,
		.id = "",
	};
}

static void seek(struct cursor *cursor)
{
	struct inventory *inventory = &cursor->cluster->inventory;
	struct container_record probe = {.age = start_of(cursor)};

	for (unsigned i = 0; i < CONTAINER_STATES; i++) {
		bool is_in = cursor->range.states & 1u << i;

		cursor->heads[i] =
			is_in ? RB_NFIND(record_tree, &inventory->by_age[i], &probe) : NULL;
	}
	cursor->changes = inventory->age_changes;
	cursor->is_sought = true;
}

/* The record that will be asked for next: while the one before it is written, it comes into the
 * processor's caches. A record is one block, its texts behind the struct. */
static void fetch_ahead(const struct container_record *record)
{
	const char *block = (const char *)record;

	for (size_t at = 0; record && at < sizeof(*record) + AHEAD_TEXTS; at += CACHE_LINE)
		__builtin_prefetch(block + at);
}

static struct container *walk(struct cursor *cursor)
{
	struct container_record **first = NULL, *found;

	if (!cursor->is_sought || cursor->changes != cursor->cluster->inventory.age_changes)
		seek(cursor);
	for (unsigned i = 0; i < CONTAINER_STATES; i++) {
		struct container_record **head = &cursor->heads[i];

		if (*head && (!first || record_age_cmp(*head, *first) < 0))
			first = head;
	}
	if (!first || (*first)->age.ns / NS_PER_S < cursor->range.oldest)
		return NULL;
	found = *first;
	*first = RB_NEXT(record_tree, NULL, found);
	fetch_ahead(*first);
	container_unref(cursor->last);
	cursor->last = container_ref(&found->container);
	return cursor->last;
}

/* ---- Over a set ---- */

static int age_cmp(const void *a, const void *b)
{
	struct container *const *left = a, *const *right = b;

	return record_age_cmp(container_record(*left), container_record(*right));
}

struct cursor *cursor_new_of(struct cluster *cluster, struct container_set *set_take)
{
	struct cursor *cursor = cursor_new(cluster, &(struct cursor_range){.states = 0});
	struct container_set *set = &cursor->set;
	size_t len = 0;

	*set = *set_take;
	*set_take = (struct container_set){.items = NULL};
	cursor->has_set = true;
	if (set->len > 0)
		qsort(set->items, set->len, sizeof(struct container *), age_cmp);
	for (size_t i = 0; i < set->len; i++) {
		if (len == 0 || set->items[len - 1] != set->items[i])
			set->items[len++] = container_ref(set->items[i]);
	}
	set->len = len;
	return cursor;
}

/* ---- Both ---- */

struct container *cursor_next(struct cursor *cursor)
{
	if (!cursor->has_set)
		return walk(cursor);
	return cursor->at < cursor->set.len ? cursor->set.items[cursor->at++] : NULL;
}

void cursor_rewind(struct cursor *cursor)
{
	container_unref(TAKE_PTR(cursor->last));
	cursor->is_sought = false;
	cursor->at = 0;
}

void cursor_free(struct cursor *cursor)
{
	if (!cursor)
		return;
	cursor->cluster->inventory.cursors--;
	container_unref(cursor->last);
	for (size_t i = 0; i < cursor->set.len; i++)
		container_unref(cursor->set.items[i]);
	container_set_free(&cursor->set);
	free(cursor);
}
