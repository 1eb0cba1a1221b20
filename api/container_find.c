#include "api/container_find.h"
#include "cluster/cluster.h"
#include "lib/str.h"

#include <ctype.h>
#include <string.h>

/* What may follow a character to say how often it comes, so also not at all. */
#define REPEATS "?*{"

bool container_find_id(const struct cluster *cluster, const char *value, struct container_set *set)
{
	return container_set_add_ids(set, cluster, value);
}

bool container_find_node(
	const struct cluster *cluster, const char *value, struct container_set *set)
{
	/* What nodes are called whose name is not known: no index has that. */
	return !str_eq(value, "(unknown)") && container_set_add_node(set, cluster, value);
}

bool container_find_label(
	const struct cluster *cluster, const char *value, struct container_set *set)
{
	const char *equals = strchr(value, '=');
	char *key CLEANUP_FREE =
		xstrndup(value, equals != NULL ? (size_t)(equals - value) : strlen(value));

	return container_set_add_labelled(set, cluster, key, equals != NULL ? equals + 1 : NULL);
}

/* ---- Names: regular expressions ---- */

bool container_pattern_names_node(const char *pattern)
{
	pattern += pattern[0] == '^';
	pattern += pattern[0] == '/';
	return strchr(pattern, '/') != NULL;
}

/* The text that whatever matches begins with, behind the first slash of names, which is no part of
 * the index. is_whole: and there is nothing behind it. NULL when that cannot be told. Owned. */
static char *beginning_of(const char *pattern, bool *is_whole)
{
	const char *p = pattern;
	char *text;
	size_t len = 0;

	if (*p++ != '^' || strchr(p, '|') != NULL)
		return NULL;
	if (*p == '/') {
		p++;
		p += *p == '?';
		/* No slash, or many. */
		if (*p != '\0' && strchr(REPEATS, *p) != NULL)
			return NULL;
	}
	text = xstrdup(p);
	for (; *p != '\0'; p++) {
		const char *at = *p == '\\' ? p + 1 : p;
		unsigned char c = (unsigned char)*at;

		if (at > p ? !ispunct(c) : !isalnum(c) && c != '_' && c != '-' && c != '/')
			break;
		text[len++] = (char)c;
		p = at;
	}
	*is_whole = str_eq(p, "$");
	if (len > 0 && *p != '\0' && strchr(REPEATS, *p) != NULL)
		len--;
	text[len] = '\0';
	return text;
}

bool container_find_name(
	const struct cluster *cluster, const char *value, struct container_set *set)
{
	bool is_whole = false, is_found = true;
	char *text CLEANUP_FREE = beginning_of(value, &is_whole);
	const char *slash = text != NULL ? strchr(text, '/') : NULL;

	if (str_is_empty(text) || text[0] == '/')
		return false;
	if (container_pattern_names_node(value)) {
		char *node CLEANUP_FREE = NULL;

		if (slash == NULL)
			return false;
		node = xstrndup(text, (size_t)(slash - text));
		is_found = container_find_node(cluster, node, set);
	}
	return is_found && container_set_add_names(set, cluster, text, is_whole);
}
