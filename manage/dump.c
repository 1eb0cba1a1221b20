/* The state of a manager for the log. */
#include "manage/manage_priv.h"

#include "lib/log.h"
#include "manage/gate.h"

static const char *state_name(enum manage_state state)
{
	switch (state) {
	case MANAGE_SERVING:
		return "serving";
	case MANAGE_DRAINING:
		return "draining";
	case MANAGE_LEAVING:
		return "leaving";
	}
	return "unknown";
}

static void dump_node(const struct node *node)
{
	const struct node_view *view = node_view(node);
	log_info(
		"state of node name=%s address=%s state=%s engine=%s api=%s running=%zu paused=%zu "
		"stopped=%zu updated_at=%lld retry_in_ms=%lld error=\"%s\"",
		view->name, view->addr, node_state_name(node_state(node)),
		node_server_version(node), node_api_version(node), node_running(node),
		node_paused(node), node_stopped(node), (long long)node_updated_at(node),
		(long long)node_retry_in_ms(node), node_error(node));
}

void manage_dump(const struct manage *m)
{
	struct cluster_totals t;
	cluster_totals(m->cluster, &t);
	log_info("state of manager state=%s in_flight=%zu connections=%zu discovery=%s",
		state_name(m->state), gate_in_flight(m->gate), server_connections(m->server),
		manage_is_discovery_failing(m) ? "failing" : "good");
	log_info("state of cluster nodes=%zu healthy=%zu containers=%zu running=%zu paused=%zu "
		 "stopped=%zu images=%zu nano_cpus=%lld memory=%lld",
		t.nodes, t.nodes_healthy, t.containers, t.running, t.paused, t.stopped, t.images,
		(long long)t.nano_cpus, (long long)t.memory);
	size_t len = 0;
	struct node *const *nodes = cluster_nodes(m->cluster, &len);
	for (size_t i = 0; i < len; i++)
		dump_node(nodes[i]);
}
