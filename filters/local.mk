# Which nodes may take a container: one filter a file.

noinst_LIBRARIES += filters/libswarm_filters.a
filters_libswarm_filters_a_SOURCES = \
	filters/affinity.c \
	filters/constraint.c \
	filters/containerslots.c \
	filters/dependency.c \
	filters/expr.c \
	filters/expr.h \
	filters/filter.c \
	filters/filter.h \
	filters/filter_priv.h \
	filters/health.c \
	filters/pattern.c \
	filters/pattern.h \
	filters/port.c \
	filters/text.c \
	filters/text.h \
	filters/whitelist.c
filters_libswarm_filters_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_filters tests/unit/test_filters_expr
endif
view_fleet = tests/unit/view_fleet.c tests/unit/view_fleet.h
tests_unit_test_filters_SOURCES = tests/unit/test_filters.c $(view_fleet)
tests_unit_test_filters_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_filters_LDADD = $(FILTERS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_filters_expr_SOURCES = tests/unit/test_filters_expr.c
tests_unit_test_filters_expr_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_filters_expr_LDADD = $(FILTERS_LIBS) $(CMOCKA_LIBS)
