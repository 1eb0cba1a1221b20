/* The way from an address to a node that is known: version, ping, info, event stream, then
 * everything the engine has, in this order, so that no change falls between the list and the
 * stream. */
#include "cluster/live.h"
#include "lib/addr.h"
#include "lib/json.h"
#include "lib/log.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum {
	LABELS_MAX = INVENTORY_LABELS_MAX,
	LABELS_AUTO = 4,
};

/* ---- Turns: not all engines of a large fleet are connected, or read, at once ---- */

static void turn_take(struct node_live *live);

static void turn_give_next(struct turns *turns)
{
	struct node_live *next = turns->waiting;

	if (!next || turns->taken >= turns->max)
		return;
	DL_DELETE(turns->waiting, next);
	next->in_queue = false;
	turn_take(next);
}

static void turn_release(struct node_live *live)
{
	struct turns *turns = &live->shared->turns[live->turn];

	loop_timer_stop(live->turn_timer);
	if (live->in_queue) {
		DL_DELETE(turns->waiting, live);
		live->in_queue = false;
	}
	if (!live->has_turn)
		return;
	live->has_turn = false;
	turns->taken--;
	turn_give_next(turns);
}

/* An engine that takes its time goes on, and holds nobody up. */
static void turn_expired(void *arg)
{
	turn_release(arg);
}

static void synced(void *arg, const struct err *err)
{
	struct node_live *live = arg;
	const struct env *env = live->shared->env;
	bool was_resync = live->is_resync;
	size_t changed = live->sync.changed;

	turn_release(live);
	live->stage = CONNECT_NONE;
	live->is_resync = false;
	if (err) {
		if (was_resync && err->code == ERR_EXHAUSTED)
			live_resync_soon(live);
		else if (was_resync)
			live_lost(live, true, err);
		else
			connect_failed(live, err);
		return;
	}
	live->updated_at = env->wall_ns(env) / 1000000000;
	if (!was_resync)
		live_connected(live);
	else if (changed > 0)
		watch_check(live);
}

static void ask_version(struct node_live *live);

static void turn_take(struct node_live *live)
{
	live->has_turn = true;
	live->shared->turns[live->turn].taken++;
	loop_timer_start(live->turn_timer, live->shared->timing.turn[live->turn]);
	if (live->turn == TURN_CONNECT) {
		ask_version(live);
		return;
	}
	live->stage = CONNECT_SYNC;
	sync_start(live, synced, live);
}

static void turn_ask(struct node_live *live, enum turn_kind turn)
{
	struct turns *turns = &live->shared->turns[turn];

	turn_release(live);
	live->turn = turn;
	live->stage = CONNECT_TURN;
	if (turns->taken < turns->max) {
		turn_take(live);
		return;
	}
	live->in_queue = true;
	DL_APPEND(turns->waiting, live);
}

/* ---- Life ---- */

void connect_init(struct node_live *live)
{
	live->turn_timer = loop_timer_new(live->shared->loop, turn_expired, live);
}

void connect_cancel(struct node_live *live)
{
	if (live->connect_call)
		call_cancel(TAKE_PTR(live->connect_call));
	sync_cancel(live);
	live->stage = CONNECT_NONE;
	live->is_resync = false;
	turn_release(live);
}

void connect_free(struct node_live *live)
{
	connect_cancel(live);
	if (live->resolve)
		loop_resolve_cancel(TAKE_PTR(live->resolve));
	loop_timer_free(live->turn_timer);
}

void connect_failed(struct node_live *live, const struct err *err)
{
	if (live->is_resync && err->code == ERR_EXHAUSTED) {
		connect_cancel(live);
		live_resync_soon(live);
		return;
	}
	if (live->is_resync) {
		live_lost(live, true, err);
		return;
	}
	connect_cancel(live);
	watch_close(live);
	live_failed(live, err);
}

/* ---- Version ---- */

/* "1.41" as 1041; -1 when it is none. */
static long version_number(const char *s)
{
	long major = 0, minor = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9' && p - s < 3; p++)
		major = major * 10 + (*p - '0');
	if (p == s || *p != '.')
		return -1;
	s = ++p;
	for (; *p >= '0' && *p <= '9' && p - s < 3; p++)
		minor = minor * 10 + (*p - '0');
	return p == s || *p != '\0' ? -1 : major * 1000 + minor;
}

