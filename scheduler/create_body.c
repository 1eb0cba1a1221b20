/* The body of a create request for one engine. */
#include "filters/filter.h"
#include "lib/json.h"
#include "scheduler/create_priv.h"

#include <string.h>

/* The engine's weight of one whole engine, and the most that it takes. */
#define SHARES_ALL 1024
#define SHARES_MAX 262144

/* A weight so that the engine's CPUs are shared as they were reserved: the rounding up makes sure
 * that the number of CPUs can be read back from it. */
static int64_t shares_of(int64_t cpus, int64_t ncpu)
{
	__int128 shares;

	if (ncpu <= 0)
		ncpu = 1;
	shares = ((__int128)cpus * SHARES_ALL + ncpu - 1) / ncpu;
	return shares > SHARES_MAX ? SHARES_MAX : (int64_t)shares;
}

/* A reference that the engine does not know (node/name, a swarm ID) as one that it does, with what
 * stands behind it (":ro", ":alias"). NULL when it can stay. Owned by the caller. */
static char *reference_for(const struct node_view *node, const char *text)
{
	CLEANUP_FREE char *reference = xstrndup(text, strcspn(text, ":"));
	const char *rest = text + strlen(reference);
	const char *bare = reference[0] == '/' ? reference + 1 : reference;
	const struct container_view *container = filter_container_find(node, reference);

	if (container == NULL || str_eq(container->name, bare) ||
		str_has_prefix(container->id, bare))
		return NULL;
	return xasprintf(
		"%s%s", container->name[0] != '\0' ? container->name : container->id, rest);
}

static void references_rewrite(json_t *host, const char *key, const struct node_view *node)
{
	json_t *list = json_arr(host, key);
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		CLEANUP_FREE char *text = reference_for(node, json_string_value(item));

		if (text != NULL)
			json_array_set_new(list, i, json_string(text));
	}
}

/* A network knows containers by their own names, on whichever node they are. */
static char *link_for(const struct node_view *node, const char *text)
{
	char *known = reference_for(node, text);
	const char *slash = memrchr(text, '/', strcspn(text, ":"));

	return known != NULL || slash == NULL ? known : xstrdup(slash + 1);
}

void create_endpoint_links(json_t *endpoint, const struct node_view *node)
{
	json_t *links = json_arr(endpoint, "Links");
	json_t *item;
	size_t i;

	json_array_foreach (links, i, item) {
		CLEANUP_FREE char *text =
			json_is_string(item) ? link_for(node, json_string_value(item)) : NULL;

		if (text != NULL)
			json_array_set_new(links, i, json_string(text));
	}
}

static void endpoints_rewrite(json_t *body, const struct node_view *node)
{
	json_t *endpoints = json_obj(json_obj(body, "NetworkingConfig"), "EndpointsConfig");
	const char *network;
	json_t *endpoint;

	json_object_foreach (endpoints, network, endpoint)
		create_endpoint_links(endpoint, node);
}

static void network_container_rewrite(
	const struct create_request *request, json_t *host, const struct node_view *node)
{
	CLEANUP_FREE char *reference = NULL;
	CLEANUP_FREE char *mode = NULL;

	if (request->network_container == NULL)
		return;
	reference = reference_for(node, request->network_container);
	if (reference == NULL)
		return;
	mode = xasprintf("container:%s", reference);
	json_put(host, "NetworkMode", json_string(mode));
}

json_t *create_request_body(
	const struct create_request *request, const struct node_view *node, int64_t ncpu)
{
	json_t *body = json_deep_copy(request->body);
	json_t *host = json_obj(body, "HostConfig");

	endpoints_rewrite(body, node);
	if (host == NULL)
		return body;
	if (request->cpu_shares > 0)
		json_put(host, "CpuShares", json_integer(shares_of(request->cpu_shares, ncpu)));
	references_rewrite(host, "VolumesFrom", node);
	references_rewrite(host, "Links", node);
	network_container_rewrite(request, host, node);
	return body;
}
