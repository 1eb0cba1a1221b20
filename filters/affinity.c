/* affinity: containers, images or labels of containers that the node holds already, or must not. */
#include "filters/filter_priv.h"
#include "lib/str.h"

#include <string.h>

/* Bytes of an image name that is compared in parts; engines keep references far below. */
#define IMAGE_NAME_MAX 1024
/* Digits of an ID in its short form. */
#define SHORT_ID 12

static bool match_id(struct expr *expr, const char *id)
{
	char shortened[SHORT_ID + 1];

	if (id[0] == '\0')
		return false;
	if (expr_match(expr, id))
		return true;
	/* For `container==SHORT` alone: patterns have seen the whole ID. */
	if (strlen(expr_value(expr)) != SHORT_ID || strlen(id) <= SHORT_ID)
		return false;
	memcpy(shortened, id, SHORT_ID);
	shortened[SHORT_ID] = '\0';
	return strcmp(expr_value(expr), shortened) == 0;
}

static bool match_container(struct expr *expr, const struct node_view *node)
{
	for (size_t i = 0; i < node->containers_len; i++) {
		const struct container_view *container = node->containers[i];

		if ((container->name[0] != '\0' && expr_match(expr, container->name)) ||
			match_id(expr, container->id) || match_id(expr, container->swarm_id))
			return true;
	}
	return false;
}

/* The length of the repository in "repo:tag" and "repo@digest"; a colon before a slash belongs to a
 * registry's port. */
static size_t repository_len(const char *name)
{
	size_t digest = strcspn(name, "@");
	const char *colon = memrchr(name, ':', digest);

	if (name[digest] == '@')
		return digest;
	if (colon == NULL || strchr(colon, '/') != NULL)
		return digest;
	return (size_t)(colon - name);
}

static bool match_image_name(struct expr *expr, const char *name)
{
	char repository[IMAGE_NAME_MAX];
	size_t len = repository_len(name);

	if (expr_match(expr, name))
		return true;
	if (name[len] == '\0' || len >= sizeof(repository))
		return false;
	memcpy(repository, name, len);
	repository[len] = '\0';
	return expr_match(expr, repository);
}

static bool match_image(struct expr *expr, const struct node_view *node)
{
	for (size_t i = 0; i < node->images_len; i++) {
		const struct image_view *image = node->images[i];

		if (match_id(expr, image->id) ||
			(str_has_prefix(image->id, "sha256:") &&
				match_id(expr, image->id + strlen("sha256:"))))
			return true;
		for (size_t j = 0; j < image->names_len; j++) {
			if (match_image_name(expr, image->names[j]))
				return true;
		}
	}
	return false;
}

/* A container without the label has it empty. */
static bool match_label(struct expr *expr, const struct node_view *node)
{
	for (size_t i = 0; i < node->containers_len; i++) {
		if (expr_match(expr, labels_get(&node->containers[i]->labels, expr_key(expr))))
			return true;
	}
	return false;
}

static bool match(struct expr *expr, const struct node_view *node)
{
	if (str_eq(expr_key(expr), "container"))
		return match_container(expr, node);
	if (str_eq(expr_key(expr), "image"))
		return match_image(expr, node);
	return match_label(expr, node);
}

static bool check(struct filter_request *request, const struct node_view *node,
	struct filter_verdict *verdict)
{
	return expr_list_check(&request->affinities, node, match, verdict);
}

static void conditions(const struct filter_request *request, struct buf *out)
{
	expr_list_print(&request->affinities, true, out);
}

static void reason(const struct filter_request *request, size_t why, struct buf *out)
{
	expr_list_reason(&request->affinities, why, out);
}

const struct filter_ops filter_affinity = {
	.name = "affinity",
	.check = check,
	.conditions = conditions,
	.reason = reason,
};
