/* The pages. */
#include "web/web_priv.h"

#include "cluster/cluster.h"
#include "lib/metrics.h"
#include "lib/str.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"

/* ---- The cluster ---- */

static void print_nodes(const struct cluster *cluster, struct buf *out)
{
	size_t counts[NODE_DISCONNECTED + 1] = {0}, len = 0;
	struct node *const *nodes = cluster_nodes(cluster, &len);

	for (size_t i = 0; i < len; i++)
		counts[node_state(nodes[i])]++;
	metrics_print_family(out, "swarm_nodes", "gauge", "Nodes, by state.");
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		char state[32];

		(void)strlcpy(state, node_state_name((enum node_state)i), sizeof(state));
		state[0] = (char)(state[0] | 0x20); /* "Healthy" */
		metrics_print(out, "swarm_nodes", "state", state, (double)counts[i]);
	}
}

static void print_containers(const struct cluster *cluster, struct buf *out)
{
	static const char name[] = "swarm_containers";
	struct cluster_totals totals;

	cluster_totals(cluster, &totals);
	metrics_print_family(out, name, "gauge", "Containers that are known, by state.");
	metrics_print(out, name, "state", "running", (double)totals.running);
	metrics_print(out, name, "state", "paused", (double)totals.paused);
	metrics_print(out, name, "state", "stopped", (double)totals.stopped);
}

/* ---- The process ---- */

/* Numbers of /proc/self/stat behind the name, which may hold anything: [11] utime, [12] stime, [21]
 * resident pages, counted from the state. */
static void print_stat(struct buf *out)
{
	unsigned long long values[22] = {0};
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");
	size_t len = file != NULL ? fread(text, 1, sizeof(text) - 1, file) : 0;
	double ticks = (double)sysconf(_SC_CLK_TCK);
	char *p;

	if (file != NULL)
		(void)fclose(file);
	text[len] = '\0';
	p = strrchr(text, ')');
	for (size_t i = 0; p != NULL && i < ARRAY_LEN(values); i++) {
		p = strchr(p + 1, ' ');
		if (p != NULL)
			values[i] = strtoull(p + 1, NULL, 10);
	}
	metrics_print_family(out, "process_cpu_seconds_total", "counter",
		"User and system CPU time spent, in seconds.");
	metrics_print(out, "process_cpu_seconds_total", NULL, NULL,
		(double)(values[11] + values[12]) / ticks);
	metrics_print_family(
		out, "process_resident_memory_bytes", "gauge", "Resident memory size, in bytes.");
	metrics_print(out, "process_resident_memory_bytes", NULL, NULL,
		(double)values[21] * (double)sysconf(_SC_PAGESIZE));
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t count = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		count++;
	(void)closedir(dir);
	return count > 3 ? count - 3 : 0; /* ".", ".." and the folder's own */
}

static void print_process(struct buf *out)
{
	struct rlimit limit = {0};

	print_stat(out);
	metrics_print_family(out, "process_open_fds", "gauge", "Open file descriptors.");
	metrics_print(out, "process_open_fds", NULL, NULL, (double)count_fds());
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	metrics_print_family(
		out, "process_max_fds", "gauge", "Most file descriptors that may be open.");
	metrics_print(out, "process_max_fds", NULL, NULL, (double)limit.rlim_cur);
}

/* ---- Pages ---- */

static int page_metrics(const struct web_config *config, struct buf *out)
{
	metrics_print_family(
		out, "swarm_build_info", "gauge", "1, with the version of the program.");
	metrics_print(out, "swarm_build_info", "version", config->version, 1);
	print_nodes(config->cluster, out);
	print_containers(config->cluster, out);
	metrics_print_all(out);
	print_process(out);
	return 200;
}

static int page_ready(const struct web_config *config, struct buf *out)
{
	const char *why = config->unready(config->arg);

	buf_printf(out, "%s\n", why != NULL ? why : "ready");
	return why != NULL ? 503 : 200;
}

int web_page(const struct web_config *config, const char *path, struct buf *out, const char **type)
{
	*type = TYPE_TEXT;
	if (str_eq(path, "/metrics")) {
		*type = TYPE_METRICS;
		return page_metrics(config, out);
	}
	if (str_eq(path, "/ready"))
		return page_ready(config, out);
	if (str_eq(path, "/health")) {
		buf_append_str(out, "ok\n");
		return 200;
	}
	buf_append_str(out, "there are /health, /ready and /metrics\n");
	return 404;
}
