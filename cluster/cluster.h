/* The inventory of one cluster: nodes with their states, containers, images, networks and volumes,
 * reservations, and the merged stream of events. Fed by the engines themselves: their event
 * streams, resynchronised after every gap and at long intervals. Lookups are by index; nothing here
 * waits.
 *
 * Records (struct container and so on) are replaced, never edited, once they can be seen. A
 * borrowed record is good until control returns to the loop; record_ref keeps it longer. */
#ifndef CLUSTER_CLUSTER_H
#define CLUSTER_CLUSTER_H

#include "cluster/view.h"
#include "http/client.h"
#include "lib/buf.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

#include <jansson.h>

struct cluster;
struct node;

/* ---- The cluster ---- */

struct cluster_config {
	struct tls_context *tls; /* for engines; NULL = plain */
	uint64_t refresh_min_ms; /* full resync of a healthy node: at a random time in */
	uint64_t refresh_max_ms; /* [min, max]; events keep it fresh in between */
	unsigned
		failure_retry; /* failed probes in a row before a node counts as unhealthy (>= 1) */
	double overcommit;     /* 0.05 = 5 % more CPU and memory than there is; > -1 */
	unsigned refused;      /* ADDR_SPECIAL_* kinds that nodes' names must not stand for */
};
#define CLUSTER_OVERCOMMIT_DEFAULT 0.05

struct cluster *cluster_new(struct loop *loop, const struct env *env, struct client *client,
	const struct cluster_config *config);
void cluster_free(struct cluster *cluster);
/* New connections to engines use it. */
void cluster_set_tls(struct cluster *cluster, struct tls_context *tls);

/* The full set of addresses that discovery reports now. New ones are added as pending and contacted
 * at once; those that are missing are removed (their containers leave the inventory,
 * engine_disconnect is published). */
void cluster_set_nodes(struct cluster *cluster, const struct str_list *addrs);

/* All nodes in natural order of name, then address. Borrowed. */
struct node *const *cluster_nodes(const struct cluster *cluster, size_t *len);
/* By node name, node ID, engine ID or address, in this order; NULL when none or (name, engine ID)
 * several match. */
struct node *cluster_node_find(const struct cluster *cluster, const char *name);

/* What placement asks (fleet.h), and the way there and back. Borrowed. */
struct fleet;
const struct fleet *cluster_fleet(const struct cluster *cluster);
struct node *cluster_node_at(const struct cluster *cluster, size_t slot);
size_t node_slot(const struct node *node); /* of one that is in the cluster */

/* Sums that are kept, not computed: O(1). */
struct cluster_totals {
	size_t nodes, nodes_healthy;
	size_t containers, running, paused, stopped;
	size_t images;             /* distinct IDs over the healthy nodes */
	int64_t nano_cpus, memory; /* with overcommit, healthy nodes */
};
void cluster_totals(const struct cluster *cluster, struct cluster_totals *out);

/* ---- Nodes ---- */

enum node_state {
	NODE_PENDING, /* never answered yet, or not acceptable (see node_error) */
	NODE_HEALTHY,
	NODE_UNHEALTHY,    /* answered before; probes fail */
	NODE_DISCONNECTED, /* unhealthy, and the transport itself fails */
};
const char *node_state_name(enum node_state state); /* "Pending", "Healthy", ... */
enum node_state node_state(const struct node *node);
const struct node_view *node_view(const struct node *node);
/* A node that is held can be looked at after it was removed, as it was then. */
void node_ref(struct node *node);
void node_unref(struct node *node);
/* For calls and raw calls; NULL once the node was removed (then its state is NODE_DISCONNECTED). */
struct endpoint *node_endpoint(const struct node *node);
const char *node_error(const struct node *node);   /* last error, or "" */
int64_t node_retry_in_ms(const struct node *node); /* until the next attempt; -1 when healthy */
int64_t node_updated_at(
	const struct node *node); /* unix seconds of the last full resync; 0 = never */
const char *node_server_version(
	const struct node *node); /* "20.10.24", "" before the first contact */
const char *node_api_version(
	const struct node *node); /* highest of the engine: "1.41", "" before */
