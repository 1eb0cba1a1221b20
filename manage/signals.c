/* Signals, and the way to stop in order. */
#include "manage/manage_priv.h"

#include "lib/log.h"
#include "manage/gate.h"
#include "manage/notify.h"

#include <signal.h>

/* For the last bytes of the last reply to leave. */
#define MANAGE_LINGER_MS 250

/* ---- Stopping ---- */

static void leave(struct manage *m)
{
	if (m->state != MANAGE_DRAINING)
		return;
	m->state = MANAGE_LEAVING;
	loop_timer_start(m->stop_timer, MANAGE_LINGER_MS);
}

static void on_idle(void *arg)
{
	leave(arg);
}

static void on_stop_timer(void *arg)
{
	struct manage *m = arg;
	size_t left = gate_in_flight(m->gate);
	if (left > 0)
		log_warn("cutting off requests that did not end in time count=%zu", left);
	loop_stop(m->loop);
}

static void on_stop(int signum, void *arg)
{
	struct manage *m = arg;
	if (m->state != MANAGE_SERVING) {
		log_warn("second signal, leaving at once signal=%d", signum);
		loop_stop(m->loop);
		return;
	}
	m->state = MANAGE_DRAINING;
	notify_send("STOPPING=1");
	log_info("stopping signal=%d in_flight=%zu connections=%zu", signum,
		gate_in_flight(m->gate), server_connections(m->server));
	server_stop_listening(m->server);
	gate_close(m->gate, on_idle, m);
	if (gate_in_flight(m->gate) == 0)
		leave(m);
	else
		loop_timer_start(m->stop_timer, MANAGE_DRAIN_MS);
}

/* ---- Reloading ---- */

static void on_reload(int signum, void *arg)
{
	(void)signum;
	struct manage *m = arg;
	struct err err = ERR_INIT;
	if (m->tls == NULL) {
		log_info("nothing to read again: TLS is not in use");
		return;
	}
	struct tls_context *fresh = manage_tls_load(m->config, &err);
	if (fresh == NULL) {
		log_error("certificates not replaced, the old ones stay in use: %s", err.msg);
		return;
	}
	server_set_tls(m->server, fresh);
	cluster_set_tls(m->cluster, fresh);
	tls_context_unref(m->tls);
	m->tls = fresh;
	log_info("certificates read again; new connections use them");
}

static void on_dump(int signum, void *arg)
{
	(void)signum;
	manage_dump(arg);
}

/* ---- Setting up ---- */

void manage_signals_start(struct manage *m)
{
	m->stop_timer = loop_timer_new(m->loop, on_stop_timer, m);
	m->signals[MANAGE_SIGNAL_TERM] = loop_signal_new(m->loop, SIGTERM, on_stop, m);
	m->signals[MANAGE_SIGNAL_INT] = loop_signal_new(m->loop, SIGINT, on_stop, m);
	m->signals[MANAGE_SIGNAL_HUP] = loop_signal_new(m->loop, SIGHUP, on_reload, m);
	m->signals[MANAGE_SIGNAL_USR1] = loop_signal_new(m->loop, SIGUSR1, on_dump, m);
}

void manage_signals_stop(struct manage *m)
{
	for (size_t i = 0; i < MANAGE_SIGNALS; i++) {
		loop_signal_free(m->signals[i]);
		m->signals[i] = NULL;
	}
	loop_timer_free(m->stop_timer);
	m->stop_timer = NULL;
}
