/* The query of a request. It is written anew from what was read, so that an engine cannot read it
 * in another way. */
#include "api/api_priv.h"
#include "lib/str.h"

#include <string.h>

#define QUERY_ITEMS_MAX 256

/* Those of which an engine, or the manager, reads each value; of any other it reads one. */
static bool is_repeated(const char *name)
{
	static const char *const names[] = {
		"changes",   /* commit, images/create */
		"names",     /* images/get */
		"node",      /* the manager's own */
		"platform",  /* images/get, images/load */
		"platforms", /* DELETE images */
		"t",         /* build */
		"type",      /* system/df */
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (str_eq(names[i], name))
			return true;
	}
	return false;
}

static int item_add(struct request *r, struct query_item item, struct err *err)
{
	if (item.name == NULL || item.value == NULL) {
		free(item.name);
		free(item.value);
		return err_set(err, ERR_INVALID, "the query holds a bad percent escape");
	}
	/* Few, as bounded below. */
	if (request_query(r, item.name) != NULL && !is_repeated(item.name)) {
		err_set(err, ERR_INVALID, "the query parameter '%.100s' is given more than once",
			item.name);
		free(item.name);
		free(item.value);
		return -1;
	}
	r->query = xreallocarray(r->query, r->query_len + 1, sizeof(*r->query));
	r->query[r->query_len++] = item;
	return 0;
}

static int items_read(struct request *r, const char *p, struct err *err)
{
	while (*p != '\0') {
		size_t len = strcspn(p, "&"), name_len;
		const char *equals = memchr(p, '=', len);

		name_len = equals != NULL ? (size_t)(equals - p) : len;
		if (len > 0 && r->query_len >= QUERY_ITEMS_MAX)
			return err_set(
				err, ERR_INVALID, "more than %d query parameters", QUERY_ITEMS_MAX);
		if (len > 0 &&
			item_add(r,
				(struct query_item){
					.name = str_url_decode(p, name_len, true),
					.value = equals == NULL ? xstrdup("")
								: str_url_decode(equals + 1,
									  len - name_len - 1, true),
				},
				err) != 0)
			return -1;
		p += len;
		p += *p == '&';
	}
	return 0;
}

int request_query_read(struct request *r, const char *text, struct err *err)
{
	struct buf query;

	r->raw_query = xstrdup("");
	if (text == NULL || text[0] == '\0')
		return 0;
	/* Engines of before Go 1.17 begin another parameter behind it. */
	if (strchr(text, ';') != NULL)
		return err_set(err, ERR_INVALID, "a semicolon in the query must be encoded");
	if (items_read(r, text, err) != 0)
		return -1;
	buf_init(&query, SIZE_MAX);
	for (size_t i = 0; i < r->query_len; i++)
		request_query_add(&query, r->query[i].name, r->query[i].value);
	free(r->raw_query);
	r->raw_query = buf_take(&query);
	return 0;
}
