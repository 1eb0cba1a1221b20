# Wires one manager together.

noinst_LIBRARIES += manage/libswarm_manage.a
manage_libswarm_manage_a_SOURCES = \
	manage/dump.c \
	manage/gate.c \
	manage/gate.h \
	manage/listen.c \
	manage/manage.c \
	manage/manage.h \
	manage/manage_priv.h \
	manage/notify.c \
	manage/notify.h \
	manage/signals.c
manage_libswarm_manage_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_manage_gate
endif
# Exchanges are played by the test.
tests_unit_test_manage_gate_SOURCES = \
	tests/unit/test_manage_gate.c \
	manage/gate.c \
	manage/notify.c
tests_unit_test_manage_gate_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_manage_gate_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
