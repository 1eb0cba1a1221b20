/* GET /info: the sums over the cluster, what its engines have in common, and a word on each node.
 */
#include "api/api_priv.h"
#include "api/info_merge.h"
#include "api/paced.h"
#include "lib/json.h"
#include "lib/str.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* Written as it is sent, a piece of it a turn: ten thousand nodes are 10 MB of text. */
struct info_reply {
	char *head; /* the fields that are not of one node, without the closing brace; then NULL */
	struct node **nodes; /* held */
	size_t len;
	size_t at; /* the next node's place, in SystemStatus, then beyond len in SwarmNodes */
};

static void add_text(struct buf *out, const char *text)
{
	buf_append_char(out, '"');
	json_append_escaped(out, text);
	buf_append_char(out, '"');
}

static void add_pair(struct buf *out, const char *name, const char *value)
{
	buf_append_str(out, out->data[out->len - 1] == ']' ? ",[" : "[");
	add_text(out, name);
	buf_append_char(out, ',');
	add_text(out, value);
	buf_append_char(out, ']');
}

static void add_pairf(struct buf *out, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void add_pairf(struct buf *out, const char *name, const char *fmt, ...)
{
	char value[1536];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	add_pair(out, name, value);
}

static char *labels_text(const struct view_labels *labels)
{
	struct buf out;

	buf_init(&out, 1024 * 1024);
	for (size_t i = 0; i < labels->len; i++) {
		buf_append_str(&out, i > 0 ? ", " : "");
		buf_append_str(&out, labels->items[i].key);
		buf_append_char(&out, '=');
		buf_append_str(&out, labels->items[i].value);
	}
	return buf_take(&out);
}

static void add_containers(struct buf *out, const struct node *node)
{
	size_t running = node_running(node), paused = node_paused(node),
	       stopped = node_stopped(node);

	if (node_state(node) == NODE_HEALTHY)
		add_pairf(out, "  └ Containers", "%zu (%zu Running, %zu Paused, %zu Stopped)",
			running + paused + stopped, running, paused, stopped);
	else
		add_pairf(out, "  └ Containers", "%zu", running + paused + stopped);
}

/* One node in the form that `docker info` has shown since the first Swarm, and that scripts read.
 */
static void add_node(struct buf *out, const struct node *node)
{
	const struct node_view *view = node_view(node);
	char used[32], total[32], time[40];
	char *name CLEANUP_FREE =
		xasprintf(" %s", str_is_empty(view->name) ? "(unknown)" : view->name);
	char *labels CLEANUP_FREE = labels_text(&view->labels);

	add_pair(out, name, view->addr);
	add_pair(out, "  └ ID", view->id);
	add_pair(out, "  └ Status", node_state_name(node_state(node)));
	add_containers(out, node);
	add_pairf(out, "  └ Reserved CPUs", "%.4g / %.4g", (double)view->used_nano_cpus / 1e9,
		(double)view->total_nano_cpus / 1e9);
	add_pairf(out, "  └ Reserved Memory", "%s / %s",
		str_human_bytes((double)view->used_memory, used, sizeof(used)),
		str_human_bytes((double)view->total_memory, total, sizeof(total)));
	add_pair(out, "  └ Labels", labels);
	if (!str_is_empty(node_error(node)) && node_state(node) != NODE_HEALTHY) {
		if (node_retry_in_ms(node) >= 0)
			add_pairf(out, "  └ Error", "%s (next attempt in %lld s)", node_error(node),
				(long long)(node_retry_in_ms(node) + 999) / 1000);
		else
			add_pair(out, "  └ Error", node_error(node));
	}
	add_pair(out, "  └ UpdatedAt", str_rfc3339(node_updated_at(node), time, sizeof(time)));
	add_pair(out, "  └ ServerVersion", node_server_version(node));
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	buf_append_str(out, name);
	add_text(out, value);
}

/* The same for programs. */
static void add_summary(struct buf *out, const struct node *node)
{
	const struct node_view *view = node_view(node);
	size_t running = node_running(node), paused = node_paused(node),
	       stopped = node_stopped(node);

	add_field(out, "{\"ID\":", view->id);
	add_field(out, ",\"Name\":", view->name);
	add_field(out, ",\"Addr\":", view->addr);
	add_field(out, ",\"Status\":", node_state_name(node_state(node)));
	buf_printf(out,
		",\"Containers\":%zu,\"ContainersRunning\":%zu,\"ContainersPaused\":%zu,"
		"\"ContainersStopped\":%zu,\"ReservedNanoCPUs\":%lld,\"NanoCPUs\":%lld,"
		"\"ReservedMemory\":%lld,\"Memory\":%lld,\"Images\":%zu,\"Labels\":{",
		running + paused + stopped, running, paused, stopped,
		(long long)view->used_nano_cpus, (long long)view->total_nano_cpus,
		(long long)view->used_memory, (long long)view->total_memory, view->images_len);
	for (size_t i = 0; i < view->labels.len; i++) {
		buf_append_str(out, i > 0 ? "," : "");
		add_text(out, view->labels.items[i].key);
		buf_append_char(out, ':');
		add_text(out, view->labels.items[i].value);
	}
	add_field(out, "},\"Error\":", node_error(node));
	add_field(out, ",\"ServerVersion\":", node_server_version(node));
	add_field(out, ",\"ApiVersion\":", node_api_version(node));
	buf_printf(out, ",\"UpdatedAt\":%lld}", (long long)node_updated_at(node));
}

static void write_next(struct info_reply *reply, struct buf *out)
{
	if (reply->at < reply->len) {
		/* add_pair looks at what is before it: the pairs of the last piece. */
		if (out->len == 0)
			buf_append_char(out, ',');
		add_node(out, reply->nodes[reply->at]);
	} else {
		if (reply->at > reply->len)
			buf_append_char(out, ',');
		else
			buf_append_str(out, "],\"SwarmNodes\":[");
		add_summary(out, reply->nodes[reply->at - reply->len]);
	}
	reply->at++;
}

static enum paced_step info_more(struct buf *out, void *arg, struct err *err)
{
	struct info_reply *reply = arg;

	(void)err;
	if (reply->head != NULL) {
		buf_append_str(out, reply->head);
		free(TAKE_PTR(reply->head));
	}
	while (reply->at < 2 * reply->len && out->len < PACED_PIECE)
		write_next(reply, out);
	if (reply->at < 2 * reply->len)
		return PACED_MORE;
	buf_append_str(out, reply->len > 0 ? "]}" : "],\"SwarmNodes\":[]}");
	return PACED_LAST;
}

static void info_free(void *arg)
{
	struct info_reply *reply = arg;

	for (size_t i = 0; i < reply->len; i++)
		node_unref(reply->nodes[i]);
	free(reply->nodes);
	free(reply->head);
	free(reply);
}

static char *filters_text(const struct str_list *filters)
{
	struct buf out;

	buf_init(&out, 4096);
	for (size_t i = 0; i < filters->len; i++)
		buf_printf(&out, "%s%s", i > 0 ? ", " : "", filters->items[i]);
	return buf_take(&out);
}

/* What stands before the pairs of the nodes; NULL when it is longer than a piece may be. info_take
 * is all the rest. */
static char *head_text(
	const struct api_config *config, json_t *info_take, const struct cluster_totals *totals)
{
	char *filters CLEANUP_FREE = filters_text(config->filters);
	char *text CLEANUP_FREE = json_text(info_take, NULL);
	struct buf out;

	buf_init(&out, PACED_PIECE_MAX);
	buf_append(&out, text, strlen(text) - 1);
	json_decref(info_take);
	buf_append_str(&out, ",\"SystemStatus\":[");
	if (out.failed) {
		buf_reset(&out);
		return NULL;
	}
	add_pair(&out, "Role", "primary");
	add_pair(&out, "Strategy", config->strategy);
	add_pair(&out, "Filters", filters);
	add_pairf(&out, "Nodes", "%zu", totals->nodes);
	return buf_take(&out);
}

static struct info_reply *reply_new(struct node *const *nodes, size_t len, char *head_take)
{
	struct info_reply *reply = xcalloc(1, sizeof(*reply));

	reply->head = head_take;
	reply->nodes = xcalloc(len + 1, sizeof(struct node *));
	reply->len = len;
	for (size_t i = 0; i < len; i++) {
		node_ref(nodes[i]);
		reply->nodes[i] = nodes[i];
	}
	return reply;
}

void system_info(struct request *r)
{
	const struct api_config *config = &r->api->config;
	char *server CLEANUP_FREE = xasprintf("swarm/%s", config->version);
	struct paced_spec spec = {.more = info_more, .free = info_free};
	struct cluster_totals totals;
	struct node *const *nodes;
	struct utsname host;
	char now[40], *head;
	json_t *info;
	size_t len;

	cluster_totals(config->cluster, &totals);
	nodes = cluster_nodes(config->cluster, &len);
	uname(&host);
	str_rfc3339(config->env->wall_ns(config->env) / 1000000000, now, sizeof(now));
	info = info_merge(nodes, len);
	json_object_update_new(
		info, json_pack("{s:s,s:I,s:I,s:I,s:I,s:I}", "ID", "", "Containers",
			      (json_int_t)totals.containers, "ContainersRunning",
			      (json_int_t)totals.running, "ContainersPaused",
			      (json_int_t)totals.paused, "ContainersStopped",
			      (json_int_t)totals.stopped, "Images", (json_int_t)totals.images));
	json_object_update_new(
		info, json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:s,s:s,s:[]}", "SystemTime", now,
			      "KernelVersion", host.release, "OperatingSystem", "linux", "OSType",
			      "linux", "NCPU", (json_int_t)(totals.nano_cpus / 1000000000),
			      "MemTotal", (json_int_t)totals.memory, "Name", host.nodename,
			      "ServerVersion", server, "Labels"));
	/* Where engines differ in it, the manager's own. */
	if (json_object_get(info, "Architecture") == NULL)
		json_object_set_new(info, "Architecture", json_string(host.machine));
	head = head_text(config, info, &totals);
	if (head == NULL) {
		exchange_reply_error(r->x, 500,
			"what the engines tell of themselves is longer than %zu MiB together",
			PACED_PIECE_MAX >> 20);
		return;
	}
	spec.arg = reply_new(nodes, len, head);
	system_paced_reply(r, &spec);
}
