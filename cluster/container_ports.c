/* A container's ports: what it asked for and what it has, on its host and inside. */
#include "cluster/record.h"

#include "lib/json_read.h"
#include "lib/mem.h"

#include <limits.h>
#include <string.h>

static bool port_number(const char *text, size_t len, uint16_t *port)
{
	unsigned value = 0;

	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned)(text[i] - '0');
	}
	*port = (uint16_t)value;
	return value >= 1 && value <= UINT16_MAX;
}

static const char *protocol_of(const char *text)
{
	static const char *const known[] = {"tcp", "udp", "sctp"};

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (str_ieq(text, known[i]))
			return known[i];
	}
	return NULL;
}

bool port_parse(const char *text, uint16_t *port, const char **protocol)
{
	const char *slash = strchr(text, '/');

	*protocol = slash ? protocol_of(slash + 1) : "tcp";
	return *protocol && port_number(text, slash ? (size_t)(slash - text) : strlen(text), port);
}

static bool is_any_ip(const char *ip)
{
	return !ip[0] || strcmp(ip, "0.0.0.0") == 0 || strcmp(ip, "::") == 0;
}

struct port_list {
	struct view_port *items;
	size_t len, cap;
};

static void port_add(struct port_list *list, const char *ip, uint16_t port, const char *protocol)
{
	if (list->len == INVENTORY_PORTS_MAX || strlen(ip) > INVENTORY_NAME_MAX)
		return;
	if (list->len == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 8;
		list->items = xreallocarray(list->items, list->cap, sizeof(*list->items));
	}
	list->items[list->len++] = (struct view_port){
		.ip = is_any_ip(ip) ? "" : ip, .port = port, .protocol = protocol};
}

static int port_cmp(const void *left, const void *right)
{
	const struct view_port *a = left, *b = right;
	int cmp;

	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	cmp = strcmp(a->protocol, b->protocol);
	return cmp ? cmp : strcmp(a->ip, b->ip);
}

static void ports_unique(struct port_list *list)
{
	size_t kept = 0;

	if (list->len == 0)
		return;
	qsort(list->items, list->len, sizeof(*list->items), port_cmp);
	for (size_t i = 1; i < list->len; i++) {
		if (port_cmp(&list->items[kept], &list->items[i]) != 0)
			list->items[++kept] = list->items[i];
	}
	list->len = kept + 1;
}

/* {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "443/tcp": null}. A range of host ports is a
 * choice that the engine has not made, so it takes none. */
static void bindings_add(struct port_list *list, struct json_ref map)
{
	for (struct json_walk all = json_walk(map); json_walk_next(&all);) {
		const char *protocol;
		uint16_t inside, port;

		if (!port_parse(all.key, &inside, &protocol) ||
			json_ref_kind(all.value) != JSON_KIND_ARRAY)
			continue;
		for (struct json_walk w = json_walk(all.value); json_walk_next(&w);) {
			const char *text = json_ref_str(w.value, "HostPort", "");

			if (port_number(text, strlen(text), &port))
				port_add(list, json_ref_str(w.value, "HostIp", ""), port, protocol);
		}
	}
}

/* "80/tcp" of one side of a list entry's port. */
static void side_add(struct str_list *list, int64_t port, const char *protocol)
{
	char text[16];

	if (port < 1 || port > UINT16_MAX || list->len >= INVENTORY_PORTS_MAX)
		return;
	snprintf(text, sizeof(text), "%u/%s", (unsigned)port, protocol);
	str_list_add_take(list, xstrdup(text));
}

static void list_unique(struct str_list *list)
{
	size_t kept = 0;

	if (list->len == 0)
		return;
	str_list_sort(list);
	for (size_t i = 1; i < list->len; i++) {
		if (strcmp(list->items[kept], list->items[i]) == 0)
			free(list->items[i]);
		else
			list->items[++kept] = list->items[i];
	}
	list->len = kept + 1;
}

/* From the list entry's [{"IP", "PrivatePort", "PublicPort", "Type"}], as the engine's own filters
 * of its list do. */
static void entry_ports(struct record_draft *draft, struct port_list *ports, struct json_ref entry)
{
	for (struct json_walk w = json_walk(json_ref_arr(entry, "Ports")); json_walk_next(&w);) {
		const char *protocol = protocol_of(json_ref_str(w.value, "Type", "tcp"));
		int64_t public = json_ref_int(w.value, "PublicPort", 0);

		if (!protocol)
			continue;
		side_add(&draft->published, public, protocol);
		side_add(
			&draft->container_ports, json_ref_int(w.value, "PrivatePort", 0), protocol);
		if (public >= 1 && public <= UINT16_MAX)
			port_add(ports, json_ref_str(w.value, "IP", ""), (uint16_t) public,
				protocol);
	}
	list_unique(&draft->published);
	list_unique(&draft->container_ports);
}

void draft_ports(struct record_draft *draft, struct json_ref entry, const struct inspection *told)
{
	struct port_list ports = {.items = NULL}, exposed = {.items = NULL};
	struct json_ref inside = json_ref_obj(told->config, "ExposedPorts");

	entry_ports(draft, &ports, entry);
	bindings_add(&ports, json_ref_obj(told->host, "PortBindings"));
	bindings_add(&ports, json_ref_obj(told->settings, "Ports"));
	ports_unique(&ports);
	for (struct json_walk w = json_walk(inside); json_walk_next(&w);) {
		const char *protocol;
		uint16_t port;

		if (port_parse(w.key, &port, &protocol))
			port_add(&exposed, "", port, protocol);
	}
	ports_unique(&exposed);
	draft->ports = ports.items;
	draft->ports_len = ports.len;
	draft->exposed = exposed.items;
	draft->exposed_len = exposed.len;
}
