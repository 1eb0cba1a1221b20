/* The row of a container in lists, kept in two parts: what differs from container to container, and
 * the rest, of which containers that are alike share one copy. A row is some 800 bytes, of which
 * hardly 100 are its own. */
#include "cluster/record.h"

#include "lib/mem.h"

#include <string.h>
#include <strings.h>

/* In a template, where a value of the container's own was. No JSON text holds these bytes. */
#define HOLE_VALUE '\1'
#define HOLE_ID '\2' /* its ID, which the record has anyway */

/* An entry's text as it is cut up. It was read as JSON before, so quotes and brackets match. */
struct row {
	const char *p;    /* the next byte to look at */
	const char *done; /* all before it is in one of the two, or left out */
	struct buf pattern, values;
};

/* What the manager writes itself: fields that change on their own, and the ID. */
static const char *const left_out[] = {"Id", "Status", "State", "Names", "Ports", NULL};
/* Fields that no other container has the same of. */
static const char *const own[] = {
	"Created", "EndpointID", "IPAddress", "MacAddress", "GlobalIPv6Address", NULL};

static bool is_one_of(const char *key, size_t len, const char *const *keys)
{
	for (; *keys; keys++) {
		/* The first letter tells most apart; its case is one bit. */
		if ((((*keys)[0] ^ key[0]) & ~0x20) == 0 && strlen(*keys) == len &&
			strncasecmp(*keys, key, len) == 0)
			return true;
	}
	return false;
}

static void skip_blanks(struct row *row)
{
	row->p += strspn(row->p, " \t\r\n");
}

/* Over the text that begins at p; it, without its quotes. */
static const char *skip_text(struct row *row, size_t *len)
{
	const char *text = row->p + 1, *p = text + strcspn(text, "\"\\");

	while (*p != '"')
		p += 2 + strcspn(p + 2, "\"\\");
	row->p = p + 1;
	*len = (size_t)(p - text);
	return text;
}

/* The value at p: when it is a text or a number it is the container's own, else nothing moves. */
static void take_own(struct row *row)
{
	const char *value = row->p;
	size_t len;

	if (*value == '"') {
		value = skip_text(row, &len);
	} else {
		len = strspn(value, "0123456789");
		row->p += len;
	}
	if (len == 0)
		return;
	buf_append(&row->pattern, row->done, (size_t)(value - row->done));
	buf_append_char(&row->pattern, HOLE_VALUE);
	buf_append(&row->values, value, len);
	buf_append_char(&row->values, '\0');
	row->done = value + len;
}

/* To the comma or the bracket behind the value of a member. takes: what is its own is taken. */
static void pass_value(struct row *row, bool takes)
{
	size_t depth = 0, len;

	while (depth > 0 || (*row->p != ',' && *row->p != '}')) {
		char c = *row->p;

		if (c == '"') {
			const char *text = skip_text(row, &len);

			/* Only behind a key stands a colon. */
			if (takes && *row->p == ':' && is_one_of(text, len, own)) {
				row->p++;
				take_own(row);
			}
			continue;
		}
		depth += c == '{' || c == '[';
		depth -= c == '}' || c == ']';
		row->p++;
	}
}

/* A member of the entry, from its key to behind its value. */
static void take_member(struct row *row)
{
	size_t len;
	const char *key;

	row->done = row->p;
	key = skip_text(row, &len);
	skip_blanks(row);
	row->p++;
	skip_blanks(row);
	if (is_one_of(key, len, left_out)) {
		pass_value(row, false);
		return;
	}
	buf_append_char(&row->pattern, ',');
	if (is_one_of(key, len, own))
		take_own(row);
	pass_value(row, true);
	buf_append(&row->pattern, row->done, (size_t)(row->p - row->done));
}

bool draft_row(struct record_draft *draft, const char *entry)
{
	struct row row = {.p = entry};
	bool fits;

	buf_init(&row.pattern, INVENTORY_SUMMARY_MAX);
	buf_init(&row.values, INVENTORY_SUMMARY_MAX);
	/* Room at once, for most: not growth by and by. */
	(void)!buf_room(&row.pattern, 1024);
	(void)!buf_room(&row.values, 256);
	buf_append_str(&row.pattern, "{\"Id\":\"");
	buf_append_char(&row.pattern, HOLE_ID);
	buf_append_char(&row.pattern, '"');
	skip_blanks(&row);
	do {
		row.p++;
		skip_blanks(&row);
		if (*row.p == '"')
			take_member(&row);
	} while (*row.p == ',');
	fits = !row.pattern.failed && !row.values.failed &&
	       row.pattern.len + row.values.len <= INVENTORY_SUMMARY_MAX;
	if (!fits) {
		buf_reset(&row.pattern);
		buf_reset(&row.values);
		return false;
	}
	draft->row_values_len = row.values.len;
	draft->row_values = buf_take(&row.values);
	draft->row_template = buf_take(&row.pattern);
	return true;
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
			len = strlen(value);
			buf_append(out, value, len);
			value += len + 1;
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
