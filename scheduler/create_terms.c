/* The cluster's own words in a create request: terms in Env and labels, the reschedule policy, and
 * terms in the arguments of a build. */
#include "filters/expr.h"
#include "filters/text.h"
#include "lib/json.h"
#include "scheduler/create_priv.h"

#include <string.h>

struct term_kind {
	const char *prefix; /* in Env and build arguments */
	const char *label;
	size_t offset; /* of its str_list in struct create_request */
};

static const struct term_kind kinds[] = {
	{"constraint:", SWARM_LABEL_CONSTRAINTS, offsetof(struct create_request, constraints)},
	{"affinity:", SWARM_LABEL_AFFINITIES, offsetof(struct create_request, affinities)},
	{"whitelist:", SWARM_LABEL_WHITELISTS, offsetof(struct create_request, whitelists)},
	{"reschedule:", SWARM_LABEL_RESCHEDULE, offsetof(struct create_request, reschedules)},
};

static struct str_list *list_of(struct create_request *request, const struct term_kind *kind)
{
	return (struct str_list *)(void *)((char *)request + kind->offset);
}

static const struct term_kind *kind_of(const char *text)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (str_has_prefix(text, kinds[i].prefix))
			return &kinds[i];
	}
	return NULL;
}

static int term_add(struct create_request *request, const struct term_kind *kind, const char *term,
	struct err *err)
{
	struct str_list *list = list_of(request, kind);

	if (list->len == EXPR_TERMS_MAX)
		return err_set(err, ERR_INVALID, "too many '%s' terms: at most %d", kind->prefix,
			EXPR_TERMS_MAX);
	str_list_add(list, term);
	return 0;
}

static int labels_check(const json_t *labels, struct err *err)
{
	struct text_clip clip;
	const char *key;
	json_t *value;
	size_t bytes = 0;

	json_object_foreach ((json_t *)(uintptr_t)labels, key, value) {
		if (!json_is_string(value))
			return err_set(err, ERR_INVALID,
				"Labels: the value of '%s' must be a string",
				text_clip(&clip, key));
		bytes += strlen(key) + json_string_length(value);
	}
	if (bytes > CREATE_LABELS_BYTES_MAX)
		return err_set(err, ERR_INVALID, "Labels are longer than %d bytes in all",
			CREATE_LABELS_BYTES_MAX);
	return 0;
}

/* An interactive shell leaves `\!` of an exclamation mark that was escaped, which is no JSON: owned
 * by the caller, without those backslashes. */
static char *without_shell_escapes(const char *text)
{
	char *out = xstrdup(text);
	char *to = out;

	while (*text != '\0') {
		if (text[0] == '\\' && text[1] == '!')
			text++;
		else if (text[0] == '\\' && text[1] != '\0')
			*to++ = *text++;
		*to++ = *text++;
	}
	*to = '\0';
	return out;
}

/* Terms that were given as a label directly: a JSON array of texts. */
static int label_read(struct create_request *request, const json_t *labels,
	const struct term_kind *kind, struct err *err)
{
	const char *text = json_string_value(json_object_get(labels, kind->label));
	CLEANUP_FREE char *plain = NULL;
	CLEANUP_JSON json_t *list = NULL;
	json_t *item;
	size_t i;

	if (str_is_empty(text))
		return 0;
	plain = without_shell_escapes(text);
	list = json_parse(plain, strlen(plain), NULL);
	if (!json_is_array(list))
		return err_set(err, ERR_INVALID, "label %s must hold a JSON array of strings",
			kind->label);
	json_array_foreach (list, i, item) {
		if (!json_is_string(item))
			return err_set(err, ERR_INVALID,
				"label %s must hold a JSON array of strings", kind->label);
		if (term_add(request, kind, json_string_value(item), err) < 0)
			return -1;
	}
	return 0;
}

