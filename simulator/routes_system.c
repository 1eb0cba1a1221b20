/* Requests about the engine itself, and its events. */
#include "simulator/filter.h"
#include "simulator/http.h"
#include "simulator/image.h"

#include <string.h>
#include <utlist.h>

static void ping(struct sim_request *r)
{
	struct http_headers h = {0};
	bool head = str_eq(exchange_method(r->x), "HEAD");

	sim_headers(r, &h, "text/plain; charset=utf-8");
	http_headers_add(&h, "Cache-Control", "no-cache, no-store, must-revalidate");
	http_headers_add(&h, "Pragma", "no-cache");
	exchange_reply(r->x, 200, &h, "OK", head ? 0 : 2);
	http_headers_free(&h);
}

static void version(struct sim_request *r)
{
	CLEANUP_BUF struct buf b = {0};

	buf_init(&b, 64 * 1024);
	sim_version_write(&b, r->engine);
	b.len--; /* the newline comes with the reply */
	sim_reply_buf(r, 200, &b);
}

static void info(struct sim_request *r)
{
	CLEANUP_BUF struct buf b = {0};

	buf_init(&b, SIM_REPLY_MAX);
	sim_info_write(&b, r->engine);
	b.len--;
	sim_reply_buf(r, 200, &b);
}

static void options(struct sim_request *r)
{
	sim_reply_empty(r, 200);
}

static void write_images(struct buf *b, struct sim_engine *e)
{
	int64_t layers = 0;
	struct sim_container *c;
	struct sim_image *image;

	/* A layer of several images counts with the first of them. */
	DL_FOREACH (e->images, image)
		layers += sim_image_own_size(e, image, true);
	buf_printf(b, "{\"LayersSize\":%lld,\"Images\":[", (long long)layers);
	DL_FOREACH (e->images, image) {
		struct sim_image_shown shown = {.tags = &image->tags,
			.digests = &image->digests,
			.shared = image->content->size - sim_image_own_size(e, image, false)};

		if (image->children && !image->tags.len && !image->digests.len)
			continue;
		DL_FOREACH (e->containers, c)
			shown.containers += c->image == image;
		sim_json_item(b);
		sim_image_write_summary(b, e, image, &shown);
	}
}

static void disk_usage(struct sim_request *r)
{
	struct sim_engine *e = r->engine;
	int64_t now = sim_now(e);
	struct sim_container *c;
	struct sim_volume *v;
	CLEANUP_BUF struct buf b = {0};

	buf_init(&b, SIM_REPLY_MAX);
	write_images(&b, e);
	buf_append_str(&b, "],\"Containers\":[");
	DL_FOREACH (e->containers, c) {
		sim_json_item(&b);
		sim_container_write_summary(&b, c, now, true);
	}
	buf_append_str(&b, "],\"Volumes\":[");
	DL_FOREACH (e->volumes, v) {
		sim_json_item(&b);
		sim_volume_write(&b, e, v);
		b.len--;
		buf_printf(&b, ",\"UsageData\":{\"RefCount\":%u,\"Size\":0}}", v->users);
	}
	buf_append_str(&b, "],\"BuildCache\":null,\"BuilderSize\":0}");
	sim_reply_buf(r, 200, &b);
}

/* ---- Events ---- */

struct events {
	struct sim_request *r;
	struct sim_listener listener;
	json_t *filters;
	struct loop_timer *until; /* NULL = no end */
	bool listening, full;
};

static void events_cleanup(struct sim_request *r)
{
	struct events *ev = r->state;

	if (ev->listening)
		sim_unlisten(r->engine, &ev->listener);
	loop_timer_free(ev->until);
	json_decref(ev->filters);
	free(ev);
}

static void events_send(
	void *arg, const json_t *event, const char *text, size_t len, int64_t time_ns)
{
	struct events *ev = arg;

	(void)time_ns;
	/* While the fault lasts the engine is as good as stopped. */
	if (ev->full || !sim_filter_event(ev->filters, event))
		return;
	ev->full = !exchange_reply_write(ev->r->x, text, len);
	if (ev->full)
		exchange_reply_abort(ev->r->x, "the client reads events too slowly");
}

static void events_until(void *arg)
{
	struct events *ev = arg;

	sim_unlisten(ev->r->engine, &ev->listener);
	ev->listening = false;
	if (!ev->full)
		exchange_reply_end(ev->r->x);
}

/* "1795253394", "1795253394.280982639". 0 for "". */
static int time_parse(const char *text, int64_t *out, struct err *err)
{
	CLEANUP_FREE char *seconds = xstrndup(text, strcspn(text, "."));
	const char *point = strchr(text, '.');
	long long n = 0;
	long long fraction = 0;
	char digits[10] = "000000000";

	*out = 0;
	if (!*text)
		return 0;
	if (str_to_int(seconds, 0, 9000000000ll, &n, "time", NULL))
		return sim_fail(
			err, 500, "strconv.ParseInt: parsing \"%s\": invalid syntax", seconds);
	if (point) {
		size_t len = strspn(point + 1, "0123456789");

		if (!len || point[1 + len])
			return sim_fail(err, 500,
				"strconv.ParseInt: parsing \"%s\": invalid syntax", point + 1);
		memcpy(digits, point + 1, len < 9 ? len : 9);
		if (str_to_int(digits, 0, 999999999, &fraction, "fraction", NULL))
			fraction = 0;
	}
	*out = n * 1000000000 + fraction;
	return 0;
}

static void events(struct sim_request *r)
{
	const char *since_text = sim_query(r, "since");
	const char *until_text = sim_query(r, "until");
	CLEANUP_JSON json_t *filters = NULL;
	struct err err = ERR_INIT;
	struct events *ev;
	int64_t now = sim_now(r->engine);
	int64_t since;
	int64_t until;
	int status = time_parse(since_text, &since, &err);

	if (!status)
		status = time_parse(until_text, &until, &err);
	if (!status && since && until && since > until)
		status = sim_fail(&err, 400, "`since` time (%s) cannot be after `until` time (%s)",
			since_text, until_text);
	if (!status)
		status = sim_filters_parse(sim_query(r, "filters"), NULL, &filters, &err);
	if (status) {
		sim_reply_error(r, status, &err);
		return;
	}
	ev = xcalloc(1, sizeof(*ev));
	ev->r = r;
	ev->filters = TAKE_PTR(filters);
	r->state = ev;
	r->cleanup = events_cleanup;
	sim_reply_stream(r, 200, "application/json");
	if (*since_text || (*until_text && until <= now))
		sim_event_replay(r->engine, since, *until_text ? until : 0, events_send, ev);
	if (ev->full)
		return;
	if (*until_text && until <= now) {
		exchange_reply_end(r->x);
		return;
	}
	ev->listener.fn = events_send;
	ev->listener.arg = ev;
	ev->listening = true;
	sim_listen(r->engine, &ev->listener);
	if (*until_text) {
		ev->until = loop_timer_new(r->engine->options->loop, events_until, ev);
		loop_timer_start(ev->until, (uint64_t)((until - now) / 1000000 + 1));
	}
}

const struct sim_route sim_routes_system[] = {
	{"GET", "/_ping", NULL, ping, 0},
	{"HEAD", "/_ping", NULL, ping, 0},
	{"GET", "/version", NULL, version, 0},
	{"GET", "/info", NULL, info, 0},
	{"GET", "/events", NULL, events, 0},
	{"GET", "/system/df", NULL, disk_usage, 0},
	{"OPTIONS", "/", "", options, SIM_ROUTE_SLASHES},
	{NULL, NULL, NULL, NULL, 0},
};
