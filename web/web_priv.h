/* Inside web/. */
#ifndef WEB_WEB_PRIV_H
#define WEB_WEB_PRIV_H

#include "lib/addr.h"
#include "lib/buf.h"
#include "web/web.h"

/* listen.c: a listening socket, or -1. A unix socket that nobody answers at is replaced. */
int web_listen(const struct addr *addr, struct err *err) MUSTCHECK;
/* The port that a socket has got; 0 for unix sockets. */
uint16_t web_socket_port(int fd);

/* pages.c: the page at path, or 404 in words. Returns its status; type gets its media type. */
int web_page(const struct web_config *config, const char *path, struct buf *out, const char **type);

#endif
