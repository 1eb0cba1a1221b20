# Which of them takes it: one strategy a file.

noinst_LIBRARIES += strategies/libswarm_strategies.a
strategies_libswarm_strategies_a_SOURCES = \
	strategies/binpack.c \
	strategies/random.c \
	strategies/spread.c \
	strategies/strategy.c \
	strategies/strategy.h \
	strategies/strategy_priv.h \
	strategies/weight.c \
	strategies/weight.h
strategies_libswarm_strategies_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_strategies
endif
tests_unit_test_strategies_SOURCES = tests/unit/test_strategies.c $(view_fleet)
tests_unit_test_strategies_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_strategies_LDADD = $(STRATEGIES_LIBS) $(CMOCKA_LIBS)
