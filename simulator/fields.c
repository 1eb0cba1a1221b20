/* Config and HostConfig as an engine of API 1.41 writes them: every field, in its order, with its
 * default when the request did not give it. */
#include "simulator/simulator_priv.h"

#include <string.h>

enum field_kind {
	FIELD_STR,
	FIELD_BOOL,
	FIELD_INT,
	FIELD_LIST,    /* of strings */
	FIELD_STRINGS, /* a list of strings, or one string */
	FIELD_MAP,     /* of strings */
	FIELD_SET,     /* object of empty objects */
	FIELD_ANY,
};

struct field {
	const char *name;
	enum field_kind kind;
	const char *otherwise; /* JSON; NULL = left out when missing or empty */
};

static const struct field config_fields[] = {
	{"Hostname", FIELD_STR, "\"\""},
	{"Domainname", FIELD_STR, "\"\""},
	{"User", FIELD_STR, "\"\""},
	{"AttachStdin", FIELD_BOOL, "false"},
	{"AttachStdout", FIELD_BOOL, "false"},
	{"AttachStderr", FIELD_BOOL, "false"},
	{"ExposedPorts", FIELD_SET, NULL},
	{"Tty", FIELD_BOOL, "false"},
	{"OpenStdin", FIELD_BOOL, "false"},
	{"StdinOnce", FIELD_BOOL, "false"},
	{"Env", FIELD_LIST, "null"},
	{"Cmd", FIELD_STRINGS, "null"},
	{"Healthcheck", FIELD_ANY, NULL},
	{"ArgsEscaped", FIELD_BOOL, NULL},
	{"Image", FIELD_STR, "\"\""},
	{"Volumes", FIELD_SET, "null"},
	{"WorkingDir", FIELD_STR, "\"\""},
	{"Entrypoint", FIELD_STRINGS, "null"},
	{"NetworkDisabled", FIELD_BOOL, NULL},
	{"MacAddress", FIELD_STR, NULL},
	{"OnBuild", FIELD_LIST, "null"},
	{"Labels", FIELD_MAP, "null"},
	{"StopSignal", FIELD_STR, NULL},
	{"StopTimeout", FIELD_INT, NULL},
	{"Shell", FIELD_STRINGS, NULL},
};

#define MASKED \
	"[\"/proc/asound\",\"/proc/acpi\",\"/proc/kcore\",\"/proc/keys\",\"/proc/latency_stats\"," \
	"\"/proc/timer_list\",\"/proc/timer_stats\",\"/proc/sched_debug\",\"/proc/scsi\"," \
	"\"/sys/firmware\"]"
#define READONLY "[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sys\",\"/proc/sysrq-trigger\"]"

