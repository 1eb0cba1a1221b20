/* Containers asked for one by one: at most one question about a container is under way, and one
 * more waits behind it for those who came meanwhile. What is asked last is answered last, so the
 * record can only get newer. */
#include "cluster/live.h"
#include "lib/json_read.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

struct fetch {
	struct node_live *live;
	char id[65];
	bool is_urgent; /* asked over connections of its own, with no others to wait for */
	bool is_active;
	bool is_again;            /* once more when this one is done */
	bool was_missing;         /* the list did not have it yet */
	bool is_entry_given;      /* by a whole list; else it is to be asked for */
	bool is_short;            /* the entry is not whole */
	struct json_split *split; /* of a list that is too large to be collected; NULL = none */
	int split_status;
	struct buf entry; /* the answers */
	struct buf inspect;
	char *missing;   /* why the container is known in part alone; NULL = it is not */
	bool is_gone;    /* 404 */
	struct err *err; /* NULL = none: thousands of these wait while a fleet is read */
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

static void drop_entry(struct fetch *fetch)
{
	if (fetch->is_entry_given)
		fetch->live->entries_bytes -= fetch->entry.len;
	buf_reset(&fetch->entry);
	fetch->is_entry_given = fetch->is_short = false;
}

static void drop_split(struct fetch *fetch)
{
	if (fetch->split)
		json_split_reset(fetch->split);
	free(TAKE_PTR(fetch->split));
}

static void clear_answers(struct fetch *fetch)
{
	drop_entry(fetch);
	drop_split(fetch);
	buf_reset(&fetch->inspect);
	free(TAKE_PTR(fetch->missing));
	fetch->is_gone = false;
	free(TAKE_PTR(fetch->err));
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

/* The number of connections. */
static unsigned lines(const struct node_live *live)
{
	return live->shared->turns[TURN_SYNC].waiting ? 1 : LIVE_LINES_MAX;
}

/* Of questions under way. */
static unsigned most(const struct node_live *live)
{
	return lines(live) * (live->takes_lines ? LIVE_LINE_LEN : 1);
}

static void pump(struct node_live *live)
{
	while (live->queue && live->fetching < most(live))
		start(live->queue);
}

/* After an answer: more is asked when half of what there may be is answered, so that several go out
 * together. */
static void refill(struct node_live *live)
{
	if (live->fetching <= most(live) / 2)
		pump(live);
}

/* What makes a record, of what the engine told: as much as possible. */
static struct container *make(struct fetch *fetch, const char *inspect, size_t len, struct err *err)
{
	char stub[80];
	const size_t stub_len = (size_t)snprintf(stub, sizeof(stub), "{\"Id\":\"%s\"}", fetch->id);
	const struct engine_text texts[] = {
		{fetch->entry.data, fetch->entry.len, inspect, len},
		{fetch->entry.data, fetch->entry.len, NULL, 0},
		{stub, stub_len, inspect, len},
		{stub, stub_len, NULL, 0},
	};
	struct container *container = container_from_engine(fetch->live->node, &texts[0], err);

	for (size_t i = 1; !container && i < ARRAY_LEN(texts); i++)
		container = container_from_engine(fetch->live->node, &texts[i], NULL);
	return container;
}

/* The inventory as the two answers tell. */
static int apply(struct fetch *fetch, const char *inspect, size_t len, struct err *err)
{
	struct err why = ERR_INIT;
	struct container *container;

	if (fetch->is_gone) {
		inventory_container_remove(fetch->live->node, fetch->id);
		return 0;
	}
	if (fetch->err) {
		*err = *fetch->err;
		return -1;
	}
	if (fetch->entry.len == 0)
		return err_set(err, ERR_UPSTREAM, "container %.12s: the engine does not list it",
			fetch->id);
	container = make(fetch, inspect, len, &why);
	if (why.code == ERR_NONE && fetch->missing)
		err_set(&why, ERR_UPSTREAM, "%s", fetch->missing);
	if (why.code == ERR_NONE && fetch->is_short)
		err_set(&why, ERR_TOO_LARGE, "its list entry is larger than %d bytes",
			LIVE_ENTRY_MAX);
	if (why.code != ERR_NONE && inventory_container_mark_partial(container))
		node_log(fetch->live, "container %.12s is known in part: %s", fetch->id, why.msg);
	inventory_container_put(container);
	return 0;
}

/* When both answers are here; what inspecting told is in `inspect`. */
static void finish(struct fetch *fetch, const char *inspect, size_t len)
{
	struct node_live *live = fetch->live;
	struct live_waiter *waiters;
	struct err err = ERR_INIT;
	bool is_early;

	if (fetch->list_call || fetch->inspect_call)
		return;
	/* Created between the two answers: the next list has it. */
	is_early = fetch->entry.len == 0 && !fetch->is_gone && !fetch->err && !fetch->was_missing;
	if (is_early) {
		fetch->was_missing = true;
		clear_answers(fetch);
		start(fetch);
		return;
	}
	(void)!apply(fetch, inspect, len, &err);
	waiters = TAKE_PTR(fetch->waiters);
	clear_answers(fetch);
	if (fetch->is_again) {
		fetch->is_again = fetch->was_missing = false;
		fetch->waiters = TAKE_PTR(fetch->next_waiters);
		start(fetch);
	} else {
		fetch_free(fetch);
		refill(live);
	}
	if (err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT)
		node_report_failure(live->node, &err);
	live_wake(&waiters, err.code == ERR_NONE ? NULL : &err);
}

static void set_error(struct fetch *fetch, const struct err *err)
{
	if (fetch->err)
		return;
	fetch->err = xmalloc(sizeof(*fetch->err));
	*fetch->err = *err;
}

/* What the list tells is better than nothing. */
static void inspect_missing(struct fetch *fetch, const char *why)
{
	free(fetch->missing);
	fetch->missing = xstrdup(why);
}

static void inspect_failed(struct fetch *fetch, const struct reply *reply, const struct err *failed)
{
	struct err err = ERR_INIT;
	char path[100];

	if (!failed && reply->status == 404) {
		fetch->is_gone = true;
		return;
	}
	snprintf(path, sizeof(path), "/containers/%s/json", fetch->id);
	(void)!live_reply_check(path, reply, failed, &err);
	if (!failed || failed->code == ERR_TOO_LARGE)
		inspect_missing(fetch, err.msg);
	else
		set_error(fetch, &err);
}

static void inspect_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct fetch *fetch = arg;

	fetch->inspect_call = NULL;
	if (failed || reply->status != 200) {
		inspect_failed(fetch, reply, failed);
	} else if (reply->body_len == 0) {
		/* No text at all means that the engine could not give one. */
		inspect_missing(fetch, "its inspection is empty");
	} else if (!fetch->list_call) {
		finish(fetch, reply->body, reply->body_len);
		return;
	} else {
		buf_append(&fetch->inspect, reply->body, reply->body_len);
	}
	finish(fetch, NULL, 0);
}

/* Takes the entry of this container; the filter of the engine takes prefixes. */
static void take_entry(struct fetch *fetch, struct json_ref list)
{
	for (struct json_walk w = json_walk(list); json_walk_next(&w);) {
		if (strcmp(json_ref_str(w.value, "Id", ""), fetch->id) == 0) {
			json_ref_print(w.value, &fetch->entry);
			return;
		}
	}
}

static void list_path(const struct fetch *fetch, char *path, size_t size)
{
	snprintf(path, size,
		"/v%s/containers/json?all=1&filters=%%7B%%22id%%22%%3A%%5B%%22%s%%22%%5D%%7D",
		fetch->live->api, fetch->id);
}

/* ---- A list that is too large to be collected ---- */

static void split_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct fetch *fetch = arg;

