/* A container's record from what its engine says. Every field may be missing or of any type. */
#include "cluster/record.h"

#include "lib/json.h"
#include "lib/mem.h"

#include <string.h>

#define SWARM_ID_LABEL "com.docker.swarm.id"
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

static const char *text_or_empty(const json_t *object, const char *key, size_t max)
{
	const char *text = json_str(object, key, "");

	return strlen(text) <= max ? text : "";
}

static int label_cmp(const void *left, const void *right)
{
	const struct view_label *a = left, *b = right;

	return strcmp(a->key, b->key);
}

static void draft_labels(struct record_draft *draft, const json_t *entry, const json_t *inspect)
{
	json_t *labels = json_path(inspect, "Config", "Labels", NULL);
	const char *key;
	json_t *value;

	if (!json_is_object(labels))
		labels = json_obj(entry, "Labels");
	draft->swarm_id = "";
	draft->labels = xcalloc(json_object_size(labels) + 1, sizeof(*draft->labels));
	json_object_foreach (labels, key, value) {
		const char *text = json_string_value(value);

		if (!text || draft->labels_len == INVENTORY_LABELS_MAX ||
			strlen(key) > INVENTORY_TEXT_MAX || strlen(text) > INVENTORY_TEXT_MAX)
			continue;
		draft->labels[draft->labels_len++] = (struct view_label){.key = key, .value = text};
		if (strcmp(key, SWARM_ID_LABEL) == 0 && strlen(text) == DIGITS_OF_ID &&
			str_is_hex(text, DIGITS_OF_ID))
			draft->swarm_id = text;
	}
	qsort(draft->labels, draft->labels_len, sizeof(*draft->labels), label_cmp);
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
static void draft_names(struct record_draft *draft, const json_t *entry, const json_t *inspect)
{
	const char *own = text_or_empty(inspect, "Name", INVENTORY_NAME_MAX);
	const json_t *name;
	size_t i;

	if (is_own_name(own))
		add_bounded(&draft->names, own);
	else
		own = "";
	json_array_foreach (json_arr(entry, "Names"), i, name) {
		const char *text = json_string_value(name);

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

static void draft_image(struct record_draft *draft, const json_t *entry, const json_t *inspect)
{
	draft->image = text_or_empty(json_obj(inspect, "Config"), "Image", INVENTORY_TEXT_MAX);
	if (!draft->image[0])
		draft->image = text_or_empty(entry, "Image", INVENTORY_TEXT_MAX);
	draft->image_id = text_or_empty(inspect, "Image", INVENTORY_TEXT_MAX);
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

static void state_from_entry(struct record_draft *draft, const json_t *entry)
{
	struct container *container = &draft->record.container;
	const char *status = text_or_empty(entry, "Status", INVENTORY_NAME_MAX);

	container->state = word_of(json_str(entry, "State", ""), state_words);
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

static void state_from_inspect(struct record_draft *draft, const json_t *state)
{
	struct container *container = &draft->record.container;
	bool is_running = json_bool(state, "Running", false);
	const char *health = json_str(json_obj(state, "Health"), "Status", "none");

	container->view.is_running = is_running;
	container->is_paused = is_running && json_bool(state, "Paused", false);
	container->is_restarting = is_running && json_bool(state, "Restarting", false);
	container->is_dead = json_bool(state, "Dead", false);
	container->is_removing = json_bool(state, "RemovalInProgress", false) ||
				 str_eq(json_str(state, "Status", ""), "removing");
	container->exit_code = (int)clamp(json_int(state, "ExitCode", 0), INT32_MAX);
	container->started_at = time_parse_ns(json_str(state, "StartedAt", "")) / 1000000000;
	container->finished_at = time_parse_ns(json_str(state, "FinishedAt", "")) / 1000000000;
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

/* CpuShares is a weight to the engine; the manager writes into it the part of the node's CPUs that
 * was asked for, so it can be read back. 1024 without a swarm ID is the engine's default weight,
 * written out by somebody who did not ask the manager, and reserves nothing. */
static int64_t cpus_of_shares(const struct record_draft *draft, int64_t shares, int64_t ncpu)
{
	if (shares == CPU_SHARES_DEFAULT && !draft->swarm_id[0])
		return 0;
	return clamp(shares, CPU_SHARES_MAX) * ncpu / 1024;
}

static void draft_resources(struct record_draft *draft, const json_t *host, int64_t ncpu)
{
	struct container_view *view = &draft->record.container.view;
	int64_t cpus = clamp(json_int(host, "NanoCpus", 0), NANO_CPUS_MAX);
	int64_t memory = clamp(json_int(host, "Memory", 0), MEMORY_MAX);

	if (cpus == 0)
		cpus = clamp(cpus_of_shares(draft, json_int(host, "CpuShares", 0), ncpu),
			       NANO_CPUS_MAX / 1000000000) *
		       1000000000;
	if (memory == 0)
		memory = clamp(json_int(host, "MemoryReservation", 0), MEMORY_MAX);
	view->nano_cpus = cpus;
	view->memory = memory;
}

static void draft_lists(struct record_draft *draft, const json_t *entry, const json_t *inspect)
{
	const json_t *mounts = json_arr(inspect, "Mounts");
	json_t *networks = json_path(inspect, "NetworkSettings", "Networks", NULL);
	const char *name;
	json_t *item;
	size_t i;

	if (!mounts)
		mounts = json_arr(entry, "Mounts");
	json_array_foreach (mounts, i, item) {
		name = json_str(item, "Name", "");
		/* A bind has no name; an engine's filter knows it by its source. */
		add_bounded(&draft->volumes, name[0] != '\0' ? name : json_str(item, "Source", ""));
		add_bounded(&draft->volumes, json_str(item, "Destination", ""));
	}
	if (!json_is_object(networks))
		networks = json_path(entry, "NetworkSettings", "Networks", NULL);
	json_object_foreach (networks, name, item) {
		add_bounded(&draft->networks, name);
		add_bounded(&draft->networks, json_str(item, "NetworkID", ""));
	}
}

static void draft_fill(struct record_draft *draft, const struct node *node, const json_t *entry,
	const json_t *inspect)
{
	struct container *container = &draft->record.container;
	const json_t *host = json_obj(inspect, "HostConfig");
	const json_t *state = json_obj(inspect, "State");
	const char *mode = json_str(host, "NetworkMode", NULL);

	if (!mode)
		mode = json_str(json_obj(entry, "HostConfig"), "NetworkMode", "");
	container->view.host_network = strcmp(mode, "host") == 0;
	container->isolation = word_of(json_str(host, "Isolation", ""), isolation_words);
	if (!container->isolation)
		container->isolation = "";
	draft->record.created_ns = time_parse_ns(json_str(inspect, "Created", ""));
	container->created = draft->record.created_ns / 1000000000;
	if (container->created == 0) {
		container->created = clamp(json_int(entry, "Created", 0), INT64_MAX / 1000000000);
		draft->record.created_ns = container->created * 1000000000;
	}
	draft_labels(draft, entry, inspect);
	draft_names(draft, entry, inspect);
	draft_image(draft, entry, inspect);
	if (state)
		state_from_inspect(draft, state);
	else
		state_from_entry(draft, entry);
	draft_resources(draft, host, node->inventory.ncpu);
	draft_lists(draft, entry, inspect);
	draft_ports(draft, entry, inspect);
	draft_summary(draft, entry, node->inventory.ip);
}

struct container *container_from_engine(
	struct node *node, const json_t *entry, const json_t *inspect, struct err *err)
{
	struct record_draft draft = {.id = json_str(entry, "Id", "")};
	const char *other = json_str(inspect, "Id", draft.id);
	struct container_record *record;

	if (strlen(draft.id) != DIGITS_OF_ID || !str_is_hex(draft.id, DIGITS_OF_ID)) {
		err_set(err, ERR_UPSTREAM, "container without a proper ID: \"%.80s\"", draft.id);
		return NULL;
	}
	if (strcmp(draft.id, other) != 0) {
		err_set(err, ERR_UPSTREAM, "container %.12s is told to be %.80s", draft.id, other);
		return NULL;
	}
	draft_fill(&draft, node, entry, inspect);
	record = record_pack(node, &draft);
	record_draft_free(&draft);
	return &record->container;
}
