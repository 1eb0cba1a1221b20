#include "api/project.h"

#include <string.h>

/* Separators in the name of an image at which a project may end. */
#define CUTS_MAX 8

const char *project_of(const json_t *labels)
{
	const char *project = json_string_value(json_object_get(labels, PROJECT_LABEL));

	return project != NULL ? project : "";
}

struct node *project_home(const struct cluster *cluster, const char *project)
{
	return cluster_project_home(cluster, project);
}

struct node *project_home_of_image(const struct cluster *cluster, const char *image)
{
	/* Projects have no slash in their name: an image behind a registry is not Compose's own
	 * choice of a name. */
	char *name CLEANUP_FREE = xstrndup(image, strcspn(image, ":@"));
	struct node *home = NULL;

	if (strchr(name, '/') != NULL)
		return NULL;
	/* Names of projects and of services may hold separators too: the longest project first. */
	for (int i = 0; i < CUTS_MAX && home == NULL; i++) {
		size_t len = strlen(name);

		while (len > 0 && name[len - 1] != '_' && name[len - 1] != '-')
			len--;
		if (len < 2)
			break;
		name[len - 1] = '\0';
		home = project_home(cluster, name);
	}
	return home;
}
