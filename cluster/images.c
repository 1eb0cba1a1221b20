/* Images: their records, their count over the cluster, and what a reference means. */
#include "cluster/node_parts.h"

#include "cluster/intern.h"
#include "lib/hash.h"
#include "lib/mem.h"

#include <stdio.h>
#include <string.h>

#define ALGORITHM "sha256:"
#define DIGITS_OF_ID 64
#define PREFIX_MIN 3
#define NAMES_MAX 4096 /* names of one image */
#define CANDIDATES_SHOWN 8

struct image_item {
	struct image image; /* first */
	struct index_entry by_id, by_project;
	struct index_entry *by_name; /* view.names_len of them */
	const char **names;
	const char *project;
};

/* On how many healthy nodes an image is. */
struct image_tally {
	UT_hash_handle hh;
	size_t nodes;
	char id[];
};

static const struct field image_fields[] = {
	{"Id", FIELD_TEXT, NULL},
	{"ParentId", FIELD_TEXT, NULL},
	{"RepoTags", FIELD_TEXTS, NULL},
	{"RepoDigests", FIELD_TEXTS, NULL},
	{"Created", FIELD_INT, NULL},
	{"Size", FIELD_INT, NULL},
	{"VirtualSize", FIELD_INT, NULL},
	{"SharedSize", FIELD_INT, NULL},
	{"Containers", FIELD_INT, NULL},
	{"Labels", FIELD_TEXT_MAP, NULL},
	{"Manifests", FIELD_ARRAY, NULL},
	{"Descriptor", FIELD_OBJECT, NULL},
	{NULL, FIELD_TEXT, NULL},
};

static bool array_itself(struct json_ref answer, struct json_ref *entries)
{
	*entries = answer;
	return json_ref_kind(answer) == JSON_KIND_ARRAY;
}

static bool is_image_id(const char *id)
{
	size_t skip = strlen(ALGORITHM);

	return str_has_prefix(id, ALGORITHM) && strlen(id) == skip + DIGITS_OF_ID &&
	       str_is_hex(id + skip, DIGITS_OF_ID);
}

static size_t count_items(struct json_ref array)
{
	size_t n = 0;

	for (struct json_walk w = json_walk(array); json_walk_next(&w);)
		n++;
	return n;
}

/* "<none>:<none>" and "<none>@<none>" stand for no name at all in older APIs, and
 * "repo@sha256:..." beside them is one. */
static void names_add(struct image_item *item, struct json_ref names)
{
	struct inventory *inventory = &item->image.node->cluster->inventory;

	for (struct json_walk w = json_walk(names); json_walk_next(&w);) {
		const char *text = json_ref_text(w.value);

		if (!text || !text[0] || strlen(text) > INVENTORY_TEXT_MAX ||
			str_has_prefix(text, "<none>") || item->image.view.names_len == NAMES_MAX)
			continue;
		item->names[item->image.view.names_len++] = intern(&inventory->strings, text);
	}
}

/* A copy of what another node had, or this one, came up when that did. */
static bool is_made_here(const struct node *node, const char *id)
{
	const struct index_entry *entry =
		index_first(&node->cluster->inventory.image_ids, id + strlen(ALGORITHM));
	const struct image *known = entry ? entry->item : NULL;

	return known ? known->is_made_here : node->inventory.images != NULL;
}

/* The same images are on many nodes, so all texts are shared. */
static void *image_new(struct node *node, struct json_ref entry, const struct buf *text)
{
	struct interned **strings = &node->cluster->inventory.strings;
	const char *id = json_ref_str(entry, "Id", "");
	struct json_ref tags = json_ref_arr(entry, "RepoTags");
	struct json_ref digests = json_ref_arr(entry, "RepoDigests");
	struct image_item *item;
	size_t digests_len;

	if (!is_image_id(id) || !fields_fit(entry, image_fields))
		return NULL;
	digests_len = count_items(digests);
	item = xcalloc(1, sizeof(*item));
	item->image = (struct image){
		.view = {.id = intern(strings, id)},
		.node = node,
		.text = intern(strings, text->data),
		.parent_id = intern(strings, json_ref_str(entry, "ParentId", "")),
		.created = json_ref_int(entry, "Created", 0),
		.has_digests = digests_len > 0,
		.is_made_here = is_made_here(node, id),
	};
	item->project = intern(strings, project_of_entry(entry));
	item->names = xcalloc(count_items(tags) + digests_len + 1, sizeof(const char *));
	names_add(item, tags);
	names_add(item, digests);
	item->image.view.names = item->names;
	item->by_name = xcalloc(item->image.view.names_len + 1, sizeof(*item->by_name));
	return item;
}

static void image_free(struct inventory *inventory, void *image)
{
	struct image_item *item = image;

	for (size_t i = 0; i < item->image.view.names_len; i++)
		intern_release(&inventory->strings, item->names[i]);
	intern_release(&inventory->strings, item->image.view.id);
	intern_release(&inventory->strings, item->image.text);
	intern_release(&inventory->strings, item->image.parent_id);
	intern_release(&inventory->strings, item->project);
	free(item->names);
	free(item->by_name);
	free(item);
}

