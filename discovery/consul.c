/* consul://host:port[,host...]/prefix: one key a node below a path, watched by blocking queries. */
#include "discovery/consul_priv.h"

#include "lib/buf.h"
#include "lib/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CONSUL_MAGIC 0x434f4e53
#define CONSUL_PORT 8500
/* Below the prefix, unless kv.path says otherwise: where agents of old register. */
#define CONSUL_PATH_DEFAULT "docker/swarm/nodes"
/* A blocking query is left open so long at most. Consul itself adds up to a sixteenth. */
#define WAIT_MAX_MS (60 * 1000)
#define WAIT_MIN_MS 1000
#define WAIT_SLACK_MS 5000
/* A blocking query that was answered sooner than QUICK_MS had something to tell, or the store does
 * not block: the next one is put off, longer each time up to the cap, until one takes SLOW_MS. */
#define QUICK_MS 200
#define SLOW_MS 1000
#define QUICK_BASE_MS 50
#define QUICK_CAP_MS 2000

struct consul {
	uint32_t magic;
	const struct discovery_context *context;
	struct store *store;
	char *dir; /* "a/b/": where the keys are */

	/* Watching. */
	struct store_ask *ask;
	uint64_t index;    /* of the last answer; 0 = the next query does not block */
	size_t host;       /* that gave index */
	uint64_t asked_at; /* ms */
	unsigned quick;    /* blocking queries answered quickly, in a row */

	struct consul_agent *agent;
};

/* When to ask again, given the answer's index (0 = it has none). */
static uint64_t pace(struct consul *consul, uint64_t index)
{
	uint64_t took = consul->context->env->now_ms(consul->context->env) - consul->asked_at;
	bool has_blocked = consul->index > 0;

	/* An index that went back belongs to a store that was made anew: what we know of it is
	 * void. Another host may be ahead or behind. */
	if (index < consul->index || store_current(consul->store) != consul->host)
		index = 0;
	consul->index = index;
	consul->host = store_current(consul->store);
	if (has_blocked && took >= SLOW_MS)
		consul->quick = 0;
	if (has_blocked ? took >= QUICK_MS : index > 0)
		return DISCOVERY_LOOK_NOW;
	return env_backoff_ms(consul->context->env, consul->quick++, QUICK_BASE_MS, QUICK_CAP_MS);
}

static int listed_set(struct consul *consul, const struct reply *reply, const struct err *err,
	struct str_list *out, struct err *failure)
{
	if (err != NULL) {
		*failure = *err;
		return -1;
	}
	if (reply->status == 200)
		return consul_parse_list(reply->body, reply->body_len, consul->dir, out, failure);
	/* Consul says 404 and an index when there is no key; without the index this is not Consul.
	 */
	if (reply->status == 404 && http_headers_get(reply->headers, "X-Consul-Index") != NULL)
		return 0;
	return store_refused(reply, "listing the nodes", failure);
}

static void listed(void *arg, const struct reply *reply, const struct err *err)
{
	struct consul *consul = arg;
	struct discovery *discovery = consul->context->discovery;
	CLEANUP_STR_LIST struct str_list addrs = {0};
	struct err failure = ERR_INIT;

	assert(consul->magic == CONSUL_MAGIC);
	consul->ask = NULL;
	if (listed_set(consul, reply, err, &addrs, &failure) != 0) {
		consul->index = 0;
		discovery_report_error(discovery, &failure);
		return;
	}
	discovery_report_set(discovery, &addrs, pace(consul, consul_parse_index(reply->headers)));
}

