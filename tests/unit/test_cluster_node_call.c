/* node_call, through all orders of what can happen to a call, on a client and a node that the test
 * plays. Whatever the order: its owner is told once, or not at all after it has cancelled, and
 * nothing is left of the call, the waiter, and the hold on the node. */
#include "cluster/node_call.h"

#include "cluster/live.h"
#include "tests/unit/cmocka_all.h"

#include <string.h>

/* ---- The client and the node that are played ---- */

struct call {
	const struct call_ops *ops; /* NULL: collected */
	call_collect_fn *collected;
	void *arg;
	bool was_sent;
};

struct raw_call {
	const struct raw_ops *ops;
	void *arg;
};

struct node_waiter {
	void (*fn)(void *arg);
	void *arg;
	bool is_called;
};

static struct {
	struct call call;
	struct raw_call raw;
	bool has_call, has_raw; /* under way */
	bool is_call_dead;      /* its done is running */
	struct node_waiter *waiter;
	live_done_fn *late;
	void *late_arg;
	bool is_removed;
	unsigned refs, failures, resumes, uploads, upload_ends;
} world;

static struct cluster cluster;
static struct node node = {.cluster = &cluster};

struct call *call_start(struct endpoint *endpoint, const struct call_request *request,
	const struct call_ops *ops, void *arg)
{
	assert_non_null(endpoint);
	assert_non_null(request);
	world.call = (struct call){.ops = ops, .arg = arg};
	world.has_call = true;
	return &world.call;
}

struct call *call_collect(struct endpoint *endpoint, const struct call_request *request, size_t max,
	call_collect_fn *done, void *arg)
{
	assert_non_null(endpoint);
	assert_non_null(request);
	assert_int_equal(max, 100);
	world.call = (struct call){.collected = done, .arg = arg};
	world.has_call = true;
	return &world.call;
}

void call_cancel(struct call *call)
{
	assert_ptr_equal(call, &world.call);
	assert_true(world.has_call);
	world.has_call = false;
}

bool call_was_sent(const struct call *call)
{
	assert_true(world.has_call || world.is_call_dead);
	return call->was_sent;
}

void call_resume(struct call *call)
{
	(void)call;
	assert_true(world.has_call);
	world.resumes++;
}

bool call_upload(struct call *call, const void *data, size_t len)
{
	(void)call;
	(void)data;
	(void)len;
	assert_true(world.has_call);
	world.uploads++;
	return false;
}

void call_upload_end(struct call *call)
{
	(void)call;
	assert_true(world.has_call);
	world.upload_ends++;
}

struct raw_call *raw_call_start(struct endpoint *endpoint, const struct call_request *request,
	const char *upgrade_token, const struct raw_ops *ops, void *arg)
{
	assert_non_null(endpoint);
	assert_non_null(request);
	assert_string_equal(upgrade_token, "tcp");
	world.raw = (struct raw_call){.ops = ops, .arg = arg};
	world.has_raw = true;
	return &world.raw;
}

void raw_call_cancel(struct raw_call *call)
{
	if (call == NULL)
		return;
	assert_true(world.has_raw);
	world.has_raw = false;
}

struct node_waiter *node_on_down(struct node *n, void (*fn)(void *arg), void *arg)
{
	assert_ptr_equal(n, &node);
	assert_null(world.waiter);
	world.waiter = xcalloc(1, sizeof(*world.waiter));
	world.waiter->fn = fn;
	world.waiter->arg = arg;
	return world.waiter;
}

void node_waiter_free(struct node_waiter *waiter)
{
	if (waiter == NULL)
		return;
	assert_ptr_equal(waiter, world.waiter);
	world.waiter = NULL;
	free(waiter);
}

void node_ref(struct node *n)
{
	assert_ptr_equal(n, &node);
	world.refs++;
}

void node_unref(struct node *n)
{
	assert_ptr_equal(n, &node);
	assert_true(world.refs > 0);
	world.refs--;
}

struct endpoint *node_endpoint(const struct node *n)
{
	return world.is_removed ? NULL : (struct endpoint *)(uintptr_t)n;
}

const struct node_view *node_view(const struct node *n)
{
	static const struct node_view view = {.name = "n1", .addr = "10.0.0.1:2375"};

	(void)n;
	return &view;
}

const char *node_error(const struct node *n)
{
	(void)n;
	return world.is_removed ? "" : "no answer";
}

