/* The filters of the container list, compiled from a request. Inside api/ only. */
#ifndef API_CONTAINER_FILTER_H
#define API_CONTAINER_FILTER_H

#include "cluster/cluster.h"
#include "cluster/cursor.h"

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
/* Whether that may happen among so many containers with names of usual length. */
bool container_filter_may_be_spent(const struct container_filter *filter, size_t containers);
/* What matching may still cost, see struct pattern_budget; and as much as at first again. */
uint64_t container_filter_steps_left(const struct container_filter *filter);
void container_filter_renew(struct container_filter *filter);
/* Over all containers that can match, and maybe others: by an index, where one of the filters is
 * served by one. all: those that do not run too. */
struct cursor *container_filter_cursor(
	const struct container_filter *filter, struct cluster *cluster, bool all) MUSTCHECK;
/* A filter by status asks for stopped containers too. */
bool container_filter_wants_all(const struct container_filter *filter);

#endif
