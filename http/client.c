/* libcurl's multi interface on the loop. libcurl may not be called again from inside its own
 * callbacks, so starting, ending and unpausing calls is queued and done at the end of the turn. */
#include "http/client_priv.h"
#include "http/head.h"
#include "http/tls_priv.h"
#include "lib/log.h"
#include "lib/str.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#define HEAD_MAX (256 * 1024)        /* bytes of one reply's head, interim replies included */
#define UPLOAD_MAX (4 * 1024 * 1024) /* bytes that call_upload may have waiting */
#define UPLOAD_HIGH_WATER (256 * 1024)
#define CONNECT_TIMEOUT_MS 10000
#define JANITOR_MS 250
#define HANDLES_KEPT 64

struct client {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct loop_timer *janitor;
	CURL *handles[HANDLES_KEPT]; /* easy handles to be used again */
	size_t handles_len;
	struct call *queue; /* calls with something to be done outside of libcurl */
	bool is_queued;
	bool is_freed;
	struct call *all;
};

enum {
	TODO_START = 1,
	TODO_UNPAUSE = 2,
	TODO_END = 4,
};

struct call {
	struct endpoint *endpoint;
	struct call *prev, *next;         /* of the endpoint */
	struct call *all_prev, *all_next; /* of the client */
	struct call *queue_next;
	unsigned todo;
	const struct call_ops *ops; /* NULL once cancelled or done */
	void *arg;
	CURL *easy;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	/* The request. */
	char *method;
	char *body;
	size_t body_len;
	bool has_upload, upload_ended, upload_paused, upload_full;
	int64_t upload_left; /* of its length, -1 = chunked */
	struct buf upload;
	/* The reply. */
	int status;
	struct http_headers reply_headers;
	size_t head_bytes;
	bool has_head, is_paused;
	struct err failure;          /* ours, before libcurl's */
	struct tls_context *tls;     /* libcurl reads from it */
	struct collector *collector; /* of call_collect, owned */
	/* Deadlines. */
	unsigned head_timeout_ms, idle_timeout_ms, total_timeout_ms;
	uint64_t started_ms, progress_ms;
};

struct collector {
	struct buf body;
	call_collect_fn *done;
	void *arg;
};

/* ---- The multi handle and the loop ---- */

static void check_messages(struct client *client);

static void socket_ready(unsigned events, void *arg);

struct client_socket {
	struct client *client;
	curl_socket_t fd;
	struct loop_watch *watch;
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct client *client = arg;
	struct client_socket *s = socket_arg;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s != NULL) {
			loop_watch_free(s->watch);
			free(s);
			curl_multi_assign(client->multi, fd, NULL);
		}
		return 0;
	}
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->client = client;
		s->fd = fd;
		s->watch = loop_watch_new(client->loop, fd, socket_ready, s);
		curl_multi_assign(client->multi, fd, s);
	}
	loop_watch_set(s->watch,
		(what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u));
	return 0;
}

static void socket_ready(unsigned events, void *arg)
{
	struct client_socket *s = arg;
	struct client *client = s->client;
	int running, mask = 0;

	if (events & LOOP_READ)
		mask |= CURL_CSELECT_IN;
	if (events & LOOP_WRITE)
		mask |= CURL_CSELECT_OUT;
	curl_multi_socket_action(client->multi, s->fd, mask, &running);
	check_messages(client);
}

static void timer_fired(void *arg)
{
	struct client *client = arg;
	int running;

	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_messages(client);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct client *client = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_stop(client->timer);
	else
		loop_timer_start(client->timer, (uint64_t)timeout_ms);
	return 0;
}

/* ---- What is done outside of libcurl ---- */

static void call_remove(struct call *call);
static void call_finish(struct call *call, const struct err *err);
static void run_queue(void *arg);

static void call_todo(struct call *call, unsigned todo)
{
	struct client *client = call->endpoint->client;

	if (call->todo == 0) {
		call->queue_next = client->queue;
		client->queue = call;
	}
	call->todo |= todo;
	if (!client->is_queued) {
		client->is_queued = true;
		loop_defer(client->loop, run_queue, client);
	}
}

