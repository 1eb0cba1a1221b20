#include "scheduler/create_request.h"

#include "filters/expr.h"
#include "filters/filter.h"
#include "filters/text.h"
#include "lib/json.h"
#include "scheduler/create_priv.h"

#include <string.h>

/* Expressions are compiled only to be checked; placement compiles them again for its own use. */
static int terms_check(const struct create_request *request, struct err *err)
{
	struct filter_request *compiled = filter_request_new(&request->placement, err);

	if (compiled == NULL)
		return -1;
	filter_request_free(compiled);
	return 0;
}

void create_placement_update(struct create_request *request)
{
	struct placement *p = &request->placement;

	p->constraints = (const char *const *)request->constraints.items;
	p->constraints_len = request->constraints.len;
	p->affinities = (const char *const *)request->affinities.items;
	p->affinities_len = request->affinities.len;
	p->whitelists = (const char *const *)request->whitelists.items;
	p->whitelists_len = request->whitelists.len;
	p->volumes_from = (const char *const *)request->volumes_from.items;
	p->volumes_from_len = request->volumes_from.len;
	p->links = (const char *const *)request->links.items;
	p->links_len = request->links.len;
	p->network_container = request->network_container;
	p->volumes = (const char *const *)request->volumes.items;
	p->volumes_len = request->volumes.len;
	p->networks = (const char *const *)request->networks.items;
	p->networks_len = request->networks.len;
	p->want.ports = request->ports;
	p->want.exposed = request->exposed;
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.' || c == '-';
}

static int name_set(struct create_request *request, const char *name, struct err *err)
{
	struct text_clip clip;
	bool is_good;

	if (str_is_empty(name)) {
		request->name = xstrdup("");
		return 0;
	}
	if (name[0] == '/')
		name++;
	is_good = strlen(name) >= 2 && is_name_char(name[0]) && strchr("_.-", name[0]) == NULL;
	for (const char *p = name; is_good && *p != '\0'; p++)
		is_good = is_name_char(*p);
	if (!is_good)
		return err_set(err, ERR_INVALID,
			"Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
			text_clip(&clip, name));
	if (strlen(name) > CREATE_NAME_MAX)
		return err_set(err, ERR_INVALID,
			"Invalid container name (%s), at most %d characters are allowed",
			text_clip(&clip, name), CREATE_NAME_MAX);
	request->name = xstrdup(name);
	return 0;
}

static int label_cmp(const void *left, const void *right)
{
	const struct view_label *a = left;
	const struct view_label *b = right;

	return strcmp(a->key, b->key);
}

/* The view of what the body says, after the body has got its final form. */
static int want_fill(struct create_request *request, struct err *err)
{
	struct container_view *want = &request->placement.want;
	json_t *labels = json_obj(request->body, "Labels");
	json_t *image;
	const char *key;
	json_t *value;
	size_t len = 0;

	if (body_field_get(request->body, "", "Image", JSON_STRING, &image, err) < 0)
		return -1;
	want->id = "";
	want->swarm_id = request->swarm_id;
	want->name = request->name;
	want->image = image == NULL ? "" : json_string_value(image);
	want->image_id = "";
	request->labels = xcalloc(json_object_size(labels) + 1, sizeof(*request->labels));
	json_object_foreach (labels, key, value)
		request->labels[len++] =
			(struct view_label){.key = key, .value = json_string_value(value)};
	qsort(request->labels, len, sizeof(*request->labels), label_cmp);
	want->labels = (struct view_labels){.items = request->labels, .len = len};
	create_placement_update(request);
	return terms_check(request, err);
}

static int swarm_id_given(struct create_request *request, const char *swarm_id, struct err *err)
{
	if (swarm_id == NULL)
		return 0;
	if (strlen(swarm_id) != SWARM_ID_LEN || !str_is_hex(swarm_id, SWARM_ID_LEN))
		return err_set(
			err, ERR_INVALID, "a swarm ID has %d hexadecimal digits", SWARM_ID_LEN);
	memcpy(request->swarm_id, swarm_id, SWARM_ID_LEN + 1);
	return 0;
}