const char *node_api_min_version(const struct node *node);
/* Its engine tells clients to build with BuildKit: Builder-Version 2 in its /_ping. */
bool node_prefers_buildkit(const struct node *node);
/* The target of a call to this engine: "/containers/json?all=1" becomes
 * "/v1.41/containers/json?all=1", with the highest API version that both sides speak (ours goes up
 * to NODE_API_MAX). target starts with '/'. Owned by the caller. */
#define NODE_API_MAX "1.50"
#define NODE_API_MIN "1.24" /* engines that offer less are not accepted */
char *node_path(const struct node *node, const char *target) MUSTCHECK;
const char *node_ip(
	const struct node *node); /* for lists: the address's host part, resolved if it is a name */
/* What the engine tells in /info, less what no other engine tells (ID, name, labels, CPUs, memory,
 * counts): nodes that tell the same return the same object. Borrowed; NULL before the first
 * contact. */
const json_t *node_info(const struct node *node);
int64_t node_cpus(const struct node *node); /* of the engine, without overcommit */
size_t node_running(const struct node *node), node_paused(const struct node *node),
	node_stopped(const struct node *node);
/* Calls fn once when the node stops being healthy or is removed; for ending what waits on it. Of a
 * node that is not healthy now: when it was, and stops being so again. */
struct node_waiter;
struct node_waiter *node_on_down(struct node *node, void (*fn)(void *arg), void *arg);
/* To be called in any case: before fn was called, from inside of it, or after. */
void node_waiter_free(struct node_waiter *waiter);

/* A call to this engine failed at the transport (not: answered an error). Starts a probe at once;
 * the node's state changes only by probes. */
void node_report_failure(struct node *node, const struct err *err);

/* ---- Containers ---- */

/* Labels that the inventory keeps of one container: their number, and the bytes of all keys and
 * values. What has more is kept without the rest, so who makes containers refuses it. */
#define CONTAINER_LABELS_MAX 512
#define CONTAINER_LABELS_BYTES_MAX (128 * 1024)

struct container {
	struct container_view view;
	struct node *node;
	unsigned refs;
	int64_t created;    /* unix seconds */
	const char *state;  /* "created", "running", "paused", "restarting", "removing", "exited",
			       "dead" */
	const char *health; /* "none", "starting", "healthy", "unhealthy" */
	const char *isolation;
	int exit_code;
	int64_t started_at, finished_at; /* unix seconds, 0 = never */
	bool is_restarting, is_removing, is_dead, is_paused;
	struct str_list names;    /* all, as the engine gives them: "/web", "/app/web" (links) */
	struct str_list volumes;  /* mount names (of binds: sources) and destinations */
	struct str_list networks; /* network names and IDs */
	struct str_list published, container_ports; /* "80/tcp": host side, container side (ps
						       filters publish, expose) */
	/* The engine's list entry, for container_row: containers that are alike share the one, the
	 * other is their own. */
	const char *row_template, *row_values;
	char *ports_json; /* `Ports` with the engine's IP instead of 0.0.0.0 and :: */
};
struct container *container_ref(struct container *container);
void container_unref(struct container *container);
/* Appends its list entry as compact JSON from `{` on, without `Status`, `State`, `Names`, `Ports`
 * and without the closing brace. */
void container_row(const struct container *container, struct buf *out);
/* "Up 5 minutes (healthy)", "Exited (0) 2 hours ago", as the engine words it at this time. Owned by
 * the caller. */
char *container_status(const struct container *container, int64_t now_seconds);
/* Appends the same, as it stands in a JSON string. */
void container_status_append(
	struct buf *out, const struct container *container, int64_t now_seconds);

/* By full ID, 12 digits, swarm ID, name, /name, node/name, engineID/name, unique prefix of ID or
 * swarm ID. ERR_NOT_FOUND "No such container: X"; ERR_INVALID with the candidates when ambiguous.
 */
struct container *cluster_container_find(
	const struct cluster *cluster, const char *key, struct err *err);
/* Which of two is older: < 0 when a is, 0 for the same container. To the engine's nanosecond, then
 * by ID: the order of lists, reversed. */
int container_age_cmp(const struct container *a, const struct container *b);
/* All of them, or those of some name, label and so on: cursor.h. */
/* The containers of one node, in no order. */
struct container *const *node_containers(const struct node *node, size_t *len);