	(void)call, (void)headers;
	fetch->split_status = status;
}

static bool split_entry(const char *text, size_t len, void *arg)
{
	struct fetch *fetch = arg;
	struct json_ref entry =
		json_read(fetch->live->shared->cluster->inventory.entry_reader, text, len, NULL);

	if (strcmp(json_ref_str(entry, "Id", ""), fetch->id) != 0)
		return true;
	buf_empty(&fetch->entry);
	buf_append(&fetch->entry, text, len);
	fetch->is_short = fetch->split->is_short;
	return true;
}

static bool split_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct fetch *fetch = arg;
	struct err err = ERR_INIT;

	(void)call;
	if (!fetch->err && fetch->split_status == 200 &&
		json_split_feed(fetch->split, data, len, split_entry, fetch, &err) == -1)
		set_error(fetch, &err);
	return true;
}

static void split_done(struct call *call, const struct err *failed, void *arg)
{
	struct fetch *fetch = arg;
	struct err err = ERR_INIT;
	const struct reply reply = {.status = fetch->split_status, .body = ""};

	(void)call;
	fetch->list_call = NULL;
	if (live_reply_check("/containers/json", &reply, failed, &err) != 0)
		set_error(fetch, &err);
	drop_split(fetch);
	finish(fetch, fetch->inspect.data, fetch->inspect.len);
}

