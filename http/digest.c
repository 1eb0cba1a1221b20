#include "http/digest.h"

#include "lib/str.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEBSOCKET_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/* The library's own failures here are a lack of memory, which ends the program everywhere else. */
static void must(int done)
{
	if (done != 1)
		abort();
}

struct digest {
	EVP_MD_CTX *ctx;
};

static struct digest *digest_start(const EVP_MD *kind)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	d->ctx = EVP_MD_CTX_new();
	must(d->ctx != NULL);
	must(EVP_DigestInit_ex(d->ctx, kind, NULL));
	return d;
}

struct digest *digest_new(void)
{
	return digest_start(EVP_sha256());
}

void digest_add(struct digest *d, const void *data, size_t len)
{
	must(EVP_DigestUpdate(d->ctx, data, len));
}

void digest_finish(struct digest *d, char out[DIGEST_HEX_LEN + 1])
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	must(EVP_DigestFinal_ex(d->ctx, raw, &len));
	for (unsigned i = 0; i < len && 2 * i < DIGEST_HEX_LEN; i++)
		snprintf(out + 2 * (size_t)i, 3, "%02x", raw[i]);
	digest_free(d);
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	EVP_MD_CTX_free(d->ctx);
	free(d);
}

void digest_of(const void *data, size_t len, char out[DIGEST_HEX_LEN + 1])
{
	struct digest *d = digest_new();

	digest_add(d, data, len);
	digest_finish(d, out);
}

char *digest_websocket_accept(const char *key)
{
	struct digest *d = digest_start(EVP_sha1());
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	digest_add(d, key, strlen(key));
	digest_add(d, WEBSOCKET_GUID, strlen(WEBSOCKET_GUID));
	must(EVP_DigestFinal_ex(d->ctx, raw, &len));
	digest_free(d);
	return digest_base64(raw, len);
}

char *digest_base64(const void *data, size_t len)
{
	char *text = xmalloc(4 * ((len + 2) / 3) + 1);

	EVP_EncodeBlock((unsigned char *)text, data, (int)len);
	return text;
}
