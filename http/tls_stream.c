/* TLS over a socket as a stream, and the handshakes that make one. */
#include "http/exchange.h"
#include "http/stream.h"
#include "http/tls_priv.h"
#include "lib/buf.h"
#include "lib/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>

struct tls_stream {
	struct stream stream;
	struct loop *loop;
	int fd;
	SSL *ssl;
	struct loop_watch *watch;
	unsigned wanted;            /* what the user asked for */
	bool read_wants_write;      /* reading goes on when the socket is writable */
	bool write_wants_read;      /* and the reverse */
	bool is_shut, shut_pending; /* close_notify is sent, or waits for the socket */
	bool is_broken;
	bool is_starved; /* what OpenSSL holds is less than a record: only the socket helps */
	bool has_end;    /* an end or a failure was found behind bytes that were given first */
	bool has_notify; /* the peer's close_notify has come */
	bool is_kicked, is_closed; /* as in a plain socket's stream */
};

static struct tls_stream *tls_of(struct stream *s)
{
	return CONTAINER_OF(s, struct tls_stream, stream);
}

static bool has_buffered(const struct tls_stream *ts)
{
	return ts->stream.unread.len > 0 || ts->has_end ||
	       (!ts->is_starved && SSL_has_pending(ts->ssl));
}

static void tls_update_watch(struct tls_stream *ts)
{
	unsigned events = ts->wanted & LOOP_HANGUP;

	if (ts->wanted & LOOP_READ)
		events |= ts->read_wants_write ? LOOP_WRITE : LOOP_READ;
	if (ts->wanted & LOOP_WRITE)
		events |= ts->write_wants_read ? LOOP_READ : LOOP_WRITE;
	if (ts->shut_pending)
		events |= LOOP_WRITE;
	loop_watch_set(ts->watch, events);
}

static void tls_send_close_notify(struct tls_stream *ts)
{
	int n;

	ERR_clear_error();
	n = SSL_shutdown(ts->ssl);
	ts->shut_pending = n < 0 && SSL_get_error(ts->ssl, n) == SSL_ERROR_WANT_WRITE;
}

static void tls_ready(unsigned events, void *arg)
{
	struct tls_stream *ts = arg;
	unsigned told = events & LOOP_HANGUP;
	bool is_error = (events & ~loop_watch_get(ts->watch)) != 0;

	if (ts->shut_pending && (events & LOOP_WRITE)) {
		tls_send_close_notify(ts);
		tls_update_watch(ts);
	}
	if (events & (ts->read_wants_write ? LOOP_WRITE : LOOP_READ))
		told |= LOOP_READ;
	if (events & (ts->write_wants_read ? LOOP_READ : LOOP_WRITE))
		told |= LOOP_WRITE;
	told &= ts->wanted;
	/* What nobody asked for is how the loop tells of an error. */
	if (is_error) {
		ts->is_broken = true;
		ts->shut_pending = false;
		tls_update_watch(ts);
		told = LOOP_READ | LOOP_WRITE | LOOP_HANGUP;
	}
	if (told != 0 && ts->stream.ready != NULL)
		ts->stream.ready(told, ts->stream.ready_arg);
}

/* What OpenSSL has read from the socket already makes no event. */
static void tls_kick(void *arg)
{
	struct tls_stream *ts = arg;

	ts->is_kicked = false;
	if (ts->is_closed)
		free(ts);
	else if ((ts->wanted & LOOP_READ) && has_buffered(ts) && ts->stream.ready != NULL)
		ts->stream.ready(LOOP_READ, ts->stream.ready_arg);
}

/* OpenSSL gives one record at a time, and reads ahead from the socket: all that it has is taken at
 * once. */
