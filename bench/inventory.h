/* An inventory without engines, made in memory, for programs that measure what is done with one.
 * The same numbers give the same inventory. */
#ifndef BENCH_INVENTORY_H
#define BENCH_INVENTORY_H

#include "cluster/record.h"

#define GIB (INT64_C(1) << 30)

/* Time that stands still, and the chance below. */
extern const struct env bench_env;
/* The next number below bound, always in the same order. */
unsigned bench_below(unsigned bound);
/* 64 hex digits and a NUL. */
void bench_id(char *id);

/* A cluster without nodes; bench_cluster_free takes its nodes away first. */
struct cluster *bench_cluster_new(void);
void bench_cluster_free(struct cluster *cluster);
/* A healthy node of 64 CPUs, with labels and 20 images. */
struct node *bench_node(struct cluster *cluster, size_t number);
/* A record that is not in the inventory yet. */
struct container_record *bench_container(struct node *node, size_t number);

#endif
