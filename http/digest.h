/* Digests, for what names content by it and for the handshake of WebSockets. */
#ifndef HTTP_DIGEST_H
#define HTTP_DIGEST_H

#include "lib/mem.h"

#include <stddef.h>

#define DIGEST_HEX_LEN 64

/* SHA-256 of bytes that come in pieces. */
struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, const void *data, size_t len);
/* Ends it: lower-case hexadecimal digits and a NUL; d is freed. */
void digest_finish(struct digest *d_take, char out[DIGEST_HEX_LEN + 1]);
void digest_free(struct digest *d);

/* The same of bytes that are all there. */
void digest_of(const void *data, size_t len, char out[DIGEST_HEX_LEN + 1]);

/* Sec-WebSocket-Accept for a client's Sec-WebSocket-Key (RFC 6455 section 4.2.2). Owned. */
char *digest_websocket_accept(const char *key) MUSTCHECK;
/* Base64 with padding. Owned. */
char *digest_base64(const void *data, size_t len) MUSTCHECK;

#endif