static ssize_t tls_read(struct stream *s, void *data, size_t len)
{
	struct tls_stream *ts = tls_of(s);
	size_t done = 0;
	int n;

	if (ts->is_broken)
		return STREAM_ERROR;
	ts->read_wants_write = false;
	do {
		size_t left = len - done;

		ERR_clear_error();
		n = SSL_read(ts->ssl, (char *)data + done, left > INT_MAX ? INT_MAX : (int)left);
		if (n > 0)
			done += (size_t)n;
	} while (n > 0 && done < len && SSL_has_pending(ts->ssl));
	ts->is_starved = n <= 0;
	if (n > 0)
		return (ssize_t)done;
	switch (SSL_get_error(ts->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return done > 0 ? (ssize_t)done : STREAM_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		ts->read_wants_write = true;
		return done > 0 ? (ssize_t)done : STREAM_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		ts->has_end = done > 0;
		return (ssize_t)done;
	default:
		ts->is_broken = true;
		ts->has_end = done > 0;
		return done > 0 ? (ssize_t)done : STREAM_ERROR;
	}
}

static ssize_t tls_write(struct stream *s, const void *data, size_t len)
{
	struct tls_stream *ts = tls_of(s);
	int n;

	if (ts->is_broken || ts->is_shut)
		return STREAM_ERROR;
	ERR_clear_error();
	n = SSL_write(ts->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
	ts->write_wants_read = false;
	if (n > 0)
		return n;
	switch (SSL_get_error(ts->ssl, n)) {
	case SSL_ERROR_WANT_WRITE:
		return STREAM_AGAIN;
	case SSL_ERROR_WANT_READ:
		ts->write_wants_read = true;
		return STREAM_AGAIN;
	default:
		ts->is_broken = true;
		return STREAM_ERROR;
	}
}

/* OpenSSL does not tell a close_notify from an end of TCP that it was told to take for one. */
static void tls_note_alert(const SSL *ssl, int where, int alert)
{
	struct tls_stream *ts = SSL_get_app_data(ssl);

	if (where == SSL_CB_READ_ALERT && (alert & 0xff) == SSL_AD_CLOSE_NOTIFY)
		ts->has_notify = true;
}

static void tls_shutdown_write(struct stream *s)
{
	struct tls_stream *ts = tls_of(s);

	if (ts->is_shut || ts->is_broken)
		return;
	ts->is_shut = true;
	tls_send_close_notify(ts);
	tls_update_watch(ts);
}

static void tls_want(struct stream *s, unsigned events)
{
	struct tls_stream *ts = tls_of(s);

	ts->wanted = events;
	tls_update_watch(ts);
	if ((events & LOOP_READ) && has_buffered(ts) && !ts->is_kicked) {
		ts->is_kicked = true;
		loop_defer(ts->loop, tls_kick, ts);
	}
}

static bool tls_is_gone(struct stream *s)
{
	struct tls_stream *ts = tls_of(s);
	struct pollfd p = {.fd = ts->fd, .events = POLLRDHUP};
	short gone = POLLHUP | POLLERR;

	/* A half-close is a close_notify alone; the end of TCP behind it is a close. The end of TCP
	 * alone may be either, as without TLS. */
	if (ts->has_notify)
		gone |= POLLRDHUP;
	return ts->is_broken || (poll(&p, 1, 0) == 1 && (p.revents & gone) != 0);
}

/* One field of a subject, owned; NULL when it is none that can be a name. */
static char *field_text(const X509_NAME_ENTRY *entry)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
	char *text = NULL;

	if (len > 0 && memchr(utf8, '\0', (size_t)len) == NULL)
		text = xstrndup((const char *)utf8, (size_t)len);
	OPENSSL_free(utf8);
	return text;
}

static void take_field(struct exchange_identity *out, const X509_NAME_ENTRY *entry, unsigned *names)
{
	int kind = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
	char *text = field_text(entry);

	if (kind == NID_commonName && ++*names == 1)
		out->common_name = TAKE_PTR(text);
	else if (kind == NID_organizationName && text != NULL)
		str_list_add_take(&out->organizations, TAKE_PTR(text));
	else if (kind == NID_organizationalUnitName && text != NULL)
		str_list_add_take(&out->units, TAKE_PTR(text));
	free(text);
}

static void tls_identify(struct stream *s, struct exchange_identity *out)
{
	struct tls_stream *ts = tls_of(s);
	X509 *certificate = SSL_get0_peer_certificate(ts->ssl);
	const X509_NAME *subject;
	unsigned names = 0;

	stream_identify_process(ts->fd, out);
	/* Without a check of certificates the result says OK as well. */
	if (certificate == NULL || SSL_get_verify_mode(ts->ssl) == SSL_VERIFY_NONE ||
		SSL_get_verify_result(ts->ssl) != X509_V_OK)
		return;
	subject = X509_get_subject_name(certificate);
	for (int i = 0; i < X509_NAME_entry_count(subject); i++)
		take_field(out, X509_NAME_get_entry(subject, i), &names);
	if (names > 1)
		free(TAKE_PTR(out->common_name));
}

static void tls_close(struct stream *s)
{
	struct tls_stream *ts = tls_of(s);

	loop_watch_free(ts->watch);
	if (!ts->is_broken && !ts->is_shut && SSL_is_init_finished(ts->ssl)) {
		ERR_clear_error();
		SSL_shutdown(ts->ssl);
	}
	SSL_free(ts->ssl);
	close(ts->fd);
	if (ts->is_kicked)
		ts->is_closed = true;
	else
		free(ts);
}

static const struct stream_ops tls_ops = {
	.name = "tls",
	.read = tls_read,
	.write = tls_write,
	.shutdown_write = tls_shutdown_write,
	.want = tls_want,
	.is_gone = tls_is_gone,
	.identify = tls_identify,
	.close = tls_close,
};

/* ---- Handshakes ---- */

struct tls_handshake {
	struct loop *loop;
	int fd;
	SSL *ssl;
	struct loop_watch *watch;
	struct loop_turn *turn; /* a thousand clients at once do not keep others waiting */
	struct loop_timer *timer;
	stream_done_fn *done;
	void *arg;
	char *host;  /* that was connected to; NULL on the server's side */
	char *names; /* those of its certificate, when host is not among them */
};

void tls_handshake_cancel(struct tls_handshake *h)
{
	if (h == NULL)
		return;
	loop_watch_free(h->watch);
	loop_turn_free(h->turn);
	loop_timer_free(h->timer);
	SSL_free(h->ssl);
	if (h->fd != -1)
		close(h->fd);
	free(h->host);
	free(h->names);
	free(h);
}

static void handshake_fail(struct tls_handshake *h, enum err_code code, const char *why)
{
	stream_done_fn *done = h->done;
	void *arg = h->arg;
	struct err err = ERR_INIT;

	err_set(&err, code, "TLS handshake: %s", why);
	tls_handshake_cancel(h);
	done(arg, NULL, &err);
}

static void handshake_succeed(struct tls_handshake *h)
{
	struct tls_stream *ts = xcalloc(1, sizeof(*ts));
	stream_done_fn *done = h->done;
	void *arg = h->arg;

	ts->stream.ops = &tls_ops;
	ts->loop = h->loop;
	ts->fd = h->fd;
	ts->ssl = TAKE_PTR(h->ssl);
	h->fd = -1;
	SSL_set_app_data(ts->ssl, ts);
	SSL_set_info_callback(ts->ssl, tls_note_alert);
	loop_watch_free(TAKE_PTR(h->watch));
	ts->watch = loop_watch_new(ts->loop, ts->fd, tls_ready, ts);
	tls_handshake_cancel(h);
	done(arg, &ts->stream, NULL);
}

/* Of the names of a certificate that are shown. */
#define NAMES_MAX 256

/* The names of a certificate, as "a, 10.0.0.1", of bounded length. */
static void append_names(X509 *cert, struct buf *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const char *comma = "";

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && out->len < NAMES_MAX; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		char text[INET6_ADDRSTRLEN] = "";

		if (name->type == GEN_DNS)
			buf_printf(out, "%s%.*s", comma, ASN1_STRING_length(name->d.dNSName),
				(const char *)ASN1_STRING_get0_data(name->d.dNSName));
		else if (name->type == GEN_IPADD &&
			 inet_ntop(ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6,
				 ASN1_STRING_get0_data(name->d.iPAddress), text, sizeof(text)))
			buf_printf(out, "%s%s", comma, text);
		else
			continue;
		comma = ", ";
	}
	if (comma[0] == '\0')
		buf_append_str(out, "no name");
	GENERAL_NAMES_free(names);
}

