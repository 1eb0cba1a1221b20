/* Containers as lists and inspect show them. */
#include "simulator/files.h"
#include "simulator/image.h"

#include <stdio.h>
#include <string.h>

static void write_state(struct buf *b, const struct sim_container *c)
{
	sim_json_key(b, "State");
	buf_append_char(b, '{');
	sim_json_s(b, "Status", sim_state_name(c->state));
	sim_json_b(b, "Running", sim_container_is_running(c) || c->state == SIM_RESTARTING);
	sim_json_b(b, "Paused", c->state == SIM_PAUSED);
	sim_json_b(b, "Restarting", c->state == SIM_RESTARTING);
	sim_json_b(b, "OOMKilled", false);
	sim_json_b(b, "Dead", false);
	sim_json_i(b, "Pid", c->pid);
	sim_json_i(b, "ExitCode", c->exit_code);
	sim_json_s(b, "Error", c->error ? c->error : "");
	sim_json_time(b, "StartedAt", c->started_ns);
	sim_json_time(b, "FinishedAt", c->finished_ns);
	buf_append_char(b, '}');
}

static void write_path(
	struct buf *b, const struct sim_container *c, const char *key, const char *file)
{
	sim_json_key(b, key);
	if (!c->sandbox && !c->was_started)
		buf_append_str(b, "\"\"");
	else if (file)
		buf_printf(b, "\"%s/containers/%s/%s\"", c->engine->root, c->id, file);
	else
		buf_printf(b, "\"%s/containers/%s/%s-json.log\"", c->engine->root, c->id, c->id);
}

static void write_exec_ids(struct buf *b, const struct sim_container *c)
{
	struct sim_exec *x;
	struct sim_exec *tmp;
	size_t n = 0;

	sim_json_key(b, "ExecIDs");
	HASH_ITER (hh, c->engine->execs, x, tmp) {
		if (x->container != c || (x->started && !x->running))
			continue;
		buf_append_str(b, n++ ? "," : "[");
		sim_json_quote(b, x->id);
	}
	buf_append_str(b, n ? "]" : "null");
}

static void write_network_settings(struct buf *b, const struct sim_container *c)
{
	const struct sim_endpoint *bridge = NULL;
	struct sim_address a = {0};
	char sandbox[SIM_ID_LEN + 1] = "";
	char endpoint[SIM_ID_LEN + 1] = "";

	/* The old fields show the default bridge only. */
	for (const struct sim_endpoint *ep = c->endpoints; ep; ep = ep->next)
		if (str_eq(ep->name, "bridge") && ep->id)
			bridge = ep;
	if (bridge) {
		sim_endpoint_address(bridge, &a);
		sim_hex(bridge->id, endpoint);
	}
	if (c->sandbox)
		sim_hex(c->sandbox, sandbox);
	sim_json_key(b, "NetworkSettings");
	buf_printf(b,
		"{\"Bridge\":\"\",\"SandboxID\":\"%s\",\"HairpinMode\":false,"
		"\"LinkLocalIPv6Address\":\"\",\"LinkLocalIPv6PrefixLen\":0,\"Ports\":",
		sandbox);
	if (sim_container_is_running(c) && c->endpoints && !str_eq(c->spec->network_mode, "host") &&
		!str_eq(c->spec->network_mode, "none"))
		sim_ports_write_map(b, c);
	else
		buf_append_str(b, "{}");
	sim_json_key(b, "SandboxKey");
	if (c->sandbox && str_eq(c->spec->network_mode, "host"))
		buf_append_str(b, "\"/var/run/docker/netns/default\"");
	else if (c->sandbox)
		buf_printf(b, "\"/var/run/docker/netns/%.12s\"", sandbox);
	else
		buf_append_str(b, "\"\"");
	buf_printf(b,
		",\"SecondaryIPAddresses\":null,\"SecondaryIPv6Addresses\":null,\"EndpointID\":\"%"
		"s\","
		"\"Gateway\":\"%s\",\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,"
		"\"IPAddress\":\"%s\",\"IPPrefixLen\":%u,\"IPv6Gateway\":\"\",\"MacAddress\":\"%"
		"s\","
		"\"Networks\":",
		endpoint, a.gateway, a.ip, a.bits, a.mac);
	sim_endpoints_write(b, c);
	buf_append_char(b, '}');
}

