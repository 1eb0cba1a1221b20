/* A new container with several networks, on an engine that makes it with one. Inside api/ only. */
#ifndef API_CREATE_NETWORKS_H
#define API_CREATE_NETWORKS_H

#include "api/api_priv.h"

/* Engines below API 1.44 refuse a create with more than one network. For such a node, leaves in the
 * body the one that the container starts in, and gives the others: a new object of endpoint
 * settings by network. NULL = the body may stay as it is. *body_io is replaced then. */
json_t *create_networks_take(const struct node *node, json_t **body_io) MUSTCHECK;

/* Both err NULL and status 0: all are connected. Else the engine's refusal of one, or err; then the
 * container was removed again, or is_left_behind. Borrowed. */
struct create_networks_result {
	int status;
	const char *body;
	size_t body_len;
	const struct err *err;
	bool is_left_behind; /* it is there, or that is not known */
};

/* Connects the container to each of them, one after the other. When one fails, the container is
 * removed again. done is called once, not from inside. It goes on without a client, as the create
 * does. */
typedef void create_networks_fn(const struct create_networks_result *result, void *arg);
void create_networks_connect(struct node *node, int minor, const char *id, json_t *rest_take,
	create_networks_fn *done, void *arg);

#endif
