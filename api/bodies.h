/* What a request's body may be. Inside api/ only. */
#ifndef API_BODIES_H
#define API_BODIES_H

#include "scheduler/body_fields.h"

#include <stdbool.h>

struct request;

/* Refuses by the head what an engine would read in another way than it is read here: a form on any
 * route, JSON of another type or coding. False: the error was sent. */
bool body_head_check(struct request *r) MUSTCHECK;

/* For body_read. */
extern const struct body_field body_any[], body_container_create[], body_exec_create[],
	body_exec_start[], body_network_connect[], body_network_create[], body_network_disconnect[],
	body_volume_create[];

#endif
