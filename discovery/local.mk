# Which engines there are: one back end a file.

noinst_LIBRARIES += discovery/libswarm_discovery.a
discovery_libswarm_discovery_a_SOURCES = \
	discovery/consul.c \
	discovery/consul_agent.c \
	discovery/consul_kv.c \
	discovery/consul_priv.h \
	discovery/discovery.c \
	discovery/discovery.h \
	discovery/discovery_priv.h \
	discovery/entries.c \
	discovery/file.c \
	discovery/nodes.c \
	discovery/store.c \
	discovery/store.h \
	discovery/token.c \
	discovery/token_entries.c \
	discovery/token_entries.h \
	discovery/token_file.c \
	discovery/token_rate.c \
	discovery/token_rate.h \
	discovery/token_server.c \
	discovery/token_server.h \
	discovery/token_store.c \
	discovery/token_store.h \
	discovery/token_store_priv.h
discovery_libswarm_discovery_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += \
	tests/unit/test_discovery_agent \
	tests/unit/test_discovery_consul \
	tests/unit/test_discovery_file \
	tests/unit/test_discovery_token \
	tests/unit/test_discovery_token_store
endif
tests_unit_test_discovery_agent_SOURCES = \
	tests/unit/discovery_fake.h \
	tests/unit/discovery_fixture.h \
	tests/unit/test_discovery_agent.c
tests_unit_test_discovery_agent_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_discovery_agent_LDADD = $(DISCOVERY_LIBS) $(CMOCKA_LIBS)
tests_unit_test_discovery_consul_SOURCES = \
	tests/unit/discovery_fake.h \
	tests/unit/discovery_fixture.h \
	tests/unit/test_discovery_consul.c
tests_unit_test_discovery_consul_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_discovery_consul_LDADD = $(DISCOVERY_LIBS) $(CMOCKA_LIBS)
tests_unit_test_discovery_file_SOURCES = \
	tests/unit/discovery_fixture.h \
	tests/unit/test_discovery_file.c
tests_unit_test_discovery_file_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_discovery_file_LDADD = $(DISCOVERY_LIBS) $(CMOCKA_LIBS)
tests_unit_test_discovery_token_SOURCES = \
	tests/unit/discovery_fake.h \
	tests/unit/discovery_fixture.h \
	tests/unit/test_discovery_token.c
tests_unit_test_discovery_token_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_discovery_token_LDADD = $(DISCOVERY_LIBS) $(CMOCKA_LIBS)
tests_unit_test_discovery_token_store_SOURCES = \
	tests/unit/discovery_fixture.h \
	tests/unit/test_discovery_token_store.c
tests_unit_test_discovery_token_store_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_discovery_token_store_LDADD = $(DISCOVERY_LIBS) $(CMOCKA_LIBS)
EXTRA_DIST += \
	docs/discovery.md docs/internals/discovery.md \
	tests/integration/test_discovery_consul.py \
	tests/integration/test_token_server.py
