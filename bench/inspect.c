/* The way of a request that is passed on, in one process and on one loop: a client, the manager's
 * server and API, and an engine that tells no more than it is asked for. */
#include "bench/inspect.h"

#include "api/api.h"
#include "http/server.h"
#include "scheduler/scheduler.h"

#include <stdio.h>
#include <string.h>

#define REFRESH_MS (UINT64_C(24) * 3600 * 1000) /* not while this runs */
#define REPLY_MAX (1024 * 1024)
#define ID "1111111111111111111111111111111111111111111111111111111111111111"
#define INSPECTION_LEN 4000

struct rig {
	struct loop *loop;
	struct handler engine;
	struct server *engine_server;
	char *inspection;
	struct client *client; /* the manager's */
	struct cluster *cluster;
	struct scheduler *scheduler;
	struct handler *api;
	struct server *server;
	struct client *user;
	struct endpoint *manager;
	struct loop_timer *timer;
	const char *target;
	size_t left;
};

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "hot: %s%s%s\n", what, err ? ": " : "", err ? err->msg : "");
	exit(1);
}

/* ---- Requests ---- */

static void ask(struct rig *rig);

static void answered(void *arg, const struct reply *reply, const struct err *err)
{
	struct rig *rig = arg;

	if (err || reply->status != 200)
		die("a request was not answered as it should be", err);
	if (--rig->left > 0)
		ask(rig);
	else
		loop_stop(rig->loop);
}

static void ask(struct rig *rig)
{
	const struct call_request request = {.method = "GET", .target = rig->target};

	call_collect(rig->manager, &request, REPLY_MAX, answered, rig);
}

/* ---- The rig ---- */

/* Begins as soon as the engine was read, with its first container. */
static void begin(void *arg)
{
	struct rig *rig = arg;
	size_t len;
	struct node *const *nodes = cluster_nodes(rig->cluster, &len);

	if (node_state(nodes[0]) != NODE_HEALTHY) {
		loop_timer_start(rig->timer, 10);
		return;
	}
	rig->target = "/v1.41/containers/" ID "/json";
	ask(rig);
}

/* An engine with one container, as far as a manager asks. */
static void answer(struct handler *handler, struct exchange *x)
{
	static const struct {
		const char *path, *text;
	} answers[] = {
		{"/version", "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}"},
		{"/_ping", "OK"},
		{"/info", "{\"ID\":\"engine\",\"Name\":\"engine\",\"NCPU\":4,\"MemTotal\":"
			  "1000000000}"},
		{"/containers/json",
			"[{\"Id\":\"" ID "\",\"Names\":[\"/web\"],\"State\":\"running\"}]"},
		{"/containers/" ID "/json", NULL},
		{"/images/json", "[]"},
		{"/networks", "[]"},
		{"/volumes", "{\"Volumes\":[]}"},
	};
	const struct rig *rig = CONTAINER_OF(handler, struct rig, engine);
	const char *path = exchange_target(x);

	if (strstr(path, "/events")) {
		exchange_reply_start(x, 200, NULL, -1);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		const char *text = answers[i].text ? answers[i].text : rig->inspection;

		if (!strstr(path, answers[i].path))
			continue;
		exchange_reply_start(x, 200, NULL, (int64_t)strlen(text));
		exchange_reply_write(x, text, strlen(text));
		exchange_reply_end(x);
		return;
	}
	exchange_reply_error(x, 404, "page not found");
}

static struct server *listen_somewhere(struct rig *rig, struct handler *handler)
{
	const struct addr any = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct server *server = server_new(rig->loop, handler, NULL);
	struct err err = ERR_INIT;

	if (server_listen(server, &any, NULL, &err) == -1)
		die("cannot listen", &err);
	return server;
}

static void start_engine(struct rig *rig)
{
	static const struct handler_ops ops = {.name = "engine", .handle = answer};

	rig->inspection = xasprintf("{\"Id\":\"" ID "\",\"Name\":\"/web\",\"State\":{\"Running\":"
				    "true},\"Args\":[\"%0*d\"]}",
		INSPECTION_LEN, 0);
	rig->engine.ops = &ops;
	rig->engine_server = listen_somewhere(rig, &rig->engine);
}

static void start_cluster(struct rig *rig)
{
	const struct cluster_config config = {
		.refresh_min_ms = REFRESH_MS, .refresh_max_ms = REFRESH_MS, .failure_retry = 3};
	struct str_list nodes CLEANUP_STR_LIST = {0};
	char *address CLEANUP_FREE = xasprintf("127.0.0.1:%u", server_port(rig->engine_server, 0));

	rig->client = client_new(rig->loop);
	rig->cluster = cluster_new(rig->loop, env_system(), rig->client, &config);
	str_list_add(&nodes, address);
	cluster_set_nodes(rig->cluster, &nodes);
}

static void start_manager(struct rig *rig)
{
	const struct scheduler_config scheduler = {.env = env_system()};
	struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	struct api_config config = {.loop = rig->loop,
		.env = env_system(),
		.client = rig->client,
		.cluster = rig->cluster,
		.version = "bench"};
	struct err err = ERR_INIT;

	rig->scheduler = scheduler_new(&scheduler, &err);
	if (!rig->scheduler)
		die("no scheduler", &err);
	config.scheduler = rig->scheduler;
	config.strategy = scheduler_strategy(rig->scheduler);
	config.filters = scheduler_filters(rig->scheduler);
	rig->api = api_new(&config);
	rig->server = listen_somewhere(rig, rig->api);
	rig->user = client_new(rig->loop);
	addr.port = server_port(rig->server, 0);
	rig->manager = endpoint_new(rig->user, &addr, NULL);
}

void bench_inspect(size_t count)
{
	struct rig rig = {.loop = loop_new(), .left = count};

	start_engine(&rig);
	start_cluster(&rig);
	start_manager(&rig);
	rig.timer = loop_timer_new(rig.loop, begin, &rig);
	loop_timer_start(rig.timer, 0);
	loop_run(rig.loop);
	loop_timer_free(rig.timer);
	endpoint_free(rig.manager);
	client_free(rig.user);
	server_free(rig.server);
	handler_free(rig.api);
	scheduler_free(rig.scheduler);
	cluster_free(rig.cluster);
	client_free(rig.client);
	server_free(rig.engine_server);
	free(rig.inspection);
	loop_free(rig.loop);
}
