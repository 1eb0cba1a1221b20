/* Hash tables: uthash, with a hash function that a peer cannot find collisions for. Include this
 * instead of uthash.h, whose own function has no key: names chosen to collide would turn a table
 * into a list. */
#ifndef LIB_HASH_H
#define LIB_HASH_H

#include "lib/mem.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Keyed with a value drawn once per process; the same bytes give the same result in it. */
uint32_t hash_bytes(const void *data, size_t len);

#define HASH_FUNCTION(keyptr, keylen, hashv) \
	do { \
		(hashv) = hash_bytes((keyptr), (keylen)); \
	} while (0)
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(msg) abort()

#include <uthash.h>

#endif