/* Asks the engine for one container anew, so that what comes after sees what was done before (read
 * your writes). id: the full one, 64 hex digits. done is called, never from inside, when the record
 * is replaced, or gone, or the engine could not tell (then err); always. Calls for the same
 * container are merged, but none that started before this call. */
void node_refresh_container(struct node *node, const char *id,
	void (*done)(void *arg, const struct err *err), void *arg);
/* The engine said that it removed this container: it leaves the inventory now, as by the event that
 * will follow. No question to the engine is needed for that, however many they are. */
void node_container_gone(struct node *node, const char *id);
/* As node_refresh_container, for the whole lists of images, networks, volumes of the node. */
enum node_part {
	NODE_IMAGES = 1,
	NODE_NETWORKS = 2,
	NODE_VOLUMES = 4,
};
void node_refresh_parts(struct node *node, unsigned parts,
	void (*done)(void *arg, const struct err *err), void *arg);

/* Exec IDs: which container (and so node) an exec instance belongs to. Kept until its container
 * goes, and at most EXECS_MAX in all, oldest dropped. */
#define EXECS_MAX 100000
void cluster_exec_add(
	struct cluster *cluster, const char *exec_id, const struct container *container);
/* ERR_NOT_FOUND "No such exec instance: X". The node it runs on. */
struct node *cluster_exec_find(const struct cluster *cluster, const char *exec_id, struct err *err);

/* ---- Images, networks, volumes ---- */

struct image {
	struct image_view view;
	struct node *node;
	const char *text;      /* the engine's list entry; images that are told alike share it */
	const char *parent_id; /* "" = none */
	int64_t created;       /* unix seconds */
	bool has_digests;      /* a registry knows it by one */
	/* It came up in the cluster while this manager looked on: built, committed or loaded. What
	 * the first list of a node had was there before. */
	bool is_made_here;
};
struct network {
	const char *id, *name, *driver, *scope; /* scope "local", "global", "swarm" */
	struct node *node;
	const char *text; /* the engine's list entry */
};
struct volume {
	const char *name, *driver, *scope;
	struct node *node;
	const char *text;
};
/* The entry of an image, network or volume, made of its text each time: as values it takes several
 * times the room. Owned by the caller. */
json_t *entry_json(const char *text);
/* Images are all that the engine has, intermediate layers of builds too: those have no names and
 * are the ParentId of another. */
struct image *const *node_images(const struct node *node, size_t *len);
struct network *const *node_networks(const struct node *node, size_t *len);
struct volume *const *node_volumes(const struct node *node, size_t *len);

/* All images that a reference names, over all nodes: ID or unique prefix (>= 3 digits, with or
 * without "sha256:"), repo[:tag] (no tag = latest, else any), repo@digest. A new array, healthy
 * nodes first; len 0 when none. Free with free(). */
struct image **cluster_images_find(
	const struct cluster *cluster, const char *reference, size_t *len);
/* The same as an engine reads a reference: no tag is latest and no other. NULL when there is none:
 * ERR_NOT_FOUND "No such image: repo:latest", ERR_INVALID with the candidates for a prefix of
 * several IDs. */
struct image **cluster_images_named(const struct cluster *cluster, const char *reference,
	size_t *len, struct err *err) MUSTCHECK;
/* A reference as engines list it: without the address of the public hub, `:latest` where there is
 * neither tag nor digest; a whole ID as it is. Owned by the caller. */
char *image_reference_familiar(const char *reference) MUSTCHECK;
/* By ID, 12 digits, name or node/name when unique, unique ID prefix. Errors as for containers
 * ("network X not found"). */
struct network *cluster_network_find(
	const struct cluster *cluster, const char *key, struct err *err);
/* name or node/name. ("get X: no such volume") */
struct volume *cluster_volume_find(const struct cluster *cluster, const char *key, struct err *err);

/* ---- Where things are that only some nodes have ---- */

/* The nodes with a local network of that name or ID (or 12 digits of one), or with a local volume
 * of that name, or that were promised one; those that are not healthy too. None when all that there
 * are are not local: then every node can use it. A new array, to be freed with free(). */
