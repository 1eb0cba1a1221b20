/* How long a decision of the scheduler takes: an inventory without engines, made in memory.
 *
 *	place [NODES CONTAINERS [DECISIONS]]
 *
 * CONTAINERS is for each node. Without sizes: 1,000 x 30 and 10,000 x 100. A decision is the choice
 * of a node and the reservation on it; as many are held as a busy manager has under way. Times are
 * CPU time of the one thread, so that what else runs on the machine matters little. Prints lines of
 * name=value. */
#include "bench/inventory.h"
#include "lib/json.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HELD 64 /* reservations at a time */
#define WARM_UP 200
#define PORTS_OF_REQUEST 8 /* the well-known port that a request asks for is one of these */

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
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
		list[i] = bench_node(cluster, i);
	start = in_use();
	for (size_t i = 0; i < count; i++)
		records[i] = bench_container(list[i % nodes], i);
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
	snprintf(port, sizeof(port), "%u", 8000 + bench_below(PORTS_OF_REQUEST));
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
	const struct scheduler_config config = {.strategy = trial->strategy, .env = &bench_env};
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
	struct cluster *cluster = bench_cluster_new();

	fill(cluster, nodes, containers);
	for (size_t i = 0; i < ARRAY_LEN(trials); i++)
		run(cluster, &trials[i], decisions);
	bench_cluster_free(cluster);
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
