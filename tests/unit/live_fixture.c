#include "tests/unit/live_fixture.h"

#include "lib/log.h"

#include <stdio.h>
#include <string.h>

const struct live_timing fixture_patient = {
	.probe = 1000,
	.probe_spacing = 5,
	.probe_fast = 1000,
	.probe_timeout = 60000,
	.probe_fast_timeout = 60000,
	.down_after = 60000,
	.settle = 1500,
	.backoff = 20,
	.backoff_max = 200,
	.stream_proof = 100,
	.connect = 60000,
	.head = 60000,
	.idle = 60000,
	.list = 60000,
	.inspect = 60000,
	.hold = 60000,
	.debounce = 5,
	.period = 10,
	.turn = {20, 100},
};

const struct live_timing fixture_fast = {
	.probe = 100,
	.probe_spacing = 5,
	.probe_fast = 20,
	.probe_timeout = 100,
	.probe_fast_timeout = 60,
	.down_after = 600,
	.settle = 1500,
	.backoff = 20,
	.backoff_max = 200,
	.stream_proof = 100,
	.connect = 200,
	.head = 200,
	.idle = 200,
	.list = 250,
	.inspect = 200,
	.hold = 100,
	.debounce = 5,
	.period = 10,
	.turn = {20, 100},
};

void fixture_note(struct fixture *f, const char *file, int line, const char *what)
{
	if (!f->wrong[0])
		snprintf(f->wrong, sizeof(f->wrong), "%s:%d: not so: %s", file, line, what);
}

static void hear(const struct event *event, void *arg)
{
	struct fixture *f = arg;
	const json_t *actor = json_obj(event->json, "Actor");

	FIXTURE_CHECK(f, strlen(event->text) == event->text_len);
	FIXTURE_CHECK(f, !strchr(event->text, '\n'));
	if (f->log_len == FIXTURE_LOG_MAX) {
		FIXTURE_CHECK(f, !"too many events");
		return;
	}
	f->log[f->log_len++] = xasprintf("%s %s %.32s", event->type, event->action,
		strcmp(event->type, "swarm") == 0 ? event->node->inventory.view.addr
						  : json_str(actor, "ID", ""));
	free(f->last_text);
	f->last_text = xstrdup(event->text);
	if (f->on_event)
		f->on_event(f, event);
}

/* ---- Life ---- */

static int setup(void **state, const struct live_timing *timing)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct cluster_config config = {
		.refresh_min_ms = 100000,
		.refresh_max_ms = 100000,
		.failure_retry = 3,
		.overcommit = 0.05,
	};

	log_set_level(LOG_LEVEL_ERROR);
	f->loop = loop_new();
	f->client = client_new(f->loop);
	f->cluster = cluster_new(f->loop, env_system(), f->client, &config);
	f->timing = &f->cluster->live->timing;
	*f->timing = *timing;
	f->listener = cluster_listen(f->cluster, hear, f);
	*state = f;
	return 0;
}

int fixture_setup(void **state)
{
	return setup(state, &fixture_patient);
}

int fixture_setup_fast(void **state)
{
	return setup(state, &fixture_fast);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	int status = 0;
	size_t i;

	event_listener_free(f->listener);
	cluster_free(f->cluster);
	client_free(f->client);
	for (i = 0; i < f->engines_len; i++)
		fake_engine_free(f->engines[i]);
	loop_free(f->loop);
	for (i = 0; i < f->log_len; i++)
		free(f->log[i]);
	free(f->last_text);
	if (f->wrong[0]) {
		print_error("%s\n", f->wrong);
		status = -1;
	}
	free(f);
	return status;
}

/* ---- Engines ---- */

struct fake_engine *fixture_engine(struct fixture *f, const char *id, const char *name)
{
	struct fake_engine *engine = fake_engine_new(f->loop, id, name);

	f->engines[f->engines_len++] = engine;
	return engine;
}

void fixture_discover(struct fixture *f)
{
	struct str_list addrs CLEANUP_STR_LIST = {0};
	size_t i;

	for (i = 0; i < f->engines_len; i++)
		str_list_add_take(&addrs, fake_engine_addr(f->engines[i]));
	cluster_set_nodes(f->cluster, &addrs);
}

void fixture_connect(struct fixture *f)
{
	fixture_discover(f);
	WAIT_UNTIL(f, fixture_is_healthy(f));
}

struct node *fixture_node(struct fixture *f, const struct fake_engine *engine)
{
	char *addr CLEANUP_FREE = fake_engine_addr(engine);

	return cluster_node_find(f->cluster, addr);
}

/* ---- Waiting ---- */

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

void fixture_run(struct fixture *f, unsigned ms)
{
	struct loop_timer *timer = loop_timer_new(f->loop, stop_loop, f->loop);
	char wrong[sizeof(f->wrong)];

	loop_timer_start(timer, ms);
	loop_run(f->loop);
	loop_timer_free(timer);
	snprintf(wrong, sizeof(wrong), "%s", f->wrong);
	f->wrong[0] = '\0';
	if (wrong[0])
		fail_msg("%s", wrong);
}

bool fixture_is_healthy(const struct fixture *f)
{
	struct cluster_totals totals;

	cluster_totals(f->cluster, &totals);
	return totals.nodes_healthy == f->engines_len;
}

bool fixture_is_down(const struct fixture *f)
{
	struct cluster_totals totals;

	cluster_totals(f->cluster, &totals);
	return totals.nodes_healthy == 0;
}

size_t fixture_count(const struct fixture *f, const char *part)
{
	size_t i, n = 0;

	for (i = 0; i < f->log_len; i++)
		n += strstr(f->log[i], part) != NULL;
	return n;
}
