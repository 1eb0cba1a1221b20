/* Fields of a create request that placement depends on. */
#include "filters/text.h"
#include "lib/json.h"
#include "scheduler/create_priv.h"

#include <arpa/inet.h>
#include <string.h>

int create_field_texts(const json_t *object, const char *where, const char *key,
	struct str_list *out, struct err *err)
{
	json_t *list;
	json_t *item;
	size_t i;

	if (body_field_get(object, where, key, JSON_ARRAY, &list, err) < 0)
		return -1;
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return err_set(
				err, ERR_INVALID, "%s%s must be a list of strings", where, key);
		if (i == CREATE_DEPENDENCIES_MAX)
			return err_set(err, ERR_INVALID, "%s%s has more than %d entries", where,
				key, CREATE_DEPENDENCIES_MAX);
		str_list_add(out, json_string_value(item));
	}
	return 0;
}

/* Counted before anything is done with them. */
static const struct {
	const char *in; /* NULL = the request itself */
	const char *key;
	size_t max;
} counts[] = {
	{NULL, "Env", CREATE_ENV_MAX},
	{NULL, "ExposedPorts", CREATE_PORTS_MAX},
	{NULL, "Labels", CREATE_LABELS_MAX},
	{"HostConfig", "Binds", CREATE_MOUNTS_MAX},
	{"HostConfig", "Links", CREATE_DEPENDENCIES_MAX},
	{"HostConfig", "Mounts", CREATE_MOUNTS_MAX},
	{"HostConfig", "PortBindings", CREATE_PORTS_MAX},
	{"HostConfig", "VolumesFrom", CREATE_DEPENDENCIES_MAX},
	{"NetworkingConfig", "EndpointsConfig", CREATE_PLACES_MAX},
};

static int counts_check(const json_t *body, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		const char *in = counts[i].in;
		const json_t *value =
			json_get(in == NULL ? body : json_get(body, in), counts[i].key);

		if (json_array_size(value) > counts[i].max ||
			json_object_size(value) > counts[i].max)
			return err_set(err, ERR_INVALID, "%s%s%s has more than %zu entries",
				in == NULL ? "" : in, in == NULL ? "" : ".", counts[i].key,
				counts[i].max);
	}
	return 0;
}

/* 1 to 65535 in decimal digits, up to `end`. */
static bool port_number(const char *text, const char *end, uint16_t *out)
{
	unsigned value = 0;

	if (text == end || end - text > 5)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	*out = (uint16_t)value;
	return value <= UINT16_MAX;
}

/* One port or a range of them; first == last for one. */
static bool port_range(const char *text, const char *end, uint16_t *first, uint16_t *last)
{
	const char *dash = memchr(text, '-', (size_t)(end - text));

	if (dash == NULL) {
		if (!port_number(text, end, first))
			return false;
		*last = *first;
		return true;
	}
	return port_number(text, dash, first) && port_number(dash + 1, end, last) &&
	       *first <= *last;
}

/* "80", "80/tcp", "8000-8010/udp": a port of the container. */
static int container_port(const char *field, const char *key, uint16_t *first, uint16_t *last,
	const char **protocol, struct err *err)
{
	static const char *const protocols[] = {"tcp", "udp", "sctp"};
	size_t len = strcspn(key, "/");
	const char *name = key[len] == '/' ? key + len + 1 : "tcp";
	struct text_clip clip;

	*protocol = NULL;
	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		if (str_ieq(name, protocols[i]))
			*protocol = protocols[i];
	}
	if (*protocol != NULL && port_range(key, key + len, first, last) && *first > 0)
		return 0;
	return err_set(err, ERR_INVALID,
		"%s: '%s' is no port: 1 to 65535 and '/tcp', '/udp' or '/sctp' are expected", field,
		text_clip(&clip, key));
}

static int port_add(struct view_port **ports, size_t *len, struct view_port port, const char *field,
	struct err *err)
{
	if (*len == CREATE_PORTS_MAX)
		return err_set(
			err, ERR_INVALID, "%s has more than %d ports", field, CREATE_PORTS_MAX);
	/* At powers of two: no copy for each. */
	if ((*len & (*len - 1)) == 0)
		*ports = xreallocarray(*ports, *len == 0 ? 1 : *len * 2, sizeof(**ports));
	(*ports)[(*len)++] = port;
	return 0;
}

/* As engines write it, so that equal addresses are equal texts. "" = all addresses. */
static const char *host_address(struct create_request *request, const char *text)
{
	struct in6_addr address;
	char canonical[INET6_ADDRSTRLEN];

	if (strchr(text, ':') != NULL && inet_pton(AF_INET6, text, &address) == 1 &&
		inet_ntop(AF_INET6, &address, canonical, sizeof(canonical)) != NULL)
		text = canonical;
	if (text[0] == '\0' || str_eq(text, "0.0.0.0") || str_eq(text, "::"))
		return "";
	str_list_add(&request->ips, text);
	return request->ips.items[request->ips.len - 1];
}

static int read_binding(struct create_request *request, const json_t *binding, const char *protocol,
	struct err *err)
{
	static const char where[] = "HostConfig.PortBindings.";
	uint16_t first;
	uint16_t last;
	json_t *ip;
	json_t *port;
	struct text_clip clip;
	const char *text;

