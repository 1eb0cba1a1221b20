/* Which nodes may take a container. A filter is a pure function of one node and one request: no
 * I/O, no clock, no chance; what it says of one node does not depend on the others. */
#ifndef FILTERS_FILTER_H
#define FILTERS_FILTER_H

#include "cluster/view.h"
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
/* True when matching took more than it may (EXPR_STEPS_MAX): the verdicts are not to be trusted,
 * and the request is to be refused. */
bool filter_request_is_exhausted(const struct filter_request *request);
const struct placement *filter_request_placement(const struct filter_request *request);

struct filter_verdict {
	unsigned soft; /* soft terms that hold are added */
	size_t why;    /* set on refusal: which of the filter's conditions; only for `reason` */
};

struct filter_ops {
	const char *name; /* as in --filter */
	/* True when the node may take it as far as this filter is concerned. Soft terms never
	 * refuse. Does not block, cannot fail. */
	bool (*check)(struct filter_request *request, const struct node_view *node,
		struct filter_verdict *verdict);
	/* Appends what this filter asks of a node, in the one-line form of the failure message
	 * ("disk==ssd node!=n1"); nothing when it asks nothing. NULL = never asks anything that is
	 * worth telling. */
	void (*conditions)(const struct filter_request *request, struct buf *out);
	/* Appends why nodes were refused ("port 80/tcp is taken"), given verdict.why. */
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