/* Called with each certificate of the chain; only notes what a wrong name was. The certificate is
 * not kept when the handshake fails. */
static int verify_names(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_handshake *h = SSL_get_app_data(ssl);
	int error = X509_STORE_CTX_get_error(store);
	struct buf text;

	if (ok || h == NULL || h->names != NULL ||
		(error != X509_V_ERR_HOSTNAME_MISMATCH && error != X509_V_ERR_IP_ADDRESS_MISMATCH))
		return ok;
	buf_init(&text, 2 * NAMES_MAX);
	append_names(X509_STORE_CTX_get_current_cert(store), &text);
	h->names = text.failed ? NULL : xstrdup(buf_str(&text));
	buf_reset(&text);
	return ok;
}

/* The clearest words for why a handshake failed. */
static void handshake_explain(struct tls_handshake *h)
{
	long verify = SSL_get_verify_result(h->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	if (verify != X509_V_OK && SSL_get_verify_mode(h->ssl) != SSL_VERIFY_NONE)
		reason = X509_verify_cert_error_string(verify);
	if (h->names != NULL) {
		char *text CLEANUP_FREE = xasprintf("the certificate is not for %s but for %s",
			h->host != NULL ? h->host : "this address", h->names);

		handshake_fail(h, ERR_UNAVAILABLE, text);
		return;
	}
	handshake_fail(
		h, ERR_UNAVAILABLE, reason != NULL ? reason : "the peer closed the connection");
}

static void handshake_ready(unsigned events, void *arg)
{
	struct tls_handshake *h = arg;

	(void)events;
	loop_watch_set(h->watch, 0);
	loop_turn_ask(h->turn);
}

static void handshake_step(void *arg)
{
	struct tls_handshake *h = arg;
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(h->ssl);
	if (n == 1) {
		handshake_succeed(h);
		return;
	}
	switch (SSL_get_error(h->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		loop_watch_set(h->watch, LOOP_READ);
		break;
	case SSL_ERROR_WANT_WRITE:
		loop_watch_set(h->watch, LOOP_WRITE);
		break;
	default:
		handshake_explain(h);
	}
}

static void handshake_timeout(void *arg)
{
	handshake_fail(arg, ERR_TIMEOUT, "no progress in time");
}

static struct tls_handshake *handshake_start(struct loop *loop, int fd, SSL *ssl, unsigned first,
	uint64_t timeout_ms, stream_done_fn *done, void *arg)
{
	struct tls_handshake *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	h->fd = fd;
	h->ssl = ssl;
	h->done = done;
	h->arg = arg;
	SSL_set_app_data(ssl, h);
	SSL_set_fd(ssl, fd);
	h->watch = loop_watch_new(loop, fd, handshake_ready, h);
	h->turn = loop_turn_new(loop, handshake_step, h);
	loop_watch_set(h->watch, first);
	h->timer = loop_timer_new(loop, handshake_timeout, h);
	loop_timer_start(h->timer, timeout_ms);
	return h;
}

struct tls_handshake *stream_accept_tls(struct loop *loop, int fd, const struct tls_context *tls,
	uint64_t timeout_ms, stream_done_fn *done, void *arg)
{
	SSL *ssl = SSL_new(tls->server);

	SSL_set_accept_state(ssl);
	return handshake_start(loop, fd, ssl, LOOP_READ, timeout_ms, done, arg);
}

struct tls_handshake *stream_connect_tls(struct loop *loop, int fd, const struct tls_context *tls,
	const char *host, uint64_t timeout_ms, stream_done_fn *done, void *arg)
{
	SSL *ssl = SSL_new(tls->client);
	struct tls_handshake *h;
	unsigned char ip[sizeof(struct in6_addr)];

	SSL_set_connect_state(ssl);
	if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1) {
		if (tls->verify)
			X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	} else {
		SSL_set_tlsext_host_name(ssl, host);
		if (tls->verify)
			SSL_set1_host(ssl, host);
	}
	if (tls->verify)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, verify_names);
	h = handshake_start(loop, fd, ssl, LOOP_WRITE, timeout_ms, done, arg);
	h->host = xstrdup(host);
	return h;
}
