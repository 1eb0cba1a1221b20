/* Containers asked for one by one: at most one question about a container is under way, and one
 * more waits behind it for those who came meanwhile. What is asked last is answered last, so the
 * record can only get newer. */
#include "cluster/live.h"
#include "lib/json.h"
#include "lib/json_pick.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

struct fetch {
	struct node_live *live;
	char id[65];
	bool is_active;
	bool is_again;    /* once more when this one is done */
	bool was_missing; /* the list did not have it yet */
	char *entry_text; /* of a whole list; NULL = ask for it */
	json_t *entry;    /* the answers */
	json_t *inspect;
	bool is_gone; /* 404 */
	struct err err;
	struct call *list_call, *inspect_call;
	struct live_waiter *waiters, *next_waiters;
	struct fetch *prev, *next; /* live->queue */
	UT_hash_handle hh;         /* live->fetches */
};

static void start(struct fetch *fetch);

/* ---- Waiting ---- */

void live_wait(struct live_waiter **list, live_done_fn *done, void *arg)
{
	struct live_waiter *waiter;

	if (!done)
		return;
	waiter = xcalloc(1, sizeof(*waiter));
	waiter->done = done;
	waiter->arg = arg;
	LL_APPEND(*list, waiter);
}

void live_wake(struct live_waiter **list, const struct err *err)
{
	struct live_waiter *waiter, *all = TAKE_PTR(*list);

	while ((waiter = all)) {
		all = waiter->next;
		waiter->done(waiter->arg, err);
		free(waiter);
	}
}

/* ---- One question ---- */

static void clear_answers(struct fetch *fetch)
{
	json_decref(fetch->entry);
	json_decref(fetch->inspect);
	fetch->entry = fetch->inspect = NULL;
	free(TAKE_PTR(fetch->entry_text));
	fetch->is_gone = false;
	fetch->err.code = ERR_NONE;
}

static void cancel_calls(struct fetch *fetch)
{
	if (fetch->list_call)
		call_cancel(TAKE_PTR(fetch->list_call));
	if (fetch->inspect_call)
		call_cancel(TAKE_PTR(fetch->inspect_call));
}

/* Out of every list; its waiters must have been taken. */
static void fetch_free(struct fetch *fetch)
{
	struct node_live *live = fetch->live;

	cancel_calls(fetch);
	clear_answers(fetch);
	if (fetch->is_active)
		live->fetching--;
	else
		DL_DELETE(live->queue, fetch);
	HASH_DEL(live->fetches, fetch);
	live->fetches_len--;
	free(fetch);
}

static void pump(struct node_live *live)
{
	while (live->queue && live->fetching < LIVE_FETCHES_MAX)
		start(live->queue);
}

/* The inventory as the two answers tell. */
static int apply(struct fetch *fetch, struct err *err)
{
	struct container *container;

	if (fetch->is_gone) {
		inventory_container_remove(fetch->live->node, fetch->id);
		return 0;
	}
	if (fetch->err.code != ERR_NONE) {
		*err = fetch->err;
		return -1;
	}
	if (!fetch->entry)
		return err_set(err, ERR_UPSTREAM, "container %.12s: the engine does not list it",
			fetch->id);
	container = container_from_engine(fetch->live->node, fetch->entry, fetch->inspect, err);
	if (!container)
		return err_wrap(err, "container %.12s", fetch->id);
	container->digest = sync_entry_digest(fetch->entry);
	inventory_container_put(container);
	return 0;
}

static void finish(struct fetch *fetch)
{
	struct node_live *live = fetch->live;
	struct live_waiter *waiters;
	struct err err = ERR_INIT;
	bool is_early;

	if (fetch->list_call || fetch->inspect_call)
		return;
	/* Created between the two answers: the next list has it. */
	is_early = !fetch->entry && !fetch->is_gone && fetch->err.code == ERR_NONE &&
		   !fetch->was_missing;
	if (is_early) {
		fetch->was_missing = true;
		clear_answers(fetch);
		start(fetch);
		return;
	}
	(void)!apply(fetch, &err);
	waiters = TAKE_PTR(fetch->waiters);
	clear_answers(fetch);
	if (fetch->is_again) {
		fetch->is_again = fetch->was_missing = false;
		fetch->waiters = TAKE_PTR(fetch->next_waiters);
		start(fetch);
	} else {
		fetch_free(fetch);
		pump(live);
	}
	if (err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT)
		node_report_failure(live->node, &err);
	live_wake(&waiters, err.code == ERR_NONE ? NULL : &err);
}

static void set_error(struct fetch *fetch, const struct err *err)
{
	if (fetch->err.code == ERR_NONE)
		fetch->err = *err;
}