void sim_container_write(struct buf *b, const struct sim_container *c, bool size)
{
	char hostname[13];

	snprintf(hostname, sizeof(hostname), "%.12s", c->id);
	buf_append_char(b, '{');
	sim_json_s(b, "Id", c->id);
	sim_json_time(b, "Created", c->created_ns);
	sim_json_s(b, "Path", c->spec->argv.items[0]);
	sim_json_key(b, "Args");
	buf_append_char(b, '[');
	for (size_t i = 1; i < c->spec->argv.len; i++) {
		sim_json_item(b);
		sim_json_quote(b, c->spec->argv.items[i]);
	}
	buf_append_char(b, ']');
	write_state(b, c);
	buf_printf(b, ",\"Image\":\"sha256:%s\"", c->image->id);
	write_path(b, c, "ResolvConfPath", "resolv.conf");
	write_path(b, c, "HostnamePath", "hostname");
	write_path(b, c, "HostsPath", "hosts");
	write_path(b, c, "LogPath", NULL);
	sim_json_key(b, "Name");
	buf_printf(b, "\"/%s\"", c->name);
	sim_json_i(b, "RestartCount", c->restarts);
	buf_append_str(b, ",\"Driver\":\"vfs\",\"Platform\":\"linux\",\"MountLabel\":\"\","
			  "\"ProcessLabel\":\"\","
			  "\"AppArmorProfile\":\"\"");
	write_exec_ids(b, c);
	sim_json_key(b, "HostConfig");
	sim_spec_show_host(b, c->spec);
	buf_append_str(b, ",\"GraphDriver\":{\"Data\":null,\"Name\":\"vfs\"}");
	if (size) {
		sim_json_i(b, "SizeRw", sim_files_size(c));
		sim_json_i(b, "SizeRootFs", c->image->content->size + sim_files_size(c));
	}
	sim_json_key(b, "Mounts");
	sim_mounts_write(b, c);
	sim_json_key(b, "Config");
	sim_spec_show_config(b, c->spec, c->hostname ? c->hostname : hostname);
	write_network_settings(b, c);
	buf_append_char(b, '}');
}

void sim_container_write_summary(
	struct buf *b, const struct sim_container *c, int64_t now_ns, bool size)
{
	bool renamed = sim_image_find(c->engine, c->spec->image) != c->image;
	char status[96];

	sim_container_status(c, now_ns, status, sizeof(status));
	buf_printf(b, "{\"Id\":\"%s\",\"Names\":[\"/%s\"],\"Image\":", c->id, c->name);
	/* When the name has moved to another image, the list shows the ID. */
	if (renamed)
		buf_printf(b, "\"sha256:%s\"", c->image->id);
	else
		sim_json_quote(b, c->spec->image);
	buf_printf(b, ",\"ImageID\":\"sha256:%s\"", c->image->id);
	sim_json_s(b, "Command", c->spec->command);
	sim_json_i(b, "Created", c->created_ns / 1000000000);
	sim_json_key(b, "Ports");
	sim_ports_write_list(b, c);
	if (size && sim_files_size(c))
		sim_json_i(b, "SizeRw", sim_files_size(c));
	if (size)
		sim_json_i(b, "SizeRootFs", c->image->content->size + sim_files_size(c));
	sim_json_raw(b, "Labels", c->spec->labels);
	sim_json_s(b, "State", sim_state_name(c->state));
	sim_json_s(b, "Status", status);
	sim_json_key(b, "HostConfig");
	buf_append_char(b, '{');
	sim_json_s(b, "NetworkMode", c->spec->network_mode);
	buf_append_str(b, "},\"NetworkSettings\":{\"Networks\":");
	sim_endpoints_write(b, c);
	buf_append_str(b, "},\"Mounts\":");
	sim_mounts_write(b, c);
	buf_append_char(b, '}');
}

