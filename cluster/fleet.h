/* What placement asks about all nodes at once: which of them have a label, a port, a container, an
 * image; and how full each one is. Answers are sets of nodes, found by indexes that are kept as
 * things come and go; no question looks at one node after the other, but for those that have what
 * is asked for.
 *
 * A node has a slot, a small number that is its own for as long as it is in the cluster; sets of
 * nodes (lib/bitset.h) are sets of slots. Everything borrowed is good until something changes. */
#ifndef CLUSTER_FLEET_H
#define CLUSTER_FLEET_H

#include "cluster/view.h"
#include "lib/bitset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fleet;

/* How full a node is: the numbers of its view, side by side for all nodes. */
struct fleet_load {
	int64_t total_nano_cpus, total_memory;
	int64_t used_nano_cpus, used_memory;
	uint64_t stamp; /* another one when a slot has another node, or its node another ID */
	size_t containers;
};

/* All slots are below this. */
size_t fleet_slots(const struct fleet *fleet);
/* The slots in use, in the order of cluster_nodes. */
const uint32_t *fleet_order(const struct fleet *fleet, size_t *len);
/* By slot; entries of slots that are not in use mean nothing. Ranks are places in the order. */
const uint32_t *fleet_ranks(const struct fleet *fleet);
const struct fleet_load *fleet_loads(const struct fleet *fleet);
const struct node_view *fleet_view(const struct fleet *fleet, size_t slot);
/* All nodes, the healthy ones, and those whose engine has answered at least once. */
const struct bitset *fleet_all(const struct fleet *fleet);
const struct bitset *fleet_healthy(const struct fleet *fleet);
const struct bitset *fleet_known(const struct fleet *fleet);

/* Which texts are meant. `match` is asked once for each text that there is and begins with prefix,
 * however many nodes have it. */
struct fleet_query {
	const char *prefix; /* "" = any may match */
	bool is_exact;      /* prefix is the one text that matches; `match` is not asked */
	bool (*match)(void *arg, const char *text);
	void *arg;
};

/* Each adds nodes to a set that has room for fleet_slots. */

/* Those of which the name, the engine ID or the ID is meant. */
void fleet_add_nodes(
	const struct fleet *fleet, const struct fleet_query *query, struct bitset *out);
/* Those whose engine has such a value for the label; one without the label has it empty. */
void fleet_add_node_labels(const struct fleet *fleet, const char *key,
	const struct fleet_query *query, struct bitset *out);
/* Those with such a container: of its label, likewise; of its name (a container without one has
 * none), ID (12 digits of it too, when the query is exact) or swarm ID. Reservations count. */
void fleet_add_container_labels(const struct fleet *fleet, const char *key,
	const struct fleet_query *query, struct bitset *out);
void fleet_add_containers(
	const struct fleet *fleet, const struct fleet_query *query, struct bitset *out);
/* Those with such an image: by name, name without tag and digest, or ID (with or without
 * "sha256:", 12 digits of it too when the query is exact). */
void fleet_add_images(
	const struct fleet *fleet, const struct fleet_query *query, struct bitset *out);
/* Those with the image of this name, as engines list it, if it is the same image on all of them.
 * False, and nothing is added, when none has it or the name stands for several. */
bool fleet_add_image_named(const struct fleet *fleet, const char *name, struct bitset *out);
/* Those where this port is taken; host_network: by exposed ports of containers in host network
 * mode, else by bindings. */
void fleet_add_ports(const struct fleet *fleet, const struct view_port *port, bool host_network,
	struct bitset *out);
/* Those with a container that a reference of the dependency kind means there: the rules of
 * filter_container_find. */
void fleet_add_reference(const struct fleet *fleet, const char *reference, struct bitset *out);
/* The node of this ID, if it is there. */
void fleet_add_id(const struct fleet *fleet, const char *id, struct bitset *out);

/* A node that has some text, and how many of its things do. */
struct posting {
	uint32_t slot;
	uint32_t count;
};
typedef void fleet_value_fn(
	void *arg, const char *value, const struct posting *nodes, size_t nodes_len);
/* The nodes with such a container, of this label: value NULL = any, "" = it is empty. Sorted by
 * slot. */
const struct posting *fleet_container_label(
	const struct fleet *fleet, const char *key, const char *value, size_t *len);
/* Each value that some engine gives the label. */
void fleet_each_node_label(
	const struct fleet *fleet, const char *key, fleet_value_fn *fn, void *arg);

#endif
