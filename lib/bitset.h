/* Sets of small numbers, one bit each. All sets of one operation have room for as many numbers. */
#ifndef LIB_BITSET_H
#define LIB_BITSET_H

#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BITSET_WORD 64
/* What bitset_next gives at the end. */
#define BITSET_END SIZE_MAX

/* Zeroed has room for nothing. */
struct bitset {
	uint64_t *words;
	size_t words_len;
};

/* Empty, with room for the numbers below len. */
static inline void bitset_init(struct bitset *set, size_t len)
{
	set->words_len = (len + BITSET_WORD - 1) / BITSET_WORD;
	set->words = xcalloc(set->words_len + 1, sizeof(*set->words));
}

static inline void bitset_release(struct bitset *set)
{
	free(set->words);
	*set = (struct bitset){0};
}

/* Room for the numbers below len; what is in stays. */
static inline void bitset_grow(struct bitset *set, size_t len)
{
	size_t words_len = (len + BITSET_WORD - 1) / BITSET_WORD;

	if (words_len <= set->words_len)
		return;
	set->words = xreallocarray(set->words, words_len, sizeof(*set->words));
	memset(set->words + set->words_len, 0, (words_len - set->words_len) * sizeof(*set->words));
	set->words_len = words_len;
}

static inline void bitset_add(struct bitset *set, size_t number)
{
	set->words[number / BITSET_WORD] |= UINT64_C(1) << number % BITSET_WORD;
}

static inline void bitset_remove(struct bitset *set, size_t number)
{
	set->words[number / BITSET_WORD] &= ~(UINT64_C(1) << number % BITSET_WORD);
}

static inline bool bitset_has(const struct bitset *set, size_t number)
{
	return (set->words[number / BITSET_WORD] >> number % BITSET_WORD & 1) != 0;
}

static inline void bitset_empty(struct bitset *set)
{
	memset(set->words, 0, set->words_len * sizeof(*set->words));
}

static inline void bitset_copy(struct bitset *to, const struct bitset *from)
{
	memcpy(to->words, from->words, to->words_len * sizeof(*to->words));
}

/* Keeps what is in both. */
static inline void bitset_and(struct bitset *set, const struct bitset *other)
{
	for (size_t i = 0; i < set->words_len; i++)
		set->words[i] &= other->words[i];
}

/* Adds what is in the other. */
static inline void bitset_or(struct bitset *set, const struct bitset *other)
{
	for (size_t i = 0; i < set->words_len; i++)
		set->words[i] |= other->words[i];
}

/* Keeps what is not in the other. */
static inline void bitset_and_not(struct bitset *set, const struct bitset *other)
{
	for (size_t i = 0; i < set->words_len; i++)
		set->words[i] &= ~other->words[i];
}

static inline bool bitset_is_empty(const struct bitset *set)
{
	for (size_t i = 0; i < set->words_len; i++) {
		if (set->words[i] != 0)
			return false;
	}
	return true;
}

static inline size_t bitset_count(const struct bitset *set)
{
	size_t count = 0;

	for (size_t i = 0; i < set->words_len; i++)
		count += (size_t)__builtin_popcountll(set->words[i]);
	return count;
}

/* The lowest number from `from` on that is in, or BITSET_END. */
static inline size_t bitset_next(const struct bitset *set, size_t from)
{
	size_t word = from / BITSET_WORD;
	uint64_t bits;

	if (word >= set->words_len)
		return BITSET_END;
	bits = set->words[word] & UINT64_MAX << from % BITSET_WORD;
	while (bits == 0) {
		if (++word == set->words_len)
			return BITSET_END;
		bits = set->words[word];
	}
	return word * BITSET_WORD + (size_t)__builtin_ctzll(bits);
}

#define BITSET_EACH(set, number) \
	for (size_t number = bitset_next(set, 0); number != BITSET_END; \
		number = bitset_next(set, number + 1))

#endif
