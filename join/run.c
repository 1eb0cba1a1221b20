/* An agent as a process: a loop of its own and the signals that end it. */
#include "join/join.h"

#include "lib/log.h"

#include <signal.h>

struct run {
	struct loop *loop;
	struct join *join;
	bool is_stopping;
};

static void on_withdrawn(void *arg)
{
	struct run *r = arg;
	loop_stop(r->loop);
}

static void on_signal(int signum, void *arg)
{
	struct run *r = arg;
	if (r->is_stopping) {
		log_warn("second signal, leaving at once signal=%d", signum);
		loop_stop(r->loop);
		return;
	}
	r->is_stopping = true;
	log_info("stopping signal=%d", signum);
	join_withdraw(r->join, on_withdrawn, r);
}

int join_run(const struct join_config *config, struct err *err)
{
	struct run r = {.loop = loop_new()};
	r.join = join_new(r.loop, env_system(), config, err);
	if (r.join == NULL) {
		loop_free(r.loop);
		return -1;
	}
	struct loop_signal *term = loop_signal_new(r.loop, SIGTERM, on_signal, &r);
	struct loop_signal *interrupt = loop_signal_new(r.loop, SIGINT, on_signal, &r);
	loop_run(r.loop);
	loop_signal_free(term);
	loop_signal_free(interrupt);
	join_free(r.join);
	loop_free(r.loop);
	return 0;
}