static const char *image_text(const void *image)
{
	return ((const struct image *)image)->text;
}

static void image_enter(struct inventory *inventory, void *image)
{
	struct image_item *item = image;
	uint64_t node = item->image.node->inventory.seq;

	fleet_image_add(&inventory->fleet, item->image.node, &item->image.view);
	index_insert(&inventory->image_ids, &item->by_id, item->image.view.id + strlen(ALGORITHM),
		node, item);
	project_enter(inventory, PROJECT_IMAGES, &item->by_project, item->project, item->image.node,
		item);
	for (size_t i = 0; i < item->image.view.names_len; i++)
		index_insert(
			&inventory->image_names, &item->by_name[i], item->names[i], node, item);
}

static void image_leave(struct inventory *inventory, void *image)
{
	struct image_item *item = image;

	fleet_image_take(&inventory->fleet, item->image.node, &item->image.view);
	index_remove(&inventory->image_ids, &item->by_id);
	index_remove(&inventory->projects[PROJECT_IMAGES], &item->by_project);
	for (size_t i = 0; i < item->image.view.names_len; i++)
		index_remove(&inventory->image_names, &item->by_name[i]);
}

const struct part_kind part_images = {
	.name = "images",
	.entries = array_itself,
	.item_new = image_new,
	.text = image_text,
	.item_free = image_free,
	.enter = image_enter,
	.leave = image_leave,
};

/* ---- Totals ---- */

static void tally(struct inventory *inventory, const char *id, bool is_added)
{
	struct image_tally *entry;
	size_t len = strlen(id);

	HASH_FIND(hh, inventory->image_tallies, id, len, entry);
	if (!entry) {
		entry = xcalloc(1, sizeof(*entry) + len + 1);
		memcpy(entry->id, id, len);
		HASH_ADD_KEYPTR(hh, inventory->image_tallies, entry->id, len, entry);
		inventory->totals.images++;
	}
	entry->nodes += is_added ? 1 : (size_t)-1;
	if (entry->nodes > 0)
		return;
	HASH_DEL(inventory->image_tallies, entry);
	free(entry);
	inventory->totals.images--;
}

void images_count(struct inventory *inventory, const struct inventory_part *part, bool is_added)
{
	for (size_t i = 0; i < part->len; i++)
		tally(inventory, ((struct image *)part->items[i])->view.id, is_added);
}

/* ---- References ---- */

struct found {
	struct image **items;
	size_t len, cap;
	bool is_ambiguous; /* a prefix of several IDs */
};

static void add(struct found *found, struct image *image)
{
	if (found->len == found->cap) {
		found->cap = found->cap ? found->cap * 2 : 16;
		found->items = xreallocarray(found->items, found->cap, sizeof(*found->items));
	}
	found->items[found->len++] = image;
}

static void add_exact(struct found *found, const struct index *index, const char *key)
{
	struct index_entry *entry = index_first(index, key);

	for (; entry; entry = index_next_same(entry))
		add(found, entry->item);
}

/* All nodes' images of the one ID that begins so; none when two IDs do. */
static void add_prefix(struct found *found, const struct index *ids, const char *prefix)
{
	struct index_entry *entry = index_from(ids, prefix, 0), *other;

	if (!entry || !str_has_prefix(entry->key, prefix))
		return;
	for (other = entry; other && str_has_prefix(other->key, prefix);
		other = index_next(other)) {
		if (strcmp(other->key, entry->key) != 0) {
			found->len = 0;
			found->is_ambiguous = true;
			return;
		}
		add(found, other->item);
	}
}

/* Every tag, and only tags, of a repository: "repo:" as prefix also begins "repo:5000/other:1". */
static void add_any_tag(struct found *found, const struct index *names, const char *repository)
{
	CLEANUP_FREE char *prefix = xasprintf("%s:", repository);
	struct index_entry *entry = index_from(names, prefix, 0);

	for (; entry && str_has_prefix(entry->key, prefix); entry = index_next(entry)) {
		const char *tag = entry->key + strlen(prefix);

		if (!strpbrk(tag, "/@:"))
			add(found, entry->item);
	}
}

/* Engines list the names of the public hub without its address. */
static const char *familiar(const char *reference)
{
	static const char *const hubs[] = {"docker.io/", "index.docker.io/"};

	for (size_t i = 0; i < ARRAY_LEN(hubs); i++) {
		if (!str_has_prefix(reference, hubs[i]))
			continue;
		reference += strlen(hubs[i]);
		break;
	}
	if (str_has_prefix(reference, "library/") && !strchr(reference + strlen("library/"), '/'))
		reference += strlen("library/");
	return reference;
}

/* The colon in front of the tag in a name without digest, or NULL: one in front of a slash belongs
 * to a registry's port. */
static const char *tag_of(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon && !strchr(colon, '/') ? colon : NULL;
}

