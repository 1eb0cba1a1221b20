# Fuzz targets: configured with --enable-fuzzing and a clang; `make tests/fuzz/fuzz_http_head`, then
# run it on a folder that starts as a copy of tests/fuzz/corpus/head.
EXTRA_DIST += \
	tests/fuzz/corpus/framing/chunked \
	tests/fuzz/corpus/framing/close \
	tests/fuzz/corpus/framing/length \
	tests/fuzz/corpus/framing/trailer \
	tests/fuzz/corpus/head/bare \
	tests/fuzz/corpus/head/get \
	tests/fuzz/corpus/head/post \
	tests/fuzz/corpus/head/reply \
	tests/fuzz/corpus/head/upgrade
if FUZZING
noinst_PROGRAMS = tests/fuzz/fuzz_http_framing tests/fuzz/fuzz_http_head
endif
tests_fuzz_fuzz_http_framing_SOURCES = tests/fuzz/fuzz_http_framing.c
tests_fuzz_fuzz_http_framing_LDADD = $(HTTP_LIBS)
tests_fuzz_fuzz_http_framing_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_http_head_SOURCES = tests/fuzz/fuzz_http_head.c
tests_fuzz_fuzz_http_head_LDADD = $(HTTP_LIBS)
tests_fuzz_fuzz_http_head_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
