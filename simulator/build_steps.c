/* The steps of a build, each of which makes an image. */
#include "simulator/build.h"
#include "simulator/files.h"

#include "http/digest.h"

#include <stdio.h>
#include <string.h>

/* ---- Talk ---- */

void sim_build_say(struct sim_build *b, const char *fmt, ...)
{
	CLEANUP_BUF struct buf text = {0};
	CLEANUP_BUF struct buf line = {0};
	va_list ap;
	int n;

	if (b->quiet)
		return;
	buf_init(&text, SIM_BODY_MAX);
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	va_start(ap, fmt);
	if (n >= 0 && buf_room(&text, (size_t)n + 1)) {
		vsnprintf(text.data + text.len, (size_t)n + 1, fmt, ap);
		buf_added(&text, (size_t)n);
	}
	va_end(ap);
	buf_init(&line, SIM_REPLY_MAX);
	sim_progress_stream(&line, buf_str(&text));
	exchange_reply_write(b->r->x, line.data, line.len);
}

void sim_build_say_id(struct sim_build *b)
{
	CLEANUP_FREE char *line = xasprintf("{\"aux\":{\"ID\":\"sha256:%s\"}}\r\n", b->image->id);

	if (!b->quiet)
		exchange_reply_write(b->r->x, line, strlen(line));
}

/* ---- Images and containers of steps ---- */

/* A container for the step: it is shown, and stands for itself in lists meanwhile. NULL: none can
 * be made. */
static struct sim_container *step_container(struct sim_build *b, json_t *command)
{
	CLEANUP_JSON json_t *body = json_object();
	json_t *rest = json_array();
	struct sim_container *c = NULL;
	size_t i;
	json_t *item;

	json_array_foreach (command, i, item)
		if (i)
			json_array_append(rest, item);
	json_object_set_new(body, "Image", json_sprintf("sha256:%s", b->image->id));
	/* The image's own entrypoint has no part in this. */
	json_object_set_new(body, "Entrypoint", json_pack("[O]", json_array_get(command, 0)));
	json_object_set_new(body, "Cmd", rest);
	if (sim_container_create(b->e, NULL, body, &c, NULL))
		return NULL;
	return c;
}

struct layer {
	const char *digest; /* NULL = none */
	int64_t size;
};

/* The image that the step ends with. command: what the container ran, or would have. */
static int step_commit(struct sim_build *b, const char *container, json_t *command,
	const struct layer *layer, struct err *err)
{
	CLEANUP_JSON json_t *config = json_copy(b->config);
	CLEANUP_JSON json_t *made = NULL;
	CLEANUP_BUF struct buf told = {0};
	struct sim_content_change change = {.parent = b->image ? b->image->content : NULL,
		.config = config,
		.container = container,
		.layer = layer->digest,
		.size = layer->size,
		.server_version = b->e->options->server_version,
		.created_ns = sim_now(b->e)};
	struct sim_content *content;
	struct sim_image *image;
	json_t *item;
	size_t i;

	json_object_set_new(config, "Image",
		b->image ? json_sprintf("sha256:%s", b->image->id) : json_string(""));
	made = json_copy(config);
	json_object_set(made, "Cmd", command);
	if (*container)
		json_object_set_new(made, "Hostname", json_sprintf("%.12s", container));
	change.container_config = made;
	buf_init(&told, SIM_BODY_MAX);
	json_array_foreach (command, i, item)
		buf_printf(&told, "%s%s", i ? " " : "", json_string_value(item));
	change.created_by = buf_str(&told);
	content = sim_content_derive(&b->e->options->contents, &change, err);
	if (!content)
		return SIM_BUILD_REFUSED;
	image = sim_image_put(b->e, content, b->image && b->image->is_listed ? b->image : NULL);
	if (!image)
		return sim_fail(err, SIM_BUILD_REFUSED, "no space left for images");
	sim_image_ref(image);
	sim_image_unref(b->image);
	b->image = image;
	sim_build_say(b, " ---> %.12s\n", image->id);
	return 0;
}

