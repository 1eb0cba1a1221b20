/* The data half of a cluster: records of what the engines hold, the indexes over them, reservations
 * and totals. No I/O and no timers of its own: the live half (node.c, sync.c, ...) feeds it, and
 * everything in cluster.h that only reads is answered from here. Inside cluster/ only. */
#ifndef CLUSTER_INVENTORY_H
#define CLUSTER_INVENTORY_H

#include "cluster/cluster.h"
#include "cluster/cursor.h"
#include "cluster/fleet_priv.h"
#include "cluster/index.h"
#include "lib/json_read.h"

#include <sys/tree.h>

/* Bounds of what one engine may make us keep; what is beyond is a bad record, or left out. */
#define INVENTORY_NAME_MAX 512  /* bytes of a container, network or volume name */
#define INVENTORY_TEXT_MAX 4096 /* bytes of a label, image name, address */
#define INVENTORY_LABELS_MAX CONTAINER_LABELS_MAX
#define INVENTORY_PORTS_MAX 4096           /* ports of one container */
#define INVENTORY_LIST_MAX 512             /* names, mounts, networks of one container */
#define INVENTORY_SUMMARY_MAX (256 * 1024) /* bytes of one container's list entry */
#define INVENTORY_CONTAINERS_MAX 100000    /* of one node; a put beyond is dropped with a warning */
/* Bytes of all containers of one node; beyond, its further ones are kept without what is large. */
#define INVENTORY_NODE_BYTES_MAX (32 * 1024 * 1024)
#define INVENTORY_PART_TEXT_MAX (4 * 1024 * 1024) /* bytes of one of these */
#define INVENTORY_ITEMS_MAX 100000                /* images, networks, volumes of one node, each */

struct interned;
struct execs;
struct promise;
struct reservation;
struct container_record;
RB_HEAD(record_tree, container_record);

/* What may say where a project is, the strongest first. */
enum project_kind {
	PROJECT_PROMISED,
	PROJECT_NETWORKS,
	PROJECT_VOLUMES,
	PROJECT_CONTAINERS,
	PROJECT_IMAGES,
	PROJECT_KINDS,
};

/* Embedded in struct cluster. Private to the data half. */
struct inventory {
	const struct env *env;
	struct loop_prepare *sweep; /* frees the graves before the loop waits; NULL without loop */
	double overcommit;
	uint64_t seq;        /* last number given to a put, or to a list that was asked for */
	uint64_t node_seq;   /* last number given to a node */
	struct node **nodes; /* natural order of name, then address */
	size_t nodes_len, nodes_cap;
	struct index node_names, node_engine_ids, node_ids, node_addrs;
	struct index ids, swarm_ids, names;          /* of containers */
	struct record_tree by_age[CONTAINER_STATES]; /* a tree for each state, one order */
	uint64_t age_changes;                        /* of by_age */
	size_t cursors;                              /* that walk over by_age */
	struct index image_ids, image_names, network_ids, network_names;
	struct index volume_names;
	struct index projects[PROJECT_KINDS]; /* by the label of Compose's projects */
	struct promise *promises;
	size_t promises_len;
	struct index promised_networks, promised_volumes;
	struct image_tally *image_tallies; /* by ID: on how many healthy nodes */
	struct interned *strings;
	/* Of rows, apart: no text of an engine's own is ever taken for one. */
	struct interned *templates;
	struct json_reader *entry_reader, *inspect_reader; /* of container_from_engine */
	struct reservation *reservations;                  /* oldest first */
	struct reservation *ended_reservations; /* hold nothing; their makers free them */
	size_t reservations_len;
	struct index reservation_names, reservation_swarm_ids;
	struct execs *execs;
	struct cluster_totals totals;
	struct fleet fleet;
	struct container_record *graves; /* removed, kept until the end of the turn */
	struct inventory_part *part_graves;
	struct node *node_graves;
};

/* The names of a node's records, without their first slash, each with a NUL behind it
 * (name_text.c). What is dead is NULs, too. */
struct name_text {
	char *text;
	uint32_t len, cap;
	uint32_t dead;              /* bytes of records that went */
	uint32_t hole_at, hole_len; /* of the last one; hole_len 0 = there is none */
	uint32_t left_out;          /* records whose names are not in it */
};

/* Embedded in struct node. The live half reads view; only the functions below change it. */
struct node_inventory {
	struct node_view view;
	uint64_t seq;    /* order of arrival; key of the indexes beside a name */
	uint32_t slot;   /* in inventory.fleet */
	bool is_removed; /* no longer in the cluster; kept by records somebody holds */
	char *ip;        /* for lists */
	int64_t ncpu;    /* of the engine, without overcommit */
	struct index_entry by_name, by_engine_id, by_id, by_addr;
	struct view_label *labels; /* owns view.labels with its texts */
	size_t running, paused, stopped;
	size_t bytes; /* of its records, with the texts that they share with others */
	size_t light; /* records that were made lighter */
	struct container **containers; /* records only */
	size_t containers_len, containers_cap;
	struct name_text names;              /* of these */
	const struct container_view **views; /* records and reservations: view.containers */
	uint32_t **view_places;              /* parallel: where each keeps its place in views */
	size_t views_len, views_cap;
	struct inventory_part *images, *networks, *volumes;
	bool is_full_logged;
	struct node *next_grave;
};

