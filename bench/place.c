/* How long a decision of the scheduler takes: an inventory without engines, made in memory.
 *
 *	place [NODES CONTAINERS [DECISIONS]]
 *
 * CONTAINERS is for each node. Without sizes: 1,000 x 30 and 10,000 x 100. A decision is the choice
 * of a node and the reservation on it; as many are held as a busy manager has under way. Times are
 * CPU time of the one thread, so that what else runs on the machine matters little. Prints lines of
 * name=value. */
#include "cluster/record.h"
#include "lib/json.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define GIB (INT64_C(1) << 30)
#define HELD 64 /* reservations at a time */
#define WARM_UP 200
#define IMAGES 300         /* in all */
#define IMAGES_OF_NODE 20  /* of these */
#define ROW_BYTES 120      /* what a record keeps of the engine's list entry */
#define PORTS_OF_REQUEST 8 /* the well-known port that a request asks for is one of these */

static uint64_t chance_state = 20160301;

static unsigned below(unsigned bound)
{
	chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chance_state >> 33) % bound;
}

static uint32_t env_below(const struct env *env, uint32_t bound)
{
	(void)env;
	return below(bound);
}

static uint64_t env_now(const struct env *env)
{
	(void)env;
	return 0;
}

static const struct env env = {.now_ms = env_now, .random_below = env_below};

