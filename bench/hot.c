/* What a manager does most often, as often as it is told: tests/instructions.sh counts what that
 * takes.
 *
 *	hot PATH COUNT
 *
 * COUNT times, over 300 nodes with 30 containers each for a decision, else over one node:
 *
 *	record    a container's record from what its engine tells, and into the inventory
 *	known     a list entry found to be as it was
 *	row       a container's row of a list
 *	decision  a node chosen for a request of four conditions, and a reservation on it
 *	inspect   a container asked for by a client, and passed on to an engine: all three
 */
#include "bench/inspect.h"
#include "bench/inventory.h"
#include "lib/json_read.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <stdio.h>
#include <string.h>

#define DECISION_NODES 300
#define DECISION_CONTAINERS 30
#define TEXT_MAX (64 * 1024)

/* ---- As an engine tells it ---- */

static const char labels[] = "{\"com.docker.compose.project\":\"shop\","
			     "\"com.docker.compose.service\":\"web\",\"tier\":\"front\"}";

static void write_network(struct buf *out, const char *endpoint)
{
	buf_printf(out,
		"{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"NetworkID\":\"%064d\","
		"\"EndpointID\":\"%s\",\"Gateway\":\"172.17.0.1\",\"IPAddress\":\"172.17.0.%u\","
		"\"IPPrefixLen\":16,\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\","
		"\"GlobalIPv6PrefixLen\":0,\"MacAddress\":\"02:42:ac:11:00:%02x\","
		"\"DriverOpts\":null}",
		17, endpoint, 2 + bench_below(200), 2 + bench_below(200));
}

static void write_entry(struct buf *out, const char *id, const char *endpoint, size_t number)
{
	buf_printf(out,
		"{\"Id\":\"%s\",\"Names\":[\"/web-%zu\"],\"Image\":\"shop/web:1.7\",\"ImageID\":"
		"\"sha256:%064d\",\"Command\":\"nginx -g 'daemon off;'\",\"Created\":%zu,\"Ports\":"
		"[{\"IP\":\"0.0.0.0\",\"PrivatePort\":80,\"PublicPort\":%zu,\"Type\":\"tcp\"}],"
		"\"Labels\":%s,\"State\":\"running\",\"Status\":\"Up 2 hours\",\"HostConfig\":"
		"{\"NetworkMode\":\"default\"},\"NetworkSettings\":{\"Networks\":{\"bridge\":",
		id, number, 42, 1795000000 + number, 32768 + number % 16384, labels);
	write_network(out, endpoint);
	buf_append_str(out, "}},\"Mounts\":[]}");
}

static void write_inspect(struct buf *out, const char *id, const char *endpoint, size_t number)
{
	buf_printf(out,
		"{\"Id\":\"%s\",\"Created\":\"2026-11-25T10:00:00.%09zuZ\",\"Path\":\"nginx\","
		"\"Args\":"
		"[\"-g\",\"daemon "
		"off;\"],\"State\":{\"Status\":\"running\",\"Running\":true,\"Paused\":"
		"false,\"Restarting\":false,\"OOMKilled\":false,\"Dead\":false,\"Pid\":4711,"
		"\"ExitCode\":0,"
		"\"Error\":\"\",\"StartedAt\":\"2026-11-25T10:00:01.5Z\",\"FinishedAt\":"
		"\"0001-01-01T00:00:00Z\"},\"Image\":\"sha256:%064d\",\"Name\":\"/"
		"web-%zu\",\"Driver\":"
		"\"overlay2\",\"HostConfig\":{\"Binds\":null,\"LogConfig\":{\"Type\":\"json-file\","
		"\"Config\":"
		"{}},\"NetworkMode\":\"default\",\"PortBindings\":{\"80/"
		"tcp\":[{\"HostIp\":\"\",\"HostPort\":"
		"\"%zu\"}]},\"CpuShares\":0,\"Memory\":268435456,\"NanoCpus\":0,\"Isolation\":\"\"}"
		",",
		id, number % 1000000000, 42, number, 32768 + number % 16384);
	buf_printf(out,
		"\"Mounts\":[],\"Config\":{\"Hostname\":\"%.12s\",\"ExposedPorts\":{\"80/"
		"tcp\":{}},\"Env\":"
		"[\"PATH=/usr/sbin:/usr/bin:/sbin:/"
		"bin\",\"NGINX_VERSION=1.25.3\"],\"Cmd\":[\"nginx\"],"
		"\"Image\":\"shop/"
		"web:1.7\",\"Labels\":%s},\"NetworkSettings\":{\"Bridge\":\"\",\"Ports\":"
		"{\"80/"
		"tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"%zu\"}]},\"Networks\":{\"bridge\":",
		id, labels, 32768 + number % 16384);
	write_network(out, endpoint);
	buf_append_str(out, "}}}");
}

