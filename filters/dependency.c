/* dependency: what a container uses is on the node: containers whose volumes, links or network are
 * to be shared, and volumes and networks that only some nodes have. */
#include "filters/filter_priv.h"
#include "filters/text.h"
#include "lib/str.h"

#include <string.h>

/* Digits of an ID in its short form. */
#define SHORT_ID 12

static bool id_is(const char *id, const char *reference, size_t len)
{
	return len > 0 && strncmp(id, reference, len) == 0 && (len == SHORT_ID || id[len] == '\0');
}

/* Cuts "/name", and "node/name" when it is this node's; NULL when it is another's. */
static const char *reference_on_node(const struct node_view *node, const char *reference)
{
	const char *slash = strchr(reference, '/');
	size_t len;

	if (slash == NULL)
		return reference;
	len = (size_t)(slash - reference);
	if (len == 0 || (strlen(node->name) == len && memcmp(node->name, reference, len) == 0) ||
		(strlen(node->engine_id) == len && memcmp(node->engine_id, reference, len) == 0))
		return slash + 1;
	return NULL;
}

const struct container_view *filter_container_find(
	const struct node_view *node, const char *reference)
{
	const struct container_view *by_id = NULL;
	const struct container_view *by_prefix = NULL;
	size_t prefixes = 0;
	size_t len;

	reference = reference_on_node(node, reference);
	if (reference == NULL || reference[0] == '\0')
		return NULL;
	len = strlen(reference);
	for (size_t i = 0; i < node->containers_len; i++) {
		const struct container_view *container = node->containers[i];

		if (container->id[0] == '\0')
			continue;
		if (strcmp(container->name, reference) == 0)
			return container;
		if (by_id == NULL && (id_is(container->id, reference, len) ||
					     id_is(container->swarm_id, reference, len)))
			by_id = container;
		if (strncmp(container->id, reference, len) == 0) {
			by_prefix = container;
			prefixes++;
		}
	}
	if (by_id != NULL)
		return by_id;
	return prefixes == 1 ? by_prefix : NULL;
}

/* "name:alias" */
static bool has_link(const struct node_view *node, const char *link)
{
	/* An inspected container writes "/name:/me/alias". */
	CLEANUP_FREE char *name = xstrndup(link, strcspn(link, ":"));

	return filter_container_find(node, name) != NULL;
}

static bool has_need(const struct node_view *node, const struct view_need *need)
{
	size_t low = 0;
	size_t high = need->nodes_len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(need->nodes[middle], node->id);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool check(struct filter_request *request, const struct node_view *node,
	struct filter_verdict *verdict)
{
	const struct placement *p = request->placement;
	size_t place = 0;

	for (size_t i = 0; i < p->volumes_from_len; i++, place++) {
		if (filter_container_find(node, p->volumes_from[i]) == NULL) {
			verdict->why = place;
			return false;
		}
	}
	for (size_t i = 0; i < p->links_len; i++, place++) {
		if (!has_link(node, p->links[i])) {
			verdict->why = place;
			return false;
		}
	}
	if (p->network_container != NULL &&
		filter_container_find(node, p->network_container) == NULL) {
		verdict->why = place;
		return false;
	}
	place += p->network_container != NULL;
	for (size_t i = 0; i < p->needs_len; i++, place++) {
		if (!has_need(node, &p->needs[i])) {
			verdict->why = place;
			return false;
		}
	}
	return true;
}

static size_t containers_len(const struct placement *p)
{
	return p->volumes_from_len + p->links_len + (p->network_container != NULL);
}

/* The dependency at this place, as the command line has it. */
static void dependency_print(const struct placement *p, size_t place, struct buf *out)
{
	struct text_clip clip;

	if (place < p->volumes_from_len) {
		buf_printf(out, "--volumes-from=%s", text_clip(&clip, p->volumes_from[place]));
		return;
	}
	place -= p->volumes_from_len;
	if (place < p->links_len) {
		buf_printf(out, "--link=%s", text_clip(&clip, p->links[place]));
		return;
	}
	place -= p->links_len;
	if (p->network_container != NULL && place-- == 0) {
		buf_printf(out, "--net=container:%s", text_clip(&clip, p->network_container));
		return;
	}
	buf_printf(out, "%s=%s", p->needs[place].option, text_clip(&clip, p->needs[place].name));
}

static void conditions(const struct filter_request *request, struct buf *out)
{
	const struct placement *p = request->placement;
	size_t count = containers_len(p) + p->needs_len;

	for (size_t place = 0; place < count; place++) {
		if (place > 0)
			buf_append_char(out, ' ');
		dependency_print(p, place, out);
	}
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	if (why < containers_len(request->placement))
		buf_append_str(out, "the container of ");
	dependency_print(request->placement, why, out);
	buf_append_str(out, " is not there");
}

const struct filter_ops filter_dependency = {
	.name = "dependency",
	.check = check,
	.conditions = conditions,
	.reason = reason,
};
