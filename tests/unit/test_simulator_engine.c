/* A simulated engine as a state machine, without HTTP. */
#include "simulator/filter.h"
#include "simulator/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct loop *loop;
	struct env env;
	struct sim_options options;
	struct sim_engine *e;
	struct str_list events; /* "type action" of what was told */
	struct sim_listener listener;
	int64_t now;
};

static uint64_t fake_now(const struct env *env)
{
	const struct fixture *f = env->impl;

	return (uint64_t)f->now / 1000000;
}

static int64_t fake_wall(const struct env *env)
{
	return ((const struct fixture *)env->impl)->now;
}

static uint32_t fake_random(const struct env *env, uint32_t bound)
{
	(void)env;
	return bound - 1;
}

static void note_event(void *arg, const json_t *event, const char *text, size_t len, int64_t ns)
{
	struct fixture *f = arg;
	char *note =
		xasprintf("%s %s", json_str(event, "Type", "?"), json_str(event, "Action", "?"));

	(void)ns;
	assert_int_equal(text[len - 1], '\n');
	str_list_add_take(&f->events, note);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct str_list labels = {0};

	f->loop = loop_new();
	f->now = 1800000000ll * 1000000000;
	f->env = (struct env){fake_now, fake_wall, fake_random, f};
	f->options = (struct sim_options){.loop = f->loop,
		.env = &f->env,
		.cpus = 2,
		.memory = 2ll << 30,
		.server_version = (char *)"20.10.24",
		.api_version = (char *)"1.41",
		.api_min_version = (char *)"1.12",
		.api = 1041,
		.api_min = 1012,
		.events_kept = 4};
	f->e = sim_engine_new(&f->options, 0, xstrdup("node"), &labels, 42);
	assert_non_null(sim_image_add(f->e, "busybox:latest"));
	f->listener = (struct sim_listener){.fn = note_event, .arg = f};
	sim_listen(f->e, &f->listener);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sim_unlisten(f->e, &f->listener);
	sim_engine_free(f->e);
	assert_null(f->options.specs.by_key);
	str_list_free(&f->events);
	loop_free(f->loop);
	free(f);
	return 0;
}

/* more: further fields of the body, as JSON without braces, or "". */
static int create(struct fixture *f, const char *name, const char *more, struct sim_container **out,
	struct err *err)
{
	CLEANUP_FREE char *text =
		xasprintf("{\"Image\":\"busybox\",\"Cmd\":[\"top\"]%s%s}", *more ? "," : "", more);
	CLEANUP_JSON json_t *body = json_loads(text, 0, NULL);

	assert_non_null(body);
	return sim_container_create(f->e, name, body, out, err);
}

static struct sim_container *made(struct fixture *f, const char *name, const char *more)
{
	struct sim_container *c = NULL;
	struct err err = ERR_INIT;

	if (create(f, name, more, &c, &err))
		fail_msg("create: %s", err.msg);
	return c;
}

static void forget_events(struct fixture *f)
{
	str_list_free(&f->events);
}

static void assert_events(struct fixture *f, const char *const *expected)
{
	size_t n = 0;

	for (; expected[n]; n++) {
		assert_true(n < f->events.len);
		assert_string_equal(f->events.items[n], expected[n]);
	}
	assert_int_equal(f->events.len, n);
	forget_events(f);
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	struct sim_container *a = made(f, "web", "");
	struct sim_container *b = NULL;
	struct err err = ERR_INIT;
	int status;

	assert_int_equal(create(f, "web", "", &b, &err), 409);
	assert_non_null(strstr(err.msg, "\"/web\" is already in use by container"));
	assert_int_equal(create(f, "/web", "", &b, &err), 409);
	assert_int_equal(create(f, "a", "", &b, &err), 400);
	assert_int_equal(create(f, "../x", "", &b, &err), 400);
	assert_int_equal(sim_container_rename(a, "web", &err), 400);
	assert_int_equal(sim_container_rename(a, "shop", &err), 0);
	assert_null(sim_container_find(f->e, "web", &status, &err));
	assert_int_equal(status, 404);
	assert_ptr_equal(sim_container_find(f->e, "/shop", &status, &err), a);
	b = made(f, "web", "");
	assert_int_equal(sim_container_rename(b, "shop", &err), 409);
	assert_int_equal(f->e->containers_len, 2);
}