/* ---- The whole ---- */

/* loop may be NULL in tests: then inventory_sweep is called by hand. */
void inventory_init(
	struct inventory *inventory, struct loop *loop, const struct env *env, double overcommit);
/* All nodes must have been removed. Records that somebody still holds must be released before.
 * Reservations stay valid pointers until commit or cancel. */
void inventory_free(struct inventory *inventory);
/* Frees what was replaced or removed in this turn and is held by nobody. */
void inventory_sweep(struct inventory *inventory);
/* Ends reservations and promises that are older than RESERVATION_TTL_MS. To be called about once a
 * second. */
void inventory_tick(struct inventory *inventory);

/* ---- Nodes ---- */

/* A pending node ("(unknown)") at this address, entered into the indexes, with one reference that
 * inventory_node_remove gives up. `live` is NULL. The node's ip is the host part of the address. */
struct node *inventory_node_new(struct cluster *cluster, const char *addr);
/* Takes the node and all its records out of the inventory; reservations on it lose their node. The
 * memory goes at the end of the turn, or when the last record of it is released; until then view is
 * readable. node->live must have been freed or must not be needed. */
void inventory_node_remove(struct node *node);

/* What the engine tells about itself in /info. Everything is copied. */
struct inventory_identity {
	const char *engine_id;
	const char *name; /* one with '/', blanks or control characters counts as none */
	const struct view_label *labels; /* any order; of equal keys the last counts */
	size_t labels_len;
	int64_t ncpu;   /* without overcommit; negative counts as 0 */
	int64_t memory; /* bytes, without overcommit */
};
void inventory_node_set_identity(struct node *node, const struct inventory_identity *identity);
/* Becomes or stops being part of totals; view.is_healthy. */
void inventory_node_set_health(struct node *node, bool is_healthy);
/* The address for lists (node_ip returns it). Records made later carry it in ports_json. */
void inventory_node_set_ip(struct node *node, const char *ip);

/* ---- Containers ---- */

/* JSON that an engine tells of one container: its entry in GET /containers/json, and GET
 * /containers/{id}/json, NULL when the engine could not give it. Behind each stands a NUL. */
struct engine_text {
	const char *entry;
	size_t entry_len;
	const char *inspect;
	size_t inspect_len;
};
/* A new record, of one reference, not in the inventory yet. Without an inspection it knows what the
 * entry tells. ERR_UPSTREAM when the two make no record. */
struct container *container_from_engine(
	struct node *node, const struct engine_text *text, struct err *err) MUSTCHECK;
/* True when this list entry would make the record anew as it is, but for its state and status.
 * text: what it was read from. */
bool container_is_listed_as(
	struct container *container, struct json_ref entry, const char *text, size_t len);
/* Enters the record, replacing the one of the same ID on the same node. Takes the reference. */
void inventory_container_put(struct container *record_take);
/* Notes that the record, not put yet, lacks what the engine could not tell, or was too large.
 * False: so did the one that it takes the place of. */
bool inventory_container_mark_partial(struct container *container);
/* False when there was none. */
bool inventory_container_remove(struct node *node, const char *id);
/* The record of a full ID on this node. Borrowed, or NULL. */
struct container *inventory_container_get(const struct node *node, const char *id);
/* A new number, to be taken before asking an engine for its list, for the two below. */
uint64_t inventory_ask(struct inventory *inventory);
/* The list that was asked for at `asked_at` holds this one. */
void inventory_container_listed(struct container *container, uint64_t asked_at);
/* Removes every container of the node that this list did not hold and that was not put after
 * `asked_at`. Returns how many went. */
size_t inventory_containers_prune(struct node *node, uint64_t asked_at);
/* All that this list held is put now: what was left to be told by it is told. */
void inventory_containers_told(struct node *node, uint64_t asked_at);

/* ---- Images, networks, volumes ---- */

/* Each takes the engine's whole answer (GET /images/json, /networks, /volumes) in the place of what
 * was known. Bad entries are left out: *bad (may be NULL) counts them. -1 and nothing changed when
 * the answer as a whole is not one. */
int inventory_images_replace(
	struct node *node, struct json_ref answer, size_t *bad, struct err *err);
int inventory_networks_replace(
	struct node *node, struct json_ref answer, size_t *bad, struct err *err);
int inventory_volumes_replace(
	struct node *node, struct json_ref answer, size_t *bad, struct err *err);
/* That of one of them (NODE_IMAGES ...), which was asked for at asked_at, has replaced what was
 * known: what was left to be told by it is told. */
void inventory_part_told(struct node *node, unsigned part, uint64_t asked_at);

#endif
