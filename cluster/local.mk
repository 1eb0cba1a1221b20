# The inventory.

noinst_LIBRARIES += cluster/libswarm_cluster.a
cluster_libswarm_cluster_a_SOURCES = \
	cluster/cluster.h \
	cluster/cluster_priv.h \
	cluster/view.h
cluster_libswarm_cluster_a_CFLAGS = $(AM_CFLAGS)

# The data half: records, indexes, reservations.
cluster_libswarm_cluster_a_SOURCES += \
	cluster/container_parse.c \
	cluster/container_ports.c \
	cluster/container_row.c \
	cluster/container_status.c \
	cluster/container_set.c \
	cluster/container_summary.c \
	cluster/cursor.c \
	cluster/cursor.h \
	cluster/execs.c \
	cluster/fleet.c \
	cluster/fleet.h \
	cluster/fleet_priv.h \
	cluster/fleet_query.c \
	cluster/images.c \
	cluster/index.c \
	cluster/index.h \
	cluster/intern.c \
	cluster/intern.h \
	cluster/inventory.c \
	cluster/inventory.h \
	cluster/inventory_containers.c \
	cluster/inventory_nodes.c \
	cluster/lookup.c \
	cluster/name_text.c \
	cluster/networks.c \
	cluster/node_parts.c \
	cluster/node_parts.h \
	cluster/outcome.c \
	cluster/places.c \
	cluster/postings.c \
	cluster/postings.h \
	cluster/project.c \
	cluster/promise.c \
	cluster/record.c \
	cluster/record.h \
	cluster/reservation.c \
	cluster/schema.c

if HAVE_CMOCKA
check_PROGRAMS += \
	tests/unit/test_cluster_container \
	tests/unit/test_cluster_cursor \
	tests/unit/test_cluster_inventory \
	tests/unit/test_cluster_model \
	tests/unit/test_cluster_parts \
	tests/unit/test_cluster_places
endif
EXTRA_DIST += tests/unit/data/engine_20_10.json
cluster_fixture = tests/unit/cluster_fixture.c tests/unit/cluster_fixture.h
tests_unit_test_cluster_container_SOURCES = \
	tests/unit/test_cluster_container.c $(cluster_fixture)
tests_unit_test_cluster_container_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_container_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cluster_cursor_SOURCES = tests/unit/test_cluster_cursor.c $(cluster_fixture)
tests_unit_test_cluster_cursor_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_cursor_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cluster_inventory_SOURCES = \
	tests/unit/test_cluster_inventory.c $(cluster_fixture)
tests_unit_test_cluster_inventory_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_inventory_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cluster_model_SOURCES = tests/unit/test_cluster_model.c $(cluster_fixture)
tests_unit_test_cluster_model_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_model_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cluster_parts_SOURCES = \
	tests/unit/test_cluster_parts.c $(cluster_fixture)
tests_unit_test_cluster_parts_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_parts_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cluster_places_SOURCES = tests/unit/test_cluster_places.c $(cluster_fixture)
tests_unit_test_cluster_places_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_places_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)

# The live half: node states, synchronisation, events.
cluster_libswarm_cluster_a_SOURCES += \
	cluster/call.c \
	cluster/cluster.c \
	cluster/connect.c \
	cluster/event.c \
	cluster/facts.c \
	cluster/facts.h \
	cluster/fetch.c \
	cluster/json_split.c \
	cluster/json_split.h \
	cluster/live.h \
	cluster/node.c \
	cluster/node_call.c \
	cluster/node_call.h \
	cluster/parts.c \
	cluster/sync.c \
	cluster/watch.c

if HAVE_CMOCKA
check_PROGRAMS += \
	tests/unit/test_cluster_json_split \
	tests/unit/test_cluster_events \
	tests/unit/test_cluster_node \
	tests/unit/test_cluster_node_call \
	tests/unit/test_cluster_trouble \
	tests/unit/test_cluster_turns
endif
tests_unit_test_cluster_json_split_SOURCES = tests/unit/test_cluster_json_split.c
tests_unit_test_cluster_json_split_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_json_split_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
# A cluster and its engines.
live_fixture = tests/unit/live_fixture.c tests/unit/live_fixture.h \
	tests/unit/fake_engine.c tests/unit/fake_engine.h $(running_clock)
tests_unit_test_cluster_events_SOURCES = tests/unit/test_cluster_events.c $(live_fixture)
tests_unit_test_cluster_events_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_events_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cluster_node_SOURCES = tests/unit/test_cluster_node.c $(live_fixture)
tests_unit_test_cluster_node_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_node_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
# The client and the node are played by the test.
tests_unit_test_cluster_node_call_SOURCES = \
	tests/unit/test_cluster_node_call.c \
	cluster/node_call.c
tests_unit_test_cluster_node_call_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_node_call_LDADD = $(LIB_LIBS) $(CMOCKA_LIBS)
tests_unit_test_cluster_trouble_SOURCES = tests/unit/test_cluster_trouble.c $(live_fixture)
tests_unit_test_cluster_trouble_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_trouble_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
# A clock that the test moves; timers of the loop go by it.
moved_clock = tests/unit/moved_clock.c tests/unit/moved_clock.h tests/unit/http_fixture.h
tests_unit_test_cluster_turns_SOURCES = tests/unit/test_cluster_turns.c $(moved_clock) \
	tests/unit/fake_engine.c tests/unit/fake_engine.h
tests_unit_test_cluster_turns_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_cluster_turns_LDADD = $(CLUSTER_LIBS) $(CMOCKA_LIBS)
