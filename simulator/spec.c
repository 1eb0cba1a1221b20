/* What a container was asked to be: checked, normalised, and shared by containers that were asked
 * for in the same words. */
#include "simulator/image.h"

#include <stdio.h>
#include <string.h>

#define MEMORY_MIN (6 << 20)

static json_t *own_copy(const json_t *value)
{
	return json_deep_copy(value);
}

static json_t *strings_of(const json_t *value)
{
	json_t *list;

	if (!json_is_string(value))
		return json_is_array(value) ? own_copy(value) : json_null();
	list = json_array();
	json_array_append(list, (json_t *)value);
	return list;
}

/* Merges maps: what config has wins. */
static void merge_map(json_t *config, const json_t *image, const char *key)
{
	json_t *from = json_obj(image, key);
	json_t *to = json_object_get(config, key);

	if (!from || !json_object_size(from))
		return;
	if (!json_is_object(to)) {
		json_object_set_new(config, key, own_copy(from));
		return;
	}
	json_object_update_missing(to, from);
}

/* The image's variables that the request does not set. */
static void merge_env(json_t *config, const json_t *image)
{
	json_t *env = json_arr(config, "Env");
	json_t *item;
	json_t *other;
	size_t i;
	size_t k;

	json_array_foreach (image, i, item) {
		const char *text = json_string_value(item);
		size_t len = strcspn(text, "=");
		bool is_set = false;

		json_array_foreach (env, k, other) {
			const char *own = json_string_value(other);

			is_set |= strncmp(own, text, len) == 0 && (own[len] == '=' || !own[len]);
		}
		if (is_set)
			continue;
		if (!env) {
			env = json_array();
			json_object_set_new(config, "Env", env);
		}
		json_array_append(env, item);
	}
}

json_t *sim_spec_merge(const json_t *body, const json_t *image)
{
	static const char *const names[] = {"Hostname", "Domainname", "User", "AttachStdin",
		"AttachStdout", "AttachStderr", "ExposedPorts", "Tty", "OpenStdin", "StdinOnce",
		"Env", "Healthcheck", "ArgsEscaped", "Image", "Volumes", "WorkingDir",
		"NetworkDisabled", "MacAddress", "OnBuild", "Labels", "StopSignal", "StopTimeout"};
	static const char *const inherited[] = {"User", "WorkingDir", "StopSignal"};
	json_t *config = json_object();
	json_t *entrypoint = strings_of(json_get(body, "Entrypoint"));
	json_t *cmd = strings_of(json_get(body, "Cmd"));

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_t *value = json_get(body, names[i]);

		if (value && !json_is_null(value))
			json_object_set_new(config, names[i], own_copy(value));
	}
	if (json_is_null(entrypoint)) {
		if (!json_array_size(cmd)) {
			json_decref(cmd);
			cmd = strings_of(json_get(image, "Cmd"));
		}
		entrypoint = strings_of(json_get(image, "Entrypoint"));
	}
	json_object_set_new(config, "Cmd", cmd);
	json_object_set_new(config, "Entrypoint", entrypoint);
	merge_map(config, image, "ExposedPorts");
	merge_map(config, image, "Labels");
	merge_map(config, image, "Volumes");
	merge_env(config, json_arr(image, "Env"));
	for (size_t i = 0; i < ARRAY_LEN(inherited); i++)
		if (str_is_empty(json_str(config, inherited[i], "")) &&
			*json_str(image, inherited[i], ""))
			json_object_set(config, inherited[i], json_get(image, inherited[i]));
	return config;
}

static int check_env(const json_t *config, struct err *err)
{
	size_t i;
	json_t *item;

	json_array_foreach (json_arr(config, "Env"), i, item) {
		const char *text = json_string_value(item);

		if (text && (*text == '=' || !*text))
			return sim_fail(err, 400, "invalid environment variable: %s", text);
	}
	return 0;
}

static int check_resources(const struct sim_engine *e, json_t *host, struct err *err)
{
	int64_t memory = json_int(host, "Memory", 0);
	int64_t swap = json_int(host, "MemorySwap", 0);
	int64_t reservation = json_int(host, "MemoryReservation", 0);
	int64_t cpus = json_int(host, "NanoCpus", 0);

	if (memory && memory < MEMORY_MIN)
		return sim_fail(err, 400, "Minimum memory limit allowed is 6MB");
	if (memory > 0 && swap > 0 && swap < memory)
		return sim_fail(err, 400,
			"Minimum memoryswap limit should be larger than memory limit, see usage");
	if (!memory && swap > 0)
		return sim_fail(err, 400,
			"You should always set the Memory limit when using Memoryswap limit, see "
			"usage");
	if (reservation && reservation < MEMORY_MIN)
		return sim_fail(err, 400, "Minimum memory reservation allowed is 6MB");
	if (memory > 0 && reservation > memory)
		return sim_fail(err, 400,
			"Minimum memory limit can not be less than memory reservation limit, see "
			"usage");
	if (cpus < 0 || cpus > (int64_t)e->options->cpus * 1000000000)
		return sim_fail(err, 400,
			"Range of CPUs is from 0.01 to %u.00, as there are only %u CPUs available",
			e->options->cpus, e->options->cpus);
	/* As the engine fills it in. */
	if (memory > 0 && !swap && memory < INT64_MAX / 2)
		json_object_set_new(host, "MemorySwap", json_integer(2 * memory));
	return 0;
}

