/* What happens to a fleet by itself: containers that start, stop, come and go, and engines that are
 * away for a while. */
#include "simulator/http.h"
#include "simulator/simulator.h"

#define TICK_MS 20
#define PER_TICK_MAX 1000 /* more is not made up for after a stall */
#define VISITOR "visitor" /* the one container of an engine that comes and goes */

struct sim_chance {
	struct loop *loop;
	struct loop_timer *timer;
	struct sim_host *const *hosts; /* borrowed */
	size_t hosts_len;
	double changes, outages; /* a second */
	double changes_due, outages_due;
	unsigned outage_ms;
	uint64_t last_ms;
};

static struct sim_host *some_host(struct sim_chance *chance)
{
	return chance->hosts[sim_random(chance->hosts[0]->engine) % chance->hosts_len];
}

/* One of those that the engine had from the start, or NULL. */
static struct sim_container *some_container(struct sim_engine *e)
{
	struct sim_container key;
	struct sim_container *c;

	sim_hex(sim_random(e), key.id);
	c = RB_NFIND(sim_ids, &e->ids, &key);
	if (!c)
		c = RB_MIN(sim_ids, &e->ids);
	return c && str_has_prefix(c->name, SIM_FILL_NAME) ? c : NULL;
}

/* What may fail here, fails as a client's request would, and nobody needs to know. */
static void change(struct sim_engine *e)
{
	struct sim_container *c = some_container(e);
	struct sim_container *visitor;
	struct err err = ERR_INIT;
	int status;

	if (!c)
		return;
	if (sim_random(e) & 1) {
		status = sim_container_is_running(c) ? sim_container_stop(c, &err)
						     : sim_container_start(c, &err);
		(void)status;
		return;
	}
	visitor = sim_container_find(e, VISITOR, &status, &err);
	if (visitor)
		status = sim_container_remove(visitor, true, true, &err);
	else if (!sim_container_create_like(c, VISITOR, &visitor, &err))
		status = sim_container_start(visitor, &err);
}

static unsigned due(double *due, double rate, double seconds)
{
	double count;

	*due += rate * seconds;
	count = *due < PER_TICK_MAX ? *due : PER_TICK_MAX;
	*due -= (unsigned)count;
	if (*due >= 1)
		*due = 0;
	return (unsigned)count;
}

static void tick(void *arg)
{
	struct sim_chance *chance = arg;
	uint64_t now = loop_now_ms(chance->loop);
	double seconds = (double)(now - chance->last_ms) / 1000;
	unsigned changes = due(&chance->changes_due, chance->changes, seconds);
	unsigned outages = due(&chance->outages_due, chance->outages, seconds);

	chance->last_ms = now;
	for (; changes; changes--)
		change(some_host(chance)->engine);
	for (; outages; outages--) {
		struct sim_host *host = some_host(chance);
		uint64_t half = chance->outage_ms / 2 + 1;

		if (host->fault == SIM_FAULT_NONE)
			sim_fault_begin(host, SIM_FAULT_DOWN,
				half + sim_random(host->engine) % (2 * half), 0);
	}
	loop_timer_start(chance->timer, TICK_MS);
}

struct sim_chance *sim_chance_new(
	struct loop *loop, struct sim_host *const *hosts, size_t hosts_len, unsigned outage_ms)
{
	struct sim_chance *chance = xcalloc(1, sizeof(*chance));

	chance->loop = loop;
	chance->hosts = hosts;
	chance->hosts_len = hosts_len;
	chance->outage_ms = outage_ms;
	chance->timer = loop_timer_new(loop, tick, chance);
	return chance;
}

void sim_chance_set(struct sim_chance *chance, double changes, double outages)
{
	chance->changes = changes;
	chance->outages = outages;
	chance->last_ms = loop_now_ms(chance->loop);
	if (changes > 0 || outages > 0)
		loop_timer_start(chance->timer, TICK_MS);
	else
		loop_timer_stop(chance->timer);
}

static void rates_body(struct sim_request *r)
{
	CLEANUP_JSON json_t *json = json_parse(buf_str(&r->text), r->text.len, NULL);
	json_t *changes = json_get(json, "churn");
	json_t *outages = json_get(json, "outages");
	double churn = json_is_number(changes) ? json_number_value(changes) : -1;
	double rate = json_is_number(outages) ? json_number_value(outages) : -1;

	if (!(churn >= 0 && churn <= SIMULATOR_RATE_MAX && rate >= 0 &&
		    rate <= SIMULATOR_RATE_MAX)) {
		sim_reply_text(
			r, 400, "churn and outages are numbers from 0 to %d", SIMULATOR_RATE_MAX);
		return;
	}
	sim_chance_set(r->host->chance, churn, rate);
	sim_reply_empty(r, 204);
}

void sim_chance_order(struct sim_request *r)
{
	sim_request_read(r, 4096, rates_body);
}

void sim_chance_free(struct sim_chance *chance)
{
	if (!chance)
		return;
	loop_timer_free(chance->timer);
	free(chance);
}
