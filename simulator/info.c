/* What an engine tells of itself. */
#include "simulator/simulator_priv.h"

#define KERNEL "6.1.0-sim"

static void write_labels(struct buf *b, const struct sim_engine *e)
{
	sim_json_key(b, "Labels");
	buf_append_char(b, '[');
	for (size_t i = 0; i < e->labels.len; i++) {
		sim_json_item(b);
		sim_json_quote(b, e->labels.items[i]);
	}
	buf_append_char(b, ']');
}

void sim_info_write(struct buf *b, const struct sim_engine *e)
{
	const struct sim_options *o = e->options;
	size_t stopped = e->containers_len - e->running - e->paused;

	buf_append_char(b, '{');
	sim_json_s(b, "ID", e->id);
	sim_json_i(b, "Containers", (int64_t)e->containers_len);
	sim_json_i(b, "ContainersRunning", (int64_t)e->running);
	sim_json_i(b, "ContainersPaused", (int64_t)e->paused);
	sim_json_i(b, "ContainersStopped", (int64_t)stopped);
	sim_json_i(b, "Images", (int64_t)e->images_len);
	buf_append_str(b,
		",\"Driver\":\"vfs\",\"DriverStatus\":null,\"Plugins\":{\"Volume\":[\"local\"],"
		"\"Network\":[\"bridge\",\"host\",\"ipvlan\",\"macvlan\",\"null\",\"overlay\"],"
		"\"Authorization\":null,\"Log\":[\"awslogs\",\"fluentd\",\"gcplogs\",\"gelf\","
		"\"journald\",\"json-file\",\"local\",\"logentries\",\"splunk\",\"syslog\"]},"
		"\"MemoryLimit\":true,\"SwapLimit\":true,\"KernelMemory\":true,"
		"\"KernelMemoryTCP\":true,\"CpuCfsPeriod\":true,\"CpuCfsQuota\":true,"
		"\"CPUShares\":true,\"CPUSet\":true,\"PidsLimit\":true,\"IPv4Forwarding\":true,"
		"\"BridgeNfIptables\":true,\"BridgeNfIp6tables\":true,\"Debug\":false,\"NFd\":24,"
		"\"OomKillDisable\":true,\"NGoroutines\":40");
	sim_json_time(b, "SystemTime", sim_now(e));
	buf_append_str(b, ",\"LoggingDriver\":\"json-file\",\"CgroupDriver\":\"cgroupfs\","
			  "\"CgroupVersion\":\"1\"");
	sim_json_i(b, "NEventsListener", (int64_t)e->listeners_len);
	sim_json_s(b, "KernelVersion", KERNEL);
	buf_append_str(b,
		",\"OperatingSystem\":\"Docker simulator\",\"OSVersion\":\"\",\"OSType\":\"linux\","
		"\"Architecture\":\"x86_64\",\"IndexServerAddress\":\"https://index.docker.io/v1/"
		"\","
		"\"RegistryConfig\":{\"AllowNondistributableArtifactsCIDRs\":[],"
		"\"AllowNondistributableArtifactsHostnames\":[],\"InsecureRegistryCIDRs\":["
		"\"127.0.0.0/8\"],\"IndexConfigs\":{\"docker.io\":{\"Name\":\"docker.io\","
		"\"Mirrors\":[],\"Secure\":true,\"Official\":true}},\"Mirrors\":[]}");
	sim_json_i(b, "NCPU", o->cpus);
	sim_json_i(b, "MemTotal", o->memory);
	sim_json_raw(b, "GenericResources", "null");
	sim_json_s(b, "DockerRootDir", e->root);
	buf_append_str(b, ",\"HttpProxy\":\"\",\"HttpsProxy\":\"\",\"NoProxy\":\"\"");
	sim_json_s(b, "Name", e->name);
	write_labels(b, e);
	sim_json_b(b, "ExperimentalBuild", false);
	sim_json_s(b, "ServerVersion", o->server_version);
	buf_append_str(b,
		",\"Runtimes\":{\"io.containerd.runc.v2\":{\"path\":\"runc\"},"
		"\"io.containerd.runtime.v1.linux\":{\"path\":\"runc\"},\"runc\":{\"path\":"
		"\"runc\"}},"
		"\"DefaultRuntime\":\"runc\",\"Swarm\":{\"NodeID\":\"\",\"NodeAddr\":\"\","
		"\"LocalNodeState\":\"inactive\",\"ControlAvailable\":false,\"Error\":\"\","
		"\"RemoteManagers\":null},\"LiveRestoreEnabled\":false,\"Isolation\":\"\","
		"\"InitBinary\":\"docker-init\",\"ContainerdCommit\":{\"ID\":\"\",\"Expected\":"
		"\"\"},"
		"\"RuncCommit\":{\"ID\":\"\",\"Expected\":\"\"},\"InitCommit\":{\"ID\":\"\","
		"\"Expected\":\"\"},\"SecurityOptions\":[\"name=seccomp,profile=default\"],"
		"\"Warnings\":null}\n");
}

void sim_version_write(struct buf *b, const struct sim_engine *e)
{
	const struct sim_options *o = e->options;

	buf_printf(b,
		"{\"Platform\":{\"Name\":\"\"},\"Components\":[{\"Name\":\"Engine\",\"Version\":\"%"
		"s\","
		"\"Details\":{\"ApiVersion\":\"%s\",\"Arch\":\"amd64\",\"BuildTime\":"
		"\"2026-01-01T00:00:00.000000000+00:00\",\"Experimental\":\"false\",\"GitCommit\":"
		"\"simulated\",\"GoVersion\":\"none\",\"KernelVersion\":\"" KERNEL
		"\",\"MinAPIVersion\":\"%s\",\"Os\":\"linux\"}}],\"Version\":\"%s\",\"ApiVersion\":"
		"\"%s\",\"MinAPIVersion\":\"%s\",\"GitCommit\":\"simulated\",\"GoVersion\":"
		"\"none\","
		"\"Os\":\"linux\",\"Arch\":\"amd64\",\"KernelVersion\":\"" KERNEL
		"\",\"BuildTime\":\"2026-01-01T00:00:00.000000000+00:00\"}\n",
		o->server_version, o->api_version, o->api_min_version, o->server_version,
		o->api_version, o->api_min_version);
}
