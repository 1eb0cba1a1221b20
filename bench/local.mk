# Measuring: `make bench-programs` builds what bench/run needs besides swarm. Nothing is installed.

EXTRA_PROGRAMS = bench/load bench/place bench/hot
bench_load_SOURCES = bench/load.c
bench_load_LDADD = $(HTTP_LIBS)
bench_hot_SOURCES = bench/hot.c bench/inspect.c bench/inspect.h bench/inventory.c bench/inventory.h
bench_hot_LDADD = $(API_LIBS)
bench_place_SOURCES = bench/place.c bench/inventory.c bench/inventory.h
bench_place_LDADD = $(SCHEDULER_LIBS)
CLEANFILES += $(EXTRA_PROGRAMS)
EXTRA_DIST += bench/README.md bench/RESULTS.md bench/instructions bench/common.py bench/faults bench/fleet.py \
	bench/measure.py bench/run bench/run_base.py bench/streams

.PHONY: bench-programs
bench-programs: $(EXTRA_PROGRAMS)

.PHONY: check-instructions
check-instructions: bench/hot
	srcdir=$(srcdir) top_builddir=. sh $(srcdir)/tests/instructions.sh
