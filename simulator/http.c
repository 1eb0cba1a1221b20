#include "simulator/http.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define CUT_MS 20

static const struct sim_route *const route_tables[] = {sim_routes_system, sim_routes_container,
	sim_routes_stream, sim_routes_image, sim_routes_network, sim_routes_swarm,
	sim_routes_files};

/* ---- Queries ---- */

const char *sim_query(const struct sim_request *r, const char *key)
{
	for (size_t i = 0; i + 1 < r->query.len; i += 2)
		if (str_eq(r->query.items[i], key))
			return r->query.items[i + 1];
	return "";
}

bool sim_query_bool(const struct sim_request *r, const char *key)
{
	const char *value = sim_query(r, key);

	return *value && !str_eq(value, "0") && !str_ieq(value, "no") && !str_ieq(value, "false") &&
	       !str_ieq(value, "none");
}

static void query_parse(struct str_list *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "&");
		const char *equals = memchr(text, '=', len);
		size_t key_len = equals ? (size_t)(equals - text) : len;
		char *key = str_url_decode(text, key_len, true);
		char *value =
			equals ? str_url_decode(equals + 1, len - key_len - 1, true) : xstrdup("");

		if (key && value && out->len < 200) {
			str_list_add_take(out, TAKE_PTR(key));
			str_list_add_take(out, TAKE_PTR(value));
		}
		free(key);
		free(value);
		text += len + (text[len] == '&');
	}
}

/* ---- Replies ---- */

void sim_headers(const struct sim_request *r, struct http_headers *h, const char *type)
{
	CLEANUP_FREE char *server =
		xasprintf("Docker/%s (linux)", r->engine->options->server_version);

	if (r->is_routed) {
		http_headers_add(h, "Api-Version", r->engine->options->api_version);
		if (!r->wrong_version)
			http_headers_add(h, "Docker-Experimental", "false");
		http_headers_add(h, "Ostype", "linux");
		http_headers_add(h, "Server", server);
	}
	if (type)
		http_headers_add(h, "Content-Type", type);
}

static void reply(struct sim_request *r, int status, const char *type, const char *data, size_t len)
{
	struct http_headers h = {0};

	sim_headers(r, &h, type);
	if (r->host->fault == SIM_FAULT_TRUNCATE) {
		exchange_reply_start(r->x, status, &h, (int64_t)len + 100);
		exchange_reply_write(r->x, data ? data : "", len / 2);
		/* Breaking it off now would drop what is not sent yet. */
		r->is_cut = true;
		sim_request_delay(r, CUT_MS);
	} else if (r->host->fault == SIM_FAULT_DRIP) {
		exchange_reply_start(r->x, status, &h, (int64_t)len);
		buf_init(&r->drip, SIM_REPLY_MAX);
		buf_append(&r->drip, data ? data : "", len);
		r->is_dripping = true;
		r->drip_ms = r->host->slow_ms;
		sim_request_delay(r, 0);
	} else {
		exchange_reply(r->x, status, &h, data, len);
	}
	http_headers_free(&h);
}

void sim_reply_buf(struct sim_request *r, int status, struct buf *b)
{
	buf_append_char(b, '\n');
	if (b->failed)
		sim_reply_text(r, 500, "the answer is too large");
	else
		reply(r, status, "application/json", b->data, b->len);
}

void sim_reply_empty(struct sim_request *r, int status)
{
	reply(r, status, NULL, NULL, 0);
}

void sim_reply_text(struct sim_request *r, int status, const char *fmt, ...)
{
	struct err err = ERR_INIT;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	sim_reply_error(r, status, &err);
}

void sim_reply_error(struct sim_request *r, int status, const struct err *err)
{
	CLEANUP_BUF struct buf b = {0};

	buf_init(&b, 64 * 1024);
	if (r->is_routed && r->version && r->version < 1024) {
		struct http_headers h = {0};

		/* Clients of that age got plain text. */
		buf_printf(&b, "%s\n", err->msg);
		sim_headers(r, &h, "text/plain; charset=utf-8");
		http_headers_add(&h, "X-Content-Type-Options", "nosniff");
		exchange_reply(r->x, status, &h, b.data, b.len);
		http_headers_free(&h);
		return;
	}
	buf_append_char(&b, '{');
	sim_json_s(&b, "message", err->msg);
	buf_append_char(&b, '}');
	sim_reply_buf(r, status, &b);
}

void sim_reply_done(struct sim_request *r, int status, int ok, const struct err *err)
{
	if (!status || status == 304)
		sim_reply_empty(r, status ? status : ok);
	else
		sim_reply_error(r, status, err);
}

void sim_reply_stream(struct sim_request *r, int status, const char *type)
{
	struct http_headers h = {0};

	sim_headers(r, &h, type);
	exchange_reply_start(r->x, status, &h, -1);
	http_headers_free(&h);
}

struct sim_container *sim_request_container(struct sim_request *r)
{
	struct err err = ERR_INIT;
	int status;
	struct sim_container *c = sim_container_find(r->engine, r->name, &status, &err);

	if (!c)
		sim_reply_error(r, status, &err);
	return c;
}

