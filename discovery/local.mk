# Which engines there are: one back end a file.

noinst_LIBRARIES += discovery/libswarm_discovery.a
discovery_libswarm_discovery_a_SOURCES = \
	discovery/discovery.h
discovery_libswarm_discovery_a_CFLAGS = $(AM_CFLAGS)
