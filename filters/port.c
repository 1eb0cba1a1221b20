/* port: every host port that is asked for is free on the node. Ports of stopped containers and of
 * those being created are taken: the former may be started at any time. TCP and UDP have a port
 * each. In host network mode the exposed ports of the other host mode containers are what is taken.
 */
#include "filters/filter_priv.h"
#include "filters/text.h"
#include "lib/str.h"

#include <string.h>

static bool ports_collide(const struct view_port *a, const struct view_port *b)
{
	if (a->port != b->port || strcmp(a->protocol, b->protocol) != 0)
		return false;
	return a->ip[0] == '\0' || b->ip[0] == '\0' || strcmp(a->ip, b->ip) == 0;
}

/* The ports that stand against each other: exposed ones in host mode, else bindings. */
static const struct view_port *ports_of(
	const struct container_view *container, bool host_network, size_t *len)
{
	*len = host_network ? container->exposed_len : container->ports_len;
	return host_network ? container->exposed : container->ports;
}

const struct view_port *wanted_ports(const struct filter_request *request, size_t *len)
{
	const struct container_view *want = &request->placement->want;

	return ports_of(want, want->host_network, len);
}

/* The place of the wanted port that collides with this one, or len. */
static size_t collision(const struct filter_request *request, const struct view_port *taken,
	const struct view_port *wanted, size_t len)
{
	if ((request->wanted_ports[taken->port / 8] & 1u << taken->port % 8) == 0)
		return len;
	for (size_t i = 0; i < len; i++) {
		if (ports_collide(taken, &wanted[i]))
			return i;
	}
	return len;
}

static bool check(struct filter_request *request, const struct node_view *node,
	struct filter_verdict *verdict)
{
	bool host_network = request->placement->want.host_network;
	size_t wanted_len;
	const struct view_port *wanted = wanted_ports(request, &wanted_len);

	if (wanted_len == 0)
		return true;
	for (size_t i = 0; i < node->containers_len; i++) {
		const struct container_view *container = node->containers[i];
		size_t taken_len;
		const struct view_port *taken = ports_of(container, host_network, &taken_len);

		if (host_network && !container->host_network)
			continue;
		for (size_t j = 0; j < taken_len; j++) {
			verdict->why = collision(request, &taken[j], wanted, wanted_len);
			if (verdict->why < wanted_len)
				return false;
		}
	}
	return true;
}

static void conditions(const struct filter_request *request, struct buf *out)
{
	bool host_network = request->placement->want.host_network;
	size_t len;
	const struct view_port *wanted = wanted_ports(request, &len);

	for (size_t i = 0; i < len; i++) {
		if (i > 0)
			buf_append_char(out, ' ');
		if (host_network)
			buf_printf(out, "port %u/%s (Host mode)", (unsigned)wanted[i].port,
				wanted[i].protocol);
		else
			buf_printf(out, "port %u (Bridge mode)", (unsigned)wanted[i].port);
	}
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	size_t len;
	const struct view_port *wanted = wanted_ports(request, &len);
	struct text_clip clip;

	buf_printf(out, "port %u/%s", (unsigned)wanted[why].port, wanted[why].protocol);
	if (wanted[why].ip[0] != '\0')
		buf_printf(out, " of %s", text_clip(&clip, wanted[why].ip));
	buf_append_str(out, " is taken");
}

const struct filter_ops filter_port = {
	.name = "port",
	.check = check,
	.conditions = conditions,
	.reason = reason,
};