struct node **cluster_network_nodes(const struct cluster *cluster, const char *key, size_t *len);
struct node **cluster_volume_nodes(const struct cluster *cluster, const char *name, size_t *len);
/* Whether a network of that name is there or promised: on this node, or anywhere (NULL). */
bool cluster_network_is_taken(
	const struct cluster *cluster, const char *name, const struct node *node);

/* The network of that name, ID or unique prefix (>= 3) of an ID, or the volume of that name, on
 * this node; NULL when there is none. */
struct network *cluster_network_on(const struct node *node, const char *key);
struct volume *cluster_volume_on(const struct node *node, const char *name);

/* The healthy node that holds something of a project already: what is promised, a local network, a
 * local volume, a container, an image that no other node has; by the label that Compose gives them,
 * or by a name that begins with `project_` or `project-`. NULL = none. Bounded work. */
#define PROJECT_LABEL "com.docker.compose.project"
struct node *cluster_project_home(const struct cluster *cluster, const char *project);

/* The name of a network or volume, and the project that it is of ("" = none), that the engine of
 * this node is being asked to make: until its record is in the inventory, the functions above know
 * it by its promise. Names need not be unique. ERR_UNAVAILABLE when there are too many. */
enum promise_kind {
	PROMISE_NETWORK,
	PROMISE_VOLUME,
};
struct promise;
struct promise *cluster_promise(struct cluster *cluster, enum promise_kind kind, struct node *node,
	const char *name, const char *project, struct err *err) MUSTCHECK;
/* Good for as long as the promise, also when the node has gone; NULL after cluster_free. */
struct node *promise_node(const struct promise *promise);
void promise_free(struct promise *promise); /* NULL is fine */
/* It is not known whether the engine made it: the promise goes when a list of the node shows it, or
 * one shows that it was not made, and after RESERVATION_TTL_MS. Takes it. */
void promise_leave(struct promise *promise);

/* ---- Reservations ---- */

/* Takes name, ports, slot, CPU and memory of `want` on a node before anything is sent to it,
 * atomically: ERR_CONFLICT when the name is taken anywhere in the cluster (unhealthy nodes and
 * other reservations too). The reservation is seen by node_view like a container. It ends by
 * commit, cancel or leave. What it holds is also given back when its node is removed, or after
 * RESERVATION_TTL_MS; the pointer stays valid. */
#define RESERVATION_TTL_MS (10 * 60 * 1000)
struct reservation;
struct reservation *cluster_reserve(struct cluster *cluster, struct node *node,
	const struct container_view *want, struct err *err) MUSTCHECK;
struct node *reservation_node(const struct reservation *reservation); /* NULL when removed */
/* The container exists now and its record is in the inventory (node_refresh_container was done). */
void reservation_commit(struct reservation *reservation);
/* There is no container: the engine refused, or was not asked. */
void reservation_cancel(struct reservation *reservation);
/* It is not known whether this node made it (or took the name): all stays held until the record of
 * the container comes, or a later list of the node shows that there is none. */
void reservation_leave(struct reservation *reservation, struct node *node);
/* Names alone, for rename: ERR_CONFLICT "Conflict: The name X is already assigned. ...". */
struct reservation *cluster_reserve_name(
	struct cluster *cluster, const char *name, struct err *err) MUSTCHECK;

/* ---- Events ---- */

/* Every event of every engine as it came, with the manager's additions (node{Name,Id,Addr,Ip};
 * Actor.Attributes node.*), as one line of compact JSON; and the cluster's own: Type "swarm",
 * Action engine_connect, engine_reconnect, engine_disconnect. An event is published after the
 * inventory shows what it tells. Borrowed for the call. */
struct event {
	const json_t *json;
	const char *text; /* json as text, without newline */
	size_t text_len;
	int64_t time_nano;
	const char *type;   /* "container", ... */
	const char *action; /* "start", ... */
	struct node *node;
};
/* The engine's time from which on its events were seen, all of them, in ns; 0 = none yet. What was
 * before, the engine alone can tell. */
int64_t node_events_from(const struct node *node);
/* Adds to an event that the engine told otherwise what it would have as a published one. */
void node_complete_event(const struct node *node, json_t *event);
struct event_listener;
struct event_listener *cluster_listen(
	struct cluster *cluster, void (*fn)(const struct event *event, void *arg), void *arg);
void event_listener_free(struct event_listener *listener);

#endif