/* What container_parse.c and container_ports.c read of an inspect: a fifth of its text. */
static const struct json_pick health_wanted[] = {{"Status", NULL}, {NULL, NULL}};
static const struct json_pick state_wanted[] = {{"Dead", NULL}, {"ExitCode", NULL},
	{"FinishedAt", NULL}, {"Health", health_wanted}, {"Paused", NULL},
	{"RemovalInProgress", NULL}, {"Restarting", NULL}, {"Running", NULL}, {"StartedAt", NULL},
	{"Status", NULL}, {NULL, NULL}};
static const struct json_pick config_wanted[] = {
	{"ExposedPorts", NULL}, {"Image", NULL}, {"Labels", NULL}, {NULL, NULL}};
static const struct json_pick host_wanted[] = {{"CpuShares", NULL}, {"Isolation", NULL},
	{"Memory", NULL}, {"MemoryReservation", NULL}, {"NanoCpus", NULL}, {"NetworkMode", NULL},
	{"PortBindings", NULL}, {NULL, NULL}};
static const struct json_pick network_wanted[] = {{"NetworkID", NULL}, {NULL, NULL}};
static const struct json_pick networks_wanted[] = {{"*", network_wanted}, {NULL, NULL}};
static const struct json_pick settings_wanted[] = {
	{"Networks", networks_wanted}, {"Ports", NULL}, {NULL, NULL}};
static const struct json_pick inspect_wanted[] = {{"Config", config_wanted}, {"Created", NULL},
	{"HostConfig", host_wanted}, {"Id", NULL}, {"Image", NULL}, {"Mounts", NULL},
	{"Name", NULL}, {"NetworkSettings", settings_wanted}, {"State", state_wanted},
	{NULL, NULL}};

/* Skipping the rest as text takes a small part of what building it would. */
static json_t *parse_inspect(
	const char *path, const struct reply *reply, const struct err *failed, struct err *err)
{
	struct buf picked CLEANUP_BUF;
	struct err why = ERR_INIT;
	struct reply less;

	buf_init(&picked, LIVE_OBJECT_MAX);
	if (!failed && reply->status == 200) {
		if (json_pick(reply->body, reply->body_len, inspect_wanted, &picked, &why) != 0) {
			err_set(err, ERR_UPSTREAM, "GET %s: the answer is not a JSON object: %s",
				path, why.msg);
			return NULL;
		}
		less = *reply;
		less.body = buf_str(&picked);
		less.body_len = picked.len;
		reply = &less;
	}
	return live_reply_json(path, reply, failed, LIVE_OBJECT_VALUES, err);
}

static void inspect_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct fetch *fetch = arg;
	struct err err = ERR_INIT;
	char path[100];

	fetch->inspect_call = NULL;
	snprintf(path, sizeof(path), "/containers/%s/json", fetch->id);
	if (!failed && reply->status == 404) {
		fetch->is_gone = true;
	} else if (!failed && reply->status >= 500) {
		/* The engine cannot read this one; what its list tells is better than nothing. */
		live_status_error(path, reply, &err);
		node_log(fetch->live, "container known in part: %s", err.msg);
	} else {
		fetch->inspect = parse_inspect(path, reply, failed, &err);
		if (fetch->inspect && !json_is_object(fetch->inspect))
			err_set(&err, ERR_UPSTREAM, "GET %s: not an object", path);
		if (err.code != ERR_NONE)
			set_error(fetch, &err);
	}
	finish(fetch);
}

/* The entry of this container; the filter of the engine takes prefixes. */
static json_t *find_entry(const struct fetch *fetch, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (strcmp(json_str(item, "Id", ""), fetch->id) == 0)
			return json_incref(item);
	}
	return NULL;
}

static void list_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct fetch *fetch = arg;
	struct err err = ERR_INIT;
	json_t *list CLEANUP_JSON = NULL;

	fetch->list_call = NULL;
	list = live_reply_json("/containers/json", reply, failed, LIVE_OBJECT_VALUES, &err);
	if (list && !json_is_array(list))
		err_set(&err, ERR_UPSTREAM, "GET /containers/json: not a list");
	if (err.code != ERR_NONE)
		set_error(fetch, &err);
	else
		fetch->entry = find_entry(fetch, list);
	finish(fetch);
}

