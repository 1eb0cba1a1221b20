/* GET /info: the sums over the cluster, what its engines have in common, and a word on each node.
 */
#include "api/api_priv.h"
#include "api/info_merge.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* A new string; what engines say of themselves may hold bytes that are not UTF-8, or be cut within
 * a character. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);

	return json != NULL ? json : json_string("(not readable)");
}

static void add_pair(json_t *list, const char *name, const char *value)
{
	json_array_append_new(list, json_pack("[o,o]", text_json(name), text_json(value)));
}

static void add_pairf(json_t *list, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_pairf(json_t *list, const char *name, const char *fmt, ...)
{
	char value[1536];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	add_pair(list, name, value);
}

static char *labels_text(const struct view_labels *labels)
{
	struct buf out;

	buf_init(&out, 1024 * 1024);
	for (size_t i = 0; i < labels->len; i++)
		buf_printf(&out, "%s%s=%s", i > 0 ? ", " : "", labels->items[i].key,
			labels->items[i].value);
	return buf_take(&out);
}

static void add_containers(json_t *list, const struct node *node)
{
	size_t running = node_running(node), paused = node_paused(node),
	       stopped = node_stopped(node);

	if (node_state(node) == NODE_HEALTHY)
		add_pairf(list, "  └ Containers", "%zu (%zu Running, %zu Paused, %zu Stopped)",
			running + paused + stopped, running, paused, stopped);
	else
		add_pairf(list, "  └ Containers", "%zu", running + paused + stopped);
}

/* One node in the form that `docker info` has shown since the first Swarm, and that scripts read.
 */
static void add_node(json_t *list, const struct node *node)
{
	const struct node_view *view = node_view(node);
	char used[32], total[32], time[40];
	char *name CLEANUP_FREE =
		xasprintf(" %s", str_is_empty(view->name) ? "(unknown)" : view->name);
	char *labels CLEANUP_FREE = labels_text(&view->labels);

	add_pair(list, name, view->addr);
	add_pair(list, "  └ ID", view->id);
	add_pair(list, "  └ Status", node_state_name(node_state(node)));
	add_containers(list, node);
	add_pairf(list, "  └ Reserved CPUs", "%.4g / %.4g", (double)view->used_nano_cpus / 1e9,
		(double)view->total_nano_cpus / 1e9);
	add_pairf(list, "  └ Reserved Memory", "%s / %s",
		str_human_bytes((double)view->used_memory, used, sizeof(used)),
		str_human_bytes((double)view->total_memory, total, sizeof(total)));
	add_pair(list, "  └ Labels", labels);
	if (!str_is_empty(node_error(node)) && node_state(node) != NODE_HEALTHY) {
		if (node_retry_in_ms(node) >= 0)
			add_pairf(list, "  └ Error", "%s (next attempt in %lld s)",
				node_error(node), (long long)(node_retry_in_ms(node) + 999) / 1000);
		else
			add_pair(list, "  └ Error", node_error(node));
	}
	add_pair(list, "  └ UpdatedAt", str_rfc3339(node_updated_at(node), time, sizeof(time)));
	add_pair(list, "  └ ServerVersion", node_server_version(node));
}

/* The same for programs. */
static json_t *node_summary(const struct node *node)
{
	const struct node_view *view = node_view(node);
	json_t *labels = json_object();

	for (size_t i = 0; i < view->labels.len; i++)
		json_object_set_new(labels, view->labels.items[i].key,
			json_string(view->labels.items[i].value));
	return json_pack(
		"{s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o,s:s,s:s,s:s,s:I}", "ID",
		view->id, "Name", view->name, "Addr", view->addr, "Status",
		node_state_name(node_state(node)), "Containers",
		(json_int_t)(node_running(node) + node_paused(node) + node_stopped(node)),
		"ContainersRunning", (json_int_t)node_running(node), "ContainersPaused",
		(json_int_t)node_paused(node), "ContainersStopped", (json_int_t)node_stopped(node),
		"ReservedNanoCPUs", (json_int_t)view->used_nano_cpus, "NanoCPUs",
		(json_int_t)view->total_nano_cpus, "ReservedMemory", (json_int_t)view->used_memory,
		"Memory", (json_int_t)view->total_memory, "Images", (json_int_t)view->images_len,
		"Labels", labels, "Error", node_error(node), "ServerVersion",
		node_server_version(node), "ApiVersion", node_api_version(node), "UpdatedAt",
		(json_int_t)node_updated_at(node));
}

static char *filters_text(const struct str_list *filters)
{
	struct buf out;

	buf_init(&out, 4096);
	for (size_t i = 0; i < filters->len; i++)
		buf_printf(&out, "%s%s", i > 0 ? ", " : "", filters->items[i]);
	return buf_take(&out);
}

void system_info(struct request *r)
{
	const struct api_config *config = &r->api->config;
	char *filters CLEANUP_FREE = filters_text(config->filters);
	char *server CLEANUP_FREE = xasprintf("swarm/%s", config->version);
	json_t *status = json_array(), *summaries = json_array(), *info;
	struct cluster_totals totals;
	struct node *const *nodes;
	struct utsname host;
	char now[40];
	size_t len;

	cluster_totals(config->cluster, &totals);
	nodes = cluster_nodes(config->cluster, &len);
	uname(&host);
	add_pair(status, "Role", "primary");
	add_pair(status, "Strategy", config->strategy);
	add_pair(status, "Filters", filters);
	add_pairf(status, "Nodes", "%zu", totals.nodes);
	for (size_t i = 0; i < len; i++) {
		add_node(status, nodes[i]);
		json_array_append_new(summaries, node_summary(nodes[i]));
	}
	str_rfc3339(config->env->wall_ns(config->env) / 1000000000, now, sizeof(now));
	info = info_merge(nodes, len);
	json_object_update_new(
		info, json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "ID", "", "Containers",
			      (json_int_t)totals.containers, "ContainersRunning",
			      (json_int_t)totals.running, "ContainersPaused",
			      (json_int_t)totals.paused, "ContainersStopped",
			      (json_int_t)totals.stopped, "Images", (json_int_t)totals.images,
			      "SystemStatus", status, "SwarmNodes", summaries));
	json_object_update_new(
		info, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:[]}", "SystemTime", now,
			      "KernelVersion", host.release, "OperatingSystem", "linux", "OSType",
			      "linux", "NCPU", (json_int_t)(totals.nano_cpus / 1000000000),
			      "MemTotal", (json_int_t)totals.memory, "Name", host.nodename,
			      "ServerVersion", server, "Labels"));
	/* Where engines differ in it, the manager's own. */
	if (json_object_get(info, "Architecture") == NULL)
		json_object_set_new(info, "Architecture", json_string(host.machine));
	system_reply(r, info);
}
