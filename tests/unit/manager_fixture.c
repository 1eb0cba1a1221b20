#include "tests/unit/manager_fixture.h"

#include "lib/log.h"
#include "scheduler/scheduler.h"

bool manager_is_healthy(void *manager)
{
	const struct manager *m = manager;
	struct cluster_totals totals;

	cluster_totals(m->cluster, &totals);
	return totals.nodes_healthy == 2;
}

void manager_set_engines(
	struct manager *m, const struct fake_engine *first, const struct fake_engine *second)
{
	struct str_list addrs CLEANUP_STR_LIST = {0};

	if (first != NULL)
		str_list_add_take(&addrs, fake_engine_addr(first));
	if (second != NULL)
		str_list_add_take(&addrs, fake_engine_addr(second));
	cluster_set_nodes(m->cluster, &addrs);
}

void manager_start(struct manager *m)
{
	const struct cluster_config cluster_config = {
		.refresh_min_ms = FOREVER, .refresh_max_ms = FOREVER, .failure_retry = 3};
	const struct addr addr = {.kind = ADDR_TCP, .host = (char *)"127.0.0.1"};
	const struct scheduler_config scheduler_config = {.env = env_system()};
	struct str_list filters = {0};

	memset(m, 0, sizeof(*m));
	log_set_level(LOG_LEVEL_ERROR);
	m->f.loop = loop_new();
	m->client = client_new(m->f.loop);
	m->cluster = cluster_new(m->f.loop, env_system(), m->client, &cluster_config);
	m->cluster->live->timing = forever_timing;
	m->scheduler = scheduler_new(&scheduler_config, NULL);
	m->alpha = fake_engine_new(m->f.loop, "ID-A", "alpha");
	m->beta = fake_engine_new(m->f.loop, "ID-B", "beta");
	fake_engine_add(m->alpha, "one");
	fake_engine_add(m->beta, "two");
	manager_set_engines(m, m->alpha, m->beta);
	wait_for(&m->f, manager_is_healthy, m);
	m->handler = api_new(&(struct api_config){.loop = m->f.loop,
		.env = env_system(),
		.client = m->client,
		.cluster = m->cluster,
		.scheduler = m->scheduler,
		.version = "test",
		.strategy = "spread",
		.filters = &filters});
	m->server = server_new(m->f.loop, m->handler, NULL);
	assert_int_equal(server_listen(m->server, &addr, NULL, NULL), 0);
	raw_connect(&m->f, &m->caller, server_port(m->server, 0));
}

void manager_reconnect(struct manager *m)
{
	raw_close(&m->f, &m->caller);
	raw_connect(&m->f, &m->caller, server_port(m->server, 0));
}

void manager_stop(struct manager *m)
{
	raw_close(&m->f, &m->caller);
	server_free(m->server);
	handler_free(m->handler);
	cluster_free(m->cluster);
	scheduler_free(m->scheduler);
	client_free(m->client);
	fake_engine_free(m->alpha);
	fake_engine_free(m->beta);
	loop_free(m->f.loop);
}
