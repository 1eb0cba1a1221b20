/* Which node an image can be copied from, and what it is called there. Inside api/ only. */
#ifndef API_IMAGE_SOURCE_H
#define API_IMAGE_SOURCE_H

#include "cluster/cluster.h"

struct image_source {
	struct node *node; /* borrowed; NULL = none */
	char *name;        /* repo:tag, or the ID if it was asked for by that */
	char *id;
	char *digest; /* repo@digest, by which a registry knows it; NULL = it does not */
};

/* Whether this is an ID, which no registry knows. */
bool image_is_id(const char *image);
/* A healthy node other than target that has it, and whose ID was not tried. None for a digest,
 * which is lost on the way through an archive. */
void image_source_find(const struct cluster *cluster, const char *reference,
	const struct node *target, const struct str_list *tried, struct image_source *out);
void image_source_reset(struct image_source *source);

#endif
