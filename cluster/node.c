/* The states of one node: attempts to reach its engine, what their outcome means, and when. See
 * docs/internals/nodes.md for the diagram. */
#include "cluster/live.h"
#include "lib/addr.h"
#include "lib/log.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

const struct live_timing live_default_timing = {
	.probe = 10000,
	.probe_spacing = 500,
	.probe_each = 2,
	.probe_slot = 20,
	.probe_fast = 1000,
	.probe_timeout = 5000,
	.probe_fast_timeout = 3000,
	.down_after = 10000,
	.settle = 30000,
	.backoff = 1000,
	.backoff_max = 30000,
	.stream_proof = 3000,
	.connect = 5000,
	.head = 10000,
	.idle = 15000,
	.list = 60000,
	.inspect = 10000,
	.hold = 2000,
	.debounce = 50,
	.period = 100,
	.turn = {250, 2000},
	.resync_spacing = 50,
};

/* How often the log tells that this process is short of descriptors. */
#define SHORTAGE_TOLD_MS (60 * 1000)

struct node_waiter {
	struct node_live *live; /* NULL once it was called */
	void (*fn)(void *arg);
	void *arg;
	struct node_waiter *prev, *next;
};

static void attempt(void *arg);
static void resync(void *arg);

static uint64_t now_ms(const struct node_live *live)
{
	const struct env *env = live->shared->env;

	return env->now_ms(env);
}

static uint64_t random_below(const struct node_live *live, uint64_t bound)
{
	const struct env *env = live->shared->env;

	return bound == 0 ? 0 : env->random_below(env, (uint32_t)bound);
}

void node_log(const struct node_live *live, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	log_warn("%s node=%s addr=%s", text, live->node->inventory.view.name, live->addr);
}

/* ---- Life ---- */

struct node_live *live_new(struct cluster *cluster, const char *addr, struct err *err)
{
	struct cluster_live *shared = cluster->live;
	struct addr parsed;
	struct node_live *live;

	if (addr_parse(addr, 2375, &parsed, err) == -1)
		return NULL;
	parsed.refused = shared->refused;
	live = xcalloc(1, sizeof(*live));
	live->shared = shared;
	live->addr = xstrdup(addr);
	live->state = NODE_PENDING;
	live->endpoint = endpoint_new(shared->client, &parsed, shared->tls);
	addr_free(&parsed);
	live->node = inventory_node_new(cluster, addr);
	live->node->live = live;
	node_ref(live->node);
	live->timer = loop_timer_new(shared->loop, attempt, live);
	live->resync_timer = loop_timer_new(shared->loop, resync, live);
	connect_init(live);
	parts_init(live);
	watch_init(live);
	HASH_ADD_KEYPTR(hh, shared->nodes, live->addr, strlen(live->addr), live);
	live->timer_at = now_ms(live);
	loop_timer_start(live->timer, 0);
	return live;
}

static void cancel_probe(struct node_live *live)
{
	if (live->probe)
		call_cancel(TAKE_PTR(live->probe));
}

/* Nothing of this node is on its way any more but what others wait for. */
static void stop(struct node_live *live)
{
	cancel_probe(live);
	connect_cancel(live);
	watch_close(live);
	loop_timer_stop(live->timer);
	loop_timer_stop(live->resync_timer);
}

static void wake_down(struct node_live *live)
{
	struct node_waiter *waiter;

	while ((waiter = live->waiters)) {
		DL_DELETE(live->waiters, waiter);
		waiter->live = NULL;
		waiter->fn(waiter->arg);
	}
}

void live_remove(struct node_live *live)
{
	struct cluster_live *shared = live->shared;
	bool was_up = live->state == NODE_HEALTHY;
	struct err err = ERR_INIT;

	err_set(&err, ERR_UNAVAILABLE, "node %s is no longer part of the cluster", live->addr);
	log_info("node removed node=%s addr=%s", live->node->inventory.view.name, live->addr);
	HASH_DEL(shared->nodes, live);
	live->is_removed = true;
	live->state = NODE_DISCONNECTED;
	stop(live);
	live->node->live = NULL;
	inventory_node_remove(live->node);
	DL_APPEND(shared->removed, live);
	loop_timer_start(shared->reap, 0);
	if (was_up)
		event_publish_engine(live, "engine_disconnect");
	fetch_cancel_all(live, &err);
	parts_cancel(live, &err);
	wake_down(live);
}

