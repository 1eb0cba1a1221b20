/* How many tokens one address, and all of them, may make. Inside discovery/ only. */
#ifndef DISCOVERY_TOKEN_RATE_H
#define DISCOVERY_TOKEN_RATE_H

#include <stdint.h>

#define TOKEN_RATE_PER_ADDRESS 10 /* in TOKEN_RATE_WINDOW_MS; of IPv6, a /64 is one address */
#define TOKEN_RATE_WINDOW_MS (60 * 1000)
#define TOKEN_RATE_ALL 50 /* a second */

struct token_rate;

struct token_rate *token_rate_new(void);
void token_rate_free(struct token_rate *rate);
/* One more for this peer ("ADDRESS:PORT"; whatever has no port, such as a unix socket's, counts as
 * it stands): 0, or the seconds after which it may be tried again. now_ms never goes back. */
unsigned token_rate_take(struct token_rate *rate, const char *peer, uint64_t now_ms);

#endif
