/* port: every host port that is asked for is free on the node. Ports of stopped containers and of
 * those being created are taken: the former may be started at any time. TCP and UDP have a port
 * each. In host network mode the exposed ports of the other host mode containers are what is taken.
 */
#include "filters/filter_priv.h"
#include "filters/text.h"

/* What the container wants: exposed ports in host network mode, else bindings. */
static const struct view_port *wanted_ports(const struct filter_request *request, size_t *len)
{
	const struct container_view *want = &request->placement->want;

	*len = want->host_network ? want->exposed_len : want->ports_len;
	return want->host_network ? want->exposed : want->ports;
}

static void apply(struct filter_request *request, struct filter_pass *pass)
{
	size_t len;
	const struct view_port *wanted = wanted_ports(request, &len);

	for (size_t i = 0; i < len; i++) {
		bitset_empty(&pass->scratch);
		fleet_add_ports(pass->fleet, &wanted[i], request->placement->want.host_network,
			&pass->scratch);
		filter_pass_drop(pass, &pass->scratch, i);
	}
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
	.apply = apply,
	.conditions = conditions,
	.reason = reason,
};
