/* One full resynchronisation: the lists of containers, images, networks and volumes, and each
 * container that is new or not as it was known. The list is cut as it comes, so that it is never
 * held as a whole. */
#include "cluster/live.h"
#include "lib/json.h"
#include "lib/json_pick.h"
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
	json_decref(sync->ids);
	sync->ids = NULL;
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
		clear(sync);
	}
	sync->done(sync->arg, err ? &copy : NULL);
}

static void one_less(struct node_live *live)
{
	struct sync *sync = &live->sync;

	if (--sync->outstanding > 0)
		return;
	/* One bad record is left out; an engine that tells nothing but bad ones is broken. */
	finish(live, sync->bad > 0 && sync->good == 0 ? &sync->bad_err : NULL);
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
		sync->bad_err = *err;
		sync->bad++;
		if (err->code == ERR_TIMEOUT)
			sync->timeouts++;
		if (err->code == ERR_UNAVAILABLE || err->code == ERR_SYSTEM ||
			sync->timeouts >= TIMEOUTS_MAX) {
			finish(live, err);
			return;
		}
		node_log(live, "container left out: %s", err->msg);
	}
	one_less(live);
}

/* "Up 5 minutes (healthy)" without its time. */
static uint64_t status_digest(const char *status)
{
	size_t first = strcspn(status, " ");
	const char *p = status + first;
	uint64_t digest = live_digest(status, first);

	while ((p = strchr(p, '('))) {
		size_t len = strcspn(p, ")");

		digest = digest * 31 + live_digest(p, len);
		p += len;
	}
	return digest;
}

static int digest_piece(const char *data, size_t len, void *arg)
{
	uint64_t *digest = arg;

	*digest = *digest * 31 + live_digest(data, len);
	return 0;
}

uint64_t sync_entry_digest(const json_t *entry)
{
	json_t *copy CLEANUP_JSON = json_copy((json_t *)entry);
	uint64_t digest = status_digest(json_str(entry, "Status", ""));

	json_object_del(copy, "Status");
	json_dump_callback(copy, digest_piece, &digest, JSON_COMPACT | JSON_SORT_KEYS);
	return digest;
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

/* What decides whether an entry has to be looked at as a whole. */
static const struct json_pick entry_wanted[] = {
	{"Id", NULL}, {"State", NULL}, {"Status", NULL}, {NULL, NULL}};

static json_t *parse_head(const char *text, size_t len, struct err *err)
{
	struct buf picked CLEANUP_BUF;

	buf_init(&picked, LIVE_OBJECT_MAX);
	if (json_pick(text, len, entry_wanted, &picked, err) != 0)
		return NULL;
	return live_parse(buf_str(&picked), picked.len, LIVE_OBJECT_VALUES, err);
}

static bool is_known(struct node_live *live, const json_t *head, const char *text, size_t len)
{
	const struct container *container =
		inventory_container_get(live->node, json_str(head, "Id", ""));
	json_t *entry CLEANUP_JSON = NULL;

	if (!container || strcmp(container->state, json_str(head, "State", "")) != 0) {
		live->sync.changed++;
		return false;
	}
	if (!status_agrees(container, json_str(head, "Status", ""), live->sync.engine_now))
		return false;
	entry = live_parse(text, len, LIVE_OBJECT_VALUES, NULL);
	return entry && container->digest == sync_entry_digest(entry);
}

static bool list_entry(const char *text, size_t len, void *arg)
{
	struct node_live *live = arg;
	struct sync *sync = &live->sync;
	json_t *head CLEANUP_JSON = parse_head(text, len, &sync->err);
	const char *id = head ? json_str(head, "Id", "") : "";

	if (!head) {
		err_wrap(&sync->err, "GET /containers/json: an entry is not JSON");
		sync->err.code = ERR_UPSTREAM;
		return false;
	}
	if (!str_is_hex(id, 64)) {
		node_log(live, "container left out: its list entry has no valid Id");
		return true;
	}
	if (json_array_size(sync->ids) >= INVENTORY_CONTAINERS_MAX) {
		err_set(&sync->err, ERR_TOO_LARGE, "more than %d containers",
			INVENTORY_CONTAINERS_MAX);
		return false;
	}
	json_array_append_new(sync->ids, json_pack("{s:s}", "Id", id));
	if (!is_known(live, head, text, len)) {
		sync->outstanding++;
		fetch_container_entry(
			live, id, xstrndup(text, len), container_done, token_new(live));
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

	(void)call;
	sync->bytes += len;
	if (sync->status != 200) {
		if (sync->split.text.len + len <= ERROR_TEXT_MAX)
			buf_append(&sync->split.text, data, len);
		return true;
	}
	if (sync->bytes > LIVE_LIST_MAX)
		err_set(&sync->err, ERR_TOO_LARGE, "GET /containers/json: more than %d bytes",
			LIVE_LIST_MAX);
	else if (json_split_feed(&sync->split, data, len, list_entry, live, &sync->err) == -1)
		err_wrap(&sync->err, "GET /containers/json");
	if (sync->err.code != ERR_NONE)
		finish(live, &sync->err);
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
	sync->changed += inventory_containers_prune(live->node, sync->ids, sync->asked_at);
	one_less(live);
}

static void parts_done(void *arg, const struct err *err)
{
	struct node_live *live = token_take(arg);

	if (!live)
		return;
	if (err && parts_are_broken(live))
		finish(live, err);
	else
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
	json_split_init(&sync->split, LIVE_OBJECT_MAX, true);
	sync->is_running = true;
	sync->generation++;
	sync->ids = json_array();
	sync->asked_at = inventory_seq(&live->shared->cluster->inventory);
	sync->bytes = 0;
	sync->status = 0;
	sync->outstanding = 2;
	sync->timeouts = 0;
	sync->changed = sync->good = sync->bad = 0;
	sync->err.code = ERR_NONE;
	sync->done = done;
	sync->arg = arg;
	sync->call = call_start(live->endpoint, &request, &ops, live);
	parts_refresh(live, NODE_IMAGES | NODE_NETWORKS | NODE_VOLUMES, false, parts_done,
		token_new(live));
}
