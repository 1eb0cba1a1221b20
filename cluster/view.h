/* Value views of nodes and containers: all that filters and strategies may see. No functions, no
 * I/O. */
#ifndef CLUSTER_VIEW_H
#define CLUSTER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bitset;

struct view_label {
	const char *key;
	const char *value;
};
struct view_labels {
	const struct view_label *items; /* sorted by key (strcmp) */
	size_t len;
};

/* A port that a container has, or wants, on its host. */
struct view_port {
	const char *ip;       /* host address; "" = all (also for 0.0.0.0 and ::) */
	uint16_t port;        /* host port; never 0 */
	const char *protocol; /* "tcp", "udp", "sctp" */
};

/* A container as placement sees it: a real one, or one that is being created (id is then ""). */
struct container_view {
	const char *id;       /* 64 hex digits, or "" */
	const char *swarm_id; /* label com.docker.swarm.id, or "" */
	const char *name;     /* without a slash; may be "" */
	const char *image;    /* as its creator wrote it */
	const char *image_id; /* "sha256:...", or "" when not known yet */
	struct view_labels labels;
	bool is_running;
	bool host_network; /* NetworkMode host: its ports are the exposed ones */
	const struct view_port
		*ports; /* requested or actual host bindings; of stopped containers too */
	size_t ports_len;
	const struct view_port *exposed; /* exposed container ports, ip "" */
	size_t exposed_len;
	int64_t nano_cpus; /* reserved CPUs * 1e9; 0 = nothing asked */
	int64_t memory;    /* reserved bytes; 0 = nothing asked */
};

struct image_view {
	const char *id;           /* "sha256:..." */
	const char *const *names; /* repo:tag and repo@digest */
	size_t names_len;
};

struct node_view {
	const char *id; /* "<engine ID>|<address>" */
	const char *engine_id;
	const char *name;          /* the engine's host name; "(unknown)" while pending */
	const char *addr;          /* "ip:port" as discovered */
	struct view_labels labels; /* engine labels, and storagedriver, kernelversion,
				      operatingsystem, ostype */
	bool is_healthy;
	int64_t total_nano_cpus; /* with overcommit */
	int64_t total_memory;
	int64_t used_nano_cpus; /* of containers and reservations */
	int64_t used_memory;
	const struct container_view *const *containers; /* stopped ones and reservations too */
	size_t containers_len;
	const struct image_view *const *images;
	size_t images_len;
};

/* A volume or network that only some nodes have: what uses it has to be on one of them. */
struct view_need {
	const char *option; /* "--volume", "--net": what it is for the user */
	const char *name;
	const char *const *nodes; /* their IDs, sorted (strcmp) */
	size_t nodes_len;
};

/* What a container that is to be created wants. Owned by whoever made it; everything inside lives
 * as long. */
struct placement {
	struct container_view want;     /* name, image, labels, ports, resources */
	const char *const *constraints; /* "disk==ssd": expressions without their prefix */
	size_t constraints_len;
	const char *const *affinities;
	size_t affinities_len;
	const char *const *whitelists;
	size_t whitelists_len;
	const char *const *volumes_from; /* container names or IDs, without ":ro" */
	size_t volumes_from_len;
	const char *const *links; /* "name:alias" */
	size_t links_len;
	const char *network_container; /* of NetworkMode "container:X"; NULL = none */
	const char *const *volumes;    /* names of volumes that it mounts, wherever they are */
	size_t volumes_len;
	const char *const *networks; /* names or IDs of networks that it joins */
	size_t networks_len;
	/* Those of both that are local to some nodes. Found anew for each selection over a
	 * cluster. */
	const struct view_need *needs;
	size_t needs_len;
	/* Nodes that hold the image, by slot (fleet.h): they go before others where as many soft
	 * terms hold. NULL = none does. */
	const struct bitset *preferred;
	const char *preferred_for; /* the image that they have, or are to get; for the log */
};

#endif