static const struct field host_fields[] = {
	{"Binds", FIELD_LIST, "null"},
	{"ContainerIDFile", FIELD_STR, "\"\""},
	{"LogConfig", FIELD_ANY, "{\"Type\":\"json-file\",\"Config\":{}}"},
	{"NetworkMode", FIELD_STR, "\"default\""},
	{"PortBindings", FIELD_ANY, "null"},
	{"RestartPolicy", FIELD_ANY, "{\"Name\":\"\",\"MaximumRetryCount\":0}"},
	{"AutoRemove", FIELD_BOOL, "false"},
	{"VolumeDriver", FIELD_STR, "\"\""},
	{"VolumesFrom", FIELD_LIST, "null"},
	{"CapAdd", FIELD_STRINGS, "null"},
	{"CapDrop", FIELD_STRINGS, "null"},
	{"CgroupnsMode", FIELD_STR, "\"host\""},
	{"Dns", FIELD_LIST, "null"},
	{"DnsOptions", FIELD_LIST, "null"},
	{"DnsSearch", FIELD_LIST, "null"},
	{"ExtraHosts", FIELD_LIST, "null"},
	{"GroupAdd", FIELD_LIST, "null"},
	{"IpcMode", FIELD_STR, "\"private\""},
	{"Cgroup", FIELD_STR, "\"\""},
	{"Links", FIELD_LIST, "null"},
	{"OomScoreAdj", FIELD_INT, "0"},
	{"PidMode", FIELD_STR, "\"\""},
	{"Privileged", FIELD_BOOL, "false"},
	{"PublishAllPorts", FIELD_BOOL, "false"},
	{"ReadonlyRootfs", FIELD_BOOL, "false"},
	{"SecurityOpt", FIELD_LIST, "null"},
	{"StorageOpt", FIELD_MAP, NULL},
	{"Tmpfs", FIELD_MAP, NULL},
	{"UTSMode", FIELD_STR, "\"\""},
	{"UsernsMode", FIELD_STR, "\"\""},
	{"ShmSize", FIELD_INT, "67108864"},
	{"Sysctls", FIELD_MAP, NULL},
	{"Runtime", FIELD_STR, "\"runc\""},
	{"ConsoleSize", FIELD_ANY, "[0,0]"},
	{"Isolation", FIELD_STR, "\"\""},
	{"CpuShares", FIELD_INT, "0"},
	{"Memory", FIELD_INT, "0"},
	{"NanoCpus", FIELD_INT, "0"},
	{"CgroupParent", FIELD_STR, "\"\""},
	{"BlkioWeight", FIELD_INT, "0"},
	{"BlkioWeightDevice", FIELD_ANY, "null"},
	{"BlkioDeviceReadBps", FIELD_ANY, "null"},
	{"BlkioDeviceWriteBps", FIELD_ANY, "null"},
	{"BlkioDeviceReadIOps", FIELD_ANY, "null"},
	{"BlkioDeviceWriteIOps", FIELD_ANY, "null"},
	{"CpuPeriod", FIELD_INT, "0"},
	{"CpuQuota", FIELD_INT, "0"},
	{"CpuRealtimePeriod", FIELD_INT, "0"},
	{"CpuRealtimeRuntime", FIELD_INT, "0"},
	{"CpusetCpus", FIELD_STR, "\"\""},
	{"CpusetMems", FIELD_STR, "\"\""},
	{"Devices", FIELD_ANY, "null"},
	{"DeviceCgroupRules", FIELD_LIST, "null"},
	{"DeviceRequests", FIELD_ANY, "null"},
	{"KernelMemory", FIELD_INT, "0"},
	{"KernelMemoryTCP", FIELD_INT, "0"},
	{"MemoryReservation", FIELD_INT, "0"},
	{"MemorySwap", FIELD_INT, "0"},
	{"MemorySwappiness", FIELD_INT, "null"},
	{"OomKillDisable", FIELD_BOOL, "false"},
	{"PidsLimit", FIELD_INT, "null"},
	{"Ulimits", FIELD_ANY, "null"},
	{"CpuCount", FIELD_INT, "0"},
	{"CpuPercent", FIELD_INT, "0"},
	{"IOMaximumIOps", FIELD_INT, "0"},
	{"IOMaximumBandwidth", FIELD_INT, "0"},
	{"Mounts", FIELD_ANY, NULL},
	{"MaskedPaths", FIELD_LIST, MASKED},
	{"ReadonlyPaths", FIELD_LIST, READONLY},
	{"Init", FIELD_BOOL, NULL},
};

static bool is_empty(const json_t *value)
{
	return !value || json_is_null(value) || json_is_false(value) ||
	       (json_is_string(value) && !json_string_length(value)) ||
	       (json_is_object(value) && !json_object_size(value)) ||
	       (json_is_array(value) && !json_array_size(value));
}

/* {"HostIp","HostPort"} have their own order, and are always both there. */
static void write_bindings(struct buf *b, const json_t *bindings)
{
	CLEANUP_FREE const char **keys = xcalloc(json_object_size(bindings) + 1, sizeof(*keys));
	size_t n = 0;
	const char *key;
	json_t *list;

	json_object_foreach ((json_t *)bindings, key, list) {
		size_t at = n++;

		for (; at && strcmp(keys[at - 1], key) > 0; at--)
			keys[at] = keys[at - 1];
		keys[at] = key;
	}
	sim_json_key(b, "PortBindings");
	buf_append_char(b, '{');
	for (size_t i = 0; i < n; i++) {
		size_t at;
		json_t *item;

		list = json_object_get(bindings, keys[i]);
		sim_json_key(b, keys[i]);
		if (!json_is_array(list)) {
			buf_append_str(b, "null");
			continue;
		}
		buf_append_char(b, '[');
		json_array_foreach (list, at, item) {
			sim_json_item(b);
			buf_append_char(b, '{');
			sim_json_s(b, "HostIp", json_str(item, "HostIp", ""));
			sim_json_s(b, "HostPort", json_str(item, "HostPort", ""));
			buf_append_char(b, '}');
		}
		buf_append_char(b, ']');
	}
	buf_append_char(b, '}');
}

