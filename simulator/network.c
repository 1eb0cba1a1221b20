/* Networks: the three that every engine has, and bridges that users make. */
#include "simulator/simulator_priv.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define POOLS 31

static const char bridge_options[] = "{\"com.docker.network.bridge.default_bridge\":\"true\","
				     "\"com.docker.network.bridge.enable_icc\":\"true\","
				     "\"com.docker.network.bridge.enable_ip_masquerade\":\"true\","
				     "\"com.docker.network.bridge.host_binding_ipv4\":\"0.0.0.0\","
				     "\"com.docker.network.bridge.name\":\"docker0\","
				     "\"com.docker.network.driver.mtu\":\"1500\"}";

/* The engine's default pools: 172.17 to 172.31 (/16), then sixteen of 192.168 (/20). */
static void pool_get(unsigned i, uint32_t *base, uint8_t *bits)
{
	if (i < 15) {
		*base = 0xac110000u + (i << 16);
		*bits = 16;
	} else {
		*base = 0xc0a80000u + ((i - 15) << 12);
		*bits = 20;
	}
}

static bool overlaps(const struct sim_network *n, uint32_t base, uint8_t bits)
{
	uint8_t shorter = n->bits < bits ? n->bits : bits;
	uint32_t mask = shorter ? ~0u << (32 - shorter) : 0;

	return n->base && (n->base & mask) == (base & mask);
}

static bool pool_is_free(const struct sim_engine *e, uint32_t base, uint8_t bits)
{
	const struct sim_network *n;

	DL_FOREACH (e->networks, n)
		if (overlaps(n, base, bits))
			return false;
	return true;
}

