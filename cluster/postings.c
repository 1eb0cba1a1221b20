#include "cluster/postings.h"

#include "cluster/intern.h"
#include "lib/mem.h"

#include <string.h>

/* ---- The nodes of one text ---- */

/* The place of the slot, or where it is to be. */
static uint32_t find(const struct postings *postings, uint32_t slot)
{
	const struct posting *items = postings_items(postings);
	uint32_t low = 0, high = postings->len;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (items[middle].slot < slot)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct posting *reserve(struct postings *postings)
{
	struct posting one;

	if (postings->cap == 0 && postings->len == 0)
		return &postings->at.one;
	if (postings->cap == 0) {
		one = postings->at.one;
		postings->cap = 4;
		postings->at.many = xcalloc(postings->cap, sizeof(*postings->at.many));
		postings->at.many[0] = one;
	} else if (postings->len == postings->cap) {
		/* By half: there are many lists, and each keeps what it does not use. */
		postings->cap += postings->cap / 2;
		postings->at.many =
			xreallocarray(postings->at.many, postings->cap, sizeof(*postings->at.many));
	}
	return postings->at.many;
}

void postings_add(struct postings *postings, uint32_t slot)
{
	uint32_t at = find(postings, slot);
	struct posting *items;

	if (at < postings->len && postings_items(postings)[at].slot == slot) {
		items = postings->cap == 0 ? &postings->at.one : postings->at.many;
		items[at].count++;
		return;
	}
	items = reserve(postings);
	memmove(&items[at + 1], &items[at], (postings->len - at) * sizeof(*items));
	items[at] = (struct posting){.slot = slot, .count = 1};
	postings->len++;
}

/* Back in place when one is left: a text that was on many nodes once is on one for long. */
static void shrink(struct postings *postings)
{
	struct posting one;

	if (postings->cap == 0 || postings->len > 1)
		return;
	one = postings->at.many[0];
	free(postings->at.many);
	postings->at.one = one;
	postings->cap = 0;
}

void postings_take(struct postings *postings, uint32_t slot)
{
	uint32_t at = find(postings, slot);
	struct posting *items = postings->cap == 0 ? &postings->at.one : postings->at.many;

	if (--items[at].count > 0)
		return;
	postings->len--;
	memmove(&items[at], &items[at + 1], (postings->len - at) * sizeof(*items));
	shrink(postings);
}

/* ---- Texts ---- */

static int compare(const struct text_entry *a, const struct text_entry *b)
{
	return strcmp(a->text, b->text);
}

/* RB_GENERATE_STATIC needs __unused, which libbsd's overlay leaves undefined. */
RB_GENERATE_INTERNAL(text_tree, text_entry, tree, compare, static __attribute__((unused)))

struct text_entry *text_table_find(const struct text_table *table, const char *text)
{
	struct text_entry probe = {.text = text};

	/* The macros take no const head; nothing is changed. */
	return RB_FIND(text_tree, (struct text_tree *)(uintptr_t)&table->tree, &probe);
}

struct text_entry *text_table_from(const struct text_table *table, const char *text)
{
	struct text_entry probe = {.text = text};

	return RB_NFIND(text_tree, (struct text_tree *)(uintptr_t)&table->tree, &probe);
}

struct text_entry *text_table_next(const struct text_entry *entry)
{
	return RB_NEXT(text_tree, NULL, (struct text_entry *)(uintptr_t)entry);
}

/* The entry of the text; a new one has `size` zeroed bytes behind what is an entry's. */
static struct text_entry *enter(
	struct text_table *table, struct interned **strings, const char *text, size_t size)
{
	struct text_entry *entry = text_table_find(table, text);

	if (entry)
		return entry;
	entry = xcalloc(1, size);
	entry->text = intern(strings, text);
	RB_INSERT(text_tree, &table->tree, entry);
	return entry;
}

static void take(struct text_table *table, struct interned **strings, struct text_entry *entry,
	uint32_t slot)
{
	postings_take(&entry->nodes, slot);
	if (entry->nodes.len > 0)
		return;
	RB_REMOVE(text_tree, &table->tree, entry);
	intern_release(strings, entry->text);
	free(entry);
}

void text_table_add(
	struct text_table *table, struct interned **strings, const char *text, uint32_t slot)
{
	postings_add(&enter(table, strings, text, sizeof(struct text_entry))->nodes, slot);
}

void text_table_take(
	struct text_table *table, struct interned **strings, const char *text, uint32_t slot)
{
	take(table, strings, text_table_find(table, text), slot);
}

/* ---- Labels ---- */

struct label_entry *label_table_find(const struct label_table *table, const char *key)
{
	return (struct label_entry *)(void *)text_table_find(&table->keys, key);
}

void label_table_add(struct label_table *table, struct interned **strings, const char *key,
	const char *value, uint32_t slot)
{
	struct text_entry *entry = enter(&table->keys, strings, key, sizeof(struct label_entry));

	postings_add(&entry->nodes, slot);
	if (value)
		text_table_add(
			&((struct label_entry *)(void *)entry)->values, strings, value, slot);
}

void label_table_take(struct label_table *table, struct interned **strings, const char *key,
	const char *value, uint32_t slot)
{
	struct label_entry *entry = label_table_find(table, key);

	if (value)
		text_table_take(&entry->values, strings, value, slot);
	take(&table->keys, strings, &entry->key, slot);
}
