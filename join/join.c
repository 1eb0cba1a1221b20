/* The agent: one registration, kept up by discovery, told of in the log when it changes. */
#include "join/join.h"

#include "discovery/discovery.h"
#include "lib/log.h"

enum join_state {
	JOIN_WAITING,      /* the random delay is not over */
	JOIN_UNREGISTERED, /* asked for, and never had */
	JOIN_REGISTERED,
	JOIN_LOST, /* had, and the last renewal failed */
	JOIN_WITHDRAWING,
	JOIN_WITHDRAWN,
};

struct join {
	const struct join_config *config;
	struct client *client;
	struct discovery *discovery;
	struct loop_timer *delay;    /* until the first registration */
	struct loop_timer *deadline; /* of the withdrawal */
	enum join_state state;
	bool is_published;     /* discovery was asked to register */
	bool was_failure_told; /* while JOIN_UNREGISTERED: the log has the reason already */
	void (*withdrawn)(void *arg);
	void *withdrawn_arg;
};

/* ---- Registering ---- */

static void on_told(const struct err *err, void *arg)
{
	struct join *j = arg;
	const char *addr = j->config->addr;
	switch (j->state) {
	case JOIN_UNREGISTERED:
		if (err == NULL) {
			log_info("registered addr=%s", addr);
			j->state = JOIN_REGISTERED;
		} else if (!j->was_failure_told) {
			log_warn("cannot register yet, trying again: %s addr=%s", err->msg, addr);
			j->was_failure_told = true;
		}
		break;
	case JOIN_REGISTERED:
		if (err != NULL) {
			log_warn("registration lost, trying again: %s addr=%s", err->msg, addr);
			j->state = JOIN_LOST;
		}
		break;
	case JOIN_LOST:
		if (err == NULL) {
			log_info("registration regained addr=%s", addr);
			j->state = JOIN_REGISTERED;
		}
		break;
	case JOIN_WAITING:
	case JOIN_WITHDRAWING:
	case JOIN_WITHDRAWN:
		break;
	}
}

static int publish(struct join *j, struct err *err)
{
	j->state = JOIN_UNREGISTERED;
	if (discovery_publish(j->discovery, j->config->addr, on_told, j, err) < 0)
		return -1;
	j->is_published = true;
	return 0;
}

static void on_delay(void *arg)
{
	struct join *j = arg;
	struct err err = ERR_INIT;
	if (publish(j, &err) < 0)
		log_error("cannot register: %s addr=%s", err.msg, j->config->addr);
}

static uint64_t random_delay(const struct env *env, uint64_t max_ms)
{
	uint32_t bound = max_ms < UINT32_MAX ? (uint32_t)max_ms + 1 : UINT32_MAX;
	return env->random_below(env, bound);
}

static void on_deadline(void *arg);

struct join *join_new(
	struct loop *loop, const struct env *env, const struct join_config *config, struct err *err)
{
	struct join *j = xcalloc(1, sizeof(*j));
	j->config = config;
	j->client = client_new(loop);
	j->delay = loop_timer_new(loop, on_delay, j);
	j->deadline = loop_timer_new(loop, on_deadline, j);
	struct discovery_config dc = {
		.url = config->discovery,
		.heartbeat_ms = config->heartbeat_ms,
		.ttl_ms = config->ttl_ms,
		.options = config->discovery_options,
	};
	j->discovery = discovery_open(loop, env, j->client, &dc, err);
	if (j->discovery == NULL)
		goto failed;
	if (config->delay_ms == 0) {
		if (publish(j, err) < 0)
			goto failed;
	} else {
		uint64_t delay = random_delay(env, config->delay_ms);
		log_info("registering in %llu ms addr=%s", (unsigned long long)delay, config->addr);
		loop_timer_start(j->delay, delay);
	}
	return j;
failed:
	if (err != NULL && (err->code == ERR_INVALID || err->code == ERR_UNSUPPORTED))
		err->code = ERR_USAGE;
	join_free(j);
	return NULL;
}

void join_free(struct join *j)
{
	if (j == NULL)
		return;
	discovery_close(j->discovery);
	loop_timer_free(j->delay);
	loop_timer_free(j->deadline);
	client_free(j->client);
	free(j);
}

/* ---- Withdrawing ---- */

static void withdrawal_over(struct join *j)
{
	if (j->state != JOIN_WITHDRAWING)
		return;
	j->state = JOIN_WITHDRAWN;
	loop_timer_stop(j->deadline);
	j->withdrawn(j->withdrawn_arg);
}

static void on_withdrawn(const struct err *err, void *arg)
{
	struct join *j = arg;
	if (j->state != JOIN_WITHDRAWING)
		return;
	if (err != NULL)
		log_warn("cannot take the registration back, it will expire: %s addr=%s", err->msg,
			j->config->addr);
	else
		log_info("registration taken back addr=%s", j->config->addr);
	withdrawal_over(j);
}

static void on_deadline(void *arg)
{
	struct join *j = arg;
	if (j->is_published)
		log_warn("the store does not answer, the registration will expire addr=%s",
			j->config->addr);
	withdrawal_over(j);
}

void join_withdraw(struct join *j, void (*done)(void *arg), void *arg)
{
	if (j->state == JOIN_WITHDRAWING || j->state == JOIN_WITHDRAWN)
		return;
	j->state = JOIN_WITHDRAWING;
	j->withdrawn = done;
	j->withdrawn_arg = arg;
	loop_timer_stop(j->delay);
	if (!j->is_published) {
		/* Nothing is registered: over at the next turn. */
		loop_timer_start(j->deadline, 0);
		return;
	}
	loop_timer_start(j->deadline, JOIN_WITHDRAW_MS);
	discovery_withdraw(j->discovery, on_withdrawn, j);
}
