# The Docker Remote API of a cluster.

noinst_LIBRARIES += api/libswarm_api.a
api_libswarm_api_a_SOURCES = \
	api/api.c \
	api/api.h \
	api/api_priv.h \
	api/broadcast.c \
	api/broadcast.h \
	api/container_filter.c \
	api/container_filter.h \
	api/container_list.c \
	api/containers.c \
	api/create.c \
	api/disk_usage.c \
	api/events.c \
	api/exec.c \
	api/fanout.c \
	api/fanout.h \
	api/filters.c \
	api/filters.h \
	api/forward.c \
	api/hijack.c \
	api/images.c \
	api/listing.c \
	api/listing.h \
	api/making.c \
	api/making.h \
	api/network_connect.c \
	api/load.c \
	api/networks.c \
	api/networks.h \
	api/nodes.c \
	api/plugins.c \
	api/prune.c \
	api/project.c \
	api/project.h \
	api/pull.c \
	api/request.c \
	api/routes.c \
	api/routes.h \
	api/swarm_mode.c \
	api/system.c \
	api/volumes.c
api_libswarm_api_a_CFLAGS = $(AM_CFLAGS)
