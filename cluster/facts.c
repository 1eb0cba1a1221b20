#include "cluster/facts.h"

#include "lib/hash.h"
#include "lib/json.h"
#include "lib/mem.h"

#include <string.h>

struct facts {
	UT_hash_handle hh;
	unsigned refs;
	json_t *json;
	char text[]; /* sorted: equal for equal facts */
};

/* Kept elsewhere where it is needed, or told by nobody else. */
static const char *const own_fields[] = {"ID", "Name", "Labels", "NCPU", "MemTotal", "Containers",
	"ContainersRunning", "ContainersPaused", "ContainersStopped", "Images", "SystemTime", "NFd",
	"NGoroutines", "NEventsListener"};

struct facts *facts_take(struct facts **table, const json_t *info)
{
	json_t *shared = json_copy((json_t *)(uintptr_t)info);
	CLEANUP_FREE char *text = NULL;
	struct facts *facts;
	size_t len;

	for (size_t i = 0; i < ARRAY_LEN(own_fields); i++)
		json_object_del(shared, own_fields[i]);
	text = json_dumps(shared, JSON_COMPACT | JSON_SORT_KEYS);
	/* Only memory can be wanting, as in json_text. */
	if (!text)
		abort();
	len = strlen(text);
	HASH_FIND(hh, *table, text, len, facts);
	if (facts) {
		json_decref(shared);
	} else {
		facts = xcalloc(1, sizeof(*facts) + len + 1);
		facts->json = shared;
		memcpy(facts->text, text, len);
		HASH_ADD_KEYPTR(hh, *table, facts->text, len, facts);
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
