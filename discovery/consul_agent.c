/* One node's registration in Consul: a key that lives as long as our session, and a session that
 * lives as long as we renew it.
 *
 * A beat makes sure of both, from whatever state the store is in: renew the session (make one when
 * there is none or it was lost), read the key, and lock it with the session unless it is already.
 * Looking at the key in each beat is what heals a key that was written without a session, or whose
 * session was lost, and so would stay for ever or vanish. */
#include "discovery/consul_priv.h"

#include "lib/buf.h"
#include "lib/json.h"
#include "lib/log.h"

#include <assert.h>
#include <string.h>

#define AGENT_MAGIC 0x4147454e
/* Marks keys that were written as locks; agents and tools of old write and expect it. */
#define LOCK_FLAG_VALUE "3304740253564472344" /* 0x2ddccbc058a50c18 */
/* Consul keeps a session for up to twice its TTL, and takes TTLs within these bounds. */
#define SESSION_TTL_MIN_MS (10 * 1000)
#define SESSION_TTL_MAX_MS (86400 * 1000)
/* Times that one beat starts over because the key or the session changed under it. */
#define TRIES_MAX 4

struct consul_agent {
	uint32_t magic;
	const struct discovery_context *context;
	struct store *store;
	const char *dir;
	char *addr;                           /* NULL before the first beat */
	char *target;                         /* of the key */
	char session[CONSUL_SESSION_MAX + 1]; /* ours; "" = none */
	char rival[CONSUL_SESSION_MAX + 1];   /* that held our key */
	struct store_ask *ask;
	store_done_fn *then; /* of ask */
	bool withdraw_next;  /* once ask has ended */
	unsigned tries;
};

static void session_make(struct consul_agent *agent);
static void session_made(void *arg, const struct reply *reply, const struct err *err);
static void key_read(struct consul_agent *agent);
static void withdraw_start(struct consul_agent *agent);

/* What a beat asked for could arrive behind the withdrawal that overtook it: so a beat is ended
 * between two asks, never in one. */
static void answered(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;

	assert(agent->magic == AGENT_MAGIC);
	agent->ask = NULL;
	if (!agent->withdraw_next) {
		agent->then(agent, reply, err);
		return;
	}
	agent->withdraw_next = false;
	if (agent->then == session_made && reply != NULL && reply->status == 200 &&
		consul_parse_session(reply->body, reply->body_len, agent->session, NULL) != 0)
		agent->session[0] = '\0';
	withdraw_start(agent);
}

static void ask(struct consul_agent *agent, const char *method, const char *target,
	const char *body, store_done_fn *then)
{
	struct store_request request = {.method = method, .target = target, .body = body};

	agent->then = then;
	agent->ask = store_ask(agent->store, &request, answered, agent);
}

/* True when the answer has the status 200, else false with failure filled. */
static bool is_good(
	const char *what, const struct reply *reply, const struct err *err, struct err *failure)
{
	if (err != NULL)
		*failure = *err;
	else if (reply->status != 200)
		store_refused(reply, what, failure);
	return failure->code == ERR_NONE;
}

static bool is_missing(const struct reply *reply)
{
	return reply != NULL && reply->status == 404;
}

static void beat_ended(struct consul_agent *agent, const struct err *err)
{
	discovery_report_published(agent->context->discovery, err);
}

static bool may_try_again(struct consul_agent *agent, struct err *failure)
{
	if (++agent->tries <= TRIES_MAX)
		return true;
	err_set(failure, ERR_CONFLICT,
		"the key of %s does not stay locked: somebody else writes it, or it was unlocked a "
		"moment ago",
		agent->addr);
	return false;
}

/* ---- The key ---- */

static void key_locked(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;

	if (is_good("registering", reply, err, &failure)) {
		if (str_has_prefix(reply->body, "true")) {
			log_debug("consul discovery: registered addr=%s", agent->addr);
			beat_ended(agent, NULL);
		} else if (may_try_again(agent, &failure)) {
			key_read(agent);
		} else {
			beat_ended(agent, &failure);
		}
		return;
	}
	/* The session went between its renewal and this. */
	if (reply != NULL && strstr(reply->body, "invalid session") != NULL &&
		may_try_again(agent, &failure)) {
		agent->session[0] = '\0';
		session_make(agent);
		return;
	}
	beat_ended(agent, &failure);
}

