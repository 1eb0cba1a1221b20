/* `swarm manage`: from options to a configuration, and the run. */
#include "cli/manage_command.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static int read_tls(const struct options *options, struct manage_config *config, struct err *err)
{
	struct command_tls tls;
	if (command_tls(options, &tls, err) < 0)
		return -1;
	config->tls = tls.is_enabled;
	config->tls_verify = tls.is_verified;
	config->tls_ca = tls.ca;
	config->tls_cert = tls.cert;
	config->tls_key = tls.key;
	return 0;
}

static int read_refresh(
	const struct options *options, struct manage_config *config, struct err *err)
{
	long long min = 0, max = 0, retry = 0;
	if (options_duration(options, "engine-refresh-min-interval", &min, err) < 0 ||
		options_duration(options, "engine-refresh-max-interval", &max, err) < 0 ||
		options_number(options, "engine-failure-retry", &retry, err) < 0)
		return -1;
	if (min <= 0)
		return err_set(err, ERR_USAGE, "min refresh interval should be a positive number");
	if (max < min)
		return err_set(err, ERR_USAGE,
			"max refresh interval cannot be less than min refresh interval");
	if (retry <= 0)
		return err_set(err, ERR_USAGE, "invalid failure retry count");
	config->refresh_min_ms = (uint64_t)min;
	config->refresh_max_ms = (uint64_t)max;
	config->failure_retry = (unsigned)retry;
	return 0;
}

static int read_overcommit(const char *text, double *out, struct err *err)
{
	char *end = NULL;
	errno = 0;
	double value = strtod(text, &end);
	if (end == text || *end != '\0' || errno != 0 || !isfinite(value))
		return err_set(err, ERR_USAGE, "swarm.overcommit is not a number: %s", text);
	if (value <= -1)
		return err_set(err, ERR_USAGE,
			"swarm.overcommit should be larger than -1, %f is invalid", value);
	*out = value;
	return 0;
}

static int read_create_retry(const char *text, unsigned *out, struct err *err)
{
	long long value = 0;
	struct err inner = ERR_INIT;
	if (str_to_int(text, -1000, 1000, &value, "swarm.createretry", &inner) < 0)
		return err_set(err, ERR_USAGE, "%s", inner.msg);
	if (value < 0)
		return err_set(err, ERR_USAGE,
			"swarm.createretry can not be negative, %s is invalid", text);
	*out = (unsigned)value;
	return 0;
}

static int read_volumes(const char *text, bool *everywhere, struct err *err)
{
	if (!str_eq(text, "one") && !str_eq(text, "all"))
		return err_set(err, ERR_USAGE, "swarm.volumes is one or all, %s is invalid", text);
	*everywhere = str_eq(text, "all");
	return 0;
}

static int read_shares(const char *text, enum create_shares *out, struct err *err)
{
	if (str_eq(text, "auto"))
		*out = CREATE_SHARES_AUTO;
	else if (str_eq(text, "count"))
		*out = CREATE_SHARES_COUNT;
	else if (str_eq(text, "weight"))
		*out = CREATE_SHARES_WEIGHT;
	else
		return err_set(err, ERR_USAGE,
			"swarm.cpushares is auto, count or weight, %s is invalid", text);
	return 0;
}

static int read_cluster_options(
	const struct options *options, struct manage_config *config, struct err *err)
{
	const struct str_list *list = options_list(options, "cluster-opt");
	config->overcommit = 0.05;
	for (size_t i = 0; i < list->len; i++) {
		const char *text = list->items[i];
		if (str_has_prefix(text, "swarm.overcommit=")) {
			if (read_overcommit(strchr(text, '=') + 1, &config->overcommit, err) < 0)
				return -1;
		} else if (str_has_prefix(text, "swarm.createretry=")) {
			if (read_create_retry(strchr(text, '=') + 1, &config->create_retry, err) <
				0)
				return -1;
		} else if (str_has_prefix(text, "swarm.volumes=")) {
			if (read_volumes(strchr(text, '=') + 1, &config->volumes_everywhere, err) <
				0)
				return -1;
		} else if (str_has_prefix(text, "swarm.cpushares=")) {
			if (read_shares(strchr(text, '=') + 1, &config->shares, err) < 0)
				return -1;
		} else {
			return err_set(err, ERR_USAGE,
				"unknown --cluster-opt: %s. Known are swarm.overcommit=NUMBER, "
				"swarm.createretry=COUNT, swarm.volumes=one|all and "
				"swarm.cpushares=auto|count|weight",
				text);
		}
	}
	return 0;
}

int manage_read_options(
	const struct options *options, struct manage_config *config, struct err *err)
{
	*config = (struct manage_config){.version = PACKAGE_VERSION};
	if (read_tls(options, config, err) < 0 || read_refresh(options, config, err) < 0)
		return -1;
	config->discovery = command_discovery(options, "manage", err);
	if (config->discovery == NULL ||
		command_discovery_options(options, &config->discovery_options, err) < 0 ||
		command_heartbeat(options, &config->heartbeat_ms, err) < 0 ||
		read_cluster_options(options, config, err) < 0)
		return -1;
	const char *driver = options_text(options, "cluster-driver");
	if (!str_eq(driver, "swarm"))
		return err_set(err, ERR_USAGE, "unsupported cluster \"%s\"", driver);
	config->hosts = options_list(options, "host");
	config->admin = options_text(options, "admin");
	config->origins = options_list(options, "origin");
	config->host_names = options_list(options, "host-name");
	config->strategy = options_text(options, "strategy");
	config->filters = options_list(options, "filter");
	return 0;
}

static int run(const struct options *options, struct err *err)
{
	struct manage_config config;
	if (manage_read_options(options, &config, err) < 0)
		return -1;
	struct manage *manage = manage_new(&config, err);
	if (manage == NULL)
		return -1;
	manage_run(manage);
	manage_free(manage);
	return 0;
}

const struct command command_manage = {
	.name = "manage",
	.alias = "m",
	.brief = "Manage a cluster of Docker engines",
	.table = &manage_option_table,
	.run = run,
};
