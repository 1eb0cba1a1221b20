# Handlers that stand for engines.

noinst_LIBRARIES += backends/libswarm_backends.a
backends_libswarm_backends_a_SOURCES = backends/simulator.h
backends_libswarm_backends_a_CFLAGS = $(AM_CFLAGS)
