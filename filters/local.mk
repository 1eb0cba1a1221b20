# Which nodes may take a container: one filter a file.

noinst_LIBRARIES += filters/libswarm_filters.a
filters_libswarm_filters_a_SOURCES =
filters_libswarm_filters_a_CFLAGS = $(AM_CFLAGS)
