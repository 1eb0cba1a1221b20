/* Images, networks and volumes of a node: three lists, each asked for as a whole, at most once at a
 * time and once more for those who came meanwhile. */
#include "cluster/live.h"

#include "lib/json.h"

#include <string.h>
#include <utlist.h>

enum { ERROR_TEXT_MAX = 4096 };

static const struct part_kind {
	unsigned bit;
	const char *path;
	const char *before; /* the array, without blanks */
	int (*replace)(struct node *node, struct json_ref answer, size_t *bad, struct err *err);
} kinds[PARTS] = {
	{NODE_IMAGES, "/images/json?all=1", "", inventory_images_replace},
	{NODE_NETWORKS, "/networks", "", inventory_networks_replace},
	{NODE_VOLUMES, "/volumes", "{\"Volumes\":", inventory_volumes_replace},
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

/* ---- One answer: cut up as it comes, so that an entry that is odd or too large costs itself ----
 */

static void keep_entry(struct part *part, const char *text, size_t len)
{
	buf_append_char(&part->text, part->text.len == 0 ? '[' : ',');
	buf_append(&part->text, text, len);
}

static bool one_entry(const char *text, size_t len, void *arg)
{
	struct part *part = arg;
	size_t values = json_values_bound(text, len);

	if (part->text.len + len + 2 > LIVE_PART_MAX || part->values + values > LIVE_LIST_VALUES) {
		part->left_out++;
		return true;
	}
	part->values += values;
	keep_entry(part, text, len);
	return true;
}

/* Passes over what stands in front of the array; the number of bytes. -1: something else does. */
static int pass_before(struct part *part, const char *data, size_t len, size_t *passed)
{
	const char *before = part->kind->before;

	for (*passed = 0; *passed < len && before[part->matched]; ++*passed) {
		char c = data[*passed];

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c != before[part->matched])
			return -1;
		part->matched++;
	}
	return 0;
}

static void part_failed(struct part *part, const struct err *err);

static void part_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct part *part = arg;

	(void)call, (void)headers;
	part->status = status;
}

static bool part_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct part *part = arg;
	struct err err = ERR_INIT;
	size_t passed;

	(void)call;
	if (part->status != 200) {
		if (part->split.text.len + len <= ERROR_TEXT_MAX)
			buf_append(&part->split.text, data, len);
		return true;
	}
	if (pass_before(part, data, len, &passed) == -1)
		err_set(&err, ERR_UPSTREAM, "GET %s: the answer is not a list", part->kind->path);
	else if (json_split_feed(
			 &part->split, data + passed, len - passed, one_entry, part, &err) == -1)
		err_wrap(&err, "GET %s", part->kind->path);
	if (err.code == ERR_NONE)
		return true;
	call_cancel(TAKE_PTR(part->call));
	part_failed(part, &err);
	return true;
}

/* Those who wait are told, and the next question is asked. */
static void part_over(struct part *part, const struct err *err)
{
	struct node_live *live = part->live;
	struct live_waiter *waiters = TAKE_PTR(part->waiters);

	json_split_reset(&part->split);
	buf_reset(&part->text);
	if (part->is_wanted) {
		part->is_wanted = false;
		part->waiters = TAKE_PTR(part->next);
		start(part);
	}
	if (err && (err->code == ERR_UNAVAILABLE || err->code == ERR_TIMEOUT))
		node_report_failure(live->node, err);
	live_wake(&waiters, err);
}

static void part_failed(struct part *part, const struct err *err)
{
	part->is_bad = true;
	part_over(part, err);
}

static bool keep_if_json(const char *text, size_t len, void *arg)
{
	struct part *part = arg;

	if (json_read(part->live->shared->reader, text, len, NULL).document)
		keep_entry(part, text, len);
	else
		part->left_out++;
	return true;
}

/* One of the entries is not JSON. */
static void drop_what_is_none(struct part *part)
{
	struct json_split split;
	char *all CLEANUP_FREE = NULL;
	size_t len = part->text.len;

	all = buf_take(&part->text);
	json_split_init(&split, LIVE_ENTRY_MAX, true);
	(void)!json_split_feed(&split, all, len, keep_if_json, part, NULL);
	json_split_reset(&split);
	buf_append_str(&part->text, part->text.len == 0 ? "[]" : "]");
}

static int apply(struct part *part, struct err *err)
{
	struct node_live *live = part->live;
	struct json_ref answer;
	size_t bad = 0;

	buf_append_str(&part->text, part->text.len == 0 ? "[]" : "]");
	answer = json_read(live->shared->reader, part->text.data, part->text.len, NULL);
	if (!answer.document) {
		drop_what_is_none(part);
		answer = json_read(live->shared->reader, part->text.data, part->text.len, err);
	}
	if (!answer.document || part->kind->replace(live->node, answer, &bad, err) == -1)
		return err_wrap(err, "GET %s", part->kind->path);
	inventory_part_told(live->node, part->kind->bit, part->asked_at);
	bad += part->left_out;
	if (bad > 0 && bad != part->left_out_logged)
		node_log(live, "GET %s: %zu entries left out", part->kind->path, bad);
	part->left_out_logged = bad;
	return 0;
}

static void part_done(struct call *call, const struct err *failed, void *arg)
{
	struct part *part = arg;
	struct err err = ERR_INIT;
	const struct reply reply = {
		.status = part->status,
		.body = buf_str(&part->split.text),
		.body_len = part->split.text.len,
	};

	(void)call;
	part->call = NULL;
	if (live_reply_check(part->kind->path, &reply, failed, &err) == 0) {
		if (!json_split_is_complete(&part->split))
			err_set(&err, ERR_UPSTREAM, "GET %s: the answer breaks off",
				part->kind->path);
		else
			(void)!apply(part, &err);
	}
	part->is_bad = err.code != ERR_NONE && (failed || part->status == 200);
	if (err.code != ERR_NONE && !part->is_bad)
		node_log(part->live, "%s", err.msg);
	part_over(part, err.code == ERR_NONE ? NULL : &err);
}

static void start(struct part *part)
{
	static const struct call_ops ops = {
		.head = part_head,
		.body = part_body,
		.done = part_done,
	};
	struct node_live *live = part->live;
	const struct live_timing *t = &live->shared->timing;
	char *target CLEANUP_FREE = live_target(live, part->kind->path);
	const struct call_request request = {
		.method = "GET",
		.target = target,
		.connect_timeout_ms = t->connect,
		.head_timeout_ms = t->list,
		.idle_timeout_ms = t->idle,
		.total_timeout_ms = t->list,
	};

	loop_timer_stop(part->debounce);
	json_split_init(&part->split, LIVE_ENTRY_MAX, true);
	part->split.shortens = true;
	part->split.ends_early = part->kind->before[0] != '\0';
	buf_init(&part->text, LIVE_PART_MAX);
	part->status = 0;
	part->matched = part->values = part->left_out = 0;
	part->asked_at = inventory_ask(&live->shared->cluster->inventory);
	part->call = call_start(live->endpoint, &request, &ops, part);
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
		json_split_reset(&part->split);
		buf_reset(&part->text);
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
