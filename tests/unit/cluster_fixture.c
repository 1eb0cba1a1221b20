#include "tests/unit/cluster_fixture.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t clock_now(const struct env *env)
{
	const struct fixture *fixture = env->impl;

	return fixture->now_ms;
}

struct fixture *fixture_new(double overcommit)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	fixture->env = (struct env){.now_ms = clock_now, .impl = fixture};
	inventory_init(&fixture->cluster.inventory, NULL, &fixture->env, overcommit);
	return fixture;
}

void fixture_free(struct fixture *fixture)
{
	size_t len;

	while (cluster_nodes(&fixture->cluster, &len), len > 0)
		inventory_node_remove(cluster_nodes(&fixture->cluster, &len)[0]);
	inventory_free(&fixture->cluster.inventory);
	free(fixture);
}

void fixture_identify(struct node *node, const char *engine_id, const char *name)
{
	struct inventory_identity identity = {
		.engine_id = engine_id,
		.name = name,
		.ncpu = 4,
		.memory = (int64_t)8 << 30,
	};

	inventory_node_set_identity(node, &identity);
}

struct node *fixture_node(struct fixture *fixture, const char *name, const char *addr)
{
	struct node *node = inventory_node_new(&fixture->cluster, addr);
	CLEANUP_FREE char *engine_id = xasprintf("E-%s", name);

	fixture_identify(node, engine_id, name);
	inventory_node_set_health(node, true);
	return node;
}

const char *fixture_id(const char *digits)
{
	static char ids[4][65];
	static unsigned next;
	char *id = ids[next++ % 4];

	memset(id, '0', 64);
	memcpy(id, digits, strlen(digits));
	return id;
}

char *fixture_row(const struct container *container)
{
	struct buf row;

	buf_init(&row, 1024 * 1024);
	container_row(container, &row);
	buf_append_char(&row, '}');
	return buf_take(&row);
}

struct container *fixture_record(
	struct node *node, const json_t *entry, const json_t *inspect, struct err *err)
{
	struct engine_text text = {.entry_len = 0};
	CLEANUP_FREE char *entry_text = json_text(entry, &text.entry_len);
	CLEANUP_FREE char *inspect_text = json_text(inspect, &text.inspect_len);

	text.entry = entry_text;
	text.inspect = inspect ? inspect_text : NULL;
	return container_from_engine(node, &text, err);
}

struct container *fixture_container(struct node *node, const struct sketch *sketch)
{
	const char *state = sketch->state ? sketch->state : "running";
	const char *id = fixture_id(sketch->id);
	bool is_running = strcmp(state, "running") == 0 || strcmp(state, "paused") == 0;
	struct err err = ERR_INIT;
	CLEANUP_FREE char *slashed = sketch->name ? xasprintf("/%s", sketch->name) : NULL;
	CLEANUP_JSON json_t *entry = json_pack("{s:s, s:I, s:[], s:s, s:s}", "Id", id, "Created",
		(json_int_t)sketch->created, "Names", "State", state, "Image", "busybox");
	CLEANUP_JSON json_t *inspect = json_pack("{s:s, s:s*, s:{s:{}, s:s}, s:{s:b, s:b}, "
						 "s:{s:I, s:I, s:I, s:{}}}",
		"Id", id, "Name", slashed, "Config", "Labels", "Image", "busybox", "State",
		"Running", is_running, "Paused", strcmp(state, "paused") == 0, "HostConfig",
		"NanoCpus", (json_int_t)sketch->nano_cpus, "CpuShares",
		(json_int_t)sketch->cpu_shares, "Memory", (json_int_t)sketch->memory,
		"PortBindings");
	struct container *container;

	assert_non_null(entry);
	assert_non_null(inspect);
	if (slashed)
		json_array_append_new(json_get(entry, "Names"), json_string(slashed));
	if (sketch->link)
		json_array_append_new(json_get(entry, "Names"), json_sprintf("/%s", sketch->link));
	if (sketch->label.key)
		json_object_set_new(json_path(inspect, "Config", "Labels", NULL), sketch->label.key,
			json_string(sketch->label.value));
	if (sketch->swarm_id)
		json_object_set_new(json_path(inspect, "Config", "Labels", NULL),
			"com.docker.swarm.id", json_string(fixture_id(sketch->swarm_id)));
	if (sketch->port)
		json_object_set_new(json_path(inspect, "HostConfig", "PortBindings", NULL),
			"80/tcp",
			json_pack("[{s:s, s:o}]", "HostIp", "", "HostPort",
				json_sprintf("%u", sketch->port)));
	container = fixture_record(node, entry, inspect, &err);
	if (!container)
		fail_msg("no record: %s", err.msg);
	return container;
}

void fixture_put(struct node *node, const struct sketch *sketch)
{
	inventory_container_put(fixture_container(node, sketch));
}

json_t *fixture_json(const char *text)
{
	CLEANUP_FREE char *quoted = xstrdup(text);
	struct err err = ERR_INIT;
	json_t *json;

	for (char *p = quoted; *p; p++) {
		if (*p == '\'')
			*p = '"';
	}
	json = json_parse(quoted, strlen(quoted), &err);
	if (!json)
		fail_msg("%s: %s", err.msg, text);
	return json;
}

struct json_ref fixture_ref(const json_t *json)
{
	static struct json_reader *reader;
	size_t len;
	CLEANUP_FREE char *text = json_text(json, &len);
	struct json_ref value;

	if (!reader)
		reader = json_reader_new();
	value = json_read(reader, text, len, NULL);
	assert_non_null(value.document);
	return value;
}

json_t *fixture_data(const char *name)
{
	const char *top = getenv("top_srcdir");
	CLEANUP_FREE char *path = xasprintf("%s/tests/unit/data/%s", top ? top : ".", name);
	json_error_t failure;
	json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &failure);

	if (!json)
		fail_msg("%s: %s", path, failure.text);
	return json;
}
