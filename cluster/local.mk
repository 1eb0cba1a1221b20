# The inventory.

noinst_LIBRARIES += cluster/libswarm_cluster.a
cluster_libswarm_cluster_a_SOURCES = \
	cluster/cluster.h \
	cluster/cluster_priv.h \
	cluster/index.h \
	cluster/inventory.h \
	cluster/view.h
cluster_libswarm_cluster_a_CFLAGS = $(AM_CFLAGS)

# The live half: node states, synchronisation, events.
cluster_libswarm_cluster_a_SOURCES += \
	cluster/call.c \
	cluster/cluster.c \
	cluster/connect.c \
	cluster/event.c \
	cluster/fetch.c \
	cluster/json_split.c \
	cluster/json_split.h \
	cluster/live.h \
	cluster/node.c \
	cluster/parts.c \
	cluster/sync.c \
	cluster/watch.c
