/* Dockerfiles: their steps, and what the steps do to an image's configuration. */
#ifndef SIMULATOR_DOCKERFILE_H
#define SIMULATOR_DOCKERFILE_H

#include "simulator/simulator_priv.h"

#define SIM_DOCKERFILE_MAX (1u << 20)
#define SIM_STEPS_MAX 1000

struct sim_step {
	unsigned line;
	char *name; /* "FROM", in capitals */
	char *text; /* the whole instruction, on one line */
	const char *rest;
};
struct sim_dockerfile {
	struct sim_step *steps;
	size_t len;
};
/* 0, or a status with err. */
int sim_dockerfile_parse(
	const char *text, size_t len, struct sim_dockerfile *out, struct err *err) MUSTCHECK;
/* Drops the steps from that one on. */
void sim_dockerfile_cut(struct sim_dockerfile *d, size_t len);
void sim_dockerfile_free(struct sim_dockerfile *d);
#define CLEANUP_DOCKERFILE __attribute__((cleanup(sim_dockerfile_free)))

/* $NAME, ${NAME}, ${NAME:-otherwise}, ${NAME:+instead} and quotes are resolved; vars: an object of
 * strings. Owned. */
char *sim_dockerfile_expand(const char *text, const json_t *vars);
/* The same for each of the blank-separated words. */
void sim_dockerfile_words(const char *text, const json_t *vars, struct str_list *out);
/* The list of strings when the text is JSON (a new reference), or NULL. */
json_t *sim_dockerfile_list(const char *text);
/* ["a", "b"], or a shell with the text as its script. A new reference. */
json_t *sim_dockerfile_command(const json_t *config, const char *text);

/* Applies a step that changes the configuration only. *told: owned, what histories say. 0, 1 (it
 * is no such step), or a status. vars gets what ENV sets. */
int sim_dockerfile_apply(const struct sim_step *step, json_t *config, json_t *vars, char **told,
	struct err *err) MUSTCHECK;

#endif
