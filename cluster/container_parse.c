/* A container's record from what its engine says. Every field may be missing or of any type. */
#include "cluster/record.h"

#include "lib/hash.h"
#include "lib/json_read.h"
#include "lib/mem.h"

#include <string.h>

#define SWARM_ID_LABEL "com.docker.swarm.id"
#define CPU_SHARES_LABEL "com.docker.swarm.cpu-shares"
#define DIGITS_OF_ID 64
/* What one container can ask for at most: far beyond any machine, and so small that sums over a
 * node never overflow. */
#define NANO_CPUS_MAX ((int64_t)16384 * 1000000000)
#define MEMORY_MAX ((int64_t)1 << 44)
/* The kernel's own limit of a weight. */
#define CPU_SHARES_MAX 262144
#define CPU_SHARES_DEFAULT 1024

static int64_t clamp(int64_t value, int64_t max)
{
	return value < 0 ? 0 : value > max ? max : value;
}

static const char *text_or_empty(struct json_ref object, const char *key, size_t max)
{
	const char *text = json_ref_str(object, key, "");

	return strlen(text) <= max ? text : "";
}

static int label_cmp(const void *left, const void *right)
{
	const struct view_label *a = left, *b = right;

	return strcmp(a->key, b->key);
}

static void label_add(struct record_draft *draft, const char *key, const char *value)
{
	if (draft->labels_len == draft->labels_cap) {
		draft->labels_cap = draft->labels_cap ? draft->labels_cap * 2 : 8;
		draft->labels =
			xreallocarray(draft->labels, draft->labels_cap, sizeof(*draft->labels));
	}
	draft->labels[draft->labels_len++] = (struct view_label){.key = key, .value = value};
}

/* No engine tells a key twice, and nobody relies on which one counts. */
static void labels_unique(struct record_draft *draft)
{
	size_t kept = 0;

	for (size_t i = 0; i < draft->labels_len; i++) {
		if (kept == 0 || strcmp(draft->labels[kept - 1].key, draft->labels[i].key) != 0)
			draft->labels[kept++] = draft->labels[i];
	}
	draft->labels_len = kept;
}

static void draft_swarm_id(struct record_draft *draft)
{
	draft->swarm_id = "";
	for (size_t i = 0; i < draft->labels_len; i++) {
		const char *text = draft->labels[i].value;

		if (strcmp(draft->labels[i].key, SWARM_ID_LABEL) == 0 &&
			strlen(text) == DIGITS_OF_ID && str_is_hex(text, DIGITS_OF_ID))
			draft->swarm_id = text;
	}
}

static void draft_labels(
	struct record_draft *draft, struct json_ref entry, const struct inspection *told)
{
	struct json_ref labels = json_ref_obj(told->config, "Labels");

	if (!labels.document)
		labels = json_ref_obj(entry, "Labels");
	for (struct json_walk w = json_walk(labels); json_walk_next(&w);) {
		const char *text = json_ref_text(w.value);

		if (!text || draft->labels_len == INVENTORY_LABELS_MAX ||
			strlen(w.key) > INVENTORY_TEXT_MAX || strlen(text) > INVENTORY_TEXT_MAX)
			continue;
		label_add(draft, w.key, text);
	}
	if (draft->labels_len > 0)
		qsort(draft->labels, draft->labels_len, sizeof(*draft->labels), label_cmp);
	labels_unique(draft);
	draft_swarm_id(draft);
}

static void add_bounded(struct str_list *list, const char *text)
{
	if (text[0] && strlen(text) <= INVENTORY_NAME_MAX && list->len < INVENTORY_LIST_MAX &&
		!str_list_has(list, text))
		str_list_add(list, text);
}

/* "/web", and not the "/app/web" of a link. */
static bool is_own_name(const char *name)
{
	return name[0] == '/' && name[1] && !strchr(name + 1, '/');
}

/* inspect was asked for after the entry, so its name is the newer one. */
static void draft_names(struct record_draft *draft, struct json_ref entry, struct json_ref inspect)
{
	const char *own = text_or_empty(inspect, "Name", INVENTORY_NAME_MAX);

	if (is_own_name(own))
		add_bounded(&draft->names, own);
	else
		own = "";
	for (struct json_walk w = json_walk(json_ref_arr(entry, "Names")); json_walk_next(&w);) {
		const char *text = json_ref_text(w.value);

		if (!text || text[0] != '/' || !text[1])
			continue;
		if (own[0] && is_own_name(text))
			continue;
		add_bounded(&draft->names, text);
		if (!own[0] && is_own_name(text) && draft->names.len > 0)
			own = draft->names.items[draft->names.len - 1];
	}
	draft->name = own[0] ? own + 1 : "";
}

