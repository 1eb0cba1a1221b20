#include "cluster/facts.h"

#include "cluster/live.h"
#include "lib/json.h"

#include <string.h>

struct facts {
	UT_hash_handle hh;
	unsigned refs;
	json_t *json;
	char text[]; /* as it was told, without own_fields */
};

/* Kept elsewhere where it is needed, or told by nobody else. */
static const char *const own_fields[] = {"ID", "Name", "Labels", "NCPU", "MemTotal", "Containers",
	"ContainersRunning", "ContainersPaused", "ContainersStopped", "Images", "SystemTime", "NFd",
	"NGoroutines", "NEventsListener"};

static bool is_own(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(own_fields); i++) {
		if (strcmp(key, own_fields[i]) == 0)
			return true;
	}
	return false;
}

/* Of a thousand engines only the first of its make is looked at closer than this. */
static void write_shared(struct json_ref info, struct buf *out)
{
	buf_append_char(out, '{');
	for (struct json_walk w = json_walk(info); json_walk_next(&w);) {
		if (is_own(w.key))
			continue;
		if (out->len > 1)
			buf_append_char(out, ',');
		json_walk_print(&w, out);
	}
	buf_append_char(out, '}');
}

struct facts *facts_take(
	struct facts **table, struct json_ref info, size_t values_max, struct err *err)
{
	CLEANUP_BUF struct buf text;
	struct facts *facts;
	json_t *json;

	buf_init(&text, SIZE_MAX);
	write_shared(info, &text);
	HASH_FIND(hh, *table, text.data, text.len, facts);
	if (!facts) {
		json = live_parse(text.data, text.len, values_max, err);
		if (!json)
			return NULL;
		facts = xcalloc(1, sizeof(*facts) + text.len + 1);
		facts->json = json;
		memcpy(facts->text, text.data, text.len);
		HASH_ADD_KEYPTR(hh, *table, facts->text, text.len, facts);
	}
	facts->refs++;
	return facts;
}

void facts_release(struct facts **table, struct facts *facts)
{
	if (!facts || --facts->refs > 0)
		return;
	HASH_DEL(*table, facts);
	json_decref(facts->json);
	free(facts);
}

const json_t *facts_json(const struct facts *facts)
{
	return facts ? facts->json : NULL;
}
