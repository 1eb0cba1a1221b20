# Tests that belong to no one folder. A folder's unit tests stand in its own local.mk.

# The tree itself: who includes whom, and headers that compile alone.
EXTRA_DIST += scripts/check-tree docs/internals/dependencies.md
EXTRA_DIST += tests/unit/fake_engine.c tests/unit/fake_engine.h
dist_check_SCRIPTS += tests/check-tree.sh tests/check-tree-finds.sh
AM_TESTS_ENVIRONMENT += \
	AWK='$(AWK)'; export AWK; CC='$(CC)'; export CC; \
	TREE_CPPFLAGS='$(DEFS) $(AM_CPPFLAGS) $(MICROHTTPD_CFLAGS) $(CURL_CFLAGS) $(OPENSSL_CFLAGS) $(CMOCKA_CFLAGS) $(CPPFLAGS)'; \
	export TREE_CPPFLAGS;