static void ip_text(uint32_t ip, char out[16])
{
	snprintf(out, 16, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

static struct sim_network *network_add(
	struct sim_engine *e, const char *name, const char *driver, bool predefined)
{
	struct sim_network *n = xcalloc(1, sizeof(*n));

	sim_hex(sim_random(e), n->id);
	n->name = xstrdup(name);
	n->driver = xstrdup(driver);
	n->predefined = predefined;
	n->created_ns = sim_now(e);
	DL_APPEND(e->networks, n);
	e->networks_len++;
	return n;
}

void sim_networks_init(struct sim_engine *e)
{
	struct sim_network *bridge = network_add(e, "bridge", "bridge", true);

	bridge->options = xstrdup(bridge_options);
	pool_get(0, &bridge->base, &bridge->bits);
	network_add(e, "host", "host", true);
	network_add(e, "none", "null", true);
}

static void network_free(struct sim_network *n)
{
	free(n->name);
	free(n->driver);
	free(n->labels);
	free(n->options);
	free(n->ipam);
	free(n->in_use);
	free(n);
}

void sim_networks_free(struct sim_engine *e)
{
	struct sim_network *n;
	struct sim_network *tmp;

	DL_FOREACH_SAFE (e->networks, n, tmp) {
		DL_DELETE(e->networks, n);
		network_free(n);
	}
}

struct sim_network *sim_network_find(struct sim_engine *e, const char *key)
{
	struct sim_network *found = NULL;
	struct sim_network *n;
	size_t len = strlen(key);

	DL_FOREACH (e->networks, n)
		if (str_eq(n->id, key))
			return n;
	DL_FOREACH (e->networks, n)
		if (str_eq(n->name, key))
			return n;
	if (!len || len > SIM_ID_LEN || !str_is_hex(key, len))
		return NULL;
	DL_FOREACH (e->networks, n) {
		if (strncmp(n->id, key, len) != 0)
			continue;
		if (found)
			return NULL;
		found = n;
	}
	return found;
}

static void network_event(struct sim_engine *e, const struct sim_network *n, const char *action,
	const char *container)
{
	const struct sim_event_attr attrs[] = {{"name", n->name}, {"type", n->driver},
		{container ? "container" : NULL, container}, {NULL, NULL}};

	sim_event_emit(e, "network", action, n->id, attrs);
}

static int subnet_parse(const char *text, uint32_t *base, uint8_t *bits)
{
	CLEANUP_FREE char *ip = xstrndup(text, strcspn(text, "/"));
	const char *slash = strchr(text, '/');
	struct in_addr addr;
	long long n;

	if (!slash || inet_pton(AF_INET, ip, &addr) != 1 ||
		str_to_int(slash + 1, 1, 30, &n, "prefix", NULL))
		return -1;
	*bits = (uint8_t)n;
	*base = ntohl(addr.s_addr) & ~0u << (32 - *bits);
	return 0;
}

/* The addresses of a new network: as asked for, or the first pool that is free. */
static int subnet_choose(const struct sim_engine *e, const json_t *body, uint32_t *base,
	uint8_t *bits, struct err *err)
{
	json_t *config = json_arr(json_obj(body, "IPAM"), "Config");
	const char *subnet = json_str(json_array_get(config, 0), "Subnet", "");

	if (*subnet) {
		if (subnet_parse(subnet, base, bits))
			return sim_fail(err, 400, "invalid CIDR address: %s", subnet);
		if (!pool_is_free(e, *base, *bits))
			return sim_fail(
				err, 403, "Pool overlaps with other one on this address space");
		return 0;
	}
	for (unsigned i = 0; i < POOLS; i++) {
		pool_get(i, base, bits);
		if (pool_is_free(e, *base, *bits))
			return 0;
	}
	return sim_fail(err, 404,
		"could not find an available, non-overlapping IPv4 address pool among the defaults "
		"to assign to the network");
}

static int network_check(struct sim_engine *e, const json_t *body, char **warning, struct err *err)
{
	const char *name = json_str(body, "Name", "");
	const char *driver = json_str(body, "Driver", "");
	struct sim_network *other;

	if (str_eq(name, "bridge") || str_eq(name, "host") || str_eq(name, "none") ||
		str_eq(name, "default"))
		return sim_fail(
			err, 403, "operation is not permitted on predefined %s network ", name);
	if (str_eq(driver, "overlay"))
		return sim_fail(err, 500,
			"This node is not a swarm manager. Use \"docker swarm init\" or \"docker "
			"swarm "
			"join\" to connect this node to swarm and try again.");
	DL_FOREACH (e->networks, other) {
		if (!str_eq(other->name, name))
			continue;
		if (json_bool(body, "CheckDuplicate", false) || e->options->api >= 1044)
			return sim_fail(err, 409, "network with name %s already exists", name);
		if (!*warning)
			*warning = xasprintf(
				"Network with name %s (id : %s) already exists", name, other->id);
	}
	if (*driver && !str_eq(driver, "bridge") && !str_eq(driver, "macvlan") &&
		!str_eq(driver, "ipvlan"))
		return sim_fail(err, 404, "plugin \"%s\" not found", driver);
	if (!*name)
		return sim_fail(err, 500, "invalid name: %s", name);
	if (e->networks_len >= SIM_OBJECTS_MAX)
		return sim_fail(err, 507, "too many networks");
	return 0;
}

int sim_network_create(struct sim_engine *e, const json_t *body, struct sim_network **out,
	char **warning, struct err *err)
{
	const char *driver = json_str(body, "Driver", "");
	json_t *labels = json_obj(body, "Labels");
	json_t *options = json_obj(body, "Options");
	struct sim_network *n;
	uint32_t base = 0;
	uint8_t bits = 0;
	int status;

	*warning = NULL;
	status = network_check(e, body, warning, err);
	if (!status)
		status = subnet_choose(e, body, &base, &bits, err);
	if (status) {
		free(TAKE_PTR(*warning));
		return status;
	}
	n = network_add(e, json_str(body, "Name", ""), *driver ? driver : "bridge", false);
	n->base = base;
	n->bits = bits;
	n->internal = json_bool(body, "Internal", false);
	n->attachable = json_bool(body, "Attachable", false);
	n->ipv6 = json_bool(body, "EnableIPv6", false);
	if (labels)
		n->labels = json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
	if (options)
		n->options = json_dumps(options, JSON_COMPACT | JSON_SORT_KEYS);
	if (json_array_size(json_arr(json_obj(body, "IPAM"), "Config")))
		n->ipam = json_dumps(json_arr(json_obj(body, "IPAM"), "Config"), JSON_COMPACT);
	network_event(e, n, "create", NULL);
	*out = n;
	return 0;
}

void sim_network_drop(struct sim_engine *e, struct sim_network *n)
{
	struct sim_container *c;

	/* Containers that are stopped keep the name, and look for it when they start. */
	DL_FOREACH (e->containers, c)
		for (struct sim_endpoint *ep = c->endpoints; ep; ep = ep->next)
			if (ep->network == n)
				ep->network = NULL;
	network_event(e, n, "destroy", NULL);
	DL_DELETE(e->networks, n);
	e->networks_len--;
	network_free(n);
}

int sim_network_remove(struct sim_engine *e, const char *key, struct err *err)
{
	struct sim_network *n = sim_network_find(e, key);

	if (!n)
		return sim_fail(err, 404, "network %s not found", key);
	if (n->predefined)
		return sim_fail(
			err, 403, "%s is a pre-defined network and cannot be removed", n->name);
	if (n->endpoints)
		return sim_fail(err, 403,
			"error while removing network: network %s id %s has active endpoints",
			n->name, n->id);
	sim_network_drop(e, n);
	return 0;
}

/* ---- Endpoints ---- */

static struct sim_endpoint *endpoint_find(
	const struct sim_container *c, const struct sim_network *n)
{
	for (struct sim_endpoint *ep = c->endpoints; ep; ep = ep->next)
		if (ep->network == n || (!ep->network && str_eq(ep->name, n->name)))
			return ep;
	return NULL;
}

static void endpoint_add(struct sim_container *c, const char *name, const json_t *config)
{
	struct sim_endpoint *ep = xcalloc(1, sizeof(*ep));
	struct sim_endpoint **at = &c->endpoints;
	json_t *aliases = json_arr(config, "Aliases");

	ep->network = sim_network_find(c->engine, name);
	ep->name = xstrdup(ep->network ? ep->network->name : name);
	if (json_array_size(aliases))
		ep->aliases = json_dumps(aliases, JSON_COMPACT);
	/* Kept by name: that is the order in which they are listed and brought up. */
	while (*at && strcmp((*at)->name, ep->name) < 0)
		at = &(*at)->next;
	ep->next = *at;
	*at = ep;
}

int sim_endpoints_init(struct sim_container *c, const json_t *networking, struct err *err)
{
	const char *mode = c->spec->network_mode;
	json_t *configs = json_obj(networking, "EndpointsConfig");
	struct sim_network *main;
	bool has_main = false;
	const char *name;
	json_t *config;

	if (json_object_size(configs) > 1 && c->engine->options->api < 1044) {
		CLEANUP_BUF struct buf names = {0};

		buf_init(&names, 512);
		json_object_foreach (configs, name, config)
			buf_printf(&names, "%s%s", names.len ? ", " : "", name);
		return sim_fail(err, 400, "Container cannot be connected to network endpoints: %s",
			buf_str(&names));
	}
	if (str_has_prefix(mode, "container:"))
		return 0;
	if (str_eq(mode, "default"))
		mode = "bridge";
	main = sim_network_find(c->engine, mode);
	json_object_foreach (configs, name, config) {
		const char *real = str_eq(name, "default") ? "bridge" : name;

		has_main |=
			str_eq(real, mode) || (main && sim_network_find(c->engine, real) == main);
		endpoint_add(c, real, config);
	}
	if (!has_main)
		endpoint_add(c, mode, NULL);
	return 0;
}

/* The lowest host number that is free, from 2 on (1 is the gateway). 0 = none. */
static uint32_t host_take(struct sim_network *n)
{
	uint32_t last = (1u << (32 - n->bits)) - 2;

	for (uint32_t host = 2; host <= last; host++) {
		size_t byte = host / 8;

		if (byte >= n->in_use_len) {
			size_t len = n->in_use_len ? 2 * n->in_use_len : 8;

			n->in_use = xrealloc(n->in_use, len);
			memset(n->in_use + n->in_use_len, 0, len - n->in_use_len);
			n->in_use_len = len;
		}
		if (n->in_use[byte] == 0xff) {
			host |= 7;
			continue;
		}
		if (!(n->in_use[byte] & 1 << host % 8)) {
			n->in_use[byte] |= (uint8_t)(1 << host % 8);
			return host;
		}
	}
	return 0;
}

static void endpoint_release(struct sim_endpoint *ep)
{
	if (ep->host)
		ep->network->in_use[ep->host / 8] &= (uint8_t) ~(1 << ep->host % 8);
	if (ep->id)
		ep->network->endpoints--;
	ep->host = 0;
	ep->id = 0;
}

static int endpoint_connect(
	struct sim_container *c, struct sim_endpoint *ep, bool ports, struct err *err)
{
	char id[SIM_ID_LEN + 1];
	int status = 0;

	if (!ep->network)
		ep->network = sim_network_find(c->engine, ep->name);
	if (!ep->network)
		return sim_fail(err, 404, "network %s not found", ep->name);
	if (ep->network->base) {
		ep->host = host_take(ep->network);
		if (!ep->host)
			return sim_fail(err, 403,
				"no available IPv4 addresses on this network's address pools: %s "
				"(%s)",
				ep->network->name, ep->network->id);
	}
	ep->id = sim_random(c->engine) | 1;
	ep->known = true;
	ep->network->endpoints++;
	sim_hex(ep->id, id);
	if (ports && ep->network->base)
		status = sim_ports_allocate(c, id, err);
	if (status)
		endpoint_release(ep);
	network_event(c->engine, ep->network, status ? "disconnect" : "connect", c->id);
	return status;
}

int sim_endpoints_up(struct sim_container *c, struct err *err)
{
	bool ports = true;
	struct err ignored = ERR_INIT;
	int status;

	if (str_has_prefix(c->spec->network_mode, "container:")) {
		const char *key = c->spec->network_mode + strlen("container:");
		struct sim_container *other = sim_container_find(c->engine, key, &status, &ignored);

		if (!other)
			return sim_fail(err, 404, "No such container: %s", key);
		if (!sim_container_is_running(other))
			return sim_fail(err, 409,
				"cannot join network of a non running container: %s", other->id);
		return 0;
	}
	for (struct sim_endpoint *ep = c->endpoints; ep; ep = ep->next) {
		status = endpoint_connect(c, ep, ports, err);
		if (status) {
			sim_endpoints_down(c);
			return status;
		}
		ports = ports && !ep->network->base;
	}
	c->sandbox = c->endpoints ? sim_random(c->engine) | 1 : 0;
	return 0;
}

void sim_endpoints_down(struct sim_container *c)
{
	sim_ports_release(c);
	for (struct sim_endpoint *ep = c->endpoints; ep; ep = ep->next) {
		if (!ep->id)
			continue;
		endpoint_release(ep);
		network_event(c->engine, ep->network, "disconnect", c->id);
	}
}

static void endpoint_free(struct sim_endpoint *ep)
{
	free(ep->name);
	free(ep->aliases);
	free(ep);
}

void sim_endpoints_free(struct sim_container *c)
{
	struct sim_endpoint *ep;

	while ((ep = c->endpoints)) {
		c->endpoints = ep->next;
		endpoint_free(ep);
	}
}

int sim_network_connect(struct sim_engine *e, const char *key, const char *container,
	const json_t *config, struct err *err)
{
	struct sim_network *n = sim_network_find(e, key);
	struct sim_container *c;
	int status = 0;

	if (!n)
		return sim_fail(err, 404, "network %s not found", key);
	c = sim_container_find(e, container, &status, err);
	if (!c)
		return status;
	if (str_has_prefix(c->spec->network_mode, "container:") ||
		str_eq(c->spec->network_mode, "host") || str_eq(n->driver, "host"))
		return sim_fail(err, 403,
			"container sharing network namespace with another container or host cannot "
			"be "
			"connected to any other network");
	if (endpoint_find(c, n))
		return sim_fail(err, 403, "endpoint with name %s already exists in network %s",
			c->name, n->name);
	endpoint_add(c, n->id, config);
	if (!sim_container_is_running(c))
		return 0;
	return endpoint_connect(c, endpoint_find(c, n), false, err);
}

int sim_network_disconnect(
	struct sim_engine *e, const char *key, const char *container, bool force, struct err *err)
{
	struct sim_network *n = sim_network_find(e, key);
	struct sim_endpoint **at;
	struct sim_endpoint *ep;
	struct sim_container *c;
	int status = 0;

	(void)force;
	if (!n)
		return sim_fail(err, 404, "network %s not found", key);
	c = sim_container_find(e, container, &status, err);
	if (!c)
		return status;
	ep = endpoint_find(c, n);
	if (!ep)
		return sim_fail(
			err, 500, "container %s is not connected to network %s", c->id, n->name);
	if (str_eq(n->driver, "host"))
		return sim_fail(err, 403,
			"container cannot be disconnected from host network or connected to host "
			"network");
	if (ep->id) {
		endpoint_release(ep);
		network_event(e, n, "disconnect", c->id);
	}
	for (at = &c->endpoints; *at != ep; at = &(*at)->next)
		;
	*at = ep->next;
	endpoint_free(ep);
	return 0;
}

/* ---- Views ---- */

void sim_endpoint_address(const struct sim_endpoint *ep, struct sim_address *out)
{
	uint32_t ip;

	memset(out, 0, sizeof(*out));
	if (!ep->host)
		return;
	ip = ep->network->base + ep->host;
	ip_text(ip, out->ip);
	ip_text(ep->network->base + 1, out->gateway);
	snprintf(out->mac, sizeof(out->mac), "02:42:%02x:%02x:%02x:%02x", ip >> 24, ip >> 16 & 255,
		ip >> 8 & 255, ip & 255);
	out->bits = ep->network->bits;
}

static void write_aliases(
	struct buf *b, const struct sim_container *c, const struct sim_endpoint *ep)
{
	sim_json_key(b, "Aliases");
	if (!ep->known || !ep->network || ep->network->predefined) {
		buf_append_str(b, ep->aliases ? ep->aliases : "null");
		return;
	}
	/* On networks of users a container also answers to its short ID. */
	if (ep->aliases)
		buf_append(b, ep->aliases, strlen(ep->aliases) - 1);
	buf_printf(b, "%s\"%.12s\"]", ep->aliases ? "," : "[", c->id);
}

void sim_endpoints_write(struct buf *b, const struct sim_container *c)
{
	buf_append_char(b, '{');
	for (struct sim_endpoint *ep = c->endpoints; ep; ep = ep->next) {
		struct sim_address a;
		char id[SIM_ID_LEN + 1] = "";

		if (ep->id)
			sim_hex(ep->id, id);
		sim_endpoint_address(ep, &a);
		sim_json_key(b, ep->name);
		buf_append_str(b, "{\"IPAMConfig\":null,\"Links\":null");
		write_aliases(b, c, ep);
		buf_printf(b,
			",\"NetworkID\":\"%s\",\"EndpointID\":\"%s\",\"Gateway\":\"%s\","
			"\"IPAddress\":"
			"\"%s\",\"IPPrefixLen\":%u,\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\","
			"\"GlobalIPv6PrefixLen\":0,\"MacAddress\":\"%s\",\"DriverOpts\":null}",
			ep->known && ep->network ? ep->network->id : "", id, a.gateway, a.ip,
			a.bits, a.mac);
	}
	buf_append_char(b, '}');
}

static void write_ipam(struct buf *b, const struct sim_network *n)
{
	char subnet[16];
	char gateway[16];

	buf_append_str(b, ",\"IPAM\":{\"Driver\":\"default\",\"Options\":null,\"Config\":");
	if (n->ipam) {
		buf_append_str(b, n->ipam);
	} else if (n->base) {
		ip_text(n->base, subnet);
		ip_text(n->base + 1, gateway);
		buf_printf(b, "[{\"Subnet\":\"%s/%u\",\"Gateway\":\"%s\"}]", subnet,
			(unsigned)n->bits, gateway);
	} else {
		buf_append_str(b, "[]");
	}
	buf_append_char(b, '}');
}

static void write_members(struct buf *b, const struct sim_engine *e, const struct sim_network *n)
{
	struct sim_container *c;

	DL_FOREACH (e->containers, c) {
		struct sim_endpoint *ep = endpoint_find(c, n);
		struct sim_address a;
		char id[SIM_ID_LEN + 1];

		if (!ep || !ep->id)
			continue;
		sim_hex(ep->id, id);
		sim_endpoint_address(ep, &a);
		sim_json_key(b, c->id);
		buf_append_char(b, '{');
		sim_json_s(b, "Name", c->name);
		buf_printf(b, ",\"EndpointID\":\"%s\",\"MacAddress\":\"%s\",\"IPv4Address\":\"%s",
			id, a.mac, a.ip);
		if (a.bits)
			buf_printf(b, "/%u", a.bits);
		buf_append_str(b, "\",\"IPv6Address\":\"\"}");
	}
}

void sim_network_write(struct buf *b, const struct sim_engine *e, const struct sim_network *n,
	bool with_containers)
{
	buf_append_char(b, '{');
	sim_json_s(b, "Name", n->name);
	sim_json_s(b, "Id", n->id);
	sim_json_time(b, "Created", n->created_ns);
	sim_json_s(b, "Scope", "local");
	sim_json_s(b, "Driver", n->driver);
	sim_json_b(b, "EnableIPv6", n->ipv6);
	write_ipam(b, n);
	sim_json_b(b, "Internal", n->internal);
	sim_json_b(b, "Attachable", n->attachable);
	buf_append_str(b,
		",\"Ingress\":false,\"ConfigFrom\":{\"Network\":\"\"},\"ConfigOnly\":false,"
		"\"Containers\":{");
	if (with_containers)
		write_members(b, e, n);
	buf_append_char(b, '}');
	sim_json_raw(b, "Options", n->options ? n->options : "{}");
	sim_json_raw(b, "Labels", n->labels ? n->labels : "{}");
	buf_append_char(b, '}');
}