static void write_field(struct buf *b, const json_t *object, const struct field *field)
{
	json_t *value = json_get(object, field->name);

	if (!field->otherwise && is_empty(value))
		return;
	if (str_eq(field->name, "PortBindings") && json_is_object(value)) {
		write_bindings(b, value);
	} else if (str_eq(field->name, "RestartPolicy") && json_is_object(value)) {
		sim_json_key(b, field->name);
		buf_append_char(b, '{');
		sim_json_s(b, "Name", json_str(value, "Name", ""));
		sim_json_i(b, "MaximumRetryCount", json_int(value, "MaximumRetryCount", 0));
		buf_append_char(b, '}');
	} else if (str_eq(field->name, "LogConfig") && json_is_object(value)) {
		const char *type = json_str(value, "Type", "");

		sim_json_key(b, field->name);
		buf_append_char(b, '{');
		sim_json_s(b, "Type", *type ? type : "json-file");
		sim_json_value(b, "Config", json_obj(value, "Config"), "{}");
		buf_append_char(b, '}');
	} else if (field->kind == FIELD_STR && is_empty(value)) {
		sim_json_raw(b, field->name, field->otherwise);
	} else if (str_eq(field->name, "ShmSize") && !json_integer_value(value)) {
		sim_json_raw(b, field->name, field->otherwise);
	} else {
		sim_json_value(b, field->name, value, field->otherwise);
	}
}

void sim_spec_write_config(
	struct buf *b, const json_t *config, const char *hostname, bool container_form)
{
	buf_append_char(b, '{');
	for (size_t i = 0; i < ARRAY_LEN(config_fields); i++) {
		if (hostname && str_eq(config_fields[i].name, "Hostname"))
			sim_json_s(b, "Hostname", hostname);
		else if (container_form && str_eq(config_fields[i].name, "Labels"))
			sim_json_value(b, "Labels", json_get(config, "Labels"), "{}");
		else
			write_field(b, config, &config_fields[i]);
	}
	buf_append_char(b, '}');
}

void sim_spec_write_host(struct buf *b, const json_t *host)
{
	buf_append_char(b, '{');
	for (size_t i = 0; i < ARRAY_LEN(host_fields); i++)
		write_field(b, host, &host_fields[i]);
	buf_append_char(b, '}');
}

static const char *json_word(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "object";
	case JSON_ARRAY:
		return "array";
	case JSON_STRING:
		return "string";
	case JSON_TRUE:
	case JSON_FALSE:
		return "bool";
	default:
		return "number";
	}
}

/* The value in the field that has the wrong type, or NULL; *want is the right one. */
static const json_t *wrong_part(const json_t *value, enum field_kind kind, const char **want)
{
	const char *key;
	json_t *item;
	size_t i;

	*want = "string";
	switch (kind) {
	case FIELD_STR:
		return json_is_string(value) ? NULL : value;
	case FIELD_BOOL:
		*want = "bool";
		return json_is_boolean(value) ? NULL : value;
	case FIELD_INT:
		*want = "int64";
		return json_is_integer(value) ? NULL : value;
	case FIELD_STRINGS:
		if (json_is_string(value))
			return NULL;
		__attribute__((fallthrough));
	case FIELD_LIST:
		if (!json_is_array(value)) {
			*want = kind == FIELD_LIST ? "[]string" : "string";
			return value;
		}
		json_array_foreach (value, i, item)
			if (!json_is_string(item) && !json_is_null(item))
				return item;
		return NULL;
	case FIELD_MAP:
	case FIELD_SET:
		if (!json_is_object(value)) {
			*want = kind == FIELD_MAP ? "map[string]string" : "map[string]struct {}";
			return value;
		}
		if (kind == FIELD_MAP)
			json_object_foreach ((json_t *)value, key, item)
				if (!json_is_string(item) && !json_is_null(item))
					return item;
		return NULL;
	default:
		return NULL;
	}
}

static int check_fields(const json_t *object, const char *prefix, const struct field *fields,
	size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++) {
		const json_t *value = json_get(object, fields[i].name);
		const char *want;

		if (!value || json_is_null(value))
			continue;
		value = wrong_part(value, fields[i].kind, &want);
		if (value)
			return sim_fail(err, 500,
				"json: cannot unmarshal %s into Go struct field "
				"ContainerConfigWrapper.%s%s of type %s",
				json_word(value), prefix, fields[i].name, want);
	}
	return 0;
}

int sim_spec_check_types(const json_t *body, struct err *err)
{
	const json_t *host = json_get(body, "HostConfig");
	int status = check_fields(body, "", config_fields, ARRAY_LEN(config_fields), err);

	if (status || !host || json_is_null(host))
		return status;
	if (!json_is_object(host))
		return sim_fail(err, 500,
			"json: cannot unmarshal %s into Go struct field "
			"ContainerConfigWrapper.HostConfig of type container.HostConfig",
			json_word(host));
	return check_fields(host, "HostConfig.", host_fields, ARRAY_LEN(host_fields), err);
}