void node_report_failure(struct node *n, const struct err *err)
{
	assert_ptr_equal(n, &node);
	assert_non_null(err);
	assert_true(world.refs > 0);
	world.failures++;
}

void live_later(struct cluster_live *shared, live_done_fn *done, void *arg, const struct err *err)
{
	(void)shared;
	assert_null(err);
	world.late = done;
	world.late_arg = arg;
}

/* ---- The owner ---- */

enum mode {
	STREAMED,
	COLLECTED,
	RAW,
	MODES,
};

/* What the owner does in a callback that is not the last. */
enum reaction {
	NOTHING,
	CANCELS,
	CANCELS_TWICE,
	REACTIONS,
};

struct owner {
	struct node_call call;
	bool *is_told, *is_gone;
	struct node_failure *failure;
	struct err *cause;
	enum reaction reaction;
};

/* The last callback may free the call; this one does. */
static void owner_told(struct owner *owner, const struct node_failure *failure)
{
	assert_false(*owner->is_told);
	assert_false(*owner->is_gone);
	/* The node can still be looked at. */
	assert_true(world.refs > 0);
	assert_false(node_call_is_active(&owner->call));
	*owner->is_told = true;
	if (failure != NULL) {
		*owner->failure = *failure;
		*owner->cause = *failure->cause;
	}
	memset(owner, 0x55, sizeof(*owner));
	free(owner);
}

static void react(struct owner *owner)
{
	assert_false(*owner->is_told);
	assert_false(*owner->is_gone);
	if (owner->reaction == NOTHING)
		return;
	node_call_cancel(&owner->call);
	if (owner->reaction == CANCELS_TWICE)
		node_call_cancel(&owner->call);
	*owner->is_gone = true;
}

static void owner_head(int status, const struct http_headers *headers, void *arg)
{
	(void)headers;
	assert_int_equal(status, 200);
	react(arg);
}

static bool owner_body(const char *data, size_t len, void *arg)
{
	assert_memory_equal(data, "piece", len);
	react(arg);
	return false;
}

static void owner_drain(void *arg)
{
	react(arg);
}

static void owner_done(const struct node_failure *failure, void *arg)
{
	owner_told(arg, failure);
}

static void owner_collected(
	const struct reply *reply, const struct node_failure *failure, void *arg)
{
	assert_true((reply == NULL) == (failure != NULL));
	owner_told(arg, failure);
}

static void owner_upgraded(
	int status, const struct http_headers *headers, struct stream *stream_take, void *arg)
{
	(void)headers;
	assert_int_equal(status, 101);
	assert_null(stream_take);
	react(arg);
}

static void owner_down(void *arg)
{
	owner_told(arg, NULL);
}

static const struct node_call_ops owner_ops = {
	.head = owner_head,
	.body = owner_body,
	.upload_drain = owner_drain,
	.done = owner_done,
};

static const struct node_raw_ops owner_raw_ops = {
	.upgraded = owner_upgraded,
	.down = owner_down,
	.refused = owner_collected,
};

/* ---- What happens ---- */

enum happening {
	SENT,
	HEAD, /* or the upgrade */
	BODY,
	DRAIN,
	ANSWER,
	TIME_OUT,
	REFUSED_DIAL,
	NODE_DOWN,
	NODE_REMOVED,
	CANCEL,
	CANCEL_TWICE,
	USE, /* the owner resumes it and uploads */
	EVENTS,
};

struct run {
	struct owner *owner;
	enum mode mode;
	bool is_told, is_gone, has_head, was_sent, is_upgraded;
	struct node_failure failure;
	struct err cause;
};

static bool is_over(const struct run *run)
{
	return run->is_told || run->is_gone;
}

static void run_begin(struct run *run, enum mode mode, enum reaction reaction, bool is_removed)
{
	const struct call_request request = {.method = "GET", .target = "/"};

	memset(&world, 0, sizeof(world));
	memset(run, 0, sizeof(*run));
	world.is_removed = is_removed;
	run->mode = mode;
	run->owner = xcalloc(1, sizeof(*run->owner));
	run->owner->is_told = &run->is_told;
	run->owner->is_gone = &run->is_gone;
	run->owner->failure = &run->failure;
	run->owner->cause = &run->cause;
	run->owner->reaction = reaction;
	if (mode == STREAMED)
		node_call_start(&run->owner->call, &node, &request, &owner_ops, run->owner);
	else if (mode == COLLECTED)
		node_call_collect(
			&run->owner->call, &node, &request, 100, owner_collected, run->owner);
	else
		node_call_raw(
			&run->owner->call, &node, &request, "tcp", &owner_raw_ops, run->owner);
	assert_false(is_over(run));
	assert_true(node_call_is_active(&run->owner->call));
}

