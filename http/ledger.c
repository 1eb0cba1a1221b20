/* Bytes held for clients, by address. Only who holds something is listed: most never do. */
#include "http/ledger.h"
#include "lib/hash.h"
#include "lib/mem.h"

#include <string.h>

struct ledger_client {
	size_t held;
	unsigned entries;
	UT_hash_handle hh;
	char address[]; /* without the port */
};

static size_t address_length(const char *peer)
{
	const char *colon = strrchr(peer, ':');

	return colon != NULL ? (size_t)(colon - peer) : strlen(peer);
}

static struct ledger_client *find_client(const struct ledger *l, const char *peer)
{
	struct ledger_client *client;

	HASH_FIND(hh, l->clients, peer, address_length(peer), client);
	return client;
}

static struct ledger_client *join(struct ledger *l, const char *peer)
{
	struct ledger_client *client = find_client(l, peer);
	size_t len = address_length(peer);

	if (client == NULL) {
		client = xcalloc(1, sizeof(*client) + len);
		memcpy(client->address, peer, len);
		HASH_ADD_KEYPTR(hh, l->clients, client->address, len, client);
	}
	client->entries++;
	return client;
}

static void leave(struct ledger *l, struct ledger_client *client)
{
	if (--client->entries > 0)
		return;
	HASH_DEL(l->clients, client);
	free(client);
}

void ledger_set(struct ledger *l, struct ledger_entry *e, const char *peer, size_t bytes)
{
	if (bytes == e->held)
		return;
	if (e->client == NULL)
		e->client = join(l, peer);
	l->held = l->held - e->held + bytes;
	e->client->held = e->client->held - e->held + bytes;
	e->held = bytes;
	if (bytes == 0)
		leave(l, TAKE_PTR(e->client));
}

bool ledger_has_room(
	const struct ledger *l, const struct ledger_entry *e, const char *peer, size_t more)
{
	const struct ledger_client *client = e->client;

	if (more > l->max || l->held > l->max - more)
		return false;
	/* Mostly all of them hold less than one may. */
	if (more <= l->client_max && l->held <= l->client_max - more)
		return true;
	if (client == NULL)
		client = find_client(l, peer);
	return more <= l->client_max && (client == NULL || client->held <= l->client_max - more);
}