static void consul_look(void *self)
{
	struct consul *consul = self;
	uint64_t wait = consul->context->heartbeat_ms;
	CLEANUP_FREE char *dir = consul_kv_target(consul->dir);
	CLEANUP_BUF struct buf target;
	struct store_request request = {.method = "GET", .max = CONSUL_LIST_MAX};

	if (wait > WAIT_MAX_MS)
		wait = WAIT_MAX_MS;
	if (wait < WAIT_MIN_MS)
		wait = WAIT_MIN_MS;
	buf_init(&target, strlen(dir) + 128);
	buf_printf(&target, "%s?recurse=&consistent=", dir);
	if (store_current(consul->store) != consul->host)
		consul->index = 0;
	if (consul->index > 0) {
		buf_printf(&target, "&index=%llu&wait=%llus", (unsigned long long)consul->index,
			(unsigned long long)(wait / 1000));
		request.timeout_ms = (unsigned)(wait + wait / 16 + WAIT_SLACK_MS);
	}
	request.target = buf_str(&target);
	consul->asked_at = consul->context->env->now_ms(consul->context->env);
	consul->ask = store_ask(consul->store, &request, listed, consul);
}

static void consul_publish(void *self, const char *addr)
{
	struct consul *consul = self;

	consul_agent_beat(consul->agent, addr);
}

static void consul_withdraw(void *self)
{
	struct consul *consul = self;

	consul_agent_withdraw(consul->agent);
}

static void consul_close(void *self)
{
	struct consul *consul = self;

	consul_agent_free(consul->agent);
	store_free(consul->store);
	free(consul->dir);
	consul->magic = 0;
	free(consul);
}

/* The path of the keys, from the URL's path and kv.path. */
static char *make_dir(const char *url_path, const char *option, struct err *err)
{
	CLEANUP_FREE char *prefix = NULL;
	CLEANUP_FREE char *path = NULL;

	if (consul_clean_path(url_path, &prefix, err) != 0)
		return NULL;
	if (consul_clean_path(option != NULL ? option : CONSUL_PATH_DEFAULT, &path, err) != 0) {
		err_wrap(err, "kv.path");
		return NULL;
	}
	/* Every key of the store would be taken for a node. */
	if (*prefix == '\0' && *path == '\0') {
		err_set(err, ERR_INVALID,
			"a path is needed when kv.path is empty: "
			"consul://host:port/path");
		return NULL;
	}
	return xasprintf(
		"%s%s%s%s", prefix, *prefix != '\0' ? "/" : "", path, *path != '\0' ? "/" : "");
}

static void *consul_open(
	const struct discovery_context *context, const char *place, struct err *err)
{
	size_t hosts_len = strcspn(place, "/");
	CLEANUP_FREE char *hosts = xstrndup(place, hosts_len);
	const char *token = discovery_option(context->options, "kv.token");
	struct tls_context *tls = NULL;
	struct consul *consul = xcalloc(1, sizeof(*consul));

	consul->magic = CONSUL_MAGIC;
	consul->context = context;
	if (strpbrk(place, "?#@ \t") != NULL)
		err_set(err, ERR_INVALID, "consul://host:port[,host:port...]/path is expected");
	else
		consul->dir = make_dir(
			place + hosts_len, discovery_option(context->options, "kv.path"), err);
	if (consul->dir == NULL || store_tls(context->options, "kv", false, &tls, err) != 0)
		goto err_parse;
	consul->store = store_new(context->client, hosts, CONSUL_PORT, tls, err);
	if (tls != NULL)
		tls_context_unref(tls);
	if (consul->store == NULL)
		goto err_parse;
	if (token == NULL)
		token = getenv("CONSUL_HTTP_TOKEN");
	if (!str_is_empty(token))
		store_set_header(consul->store, "X-Consul-Token", token);
	consul->agent = consul_agent_new(context, consul->store, consul->dir);
	return consul;

err_parse:
	consul_close(consul);
	return NULL;
}

static const char *const option_names[] = {
	"kv.path", "kv.cacertfile", "kv.certfile", "kv.keyfile", "kv.token", NULL};

const struct discovery_ops discovery_consul_ops = {
	.name = "consul",
	.scheme = "consul",
	.options = option_names,
	.expires = true,
	.open = consul_open,
	.look = consul_look,
	.publish = consul_publish,
	.withdraw = consul_withdraw,
	.close = consul_close,
};
