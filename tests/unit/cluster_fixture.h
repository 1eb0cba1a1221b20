/* A cluster without its live half, on a clock of the test's own, and short ways to fill it. */
#ifndef TESTS_UNIT_CLUSTER_FIXTURE_H
#define TESTS_UNIT_CLUSTER_FIXTURE_H

#include "cluster/cluster_priv.h"

struct fixture {
	struct cluster cluster;
	struct env env;
	uint64_t now_ms;
};

struct fixture *fixture_new(double overcommit);
/* Removes all nodes first. */
void fixture_free(struct fixture *fixture);
/* A healthy node named name, with engine ID "E-<name>", 4 CPUs and 8 GiB. */
struct node *fixture_node(struct fixture *fixture, const char *name, const char *addr);
void fixture_identify(struct node *node, const char *engine_id, const char *name);

/* container_from_engine of the texts of these. */
struct container *fixture_record(
	struct node *node, const json_t *entry, const json_t *inspect, struct err *err);
/* Its row as a JSON object; owned by the caller. */
char *fixture_row(const struct container *container);

/* What fixture_container makes; missing texts may be NULL. */
struct sketch {
	const char *id;       /* hexadecimal digits; filled up to 64 with '0' */
	const char *swarm_id; /* the same; NULL = no such label */
	const char *name;
	const char *link;  /* a further name: "app/db" */
	const char *state; /* NULL = running */
	int64_t nano_cpus, cpu_shares, memory;
	uint16_t port; /* of the host, for 80/tcp; 0 = none */
	int64_t created;
	struct view_label label; /* one more; key NULL = none */
};
/* A record made from JSON as an engine would send it; not put. */
struct container *fixture_container(struct node *node, const struct sketch *sketch);
/* The same, and put. */
void fixture_put(struct node *node, const struct sketch *sketch);
/* digits, filled up with '0' to 64. In a static place, good until the fourth call after. */
const char *fixture_id(const char *digits);
/* JSON text with ' for ". Fails the test when it is not JSON. */
json_t *fixture_json(const char *text);
/* The same value as one that is only read; it lives until the next one. */
struct json_ref fixture_ref(const json_t *json);
/* tests/unit/data/NAME, parsed. */
json_t *fixture_data(const char *name);

#endif
