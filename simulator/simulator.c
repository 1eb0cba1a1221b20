#include "simulator/simulator.h"

#include "simulator/http.h"
#include "simulator/image.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define DESCRIPTORS_SPARE 64

struct simulator {
	struct sim_options options;
	struct tls_context *tls;
	struct sim_host **hosts;
	size_t hosts_len;
	struct sim_chance *chance;
	/* One socket for all engines on loopback addresses, NULL = each has its own. */
	struct server *door;
	uint32_t first_ip; /* of host 0, in host order */
};

void simulator_config_init(struct simulator_config *config)
{
	*config = (struct simulator_config){
		.nodes = 1,
		.listen = {.kind = ADDR_TCP, .port = 2375},
		.name = "sim-{i}",
		.cpus = 2,
		.memory = 2ll << 30,
		.server_version = "20.10.24",
		.api_version = "1.41",
		.api_min_version = "1.12",
		.events_kept = 256,
		.outage_ms = 5000,
	};
	config->listen.host = xstrdup("127.0.0.1");
	str_list_add(&config->images, "busybox:latest");
}

void simulator_config_reset(struct simulator_config *config)
{
	addr_free(&config->listen);
	str_list_free(&config->labels);
	str_list_free(&config->images);
	*config = (struct simulator_config){0};
}

static int version_number(const char *text, const char *what, unsigned *out, struct err *err)
{
	CLEANUP_FREE char *major = xstrndup(text, strcspn(text, "."));
	const char *point = strchr(text, '.');
	long long a;
	long long b;

	if (!point || str_to_int(major, 1, 99, &a, what, NULL) ||
		str_to_int(point + 1, 0, 999, &b, what, NULL))
		return err_set(err, ERR_INVALID, "%s must be like 1.41, not \"%s\"", what, text);
	*out = (unsigned)(1000 * a + b);
	return 0;
}

