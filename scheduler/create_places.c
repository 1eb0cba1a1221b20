/* Networks and volumes that a create request names: where they are decides where it can go. */
#include "filters/expr.h"
#include "lib/json.h"
#include "scheduler/create_priv.h"

#include <string.h>

/* Cuts "node/name"; NULL when it is a plain name, or a path. */
static const char *name_behind_node(const char *text, const char **slash)
{
	*slash = strchr(text, '/');
	if (*slash == NULL || *slash == text || (*slash)[1] == '\0')
		return NULL;
	return *slash + 1;
}

static int place_add(struct str_list *list, const char *field, const char *name, struct err *err)
{
	if (str_list_has(list, name))
		return 0;
	if (list->len == CREATE_PLACES_MAX)
		return err_set(
			err, ERR_INVALID, "%s names more than %d in all", field, CREATE_PLACES_MAX);
	str_list_add(list, name);
	return 0;
}

static int constraint_add(struct create_request *request, const char *term, struct err *err)
{
	if (str_list_has(&request->constraints, term))
		return 0;
	if (request->constraints.len == EXPR_TERMS_MAX)
		return err_set(err, ERR_INVALID,
			"too many constraint expressions: at most %d, and each `node/name` is one",
			EXPR_TERMS_MAX);
	str_list_add(&request->constraints, term);
	return 0;
}

/* ---- Networks ---- */

/* Every engine has these, or they are no network. */
static bool is_everywhere(const char *network)
{
	static const char *const names[] = {"", "default", "bridge", "host", "none", "nat"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(network, names[i]))
			return true;
	}
	return false;
}

/* "node/network": *local is the network's own name, for the engine, and the node is preferred. NULL
 * for a plain name. */
static int network_local_name(
	struct create_request *request, const char *name, const char **local, struct err *err)
{
	const char *slash;
	CLEANUP_FREE char *term = NULL;

	*local = name_behind_node(name, &slash);
	if (*local == NULL)
		return 0;
	term = xasprintf("node==~%.*s", (int)(slash - name), name);
	return constraint_add(request, term, err);
}

static int network_add(
	struct create_request *request, const char *field, const char *name, struct err *err)
{
	if (is_everywhere(name))
		return 0;
	return place_add(&request->networks, field, name, err);
}

static int read_network_mode(struct create_request *request, json_t *host, struct err *err)
{
	static const char by_container[] = "container:";
	json_t *mode;
	const char *text;
	const char *local;

	if (body_field_get(host, "HostConfig.", "NetworkMode", JSON_STRING, &mode, err) < 0)
		return -1;
	text = mode == NULL ? "" : json_string_value(mode);
	if (str_has_prefix(text, by_container)) {
		request->network_container = xstrdup(text + strlen(by_container));
		return 0;
	}
	request->placement.want.host_network = str_eq(text, "host");
	/* Without a network of its own a container binds nothing. */
	if (str_eq(text, "host") || str_eq(text, "none"))
		request->placement.want.ports_len = 0;
	if (network_local_name(request, text, &local, err) < 0 ||
		network_add(request, "HostConfig.NetworkMode", local == NULL ? text : local, err) <
			0)
		return -1;
	if (local != NULL)
		json_put(host, "NetworkMode", json_string(local));
	return 0;
}

static int read_endpoints(struct create_request *request, struct err *err)
{
	json_t *networking;
	json_t *endpoints;
	CLEANUP_JSON json_t *renamed = json_object();
	const char *key;
	json_t *value;

	if (body_field_get(request->body, "", "NetworkingConfig", JSON_OBJECT, &networking, err) <
			0 ||
		body_object_check(networking, "NetworkingConfig", err) < 0 ||
		body_field_get(networking, "NetworkingConfig.", "EndpointsConfig", JSON_OBJECT,
			&endpoints, err) < 0)
		return -1;
	if (endpoints == NULL)
		return 0;
	json_object_foreach (endpoints, key, value) {
		const char *local;
		const char *name;

		if (network_local_name(request, key, &local, err) < 0)
			return -1;
		name = local == NULL ? key : local;
		if (network_add(request, "NetworkingConfig.EndpointsConfig", name, err) < 0)
			return -1;
		json_object_set(renamed, name, value);
	}
	json_put(networking, "EndpointsConfig", json_incref(renamed));
	return 0;
}