static void run_queue(void *arg)
{
	struct client *client = arg;
	struct call *call, *list = NULL;
	bool started = false;

	client->is_queued = false;
	if (client->is_freed) {
		free(client);
		return;
	}
	/* In the order they were asked for. */
	while ((call = client->queue) != NULL) {
		client->queue = call->queue_next;
		call->queue_next = list;
		list = call;
	}
	while ((call = list) != NULL) {
		unsigned todo = call->todo;

		list = call->queue_next;
		call->todo = 0;
		if (todo & TODO_END) {
			call_remove(call);
			continue;
		}
		if ((todo & TODO_START) && call->failure.code != ERR_NONE) {
			struct err err = call->failure;

			call_finish(call, &err);
			continue;
		}
		if (todo & TODO_START) {
			CURLMcode code = curl_multi_add_handle(client->multi, call->easy);
			struct err err = ERR_INIT;

			started = true;
			if (code != CURLM_OK) {
				err_set(&err, ERR_SYSTEM, "libcurl: %s", curl_multi_strerror(code));
				call_finish(call, &err);
				continue;
			}
		}
		if (todo & TODO_UNPAUSE) {
			int mask = CURLPAUSE_CONT;

			if (call->is_paused)
				mask |= CURLPAUSE_RECV;
			if (call->upload_paused)
				mask |= CURLPAUSE_SEND;
			curl_easy_pause(call->easy, mask);
		}
	}
	if (started)
		timer_fired(client);
	check_messages(client);
}

static void endpoint_destroy(struct endpoint *e)
{
	tls_context_unref(e->tls);
	addr_free(&e->addr);
	if (e->host != e->name)
		free(e->host);
	free(e->name);
	free(e->url);
	free(e);
}

static void call_unlink(struct call *call)
{
	struct endpoint *e = call->endpoint;
	struct client *client = e->client;

	if (call->prev != NULL)
		call->prev->next = call->next;
	else
		e->calls = call->next;
	if (call->next != NULL)
		call->next->prev = call->prev;
	if (call->all_prev != NULL)
		call->all_prev->all_next = call->all_next;
	else
		client->all = call->all_next;
	if (call->all_next != NULL)
		call->all_next->all_prev = call->all_prev;
	if (--e->in_flight == 0 && e->is_freed)
		endpoint_destroy(e);
}

/* Out of libcurl, and freed. */
static void call_remove(struct call *call)
{
	struct client *client = call->endpoint->client;

	curl_multi_remove_handle(client->multi, call->easy);
	if (client->handles_len < HANDLES_KEPT) {
		curl_easy_reset(call->easy);
		client->handles[client->handles_len++] = call->easy;
	} else {
		curl_easy_cleanup(call->easy);
	}
	call_unlink(call);
	tls_context_unref(call->tls);
	if (call->collector != NULL)
		buf_reset(&call->collector->body);
	free(call->collector);
	curl_slist_free_all(call->headers);
	http_headers_free(&call->reply_headers);
	buf_reset(&call->upload);
	free(call->method);
	free(call->body);
	free(call);
}

/* ---- The end of a call ---- */

static enum err_code code_of(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
		return ERR_UNAVAILABLE;
	default:
		return ERR_UPSTREAM;
	}
}

/* Tells the end to its owner; the call leaves libcurl at the end of the turn. */
static void call_finish(struct call *call, const struct err *err)
{
	const struct call_ops *ops = TAKE_PTR(call->ops);

	if (ops != NULL)
		call->endpoint->running--;
	call_todo(call, TODO_END);
	if (ops != NULL && ops->done != NULL)
		ops->done(call, err, call->arg);
}

static void call_completed(struct call *call, CURLcode code)
{
	struct err err = ERR_INIT;

	if (call->ops == NULL)
		return;
	if (call->failure.code != ERR_NONE) {
		err = call->failure;
	} else if (code != CURLE_OK) {
		err_set(&err, code_of(code), "%s",
			call->error[0] != '\0' ? call->error : curl_easy_strerror(code));
	} else if (!call->has_head) {
		err_set(&err, ERR_UPSTREAM, "the answer has no head");
	}
	call_finish(call, err.code != ERR_NONE ? &err : NULL);
}