static void random_id(char *id)
{
	for (int i = 0; i < 64; i++)
		id[i] = "0123456789abcdef"[below(16)];
	id[64] = '\0';
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* ---- The inventory ---- */

static void add_images(struct node *node)
{
	json_t *list CLEANUP_JSON = json_array();

	for (unsigned i = 0; i < IMAGES_OF_NODE; i++) {
		/* The first is everywhere. */
		unsigned number = i == 0 ? 0 : 1 + (below(IMAGES / IMAGES_OF_NODE) * 20 + i);
		char id[80], tag[32];

		snprintf(id, sizeof(id), "sha256:%064u", number);
		snprintf(tag, sizeof(tag), "registry/app-%u:1", number);
		json_array_append_new(list,
			json_pack("{s:s, s:[s], s:i}", "Id", id, "RepoTags", tag, "Created", 1));
	}
	if (inventory_images_replace(node, list, NULL, NULL) < 0)
		abort();
}

static struct node *add_node(struct cluster *cluster, size_t number)
{
	char addr[32], name[32], id[32], zone[16];
	const struct view_label labels[] = {
		{"disk", number % 2 ? "ssd" : "hdd"},
		{"kernelversion", "5.10.0"},
		{"operatingsystem", "Debian GNU/Linux 11"},
		{"ostype", "linux"},
		{"storagedriver", "overlay2"},
		{"zone", zone},
	};
	struct inventory_identity identity = {.engine_id = id,
		.name = name,
		.labels = labels,
		.labels_len = ARRAY_LEN(labels),
		.ncpu = 64,
		.memory = 512 * GIB};
	struct node *node;

	snprintf(addr, sizeof(addr), "10.%zu.%zu.%zu:2375", number >> 16, number >> 8 & 255,
		number & 255);
	snprintf(name, sizeof(name), "node-%zu", number);
	snprintf(id, sizeof(id), "ENGINE:%zu", number);
	snprintf(zone, sizeof(zone), "z%zu", number % 10);
	node = inventory_node_new(cluster, addr);
	inventory_node_set_identity(node, &identity);
	inventory_node_set_health(node, true);
	add_images(node);
	return node;
}

/* As most are: made by Compose, with a port of its own, one in eight with a well-known one. */
static struct container_record *a_container(struct node *node, size_t number)
{
	char id[65], swarm_id[65], name[32], project[32], service[32], index[8];
	char row[ROW_BYTES];
	struct view_label labels[] = {
		{"com.docker.compose.container-number", index},
		{"com.docker.compose.project", project},
		{"com.docker.compose.service", service},
		{"com.docker.swarm.id", swarm_id},
		{"maintainer", "The Maintainers <maintainers@example.com>"},
		{"tier", number % 3 == 0 ? "front" : "back"},
	};
	struct view_port port = {
		"", (uint16_t)(number % 8 ? 32768 + below(28000) : 8000 + below(100)), "tcp"};
	struct record_draft draft = {.id = id,
		.swarm_id = swarm_id,
		.name = name + 1,
		.image = "registry/app-1:1",
		.image_id = "sha256:0000",
		.labels = labels,
		.labels_len = ARRAY_LEN(labels),
		.ports = &port,
		.ports_len = 1,
		.row_template = (char *)"{}",
		.row_values = row,
		.row_values_len = ROW_BYTES,
		.ports_json = (char *)""};
	struct container_record *record;

	random_id(id);
	random_id(swarm_id);
	snprintf(name, sizeof(name), "/app-%zu", number);
	snprintf(project, sizeof(project), "project-%zu", number / 20);
	snprintf(service, sizeof(service), "service-%u", below(200));
	snprintf(index, sizeof(index), "%u", 1 + below(5));
	memset(row, 'r', ROW_BYTES);
	str_list_add(&draft.names, name);
	draft.record.container.state = "running";
	draft.record.container.health = "none";
	draft.record.container.isolation = "default";
	draft.record.container.view.memory = GIB;
	draft.record.container.view.is_running = true;
	record = record_pack(node, &draft);
	str_list_free(&draft.names);
	return record;
}

static double in_use(void)
{
	struct mallinfo2 info = mallinfo2();

	return (double)info.uordblks + (double)info.hblkhd;
}

static void fill(struct cluster *cluster, size_t nodes, size_t containers)
{
	size_t count = nodes * containers;
	struct container_record **records = xcalloc(count + 1, sizeof(*records));
	struct node **list = xcalloc(nodes + 1, sizeof(struct node *));
	double start, made, entered, start_us;

	for (size_t i = 0; i < nodes; i++)
		list[i] = add_node(cluster, i);
	start = in_use();
	for (size_t i = 0; i < count; i++)
		records[i] = a_container(list[i % nodes], i);
	made = in_use();
	start_us = now_us();
	for (size_t i = 0; i < count; i++)
		inventory_container_put(&records[i]->container);
	entered = in_use();
	printf("nodes=%zu containers=%zu record_bytes=%.0f index_bytes=%.0f put_us=%.2f\n", nodes,
		count, (made - start) / (double)count, (entered - made) / (double)count,
		(now_us() - start_us) / (double)count);
	free(records);
	free(list);
}

/* ---- Decisions ---- */

struct trial {
	const char *name, *strategy;
	const char *constraint, *affinity;
	bool has_port;
	const char *image; /* NULL = the choice alone, without the reading of a body */
};

static struct create_request *a_request(const struct trial *trial)
{
	json_t *body CLEANUP_JSON = json_pack("{s:s, s:[], s:{s:I, s:{}}}", "Image",
		trial->image ? trial->image : "none", "Env", "HostConfig", "Memory",
		(json_int_t)(GIB / 2), "PortBindings");
	json_t *terms = json_get(body, "Env");
	struct create_request *request;
	char port[8];

	if (trial->constraint)
		json_array_append_new(terms, json_sprintf("constraint:%s", trial->constraint));
	if (trial->affinity)
		json_array_append_new(terms, json_sprintf("affinity:%s", trial->affinity));
	snprintf(port, sizeof(port), "%u", 8000 + below(PORTS_OF_REQUEST));
	if (trial->has_port)
		json_object_set_new(json_path(body, "HostConfig", "PortBindings", NULL), "80/tcp",
			json_pack("[{s:s}]", "HostPort", port));
	request = create_request_new(body, NULL, NULL);
	if (!request)
		abort();
	return request;
}

static int by_value(const void *left, const void *right)
{
	const double *a = left, *b = right;

	return *a < *b ? -1 : *a > *b;
}

static void tell(const struct trial *trial, double *us, size_t len, size_t failed)
{
	double sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += us[i];
	qsort(us, len, sizeof(*us), by_value);
	printf("%-24s strategy=%-8s p50_us=%-8.1f p99_us=%-8.1f decisions_per_s=%.0f", trial->name,
		trial->strategy, us[len / 2], us[len * 99 / 100], (double)len / sum * 1e6);
	printf(failed > 0 ? " failed=%zu\n" : "\n", failed);
}

/* One decision; what it took. */
static double decide(struct scheduler *scheduler, struct cluster *cluster,
	const struct create_request *request, bool is_whole, struct reservation **out)
{
	const struct placement *placement = create_request_placement(request);
	double start = now_us();
	struct node *node;

	if (is_whole) {
		*out = scheduler_place(scheduler, cluster, request, NULL, NULL);
	} else {
		node = scheduler_pick(scheduler, cluster, placement, NULL, NULL);
		*out = node ? cluster_reserve(cluster, node, &placement->want, NULL) : NULL;
	}
	return now_us() - start;
}

static void run(struct cluster *cluster, const struct trial *trial, size_t decisions)
{
	const struct scheduler_config config = {.strategy = trial->strategy, .env = &env};
	struct scheduler *scheduler = scheduler_new(&config, NULL);
	struct reservation *held[HELD] = {NULL};
	double *us = xcalloc(decisions + 1, sizeof(*us));
	size_t failed = 0;

	for (size_t i = 0; i < decisions + WARM_UP; i++) {
		struct create_request *request = a_request(trial);
		struct reservation **place = &held[i % HELD];
		double took;

		if (*place)
			reservation_cancel(*place);
		took = decide(scheduler, cluster, request, trial->image != NULL, place);
		failed += *place == NULL;
		if (i >= WARM_UP)
			us[i - WARM_UP] = took;
		create_request_free(request);
	}
	for (size_t i = 0; i < HELD; i++) {
		if (held[i])
			reservation_cancel(held[i]);
	}
	tell(trial, us, decisions, failed);
	free(us);
	scheduler_free(scheduler);
}

static const struct trial trials[] = {
	{"four conditions", "spread", "disk==ssd", "com.docker.compose.service==service-17", true,
		NULL},
	{"four conditions", "binpack", "disk==ssd", "com.docker.compose.service==service-17", true,
		NULL},
	{"four conditions", "random", "disk==ssd", "com.docker.compose.service==service-17", true,
		NULL},
	{"common label", "spread", "disk==ssd", "tier==front", true, NULL},
	{"memory alone", "spread", NULL, NULL, false, NULL},
	{"memory alone", "binpack", NULL, NULL, false, NULL},
	{"soft node", "spread", "node==~node-17", NULL, false, NULL},
	{"container", "spread", NULL, "container==app-1234", false, NULL},
	{"label by regex", "spread", "disk==ssd", "com.docker.compose.service==/^service-1[0-9]$/",
		true, NULL},
	{"containers by prefix", "spread", NULL, "container==app-12*", false, NULL},
	{"image", "spread", NULL, "image==registry/app-0", false, NULL},
	{"whole, common image", "spread", "disk==ssd", "com.docker.compose.service==service-17",
		true, "registry/app-0:1"},
	{"whole, rare image", "spread", "disk==ssd", "com.docker.compose.service==service-17", true,
		"registry/app-3:1"},
};

static void bench(size_t nodes, size_t containers, size_t decisions)
{
	struct cluster *cluster = xcalloc(1, sizeof(*cluster));
	size_t len;

	inventory_init(&cluster->inventory, NULL, &env, 0.05);
	fill(cluster, nodes, containers);
	for (size_t i = 0; i < ARRAY_LEN(trials); i++)
		run(cluster, &trials[i], decisions);
	while (cluster_nodes(cluster, &len), len > 0)
		inventory_node_remove(cluster_nodes(cluster, &len)[len - 1]);
	inventory_free(&cluster->inventory);
	free(cluster);
}

int main(int argc, char **argv)
{
	long long sizes[3] = {0, 0, 2000};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (i > 3 || str_to_int(argv[i], 1, 10000000, &sizes[i - 1], "a size", NULL) < 0) {
			fprintf(stderr, "usage: place [NODES CONTAINERS [DECISIONS]]\n");
			return 2;
		}
	}
	if (argc >= 3) {
		bench((size_t)sizes[0], (size_t)sizes[1], (size_t)sizes[2]);
		return 0;
	}
	bench(1000, 30, (size_t)sizes[2]);
	bench(10000, 100, (size_t)sizes[2]);
	return 0;
}
