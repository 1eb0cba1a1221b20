# Handlers that stand for engines.

noinst_LIBRARIES += backends/libswarm_backends.a
backends_libswarm_backends_a_SOURCES = \
	backends/sim_build.c \
	backends/sim_build.h \
	backends/sim_build_steps.c \
	backends/sim_chance.c \
	backends/sim_commit.c \
	backends/sim_container.c \
	backends/sim_content.c \
	backends/sim_context.c \
	backends/sim_dockerfile.c \
	backends/sim_dockerfile.h \
	backends/sim_engine.c \
	backends/sim_event.c \
	backends/sim_exec.c \
	backends/sim_fault.c \
	backends/sim_fields.c \
	backends/sim_files.c \
	backends/sim_files.h \
	backends/sim_filter.c \
	backends/sim_filter.h \
	backends/sim_http.c \
	backends/sim_http.h \
	backends/sim_image.c \
	backends/sim_image.h \
	backends/sim_image_delete.c \
	backends/sim_image_view.c \
	backends/sim_info.c \
	backends/sim_json.c \
	backends/sim_load.c \
	backends/sim_log.c \
	backends/sim_network.c \
	backends/sim_pattern.c \
	backends/sim_pipe.c \
	backends/sim_port.c \
	backends/sim_priv.h \
	backends/sim_proc.c \
	backends/sim_registry.c \
	backends/sim_routes_container.c \
	backends/sim_routes_files.c \
	backends/sim_routes_image.c \
	backends/sim_routes_network.c \
	backends/sim_routes_stream.c \
	backends/sim_routes_swarm.c \
	backends/sim_routes_system.c \
	backends/sim_run.c \
	backends/sim_spec.c \
	backends/sim_tar.c \
	backends/sim_tar.h \
	backends/sim_view.c \
	backends/sim_volume.c \
	backends/sim_ws.c \
	backends/sim_ws.h \
	backends/simulator.c \
	backends/simulator.h
backends_libswarm_backends_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_backends_archive tests/unit/test_backends_engine
endif
tests_unit_test_backends_archive_SOURCES = tests/unit/test_backends_archive.c
tests_unit_test_backends_archive_LDADD = $(BACKENDS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_backends_archive_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_backends_engine_SOURCES = tests/unit/test_backends_engine.c
tests_unit_test_backends_engine_LDADD = $(BACKENDS_LIBS) $(CMOCKA_LIBS)
tests_unit_test_backends_engine_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