static int apply_version(struct node_live *live, struct json_ref json, struct err *err)
{
	const char *max = json_ref_str(json, "ApiVersion", "");
	const char *min = json_ref_str(json, "MinAPIVersion", "");
	long engine_max = version_number(max), engine_min = version_number(min);
	char *c;

	if (engine_max == -1)
		return err_set(err, ERR_UPSTREAM,
			"not a Docker engine: GET /version tells no valid ApiVersion");
	if (engine_max < version_number(NODE_API_MIN))
		return err_set(err, ERR_UNSUPPORTED,
			"the engine is too old: its API goes up to %s, at least %s is needed", max,
			NODE_API_MIN);
	if (engine_min > version_number(NODE_API_MAX))
		return err_set(err, ERR_UNSUPPORTED,
			"the engine is too new: its API starts at %s, and %s is the highest spoken "
			"here",
			min, NODE_API_MAX);
	snprintf(live->api_max, sizeof(live->api_max), "%s", max);
	snprintf(live->api_min, sizeof(live->api_min), "%s", engine_min == -1 ? NODE_API_MIN : min);
	snprintf(live->api, sizeof(live->api), "%s",
		engine_max > version_number(NODE_API_MAX) ? NODE_API_MAX : max);
	live->takes_lines = engine_max >= version_number(LIVE_API_LINES);
	snprintf(live->server_version, sizeof(live->server_version), "%s",
		json_ref_str(json, "Version", ""));
	for (c = live->server_version; *c; c++)
		if (*c < 0x20 || *c > 0x7e)
			*c = '?'; /* it may have been cut within a character */
	return 0;
}

/* ---- Info ---- */

/* Two engines of one ID are cloned machines, two of one name are hard to tell apart: both work. */
static void warn_twin(
	struct node_live *live, const struct index *index, const char *key, const char *what)
{
	struct index_entry *entry;

	for (entry = index_first(index, key); entry; entry = index_next_same(entry)) {
		struct node *other = entry->item;

		if (other == live->node)
			continue;
		node_log(live, "another node has the same %s: %s at %s; both are accepted", what,
			key, other->inventory.view.addr);
		return;
	}
}

static size_t add_labels(struct view_label *labels, char **texts, struct json_ref info)
{
	static const struct {
		const char *label, *field;
	} own[LABELS_AUTO] = {
		{"storagedriver", "Driver"},
		{"kernelversion", "KernelVersion"},
		{"operatingsystem", "OperatingSystem"},
		{"ostype", "OSType"},
	};
	size_t len = 0;

	for (size_t i = 0; i < LABELS_AUTO; i++) {
		const char *value = json_ref_str(info, own[i].field, "");

		if (*value)
			labels[len++] = (struct view_label){own[i].label, value};
	}
	for (struct json_walk w = json_walk(json_ref_arr(info, "Labels")); json_walk_next(&w);) {
		const char *text = json_ref_text(w.value);
		const char *equals = text ? strchr(text, '=') : NULL;

		if (!equals || equals == text || strlen(text) > INVENTORY_TEXT_MAX)
			continue;
		if (len == LABELS_MAX + LABELS_AUTO)
			break;
		texts[len] = xstrndup(text, (size_t)(equals - text));
		labels[len] = (struct view_label){texts[len], equals + 1};
		len++;
	}
	return len;
}

static void set_identity(struct node_live *live, struct json_ref info)
{
	struct view_label labels[LABELS_MAX + LABELS_AUTO];
	char *texts[LABELS_MAX + LABELS_AUTO] = {NULL};
	struct inventory_identity identity = {
		.engine_id = json_ref_str(info, "ID", ""),
		.name = json_ref_str(info, "Name", ""),
		.labels = labels,
		.ncpu = json_ref_int(info, "NCPU", 0),
		.memory = json_ref_int(info, "MemTotal", 0),
	};
	size_t i;

	if (str_is_empty(identity.name))
		identity.name = identity.engine_id;
	identity.labels_len = add_labels(labels, texts, info);
	inventory_node_set_identity(live->node, &identity);
	for (i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
}

static int apply_info(struct node_live *live, struct json_ref info, struct err *err)
{
	const struct inventory *inventory = &live->shared->cluster->inventory;
	const struct node_view *view = &live->node->inventory.view;
	const char *id = json_ref_str(info, "ID", ""), *name = json_ref_str(info, "Name", "");
	bool is_new = !live->facts;
	struct facts *before = live->facts, *facts;
	bool has_moved = !is_new && strcmp(id, view->engine_id) != 0;
	bool is_renamed = !is_new && strcmp(name, view->name) != 0;

	if (str_has_prefix(json_ref_str(info, "ServerVersion", ""), "swarm/"))
		return err_set(err, ERR_UNSUPPORTED,
			"this is a swarm manager, not an engine: it must not be a node");
	if (str_is_empty(id) || strlen(id) > INVENTORY_NAME_MAX ||
		strlen(name) > INVENTORY_NAME_MAX)
		return err_set(
			err, ERR_UPSTREAM, "not a Docker engine: GET /info tells no valid ID");
	facts = facts_take(&live->shared->facts, info, LIVE_INFO_VALUES, err);
	if (!facts)
		return err_wrap(err, "GET /info");
	if (has_moved) {
		node_log(live, "another engine answers at this address: ID was %s, is %s",
			view->engine_id, id);
		watch_forget(live);
	}
	set_identity(live, info);
	live->facts = facts;
	facts_release(&live->shared->facts, before);
	if (is_new || has_moved)
		warn_twin(live, &inventory->node_engine_ids, view->engine_id, "engine ID");
	if (is_new || is_renamed)
		warn_twin(live, &inventory->node_names, view->name, "name");
	return 0;
}

static void info_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct node_live *live = arg;
	struct err err = ERR_INIT;
	struct json_ref info;
	int64_t now;

	live->connect_call = NULL;
	info = live_reply_read(live, "/info", reply, failed, &err);
	if (!info.document || apply_info(live, info, &err) == -1) {
		connect_failed(live, &err);
		return;
	}
	now = live_parse_time(json_ref_str(info, "SystemTime", ""));
	watch_set_clock(live, now);
	if (live->is_resync) {
		turn_ask(live, TURN_SYNC);
		return;
	}
	/* From here on events are asked for, so that none is lost until the stream is open. */
	if (live->watch.since_nano == 0)
		live->watch.since_nano = now;
	live->stage = CONNECT_EVENTS;
	watch_open(live);
}

