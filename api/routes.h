/* Every route of the Docker Remote API that a plain engine serves, and who answers it here. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include <stddef.h>

struct body_field;
struct request;

/* What the body is. A form is refused on all: engines would read parameters in it. */
enum route_body {
	ROUTE_NO_BODY = 1, /* engines do not look at one, and it changes nothing */
	ROUTE_JSON,
	ROUTE_TAR, /* streamed, as are all bytes that follow an upgrade */
};

enum route_effect {
	ROUTE_READS = 1,
	ROUTE_WRITES, /* changes something, or runs something */
};

/* What {name} names, or the call is about. */
enum route_object {
	OF_CLUSTER = 1,
	OF_CONTAINER,
	OF_EXEC,
	OF_IMAGE,
	OF_BUILD,
	OF_NETWORK,
	OF_VOLUME,
	OF_PLUGIN,
	OF_REGISTRY,
	OF_SWARM,
	OF_NODE,
	OF_SERVICE,
	OF_TASK,
	OF_SECRET,
	OF_CONFIG,
};

struct route {
	const char *method;
	const char *pattern; /* "{name}" stands for one name, which may hold slashes */
	void (*answer)(struct request *r);
	const char *operation; /* "container.create": what is spoken of beside paths */
	enum route_body body;
	enum route_effect effect;
	enum route_object object;
	const char *upgrade; /* protocol of the stream that it may become; NULL = none */
	/* For body_read: the body is read and checked before the route is asked for its answer.
	 * NULL = it is the route's own. */
	const struct body_field *fields;
};

/* Ends with method NULL. The first that matches counts. */
extern const struct route routes[];

/* What a path means. */
struct route_found {
	const struct route *route; /* NULL = nothing */
	const char *name;          /* what {name} stands for, still encoded, in the path */
	size_t name_len;
};
/* len: without the query. */
struct route_found route_find(const char *method, const char *path, size_t len);

#endif