static void ask_split(struct fetch *fetch)
{
	static const struct call_ops ops = {
		.head = split_head,
		.body = split_body,
		.done = split_done,
	};
	const struct live_timing *t = &fetch->live->shared->timing;
	char path[200];
	struct call_request request = {
		.method = "GET",
		.target = path,
		.connect_timeout_ms = t->connect,
		.head_timeout_ms = t->inspect,
		.idle_timeout_ms = t->idle,
		.total_timeout_ms = t->inspect,
	};

	list_path(fetch, path, sizeof(path));
	fetch->split = xcalloc(1, sizeof(*fetch->split));
	json_split_init(fetch->split, LIVE_ENTRY_MAX, true);
	fetch->split->shortens = true;
	fetch->split_status = 0;
	fetch->list_call = call_start(fetch->live->endpoint, &request, &ops, fetch);
}

static void list_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct fetch *fetch = arg;
	struct err err = ERR_INIT, why = ERR_INIT;
	struct json_ref list;

	fetch->list_call = NULL;
	if (failed && failed->code == ERR_TOO_LARGE) {
		ask_split(fetch);
		return;
	}
	if (live_reply_check("/containers/json", reply, failed, &err) != 0) {
		set_error(fetch, &err);
		finish(fetch, NULL, 0);
		return;
	}
	list = json_read(fetch->live->shared->cluster->inventory.entry_reader, reply->body,
		reply->body_len, &why);
	if (json_ref_kind(list) == JSON_KIND_ARRAY) {
		take_entry(fetch, list);
	} else {
		err_set(&err, ERR_UPSTREAM, "GET /containers/json: %s",
			list.document ? "not a list" : why.msg);
		set_error(fetch, &err);
	}
	finish(fetch, fetch->inspect.data, fetch->inspect.len);
}

static void start(struct fetch *fetch)
{
	struct node_live *live = fetch->live;
	unsigned total = live->shared->timing.inspect;
	unsigned most_lines = !fetch->is_urgent && live->takes_lines ? lines(live) : 0;
	char path[200];

	if (!fetch->is_active) {
		DL_DELETE(live->queue, fetch);
		fetch->is_active = true;
		live->fetching++;
	}
	if (!fetch->is_entry_given) {
		list_path(fetch, path, sizeof(path));
		fetch->list_call = live_get_in_line(
			live, path, LIVE_ENTRY_MAX, total, most_lines, list_done, fetch);
	}
	snprintf(path, sizeof(path), "/v%s/containers/%s/json", live->api, fetch->id);
	fetch->inspect_call = live_get_in_line(
		live, path, LIVE_OBJECT_MAX, total, most_lines, inspect_done, fetch);
}

/* ---- Asking ---- */

static struct fetch *fetch_new(struct node_live *live, const char *id)
{
	struct fetch *fetch = xcalloc(1, sizeof(*fetch));

	fetch->live = live;
	snprintf(fetch->id, sizeof(fetch->id), "%s", id);
	buf_init(&fetch->entry, LIVE_OBJECT_MAX);
	buf_init(&fetch->inspect, LIVE_OBJECT_MAX);
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
	if (!fetch)
		fetch = fetch_new(live, id);
	fetch->is_urgent |= at_once;
	if (fetch->is_active) {
		fetch->is_again = true;
		live_wait(&fetch->next_waiters, done, arg);
		return;
	}
	drop_entry(fetch); /* it is older than this question */
	live_wait(&fetch->waiters, done, arg);
	if (at_once)
		start(fetch);
	else
		pump(live);
}

void fetch_container_entry(struct node_live *live, const char *id, const char *entry, size_t len,
	bool is_short, live_done_fn *done, void *arg)
{
	struct fetch *fetch;

	HASH_FIND_STR(live->fetches, id, fetch);
	if (fetch) {
		/* Whoever asked already gets an answer that is as new, or newer. */
		if (fetch->is_active)
			fetch->is_again = true;
		live_wait(fetch->is_active ? &fetch->next_waiters : &fetch->waiters, done, arg);
		return;
	}
	fetch = fetch_new(live, id);
	/* What is not kept now is asked for when it is this container's turn. */
	if (len <= LIVE_ENTRIES_MAX - live->entries_bytes) {
		buf_append(&fetch->entry, entry, len);
		fetch->is_entry_given = true;
		fetch->is_short = is_short;
		live->entries_bytes += len;
	}
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
		if (entries_only && (!fetch->is_entry_given || fetch->is_active))
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