static void test_prefixes(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;
	char prefix[SIM_ID_LEN + 1];
	bool ambiguous = false;
	int status;

	for (int i = 0; i < 40; i++)
		made(f, NULL, "");
	for (struct sim_container *c = f->e->containers; c; c = c->next) {
		assert_ptr_equal(sim_container_find(f->e, c->id, &status, &err), c);
		memcpy(prefix, c->id, 12);
		prefix[12] = '\0';
		assert_ptr_equal(sim_container_find(f->e, prefix, &status, &err), c);
		prefix[1] = '\0'; /* 40 IDs and 16 digits: some must share the first */
		if (!sim_container_find(f->e, prefix, &status, &err)) {
			assert_int_equal(status, 400);
			ambiguous = true;
		}
	}
	assert_true(ambiguous);
	assert_null(sim_container_find(f->e, "", &status, &err));
	assert_int_equal(status, 400);
	memset(prefix, 'z', 20);
	prefix[20] = '\0';
	assert_null(sim_container_find(f->e, prefix, &status, &err));
	assert_int_equal(status, 404);
}

static void test_life(void **state)
{
	struct fixture *f = *state;
	struct sim_container *c = made(f, "web", "");
	struct err err = ERR_INIT;

	assert_int_equal(sim_container_stop(c, &err), 304);
	assert_int_equal(sim_container_kill(c, "web", "", &err), 409);
	assert_int_equal(sim_container_pause(c, &err), 409);
	forget_events(f);
	assert_int_equal(sim_container_start(c, &err), 0);
	assert_int_equal(sim_container_start(c, &err), 304);
	assert_int_equal(f->e->running, 1);
	assert_events(f, (const char *[]){"network connect", "container start", NULL});
	assert_int_equal(sim_container_remove(c, false, false, &err), 409);
	assert_int_equal(sim_container_pause(c, &err), 0);
	assert_int_equal(sim_container_start(c, &err), 409);
	assert_int_equal(f->e->running, 0);
	assert_int_equal(f->e->paused, 1);
	forget_events(f);
	assert_int_equal(sim_container_stop(c, &err), 0);
	assert_events(f, (const char *[]){"container kill", "container unpause", "container die",
				 "network disconnect", "container stop", NULL});
	assert_int_equal(c->exit_code, 143);
	assert_int_equal(sim_container_restart(c, &err), 0);
	forget_events(f);
	assert_int_equal(sim_container_remove(c, true, false, &err), 0);
	assert_events(f, (const char *[]){"container kill", "container die", "network disconnect",
				 "container destroy", NULL});
	assert_int_equal(f->e->running, 0);
	assert_int_equal(f->e->containers_len, 0);
}

static void test_ports(void **state)
{
	static const char published[] =
		"\"ExposedPorts\":{\"80/tcp\":{}},\"HostConfig\":{\"PortBindings\":{\"80/tcp\":["
		"{\"HostPort\":\"8080\"}]}}";
	static const char local[] =
		"\"ExposedPorts\":{\"80/tcp\":{}},\"HostConfig\":{\"PortBindings\":{\"80/tcp\":["
		"{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}]}}";
	static const char udp[] =
		"\"ExposedPorts\":{\"80/udp\":{}},\"HostConfig\":{\"PortBindings\":{\"80/udp\":["
		"{\"HostPort\":\"8080\"}]}}";
	static const char any[] =
		"\"ExposedPorts\":{\"80/tcp\":{}},\"HostConfig\":{\"PublishAllPorts\":true}";
	struct fixture *f = *state;
	struct sim_container *a = made(f, "pa", published);
	struct sim_container *b = made(f, "pb", published);
	struct sim_container *c;
	struct err err = ERR_INIT;

	assert_int_equal(sim_container_start(a, &err), 0);
	assert_int_equal(sim_container_start(b, &err), 500);
	assert_non_null(strstr(err.msg, "Bind for 0.0.0.0:8080 failed: port is already allocated"));
	assert_int_equal(b->state, SIM_CREATED);
	assert_int_equal(b->exit_code, 128);
	assert_int_equal(sim_container_start(made(f, "pc", local), &err), 500);
	assert_non_null(strstr(err.msg, "address already in use"));
	assert_int_equal(sim_container_start(made(f, "pd", udp), &err), 0);
	assert_int_equal(sim_container_stop(a, &err), 0);
	assert_int_equal(sim_container_start(b, &err), 0);
	c = made(f, "pe", any);
	assert_int_equal(sim_container_start(c, &err), 0);
	assert_int_equal(c->ports_len, 1);
	assert_int_equal(c->ports[0].host_port, 32768);
	assert_int_equal(sim_container_start(made(f, "pf", any), &err), 0);
	assert_int_equal(f->e->containers->ports[0].host_port, 32769);
}