static void draft_image(
	struct record_draft *draft, struct json_ref entry, const struct inspection *told)
{
	draft->image = text_or_empty(told->config, "Image", INVENTORY_TEXT_MAX);
	if (!draft->image[0])
		draft->image = text_or_empty(entry, "Image", INVENTORY_TEXT_MAX);
	draft->image_id = text_or_empty(told->whole, "Image", INVENTORY_TEXT_MAX);
	if (!draft->image_id[0])
		draft->image_id = text_or_empty(entry, "ImageID", INVENTORY_TEXT_MAX);
}

/* The words for states are few, so records point to ours. */
static const char *word_of(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(text, *words) == 0)
			return *words;
	}
	return NULL;
}

static const char *const state_words[] = {
	"created", "running", "paused", "restarting", "removing", "exited", "dead", NULL};
static const char *const health_words[] = {"none", "starting", "healthy", "unhealthy", NULL};
static const char *const isolation_words[] = {"default", "process", "hyperv", NULL};

/* Engines before API 1.23 tell the state only in the text for people. */
static const char *state_of_status(const char *status)
{
	if (str_has_suffix(status, "(Paused)"))
		return "paused";
	if (str_has_prefix(status, "Up "))
		return "running";
	if (str_has_prefix(status, "Restarting"))
		return "restarting";
	if (str_has_prefix(status, "Exited"))
		return "exited";
	if (str_has_prefix(status, "Removal"))
		return "removing";
	return strcmp(status, "Dead") == 0 ? "dead" : "created";
}

static const char *health_of_status(const char *status)
{
	if (str_has_suffix(status, "(healthy)"))
		return "healthy";
	if (str_has_suffix(status, "(unhealthy)"))
		return "unhealthy";
	return str_has_suffix(status, "(health: starting)") ? "starting" : "none";
}

static void state_from_entry(struct record_draft *draft, struct json_ref entry)
{
	struct container *container = &draft->record.container;
	const char *status = text_or_empty(entry, "Status", INVENTORY_NAME_MAX);

	container->state = word_of(json_ref_str(entry, "State", ""), state_words);
	if (!container->state)
		container->state = state_of_status(status);
	container->health = health_of_status(status);
	container->is_paused = str_eq(container->state, "paused");
	container->is_restarting = str_eq(container->state, "restarting");
	container->is_removing = str_eq(container->state, "removing");
	container->is_dead = str_eq(container->state, "dead");
	container->view.is_running = container->is_paused || container->is_restarting ||
				     str_eq(container->state, "running");
	/* There are no times to word it ourselves. */
	draft->status_text = status;
}

static void state_from_inspect(struct record_draft *draft, struct json_ref state)
{
	struct container *container = &draft->record.container;
	bool is_running = json_ref_bool(state, "Running", false);
	const char *health = json_ref_str(json_ref_obj(state, "Health"), "Status", "none");

	container->view.is_running = is_running;
	container->is_paused = is_running && json_ref_bool(state, "Paused", false);
	container->is_restarting = is_running && json_ref_bool(state, "Restarting", false);
	container->is_dead = json_ref_bool(state, "Dead", false);
	container->is_removing = json_ref_bool(state, "RemovalInProgress", false) ||
				 str_eq(json_ref_str(state, "Status", ""), "removing");
	container->exit_code = (int)clamp(json_ref_int(state, "ExitCode", 0), INT32_MAX);
	container->started_at = time_parse_ns(json_ref_str(state, "StartedAt", "")) / 1000000000;
	container->finished_at = time_parse_ns(json_ref_str(state, "FinishedAt", "")) / 1000000000;
	container->health = word_of(health, health_words);
	if (!container->health)
		container->health = "none";
	if (container->is_paused)
		container->state = "paused";
	else if (container->is_restarting)
		container->state = "restarting";
	else if (is_running)
		container->state = "running";
	else if (container->is_removing)
		container->state = "removing";
	else if (container->is_dead)
		container->state = "dead";
	else
		container->state = container->started_at ? "exited" : "created";
}

/* The manager says so of what it did not count. */
static bool is_plain_weight(const struct record_draft *draft)
{
	for (size_t i = 0; i < draft->labels_len; i++) {
		if (strcmp(draft->labels[i].key, CPU_SHARES_LABEL) == 0)
			return strcmp(draft->labels[i].value, "weight") == 0;
	}
	return false;
}

/* CpuShares is a weight to the engine; the manager writes into it the part of the node's CPUs that
 * was asked for, so it can be read back. 1024 without a swarm ID is the engine's default weight,
 * written out by somebody who did not ask the manager, and reserves nothing. */
static int64_t cpus_of_shares(const struct record_draft *draft, int64_t shares, int64_t ncpu)
{
	if ((shares == CPU_SHARES_DEFAULT && !draft->swarm_id[0]) || is_plain_weight(draft))
		return 0;
	return clamp(shares, CPU_SHARES_MAX) * ncpu / 1024;
}

