/* What a server's connections hold for their clients, in bytes: unfinished heads and bodies, and
 * replies that wait to be read. A limit for each connection bounds none of their sums, so there are
 * two more: for each client address, and for all. Another one counts TLS
 * handshakes under way, one each. Inside http/ only. */
#ifndef HTTP_LEDGER_H
#define HTTP_LEDGER_H

#include <stdbool.h>
#include <stddef.h>

struct ledger_client;
struct ledger {
	size_t held;
	size_t max, client_max;
	struct ledger_client *clients; /* those who hold something */
};

/* One connection's part; zeroed = nothing. */
struct ledger_entry {
	size_t held;
	struct ledger_client *client;
};

/* From now on the connection of that peer ("192.0.2.1:4711", "unix") holds so much. Never refuses:
 * the bytes are there already. 0 before the entry is forgotten. */
void ledger_set(struct ledger *l, struct ledger_entry *e, const char *peer, size_t bytes);
/* So much more may be held for that peer. */
bool ledger_has_room(
	const struct ledger *l, const struct ledger_entry *e, const char *peer, size_t more);

#endif