/* What the engine notes for a step that runs nothing. */
static json_t *note_command(const struct sim_build *b, const char *told, bool together)
{
	json_t *shell = json_arr(b->config, "Shell");
	json_t *list = shell ? json_copy(shell) : json_pack("[s,s]", "/bin/sh", "-c");

	if (together) {
		json_array_append_new(list, json_sprintf("#(nop) %s", told));
	} else {
		json_array_append_new(list, json_string("#(nop) "));
		json_array_append_new(list, json_string(told));
	}
	return list;
}

/* A step that changes only the configuration. */
static int step_note(
	struct sim_build *b, const struct sim_step *step, const char *told, struct err *err)
{
	bool workdir = str_eq(step->name, "WORKDIR");
	CLEANUP_JSON json_t *command = note_command(b, told, workdir);
	struct sim_container *c = b->image ? step_container(b, command) : NULL;
	char id[SIM_ID_LEN + 1];
	char digest[SIM_ID_LEN + 1];
	struct layer layer = {0};

	if (c)
		memcpy(id, c->id, sizeof(id));
	else
		sim_hex(sim_random(b->e), id);
	sim_build_say(b, " ---> Running in %.12s\n", id);
	if (c && !b->keeps && sim_container_remove(c, true, true, err))
		return SIM_BUILD_REFUSED;
	if (!b->keeps)
		sim_build_say(b, "Removing intermediate container %.12s\n", id);
	/* A working directory is made. */
	if (workdir && !sim_files_in_image(json_str(b->config, "WorkingDir", "/"))) {
		digest_of(told, strlen(told), digest);
		layer.digest = digest;
	}
	return step_commit(b, id, command, &layer, err);
}

/* ---- FROM ---- */

static int from_image(struct sim_build *b, const char *name, struct err *err)
{
	CLEANUP_FREE char *normal = NULL;
	struct sim_image *image = NULL;
	struct sim_content *content;

	for (size_t i = 0; i < b->stages.len; i++) {
		const char *equals = strrchr(b->stages.items[i], '=');
		CLEANUP_FREE char *stage =
			xstrndup(b->stages.items[i], (size_t)(equals - b->stages.items[i]));

		if (str_ieq(stage, name))
			image = sim_image_find(b->e, equals + 1);
	}
	if (!image)
		image = sim_image_find(b->e, name);
	if (!image) {
		normal = sim_image_normal(name, err);
		content = normal ? sim_registry_get(b->e->options, normal, err) : NULL;
		if (!content)
			return SIM_BUILD_REFUSED;
		sim_content_unref(&b->e->options->contents, content);
		image = sim_image_add(b->e, normal);
		if (!image)
			return sim_fail(err, SIM_BUILD_REFUSED, "no space left for images");
	}
	b->image = sim_image_ref(image);
	return 0;
}

void sim_build_stage_end(struct sim_build *b)
{
	if (b->in_stage && b->image) {
		sim_build_say_id(b);
		if (b->stage)
			str_list_add_take(
				&b->stages, xasprintf("%s=sha256:%s", b->stage, b->image->id));
	}
	b->in_stage = false;
	sim_image_unref(TAKE_PTR(b->image));
	json_decref(TAKE_PTR(b->config));
	json_decref(TAKE_PTR(b->vars));
	free(TAKE_PTR(b->stage));
}

static void vars_of_env(struct sim_build *b)
{
	json_t *item;
	size_t i;

	json_array_foreach (json_arr(b->config, "Env"), i, item) {
		const char *text = json_string_value(item);
		const char *equals = strchr(text, '=');
		CLEANUP_FREE char *key = equals ? xstrndup(text, (size_t)(equals - text)) : NULL;

		if (key)
			json_object_set_new(b->vars, key, json_string(equals + 1));
	}
}

