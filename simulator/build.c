/* POST /build as the engine's own builder does it: the context first, then a step at a time.
 * Nothing is cached. */
#include "simulator/build.h"

#include <string.h>

static void build_fail(struct sim_build *b, int code, const struct err *err)
{
	CLEANUP_BUF struct buf line = {0};

	buf_init(&line, SIM_REPLY_MAX);
	sim_progress_error(&line, err->msg);
	if (code) {
		CLEANUP_FREE char *rest = xstrdup(line.data + strlen("{\"errorDetail\":{"));

		buf_reset(&line);
		buf_printf(&line, "{\"errorDetail\":{\"code\":%d,%s", code, rest);
	}
	exchange_reply_write(b->r->x, line.data, line.len);
	exchange_reply_end(b->r->x);
}

static int build_end(struct sim_build *b, struct err *err)
{
	CLEANUP_BUF struct buf unused = {0};
	const char *key;
	json_t *value;

	if (!b->image)
		return sim_fail(err, SIM_BUILD_REFUSED,
			"No image was generated. Is your Dockerfile empty?");
	sim_build_say_id(b);
	buf_init(&unused, SIM_BODY_MAX);
	json_object_foreach (b->args, key, value)
		if (!json_object_get(b->used, key))
			buf_printf(&unused, "%s%s", unused.len ? " " : "", key);
	if (unused.len)
		sim_build_say(b, "[Warning] One or more build-args [%s] were not consumed\n",
			buf_str(&unused));
	sim_build_say(b, "Successfully built %.12s\n", b->image->id);
	for (size_t i = 0; i < b->tags.len; i++) {
		if (sim_image_name(b->e, b->image, b->tags.items[i], b->shown_tags.items[i], err))
			return SIM_BUILD_REFUSED;
		sim_build_say(b, "Successfully tagged %s\n", b->tags.items[i]);
	}
	if (b->quiet) {
		b->quiet = false;
		sim_build_say(b, "sha256:%s\n", b->image->id);
	}
	exchange_reply_end(b->r->x);
	return 0;
}

/* Takes steps until one waits or all are taken. */
static void build_go_on(struct sim_build *b)
{
	struct err err = ERR_INIT;
	int code = 0;
	int status = 0;

	if (*b->container) {
		code = b->code;
		status = sim_build_run_over(b, &err);
	}
	while (!status && b->next < b->steps.len) {
		const struct sim_step *step = &b->steps.steps[b->next];

		if (str_eq(step->name, "FROM"))
			sim_build_stage_end(b);
		b->next++;
		status = sim_build_step(b, step, &err);
	}
	if (status == -1)
		return;
	if (!status)
		status = build_end(b, &err);
	if (status)
		build_fail(b, code, &err);
}

static void build_timer(void *arg)
{
	build_go_on(arg);
}

/* ---- The request ---- */

static void build_cleanup(struct sim_request *r)
{
	struct sim_build *b = r->state;
	int status;
	struct sim_container *c;

	sim_container_wait_cancel(&b->waiter);
	sim_container_unfollow(&b->follower);
	/* Its client has gone while a step ran. */
	c = *b->container ? sim_container_find(b->e, b->container, &status, NULL) : NULL;
	if (c)
		(void)!sim_container_remove(c, true, true, NULL);
	loop_timer_free(b->timer);
	sim_context_free(b->context);
	sim_dockerfile_free(&b->steps);
	str_list_free(&b->tags);
	str_list_free(&b->shown_tags);
	str_list_free(&b->stages);
	sim_image_unref(b->image);
	json_decref(b->args);
	json_decref(b->used);
	json_decref(b->global);
	json_decref(b->config);
	json_decref(b->vars);
	free(b->stage);
	free(b);
}

/* Leaves out the stages behind the one that is asked for. */
static int target_cut(struct sim_build *b, struct err *err)
{
	const char *target = sim_query(b->r, "target");
	struct sim_dockerfile *d = &b->steps;
	size_t end;
	bool found = !*target;

	if (found)
		return 0;
	for (end = 0; end < d->len; end++) {
		CLEANUP_STR_LIST struct str_list words = {0};

		if (!str_eq(d->steps[end].name, "FROM"))
			continue;
		if (found)
			break;
		sim_dockerfile_words(d->steps[end].rest, b->global, &words);
		found = words.len >= 3 && str_ieq(words.items[words.len - 1], target);
	}
	if (!found)
		return sim_fail(err, 400, "failed to reach build target %s in Dockerfile", target);
	sim_dockerfile_cut(d, end);
	return 0;
}

