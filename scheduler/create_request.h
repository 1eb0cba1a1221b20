/* POST /containers/create as placement sees it: the body with the cluster's own parts taken out,
 * and what the container wants of a node. */
#ifndef SCHEDULER_CREATE_REQUEST_H
#define SCHEDULER_CREATE_REQUEST_H

#include "cluster/view.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Labels in which a container carries its terms (JSON arrays of texts), and its ID in the cluster.
 */
#define SWARM_LABEL_ID "com.docker.swarm.id"
#define SWARM_LABEL_CONSTRAINTS "com.docker.swarm.constraints"
#define SWARM_LABEL_AFFINITIES "com.docker.swarm.affinities"
#define SWARM_LABEL_WHITELISTS "com.docker.swarm.whitelists"
#define SWARM_LABEL_RESCHEDULE "com.docker.swarm.reschedule-policies"

/* Bytes of a container's name; entries of --volumes-from and of --link; ports of each kind. */
#define CREATE_NAME_MAX 255
#define CREATE_DEPENDENCIES_MAX 64
#define CREATE_PLACES_MAX 256 /* volumes, and networks, that one request names */
#define CREATE_PORTS_MAX 4096
#define CREATE_MOUNTS_MAX 1000 /* of Binds, and of Mounts */
#define CREATE_ENV_MAX 10000
#define CREATE_LABELS_MAX 10000
/* Keys and values together: what the inventory takes of one container. */
#define CREATE_LABELS_BYTES_MAX (256 * 1024)

/* On a container whose CpuShares are a weight, "weight": they count as no CPUs. */
#define SWARM_LABEL_SHARES "com.docker.swarm.cpu-shares"

struct create_request;

/* What CpuShares are. */
enum create_shares {
	CREATE_SHARES_AUTO,   /* a number of CPUs, or a weight when no node has as many */
	CREATE_SHARES_COUNT,  /* a number of CPUs */
	CREATE_SHARES_WEIGHT, /* the engine's weight, passed on and not counted */
};

struct create_options {
	const char *name; /* ?name=, with or without a slash in front; NULL or "" = none */
	/* To make a container again that the cluster had before: its swarm ID, which the body's
	 * labels may then hold too. NULL = a new one, and a body that brings one is refused. */
	const char *swarm_id;
	enum create_shares shares;
	int64_t cpus_max; /* of the largest node; 0 = not known: then they are a number */
};

/* The body is borrowed and not changed. Fields are found as the engine finds them, without regard
 * to case; fields that placement does not know are kept as they are. ERR_INVALID names the field or
 * the expression that is wrong; ERR_CONFLICT when the body brings a swarm ID of its own. options
 * may be NULL. */
struct create_request *create_request_new(
	const json_t *body, const struct create_options *options, struct err *err) MUSTCHECK;
/* The terms in the arguments of a build ("constraint:disk" -> "=ssd", which is how `--build-arg
 * constraint:disk==ssd` arrives) and nothing else wanted. create_request_body then gives the
 * arguments without them. args: an object, or NULL. */
struct create_request *create_request_new_build(const json_t *args, struct err *err) MUSTCHECK;
/* The terms in the labels of what is to be made (a network, a volume), and nothing else wanted.
 * Fields that an engine could read in two ways are refused as above. */
struct create_request *create_request_new_labels(const json_t *body, struct err *err) MUSTCHECK;
/* What is to be made uses that network, which may be on some nodes only. ERR_INVALID when it is one
 * too many. */
int create_request_add_network(
	struct create_request *request, const char *name, struct err *err) MUSTCHECK;
void create_request_free(struct create_request *request);

/* Borrowed; good until the request is freed or a term is added. */
const struct placement *create_request_placement(const struct create_request *request);
const char *create_request_name(const struct create_request *request);  /* "" = none */
const char *create_request_image(const struct create_request *request); /* "" = none */
const char *create_request_swarm_id(const struct create_request *request);
/* True when it names volumes, which its engine makes if they are not there. */
bool create_request_names_volumes(const struct create_request *request);

/* The node (by ID) that goes first as long as no node holds the image: it is about to get it. Not
 * stored with the container. "" = none. */
void create_request_prefer_node(struct create_request *request, const char *node_id);
const char *create_request_preferred_node(const struct create_request *request);

enum create_term {
	CREATE_CONSTRAINT,
	CREATE_AFFINITY,
	CREATE_WHITELIST,
};
/* One term more ("image==~nginx"), for this placement only: it is not stored with the container.
 * ERR_INVALID when it is no expression, or one too many. */
int create_request_add_term(struct create_request *request, enum create_term kind,
	const char *expression, struct err *err) MUSTCHECK;

/* The body for the engine of this node (a new reference): CpuShares as that engine's weight for the
 * number of CPUs asked for, containers named in a way that the engine knows. ncpu: CPUs of the
 * engine without overcommit; 0 = not known. */
json_t *create_request_body(
	const struct create_request *request, const struct node_view *node, int64_t ncpu);
/* The links of an end point ("node/web:alias") as the engine of this node, and the network, know
 * them: changes the object in place. Anything but texts is left for the engine to refuse. */
void create_endpoint_links(json_t *endpoint, const struct node_view *node);

#endif
