/* `swarm simulate`: Docker engines in memory, for trying things and for tests. */
#include "cli/commands.h"
#include "lib/log.h"
#include "simulator/simulator.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct option_spec specs[] = {
	{
		.name = "nodes",
		.letter = 'n',
		.kind = OPTION_NUMBER,
		.argument = "COUNT",
		.fallback = "1",
		.help = "How many engines.",
	},
	{
		.name = "listen",
		.letter = 'H',
		.kind = OPTION_TEXT,
		.argument = "ADDRESS",
		.fallback = "tcp://127.0.0.1:12375",
		.help = "Where the first engine listens; each further one takes the next port. "
			"Port 0 takes any free ones. With unix:///PATH, the path is a pattern "
			"that tells the engines apart by {i}.",
	},
	{
		.name = "spread-addresses",
		.kind = OPTION_BOOL,
		.help = "All engines on one port, each on the next address instead.",
	},
	TLS_OPTIONS("clients"),
	{
		.name = "name",
		.kind = OPTION_TEXT,
		.argument = "PATTERN",
		.help = "Host names of the engines; {i} is an engine's number from 0 on, and "
			"{i%N}, {i/N}, {i+N} what is reckoned from it; {a|b} is a and b in turn.",
	},
	{
		.name = "label",
		.kind = OPTION_LIST,
		.argument = "KEY=PATTERN",
		.help = "Label of the engines, such as rack=r{i%3} or disk={ssd|hdd}.",
	},
	{
		.name = "image",
		.kind = OPTION_LIST,
		.argument = "NAME",
		.help = "Image that every engine holds. Without it: busybox:latest.",
	},
	{
		.name = "containers",
		.kind = OPTION_NUMBER,
		.argument = "COUNT",
		.fallback = "0",
		.help = "Containers that run on every engine from the start.",
	},
	{
		.name = "cpus",
		.kind = OPTION_NUMBER,
		.argument = "COUNT",
		.fallback = "2",
		.help = "CPUs of each engine.",
	},
	{
		.name = "memory",
		.kind = OPTION_TEXT,
		.argument = "BYTES",
		.fallback = "2g",
		.help = "Memory of each engine; k, m, g and t behind the number mean powers of "
			"1024.",
	},
	{
		.name = "server-version",
		.kind = OPTION_TEXT,
		.argument = "VERSION",
		.help = "Docker version that the engines claim to be.",
	},
	{
		.name = "api-version",
		.kind = OPTION_TEXT,
		.argument = "VERSION",
		.help = "Highest API version that they speak.",
	},
	{
		.name = "api-min-version",
		.kind = OPTION_TEXT,
		.argument = "VERSION",
		.help = "Lowest API version that they speak.",
	},
	{
		.name = "latency",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "0s",
		.help = "Every answer waits this long.",
	},
	{
		.name = "jitter",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "0s",
		.help = "And a random part of this.",
	},
	{
		.name = "failure-rate",
		.kind = OPTION_TEXT,
		.argument = "SHARE",
		.fallback = "0",
		.help = "Share of the requests, from 0 to 1, that are answered with an error.",
	},
	{
		.name = "churn",
		.kind = OPTION_TEXT,
		.argument = "RATE",
		.fallback = "0",
		.help = "So many containers a second, of those that are there from the start, are "
			"started or stopped, or others made beside them and removed.",
	},
	{
		.name = "outages",
		.kind = OPTION_TEXT,
		.argument = "RATE",
		.fallback = "0",
		.help = "So many engines a second, any of them, go away for a while.",
	},
	{
		.name = "outage-time",
		.kind = OPTION_DURATION,
		.argument = "DURATION",
		.fallback = "5s",
		.help = "How long they stay away: from half of this to one and a half.",
	},
	{
		.name = "drip",
		.kind = OPTION_NUMBER,
		.argument = "COUNT",
		.fallback = "0",
		.help = "So many engines, the last ones, send their answers a byte a second.",
	},
	{
		.name = "events-kept",
		.kind = OPTION_NUMBER,
		.argument = "COUNT",
		.help = "Past events that each engine remembers.",
	},
	{
		.name = "seed",
		.kind = OPTION_NUMBER,
		.argument = "NUMBER",
		.help = "The same IDs, names and chance in every run with this number.",
	},
	{
		.name = "control",
		.kind = OPTION_BOOL,
		.help = "Let clients order faults by POST /_simulator/fault.",
	},
	COMMON_OPTIONS,
	{.name = NULL},
};

static const struct option_table table = {
	.program = "swarm simulate",
	.arguments = "",
	.summary = "Serve simulated Docker engines: containers, images, networks and events are "
		   "kept in memory, and no program is run. Prints the address of each engine "
		   "on a line, then serves until it is stopped.",
	.specs = specs,
};

/* ---- Reading the options ---- */

static int read_count(const struct options *options, const char *name, long long min, long long max,
	unsigned *out, struct err *err)
{
	long long value = 0;
	if (options_text(options, name) == NULL)
		return 0; /* the simulator's own default stays */
	if (options_number(options, name, &value, err) < 0)
		return -1;
	if (value < min || value > max)
		return err_set(err, ERR_USAGE, "--%s should be from %lld to %lld, not %lld", name,
			min, max, value);
	*out = (unsigned)value;
	return 0;
}

/* "512m", "2g", "1048576". */
static int read_memory(const char *text, int64_t *out, struct err *err)
{
	static const char units[] = "kmgt";
	size_t len = strlen(text);
	int shift = 0;
	const char *unit = len > 1 ? strchr(units, text[len - 1] | 0x20) : NULL;
	if (unit != NULL) {
		shift = 10 * (int)(unit - units + 1);
		len--;
	}
	CLEANUP_FREE char *digits = xstrndup(text, len);
	long long value = 0;
	struct err inner = ERR_INIT;
	if (str_to_int(digits, 1, INT64_MAX >> shift, &value, "memory", &inner) < 0)
		return err_set(err, ERR_USAGE, "invalid --memory: %s", inner.msg);
	*out = (int64_t)value << shift;
	return 0;
}

