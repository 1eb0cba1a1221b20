/* One full resynchronisation: the lists of containers, images, networks and volumes, and each
 * container that is new or not as it was known. The list is cut as it comes, so that it is never
 * held as a whole. */
#include "cluster/live.h"
#include "lib/json_read.h"
#include "lib/log.h"

#include <string.h>

enum {
	TIMEOUTS_MAX = 3, /* containers that the engine cannot be asked for */
	ERROR_TEXT_MAX = 4096,
};

/* A thing under way for one synchronisation; that one may be over when it comes. */
struct sync_token {
	struct node_live *live;
	unsigned generation;
};

static struct sync_token *token_new(struct node_live *live)
{
	struct sync_token *token = xcalloc(1, sizeof(*token));

	token->live = live;
	token->generation = live->sync.generation;
	return token;
}

/* The node, or NULL when the synchronisation is over. Frees the token. */
static struct node_live *token_take(void *arg)
{
	struct sync_token *token = arg;
	struct node_live *live = token->live;
	bool is_current = live->sync.is_running && token->generation == live->sync.generation;

	free(token);
	return is_current ? live : NULL;
}

static void clear(struct sync *sync)
{
	if (sync->call)
		call_cancel(TAKE_PTR(sync->call));
	json_split_reset(&sync->split);
	free(TAKE_PTR(sync->bad_err));
	sync->is_running = false;
	sync->generation++;
}

void sync_cancel(struct node_live *live)
{
	if (!live->sync.is_running)
		return;
	clear(&live->sync);
	fetch_cancel_entries(live);
}

static void finish(struct node_live *live, const struct err *err)
{
	struct sync *sync = &live->sync;
	struct err copy = ERR_INIT;

	if (err) {
		copy = *err;
		sync_cancel(live);
	} else {
		inventory_containers_told(live->node, sync->asked_at);
		clear(sync);
	}
	sync->done(sync->arg, err ? &copy : NULL);
}

static void part_done(void *arg, const struct err *err);

/* One after the other, and not beside the containers: all at once would take many connections, for
 * this one time, and with TLS each costs an engine more than the answer. */
static void next_part(struct node_live *live)
{
	static const unsigned parts[] = {NODE_IMAGES, NODE_NETWORKS, NODE_VOLUMES};
	struct sync *sync = &live->sync;

	if (sync->parts_asked < ARRAY_LEN(parts)) {
		parts_refresh(live, parts[sync->parts_asked++], false, part_done, token_new(live));
		return;
	}
	/* One bad record is left out; an engine that tells nothing but bad ones is broken. */
	finish(live, sync->bad > 0 && sync->good == 0 ? sync->bad_err : NULL);
}

static void one_less(struct node_live *live)
{
	if (--live->sync.outstanding == 0)
		next_part(live);
}

static void part_done(void *arg, const struct err *err)
{
	struct node_live *live = token_take(arg);

	if (!live)
		return;
	if (err && parts_are_broken(live))
		finish(live, err);
	else
		next_part(live);
}

/* ---- Containers ---- */

static void container_done(void *arg, const struct err *err)
{
	struct node_live *live = token_take(arg);
	struct sync *sync;

	if (!live)
		return;
	sync = &live->sync;
	if (!err) {
		sync->good++;
	} else {
		if (!sync->bad_err)
			sync->bad_err = xmalloc(sizeof(*sync->bad_err));
		*sync->bad_err = *err;
		sync->bad++;
		if (err->code == ERR_TIMEOUT)
			sync->timeouts++;
		if (err->code == ERR_UNAVAILABLE || err->code == ERR_SYSTEM ||
			err->code == ERR_EXHAUSTED || sync->timeouts >= TIMEOUTS_MAX) {
			finish(live, err);
			return;
		}
		node_log(live, "container left out: %s", err->msg);
	}
	one_less(live);
}

/* True when the record words its status as the engine does: a container that was restarted
 * meanwhile runs as before, but not for as long. */
static bool status_agrees(const struct container *container, const char *status, int64_t now)
{
	int64_t at;

	for (at = now - 1; at <= now + 1; at++) {
		char *ours CLEANUP_FREE = container_status(container, at);

		if (strcmp(ours, status) == 0)
			return true;
	}
	return false;
}

static bool is_known(struct node_live *live, struct container *container, struct json_ref entry,
	const char *text, size_t len)
{
	if (!container || strcmp(container->state, json_ref_str(entry, "State", "")) != 0) {
		live->sync.changed++;
		return false;
	}
	return status_agrees(container, json_ref_str(entry, "Status", ""), live->sync.engine_now) &&
	       container_is_listed_as(container, entry, text, len);
}

enum { ID_LEN = 64 };

/* Engines write the ID first. That of a container which is not known is all that is needed of its
 * entry now: the rest is read together with what inspecting it tells. */