void sim_stats_write(struct buf *b, const struct sim_container *c, bool first)
{
	static const char nothing[] =
		"\"cpu_usage\":{\"total_usage\":0,\"usage_in_kernelmode\":0,\"usage_in_usermode\":"
		"0},"
		"\"throttling_data\":{\"periods\":0,\"throttled_periods\":0,\"throttled_time\":0}";
	const struct sim_options *o = c->engine->options;
	int64_t now = sim_now(c->engine);
	int64_t limit = c->spec->memory ? c->spec->memory : o->memory;
	int64_t up = now - c->started_ns;
	bool running = sim_container_is_running(c);

	buf_append_char(b, '{');
	sim_json_time(b, "read", running ? now : 0);
	sim_json_time(b, "preread", running && !first ? now - 1000000000 : 0);
	if (!running) {
		buf_printf(b,
			",\"pids_stats\":{},\"blkio_stats\":{\"io_service_bytes_recursive\":null,"
			"\"io_serviced_recursive\":null,\"io_queue_recursive\":null,"
			"\"io_service_time_recursive\":null,\"io_wait_time_recursive\":null,"
			"\"io_merged_recursive\":null,\"io_time_recursive\":null,"
			"\"sectors_recursive\":null},\"num_procs\":0,\"storage_stats\":{},"
			"\"cpu_stats\":{%s},\"precpu_stats\":{%s},\"memory_stats\":{}",
			nothing, nothing);
	} else {
		/* A program here uses one part in a hundred of one CPU, and 1 MiB. */
		buf_append_str(b,
			",\"pids_stats\":{\"current\":1},\"blkio_stats\":{"
			"\"io_service_bytes_recursive\":[],\"io_serviced_recursive\":[],"
			"\"io_queue_recursive\":[],\"io_service_time_recursive\":[],"
			"\"io_wait_time_recursive\":[],\"io_merged_recursive\":[],"
			"\"io_time_recursive\":[],\"sectors_recursive\":[]},\"num_procs\":0,"
			"\"storage_stats\":{}");
		for (int previous = 0; previous < 2; previous++) {
			int64_t at = previous ? up - 1000000000 : up;

			at = at > 0 ? at : 0;
			sim_json_key(b, previous ? "precpu_stats" : "cpu_stats");
			if (previous && first) {
				buf_printf(b, "{%s}", nothing);
				continue;
			}
			buf_printf(b,
				"{\"cpu_usage\":{\"total_usage\":%lld,\"usage_in_kernelmode\":0,"
				"\"usage_in_usermode\":%lld},\"system_cpu_usage\":%lld,"
				"\"online_cpus\":%u,\"throttling_data\":{\"periods\":0,"
				"\"throttled_periods\":0,\"throttled_time\":0}}",
				(long long)(at / 100), (long long)(at / 100),
				(long long)at * o->cpus, o->cpus);
		}
		buf_printf(b,
			",\"memory_stats\":{\"usage\":1048576,\"max_usage\":1048576,\"stats\":{"
			"\"cache\":0,\"rss\":1048576},\"limit\":%lld}",
			(long long)limit);
	}
	sim_json_key(b, "name");
	buf_printf(b, "\"/%s\",\"id\":\"%s\"", c->name, c->id);
	if (running)
		buf_append_str(b,
			",\"networks\":{\"eth0\":{\"rx_bytes\":0,\"rx_packets\":0,\"rx_errors\":0,"
			"\"rx_dropped\":0,\"tx_bytes\":0,\"tx_packets\":0,\"tx_errors\":0,"
			"\"tx_dropped\":0}}");
	buf_append_str(b, "}\n");
}
