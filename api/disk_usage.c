/* GET /system/df: each node measures itself, and the answers become one (usage.h). Each is merged
 * and dropped as it comes: together they may be too large to be held. */
#include "api/fanout.h"
#include "api/paced.h"
#include "api/usage.h"

#define TIMEOUT_MS (60 * 1000) /* it reads whole file systems */
/* In the answers of all nodes; 30,000 containers have some 2,400,000. */
#define VALUES_MAX 8000000
#define MERGED_A_TURN 8 /* answers */

struct disk_usage {
	struct request *r;
	struct usage *usage;
	json_t *answers; /* by the node's name */
	json_t *sums;    /* of these, likewise */
	size_t values;   /* so far */
	/* When all have answered: */
	json_t *nodes; /* sums or failures, in the order of the nodes */
	struct http_headers headers;
	struct loop_timer *next;
	size_t merged; /* of nodes */
};

static json_t *node_failure(const struct fanout_reply *reply)
{
	char reason[1024];
	json_t *text;

	fanout_reply_error(reply, reason, sizeof(reason));
	text = json_string(reason);
	return json_pack("{s:s, s:s, s:o}", "Name", reply->name, "ID",
		reply->node != NULL ? node_view(reply->node)->id : "", "Error",
		text != NULL ? text : json_string("(not readable)"));
}

static json_t *read_answer(struct disk_usage *df, struct fanout_reply *reply)
{
	size_t values = fanout_is_good(reply) ? json_values_bound(reply->body, reply->len) : 0;

	if (df->values + values > VALUES_MAX) {
		reply->status = 0;
		err_set(&reply->err, ERR_UPSTREAM, "the answers have more than %d values together",
			VALUES_MAX);
		return NULL;
	}
	df->values += values;
	return fanout_json(reply);
}

static bool df_answered(struct request *r, struct fanout_reply *reply, void *arg)
{
	struct disk_usage *df = arg;
	json_t *json = read_answer(df, reply);
	const char *id = reply->node != NULL ? node_view(reply->node)->id : "";

	(void)r;
	if (json != NULL) {
		json_object_set_new(df->sums, reply->name, usage_of(json, reply->name, id));
		json_object_set_new(df->answers, reply->name, json);
	}
	fanout_reply_drop(reply);
	return false;
}

static void merge_some(void *arg)
{
	struct disk_usage *df = arg;
	json_t *out;

	for (int i = 0; i < MERGED_A_TURN && df->merged < json_array_size(df->nodes); i++) {
		const char *name = json_str(json_array_get(df->nodes, df->merged++), "Name", "");
		json_t *answer = json_object_get(df->answers, name);

		if (answer != NULL)
			usage_add(df->usage, answer, name);
		json_object_del(df->answers, name);
	}
	if (df->merged < json_array_size(df->nodes)) {
		loop_timer_start(df->next, 0);
		return;
	}
	out = usage_take(TAKE_PTR(df->usage), df->r->minor);
	json_object_set_new(out, "Nodes", TAKE_PTR(df->nodes));
	paced_reply_json(df->r, &df->headers, out, "");
}

static void df_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct disk_usage *df = arg;

	if (fanout_all_failed(r, replies, len))
		return;
	df->nodes = json_array();
	for (size_t i = 0; i < len; i++) {
		json_t *sums = json_object_get(df->sums, replies[i].name);

		if (sums != NULL) {
			json_array_append(df->nodes, sums);
			continue;
		}
		json_array_append_new(df->nodes, node_failure(&replies[i]));
		fanout_warn(&df->headers, &replies[i]);
	}
	merge_some(df);
}

static void df_end(struct exchange *x, bool finished, void *arg)
{
	struct disk_usage *df = arg;

	(void)x;
	(void)finished;
	loop_timer_free(df->next);
	usage_free(df->usage);
	json_decref(df->answers);
	json_decref(df->sums);
	json_decref(df->nodes);
	http_headers_free(&df->headers);
	free(df);
}

void system_df(struct request *r)
{
	struct disk_usage *df = xcalloc(1, sizeof(*df));
	const struct fanout_spec spec = {
		.method = "GET",
		.path = "/system/df",
		.reply_max = API_REPLY_MAX,
		.timeout_ms = TIMEOUT_MS,
		.each = df_answered,
		.done = df_done,
		.arg = df,
	};

	df->r = r;
	df->usage = usage_new();
	df->answers = json_object();
	df->sums = json_object();
	df->next = loop_timer_new(r->api->config.loop, merge_some, df);
	exchange_on_end(r->x, df_end, df);
	fanout_to_named(r, &spec);
}
