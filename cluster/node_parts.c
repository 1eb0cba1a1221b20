#include "cluster/node_parts.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <assert.h>
#include <string.h>

static struct inventory_part **slot_of(struct node *node, const struct part_kind *kind)
{
	struct node_inventory *own = &node->inventory;

	if (kind == &part_images)
		return &own->images;
	return kind == &part_networks ? &own->networks : &own->volumes;
}

json_t *entry_json(const char *text)
{
	json_t *json = json_parse_told(text, strlen(text), NULL);

	assert(json); /* item_new saw to it */
	return json;
}

static void *item_new(struct node *node, const struct part_kind *kind, struct json_ref entry)
{
	struct buf text CLEANUP_BUF;

	buf_init(&text, INVENTORY_PART_TEXT_MAX);
	if (!json_ref_print(entry, &text)) {
		buf_empty(&text);
		json_ref_print_clean(entry, &text);
	}
	if (text.failed)
		return NULL;
	return kind->item_new(node, entry, &text);
}

static struct inventory_part *part_new(
	struct node *node, const struct part_kind *kind, struct json_ref entries, size_t *bad)
{
	struct inventory_part *part = xcalloc(1, sizeof(*part));
	size_t max = 0;

	part->kind = kind;
	for (struct json_walk w = json_walk(entries); json_walk_next(&w);)
		max++;
	if (max > INVENTORY_ITEMS_MAX)
		max = INVENTORY_ITEMS_MAX;
	part->items = xcalloc(max + 1, sizeof(void *));
	for (struct json_walk w = json_walk(entries); json_walk_next(&w);) {
		void *item = part->len < max ? item_new(node, kind, w.value) : NULL;

		if (item)
			part->items[part->len++] = item;
		else
			(*bad)++;
	}
	if (kind != &part_images)
		return part;
	part->views = xcalloc(part->len + 1, sizeof(const struct image_view *));
	for (size_t i = 0; i < part->len; i++)
		part->views[i] = &((struct image *)part->items[i])->view;
	return part;
}

static void part_free(struct inventory *inventory, struct inventory_part *part)
{
	for (size_t i = 0; i < part->len; i++)
		part->kind->item_free(inventory, part->items[i]);
	free(part->items);
	free(part->views);
	free(part);
}

/* True when both tell the same: thousands of lists do, each time that they are asked for anew. */
static bool parts_are_equal(const struct inventory_part *a, const struct inventory_part *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++) {
		const char *left = a->kind->text(a->items[i]);
		const char *right = b->kind->text(b->items[i]);

		if (left != right && strcmp(left, right) != 0)
			return false;
	}
	return true;
}

static void show_images(struct node *node)
{
	const struct inventory_part *part = node->inventory.images;

	node->inventory.view.images = part ? part->views : NULL;
	node->inventory.view.images_len = part ? part->len : 0;
}

/* The part goes out of the indexes at once, and out of memory at the end of the turn. */
static void part_leave(struct node *node, struct inventory_part *part)
{
	struct inventory *inventory = &node->cluster->inventory;

	for (size_t i = 0; i < part->len; i++)
		part->kind->leave(inventory, part->items[i]);
	if (part->kind == &part_images && node->inventory.view.is_healthy)
		images_count(inventory, part, false);
	part->next_grave = inventory->part_graves;
	inventory->part_graves = part;
}

static void part_enter(struct node *node, struct inventory_part *part)
{
	struct inventory *inventory = &node->cluster->inventory;

	for (size_t i = 0; i < part->len; i++)
		part->kind->enter(inventory, part->items[i]);
	if (part->kind == &part_images && node->inventory.view.is_healthy)
		images_count(inventory, part, true);
}

static int replace(struct node *node, const struct part_kind *kind, struct json_ref answer,
	size_t *bad, struct err *err)
{
	struct inventory_part **slot = slot_of(node, kind);
	struct inventory_part *old = *slot, *part;
	struct json_ref entries;
	size_t bad_here = 0;

	if (!kind->entries(answer, &entries))
		return err_set(err, ERR_UPSTREAM, "the list of %s is not one", kind->name);
	if (!bad)
		bad = &bad_here;
	*bad = 0;
	if (node->inventory.is_removed)
		return 0;
	part = part_new(node, kind, entries, bad);
	if (old && parts_are_equal(old, part)) {
		part_free(&node->cluster->inventory, part);
		return 0;
	}
	*slot = part;
	if (old)
		part_leave(node, old);
	part_enter(node, part);
	show_images(node);
	return 0;
}

int inventory_images_replace(
	struct node *node, struct json_ref answer, size_t *bad, struct err *err)
{
	return replace(node, &part_images, answer, bad, err);
}

int inventory_networks_replace(
	struct node *node, struct json_ref answer, size_t *bad, struct err *err)
{
	return replace(node, &part_networks, answer, bad, err);
}

int inventory_volumes_replace(
	struct node *node, struct json_ref answer, size_t *bad, struct err *err)
{
	return replace(node, &part_volumes, answer, bad, err);
}

void node_parts_set_health(struct node *node, bool is_healthy)
{
	if (node->inventory.images)
		images_count(&node->cluster->inventory, node->inventory.images, is_healthy);
}

void node_parts_drop_node(struct node *node)
{
	const struct part_kind *const kinds[] = {&part_images, &part_networks, &part_volumes};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct inventory_part **slot = slot_of(node, kinds[i]);

		if (*slot)
			part_leave(node, *slot);
		*slot = NULL;
	}
	show_images(node);
}

void node_parts_sweep(struct inventory *inventory)
{
	struct inventory_part *part;

	while ((part = inventory->part_graves)) {
		inventory->part_graves = part->next_grave;
		part_free(inventory, part);
	}
}

static void *const *part_items(const struct inventory_part *part, size_t *len)
{
	*len = part ? part->len : 0;
	return part ? part->items : NULL;
}

struct image *const *node_images(const struct node *node, size_t *len)
{
	return (struct image *const *)(const void *)part_items(node->inventory.images, len);
}

struct network *const *node_networks(const struct node *node, size_t *len)
{
	return (struct network *const *)(const void *)part_items(node->inventory.networks, len);
}

struct volume *const *node_volumes(const struct node *node, size_t *len)
{
	return (struct volume *const *)(const void *)part_items(node->inventory.volumes, len);
}
