/* Published ports: what requests ask for, and what is taken on one engine. */
#include "simulator/simulator_priv.h"

#include <stdio.h>
#include <string.h>

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST 60999

static int host_port_cmp(const struct sim_host_port *a, const struct sim_host_port *b)
{
	int d = strcmp(a->proto, b->proto);

	if (!d)
		d = (a->port > b->port) - (a->port < b->port);
	return d ? d : strcmp(a->ip, b->ip);
}

RB_PROTOTYPE(sim_host_ports, sim_host_port, entry, )
RB_GENERATE(sim_host_ports, sim_host_port, entry, host_port_cmp)

/* ---- Requests ---- */

static int port_number(const char *text, uint16_t *out, struct err *err)
{
	long long n;

	if (str_to_int(text, 0, 65535, &n, "port", NULL))
		return sim_fail(err, 400, "invalid port specification: \"%s\"", text);
	*out = (uint16_t)n;
	return 0;
}

/* "80/tcp", "80". */
static int port_key(const char *key, struct sim_port_spec *out, struct err *err)
{
	CLEANUP_FREE char *number = xstrndup(key, strcspn(key, "/"));
	const char *slash = strchr(key, '/');

	snprintf(out->proto, sizeof(out->proto), "%s", slash && slash[1] ? slash + 1 : "tcp");
	for (char *p = out->proto; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return port_number(number, &out->port, err);
}

static int port_binding(struct sim_port_spec *p, const json_t *binding, struct err *err)
{
	const char *ip = json_str(binding, "HostIp", "");
	const char *text = json_str(binding, "HostPort", "");
	const char *dash = strchr(text, '-');
	CLEANUP_FREE char *first = xstrndup(text, dash ? (size_t)(dash - text) : strlen(text));

	p->bound = true;
	p->host_ip = *ip ? xstrdup(ip) : NULL;
	p->ephemeral = !*text;
	if (p->ephemeral)
		return 0;
	if (port_number(first, &p->host_first, NULL) ||
		(dash && port_number(dash + 1, &p->host_last, NULL)) ||
		(dash && p->host_last < p->host_first))
		return sim_fail(err, 400, "invalid port specification: \"%s\"", text);
	if (!dash)
		p->host_last = p->host_first;
	p->ephemeral = !p->host_first;
	return 0;
}

static struct sim_port_spec *port_add(struct sim_spec *spec, const struct sim_port_spec *from)
{
	struct sim_port_spec *p;

	spec->ports = xreallocarray(spec->ports, spec->ports_len + 1, sizeof(*spec->ports));
	p = &spec->ports[spec->ports_len++];
	*p = *from;
	p->host_ip = NULL;
	return p;
}

static bool port_is_exposed(const json_t *exposed, const struct sim_port_spec *port)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)exposed, key, value) {
		struct sim_port_spec other = {0};

		if (!port_key(key, &other, NULL) && other.port == port->port &&
			str_eq(other.proto, port->proto))
			return true;
	}
	return false;
}

static int port_spec_cmp(const void *left, const void *right)
{
	const struct sim_port_spec *a = left;
	const struct sim_port_spec *b = right;

	return a->port != b->port ? (int)a->port - (int)b->port : strcmp(a->proto, b->proto);
}

int sim_ports_parse(
	struct sim_spec *spec, const json_t *exposed, const json_t *bindings, struct err *err)
{
	struct sim_port_spec port;
	const char *key;
	json_t *value;
	json_t *item;
	size_t i;
	int status;

	json_object_foreach ((json_t *)bindings, key, value) {
		bool published;

		memset(&port, 0, sizeof(port));
		status = port_key(key, &port, err);
		if (status)
			return status;
		/* A binding of a port that is not exposed is kept and has no effect. */
		published = port_is_exposed(exposed, &port);
		json_array_foreach (value, i, item) {
			struct sim_port_spec check = port;

			status =
				port_binding(published ? port_add(spec, &port) : &check, item, err);
			if (!published)
				free(check.host_ip);
			if (status)
				return status;
		}
		if (published && !json_array_size(value))
			port_add(spec, &port);
	}
	json_object_foreach ((json_t *)exposed, key, value) {
		bool known = false;

		memset(&port, 0, sizeof(port));
		if (port_key(key, &port, NULL))
			continue;
		for (i = 0; i < spec->ports_len; i++)
			known |= spec->ports[i].port == port.port &&
				 str_eq(spec->ports[i].proto, port.proto);
		if (!known)
			port_add(spec, &port);
	}
	if (spec->ports_len)
		qsort(spec->ports, spec->ports_len, sizeof(*spec->ports), port_spec_cmp);
	return 0;
}

