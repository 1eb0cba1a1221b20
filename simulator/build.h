/* Builds of images: the context that comes, and the steps that are taken then. */
#ifndef SIMULATOR_BUILD_H
#define SIMULATOR_BUILD_H

#include "simulator/dockerfile.h"
#include "simulator/http.h"
#include "simulator/image.h"

/* ---- The context (context.c): names and digests of its files, and the Dockerfile ---- */

struct sim_context;
/* dockerfile: its name in the context. */
struct sim_context *sim_context_new(const char *dockerfile);
void sim_context_free(struct sim_context *c);
/* -1: it is no archive, or too much of one. */
int sim_context_feed(
	struct sim_context *c, const char *data, size_t len, struct err *err) MUSTCHECK;
int sim_context_finish(struct sim_context *c, struct err *err) MUSTCHECK;
/* Borrowed, or NULL: the context has none. */
const char *sim_context_dockerfile(const struct sim_context *c, size_t *len);

struct sim_copied {
	char digest[SIM_ID_LEN + 1]; /* of all that is copied */
	int64_t size;
	const char *kind; /* "file", "dir", "multi" */
};
/* What these sources (names and patterns) are. 0 or a status with the engine's words. */
int sim_context_copy(const struct sim_context *c, const struct str_list *sources,
	struct sim_copied *out, struct err *err) MUSTCHECK;

/* ---- The steps (build_steps.c) ---- */

#define SIM_BUILD_REFUSED 1000 /* the status of what ends a build that has begun */

/* A build at work; owned by its request. */
struct sim_build {
	struct sim_request *r;
	struct sim_engine *e;
	struct sim_context *context;
	bool failed; /* the context is no good */
	struct err err;

	struct sim_dockerfile steps;
	size_t next;
	struct str_list tags, shown_tags; /* in normal form, as answers show them */
	json_t *args;                     /* of the request */
	json_t *used;                     /* those that an ARG named */
	json_t *global;                   /* ARGs before the first FROM */
	bool quiet, keeps;                /* keeps: containers stay */

	/* The stage at work. */
	bool in_stage;
	struct str_list stages; /* "name=image ID" of those that are over */
	char *stage;
	json_t *config, *vars;
	struct sim_image *image; /* a reference; NULL = scratch */

	/* RUN. */
	char container[SIM_ID_LEN + 1]; /* "" = none is at work */
	struct sim_waiter waiter;
	struct sim_follower follower;
	int code;
	struct loop_timer *timer; /* goes on behind a RUN */
};

/* Lines of the answer, unless it is to be quiet. */
void sim_build_say(struct sim_build *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_build_say_id(struct sim_build *b); /* of the image */
/* Takes one step. 0, SIM_BUILD_REFUSED, or -1: it runs, and b->timer is started when it is over. */
int sim_build_step(struct sim_build *b, const struct sim_step *step, struct err *err) MUSTCHECK;
/* What follows a RUN that is over. 0 or SIM_BUILD_REFUSED. */
int sim_build_run_over(struct sim_build *b, struct err *err) MUSTCHECK;
/* Before the FROM of another stage. */
void sim_build_stage_end(struct sim_build *b);

#endif