static int check_restart(const json_t *host, bool auto_remove, struct err *err)
{
	json_t *policy = json_obj(host, "RestartPolicy");
	const char *name = json_str(policy, "Name", "");
	int64_t max = json_int(policy, "MaximumRetryCount", 0);

	if (*name && !str_eq(name, "no") && !str_eq(name, "always") &&
		!str_eq(name, "unless-stopped") && !str_eq(name, "on-failure"))
		return sim_fail(err, 400, "invalid restart policy '%s'", name);
	if (max < 0)
		return sim_fail(err, 400, "maximum retry count cannot be negative");
	if (max && !str_eq(name, "on-failure"))
		return sim_fail(err, 400,
			"maximum retry count cannot be used with restart policy '%s'", name);
	if (auto_remove && *name && !str_eq(name, "no"))
		return sim_fail(
			err, 400, "can't create 'AutoRemove' container with restart policy");
	return 0;
}

/* One entry of Binds: source:target[:mode]. */
static int bind_parse(struct sim_mount_spec *m, const char *text, struct err *err)
{
	CLEANUP_STR_LIST struct str_list parts = {0};
	const char *source;
	const char *target;
	const char *mode = "";

	for (const char *p = text;; p++) {
		size_t len = strcspn(p, ":");

		str_list_add_take(&parts, xstrndup(p, len));
		p += len;
		if (!*p)
			break;
	}
	if (parts.len < 1 || parts.len > 3)
		return sim_fail(err, 400, "invalid volume specification: '%s'", text);
	source = parts.len > 1 ? parts.items[0] : "";
	target = parts.items[parts.len > 1 ? 1 : 0];
	if (parts.len > 2)
		mode = parts.items[2];
	if (*target != '/')
		return sim_fail(err, 500,
			"invalid volume specification: '%s': invalid mount config for type "
			"\"%s\": invalid mount path: '%s' mount path must be absolute",
			text, *source == '/' ? "bind" : "volume", target);
	if (str_eq(target, "/"))
		return sim_fail(err, 500,
			"invalid volume specification: '%s': invalid mount config for type "
			"\"%s\": invalid specification: destination can't be '/'",
			text, *source == '/' ? "bind" : "volume");
	m->target = xstrdup(target);
	m->rw = !strstr(mode, "ro");
	if (*source == '/') {
		m->source = xstrdup(source);
		m->mode = xstrdup(mode);
	} else {
		if (*source)
			m->name = xstrdup(source);
		m->mode = xstrdup(*mode ? mode : "z");
	}
	return 0;
}

static struct sim_mount_spec *mount_add(struct sim_spec *s)
{
	s->mounts = xreallocarray(s->mounts, s->mounts_len + 1, sizeof(*s->mounts));
	memset(&s->mounts[s->mounts_len], 0, sizeof(*s->mounts));
	return &s->mounts[s->mounts_len++];
}

static bool mount_has(const struct sim_spec *s, const char *target)
{
	for (size_t i = 0; i < s->mounts_len; i++)
		if (str_eq(s->mounts[i].target, target))
			return true;
	return false;
}

static int mounts_parse(
	struct sim_spec *s, const json_t *config, const json_t *host, struct err *err)
{
	const char *target;
	json_t *item;
	size_t i;
	int status;

	json_array_foreach (json_arr(host, "Binds"), i, item) {
		status = bind_parse(mount_add(s), json_string_value(item), err);
		if (status)
			return status;
	}
	json_array_foreach (json_arr(host, "Mounts"), i, item) {
		const char *type = json_str(item, "Type", "");
		const char *source = json_str(item, "Source", "");
		struct sim_mount_spec *m;

		if (str_eq(type, "tmpfs"))
			continue;
		if (*json_str(item, "Target", "") != '/' ||
			(!str_eq(type, "bind") && !str_eq(type, "volume")))
			return sim_fail(err, 400,
				"invalid mount config for type \"%s\": invalid mount path: '%s' "
				"mount "
				"path must be absolute",
				type, json_str(item, "Target", ""));
		m = mount_add(s);
		m->target = xstrdup(json_str(item, "Target", ""));
		m->mode = xstrdup(str_eq(type, "volume") ? "z" : "");
		m->rw = !json_bool(item, "ReadOnly", false);
		if (str_eq(type, "bind"))
			m->source = xstrdup(source);
		else if (*source)
			m->name = xstrdup(source);
	}
	json_object_foreach (json_obj(config, "Volumes"), target, item) {
		if (mount_has(s, target) || *target != '/')
			continue;
		mount_add(s);
		s->mounts[s->mounts_len - 1].target = xstrdup(target);
		s->mounts[s->mounts_len - 1].mode = xstrdup("");
		s->mounts[s->mounts_len - 1].rw = true;
	}
	return 0;
}

