#include "cluster/index.h"

#include <string.h>

/* Ordered as strcmp orders the keys: the first byte is the highest, and behind the end are zeros.
 */
static uint64_t head_of(const char *key)
{
	uint64_t head = 0;

	for (int shift = 56; shift >= 0 && *key != '\0'; shift -= 8)
		head |= (uint64_t)(unsigned char)*key++ << shift;
	return head;
}

static int compare(const struct index_entry *a, const struct index_entry *b)
{
	int cmp;

	if (a->head != b->head)
		return a->head < b->head ? -1 : 1;
	cmp = strcmp(a->key, b->key);
	if (cmp != 0)
		return cmp;
	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	if (a->item != b->item)
		return (uintptr_t)a->item < (uintptr_t)b->item ? -1 : 1;
	return 0;
}

/* RB_GENERATE_STATIC needs __unused, which libbsd's overlay leaves undefined. */
RB_GENERATE_INTERNAL(index_tree, index_entry, tree, compare, static __attribute__((unused)))

void index_insert(
	struct index *index, struct index_entry *entry, const char *key, uint64_t order, void *item)
{
	entry->head = head_of(key);
	entry->key = key;
	entry->order = order;
	entry->item = item;
	if (RB_INSERT(index_tree, &index->tree, entry)) {
		/* The same item under the same key already: one entry is enough. */
		entry->key = NULL;
		return;
	}
	index->len++;
}

void index_remove(struct index *index, struct index_entry *entry)
{
	if (!entry->key)
		return;
	RB_REMOVE(index_tree, &index->tree, entry);
	entry->key = NULL;
	index->len--;
}

struct index_entry *index_from(const struct index *index, const char *key, uint64_t order)
{
	struct index_entry probe = {.head = head_of(key), .key = key, .order = order};

	/* The macros take no const head; nothing is changed. */
	return RB_NFIND(index_tree, (struct index_tree *)(uintptr_t)&index->tree, &probe);
}

struct index_entry *index_next(const struct index_entry *entry)
{
	return RB_NEXT(index_tree, NULL, (struct index_entry *)(uintptr_t)entry);
}

struct index_entry *index_first(const struct index *index, const char *key)
{
	struct index_entry *entry = index_from(index, key, 0);

	return entry && strcmp(entry->key, key) == 0 ? entry : NULL;
}

struct index_entry *index_next_same(const struct index_entry *entry)
{
	struct index_entry *next = index_next(entry);

	return next && strcmp(next->key, entry->key) == 0 ? next : NULL;
}