/* ---- Volumes ---- */

/* One volume by the text that names it, if it does. *rename is set when the engine is to get
 * another text: the node of "node/name" is meant whether or not it has the volume yet. */
static int volume_read(struct create_request *request, const char *field, const char *source,
	const char **rename, struct err *err)
{
	const char *slash;
	CLEANUP_FREE char *term = NULL;

	*rename = NULL;
	if (source[0] == '\0' || source[0] == '/')
		return 0;
	request->names_volumes = true;
	*rename = name_behind_node(source, &slash);
	if (*rename == NULL)
		return place_add(&request->volumes, field, source, err);
	term = xasprintf("node==%.*s", (int)(slash - source), source);
	return constraint_add(request, term, err);
}

/* "name:/path", "name:/path:ro", "/path:/path", "C:\path:C:\path" */
static int read_binds(struct create_request *request, const json_t *host, struct err *err)
{
	json_t *binds;
	json_t *item;
	size_t i;

	if (body_field_get(host, "HostConfig.", "Binds", JSON_ARRAY, &binds, err) < 0)
		return -1;
	json_array_foreach (binds, i, item) {
		const char *text = json_string_value(item);
		const char *rename;
		CLEANUP_FREE char *source = NULL;
		CLEANUP_FREE char *changed = NULL;
		size_t len;

		if (text == NULL)
			return err_set(
				err, ERR_INVALID, "HostConfig.Binds must be a list of strings");
		len = strcspn(text, ":");
		/* No colon: a path alone. One letter: a drive, since names have two at least. */
		if (text[len] == '\0' || len < 2)
			continue;
		source = xstrndup(text, len);
		if (volume_read(request, "HostConfig.Binds", source, &rename, err) < 0)
			return -1;
		if (rename == NULL)
			continue;
		changed = xasprintf("%s%s", rename, text + len);
		json_array_set_new(binds, i, json_string(changed));
	}
	return 0;
}

static int read_mount(struct create_request *request, json_t *mount, struct err *err)
{
	static const char where[] = "HostConfig.Mounts.";
	json_t *type;
	json_t *source;
	const char *rename;

	if (!json_is_object(mount))
		return err_set(err, ERR_INVALID, "HostConfig.Mounts must be a list of objects");
	if (body_object_check(mount, "HostConfig.Mounts", err) < 0 ||
		body_field_get(mount, where, "Type", JSON_STRING, &type, err) < 0 ||
		body_field_get(mount, where, "Source", JSON_STRING, &source, err) < 0)
		return -1;
	if (type == NULL || source == NULL || !str_eq(json_string_value(type), "volume"))
		return 0;
	if (volume_read(request, "HostConfig.Mounts", json_string_value(source), &rename, err) < 0)
		return -1;
	if (rename != NULL)
		json_put(mount, "Source", json_string(rename));
	return 0;
}

static int read_mounts(struct create_request *request, const json_t *host, struct err *err)
{
	json_t *mounts;
	json_t *mount;
	size_t i;

	if (body_field_get(host, "HostConfig.", "Mounts", JSON_ARRAY, &mounts, err) < 0)
		return -1;
	json_array_foreach (mounts, i, mount) {
		if (read_mount(request, mount, err) < 0)
			return -1;
	}
	return 0;
}

int create_request_add_network(struct create_request *request, const char *name, struct err *err)
{
	if (network_add(request, "the request", name, err) < 0)
		return -1;
	create_placement_update(request);
	return 0;
}

int create_read_places(struct create_request *request, json_t *host, struct err *err)
{
	if (read_network_mode(request, host, err) < 0 || read_endpoints(request, err) < 0 ||
		read_binds(request, host, err) < 0)
		return -1;
	return read_mounts(request, host, err);
}
