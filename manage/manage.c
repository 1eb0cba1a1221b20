/* Making and freeing one manager, and what discovery tells it. */
#include "manage/manage_priv.h"

#include "api/api.h"
#include "http/web.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "manage/gate.h"
#include "manage/notify.h"
#include "scheduler/scheduler.h"

/* What a burst of clients or a fleet in trouble needed is not kept for good. Often, so that not
 * much goes back at once; but nothing else is done meanwhile, so where it takes long it is done
 * rarely. */
enum { GIVE_BACK_MS = 10 * 1000, GIVE_BACK_REST = 5000 };

/* ---- Discovery ---- */

static void on_nodes(const struct str_list *addrs, void *arg)
{
	struct manage *m = arg;
	m->discovery_failure = ERR_NONE;
	m->has_nodes = true;
	log_info("discovery lists %zu engines", addrs->len);
	cluster_set_nodes(m->cluster, addrs);
}

bool manage_is_discovery_failing(const struct manage *m)
{
	uint64_t silence = m->env->now_ms(m->env) - m->discovery_failed_at;
	return m->discovery_failure != ERR_NONE && silence < 3 * m->config->heartbeat_ms;
}

/* A store that stays down says much the same at every attempt: once is enough. */
static void on_discovery_failure(const struct err *err, void *arg)
{
	struct manage *m = arg;
	bool is_same = manage_is_discovery_failing(m) && m->discovery_failure == err->code;
	m->discovery_failed_at = m->env->now_ms(m->env);
	if (is_same) {
		log_debug("discovery still fails: %s", err->msg);
		return;
	}
	log_warn("discovery fails, the nodes known so far are kept: %s", err->msg);
	m->discovery_failure = err->code;
}

static int open_discovery(struct manage *m, struct err *err)
{
	struct discovery_config dc = {
		.url = m->config->discovery,
		.heartbeat_ms = m->config->heartbeat_ms,
		.ttl_ms = 3 * m->config->heartbeat_ms,
		.options = m->config->discovery_options,
	};
	m->discovery = discovery_open(m->loop, m->env, m->client, &dc, err);
	if (m->discovery != NULL)
		return 0;
	if (err->code == ERR_INVALID || err->code == ERR_UNSUPPORTED)
		err->code = ERR_USAGE;
	return -1;
}

/* ---- Making ---- */

struct tls_context *manage_tls_load(const struct manage_config *config, struct err *err)
{
	struct tls_config tc = {
		.ca_file = config->tls_ca,
		.cert_file = config->tls_cert,
		.key_file = config->tls_key,
		.verify = config->tls_verify,
	};
	struct tls_context *tls = tls_context_new(&tc, err);
	if (tls == NULL && err != NULL)
		err->code = ERR_SYSTEM;
	return tls;
}

static void warn_of_unverified_tls(const struct manage_config *config)
{
	if (config->tls && !config->tls_verify)
		log_warn("--tls without --tlsverify: neither clients nor engines are verified; "
			 "anyone who can reach this manager is root on every node");
}

static void make_cluster(struct manage *m)
{
	struct cluster_config cc = {
		.tls = m->tls,
		.refresh_min_ms = m->config->refresh_min_ms,
		.refresh_max_ms = m->config->refresh_max_ms,
		.failure_retry = m->config->failure_retry,
		.overcommit = m->config->overcommit,
		.refused = discovery_refused(m->discovery),
	};
	m->cluster = cluster_new(m->loop, m->env, m->client, &cc);
}

static int make_scheduler(struct manage *m, struct err *err)
{
	struct scheduler_config sc = {
		.strategy = m->config->strategy,
		.filters = m->config->filters,
		.env = m->env,
	};
	m->scheduler = scheduler_new(&sc, err);
	if (m->scheduler != NULL)
		return 0;
	err->code = ERR_USAGE;
	return -1;
}

