/* Choosing a back end; and what is the same for all of them: when to look, the difference between
 * one full set and the next, what is not believed, and when to register again. */
#include "discovery/discovery_priv.h"

#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/metrics.h"

#include <assert.h>
#include <string.h>

#define DISCOVERY_MAGIC 0x44495343
#define HEARTBEAT_DEFAULT_MS (60 * 1000)
/* First delay after an error, and the longest, unless the heartbeat is shorter. */
#define RETRY_BASE_MS 500
#define RETRY_CAP_MS (30 * 1000)
/* A look that was asked for while one was under way. */
#define LOOK_AGAIN_MS 50
/* An empty list is believed when it has stood for so many heartbeats, and for so long. */
#define EMPTY_HEARTBEATS 3
#define EMPTY_MIN_MS (10 * 1000)

/* Of every back end: kinds of address that entries may stand for all the same. */
#define ALLOW_SPECIAL "allow.special"

static const struct discovery_ops *const back_ends[] = {
	&discovery_nodes_ops,
	&discovery_file_ops,
	&discovery_consul_ops,
	&discovery_token_ops,
};

struct discovery {
	uint32_t magic;
	struct discovery_context context;
	struct str_list options; /* what context points to */
	const struct discovery_ops *ops;
	void *back_end;

	/* Watching. */
	discovery_changed_fn *changed;
	discovery_failed_fn *failed;
	void *watch_arg;
	struct loop_timer *look_timer;
	bool is_looking;
	bool look_again;        /* asked for while looking */
	bool look_is_soon;      /* the timer runs because of discovery_look_soon */
	unsigned look_failures; /* in a row */
	struct str_list last;   /* the last set that was told, sorted */
	bool has_last;
	bool has_failed;      /* since the last good answer */
	uint64_t grace_until; /* removals are held back; ms, 0 = they are not */
	struct str_list held; /* the answer whose removals are held back, sorted */
	struct loop_timer *grace_timer;
	bool is_empty;        /* the last answers were good and empty; nodes are known */
	uint64_t empty_since; /* ms */
	struct discovery_entries entries;
	unsigned refused; /* ADDR_SPECIAL_* that no entry may stand for */

	/* Registering. */
	char *addr; /* NULL = nothing is registered by us */
	void (*told)(const struct err *err, void *arg);
	void *told_arg;
	struct loop_timer *beat_timer;
	bool has_beaten; /* the back end was told of addr */
	unsigned beat_failures;
	struct loop_timer *withdraw_timer;
	bool is_withdrawing;
	void (*withdrawn)(const struct err *err, void *arg);
	void *withdrawn_arg;
};

/* ---- Options and URLs ---- */

const char *discovery_option(const struct str_list *options, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = options->len; i-- > 0;)
		if (strncmp(options->items[i], name, len) == 0 && options->items[i][len] == '=')
			return options->items[i] + len + 1;
	return NULL;
}

static bool is_known_option(const char *option, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(back_ends); i++) {
		const char *const *names = back_ends[i]->options;

		for (; names != NULL && *names != NULL; names++)
			if (strlen(*names) == len && strncmp(*names, option, len) == 0)
				return true;
	}
	return false;
}

/* An option of another back end is no error: one set of flags may serve several stores. */
static int check_options(const struct str_list *options, struct err *err)
{
	for (size_t i = 0; options != NULL && i < options->len; i++) {
		const char *option = options->items[i];
		const char *equals = strchr(option, '=');

		/* The value may be a secret: only the name is shown. */
		if (equals == NULL)
			return err_set(err, ERR_USAGE,
				"invalid discovery option '%.64s': it should be of the form "
				"name=value",
				option);
		if (!str_has_prefix(option, ALLOW_SPECIAL "=") &&
			!is_known_option(option, (size_t)(equals - option)))
			return err_set(err, ERR_USAGE, "unknown discovery option '%.*s'",
				(int)(equals - option > 64 ? 64 : equals - option), option);
	}
	return 0;
}