static int read_real(
	const struct options *options, const char *name, int max, double *out, struct err *err)
{
	const char *text = options_text(options, name);
	char *end = NULL;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || !(value >= 0 && value <= max))
		return err_set(err, ERR_USAGE, "--%s should be a number from 0 to %d, not %s", name,
			max, text);
	*out = value;
	return 0;
}

static int read_wait(
	const struct options *options, const char *name, unsigned *out, struct err *err)
{
	long long ms = 0;
	if (options_duration(options, name, &ms, err) < 0)
		return -1;
	if (ms < 0 || ms > 3600 * 1000)
		return err_set(err, ERR_USAGE, "--%s should be from 0 to an hour", name);
	*out = (unsigned)ms;
	return 0;
}

static int read_numbers(
	const struct options *options, struct simulator_config *config, struct err *err)
{
	unsigned seed = 0;
	if (read_count(options, "nodes", 1, SIMULATOR_NODES_MAX, &config->nodes, err) < 0 ||
		read_count(options, "containers", 0, SIMULATOR_CONTAINERS_MAX, &config->containers,
			err) < 0 ||
		read_count(options, "cpus", 1, 65536, &config->cpus, err) < 0 ||
		read_count(options, "events-kept", 0, 1000000, &config->events_kept, err) < 0 ||
		read_count(options, "seed", 1, INT32_MAX, &seed, err) < 0 ||
		read_memory(options_text(options, "memory"), &config->memory, err) < 0 ||
		read_count(options, "drip", 0, SIMULATOR_NODES_MAX, &config->dripping, err) < 0 ||
		read_real(options, "failure-rate", 1, &config->failure_rate, err) < 0 ||
		read_real(options, "churn", SIMULATOR_RATE_MAX, &config->changes, err) < 0 ||
		read_real(options, "outages", SIMULATOR_RATE_MAX, &config->outages, err) < 0 ||
		read_wait(options, "outage-time", &config->outage_ms, err) < 0 ||
		read_wait(options, "latency", &config->latency_ms, err) < 0 ||
		read_wait(options, "jitter", &config->jitter_ms, err) < 0)
		return -1;
	if (seed != 0)
		config->seed = seed;
	config->spread_addresses = options_bool(options, "spread-addresses");
	config->control = options_bool(options, "control");
	return 0;
}

static void set_text(const struct options *options, const char *name, const char **out)
{
	const char *text = options_text(options, name);
	if (text != NULL)
		*out = text;
}

static void set_list(const struct options *options, const char *name, struct str_list *out)
{
	const struct str_list *list = options_list(options, name);
	if (list->len > 0)
		str_list_free(out);
	for (size_t i = 0; i < list->len; i++)
		str_list_add(out, list->items[i]);
}

static int read_options(
	const struct options *options, struct simulator_config *config, struct err *err)
{
	const char *listen = options_text(options, "listen");
	struct err inner = ERR_INIT;
	addr_free(&config->listen);
	if (addr_parse(listen, 2375, &config->listen, &inner) < 0)
		return err_set(err, ERR_USAGE, "invalid --listen %s: %s", listen, inner.msg);
	if (read_numbers(options, config, err) < 0)
		return -1;
	set_text(options, "name", &config->name);
	set_text(options, "server-version", &config->server_version);
	set_text(options, "api-version", &config->api_version);
	set_text(options, "api-min-version", &config->api_min_version);
	set_list(options, "label", &config->labels);
	set_list(options, "image", &config->images);
	return 0;
}

/* ---- Running ---- */

static int print_addresses(const struct simulator *simulator, struct err *err)
{
	for (size_t i = 0; i < simulator_nodes(simulator); i++) {
		CLEANUP_FREE char *address = simulator_address(simulator, i);
		puts(address);
	}
	if (fflush(stdout) != 0)
		return err_errno(err, ERR_SYSTEM, errno, "cannot write to standard output");
	return 0;
}

static int serve(const struct simulator_config *config, struct err *err)
{
	struct loop *loop = loop_new();
	struct simulator *simulator = simulator_new(loop, env_system(), config, err);
	int rc = -1;
	if (simulator == NULL) {
		if (err->code == ERR_INVALID)
			err->code = ERR_USAGE;
		goto out;
	}
	rc = print_addresses(simulator, err);
	if (rc == 0) {
		log_info("simulating %zu engines", simulator_nodes(simulator));
		command_serve(loop, NULL, NULL);
	}
out:
	simulator_free(simulator);
	loop_free(loop);
	return rc;
}

static int run(const struct options *options, struct err *err)
{
	struct simulator_config config;
	struct command_tls tls;
	simulator_config_init(&config);
	int rc = -1;
	if (read_options(options, &config, err) < 0 || command_tls(options, &tls, err) < 0)
		goto out;
	if (tls.is_enabled) {
		struct tls_config files = {
			.ca_file = tls.ca,
			.cert_file = tls.cert,
			.key_file = tls.key,
			.verify = tls.is_verified,
		};
		config.tls = tls_context_new(&files, err);
		if (config.tls == NULL) {
			err->code = ERR_SYSTEM;
			goto out;
		}
	}
	rc = serve(&config, err);
out:
	tls_context_unref(config.tls);
	config.tls = NULL;
	simulator_config_reset(&config);
	return rc;
}

const struct command command_simulate = {
	.name = "simulate",
	.brief = "Serve simulated Docker engines",
	.table = &table,
	.run = run,
};
