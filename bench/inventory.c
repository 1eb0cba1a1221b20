#include "bench/inventory.h"

#include "lib/json.h"

#include <stdio.h>
#include <string.h>

#define IMAGES 300        /* in all */
#define IMAGES_OF_NODE 20 /* of these */
#define ROW_BYTES 120     /* what a record keeps of the engine's list entry */

static uint64_t chance_state = 20160301;

unsigned bench_below(unsigned bound)
{
	chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(chance_state >> 33) % bound;
}

static uint32_t env_below(const struct env *env, uint32_t bound)
{
	(void)env;
	return bench_below(bound);
}

static uint64_t env_now(const struct env *env)
{
	(void)env;
	return 0;
}

const struct env bench_env = {.now_ms = env_now, .random_below = env_below};

void bench_id(char *id)
{
	for (int i = 0; i < 64; i++)
		id[i] = "0123456789abcdef"[bench_below(16)];
	id[64] = '\0';
}

struct cluster *bench_cluster_new(void)
{
	struct cluster *cluster = xcalloc(1, sizeof(*cluster));

	inventory_init(&cluster->inventory, NULL, &bench_env, 0.05);
	return cluster;
}

void bench_cluster_free(struct cluster *cluster)
{
	size_t len;

	while (cluster_nodes(cluster, &len), len > 0)
		inventory_node_remove(cluster_nodes(cluster, &len)[len - 1]);
	inventory_free(&cluster->inventory);
	free(cluster);
}

static void add_images(struct node *node)
{
	json_t *list CLEANUP_JSON = json_array();
	struct json_reader *reader = json_reader_new();
	char *text CLEANUP_FREE = NULL;
	struct json_ref answer;

	for (unsigned i = 0; i < IMAGES_OF_NODE; i++) {
		/* The first is everywhere. */
		unsigned number = i == 0 ? 0 : 1 + (bench_below(IMAGES / IMAGES_OF_NODE) * 20 + i);
		char id[80], tag[32];

		snprintf(id, sizeof(id), "sha256:%064u", number);
		snprintf(tag, sizeof(tag), "registry/app-%u:1", number);
		json_array_append_new(list,
			json_pack("{s:s, s:[s], s:i}", "Id", id, "RepoTags", tag, "Created", 1));
	}
	text = json_text(list, NULL);
	answer = json_read(reader, text, strlen(text), NULL);
	if (!answer.document || inventory_images_replace(node, answer, NULL, NULL) < 0)
		abort();
	json_reader_free(reader);
}

struct node *bench_node(struct cluster *cluster, size_t number)
{
	char addr[32], name[32], id[32], zone[16];
	const struct view_label labels[] = {
		{"disk", number % 2 ? "ssd" : "hdd"},
		{"kernelversion", "5.10.0"},
		{"operatingsystem", "Debian GNU/Linux 11"},
		{"ostype", "linux"},
		{"storagedriver", "overlay2"},
		{"zone", zone},
	};
	struct inventory_identity identity = {.engine_id = id,
		.name = name,
		.labels = labels,
		.labels_len = ARRAY_LEN(labels),
		.ncpu = 64,
		.memory = 512 * GIB};
	struct node *node;

	snprintf(addr, sizeof(addr), "10.%zu.%zu.%zu:2375", number >> 16, number >> 8 & 255,
		number & 255);
	snprintf(name, sizeof(name), "node-%zu", number);
	snprintf(id, sizeof(id), "ENGINE:%zu", number);
	snprintf(zone, sizeof(zone), "z%zu", number % 10);
	node = inventory_node_new(cluster, addr);
	inventory_node_set_identity(node, &identity);
	inventory_node_set_health(node, true);
	add_images(node);
	return node;
}

/* As most are: made by Compose, with a port of its own, one in eight with a well-known one. */
struct container_record *bench_container(struct node *node, size_t number)
{
	char id[65], swarm_id[65], name[32], project[32], service[32], index[8];
	char row[ROW_BYTES];
	struct view_label labels[] = {
		{"com.docker.compose.container-number", index},
		{"com.docker.compose.project", project},
		{"com.docker.compose.service", service},
		{"com.docker.swarm.id", swarm_id},
		{"maintainer", "The Maintainers <maintainers@example.com>"},
		{"tier", number % 3 == 0 ? "front" : "back"},
	};
	struct view_port port = {"",
		(uint16_t)(number % 8 ? 32768 + bench_below(28000) : 8000 + bench_below(100)),
		"tcp"};
	struct record_draft draft = {.id = id,
		.swarm_id = swarm_id,
		.name = name + 1,
		.image = "registry/app-1:1",
		.image_id = "sha256:0000",
		.labels = labels,
		.labels_len = ARRAY_LEN(labels),
		.ports = &port,
		.ports_len = 1,
		.row_template = (char *)"{}",
		.row_values = row,
		.row_values_len = ROW_BYTES,
		.ports_json = (char *)""};
	struct container_record *record;

	bench_id(id);
	bench_id(swarm_id);
	snprintf(name, sizeof(name), "/app-%zu", number);
	snprintf(project, sizeof(project), "project-%zu", number / 20);
	snprintf(service, sizeof(service), "service-%u", bench_below(200));
	snprintf(index, sizeof(index), "%u", 1 + bench_below(5));
	memset(row, 'r', ROW_BYTES);
	str_list_add(&draft.names, name);
	draft.record.container.state = "running";
	draft.record.container.health = "none";
	draft.record.container.isolation = "default";
	draft.record.container.view.memory = GIB;
	draft.record.container.view.is_running = true;
	record = record_pack(node, &draft);
	str_list_free(&draft.names);
	return record;
}