/* The client ends the call, as call_finish does: it is dead to all but call_was_sent. */
static void end_call(const struct err *err)
{
	const struct reply reply = {.status = 200, .body = "", .headers = NULL};

	if (world.has_raw) {
		world.has_raw = false;
		world.raw.ops->refused(&world.raw, err ? NULL : &reply, err, world.raw.arg);
		return;
	}
	if (!world.has_call)
		return;
	world.has_call = false;
	world.is_call_dead = true;
	if (world.call.ops)
		world.call.ops->done(&world.call, err, world.call.arg);
	else
		world.call.collected(world.call.arg, err ? NULL : &reply, err);
	world.is_call_dead = false;
}

static void end_badly(enum err_code code)
{
	struct err err = ERR_INIT;

	err_set(&err, code, "trouble");
	end_call(&err);
}

static void take_head(struct run *run)
{
	if (world.has_raw) {
		world.has_raw = false;
		run->is_upgraded = true;
		world.raw.ops->upgraded(&world.raw, 101, NULL, NULL, world.raw.arg);
	} else if (world.has_call && world.call.ops && !run->has_head) {
		run->has_head = world.call.was_sent = run->was_sent = true;
		world.call.ops->head(&world.call, 200, NULL, world.call.arg);
	}
}

static void go_down(bool is_removed)
{
	struct node_waiter *waiter = world.waiter;

	world.is_removed |= is_removed;
	if (waiter == NULL || waiter->is_called)
		return;
	waiter->is_called = true;
	waiter->fn(waiter->arg);
}

static void cancel(struct run *run, bool twice)
{
	if (run->is_told)
		return;
	node_call_cancel(&run->owner->call);
	if (twice)
		node_call_cancel(&run->owner->call);
	run->is_gone = true;
}

static void use(struct run *run)
{
	if (run->is_told)
		return;
	node_call_resume(&run->owner->call);
	(void)node_call_upload(&run->owner->call, "x", 1);
	node_call_upload_end(&run->owner->call);
}

static void happen(struct run *run, enum happening event)
{
	switch (event) {
	case SENT:
		if (world.has_call)
			world.call.was_sent = run->was_sent = true;
		break;
	case HEAD:
		take_head(run);
		break;
	case BODY:
		if (world.has_call && world.call.ops && run->has_head)
			assert_false(world.call.ops->body(&world.call, "piece", 5, world.call.arg));
		break;
	case DRAIN:
		if (world.has_call && world.call.ops)
			world.call.ops->upload_drain(&world.call, world.call.arg);
		break;
	case ANSWER:
		end_call(NULL);
		break;
	case TIME_OUT:
		end_badly(ERR_TIMEOUT);
		break;
	case REFUSED_DIAL:
		end_badly(ERR_UNAVAILABLE);
		break;
	case NODE_DOWN:
	case NODE_REMOVED:
		go_down(event == NODE_REMOVED);
		break;
	case CANCEL:
	case CANCEL_TWICE:
		cancel(run, event == CANCEL_TWICE);
		break;
	case USE:
		use(run);
		break;
	case EVENTS:
		break;
	}
}

/* Nothing is left of a call that is over; one that is not is whole. */
static void check(const struct run *run)
{
	assert_false(run->is_told && run->is_gone);
	assert_int_equal(world.refs, is_over(run) ? 0 : 1);
	if (is_over(run)) {
		assert_null(world.waiter);
		assert_false(world.has_call);
		assert_false(world.has_raw);
	}
}

static void run_end(struct run *run)
{
	if (!is_over(run))
		cancel(run, false);
	check(run);
	/* Told to nobody. */
	if (world.late != NULL)
		world.late(world.late_arg, NULL);
	if (!run->is_told)
		free(run->owner);
}

static void play(enum mode mode, enum reaction reaction, const enum happening *events, size_t len)
{
	struct run run;

	run_begin(&run, mode, reaction, false);
	for (size_t i = 0; i < len; i++) {
		happen(&run, events[i]);
		check(&run);
	}
	run_end(&run);
}

/* ---- Tests ---- */

enum { LEN = 4 };

