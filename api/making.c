#include "api/making.h"
#include "api/pins.h"
#include "api/project.h"
#include "lib/log.h"
#include "lib/str.h"
#include "scheduler/create_request.h"
#include "scheduler/scheduler.h"

#include <string.h>

/* ---- Life ---- */

static void making_end(struct exchange *x, bool finished, void *arg)
{
	struct making *m = arg;

	(void)x;
	(void)finished;
	promise_free(m->promise);
	create_request_free(m->terms);
	json_decref(m->body);
	free(m->warning);
	free(m);
}

/* The engine may have made it: the name stays promised until the inventory tells. */
static void making_unknown(struct node *node, void *arg)
{
	struct making *m = arg;

	(void)node;
	if (m->promise != NULL)
		promise_leave(TAKE_PTR(m->promise));
}

/* "node/name": the node, and the plain name into the body. */
static int split_name(struct making *m, struct err *err)
{
	const char *slash = strchr(m->name, '/');
	char *node CLEANUP_FREE = NULL;
	struct node *found;

	if (slash == NULL || slash == m->name || slash[1] == '\0')
		return 0;
	node = xstrndup(m->name, (size_t)(slash - m->name));
	found = request_node(m->r, node, err);
	if (found == NULL)
		return -1;
	if (m->node != NULL && m->node != found)
		return err_set(err, ERR_INVALID, "the name is of node %s, and the request of %s",
			node_view(found)->name, node_view(m->node)->name);
	m->node = found;
	json_put(m->body, "Name", json_string(slash + 1));
	m->name = json_str(m->body, "Name", "");
	return 0;
}

static int making_read(struct making *m, struct err *err)
{
	m->body = json_incref(m->r->body);
	m->terms = create_request_new_labels(m->body, err);
	if (m->terms == NULL)
		return -1;
	m->name = json_str(m->body, "Name", "");
	m->project = project_of(json_obj(m->body, "Labels"));
	if (request_node_named(m->r, &m->node, err) != 0)
		return -1;
	return split_name(m, err);
}

struct making *making_new(struct request *r, enum promise_kind kind)
{
	struct making *m = xcalloc(1, sizeof(*m));
	struct err err = ERR_INIT;

	m->r = r;
	m->kind = kind;
	exchange_on_end(r->x, making_end, m);
	if (making_read(m, &err) == 0)
		return m;
	request_fail(r, &err);
	return NULL;
}

/* ---- Where ---- */

/* What the client made last of this kind. Owned by the caller. */
static char *made_key(const struct making *m, enum promise_kind kind)
{
	char *client CLEANUP_FREE = request_client(exchange_peer(m->r->x));

	return xasprintf("%s %s", kind == PROMISE_NETWORK ? "network" : "volume", client);
}

static void made_remember(const struct making *m, const struct node *node)
{
	char *key CLEANUP_FREE = made_key(m, m->kind);

	pins_set(m->r->api->made, key, node_view(node)->id, loop_now_ms(m->r->api->config.loop));
}

/* Many of one kind are spread; a pair of both kinds is for one container, which needs both on its
 * node. */
static struct node *made_home(const struct making *m)
{
	char *key CLEANUP_FREE =
		made_key(m, m->kind == PROMISE_NETWORK ? PROMISE_VOLUME : PROMISE_NETWORK);
	const char *id = pins_get(m->r->api->made, key, loop_now_ms(m->r->api->config.loop));

	return id != NULL ? cluster_node_find(m->r->api->config.cluster, id) : NULL;
}

/* A wish: what the labels demand comes first. */
static void prefer_home(struct making *m)
{
	struct node *home = m->project[0] != '\0'
				    ? project_home(m->r->api->config.cluster, m->project)
				    : made_home(m);
	struct err err = ERR_INIT;
	char *term CLEANUP_FREE = NULL;

	if (home == NULL)
		return;
	term = xasprintf("node==~%s", node_view(home)->id);
	if (create_request_add_term(m->terms, CREATE_CONSTRAINT, term, &err) != 0)
		log_warn("node %s cannot be preferred: %s", node_view(home)->name, err.msg);
}

struct node *making_choose(struct making *m, const struct str_list *excluded, struct err *err)
{
	if (m->node != NULL)
		return m->node;
	prefer_home(m);
	return scheduler_pick(m->r->api->config.scheduler, m->r->api->config.cluster,
		create_request_placement(m->terms), excluded, err);
}

/* ---- The call ---- */

/* The warning, behind what the engine has to warn of itself. */
static bool edit_warning(
	struct request *r, struct node *node, const struct reply *reply, struct buf *out, void *arg)
{
	const struct making *m = arg;
	json_t *json CLEANUP_JSON = NULL;
	const char *own;
	char *text CLEANUP_FREE = NULL;

	(void)r;
	(void)node;
	if (reply->status >= 300 || m->warning == NULL)
		return false;
	json = json_parse(reply->body, reply->body_len, NULL);
	if (!json_is_object(json))
		return false;
	own = json_str(json, "Warning", "");
	text = xasprintf("%s%s%s", own, own[0] != '\0' ? "; " : "", m->warning);
	json_put(json, "Warning", json_string(text));
	json_append(out, json);
	return true;
}

void making_send(struct making *m, struct node *node, bool is_everywhere)
{
	bool is_network = m->kind == PROMISE_NETWORK;
	struct forward_spec spec = {
		.node = node,
		.parts = is_network ? NODE_NETWORKS : NODE_VOLUMES,
		.parts_everywhere = is_everywhere,
		.edit = edit_warning,
		.edit_arg = m,
		.unknown = making_unknown,
		.unknown_arg = m,
	};
	struct err err = ERR_INIT;
	char *text CLEANUP_FREE = NULL;
	size_t len;

	m->promise = cluster_promise(
		m->r->api->config.cluster, m->kind, node, m->name, m->project, &err);
	if (m->promise == NULL) {
		request_fail(m->r, &err);
		return;
	}
	if (!is_everywhere)
		made_remember(m, node);
	text = json_text(m->body, &len);
	spec.path_take = xstrdup(is_network ? "/networks/create" : "/volumes/create");
	forward_collected_with(m->r, &spec, text, len);
}
