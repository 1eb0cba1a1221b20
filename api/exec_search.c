#include "api/exec_search.h"
#include "api/fanout.h"
#include "lib/hash.h"
#include "lib/str.h"

#include <string.h>
#include <utlist.h>

#define ASK_TIMEOUT_MS 10000
#define ASK_REPLY_MAX (1024 * 1024)

/* A request that waits. */
struct asker {
	struct search *search; /* NULL when it waits no more */
	struct asker *prev, *next;
	struct request *r;
	char *client;
	exec_found_fn *found;
	void *arg;
};

/* For one ID. It lives as long as somebody waits; the first asker's request is the one that engines
 * are asked by. */
struct search {
	UT_hash_handle hh;
	struct exec_searches *all;
	struct search *prev, *next; /* in the queue */
	struct asker *askers;
	bool is_under_way, is_over;
	char id[];
};

struct missed {
	UT_hash_handle hh; /* the oldest first */
	uint64_t at_ms;
	char id[];
};

struct exec_searches {
	struct api *api;
	struct search *by_id;
	struct search *queue;
	struct missed *missed;
	size_t under_way, askers;
	bool is_deferred; /* start_one */
};

/* ---- What no engine knew ---- */

static uint64_t now_ms(const struct exec_searches *all)
{
	return all->api->config.env->now_ms(all->api->config.env);
}

static void missed_drop(struct exec_searches *all, struct missed *missed)
{
	HASH_DEL(all->missed, missed);
	free(missed);
}

static bool is_missed(struct exec_searches *all, const char *id)
{
	struct missed *missed;

	while (all->missed != NULL && now_ms(all) - all->missed->at_ms >= EXEC_MISSED_MS)
		missed_drop(all, all->missed);
	HASH_FIND_STR(all->missed, id, missed);
	return missed != NULL;
}

static void missed_add(struct exec_searches *all, const char *id)
{
	size_t len = strlen(id);
	struct missed *missed;

	if (is_missed(all, id))
		return;
	if (HASH_COUNT(all->missed) >= EXEC_MISSED_MAX)
		missed_drop(all, all->missed);
	missed = xcalloc(1, sizeof(*missed) + len + 1);
	memcpy(missed->id, id, len);
	missed->at_ms = now_ms(all);
	HASH_ADD_KEYPTR(hh, all->missed, missed->id, len, missed);
}

void exec_search_created(struct exec_searches *searches, const char *id)
{
	struct missed *missed;

	HASH_FIND_STR(searches->missed, id, missed);
	if (missed != NULL)
		missed_drop(searches, missed);
}

/* ---- The end of a search ---- */

static void leave(struct asker *asker)
{
	struct search *search = TAKE_PTR(asker->search);

	DL_DELETE(search->askers, asker);
	search->all->askers--;
}

/* No more is to be done for it, but to tell its askers. */
static void search_close(struct search *search)
{
	struct exec_searches *all = search->all;

	search->is_over = true;
	HASH_DEL(all->by_id, search);
	if (search->is_under_way)
		all->under_way--;
	else
		DL_DELETE(all->queue, search);
}

static void start_later(struct exec_searches *all);

/* node: NULL = no engine knows it. */
static void search_finish(struct search *search, struct node *node)
{
	struct exec_searches *all = search->all;

	search_close(search);
	while (search->askers != NULL) {
		struct asker *asker = search->askers;

		leave(asker);
		if (node != NULL)
			asker->found(asker->r, node, asker->arg);
		else
			exchange_reply_error(
				asker->r->x, 404, "No such exec instance: %s", asker->r->name);
	}
	free(search);
	start_later(all);
}

/* ---- Asking ---- */

static bool search_answered(struct request *r, struct fanout_reply *reply, void *arg)
{
	struct search *search = arg;
	struct cluster *cluster = r->api->config.cluster;
	json_t *json CLEANUP_JSON = reply->status == 200 ? fanout_json(reply) : NULL;
	struct container *container;
	struct node *node;

	if (json == NULL)
		return false;
	container = cluster_container_find(cluster, json_str(json, "ContainerID", ""), NULL);
	if (container == NULL || container->node != reply->node)
		return false;
	cluster_exec_add(cluster, search->id, container);
	node = container->node;
	node_ref(node);
	search_finish(search, node);
	node_unref(node);
	return true;
}

static bool is_complete(
	const struct exec_searches *all, const struct fanout_reply *replies, size_t len)
{
	struct cluster_totals totals;

	cluster_totals(all->api->config.cluster, &totals);
	for (size_t i = 0; i < len; i++) {
		if (replies[i].status != 404)
			return false;
	}
	return len == totals.nodes;
}

