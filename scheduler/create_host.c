/* Fields of HostConfig that stand beside it, as clients before API 1.18 sent them. Engines up to
 * 20.10 obey them, later ones do not: what is judged, and sent, has them in HostConfig alone. */
#include "lib/json.h"
#include "scheduler/create_priv.h"

/* Obeyed beside a HostConfig that leaves them out. */
static const char *const beside[] = {
	"CpuShares",
	"CpusetCpus",
	"Memory",
	"MemorySwap",
	"VolumeDriver",
};

/* Obeyed where there is no HostConfig, with those above. */
static const char *const instead[] = {
	"Annotations",
	"AutoRemove",
	"Binds",
	"BlkioDeviceReadBps",
	"BlkioDeviceReadIOps",
	"BlkioDeviceWriteBps",
	"BlkioDeviceWriteIOps",
	"BlkioWeight",
	"BlkioWeightDevice",
	"CapAdd",
	"CapDrop",
	"Cgroup",
	"CgroupParent",
	"CgroupnsMode",
	"ConsoleSize",
	"ContainerIDFile",
	"CpuCount",
	"CpuPercent",
	"CpuPeriod",
	"CpuQuota",
	"CpuRealtimePeriod",
	"CpuRealtimeRuntime",
	"CpusetMems",
	"DeviceCgroupRules",
	"DeviceRequests",
	"Devices",
	"Dns",
	"DnsOptions",
	"DnsSearch",
	"ExtraHosts",
	"GroupAdd",
	"IOMaximumBandwidth",
	"IOMaximumIOps",
	"Init",
	"IpcMode",
	"Isolation",
	"KernelMemory",
	"KernelMemoryTCP",
	"Links",
	"LogConfig",
	"MaskedPaths",
	"MemoryReservation",
	"MemorySwappiness",
	"Mounts",
	"NanoCpus",
	"NetworkMode",
	"OomKillDisable",
	"OomScoreAdj",
	"PidMode",
	"PidsLimit",
	"PortBindings",
	"Privileged",
	"PublishAllPorts",
	"ReadonlyPaths",
	"ReadonlyRootfs",
	"RestartPolicy",
	"Runtime",
	"SecurityOpt",
	"ShmSize",
	"StorageOpt",
	"Sysctls",
	"Tmpfs",
	"UTSMode",
	"Ulimits",
	"UsernsMode",
	"VolumesFrom",
};

static bool is_unset(const json_t *value)
{
	return value == NULL || json_is_null(value) ||
	       (json_is_integer(value) && json_integer_value(value) == 0) ||
	       (json_is_string(value) && json_string_length(value) == 0);
}

/* Out of the object, whatever the case of its name; a new reference, NULL when it is not there. */
static json_t *field_take(json_t *object, const char *key)
{
	json_t *found = json_get(object, key);
	const char *name;
	json_t *value;

	if (found == NULL)
		return NULL;
	json_object_foreach (object, name, value) {
		if (value == found && str_ieq(name, key)) {
			json_incref(found);
			json_object_del(object, name);
			return found;
		}
	}
	return NULL;
}

/* from: the field's name beside HostConfig, which may be an older one. */
static int field_move(
	json_t *body, json_t *host, const char *from, const char *key, struct err *err)
{
	CLEANUP_JSON json_t *value = field_take(body, from);
	const json_t *inside = json_get(host, key);

	if (is_unset(value) || json_equal(value, inside))
		return 0;
	if (!is_unset(inside))
		return err_set(err, ERR_INVALID,
			"%s is not what HostConfig.%s is: give it in HostConfig alone", from, key);
	json_put(host, key, json_incref(value));
	return 0;
}

int create_move_host_fields(json_t *body, struct err *err)
{
	json_t *host;
	CLEANUP_JSON json_t *moved = NULL;
	bool is_alone;

	if (body_field_get(body, "", "HostConfig", JSON_OBJECT, &host, err) < 0)
		return -1;
	is_alone = host == NULL;
	moved = is_alone ? json_object() : json_incref(host);
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		if (field_move(body, moved, beside[i], beside[i], err) < 0)
			return -1;
	}
	if (field_move(body, moved, "Cpuset", "CpusetCpus", err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(instead); i++) {
		CLEANUP_JSON json_t *value = field_take(body, instead[i]);

		/* Beside a HostConfig no engine looks at it. */
		if (is_alone && value != NULL)
			json_object_set(moved, instead[i], value);
	}
	if (is_alone && json_object_size(moved) > 0)
		json_put(body, "HostConfig", json_incref(moved));
	return 0;
}
