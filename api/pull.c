/* POST /images/create: a pull (fromImage) or an import (fromSrc) on every node, or those named; a
 * pull that follows a create without the image, on the node that was chosen for it. */
#include "api/broadcast.h"
#include "api/wanted_image.h"
#include "lib/str.h"

#include <string.h>

/* "busybox:1", "busybox@sha256:..." */
static char *pulled_name(const char *image, const char *tag)
{
	if (str_is_empty(tag))
		return xstrdup(image);
	return xasprintf("%s%s%s", image, strchr(tag, ':') != NULL ? "@" : ":", tag);
}

void images_create(struct request *r)
{
	const char *image = request_query(r, "fromImage");
	struct broadcast_spec spec = {
		.path = "/images/create", .success = "downloaded", .parts = NODE_IMAGES};
	struct err err = ERR_INIT;
	struct node **nodes;
	char *name CLEANUP_FREE = NULL, *title CLEANUP_FREE = NULL;
	size_t len;

	if (str_is_empty(image) && str_is_empty(request_query(r, "fromSrc"))) {
		exchange_reply_error(
			r->x, 400, "POST /images/create wants a parameter fromImage or fromSrc");
		return;
	}
	nodes = request_nodes(r, NULL, &len, &err);
	if (nodes == NULL) {
		request_fail(r, &err);
		return;
	}
	if (!str_is_empty(image)) {
		name = pulled_name(image, request_query(r, "tag"));
		title = xasprintf("Pulling %s...", name);
		spec.title = title;
	}
	wanted_image_narrow(r, nodes, &len);
	if (len == 1)
		forward_streamed_then(r, nodes[0], xstrdup(spec.path), spec.parts);
	else
		broadcast(r, nodes, len, &spec);
	free(nodes);
}
