/* The names of a node's containers, side by side in one piece of memory: to look through all of
 * them for a part of a name is then one search in a text, and no walk over records. */
#include "cluster/record.h"

#include <string.h>

/* Bytes for one node; records beyond have no place in its text. */
#define NAME_TEXT_MAX (16 * 1024 * 1024)
#define NO_PLACE UINT32_MAX

static size_t size_of(const struct container *container)
{
	size_t size = 0;

	/* Without its first slash, and with a NUL. */
	for (size_t i = 0; i < container->names.len; i++)
		size += strlen(container->names.items[i]);
	return size;
}

/* Room for size bytes behind the others. */
static uint32_t append(struct name_text *names, size_t size)
{
	size_t len = names->len + size;

	if (len > names->cap) {
		names->cap = (uint32_t)(len + len / 4);
		names->text = xrealloc(names->text, names->cap);
	}
	names->len = (uint32_t)len;
	return (uint32_t)(len - size);
}

void name_text_add(struct container_record *record)
{
	const struct str_list *list = &record->container.names;
	struct name_text *names = &record->container.node->inventory.names;
	size_t size = size_of(&record->container);
	char *to;

	if (size == 0)
		return;
	/* A record mostly takes the place of one of the same names. */
	if (size == names->hole_len) {
		record->names_at = names->hole_at;
		names->dead -= names->hole_len;
		names->hole_len = 0;
	} else if (size > NAME_TEXT_MAX - names->len) {
		record->names_at = NO_PLACE;
		names->left_out++;
		return;
	} else {
		record->names_at = append(names, size);
	}
	to = names->text + record->names_at;
	for (size_t i = 0; i < list->len; i++) {
		size_t len = strlen(list->items[i]);

		memcpy(to, list->items[i] + 1, len);
		to += len;
	}
}

/* Anew, without what is dead: as long as it has to be, so that memory goes back. */
static void compact(struct node_inventory *own)
{
	uint32_t live = own->names.len - own->names.dead;

	free(own->names.text);
	own->names = (struct name_text){.text = live > 0 ? xmalloc(live) : NULL, .cap = live};
	for (size_t i = 0; i < own->containers_len; i++)
		name_text_add(container_record(own->containers[i]));
}

void name_text_remove(struct container_record *record)
{
	struct node_inventory *own = &record->container.node->inventory;
	struct name_text *names = &own->names;
	size_t size = size_of(&record->container);

	if (size == 0)
		return;
	if (record->names_at == NO_PLACE) {
		names->left_out--;
		return;
	}
	memset(names->text + record->names_at, '\0', size);
	names->hole_at = record->names_at;
	names->hole_len = (uint32_t)size;
	names->dead += names->hole_len;
	/* Seldom enough to cost each removal the same, however many there are. */
	if (names->dead > names->len / 3)
		compact(own);
}
