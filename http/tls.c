/* TLS material: read once, checked, then shared by every connection made from it. */
#include "http/tls_priv.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#define PEM_FILE_MAX (1024 * 1024)
/* Bytes of records in one read of a socket; kept while in use only. Four of the largest of TLS 1.3
 * (header, content, its type, tag), which is how peers send much, behind OpenSSL's alignment of the
 * first: with a few bytes less each read would need a second, tiny one. */
#define READ_AHEAD (4 * (SSL3_RT_HEADER_LENGTH + SSL3_RT_MAX_PLAIN_LENGTH + 1 + 16) + 3)

/* 128 bits are as safe as anything else here and cost a quarter less than 256, which OpenSSL would
 * ask for first. */
#define TLS13_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

static int read_file(const char *path, const char *what, char **out, size_t *len, struct err *err)
{
	int fd CLEANUP_FD = -1;
	struct buf content CLEANUP_BUF;
	struct stat st;

	buf_init(&content, PEM_FILE_MAX);
	/* A FIFO or a device may have nothing to read for ever: already opening it must not wait.
	 */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd == -1 || fstat(fd, &st) == -1)
		return err_errno(err, ERR_INVALID, errno, "cannot read the %s %s", what, path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "the %s %s is not a regular file", what, path);
	for (;;) {
		char *room = buf_room(&content, 4096);
		ssize_t n;

		if (room == NULL)
			return err_set(
				err, ERR_INVALID, "the %s %s is larger than 1 MiB", what, path);
		n = read(fd, room, 4096);
		if (n == -1)
			return err_errno(
				err, ERR_INVALID, errno, "cannot read the %s %s", what, path);
		if (n == 0)
			break;
		buf_added(&content, (size_t)n);
	}
	*len = content.len;
	*out = buf_take(&content);
	return 0;
}

static int openssl_error(struct err *err, const char *what, const char *path)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(err, ERR_INVALID, "the %s %s is not usable: %s", what, path,
		reason != NULL ? reason : "not in PEM form");
}

static int use_certificate(SSL_CTX *ctx, const struct tls_config *config,
	const struct tls_context *tls, struct err *err)
{
	BIO *cert = BIO_new_mem_buf(tls->cert, (int)tls->cert_len);
	BIO *key = BIO_new_mem_buf(tls->key, (int)tls->key_len);
	X509 *leaf = PEM_read_bio_X509_AUX(cert, NULL, NULL, NULL), *extra;
	EVP_PKEY *pkey = NULL;
	int result = -1;

	if (leaf == NULL || SSL_CTX_use_certificate(ctx, leaf) != 1) {
		openssl_error(err, "certificate", config->cert_file);
		goto out;
	}
	while ((extra = PEM_read_bio_X509(cert, NULL, NULL, NULL)) != NULL)
		SSL_CTX_add0_chain_cert(ctx, extra);
	ERR_clear_error();
	pkey = PEM_read_bio_PrivateKey(key, NULL, NULL, (void *)"");
	if (pkey == NULL) {
		openssl_error(err, "key", config->key_file);
		goto out;
	}
	if (X509_check_private_key(leaf, pkey) != 1 || SSL_CTX_use_PrivateKey(ctx, pkey) != 1) {
		ERR_clear_error();
		err_set(err, ERR_INVALID, "the key %s does not match the certificate %s",
			config->key_file, config->cert_file);
		goto out;
	}
	result = 0;
out:
	X509_free(leaf);
	EVP_PKEY_free(pkey);
	BIO_free(cert);
	BIO_free(key);
	return result;
}

static int use_authorities(SSL_CTX *ctx, const struct tls_config *config,
	const struct tls_context *tls, bool is_server, struct err *err)
{
	BIO *bio = BIO_new_mem_buf(tls->ca, (int)tls->ca_len);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	X509 *ca;
	int count = 0;

	while ((ca = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		X509_STORE_add_cert(store, ca);
		if (is_server)
			SSL_CTX_add_client_CA(ctx, ca);
		X509_free(ca);
		count++;
	}
	BIO_free(bio);
	if (count == 0)
		return openssl_error(err, "CA file", config->ca_file);
	ERR_clear_error();
	return 0;
}

static int select_http11(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char http11[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)(void *)out, out_len, http11,
		    sizeof(http11) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

/* A resumed session keeps what its first handshake found out about the client, though its
 * certificate may have expired or been replaced since: each connection shows it anew. */
static void never_resume(SSL_CTX *ctx)
{
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_num_tickets(ctx, 0);
}

static SSL_CTX *new_ctx(const struct tls_config *config, const struct tls_context *tls,
	bool is_server, struct err *err)
{
	SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());

	if (ctx == NULL) {
		err_set(err, ERR_SYSTEM, "OpenSSL cannot make a context");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_ciphersuites(ctx, TLS13_CIPHERS);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
	if (tls->cert != NULL && use_certificate(ctx, config, tls, err) != 0)
		goto fail;
	if (tls->ca != NULL && use_authorities(ctx, config, tls, is_server, err) != 0)
		goto fail;
	if (tls->ca == NULL && !is_server)
		SSL_CTX_set_default_verify_paths(ctx);
	if (is_server) {
		never_resume(ctx);
		SSL_CTX_set_alpn_select_cb(ctx, select_http11, NULL);
		/* Clients that close their half of TCP without a close_notify (SDKs do) are
		 * understood by engines; where a body ends is known by its framing. */
		SSL_CTX_set_options(ctx, SSL_OP_IGNORE_UNEXPECTED_EOF);
		if (config->verify)
			SSL_CTX_set_verify(
				ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	} else if (config->verify) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	}
	return ctx;
fail:
	SSL_CTX_free(ctx);
	return NULL;
}

struct tls_context *tls_context_new(const struct tls_config *config, struct err *err)
{
	struct tls_context *tls = xcalloc(1, sizeof(*tls));

	tls->refs = 1;
	tls->verify = config->verify;
	if (config->cert_file != NULL && config->key_file == NULL) {
		err_set(err, ERR_INVALID, "the certificate %s needs its key", config->cert_file);
		goto fail;
	}
	if (config->ca_file != NULL &&
		read_file(config->ca_file, "CA file", &tls->ca, &tls->ca_len, err) != 0)
		goto fail;
	if (config->cert_file != NULL &&
		(read_file(config->cert_file, "certificate", &tls->cert, &tls->cert_len, err) !=
				0 ||
			read_file(config->key_file, "key", &tls->key, &tls->key_len, err) != 0))
		goto fail;
	tls->client = new_ctx(config, tls, false, err);
	if (tls->client == NULL)
		goto fail;
	if (tls->cert != NULL) {
		if (config->verify && tls->ca == NULL) {
			err_set(err, ERR_INVALID, "verifying clients needs a CA file");
			goto fail;
		}
		tls->server = new_ctx(config, tls, true, err);
		if (tls->server == NULL)
			goto fail;
	}
	return tls;
fail:
	tls_context_unref(tls);
	return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *tls)
{
	if (tls != NULL)
		tls->refs++;
	return tls;
}

void tls_context_unref(struct tls_context *tls)
{
	if (tls == NULL || --tls->refs > 0)
		return;
	SSL_CTX_free(tls->server);
	SSL_CTX_free(tls->client);
	if (tls->key != NULL)
		OPENSSL_cleanse(tls->key, tls->key_len);
	free(tls->ca);
	free(tls->cert);
	free(tls->key);
	free(tls);
}
