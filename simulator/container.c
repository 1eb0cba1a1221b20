/* Containers as objects: made, found, renamed, changed and removed. */
#include "simulator/files.h"
#include "simulator/image.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define NAME_MAX_BYTES 4096

static int id_cmp(const struct sim_container *a, const struct sim_container *b)
{
	return strcmp(a->id, b->id);
}

static int name_cmp(const struct sim_container *a, const struct sim_container *b)
{
	return strcmp(a->name, b->name);
}

RB_GENERATE(sim_ids, sim_container, by_id, id_cmp)
RB_GENERATE(sim_names, sim_container, by_name, name_cmp)

bool sim_container_is_running(const struct sim_container *c)
{
	return c->state == SIM_RUNNING || c->state == SIM_PAUSED;
}

const char *sim_state_name(enum sim_state state)
{
	static const char *const names[] = {"created", "running", "paused", "restarting", "exited"};

	return names[state];
}

static struct sim_container *find_name(struct sim_engine *e, const char *name)
{
	struct sim_container key;

	key.name = (char *)name;
	return RB_FIND(sim_names, &e->names, &key);
}

struct sim_container *sim_container_find(
	struct sim_engine *e, const char *key, int *status, struct err *err)
{
	struct sim_container probe;
	struct sim_container *c;
	struct sim_container *next;
	size_t len = strlen(key);

	*status = 0;
	if (!len) {
		*status = sim_fail(err, 400, "invalid name or ID supplied: \"\"");
		return NULL;
	}
	c = len == SIM_ID_LEN ? NULL : find_name(e, key[0] == '/' ? key + 1 : key);
	if (c)
		return c;
	if (len > SIM_ID_LEN) {
		*status = sim_fail(err, 404, "No such container: %s", key);
		return NULL;
	}
	memcpy(probe.id, key, len + 1);
	c = RB_NFIND(sim_ids, &e->ids, &probe);
	if (c && strncmp(c->id, key, len) == 0) {
		next = RB_NEXT(sim_ids, &e->ids, c);
		if (!next || strncmp(next->id, key, len) != 0)
			return c;
		*status = sim_fail(err, 400, "Multiple IDs found with provided prefix: %s", key);
		return NULL;
	}
	c = len == SIM_ID_LEN ? find_name(e, key) : NULL;
	if (!c)
		*status = sim_fail(err, 404, "No such container: %s", key);
	return c;
}

/* shown: the name as messages show it. */
static int name_check(const char *name, const char *shown, struct err *err)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	if (*name && strchr(first, *name) && name[1] && !name[strspn(name, rest)] &&
		strlen(name) <= NAME_MAX_BYTES)
		return 0;
	return sim_fail(err, 400,
		"Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", shown);
}

static int name_conflict(const struct sim_container *other, const char *prefix, struct err *err)
{
	return sim_fail(err, 409,
		"%sConflict. The container name \"/%s\" is already in use by container \"%s\". You "
		"have "
		"to remove (or rename) that container to be able to reuse that name.",
		prefix, other->name, other->id);
}

/* Two words, and a number when they are taken. */
static char *name_make(struct sim_engine *e)
{
	static const char *const left[] = {"amber", "brisk", "calm", "dusty", "early", "faint",
		"gentle", "hollow", "idle", "jolly", "keen", "lucid", "mellow", "narrow", "open",
		"plain", "quiet", "rapid", "silver", "tidy", "upper", "vivid", "warm", "young"};
	static const char *const right[] = {"anchor", "beacon", "canal", "delta", "ember", "ferry",
		"garden", "harbour", "island", "jetty", "kiln", "lantern", "meadow", "north",
		"orchard", "pier", "quarry", "river", "summit", "tower", "upland", "valley",
		"willow", "yard"};

	for (unsigned i = 0;; i++) {
		uint64_t r = sim_random(e);
		const char *a = left[r % ARRAY_LEN(left)];
		const char *b = right[(r >> 16) % ARRAY_LEN(right)];
		char *name = i < 3 ? xasprintf("%s_%s", a, b)
				   : xasprintf("%s_%s%u", a, b, (unsigned)(r >> 40));

		if (!find_name(e, name))
			return name;
		free(name);
	}
}

static void container_free(struct sim_container *c)
{
	sim_endpoints_free(c);
	sim_mounts_free(c, true);
	sim_log_free(c->log);
	sim_files_free(c);
	sim_image_unref(c->image);
	sim_spec_unref(&c->engine->options->specs, c->spec);
	free(c->name);
	free(c->hostname);
	free(c->error);
	free(c);
}