static void test_all_orders(void **state)
{
	unsigned orders = 1;

	(void)state;
	for (int i = 0; i < LEN; i++)
		orders *= EVENTS;
	for (unsigned order = 0; order < orders; order++) {
		enum happening events[LEN];

		for (unsigned i = 0, rest = order; i < LEN; i++, rest /= EVENTS)
			events[i] = (enum happening)(rest % EVENTS);
		for (unsigned mode = 0; mode < MODES; mode++) {
			for (unsigned reaction = 0; reaction < REACTIONS; reaction++)
				play((enum mode)mode, (enum reaction)reaction, events, LEN);
		}
	}
}

/* Also of a node that had gone when the call began: done is due, and comes once, if nobody cancels
 * before. */
static void test_removed_before(void **state)
{
	(void)state;
	for (unsigned mode = 0; mode < MODES; mode++) {
		for (unsigned event = 0; event < EVENTS; event++) {
			struct run run;

			run_begin(&run, (enum mode)mode, NOTHING, true);
			assert_null(world.waiter);
			happen(&run, (enum happening)event);
			check(&run);
			assert_false(run.is_told);
			world.late(world.late_arg, NULL);
			world.late = NULL;
			check(&run);
			assert_true(is_over(&run));
			if (run.is_told)
				assert_false(run.failure.was_sent);
			run_end(&run);
		}
	}
}

struct expectation {
	enum mode mode;
	enum happening events[LEN];
	size_t len;
	enum err_code code; /* ERR_NONE = told of success, or of a stream's end */
	const char *msg;
	bool was_sent;
	unsigned failures; /* told to the node */
};

#define WHERE "node n1 (10.0.0.1:2375): "

static const struct expectation expectations[] = {
	{STREAMED, {SENT, HEAD, BODY, ANSWER}, 4, ERR_NONE, "", false, 0},
	{COLLECTED, {SENT, ANSWER}, 2, ERR_NONE, "", false, 0},
	{RAW, {ANSWER}, 1, ERR_NONE, "", false, 0},
	{RAW, {HEAD, NODE_DOWN}, 2, ERR_NONE, "", false, 0},
	{STREAMED, {TIME_OUT}, 1, ERR_TIMEOUT, WHERE "trouble", false, 1},
	{COLLECTED, {SENT, TIME_OUT}, 2, ERR_TIMEOUT, WHERE "trouble", true, 1},
	{COLLECTED, {REFUSED_DIAL}, 1, ERR_UPSTREAM,
		"Cannot connect to the Docker daemon at tcp://10.0.0.1:2375. Is the docker daemon "
		"running? (node n1: trouble)",
		false, 1},
	{RAW, {TIME_OUT}, 1, ERR_TIMEOUT, WHERE "trouble", true, 1},
	{COLLECTED, {NODE_DOWN}, 1, ERR_TIMEOUT,
		WHERE "the node went down before it answered: no answer", false, 0},
	{COLLECTED, {SENT, NODE_DOWN}, 2, ERR_TIMEOUT,
		WHERE "the node went down before it answered: no answer", true, 0},
	{STREAMED, {SENT, HEAD, NODE_DOWN}, 3, ERR_TIMEOUT, WHERE "the node went down: no answer",
		true, 0},
	{STREAMED, {SENT, HEAD, NODE_REMOVED}, 3, ERR_TIMEOUT,
		WHERE "the node was removed from the cluster", true, 0},
	{RAW, {NODE_REMOVED}, 1, ERR_TIMEOUT,
		WHERE "the node was removed from the cluster before it answered", true, 0},
};

static void test_what_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
		const struct expectation *e = &expectations[i];
		struct run run;

		run_begin(&run, e->mode, NOTHING, false);
		for (size_t k = 0; k < e->len; k++)
			happen(&run, e->events[k]);
		assert_true(run.is_told);
		assert_int_equal(run.failure.err.code, e->code);
		assert_string_equal(run.failure.err.msg, e->msg);
		assert_int_equal(run.failure.was_sent, e->was_sent);
		assert_int_equal(world.failures, e->failures);
		run_end(&run);
	}
}

static void test_use(void **state)
{
	const enum happening use[] = {USE, SENT, HEAD, USE};

	(void)state;
	play(STREAMED, NOTHING, use, 4);
	assert_int_equal(world.resumes, 2);
	assert_int_equal(world.uploads, 2);
	assert_int_equal(world.upload_ends, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_orders),
		cmocka_unit_test(test_removed_before),
		cmocka_unit_test(test_what_is_told),
		cmocka_unit_test(test_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