/* The kinds of address that no entry may stand for. */
static int read_refused(const struct str_list *options, unsigned *out, struct err *err)
{
	const char *names = options != NULL ? discovery_option(options, ALLOW_SPECIAL) : NULL;
	unsigned allowed = 0;

	if (names != NULL && addr_special_parse(names, &allowed, err) != 0)
		return err_wrap(err, "discovery option " ALLOW_SPECIAL);
	*out = ADDR_SPECIAL_ALL & ~allowed;
	return 0;
}

/* Splits a URL; one without a scheme is a list of nodes. */
static const struct discovery_ops *choose(const char *url, const char **place, struct err *err)
{
	const char *end = strstr(url, "://");
	CLEANUP_BUF struct buf known;

	buf_init(&known, 256);
	if (end == NULL) {
		*place = url;
		return &discovery_nodes_ops;
	}
	*place = end + 3;
	for (size_t i = 0; i < ARRAY_LEN(back_ends); i++) {
		CLEANUP_FREE char *scheme = xstrndup(url, (size_t)(end - url));

		if (str_ieq(scheme, back_ends[i]->scheme))
			return back_ends[i];
		buf_printf(&known, "%s%s://", i > 0 ? ", " : "", back_ends[i]->scheme);
	}
	err_set(err, ERR_INVALID, "unsupported discovery scheme '%.*s': known are %s",
		(int)(end - url > 32 ? 32 : end - url), url, buf_str(&known));
	return NULL;
}

/* ---- Watching ---- */

static uint64_t retry_delay(const struct discovery *d, unsigned failures)
{
	uint64_t cap =
		d->context.heartbeat_ms < RETRY_CAP_MS ? d->context.heartbeat_ms : RETRY_CAP_MS;
	uint64_t base = cap < RETRY_BASE_MS ? cap : RETRY_BASE_MS;

	return env_backoff_ms(d->context.env, failures > 0 ? failures - 1 : 0, base, cap);
}

static void look(void *arg)
{
	struct discovery *d = arg;

	assert(d->magic == DISCOVERY_MAGIC);
	d->is_looking = true;
	d->look_again = false;
	d->look_is_soon = false;
	d->ops->look(d->back_end);
}

static void look_ended(struct discovery *d, uint64_t delay_ms)
{
	assert(d->is_looking);
	d->is_looking = false;
	if (d->look_again && delay_ms > LOOK_AGAIN_MS)
		delay_ms = LOOK_AGAIN_MS;
	if (delay_ms != DISCOVERY_LOOK_NEVER)
		loop_timer_start(d->look_timer, delay_ms);
}

void discovery_look_soon(struct discovery *d, uint64_t delay_ms)
{
	if (d->is_looking) {
		d->look_again = true;
	} else if (d->changed != NULL && !d->look_is_soon) {
		/* Not moved by a second call, or a stream of them would put it off for ever. */
		d->look_is_soon = true;
		loop_timer_start(d->look_timer, delay_ms);
	}
}

