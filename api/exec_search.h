/* Which engine has an exec instance that the inventory does not know: all are asked. What clients
 * can make of that is bounded: one search for all that ask for the same one, few at a time, a
 * bounded number of clients that wait, and what no engine knew is not searched again for a moment.
 * Inside api/ only. */
#ifndef API_EXEC_SEARCH_H
#define API_EXEC_SEARCH_H

#include "api/api_priv.h"

#define EXEC_SEARCHES_AT_ONCE 4
#define EXEC_ASKERS_MAX 256       /* that wait, */
#define EXEC_CLIENT_ASKERS_MAX 64 /* of one client */
#define EXEC_MISSED_MAX 4096      /* that are remembered, */
#define EXEC_MISSED_MS 2000       /* for so long */

struct exec_searches;
struct exec_searches *exec_searches_new(struct api *api);
/* Requests may still wait: they are not answered any more. */
void exec_searches_free(struct exec_searches *searches);

/* Calls found with the engine of the instance {name}, later; or sends the error. */
typedef void exec_found_fn(struct request *r, struct node *node, void *arg);
void exec_search(struct request *r, exec_found_fn *found, void *arg);
/* An engine tells that it was made: it is not missing any more. */
void exec_search_created(struct exec_searches *searches, const char *id);

#endif
