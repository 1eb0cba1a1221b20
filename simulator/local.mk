# Handlers that stand for engines.

noinst_LIBRARIES += simulator/libswarm_simulator.a
simulator_libswarm_simulator_a_SOURCES = \
	simulator/build.c \
	simulator/build.h \
	simulator/build_steps.c \
	simulator/chance.c \
	simulator/commit.c \
	simulator/container.c \
	simulator/content.c \
	simulator/context.c \
	simulator/dockerfile.c \
	simulator/dockerfile.h \
	simulator/engine.c \
	simulator/event.c \
	simulator/exec.c \
	simulator/fault.c \
	simulator/fields.c \
	simulator/files.c \
	simulator/files.h \
	simulator/filter.c \
	simulator/filter.h \
	simulator/http.c \
	simulator/http.h \
	simulator/image.c \
	simulator/image.h \
	simulator/image_delete.c \
	simulator/image_view.c \
	simulator/info.c \
	simulator/json.c \
	simulator/load.c \
	simulator/log.c \
	simulator/network.c \
	simulator/pattern.c \
	simulator/pipe.c \
	simulator/port.c \
	simulator/simulator_priv.h \
	simulator/proc.c \
	simulator/registry.c \
	simulator/routes_container.c \
	simulator/routes_files.c \
	simulator/routes_image.c \
	simulator/routes_network.c \
	simulator/routes_stream.c \
	simulator/routes_swarm.c \
	simulator/routes_system.c \
	simulator/run.c \
	simulator/spec.c \
	simulator/tar.c \
	simulator/tar.h \
	simulator/view.c \
	simulator/volume.c \
	simulator/ws.c \
	simulator/ws.h \
	simulator/simulator.c \
	simulator/simulator.h
simulator_libswarm_simulator_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_simulator_archive tests/unit/test_simulator_engine
endif
tests_unit_test_simulator_archive_SOURCES = tests/unit/test_simulator_archive.c
tests_unit_test_simulator_archive_LDADD = $(SIMULATOR_LIBS) $(CMOCKA_LIBS)
tests_unit_test_simulator_archive_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_simulator_engine_SOURCES = tests/unit/test_simulator_engine.c
tests_unit_test_simulator_engine_LDADD = $(SIMULATOR_LIBS) $(CMOCKA_LIBS)
tests_unit_test_simulator_engine_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
