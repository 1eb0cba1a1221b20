# Which of them takes it: one strategy a file.

noinst_LIBRARIES += strategies/libswarm_strategies.a
strategies_libswarm_strategies_a_SOURCES =
strategies_libswarm_strategies_a_CFLAGS = $(AM_CFLAGS)
