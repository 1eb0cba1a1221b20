/* nodes://a:1,b:2: the engines stand in the URL. */
#include "discovery/discovery_priv.h"

#include "lib/addr.h"

struct nodes {
	struct discovery *discovery;
	struct loop_timer *timer; /* reports from outside of look */
	struct str_list addrs;
};

static void report(void *arg)
{
	struct nodes *nodes = arg;
	struct str_list copy = {0};

	for (size_t i = 0; i < nodes->addrs.len; i++)
		str_list_add(&copy, nodes->addrs.items[i]);
	discovery_report_set(nodes->discovery, &copy, DISCOVERY_LOOK_NEVER);
}

static int parse(const char *place, struct str_list *out, struct err *err)
{
	CLEANUP_STR_LIST struct str_list parts = {0};

	str_list_split(&parts, place, ",");
	for (size_t i = 0; i < parts.len; i++) {
		size_t before = out->len;

		if (addr_expand(parts.items[i], out, err) != 0)
			return -1;
		if (out->len > ADDR_EXPAND_MAX)
			return err_set(err, ERR_TOO_LARGE, "more than %d nodes are listed",
				ADDR_EXPAND_MAX);
		for (size_t j = before; j < out->len; j++)
			if (discovery_check_addr(out->items[j], true, err) != 0)
				return -1;
	}
	if (out->len == 0)
		return err_set(err, ERR_INVALID, "no node is listed");
	return 0;
}

static void nodes_close(void *self)
{
	struct nodes *nodes = self;

	loop_timer_free(nodes->timer);
	str_list_free(&nodes->addrs);
	free(nodes);
}

static void *nodes_open(const struct discovery_context *context, const char *place, struct err *err)
{
	CLEANUP_STR_LIST struct str_list addrs = {0};
	struct nodes *nodes;

	if (parse(place, &addrs, err) != 0)
		return NULL;
	nodes = xcalloc(1, sizeof(*nodes));
	nodes->discovery = context->discovery;
	nodes->timer = loop_timer_new(context->loop, report, nodes);
	nodes->addrs = addrs;
	addrs = (struct str_list){0};
	return nodes;
}

static void nodes_look(void *self)
{
	struct nodes *nodes = self;

	loop_timer_start(nodes->timer, 0);
}

const struct discovery_ops discovery_nodes_ops = {
	.name = "nodes",
	.scheme = "nodes",
	.takes_sockets = true,
	.open = nodes_open,
	.look = nodes_look,
	.close = nodes_close,
};
