/* GET /system/df: each node measures itself, and the answers become one (usage.h). Each is merged
 * and dropped as it comes: together they may be too large to be held. */
#include "api/fanout.h"
#include "api/usage.h"

#define TIMEOUT_MS (60 * 1000) /* it reads whole file systems */
/* In the answers of all nodes; 30,000 containers have some 2,400,000. */
#define VALUES_MAX 8000000

struct disk_usage {
	struct usage *usage;
	json_t *nodes; /* by name: the sums of those that answered */
	size_t values; /* so far */
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
	json_t *json CLEANUP_JSON = read_answer(df, reply);
	const char *id = reply->node != NULL ? node_view(reply->node)->id : "";

	(void)r;
	if (json != NULL) {
		json_object_set_new(df->nodes, reply->name, usage_of(json, reply->name, id));
		usage_add(df->usage, json, reply->name);
	}
	fanout_reply_drop(reply);
	return false;
}

static void df_done(struct request *r, struct fanout_reply *replies, size_t len, void *arg)
{
	struct disk_usage *df = arg;
	json_t *nodes, *out;

	if (fanout_all_failed(r, replies, len))
		return;
	nodes = json_array();
	for (size_t i = 0; i < len; i++) {
		json_t *sums = json_object_get(df->nodes, replies[i].name);

		if (sums != NULL)
			json_array_append(nodes, sums);
		else
			json_array_append_new(nodes, node_failure(&replies[i]));
	}
	out = usage_take(TAKE_PTR(df->usage), r->minor);
	json_object_set_new(out, "Nodes", nodes);
	fanout_reply_json(r, out, replies, len);
}

static void df_end(struct exchange *x, bool finished, void *arg)
{
	struct disk_usage *df = arg;

	(void)x;
	(void)finished;
	usage_free(df->usage);
	json_decref(df->nodes);
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

	df->usage = usage_new();
	df->nodes = json_object();
	exchange_on_end(r->x, df_end, df);
	fanout_to_named(r, &spec);
}
