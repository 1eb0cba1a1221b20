/* Load on one manager or engine, and how long each request took.
 *
 *	load [--tls] get ADDRESS CLIENTS COUNT TARGET
 *	load [--tls] create ADDRESS CLIENTS COUNT IMAGE
 *
 * CLIENTS requests are always under way, COUNT in all; connections are kept. `create`
 * creates a container and starts it, and counts the two as one. With --tls certificates are not
 * verified. Prints one line of name=value. */
#include "http/client.h"
#include "lib/buf.h"
#include "lib/json.h"
#include "lib/loop.h"
#include "lib/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REPLY_MAX (1024 * 1024)
#define CLIENTS_MAX 1024
#define COUNT_MAX 10000000

struct load {
	struct loop *loop;
	struct endpoint *endpoint;
	const char *target; /* of get */
	char *body;         /* of create; NULL = get */
	long long count;
	long long started;
	long long ended;
	long long failed;
	char failure[256]; /* the first */
	size_t bytes;      /* of the last reply */
	double *seconds;   /* of those that were answered well */
	size_t seconds_len;
};

struct worker {
	struct load *load;
	double since;
	int status; /* of what get got */
	size_t bytes;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void worker_next(struct worker *w);

/* text: of the reply, or of what went wrong; NULL = none. */
static void worker_done(struct worker *w, int status, const char *text, const struct err *err)
{
	struct load *load = w->load;

	if (err == NULL && status >= 200 && status < 300) {
		load->seconds[load->seconds_len++] = now() - w->since;
	} else if (load->failed++ == 0) {
		if (err != NULL)
			strlcpy(load->failure, err->msg, sizeof(load->failure));
		else
			snprintf(load->failure, sizeof(load->failure), "status %d: %.200s", status,
				text != NULL ? text : "");
	}
	if (++load->ended == load->count)
		loop_stop(load->loop);
	else
		worker_next(w);
}

static void answered(void *arg, const struct reply *reply, const struct err *err)
{
	worker_done(arg, err == NULL ? reply->status : 0, err == NULL ? reply->body : NULL, err);
}

/* What `get` gets is counted and dropped: keeping a list of 800 MB would be most of the time. */

static void got_head(struct call *call, int status, const struct http_headers *headers, void *arg)
{
	struct worker *w = arg;

	(void)call, (void)headers;
	w->status = status;
	w->bytes = 0;
}

static bool got_body(struct call *call, const char *data, size_t len, void *arg)
{
	struct worker *w = arg;

	(void)call, (void)data;
	w->bytes += len;
	return true;
}

static void got(struct call *call, const struct err *err, void *arg)
{
	struct worker *w = arg;

	(void)call;
	w->load->bytes = w->bytes;
	worker_done(w, w->status, NULL, err);
}

static void created(void *arg, const struct reply *reply, const struct err *err)
{
	struct worker *w = arg;
	struct call_request start = {.method = "POST"};
	json_t *json CLEANUP_JSON = NULL;
	char *target CLEANUP_FREE = NULL;

	if (err == NULL && reply->status == 201)
		json = json_parse(reply->body, reply->body_len, NULL);
	if (json == NULL) {
		answered(w, reply, err);
		return;
	}
	target = xasprintf("/v1.41/containers/%s/start", json_str(json, "Id", ""));
	start.target = target;
	call_collect(w->load->endpoint, &start, REPLY_MAX, answered, w);
}

static void worker_next(struct worker *w)
{
	static const struct call_ops get_ops = {.head = got_head, .body = got_body, .done = got};
	struct load *load = w->load;
	struct http_headers headers = {0};
	struct call_request request = {.method = "GET", .target = load->target};

	if (load->started == load->count)
		return;
	load->started++;
	w->since = now();
	if (load->body == NULL) {
		call_start(load->endpoint, &request, &get_ops, w);
		return;
	}
	http_headers_add(&headers, "Content-Type", "application/json");
	request.method = "POST";
	request.target = "/v1.41/containers/create";
	request.headers = &headers;
	request.body = load->body;
	request.body_len = strlen(load->body);
	call_collect(load->endpoint, &request, REPLY_MAX, created, w);
	http_headers_free(&headers);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile(const struct load *load, unsigned percent)
{
	if (load->seconds_len == 0)
		return 0;
	return load->seconds[(load->seconds_len - 1) * percent / 100] * 1e6;
}

static void report(struct load *load, double elapsed)
{
	qsort(load->seconds, load->seconds_len, sizeof(*load->seconds), compare);
	printf("count=%zu failed=%lld seconds=%.6f p50_us=%.1f p99_us=%.1f max_us=%.1f bytes=%zu\n",
		load->seconds_len, load->failed, elapsed, percentile(load, 50),
		percentile(load, 99), percentile(load, 100), load->bytes);
	if (load->failed > 0)
		fprintf(stderr, "load: the first that failed: %s\n", load->failure);
}

static int usage(const char *why)
{
	fprintf(stderr,
		"load: %s\n"
		"usage: load [--tls] get ADDRESS CLIENTS COUNT TARGET\n"
		"       load [--tls] create ADDRESS CLIENTS COUNT IMAGE\n",
		why);
	return 2;
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	const struct tls_config unverified = {0};
	struct tls_context *tls = NULL;
	struct addr addr = {0};
	struct load load = {0};
	struct worker *workers;
	struct client *client;
	long long clients;
	double start;

	if (argc > 1 && str_eq(argv[1], "--tls")) {
		tls = tls_context_new(&unverified, &err);
		if (tls == NULL)
			return usage(err.msg);
		argc--;
		argv++;
	}
	if (argc != 6 || (!str_eq(argv[1], "get") && !str_eq(argv[1], "create")))
		return usage("wrong arguments");
	if (addr_parse(argv[2], 2375, &addr, &err) != 0 ||
		str_to_int(argv[3], 1, CLIENTS_MAX, &clients, "CLIENTS", &err) != 0 ||
		str_to_int(argv[4], 1, COUNT_MAX, &load.count, "COUNT", &err) != 0)
		return usage(err.msg);
	load.target = argv[5];
	if (str_eq(argv[1], "create"))
		load.body = xasprintf("{\"Image\":\"%s\",\"Cmd\":[\"sleep\",\"100000\"]}", argv[5]);
	load.seconds = xcalloc((size_t)load.count, sizeof(*load.seconds));
	load.loop = loop_new();
	client = client_new(load.loop);
	load.endpoint = endpoint_new(client, &addr, tls);
	workers = xcalloc((size_t)clients, sizeof(*workers));
	start = now();
	for (long long i = 0; i < clients; i++) {
		workers[i].load = &load;
		worker_next(&workers[i]);
	}
	loop_run(load.loop);
	report(&load, now() - start);
	endpoint_free(load.endpoint);
	client_free(client);
	tls_context_unref(tls);
	loop_free(load.loop);
	addr_free(&addr);
	free(workers);
	free(load.seconds);
	free(load.body);
	return load.failed > 0;
}
