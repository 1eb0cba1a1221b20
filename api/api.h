/* The Docker Remote API of a cluster: one handler that answers for the whole of it. */
#ifndef API_API_H
#define API_API_H

#include "cluster/cluster.h"
#include "http/client.h"
#include "http/exchange.h"
#include "lib/env.h"
#include "lib/loop.h"
#include "lib/str.h"
#include "scheduler/create_request.h"

struct scheduler;

/* Texts and lists are copied; objects are borrowed and must outlive the handler. */
struct api_config {
	struct loop *loop;
	const struct env *env;
	struct client *client;
	struct cluster *cluster;
	struct scheduler *scheduler;
	const char *version;            /* of this program: "2.0.0" */
	const char *strategy;           /* name in use, for /info */
	const struct str_list *filters; /* names in use, in order, for /info */
	bool volumes_everywhere;   /* a volume is made on every node, as the classic program did */
	enum create_shares shares; /* what CpuShares of a create are */
	unsigned create_retry;     /* further attempts after a create that failed on its engine */
};

/* Owned by the caller (handler_free). Never NULL. */
struct handler *api_new(const struct api_config *config);

#endif
