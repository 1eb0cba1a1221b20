/* The fields of /info that are no sums, merged over the engines. */
#include "api/info_merge.h"
#include "lib/hash.h"
#include "lib/json.h"
#include "lib/str.h"

#include <string.h>

#define LIST_MAX 256 /* items of one merged list */
#define TEXTS_MAX 4  /* texts that differ, side by side; of more, so many and "..." */
#define WARNINGS_MAX 100

struct merge {
	const json_t **infos; /* borrowed; nodes that tell the same share one */
	size_t len;
	const struct node **nodes; /* those that are healthy */
	size_t nodes_len;
	json_t *out;
};

/* True where all that tell of it can do it; `otherwise` where none tells. */
static void merge_bool(struct merge *m, const char *key, bool otherwise)
{
	bool all = true, is_told = false;

	for (size_t i = 0; i < m->len; i++) {
		const json_t *value = json_get(m->infos[i], key);

		if (!json_is_boolean(value))
			continue;
		is_told = true;
		all = all && json_is_true(value);
	}
	json_object_set_new(m->out, key, json_boolean(is_told ? all : otherwise));
}

/* The texts behind object.key (object NULL: key itself) that differ, "a, b". Owned by the caller.
 */
static char *texts_of(const struct merge *m, const char *object, const char *key)
{
	struct str_list seen CLEANUP_STR_LIST = {0};
	struct buf out;

	buf_init(&out, 16 * 1024);
	for (size_t i = 0; i < m->len; i++) {
		const json_t *from = object != NULL ? json_obj(m->infos[i], object) : m->infos[i];
		const char *text = json_str(from, key, "");

		if (str_is_empty(text) || str_list_has(&seen, text))
			continue;
		if (seen.len == TEXTS_MAX) {
			buf_append_str(&out, ", ...");
			break;
		}
		buf_printf(&out, "%s%.500s", seen.len > 0 ? ", " : "", text);
		str_list_add(&seen, text);
	}
	return buf_take(&out);
}

/* Where a text was cut within a character it is not one any more. */
static json_t *text_json(const char *text)
{
	json_t *json = json_string(text);

	return json != NULL ? json : json_string("(not readable)");
}

static void merge_text(struct merge *m, const char *key)
{
	char *text CLEANUP_FREE = texts_of(m, NULL, key);

	json_object_set_new(m->out, key, text_json(text));
}

/* {"ID", "Expected"}: an engine that has another than it expects is a matter of that engine. */
static void merge_commit(struct merge *m, const char *key)
{
	char *text CLEANUP_FREE = texts_of(m, key, "ID");

	json_object_set_new(m->out, key,
		json_pack("{s:o, s:o}", "ID", text_json(text), "Expected", text_json(text)));
}

/* ---- Lists ---- */

/* Adds what is not there yet; seen: the texts of what is. */
static void add_missing(json_t *list, json_t *seen, const json_t *from)
{
	json_t *item;
	size_t i;

	json_array_foreach ((json_t *)from, i, item) {
		if (json_array_size(list) >= LIST_MAX)
			return;
		if (json_set_add(seen, item))
			json_array_append(list, item);
	}
}

static json_t *member(const struct merge *m, size_t i, const char *object, const char *key)
{
	return json_get(object != NULL ? json_obj(m->infos[i], object) : m->infos[i], key);
}

/* What any of them has. Most engines of a cluster are alike, so one that says what the one before
 * it said is soon done with. */
static json_t *union_of(const struct merge *m, const char *object, const char *key)
{
	json_t *list = json_array(), *seen CLEANUP_JSON = json_object();
	const json_t *last = NULL;

	for (size_t i = 0; i < m->len; i++) {
		const json_t *from = member(m, i, object, key);

		if (!json_is_array(from) || json_equal(from, last))
			continue;
		add_missing(list, seen, from);
		last = from;
	}
	return list;
}

/* Objects by name: of one name the first that comes. */
static json_t *objects_of(const struct merge *m, const char *object, const char *key)
{
	json_t *all = json_object();
	const json_t *last = NULL;

	for (size_t i = 0; i < m->len; i++) {
		json_t *from = member(m, i, object, key);
		const char *name;
		json_t *value;

		if (!json_is_object(from) || json_equal(from, last))
			continue;
		last = from;
		json_object_foreach (from, name, value) {
			if (json_object_size(all) < LIST_MAX && json_is_object(value) &&
				json_object_get(all, name) == NULL)
				json_object_set(all, name, value);
		}
	}
	return all;
}

/* Keeps of the list what `from` has too. */
static json_t *common_of(json_t *list_take, const json_t *from)
{
	json_t *list CLEANUP_JSON = list_take;
	json_t *there CLEANUP_JSON = json_object();
	json_t *common = json_array(), *item;
	size_t i;

	json_array_foreach ((json_t *)from, i, item)
		(void)json_set_add(there, item);
	json_array_foreach (list, i, item) {
		if (json_set_has(there, item))
			json_array_append(common, item);
	}
	return common;
}

/* What all of them have: clients read from these what they can rely on. */
static void merge_common(struct merge *m, const char *key)
{
	json_t *common = json_array(), *seen CLEANUP_JSON = json_object();
	const json_t *last = m->len > 0 ? json_arr(m->infos[0], key) : NULL;

	add_missing(common, seen, last);
	for (size_t i = 1; i < m->len && json_array_size(common) > 0; i++) {
		const json_t *from = json_arr(m->infos[i], key);

		if (!json_equal(from, last))
			common = common_of(common, from);
		last = from;
	}
	json_object_set_new(m->out, key, common);
}