static void draft_resources(struct record_draft *draft, struct json_ref host, int64_t ncpu)
{
	struct container_view *view = &draft->record.container.view;
	int64_t cpus = clamp(json_ref_int(host, "NanoCpus", 0), NANO_CPUS_MAX);
	int64_t memory = clamp(json_ref_int(host, "Memory", 0), MEMORY_MAX);

	if (cpus == 0)
		cpus = clamp(cpus_of_shares(draft, json_ref_int(host, "CpuShares", 0), ncpu),
			       NANO_CPUS_MAX / 1000000000) *
		       1000000000;
	if (memory == 0)
		memory = clamp(json_ref_int(host, "MemoryReservation", 0), MEMORY_MAX);
	view->nano_cpus = cpus;
	view->memory = memory;
}

static void draft_lists(
	struct record_draft *draft, struct json_ref entry, const struct inspection *told)
{
	struct json_ref mounts = json_ref_arr(told->whole, "Mounts");
	struct json_ref networks = json_ref_obj(told->settings, "Networks");

	if (!mounts.document)
		mounts = json_ref_arr(entry, "Mounts");
	for (struct json_walk w = json_walk(mounts); json_walk_next(&w);) {
		const char *name = json_ref_str(w.value, "Name", "");

		/* A bind has no name; an engine's filter knows it by its source. */
		add_bounded(&draft->volumes,
			name[0] != '\0' ? name : json_ref_str(w.value, "Source", ""));
		add_bounded(&draft->volumes, json_ref_str(w.value, "Destination", ""));
	}
	if (!networks.document)
		networks = json_ref_obj(json_ref_obj(entry, "NetworkSettings"), "Networks");
	for (struct json_walk w = json_walk(networks); json_walk_next(&w);) {
		add_bounded(&draft->networks, w.key);
		add_bounded(&draft->networks, json_ref_str(w.value, "NetworkID", ""));
	}
}

static struct json_ref read_object(
	struct json_reader *reader, const char *text, size_t len, const char *what, struct err *err)
{
	struct err why = ERR_INIT;
	struct json_ref value = json_read(reader, text, len, &why);

	if (json_ref_kind(value) == JSON_KIND_OBJECT)
		return value;
	err_set(err, ERR_UPSTREAM, "%s: %s", what, value.document ? "not an object" : why.msg);
	return (struct json_ref){0};
}

static struct inspection inspection_of(struct json_ref whole)
{
	return (struct inspection){
		.whole = whole,
		.config = json_ref_obj(whole, "Config"),
		.host = json_ref_obj(whole, "HostConfig"),
		.settings = json_ref_obj(whole, "NetworkSettings"),
	};
}

static void draft_fill(struct record_draft *draft, const struct node *node, struct json_ref entry,
	const struct inspection *told)
{
	struct container *container = &draft->record.container;
	struct json_ref state = json_ref_obj(told->whole, "State");
	const char *mode = json_ref_str(told->host, "NetworkMode", NULL);

	if (!mode)
		mode = json_ref_str(json_ref_obj(entry, "HostConfig"), "NetworkMode", "");
	container->view.host_network = strcmp(mode, "host") == 0;
	container->isolation = word_of(json_ref_str(told->host, "Isolation", ""), isolation_words);
	if (!container->isolation)
		container->isolation = "";
	draft->record.created_ns = time_parse_ns(json_ref_str(told->whole, "Created", ""));
	container->created = draft->record.created_ns / 1000000000;
	if (container->created == 0) {
		container->created =
			clamp(json_ref_int(entry, "Created", 0), INT64_MAX / 1000000000);
		draft->record.created_ns = container->created * 1000000000;
	}
	draft_labels(draft, entry, told);
	draft_names(draft, entry, told->whole);
	draft_image(draft, entry, told);
	if (state.document)
		state_from_inspect(draft, state);
	else
		state_from_entry(draft, entry);
	draft_resources(draft, told->host, node->inventory.ncpu);
	draft_lists(draft, entry, told);
	draft_ports(draft, entry, told);
	draft_ports_text(draft, entry, node->inventory.ip);
}

static size_t list_bytes(const struct str_list *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->len; i++)
		bytes += strlen(list->items[i]) + 1 + sizeof(char *);
	return bytes;
}

static size_t draft_bytes(const struct record_draft *draft)
{
	size_t bytes = sizeof(struct container_record) + draft->row_values_len +
		       strlen(draft->row_template) + strlen(draft->ports_json) +
		       strlen(draft->image) + strlen(draft->image_id);

	for (size_t i = 0; i < draft->labels_len; i++)
		bytes += strlen(draft->labels[i].key) + strlen(draft->labels[i].value) +
			 sizeof(struct view_label);
	bytes += (draft->ports_len + draft->exposed_len) * sizeof(struct view_port);
	return bytes + list_bytes(&draft->names) + list_bytes(&draft->volumes) +
	       list_bytes(&draft->networks) + list_bytes(&draft->published) +
	       list_bytes(&draft->container_ports);
}

