# The heartbeat agent.

noinst_LIBRARIES += join/libswarm_join.a
join_libswarm_join_a_SOURCES = \
	join/join.c \
	join/join.h \
	join/run.c
join_libswarm_join_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_join
endif
# Discovery is played by the test.
tests_unit_test_join_SOURCES = tests/unit/test_join.c join/join.c
tests_unit_test_join_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_join_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
