/* One manager: listeners, the API handler, scheduler, inventory and discovery wired together, with
 * its signals and its way to stop. */
#ifndef MANAGE_MANAGE_H
#define MANAGE_MANAGE_H

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/str.h"
#include "scheduler/create_request.h"

#include <stdbool.h>
#include <stdint.h>

/* Everything is borrowed, and must live as long as the manager. */
struct manage_config {
	const char *version;          /* of the program, as clients see it */
	const char *admin;            /* where health and metrics are served; NULL = nowhere */
	const struct str_list *hosts; /* where to listen: "tcp://0.0.0.0:2375", "unix:///path" */

	const struct str_list *origins;    /* of web pages that may ask, see http/web.h */
	const struct str_list *host_names; /* that clients of loopback listeners may use */

	const char *discovery; /* URL */
	const struct str_list *discovery_options;
	uint64_t heartbeat_ms; /* how often discovery is looked at, >= 1000 */

	bool tls;        /* TLS to clients and engines */
	bool tls_verify; /* and both are verified; implies tls */
	const char *tls_ca, *tls_cert, *tls_key;

	const char *strategy;
	const struct str_list *filters; /* names; empty = all, in their order */

	uint64_t refresh_min_ms, refresh_max_ms; /* full resync of each node, see cluster.h */
	unsigned failure_retry;                  /* >= 1 */
	double overcommit;                       /* > -1 */
	unsigned create_retry;
	enum create_shares shares;
	bool volumes_everywhere; /* a volume that names no node is made on all of them */
};

/* Time that exchanges in flight have to end after SIGTERM. */
#define MANAGE_DRAIN_MS 10000

struct manage;

/* Checks and loads everything, and listens. ERR_USAGE: an address, name or URL of the configuration
 * is wrong; other codes: a file, or an address that cannot be had. The message names it. */
struct manage *manage_new(const struct manage_config *config, struct err *err) MUSTCHECK;
/* Serves until SIGTERM or SIGINT. */
void manage_run(struct manage *manage);
void manage_free(struct manage *manage);

#endif
