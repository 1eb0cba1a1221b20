#include "simulator/files.h"
#include "simulator/image.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* splitmix64: good enough to make IDs and to be fair, and the same everywhere for one seed. */
static uint64_t mix(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t sim_random(struct sim_engine *e)
{
	return mix(&e->rng);
}

void sim_hex(uint64_t seed, char out[SIM_ID_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < SIM_ID_LEN; i += 16) {
		uint64_t word = mix(&seed);

		for (int k = 15; k >= 0; k--, word >>= 4)
			out[i + k] = digits[word & 15];
	}
	out[SIM_ID_LEN] = '\0';
}

int64_t sim_now(const struct sim_engine *e)
{
	return e->options->env->wall_ns(e->options->env);
}

/* Twelve groups of four characters, as engines that make their ID from a key. */
static void make_engine_id(struct sim_engine *e)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

	for (size_t i = 0; i < sizeof(e->id) - 1; i++)
		e->id[i] = i % 5 == 4 ? ':' : digits[sim_random(e) % 32];
}

struct sim_engine *sim_engine_new(struct sim_options *options, unsigned index, char *name_take,
	struct str_list *labels_take, uint64_t seed)
{
	struct sim_engine *e = xcalloc(1, sizeof(*e));
	const struct env *env = options->env;

	e->options = options;
	e->index = index;
	e->name = name_take;
	e->labels = *labels_take;
	*labels_take = (struct str_list){0};
	if (!seed)
		seed = (uint64_t)env->random_below(env, UINT32_MAX) << 32 |
		       env->random_below(env, UINT32_MAX);
	/* Neighbours must not walk through the same numbers. */
	e->rng = seed;
	for (int i = 0; i < 2; i++)
		e->rng = sim_random(e) + (uint64_t)index * 0xd1342543de82ef95ull;
	RB_INIT(&e->ids);
	RB_INIT(&e->names);
	RB_INIT(&e->host_ports);
	e->next_pid = 1000;
	snprintf(e->root, sizeof(e->root), "/var/lib/docker");
	e->started_ns = sim_now(e);
	make_engine_id(e);
	sim_networks_init(e);
	return e;
}

static void container_discard(struct sim_container *c)
{
	struct sim_engine *e = c->engine;

	sim_container_wake(c, true);
	sim_proc_free(TAKE_PTR(c->proc));
	loop_timer_free(TAKE_PTR(c->restart_timer));
	sim_endpoints_free(c);
	free(c->ports);
	free(c->mounts);
	sim_log_free(c->log);
	sim_files_free(c);
	sim_image_unref(c->image);
	sim_spec_unref(&e->options->specs, c->spec);
	free(c->name);
	free(c->hostname);
	free(c->error);
	free(c);
}

void sim_engine_free(struct sim_engine *e)
{
	struct sim_container *c;
	struct sim_container *tmp;
	struct sim_exec *x;
	struct sim_exec *x_tmp;

	if (!e)
		return;
	HASH_ITER (hh, e->execs, x, x_tmp)
		sim_exec_discard(x);
	DL_FOREACH_SAFE (e->containers, c, tmp)
		container_discard(c);
	sim_images_free(e);
	sim_volumes_free(e);
	sim_networks_free(e);
	sim_ports_free(e);
	for (size_t i = 0; i < e->events_len; i++)
		free(e->events[i].text);
	free(e->events);
	str_list_free(&e->labels);
	free(e->name);
	free(e);
}
