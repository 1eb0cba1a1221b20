# The Docker Remote API of a cluster.

noinst_LIBRARIES += api/libswarm_api.a
api_libswarm_api_a_SOURCES = \
	api/api.h
api_libswarm_api_a_CFLAGS = $(AM_CFLAGS)