static void test_bad_requests(void **state)
{
	static const struct {
		const char *more;
		int status;
	} cases[] = {
		{"\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"x\"}]}}", 400},
		{"\"HostConfig\":{\"PortBindings\":{\"99999/tcp\":[]}}", 400},
		{"\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"20-10\"}]}}", 400},
		{"\"HostConfig\":{\"Memory\":1000}", 400},
		{"\"HostConfig\":{\"Memory\":-1}", 400},
		{"\"HostConfig\":{\"NanoCpus\":3000000000}", 400},
		{"\"HostConfig\":{\"Binds\":[\"a:b\"]}", 500},
		{"\"HostConfig\":{\"Binds\":[\"a/b:/c\"]}", 400},
		{"\"HostConfig\":{\"Binds\":[7]}", 500},
		{"\"HostConfig\":[]", 500},
		{"\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"x\"}}", 400},
		{"\"Labels\":{\"a\":1}", 500},
		{"\"Env\":[\"=\"]", 400},
		{"\"Env\":\"A=b\"", 500},
		{"\"ExposedPorts\":[]", 500},
	};
	struct fixture *f = *state;
	struct sim_container *c = NULL;
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *missing = json_pack("{s:s}", "Image", "none");
	CLEANUP_JSON json_t *empty = json_object();

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int status = create(f, "bad", cases[i].more, &c, &err);

		if (status != cases[i].status)
			fail_msg("%s: %d, not %d", cases[i].more, status, cases[i].status);
	}
	assert_int_equal(sim_container_create(f->e, "bad", missing, &c, &err), 404);
	assert_string_equal(err.msg, "No such image: none:latest");
	assert_int_equal(sim_container_create(f->e, "bad", empty, &c, &err), 400);
	assert_int_equal(f->e->containers_len, 0);
	assert_null(f->options.specs.by_key);
}

static void test_equal_requests_share(void **state)
{
	struct fixture *f = *state;
	struct sim_container *a = made(f, "same-a", "\"Labels\":{\"k\":\"v\"}");
	struct sim_container *b = made(f, "same-b", "\"Labels\":{\"k\":\"v\"}");
	struct sim_container *c = made(f, "other", "\"Labels\":{\"k\":\"w\"}");
	CLEANUP_JSON json_t *changes = json_pack("{s:i}", "CpuShares", 7);
	CLEANUP_JSON json_t *host = NULL;
	struct err err = ERR_INIT;

	assert_ptr_equal(a->spec, b->spec);
	assert_ptr_not_equal(a->spec, c->spec);
	assert_int_equal(sim_container_update(a, changes, &err), 0);
	assert_ptr_not_equal(a->spec, b->spec);
	host = sim_spec_host(a->spec);
	assert_int_equal(json_int(host, "CpuShares", 0), 7);
}

static void count_event(void *arg, const json_t *event, const char *text, size_t len, int64_t ns)
{
	(void)event;
	(void)text;
	(void)len;
	(void)ns;
	++*(int *)arg;
}

static void test_events_are_kept(void **state)
{
	struct fixture *f = *state;
	int seen = 0;

	for (int i = 0; i < 10; i++) {
		f->now += 1000000000;
		made(f, NULL, "");
	}
	sim_event_replay(f->e, 0, 0, count_event, &seen);
	assert_int_equal(seen, 4); /* as many as events_kept */
	seen = 0;
	sim_event_replay(f->e, f->now - 1000000000, f->now, count_event, &seen);
	assert_int_equal(seen, 2);
	seen = 0;
	sim_event_replay(f->e, f->now + 1, 0, count_event, &seen);
	assert_int_equal(seen, 0);
}