static void key_lock(struct consul_agent *agent)
{
	CLEANUP_FREE char *target =
		xasprintf("%s?flags=" LOCK_FLAG_VALUE "&acquire=%s", agent->target, agent->session);

	ask(agent, "PUT", target, agent->addr, key_locked);
}

static void key_taken_over(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;

	/* Whether there still was something to release shows when we lock. */
	if (is_good("taking the key over", reply, err, &failure))
		key_lock(agent);
	else
		beat_ended(agent, &failure);
}

/* Somebody else's session holds the key of our address: a run of ours that was killed, or a second
 * agent that was given the same address. Releasing, unlike destroying the session, leaves the key
 * in place, so that nobody sees the node go. */
static void key_take_over(struct consul_agent *agent, const char *session)
{
	CLEANUP_FREE char *id = str_url_encode(session, strlen(session));
	CLEANUP_FREE char *target =
		xasprintf("%s?flags=" LOCK_FLAG_VALUE "&release=%s", agent->target, id);

	if (!str_eq(agent->rival, session))
		log_warn("consul discovery: another session held this node's key and is replaced; "
			 "two agents must not advertise one address addr=%s",
			agent->addr);
	memcpy(agent->rival, session, sizeof(agent->rival));
	ask(agent, "PUT", target, agent->addr, key_taken_over);
}

static void key_was_read(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;
	struct consul_key key = {0};
	bool is_ours;

	if (!is_good("reading the node's key", reply, err, &failure)) {
		if (is_missing(reply))
			key_lock(agent);
		else
			beat_ended(agent, &failure);
		return;
	}
	if (consul_parse_key(reply->body, reply->body_len, &key, &failure) != 0) {
		beat_ended(agent, &failure);
		return;
	}
	is_ours = str_eq(key.session, agent->session) && str_eq(key.value, agent->addr);
	if (is_ours)
		beat_ended(agent, NULL);
	else if (key.session[0] != '\0' && !str_eq(key.session, agent->session))
		key_take_over(agent, key.session);
	else
		key_lock(agent);
	consul_key_free(&key);
}

static void key_read(struct consul_agent *agent)
{
	CLEANUP_FREE char *target = xasprintf("%s?consistent=", agent->target);

	ask(agent, "GET", target, NULL, key_was_read);
}

/* ---- The session ---- */

static void session_made(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;

	if (is_good("making a session", reply, err, &failure) &&
		consul_parse_session(reply->body, reply->body_len, agent->session, &failure) == 0) {
		key_read(agent);
		return;
	}
	beat_ended(agent, &failure);
}

static void session_make(struct consul_agent *agent)
{
	uint64_t ttl = agent->context->ttl_ms / 2;
	CLEANUP_JSON json_t *wanted = NULL;
	CLEANUP_FREE char *seconds = NULL;
	CLEANUP_FREE char *body = NULL;

	if (ttl < SESSION_TTL_MIN_MS)
		ttl = SESSION_TTL_MIN_MS;
	if (ttl > SESSION_TTL_MAX_MS)
		ttl = SESSION_TTL_MAX_MS;
	seconds = xasprintf("%llus", (unsigned long long)(ttl / 1000));
	/* Without checks: a session hangs on the health of the Consul agent that made it otherwise,
	 * and the death of one would take all nodes with it that registered there. "Checks" is the
	 * name before Consul 1.7. */
	wanted = json_pack("{s:s, s:s, s:s, s:s, s:[], s:[]}", "Name", "swarm join", "Behavior",
		"delete", "TTL", seconds, "LockDelay", "1ms", "NodeChecks", "Checks");
	body = json_text(wanted, NULL);
	ask(agent, "PUT", "/v1/session/create", body, session_made);
}

