/* JSON values as replies in pieces: of the value, or of each member of an object, an array is
 * written an element at a time. */
#include "api/paced.h"

struct json_reply {
	json_t *json;
	const char *end;
	void *member;        /* of an object: the next one; NULL = none is left */
	const json_t *array; /* under way; NULL = none */
	size_t at;           /* in it */
	bool is_begun;
	bool has_members; /* one was written */
};

static int append(const char *text, size_t len, void *arg)
{
	return buf_append(arg, text, len);
}

static void append_value(struct buf *out, const json_t *json)
{
	/* It fails only when out is full, which out knows. */
	(void)json_dump_callback(json, append, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

/* As paced_row_named made it: the object, and the name that it is to have. Copying an object takes
 * longer than all else, so it is done here, a piece at a time. */
static void append_named(struct buf *out, const json_t *row)
{
	json_t *copy CLEANUP_JSON = json_copy(json_array_get(row, 0));

	json_object_set(copy, "Name", json_array_get(row, 1));
	append_value(out, copy);
}

json_t *paced_row_named(json_t *object, const char *name)
{
	return json_pack("[O,s]", object, name);
}

static void begin_array(struct json_reply *reply, struct buf *out, const json_t *array)
{
	buf_append_char(out, '[');
	reply->array = array;
	reply->at = 0;
}

static void begin(struct json_reply *reply, struct buf *out)
{
	reply->is_begun = true;
	if (json_is_array(reply->json)) {
		begin_array(reply, out, reply->json);
		return;
	}
	buf_append_char(out, '{');
	reply->member = json_object_iter(reply->json);
}

static void write_element(struct json_reply *reply, struct buf *out)
{
	const json_t *element;

	if (reply->at == json_array_size(reply->array)) {
		buf_append_char(out, ']');
		reply->array = NULL;
		return;
	}
	if (reply->at > 0)
		buf_append_char(out, ',');
	element = json_array_get(reply->array, reply->at++);
	if (json_is_array(element))
		append_named(out, element);
	else
		append_value(out, element);
}

static void write_member(struct json_reply *reply, struct buf *out)
{
	const json_t *value = json_object_iter_value(reply->member);

	buf_append_str(out, reply->has_members ? ",\"" : "\"");
	json_append_escaped(out, json_object_iter_key(reply->member));
	buf_append_str(out, "\":");
	if (json_is_array(value))
		begin_array(reply, out, value);
	else
		append_value(out, value);
	reply->has_members = true;
	reply->member = json_object_iter_next(reply->json, reply->member);
}

static enum paced_step json_more(struct buf *out, void *arg, struct err *err)
{
	struct json_reply *reply = arg;

	(void)err;
	if (!reply->is_begun)
		begin(reply, out);
	while (out->len < PACED_PIECE && !out->failed) {
		if (reply->array != NULL) {
			write_element(reply, out);
		} else if (reply->member != NULL) {
			write_member(reply, out);
		} else {
			buf_append_str(out, json_is_object(reply->json) ? "}" : "");
			buf_append_str(out, reply->end);
			return PACED_LAST;
		}
	}
	return PACED_MORE;
}

static void json_reply_free(void *arg)
{
	struct json_reply *reply = arg;

	json_decref(reply->json);
	free(reply);
}

void paced_reply_json(
	struct request *r, const struct http_headers *headers, json_t *json_take, const char *end)
{
	struct json_reply *reply = xcalloc(1, sizeof(*reply));
	const struct paced_spec spec = {.more = json_more, .free = json_reply_free, .arg = reply};
	struct http_headers all = {0};

	reply->json = json_take;
	reply->end = end;
	http_headers_copy(&all, headers);
	http_headers_add(&all, "Content-Type", "application/json");
	paced_reply(r, &all, &spec);
	http_headers_free(&all);
}