static void start(struct fetch *fetch)
{
	struct node_live *live = fetch->live;
	unsigned total = live->shared->timing.inspect;
	char path[200];

	if (!fetch->is_active) {
		DL_DELETE(live->queue, fetch);
		fetch->is_active = true;
		live->fetching++;
	}
	if (fetch->entry_text) {
		fetch->entry = json_parse(fetch->entry_text, strlen(fetch->entry_text), NULL);
		free(TAKE_PTR(fetch->entry_text));
	}
	if (!fetch->entry) {
		snprintf(path, sizeof(path),
			"/v%s/containers/json?all=1&filters=%%7B%%22id%%22%%3A%%5B%%22%s%%22%%5D%%"
			"7D",
			live->api, fetch->id);
		fetch->list_call = live_get(live, path, LIVE_OBJECT_MAX, total, list_done, fetch);
	}
	snprintf(path, sizeof(path), "/v%s/containers/%s/json", live->api, fetch->id);
	fetch->inspect_call = live_get(live, path, LIVE_OBJECT_MAX, total, inspect_done, fetch);
}

/* ---- Asking ---- */

static struct fetch *fetch_new(struct node_live *live, const char *id)
{
	struct fetch *fetch = xcalloc(1, sizeof(*fetch));

	fetch->live = live;
	snprintf(fetch->id, sizeof(fetch->id), "%s", id);
	HASH_ADD_STR(live->fetches, id, fetch);
	live->fetches_len++;
	DL_APPEND(live->queue, fetch);
	return fetch;
}

void fetch_container(
	struct node_live *live, const char *id, bool at_once, live_done_fn *done, void *arg)
{
	struct fetch *fetch;

	HASH_FIND_STR(live->fetches, id, fetch);
	if (fetch && fetch->is_active) {
		fetch->is_again = true;
		live_wait(&fetch->next_waiters, done, arg);
		return;
	}
	if (!fetch)
		fetch = fetch_new(live, id);
	free(TAKE_PTR(fetch->entry_text)); /* it is older than this question */
	live_wait(&fetch->waiters, done, arg);
	if (at_once)
		start(fetch);
	else
		pump(live);
}

void fetch_container_entry(
	struct node_live *live, const char *id, char *entry_take, live_done_fn *done, void *arg)
{
	struct fetch *fetch;

	HASH_FIND_STR(live->fetches, id, fetch);
	if (fetch) {
		/* Whoever asked already gets an answer that is as new, or newer. */
		free(entry_take);
		if (fetch->is_active)
			fetch->is_again = true;
		live_wait(fetch->is_active ? &fetch->next_waiters : &fetch->waiters, done, arg);
		return;
	}
	fetch = fetch_new(live, id);
	fetch->entry_text = entry_take;
	live_wait(&fetch->waiters, done, arg);
	pump(live);
}

void fetch_forget(struct node_live *live, const char *id)
{
	struct fetch *fetch;

	HASH_FIND_STR(live->fetches, id, fetch);
	if (fetch && fetch->is_active)
		fetch->is_gone = true;
}

/* ---- Ending ---- */

static void cancel(struct node_live *live, bool entries_only, const struct err *err)
{
	struct live_waiter *waiters = NULL;
	struct fetch *fetch, *tmp;

	HASH_ITER (hh, live->fetches, fetch, tmp) {
		if (entries_only && !fetch->entry_text)
			continue;
		LL_CONCAT(waiters, fetch->waiters);
		LL_CONCAT(waiters, fetch->next_waiters);
		fetch_free(fetch);
	}
	live_wake(&waiters, err);
}

void fetch_cancel_entries(struct node_live *live)
{
	struct err err = ERR_INIT;

	err_set(&err, ERR_CANCELED, "the synchronisation was given up");
	cancel(live, true, &err);
}

void fetch_cancel_all(struct node_live *live, const struct err *err)
{
	cancel(live, false, err);
}

/* True when the node can be asked now; else err tells why not. */
static bool is_askable(const struct node *node, struct err *err)
{
	if (node->live && node->live->state == NODE_HEALTHY)
		return true;
	err_set(err, ERR_UNAVAILABLE, "node %s is not healthy", node->inventory.view.name);
	return false;
}

void node_refresh_container(struct node *node, const char *id,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct err err = ERR_INIT;

	if (!str_is_hex(id, 64))
		err_set(&err, ERR_INVALID, "not a full container ID: %.80s", id);
	else if (is_askable(node, &err)) {
		fetch_container(node->live, id, true, done, arg);
		return;
	}
	live_later(node->cluster->live, done, arg, &err);
}

void node_container_gone(struct node *node, const char *id)
{
	if (!str_is_hex(id, 64))
		return;
	if (node->live)
		fetch_forget(node->live, id);
	inventory_container_remove(node, id);
}

void node_refresh_parts(struct node *node, unsigned parts,
	void (*done)(void *arg, const struct err *err), void *arg)
{
	struct err err = ERR_INIT;

	if (is_askable(node, &err))
		parts_refresh(node->live, parts, false, done, arg);
	else
		live_later(node->cluster->live, done, arg, &err);
}