/* One container in the inventory; entry: its list entry, kept by the caller. */
static struct container *enter(struct node *node, size_t number, struct buf *entry)
{
	CLEANUP_BUF struct buf inspect;
	struct engine_text text = {.entry_len = 0};
	struct container *container;
	struct err err = ERR_INIT;
	char id[65], endpoint[65];

	bench_id(id);
	bench_id(endpoint);
	buf_init(&inspect, TEXT_MAX);
	buf_init(entry, TEXT_MAX);
	write_entry(entry, id, endpoint, number);
	write_inspect(&inspect, id, endpoint, number);
	text.entry = buf_str(entry);
	text.entry_len = entry->len;
	text.inspect = buf_str(&inspect);
	text.inspect_len = inspect.len;
	container = container_from_engine(node, &text, &err);
	if (!container) {
		fprintf(stderr, "hot: %s\n", err.msg);
		exit(1);
	}
	inventory_container_put(container);
	return container;
}

/* ---- The paths ---- */

static void record(struct cluster *cluster, size_t count)
{
	struct node *node = bench_node(cluster, 1);

	for (size_t i = 0; i < count; i++) {
		struct buf entry;

		enter(node, i, &entry);
		buf_reset(&entry);
	}
}

static void known(struct cluster *cluster, size_t count)
{
	struct json_reader *reader = json_reader_new();
	struct buf entry;
	struct container *container = enter(bench_node(cluster, 1), 1, &entry);

	for (size_t i = 0; i < count; i++) {
		struct json_ref read = json_read(reader, buf_str(&entry), entry.len, NULL);

		if (!container_is_listed_as(container, read, buf_str(&entry), entry.len)) {
			fprintf(stderr, "hot: the entry is not known\n");
			exit(1);
		}
	}
	buf_reset(&entry);
	json_reader_free(reader);
}

static void row(struct cluster *cluster, size_t count)
{
	struct buf entry, out;
	struct container *container = enter(bench_node(cluster, 1), 1, &entry);

	buf_init(&out, TEXT_MAX);
	for (size_t i = 0; i < count; i++) {
		CLEANUP_FREE char *status = container_status(container, 1795007200);

		buf_consume(&out, out.len);
		container_row(container, &out);
	}
	buf_reset(&out);
	buf_reset(&entry);
}

static struct create_request *a_request(void)
{
	json_t *body CLEANUP_JSON = json_pack("{s:s, s:[s, s], s:{s:I, s:{s:[{s:s}]}}}", "Image",
		"none", "Env", "constraint:disk==ssd",
		"affinity:com.docker.compose.service==service-17", "HostConfig", "Memory",
		(json_int_t)(GIB / 2), "PortBindings", "80/tcp", "HostPort", "8080");
	struct create_request *request = create_request_new(body, NULL, NULL);

	if (!request)
		abort();
	return request;
}

static void decision(struct cluster *cluster, size_t count)
{
	const struct scheduler_config config = {.strategy = "spread", .env = &bench_env};
	struct scheduler *scheduler = scheduler_new(&config, NULL);
	struct create_request *request = a_request();
	struct node **nodes = xcalloc(DECISION_NODES, sizeof(struct node *));

	for (size_t i = 0; i < DECISION_NODES; i++)
		nodes[i] = bench_node(cluster, i);
	for (size_t i = 0; i < DECISION_NODES * DECISION_CONTAINERS; i++)
		inventory_container_put(&bench_container(nodes[i % DECISION_NODES], i)->container);
	for (size_t i = 0; i < count; i++) {
		struct err err = ERR_INIT;
		struct reservation *reservation =
			scheduler_place(scheduler, cluster, request, NULL, &err);

		if (!reservation) {
			fprintf(stderr, "hot: %s\n", err.msg);
			exit(1);
		}
		reservation_cancel(reservation);
	}
	free(nodes);
	create_request_free(request);
	scheduler_free(scheduler);
}

static void inspect(struct cluster *cluster, size_t count)
{
	(void)cluster;
	bench_inspect(count);
}

static const struct {
	const char *name;
	void (*run)(struct cluster *cluster, size_t count);
} paths[] = {
	{"record", record},
	{"known", known},
	{"row", row},
	{"decision", decision},
	{"inspect", inspect},
};

int main(int argc, char **argv)
{
	long long count;

	for (size_t i = 0; argc == 3 && i < ARRAY_LEN(paths); i++) {
		struct cluster *cluster;

		if (!str_eq(argv[1], paths[i].name) ||
			str_to_int(argv[2], 1, 10000000, &count, "a count", NULL) < 0)
			continue;
		cluster = bench_cluster_new();
		paths[i].run(cluster, (size_t)count);
		bench_cluster_free(cluster);
		return 0;
	}
	fprintf(stderr, "usage: hot record|known|row|decision|inspect COUNT\n");
	return 2;
}