void live_free(struct node_live *live)
{
	connect_free(live);
	parts_free(live);
	watch_free(live);
	loop_timer_free(live->timer);
	loop_timer_free(live->resync_timer);
	endpoint_free(live->endpoint);
	facts_release(&live->shared->facts, live->facts);
	node_unref(live->node);
	free(live->addr);
	free(live->error);
	free(live);
}

/* ---- Attempts ---- */

static void schedule(struct node_live *live, uint64_t delay)
{
	live->timer_at = now_ms(live) + delay;
	loop_timer_start(live->timer, delay);
}

static void schedule_resync(struct node_live *live)
{
	const struct cluster_live *shared = live->shared;
	uint64_t span = shared->refresh_max > shared->refresh_min
				? shared->refresh_max - shared->refresh_min
				: 0;

	uint64_t wait = shared->refresh_min + random_below(live, span + 1);
	uint64_t round = shared->cluster->inventory.nodes_len * shared->timing.resync_spacing;
	uint64_t spread;

	/* Events keep the inventory true; reading thousands of engines in a minute only checks it,
	 * and would keep a core busy. */
	spread = round / 2 + random_below(live, round + 1);
	if (wait < spread)
		wait = spread;
	loop_timer_start(live->resync_timer, wait);
}

static void resync(void *arg)
{
	struct node_live *live = arg;

	if (live->stage == CONNECT_NONE && live->watch.is_open && live->state == NODE_HEALTHY) {
		connect_resync(live);
		schedule_resync(live);
	} else {
		live_resync_soon(live);
	}
}

void live_pinged(struct node_live *live, const struct reply *reply)
{
	live->prefers_buildkit = str_eq(http_headers_get(reply->headers, "Builder-Version"), "2");
}

static void probe_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct node_live *live = arg;
	struct err err = ERR_INIT;

	live->probe = NULL;
	if (failed)
		err_set(&err, failed->code, "GET /_ping: %s", failed->msg);
	else if (reply->status != 200)
		live_status_error("/_ping", reply, &err);
	if (err.code != ERR_NONE) {
		live_failed(live, &err);
		return;
	}
	live_pinged(live, reply);
	live_answered(live);
}

static void attempt(void *arg)
{
	struct node_live *live = arg;
	const struct live_timing *t = &live->shared->timing;
	bool is_connecting = live->stage != CONNECT_NONE && !live->is_resync;

	if (live->probe || is_connecting)
		return;
	live->attempt_at = now_ms(live);
	if (live->watch.is_open)
		live->probe =
			live_probe(live, live->failures ? t->probe_fast_timeout : t->probe_timeout,
				probe_done, live);
	else
		connect_start(live);
}

/* ---- Outcomes ---- */

static void set_state(struct node_live *live, enum node_state state)
{
	if (live->state == state)
		return;
	if (state == NODE_HEALTHY)
		log_info("node is %s, was %s node=%s addr=%s version=%s containers=%zu",
			node_state_name(state), node_state_name(live->state),
			live->node->inventory.view.name, live->addr, live->server_version,
			live->node->inventory.containers_len);
	else
		node_log(live, "node is %s, was %s: %s", node_state_name(state),
			node_state_name(live->state), live->error ? live->error : "");
	live->state = state;
	inventory_node_set_health(live->node, state == NODE_HEALTHY);
}

static enum node_state down_state(const struct err *err)
{
	return err->code == ERR_UNAVAILABLE ? NODE_DISCONNECTED : NODE_UNHEALTHY;
}

static void go_down(struct node_live *live, const struct err *err)
{
	stop(live);
	set_state(live, down_state(err));
	live->down_since = now_ms(live);
	live->backoffs = 0;
	event_publish_engine(live, "engine_disconnect");
	fetch_cancel_all(live, err);
	parts_cancel(live, err);
	wake_down(live);
}

