/* How little is asked of many engines at once: turns to connect and to be read, containers one by
 * one while others wait, those that are waited for at once, probes that get rarer. What counts is
 * which questions engines have before them, on a clock that the test moves. */
#include "cluster/live.h"
#include "lib/log.h"
#include "tests/unit/fake_engine.h"
#include "tests/unit/moved_clock.h"

#include <utlist.h>

enum {
	ENGINES_MAX = 6,
	TURN_S = 3600, /* how long one has its turn */
	MARGIN_S = 60,
};

struct world {
	struct fixture f;
	struct client *client;
	struct cluster *cluster;
	struct fake_engine *engines[ENGINES_MAX];
	bool is_node[ENGINES_MAX];
	size_t engines_len;
	size_t wanted;
};

static uint64_t now_ms(const struct env *env)
{
	(void)env;
	return env_system()->now_ms(env_system());
}

static int64_t wall_ns(const struct env *env)
{
	(void)env;
	return env_system()->wall_ns(env_system());
}

static uint32_t random_most(const struct env *env, uint32_t bound)
{
	(void)env;
	return bound - 1;
}

static const struct env env = {.now_ms = now_ms, .wall_ns = wall_ns, .random_below = random_most};

/* Every engine has so many containers, and holds what it is asked at this path. */
static void add_engines(struct world *w, size_t count, size_t containers, const char *held_path)
{
	while (count-- > 0) {
		size_t i = w->engines_len++;
		struct fake_engine *engine;
		char name[8];

		snprintf(name, sizeof(name), "n%zu", i);
		engine = w->engines[i] = fake_engine_new(w->f.loop, name, name);
		for (size_t c = 0; c < containers; c++)
			fake_engine_add(engine, "web");
		engine->fault = FAKE_HOLD;
		engine->fault_path = held_path;
		w->is_node[i] = true;
	}
}

static void discover(struct world *w)
{
	struct str_list addrs CLEANUP_STR_LIST = {0};

	for (size_t i = 0; i < w->engines_len; i++) {
		if (w->is_node[i])
			str_list_add_take(&addrs, fake_engine_addr(w->engines[i]));
	}
	cluster_set_nodes(w->cluster, &addrs);
}

static void world_start(struct world *w)
{
	const struct cluster_config config = {
		.refresh_min_ms = FOREVER, .refresh_max_ms = FOREVER, .failure_retry = 3};

	memset(w, 0, sizeof(*w));
	log_set_level(LOG_LEVEL_ERROR);
	w->f.loop = loop_new();
	w->client = client_new(w->f.loop);
	w->cluster = cluster_new(w->f.loop, &env, w->client, &config);
	w->cluster->live->timing = forever_timing;
	w->cluster->live->timing.turn[TURN_CONNECT] = TURN_S * 1000;
	w->cluster->live->timing.turn[TURN_SYNC] = TURN_S * 1000;
}

static void world_stop(struct world *w)
{
	cluster_free(w->cluster);
	client_free(w->client);
	for (size_t i = 0; i < w->engines_len; i++)
		fake_engine_free(w->engines[i]);
	loop_free(w->f.loop);
}

/* ---- What engines have before them ---- */

static size_t count_held(const struct world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->engines_len; i++)
		n += w->is_node[i] ? fake_engine_held(w->engines[i]) : 0;
	return n;
}

/* Of the nodes, one that has a question before it, or one that has none. */
static size_t find_engine(const struct world *w, bool is_holding)
{
	for (size_t i = 0; i < w->engines_len; i++) {
		if (w->is_node[i] && (fake_engine_held(w->engines[i]) > 0) == is_holding)
			return i;
	}
	fail_msg("no such engine");
	return 0;
}

static bool are_held(void *arg)
{
	const struct world *w = arg;

	return count_held(w) >= w->wanted;
}

/* So many questions come, and no more. */
static void expect_held(struct world *w, size_t count)
{
	w->wanted = count;
	wait_for(&w->f, are_held, w);
	fixture_settle(&w->f);
	assert_int_equal(count_held(w), count);
}

static void release(struct fake_engine *engine)
{
	engine->fault = FAKE_NONE;
	fake_engine_release(engine);
}

static size_t count_waiting(const struct world *w, enum turn_kind turn)
{
	const struct node_live *live;
	size_t n = 0;

	DL_COUNT(w->cluster->live->turns[turn].waiting, live, n);
	return n;
}

static bool are_healthy(void *arg)
{
	const struct world *w = arg;
	struct cluster_totals totals;

	cluster_totals(w->cluster, &totals);
	return totals.nodes_healthy == w->wanted;
}