/* ---- Routing ---- */

/* "/v1.41/x" gives 1041 and leaves "/x"; 0 = no version. */
static unsigned version_strip(char *path)
{
	unsigned major = 0;
	unsigned minor = 0;
	char *p = path + 2;

	if (strncmp(path, "/v", 2) != 0 || *p < '0' || *p > '9')
		return 0;
	for (; *p >= '0' && *p <= '9' && major < 100; p++)
		major = 10 * major + (unsigned)(*p - '0');
	if (*p++ != '.' || *p < '0' || *p > '9')
		return 0;
	for (; *p >= '0' && *p <= '9' && minor < 1000; p++)
		minor = 10 * minor + (unsigned)(*p - '0');
	if (*p != '/')
		return 0;
	memmove(path, p, strlen(p) + 1);
	return 1000 * major + minor;
}

static bool route_matches(const struct sim_route *route, const char *path, char **name)
{
	size_t len = strlen(path);
	size_t before = strlen(route->prefix);
	size_t after;

	if (!route->suffix)
		return str_eq(path, route->prefix);
	after = strlen(route->suffix);
	if (len < before + after || strncmp(path, route->prefix, before) != 0 ||
		!str_has_suffix(path, route->suffix))
		return false;
	len -= before + after;
	if (!len && after)
		return false;
	if (!(route->flags & SIM_ROUTE_SLASHES) && memchr(path + before, '/', len))
		return false;
	*name = xstrndup(path + before, len);
	return true;
}

static bool request_route(struct sim_request *r)
{
	const char *method = exchange_method(r->x);

	for (size_t t = 0; t < ARRAY_LEN(route_tables); t++)
		for (const struct sim_route *route = route_tables[t]; route->method; route++)
			if (str_eq(route->method, method) &&
				route_matches(route, r->path, &r->name)) {
				r->route = route;
				r->is_routed = true;
				return true;
			}
	return false;
}

/* ---- Life of a request ---- */

static void request_run(struct sim_request *r)
{
	r->route->fn(r);
}

static size_t request_collect(struct exchange *x, const char *data, size_t len, void *arg)
{
	struct sim_request *r = arg;

	if (!len)
		r->on_body(r);
	else if (buf_append(&r->text, data, len))
		exchange_reply_error(
			x, 413, "the request's body is larger than %zu bytes", r->text.max);
	return len;
}

void sim_request_read(struct sim_request *r, size_t max, void (*done)(struct sim_request *r))
{
	int64_t len = exchange_body_length(r->x);

	buf_init(&r->text, max);
	r->on_body = done;
	if (len > (int64_t)max)
		exchange_reply_error(r->x, 413, "the request's body is larger than %zu bytes", max);
	else if (len == 0)
		done(r);
	else
		exchange_stream_body(r->x, request_collect, r);
}

static void request_body(struct sim_request *r)
{
	struct err err = ERR_INIT;
	const char *type = exchange_header(r->x, "Content-Type");
	size_t type_len = type ? strcspn(type, "; ") : 0;
	size_t len = r->text.len;

	if (len && (type_len != 16 || strncmp(type, "application/json", 16) != 0) &&
		!str_has_suffix(r->path, "/start") && !str_has_suffix(r->path, "/stop")) {
		sim_reply_text(r, 400, "Content-Type specified (%s) must be 'application/json'",
			type ? type : "");
		return;
	}
	r->has_body = len > 0;
	if (len)
		r->body = json_parse(r->text.data, len, &err);
	if (len && !r->body) {
		if (strstr(err.msg, "end of file") || strstr(err.msg, "premature"))
			sim_reply_text(r, 500, "unexpected EOF");
		else
			sim_reply_text(r, 500, "%s", err.msg);
		return;
	}
	request_run(r);
}

static size_t request_discard(struct exchange *x, const char *data, size_t len, void *arg)
{
	(void)x;
	(void)data;
	if (!len)
		request_run(arg);
	return len;
}

static bool version_is_wrong(struct sim_request *r)
{
	const struct sim_options *o = r->engine->options;
	CLEANUP_FREE char *text = xasprintf("%u.%u", r->version / 1000, r->version % 1000);

	if (!r->version || (r->version >= o->api_min && r->version <= o->api))
		return false;
	r->wrong_version = true;
	if (r->version > o->api)
		sim_reply_text(r, 400,
			"client version %s is too new. Maximum supported API version is %s", text,
			o->api_version);
	else
		sim_reply_text(r, 400,
			"client version %s is too old. Minimum supported API version is %s, please "
			"upgrade your client to a newer version",
			text, o->api_min_version);
	return true;
}

/* True: it is none for the engine. */
static bool request_is_order(struct sim_request *r)
{
	if (!r->host->control || !str_eq(exchange_method(r->x), "POST"))
		return false;
	if (str_eq(r->path, "/_simulator/fault"))
		sim_fault_order(r);
	else if (str_eq(r->path, "/_simulator/rates"))
		sim_chance_order(r);
	else
		return false;
	return true;
}

