/* Making a network or a volume: what the request says about where, and the call to that engine.
 * Inside api/ only. */
#ifndef API_MAKING_H
#define API_MAKING_H

#include "api/api_priv.h"

/* A client that has made a network lately will use a volume with it, and the other way round: for
 * so many clients and so long, one is made where the other is. */
#define MAKING_CLIENTS_MAX 4096
#define MAKING_TTL_MS (UINT64_C(10) * 60 * 1000)

struct making {
	struct request *r;
	enum promise_kind kind;
	json_t *body;                 /* for the engine; the name in it is the plain one */
	const char *name;             /* of body; "" = none */
	const char *project;          /* of body; "" = none */
	struct node *node;            /* the one that the request names; NULL = none */
	char *warning;                /* to be told in the reply; NULL = none */
	struct create_request *terms; /* what it demands of a node */
	struct promise *promise;      /* private */
};

/* The request's body read: its name may be `node/name`. NULL: the error was sent. Freed when the
 * exchange ends. */
struct making *making_new(struct request *r, enum promise_kind kind);
/* The node that the request names, else the one that the scheduler picks: by the terms in the
 * labels, and if they allow where the project is that it is of, or for want of a project where the
 * client's last network (for a volume) or volume (for a network) is. excluded: IDs of nodes, may be
 * NULL. NULL with err. */
struct node *making_choose(
	struct making *m, const struct str_list *excluded, struct err *err) MUSTCHECK;
/* Promises the name, has that engine do it, and answers when the inventory shows it. The making is
 * not to be used any more. */
void making_send(struct making *m, struct node *node, bool is_everywhere);

#endif
