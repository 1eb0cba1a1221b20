/* Texts, and on which nodes something has them: label values, image names, ports. A text is kept
 * once for the whole cluster, with one posting for each node that has it. Inside the data half
 * only. */
#ifndef CLUSTER_POSTINGS_H
#define CLUSTER_POSTINGS_H

#include "cluster/fleet.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/tree.h>

struct interned;

/* Sorted by slot. Zeroed is empty. Most texts are one node's: one posting needs no memory. */
struct postings {
	uint32_t len, cap; /* cap 0: the only one is in place */
	union {
		struct posting one;
		struct posting *many;
	} at;
};

static inline const struct posting *postings_items(const struct postings *postings)
{
	return postings->cap == 0 ? &postings->at.one : postings->at.many;
}
/* One more, or one less, of what the node in this slot has. What is taken must be there. */
void postings_add(struct postings *postings, uint32_t slot);
void postings_take(struct postings *postings, uint32_t slot);

struct text_entry {
	RB_ENTRY(text_entry) tree;
	const char *text; /* interned, one reference is the entry's */
	struct postings nodes;
};
RB_HEAD(text_tree, text_entry);
/* Ordered by text. Zeroed is empty; when all that was added is taken, nothing is left to free. */
struct text_table {
	struct text_tree tree;
};

void text_table_add(
	struct text_table *table, struct interned **strings, const char *text, uint32_t slot);
void text_table_take(
	struct text_table *table, struct interned **strings, const char *text, uint32_t slot);
/* NULL when there is none. */
struct text_entry *text_table_find(const struct text_table *table, const char *text);
/* The first text that is not before this one, and the one behind an entry; NULL at the end. */
struct text_entry *text_table_from(const struct text_table *table, const char *text);
struct text_entry *text_table_next(const struct text_entry *entry);

/* Two levels: keys, and the values of each. */
struct label_entry {
	struct text_entry key; /* first; nodes: what has the key, whatever the value */
	struct text_table values;
};
struct label_table {
	struct text_table keys;
};

/* value NULL: the key alone. */
void label_table_add(struct label_table *table, struct interned **strings, const char *key,
	const char *value, uint32_t slot);
void label_table_take(struct label_table *table, struct interned **strings, const char *key,
	const char *value, uint32_t slot);
/* NULL when nothing has the key. */
struct label_entry *label_table_find(const struct label_table *table, const char *key);

#endif
