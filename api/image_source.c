#include "api/image_source.h"
#include "lib/str.h"

#include <string.h>

bool image_is_id(const char *image)
{
	return str_has_prefix(image, "sha256:");
}

static bool has_name(const struct image *image, const char *name)
{
	for (size_t i = 0; i < image->view.names_len; i++) {
		if (str_eq(image->view.names[i], name))
			return true;
	}
	return false;
}

/* The digest that a registry knows it by, in the repository that was asked for; NULL = none. */
static char *digest_of_image(const struct image *image, const char *name)
{
	const char *colon = strrchr(name, ':');

	for (size_t i = 0; i < image->view.names_len && !image_is_id(name); i++) {
		const char *own = image->view.names[i];
		const char *at = strchr(own, '@');

		if (at != NULL && at - own == colon - name &&
			memcmp(own, name, (size_t)(at - own)) == 0)
			return xstrdup(own);
	}
	return NULL;
}

void image_source_reset(struct image_source *source)
{
	free(source->name);
	free(source->id);
	free(source->digest);
}

void image_source_find(const struct cluster *cluster, const char *reference,
	const struct node *target, const struct str_list *tried, struct image_source *out)
{
	size_t len = 0;
	struct image **found = cluster_images_named(cluster, reference, &len, NULL);
	char *full CLEANUP_FREE = image_reference_familiar(reference);

	*out = (struct image_source){0};
	for (size_t i = 0; i < len && out->node == NULL && strchr(full, '@') == NULL; i++) {
		struct node *node = found[i]->node;

		if (node == target || node_state(node) != NODE_HEALTHY ||
			str_list_has(tried, node_view(node)->id))
			continue;
		out->node = node;
		out->id = xstrdup(found[i]->view.id);
		out->name = xstrdup(has_name(found[i], full) ? full : out->id);
		out->digest = digest_of_image(found[i], out->name);
	}
	free(found);
}