static void check_messages(struct client *client)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(client->multi, &left)) != NULL) {
		struct call *call = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		call_completed(call, msg->data.result);
	}
}

/* The engine has to do something next: it is not our owner who has to give more of the upload. */
static bool waits_for_peer(const struct call *call)
{
	return !call->has_upload || call->upload_ended || call->upload.len > 0;
}

/* Deadlines that libcurl does not have. */
static void janitor(void *arg)
{
	struct client *client = arg;
	uint64_t now = loop_now_ms(client->loop);

	for (struct call *call = client->all; call != NULL; call = call->all_next) {
		struct err err = ERR_INIT;

		if (call->ops == NULL)
			continue;
		if (call->total_timeout_ms > 0 && now - call->started_ms > call->total_timeout_ms)
			err_set(&err, ERR_TIMEOUT, "no complete answer within %u ms",
				call->total_timeout_ms);
		else if (!call->has_head && call->head_timeout_ms > 0 && waits_for_peer(call) &&
			 now - call->progress_ms > call->head_timeout_ms)
			err_set(&err, ERR_TIMEOUT, "no answer within %u ms", call->head_timeout_ms);
		else if (call->has_head && !call->is_paused && call->idle_timeout_ms > 0 &&
			 now - call->progress_ms > call->idle_timeout_ms)
			err_set(&err, ERR_TIMEOUT, "the answer stopped for %u ms",
				call->idle_timeout_ms);
		if (err.code != ERR_NONE)
			call_finish(call, &err);
	}
	loop_timer_start(client->janitor, JANITOR_MS);
}

/* ---- libcurl's callbacks for one call ---- */

static size_t fail(struct call *call, enum err_code code, const char *message)
{
	err_set(&call->failure, code, "%s", message);
	return 0;
}

static void add_header_line(struct call *call, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len), *value, *end = line + len;
	char *name CLEANUP_FREE = NULL;
	char *copy CLEANUP_FREE = NULL;

	if (colon == NULL || colon == line)
		return;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value &&
		(end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (!head_is_token(line, (size_t)(colon - line)))
		return;
	for (const char *p = value; p < end; p++) {
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return;
	}
	name = xstrndup(line, (size_t)(colon - line));
	copy = xstrndup(value, (size_t)(end - value));
	http_headers_add(&call->reply_headers, name, copy);
}

/* Where the body ends must not depend on who reads. */
static bool framing_is_clear(const struct http_headers *headers)
{
	size_t lengths = 0, codings = 0;

	for (size_t i = 0; i < headers->len; i++) {
		lengths += str_ieq(headers->items[i].name, "Content-Length");
		codings += str_ieq(headers->items[i].name, "Transfer-Encoding");
	}
	return lengths + codings <= 1;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct call *call = arg;
	size_t len = size * count;
	long status = 0;

	if (call->ops == NULL)
		return 0;
	call->head_bytes += len;
	if (call->head_bytes > HEAD_MAX)
		return fail(call, ERR_UPSTREAM, "the answer's head is too large");
	if (call->has_head) /* trailers: nothing here needs one */
		return len;
	if (len >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		http_headers_free(&call->reply_headers);
		return len;
	}
	if (line[0] != '\r' && line[0] != '\n') {
		add_header_line(call, line, len);
		return len;
	}
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 101)
		return fail(call, ERR_UPSTREAM, "the answer changes the protocol, unasked");
	if (status < 200)
		return len; /* an interim reply; the real one follows */
	if (status > 599)
		return fail(call, ERR_UPSTREAM, "the answer has a status that does not exist");
	if (!framing_is_clear(&call->reply_headers))
		return fail(call, ERR_UPSTREAM, "the answer frames its body in two ways");
	call->has_head = true;
	call->status = (int)status;
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->ops->head != NULL)
		call->ops->head(call, call->status, &call->reply_headers, call->arg);
	return call->ops != NULL ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct call *call = arg;
	size_t len = size * count;

	if (call->ops == NULL)
		return 0;
	/* Between the owner's "stop" and this, libcurl may hand over what it has read already. */
	if (call->is_paused)
		return CURL_WRITEFUNC_PAUSE;
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->ops->body != NULL && !call->ops->body(call, data, len, call->arg))
		call->is_paused = true;
	return call->ops != NULL ? len : 0;
}

