# Domain-free pieces: loop, memory, buffers, errors, strings, JSON.

noinst_LIBRARIES += lib/libswarm_lib.a
lib_libswarm_lib_a_SOURCES = \
	lib/addr.c \
	lib/addr.h \
	lib/addr_expand.c \
	lib/buf.c \
	lib/buf.h \
	lib/env.c \
	lib/env.h \
	lib/err.c \
	lib/err.h \
	lib/json.c \
	lib/json.h \
	lib/log.c \
	lib/log.h \
	lib/loop.c \
	lib/loop.h \
	lib/loop_file.c \
	lib/loop_priv.h \
	lib/loop_watch.c \
	lib/loop_work.c \
	lib/mem.c \
	lib/mem.h \
	lib/regex.cc \
	lib/regex.h \
	lib/str.c \
	lib/str.h \
	lib/str_parse.c
lib_libswarm_lib_a_CFLAGS = $(AM_CFLAGS)
lib_libswarm_lib_a_CXXFLAGS = $(AM_CXXFLAGS)
