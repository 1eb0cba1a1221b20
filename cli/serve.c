/* The life of a command that only serves: until it is told to go. */
#include "cli/commands.h"

#include "lib/log.h"
#include "lib/loop.h"

#include <signal.h>

struct serve {
	struct loop *loop;
	void (*reload)(void *arg);
	void *arg;
};

static void on_stop(int signum, void *arg)
{
	struct serve *s = arg;
	log_info("stopping signal=%d", signum);
	loop_stop(s->loop);
}

static void on_hangup(int signum, void *arg)
{
	(void)signum;
	struct serve *s = arg;
	if (s->reload != NULL)
		s->reload(s->arg);
	else
		log_info("nothing to read again");
}

void command_serve(struct loop *loop, void (*reload)(void *arg), void *arg)
{
	struct serve s = {.loop = loop, .reload = reload, .arg = arg};
	struct loop_signal *term = loop_signal_new(loop, SIGTERM, on_stop, &s);
	struct loop_signal *interrupt = loop_signal_new(loop, SIGINT, on_stop, &s);
	struct loop_signal *hangup = loop_signal_new(loop, SIGHUP, on_hangup, &s);
	loop_run(loop);
	loop_signal_free(term);
	loop_signal_free(interrupt);
	loop_signal_free(hangup);
}
