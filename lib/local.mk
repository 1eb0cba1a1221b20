# Domain-free pieces: loop, memory, buffers, errors, strings, JSON.

noinst_LIBRARIES += lib/libswarm_lib.a
lib_libswarm_lib_a_SOURCES = \
	lib/addr.c \
	lib/addr.h \
	lib/addr_expand.c \
	lib/addr_special.c \
	lib/bitset.h \
	lib/buf.c \
	lib/buf.h \
	lib/env.c \
	lib/env.h \
	lib/err.c \
	lib/err.h \
	lib/hash.c \
	lib/hash.h \
	lib/json.c \
	lib/json.h \
	lib/json_read.cc \
	lib/json_read.h \
	lib/log.c \
	lib/log.h \
	lib/log_priv.h \
	lib/log_writer.c \
	lib/loop.c \
	lib/loop.h \
	lib/loop_file.c \
	lib/loop_priv.h \
	lib/loop_watch.c \
	lib/loop_work.c \
	lib/mem.c \
	lib/mem.h \
	lib/metrics.c \
	lib/metrics.h \
	lib/regex.cc \
	lib/regex.h \
	lib/spool.c \
	lib/spool.h \
	lib/spool_file.c \
	lib/spool_file.h \
	lib/str.c \
	lib/str.h \
	lib/str_parse.c
lib_libswarm_lib_a_CFLAGS = $(AM_CFLAGS)
lib_libswarm_lib_a_CXXFLAGS = $(AM_CXXFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += \
	tests/unit/test_lib_addr \
	tests/unit/test_lib_bitset \
	tests/unit/test_lib_buf \
	tests/unit/test_lib_err \
	tests/unit/test_lib_hash \
	tests/unit/test_lib_json \
	tests/unit/test_lib_json_read \
	tests/unit/test_lib_log \
	tests/unit/test_lib_loop \
	tests/unit/test_lib_loop_file \
	tests/unit/test_lib_loop_watch \
	tests/unit/test_lib_mem \
	tests/unit/test_lib_regex \
	tests/unit/test_lib_spool \
	tests/unit/test_lib_str
endif
tests_unit_test_lib_addr_SOURCES = tests/unit/test_lib_addr.c tests/unit/cmocka_all.h
tests_unit_test_lib_addr_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_addr_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_bitset_SOURCES = tests/unit/test_lib_bitset.c tests/unit/cmocka_all.h
tests_unit_test_lib_bitset_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_bitset_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_buf_SOURCES = tests/unit/test_lib_buf.c
tests_unit_test_lib_buf_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_buf_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_err_SOURCES = tests/unit/test_lib_err.c
tests_unit_test_lib_err_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_err_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_json_read_SOURCES = tests/unit/test_lib_json_read.c tests/unit/heap.h
tests_unit_test_lib_json_read_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_json_read_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_json_SOURCES = tests/unit/test_lib_json.c
tests_unit_test_lib_json_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_json_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_log_SOURCES = tests/unit/test_lib_log.c
tests_unit_test_lib_log_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_log_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_mem_SOURCES = tests/unit/test_lib_mem.c tests/unit/heap.h
tests_unit_test_lib_mem_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_mem_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_regex_SOURCES = tests/unit/test_lib_regex.c
tests_unit_test_lib_regex_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_regex_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_spool_SOURCES = tests/unit/test_lib_spool.c
tests_unit_test_lib_spool_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_spool_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_str_SOURCES = tests/unit/test_lib_str.c
tests_unit_test_lib_str_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_str_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_loop_SOURCES = tests/unit/test_lib_loop.c
tests_unit_test_lib_loop_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_loop_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_loop_file_SOURCES = tests/unit/test_lib_loop_file.c
tests_unit_test_lib_loop_file_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_loop_file_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_loop_watch_SOURCES = tests/unit/test_lib_loop_watch.c
tests_unit_test_lib_loop_watch_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_loop_watch_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_lib_hash_SOURCES = tests/unit/test_lib_hash.c
tests_unit_test_lib_hash_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_lib_hash_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
