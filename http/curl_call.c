/* Calls to stores through libcurl's multi interface on the loop. libcurl may not be called again
 * from inside its own callbacks, so starting, ending and unpausing calls is queued and done at the
 * end of the turn. */
#include "http/client_priv.h"
#include "http/head.h"
#include "http/tls_priv.h"
#include "lib/str.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

#define HANDLES_KEPT 16

struct curl {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	CURL *handles[HANDLES_KEPT]; /* easy handles to be used again */
	size_t handles_len;
	struct curl_call *calls; /* all that libcurl may know of, doubly linked */
	struct curl_call *queue; /* calls with something to be done outside of libcurl */
	bool is_queued;
	bool is_freed;
};

enum {
	TODO_START = 1,
	TODO_UNPAUSE = 2,
	TODO_END = 4,
};

struct curl_call {
	struct call call;
	struct curl *curl;
	struct curl_call *prev, *next;
	struct curl_call *queue_next;
	unsigned todo;
	CURL *easy;
	struct curl_slist *headers;
	char error[CURL_ERROR_SIZE];
	char *method;
	char *body;
	size_t body_len;
	bool upload_paused;
	size_t head_bytes;
	struct tls_context *tls; /* libcurl reads from it */
};

static struct curl_call *curl_call_of(struct call *call)
{
	return CONTAINER_OF(call, struct curl_call, call);
}

/* ---- The multi handle and the loop ---- */

static void check_messages(struct curl *curl);

static void socket_ready(unsigned events, void *arg);

struct curl_socket {
	struct curl *curl;
	curl_socket_t fd;
	struct loop_watch *watch;
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct curl *curl = arg;
	struct curl_socket *s = socket_arg;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (s != NULL) {
			loop_watch_free(s->watch);
			free(s);
			curl_multi_assign(curl->multi, fd, NULL);
		}
		return 0;
	}
	if (s == NULL) {
		s = xcalloc(1, sizeof(*s));
		s->curl = curl;
		s->fd = fd;
		s->watch = loop_watch_new(curl->loop, fd, socket_ready, s);
		curl_multi_assign(curl->multi, fd, s);
	}
	loop_watch_set(s->watch,
		(what & CURL_POLL_IN ? LOOP_READ : 0u) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0u));
	return 0;
}

static void socket_ready(unsigned events, void *arg)
{
	struct curl_socket *s = arg;
	struct curl *curl = s->curl;
	int running, mask = 0;

	if (events & LOOP_READ)
		mask |= CURL_CSELECT_IN;
	if (events & LOOP_WRITE)
		mask |= CURL_CSELECT_OUT;
	curl_multi_socket_action(curl->multi, s->fd, mask, &running);
	check_messages(curl);
}

static void timer_fired(void *arg)
{
	struct curl *curl = arg;
	int running;

	curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_messages(curl);
}

static int on_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl *curl = arg;

	(void)multi;
	if (timeout_ms < 0)
		loop_timer_stop(curl->timer);
	else
		loop_timer_start(curl->timer, (uint64_t)timeout_ms);
	return 0;
}

/* ---- What is done outside of libcurl ---- */

static void call_remove(struct curl_call *c);
static void run_queue(void *arg);

static void call_todo(struct curl_call *c, unsigned todo)
{
	struct curl *curl = c->curl;

	if (c->todo == 0) {
		c->queue_next = curl->queue;
		curl->queue = c;
	}
	c->todo |= todo;
	if (!curl->is_queued) {
		curl->is_queued = true;
		loop_defer(curl->loop, run_queue, curl);
	}
}

/* False when libcurl does not take it. */
static bool call_add(struct curl_call *c)
{
	struct err err = ERR_INIT;
	CURLMcode code;

	if (call_finish_failed(&c->call))
		return false;
	code = curl_multi_add_handle(c->curl->multi, c->easy);
	if (code == CURLM_OK)
		return true;
	err_set(&err, ERR_SYSTEM, "libcurl: %s", curl_multi_strerror(code));
	call_finish(&c->call, &err);
	return false;
}

static void call_unpause(struct curl_call *c)
{
	int mask = CURLPAUSE_CONT;

	if (c->call.is_paused)
		mask |= CURLPAUSE_RECV;
	if (c->upload_paused)
		mask |= CURLPAUSE_SEND;
	curl_easy_pause(c->easy, mask);
}