static void search_missed(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct search *search = arg;

	(void)r;
	/* One that could not tell may tell the next time. */
	if (is_complete(search->all, replies, len))
		missed_add(search->all, search->id);
	search_finish(search, NULL);
}

static void search_start(struct search *search)
{
	char *path CLEANUP_FREE = xasprintf("/exec/%s/json", search->id);
	const struct fanout_spec spec = {.method = "GET",
		.path = path,
		.query = "",
		.reply_max = ASK_REPLY_MAX,
		.timeout_ms = ASK_TIMEOUT_MS,
		.each = search_answered,
		.done = search_missed,
		.arg = search};
	size_t len = 0;
	struct node **nodes CLEANUP_FREE = request_healthy_nodes(search->askers->r, &len);

	DL_DELETE(search->all->queue, search);
	search->is_under_way = true;
	search->all->under_way++;
	fanout(search->askers->r, nodes, len, &spec);
}

/* One in a turn: it sends as many calls as there are nodes. */
static void start_one(void *arg)
{
	struct exec_searches *all = arg;

	all->is_deferred = false;
	if (all->queue == NULL || all->under_way >= EXEC_SEARCHES_AT_ONCE)
		return;
	search_start(all->queue);
	start_later(all);
}

static void start_later(struct exec_searches *all)
{
	if (all->is_deferred || all->queue == NULL || all->under_way >= EXEC_SEARCHES_AT_ONCE)
		return;
	all->is_deferred = true;
	loop_defer(all->api->config.loop, start_one, all);
}

/* The engines' answers go with the client by whose request they were asked: then another one asks,
 * before all that wait. */
static void asker_left(struct search *search, bool was_first)
{
	struct exec_searches *all = search->all;

	if (search->is_over || !was_first)
		return;
	if (search->askers == NULL) {
		search_close(search);
		free(search);
	} else if (search->is_under_way) {
		search->is_under_way = false;
		all->under_way--;
		DL_PREPEND(all->queue, search);
	}
	start_later(all);
}

static void asker_end(struct exchange *x, bool finished, void *arg)
{
	struct asker *asker = arg;
	struct search *search = asker->search;

	(void)x;
	(void)finished;
	if (search != NULL) {
		bool was_first = search->askers == asker;

		leave(asker);
		asker_left(search, was_first);
	}
	free(asker->client);
	free(asker);
}

/* ---- Start ---- */

static bool is_too_much(const struct exec_searches *all, const char *client)
{
	size_t of_client = 0;

	for (const struct search *search = all->by_id; search != NULL; search = search->hh.next) {
		for (const struct asker *a = search->askers; a != NULL; a = a->next)
			of_client += str_eq(a->client, client);
	}
	return all->askers >= EXEC_ASKERS_MAX || of_client >= EXEC_CLIENT_ASKERS_MAX;
}

static struct search *need_search(struct exec_searches *all, const char *id)
{
	size_t len = strlen(id);
	struct search *search;

	HASH_FIND_STR(all->by_id, id, search);
	if (search != NULL)
		return search;
	search = xcalloc(1, sizeof(*search) + len + 1);
	search->all = all;
	memcpy(search->id, id, len);
	HASH_ADD_KEYPTR(hh, all->by_id, search->id, len, search);
	DL_APPEND(all->queue, search);
	return search;
}

void exec_search(struct request *r, exec_found_fn *found, void *arg)
{
	struct exec_searches *all = r->api->searches;
	char *client CLEANUP_FREE = request_client(exchange_peer(r->x));
	struct asker *asker;

	if (is_missed(all, r->name)) {
		exchange_reply_error(r->x, 404, "No such exec instance: %s", r->name);
		return;
	}
	if (is_too_much(all, client)) {
		exchange_reply_error(r->x, 503,
			"too many exec instances are searched for on all engines: try again");
		return;
	}
	asker = xcalloc(1, sizeof(*asker));
	asker->r = r;
	asker->client = TAKE_PTR(client);
	asker->found = found;
	asker->arg = arg;
	asker->search = need_search(all, r->name);
	DL_APPEND(asker->search->askers, asker);
	all->askers++;
	exchange_on_end(r->x, asker_end, asker);
	start_later(all);
}

struct exec_searches *exec_searches_new(struct api *api)
{
	struct exec_searches *searches = xcalloc(1, sizeof(*searches));

	searches->api = api;
	return searches;
}

void exec_searches_free(struct exec_searches *searches)
{
	struct search *search, *next;

	HASH_ITER (hh, searches->by_id, search, next) {
		while (search->askers != NULL)
			leave(search->askers);
		HASH_DEL(searches->by_id, search);
		free(search);
	}
	searches->queue = NULL;
	while (searches->missed != NULL)
		missed_drop(searches, searches->missed);
	/* A turn may still be due. */
	loop_defer(searches->api->config.loop, free, searches);
}