static bool is_whole_id(const char *reference)
{
	const char *digits =
		str_has_prefix(reference, ALGORITHM) ? reference + strlen(ALGORITHM) : reference;

	return strlen(digits) == DIGITS_OF_ID && str_is_hex(digits, DIGITS_OF_ID);
}

char *image_reference_familiar(const char *reference)
{
	const char *name = familiar(reference), *at = strchr(name, '@'), *tag;
	CLEANUP_FREE char *repository = NULL;

	if (is_whole_id(reference))
		return xstrdup(reference);
	if (!at)
		return xasprintf("%s%s", name, tag_of(name) ? "" : ":latest");
	/* A tag beside a digest says nothing more. */
	repository = xstrndup(name, (size_t)(at - name));
	tag = tag_of(repository);
	if (tag)
		repository[tag - repository] = '\0';
	return xasprintf("%s%s", repository, at);
}

static void add_by_name(
	struct found *found, const struct index *names, const char *reference, bool any_tag)
{
	const char *name = familiar(reference);
	CLEANUP_FREE char *full = image_reference_familiar(reference);

	add_exact(found, names, full);
	if (found->len == 0 && any_tag && !strchr(name, '@') && !tag_of(name))
		add_any_tag(found, names, name);
}

/* Healthy nodes first, then in the order in which nodes came. */
static int found_cmp(const void *left, const void *right)
{
	const struct image *a = *(struct image *const *)left, *b = *(struct image *const *)right;
	const struct node_inventory *own_a = &a->node->inventory, *own_b = &b->node->inventory;

	if (own_a->view.is_healthy != own_b->view.is_healthy)
		return own_a->view.is_healthy ? -1 : 1;
	if (own_a->seq != own_b->seq)
		return own_a->seq < own_b->seq ? -1 : 1;
	return (uintptr_t)a < (uintptr_t)b ? -1 : (uintptr_t)a > (uintptr_t)b;
}

static void found_sort(struct found *found)
{
	size_t kept = 0;

	if (found->len == 0)
		return;
	qsort(found->items, found->len, sizeof(*found->items), found_cmp);
	for (size_t i = 1; i < found->len; i++) {
		if (found->items[i] != found->items[kept])
			found->items[++kept] = found->items[i];
	}
	found->len = kept + 1;
}

static struct found find(const struct inventory *inventory, const char *reference, bool any_tag)
{
	struct found found = {.len = 0};
	bool has_algorithm = str_has_prefix(reference, ALGORITHM);
	const char *digits = has_algorithm ? reference + strlen(ALGORITHM) : reference;
	size_t digits_len = strlen(digits);
	bool is_hex = digits_len >= PREFIX_MIN && digits_len <= DIGITS_OF_ID &&
		      str_is_hex(digits, digits_len);

	if (is_hex && digits_len == DIGITS_OF_ID)
		add_exact(&found, &inventory->image_ids, digits);
	if (found.len == 0 && !has_algorithm)
		add_by_name(&found, &inventory->image_names, reference, any_tag);
	if (found.len == 0 && is_hex)
		add_prefix(&found, &inventory->image_ids, digits);
	found_sort(&found);
	return found;
}

struct image **cluster_images_find(
	const struct cluster *cluster, const char *reference, size_t *len)
{
	struct found found = find(&cluster->inventory, reference, true);

	*len = found.len;
	/* Never NULL, so that callers need not tell "none" from "no memory". */
	return found.items ? found.items : xcalloc(1, sizeof(*found.items));
}

/* In the words that an engine has for it, and which IDs there are. */
static void ambiguous(const struct index *ids, const char *reference, struct err *err)
{
	const char *digits =
		str_has_prefix(reference, ALGORITHM) ? reference + strlen(ALGORITHM) : reference;
	struct index_entry *entry = index_from(ids, digits, 0);
	const char *last = "";
	CLEANUP_BUF struct buf text;
	size_t shown = 0;

	buf_init(&text, 1024);
	for (; entry && str_has_prefix(entry->key, digits); entry = index_next(entry)) {
		if (strcmp(entry->key, last) == 0)
			continue;
		last = entry->key;
		if (shown == CANDIDATES_SHOWN) {
			buf_append_str(&text, ", and others");
			break;
		}
		buf_printf(&text, "%s%.16s", shown++ ? ", " : "", entry->key);
	}
	err_set(err, ERR_INVALID, "ambiguous reference: image ID %.64s may be %s", reference,
		buf_str(&text));
}

struct image **cluster_images_named(
	const struct cluster *cluster, const char *reference, size_t *len, struct err *err)
{
	struct found found = find(&cluster->inventory, reference, false);
	CLEANUP_FREE char *full = NULL;

	*len = found.len;
	if (found.len > 0)
		return found.items;
	free(found.items);
	if (found.is_ambiguous) {
		ambiguous(&cluster->inventory.image_ids, reference, err);
		return NULL;
	}
	full = image_reference_familiar(reference);
	err_set(err, ERR_NOT_FOUND, "No such image: %.512s", full);
	return NULL;
}