/* "container:NAME" is kept as "container:ID" when NAME is known. */
static void resolve_network_mode(struct sim_engine *e, json_t *body)
{
	json_t *host = json_get(body, "HostConfig");
	const char *mode = json_str(host, "NetworkMode", "");
	struct sim_container *other;
	int status;

	if (!str_has_prefix(mode, "container:"))
		return;
	other = sim_container_find(e, mode + strlen("container:"), &status, NULL);
	if (other) {
		CLEANUP_FREE char *full = xasprintf("container:%s", other->id);

		json_object_set_new(host, "NetworkMode", json_string(full));
	}
}

/* Other containers that the request names must be there. */
static int check_references(struct sim_engine *e, const json_t *body, struct err *err)
{
	json_t *host = json_get(body, "HostConfig");
	json_t *item;
	size_t i;
	int status;

	json_array_foreach (json_arr(host, "Links"), i, item) {
		const char *text = json_string_value(item) ? json_string_value(item) : "";
		CLEANUP_FREE char *name = xstrndup(text, strcspn(text, ":"));

		if (!sim_container_find(e, name, &status, NULL))
			return sim_fail(err, 400,
				"could not get container for %s: No such container: %s", name,
				name);
	}
	json_array_foreach (json_arr(host, "VolumesFrom"), i, item) {
		const char *text = json_string_value(item) ? json_string_value(item) : "";
		CLEANUP_FREE char *name = xstrndup(text, strcspn(text, ":"));

		if (!sim_container_find(e, name, &status, NULL))
			return sim_fail(err, 400, "No such container: %s", name);
	}
	return 0;
}

/* What the request asks for, checked. *spec and *image are references. */
static int create_prepare(struct sim_engine *e, json_t *body, struct sim_spec **spec,
	struct sim_image **image, struct err *err)
{
	const char *reference = json_str(body, "Image", "");
	CLEANUP_FREE char *normal = NULL;
	int status = sim_spec_check_types(body, err);

	if (status)
		return status;
	if (!json_object_size(body))
		return sim_fail(err, 400, "Config cannot be empty in order to create a container");
	if (e->containers_len >= SIM_OBJECTS_MAX)
		return sim_fail(err, 507, "too many containers");
	*image = sim_image_find(e, reference);
	if (!*image) {
		normal = sim_image_normal(reference, err);
		if (!normal && !str_has_prefix(reference, "sha256:"))
			return 400;
		return sim_fail(err, 404, "No such image: %s",
			str_has_prefix(reference, "sha256:") ? reference : normal);
	}
	status = check_references(e, body, err);
	resolve_network_mode(e, body);
	return status ? status : sim_spec_make(&e->options->specs, e, body, *image, spec, err);
}

/* Made and entered; body: what the request said, or NULL. The references are taken over. 0 or a
 * status. */
static int container_add(struct sim_engine *e, const char *name, struct sim_spec *spec,
	struct sim_image *image, const json_t *body, struct sim_container **out, struct err *err)
{
	struct sim_container *c = xcalloc(1, sizeof(*c));
	int status;

	c->engine = e;
	c->spec = spec;
	c->image = image;
	c->created_ns = sim_now(e);
	do
		sim_hex(sim_random(e), c->id);
	while (RB_FIND(sim_ids, &e->ids, c));
	c->name = str_is_empty(name) ? name_make(e) : xstrdup(name);
	if (*json_str(body, "Hostname", ""))
		c->hostname = xstrdup(json_str(body, "Hostname", ""));
	else if (str_eq(spec->network_mode, "host"))
		c->hostname = xstrdup(e->name);
	else if (str_has_prefix(spec->network_mode, "container:"))
		c->hostname = xstrndup(spec->network_mode + strlen("container:"), 12);
	status = sim_endpoints_init(c, json_obj(body, "NetworkingConfig"), err);
	if (!status)
		status = sim_mounts_init(c, err);
	if (status) {
		container_free(c);
		return status;
	}
	RB_INSERT(sim_ids, &e->ids, c);
	RB_INSERT(sim_names, &e->names, c);
	DL_PREPEND(e->containers, c);
	e->containers_len++;
	sim_event_container(e, c, "create", NULL);
	*out = c;
	return 0;
}

int sim_container_create_like(const struct sim_container *model, const char *name,
	struct sim_container **out, struct err *err)
{
	struct sim_engine *e = model->engine;

	if (e->containers_len >= SIM_OBJECTS_MAX)
		return sim_fail(err, 507, "too many containers");
	if (!str_is_empty(name) && find_name(e, name))
		return name_conflict(find_name(e, name), "", err);
	return container_add(
		e, name, sim_spec_ref(model->spec), sim_image_ref(model->image), NULL, out, err);
}

int sim_container_create(struct sim_engine *e, const char *name, const json_t *request,
	struct sim_container **out, struct err *err)
{
	CLEANUP_JSON json_t *body = json_deep_copy(request);
	struct sim_image *image;
	struct sim_spec *spec = NULL;
	int status;

