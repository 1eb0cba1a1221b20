/* Counters of an address are forgotten when their window is over, and are made only within the
 * limit for all: there are never more than a window's worth of them. */
#include "discovery/token_rate.h"

#include "lib/hash.h"
#include "lib/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

struct maker {
	char key[64];
	uint64_t begun;
	unsigned count;
	struct maker *prev, *next; /* by age */
	UT_hash_handle hh;
};

struct token_rate {
	struct maker *by_key;
	struct maker *oldest;
	uint64_t second; /* that all_count is of */
	unsigned all_count;
};

struct token_rate *token_rate_new(void)
{
	return xcalloc(1, sizeof(struct token_rate));
}

static void forget(struct token_rate *rate, struct maker *maker)
{
	HASH_DEL(rate->by_key, maker);
	DL_DELETE(rate->oldest, maker);
	free(maker);
}

void token_rate_free(struct token_rate *rate)
{
	if (rate == NULL)
		return;
	while (rate->oldest != NULL)
		forget(rate, rate->oldest);
	free(rate);
}

/* The address without its port; of IPv6 the network, since one host has all of it. */
static void make_key(const char *peer, char *out, size_t size)
{
	const char *colon = strrchr(peer, ':');
	size_t len = colon != NULL ? (size_t)(colon - peer) : strlen(peer);
	struct in6_addr v6;

	if (len >= 2 && peer[0] == '[' && peer[len - 1] == ']') {
		peer++;
		len -= 2;
	}
	(void)snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), peer);
	out[strcspn(out, "%")] = '\0';
	if (inet_pton(AF_INET6, out, &v6) != 1)
		return;
	if (IN6_IS_ADDR_V4MAPPED(&v6)) {
		(void)inet_ntop(AF_INET, v6.s6_addr + 12, out, (socklen_t)size);
		return;
	}
	memset(v6.s6_addr + 8, 0, 8);
	(void)inet_ntop(AF_INET6, &v6, out, (socklen_t)size);
}

static struct maker *maker_get(struct token_rate *rate, const char *key, uint64_t now_ms)
{
	struct maker *maker = NULL;

	HASH_FIND_STR(rate->by_key, key, maker);
	if (maker != NULL)
		return maker;
	maker = xcalloc(1, sizeof(*maker));
	memcpy(maker->key, key, strlen(key) + 1);
	maker->begun = now_ms;
	HASH_ADD_STR(rate->by_key, key, maker);
	DL_APPEND(rate->oldest, maker);
	return maker;
}

unsigned token_rate_take(struct token_rate *rate, const char *peer, uint64_t now_ms)
{
	char key[64];
	struct maker *maker;

	while (rate->oldest != NULL && now_ms - rate->oldest->begun >= TOKEN_RATE_WINDOW_MS)
		forget(rate, rate->oldest);
	if (rate->second != now_ms / 1000) {
		rate->second = now_ms / 1000;
		rate->all_count = 0;
	}
	if (rate->all_count >= TOKEN_RATE_ALL)
		return 1;
	make_key(peer, key, sizeof(key));
	maker = maker_get(rate, key, now_ms);
	if (maker->count >= TOKEN_RATE_PER_ADDRESS)
		return (unsigned)((TOKEN_RATE_WINDOW_MS - (now_ms - maker->begun) + 999) / 1000);
	maker->count++;
	rate->all_count++;
	return 0;
}
