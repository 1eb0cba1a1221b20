/* Faults of a host: ordered by clients, or by chance (chance.c). */
#include "simulator/http.h"

#include <utlist.h>

#define SLOW_DEFAULT_MS 2000
#define DRIP_DEFAULT_MS 1000
#define FAULT_SECONDS_MAX 86400
#define DOWN_DELAY_MS 20 /* so that the answer to the order still goes out */

static void fault_end(struct sim_host *host)
{
	struct err err = ERR_INIT;
	struct sim_request *r;
	struct sim_request *tmp;

	if (host->fault == SIM_FAULT_DOWN && !host->server) {
		host->server = server_new(host->engine->options->loop, &host->handler, NULL);
		if (host->listens && server_listen(host->server, &host->addr, host->tls, &err)) {
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
			sim_request_delay(r, 0);
		}
}

void sim_fault_timer(void *arg)
{
	fault_end(arg);
}

/* Not from inside a handler of the server that it frees. */
void sim_fault_take_down(void *arg)
{
	struct sim_host *host = arg;

	if (host->fault != SIM_FAULT_DOWN)
		return;
	while (host->pipes)
		sim_pipe_free(host->pipes);
	server_free(TAKE_PTR(host->server));
}

void sim_fault_begin(struct sim_host *host, enum sim_fault fault, uint64_t ms, unsigned slow_ms)
{
	fault_end(host);
	host->fault = fault;
	host->slow_ms = slow_ms;
	loop_timer_stop(host->timer);
	if (ms)
		loop_timer_start(host->timer, ms);
	if (fault == SIM_FAULT_DOWN)
		loop_timer_start(host->down_timer, DOWN_DELAY_MS);
}

static const char *const fault_names[] = {
	"none", "hang", "close", "garbage", "slow", "truncate", "down", "error", "drip"};

static void fault_request(struct sim_request *r, const json_t *body)
{
	struct sim_host *host = r->host;
	const char *kind = json_str(body, "kind", "");
	json_t *number = json_get(body, "seconds");
	double seconds = json_is_number(number) ? json_number_value(number) : -1;
	int64_t ms = json_int(body, "ms", str_eq(kind, "drip") ? DRIP_DEFAULT_MS : SLOW_DEFAULT_MS);

	for (size_t i = 0; i < ARRAY_LEN(fault_names); i++) {
		if (!str_eq(kind, fault_names[i]))
			continue;
		if (i && (seconds <= 0 || seconds > FAULT_SECONDS_MAX || ms < 0 || ms > 600000))
			break;
		sim_fault_begin(
			host, (enum sim_fault)i, i ? (uint64_t)(seconds * 1000) : 0, (unsigned)ms);
		exchange_reply(r->x, 204, NULL, "", 0);
		return;
	}
	sim_reply_text(r, 400,
		"a fault has a kind (none, hang, close, garbage, slow, truncate, down, error, "
		"drip) and "
		"seconds (more than 0, at most %d)",
		FAULT_SECONDS_MAX);
}

static void fault_body(struct sim_request *r)
{
	struct err err = ERR_INIT;
	CLEANUP_JSON json_t *json = json_parse(buf_str(&r->text), r->text.len, &err);

	if (!json_is_object(json))
		sim_reply_text(r, 400, "the body must be a JSON object");
	else
		fault_request(r, json);
}

void sim_fault_order(struct sim_request *r)
{
	sim_request_read(r, 4096, fault_body);
}

bool sim_fault_apply(struct sim_request *r)
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
