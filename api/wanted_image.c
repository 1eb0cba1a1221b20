/* A small table of what clients are about to pull. */
#include "api/wanted_image.h"
#include "api/api_priv.h"
#include "lib/hash.h"
#include "lib/str.h"

#include <string.h>

#define WANTED_REFERENCE_MAX 1024 /* bytes; an engine takes less */

struct wanted_image {
	UT_hash_handle hh; /* in order of their coming */
	char *node_id;
	uint64_t until_ms;
	bool is_pulled; /* it has directed its pull */
	char key[];     /* client's host, newline, reference */
};

struct wanted_images {
	const struct env *env;
	struct wanted_image *table;
};

static uint64_t now_ms(const struct wanted_images *wanted)
{
	return wanted->env->now_ms(wanted->env);
}

static void wanted_drop(struct wanted_images *wanted, struct wanted_image *entry)
{
	HASH_DEL(wanted->table, entry);
	free(entry->node_id);
	free(entry);
}

struct wanted_images *wanted_images_new(const struct env *env)
{
	struct wanted_images *wanted = xcalloc(1, sizeof(*wanted));

	wanted->env = env;
	return wanted;
}

void wanted_images_free(struct wanted_images *wanted)
{
	struct wanted_image *entry, *next;

	HASH_ITER (hh, wanted->table, entry, next)
		wanted_drop(wanted, entry);
	free(wanted);
}

static char *key_of(const char *reference, const char *peer)
{
	char *image CLEANUP_FREE = image_reference_familiar(reference);
	char *client CLEANUP_FREE = request_client(peer);

	return xasprintf("%s\n%s", client, image);
}

static struct wanted_image *wanted_find(
	struct wanted_images *wanted, const char *reference, const char *peer)
{
	char *key CLEANUP_FREE = key_of(reference, peer);
	struct wanted_image *entry;

	HASH_FIND_STR(wanted->table, key, entry);
	if (entry == NULL || entry->until_ms > now_ms(wanted))
		return entry;
	wanted_drop(wanted, entry);
	return NULL;
}

void wanted_image_remember(
	struct wanted_images *wanted, const char *reference, const char *peer, const char *node_id)
{
	char *key CLEANUP_FREE = key_of(reference, peer);
	struct wanted_image *entry;

	if (strlen(reference) > WANTED_REFERENCE_MAX)
		return;
	wanted_image_forget(wanted, reference, peer);
	/* All live for the same time, so the first in order is the one that goes first. */
	while (wanted->table != NULL && (HASH_COUNT(wanted->table) >= WANTED_MAX ||
						wanted->table->until_ms <= now_ms(wanted)))
		wanted_drop(wanted, wanted->table);
	entry = xcalloc(1, sizeof(*entry) + strlen(key) + 1);
	memcpy(entry->key, key, strlen(key) + 1);
	entry->node_id = xstrdup(node_id);
	entry->until_ms = now_ms(wanted) + WANTED_MS;
	HASH_ADD_STR(wanted->table, key, entry);
}

const char *wanted_image_node_id(
	struct wanted_images *wanted, const char *reference, const char *peer)
{
	struct wanted_image *entry = wanted_find(wanted, reference, peer);

	return entry != NULL ? entry->node_id : NULL;
}

void wanted_image_forget(struct wanted_images *wanted, const char *reference, const char *peer)
{
	struct wanted_image *entry = wanted_find(wanted, reference, peer);

	if (entry != NULL)
		wanted_drop(wanted, entry);
}

void wanted_image_narrow(struct request *r, struct node **nodes, size_t *len)
{
	const char *image = request_query(r, "fromImage"), *tag = request_query(r, "tag");
	char *reference CLEANUP_FREE = NULL;
	struct wanted_image *entry;

	if (str_is_empty(image))
		return;
	/* "repo" and "1.0", "repo:1.0" and "", "repo" and "sha256:..." */
	reference = str_is_empty(tag)
			    ? xstrdup(image)
			    : xasprintf("%s%s%s", image, strchr(tag, ':') != NULL ? "@" : ":", tag);
	entry = wanted_find(r->api->wanted, reference, exchange_peer(r->x));
	if (entry == NULL || entry->is_pulled)
		return;
	entry->is_pulled = true;
	for (size_t i = 0; i < *len; i++) {
		if (str_eq(node_view(nodes[i])->id, entry->node_id)) {
			nodes[0] = nodes[i];
			*len = 1;
		}
	}
}
