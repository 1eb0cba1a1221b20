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

/* Cuts "/name", "node/name" and "/node/name" when it is this node's; NULL when another's. */
static const char *reference_on_node(const struct node_view *node, const char *reference)
{
	const char *slash;
	size_t len;

	if (reference[0] == '/')
		reference++;
	slash = strchr(reference, '/');
	if (slash == NULL)
		return reference;
	len = (size_t)(slash - reference);
	if ((strlen(node->name) == len && memcmp(node->name, reference, len) == 0) ||
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

static void keep_reference(struct filter_pass *pass, const char *reference, size_t why)
{
	bitset_empty(&pass->scratch);
	fleet_add_reference(pass->fleet, reference, &pass->scratch);
	filter_pass_keep(pass, &pass->scratch, why);
}

/* "name:alias" */
static void keep_link(struct filter_pass *pass, const char *link, size_t why)
{
	/* An inspected container writes "/name:/me/alias". */
	CLEANUP_FREE char *name = xstrndup(link, strcspn(link, ":"));

	keep_reference(pass, name, why);
}

static void keep_need(struct filter_pass *pass, const struct view_need *need, size_t why)
{
	bitset_empty(&pass->scratch);
	for (size_t i = 0; i < need->nodes_len; i++)
		fleet_add_id(pass->fleet, need->nodes[i], &pass->scratch);
	filter_pass_keep(pass, &pass->scratch, why);
}

static void apply(struct filter_request *request, struct filter_pass *pass)
{
	const struct placement *p = request->placement;
	size_t place = 0;

	for (size_t i = 0; i < p->volumes_from_len; i++)
		keep_reference(pass, p->volumes_from[i], place++);
	for (size_t i = 0; i < p->links_len; i++)
		keep_link(pass, p->links[i], place++);
	if (p->network_container != NULL)
		keep_reference(pass, p->network_container, place++);
	for (size_t i = 0; i < p->needs_len; i++)
		keep_need(pass, &p->needs[i], place++);
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
	.apply = apply,
	.conditions = conditions,
	.reason = reason,
};