static void test_event_filters(void **state)
{
	CLEANUP_JSON json_t *event = json_loads("{\"Type\":\"container\",\"Action\":\"exec_create: "
						"top \",\"scope\":\"local\",\"Actor\":"
						"{\"ID\":\"abcdef\",\"Attributes\":{\"name\":"
						"\"web\",\"image\":\"a:1\",\"k\":\"v\"}}}",
		0, NULL);
	static const struct {
		const char *filters;
		bool matches;
	} cases[] = {
		{"", true},
		{"{\"type\":[\"container\"]}", true},
		{"{\"type\":[\"image\"]}", false},
		{"{\"type\":{\"image\":true,\"container\":true}}", true},
		{"{\"event\":[\"exec_create\"]}", true},
		{"{\"event\":[\"exec_start\"]}", false},
		{"{\"container\":[\"abc\"]}", true},
		{"{\"container\":[\"we\"]}", true},
		{"{\"container\":[\"bcd\"]}", false},
		{"{\"image\":[\"a\"]}", true},
		{"{\"image\":[\"a:2\"]}", false},
		{"{\"label\":[\"k=v\"]}", true},
		{"{\"label\":[\"k=w\"]}", false},
		{"{\"label\":[\"k\",\"missing\"]}", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_JSON json_t *filters = NULL;

		assert_int_equal(sim_filters_parse(cases[i].filters, NULL, &filters, NULL), 0);
		if (sim_filter_event(filters, event) != cases[i].matches)
			fail_msg("%s", cases[i].filters);
	}
}

static void test_bad_filters(void **state)
{
	static const char *const accepted[] = {"name", NULL};
	static const struct {
		const char *filters;
		int status;
	} cases[] = {{"{", 500}, {"[]", 500}, {"{\"name\":\"x\"}", 500}, {"{\"name\":[1]}", 500},
		{"{\"other\":[\"x\"]}", 400}};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CLEANUP_JSON json_t *filters = NULL;

		assert_int_equal(sim_filters_parse(cases[i].filters, accepted, &filters, &err),
			cases[i].status);
		assert_null(filters);
	}
}

/* ---- Programs ---- */

struct ended {
	struct loop *loop;
	int code;
	int calls;
};

static void wait_ended(void *arg, int code)
{
	struct ended *ended = arg;

	ended->code = code;
	ended->calls++;
	loop_stop(ended->loop);
}

static void test_program_ends(void **state)
{
	struct fixture *f = *state;
	struct ended ended = {.loop = f->loop};
	struct sim_waiter waiter = {.condition = SIM_NEXT_EXIT, .fn = wait_ended, .arg = &ended};
	CLEANUP_JSON json_t *body = json_pack(
		"{s:s,s:[sss]}", "Image", "busybox", "Cmd", "sh", "-c", "echo a && exit 9");
	struct sim_log_query query = {.out = true, .tail = -1};
	struct sim_container *c = NULL;
	CLEANUP_BUF struct buf log = {0};
	struct err err = ERR_INIT;

	assert_int_equal(sim_container_create(f->e, "sh", body, &c, &err), 0);
	sim_container_wait(c, &waiter);
	assert_int_equal(sim_container_start(c, &err), 0);
	assert_int_equal(c->state, SIM_RUNNING);
	loop_run(f->loop);
	assert_int_equal(ended.calls, 1);
	assert_int_equal(ended.code, 9);
	assert_int_equal(c->state, SIM_EXITED);
	buf_init(&log, 1024);
	sim_log_write(c->log, &query, &log);
	assert_string_equal(buf_str(&log), "a\n");
}

static void test_waiter_of_a_removed_container(void **state)
{
	struct fixture *f = *state;
	struct ended ended = {.loop = f->loop};
	struct sim_waiter waiter = {.condition = SIM_REMOVED, .fn = wait_ended, .arg = &ended};
	struct sim_container *c = made(f, "web", "");
	struct err err = ERR_INIT;

	assert_int_equal(sim_container_start(c, &err), 0);
	sim_container_wait(c, &waiter);
	assert_int_equal(sim_container_stop(c, &err), 0);
	assert_int_equal(ended.calls, 0);
	assert_int_equal(sim_container_remove(c, false, false, &err), 0);
	assert_int_equal(ended.calls, 1);
	assert_null(waiter.container);
}