static int step_from(struct sim_build *b, const struct sim_step *step, struct err *err)
{
	CLEANUP_STR_LIST struct str_list words = {0};
	size_t at = 0;

	sim_dockerfile_words(step->rest, b->global, &words);
	while (at < words.len && str_has_prefix(words.items[at], "--"))
		at++;
	if (at == words.len || (words.len != at + 1 && words.len != at + 3))
		return sim_fail(
			err, SIM_BUILD_REFUSED, "FROM requires either one or three arguments");
	if (words.len == at + 3)
		b->stage = xstrdup(words.items[at + 2]);
	b->vars = json_object();
	b->in_stage = true;
	if (str_eq(words.items[at], "scratch")) {
		b->config = json_object();
		sim_build_say(b, " ---> \n");
		return 0;
	}
	if (from_image(b, words.items[at], err))
		return SIM_BUILD_REFUSED;
	b->config = json_loads(b->image->content->config, 0, NULL);
	vars_of_env(b);
	sim_build_say(b, " ---> %.12s\n", b->image->id);
	return 0;
}

/* ---- ARG, COPY and ADD ---- */

static int step_arg(struct sim_build *b, const struct sim_step *step, struct err *err)
{
	const char *equals = strchr(step->rest, '=');
	CLEANUP_FREE char *key =
		xstrndup(step->rest, equals ? (size_t)(equals - step->rest) : strlen(step->rest));
	CLEANUP_FREE char *otherwise =
		equals ? sim_dockerfile_expand(equals + 1, b->in_stage ? b->vars : b->global)
		       : NULL;
	CLEANUP_FREE char *told = NULL;
	const char *value = json_str(b->args, key, otherwise);

	if (json_object_get(b->args, key))
		json_object_set_new(b->used, key, json_true());
	if (!value)
		value = json_str(b->global, key, NULL);
	if (value)
		json_object_set_new(b->in_stage ? b->vars : b->global, key, json_string(value));
	if (!b->in_stage)
		return 0;
	told = otherwise ? xasprintf("ARG %s=%s", key, otherwise) : xasprintf("ARG %s", key);
	return step_note(b, step, told, err);
}

static int step_copy(struct sim_build *b, const struct sim_step *step, struct err *err)
{
	CLEANUP_STR_LIST struct str_list words = {0};
	CLEANUP_STR_LIST struct str_list sources = {0};
	CLEANUP_JSON json_t *list = NULL;
	CLEANUP_JSON json_t *command = NULL;
	CLEANUP_FREE char *told = NULL;
	struct sim_copied copied = {.kind = "file"};
	struct err why = ERR_INIT;
	const char *text = step->rest;
	bool elsewhere = false;
	json_t *item;
	size_t i;

	for (; str_has_prefix(text, "--"); text += strspn(text, " \t")) {
		elsewhere |= str_has_prefix(text, "--from=");
		text += strcspn(text, " \t");
	}
	list = sim_dockerfile_list(text);
	json_array_foreach (list, i, item)
		str_list_add(&words, json_string_value(item));
	if (!list)
		sim_dockerfile_words(text, b->vars, &words);
	if (words.len < 2)
		return sim_fail(err, SIM_BUILD_REFUSED,
			"%s requires at least two arguments, but only one was provided. "
			"Destination could not be determined.",
			step->name);
	for (i = 0; i + 1 < words.len; i++)
		if (!str_has_prefix(words.items[i], "http://") &&
			!str_has_prefix(words.items[i], "https://"))
			str_list_add(&sources, words.items[i]);
	/* Of other images and from the net comes anything. */
	if (elsewhere || !sources.len)
		digest_of(step->text, strlen(step->text), copied.digest);
	else if (sim_context_copy(b->context, &sources, &copied, &why))
		return sim_fail(err, SIM_BUILD_REFUSED, "%s failed: %s", step->name, why.msg);
	told = xasprintf("%s %s:%s in %s ", step->name, copied.kind, copied.digest,
		words.items[words.len - 1]);
	command = note_command(b, told, true);
	digest_of(told, strlen(told), copied.digest);
	return step_commit(
		b, "", command, &(struct layer){.digest = copied.digest, .size = copied.size}, err);
}

/* ---- RUN ---- */

