/* What the TLS files of http/ share. */
#ifndef HTTP_TLS_PRIV_H
#define HTTP_TLS_PRIV_H

#include "http/tls.h"

#include <openssl/ssl.h>
#include <stddef.h>

struct tls_context {
	unsigned refs;
	bool verify;
	SSL_CTX *server; /* NULL without a certificate */
	SSL_CTX *client;
	/* The files as read, PEM, for libcurl, which keys its connections by them. NULL when not
	 * given. */
	char *ca, *cert, *key;
	size_t ca_len, cert_len, key_len;
};

#endif
