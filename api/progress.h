/* What an engine tells while it works on an image: lines of JSON, one of which may hold an error.
 * Inside api/ only. */
#ifndef API_PROGRESS_H
#define API_PROGRESS_H

#include "cluster/json_split.h"

struct progress {
	struct json_split split;
	int status;     /* of the answer; set by the owner */
	bool has_begun; /* something other than an error was told */
	char *error;    /* the last one told; NULL = none */
};

void progress_init(struct progress *p);
void progress_reset(struct progress *p);
void progress_feed(struct progress *p, const char *data, size_t len);
/* Why it was not done, as far as is told; NULL when the engine did it. */
const char *progress_error(const struct progress *p);

#endif
