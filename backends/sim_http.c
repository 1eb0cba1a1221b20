#include "backends/sim_http.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define SLOW_DEFAULT_MS 2000
#define FAULT_SECONDS_MAX 86400
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

static void request_delay(struct sim_request *r, uint64_t ms);

static void reply(struct sim_request *r, int status, const char *type, const char *data, size_t len)
{
	struct http_headers h = {0};

	sim_headers(r, &h, type);
	if (r->host->fault == SIM_FAULT_TRUNCATE) {
		exchange_reply_start(r->x, status, &h, (int64_t)len + 100);
		exchange_reply_write(r->x, data ? data : "", len / 2);
		/* Breaking it off now would drop what is not sent yet. */
		r->is_cut = true;
		request_delay(r, CUT_MS);
	} else {
		exchange_reply(r->x, status, &h, data ? data : "", len);
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

/* ---- Faults ---- */

static void fault_end(struct sim_host *host)
{
	struct err err = ERR_INIT;
	struct sim_request *r;
	struct sim_request *tmp;

	if (host->fault == SIM_FAULT_DOWN && !host->server) {
		host->server = server_new(host->engine->options->loop, &host->handler, NULL);
		if (server_listen(host->server, &host->addr, host->tls, &err)) {
			/* Somebody has taken the port meanwhile: try again. */
			server_free(TAKE_PTR(host->server));
			loop_timer_start(host->timer, 100);
			return;
		}
	}
	host->fault = SIM_FAULT_NONE;
	DL_FOREACH_SAFE (host->requests, r, tmp)
		if (r->is_held) {
			r->is_held = false;
			request_delay(r, 0);
		}
}

static void fault_timer(void *arg)
{
	fault_end(arg);
}

/* Not from inside a handler of the server that it frees. */
static void fault_take_down(void *arg)
{
	struct sim_host *host = arg;

	if (host->fault != SIM_FAULT_DOWN)
		return;
	while (host->pipes)
		sim_pipe_free(host->pipes);
	server_free(TAKE_PTR(host->server));
}

static const char *const fault_names[] = {
	"none", "hang", "close", "garbage", "slow", "truncate", "down", "error"};

static void fault_request(struct sim_request *r, const json_t *body)
{
	struct sim_host *host = r->host;
	const char *kind = json_str(body, "kind", "");
	json_t *number = json_get(body, "seconds");
	double seconds = json_is_number(number) ? json_number_value(number) : -1;
	int64_t ms = json_int(body, "ms", SLOW_DEFAULT_MS);

	for (size_t i = 0; i < ARRAY_LEN(fault_names); i++) {
		if (!str_eq(kind, fault_names[i]))
			continue;
		if (i && (seconds <= 0 || seconds > FAULT_SECONDS_MAX || ms < 0 || ms > 600000))
			break;
		fault_end(host);
		host->fault = (enum sim_fault)i;
		host->slow_ms = (unsigned)ms;
		loop_timer_stop(host->timer);
		if (i)
			loop_timer_start(host->timer, (uint64_t)(seconds * 1000));
		exchange_reply(r->x, 204, NULL, "", 0);
		if (host->fault == SIM_FAULT_DOWN)
			loop_timer_start(host->down_timer, 20);
		return;
	}
	sim_reply_text(r, 400,
		"a fault has a kind (none, hang, close, garbage, slow, truncate, down, error) and "
		"seconds (more than 0, at most %d)",
		FAULT_SECONDS_MAX);
}

static void fault_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct sim_request *r = arg;
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *json = json_parse(body, len, &err);

	(void)x;
	if (!json_is_object(json))
		sim_reply_text(r, 400, "the body must be a JSON object");
	else
		fault_request(r, json);
}

/* True: the request has been dealt with. */
static bool fault_apply(struct sim_request *r)
{
	static const char garbage[] = "\x01\xff{]<garbage>\x00\"[[[[";
	struct sim_host *host = r->host;
	struct http_headers h = {0};

	switch (host->fault) {
	case SIM_FAULT_HANG:
		r->is_held = true;
		return true;
	case SIM_FAULT_CLOSE:
		exchange_reply_start(r->x, 200, NULL, 1000);
		exchange_reply_abort(r->x, "simulated fault");
		return true;
	case SIM_FAULT_GARBAGE:
		http_headers_add(&h, "Content-Type", "application/json");
		exchange_reply(r->x, 200, &h, garbage, sizeof(garbage) - 1);
		http_headers_free(&h);
		return true;
	case SIM_FAULT_ERROR:
		sim_reply_text(r, 500, "simulated failure");
		return true;
	default:
		break;
	}
	if (host->failures && (uint32_t)sim_random(r->engine) < host->failures) {
		sim_reply_text(r, 500, "simulated failure");
		return true;
	}
	return false;
}

/* ---- Life of a request ---- */

static void request_run(struct sim_request *r)
{
	r->route->fn(r);
}

static void request_body(struct exchange *x, const char *body, size_t len, void *arg)
{
	struct sim_request *r = arg;
	struct err err = ERR_INIT;
	const char *type = exchange_header(x, "Content-Type");
	size_t type_len = type ? strcspn(type, "; ") : 0;

	if (len && (type_len != 16 || strncmp(type, "application/json", 16) != 0) &&
		!str_has_suffix(r->path, "/start") && !str_has_suffix(r->path, "/stop")) {
		sim_reply_text(r, 400, "Content-Type specified (%s) must be 'application/json'",
			type ? type : "");
		return;
	}
	r->has_body = len > 0;
	if (len)
		r->body = json_parse(body, len, &err);
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

static void request_start(struct sim_request *r)
{
	if (str_eq(r->path, "/_simulator/fault") && r->host->control &&
		str_eq(exchange_method(r->x), "POST")) {
		exchange_read_body(r->x, 4096, fault_body, r);
		return;
	}
	if (fault_apply(r))
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
		exchange_read_body(r->x, SIM_BODY_MAX, request_body, r);
	else if (!(r->route->flags & SIM_ROUTE_STREAM) && exchange_body_length(r->x) != 0)
		exchange_stream_body(r->x, request_discard, r);
	else
		request_run(r);
}

static void request_timer(void *arg)
{
	struct sim_request *r = arg;

	if (r->is_cut)
		exchange_reply_abort(r->x, "simulated fault");
	else
		request_start(r);
}

static void request_delay(struct sim_request *r, uint64_t ms)
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
		request_delay(r, delay);
	else
		request_start(r);
}

static void host_handler_free(struct handler *h)
{
	(void)h; /* part of the host */
}

static void host_down_timer(void *arg)
{
	fault_take_down(arg);
}

struct sim_host *sim_host_new(struct sim_engine *engine_take, const struct addr *addr,
	struct tls_context *tls, struct err *err)
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
	host->timer = loop_timer_new(loop, fault_timer, host);
	host->down_timer = loop_timer_new(loop, host_down_timer, host);
	host->server = server_new(loop, &host->handler, NULL);
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
