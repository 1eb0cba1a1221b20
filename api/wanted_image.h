/* Where a client's next pull is wanted: on the node that was chosen for a container whose image
 * nobody has. `docker run` of such an image is three calls (create, which is answered with 404;
 * pull, with the user's credentials; create again); remembering the node between them brings the
 * image to the one node that needs it. Inside api/ only. */
#ifndef API_WANTED_IMAGE_H
#define API_WANTED_IMAGE_H

#include "api/api_priv.h"

/* How long a client has for its pull and its next create, and how many may be on their way. */
#define WANTED_MS (5 * 60 * 1000)
#define WANTED_MAX 1024

struct wanted_images;
/* env is borrowed. */
struct wanted_images *wanted_images_new(const struct env *env);
void wanted_images_free(struct wanted_images *wanted);

/* A create of this client was answered with 404: the image, as the client wrote it, is to come to
 * the node of this ID. Forgotten after some minutes, or when too many others want something. */
void wanted_image_remember(
	struct wanted_images *wanted, const char *reference, const char *peer, const char *node_id);
/* The ID of the node that a create by this client should prefer; NULL = none. Borrowed until the
 * next call. */
const char *wanted_image_node_id(
	struct wanted_images *wanted, const char *reference, const char *peer);
/* The container is there. */
void wanted_image_forget(struct wanted_images *wanted, const char *reference, const char *peer);

/* For POST /images/create: of the nodes that are to pull only the one that is waiting for this
 * image is left, if there is such a one among them. Each create that failed directs one pull: the
 * next is for all of them again. */
void wanted_image_narrow(struct request *r, struct node **nodes, size_t *len);

#endif
