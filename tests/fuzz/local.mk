# Fuzz targets, one for each parser that faces a peer: configured with --enable-fuzzing and a clang.
# scripts/fuzz builds them and runs each on what it has learnt and on its seeds, corpus/NAME.
EXTRA_DIST += \
	tests/fuzz/corpus/addr/range \
	tests/fuzz/corpus/addr/unix \
	tests/fuzz/corpus/addr/v6 \
	tests/fuzz/corpus/discovery/consul-key \
	tests/fuzz/corpus/discovery/consul-list \
	tests/fuzz/corpus/discovery/consul-session \
	tests/fuzz/corpus/discovery/token-list \
	tests/fuzz/corpus/token_file/damaged \
	tests/fuzz/corpus/token_file/two \
	tests/fuzz/corpus/token_file/used \
	tests/fuzz/corpus/create/full \
	tests/fuzz/corpus/create/small \
	tests/fuzz/corpus/expr/choices \
	tests/fuzz/corpus/expr/equal \
	tests/fuzz/corpus/expr/regex \
	tests/fuzz/corpus/expr/soft \
	tests/fuzz/corpus/http_framing/chunked \
	tests/fuzz/corpus/http_framing/close \
	tests/fuzz/corpus/http_framing/length \
	tests/fuzz/corpus/http_framing/trailer \
	tests/fuzz/corpus/http_head/bare \
	tests/fuzz/corpus/http_head/get \
	tests/fuzz/corpus/http_head/post \
	tests/fuzz/corpus/http_head/reply \
	tests/fuzz/corpus/http_head/reply-chunked \
	tests/fuzz/corpus/http_head/twins \
	tests/fuzz/corpus/http_head/upgrade \
	tests/fuzz/corpus/json/list \
	tests/fuzz/corpus/json/object \
	tests/fuzz/corpus/json_split/events \
	tests/fuzz/corpus/json_split/list \
	tests/fuzz/corpus/json_split/null
fuzz_targets = \
	tests/fuzz/fuzz_addr \
	tests/fuzz/fuzz_discovery \
	tests/fuzz/fuzz_token_file \
	tests/fuzz/fuzz_create \
	tests/fuzz/fuzz_expr \
	tests/fuzz/fuzz_http_framing \
	tests/fuzz/fuzz_http_head \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_json_split
EXTRA_PROGRAMS += $(fuzz_targets)
.PHONY: fuzz
fuzz: $(fuzz_targets)
tests_fuzz_fuzz_create_SOURCES = tests/fuzz/fuzz_create.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_create_LDADD = $(SCHEDULER_LIBS)
tests_fuzz_fuzz_create_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_expr_SOURCES = tests/fuzz/fuzz_expr.c
tests_fuzz_fuzz_expr_LDADD = $(FILTERS_LIBS)
tests_fuzz_fuzz_expr_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_http_framing_SOURCES = tests/fuzz/fuzz_http_framing.c
tests_fuzz_fuzz_http_framing_LDADD = $(HTTP_LIBS)
tests_fuzz_fuzz_http_framing_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_http_head_SOURCES = tests/fuzz/fuzz_http_head.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_http_head_LDADD = $(HTTP_LIBS)
tests_fuzz_fuzz_http_head_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c
tests_fuzz_fuzz_json_LDADD = $(LIB_LIBS)
tests_fuzz_fuzz_json_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_json_split_SOURCES = tests/fuzz/fuzz_json_split.c
tests_fuzz_fuzz_json_split_LDADD = $(CLUSTER_LIBS)
tests_fuzz_fuzz_json_split_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_addr_SOURCES = tests/fuzz/fuzz_addr.c
tests_fuzz_fuzz_addr_LDADD = $(LIB_LIBS)
tests_fuzz_fuzz_addr_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_discovery_SOURCES = tests/fuzz/fuzz_discovery.c
tests_fuzz_fuzz_discovery_LDADD = $(DISCOVERY_LIBS)
tests_fuzz_fuzz_discovery_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_token_file_SOURCES = tests/fuzz/fuzz_token_file.c
tests_fuzz_fuzz_token_file_LDADD = $(DISCOVERY_LIBS)
tests_fuzz_fuzz_token_file_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
