# The operators' listener, on libmicrohttpd.

noinst_LIBRARIES += web/libswarm_web.a
web_libswarm_web_a_SOURCES = \
	web/listen.c \
	web/pages.c \
	web/web.c \
	web/web.h \
	web/web_priv.h
web_libswarm_web_a_CFLAGS = $(AM_CFLAGS) $(MICROHTTPD_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_web
endif
# The cluster is played by the test.
tests_unit_test_web_SOURCES = tests/unit/test_web.c
tests_unit_test_web_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_web_LDADD = web/libswarm_web.a $(LIB_LIBS) $(MICROHTTPD_LIBS) $(CMOCKA_LIBS)
EXTRA_DIST += tests/integration/test_admin.py