	if (!json_is_object(binding))
		return err_set(
			err, ERR_INVALID, "HostConfig.PortBindings must hold lists of objects");
	if (body_object_check(binding, "HostConfig.PortBindings", err) < 0 ||
		body_field_get(binding, where, "HostIp", JSON_STRING, &ip, err) < 0 ||
		body_field_get(binding, where, "HostPort", JSON_STRING, &port, err) < 0)
		return -1;
	text = port == NULL ? "" : json_string_value(port);
	if (text[0] == '\0')
		return 0;
	if (!port_range(text, text + strlen(text), &first, &last))
		return err_set(err, ERR_INVALID,
			"HostConfig.PortBindings: '%s' is no host port: 1 to 65535 is expected",
			text_clip(&clip, text));
	/* The engine chooses: any port for 0, one of them for a range. */
	if (first == 0 || first != last)
		return 0;
	return port_add(&request->ports, &request->placement.want.ports_len,
		(struct view_port){
			.ip = host_address(request, ip == NULL ? "" : json_string_value(ip)),
			.port = first,
			.protocol = protocol,
		},
		"HostConfig.PortBindings", err);
}

static int read_bindings(struct create_request *request, const json_t *host, struct err *err)
{
	json_t *bindings;
	const char *key;
	json_t *list;
	size_t count = 0;

	if (body_field_get(host, "HostConfig.", "PortBindings", JSON_OBJECT, &bindings, err) < 0)
		return -1;
	json_object_foreach (bindings, key, list) {
		uint16_t first, last;
		const char *protocol;
		json_t *binding;
		size_t i;

		if (container_port("HostConfig.PortBindings", key, &first, &last, &protocol, err) <
			0)
			return -1;
		if (!json_is_array(list) && !json_is_null(list))
			return err_set(err, ERR_INVALID,
				"HostConfig.PortBindings must hold lists of objects");
		count += json_array_size(list);
		if (count > CREATE_PORTS_MAX)
			return err_set(err, ERR_INVALID,
				"HostConfig.PortBindings has more than %d ports", CREATE_PORTS_MAX);
		json_array_foreach (list, i, binding) {
			if (read_binding(request, binding, protocol, err) < 0)
				return -1;
		}
	}
	return 0;
}

static int read_exposed(struct create_request *request, struct err *err)
{
	json_t *exposed;
	const char *key;
	json_t *value;

	if (body_field_get(request->body, "", "ExposedPorts", JSON_OBJECT, &exposed, err) < 0)
		return -1;
	json_object_foreach (exposed, key, value) {
		uint16_t first, last;
		const char *protocol;

		if (container_port("ExposedPorts", key, &first, &last, &protocol, err) < 0)
			return -1;
		for (unsigned port = first; port <= last; port++) {
			if (port_add(&request->exposed, &request->placement.want.exposed_len,
				    (struct view_port){
					    .ip = "", .port = (uint16_t)port, .protocol = protocol},
				    "ExposedPorts", err) < 0)
				return -1;
		}
	}
	return 0;
}

static int read_number(const json_t *host, const char *key, int64_t *out, struct err *err)
{
	json_t *value;

	if (body_field_get(host, "HostConfig.", key, JSON_INTEGER, &value, err) < 0)
		return -1;
	*out = value == NULL ? 0 : json_integer_value(value);
	return 0;
}

/* More CPUs than any node has are none. */
static bool is_weight(const struct create_request *request)
{
	switch (request->shares) {
	case CREATE_SHARES_COUNT:
		return false;
	case CREATE_SHARES_WEIGHT:
		return true;
	case CREATE_SHARES_AUTO:
		break;
	}
	return request->cpus_max > 0 && request->cpu_shares > request->cpus_max;
}

/* What is reserved: --cpus, else the number of CPUs in CpuShares; the memory limit, else the memory
 * reservation. Negative numbers are left for the engine to refuse. */
static int read_resources(struct create_request *request, const json_t *host, struct err *err)
{
	struct container_view *want = &request->placement.want;
	int64_t cpus;
	int64_t memory;
	int64_t reservation;

	if (read_number(host, "NanoCpus", &cpus, err) < 0 ||
		read_number(host, "CpuShares", &request->cpu_shares, err) < 0 ||
		read_number(host, "Memory", &memory, err) < 0 ||
		read_number(host, "MemoryReservation", &reservation, err) < 0)
		return -1;
	if (request->cpu_shares < 0)
		return err_set(err, ERR_INVALID, "HostConfig.CpuShares must not be negative");
	request->has_weight = request->cpu_shares > 0 && is_weight(request);
	if (request->has_weight)
		request->cpu_shares = 0;
	want->nano_cpus = cpus > 0 ? cpus : 0;
	if (want->nano_cpus == 0 &&
		__builtin_mul_overflow(request->cpu_shares, INT64_C(1000000000), &want->nano_cpus))
		want->nano_cpus = INT64_MAX;
	want->memory = memory > 0 ? memory : reservation > 0 ? reservation : 0;
	return 0;
}

static int read_dependencies(struct create_request *request, const json_t *host, struct err *err)
{
	if (create_field_texts(host, "HostConfig.", "VolumesFrom", &request->volumes_from, err) <
			0 ||
		create_field_texts(host, "HostConfig.", "Links", &request->links, err) < 0)
		return -1;
	for (size_t i = 0; i < request->volumes_from.len; i++) {
		char *item = request->volumes_from.items[i];

		item[strcspn(item, ":")] = '\0';
	}
	return 0;
}

int create_read_fields(struct create_request *request, struct err *err)
{
	json_t *host;

	if (body_object_check(request->body, "the request", err) < 0 ||
		create_move_host_fields(request->body, err) < 0 ||
		counts_check(request->body, err) < 0 ||
		body_field_get(request->body, "", "HostConfig", JSON_OBJECT, &host, err) < 0 ||
		body_object_check(host, "HostConfig", err) < 0 ||
		read_bindings(request, host, err) < 0 || read_exposed(request, err) < 0 ||
		read_resources(request, host, err) < 0 || read_dependencies(request, host, err) < 0)
		return -1;
	return create_read_places(request, host, err);
}
