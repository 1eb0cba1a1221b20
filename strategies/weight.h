/* How full a node would be with one container more. */
#ifndef STRATEGIES_WEIGHT_H
#define STRATEGIES_WEIGHT_H

#include "cluster/fleet.h"
#include "cluster/view.h"

#include <stdbool.h>
#include <stdint.h>

/* Weight of one resource that would be used up, or of which nothing is asked. */
#define WEIGHT_FULL INT64_C(1000000)

/* Whether the CPUs and memory that are asked for are left. Totals have overcommit in them. What is
 * not asked for is not looked at: a container without reservation goes on a full node too. */
bool weight_has_room(const struct fleet_load *load, const struct container_view *want);
/* CPU and memory in use with this container, each in millionths of the total, added up: 0 to twice
 * WEIGHT_FULL. The node must have room. */
int64_t weight_of(const struct fleet_load *load, const struct container_view *want);

#endif
