/* An ordered index: entries by text key, then by a number (the node), then by insertion. Exact,
 * prefix and range lookups in O(log n). The entry is embedded in what it finds; nothing is
 * allocated. */
#ifndef CLUSTER_INDEX_H
#define CLUSTER_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/tree.h>

struct index_entry {
	/* What a search looks at stands together, and is mostly in one line of the cache. */
	uint64_t head; /* the first bytes of the key: most comparisons need no look at it */
	RB_ENTRY(index_entry) tree;
	const char *key; /* borrowed while entered; NULL = not entered */
	uint64_t order;
	void *item;
};
RB_HEAD(index_tree, index_entry);
/* Zeroed is empty. */
struct index {
	struct index_tree tree;
	size_t len;
};

/* key and item must outlive the entry's stay; an entry is in at most one index. */
void index_insert(struct index *index, struct index_entry *entry, const char *key, uint64_t order,
	void *item);
/* Nothing happens when it is not entered. */
void index_remove(struct index *index, struct index_entry *entry);
/* The first entry at or behind (key, order), NULL at the end. */
struct index_entry *index_from(const struct index *index, const char *key, uint64_t order);
struct index_entry *index_next(const struct index_entry *entry);
/* The first entry of exactly this key (and the next of the same key), or NULL. */
struct index_entry *index_first(const struct index *index, const char *key);
struct index_entry *index_next_same(const struct index_entry *entry);

#endif
