# Wires one manager together.

noinst_LIBRARIES += manage/libswarm_manage.a
manage_libswarm_manage_a_SOURCES =
manage_libswarm_manage_a_CFLAGS = $(AM_CFLAGS)