static bool begins_with_new_id(const struct node_live *live, const char *text, size_t len, char *id)
{
	static const char key[] = "{\"Id\":\"";
	const size_t key_len = sizeof(key) - 1;

	if (len <= key_len + ID_LEN || memcmp(text, key, key_len) != 0 ||
		text[key_len + ID_LEN] != '"')
		return false;
	memcpy(id, text + key_len, ID_LEN);
	id[ID_LEN] = '\0';
	return str_is_hex(id, ID_LEN) && !inventory_container_get(live->node, id);
}

/* Of an entry that has to be read: whether the container is known as it says, and the ID. False
 * when nothing more is to be done about it. */
static bool read_entry(
	struct node_live *live, const char *text, size_t len, char *id, bool *is_known_out)
{
	struct sync *sync = &live->sync;
	struct json_ref entry =
		json_read(live->shared->cluster->inventory.entry_reader, text, len, NULL);
	const char *told = json_ref_str(entry, "Id", "");
	struct container *container;

	if (!str_is_hex(told, ID_LEN)) {
		node_log(live, "container left out: its list entry %s",
			entry.document ? "has no valid Id" : "is not JSON");
		return false;
	}
	memcpy(id, told, ID_LEN + 1);
	container = inventory_container_get(live->node, id);
	if (container)
		inventory_container_listed(container, sync->asked_at);
	*is_known_out = is_known(live, container, entry, text, len);
	return true;
}

static bool list_entry(const char *text, size_t len, void *arg)
{
	struct node_live *live = arg;
	struct sync *sync = &live->sync;
	char id[ID_LEN + 1];
	bool was_known = false;

	if (begins_with_new_id(live, text, len, id))
		sync->changed++;
	else if (!read_entry(live, text, len, id, &was_known))
		return true;
	/* Of those beyond, the ones that are known stay known. */
	if (sync->listed++ == INVENTORY_CONTAINERS_MAX)
		node_log(live, "more than %d containers: the rest is left out",
			INVENTORY_CONTAINERS_MAX);
	if (!was_known && sync->listed <= INVENTORY_CONTAINERS_MAX) {
		sync->outstanding++;
		fetch_container_entry(
			live, id, text, len, sync->split.is_short, container_done, token_new(live));
	}
	return true;
}

/* ---- The list ---- */

static void list_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct node_live *live = arg;
	const struct env *env = live->shared->env;
	int64_t date = live_parse_date(http_headers_get(headers, "Date"));

	(void)call;
	live->sync.status = status;
	live->sync.engine_now = date ? date : env->wall_ns(env) / 1000000000;
}

static bool list_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct node_live *live = arg;
	struct sync *sync = &live->sync;
	struct err err = ERR_INIT;

	(void)call;
	if (sync->status != 200) {
		if (sync->split.text.len + len <= ERROR_TEXT_MAX)
			buf_append(&sync->split.text, data, len);
		return true;
	}
	/* Nothing of it is kept, so that its length is bounded by its deadline alone. */
	if (json_split_feed(&sync->split, data, len, list_entry, live, &err) == -1) {
		err_wrap(&err, "GET /containers/json");
		finish(live, &err);
	}
	return true;
}

static void list_done(struct call *call, const struct err *failed, void *arg)
{
	struct node_live *live = arg;
	struct sync *sync = &live->sync;
	struct err err = ERR_INIT;
	struct reply reply = {
		.status = sync->status,
		.body = buf_str(&sync->split.text),
		.body_len = sync->split.text.len,
	};

	(void)call;
	sync->call = NULL;
	if (failed)
		err_set(&err, failed->code, "GET /containers/json: %s", failed->msg);
	else if (sync->status != 200)
		live_status_error("/containers/json", &reply, &err);
	else if (!json_split_is_complete(&sync->split))
		err_set(&err, ERR_UPSTREAM, "GET /containers/json: the answer breaks off");
	if (err.code != ERR_NONE) {
		finish(live, &err);
		return;
	}
	sync->changed += inventory_containers_prune(live->node, sync->asked_at);
	one_less(live);
}

void sync_start(struct node_live *live, live_done_fn *done, void *arg)
{
	static const struct call_ops ops = {
		.head = list_head,
		.body = list_body,
		.done = list_done,
	};
	const struct live_timing *t = &live->shared->timing;
	struct sync *sync = &live->sync;
	char *target CLEANUP_FREE = live_target(live, "/containers/json?all=1");
	struct call_request request = {
		.method = "GET",
		.target = target,
		.connect_timeout_ms = t->connect,
		.head_timeout_ms = t->list,
		.idle_timeout_ms = t->idle,
		.total_timeout_ms = t->list,
	};

	sync_cancel(live);
	json_split_init(&sync->split, LIVE_ENTRY_MAX, true);
	sync->split.shortens = true;
	sync->is_running = true;
	sync->generation++;
	sync->asked_at = inventory_ask(&live->shared->cluster->inventory);
	sync->listed = 0;
	sync->status = 0;
	sync->outstanding = 1;
	sync->parts_asked = 0;
	sync->timeouts = 0;
	sync->changed = sync->good = sync->bad = 0;
	sync->done = done;
	sync->arg = arg;
	sync->call = call_start(live->endpoint, &request, &ops, live);
}
