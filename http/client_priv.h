/* What the client's files share. */
#ifndef HTTP_CLIENT_PRIV_H
#define HTTP_CLIENT_PRIV_H

#include "http/client.h"

#include <curl/curl.h>

struct endpoint {
	struct client *client;
	struct addr addr;
	char *name; /* "tcp://10.0.0.1:2375" */
	char *url;  /* what libcurl is given: "https://10.0.0.1:2376/" */
	char *host; /* the Host header */
	struct tls_context *tls;
	bool is_freed;              /* by its owner; goes when the last call has left */
	unsigned in_flight;         /* calls, those that wait to be removed too */
	unsigned running;           /* calls that did not end yet */
	struct call *calls;         /* doubly linked */
	struct raw_call *raw_calls; /* likewise */
};

/* raw_call.c: ends it with ERR_CANCELED. */
void raw_call_abort(struct raw_call *call);
struct loop *client_loop(const struct client *client);

#endif
