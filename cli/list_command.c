/* `swarm list`: what discovery knows, once. */
#include "cli/commands.h"
#include "discovery/discovery.h"

#include <stdio.h>

static const struct option_spec specs[] = {
	DISCOVERY_OPTIONS,
	{
		.name = "timeout",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "10s",
		.help = "How long to try a store that does not answer.",
	},
	COMMON_OPTIONS,
	{.name = NULL},
};

static const struct option_table table = {
	.program = "swarm list",
	.arguments = "[DISCOVERY]",
	.arguments_max = 1,
	.summary = "Print the addresses of the engines that DISCOVERY lists, one on a line.",
	.specs = specs,
};

/* How often a store that fails is asked again. */
#define LIST_RETRY_MS 1000

struct list {
	struct loop *loop;
	bool is_done;
	struct err last; /* what the store failed with last; ERR_NONE = no answer at all */
};

static void on_changed(const struct str_list *addrs, void *arg)
{
	struct list *l = arg;
	if (l->is_done)
		return;
	for (size_t i = 0; i < addrs->len; i++)
		puts(addrs->items[i]);
	l->is_done = true;
	loop_stop(l->loop);
}

static void on_failed(const struct err *err, void *arg)
{
	struct list *l = arg;
	l->last = *err;
}

static void on_timeout(void *arg)
{
	struct list *l = arg;
	loop_stop(l->loop);
}

static int list(const struct discovery_config *config, uint64_t timeout_ms, struct err *err)
{
	struct list l = {.loop = loop_new()};
	struct client *client = client_new(l.loop);
	struct loop_timer *timer = loop_timer_new(l.loop, on_timeout, &l);
	struct discovery *discovery = discovery_open(l.loop, env_system(), client, config, err);
	int rc = -1;
	if (discovery == NULL) {
		if (err->code == ERR_INVALID)
			err->code = ERR_USAGE;
		goto out;
	}
	discovery_watch(discovery, on_changed, on_failed, &l);
	loop_timer_start(timer, timeout_ms);
	loop_run(l.loop);
	if (l.is_done)
		rc = 0;
	else
		err_set(err, ERR_TIMEOUT, "discovery does not answer: %s",
			l.last.code != ERR_NONE ? l.last.msg : "timeout");
out:
	discovery_close(discovery);
	loop_timer_free(timer);
	client_free(client);
	loop_free(l.loop);
	return rc;
}

static int run(const struct options *options, struct err *err)
{
	struct discovery_config config = {
		.url = command_discovery(options, "list", err),
		.heartbeat_ms = LIST_RETRY_MS,
		.ttl_ms = 3 * LIST_RETRY_MS,
	};
	long long timeout = 0;
	if (config.url == NULL || command_discovery_options(options, &config.options, err) < 0 ||
		options_duration(options, "timeout", &timeout, err) < 0)
		return -1;
	if (timeout <= 0)
		return err_set(err, ERR_USAGE, "--timeout should be a positive number");
	return list(&config, (uint64_t)timeout, err);
}

const struct command command_list = {
	.name = "list",
	.alias = "l",
	.brief = "List the engines that discovery knows",
	.table = &table,
	.run = run,
};
