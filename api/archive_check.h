/* The archive of one image, looked at while it goes from one engine to another: what it brings is
 * that image, by its content, and no name that nobody asked for. Engines load what an archive says,
 * and give its names to what it holds: busybox:latest may come with any image. Inside api/ only. */
#ifndef API_ARCHIVE_CHECK_H
#define API_ARCHIVE_CHECK_H

#include "lib/err.h"
#include "lib/mem.h"

#include <stddef.h>

struct archive_check;
/* id: "sha256:" and 64 digits. name: `repo:tag`, the only one that may be given; NULL = none. */
struct archive_check *archive_check_new(const char *id, const char *name);
void archive_check_free(struct archive_check *c); /* NULL is fine */
/* To be asked before an engine gets these bytes. -1 (ERR_UPSTREAM) when it must not: an engine acts
 * on an archive only when its end has come, and nothing is let through that could be that before
 * all is known to be right. */
int archive_check_feed(
	struct archive_check *c, const char *data, size_t len, struct err *err) MUSTCHECK;
/* There is no more: -1 when it is not whole. */
int archive_check_end(const struct archive_check *c, struct err *err) MUSTCHECK;

#endif
