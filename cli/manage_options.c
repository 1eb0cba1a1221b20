/* The options of `swarm manage`. */
#include "cli/manage_command.h"

#define REPLICATION_REFUSAL \
	"replication of managers is not available in this version; run one manager, which may " \
	"be restarted at any time"

static const struct option_spec specs[] = {
	{
		.name = "host",
		.letter = 'H',
		.kind = OPTION_LIST,
		.argument = "ADDRESS",
		.variable = "SWARM_HOST",
		.fallback = "tcp://127.0.0.1:2375",
		.help = "Where to listen: tcp://HOST:PORT or unix:///PATH.",
	},
	{
		.name = "admin",
		.kind = OPTION_TEXT,
		.argument = "ADDRESS",
		.help = "Serve /health, /ready and /metrics at tcp://HOST:PORT or unix:///PATH, "
			"in plain HTTP to whoever can reach it.",
	},
	{
		.name = "origin",
		.kind = OPTION_LIST,
		.argument = "URL",
		.help = "Web pages of this origin, such as https://ui.example.com, may use the "
			"API; those of others get 403.",
	},
	{
		.name = "host-name",
		.kind = OPTION_LIST,
		.argument = "NAME",
		.help = "Clients may call a loopback address by this name, besides addresses, "
			"names without a dot and the name of this machine; by others they get 421.",
	},
	DISCOVERY_OPTIONS,
	{
		.name = "heartbeat",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "60s",
		.help = "How often to look where discovery does not tell of changes itself.",
	},
	{
		.name = "strategy",
		.kind = OPTION_TEXT,
		.argument = "NAME",
		.variable = "SWARM_STRATEGY",
		.fallback = "spread",
		.help = "How to choose among the nodes that may take a container: spread, "
			"binpack (also binpacking) or random.",
	},
	{
		.name = "filter",
		.letter = 'f',
		.kind = OPTION_LIST,
		.argument = "NAME",
		.help = "Use only the filters named: health, port, containerslots, dependency, "
			"affinity, constraint, whitelist. Without it, all of them.",
	},
	{
		.name = "cluster-driver",
		.letter = 'c',
		.kind = OPTION_TEXT,
		.argument = "NAME",
		.fallback = "swarm",
		.help = "Accepted for compatibility; only swarm is known.",
	},
	{
		.name = "cluster-opt",
		.kind = OPTION_LIST,
		.argument = "KEY=VALUE",
		.help = "swarm.overcommit=0.05: share of CPU and memory that may be promised "
			"beyond what a node has. swarm.createretry=0: how often a create that "
			"failed on its engine is tried again. swarm.volumes=one: where a volume "
			"is made that names no node, on one or on all. swarm.cpushares=auto: what "
			"--cpu-shares of a container are, a count of CPUs, a weight, or a count "
			"as far as a node has as many CPUs.",
	},
	TLS_OPTIONS("clients and engines"),
	{
		.name = "engine-refresh-min-interval",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "30s",
		.help = "Shortest time between two full reads of an engine's state; in between, "
			"its events keep the inventory up to date.",
	},
	{
		.name = "engine-refresh-max-interval",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "60s",
		.help = "Longest time between them; with many hundreds of engines it is longer: "
			"at most 20 are read in a second.",
	},
	{
		.name = "engine-failure-retry",
		.kind = OPTION_NUMBER,
		.argument = "COUNT",
		.fallback = "3",
		.help = "Failed probes in a row until a node counts as unhealthy.",
	},
	{
		.name = "refresh-on-node-filter",
		.kind = OPTION_BOOL,
		.help = "Accepted for compatibility; not needed, since the inventory follows the "
			"engines' events.",
	},
	{
		.name = "container-name-refresh-filter",
		.kind = OPTION_TEXT,
		.argument = "NAME",
		.help = "Accepted for compatibility; not needed, for the same reason.",
	},
	COMMON_OPTIONS,
	{
		.name = "replication",
		.aliases = "leader-election",
		.kind = OPTION_BOOL,
		.refusal = REPLICATION_REFUSAL,
	},
	{
		.name = "replication-ttl",
		.kind = OPTION_TEXT,
		.refusal = REPLICATION_REFUSAL,
	},
	{
		.name = "advertise",
		.aliases = "addr",
		.kind = OPTION_TEXT,
		.refusal = REPLICATION_REFUSAL,
	},
	{
		.name = "api-enable-cors",
		.aliases = "cors",
		.kind = OPTION_BOOL,
		.refusal = "answers for other web origins are not available in this version",
	},
	{
		.name = "engine-refresh-retry",
		.kind = OPTION_TEXT,
		.refusal = "it is replaced by --engine-failure-retry",
	},
	{.name = NULL},
};

const struct option_table manage_option_table = {
	.program = "swarm manage",
	.arguments = "[DISCOVERY]",
	.arguments_max = 1,
	.summary = "Serve the Docker Remote API for the engines that DISCOVERY lists, as if they "
		   "were one engine.",
	.specs = specs,
};