/* ---- Allocation ---- */

/* 0 = free, 1 = taken on the same address, 2 = taken on an overlapping one. */
static int port_taken(struct sim_engine *e, const char *proto, uint16_t port, const char *ip)
{
	struct sim_host_port key = {.port = port};
	struct sim_host_port *found;

	snprintf(key.proto, sizeof(key.proto), "%s", proto);
	found = RB_NFIND(sim_host_ports, &e->host_ports, &key);
	for (; found && found->port == port && str_eq(found->proto, proto);
		found = RB_NEXT(sim_host_ports, &e->host_ports, found)) {
		if (str_eq(found->ip, ip))
			return 1;
		if (!*ip || !*found->ip)
			return 2;
	}
	return 0;
}

static bool port_ephemeral(struct sim_engine *e, const char *proto, const char *ip, uint16_t *out)
{
	uint16_t *next = str_eq(proto, "udp") ? &e->next_udp : &e->next_tcp;

	for (unsigned i = 0; i <= EPHEMERAL_LAST - EPHEMERAL_FIRST; i++) {
		uint16_t port = *next < EPHEMERAL_FIRST ? EPHEMERAL_FIRST : *next;

		*next = port == EPHEMERAL_LAST ? EPHEMERAL_FIRST : (uint16_t)(port + 1);
		if (!port_taken(e, proto, port, ip)) {
			*out = port;
			return true;
		}
	}
	return false;
}

static void port_take(
	struct sim_container *c, const struct sim_port_spec *spec, const char *ip, uint16_t port)
{
	struct sim_host_port *taken = xcalloc(1, sizeof(*taken));
	struct sim_port *p;

	taken->port = port;
	snprintf(taken->proto, sizeof(taken->proto), "%s", spec->proto);
	snprintf(taken->ip, sizeof(taken->ip), "%s", ip);
	RB_INSERT(sim_host_ports, &c->engine->host_ports, taken);
	c->ports = xreallocarray(c->ports, c->ports_len + 1, sizeof(*c->ports));
	p = &c->ports[c->ports_len++];
	memset(p, 0, sizeof(*p));
	p->port = spec->port;
	p->host_port = port;
	p->any = !spec->host_ip;
	snprintf(p->proto, sizeof(p->proto), "%s", spec->proto);
	snprintf(p->host_ip, sizeof(p->host_ip), "%s", spec->host_ip ? spec->host_ip : "0.0.0.0");
}

static int port_allocate(struct sim_container *c, const struct sim_port_spec *spec,
	const char *endpoint, struct err *err)
{
	const char *ip = spec->host_ip ? spec->host_ip : "";
	const char *shown = *ip ? ip : "0.0.0.0";
	uint16_t port = spec->host_first;
	int taken = 1;

	if (str_eq(ip, "0.0.0.0") || str_eq(ip, "::"))
		ip = "";
	if (spec->ephemeral || !spec->bound) {
		if (!port_ephemeral(c->engine, spec->proto, ip, &port))
			return sim_fail(err, 500,
				"driver failed programming external connectivity on endpoint %s "
				"(%s): "
				"all ports are allocated",
				c->name, endpoint);
		port_take(c, spec, ip, port);
		return 0;
	}
	for (unsigned p = spec->host_first; taken && p <= spec->host_last; p++) {
		port = (uint16_t)p;
		taken = port_taken(c->engine, spec->proto, port, ip);
	}
	if (taken == 1)
		return sim_fail(err, 500,
			"driver failed programming external connectivity on endpoint %s (%s): Bind "
			"for %s:%u failed: port is already allocated",
			c->name, endpoint, shown, (unsigned)port);
	if (taken)
		return sim_fail(err, 500,
			"driver failed programming external connectivity on endpoint %s (%s): "
			"Error "
			"starting userland proxy: listen %s4 %s:%u: bind: address already in use",
			c->name, endpoint, spec->proto, shown, (unsigned)port);
	port_take(c, spec, ip, port);
	return 0;
}

