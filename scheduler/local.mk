# Request, filters, strategy, reservation.

noinst_LIBRARIES += scheduler/libswarm_scheduler.a
scheduler_libswarm_scheduler_a_SOURCES =
scheduler_libswarm_scheduler_a_CFLAGS = $(AM_CFLAGS)
