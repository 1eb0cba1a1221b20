/* The heartbeat agent: keeps one engine's address registered in discovery. It forwards nothing. */
#ifndef JOIN_JOIN_H
#define JOIN_JOIN_H

#include "lib/env.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/mem.h"
#include "lib/str.h"

#include <stdint.h>

/* Texts and lists are borrowed, and must live as long as the agent. */
struct join_config {
	const char *discovery; /* URL */
	const struct str_list *discovery_options;
	const char *addr;      /* "ip:port" of the engine, as managers reach it */
	uint64_t heartbeat_ms; /* time between two renewals */
	uint64_t ttl_ms;       /* how long a registration outlives its last renewal */
	uint64_t delay_ms;     /* the first registration comes after a random part of it */
};

/* Time that taking back the registration may need at the end. */
#define JOIN_WITHDRAW_MS 5000

struct join;

/* Opens discovery and schedules the first registration. ERR_USAGE: the URL is wrong, or its back
 * end cannot register. */
struct join *join_new(struct loop *loop, const struct env *env, const struct join_config *config,
	struct err *err) MUSTCHECK;
void join_free(struct join *join);

/* Takes the registration back; done is called once, when that is done, failed, or took more than
 * JOIN_WITHDRAW_MS. */
void join_withdraw(struct join *join, void (*done)(void *arg), void *arg);

/* Runs an agent on a loop of its own until SIGTERM or SIGINT, then withdraws (a second signal: at
 * once). */
int join_run(const struct join_config *config, struct err *err) MUSTCHECK;

#endif
