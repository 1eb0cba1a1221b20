/* Volumes of the local driver, and the mounts of containers. */
#include "simulator/simulator_priv.h"

#include <string.h>
#include <utlist.h>

struct sim_volume *sim_volume_find(struct sim_engine *e, const char *name)
{
	struct sim_volume *v;

	DL_FOREACH (e->volumes, v)
		if (str_eq(v->name, name))
			return v;
	return NULL;
}

static bool name_is_valid(const char *name)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

	return *name && strchr(first, *name) && name[1] && !name[strspn(name, rest)];
}

static void volume_free(struct sim_volume *v)
{
	free(v->name);
	free(v->labels);
	free(v->options);
	free(v);
}

static void volume_event(struct sim_engine *e, const struct sim_volume *v, const char *action)
{
	const struct sim_event_attr attrs[] = {{"driver", "local"}, {NULL, NULL}};

	sim_event_emit(e, "volume", action, v->name, attrs);
}

int sim_volume_create(struct sim_engine *e, const char *name, const char *driver,
	const json_t *labels, const json_t *options, struct sim_volume **out, struct err *err)
{
	char made_up[SIM_ID_LEN + 1];
	bool anonymous = str_is_empty(name);
	struct sim_volume *v;

	if (anonymous) {
		sim_hex(sim_random(e), made_up);
		name = made_up;
	}
	if (!str_is_empty(driver) && !str_eq(driver, "local"))
		return sim_fail(err, 404,
			"create %s: error looking up volume plugin %s: plugin \"%s\" not found",
			name, driver, driver);
	v = sim_volume_find(e, name);
	if (!v) {
		if (!name_is_valid(name))
			return sim_fail(err, 400,
				"create %s: \"%s\" includes invalid characters for a local volume "
				"name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you "
				"intended "
				"to pass a host directory, use absolute path",
				name, name);
		if (e->volumes_len >= SIM_OBJECTS_MAX)
			return sim_fail(err, 507, "no space left for volumes");
		v = xcalloc(1, sizeof(*v));
		v->name = xstrdup(name);
		v->anonymous = anonymous;
		if (labels)
			v->labels = json_dumps(labels, JSON_COMPACT | JSON_SORT_KEYS);
		if (options && json_object_size(options))
			v->options = json_dumps(options, JSON_COMPACT | JSON_SORT_KEYS);
		v->created_ns = sim_now(e);
		DL_APPEND(e->volumes, v);
		e->volumes_len++;
	}
	/* Asking again is answered, and told, like making one. */
	volume_event(e, v, "create");
	*out = v;
	return 0;
}

void sim_volume_drop(struct sim_engine *e, struct sim_volume *v)
{
	volume_event(e, v, "destroy");
	DL_DELETE(e->volumes, v);
	e->volumes_len--;
	volume_free(v);
}

static int volume_in_use(
	struct sim_engine *e, const struct sim_volume *v, const char *name, struct err *err)
{
	CLEANUP_BUF struct buf users = {0};
	struct sim_container *c;

	buf_init(&users, 1 << 20);
	DL_FOREACH (e->containers, c)
		for (size_t i = 0; i < c->spec->mounts_len && c->mounts; i++)
			if (c->mounts[i].volume == v)
				buf_printf(&users, "%s%s", users.len ? ", " : "", c->id);
	return sim_fail(err, 409, "remove %s: volume is in use - [%s]", name, buf_str(&users));
}

int sim_volume_remove(struct sim_engine *e, const char *name, bool force, struct err *err)
{
	struct sim_volume *v = sim_volume_find(e, name);

	if (!v)
		return force ? 0 : sim_fail(err, 404, "get %s: no such volume", name);
	if (v->users)
		return volume_in_use(e, v, name, err);
	sim_volume_drop(e, v);
	return 0;
}