static void merge_plugins(struct merge *m)
{
	static const char *const kinds[] = {"Volume", "Network", "Authorization", "Log"};
	json_t *plugins = json_object();

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		json_object_set_new(plugins, kinds[i], union_of(m, "Plugins", kinds[i]));
	json_object_set_new(m->out, "Plugins", plugins);
}

static void merge_registries(struct merge *m)
{
	static const char *const lists[] = {"AllowNondistributableArtifactsCIDRs",
		"AllowNondistributableArtifactsHostnames", "InsecureRegistryCIDRs", "Mirrors"};
	json_t *config = json_object();

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		json_object_set_new(config, lists[i], union_of(m, "RegistryConfig", lists[i]));
	json_object_set_new(
		config, "IndexConfigs", objects_of(m, "RegistryConfig", "IndexConfigs"));
	json_object_set_new(m->out, "RegistryConfig", config);
}

static void merge_warnings(struct merge *m)
{
	json_t *warnings = json_array(), *warning;
	size_t i;

	for (size_t n = 0; n < m->nodes_len && json_array_size(warnings) < WARNINGS_MAX; n++) {
		json_array_foreach (json_arr(node_info(m->nodes[n]), "Warnings"), i, warning) {
			char *text CLEANUP_FREE = NULL;

			if (!json_is_string(warning) || json_array_size(warnings) >= WARNINGS_MAX)
				continue;
			text = xasprintf("node %s: %s", node_view(m->nodes[n])->name,
				json_string_value(warning));
			json_array_append_new(warnings, text_json(text));
		}
	}
	json_object_set_new(m->out, "Warnings", warnings);
}

/* ---- All ---- */

static void merge_fields(struct merge *m)
{
	static const char *const able[] = {"MemoryLimit", "SwapLimit", "KernelMemory",
		"KernelMemoryTCP", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet",
		"PidsLimit", "IPv4Forwarding", "BridgeNfIptables", "BridgeNfIp6tables",
		"OomKillDisable"};
	static const char *const options[] = {"LiveRestoreEnabled", "ExperimentalBuild", "Debug"};
	static const char *const texts[] = {"Driver", "LoggingDriver", "CgroupDriver",
		"CgroupVersion", "OSVersion", "DockerRootDir", "HttpProxy", "HttpsProxy", "NoProxy",
		"DefaultRuntime", "Isolation", "InitBinary"};
	static const char *const commits[] = {"ContainerdCommit", "RuncCommit", "InitCommit"};

	for (size_t i = 0; i < ARRAY_LEN(able); i++)
		merge_bool(m, able[i], true);
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		merge_bool(m, options[i], false);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		merge_text(m, texts[i]);
	for (size_t i = 0; i < ARRAY_LEN(commits); i++)
		merge_commit(m, commits[i]);
	merge_common(m, "DriverStatus");
	merge_common(m, "SecurityOptions");
	merge_plugins(m);
	merge_registries(m);
	merge_warnings(m);
	json_object_set_new(m->out, "Runtimes", objects_of(m, NULL, "Runtimes"));
}

static void add_rest(struct merge *m)
{
	const char *registry = "https://index.docker.io/v1/";
	char *machines CLEANUP_FREE = texts_of(m, NULL, "Architecture");

	/* Clients log in there when they are told no other. */
	for (size_t i = 0; i < m->len; i++) {
		const char *told = json_str(m->infos[i], "IndexServerAddress", "");

		if (!str_is_empty(told)) {
			registry = told;
			break;
		}
	}
	json_object_update_new(m->out,
		json_pack("{s:s, s:n, s:i, s:i, s:i}", "IndexServerAddress", registry,
			"GenericResources", "NFd", 0, "NGoroutines", 0, "NEventsListener", 0));
	json_object_set_new(m->out, "Swarm",
		json_pack("{s:s, s:s, s:s, s:b, s:s, s:n}", "NodeID", "", "NodeAddr", "",
			"LocalNodeState", "inactive", "ControlAvailable", 0, "Error", "",
			"RemoteManagers"));
	if (machines[0] != '\0' && strstr(machines, ", ") == NULL)
		json_object_set_new(m->out, "Architecture", text_json(machines));
}

/* An info that was seen. */
struct seen {
	UT_hash_handle hh;
	const json_t *info;
};

static void collect(struct merge *m, struct node *const *nodes, size_t len)
{
	struct seen *all = NULL, *seen, *next;

	for (size_t i = 0; i < len; i++) {
		const json_t *info = node_info(nodes[i]);

		if (node_state(nodes[i]) != NODE_HEALTHY || info == NULL)
			continue;
		m->nodes[m->nodes_len++] = nodes[i];
		HASH_FIND_PTR(all, &info, seen);
		if (seen != NULL)
			continue;
		seen = xcalloc(1, sizeof(*seen));
		seen->info = info;
		HASH_ADD_PTR(all, info, seen);
		m->infos[m->len++] = info;
	}
	HASH_ITER (hh, all, seen, next) {
		HASH_DEL(all, seen);
		free(seen);
	}
}

json_t *info_merge(struct node *const *nodes, size_t len)
{
	struct merge m = {.out = json_object()};

	m.infos = xcalloc(len + 1, sizeof(json_t *));
	m.nodes = xcalloc(len + 1, sizeof(struct node *));
	collect(&m, nodes, len);
	merge_fields(&m);
	add_rest(&m);
	free(m.infos);
	free(m.nodes);
	return m.out;
}