static void argv_make(struct sim_spec *s, const json_t *config)
{
	static const char *const keys[] = {"Entrypoint", "Cmd"};
	CLEANUP_BUF struct buf command = {0};
	json_t *item;
	size_t i;

	for (size_t k = 0; k < ARRAY_LEN(keys); k++)
		json_array_foreach (json_arr(config, keys[k]), i, item)
			str_list_add(
				&s->argv, json_string_value(item) ? json_string_value(item) : "");
	buf_init(&command, SIM_BODY_MAX * 2);
	for (i = 0; i < s->argv.len; i++) {
		const char *word = s->argv.items[i];

		if (i)
			buf_append_char(&command, ' ');
		/* Arguments with blanks are quoted; the program itself is not. */
		buf_printf(&command, i && strchr(word, ' ') ? "'%s'" : "%s", word);
	}
	s->command = buf_take(&command);
}

static void spec_free(struct sim_spec *s)
{
	for (size_t i = 0; i < s->ports_len; i++)
		free(s->ports[i].host_ip);
	free(s->ports);
	for (size_t i = 0; i < s->mounts_len; i++) {
		free(s->mounts[i].name);
		free(s->mounts[i].source);
		free(s->mounts[i].target);
		free(s->mounts[i].mode);
	}
	free(s->mounts);
	free(s->key);
	free(s->image);
	free(s->command);
	free(s->labels);
	free(s->network_mode);
	free(s->stop_signal);
	free(s->user);
	free(s->restart_policy);
	str_list_free(&s->argv);
	free(s->host_text);
	free(s->config_text);
	free(s);
}

/* Fills in what is looked at often. 0 or a status. */
static int spec_fill(struct sim_spec *s, const json_t *config, const json_t *host, struct err *err)
{
	json_t *labels = json_obj(config, "Labels");
	json_t *policy = json_obj(host, "RestartPolicy");
	const char *mode = json_str(host, "NetworkMode", "");
	int status;

	s->image = xstrdup(json_str(config, "Image", ""));
	s->labels = labels ? json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS) : xstrdup("{}");
	s->network_mode = xstrdup(*mode ? mode : "default");
	s->stop_signal = xstrdup(json_str(config, "StopSignal", ""));
	s->user = xstrdup(json_str(config, "User", ""));
	s->restart_policy = xstrdup(json_str(policy, "Name", ""));
	s->restart_max = (unsigned)json_int(policy, "MaximumRetryCount", 0);
	s->memory = json_int(host, "Memory", 0);
	s->nano_cpus = json_int(host, "NanoCpus", 0);
	s->tty = json_bool(config, "Tty", false);
	s->open_stdin = json_bool(config, "OpenStdin", false);
	s->stdin_once = json_bool(config, "StdinOnce", false);
	s->auto_remove = json_bool(host, "AutoRemove", false);
	s->publish_all = json_bool(host, "PublishAllPorts", false);
	argv_make(s, config);
	if (!s->argv.len)
		return sim_fail(err, 400, "No command specified");
	status = mounts_parse(s, config, host, err);
	if (status)
		return status;
	return sim_ports_parse(
		s, json_obj(config, "ExposedPorts"), json_obj(host, "PortBindings"), err);
}

/* The spec of these two, new or one that is there already. */
static int spec_intern(struct sim_specs *specs, const json_t *config, const json_t *host,
	struct sim_spec **out, struct err *err)
{
	CLEANUP_FREE char *config_text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
	CLEANUP_FREE char *host_text = json_dumps(host, JSON_COMPACT | JSON_SORT_KEYS);
	CLEANUP_FREE char *key = xasprintf("%s\n%s", host_text, config_text);
	struct sim_spec *s;
	int status;

	HASH_FIND_STR(specs->by_key, key, s);
	if (s) {
		*out = sim_spec_ref(s);
		return 0;
	}
	s = xcalloc(1, sizeof(*s));
	s->refs = 1;
	s->host_len = strlen(host_text);
	status = spec_fill(s, config, host, err);
	if (status) {
		spec_free(s);
		return status;
	}
	s->key = TAKE_PTR(key);
	HASH_ADD_KEYPTR(hh, specs->by_key, s->key, strlen(s->key), s);
	*out = s;
	return 0;
}

