/* Calls to a store that several hosts answer for: they are tried in turn, beginning with the one
 * that answered last. Inside discovery/ only. */
#ifndef DISCOVERY_STORE_H
#define DISCOVERY_STORE_H

#include "http/client.h"
#include "lib/err.h"
#include "lib/str.h"

struct store;

/* hosts: "host[:port]", separated by commas. tls NULL = plain. NULL with err (ERR_INVALID) when a
 * host is malformed. */
struct store *store_new(struct client *client, const char *hosts, uint16_t default_port,
	struct tls_context *tls, struct err *err) MUSTCHECK;
/* Asks under way are dropped; nothing calls back any more. */
void store_free(struct store *store);
/* Sent with every ask from now on. The value is never logged. */
void store_set_header(struct store *store, const char *name, const char *value);
/* Which host is asked first, counted from 0. */
size_t store_current(const struct store *store);

/* TLS as the options PREFIX.cacertfile, PREFIX.certfile and PREFIX.keyfile want it; *out is NULL
 * when none is given and wanted is false. The peer and its name are always verified. */
int store_tls(const struct str_list *options, const char *prefix, bool wanted,
	struct tls_context **out, struct err *err) MUSTCHECK;

struct store_request {
	const char *method;
	const char *target;  /* percent-encoded, starting with '/' */
	const char *body;    /* NULL = none */
	unsigned timeout_ms; /* each host has so long to begin its answer; 0 = STORE_TIMEOUT_MS */
	size_t max;          /* most bytes of an answer; 0 = STORE_ANSWER_MAX */
};
#define STORE_TIMEOUT_MS 5000
#define STORE_CONNECT_TIMEOUT_MS 5000
#define STORE_ANSWER_MAX (64 * 1024)

/* Asks; the next host when one cannot be reached, breaks off or answers with a 5xx status. done
 * gets the first other reply, or what the last host said; it is called once, not from inside
 * store_ask, with the ask gone already. reply is NULL exactly when err is not. */
struct store_ask;
typedef void store_done_fn(void *arg, const struct reply *reply, const struct err *err);
struct store_ask *store_ask(
	struct store *store, const struct store_request *request, store_done_fn *done, void *arg);
/* done is not called any more. NULL is fine. */
void store_cancel(struct store_ask *ask);

/* Fills err from a reply with a status that was not wanted: the status and the start of what the
 * store said. Returns -1. */
int store_refused(const struct reply *reply, const char *what, struct err *err);

#endif