/* All engines answer: so many nodes become healthy, and no turn is left with anybody. */
static void expect_healthy(struct world *w, size_t count)
{
	for (size_t i = 0; i < w->engines_len; i++)
		release(w->engines[i]);
	w->wanted = count;
	wait_for(&w->f, are_healthy, w);
	for (int turn = 0; turn < TURN_KINDS; turn++) {
		assert_int_equal(w->cluster->live->turns[turn].taken, 0);
		assert_int_equal(count_waiting(w, turn), 0);
	}
}

/* ---- Turns ---- */

/* Every question that belongs to a turn. */
static const struct {
	enum turn_kind turn;
	const char *path;
} questions[] = {
	{TURN_CONNECT, "/version"},
	{TURN_CONNECT, "/_ping"},
	{TURN_CONNECT, "/info"},
	{TURN_CONNECT, "/events"},
	{TURN_SYNC, "/containers/json"},
	{TURN_SYNC, "/containers/0"}, /* each ID begins so */
	{TURN_SYNC, "/images"},
	{TURN_SYNC, "/networks"},
	{TURN_SYNC, "/volumes"},
};

/* Each of the tests below, with one question after the other; max have their turn at once. */
static void for_each_question(
	size_t max, size_t engines, void (*test)(struct world *, enum turn_kind))
{
	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		struct world w;

		world_start(&w);
		w.cluster->live->turns[questions[i].turn].max = (unsigned)max;
		add_engines(&w, engines, 1, questions[i].path);
		discover(&w);
		expect_held(&w, max);
		test(&w, questions[i].turn);
		world_stop(&w);
	}
}

static void check_maximum(struct world *w, enum turn_kind turn)
{
	for (size_t left = 5; left > 0; left--) {
		expect_held(w, left < 2 ? left : 2);
		assert_int_equal(count_waiting(w, turn), left < 2 ? 0 : left - 2);
		release(w->engines[find_engine(w, true)]);
	}
	expect_healthy(w, 5);
}

static void no_more_than_the_maximum_have_their_turn(void **state)
{
	(void)state;
	for_each_question(2, 5, check_maximum);
}

static void check_slow(struct world *w, enum turn_kind turn)
{
	(void)turn;
	clock_pass(&w->f, TURN_S - MARGIN_S);
	expect_held(w, 1);
	clock_pass(&w->f, MARGIN_S);
	expect_held(w, 2);
	clock_pass(&w->f, TURN_S);
	expect_held(w, 3);
	expect_healthy(w, 3);
	/* Who was too slow has not given back what was no longer theirs. */
	add_engines(w, 2, 1, w->engines[0]->fault_path);
	discover(w);
	expect_held(w, 1);
	expect_healthy(w, 5);
}

static void slow_engines_let_others_begin(void **state)
{
	(void)state;
	for_each_question(1, 3, check_slow);
}

static void check_removed(struct world *w, enum turn_kind turn)
{
	size_t holder = find_engine(w, true);

	w->is_node[find_engine(w, false)] = false;
	discover(w);
	assert_int_equal(count_waiting(w, turn), 2);
	expect_held(w, 1);
	assert_int_equal(find_engine(w, true), holder);
	w->is_node[holder] = false;
	discover(w);
	expect_held(w, 1);
	assert_int_equal(count_waiting(w, turn), 1);
	expect_healthy(w, 2);
}

static void removed_engines_give_their_turn_back(void **state)
{
	(void)state;
	for_each_question(1, 4, check_removed);
}

static void check_failing(struct world *w, enum turn_kind turn)
{
	fake_engine_stop(w->engines[find_engine(w, true)]);
	expect_held(w, 1);
	assert_int_equal(count_waiting(w, turn), 1);
	expect_healthy(w, 2);
}

static void failing_engines_give_their_turn_back(void **state)
{
	(void)state;
	for_each_question(1, 3, check_failing);
}

static bool one_waits_to_sync(void *arg)
{
	return count_waiting(arg, TURN_SYNC) == 1;
}

/* An engine that waits to be read has its event stream already, and may end. */
static void engines_that_fail_while_they_wait_are_passed_over(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	w.cluster->live->turns[TURN_SYNC].max = 1;
	add_engines(&w, 3, 1, "/containers/json");
	discover(&w);
	expect_held(&w, 1);
	assert_int_equal(count_waiting(&w, TURN_SYNC), 2);
	fake_engine_stop(w.engines[find_engine(&w, false)]);
	wait_for(&w.f, one_waits_to_sync, &w);
	expect_held(&w, 1);
	release(w.engines[find_engine(&w, true)]);
	expect_held(&w, 1);
	expect_healthy(&w, 2);
	world_stop(&w);
}

/* ---- Containers ---- */

