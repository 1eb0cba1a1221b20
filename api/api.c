/* The routing table, and the way from an exchange to the function that answers it. */
#include "api/api_priv.h"
#include "api/bodies.h"
#include "api/builds.h"
#include "api/exec_search.h"
#include "api/image_fetch.h"
#include "api/making.h"
#include "api/paced.h"
#include "api/pins.h"
#include "api/routes.h"
#include "api/wanted_image.h"
#include "lib/str.h"

#include <string.h>

#define SURVEY_MS 1000

static void request_free(struct exchange *x, bool finished, void *arg)
{
	struct request *r = arg;

	(void)x;
	(void)finished;
	for (size_t i = 0; i < r->query_len; i++) {
		free(r->query[i].name);
		free(r->query[i].value);
	}
	free(r->query);
	free(r->raw_query);
	free(r->name);
	json_decref(r->body);
	free(r);
}

/* What all healthy engines can do. A walk over the nodes, so not for every request. Where their
 * ranges of versions do not meet, the lowest of the newest engine is offered: clients of its age
 * need that much, and older engines are asked in their own range whatever the client says. */
static void survey(struct api *api)
{
	uint64_t now = loop_now_ms(api->config.loop);
	int lowest_max = API_VERSION_MAX_MINOR, highest_min = API_VERSION_MIN_MINOR;
	struct node *const *nodes;
	size_t len, healthy = 0, buildkit = 0;
	int64_t cpus_max = 0;

	if (api->surveyed_ms != 0 && now - api->surveyed_ms < SURVEY_MS)
		return;
	api->surveyed_ms = now;
	nodes = cluster_nodes(api->config.cluster, &len);
	for (size_t i = 0; i < len; i++) {
		int min, max;

		if (node_state(nodes[i]) != NODE_HEALTHY)
			continue;
		healthy++;
		buildkit += node_prefers_buildkit(nodes[i]);
		if (node_cpus(nodes[i]) > cpus_max)
			cpus_max = node_cpus(nodes[i]);
		forward_minor_range(nodes[i], &min, &max);
		if (max < lowest_max)
			lowest_max = max;
		if (min > highest_min)
			highest_min = min;
	}
	if (lowest_max < highest_min)
		lowest_max = highest_min;
	api->min_minor =
		highest_min < API_VERSION_MIN_MINOR_MOST ? highest_min : API_VERSION_MIN_MINOR_MOST;
	api->max_minor = lowest_max < API_VERSION_MAX_MINOR ? lowest_max : API_VERSION_MAX_MINOR;
	api->cpus_max = cpus_max;
	api->prefers_buildkit = healthy > 0 && buildkit == healthy;
}

int api_min_minor(struct api *api)
{
	survey(api);
	return api->min_minor;
}

int api_max_minor(struct api *api)
{
	survey(api);
	return api->max_minor;
}

int64_t api_cpus_max(struct api *api)
{
	survey(api);
	return api->cpus_max;
}

bool api_prefers_buildkit(struct api *api)
{
	survey(api);
	return api->prefers_buildkit;
}

static void exec_created(struct api *api, const json_t *event)
{
	const char *id = json_str(json_path(event, "Actor", "Attributes", NULL), "execID", NULL);

	if (id != NULL)
		exec_search_created(api->searches, id);
}

/* Nodes came or went: what is offered may be something else. */
static void on_event(const struct event *event, void *arg)
{
	struct api *api = arg;

	if (str_eq(event->type, "swarm"))
		api->surveyed_ms = 0;
	if (str_has_prefix(event->action, "exec_create"))
		exec_created(api, event->json);
}

/* Up to max digits at p, at least one: what is behind them, or NULL. */
static const char *take_digits(const char *p, size_t max, int *number)
{
	const char *begin = p;

	for (*number = 0; *p >= '0' && *p <= '9' && (size_t)(p - begin) < max; p++)
		*number = *number * 10 + (*p - '0');
	return p > begin ? p : NULL;
}

