/* The row of a container in lists, kept in two parts: what differs from container to container, and
 * the rest, of which containers that are alike share one copy. A row is some 800 bytes, of which
 * hardly 100 are its own. */
#include "cluster/record.h"

#include "lib/mem.h"

#include <string.h>

/* In a template, where a value of the container's own was. No JSON text holds these bytes. */
#define HOLE_VALUE '\1'
#define HOLE_ID '\2' /* its ID, which the record has anyway */

/* Fields that no other container has the same of. */
static bool is_own(const char *key, size_t len)
{
	static const char *const keys[] = {
		"Created", "EndpointID", "IPAddress", "MacAddress", "GlobalIPv6Address"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strlen(keys[i]) == len && memcmp(keys[i], key, len) == 0)
			return true;
	}
	return false;
}

/* Behind the closing quote of the text that begins at p. */
static const char *skip_text(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
	}
	return p + 1;
}

/* The value at p, a text (without its quotes) or a number; len 0 for any other. */
static const char *simple_value(const char *p, size_t *len)
{
	if (*p == '"') {
		*len = (size_t)(skip_text(p) - p) - 2;
		return p + 1;
	}
	*len = strspn(p, "0123456789");
	return p;
}

/* summary was read or printed as JSON, so that its quotes and escapes are in order. */
void draft_row(struct record_draft *draft, const char *summary)
{
	struct buf pattern, values;
	static const char start[] = "{\"Id\":\"";
	const char *done = summary + sizeof(start) - 1 + strlen(draft->id);
	const char *p = done + 1;

	buf_init(&pattern, 2 * INVENTORY_SUMMARY_MAX);
	buf_init(&values, 2 * INVENTORY_SUMMARY_MAX);
	buf_append_str(&pattern, start);
	buf_append_char(&pattern, HOLE_ID);
	while (*p) {
		const char *key = p + 1, *value;
		size_t len;

		if (*p != '"') {
			p++;
			continue;
		}
		p = skip_text(p);
		if (*p != ':' || !is_own(key, (size_t)(p - key) - 1))
			continue;
		value = simple_value(p + 1, &len);
		if (len == 0)
			continue;
		buf_append(&pattern, done, (size_t)(value - done));
		buf_append_char(&pattern, HOLE_VALUE);
		buf_append(&values, value, len);
		buf_append_char(&values, '\0');
		done = value + len;
		p = *done == '"' ? done + 1 : done;
	}
	buf_append_str(&pattern, done);
	draft->row_values_len = values.len;
	draft->row_values = buf_take(&values);
	draft->row_template = buf_take(&pattern);
}

void container_row(const struct container *container, struct buf *out)
{
	const char *value = container->row_values;
	const char *p = container->row_template;

	for (;;) {
		size_t len = strcspn(p, "\1\2");

		buf_append(out, p, len);
		p += len;
		if (*p == '\0')
			return;
		if (*p == HOLE_ID) {
			buf_append_str(out, container->view.id);
		} else {
			buf_append_str(out, value);
			value += strlen(value) + 1;
		}
		p++;
	}
}

bool row_is_same(const struct record_draft *draft, const struct container *container)
{
	if (strcmp(draft->row_template, container->row_template) != 0)
		return false;
	/* Equal templates have as many values. */
	for (size_t at = 0; at < draft->row_values_len; at += strlen(draft->row_values + at) + 1) {
		if (strcmp(draft->row_values + at, container->row_values + at) != 0)
			return false;
	}
	return true;
}
