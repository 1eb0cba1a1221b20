/* Docker engines simulated in memory: each node is an engine with its own address, containers,
 * images, networks, volumes and events, and answers the Docker Remote API as a real engine does.
 * Nothing is run: a container's program is one of a few that are built in (docs/simulator.md). */
#ifndef SIMULATOR_SIMULATOR_H
#define SIMULATOR_SIMULATOR_H

#include "http/tls.h"
#include "lib/addr.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIMULATOR_NODES_MAX 65536
#define SIMULATOR_CONTAINERS_MAX 100000 /* per node */
#define SIMULATOR_RATE_MAX 50000

/* Strings marked "pattern" are made anew for every node; in them `{i}` is the node's number, from 0
 * on, and `{i%N}`, `{i/N}`, `{i+N}` the same number taken modulo N, divided by N (both N > 0), or
 * N more. `{{` is a brace. Anything else between braces is an error. */
struct simulator_config {
	unsigned nodes;     /* 1 to SIMULATOR_NODES_MAX */
	struct addr listen; /* tcp: node i listens on port + i (port 0: any free ones); unix: path
			       is a pattern. Borrowed during simulator_new. */
	bool spread_addresses; /* tcp: one port for all, node i on address + i instead; the address
				  is then an IPv4 one, in 127.0.0.0/8 unless the machine has them.
				  On 127.0.0.0/8 one socket listens for all nodes. */
	struct tls_context *tls; /* NULL = plain; a reference is taken */

	const char *name;       /* pattern of the nodes' host names */
	struct str_list labels; /* patterns "key=value" of engine labels. Borrowed, as the next. */
	struct str_list images; /* references that every node holds; without tag: latest */
	unsigned containers;    /* running on every node from the start, of the first image */
	unsigned cpus;          /* of each node, at least 1 */
	int64_t memory;         /* bytes of each node, at least 4 MiB */
	const char *server_version; /* "20.10.24" */
	const char *api_version;    /* highest it speaks: "1.41" */
	const char *api_min_version;

	unsigned latency_ms,
		jitter_ms;   /* every answer waits latency plus a random part of jitter */
	double failure_rate; /* 0 to 1: this part of the requests is answered 500 */
	/* What happens by itself, in the whole fleet, a second; at most SIMULATOR_RATE_MAX. */
	double changes;       /* containers started or stopped, created or removed */
	double outages;       /* nodes that go away */
	unsigned outage_ms;   /* for how long, from half of that to one and a half */
	unsigned dripping;    /* so many nodes, the last ones, answer a byte a second */
	unsigned events_kept; /* past events that a `since` can ask for, per node */
	uint64_t seed;        /* not 0: IDs, names and chance are the same in every run */
	bool control;         /* offer POST /_simulator/fault on every engine */
};

/* One node on 127.0.0.1:2375 with an image busybox:latest, as an idle 20.10 engine with 2 CPUs and
 * 2 GiB. Free with simulator_config_reset. */
void simulator_config_init(struct simulator_config *config);
void simulator_config_reset(struct simulator_config *config);

struct simulator;

/* All engines are listening when it returns. Nothing is left behind on failure; the error names the
 * setting or the address. */
struct simulator *simulator_new(struct loop *loop, const struct env *env,
	const struct simulator_config *config, struct err *err) MUSTCHECK;
/* Closes every connection. */
void simulator_free(struct simulator *simulator);

size_t simulator_nodes(const struct simulator *simulator);
/* Where node i (< simulator_nodes) listens, as addr_format writes it. Owned by the caller. */
char *simulator_address(const struct simulator *simulator, size_t i);

#endif
