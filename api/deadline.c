/* How long an engine may take for a call whose answer is collected. A node that answers nothing at
 * all ends its calls by itself (node_on_down); this is for an engine that answers probes, and hangs
 * over one call. The table of docs/internals/transfer.md has the reasons. */
#include "api/api_priv.h"
#include "lib/str.h"

#include <string.h>

#define DEADLINE_MS (5U * 60 * 1000)
/* A container that says itself how long it takes to stop. */
#define DEADLINE_STOP_MS (60U * 60 * 1000)
#define STOP_SECONDS_MAX (24 * 60 * 60)

static bool is_action(const struct request *r, const char *method, const char *action)
{
	const char *own = request_action(r);
	size_t len = strcspn(own, "?");

	return str_eq(exchange_method(r->x), method) && len == strlen(action) &&
	       strncmp(own, action, len) == 0;
}

/* Stop and restart wait as long as the client says, and then for what else there is to do. */
static unsigned stop_deadline_ms(const struct request *r)
{
	const char *seconds = request_query(r, "t");
	long long t;

	if (str_is_empty(seconds))
		return DEADLINE_STOP_MS;
	/* -1 waits for ever; nonsense is refused at once. */
	if (str_to_int(seconds, 0, STOP_SECONDS_MAX, &t, "t", NULL) != 0)
		return 0;
	return (unsigned)t * 1000 + DEADLINE_MS;
}

unsigned deadline_ms(const struct request *r)
{
	if (is_action(r, "POST", "/stop") || is_action(r, "POST", "/restart"))
		return stop_deadline_ms(r);
	if (is_action(r, "POST", "/start") || is_action(r, "POST", "/commit") ||
		is_action(r, "DELETE", ""))
		return DEADLINE_LONG_MS;
	return DEADLINE_MS;
}
