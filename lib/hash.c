#include "lib/hash.h"

#include <pthread.h>
#include <unistd.h>

/* SipHash with one round a word and three at the end, which is what language run-times use for
 * their tables. */

static uint64_t key[2];

static void draw_key(void)
{
	if (getentropy(key, sizeof(key)))
		abort();
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* Inlined, so that the four words stay in registers. */
static inline __attribute__((always_inline)) void mix(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

uint32_t hash_bytes(const void *data, size_t len)
{
	static pthread_once_t drawn = PTHREAD_ONCE_INIT;
	const unsigned char *p = data;
	uint64_t last = (uint64_t)len << 56;
	uint64_t word;
	uint64_t v[4];
	size_t rest;

	pthread_once(&drawn, draw_key);
	v[0] = key[0] ^ 0x736f6d6570736575u;
	v[1] = key[1] ^ 0x646f72616e646f6du;
	v[2] = key[0] ^ 0x6c7967656e657261u;
	v[3] = key[1] ^ 0x7465646279746573u;
	for (rest = len; rest >= sizeof(word); rest -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		v[3] ^= word;
		mix(v);
		v[0] ^= word;
	}
	for (size_t i = 0; i < rest; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v[3] ^= last;
	mix(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		mix(v);
	word = v[0] ^ v[1] ^ v[2] ^ v[3];
	return (uint32_t)(word ^ word >> 32);
}