static void ask_info(struct node_live *live)
{
	char *target CLEANUP_FREE = live_target(live, "/info");

	live->stage = CONNECT_INFO;
	live->connect_call =
		live_get(live, target, LIVE_INFO_MAX, live->shared->timing.list, info_done, live);
}

void connect_stream_open(struct node_live *live)
{
	turn_ask(live, TURN_SYNC);
}

/* Which builder it prefers stands in the headers of its /_ping alone. */
static void ping_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct node_live *live = arg;
	struct err err = ERR_INIT;

	live->connect_call = NULL;
	if (failed)
		err_set(&err, failed->code, "GET /_ping: %s", failed->msg);
	else if (reply->status != 200)
		live_status_error("/_ping", reply, &err);
	if (err.code != ERR_NONE) {
		connect_failed(live, &err);
		return;
	}
	live_pinged(live, reply);
	ask_info(live);
}

static void version_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct node_live *live = arg;
	struct err err = ERR_INIT;
	struct json_ref json;

	live->connect_call = NULL;
	json = live_reply_read(live, "/version", reply, failed, &err);
	if (!json.document || apply_version(live, json, &err) == -1) {
		if (!json.document && !failed && reply->status < 400)
			err_set(&err, ERR_UPSTREAM,
				"not a Docker engine, but another HTTP server: GET /version: not "
				"JSON");
		connect_failed(live, &err);
		return;
	}
	live->stage = CONNECT_PING;
	live->connect_call =
		live_get(live, "/_ping", LIVE_PING_MAX, live->shared->timing.head, ping_done, live);
}

/* ---- The address for lists ---- */

static void resolved(
	void *arg, const struct loop_address *addresses, size_t count, const struct err *err)
{
	struct node_live *live = arg;
	char text[NI_MAXHOST];

	live->resolve = NULL;
	if (err || count == 0 || live->is_removed)
		return; /* the connection tells */
	if (getnameinfo((const struct sockaddr *)&addresses[0].addr, addresses[0].len, text,
		    sizeof(text), NULL, 0, NI_NUMERICHOST) == 0)
		inventory_node_set_ip(live->node, text);
}

static void resolve_name(struct node_live *live)
{
	struct addr addr;
	struct in_addr v4;
	struct in6_addr v6;

	if (live->resolve || addr_parse(live->addr, 2375, &addr, NULL) == -1)
		return;
	if (addr.kind == ADDR_TCP && inet_pton(AF_INET, addr.host, &v4) != 1 &&
		inet_pton(AF_INET6, addr.host, &v6) != 1)
		live->resolve = loop_resolve_start(
			live->shared->loop, addr.host, addr.port, resolved, live);
	addr_free(&addr);
}

/* ---- Starts ---- */

static void ask_version(struct node_live *live)
{
	const struct env *env = live->shared->env;

	live->stage = CONNECT_VERSION;
	live->attempt_at = env->now_ms(env);
	live->connect_call = live_get(
		live, "/version", LIVE_INFO_MAX, live->shared->timing.head, version_done, live);
}

void connect_start(struct node_live *live)
{
	resolve_name(live);
	live->is_resync = false;
	turn_ask(live, TURN_CONNECT);
}

void connect_resync(struct node_live *live)
{
	live->is_resync = true;
	live->watch.check_seen = live->watch.seen;
	ask_info(live);
}
