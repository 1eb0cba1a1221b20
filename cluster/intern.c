#include "cluster/intern.h"

#include "lib/hash.h"
#include "lib/mem.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct interned {
	UT_hash_handle hh;
	unsigned refs;
	char text[];
};

const char *intern(struct interned **table, const char *s)
{
	struct interned *entry;
	size_t len = strlen(s);

	HASH_FIND(hh, *table, s, len, entry);
	if (!entry) {
		entry = xcalloc(1, sizeof(*entry) + len + 1);
		memcpy(entry->text, s, len);
		HASH_ADD_KEYPTR(hh, *table, entry->text, len, entry);
	}
	entry->refs++;
	return entry->text;
}

bool intern_has(const struct interned *table, const char *s)
{
	const struct interned *entry;

	HASH_FIND(hh, table, s, strlen(s), entry);
	return entry != NULL;
}

void intern_release(struct interned **table, const char *text)
{
	struct interned *entry;

	if (!text)
		return;
	entry = (struct interned *)((uintptr_t)text - offsetof(struct interned, text));
	if (--entry->refs > 0)
		return;
	HASH_DEL(*table, entry);
	free(entry);
}
