/* What is to stay on one node: keys that clients name (themselves, their sessions, their builds),
 * each with the ID of a node, remembered for a while. Bounded: beyond a number the one is forgotten
 * that was used longest ago. Inside api/ only. */
#ifndef API_PINS_H
#define API_PINS_H

#include <stddef.h>
#include <stdint.h>

#define PINS_KEY_MAX 256 /* bytes; a longer key is not remembered */

struct pins;
/* ttl_ms: how long one is remembered that is not used. */
struct pins *pins_new(size_t max, uint64_t ttl_ms);
void pins_free(struct pins *pins);
/* Texts are copied; replaces what the key had. */
void pins_set(struct pins *pins, const char *key, const char *node_id, uint64_t now_ms);
/* NULL when there is none. This is a use. Borrowed until the next call. */
const char *pins_get(struct pins *pins, const char *key, uint64_t now_ms);

#endif
