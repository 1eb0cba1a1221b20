/* `swarm join`: options of the heartbeat agent. */
#include "cli/commands.h"
#include "join/join.h"
#include "lib/addr.h"

static const struct option_spec specs[] = {
	{
		.name = "advertise",
		.aliases = "addr",
		.kind = OPTION_TEXT,
		.argument = "HOST:PORT",
		.variable = "SWARM_ADVERTISE",
		.is_mandatory = true,
		.help = "Address of the engine, as managers reach it.",
	},
	DISCOVERY_OPTIONS,
	{
		.name = "heartbeat",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "60s",
		.help = "Time between two renewals of the registration.",
	},
	{
		.name = "ttl",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "180s",
		.help = "How long the registration outlives its last renewal.",
	},
	{
		.name = "delay",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "0s",
		.help = "Wait a random part of this before the first registration, so that many "
			"agents do not come at once.",
	},
	COMMON_OPTIONS,
	{.name = NULL},
};

static const struct option_table table = {
	.program = "swarm join",
	.arguments = "[DISCOVERY]",
	.arguments_max = 1,
	.summary = "Keep the address of one Docker engine registered in discovery. It forwards "
		   "nothing: managers talk to the engine itself.",
	.specs = specs,
};

static int read_times(const struct options *options, struct join_config *config, struct err *err)
{
	long long delay = 0, ttl = 0;
	if (options_duration(options, "delay", &delay, err) < 0)
		return -1;
	if (delay < 0)
		return err_set(err, ERR_USAGE, "--delay should not be a negative number");
	if (command_heartbeat(options, &config->heartbeat_ms, err) < 0 ||
		options_duration(options, "ttl", &ttl, err) < 0)
		return -1;
	if (ttl <= (long long)config->heartbeat_ms)
		return err_set(
			err, ERR_USAGE, "--ttl must be strictly superior to the heartbeat value");
	config->ttl_ms = (uint64_t)ttl;
	config->delay_ms = (uint64_t)delay;
	return 0;
}

static int run(const struct options *options, struct err *err)
{
	struct join_config config = {
		.discovery = command_discovery(options, "join", err),
		.addr = options_text(options, "advertise"),
	};
	if (config.discovery == NULL)
		return -1;
	if (config.addr == NULL)
		return err_set(err, ERR_USAGE, "missing mandatory --advertise flag");
	if (addr_check_host_port(config.addr, NULL) < 0)
		return err_set(err, ERR_USAGE,
			"--advertise should be of the form ip:port or hostname:port, not \"%s\"",
			config.addr);
	if (read_times(options, &config, err) < 0 ||
		command_discovery_options(options, &config.discovery_options, err) < 0)
		return -1;
	return join_run(&config, err);
}

const struct command command_join = {
	.name = "join",
	.alias = "j",
	.brief = "Keep an engine registered in discovery",
	.table = &table,
	.run = run,
};
