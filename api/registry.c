/* What an engine asks a registry for: any healthy one will do. The client's credentials go along in
 * the request's headers or body, and are not looked at. */
#include "api/api_priv.h"
#include "lib/str.h"

#include <string.h>

static void forward_to_any(struct request *r, char *path_take)
{
	struct forward_spec spec = {.path_take = path_take};
	struct err err = ERR_INIT;

	spec.node = request_any_node(r, &err);
	if (spec.node != NULL) {
		forward_collected(r, &spec);
		return;
	}
	free(path_take);
	request_fail(r, &err);
}

void images_search(struct request *r)
{
	forward_to_any(r, xstrdup("/images/search"));
}

void registry_auth(struct request *r)
{
	forward_to_any(r, xstrdup("/auth"));
}

/* Whether the path that it becomes a part of is the one that the engine routes by. */
static bool is_reference(const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f ||
			strchr("?#%\\", *p) != NULL)
			return false;
	}
	return name[0] != '/' && strstr(name, "..") == NULL && strstr(name, "//") == NULL &&
	       strstr(name, "/./") == NULL && !str_has_prefix(name, "./");
}

void registry_distribution(struct request *r)
{
	char *name CLEANUP_FREE = NULL;

	if (!is_reference(r->name)) {
		exchange_reply_error(r->x, 400, "invalid reference format");
		return;
	}
	name = str_url_encode(r->name, strlen(r->name));
	forward_to_any(r, xasprintf("/distribution/%s/json", name));
}