/* Labels of the request are a step of their own. */
static int labels_add(struct sim_build *b, struct sim_dockerfile *more, struct err *err)
{
	const char *text = sim_query(b->r, "labels");
	CLEANUP_JSON json_t *labels = *text ? json_parse(text, strlen(text), err) : json_object();
	CLEANUP_BUF struct buf line = {0};
	CLEANUP_STR_LIST struct str_list keys = {0};
	const char *key;
	json_t *value;

	if (!json_is_object(labels))
		return sim_fail(err, 400, "error reading labels: %s", text);
	json_object_foreach (labels, key, value)
		str_list_add(&keys, key);
	str_list_sort(&keys);
	buf_init(&line, SIM_BODY_MAX);
	for (size_t i = 0; i < keys.len; i++)
		buf_printf(&line, "%s %s=%s", i ? "" : "LABEL", keys.items[i],
			json_str(labels, keys.items[i], ""));
	return line.len ? sim_dockerfile_parse(line.data, line.len, more, err) : 0;
}

static int steps_read(struct sim_build *b, struct err *err)
{
	const char *name = sim_query(b->r, "dockerfile");
	struct sim_dockerfile more = {0};
	size_t len;
	const char *text = sim_context_dockerfile(b->context, &len);
	int status;
	size_t i = 0;

	name = *name ? name : "Dockerfile";
	if (!text)
		return sim_fail(err, 500, "Cannot locate specified Dockerfile: %s", name);
	if (!len)
		return sim_fail(err, 400, "the Dockerfile (%s) cannot be empty", name);
	status = sim_dockerfile_parse(text, len, &b->steps, err);
	if (!status && !b->steps.len)
		status =
			sim_fail(err, 400, "failed to parse Dockerfile: file with no instructions");
	while (!status && i < b->steps.len && str_eq(b->steps.steps[i].name, "ARG"))
		i++;
	if (!status && (i == b->steps.len || !str_eq(b->steps.steps[i].name, "FROM")))
		status = sim_fail(err, 400, "no build stage in current context");
	if (!status)
		status = target_cut(b, err);
	if (!status)
		status = labels_add(b, &more, err);
	if (!status && more.len) {
		b->steps.steps =
			xreallocarray(b->steps.steps, b->steps.len + 1, sizeof(*b->steps.steps));
		b->steps.steps[b->steps.len++] = more.steps[0];
		more.len = 0;
	}
	sim_dockerfile_free(&more);
	return status;
}

static size_t build_body(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct sim_build *b = arg;
	struct err err = ERR_INIT;
	int status;

	(void)x;
	if (len) {
		if (!b->failed && sim_context_feed(b->context, data, len, &b->err))
			b->failed = true;
		return len;
	}
	if (b->failed || sim_context_finish(b->context, &b->err)) {
		sim_reply_error(b->r, 500, &b->err);
		return 0;
	}
	status = steps_read(b, &err);
	if (status) {
		sim_reply_error(b->r, status, &err);
		return 0;
	}
	sim_reply_stream(b->r, 200, "application/json");
	build_go_on(b);
	return 0;
}

static int query_read(struct sim_build *b, struct err *err)
{
	const struct sim_request *r = b->r;
	const char *args = sim_query(r, "buildargs");
	const char *version = sim_query(r, "version");
	const char *remote = sim_query(r, "remote");
	const char *rm = sim_query(r, "rm");
	struct err why = ERR_INIT;

	b->quiet = sim_query_bool(r, "q");
	b->keeps = *rm && !sim_query_bool(r, "rm") && !sim_query_bool(r, "forcerm");
	if (*version && !str_eq(version, "1"))
		return sim_fail(err, 400, "invalid version %s", version);
	b->args = *args ? json_parse(args, strlen(args), &why) : json_object();
	if (!json_is_object(b->args))
		return sim_fail(err, 400,
			"error reading build args: invalid character '%c' looking for beginning "
			"of value",
			*args);
	for (size_t i = 0; i + 1 < r->query.len; i += 2) {
		const char *tag = r->query.items[i + 1];
		char *name;

		if (!str_eq(r->query.items[i], "t") || !*tag)
			continue;
		name = sim_image_normal(tag, err);
		if (!name)
			return 500;
		str_list_add_take(&b->tags, name);
		str_list_add(&b->shown_tags, name);
	}
	if (*remote && !str_eq(remote, "client-session"))
		return sim_fail(err, 500,
			"error downloading remote context %s: nothing is downloaded in a "
			"simulation",
			remote);
	return 0;
}

void sim_build(struct sim_request *r)
{
	struct sim_build *b = xcalloc(1, sizeof(*b));
	const char *name = sim_query(r, "dockerfile");
	struct err err = ERR_INIT;
	int status;

	b->r = r;
	b->e = r->engine;
	b->context = sim_context_new(*name ? name : "Dockerfile");
	b->used = json_object();
	b->global = json_object();
	b->timer = loop_timer_new(b->e->options->loop, build_timer, b);
	r->state = b;
	r->cleanup = build_cleanup;
	status = query_read(b, &err);
	if (status)
		sim_reply_error(r, status, &err);
	else
		exchange_stream_body(r->x, build_body, b);
}
