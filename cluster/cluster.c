/* The cluster as a whole: which nodes there are, and what they share. */
#include "cluster/live.h"
#include "lib/log.h"

#include <string.h>
#include <utlist.h>

struct live_call_later {
	live_done_fn *done;
	void *arg;
	struct err err;
	struct live_call_later *next;
};

void live_later(struct cluster_live *shared, live_done_fn *done, void *arg, const struct err *err)
{
	struct live_call_later *later;

	if (!done)
		return;
	later = xcalloc(1, sizeof(*later));
	later->done = done;
	later->arg = arg;
	if (err)
		later->err = *err;
	LL_APPEND(shared->later, later);
	loop_timer_start(shared->later_timer, 0);
}

static void call_later(void *arg)
{
	struct cluster_live *shared = arg;
	struct live_call_later *later, *all = TAKE_PTR(shared->later);

	while ((later = all)) {
		all = later->next;
		later->done(later->arg, later->err.code == ERR_NONE ? NULL : &later->err);
		free(later);
	}
}

static void reap(void *arg)
{
	struct cluster_live *shared = arg;
	struct node_live *live;

	while ((live = shared->removed)) {
		DL_DELETE(shared->removed, live);
		live_free(live);
	}
}

static void tick(void *arg)
{
	struct cluster_live *shared = arg;

	inventory_tick(&shared->cluster->inventory);
	loop_timer_start(shared->tick, 1000);
}

struct cluster *cluster_new(struct loop *loop, const struct env *env, struct client *client,
	const struct cluster_config *config)
{
	struct cluster *cluster = xcalloc(1, sizeof(*cluster));
	struct cluster_live *shared = xcalloc(1, sizeof(*shared));
	uint64_t down_after;

	inventory_init(&cluster->inventory, loop, env, config->overcommit);
	cluster->live = shared;
	shared->cluster = cluster;
	shared->loop = loop;
	shared->env = env;
	shared->client = client;
	shared->tls = config->tls ? tls_context_ref(config->tls) : NULL;
	shared->timing = live_default_timing;
	shared->refresh_min = config->refresh_min_ms;
	shared->refresh_max = config->refresh_max_ms;
	shared->refused = config->refused;
	shared->failure_retry = config->failure_retry > 0 ? config->failure_retry : 1;
	down_after = (uint64_t)shared->failure_retry * LIVE_DOWN_AFTER_EACH_MS;
	if (down_after < shared->timing.down_after)
		shared->timing.down_after = (unsigned)down_after;
	shared->reader = json_reader_new();
	shared->turns[TURN_CONNECT].max = LIVE_CONNECTS_MAX;
	shared->turns[TURN_SYNC].max = LIVE_SYNCS_MAX;
	shared->reap = loop_timer_new(loop, reap, shared);
	shared->tick = loop_timer_new(loop, tick, shared);
	shared->later_timer = loop_timer_new(loop, call_later, shared);
	loop_timer_start(shared->tick, 1000);
	return cluster;
}

void cluster_free(struct cluster *cluster)
{
	struct cluster_live *shared;
	struct node_live *live, *tmp;

	if (!cluster)
		return;
	shared = cluster->live;
	event_listeners_detach(shared);
	HASH_ITER (hh, shared->nodes, live, tmp)
		live_remove(live);
	call_later(shared);
	reap(shared);
	inventory_free(&cluster->inventory);
	json_reader_free(shared->reader);
	loop_timer_free(shared->reap);
	loop_timer_free(shared->tick);
	loop_timer_free(shared->later_timer);
	tls_context_unref(shared->tls);
	free(shared);
	free(cluster);
}

void cluster_set_tls(struct cluster *cluster, struct tls_context *tls)
{
	struct cluster_live *shared = cluster->live;
	struct tls_context *old = shared->tls;
	struct node_live *live, *tmp;

	shared->tls = tls ? tls_context_ref(tls) : NULL;
	HASH_ITER (hh, shared->nodes, live, tmp) {
		endpoint_set_tls(live->endpoint, shared->tls);
		live_retry_now(live);
	}
	tls_context_unref(old);
}

void cluster_set_nodes(struct cluster *cluster, const struct str_list *addrs)
{
	struct cluster_live *shared = cluster->live;
	struct node_live *live, *tmp;
	uint64_t round = ++shared->round;
	size_t i;

	for (i = 0; i < addrs->len; i++) {
		struct err err = ERR_INIT;

		HASH_FIND_STR(shared->nodes, addrs->items[i], live);
		if (!live)
			live = live_new(cluster, addrs->items[i], &err);
		if (live)
			live->round = round;
		else
			log_warn("address left out: %s addr=%s", err.msg, addrs->items[i]);
	}
	HASH_ITER (hh, shared->nodes, live, tmp) {
		if (live->round != round)
			live_remove(live);
	}
}
