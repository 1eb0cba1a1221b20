/* `swarm create`: a new token, under which engines can be registered. */
#include "cli/commands.h"
#include "discovery/discovery.h"

#include <stdio.h>

static const struct option_spec specs[] = {
	DISCOVERY_OPT_OPTION,
	{
		.name = "timeout",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "10s",
		.help = "How long to wait for the server's answer.",
	},
	COMMON_OPTIONS,
	{.name = NULL},
};

static const struct option_table table = {
	.program = "swarm create",
	.arguments = "URL",
	.arguments_max = 1,
	.summary = "Make a token at the token server that URL names, such as "
		   "https://HOST:PORT, and print it. Engines are then listed under "
		   "token://HOST:PORT/TOKEN. 'swarm token-server' runs such a server.",
	.specs = specs,
};

struct create {
	struct loop *loop;
	struct discovery_create *request; /* NULL once it has ended */
	bool is_done;
	struct err err;
};

static void on_created(void *arg, const char *token, const struct err *err)
{
	struct create *c = arg;
	c->request = NULL;
	if (err != NULL) {
		c->err = *err;
	} else {
		puts(token);
		c->is_done = true;
	}
	loop_stop(c->loop);
}

static void on_timeout(void *arg)
{
	struct create *c = arg;
	discovery_create_cancel(c->request);
	c->request = NULL;
	err_set(&c->err, ERR_TIMEOUT, "the token server does not answer");
	loop_stop(c->loop);
}

static int create(
	const char *url, const struct str_list *options, uint64_t timeout_ms, struct err *err)
{
	struct create c = {.loop = loop_new()};
	struct client *client = client_new(c.loop);
	struct loop_timer *timer = loop_timer_new(c.loop, on_timeout, &c);
	c.request = discovery_create_token(client, url, options, on_created, &c, err);
	int rc = -1;
	if (c.request == NULL) {
		if (err->code == ERR_INVALID)
			err->code = ERR_USAGE;
		goto out;
	}
	loop_timer_start(timer, timeout_ms);
	loop_run(c.loop);
	if (c.is_done)
		rc = 0;
	else
		*err = c.err;
out:
	loop_timer_free(timer);
	client_free(client);
	loop_free(c.loop);
	return rc;
}

static int run(const struct options *options, struct err *err)
{
	const struct str_list *arguments = options_arguments(options);
	const struct str_list *discovery_options = NULL;
	long long timeout = 0;
	if (arguments->len == 0 || str_is_empty(arguments->items[0]))
		return err_set(err, ERR_USAGE,
			"URL of a token server required to create a token. "
			"See 'swarm create --help'.");
	if (command_discovery_options(options, &discovery_options, err) < 0 ||
		options_duration(options, "timeout", &timeout, err) < 0)
		return -1;
	if (timeout <= 0)
		return err_set(err, ERR_USAGE, "--timeout should be a positive number");
	return create(arguments->items[0], discovery_options, (uint64_t)timeout, err);
}

const struct command command_create = {
	.name = "create",
	.alias = "c",
	.brief = "Make a token at a token server",
	.table = &table,
	.run = run,
};