/* delay_set: how long until the next attempt of a node that stays healthy. */
static void fail(struct node_live *live, const struct err *err, const uint64_t *delay_set)
{
	const struct cluster_live *shared = live->shared;
	const struct live_timing *t = &shared->timing;
	uint64_t now = now_ms(live);
	bool is_news = live->failures == 0 || !str_eq(live->error, err->msg);

	if (live->failures == 0)
		live->failing_since = live->attempt_at;
	live->failures++;
	if (is_news) {
		free(live->error);
		live->error = xstrdup(err->msg);
	}
	if (is_news)
		node_log(live, "engine failed: %s failures=%u", live->error, live->failures);
	if (live->state == NODE_HEALTHY) {
		uint64_t delay =
			delay_set ? *delay_set
				  : t->probe_fast + random_below(live, t->probe_fast / 2 + 1);

		uint64_t due = live->failing_since + t->down_after;

		/* The attempt that decides comes when it can, not up to a pause later. */
		if (live->failures + 1 >= shared->failure_retry && now < due && now + delay > due)
			delay = due - now;
		if (live->failures < shared->failure_retry ||
			now - live->failing_since < t->down_after) {
			schedule(live, delay);
			return;
		}
		go_down(live, err);
		if (live->is_removed)
			return;
	} else if (live->state != NODE_PENDING && now - live->down_since >= t->settle) {
		set_state(live, down_state(err));
	}
	schedule(live, env_backoff_ms(shared->env, live->backoffs++, t->backoff, t->backoff_max));
}

/* This process is short: that says nothing of the engine. */
static void retry_after_shortage(struct node_live *live, const struct err *err)
{
	struct cluster_live *shared = live->shared;
	uint64_t now = now_ms(live), pause = shared->timing.probe_fast;

	if (shared->shortages++ == 0 || now - shared->shortage_told_at >= SHORTAGE_TOLD_MS) {
		log_warn("engines cannot be asked, none is held to have failed: %s times=%lu",
			err->msg, shared->shortages);
		shared->shortage_told_at = now;
	}
	schedule(live, pause + random_below(live, pause / 2 + 1));
}

void live_failed(struct node_live *live, const struct err *err)
{
	if (err->code == ERR_EXHAUSTED) {
		retry_after_shortage(live, err);
		return;
	}
	fail(live, err, NULL);
}

void live_lost(struct node_live *live, bool is_suspicious, const struct err *err)
{
	const struct live_timing *t = &live->shared->timing;
	struct watch *watch = &live->watch;
	uint64_t now = now_ms(live);
	bool is_early = now - watch->opened_at < t->stream_proof;
	uint64_t delay;

	if (is_suspicious)
		watch->drops++;
	else if (!is_early)
		watch->drops = 0;
	watch->early = is_early ? watch->early + 1 : 0;
	stop(live);
	live->attempt_at = now;
	if (watch->drops > 0)
		delay = env_backoff_ms(
			live->shared->env, watch->drops - 1, t->backoff, t->backoff_max);
	else if (watch->early > 0)
		delay = env_backoff_ms(
			live->shared->env, watch->early - 1, t->backoff / 4, t->backoff * 2);
	else
		delay = random_below(live, t->debounce + 1);
	fail(live, err, &delay);
}

void live_connected(struct node_live *live)
{
	const struct live_timing *t = &live->shared->timing;

	/* Where the last stream told nonsense, this one must first hold. */
	if (live->watch.drops > 0)
		schedule(live, t->stream_proof);
	else
		live_answered(live);
	if (live->state == NODE_HEALTHY)
		schedule_resync(live);
}

/* Of engines that answer: with thousands of them not each as often. */
static uint64_t probe_interval(const struct node_live *live)
{
	const struct cluster_live *shared = live->shared;
	uint64_t round = shared->cluster->inventory.nodes_len * shared->timing.probe_each;

	return round > shared->timing.probe ? round : shared->timing.probe;
}

/* In so long, or a little earlier, together with others: what the loop has to do each time that it
 * wakes up is more than a probe. */
static void schedule_probe(struct node_live *live, uint64_t delay)
{
	unsigned slot = live->shared->timing.probe_slot;
	uint64_t early = slot > 0 ? (now_ms(live) + delay) % slot : 0;

	schedule(live, delay > early ? delay - early : 0);
}