static void test_log_is_bounded(void **state)
{
	struct sim_log *log = sim_log_new();
	struct sim_log_query query = {.out = true, .tail = -1};
	CLEANUP_BUF struct buf out = {0};
	char line[101];

	(void)state;
	memset(line, 'x', 99);
	line[99] = '\n';
	line[100] = '\0';
	for (int i = 0; i < 10000; i++)
		sim_log_add(log, i + 1, SIM_STDOUT, line, 100);
	buf_init(&out, 1 << 20);
	sim_log_write(log, &query, &out);
	assert_true(out.len <= SIM_LOG_MAX && out.len > SIM_LOG_MAX / 4);
	assert_int_equal(out.len % 100, 0); /* whole lines */
	buf_reset(&out);
	query.tail = 2;
	sim_log_write(log, &query, &out);
	assert_int_equal(out.len, 200);
	sim_log_free(log);
}

/* ---- Many that are alike ---- */

static void test_create_like(void **state)
{
	struct fixture *f = *state;
	CLEANUP_JSON json_t *body = json_pack("{s:s,s:[s],s:{s:[s]}}", "Image", "busybox", "Cmd",
		"top", "HostConfig", "Binds", "data:/data");
	struct sim_container *model;
	struct sim_container *one;
	struct sim_container *other;
	CLEANUP_BUF struct buf before = {0};
	CLEANUP_BUF struct buf after = {0};
	struct err err = ERR_INIT;

	assert_int_equal(sim_container_create(f->e, "model", body, &model, &err), 0);
	buf_init(&before, 1 << 20);
	buf_init(&after, 1 << 20);
	sim_container_write(&before, model, false);
	assert_int_equal(sim_container_create_like(model, "one", &one, &err), 0);
	assert_ptr_equal(one->spec, model->spec);
	assert_string_not_equal(one->id, model->id);
	assert_int_equal(sim_volume_find(f->e, "data")->users, 2);
	assert_int_equal(sim_container_create_like(model, "one", &other, &err), 409);
	/* What is shown is the same whether it was kept for the next one or not. */
	for (int i = 0; i < 2; i++) {
		buf_reset(&after);
		sim_container_write(&after, model, false);
		assert_string_equal(buf_str(&after), buf_str(&before));
	}
	assert_int_equal(sim_container_start(one, &err), 0);
	assert_int_equal(sim_container_remove(model, true, false, &err), 0);
	assert_int_equal(sim_container_remove(one, true, false, &err), 0);
}

/* ---- Patterns ---- */

static void test_patterns(void **state)
{
	static const char *const bad[] = {
		"{", "{}", "{j}", "{i", "{i%0}", "{i/0}", "{i*2}", "{i%x}", "{i%}", "{i+-1}"};
	static const struct {
		const char *pattern;
		const char *text;
	} good[] = {{"sim-{i}", "sim-7"}, {"{i%3}{i/3}{i+100}", "12107"}, {"{{i}", "{i}"},
		{"plain", "plain"}, {"", ""}, {"}", "}"}, {"disk={ssd|hdd}", "disk=hdd"},
		{"z{1|2|3}{|x}", "z2x"}, {"{x|}", ""}};
	struct err err = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		CLEANUP_FREE char *text = sim_pattern_expand(good[i].pattern, 7, &err);

		assert_non_null(text);
		assert_string_equal(text, good[i].text);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(sim_pattern_expand(bad[i], 7, &err));
}

static void test_durations(void **state)
{
	static const struct {
		int64_t seconds;
		const char *text;
	} cases[] = {{-5, "Less than a second"}, {0, "Less than a second"}, {1, "1 second"},
		{59, "59 seconds"}, {60, "About a minute"}, {120, "2 minutes"},
		{3599, "59 minutes"}, {3600, "About an hour"}, {5400, "2 hours"},
		{47 * 3600, "47 hours"}, {48 * 3600, "2 days"}, {15 * 86400, "2 weeks"},
		{70 * 86400, "2 months"}, {800 * 86400ll, "2 years"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[64];

		sim_duration_text(cases[i].seconds, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_ENGINE(test_names),
		WITH_ENGINE(test_prefixes),
		WITH_ENGINE(test_life),
		WITH_ENGINE(test_ports),
		WITH_ENGINE(test_bad_requests),
		WITH_ENGINE(test_equal_requests_share),
		WITH_ENGINE(test_events_are_kept),
		WITH_ENGINE(test_program_ends),
		WITH_ENGINE(test_waiter_of_a_removed_container),
		cmocka_unit_test(test_event_filters),
		cmocka_unit_test(test_bad_filters),
		cmocka_unit_test(test_log_is_bounded),
		cmocka_unit_test_setup_teardown(test_create_like, setup, teardown),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
