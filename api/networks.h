/* What the files about networks share. Inside api/ only. */
#ifndef API_NETWORKS_H
#define API_NETWORKS_H

#include "api/api_priv.h"

/* The same when its node can be asked; else NULL, and the error was sent. */
struct network *request_usable_network(struct request *r, struct network *network);
/* "/networks/<id>" and the action behind it. Owned by the caller. */
char *request_network_path(const struct network *network, const char *action);

#endif