/* More than are asked for at once over as many connections as may be. */
enum { CONTAINERS = LIVE_LINES_MAX * LIVE_LINE_LEN + 4 };

static void containers_are_asked_over_one_connection_while_others_wait(void **state)
{
	struct world w;
	struct fake_engine *engine;
	size_t holder;

	(void)state;
	world_start(&w);
	w.cluster->live->turns[TURN_SYNC].max = 1;
	add_engines(&w, 2, CONTAINERS, "/containers/json");
	discover(&w);
	expect_held(&w, 1);
	assert_int_equal(count_waiting(&w, TURN_SYNC), 1);
	holder = find_engine(&w, true);
	engine = w.engines[holder];
	engine->fault_path = "/containers/0";
	for (unsigned asked = 1; asked <= 3; asked++) {
		fake_engine_release(engine);
		expect_held(&w, 1);
		assert_int_equal(engine->inspects, asked - 1);
	}
	/* Nobody waits any more. */
	w.is_node[1 - holder] = false;
	discover(&w);
	fake_engine_release(engine);
	expect_held(&w, LIVE_LINES_MAX);
	expect_healthy(&w, 1);
	assert_int_equal(engine->inspects, CONTAINERS);
	world_stop(&w);
}

static void a_few_connections_are_used_when_nobody_waits(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	add_engines(&w, 1, CONTAINERS, "/containers/0");
	discover(&w);
	expect_held(&w, LIVE_LINES_MAX);
	assert_int_equal(fake_engine_waiting(w.engines[0]), LIVE_LINES_MAX * (LIVE_LINE_LEN - 1));
	expect_healthy(&w, 1);
	assert_int_equal(w.engines[0]->inspects, CONTAINERS);
	world_stop(&w);
}

/* Engines that are too old for it have no request before them that has to wait. */
static void old_engines_are_asked_one_thing_at_a_time(void **state)
{
	struct world w;

	(void)state;
	world_start(&w);
	add_engines(&w, 1, CONTAINERS, "/containers/0");
	w.engines[0]->api = "1.39";
	discover(&w);
	expect_held(&w, LIVE_LINES_MAX);
	assert_int_equal(fake_engine_waiting(w.engines[0]), 0);
	expect_healthy(&w, 1);
	assert_int_equal(w.engines[0]->inspects, CONTAINERS);
	world_stop(&w);
}

/* ---- Containers that somebody waits for ---- */

/* An engine whose connections for containers are taken, by events about all that it has but one:
 * more than are asked for at once, so that some are queued. The last of these, and the one without
 * an event, are what the tests ask for. */
struct busy {
	struct world w;
	struct fake_engine *engine;
	struct node *node;
	struct fake_container *queued, *unasked;
	unsigned answers;
};

static void count_answer(void *arg, const struct err *err)
{
	struct busy *busy = arg;

	(void)err;
	busy->answers++;
}

static void ask(struct busy *busy, const struct fake_container *container)
{
	node_refresh_container(busy->node, container->id, count_answer, busy);
}

static bool are_answered(void *arg)
{
	const struct busy *busy = arg;

	return busy->answers == busy->w.wanted;
}

static bool are_seen(void *arg)
{
	const struct busy *busy = arg;

	return busy->node->live->watch.seen == busy->w.wanted;
}

static void expect_seen(struct busy *busy, size_t events)
{
	busy->w.wanted = events;
	wait_for(&busy->w.f, are_seen, busy);
}

static void busy_start(struct busy *busy)
{
	char *addr CLEANUP_FREE = NULL;
	struct world *w = &busy->w;

	world_start(w);
	busy->answers = 0;
	add_engines(w, 1, CONTAINERS + 1, NULL);
	busy->engine = w->engines[0];
	discover(w);
	expect_healthy(w, 1);
	addr = fake_engine_addr(busy->engine);
	busy->node = cluster_node_find(w->cluster, addr);
	busy->queued = &busy->engine->containers[CONTAINERS - 1];
	busy->unasked = &busy->engine->containers[CONTAINERS];
	busy->engine->fault = FAKE_HOLD;
	busy->engine->fault_path = "/containers/0";
	for (size_t i = 0; i < CONTAINERS; i++)
		fake_engine_event(busy->engine, &busy->engine->containers[i], "start", false);
	expect_seen(busy, CONTAINERS);
	expect_held(w, LIVE_LINES_MAX);
	assert_int_equal(busy->node->live->fetches_len, CONTAINERS);
	assert_int_equal(busy->node->live->fetching, LIVE_LINES_MAX * LIVE_LINE_LEN);
}