static void request_start(struct sim_request *r)
{
	if (request_is_order(r) || sim_fault_apply(r))
		return;
	if (strstr(r->path, "//")) {
		/* The engine's router sends clients to the tidy path. */
		struct http_headers h = {0};
		CLEANUP_BUF struct buf tidy = {0};
		const char *question = strchr(exchange_target(r->x), '?');

		buf_init(&tidy, 1 << 20);
		for (const char *p = exchange_target(r->x); *p && p != question; p++)
			if (p[0] != '/' || p[1] != '/')
				buf_append_char(&tidy, *p);
		buf_append_str(&tidy, question ? question : "");
		http_headers_add(&h, "Location", buf_str(&tidy));
		exchange_reply(r->x, 301, &h, "", 0);
		http_headers_free(&h);
		return;
	}
	if (!request_route(r)) {
		sim_reply_text(r, 404, "page not found");
		return;
	}
	if (version_is_wrong(r))
		return;
	if (r->route->flags & SIM_ROUTE_JSON)
		sim_request_read(r, SIM_BODY_MAX, request_body);
	else if (!(r->route->flags & SIM_ROUTE_STREAM) && exchange_body_length(r->x) != 0)
		exchange_stream_body(r->x, request_discard, r);
	else
		request_run(r);
}

static void request_drip(struct sim_request *r)
{
	if (r->drip.len) {
		exchange_reply_write(r->x, r->drip.data, 1);
		buf_consume(&r->drip, 1);
	}
	if (r->drip.len)
		sim_request_delay(r, r->drip_ms);
	else
		exchange_reply_end(r->x);
}

static void request_timer(void *arg)
{
	struct sim_request *r = arg;

	if (r->is_cut)
		exchange_reply_abort(r->x, "simulated fault");
	else if (r->is_dripping)
		request_drip(r);
	else
		request_start(r);
}

void sim_request_delay(struct sim_request *r, uint64_t ms)
{
	if (!r->timer)
		r->timer = loop_timer_new(r->engine->options->loop, request_timer, r);
	loop_timer_start(r->timer, ms);
}

static void request_end(struct exchange *x, bool finished, void *arg)
{
	struct sim_request *r = arg;

	(void)x;
	(void)finished;
	if (r->cleanup)
		r->cleanup(r);
	DL_DELETE(r->host->requests, r);
	loop_timer_free(r->timer);
	json_decref(r->body);
	buf_reset(&r->text);
	buf_reset(&r->drip);
	str_list_free(&r->query);
	free(r->path);
	free(r->name);
	free(r);
}

static void host_handle(struct handler *h, struct exchange *x)
{
	struct sim_host *host = (struct sim_host *)h;
	struct sim_request *r = xcalloc(1, sizeof(*r));
	const char *target = exchange_target(x);
	size_t len = strcspn(target, "?");
	uint64_t delay = host->latency_ms;

	r->host = host;
	r->engine = host->engine;
	r->x = x;
	r->path = str_url_decode(target, len, false);
	if (!r->path)
		r->path = xstrdup("");
	r->version = version_strip(r->path);
	if (target[len])
		query_parse(&r->query, target + len + 1);
	DL_APPEND(host->requests, r);
	exchange_on_end(x, request_end, r);
	if (host->jitter_ms)
		delay += sim_random(r->engine) % (host->jitter_ms + 1u);
	if (host->fault == SIM_FAULT_SLOW && !str_has_prefix(r->path, "/_simulator/"))
		delay += host->slow_ms;
	if (delay)
		sim_request_delay(r, delay);
	else
		request_start(r);
}

static void host_handler_free(struct handler *h)
{
	(void)h; /* part of the host */
}

struct sim_host *sim_host_new(struct sim_engine *engine_take, const struct addr *addr,
	struct tls_context *tls, bool listens, struct err *err)
{
	static const struct handler_ops ops = {
		.name = "simulator", .handle = host_handle, .free = host_handler_free};
	struct sim_host *host = xcalloc(1, sizeof(*host));
	struct loop *loop = engine_take->options->loop;

	host->handler.ops = &ops;
	host->engine = engine_take;
	host->tls = tls;
	host->addr.kind = addr->kind;
	host->addr.port = addr->port;
	host->addr.host = addr->host ? xstrdup(addr->host) : NULL;
	host->addr.path = addr->path ? xstrdup(addr->path) : NULL;
	host->listens = listens;
	host->timer = loop_timer_new(loop, sim_fault_timer, host);
	host->down_timer = loop_timer_new(loop, sim_fault_take_down, host);
	host->server = server_new(loop, &host->handler, NULL);
	if (!listens)
		return host;
	if (server_listen(host->server, &host->addr, tls, err)) {
		sim_host_free(host);
		return NULL;
	}
	if (addr->kind == ADDR_TCP)
		host->addr.port = server_port(host->server, 0);
	return host;
}

void sim_host_free(struct sim_host *host)
{
	if (!host)
		return;
	while (host->pipes)
		sim_pipe_free(host->pipes);
	server_free(host->server);
	loop_timer_free(host->timer);
	loop_timer_free(host->down_timer);
	addr_free(&host->addr);
	sim_engine_free(host->engine);
	free(host);
}
