/* Images, networks and volumes of a node: three lists, each asked for as a whole, at most once at a
 * time and once more for those who came meanwhile. */
#include "cluster/live.h"

#include <string.h>
#include <utlist.h>

static const struct part_kind {
	unsigned bit;
	const char *path;
	int (*replace)(struct node *node, struct json_ref answer, size_t *bad, struct err *err);
} kinds[PARTS] = {
	{NODE_IMAGES, "/images/json?all=1", inventory_images_replace},
	{NODE_NETWORKS, "/networks", inventory_networks_replace},
	{NODE_VOLUMES, "/volumes", inventory_volumes_replace},
};

/* Somebody who waits for several parts. */
struct parts_request {
	unsigned outstanding;
	struct err err;
	live_done_fn *done;
	void *arg;
};

static void start(struct part *part);

static void one_done(void *arg, const struct err *err)
{
	struct parts_request *request = arg;

	if (err && request->err.code == ERR_NONE)
		request->err = *err;
	if (--request->outstanding > 0)
		return;
	if (request->done)
		request->done(request->arg, request->err.code == ERR_NONE ? NULL : &request->err);
	free(request);
}

static void part_done(void *arg, const struct reply *reply, const struct err *failed)
{
	struct part *part = arg;
	struct node_live *live = part->live;
	struct live_waiter *waiters = TAKE_PTR(part->waiters);
	struct err err = ERR_INIT;
	struct json_ref answer;
	bool is_refused;
	size_t bad = 0;

	part->call = NULL;
	is_refused = !failed && reply->status != 200;
	answer = live_reply_value(live, part->kind->path, reply, failed, &err);
	if (answer.document && part->kind->replace(live->node, answer, &bad, &err) == -1)
		err_wrap(&err, "GET %s", part->kind->path);
	if (err.code == ERR_NONE)
		inventory_part_told(live->node, part->kind->bit, part->asked_at);
	part->is_bad = err.code != ERR_NONE && !is_refused;
	if (bad > 0)
		node_log(live, "GET %s: %zu entries left out", part->kind->path, bad);
	if (is_refused)
		node_log(live, "%s", err.msg);
	if (part->is_wanted) {
		part->is_wanted = false;
		part->waiters = TAKE_PTR(part->next);
		start(part);
	}
	if (err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT)
		node_report_failure(live->node, &err);
	live_wake(&waiters, err.code == ERR_NONE ? NULL : &err);
}

static void start(struct part *part)
{
	struct node_live *live = part->live;
	char *target CLEANUP_FREE = live_target(live, part->kind->path);

	loop_timer_stop(part->debounce);
	part->asked_at = inventory_ask(&live->shared->cluster->inventory);
	part->call = live_get(
		live, target, LIVE_LIST_MAX / 2, live->shared->timing.list, part_done, part);
}

static void debounced(void *arg)
{
	struct part *part = arg;

	if (!part->call)
		start(part);
}

void parts_init(struct node_live *live)
{
	size_t i;

	for (i = 0; i < PARTS; i++) {
		live->parts[i].live = live;
		live->parts[i].kind = &kinds[i];
		live->parts[i].debounce =
			loop_timer_new(live->shared->loop, debounced, &live->parts[i]);
	}
}

void parts_cancel(struct node_live *live, const struct err *err)
{
	struct live_waiter *waiters = NULL;
	size_t i;

	for (i = 0; i < PARTS; i++) {
		struct part *part = &live->parts[i];

		if (part->call)
			call_cancel(TAKE_PTR(part->call));
		loop_timer_stop(part->debounce);
		part->is_wanted = false;
		LL_CONCAT(waiters, part->waiters);
		LL_CONCAT(waiters, part->next);
		part->waiters = part->next = NULL;
	}
	live_wake(&waiters, err);
}

void parts_free(struct node_live *live)
{
	size_t i;

	for (i = 0; i < PARTS; i++)
		loop_timer_free(live->parts[i].debounce);
}

bool parts_are_broken(const struct node_live *live)
{
	size_t i;

	for (i = 0; i < PARTS; i++)
		if (live->parts[i].is_bad)
			return true;
	return false;
}

void parts_refresh(
	struct node_live *live, unsigned parts, bool is_debounced, live_done_fn *done, void *arg)
{
	struct parts_request *request = xcalloc(1, sizeof(*request));
	size_t i;

	request->done = done;
	request->arg = arg;
	for (i = 0; i < PARTS; i++) {
		struct part *part = &live->parts[i];

		if (!(parts & part->kind->bit))
			continue;
		request->outstanding++;
		if (part->call) {
			part->is_wanted = true;
			live_wait(&part->next, one_done, request);
			continue;
		}
		live_wait(&part->waiters, one_done, request);
		if (!is_debounced)
			start(part);
		else if (!loop_timer_is_active(part->debounce))
			loop_timer_start(part->debounce, live->shared->timing.debounce);
	}
	if (request->outstanding == 0) { /* nothing was asked for */
		free(request);
		live_later(live->shared, done, arg, NULL);
	}
}