struct create_request *create_request_new(
	const json_t *body, const struct create_options *options, struct err *err)
{
	struct create_request *request = xcalloc(1, sizeof(*request));

	if (!json_is_object(body)) {
		err_set(err, ERR_INVALID, "the body must be a JSON object");
		goto fail;
	}
	request->body = json_deep_copy(body);
	if (options != NULL) {
		request->shares = options->shares;
		request->cpus_max = options->cpus_max;
	}
	if (name_set(request, options == NULL ? NULL : options->name, err) < 0 ||
		swarm_id_given(request, options == NULL ? NULL : options->swarm_id, err) < 0 ||
		create_read_fields(request, err) < 0 || create_read_terms(request, err) < 0 ||
		want_fill(request, err) < 0)
		goto fail;
	return request;
fail:
	create_request_free(request);
	return NULL;
}

struct create_request *create_request_new_build(const json_t *args, struct err *err)
{
	struct create_request *request = xcalloc(1, sizeof(*request));

	if (args != NULL && !json_is_null(args) && !json_is_object(args)) {
		err_set(err, ERR_INVALID, "buildargs must be a JSON object");
		goto fail;
	}
	request->body = json_is_object(args) ? json_deep_copy(args) : json_object();
	request->name = xstrdup("");
	if (create_read_build_args(request, err) < 0)
		goto fail;
	request->placement.want = (struct container_view){
		.id = "", .swarm_id = "", .name = "", .image = "", .image_id = ""};
	create_placement_update(request);
	if (terms_check(request, err) < 0)
		goto fail;
	return request;
fail:
	create_request_free(request);
	return NULL;
}

struct create_request *create_request_new_labels(const json_t *body, struct err *err)
{
	struct create_request *request = xcalloc(1, sizeof(*request));

	if (!json_is_object(body)) {
		err_set(err, ERR_INVALID, "the body must be a JSON object");
		goto fail;
	}
	request->body = json_deep_copy(body);
	request->name = xstrdup("");
	if (body_object_check(request->body, "the request", err) < 0 ||
		create_read_labels(request, err) < 0)
		goto fail;
	request->placement.want = (struct container_view){
		.id = "", .swarm_id = "", .name = "", .image = "", .image_id = ""};
	create_placement_update(request);
	if (terms_check(request, err) < 0)
		goto fail;
	return request;
fail:
	create_request_free(request);
	return NULL;
}

void create_request_free(struct create_request *request)
{
	if (request == NULL)
		return;
	json_decref(request->body);
	free(request->name);
	str_list_free(&request->constraints);
	str_list_free(&request->affinities);
	str_list_free(&request->whitelists);
	str_list_free(&request->reschedules);
	str_list_free(&request->volumes_from);
	str_list_free(&request->links);
	str_list_free(&request->volumes);
	str_list_free(&request->networks);
	str_list_free(&request->ips);
	free(request->network_container);
	free(request->preferred_node);
	free(request->ports);
	free(request->exposed);
	free(request->labels);
	free(request);
}

const struct placement *create_request_placement(const struct create_request *request)
{
	return &request->placement;
}

const char *create_request_name(const struct create_request *request)
{
	return request->name;
}

const char *create_request_image(const struct create_request *request)
{
	return request->placement.want.image;
}

const char *create_request_swarm_id(const struct create_request *request)
{
	return request->swarm_id;
}

bool create_request_names_volumes(const struct create_request *request)
{
	return request->names_volumes;
}

void create_request_prefer_node(struct create_request *request, const char *node_id)
{
	free(request->preferred_node);
	request->preferred_node = xstrdup(node_id);
}

const char *create_request_preferred_node(const struct create_request *request)
{
	return request->preferred_node != NULL ? request->preferred_node : "";
}

int create_request_add_term(struct create_request *request, enum create_term kind,
	const char *expression, struct err *err)
{
	struct str_list *list = kind == CREATE_CONSTRAINT ? &request->constraints
				: kind == CREATE_AFFINITY ? &request->affinities
							  : &request->whitelists;
	int result;

	str_list_add(list, expression);
	create_placement_update(request);
	result = terms_check(request, err);
	if (result < 0) {
		free(list->items[--list->len]);
		create_placement_update(request);
	}
	return result;
}
