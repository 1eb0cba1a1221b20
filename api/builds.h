/* On which node a client builds. All calls of one build must reach one engine, and the next build
 * is quicker where the layers of the last one are; and whoever builds an image runs it next. Inside
 * api/ only. */
#ifndef API_BUILDS_H
#define API_BUILDS_H

#include "api/api_priv.h"

struct builds *builds_new(struct api *api);
void builds_free(struct builds *builds);

/* ---- Pins: none is of a node that cannot be asked now ---- */

/* The node where this client has built before; NULL = none. */
struct node *builds_home(const struct request *r);
/* The client talks to BuildKit on its home, over streams that are open: those to come belong to the
 * same build. */
bool builds_home_is_fixed(const struct request *r);
/* From now on it is this one, unless it is fixed. */
void builds_set_home(const struct request *r, const struct node *node);
/* By the ID of a build, which names it for `build/cancel`. */
struct node *builds_find(const struct request *r, const char *build_id);
void builds_set(const struct request *r, const char *build_id, const struct node *node);
/* By the UUID of a session. NULL with err for one whose node is down; NULL without when the session
 * is not known. */
struct node *builds_session(const struct request *r, const char *uuid, struct err *err);
void builds_set_session(const struct request *r, const char *uuid, const struct node *node);

/* ---- What builds have made ---- */

/* A call that may make images on a node for a client. */
struct build_run;
struct build_run *build_run_new(const struct request *r, const struct node *node, bool is_grpc);
/* The call is over: the node's images are refreshed, and the run is freed. For hijack_spec.over. */
void build_run_over(void *arg);
/* The call is over, and the images were refreshed already. */
void build_run_free(struct build_run *run);

/* Calls done once the inventory shows every image that a build of this client made before: at once,
 * from inside, when nothing of it may be missing. peer: as exchange_peer gives it. done is called
 * always; while the manager ends, too. */
void build_await(struct api *api, const char *peer, void (*done)(void *arg), void *arg);

/* ---- session.c ---- */

/* A build of this session is on its way to its node. */
void session_wake(struct api *api, const char *uuid);
/* Answers a build with err, once its session (uuid; NULL or "" = it has none) has come, or will
 * not. */
void session_refuse_build(struct request *r, const char *uuid, const struct err *err);

#endif