static size_t on_upload(char *data, size_t size, size_t count, void *arg)
{
	struct call *call = arg;
	size_t len = size * count;

	if (call->ops == NULL || call->failure.code != ERR_NONE)
		return CURL_READFUNC_ABORT;
	if (call->upload.len == 0) {
		if (call->upload_ended)
			return 0;
		call->upload_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (len > call->upload.len)
		len = call->upload.len;
	memcpy(data, call->upload.data, len);
	buf_consume(&call->upload, len);
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->upload_full && call->upload.len < UPLOAD_HIGH_WATER / 2) {
		call->upload_full = false;
		if (call->ops->upload_drain != NULL)
			call->ops->upload_drain(call, call->arg);
	}
	return call->ops != NULL ? len : CURL_READFUNC_ABORT;
}

/* ---- Starting ---- */

static void add_header(struct call *call, const char *line)
{
	struct curl_slist *list = curl_slist_append(call->headers, line);

	if (list == NULL)
		abort();
	call->headers = list;
}

static void set_headers(struct call *call, const struct call_request *request)
{
	struct http_headers headers = {0};

	http_headers_copy(&headers, request->headers);
	http_headers_strip_hop(&headers);
	for (size_t i = 0; i < headers.len; i++) {
		/* A header without value has to be written with a semicolon for libcurl. */
		char *line =
			headers.items[i].value[0] != '\0'
				? xasprintf("%s: %s", headers.items[i].name, headers.items[i].value)
				: xasprintf("%s;", headers.items[i].name);

		if (strpbrk(line, "\r\n") == NULL)
			add_header(call, line);
		free(line);
	}
	/* What libcurl would add by itself. */
	if (http_headers_get(&headers, "Accept") == NULL)
		add_header(call, "Accept:");
	if (http_headers_get(&headers, "Content-Type") == NULL)
		add_header(call, "Content-Type:");
	add_header(call, "Expect:");
	http_headers_free(&headers);
	if (call->has_upload && request->upload_length < 0)
		add_header(call, "Transfer-Encoding: chunked");
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
}

static void set_tls(CURL *easy, const struct tls_context *tls)
{
	struct curl_blob blob = {.flags = CURL_BLOB_NOCOPY};

	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->verify ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->verify ? 2L : 0L);
	if (tls->ca != NULL) {
		blob.data = tls->ca;
		blob.len = tls->ca_len;
		curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (tls->cert != NULL) {
		blob.data = tls->cert;
		blob.len = tls->cert_len;
		curl_easy_setopt(easy, CURLOPT_SSLCERT_BLOB, &blob);
		curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
		blob.data = tls->key;
		blob.len = tls->key_len;
		curl_easy_setopt(easy, CURLOPT_SSLKEY_BLOB, &blob);
		curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
	}
}

static void set_connection(struct call *call, const struct call_request *request)
{
	struct endpoint *e = call->endpoint;
	CURL *easy = call->easy;

	curl_easy_setopt(easy, CURLOPT_URL, e->url);
	curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, request->target);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(request->connect_timeout_ms > 0 ? request->connect_timeout_ms
						       : CONNECT_TIMEOUT_MS));
	if (e->addr.kind == ADDR_UNIX)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, e->addr.path);
	call->tls = tls_context_ref(e->tls);
	if (e->tls != NULL)
		set_tls(easy, e->tls);
	/* Only so many may be left idle: what is beyond closes its connection at its end. */
	if (e->running >= ENDPOINT_IDLE_MAX)
		curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
}

