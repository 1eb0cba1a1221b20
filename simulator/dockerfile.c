#include "simulator/dockerfile.h"

#include <ctype.h>
#include <string.h>

/* ---- Steps ---- */

static bool is_known(const char *name)
{
	static const char *const names[] = {"FROM", "RUN", "CMD", "LABEL", "MAINTAINER", "EXPOSE",
		"ENV", "ADD", "COPY", "ENTRYPOINT", "VOLUME", "USER", "WORKDIR", "ARG", "ONBUILD",
		"STOPSIGNAL", "HEALTHCHECK", "SHELL"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(name, names[i]))
			return true;
	return false;
}

static int step_add(struct sim_dockerfile *d, const char *text, unsigned line, struct err *err)
{
	size_t len = strcspn(text, " \t");
	CLEANUP_FREE char *name = xstrndup(text, len);
	struct sim_step *s;

	for (char *p = name; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	if (!is_known(name))
		return sim_fail(err, 400, "dockerfile parse error line %u: unknown instruction: %s",
			line, name);
	if (!text[len] && !str_eq(name, "CMD") && !str_eq(name, "ENTRYPOINT"))
		return sim_fail(err, 400,
			"dockerfile parse error line %u: %s requires at least one argument", line,
			name);
	if ((str_eq(name, "ENV") || str_eq(name, "LABEL")) && !strpbrk(text + len + 1, "= \t"))
		return sim_fail(
			err, 400, "failed to parse Dockerfile: %s must have two arguments", name);
	if (d->len >= SIM_STEPS_MAX)
		return sim_fail(err, 400, "the Dockerfile has too many steps");
	d->steps = xreallocarray(d->steps, d->len + 1, sizeof(*d->steps));
	s = &d->steps[d->len++];
	s->line = line;
	s->name = TAKE_PTR(name);
	s->text = xstrdup(text);
	s->rest = s->text + len + strspn(s->text + len, " \t");
	return 0;
}

/* One line without its end, the blanks before it unless it goes on with another, and comments.
 * Owned. */
static char *line_of(const char *text, size_t len, bool goes_on)
{
	size_t blanks = 0;

	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	while (blanks < len && isspace((unsigned char)text[blanks]))
		blanks++;
	if (blanks == len || text[blanks] == '#')
		return xstrdup("");
	return goes_on ? xstrndup(text, len) : xstrndup(text + blanks, len - blanks);
}

int sim_dockerfile_parse(const char *text, size_t len, struct sim_dockerfile *out, struct err *err)
{
	CLEANUP_BUF struct buf whole = {0};
	unsigned number = 0;
	unsigned first = 0;

	*out = (struct sim_dockerfile){0};
	buf_init(&whole, SIM_DOCKERFILE_MAX + 1);
	while (len) {
		const char *newline = memchr(text, '\n', len);
		size_t n = newline ? (size_t)(newline - text) : len;
		CLEANUP_FREE char *line = line_of(text, n, whole.len > 0);
		size_t line_len = strlen(line);
		bool goes_on = line_len && line[line_len - 1] == '\\';
		int status;

		number++;
		n += newline != NULL;
		text += n;
		len -= n;
		if (!whole.len)
			first = number;
		buf_append(&whole, line, line_len - goes_on);
		/* Comments and empty lines between the lines of a step are passed over. */
		if (goes_on || (!line_len && len))
			continue;
		if (!whole.len)
			continue;
		status = step_add(out, buf_str(&whole), first, err);
		if (status)
			return status;
		buf_reset(&whole);
	}
	return whole.len ? step_add(out, buf_str(&whole), first, err) : 0;
}

void sim_dockerfile_cut(struct sim_dockerfile *d, size_t len)
{
	while (d->len > len) {
		d->len--;
		free(d->steps[d->len].name);
		free(d->steps[d->len].text);
	}
}

void sim_dockerfile_free(struct sim_dockerfile *d)
{
	sim_dockerfile_cut(d, 0);
	free(d->steps);
	*d = (struct sim_dockerfile){0};
}

/* ---- Words and variables ---- */

/* p stands behind '$'. What follows the variable. */
static const char *variable(const char *p, const json_t *vars, struct buf *out)
{
	bool braces = *p == '{';
	const char *start = p + braces;
	size_t len = 0;
	CLEANUP_FREE char *name = NULL;
	CLEANUP_FREE char *word = NULL;
	const char *value;
	const char *close;
	char how;

	while (isalnum((unsigned char)start[len]) || start[len] == '_')
		len++;
	name = xstrndup(start, len);
	value = json_str(vars, name, "");
	if (!braces) {
		buf_append_str(out, len ? value : "$");
		return start + len;
	}
	close = strchr(start + len, '}');
	if (!close) {
		buf_append_str(out, value);
		return start + len;
	}
	how = start[len] == ':' && start + len + 1 < close ? start[len + 1] : '\0';
	if (how)
		word = xstrndup(start + len + 2, (size_t)(close - (start + len + 2)));
	if (how == '-' && !*value)
		buf_append_str(out, word);
	else if (how == '+')
		buf_append_str(out, *value ? word : "");
	else
		buf_append_str(out, value);
	return close + 1;
}

/* Up to a blank outside of quotes, or the end of the text when whole. */
static const char *word_take(const char *p, const json_t *vars, bool whole, struct buf *out)
{
	char quote = '\0';

	while (*p && (quote || whole || (*p != ' ' && *p != '\t'))) {
		if (quote ? *p == quote : *p == '"' || *p == '\'') {
			quote = quote ? '\0' : *p;
			p++;
		} else if (*p == '\\' && p[1] && quote != '\'') {
			buf_append_char(out, p[1]);
			p += 2;
		} else if (*p == '$' && quote != '\'' && vars) {
			p = variable(p + 1, vars, out);
		} else {
			buf_append_char(out, *p++);
		}
	}
	return p;
}

char *sim_dockerfile_expand(const char *text, const json_t *vars)
{
	struct buf out;

	buf_init(&out, SIM_BODY_MAX);
	word_take(text, vars, true, &out);
	return buf_take(&out);
}

void sim_dockerfile_words(const char *text, const json_t *vars, struct str_list *out)
{
	while (*(text += strspn(text, " \t"))) {
		struct buf word;

		buf_init(&word, SIM_BODY_MAX);
		text = word_take(text, vars, false, &word);
		str_list_add_take(out, buf_take(&word));
	}
}

json_t *sim_dockerfile_list(const char *text)
{
	CLEANUP_JSON json_t *list = *text == '[' ? json_parse(text, strlen(text), NULL) : NULL;
	json_t *item;
	size_t i;

	if (!json_is_array(list))
		return NULL;
	json_array_foreach (list, i, item)
		if (!json_is_string(item))
			return NULL;
	return TAKE_PTR(list);
}

json_t *sim_dockerfile_command(const json_t *config, const char *text)
{
	json_t *list = sim_dockerfile_list(text);
	json_t *shell = json_arr(config, "Shell");

	if (list)
		return list;
	if (!*text)
		return json_array();
	list = shell ? json_copy(shell) : json_pack("[s,s]", "/bin/sh", "-c");
	json_array_append_new(list, json_string(text));
	return list;
}

/* ---- Steps that change the configuration ---- */

static json_t *object_of(json_t *config, const char *key)
{
	json_t *object = json_object_get(config, key);

	if (!json_is_object(object)) {
		object = json_object();
		json_object_set_new(config, key, object);
	}
	return object;
}

static void env_set(json_t *config, const char *key, const char *value)
{
	json_t *env = json_object_get(config, "Env");
	size_t len = strlen(key);
	json_t *item;
	size_t i;

	if (!json_is_array(env)) {
		env = json_array();
		json_object_set_new(config, "Env", env);
	}
	json_array_foreach (env, i, item) {
		const char *text = json_string_value(item);

		if (strncmp(text, key, len) == 0 && text[len] == '=') {
			json_array_set_new(env, i, json_sprintf("%s=%s", key, value));
			return;
		}
	}
	json_array_append_new(env, json_sprintf("%s=%s", key, value));
}

/* ENV and LABEL: "A=b C=d", or "A b c". */
static int pairs_apply(const struct sim_step *step, json_t *config, json_t *vars, struct buf *told,
	struct err *err)
{
	bool env = str_eq(step->name, "ENV");
	CLEANUP_STR_LIST struct str_list words = {0};
	size_t first = strcspn(step->rest, " \t");

	if (!memchr(step->rest, '=', first)) {
		const char *value = step->rest + first + strspn(step->rest + first, " \t");
		CLEANUP_FREE char *key = xstrndup(step->rest, first);

		str_list_add_take(&words, xasprintf("%s=%s", key, value));
	} else {
		sim_dockerfile_words(step->rest, vars, &words);
	}
	buf_append_str(told, step->name);
	for (size_t i = 0; i < words.len; i++) {
		const char *equals = strchr(words.items[i], '=');
		CLEANUP_FREE char *key = NULL;

		if (!equals || equals == words.items[i])
			return sim_fail(err, 400,
				"dockerfile parse error line %u: Syntax error - can't find = in "
				"\"%s\". Must be of the form: name=value",
				step->line, words.items[i]);
		key = xstrndup(words.items[i], (size_t)(equals - words.items[i]));
		buf_printf(told, " %s", words.items[i]);
		if (!env) {
			json_object_set_new(
				object_of(config, "Labels"), key, json_string(equals + 1));
			continue;
		}
		env_set(config, key, equals + 1);
		json_object_set_new(vars, key, json_string(equals + 1));
	}
	return 0;
}

static void expose_apply(
	const struct sim_step *step, json_t *config, json_t *vars, struct buf *told)
{
	CLEANUP_STR_LIST struct str_list words = {0};

	sim_dockerfile_words(step->rest, vars, &words);
	str_list_sort(&words);
	buf_append_str(told, "EXPOSE");
	for (size_t i = 0; i < words.len; i++) {
		CLEANUP_FREE char *port = strchr(words.items[i], '/')
						  ? xstrdup(words.items[i])
						  : xasprintf("%s/tcp", words.items[i]);

		json_object_set_new(object_of(config, "ExposedPorts"), port, json_object());
		buf_printf(told, " %s", words.items[i]);
	}
}

static void volume_apply(
	const struct sim_step *step, json_t *config, json_t *vars, struct buf *told)
{
	CLEANUP_JSON json_t *list = sim_dockerfile_list(step->rest);
	CLEANUP_STR_LIST struct str_list words = {0};
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		str_list_add(&words, json_string_value(item));
	if (!list)
		sim_dockerfile_words(step->rest, vars, &words);
	buf_append_str(told, "VOLUME [");
	for (i = 0; i < words.len; i++) {
		json_object_set_new(object_of(config, "Volumes"), words.items[i], json_object());
		buf_printf(told, "%s%s", i ? " " : "", words.items[i]);
	}
	buf_append_char(told, ']');
}

static void workdir_apply(
	const struct sim_step *step, json_t *config, json_t *vars, struct buf *told)
{
	CLEANUP_FREE char *dir = sim_dockerfile_expand(step->rest, vars);
	const char *old = json_str(config, "WorkingDir", "");
	CLEANUP_FREE char *whole =
		*dir == '/' ? xstrdup(dir) : xasprintf("%s/%s", str_eq(old, "/") ? "" : old, dir);

	json_object_set_new(config, "WorkingDir", json_string(whole));
	buf_printf(told, "WORKDIR %s", whole);
}

/* CMD, ENTRYPOINT, SHELL: a list. */
static int list_apply(
	const struct sim_step *step, json_t *config, struct buf *told, struct err *err)
{
	bool entrypoint = str_eq(step->name, "ENTRYPOINT");
	bool shell = str_eq(step->name, "SHELL");
	json_t *list = shell ? sim_dockerfile_list(step->rest)
			     : sim_dockerfile_command(config, step->rest);
	json_t *item;
	size_t i;

	if (!list)
		return sim_fail(err, 400,
			"dockerfile parse error line %u: SHELL requires the arguments to be in "
			"JSON form",
			step->line);
	/* An entrypoint takes the command of the image below away. */
	if (entrypoint && !json_bool(config, "CmdSet", false))
		json_object_set_new(config, "Cmd", json_null());
	json_object_set_new(config, shell ? "Shell" : entrypoint ? "Entrypoint" : "Cmd", list);
	buf_printf(told, "%s [", step->name);
	json_array_foreach (list, i, item) {
		if (i)
			buf_append_char(told, ' ');
		sim_json_quote(told, json_string_value(item));
	}
	buf_append_char(told, ']');
	return 0;
}

int sim_dockerfile_apply(
	const struct sim_step *step, json_t *config, json_t *vars, char **told, struct err *err)
{
	const char *name = step->name;
	struct buf text;
	int status = 0;

	buf_init(&text, SIM_BODY_MAX);
	if (str_eq(name, "ENV") || str_eq(name, "LABEL")) {
		status = pairs_apply(step, config, vars, &text, err);
	} else if (str_eq(name, "EXPOSE")) {
		expose_apply(step, config, vars, &text);
	} else if (str_eq(name, "VOLUME")) {
		volume_apply(step, config, vars, &text);
	} else if (str_eq(name, "WORKDIR")) {
		workdir_apply(step, config, vars, &text);
	} else if (str_eq(name, "CMD") || str_eq(name, "ENTRYPOINT") || str_eq(name, "SHELL")) {
		status = list_apply(step, config, &text, err);
	} else if (str_eq(name, "USER") || str_eq(name, "STOPSIGNAL")) {
		CLEANUP_FREE char *value = sim_dockerfile_expand(step->rest, vars);

		json_object_set_new(
			config, str_eq(name, "USER") ? "User" : "StopSignal", json_string(value));
		buf_printf(&text, "%s %s", name, value);
	} else if (str_eq(name, "ONBUILD")) {
		if (!json_is_array(json_object_get(config, "OnBuild")))
			json_object_set_new(config, "OnBuild", json_array());
		json_array_append_new(json_object_get(config, "OnBuild"), json_string(step->rest));
		buf_printf(&text, "ONBUILD %s", step->rest);
	} else if (str_eq(name, "MAINTAINER") || str_eq(name, "HEALTHCHECK")) {
		/* Kept in the history alone: nothing is checked here. */
		buf_printf(&text, "%s %s", name, step->rest);
	} else {
		status = 1;
	}
	*told = buf_take(&text);
	return status;
}
