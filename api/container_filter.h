/* The filters of the container list, compiled from a request. Inside api/ only. */
#ifndef API_CONTAINER_FILTER_H
#define API_CONTAINER_FILTER_H

#include "cluster/cluster.h"

struct container_filter;

/* filters: as request_filters gives them (borrowed for as long as the result lives). NULL with err
 * for an unknown filter or a bad value, in an engine's words. */
struct container_filter *container_filter_new(
	const struct cluster *cluster, const json_t *filters, struct err *err) MUSTCHECK;
void container_filter_free(struct container_filter *filter);
bool container_filter_match(
	const struct container_filter *filter, const struct container *container);
/* Matching took more work than it may: what it said counts for nothing. */
bool container_filter_is_spent(const struct container_filter *filter);
/* A filter by status asks for stopped containers too. */
bool container_filter_wants_all(const struct container_filter *filter);

#endif
