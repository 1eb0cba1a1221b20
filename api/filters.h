/* The `filters` parameter of lists and events. Inside api/ only. */
#ifndef API_FILTERS_H
#define API_FILTERS_H

#include "api/api_priv.h"

/* The value of `filters`: {"name":["a","b"]}, also the older {"name":{"a":true}}. An empty object
 * when missing. A new reference, always the first form; NULL with err. */
json_t *request_filters(const struct request *r, struct err *err) MUSTCHECK;
/* Refuses filters that are not in the NULL-ended list, as an engine does. */
int filters_check(const json_t *filters, const char *const *known, struct err *err) MUSTCHECK;

/* True when text is one of the values. */
bool filters_have(const json_t *values, const char *text);
/* True when there is no filter of that name, or one of its values is text. */
bool filters_allow(const json_t *filters, const char *key, const char *text);
/* `label`: every "key" or "key=value" has to hold; `label!`: not all of them may. */
bool filters_allow_labels(const json_t *filters, const json_t *labels);
/* Likewise, of an entry that is kept as text (entry_json). */
bool filters_allow_labels_of(const json_t *filters, const char *text);
/* `node`: name, ID or address. */
bool filters_allow_node(const json_t *filters, const struct node *node);

#endif