int sim_spec_make(struct sim_specs *specs, const struct sim_engine *engine, const json_t *body,
	const struct sim_image *image, struct sim_spec **out, struct err *err)
{
	CLEANUP_JSON json_t *defaults = json_loads(image->content->config, 0, NULL);
	CLEANUP_JSON json_t *config = sim_spec_merge(body, defaults);
	CLEANUP_JSON json_t *host = json_object();
	const char *key;
	json_t *value;
	int status;

	json_object_foreach (json_obj(body, "HostConfig"), key, value)
		if (!json_is_null(value))
			json_object_set_new(host, key, own_copy(value));
	status = check_env(config, err);
	if (!status)
		status = check_resources(engine, host, err);
	if (!status)
		status = check_restart(host, json_bool(host, "AutoRemove", false), err);
	if (!status)
		status = spec_intern(specs, config, host, out, err);
	return status;
}

int sim_spec_update(struct sim_specs *specs, struct sim_engine *engine, const char *id,
	const struct sim_spec *old, const json_t *changes, struct sim_spec **out, struct err *err)
{
	static const char *const names[] = {"CpuShares", "Memory", "NanoCpus", "CgroupParent",
		"BlkioWeight", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime",
		"CpusetCpus", "CpusetMems", "KernelMemory", "KernelMemoryTCP", "MemoryReservation",
		"MemorySwap", "PidsLimit"};
	CLEANUP_JSON json_t *config = sim_spec_config(old);
	CLEANUP_JSON json_t *host = sim_spec_host(old);
	int64_t memory = json_int(changes, "Memory", 0);
	int64_t swap = json_int(changes, "MemorySwap", 0);
	int64_t old_swap = json_int(host, "MemorySwap", 0);
	json_t *policy = json_obj(changes, "RestartPolicy");
	int status;

	if (memory && !swap && (!old_swap || (old_swap > 0 && memory > old_swap)))
		return sim_fail(err, 409,
			"Cannot update container %s: Memory limit should be smaller than already "
			"set "
			"memoryswap limit, update the memoryswap at the same time",
			id);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_t *value = json_get(changes, names[i]);

		if ((json_is_integer(value) && json_integer_value(value)) ||
			(json_is_string(value) && json_string_length(value)))
			json_object_set(host, names[i], value);
	}
	if (policy && *json_str(policy, "Name", ""))
		json_object_set(host, "RestartPolicy", policy);
	status = check_resources(engine, host, err);
	if (!status)
		status = check_restart(host, old->auto_remove, err);
	return status ? status : spec_intern(specs, config, host, out, err);
}

struct sim_spec *sim_spec_ref(struct sim_spec *spec)
{
	spec->refs++;
	return spec;
}

void sim_spec_unref(struct sim_specs *specs, struct sim_spec *spec)
{
	if (!spec || --spec->refs)
		return;
	HASH_DEL(specs->by_key, spec);
	spec_free(spec);
}

json_t *sim_spec_host(const struct sim_spec *spec)
{
	return json_loadb(spec->key, spec->host_len, 0, NULL);
}

json_t *sim_spec_config(const struct sim_spec *spec)
{
	return json_loads(spec->key + spec->host_len + 1, 0, NULL);
}

/* *kept holds the text from now on when several containers can use it. */
static void show_text(
	struct buf *b, const struct sim_spec *spec, struct buf *text, char **kept, size_t skip)
{
	buf_append(b, buf_str(text) + skip, text->len - skip);
	if (spec->refs > 1 && !text->failed)
		*kept = buf_take(text);
}

void sim_spec_show_host(struct buf *b, struct sim_spec *spec)
{
	CLEANUP_BUF struct buf text = {0};
	CLEANUP_JSON json_t *host = NULL;

	if (spec->host_text) {
		buf_append_str(b, spec->host_text);
		return;
	}
	host = sim_spec_host(spec);
	buf_init(&text, SIM_REPLY_MAX);
	sim_spec_write_host(&text, host);
	show_text(b, spec, &text, &spec->host_text, 0);
}

void sim_spec_show_config(struct buf *b, struct sim_spec *spec, const char *hostname)
{
	static const char first[] = "{\"Hostname\":\"\"";
	CLEANUP_BUF struct buf text = {0};
	CLEANUP_JSON json_t *config = NULL;

	buf_append_char(b, '{');
	sim_json_s(b, "Hostname", hostname);
	if (spec->config_text) {
		buf_append_str(b, spec->config_text + strlen(first));
		return;
	}
	config = sim_spec_config(spec);
	buf_init(&text, SIM_REPLY_MAX);
	sim_spec_write_config(&text, config, "", true);
	show_text(b, spec, &text, &spec->config_text, strlen(first));
}
