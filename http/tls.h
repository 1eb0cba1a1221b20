/* TLS material: one CA bundle, one certificate with its key, and what to verify. Read once,
 * checked, and immutable; on SIGHUP a new one replaces the old for new connections. The process
 * must ignore SIGPIPE: OpenSSL writes to sockets without flags. */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "lib/err.h"
#include "lib/mem.h"

#include <stdbool.h>

struct tls_config {
	const char *ca_file;   /* PEM; NULL = the system's (clients), none (servers) */
	const char *cert_file; /* PEM chain; NULL = no certificate (clients only) */
	const char *key_file;  /* PEM; NULL only when cert_file is */
	bool verify; /* check the peer: a client's certificate, or a server's and its name */
};

struct tls_context;

/* Loads and checks: regular files, readable, certificate and key match, CA present when a server is
 * to verify. The message names the file. The result starts with one reference. */
struct tls_context *tls_context_new(const struct tls_config *config, struct err *err) MUSTCHECK;
struct tls_context *tls_context_ref(struct tls_context *tls);
void tls_context_unref(struct tls_context *tls);

#endif
