/* The values of one filter of a list, which are alternatives: looking them up costs the same
 * whether there are one or a thousand. Zeroed is empty. Inside api/ only. */
#ifndef API_FILTER_VALUES_H
#define API_FILTER_VALUES_H

#include "lib/err.h"
#include "lib/str.h"

#define FILTER_PREFIX_MAX 64 /* characters of an ID */

struct filter_value;
struct filter_values {
	struct filter_value *texts;
	bool has_len[FILTER_PREFIX_MAX + 1]; /* there is a text of that length */
	uint8_t *ports[3];                   /* of tcp, udp, sctp: a bit for each; may be NULL */
};

/* The text is borrowed. */
void filter_values_add(struct filter_values *values, const char *text);
bool filter_values_have(const struct filter_values *values, const char *text);
bool filter_values_have_any(const struct filter_values *values, const struct str_list *texts);
/* One of them is what this begins with: an ID. */
bool filter_values_have_prefix_of(const struct filter_values *values, const char *id);
/* "80", "80/udp", "8000-8010/tcp" */
int filter_values_add_ports(
	struct filter_values *values, const char *text, struct err *err) MUSTCHECK;
/* ports: "80/tcp" and its like. */
bool filter_values_have_port(const struct filter_values *values, const struct str_list *ports);
void filter_values_free(struct filter_values *values);

#endif