static void set_request(struct call *call, const struct call_request *request)
{
	CURL *easy = call->easy;
	bool has_method_body =
		!str_eq(request->method, "GET") && !str_eq(request->method, "DELETE");

	if (call->has_upload) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		if (request->upload_length >= 0)
			curl_easy_setopt(
				easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_length);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(easy, CURLOPT_READDATA, call);
	} else if (str_eq(request->method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	} else if (call->body_len > 0 || has_method_body) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

struct call *call_start(struct endpoint *e, const struct call_request *request,
	const struct call_ops *ops, void *arg)
{
	struct client *client = e->client;
	struct call *call = xcalloc(1, sizeof(*call));

	call->endpoint = e;
	call->ops = ops;
	call->arg = arg;
	call->method = xstrdup(request->method);
	call->body = xmalloc(request->body_len + 1);
	if (request->body_len > 0)
		memcpy(call->body, request->body, request->body_len);
	call->body[request->body_len] = '\0';
	call->body_len = request->body_len;
	call->has_upload = request->has_upload;
	call->upload_left = request->upload_length;
	buf_init(&call->upload, UPLOAD_MAX);
	call->head_timeout_ms = request->head_timeout_ms;
	call->idle_timeout_ms = request->idle_timeout_ms;
	call->total_timeout_ms = request->total_timeout_ms;
	call->started_ms = call->progress_ms = loop_now_ms(client->loop);
	call->easy =
		client->handles_len > 0 ? client->handles[--client->handles_len] : curl_easy_init();
	if (call->easy == NULL)
		abort();
	set_connection(call, request);
	set_request(call, request);
	set_headers(call, request);
	curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
	call->next = e->calls;
	if (call->next != NULL)
		call->next->prev = call;
	e->calls = call;
	call->all_next = client->all;
	if (call->all_next != NULL)
		call->all_next->all_prev = call;
	client->all = call;
	e->in_flight++;
	e->running++;
	/* What would be a second request, or none, on the wire. */
	if (!head_is_token(request->method, strlen(request->method)) || request->target[0] != '/' ||
		!head_is_target(request->target, strlen(request->target)))
		fail(call, ERR_INVALID, "the request's target or method is malformed");
	call_todo(call, TODO_START);
	return call;
}

void call_cancel(struct call *call)
{
	if (call->ops == NULL) /* from inside done */
		return;
	call->ops = NULL;
	call->endpoint->running--;
	call_todo(call, TODO_END);
}

void call_resume(struct call *call)
{
	if (!call->is_paused)
		return;
	call->is_paused = false;
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	call_todo(call, TODO_UNPAUSE);
}

static void upload_changed(struct call *call)
{
	if (!call->upload_paused)
		return;
	call->upload_paused = false;
	call_todo(call, TODO_UNPAUSE);
}

/* on_upload breaks the request off, so that the peer does not take a part for the whole. */
static void upload_failed(struct call *call, enum err_code code, const char *message)
{
	if (call->failure.code == ERR_NONE)
		err_set(&call->failure, code, "%s", message);
	call->upload_ended = true;
}

bool call_upload(struct call *call, const void *data, size_t len)
{
	if (call->upload.len == 0)
		call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	if (call->upload_left >= 0 && len > (size_t)call->upload_left)
		upload_failed(call, ERR_INVALID, "the upload is longer than announced");
	else if (buf_append(&call->upload, data, len) != 0)
		upload_failed(call, ERR_TOO_LARGE, "more upload waits than there is room for");
	else if (call->upload_left >= 0)
		call->upload_left -= (int64_t)len;
	upload_changed(call);
	call->upload_full = call->upload.len > UPLOAD_HIGH_WATER;
	return !call->upload_full;
}

void call_upload_end(struct call *call)
{
	if (call->upload_left > 0)
		upload_failed(call, ERR_INVALID, "the upload is shorter than announced");
	call->upload_ended = true;
	call->progress_ms = loop_now_ms(call->endpoint->client->loop);
	upload_changed(call);
}

/* ---- Collected replies ---- */

static void collected_head(
	struct call *call, int status, const struct http_headers *headers, void *arg)
{
	/* The call keeps them until its end. */
	(void)call;
	(void)status;
	(void)headers;
	(void)arg;
}

static bool collected_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct collector *c = arg;

	if (buf_append(&c->body, data, len) != 0) {
		struct err err = ERR_INIT;

		err_set(&err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", c->body.max);
		call_finish(call, &err);
	}
	return true;
}

static void collected_done(struct call *call, const struct err *err, void *arg)
{
	struct collector *c = arg;
	struct reply reply = {.status = call->status,
		.headers = &call->reply_headers,
		.body = buf_str(&c->body),
		.body_len = c->body.len};

	c->done(c->arg, err == NULL ? &reply : NULL, err);
}

static const struct call_ops collect_ops = {
	.head = collected_head,
	.body = collected_body,
	.done = collected_done,
};

struct call *call_collect(struct endpoint *e, const struct call_request *request, size_t max,
	call_collect_fn *done, void *arg)
{
	struct collector *c = xcalloc(1, sizeof(*c));
	struct call *call;

	buf_init(&c->body, max);
	c->done = done;
	c->arg = arg;
	call = call_start(e, request, &collect_ops, c);
	call->collector = c;
	return call;
}

/* ---- Endpoints ---- */

struct endpoint *endpoint_new(
	struct client *client, const struct addr *addr, struct tls_context *tls)
{
	struct endpoint *e = xcalloc(1, sizeof(*e));
	char *text = addr_format(addr);

	e->client = client;
	e->addr = *addr;
	e->addr.host = addr->host != NULL ? xstrdup(addr->host) : NULL;
	e->addr.path = addr->path != NULL ? xstrdup(addr->path) : NULL;
	e->tls = tls_context_ref(tls);
	if (addr->kind == ADDR_UNIX) {
		e->name = text;
		e->host = xstrdup("localhost");
	} else {
		e->name = xasprintf("tcp://%s", text);
		e->host = text;
	}
	e->url = xasprintf("%s://%s/", tls != NULL ? "https" : "http", e->host);
	return e;
}

void endpoint_set_tls(struct endpoint *e, struct tls_context *tls)
{
	/* libcurl keys its idle connections by the material itself, so none made with the old one
	 * is used again. */
	tls_context_ref(tls);
	tls_context_unref(e->tls);
	e->tls = tls;
	free(e->url);
	e->url = xasprintf("%s://%s/", tls != NULL ? "https" : "http", e->host);
}

void endpoint_free(struct endpoint *e)
{
	struct err err = ERR_INIT;

	if (e == NULL)
		return;
	err_set(&err, ERR_CANCELED, "the connection to %s is no longer wanted", e->name);
	for (struct call *call = e->calls, *next; call != NULL; call = next) {
		next = call->next;
		if (call->ops != NULL)
			call_finish(call, &err);
	}
	while (e->raw_calls != NULL)
		raw_call_abort(e->raw_calls);
	e->is_freed = true;
	if (e->in_flight == 0)
		endpoint_destroy(e);
}

const char *endpoint_name(const struct endpoint *e)
{
	return e->name;
}

/* ---- The client ---- */

struct client *client_new(struct loop *loop)
{
	struct client *client = xcalloc(1, sizeof(*client));

	client->loop = loop;
	client->multi = curl_multi_init();
	if (client->multi == NULL)
		abort();
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	/* Idle connections are bounded per endpoint, not in all. */
	curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, 1000000L);
	client->timer = loop_timer_new(loop, timer_fired, client);
	client->janitor = loop_timer_new(loop, janitor, client);
	loop_timer_start(client->janitor, JANITOR_MS);
	return client;
}

struct loop *client_loop(const struct client *client)
{
	return client->loop;
}

void client_free(struct client *client)
{
	if (client == NULL)
		return;
	for (struct call *call = client->all, *next; call != NULL; call = next) {
		struct err err = ERR_INIT;

		next = call->all_next;
		err_set(&err, ERR_CANCELED, "the client ends");
		if (call->ops != NULL)
			call_finish(call, &err);
	}
	while (client->all != NULL)
		call_remove(client->all);
	client->queue = NULL;
	for (size_t i = 0; i < client->handles_len; i++)
		curl_easy_cleanup(client->handles[i]);
	curl_multi_cleanup(client->multi);
	loop_timer_free(client->timer);
	loop_timer_free(client->janitor);
	client->is_freed = true;
	if (!client->is_queued)
		free(client);
}