int sim_ports_allocate(struct sim_container *c, const char *endpoint, struct err *err)
{
	for (size_t i = 0; i < c->spec->ports_len; i++) {
		const struct sim_port_spec *spec = &c->spec->ports[i];
		int status = 0;

		if (spec->bound || c->spec->publish_all)
			status = port_allocate(c, spec, endpoint, err);
		if (status) {
			sim_ports_release(c);
			return status;
		}
	}
	return 0;
}

void sim_ports_release(struct sim_container *c)
{
	for (size_t i = 0; i < c->ports_len; i++) {
		struct sim_port *p = &c->ports[i];
		struct sim_host_port key = {.port = p->host_port};
		struct sim_host_port *taken;
		bool any = p->any || str_eq(p->host_ip, "0.0.0.0") || str_eq(p->host_ip, "::");

		snprintf(key.proto, sizeof(key.proto), "%s", p->proto);
		snprintf(key.ip, sizeof(key.ip), "%s", any ? "" : p->host_ip);
		taken = RB_FIND(sim_host_ports, &c->engine->host_ports, &key);
		if (taken) {
			RB_REMOVE(sim_host_ports, &c->engine->host_ports, taken);
			free(taken);
		}
	}
	free(TAKE_PTR(c->ports));
	c->ports_len = 0;
}

void sim_ports_free(struct sim_engine *e)
{
	struct sim_host_port *p;

	while ((p = RB_ROOT(&e->host_ports))) {
		RB_REMOVE(sim_host_ports, &e->host_ports, p);
		free(p);
	}
}

/* ---- Views ---- */

static bool same_port(const struct sim_port *p, const struct sim_port_spec *spec)
{
	return p->port == spec->port && str_eq(p->proto, spec->proto);
}

static void map_binding(struct buf *b, const char *ip, uint16_t port)
{
	sim_json_item(b);
	buf_printf(b, "{\"HostIp\":\"%s\",\"HostPort\":\"%u\"}", ip, (unsigned)port);
}

void sim_ports_write_map(struct buf *b, const struct sim_container *c)
{
	const struct sim_spec *s = c->spec;

	buf_append_char(b, '{');
	for (size_t i = 0; i < s->ports_len; i++) {
		char key[24];
		bool found = false;

		if (i && s->ports[i].port == s->ports[i - 1].port &&
			str_eq(s->ports[i].proto, s->ports[i - 1].proto))
			continue;
		snprintf(key, sizeof(key), "%u/%s", (unsigned)s->ports[i].port, s->ports[i].proto);
		sim_json_key(b, key);
		for (size_t k = 0; k < c->ports_len; k++) {
			const struct sim_port *p = &c->ports[k];

			if (!same_port(p, &s->ports[i]))
				continue;
			if (!found)
				buf_append_char(b, '[');
			found = true;
			map_binding(b, p->host_ip, p->host_port);
			if (p->any)
				map_binding(b, "::", p->host_port);
		}
		buf_append_str(b, found ? "]" : "null");
	}
	buf_append_char(b, '}');
}

static void list_binding(struct buf *b, const struct sim_port *p, const char *ip)
{
	sim_json_item(b);
	buf_append_char(b, '{');
	sim_json_s(b, "IP", ip);
	buf_printf(b, ",\"PrivatePort\":%u,\"PublicPort\":%u,\"Type\":\"%s\"}", (unsigned)p->port,
		(unsigned)p->host_port, p->proto);
}

void sim_ports_write_list(struct buf *b, const struct sim_container *c)
{
	const struct sim_spec *s = c->spec;

	buf_append_char(b, '[');
	for (size_t i = 0; i < s->ports_len && sim_container_is_running(c); i++) {
		bool found = false;

		if (i && s->ports[i].port == s->ports[i - 1].port &&
			str_eq(s->ports[i].proto, s->ports[i - 1].proto))
			continue;
		for (size_t k = 0; k < c->ports_len; k++) {
			const struct sim_port *p = &c->ports[k];

			if (!same_port(p, &s->ports[i]))
				continue;
			found = true;
			list_binding(b, p, p->host_ip);
			if (p->any)
				list_binding(b, p, "::");
		}
		if (found)
			continue;
		sim_json_item(b);
		buf_printf(b, "{\"PrivatePort\":%u,\"Type\":\"%s\"}", (unsigned)s->ports[i].port,
			s->ports[i].proto);
	}
	buf_append_char(b, ']');
}
