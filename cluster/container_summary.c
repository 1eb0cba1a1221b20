/* A container's list entry as text that only needs its changing fields put behind it. */
#include "cluster/record.h"

#include "cluster/intern.h"
#include "lib/json.h"
#include "lib/json_read.h"
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

/* Of an entry that clients would stumble over: less what is wrong in it. */
static bool row_cleaned(struct record_draft *draft, const char *text, size_t len)
{
	CLEANUP_JSON json_t *object = json_parse(text, len, NULL);
	CLEANUP_FREE char *cleaned = NULL;

	if (!object)
		return false;
	fields_clean(object, entry_fields);
	cleaned = json_text(object, NULL);
	return draft_row(draft, cleaned);
}

void draft_row_short(struct record_draft *draft, struct json_ref entry)
{
	static const char *const kept[] = {"Image", "ImageID", "Created"};
	CLEANUP_BUF struct buf out;

	buf_init(&out, INVENTORY_SUMMARY_MAX);
	for (struct json_walk w = json_walk(entry); json_walk_next(&w);) {
		const char *text = json_ref_text(w.value);
		bool is_kept = false;

		for (size_t i = 0; i < ARRAY_LEN(kept); i++)
			is_kept |= strcmp(w.key, kept[i]) == 0;
		if (!is_kept || (text ? strlen(text) >= INVENTORY_TEXT_MAX
				      : json_ref_kind(w.value) != JSON_KIND_INT))
			continue;
		buf_append_char(&out, out.len > 0 ? ',' : '{');
		json_walk_print(&w, &out);
	}
	buf_append_str(&out, out.len > 0 ? "}" : "{}");
	/* A few texts of bounded length always fit. */
	(void)draft_row(draft, buf_str(&out));
}

/* ---- Ports ---- */

static bool port_is_sound(struct json_ref port)
{
	int64_t private = json_ref_int(port, "PrivatePort", 0);
	int64_t public = json_ref_int(port, "PublicPort", 0);

	return fields_fit(port, port_fields) && private >= 0 && private <= UINT16_MAX &&
	       public >= 0 && public <= UINT16_MAX;
}

static void port_print(struct json_ref port, const char *ip, struct buf *out)
{
	const char *bound = json_ref_str(port, "IP", "");
	bool is_any = strcmp(bound, "0.0.0.0") == 0 || strcmp(bound, "::") == 0;
	char before = '{';

	for (struct json_walk w = json_walk(port); json_walk_next(&w); before = ',') {
		buf_append_char(out, before);
		if (is_any && str_ieq(w.key, "IP"))
			buf_printf(out, "\"IP\":\"%s\"", ip);
		else
			json_walk_print(&w, out);
	}
	buf_append_str(out, before == '{' ? "{}" : "}");
}

/* Where the last of them begin: the two that become one, of IPv4 and IPv6, stand close together. */
struct last_ports {
	size_t at[8];
	size_t len; /* of all */
};

/* Whether the text from `start` to the end is one of the last before it. */
static bool stands_already(const struct buf *out, const struct last_ports *last, size_t start)
{
	size_t known = last->len < ARRAY_LEN(last->at) ? last->len : ARRAY_LEN(last->at);
	size_t len = out->len - start;

	for (size_t i = 0; i < known; i++) {
		size_t at = last->at[i];

		/* Behind each stands a comma. */
		if (at + len < start && memcmp(out->data + at, out->data + start, len) == 0 &&
			out->data[at + len] == ',')
			return true;
	}
	return false;
}

static char *ports_text(struct json_ref entry, const char *ip)
{
	CLEANUP_BUF struct buf out;
	struct last_ports last = {.len = 0};

	buf_init(&out, INVENTORY_SUMMARY_MAX);
	buf_append_char(&out, '[');
	for (struct json_walk w = json_walk(json_ref_arr(entry, "Ports")); json_walk_next(&w);) {
		size_t start = out.len;

		if (!port_is_sound(w.value) || last.len >= INVENTORY_PORTS_MAX)
			continue;
		port_print(w.value, ip, &out);
		if (out.failed)
			break;
		if (stands_already(&out, &last, start)) {
			out.len = start;
			continue;
		}
		last.at[last.len++ % ARRAY_LEN(last.at)] = start;
		buf_append_char(&out, ',');
	}
	if (out.failed)
		return xstrdup("[]");
	out.len -= last.len > 0;
	buf_append_char(&out, ']');
	return buf_take(&out);
}

void draft_summary(struct record_draft *draft, const struct interned *templates,
	struct json_ref entry, const char *text, size_t len)
{
	bool is_made = draft_row(draft, text);

	/* Rows of one template differ in texts and numbers only: one of them tells of all whether
	 * they fit. */
	if (!(is_made && intern_has(templates, draft->row_template)) &&
		!fields_fit(entry, entry_fields)) {
		free(TAKE_PTR(draft->row_template));
		free(TAKE_PTR(draft->row_values));
		is_made = row_cleaned(draft, text, len);
	}
	if (!is_made)
		draft_row_short(draft, entry);
}

void draft_ports_text(struct record_draft *draft, struct json_ref entry, const char *ip)
{
	draft->ports_json = ports_text(entry, ip);
}
