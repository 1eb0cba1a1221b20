#include "api/container_find.h"
#include "api/pattern.h"
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

/* Whether what stands before may be there often, or not at all. */
static bool is_repeated(const char *behind)
{
	return *behind != '\0' && strchr(REPEATS, *behind) != NULL;
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
		if (is_repeated(p))
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
	if (len > 0 && is_repeated(p))
		len--;
	text[len] = '\0';
	return text;
}

/* The last character of "[0-9]" or "{2}"; NULL when it is no such thing, and who knows what. */
static const char *end_of_brackets(const char *p)
{
	if (*p == '{') {
		p += 1 + strspn(p + 1, "0123456789,");
		return *p == '}' ? p : NULL;
	}
	p += p[1] == '^';
	/* The first one is a character like others. */
	p += p[1] == ']';
	return strchr(p + 1, ']');
}

/* The longest of the texts that are in the name of whatever matches, as far as it is clear which
 * these are; NULL when none is. Owned. */
static char *part_of(const char *pattern)
{
	const char *longest = NULL;
	size_t longest_len = 0;

	if (container_pattern_names_node(pattern)) {
		/* An expression may find what is behind its slash in the name of the node. */
		if (!pattern_is_plain(pattern))
			return NULL;
		pattern = strrchr(pattern, '/') + 1;
	}
	if (strpbrk(pattern, "|(\\") != NULL || strstr(pattern, "[:") != NULL)
		return NULL;
	while (pattern != NULL && *pattern != '\0') {
		/* Names have no first slash in the index. */
		const char *text = pattern + (*pattern == '/');
		const char *end = pattern + pattern_plain_len(pattern);
		size_t len = (size_t)(end - text);

		if (len > 0 && is_repeated(end))
			len--;
		if (len > longest_len) {
			longest = text;
			longest_len = len;
		}
		if (*end == '[' || *end == '{')
			end = end_of_brackets(end);
		pattern = end != NULL && *end != '\0' ? end + 1 : end;
	}
	return longest != NULL ? xstrndup(longest, longest_len) : NULL;
}

static bool find_part(const struct cluster *cluster, const char *value, struct container_set *set)
{
	char *part CLEANUP_FREE = part_of(value);

	return part != NULL && container_set_add_name_parts(set, cluster, part);
}

bool container_find_name(
	const struct cluster *cluster, const char *value, struct container_set *set)
{
	bool is_whole = false, is_found = true;
	char *text CLEANUP_FREE = beginning_of(value, &is_whole);
	const char *slash = text != NULL ? strchr(text, '/') : NULL;

	if (str_is_empty(text) || text[0] == '/')
		return find_part(cluster, value, set);
	if (container_pattern_names_node(value)) {
		char *node CLEANUP_FREE = NULL;

		if (slash == NULL)
			return find_part(cluster, value, set);
		node = xstrndup(text, (size_t)(slash - text));
		is_found = container_find_node(cluster, node, set);
	}
	return is_found && container_set_add_names(set, cluster, text, is_whole);
}

/* ---- Images ---- */

struct image **container_find_ancestors(
	const struct cluster *cluster, const char *text, size_t *len)
{
	const char *slash = strrchr(text, '/');
	bool is_whole =
		strchr(slash != NULL ? slash : text, ':') != NULL || strchr(text, '@') != NULL;
	char *latest CLEANUP_FREE = xasprintf("%s%s", text, is_whole ? "" : ":latest");
	struct image **found = cluster_images_find(cluster, latest, len);

	if (*len > 0 || is_whole || strspn(text, "0123456789abcdef") != strlen(text))
		return found;
	free(found);
	return cluster_images_find(cluster, text, len);
}

char *container_find_parent(const struct cluster *cluster, const char *id)
{
	size_t len;
	struct image **found = cluster_images_find(cluster, id, &len);
	char *parent = NULL;

	for (size_t i = 0; i < len && parent == NULL; i++) {
		if (!str_is_empty(found[i]->parent_id))
			parent = xstrdup(found[i]->parent_id);
	}
	free(found);
	return parent;
}