/* Takes "/v1.41" off the front of the path. The words for what is out of range are an engine's. */
static int parse_version(struct api *api, const char **path, int *minor, struct err *err)
{
	const char *p = *path;
	int major, told;

	*minor = api_max_minor(api);
	if (!str_has_prefix(p, "/v") || (p = take_digits(p + 2, 3, &major)) == NULL || *p != '.' ||
		(p = take_digits(p + 1, 4, &told)) == NULL || (*p != '/' && *p != '\0'))
		return 0;
	*path = p;
	*minor = told;
	if (major < 1 || (major == 1 && *minor < api_min_minor(api)))
		return err_set(err, ERR_INVALID,
			"client version %d.%d is too old. Minimum supported API version is 1.%d, "
			"please upgrade your "
			"client to a newer version",
			major, *minor, api_min_minor(api));
	if (major > 1 || *minor > API_VERSION_MAX_MINOR)
		return err_set(err, ERR_INVALID,
			"client version %d.%d is too new. Maximum supported API version is 1.%d",
			major, *minor, api_max_minor(api));
	return 0;
}

/* Fills in what the path says. False: the error was sent. */
static bool find_route(struct request *r, const char *path)
{
	struct route_found found = route_find(exchange_method(r->x), path, strcspn(path, "?"));

	if (found.route == NULL) {
		exchange_reply_error(r->x, 404, "page not found");
		return false;
	}
	r->route = found.route;
	r->name = str_url_decode(found.name, found.name_len, false);
	if (r->name == NULL)
		exchange_reply_error(r->x, 400, "the path holds a bad percent escape");
	return r->name != NULL;
}

/* What is judged here are the bytes that the route reads next. */
static void judge_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct request *r = arg;
	struct err err = ERR_INIT;

	if (len > 0) {
		r->body = body_read(body, len, r->route->fields, &err);
		if (r->body == NULL) {
			/* What follows may be meant for the stream. */
			if (r->route->upgrade != NULL)
				exchange_end_connection(x);
			request_fail(r, &err);
			return;
		}
	}
	if (exchange_body_length(x) != 0)
		exchange_put_body(x, body, len);
	r->route->answer(r);
}

static void handle(struct handler *handler, struct exchange *x)
{
	struct api *api = CONTAINER_OF(handler, struct api, handler);
	struct request *r = xcalloc(1, sizeof(*r));
	const char *path = exchange_target(x), *query;
	struct err err = ERR_INIT;

	r->api = api;
	r->x = x;
	query = strchr(path, '?');
	exchange_on_end(x, request_free, r);
	api_default_headers(api, x);
	api_pass_headers(x);
	if (parse_version(api, &path, &r->minor, &err) != 0 ||
		request_query_read(r, query != NULL ? query + 1 : NULL, &err) != 0) {
		request_fail(r, &err);
		return;
	}
	/* Engines take it for every path, and checks of load balancers ask nothing else. */
	if (str_eq(exchange_method(x), "OPTIONS")) {
		exchange_reply(x, 200, NULL, "", 0);
		return;
	}
	if (!find_route(r, path) || !body_head_check(r))
		return;
	if (r->route->fields != NULL)
		exchange_read_body(x, API_BODY_MAX, judge_body, r);
	else
		r->route->answer(r);
}

static void api_free(struct handler *handler)
{
	struct api *api = CONTAINER_OF(handler, struct api, handler);

	exec_searches_free(api->searches);
	builds_free(api->builds);
	image_fetches_free(api->fetches);
	wanted_images_free(api->wanted);
	paced_free(api->paced);
	pins_free(api->made);
	buf_reset(&api->edited);
	event_listener_free(api->listener);
	events_free(api->events);
	str_list_free(&api->filters);
	http_headers_free(&api->defaults);
	free((char *)api->config.version);
	free((char *)api->config.strategy);
	free(api);
}

static const struct handler_ops api_ops = {
	.name = "api",
	.handle = handle,
	.free = api_free,
};

struct handler *api_new(const struct api_config *config)
{
	struct api *api = xcalloc(1, sizeof(*api));

	api->handler.ops = &api_ops;
	api->config = *config;
	api->config.version = xstrdup(config->version);
	api->config.strategy = xstrdup(config->strategy);
	for (size_t i = 0; i < config->filters->len; i++)
		str_list_add(&api->filters, config->filters->items[i]);
	api->config.filters = &api->filters;
	api->events = events_new(api);
	api->searches = exec_searches_new(api);
	api->builds = builds_new(api);
	api->fetches = image_fetches_new(config->loop, config->cluster);
	api->wanted = wanted_images_new(config->env);
	api->paced = paced_new(config->loop);
	api->made = pins_new(MAKING_CLIENTS_MAX, MAKING_TTL_MS);
	buf_init(&api->edited, API_EDITED_MAX);
	api->listener = cluster_listen(config->cluster, on_event, api);
	return &api->handler;
}