static void busy_stop(struct busy *busy, unsigned answers)
{
	release(busy->engine);
	busy->w.wanted = answers;
	wait_for(&busy->w.f, are_answered, busy);
	world_stop(&busy->w);
}

static void a_container_that_is_waited_for_waits_for_no_others(void **state)
{
	struct busy busy;

	(void)state;
	busy_start(&busy);
	ask(&busy, busy.unasked);
	expect_held(&busy.w, LIVE_LINES_MAX + 1);
	busy_stop(&busy, 1);
}

static void a_container_that_is_queued_is_asked_at_once_when_it_is_waited_for(void **state)
{
	struct busy busy;

	(void)state;
	busy_start(&busy);
	ask(&busy, busy.queued);
	expect_held(&busy.w, LIVE_LINES_MAX + 1);
	busy_stop(&busy, 1);
}

/* The second question waits for the answer to the first, and an event comes meanwhile. */
static void an_event_does_not_make_a_container_less_urgent(void **state)
{
	struct busy busy;

	(void)state;
	busy_start(&busy);
	ask(&busy, busy.unasked);
	ask(&busy, busy.unasked);
	fake_engine_event(busy.engine, busy.unasked, "start", false);
	expect_seen(&busy, CONTAINERS + 1);
	expect_held(&busy.w, LIVE_LINES_MAX + 1);
	fake_engine_release(busy.engine);
	expect_held(&busy.w, LIVE_LINES_MAX + 1);
	assert_int_equal(busy.answers, 1);
	busy_stop(&busy, 2);
}

/* ---- Probes ---- */

/* Pings of all, beside the one of each that belongs to its connection. */
static size_t count_probes(const struct world *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->engines_len; i++)
		n += w->engines[i]->pings - 1;
	return n;
}

static bool are_probed(void *arg)
{
	const struct world *w = arg;

	return count_probes(w) >= w->wanted;
}

static void probes_get_rarer_with_the_number_of_nodes(void **state)
{
	static const struct {
		size_t nodes;
		unsigned interval_s;
	} cases[] = {{1, 4000}, {2, 4000}, {5, 10000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world w;

		world_start(&w);
		w.cluster->live->timing.probe = 4000 * 1000;
		w.cluster->live->timing.probe_each = 2000 * 1000;
		add_engines(&w, cases[i].nodes, 0, NULL);
		discover(&w);
		expect_healthy(&w, cases[i].nodes);
		for (size_t round = 0; round < 3; round++) {
			clock_pass(&w.f, cases[i].interval_s - MARGIN_S);
			assert_int_equal(count_probes(&w), round * cases[i].nodes);
			clock_pass(&w.f, MARGIN_S);
			w.wanted = (round + 1) * cases[i].nodes;
			wait_for(&w.f, are_probed, &w);
			fixture_settle(&w.f);
			assert_int_equal(count_probes(&w), w.wanted);
		}
		world_stop(&w);
	}
}

/* Which wakes the loop up less often. */
static void probes_are_made_together(void **state)
{
	enum { INTERVAL = 4000 * 1000, SLOT = 1000 * 1000 };
	struct world w;

	(void)state;
	world_start(&w);
	w.cluster->live->timing.probe = INTERVAL;
	w.cluster->live->timing.probe_slot = SLOT;
	add_engines(&w, 3, 0, NULL);
	discover(&w);
	expect_healthy(&w, 3);
	for (const struct node_live *live = w.cluster->live->nodes; live; live = live->hh.next) {
		uint64_t latest = now_ms(&env) + INTERVAL;

		assert_int_equal(live->timer_at % SLOT, 0);
		assert_true(live->timer_at <= latest &&
			    live->timer_at + SLOT + MARGIN_S * 1000 > latest);
	}
	world_stop(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_more_than_the_maximum_have_their_turn),
		cmocka_unit_test(slow_engines_let_others_begin),
		cmocka_unit_test(removed_engines_give_their_turn_back),
		cmocka_unit_test(failing_engines_give_their_turn_back),
		cmocka_unit_test(engines_that_fail_while_they_wait_are_passed_over),
		cmocka_unit_test(containers_are_asked_over_one_connection_while_others_wait),
		cmocka_unit_test(a_few_connections_are_used_when_nobody_waits),
		cmocka_unit_test(old_engines_are_asked_one_thing_at_a_time),
		cmocka_unit_test(a_container_that_is_waited_for_waits_for_no_others),
		cmocka_unit_test(a_container_that_is_queued_is_asked_at_once_when_it_is_waited_for),
		cmocka_unit_test(an_event_does_not_make_a_container_less_urgent),
		cmocka_unit_test(probes_get_rarer_with_the_number_of_nodes),
		cmocka_unit_test(probes_are_made_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
