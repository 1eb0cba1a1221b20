/* Which nodes may take a container. A filter takes out of a set of nodes those that may not, by the
 * indexes of the fleet: no I/O, no clock, no chance; what it says of one node does not depend on
 * the others. */
#ifndef FILTERS_FILTER_H
#define FILTERS_FILTER_H

#include "cluster/fleet.h"
#include "cluster/view.h"
#include "lib/bitset.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>
#include <stddef.h>

/* A placement with its expressions compiled. */
struct filter_request;

/* NULL and ERR_INVALID when an expression is bad, whether or not its filter is in use. The
 * placement is borrowed and must outlive the request. */
struct filter_request *filter_request_new(
	const struct placement *placement, struct err *err) MUSTCHECK;
void filter_request_free(struct filter_request *request);
/* True when matching took more than it may (EXPR_STEPS_MAX): what the filters said is not to be
 * trusted, and the request is to be refused. */
bool filter_request_is_exhausted(const struct filter_request *request);
const struct placement *filter_request_placement(const struct filter_request *request);

/* By whom a node was taken out, and why. */
struct removal {
	int by;
	size_t why;
};

/* Bits of a count of soft terms. */
#define FILTER_SOFT_BITS 8

/* One way of a request through the filters. Who makes it gives the fleet and two sets for all of
 * its slots; the rest is zero. */
struct filter_pass {
	const struct fleet *fleet;
	struct bitset candidates; /* nodes that nobody has taken out yet */
	struct bitset scratch;    /* of a filter, for as long as it runs */
	/* How many soft terms hold on each candidate, a set for each bit of the count: adding a
	 * term to all counts takes no longer than adding two sets. Without room while none was
	 * asked. */
	struct bitset soft[FILTER_SOFT_BITS];
	int by;                   /* for the removals; set by the caller before each filter */
	struct removal *removals; /* by slot, filled in for nodes that are taken out; may be NULL */
};
/* Frees the sets. */
void filter_pass_clear(struct filter_pass *pass);
/* Takes out the candidates that are not in the set, or those that are, for this reason. */
void filter_pass_keep(struct filter_pass *pass, const struct bitset *set, size_t why);
void filter_pass_drop(struct filter_pass *pass, const struct bitset *set, size_t why);

struct filter_ops {
	const char *name; /* as in --filter */
	/* Takes out the candidates that may not take the container as far as this filter is
	 * concerned, each for the first reason there is; counts the soft terms that hold, which
	 * never take one out. Does not block, cannot fail. */
	void (*apply)(struct filter_request *request, struct filter_pass *pass);
	/* Appends what this filter asks of a node, in the one-line form of the failure message
	 * ("disk==ssd node!=n1"); nothing when it asks nothing. NULL = never asks anything that is
	 * worth telling. */
	void (*conditions)(const struct filter_request *request, struct buf *out);
	/* Appends why nodes were taken out ("port 80/tcp is taken"), given removal.why. */
	void (*reason)(const struct filter_request *request, size_t why, struct buf *out);
};

/* All filters in the order in which they are asked; NULL-ended. */
extern const struct filter_ops *const filters_all[];
/* By name. ERR_INVALID naming the known ones. */
const struct filter_ops *filter_find(const char *name, struct err *err) MUSTCHECK;

/* The container that a reference of the dependency kind (--volumes-from, --link, --net container:)
 * means on this node, or NULL: full ID, 12 digits, the same of the swarm ID, name, /name,
 * node/name, unique prefix of the ID. Reservations do not count: their container is not there yet.
 * Borrowed. */
const struct container_view *filter_container_find(
	const struct node_view *node, const char *reference);

#endif