static bool is_same(const struct str_list *a, const struct str_list *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

/* ---- Grace ----
 *
 * In a store whose entries expire, an outage is followed by half-full answers: entries expired
 * while nobody could renew them, and their agents come back one by one. So the first good answer
 * after a failure begins a time in which nodes may come but not go: one TTL, the time in which
 * every living agent registers again. At its end the last answer counts as it is. */

/* The answer that is held back says nothing any more; the next good one begins a new grace. */
static void grace_void(struct discovery *d)
{
	d->has_failed = true;
	d->grace_until = 0;
	str_list_free(&d->held);
	loop_timer_stop(d->grace_timer);
}

static void tell(struct discovery *d, struct str_list *addrs_take)
{
	str_list_free(&d->last);
	d->last = *addrs_take;
	*addrs_take = (struct str_list){0};
	d->has_last = true;
	metrics_inc(METRIC_DISCOVERY_UPDATES);
	d->changed(&d->last, d->watch_arg);
}

static void grace_over(void *arg)
{
	struct discovery *d = arg;
	struct str_list addrs = d->held;

	assert(d->magic == DISCOVERY_MAGIC);
	d->held = (struct str_list){0};
	d->grace_until = 0;
	log_info("%s discovery: removals count again known=%zu listed=%zu", d->ops->name,
		d->last.len, addrs.len);
	tell(d, &addrs);
}

/* Whether b, sorted as a is, lacks one of a. */
static bool is_lacking(const struct str_list *a, const struct str_list *b)
{
	size_t j = 0;

	for (size_t i = 0; i < a->len; i++) {
		while (j < b->len && strcmp(b->items[j], a->items[i]) < 0)
			j++;
		if (j == b->len || strcmp(b->items[j], a->items[i]) != 0)
			return true;
	}
	return false;
}

/* Adds to addrs what only d->last has; the answer as it was is kept for the end of the grace. */
static void hold_back(struct discovery *d, struct str_list *addrs)
{
	uint64_t now = d->context.env->now_ms(d->context.env);
	size_t answered = addrs->len;

	if (d->has_failed && d->ops->expires && d->last.len > 0)
		d->grace_until = now + d->context.ttl_ms;
	d->has_failed = false;
	str_list_free(&d->held);
	if (now >= d->grace_until || !is_lacking(&d->last, addrs)) {
		loop_timer_stop(d->grace_timer);
		return;
	}
	for (size_t i = 0; i < answered; i++)
		str_list_add(&d->held, addrs->items[i]);
	for (size_t i = 0; i < d->last.len; i++)
		str_list_add(addrs, d->last.items[i]);
	discovery_sort_unique(addrs);
	if (!loop_timer_is_active(d->grace_timer)) {
		log_info("%s discovery: after a failure, removals are held back known=%zu "
			 "listed=%zu ms=%llu",
			d->ops->name, d->last.len, d->held.len,
			(unsigned long long)(d->grace_until - now));
		loop_timer_start(d->grace_timer, d->grace_until - now);
	}
}

/* ---- What back ends report ---- */

void discovery_report_error(struct discovery *d, const struct err *err)
{
	struct err told = *err;

	metrics_inc(METRIC_DISCOVERY_ERRORS);
	d->look_failures++;
	d->is_empty = false;
	grace_void(d);
	look_ended(d, retry_delay(d, d->look_failures));
	err_wrap(&told, "%s discovery", d->ops->name);
	d->failed(&told, d->watch_arg);
}

/* How long an empty list has to stand until the last nodes go, ms. */
static uint64_t empty_wait(const struct discovery *d)
{
	uint64_t wait = EMPTY_HEARTBEATS * d->context.heartbeat_ms;

	return wait > EMPTY_MIN_MS ? wait : EMPTY_MIN_MS;
}

/* Nothing usable is listed where there were nodes. Entries that are there and no addresses are a
 * fault of the store for as long as they stand. An empty list may be one: it counts when it has
 * stood for a while in which the store answered well each time. True: it counts now. */
static bool is_empty_believed(struct discovery *d, size_t listed, uint64_t *look_again_ms)
{
	uint64_t now = d->context.env->now_ms(d->context.env), left;

	if (listed > 0) {
		d->is_empty = false;
		return false;
	}
	if (!d->is_empty)
		d->empty_since = now;
	d->is_empty = true;
	if (now - d->empty_since >= empty_wait(d))
		return true;
	left = empty_wait(d) - (now - d->empty_since);
	if (*look_again_ms > left)
		*look_again_ms = left;
	return false;
}

static void report_nothing(struct discovery *d, size_t listed)
{
	struct err err = ERR_INIT;

	metrics_inc(METRIC_DISCOVERY_ERRORS);
	grace_void(d);
	if (listed > 0)
		err_set(&err, ERR_UPSTREAM,
			"%s discovery: none of the %zu entries can be a node, and %zu nodes were "
			"known; they are kept",
			d->ops->name, listed, d->last.len);
	else
		err_set(&err, ERR_UPSTREAM,
			"%s discovery: the answer is empty, and %zu nodes were known; they are "
			"kept until it has been so for %llu s",
			d->ops->name, d->last.len, (unsigned long long)(empty_wait(d) / 1000));
	d->failed(&err, d->watch_arg);
}

void discovery_report_set(struct discovery *d, struct str_list *addrs_take, uint64_t look_again_ms)
{
	CLEANUP_STR_LIST struct str_list addrs = *addrs_take;
	struct err err = ERR_INIT;
	size_t listed = addrs.len;

	*addrs_take = (struct str_list){0};
	if (addrs.len > ADDR_EXPAND_MAX) {
		err_set(&err, ERR_TOO_LARGE, "the store lists more than %d nodes, the most",
			ADDR_EXPAND_MAX);
		discovery_report_error(d, &err);
		return;
	}
	discovery_entries_clean(&d->entries, d->ops, d->refused, &addrs);
	if (d->look_failures > 0)
		log_info("%s discovery: answers again failures=%u", d->ops->name, d->look_failures);
	d->look_failures = 0;
	if (addrs.len == 0 && d->last.len > 0 && !is_empty_believed(d, listed, &look_again_ms)) {
		look_ended(d, look_again_ms);
		report_nothing(d, listed);
		return;
	}
	look_ended(d, look_again_ms);
	if (addrs.len > 0)
		hold_back(d, &addrs);
	else if (d->last.len > 0)
		log_warn("%s discovery: the list stays empty, the last nodes go known=%zu",
			d->ops->name, d->last.len);
	d->is_empty = false;
	if (!d->has_last || !is_same(&d->last, &addrs))
		tell(d, &addrs);
}

void discovery_watch(
	struct discovery *d, discovery_changed_fn *changed, discovery_failed_fn *failed, void *arg)
{
	assert(d->magic == DISCOVERY_MAGIC);
	assert(d->changed == NULL);
	d->changed = changed;
	d->failed = failed;
	d->watch_arg = arg;
	loop_timer_start(d->look_timer, 0);
}

/* ---- Registering ---- */

/* A store forgets what was not renewed for a TTL: renew at least three times in it, and let a fleet
 * that was started at once spread out. */
static uint64_t beat_period(const struct discovery *d)
{
	uint64_t period = d->context.heartbeat_ms;

	if (period > d->context.ttl_ms / 3)
		period = d->context.ttl_ms / 3;
	if (period > UINT32_MAX)
		period = UINT32_MAX;
	if (period >= 10)
		period -= d->context.env->random_below(d->context.env, (uint32_t)(period / 10));
	return period > 0 ? period : 1;
}

static void beat(void *arg)
{
	struct discovery *d = arg;

	assert(d->magic == DISCOVERY_MAGIC);
	d->has_beaten = true;
	d->ops->publish(d->back_end, d->addr);
}

void discovery_report_published(struct discovery *d, const struct err *err)
{
	struct err told = ERR_INIT;

	if (err == NULL) {
		d->beat_failures = 0;
		loop_timer_start(d->beat_timer, beat_period(d));
		d->told(NULL, d->told_arg);
		return;
	}
	told = *err;
	d->beat_failures++;
	loop_timer_start(d->beat_timer, retry_delay(d, d->beat_failures));
	err_wrap(&told, "%s discovery", d->ops->name);
	d->told(&told, d->told_arg);
}

int discovery_publish(struct discovery *d, const char *addr,
	void (*told)(const struct err *err, void *arg), void *arg, struct err *err)
{
	assert(d->magic == DISCOVERY_MAGIC);
	if (d->ops->publish == NULL)
		return err_set(err, ERR_UNSUPPORTED,
			"%s:// discovery cannot register a node: its list is written by hand",
			d->ops->scheme);
	if (addr_check_host_port(addr, err) != 0)
		return -1;
	if (d->addr != NULL)
		return err_set(err, ERR_CONFLICT, "%s is registered already", d->addr);
	d->addr = xstrdup(addr);
	d->told = told;
	d->told_arg = arg;
	loop_timer_start(d->beat_timer, 0);
	return 0;
}

void discovery_report_withdrawn(struct discovery *d, const struct err *err)
{
	struct err told = ERR_INIT;

	d->is_withdrawing = false;
	d->has_beaten = false;
	d->beat_failures = 0;
	free(TAKE_PTR(d->addr));
	if (err == NULL) {
		d->withdrawn(NULL, d->withdrawn_arg);
		return;
	}
	told = *err;
	err_wrap(&told, "%s discovery", d->ops->name);
	d->withdrawn(&told, d->withdrawn_arg);
}

static void withdraw(void *arg)
{
	struct discovery *d = arg;

	if (!d->has_beaten)
		discovery_report_withdrawn(d, NULL);
	else
		d->ops->withdraw(d->back_end);
}

void discovery_withdraw(
	struct discovery *d, void (*done)(const struct err *err, void *arg), void *arg)
{
	assert(d->magic == DISCOVERY_MAGIC);
	assert(!d->is_withdrawing);
	d->is_withdrawing = true;
	d->withdrawn = done;
	d->withdrawn_arg = arg;
	loop_timer_stop(d->beat_timer);
	loop_timer_start(d->withdraw_timer, 0);
}

/* ---- Opening and closing ---- */

struct discovery *discovery_open(struct loop *loop, const struct env *env, struct client *client,
	const struct discovery_config *config, struct err *err)
{
	const char *place = NULL;
	const struct discovery_ops *ops;
	struct discovery *d;
	unsigned refused = 0;

	if (str_is_empty(config->url)) {
		err_set(err, ERR_INVALID, "no discovery URL is given");
		return NULL;
	}
	ops = choose(config->url, &place, err);
	if (ops == NULL || check_options(config->options, err) != 0 ||
		read_refused(config->options, &refused, err) != 0)
		return NULL;
	d = xcalloc(1, sizeof(*d));
	d->magic = DISCOVERY_MAGIC;
	for (size_t i = 0; config->options != NULL && i < config->options->len; i++)
		str_list_add(&d->options, config->options->items[i]);
	d->context = (struct discovery_context){
		.discovery = d,
		.loop = loop,
		.env = env,
		.client = client,
		.options = &d->options,
		.heartbeat_ms = config->heartbeat_ms,
		.ttl_ms = config->ttl_ms,
	};
	if (d->context.heartbeat_ms == 0)
		d->context.heartbeat_ms = HEARTBEAT_DEFAULT_MS;
	if (d->context.ttl_ms == 0)
		d->context.ttl_ms = 3 * d->context.heartbeat_ms;
	d->ops = ops;
	d->refused = refused;
	d->look_timer = loop_timer_new(loop, look, d);
	d->grace_timer = loop_timer_new(loop, grace_over, d);
	d->beat_timer = loop_timer_new(loop, beat, d);
	d->withdraw_timer = loop_timer_new(loop, withdraw, d);
	d->back_end = ops->open(&d->context, place, err);
	if (d->back_end == NULL) {
		discovery_close(d);
		err_wrap(err, "%s:// discovery", ops->scheme);
		return NULL;
	}
	return d;
}

unsigned discovery_refused(const struct discovery *d)
{
	return d->refused;
}

void discovery_close(struct discovery *d)
{
	if (d == NULL)
		return;
	assert(d->magic == DISCOVERY_MAGIC);
	if (d->back_end != NULL)
		d->ops->close(d->back_end);
	loop_timer_free(d->look_timer);
	loop_timer_free(d->grace_timer);
	loop_timer_free(d->beat_timer);
	loop_timer_free(d->withdraw_timer);
	str_list_free(&d->options);
	str_list_free(&d->last);
	str_list_free(&d->held);
	discovery_entries_free(&d->entries);
	free(d->addr);
	d->magic = 0;
	free(d);
}
