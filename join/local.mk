# The heartbeat agent.

noinst_LIBRARIES += join/libswarm_join.a
join_libswarm_join_a_SOURCES =
join_libswarm_join_a_CFLAGS = $(AM_CFLAGS)