void sim_volume_write(struct buf *b, const struct sim_engine *e, const struct sim_volume *v)
{
	char created[80];

	sim_time_text(v->created_ns - v->created_ns % 1000000000, created, sizeof(created));
	buf_append_char(b, '{');
	sim_json_s(b, "CreatedAt", created);
	sim_json_s(b, "Driver", "local");
	sim_json_raw(b, "Labels", v->labels ? v->labels : "null");
	sim_json_key(b, "Mountpoint");
	buf_printf(b, "\"%s/volumes/%s/_data\"", e->root, v->name);
	sim_json_s(b, "Name", v->name);
	sim_json_raw(b, "Options", v->options ? v->options : "null");
	sim_json_s(b, "Scope", "local");
	buf_append_char(b, '}');
}

void sim_volumes_free(struct sim_engine *e)
{
	struct sim_volume *v;
	struct sim_volume *tmp;

	DL_FOREACH_SAFE (e->volumes, v, tmp) {
		DL_DELETE(e->volumes, v);
		volume_free(v);
	}
}

/* ---- Mounts ---- */

int sim_mounts_init(struct sim_container *c, struct err *err)
{
	const struct sim_spec *s = c->spec;

	if (!s->mounts_len)
		return 0;
	c->mounts = xcalloc(s->mounts_len, sizeof(*c->mounts));
	for (size_t i = 0; i < s->mounts_len; i++) {
		struct sim_volume *v = NULL;
		int status;

		if (s->mounts[i].source)
			continue;
		if (s->mounts[i].name)
			v = sim_volume_find(c->engine, s->mounts[i].name);
		if (!v) {
			status = sim_volume_create(
				c->engine, s->mounts[i].name, NULL, NULL, NULL, &v, err);
			if (status)
				return status;
		}
		v->users++;
		c->mounts[i].volume = v;
	}
	return 0;
}

void sim_mounts_events(struct sim_container *c, const char *action)
{
	bool mount = str_eq(action, "mount");

	for (size_t i = 0; i < c->spec->mounts_len; i++) {
		const struct sim_mount_spec *m = &c->spec->mounts[i];
		const struct sim_event_attr attrs[] = {{"driver", "local"}, {"container", c->id},
			{mount ? "destination" : NULL, m->target},
			{"read/write", m->rw ? "true" : "false"}, {"propagation", ""},
			{NULL, NULL}};

		if (c->mounts[i].volume)
			sim_event_emit(
				c->engine, "volume", action, c->mounts[i].volume->name, attrs);
	}
}

void sim_mounts_free(struct sim_container *c, bool remove_anonymous)
{
	for (size_t i = 0; i < c->spec->mounts_len && c->mounts; i++) {
		struct sim_volume *v = c->mounts[i].volume;

		if (!v)
			continue;
		v->users--;
		if (remove_anonymous && v->anonymous && !v->users)
			sim_volume_drop(c->engine, v);
	}
	free(TAKE_PTR(c->mounts));
}

void sim_mounts_write(struct buf *b, const struct sim_container *c)
{
	buf_append_char(b, '[');
	for (size_t i = 0; i < c->spec->mounts_len; i++) {
		const struct sim_mount_spec *m = &c->spec->mounts[i];
		const struct sim_volume *v = c->mounts[i].volume;

		sim_json_item(b);
		buf_append_char(b, '{');
		sim_json_s(b, "Type", v ? "volume" : "bind");
		if (v) {
			sim_json_s(b, "Name", v->name);
			sim_json_key(b, "Source");
			buf_printf(b, "\"%s/volumes/%s/_data\"", c->engine->root, v->name);
		} else {
			sim_json_s(b, "Source", m->source);
		}
		sim_json_s(b, "Destination", m->target);
		if (v)
			sim_json_s(b, "Driver", "local");
		sim_json_s(b, "Mode", m->mode);
		sim_json_b(b, "RW", m->rw);
		sim_json_s(b, "Propagation", v ? "" : "rprivate");
		buf_append_char(b, '}');
	}
	buf_append_char(b, ']');
}
