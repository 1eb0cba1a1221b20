# HTTP: server (libmicrohttpd), client (libcurl), TLS (OpenSSL), raw streams.

noinst_LIBRARIES += http/libswarm_http.a
http_libswarm_http_a_SOURCES = \
	http/client.h \
	http/exchange.h \
	http/relay.h \
	http/server.h \
	http/stream.h \
	http/tls.h
# The only folder that sees these libraries' headers.
http_libswarm_http_a_CPPFLAGS = $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS) $(CURL_CFLAGS) $(OPENSSL_CFLAGS)
http_libswarm_http_a_CFLAGS = $(AM_CFLAGS)
