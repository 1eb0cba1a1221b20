/* What the files about create requests share. Inside scheduler/ only. */
#ifndef SCHEDULER_CREATE_PRIV_H
#define SCHEDULER_CREATE_PRIV_H

#include "lib/str.h"
#include "scheduler/body_fields.h"
#include "scheduler/create_request.h"

/* Digits of a swarm ID. */
#define SWARM_ID_LEN 64

struct create_request {
	json_t *body; /* a copy without the cluster's parts; not changed any more once made */
	char *name;
	char swarm_id[SWARM_ID_LEN + 1];
	struct str_list constraints, affinities, whitelists, reschedules;
	struct str_list volumes_from, links;
	char *network_container;
	struct str_list volumes, networks;
	bool names_volumes;   /* those of `node/name` too, which are not in volumes */
	char *preferred_node; /* ID, NULL = none */
	enum create_shares shares;
	int64_t cpus_max;
	int64_t cpu_shares; /* as asked for: a number of CPUs; 0 when it is a weight */
	bool has_weight;
	struct view_port *ports, *exposed;
	struct str_list ips;       /* owns the host addresses in ports */
	struct view_label *labels; /* texts are the body's */
	struct placement placement;
};

/* As body_field_get, for a list of texts, appended to out. */
int create_field_texts(const json_t *object, const char *where, const char *key,
	struct str_list *out, struct err *err) MUSTCHECK;
/* Moves fields of HostConfig that stand beside it into it, where engines would obey them; drops
 * them where none does. ERR_INVALID when both are there and differ. */
int create_move_host_fields(json_t *body, struct err *err) MUSTCHECK;

/* Reads ports, network, resources and dependencies of request->body into request. */
int create_read_fields(struct create_request *request, struct err *err) MUSTCHECK;

/* Reads which networks and volumes request->body names into request, and takes the nodes out of
 * `node/name`. host may be NULL. */
int create_read_places(struct create_request *request, json_t *host, struct err *err) MUSTCHECK;

/* Moves the terms of Env into labels, and into the lists of the request; checks them and the
 * reschedule policy. Changes request->body. */
int create_read_terms(struct create_request *request, struct err *err) MUSTCHECK;
/* Reads the terms in the labels of request->body into its lists; changes nothing there. */
int create_read_labels(struct create_request *request, struct err *err) MUSTCHECK;
/* Takes the terms out of the arguments of a build, request->body. */
int create_read_build_args(struct create_request *request, struct err *err) MUSTCHECK;

/* Makes placement's lists of terms show what the lists hold. */
void create_placement_update(struct create_request *request);

#endif
