/* A fleet of nodes that a test has written down as views. The node views[i] has the slot i, and
 * their order is that of the array. Views of containers and images, with all in them, must outlive
 * the fleet. */
#ifndef TESTS_UNIT_VIEW_FLEET_H
#define TESTS_UNIT_VIEW_FLEET_H

#include "cluster/fleet.h"

struct view_fleet;

struct view_fleet *view_fleet_new(const struct node_view *const *views, size_t len);
void view_fleet_free(struct view_fleet *fleet);
const struct fleet *view_fleet_get(const struct view_fleet *fleet);
/* The numbers of a view have changed: totals, what is used, how many containers. */
void view_fleet_load(struct view_fleet *fleet, size_t slot, const struct node_view *view);

#endif
