/* What must block, on libuv's helper threads. */
#include "lib/loop.h"

#include "lib/loop_priv.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

/* The most addresses of one host that are passed on. */
#define RESOLVE_MAX 64

struct loop_work {
	uv_work_t request;
	struct loop *loop;
	void (*work)(void *arg);
	void (*done)(void *arg, bool canceled);
	void *arg;
	bool canceled;
};

struct loop_resolve {
	uv_getaddrinfo_t request;
	struct loop *loop;
	void (*done)(void *arg, const struct loop_address *addresses, size_t count,
		const struct err *err); /* NULL once canceled */
	void *arg;
	char *host;
	struct addrinfo *numeric; /* the answer, when no thread was needed; owned */
	int status;               /* why no thread could be asked */
	bool is_asked;            /* request is under way */
};

static void on_work(uv_work_t *request)
{
	struct loop_work *work = request->data;

	work->work(work->arg);
}

static void on_work_done(uv_work_t *request, int status)
{
	struct loop_work *work = request->data;

	work->loop->requests--;
	work->done(work->arg, work->canceled || status == UV_ECANCELED);
	free(work);
}

struct loop_work *loop_work_start(struct loop *loop, void (*work)(void *arg),
	void (*done)(void *arg, bool canceled), void *arg)
{
	struct loop_work *w = xcalloc(1, sizeof(*w));
	int status;

	w->loop = loop;
	w->work = work;
	w->done = done;
	w->arg = arg;
	w->request.data = w;
	loop->requests++;
	status = uv_queue_work(&loop->uv, &w->request, on_work, on_work_done);
	if (status)
		loop_die("work cannot be queued", status);
	return w;
}

void loop_work_cancel(struct loop_work *work)
{
	if (!work)
		return;
	work->canceled = true;
	/* Takes it out of the queue, unless a thread has begun it. */
	(void)uv_cancel((uv_req_t *)&work->request);
}

static size_t copy_addresses(const struct addrinfo *list, struct loop_address *out)
{
	size_t count = 0;

	for (; list && count < RESOLVE_MAX; list = list->ai_next) {
		if ((list->ai_family != AF_INET && list->ai_family != AF_INET6) ||
			list->ai_addrlen > sizeof(out->addr))
			continue;
		memset(&out[count], 0, sizeof(out[count]));
		memcpy(&out[count].addr, list->ai_addr, list->ai_addrlen);
		out[count].len = list->ai_addrlen;
		count++;
	}
	return count;
}

/* Tells the owner, unless it has canceled, and frees the object. */
static void finish_resolve(struct loop_resolve *resolve, int status, const struct addrinfo *list)
{
	struct loop_address addresses[RESOLVE_MAX];
	struct err err = ERR_INIT;
	size_t count = 0;

	resolve->loop->requests--;
	if (!status) {
		count = copy_addresses(list, addresses);
		if (!count)
			status = UV_EAI_NODATA;
	}
	if (status)
		err_set(&err, ERR_UNAVAILABLE, "cannot look up host \"%.255s\": %s", resolve->host,
			uv_strerror(status));
	if (resolve->done)
		resolve->done(resolve->arg, count ? addresses : NULL, count, count ? NULL : &err);
	free(resolve->host);
	free(resolve);
}

static void on_addresses(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	finish_resolve(request->data, status, list);
	uv_freeaddrinfo(list);
}

static void answer_at_once(void *arg)
{
	struct loop_resolve *resolve = arg;
	struct addrinfo *numeric = resolve->numeric;

	finish_resolve(resolve, resolve->status, numeric);
	if (numeric)
		freeaddrinfo(numeric);
}

struct loop_resolve *loop_resolve_start(struct loop *loop, const char *host, uint16_t port,
	void (*done)(void *arg, const struct loop_address *addresses, size_t count,
		const struct err *err),
	void *arg)
{
	struct loop_resolve *resolve = xcalloc(1, sizeof(*resolve));
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	char service[8];

	resolve->loop = loop;
	resolve->done = done;
	resolve->arg = arg;
	resolve->host = xstrdup(host);
	resolve->request.data = resolve;
	loop->requests++;
	(void)snprintf(service, sizeof(service), "%u", (unsigned)port);

	hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
	if (!*host) {
		resolve->status = UV_EAI_NONAME;
	} else if (getaddrinfo(host, service, &hints, &resolve->numeric)) {
		resolve->numeric = NULL;
		hints.ai_flags = AI_NUMERICSERV;
		resolve->status = uv_getaddrinfo(
			&loop->uv, &resolve->request, on_addresses, host, service, &hints);
		resolve->is_asked = !resolve->status;
	}
	if (!resolve->is_asked)
		loop_defer(loop, answer_at_once, resolve);
	return resolve;
}

void loop_resolve_cancel(struct loop_resolve *resolve)
{
	if (!resolve)
		return;
	resolve->done = NULL;
	if (resolve->is_asked)
		(void)uv_cancel((uv_req_t *)&resolve->request);
}