void live_answered(struct node_live *live)
{
	if (live->failures > 0 && live->state == NODE_HEALTHY)
		log_info("engine answers again node=%s addr=%s", live->node->inventory.view.name,
			live->addr);
	live->failures = 0;
	live->backoffs = 0;
	live->watch.drops = 0;
	free(TAKE_PTR(live->error));
	if (live->state == NODE_HEALTHY) {
		schedule_probe(live, probe_interval(live));
		return;
	}
	schedule_probe(live, 1 + random_below(live, probe_interval(live)));
	schedule_resync(live);
	set_state(live, NODE_HEALTHY);
	event_publish_engine(live, live->was_healthy ? "engine_reconnect" : "engine_connect");
	live->was_healthy = true;
	watch_flush(live);
}

void live_resync_soon(struct node_live *live)
{
	loop_timer_start(live->resync_timer, live->shared->timing.probe_fast);
}

void live_retry_now(struct node_live *live)
{
	if (live->state != NODE_HEALTHY && live->stage == CONNECT_NONE && !live->probe) {
		live->backoffs = 0;
		schedule(live, 0);
	}
}

void node_report_failure(struct node *node, const struct err *err)
{
	struct node_live *live = node->live;
	uint64_t now, due;

	if (!live || live->state != NODE_HEALTHY || live->probe ||
		(err && err->code == ERR_EXHAUSTED) ||
		(live->stage != CONNECT_NONE && !live->is_resync))
		return;
	log_debug("call failed: %s node=%s addr=%s", err ? err->msg : "", node->inventory.view.name,
		live->addr);
	now = now_ms(live);
	due = live->attempt_at + live->shared->timing.probe_spacing;
	due = due > now ? due - now : 0;
	if (live->timer_at > now + due)
		schedule(live, due);
}

/* ---- What others ask ---- */

const char *node_state_name(enum node_state state)
{
	switch (state) {
	case NODE_PENDING:
		return "Pending";
	case NODE_HEALTHY:
		return "Healthy";
	case NODE_UNHEALTHY:
		return "Unhealthy";
	case NODE_DISCONNECTED:
		return "Disconnected";
	}
	return "Unknown";
}

enum node_state node_state(const struct node *node)
{
	return node->live ? node->live->state : NODE_DISCONNECTED;
}

struct endpoint *node_endpoint(const struct node *node)
{
	return node->live ? node->live->endpoint : NULL;
}

const char *node_error(const struct node *node)
{
	if (!node->live)
		return "it is no longer part of the cluster";
	if (node->live->error)
		return node->live->error;
	return node->inventory.light > 0 ? "it has more than is kept of one node: some of its "
					   "containers are known without their labels"
					 : "";
}

int64_t node_retry_in_ms(const struct node *node)
{
	const struct node_live *live = node->live;
	uint64_t now;

	if (!live || live->state == NODE_HEALTHY)
		return -1;
	now = now_ms(live);
	return live->timer_at > now ? (int64_t)(live->timer_at - now) : 0;
}

int64_t node_updated_at(const struct node *node)
{
	return node->live ? node->live->updated_at : 0;
}

const char *node_server_version(const struct node *node)
{
	return node->live ? node->live->server_version : "";
}

const char *node_api_version(const struct node *node)
{
	return node->live ? node->live->api_max : "";
}

const char *node_api_min_version(const struct node *node)
{
	return node->live ? node->live->api_min : "";
}

bool node_prefers_buildkit(const struct node *node)
{
	return node->live && node->live->prefers_buildkit;
}

char *node_path(const struct node *node, const char *target)
{
	return node->live ? live_target(node->live, target) : xstrdup(target);
}

const json_t *node_info(const struct node *node)
{
	return node->live ? facts_json(node->live->facts) : NULL;
}

struct node_waiter *node_on_down(struct node *node, void (*fn)(void *arg), void *arg)
{
	struct node_waiter *waiter = xcalloc(1, sizeof(*waiter));

	waiter->fn = fn;
	waiter->arg = arg;
	waiter->live = node->live;
	if (waiter->live)
		DL_APPEND(waiter->live->waiters, waiter);
	return waiter;
}

void node_waiter_free(struct node_waiter *waiter)
{
	if (!waiter)
		return;
	if (waiter->live)
		DL_DELETE(waiter->live->waiters, waiter);
	free(waiter);
}