	if (!str_is_empty(name)) {
		const char *shown = name;
		struct sim_container *other;

		if (*name == '/')
			name++;
		status = name_check(name, shown, err);
		if (status)
			return status;
		status = create_prepare(e, body, &spec, &image, err);
		other = status ? NULL : find_name(e, name);
		if (other)
			status = name_conflict(other, "", err);
	} else {
		status = create_prepare(e, body, &spec, &image, err);
	}
	if (status) {
		sim_spec_unref(&e->options->specs, spec);
		return status;
	}
	return container_add(e, name, spec, sim_image_ref(image), body, out, err);
}

int sim_container_remove(struct sim_container *c, bool force, bool volumes, struct err *err)
{
	struct sim_engine *e = c->engine;

	if (!force && c->state == SIM_PAUSED)
		return sim_fail(err, 409,
			"You cannot remove a paused container %s. Unpause and then stop the "
			"container "
			"before attempting removal or force remove",
			c->id);
	if (!force && (c->state == SIM_RUNNING || c->state == SIM_RESTARTING))
		return sim_fail(err, 409,
			"You cannot remove a %s container %s. Stop the container before attempting "
			"removal or force remove",
			sim_state_name(c->state), c->id);
	if (c->state == SIM_RESTARTING)
		loop_timer_stop(c->restart_timer);
	if (sim_container_is_running(c)) {
		const struct sim_event_attr attrs[] = {{"signal", "9"}, {NULL, NULL}};

		sim_event_container(e, c, "kill", attrs);
		c->stopped_by_user = true;
		c->is_handled = true;
		sim_container_end(c, 137);
	}
	sim_container_drop(c, volumes);
	return 0;
}

void sim_container_drop(struct sim_container *c, bool volumes)
{
	struct sim_engine *e = c->engine;

	RB_REMOVE(sim_ids, &e->ids, c);
	RB_REMOVE(sim_names, &e->names, c);
	DL_DELETE(e->containers, c);
	e->containers_len--;
	sim_exec_container_gone(e, c, true);
	sim_container_wake(c, true);
	sim_mounts_free(c, volumes);
	sim_event_container(e, c, "destroy", NULL);
	sim_proc_free(TAKE_PTR(c->proc));
	loop_timer_free(TAKE_PTR(c->restart_timer));
	free(TAKE_PTR(c->ports));
	container_free(c);
}

int sim_container_rename(struct sim_container *c, const char *name, struct err *err)
{
	struct sim_event_attr attrs[] = {{"oldName", NULL}, {NULL, NULL}};
	CLEANUP_FREE char *old = NULL;
	CLEANUP_FREE char *shown = NULL;
	struct sim_container *other;

	if (str_is_empty(name))
		return sim_fail(err, 400, "Neither old nor new names may be empty");
	if (*name == '/')
		name++;
	if (str_eq(name, c->name))
		return sim_fail(
			err, 400, "Renaming a container with the same name as its current name");
	shown = xasprintf("/%s", name);
	if (name_check(name, shown, NULL))
		return sim_fail(err, 400,
			"Error when allocating new name: Invalid container name (%s), only "
			"[a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
			shown);
	other = find_name(c->engine, name);
	if (other)
		return name_conflict(other, "Error when allocating new name: ", err);
	RB_REMOVE(sim_names, &c->engine->names, c);
	old = xasprintf("/%s", c->name);
	free(c->name);
	c->name = xstrdup(name);
	RB_INSERT(sim_names, &c->engine->names, c);
	attrs[0].value = old;
	sim_event_container(c->engine, c, "rename", attrs);
	return 0;
}

int sim_container_update(struct sim_container *c, const json_t *body, struct err *err)
{
	struct sim_specs *specs = &c->engine->options->specs;
	struct sim_spec *changed;
	int status = sim_spec_update(specs, c->engine, c->id, c->spec, body, &changed, err);

	if (status)
		return status;
	sim_spec_unref(specs, c->spec);
	c->spec = changed;
	sim_event_container(c->engine, c, "update", NULL);
	return 0;
}

void sim_container_status(const struct sim_container *c, int64_t now_ns, char *out, size_t size)
{
	char text[64];

	if (sim_container_is_running(c)) {
		sim_duration_text((now_ns - c->started_ns) / 1000000000, text, sizeof(text));
		snprintf(out, size, "Up %s%s", text, c->state == SIM_PAUSED ? " (Paused)" : "");
		return;
	}
	if (c->state == SIM_CREATED) {
		snprintf(out, size, "Created");
		return;
	}
	sim_duration_text((now_ns - c->finished_ns) / 1000000000, text, sizeof(text));
	snprintf(out, size, "%s (%d) %s ago", c->state == SIM_EXITED ? "Exited" : "Restarting",
		c->exit_code, text);
}
