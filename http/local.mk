# HTTP: server, client, TLS (OpenSSL), calls to stores (libcurl), raw streams.

noinst_LIBRARIES += http/libswarm_http.a
http_libswarm_http_a_SOURCES = \
	http/client.c \
	http/client.h \
	http/client_priv.h \
	http/connection.c \
	http/curl_call.c \
	http/deadlines.c \
	http/dial.c \
	http/digest.c \
	http/digest.h \
	http/direct_call.c \
	http/direct_call.h \
	http/exchange.c \
	http/exchange.h \
	http/framing.c \
	http/framing.h \
	http/head.c \
	http/head.h \
	http/headers.c \
	http/idle.c \
	http/ledger.c \
	http/ledger.h \
	http/line.c \
	http/raw_call.c \
	http/relay.c \
	http/relay.h \
	http/room.c \
	http/room.h \
	http/server.c \
	http/server.h \
	http/server_priv.h \
	http/stream.c \
	http/stream.h \
	http/tap.c \
	http/tls.c \
	http/tls.h \
	http/tls_priv.h \
	http/tls_stream.c \
	http/web.c \
	http/web.h
EXTRA_DIST += docs/internals/http.md
# The only folder that sees these libraries' headers.
http_libswarm_http_a_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS) $(OPENSSL_CFLAGS)
http_libswarm_http_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += \
	tests/unit/test_http_answers \
	tests/unit/test_http_chain \
	tests/unit/test_http_client \
	tests/unit/test_http_framing \
	tests/unit/test_http_front \
	tests/unit/test_http_head \
	tests/unit/test_http_idle \
	tests/unit/test_http_line \
	tests/unit/test_http_relay \
	tests/unit/test_http_server \
	tests/unit/test_http_tls \
	tests/unit/test_http_web
endif
# Deadlines pass only while the program runs or has nothing to do.
running_clock = tests/unit/running_clock.c
tests_unit_test_http_chain_SOURCES = tests/unit/test_http_chain.c tests/unit/http_fixture.h
tests_unit_test_http_chain_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_chain_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_framing_SOURCES = tests/unit/test_http_framing.c
tests_unit_test_http_framing_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_framing_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_front_SOURCES = \
	tests/unit/test_http_front.c tests/unit/http_fixture.h $(running_clock)
tests_unit_test_http_front_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_front_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_head_SOURCES = tests/unit/test_http_head.c
tests_unit_test_http_head_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_head_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_server_SOURCES = \
	tests/unit/test_http_server.c tests/unit/http_fixture.h $(running_clock)
tests_unit_test_http_server_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_server_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
client_fixture = tests/unit/client_fixture.c tests/unit/client_fixture.h tests/unit/http_fixture.h
tests_unit_test_http_answers_SOURCES = tests/unit/test_http_answers.c $(client_fixture)
tests_unit_test_http_answers_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_answers_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_client_SOURCES = \
	tests/unit/test_http_client.c $(client_fixture) $(running_clock)
tests_unit_test_http_client_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_client_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_idle_SOURCES = tests/unit/test_http_idle.c $(client_fixture)
tests_unit_test_http_idle_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_idle_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_line_SOURCES = \
	tests/unit/chance.h \
	tests/unit/test_http_line.c \
	$(moved_clock)
tests_unit_test_http_line_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_line_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_relay_SOURCES = tests/unit/http_fixture.h tests/unit/test_http_relay.c
tests_unit_test_http_relay_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_relay_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_web_SOURCES = tests/unit/test_http_web.c tests/unit/http_fixture.h
tests_unit_test_http_web_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_http_web_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_http_tls_SOURCES = \
	tests/unit/test_http_tls.c tests/unit/http_fixture.h $(running_clock)
tests_unit_test_http_tls_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(OPENSSL_CFLAGS)
tests_unit_test_http_tls_LDADD = $(HTTP_LIBS) $(CMOCKA_LIBS)