static void run_queue(void *arg)
{
	struct curl *curl = arg;
	struct curl_call *c, *list = NULL;
	bool started = false;

	curl->is_queued = false;
	if (curl->is_freed) {
		free(curl);
		return;
	}
	/* In the order they were asked for. */
	while ((c = curl->queue) != NULL) {
		curl->queue = c->queue_next;
		c->queue_next = list;
		list = c;
	}
	while ((c = list) != NULL) {
		unsigned todo = c->todo;

		list = c->queue_next;
		c->todo = 0;
		if (todo & TODO_END) {
			call_remove(c);
			continue;
		}
		if ((todo & TODO_START) && !call_add(c))
			continue;
		started |= (todo & TODO_START) != 0;
		if (todo & TODO_UNPAUSE)
			call_unpause(c);
	}
	if (started)
		timer_fired(curl);
	check_messages(curl);
}

/* Out of libcurl, and freed. */
static void call_remove(struct curl_call *c)
{
	struct curl *curl = c->curl;

	curl_multi_remove_handle(curl->multi, c->easy);
	if (curl->handles_len < HANDLES_KEPT) {
		curl_easy_reset(c->easy);
		curl->handles[curl->handles_len++] = c->easy;
	} else {
		curl_easy_cleanup(c->easy);
	}
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		curl->calls = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	tls_context_unref(c->tls);
	curl_slist_free_all(c->headers);
	free(c->method);
	free(c->body);
	call_release(&c->call);
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

static void call_completed(struct curl_call *c, CURLcode code)
{
	struct err err = ERR_INIT;

	if (call_finish_failed(&c->call))
		return;
	if (code != CURLE_OK)
		err_set(&err, code_of(code), "%s",
			c->error[0] != '\0' ? c->error : curl_easy_strerror(code));
	else if (!c->call.has_head)
		err_set(&err, ERR_UPSTREAM, "the answer has no head");
	call_finish(&c->call, err.code != ERR_NONE ? &err : NULL);
}

static void check_messages(struct curl *curl)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(curl->multi, &left)) != NULL) {
		struct curl_call *c = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		call_completed(c, msg->data.result);
	}
}

/* ---- libcurl's callbacks for one call ---- */

static size_t fail(struct curl_call *c, enum err_code code, const char *message)
{
	call_fail(&c->call, code, message);
	return 0;
}

static void add_header_line(struct curl_call *c, const char *line, size_t len)
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
	http_headers_add(&c->call.reply_headers, name, copy);
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
	struct curl_call *c = arg;
	size_t len = size * count;
	long status = 0;

	if (c->call.ops == NULL)
		return 0;
	c->head_bytes += len;
	if (c->head_bytes > CALL_HEAD_MAX)
		return fail(c, ERR_UPSTREAM, "the answer's head is too large");
	if (c->call.has_head) /* trailers: nothing here needs one */
		return len;
	if (len >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
		http_headers_free(&c->call.reply_headers);
		return len;
	}
	if (line[0] != '\r' && line[0] != '\n') {
		add_header_line(c, line, len);
		return len;
	}
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status == 101)
		return fail(c, ERR_UPSTREAM, "the answer upgrades, and nobody asked for it");
	if (status < 200)
		return len; /* an interim reply; the real one follows */
	if (status > 599)
		return fail(c, ERR_UPSTREAM, "the answer has a status that does not exist");
	if (!framing_is_clear(&c->call.reply_headers))
		return fail(c, ERR_UPSTREAM, "the answer frames its body in two ways");
	return call_take_head(&c->call, (int)status) ? len : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct curl_call *c = arg;
	size_t len = size * count;

	if (c->call.ops == NULL)
		return 0;
	/* Between the owner's "stop" and this, libcurl may hand over what it has read already. */
	if (c->call.is_paused)
		return CURL_WRITEFUNC_PAUSE;
	return call_take_body(&c->call, data, len) ? len : 0;
}

