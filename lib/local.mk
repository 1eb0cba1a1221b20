# Domain-free pieces: loop, memory, buffers, errors, strings, JSON.

noinst_LIBRARIES += lib/libswarm_lib.a
lib_libswarm_lib_a_SOURCES = \
	lib/addr.h \
	lib/buf.c \
	lib/buf.h \
	lib/env.h \
	lib/err.c \
	lib/err.h \
	lib/json.h \
	lib/log.c \
	lib/log.h \
	lib/loop.h \
	lib/mem.c \
	lib/mem.h \
	lib/regex.h \
	lib/str.c \
	lib/str.h \
	lib/str_parse.c
lib_libswarm_lib_a_CFLAGS = $(AM_CFLAGS)
