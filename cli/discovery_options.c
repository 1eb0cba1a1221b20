/* What manage, join and list share: where discovery is, and how often it is looked at. */
#include "cli/commands.h"

#include <string.h>

const char *command_discovery(const struct options *options, const char *purpose, struct err *err)
{
	const struct str_list *arguments = options_arguments(options);
	const char *argument = arguments->len > 0 ? arguments->items[0] : NULL;
	if (!str_is_empty(argument)) {
		if (options_is_given(options, "discovery")) {
			err_set(err, ERR_USAGE,
				"discovery is given twice, by --discovery and as an argument. "
				"See 'swarm %s --help'.",
				purpose);
			return NULL;
		}
		return argument;
	}
	const char *url = options_text(options, "discovery");
	if (url == NULL)
		err_set(err, ERR_USAGE,
			"discovery required to %s a cluster. See 'swarm %s --help'.", purpose,
			purpose);
	return url;
}

int command_discovery_options(
	const struct options *options, const struct str_list **out, struct err *err)
{
	const struct str_list *list = options_list(options, "discovery-opt");
	for (size_t i = 0; i < list->len; i++) {
		const char *equals = strchr(list->items[i], '=');
		if (equals == NULL || equals == list->items[i])
			return err_set(err, ERR_USAGE,
				"--discovery-opt must contain key=value strings: %s",
				list->items[i]);
	}
	*out = list;
	return 0;
}

int command_heartbeat(const struct options *options, uint64_t *out_ms, struct err *err)
{
	long long ms = 0;
	if (options_duration(options, "heartbeat", &ms, err) < 0)
		return -1;
	if (ms < 1000)
		return err_set(err, ERR_USAGE, "--heartbeat should be at least one second");
	*out_ms = (uint64_t)ms;
	return 0;
}