static size_t on_upload(char *data, size_t size, size_t count, void *arg)
{
	struct curl_call *c = arg;
	size_t len = size * count;

	if (c->call.ops == NULL || c->call.failure != NULL)
		return CURL_READFUNC_ABORT;
	if (c->call.upload.len == 0) {
		if (c->call.upload_ended)
			return 0;
		c->upload_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (len > c->call.upload.len)
		len = c->call.upload.len;
	memcpy(data, c->call.upload.data, len);
	return call_upload_sent(&c->call, len) ? len : CURL_READFUNC_ABORT;
}

/* ---- Starting ---- */

static void add_header(struct curl_call *c, const char *line)
{
	struct curl_slist *list = curl_slist_append(c->headers, line);

	if (list == NULL)
		abort();
	c->headers = list;
}

static void set_headers(struct curl_call *c, const struct call_request *request)
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
			add_header(c, line);
		free(line);
	}
	/* What libcurl would add by itself. */
	if (http_headers_get(&headers, "Accept") == NULL)
		add_header(c, "Accept:");
	if (http_headers_get(&headers, "Content-Type") == NULL)
		add_header(c, "Content-Type:");
	add_header(c, "Expect:");
	http_headers_free(&headers);
	if (c->call.has_upload && request->upload_length < 0)
		add_header(c, "Transfer-Encoding: chunked");
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
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

static void set_connection(struct curl_call *c, const struct call_request *request)
{
	struct endpoint *e = c->call.endpoint;
	CURL *easy = c->easy;

	curl_easy_setopt(easy, CURLOPT_URL, e->url);
	curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, request->target);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 10L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(request->connect_timeout_ms > 0 ? request->connect_timeout_ms
						       : CALL_CONNECT_TIMEOUT_MS));
	if (e->addr.kind == ADDR_UNIX)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, e->addr.path);
	c->tls = tls_context_ref(e->tls);
	if (e->tls != NULL)
		set_tls(easy, e->tls);
}

static void set_request(struct curl_call *c, const struct call_request *request)
{
	CURL *easy = c->easy;
	bool has_method_body =
		!str_eq(request->method, "GET") && !str_eq(request->method, "DELETE");

	if (c->call.has_upload) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		if (request->upload_length >= 0)
			curl_easy_setopt(
				easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_length);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(easy, CURLOPT_READDATA, c);
	} else if (str_eq(request->method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	} else if (c->body_len > 0 || has_method_body) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, c->body);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, c->method);
}

static void curl_stop(struct call *call)
{
	call_todo(curl_call_of(call), TODO_END);
}

static void curl_resume(struct call *call)
{
	call_todo(curl_call_of(call), TODO_UNPAUSE);
}

static void curl_upload_changed(struct call *call)
{
	struct curl_call *c = curl_call_of(call);

	if (!c->upload_paused)
		return;
	c->upload_paused = false;
	call_todo(c, TODO_UNPAUSE);
}

static struct call *curl_create(void)
{
	struct curl_call *c = xcalloc(1, sizeof(*c));

	return &c->call;
}

static struct curl *curl_new(struct loop *loop)
{
	struct curl *curl = xcalloc(1, sizeof(*curl));

	curl->loop = loop;
	curl->multi = curl_multi_init();
	if (curl->multi == NULL)
		abort();
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
	curl->timer = loop_timer_new(loop, timer_fired, curl);
	return curl;
}

static void curl_start(struct call *call, const struct call_request *request)
{
	struct curl_call *c = curl_call_of(call);
	struct client *client = call->endpoint->client;
	struct curl *curl;

	if (client->curl == NULL)
		client->curl = curl_new(client->loop);
	curl = client->curl;
	c->curl = curl;
	c->next = curl->calls;
	if (c->next != NULL)
		c->next->prev = c;
	curl->calls = c;
	c->method = xstrdup(request->method);
	c->body = xstrndup(request->body_len > 0 ? request->body : "", request->body_len);
	c->body_len = request->body_len;
	c->easy = curl->handles_len > 0 ? curl->handles[--curl->handles_len] : curl_easy_init();
	if (c->easy == NULL)
		abort();
	call->was_sent = true; /* as far as is known here */
	set_connection(c, request);
	set_request(c, request);
	set_headers(c, request);
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	call_todo(c, TODO_START);
}

void curl_client_free(struct curl *curl)
{
	if (curl == NULL)
		return;
	while (curl->calls != NULL)
		call_remove(curl->calls);
	for (size_t i = 0; i < curl->handles_len; i++)
		curl_easy_cleanup(curl->handles[i]);
	curl_multi_cleanup(curl->multi);
	loop_timer_free(curl->timer);
	curl->is_freed = true;
	if (!curl->is_queued)
		free(curl);
}

const struct call_carrier curl_carrier = {
	.create = curl_create,
	.start = curl_start,
	.stop = curl_stop,
	.resume = curl_resume,
	.upload_changed = curl_upload_changed,
};