static void run_output(void *arg, int fd, const char *data, size_t len, int64_t ns)
{
	struct sim_build *b = arg;

	(void)ns;
	if (!data || fd == SIM_STDIN)
		return;
	if (fd == SIM_STDERR)
		sim_build_say(b, "\x1b[91m%.*s\x1b[0m", (int)len, data);
	else
		sim_build_say(b, "%.*s", (int)len, data);
}

/* The container's end is told from its inside: the build goes on from the loop. */
static void run_ended(void *arg, int code)
{
	struct sim_build *b = arg;

	b->code = code;
	sim_container_unfollow(&b->follower);
	loop_timer_start(b->timer, 0);
}

/* SIM_BUILD_REFUSED, or -1: it runs, and build_go_on is called when it has ended. */
static int step_run(struct sim_build *b, const struct sim_step *step, struct err *err)
{
	CLEANUP_JSON json_t *command = sim_dockerfile_command(b->config, step->rest);
	struct sim_container *c = b->image ? step_container(b, command) : NULL;

	if (!c)
		return sim_fail(
			err, SIM_BUILD_REFUSED, "there is no image to run \"%s\" in", step->rest);
	memcpy(b->container, c->id, sizeof(b->container));
	sim_build_say(b, " ---> Running in %.12s\n", c->id);
	b->waiter.condition = SIM_NEXT_EXIT;
	b->waiter.fn = run_ended;
	b->waiter.arg = b;
	b->follower.fn = run_output;
	b->follower.arg = b;
	sim_container_wait(c, &b->waiter);
	sim_container_follow(c, &b->follower);
	if (sim_container_start(c, err)) {
		sim_container_wait_cancel(&b->waiter);
		sim_container_unfollow(&b->follower);
		return SIM_BUILD_REFUSED;
	}
	/* What is not built in does its work in no time. */
	if (c->proc)
		sim_proc_brief(c->proc);
	else
		sim_container_end(c, 0);
	return -1;
}

/* The RUN before b->next has ended. */
int sim_build_run_over(struct sim_build *b, struct err *err)
{
	const struct sim_step *step = &b->steps.steps[b->next - 1];
	CLEANUP_JSON json_t *command = sim_dockerfile_command(b->config, step->rest);
	CLEANUP_BUF struct buf text = {0};
	struct layer none = {0};
	char id[SIM_ID_LEN + 1];
	json_t *item;
	size_t i;
	int status;
	struct sim_container *c = sim_container_find(b->e, b->container, &status, NULL);

	memcpy(id, b->container, sizeof(id));
	b->container[0] = '\0';
	if (b->code) {
		buf_init(&text, SIM_BODY_MAX);
		json_array_foreach (command, i, item)
			buf_printf(&text, "%s%s", i ? " " : "", json_string_value(item));
		if (c && sim_query_bool(b->r, "forcerm")) {
			(void)!sim_container_remove(c, true, true, NULL);
			sim_build_say(b, "Removing intermediate container %.12s\n", id);
		}
		return sim_fail(err, SIM_BUILD_REFUSED,
			"The command '%s' returned a non-zero code: %d", buf_str(&text), b->code);
	}
	if (c && !b->keeps && !sim_container_remove(c, true, true, NULL))
		sim_build_say(b, "Removing intermediate container %.12s\n", id);
	return step_commit(b, id, command, &none, err);
}

/* ---- Any ---- */

int sim_build_step(struct sim_build *b, const struct sim_step *step, struct err *err)
{
	CLEANUP_FREE char *told = NULL;
	int status;

	sim_build_say(b, "Step %zu/%zu : %s", b->next, b->steps.len, step->text);
	sim_build_say(b, "\n");
	if (str_eq(step->name, "FROM"))
		return step_from(b, step, err);
	if (str_eq(step->name, "ARG"))
		return step_arg(b, step, err);
	if (str_eq(step->name, "COPY") || str_eq(step->name, "ADD"))
		return step_copy(b, step, err);
	if (str_eq(step->name, "RUN"))
		return step_run(b, step, err);
	status = sim_dockerfile_apply(step, b->config, b->vars, &told, err);
	return status ? SIM_BUILD_REFUSED : step_note(b, step, told, err);
}
