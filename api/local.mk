# The Docker Remote API of a cluster.

noinst_LIBRARIES += api/libswarm_api.a
api_libswarm_api_a_SOURCES = \
	api/api.c \
	api/api.h \
	api/api_priv.h \
	api/archive_check.c \
	api/archive_check.h \
	api/bodies.c \
	api/bodies.h \
	api/broadcast.c \
	api/broadcast.h \
	api/build.c \
	api/builds.c \
	api/builds.h \
	api/container_filter.c \
	api/container_filter.h \
	api/container_find.c \
	api/container_find.h \
	api/container_list.c \
	api/container_sizes.c \
	api/container_sizes.h \
	api/containers.c \
	api/create.c \
	api/create_networks.c \
	api/create_networks.h \
	api/deadline.c \
	api/default_headers.c \
	api/disk_usage.c \
	api/event_filter.c \
	api/event_history.c \
	api/events.c \
	api/events.h \
	api/exec.c \
	api/exec_search.c \
	api/exec_search.h \
	api/fanout.c \
	api/fanout.h \
	api/filter_values.c \
	api/filter_values.h \
	api/filters.c \
	api/filters.h \
	api/forward.c \
	api/hijack.c \
	api/image.c \
	api/image_age.c \
	api/image_age.h \
	api/image_fetch.c \
	api/image_fetch.h \
	api/image_source.c \
	api/image_source.h \
	api/image_merge.c \
	api/image_merge.h \
	api/images.c \
	api/info.c \
	api/info_merge.c \
	api/info_merge.h \
	api/listing.c \
	api/listing.h \
	api/load.c \
	api/making.c \
	api/making.h \
	api/network_connect.c \
	api/networks.c \
	api/networks.h \
	api/nodes.c \
	api/paced.c \
	api/paced.h \
	api/paced_json.c \
	api/pins.c \
	api/pins.h \
	api/pattern.c \
	api/pattern.h \
	api/plugins.c \
	api/progress.c \
	api/progress.h \
	api/query.c \
	api/project.c \
	api/project.h \
	api/prune.c \
	api/pull.c \
	api/registry.c \
	api/request.c \
	api/routes.c \
	api/routes.h \
	api/session.c \
	api/swarm_mode.c \
	api/system.c \
	api/usage.c \
	api/usage.h \
	api/volumes.c \
	api/wanted_image.c \
	api/wanted_image.h
api_libswarm_api_a_CFLAGS = $(AM_CFLAGS)
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_api_archive_check
check_PROGRAMS += tests/unit/test_api_container_filter
check_PROGRAMS += tests/unit/test_api_container_sizes
check_PROGRAMS += tests/unit/test_api_deadline
check_PROGRAMS += tests/unit/test_api_events
check_PROGRAMS += tests/unit/test_api_exec_search
check_PROGRAMS += tests/unit/test_api_images
check_PROGRAMS += tests/unit/test_api_lifetimes
check_PROGRAMS += tests/unit/test_api_outcomes
check_PROGRAMS += tests/unit/test_api_merge
check_PROGRAMS += tests/unit/test_api_paced
check_PROGRAMS += tests/unit/test_api_pins
endif
tests_unit_test_api_archive_check_SOURCES = tests/unit/test_api_archive_check.c
tests_unit_test_api_archive_check_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_archive_check_LDADD = api/libswarm_api.a \
	$(HTTP_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_container_filter_SOURCES = \
	tests/unit/test_api_container_filter.c tests/unit/cpu_limit.h $(cluster_fixture)
tests_unit_test_api_container_filter_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_container_filter_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_container_sizes_SOURCES = \
	tests/unit/test_api_container_sizes.c $(cluster_fixture)
tests_unit_test_api_container_sizes_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_container_sizes_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
# A manager and its engines.
manager_fixture = tests/unit/manager_fixture.c tests/unit/manager_fixture.h $(moved_clock) \
	tests/unit/fake_engine.c tests/unit/fake_engine.h
tests_unit_test_api_deadline_SOURCES = tests/unit/test_api_deadline.c $(manager_fixture)
tests_unit_test_api_deadline_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_deadline_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_events_SOURCES = tests/unit/test_api_events.c tests/unit/heap.h
tests_unit_test_api_events_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_events_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_exec_search_SOURCES = tests/unit/test_api_exec_search.c $(manager_fixture)
tests_unit_test_api_exec_search_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_exec_search_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_images_SOURCES = tests/unit/test_api_images.c
tests_unit_test_api_images_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_images_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_lifetimes_SOURCES = tests/unit/test_api_lifetimes.c $(manager_fixture)
tests_unit_test_api_lifetimes_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_lifetimes_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_outcomes_SOURCES = tests/unit/test_api_outcomes.c $(manager_fixture)
tests_unit_test_api_outcomes_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_outcomes_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_merge_SOURCES = tests/unit/test_api_merge.c tests/unit/cpu_limit.h
tests_unit_test_api_merge_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_merge_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
# Exchanges are played by the test.
tests_unit_test_api_paced_SOURCES = \
	tests/unit/test_api_paced.c \
	api/paced.c \
	http/headers.c
tests_unit_test_api_paced_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_paced_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_api_pins_SOURCES = tests/unit/test_api_pins.c
tests_unit_test_api_pins_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_api_pins_LDADD = api/libswarm_api.a $(LIB_LIBS) $(CMOCKA_LIBS)
