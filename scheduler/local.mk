# Request, filters, strategy, reservation.

noinst_LIBRARIES += scheduler/libswarm_scheduler.a
scheduler_libswarm_scheduler_a_SOURCES = \
	scheduler/body_fields.c \
	scheduler/body_fields.h \
	scheduler/create_body.c \
	scheduler/create_fields.c \
	scheduler/create_host.c \
	scheduler/create_places.c \
	scheduler/create_priv.h \
	scheduler/create_request.c \
	scheduler/create_request.h \
	scheduler/create_terms.c \
	scheduler/place.c \
	scheduler/report.c \
	scheduler/scheduler.c \
	scheduler/scheduler.h \
	scheduler/scheduler_priv.h
scheduler_libswarm_scheduler_a_CFLAGS = $(AM_CFLAGS)

if HAVE_CMOCKA
check_PROGRAMS += tests/unit/test_scheduler tests/unit/test_scheduler_body tests/unit/test_scheduler_create \
	tests/unit/test_scheduler_oracle tests/unit/test_scheduler_fleet \
	tests/unit/test_scheduler_cluster
endif
tests_unit_test_scheduler_SOURCES = tests/unit/test_scheduler.c $(view_fleet) $(cluster_fixture)
tests_unit_test_scheduler_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_scheduler_LDADD = $(SCHEDULER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_scheduler_body_SOURCES = tests/unit/test_scheduler_body.c
tests_unit_test_scheduler_body_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_scheduler_body_LDADD = $(SCHEDULER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_scheduler_create_SOURCES = tests/unit/test_scheduler_create.c
tests_unit_test_scheduler_create_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_scheduler_create_LDADD = $(SCHEDULER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_scheduler_oracle_SOURCES = tests/unit/test_scheduler_oracle.c \
	tests/unit/chance.h $(view_fleet)
tests_unit_test_scheduler_oracle_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_scheduler_oracle_LDADD = $(SCHEDULER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_scheduler_fleet_SOURCES = tests/unit/test_scheduler_fleet.c tests/unit/chance.h \
	tests/unit/slow_select.c tests/unit/slow_select.h $(cluster_fixture)
tests_unit_test_scheduler_fleet_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_scheduler_fleet_LDADD = $(SCHEDULER_LIBS) $(CMOCKA_LIBS)
tests_unit_test_scheduler_cluster_SOURCES = tests/unit/test_scheduler_cluster.c $(cluster_fixture)
tests_unit_test_scheduler_cluster_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_scheduler_cluster_LDADD = $(SCHEDULER_LIBS) $(CMOCKA_LIBS)

EXTRA_DIST += docs/filters.md docs/strategies.md docs/internals/scheduling.md