static int config_check(
	const struct simulator_config *config, struct sim_options *o, struct err *err)
{
	if (config->nodes < 1 || config->nodes > SIMULATOR_NODES_MAX)
		return err_set(err, ERR_INVALID, "the number of nodes must be 1 to %d, not %u",
			SIMULATOR_NODES_MAX, config->nodes);
	if (config->containers > SIMULATOR_CONTAINERS_MAX)
		return err_set(err, ERR_INVALID, "at most %d containers per node",
			SIMULATOR_CONTAINERS_MAX);
	if (config->containers && !config->images.len)
		return err_set(err, ERR_INVALID, "containers need an image");
	if (!config->cpus || config->memory < 4 << 20)
		return err_set(err, ERR_INVALID, "a node has at least 1 CPU and 4 MiB of memory");
	if (!(config->failure_rate >= 0 && config->failure_rate <= 1))
		return err_set(err, ERR_INVALID, "the failure rate must be from 0 to 1");
	if (!(config->changes >= 0 && config->changes <= SIMULATOR_RATE_MAX) ||
		!(config->outages >= 0 && config->outages <= SIMULATOR_RATE_MAX))
		return err_set(err, ERR_INVALID,
			"what happens by itself happens at most %d times "
			"a second",
			SIMULATOR_RATE_MAX);
	if (config->dripping > config->nodes)
		return err_set(err, ERR_INVALID, "%u of %u nodes cannot be dripping",
			config->dripping, config->nodes);
	for (const char *p = config->server_version; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
			return err_set(err, ERR_INVALID,
				"the engine's version must be plain text without blanks");
	if (version_number(config->api_version, "the API version", &o->api, err) ||
		version_number(config->api_min_version, "the lowest API version", &o->api_min, err))
		return -1;
	if (o->api_min > o->api)
		return err_set(err, ERR_INVALID,
			"the lowest API version %s is above the highest, %s",
			config->api_min_version, config->api_version);
	return 0;
}

/* Where node i listens; to be freed with addr_free. */
static int node_address(
	const struct simulator_config *config, unsigned i, struct addr *out, struct err *err)
{
	struct in_addr ip;
	char text[INET_ADDRSTRLEN];

	*out = (struct addr){.kind = config->listen.kind, .port = config->listen.port};
	if (config->listen.kind == ADDR_UNIX) {
		out->path = sim_pattern_expand(config->listen.path, i, err);
		if (out->path && config->nodes > 1 && str_eq(out->path, config->listen.path))
			return err_set(err, ERR_INVALID,
				"unix://%s: with several nodes the path needs {i}", out->path);
		return out->path ? 0 : -1;
	}
	if (!config->spread_addresses) {
		if (out->port && out->port + (long)i > 65535)
			return err_set(err, ERR_INVALID,
				"there are no %u ports from %u on; spread the nodes over addresses",
				config->nodes, (unsigned)config->listen.port);
		out->host = xstrdup(config->listen.host);
		if (out->port)
			out->port = (uint16_t)(out->port + i);
		return 0;
	}
	if (inet_pton(AF_INET, config->listen.host, &ip) != 1)
		return err_set(err, ERR_INVALID,
			"nodes are spread over addresses from an IPv4 one on, not \"%s\"",
			config->listen.host);
	ip.s_addr = htonl(ntohl(ip.s_addr) + i);
	out->host = xstrdup(inet_ntop(AF_INET, &ip, text, sizeof(text)));
	return 0;
}

static int node_labels(
	const struct simulator_config *config, unsigned i, struct str_list *out, struct err *err)
{
	for (size_t k = 0; k < config->labels.len; k++) {
		char *label = sim_pattern_expand(config->labels.items[k], i, err);

		if (!label)
			return -1;
		str_list_add_take(out, label);
		if (!strchr(label, '=') || *label == '=')
			return err_set(err, ERR_INVALID, "a label is key=value, not \"%s\"", label);
	}
	return 0;
}

/* Running containers, of the first image. The first is asked for, the others are like it. */
static int node_fill_containers(
	const struct simulator_config *config, struct sim_engine *e, struct err *err)
{
	CLEANUP_JSON json_t *body =
		json_pack("{s:s,s:[s]}", "Image", config->images.items[0], "Cmd", "top");
	struct sim_container *first = NULL;
	int status = 0;

	for (unsigned i = 0; i < config->containers && !status; i++) {
		char name[32];
		struct sim_container *c;

		snprintf(name, sizeof(name), SIM_FILL_NAME "%u", i);
		status = first ? sim_container_create_like(first, name, &c, err)
			       : sim_container_create(e, name, body, &c, err);
		if (status)
			break;
		first = first ? first : c;
		status = sim_container_start(c, err);
	}
	return status;
}

/* What the node holds from the start. */
static int node_fill(const struct simulator_config *config, struct sim_engine *e, struct err *err)
{
	unsigned kept = e->options->events_kept;
	int status;

	for (size_t i = 0; i < config->images.len; i++) {
		CLEANUP_FREE char *normal = sim_image_normal(config->images.items[i], err);

		if (!normal || !strrchr(normal, ':') || strchr(normal, '@'))
			return err_set(err, ERR_INVALID, "image \"%s\" is not a name[:tag]",
				config->images.items[i]);
		sim_image_add(e, normal);
	}
	if (!config->containers)
		return 0;
	e->options->events_kept = 0; /* what was there before the engine has no events */
	status = node_fill_containers(config, e, err);
	e->options->events_kept = kept;
	return status ? err_wrap(err, "containers of node %u", e->index) : 0;
}

static struct sim_engine *node_engine(
	struct simulator *s, const struct simulator_config *config, unsigned i, struct err *err)
{
	CLEANUP_STR_LIST struct str_list labels = {0};
	char *name = sim_pattern_expand(config->name, i, err);
	struct sim_engine *e;

	if (!name)
		return NULL;
	if (node_labels(config, i, &labels, err)) {
		free(name);
		return NULL;
	}
	e = sim_engine_new(&s->options, i, name, &labels, config->seed);
	if (node_fill(config, e, err)) {
		sim_engine_free(e);
		return NULL;
	}
	return e;
}

static int node_start(
	struct simulator *s, const struct simulator_config *config, unsigned i, struct err *err)
{
	struct sim_engine *e = node_engine(s, config, i, err);
	struct sim_host *host = NULL;
	struct addr addr = {0};

	if (!e)
		return -1;
	if (node_address(config, i, &addr, err))
		sim_engine_free(e);
	else
		host = sim_host_new(e, &addr, s->tls, s->door == NULL, err);
	addr_free(&addr);
	if (!host)
		return -1;
	host->latency_ms = config->latency_ms;
	host->jitter_ms = config->jitter_ms;
	host->failures = (uint32_t)(config->failure_rate * UINT32_MAX);
	host->control = config->control;
	host->chance = s->chance;
	if (s->door)
		host->addr.port = server_port(s->door, 0);
	if (i >= config->nodes - config->dripping)
		sim_fault_begin(host, SIM_FAULT_DRIP, 0, 1000);
	s->hosts[s->hosts_len++] = host;
	return 0;
}

/* Connections come on top: without these, it could not even begin. */
static int check_descriptors(const struct simulator_config *config, struct err *err)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur == RLIM_INFINITY ||
		limit.rlim_cur >= config->nodes + DESCRIPTORS_SPARE)
		return 0;
	return err_set(err, ERR_SYSTEM,
		"%u nodes need more than the %llu descriptors that a process may have here: raise "
		"the limit (ulimit -n)",
		config->nodes, (unsigned long long)limit.rlim_cur);
}

