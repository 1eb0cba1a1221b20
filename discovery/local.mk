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
	discovery/file.c \
	discovery/nodes.c \
	discovery/store.c \
	discovery/store.h \
	discovery/token.c \
	discovery/token_file.c \
	discovery/token_server.c \
	discovery/token_server.h \
	discovery/token_store.c \
	discovery/token_store.h \
	discovery/token_store_priv.h
discovery_libswarm_discovery_a_CFLAGS = $(AM_CFLAGS)
