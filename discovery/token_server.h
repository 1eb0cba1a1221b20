/* The token server (`swarm token-server`): keeps lists of nodes for token:// discovery, over the
 * protocol that agents and managers have always spoken. docs/internals/discovery.md has it. */
#ifndef DISCOVERY_TOKEN_SERVER_H
#define DISCOVERY_TOKEN_SERVER_H

#include "http/tls.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

#include <stdint.h>

struct token_server;

struct token_server_config {
	const struct str_list *listen; /* as addr_parse reads them; a port must be written, 0 picks
					  a free one */
	const struct tls_config *tls;  /* NULL = plain HTTP */
	const char *data_dir;          /* made when missing (its parent is not) */
};

/* Reads the data and listens; requests are served whenever the loop runs. The configuration is
 * copied. Reading the data blocks, so this belongs to the start of a program. NULL with err when
 * the folder is in use by another server (ERR_CONFLICT) or cannot be used, an address is malformed
 * (ERR_INVALID) or taken, or the TLS files do not fit. */
struct token_server *token_server_new(struct loop *loop, const struct env *env,
	const struct token_server_config *config, struct err *err) MUSTCHECK;
/* Requests under way are broken off. Whatever was answered before is safe on disk. */
void token_server_free(struct token_server *server);

/* Port of the n-th tcp address. */
uint16_t token_server_port(const struct token_server *server, size_t n);
/* Reads the TLS files again and uses them for new connections; on error the old ones stay. Nothing
 * without TLS. */
int token_server_reload_tls(struct token_server *server, struct err *err) MUSTCHECK;

#endif