static int env_read(struct create_request *request, struct err *err)
{
	json_t *env;
	CLEANUP_JSON json_t *kept = NULL;
	json_t *item;
	size_t i;

	if (body_field_get(request->body, "", "Env", JSON_ARRAY, &env, err) < 0)
		return -1;
	if (env == NULL)
		return 0;
	kept = json_array();
	json_array_foreach (env, i, item) {
		const char *text = json_string_value(item);
		const struct term_kind *kind;

		if (text == NULL)
			return err_set(err, ERR_INVALID, "Env must be a list of strings");
		kind = kind_of(text);
		if (kind == NULL)
			json_array_append(kept, item);
		else if (term_add(request, kind, text + strlen(kind->prefix), err) < 0)
			return -1;
	}
	if (json_array_size(kept) < json_array_size(env))
		json_put(request->body, "Env", TAKE_PTR(kept));
	return 0;
}

static int reschedule_check(const struct str_list *policies, struct err *err)
{
	struct text_clip clip;

	if (policies->len > 1)
		return err_set(err, ERR_INVALID, "too many reschedule policies");
	if (policies->len == 1 && !str_eq(policies->items[0], "off") &&
		!str_eq(policies->items[0], "on-node-failure"))
		return err_set(err, ERR_INVALID, "invalid reschedule policy: %s",
			text_clip(&clip, policies->items[0]));
	return 0;
}

/* The lists as they are now, into the labels. */
static void labels_write(struct create_request *request, json_t *labels)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct str_list *list = list_of(request, &kinds[i]);
		CLEANUP_JSON json_t *array = NULL;
		CLEANUP_FREE char *text = NULL;

		if (list->len == 0)
			continue;
		array = json_array();
		for (size_t j = 0; j < list->len; j++)
			json_array_append_new(array, json_string(list->items[j]));
		text = json_text(array, NULL);
		json_object_set_new(labels, kinds[i].label, json_string(text));
	}
}

static int swarm_id_set(struct create_request *request, json_t *labels, struct err *err)
{
	if (request->swarm_id[0] == '\0') {
		/* Images that were committed have an empty one, and clients copy it. */
		if (!str_is_empty(json_string_value(json_object_get(labels, SWARM_LABEL_ID))))
			return err_set(err, ERR_CONFLICT,
				"Conflict: the label %s is given by the cluster and cannot be "
				"chosen",
				SWARM_LABEL_ID);
		str_random_hex(request->swarm_id, SWARM_ID_LEN);
	}
	json_object_set_new(labels, SWARM_LABEL_ID, json_string(request->swarm_id));
	return 0;
}

int create_read_labels(struct create_request *request, struct err *err)
{
	json_t *labels;

	if (body_field_get(request->body, "", "Labels", JSON_OBJECT, &labels, err) < 0 ||
		labels_check(labels, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (label_read(request, labels, &kinds[i], err) < 0)
			return -1;
	}
	return 0;
}

int create_read_terms(struct create_request *request, struct err *err)
{
	json_t *labels;

	if (create_read_labels(request, err) < 0)
		return -1;
	labels = json_obj(request->body, "Labels");
	if (labels == NULL) {
		labels = json_object();
		json_put(request->body, "Labels", labels);
	}
	if (env_read(request, err) < 0 || reschedule_check(&request->reschedules, err) < 0 ||
		swarm_id_set(request, labels, err) < 0)
		return -1;
	labels_write(request, labels);
	/* Without one the label of an image would count. */
	if (request->has_weight || request->cpu_shares > 0)
		json_object_set_new(labels, SWARM_LABEL_SHARES,
			json_string(request->has_weight ? "weight" : ""));
	return 0;
}

int create_read_build_args(struct create_request *request, struct err *err)
{
	json_t *kept = json_object();
	const char *key;
	json_t *value;

	json_object_foreach (request->body, key, value) {
		const struct term_kind *kind = kind_of(key);
		CLEANUP_FREE char *term = NULL;

		if (kind == NULL) {
			json_object_set(kept, key, value);
			continue;
		}
		/* A null is an argument without `=`: no expression, which the filters will say. */
		term = json_is_string(value) ? xasprintf("%s=%s", key + strlen(kind->prefix),
						       json_string_value(value))
					     : xstrdup(key + strlen(kind->prefix));
		if (term_add(request, kind, term, err) < 0) {
			json_decref(kept);
			return -1;
		}
	}
	json_decref(request->body);
	request->body = kept;
	return reschedule_check(&request->reschedules, err);
}
