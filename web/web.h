/* The listener for operators (`swarm manage --admin`): /health, /ready and /metrics, small whole
 * replies on libmicrohttpd inside the loop. It answers whoever reaches it and changes nothing. */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "lib/err.h"
#include "lib/loop.h"
#include "lib/mem.h"

#include <stdint.h>

struct cluster;
struct web;

struct web_config {
	const char *address; /* "tcp://HOST:PORT", port 0 picks a free one; "unix:///path" */
	const char *version;
	struct cluster *cluster;
	/* Why the manager cannot serve yet, or any more; NULL when it can. Borrowed until the next
	 * call. */
	const char *(*unready)(void *arg);
	void *arg;
};

/* Listens, and says so in the log. Blocks where a name must be resolved: for the start of a
 * program. Copies nothing: the configuration and its texts must live as long. ERR_USAGE for a
 * malformed address. */
struct web *web_new(struct loop *loop, const struct web_config *config, struct err *err) MUSTCHECK;
void web_free(struct web *web);
uint16_t web_port(const struct web *web); /* 0 on a unix socket */

#endif