static void make_server(struct manage *m)
{
	struct api_config ac = {
		.loop = m->loop,
		.env = m->env,
		.client = m->client,
		.cluster = m->cluster,
		.scheduler = m->scheduler,
		.version = m->config->version,
		.strategy = scheduler_strategy(m->scheduler),
		.filters = scheduler_filters(m->scheduler),
		.create_retry = m->config->create_retry,
		.shares = m->config->shares,
		.volumes_everywhere = m->config->volumes_everywhere,
	};
	struct web_rules rules = {
		.origins = m->config->origins,
		.host_names = m->config->host_names,
	};
	m->gate = gate_new(web_guard_new(&rules, api_new(&ac)));
	m->server = server_new(m->loop, m->gate, NULL);
}

/* Why clients had better ask another manager; NULL = they may come. */
static const char *unready(void *arg)
{
	const struct manage *m = arg;
	size_t len = 0;
	struct node *const *nodes = cluster_nodes(m->cluster, &len);
	if (m->state != MANAGE_SERVING)
		return "the manager is shutting down";
	if (!m->has_nodes)
		return "discovery has not answered yet";
	if (len == 0)
		return "discovery lists no node";
	for (size_t i = 0; i < len; i++)
		if (node_updated_at(nodes[i]) != 0)
			return NULL;
	return "the state of no node is known yet";
}

static int make_web(struct manage *m, struct err *err)
{
	if (m->config->admin == NULL)
		return 0;
	m->web_config = (struct web_config){
		.address = m->config->admin,
		.version = m->config->version,
		.cluster = m->cluster,
		.unready = unready,
		.arg = m,
	};
	m->web = web_new(m->loop, &m->web_config, err);
	return m->web != NULL ? 0 : -1;
}

static void give_back(void *arg)
{
	struct manage *m = arg;
	uint64_t start = m->env->now_ms(m->env), took;

	mem_give_back();
	took = m->env->now_ms(m->env) - start;
	loop_timer_start(m->give_back, GIVE_BACK_MS + took * GIVE_BACK_REST);
}

static int check_origins(const struct str_list *origins, struct err *err)
{
	for (size_t i = 0; origins != NULL && i < origins->len; i++) {
		if (web_check_origin(origins->items[i], err) < 0)
			return -1;
	}
	return 0;
}

struct manage *manage_new(const struct manage_config *config, struct err *err)
{
	if (manage_check_hosts(config->hosts, err) < 0 || check_origins(config->origins, err) < 0)
		return NULL;
	struct manage *m = xcalloc(1, sizeof(*m));
	m->config = config;
	m->env = env_system();
	m->loop = loop_new();
	m->client = client_new(m->loop);
	if (config->tls) {
		m->tls = manage_tls_load(config, err);
		if (m->tls == NULL)
			goto failed;
	}
	if (make_scheduler(m, err) < 0 || open_discovery(m, err) < 0)
		goto failed;
	make_cluster(m);
	make_server(m);
	if (manage_listen(m, err) < 0 || make_web(m, err) < 0)
		goto failed;
	warn_of_unverified_tls(config);
	m->give_back = loop_timer_new(m->loop, give_back, m);
	loop_timer_start(m->give_back, GIVE_BACK_MS);
	discovery_watch(m->discovery, on_nodes, on_discovery_failure, m);
	manage_signals_start(m);
	return m;
failed:
	manage_free(m);
	return NULL;
}

void manage_run(struct manage *m)
{
	notify_send("READY=1");
	loop_run(m->loop);
}

void manage_free(struct manage *m)
{
	if (m == NULL)
		return;
	/* From the clients down to what serves them: nobody is left to ask what goes next. The end
	 * of the last exchange still tells the gate, which tells the stop timer. */
	server_free(m->server);
	web_free(m->web);
	manage_signals_stop(m);
	handler_free(m->gate);
	discovery_close(m->discovery);
	scheduler_free(m->scheduler);
	cluster_free(m->cluster);
	client_free(m->client);
	loop_timer_free(m->give_back);
	tls_context_unref(m->tls);
	loop_free(m->loop);
	free(m);
}
