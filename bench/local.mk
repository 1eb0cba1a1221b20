# Measuring: `make bench-programs` builds what bench/run needs besides swarm. Nothing is installed.

EXTRA_PROGRAMS = bench/load bench/place
bench_load_SOURCES = bench/load.c
bench_load_LDADD = $(HTTP_LIBS)
bench_place_SOURCES = bench/place.c
bench_place_LDADD = $(SCHEDULER_LIBS)
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += bench/README.md bench/RESULTS.md bench/common.py bench/faults bench/fleet.py \
	bench/measure.py bench/run bench/run_base.py bench/streams

.PHONY: bench-programs
bench-programs: $(EXTRA_PROGRAMS)
