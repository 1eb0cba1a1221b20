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