static struct server *whose_connection(void *arg, const struct sockaddr_storage *called)
{
	const struct simulator *s = arg;
	const struct sockaddr_in *in = (const struct sockaddr_in *)called;
	uint32_t i = ntohl(in->sin_addr.s_addr) - s->first_ip;

	return called->ss_family == AF_INET && i < s->hosts_len ? s->hosts[i]->server : NULL;
}

/* One socket serves all loopback addresses, so that thousands of engines do not take one each. */
static int open_door(struct simulator *s, const struct simulator_config *config, struct err *err)
{
	struct in_addr ip;
	uint32_t last;

	if (!config->spread_addresses || config->listen.kind != ADDR_TCP ||
		inet_pton(AF_INET, config->listen.host, &ip) != 1)
		return 0;
	s->first_ip = ntohl(ip.s_addr);
	last = s->first_ip + config->nodes - 1;
	if (s->first_ip >> 24 != IN_LOOPBACKNET || last >> 24 != IN_LOOPBACKNET)
		return 0;
	s->door = server_new(s->options.loop, NULL, NULL);
	return server_listen_loopback(
		s->door, config->listen.port, s->tls, whose_connection, s, err);
}

static int simulator_fill(
	struct simulator *s, const struct simulator_config *config, struct err *err)
{
	if (check_descriptors(config, err) || open_door(s, config, err))
		return -1;
	s->hosts = xcalloc(config->nodes, sizeof(struct sim_host *));
	s->chance = sim_chance_new(s->options.loop, s->hosts, config->nodes, config->outage_ms);
	for (unsigned i = 0; i < config->nodes; i++)
		if (node_start(s, config, i, err))
			return -1;
	sim_chance_set(s->chance, config->changes, config->outages);
	return 0;
}

struct simulator *simulator_new(struct loop *loop, const struct env *env,
	const struct simulator_config *config, struct err *err)
{
	struct simulator *s = xcalloc(1, sizeof(*s));

	if (config_check(config, &s->options, err)) {
		free(s);
		return NULL;
	}
	s->options.loop = loop;
	s->options.env = env;
	s->options.cpus = config->cpus;
	s->options.memory = config->memory;
	s->options.server_version = xstrdup(config->server_version);
	s->options.api_version = xstrdup(config->api_version);
	s->options.api_min_version = xstrdup(config->api_min_version);
	s->options.events_kept = config->events_kept;
	s->tls = config->tls ? tls_context_ref(config->tls) : NULL;
	if (simulator_fill(s, config, err)) {
		simulator_free(s);
		return NULL;
	}
	return s;
}

void simulator_free(struct simulator *s)
{
	if (!s)
		return;
	sim_chance_free(s->chance);
	server_free(s->door);
	for (size_t i = 0; i < s->hosts_len; i++)
		sim_host_free(s->hosts[i]);
	free(s->hosts);
	sim_registry_free(&s->options);
	if (s->tls)
		tls_context_unref(s->tls);
	free(s->options.server_version);
	free(s->options.api_version);
	free(s->options.api_min_version);
	free(s);
}

size_t simulator_nodes(const struct simulator *s)
{
	return s->hosts_len;
}

char *simulator_address(const struct simulator *s, size_t i)
{
	return addr_format(&s->hosts[i]->addr);
}
