/* A container's list entry as text that only needs its changing fields put behind it. */
#include "cluster/record.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <string.h>

static const struct field endpoint_fields[] = {
	{"IPAMConfig", FIELD_OBJECT, NULL},
	{"Links", FIELD_TEXTS, NULL},
	{"Aliases", FIELD_TEXTS, NULL},
	{"DNSNames", FIELD_TEXTS, NULL},
	{"NetworkID", FIELD_TEXT, NULL},
	{"EndpointID", FIELD_TEXT, NULL},
	{"Gateway", FIELD_TEXT, NULL},
	{"IPAddress", FIELD_TEXT, NULL},
	{"IPPrefixLen", FIELD_INT, NULL},
	{"IPv6Gateway", FIELD_TEXT, NULL},
	{"GlobalIPv6Address", FIELD_TEXT, NULL},
	{"GlobalIPv6PrefixLen", FIELD_INT, NULL},
	{"MacAddress", FIELD_TEXT, NULL},
	{"GwPriority", FIELD_INT, NULL},
	{"DriverOpts", FIELD_TEXT_MAP, NULL},
	{NULL, FIELD_TEXT, NULL},
};
static const struct field network_fields[] = {
	{"Networks", FIELD_OBJECT_MAP, endpoint_fields},
	{NULL, FIELD_TEXT, NULL},
};
static const struct field host_fields[] = {
	{"NetworkMode", FIELD_TEXT, NULL},
	{"Annotations", FIELD_TEXT_MAP, NULL},
	{NULL, FIELD_TEXT, NULL},
};
static const struct field mount_fields[] = {
	{"Type", FIELD_TEXT, NULL},
	{"Name", FIELD_TEXT, NULL},
	{"Source", FIELD_TEXT, NULL},
	{"Destination", FIELD_TEXT, NULL},
	{"Driver", FIELD_TEXT, NULL},
	{"Mode", FIELD_TEXT, NULL},
	{"RW", FIELD_BOOL, NULL},
	{"Propagation", FIELD_TEXT, NULL},
	{NULL, FIELD_TEXT, NULL},
};
static const struct field entry_fields[] = {
	{"Id", FIELD_TEXT, NULL},
	{"Image", FIELD_TEXT, NULL},
	{"ImageID", FIELD_TEXT, NULL},
	{"ImageManifestDescriptor", FIELD_OBJECT, NULL},
	{"Command", FIELD_TEXT, NULL},
	{"Created", FIELD_INT, NULL},
	{"SizeRw", FIELD_INT, NULL},
	{"SizeRootFs", FIELD_INT, NULL},
	{"Labels", FIELD_TEXT_MAP, NULL},
	{"HostConfig", FIELD_OBJECT, host_fields},
	{"NetworkSettings", FIELD_OBJECT, network_fields},
	{"Mounts", FIELD_ARRAY, mount_fields},
	{NULL, FIELD_TEXT, NULL},
};
static const struct field port_fields[] = {
	{"IP", FIELD_TEXT, NULL},
	{"PrivatePort", FIELD_INT, NULL},
	{"PublicPort", FIELD_INT, NULL},
	{"Type", FIELD_TEXT, NULL},
	{NULL, FIELD_TEXT, NULL},
};

/* Fields that change on their own, or differ between one list and the next. */
static bool is_left_out(const char *key)
{
	static const char *const names[] = {"Status", "State", "Names", "Ports"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_ieq(key, names[i]))
			return true;
	}
	return false;
}

static char *summary_text(const json_t *entry, const char *id, size_t *len)
{
	CLEANUP_JSON json_t *object = json_object();
	/* The rule: then nothing needs to be copied to be changed. */
	bool is_sound = fields_fit(entry, entry_fields);
	const char *key;
	json_t *value;
	char *text;

	json_object_set_new(object, "Id", json_string(id));
	json_object_foreach ((json_t *)(uintptr_t)entry, key, value) {
		if (!is_left_out(key) && !str_ieq(key, "Id"))
			json_object_set_new(
				object, key, is_sound ? json_incref(value) : json_deep_copy(value));
	}
	if (!is_sound)
		fields_clean(object, entry_fields);
	text = json_text(object, len);
	text[--*len] = '\0'; /* the closing brace */
	return text;
}

/* What remains of an entry that is too long to be kept in memory for every list. */
static char *summary_short(const json_t *entry, const char *id)
{
	CLEANUP_JSON json_t *object = json_object();
	static const char *const kept[] = {"Image", "ImageID", "Created"};
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		json_t *value = json_get(entry, kept[i]);

		if (json_is_integer(value) ||
			(json_is_string(value) && json_string_length(value) < INVENTORY_TEXT_MAX))
			json_object_set(object, kept[i], value);
	}
	return summary_text(object, id, &len);
}

static bool port_is_sound(const json_t *port)
{
	int64_t private = json_int(port, "PrivatePort", 0);
	int64_t public = json_int(port, "PublicPort", 0);

	return fields_fit(port, port_fields) && private >= 0 && private <= UINT16_MAX &&
	       public >= 0 && public <= UINT16_MAX;
}

static bool has_equal(const json_t *array, const json_t *item)
{
	size_t len = json_array_size(array);

	/* The two that become one, of IPv4 and IPv6, stand close together. */
	for (size_t i = len > 8 ? len - 8 : 0; i < len; i++) {
		if (json_equal(json_array_get(array, i), item))
			return true;
	}
	return false;
}

static char *ports_text(const json_t *entry, const char *ip)
{
	CLEANUP_JSON json_t *ports = json_array();
	const json_t *port;
	size_t i;

	json_array_foreach (json_arr(entry, "Ports"), i, port) {
		const char *bound = json_str(port, "IP", NULL);
		CLEANUP_JSON json_t *copy = NULL;

		if (!port_is_sound(port) || json_array_size(ports) >= INVENTORY_PORTS_MAX)
			continue;
		copy = json_copy((json_t *)(uintptr_t)port);
		if (bound && (strcmp(bound, "0.0.0.0") == 0 || strcmp(bound, "::") == 0))
			json_object_set_new(copy, "IP", json_string(ip));
		if (!has_equal(ports, copy))
			json_array_append(ports, copy);
	}
	return json_text(ports, NULL);
}

void draft_summary(struct record_draft *draft, const json_t *entry, const char *ip)
{
	size_t len;

	draft->summary = summary_text(entry, draft->id, &len);
	if (len > INVENTORY_SUMMARY_MAX) {
		free(draft->summary);
		draft->summary = summary_short(entry, draft->id);
	}
	draft->ports_json = ports_text(entry, ip);
}
