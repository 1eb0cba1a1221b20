/* Discovery: which engines there are. Back ends (one file each, chosen by URL scheme) report full
 * sets; the difference is made here. An error keeps the last good set; so does an empty answer
 * where there were nodes, until it has stood for a while. Knows nothing of the cluster. */
#ifndef DISCOVERY_DISCOVERY_H
#define DISCOVERY_DISCOVERY_H

#include "http/client.h"
#include "lib/env.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/str.h"

struct discovery;

struct discovery_config {
	const char *url;       /* "nodes://a:1,b:2", "a:1,b:2", "file:///path", "consul://...",
				  "token://..." */
	uint64_t heartbeat_ms; /* how often to look where looking is all there is, and to retry
				  after errors */
	uint64_t ttl_ms;       /* of what discovery_publish writes */
	const struct str_list *options; /* --discovery-opt: "kv.path=/x" */
};

/* Checks the URL and options (ERR_INVALID/ERR_USAGE names what is wrong) and opens the back end;
 * does not wait for it to answer. */
struct discovery *discovery_open(struct loop *loop, const struct env *env, struct client *client,
	const struct discovery_config *config, struct err *err) MUSTCHECK;
void discovery_close(struct discovery *discovery);
/* ADDR_SPECIAL_* kinds that no listed name may stand for; entries that are written so are dropped
 * here. */
unsigned discovery_refused(const struct discovery *discovery);

/* changed is called with the full set, sorted and without duplicates, each time it differs from the
 * last (the first good answer always). failed is called when the back end cannot tell (or tells
 * something suspicious): the last set stays. Neither is called from inside discovery_watch. */
typedef void discovery_changed_fn(const struct str_list *addrs, void *arg);
typedef void discovery_failed_fn(const struct err *err, void *arg);
void discovery_watch(struct discovery *discovery, discovery_changed_fn *changed,
	discovery_failed_fn *failed, void *arg);

/* Registers addr now and keeps it registered: renews every heartbeat, registers again when the
 * session or the store was lost. told is called after each attempt (err NULL = it is registered).
 * ERR_UNSUPPORTED when the back end cannot (file, nodes). */
int discovery_publish(struct discovery *discovery, const char *addr,
	void (*told)(const struct err *err, void *arg), void *arg, struct err *err) MUSTCHECK;
/* Removes what was published; done is called when it is, or could not be, removed. */
void discovery_withdraw(
	struct discovery *discovery, void (*done)(const struct err *err, void *arg), void *arg);

/* Makes a new token at a token server: url is "token://host[:port][/path]", or the same with
 * http:// or https://; options as above (token.*). NULL with err (ERR_INVALID/ERR_USAGE) when it is
 * malformed. done is called once, not from inside, with the object gone already: token is NULL
 * exactly when err is not. */
struct discovery_create;
typedef void discovery_created_fn(void *arg, const char *token, const struct err *err);
struct discovery_create *discovery_create_token(struct client *client, const char *url,
	const struct str_list *options, discovery_created_fn *done, void *arg,
	struct err *err) MUSTCHECK;
/* done is not called any more. */
void discovery_create_cancel(struct discovery_create *create);

#endif
