/* The `filters` parameter: {"key":["a","b"]}, or {"key":{"a":true}}. */
#ifndef SIMULATOR_FILTER_H
#define SIMULATOR_FILTER_H

#include "simulator/simulator_priv.h"

/* Parsed into an object of lists of strings, a new reference ({} for NULL and ""). accepted:
 * NULL-ended, or NULL for any. 0 or a status. */
int sim_filters_parse(
	const char *text, const char *const *accepted, json_t **out, struct err *err) MUSTCHECK;
/* Each is true when the key is not given. */
bool sim_filter_exact(const json_t *filters, const char *key, const char *value);
bool sim_filter_prefix(const json_t *filters, const char *key, const char *value);
bool sim_filter_regex(const json_t *filters, const char *key, const char *value);
/* labels: JSON object text; values "key" or "key=value" must all hold. */
bool sim_filter_labels(const json_t *filters, const char *key, const json_t *labels);
bool sim_filter_has(const json_t *filters, const char *key);
/* A value of yes or no; *out keeps its value when the key is not given. 0 or 400. */
int sim_filter_bool(const json_t *filters, const char *key, bool *out, struct err *err) MUSTCHECK;

/* "label" and "label!" of a prune. */
bool sim_filter_prune_labels(const json_t *filters, const json_t *labels);
/* "until" of a prune: a duration before now, or a time. *out stays 0 when not given. 0 or a
 * status. */
int sim_filter_until(
	const json_t *filters, int64_t now_ns, int64_t *out, struct err *err) MUSTCHECK;

bool sim_filter_event(const json_t *filters, const json_t *event);

/* The containers of a list request, newest first. *out is an array to be freed. */
int sim_filter_containers(struct sim_engine *e, const json_t *filters, bool all, long long limit,
	struct sim_container ***out, size_t *len, struct err *err) MUSTCHECK;

#endif