/* What remains of a container whose node has too much: how it is found, and what it holds. */
static void draft_lighten(struct record_draft *draft, struct json_ref entry)
{
	size_t kept = 0;

	for (size_t i = 0; i < draft->labels_len; i++) {
		if (draft->swarm_id[0] && draft->labels[i].value == draft->swarm_id)
			draft->labels[kept++] = draft->labels[i];
	}
	draft->labels_len = kept;
	str_list_free(&draft->volumes);
	str_list_free(&draft->networks);
	free(TAKE_PTR(draft->row_template));
	free(TAKE_PTR(draft->row_values));
	draft_row_short(draft, entry);
	draft->record.is_light = true;
}

/* Keeps the sum over the node within its share. */
static void draft_weigh(struct record_draft *draft, const struct node *node, struct json_ref entry)
{
	const struct container *old = inventory_container_get(node, draft->id);
	size_t others = node->inventory.bytes - (old ? container_record(old)->bytes : 0);

	draft->record.bytes = draft_bytes(draft);
	if (others + draft->record.bytes <= INVENTORY_NODE_BYTES_MAX)
		return;
	draft_lighten(draft, entry);
	draft->record.bytes = draft_bytes(draft);
}

struct container *container_from_engine(
	struct node *node, const struct engine_text *text, struct err *err)
{
	struct inventory *inventory = &node->cluster->inventory;
	struct json_ref inspect = {0}, entry = read_object(inventory->entry_reader, text->entry,
					       text->entry_len, "list entry", err);
	struct record_draft draft = {.id = json_ref_str(entry, "Id", "")};
	struct container_record *record;
	struct inspection told;
	const char *other;

	if (!entry.document)
		return NULL;
	if (text->inspect) {
		inspect = read_object(inventory->inspect_reader, text->inspect, text->inspect_len,
			"inspection", err);
		if (!inspect.document)
			return NULL;
	}
	if (strlen(draft.id) != DIGITS_OF_ID || !str_is_hex(draft.id, DIGITS_OF_ID)) {
		err_set(err, ERR_UPSTREAM, "container without a proper ID: \"%.80s\"", draft.id);
		return NULL;
	}
	other = json_ref_str(inspect, "Id", draft.id);
	if (strcmp(draft.id, other) != 0) {
		err_set(err, ERR_UPSTREAM, "container %.12s is told to be %.80s", draft.id, other);
		return NULL;
	}
	told = inspection_of(inspect);
	draft_fill(&draft, node, entry, &told);
	draft_summary(&draft, inventory->templates, entry, text->entry, text->entry_len);
	draft_weigh(&draft, node, entry);
	record = record_pack(node, &draft);
	record_draft_free(&draft);
	return &record->container;
}

/* Of the text but for the value of `Status`, which grows older. Where a label has that name it is
 * the label's value that is left out: labels do not change. */
static uint64_t entry_digest(const char *text, size_t len)
{
	static const char key[] = "\"Status\":\"";
	const char *status = memmem(text, len, key, sizeof(key) - 1);
	size_t before = status ? (size_t)(status - text) : 0;
	size_t after = status ? before + sizeof(key) - 1 : 0;

	while (status && text[after] != '"')
		after += text[after] == '\\' ? 2 : 1;
	return (uint64_t)hash_bytes(text, before) << 32 | hash_bytes(text + after, len - after);
}

static bool makes_the_same(
	const struct container *container, struct json_ref entry, const char *text, size_t len)
{
	struct record_draft draft = {.id = container->view.id};
	bool is_same;

	draft_names(&draft, entry, (struct json_ref){0});
	draft_ports_text(&draft, entry, container->node->inventory.ip);
	draft_summary(&draft, container->node->cluster->inventory.templates, entry, text, len);
	is_same = draft.names.len == container->names.len && row_is_same(&draft, container) &&
		  strcmp(draft.ports_json, container->ports_json) == 0;
	for (size_t i = 0; is_same && i < draft.names.len; i++)
		is_same = str_list_has(&container->names, draft.names.items[i]);
	record_draft_free(&draft);
	return is_same;
}

bool container_is_listed_as(
	struct container *container, struct json_ref entry, const char *text, size_t len)
{
	struct container_record *record = container_record(container);
	uint64_t digest = entry_digest(text, len);

	if (record->listed_digest == digest)
		return true;
	if (!makes_the_same(container, entry, text, len))
		return false;
	record->listed_digest = digest;
	return true;
}