static void session_renewed(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;

	if (is_good("renewing the session", reply, err, &failure)) {
		key_read(agent);
	} else if (is_missing(reply)) {
		log_info("consul discovery: the session was lost, registering again addr=%s",
			agent->addr);
		agent->session[0] = '\0';
		session_make(agent);
	} else {
		beat_ended(agent, &failure);
	}
}

void consul_agent_beat(struct consul_agent *agent, const char *addr)
{
	CLEANUP_FREE char *target = NULL;

	assert(agent->magic == AGENT_MAGIC);
	assert(agent->ask == NULL);
	if (!str_eq(agent->addr, addr)) {
		CLEANUP_FREE char *key = xasprintf("%s%s", agent->dir, addr);

		free(agent->addr);
		free(agent->target);
		agent->addr = xstrdup(addr);
		agent->target = consul_kv_target(key);
	}
	agent->tries = 0;
	if (agent->session[0] == '\0') {
		session_make(agent);
		return;
	}
	target = xasprintf("/v1/session/renew/%s", agent->session);
	ask(agent, "PUT", target, NULL, session_renewed);
}

/* ---- Withdrawing ---- */

static void withdraw_ended(struct consul_agent *agent, const struct err *err)
{
	discovery_report_withdrawn(agent->context->discovery, err);
}

static void key_deleted(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;

	/* "false" means that somebody wrote the key since: then it is theirs. */
	withdraw_ended(agent, is_good("withdrawing", reply, err, &failure) ? NULL : &failure);
}

/* The session's end took its key with it. A key without a session, which nobody else would ever
 * remove, goes too; one that another session holds is not ours. */
static void key_was_read_last(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;
	struct consul_key key = {0};
	CLEANUP_FREE char *target = NULL;

	if (!is_good("withdrawing", reply, err, &failure)) {
		withdraw_ended(agent, is_missing(reply) ? NULL : &failure);
		return;
	}
	if (consul_parse_key(reply->body, reply->body_len, &key, &failure) != 0) {
		withdraw_ended(agent, &failure);
		return;
	}
	if (key.session[0] == '\0' && key.modify_index > 0) {
		target = xasprintf(
			"%s?cas=%llu", agent->target, (unsigned long long)key.modify_index);
		ask(agent, "DELETE", target, NULL, key_deleted);
	}
	consul_key_free(&key);
	if (target == NULL)
		withdraw_ended(agent, NULL);
}

static void key_read_last(struct consul_agent *agent)
{
	CLEANUP_FREE char *target = xasprintf("%s?consistent=", agent->target);

	ask(agent, "GET", target, NULL, key_was_read_last);
}

static void session_destroyed(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul_agent *agent = arg;
	struct err failure = ERR_INIT;

	if (!is_good("withdrawing", reply, err, &failure) && !is_missing(reply)) {
		withdraw_ended(agent, &failure);
		return;
	}
	agent->session[0] = '\0';
	key_read_last(agent);
}

static void withdraw_start(struct consul_agent *agent)
{
	CLEANUP_FREE char *target = NULL;

	if (agent->session[0] == '\0') {
		key_read_last(agent);
		return;
	}
	target = xasprintf("/v1/session/destroy/%s", agent->session);
	ask(agent, "PUT", target, NULL, session_destroyed);
}

void consul_agent_withdraw(struct consul_agent *agent)
{
	assert(agent->magic == AGENT_MAGIC);
	assert(agent->target != NULL);
	if (agent->ask != NULL)
		agent->withdraw_next = true;
	else
		withdraw_start(agent);
}

struct consul_agent *consul_agent_new(
	const struct discovery_context *context, struct store *store, const char *dir)
{
	struct consul_agent *agent = xcalloc(1, sizeof(*agent));

	agent->magic = AGENT_MAGIC;
	agent->context = context;
	agent->store = store;
	agent->dir = dir;
	return agent;
}

void consul_agent_free(struct consul_agent *agent)
{
	if (agent == NULL)
		return;
	store_cancel(agent->ask);
	free(agent->addr);
	free(agent->target);
	agent->magic = 0;
	free(agent);
}
